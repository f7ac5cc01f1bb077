-- Lakes: options of servers, what create_feature_view and alter_feature_view say of them.  Exports: test/t/020_lake.pl.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE ROLE fs_lake_owner;
CREATE SCHEMA fs_lake;
GRANT USAGE, CREATE ON SCHEMA fs_lake TO fs_lake_owner;
CREATE SERVER fs_lake_kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '127.0.0.1:1');
GRANT USAGE ON FOREIGN SERVER fs_lake_kafka TO fs_lake_owner;
SELECT feature_stream.grant_access('fs_lake_owner');

-- Options.
CREATE SERVER fs_lake FOREIGN DATA WRAPPER feature_stream_iceberg;
CREATE SERVER fs_lake FOREIGN DATA WRAPPER feature_stream_iceberg OPTIONS (warehouse '/srv/lake');
CREATE SERVER fs_lake FOREIGN DATA WRAPPER feature_stream_iceberg OPTIONS (warehouse 'file:///srv/lake/');
CREATE SERVER fs_lake FOREIGN DATA WRAPPER feature_stream_iceberg OPTIONS (warehouse 'file:///srv/../etc');
CREATE SERVER fs_lake FOREIGN DATA WRAPPER feature_stream_iceberg OPTIONS (warehouse 'file:///srv/day=1');
CREATE SERVER fs_lake FOREIGN DATA WRAPPER feature_stream_iceberg OPTIONS (warehouse 'hdfs://x/y');
CREATE SERVER fs_lake FOREIGN DATA WRAPPER feature_stream_iceberg OPTIONS (warehouse 'file:///srv/lake', warehose 'x');
CREATE SERVER fs_lake FOREIGN DATA WRAPPER feature_stream_iceberg OPTIONS (warehouse 'file:///srv/lake', catalog_name 'a b');
CREATE SERVER fs_lake FOREIGN DATA WRAPPER feature_stream_iceberg OPTIONS (warehouse 'file:///srv/lake', region 'x');
CREATE SERVER fs_lake FOREIGN DATA WRAPPER feature_stream_iceberg OPTIONS (warehouse 'file:///srv/lake', compression_level '23');
CREATE SERVER fs_lake FOREIGN DATA WRAPPER feature_stream_iceberg OPTIONS (warehouse 's3://');
CREATE SERVER fs_lake FOREIGN DATA WRAPPER feature_stream_iceberg OPTIONS (warehouse 's3://b', endpoint 'localhost:9000');
CREATE SERVER fs_lake FOREIGN DATA WRAPPER feature_stream_iceberg OPTIONS (warehouse 's3://b', endpoint 'http://me:secret@localhost');
CREATE SERVER fs_lake FOREIGN DATA WRAPPER feature_stream_iceberg OPTIONS (warehouse 's3://b', request_timeout '1 day');
CREATE SERVER fs_lake_s3 FOREIGN DATA WRAPPER feature_stream_iceberg
    OPTIONS (warehouse 's3://b/lake', endpoint 'http://localhost:9000', region 'auto', request_timeout '10 s');
CREATE USER MAPPING FOR fs_lake_owner SERVER fs_lake_s3 OPTIONS (access_key_id 'a', secret_access_key E'top\nsecret');
CREATE USER MAPPING FOR fs_lake_owner SERVER fs_lake_s3 OPTIONS (access_key_id 'a', secret_access_key 'b', session_token 'c');
DROP SERVER fs_lake_s3 CASCADE;
CREATE SERVER fs_lake FOREIGN DATA WRAPPER feature_stream_iceberg OPTIONS (warehouse 'file:///srv/lake', compression_level '9');
CREATE FOREIGN TABLE fs_lake.t (a int) SERVER fs_lake;
CREATE USER MAPPING FOR fs_lake_owner SERVER fs_lake OPTIONS (password 'x');

-- Arguments.
SET ROLE fs_lake_owner;
SET search_path = fs_lake;
CREATE FOREIGN TABLE clicks (user_id text NOT NULL, price numeric, clicked_at timestamptz NOT NULL)
    SERVER fs_lake_kafka OPTIONS (topic 'clicks', event_time 'clicked_at');
CREATE FUNCTION create_view(name text, features text DEFAULT 'count(*) AS n', more text DEFAULT $$, offline => 'fs_lake'$$) RETURNS text
    LANGUAGE plpgsql SET client_min_messages = warning AS $$
DECLARE hint text; detail text;
BEGIN
    EXECUTE format('SELECT feature_stream.create_feature_view(%L, %L, ''{1 h}'', ''1 min'' %s)', name,
                   'SELECT user_id, ' || features || ' FROM fs_lake.clicks GROUP BY user_id', more);
    RETURN 'created';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT, detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(E'\n  ', SQLSTATE || ' ' || SQLERRM, NULLIF(detail, ''), NULLIF(hint, ''));
END $$;
\pset format unaligned
\pset tuples_only on
SELECT create_view('v', more => $$, offline => 'nowhere'$$);
SELECT create_view('v', more => $$, offline => 'fs_lake_kafka'$$);
SELECT create_view('v');
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER fs_lake TO fs_lake_owner;
SET ROLE fs_lake_owner;
SELECT create_view('v', more => $$, offline_table => 'a.b'$$);
SELECT create_view('v', more => $$, offline => 'fs_lake', history => 'none'$$);
SELECT create_view('v', more => $$, offline => 'fs_lake', offline_table => 'b'$$);
SELECT create_view('v', more => $$, offline => 'fs_lake', offline_table => 'a..b'$$);
SELECT create_view('v', more => $$, offline => 'fs_lake', offline_table => 'a b.c'$$);
SELECT create_view('v', more => $$, offline => 'fs_lake', offline_interval => '0'$$);
SELECT create_view('v', more => $$, offline => 'fs_lake', offline_partition_by => '{day(}'$$);
SELECT create_view('v', more => $$, offline => 'fs_lake', offline_partition_by => '{day(seen)}'$$);
SELECT create_view('v', more => $$, offline => 'fs_lake', offline_partition_by => '{day(user_id)}'$$);
SELECT create_view('v', 'max(clicked_at) - min(clicked_at) AS s');
SELECT create_view('v', 'count(*) AS n, sum(price) AS s, array_agg(price) AS prices', $$, offline => 'fs_lake', offline_table => 'features.v', offline_partition_by => '{day(window_end), "bucket(16, user_id)"}'$$);
SELECT create_view('w', more => $$, offline => 'fs_lake', offline_table => 'features.v'$$);
SELECT create_view('w');
SELECT create_view('x', more => '');
RESET ROLE;
SELECT view, offline, offline_table, offline_partition_by, offline_interval FROM feature_stream.feature_view WHERE offline IS NOT NULL ORDER BY 1;
SELECT view, server, table_name, pending_rows FROM feature_stream.stat_offline ORDER BY 1;
SET ROLE fs_lake_owner;
SELECT feature_stream.iceberg_metadata_location('fs_lake.v') IS NULL;
RESET ROLE;
CREATE ROLE fs_lake_reader;
SELECT feature_stream.grant_access('fs_lake_reader');
GRANT USAGE ON SCHEMA fs_lake TO fs_lake_reader;
SET ROLE fs_lake_reader;
SELECT feature_stream.iceberg_metadata_location('fs_lake.v');
SELECT feature_stream.merge_manifests('fs_lake.v');
SELECT feature_stream.take_over_lake('fs_lake.v');
RESET ROLE;
DROP OWNED BY fs_lake_reader;
DROP ROLE fs_lake_reader;

-- Upkeep that is asked for.
SET ROLE fs_lake_owner;
BEGIN;
SELECT feature_stream.compact_lake('v', dry_run => true) < feature_stream.merge_manifests('v'),
       feature_stream.expire_snapshots('v', '1 day', 3) < feature_stream.expire_snapshots('v');
SELECT view, action, dry_run, older_than, keep, state, file_count FROM feature_stream.stat_lake_upkeep ORDER BY request;
ROLLBACK;
BEGIN;
SELECT feature_stream.remove_orphan_files('v') IS NOT NULL, feature_stream.remove_orphan_files('v', '0', dry_run => true) IS NOT NULL,
       feature_stream.remove_orphan_files(NULL) IS NULL;
SELECT action, dry_run, older_than FROM feature_stream.stat_lake_upkeep ORDER BY request;
ROLLBACK;
SELECT feature_stream.remove_orphan_files('v', '23 hours');
SELECT feature_stream.compact_lake('x');
SELECT feature_stream.expire_snapshots('v', keep => 0);
SELECT feature_stream.expire_snapshots('v', older_than => '-1 day');
SELECT feature_stream.expire_snapshots(NULL);
SELECT feature_stream.take_over_lake('v');
SELECT feature_stream.take_over_lake('x');
RESET ROLE;

-- Alterations.
SET ROLE fs_lake_owner;
\set VERBOSITY default
BEGIN;
SELECT feature_stream.alter_feature_view('v', 'SELECT user_id, count(*) AS n, sum(price) AS s, array_agg(price) AS prices, max(clicked_at) AS seen FROM clicks GROUP BY user_id');
SELECT feature_stream.alter_feature_view('v', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id', drop_history => true);
SELECT feature_stream.alter_feature_view('v', 'SELECT user_id, count(*) AS n, max(price) AS s FROM clicks GROUP BY user_id');
ROLLBACK;
SELECT feature_stream.alter_feature_view('v', 'SELECT user_id, count(*) AS n, max(price) AS s, array_agg(price) AS prices FROM clicks GROUP BY user_id');
SELECT feature_stream.alter_feature_view('v', 'SELECT user_id, count(*) AS n, max(clicked_at) - min(clicked_at) AS span FROM clicks GROUP BY user_id');
SELECT create_view('y', 'count(*) AS n, sum(price) AS s', $$, offline => 'fs_lake', offline_partition_by => '{"bucket(4, n_1h)"}'$$);
SELECT feature_stream.alter_feature_view('y', 'SELECT user_id, sum(price) AS s FROM clicks GROUP BY user_id', drop_history => true);
BEGIN;
SELECT feature_stream.alter_feature_view('y', 'SELECT user_id, sum(price) AS s FROM clicks GROUP BY user_id');
ROLLBACK;
SELECT feature_stream.drop_feature_view('y', true);
SELECT feature_stream.alter_feature_view('v', offline => 'fs_lake');
SELECT feature_stream.alter_feature_view('v', offline_table => 'features.x');
SELECT feature_stream.alter_feature_view('v', offline_interval => '0');
SELECT feature_stream.alter_feature_view('v', offline_interval => '10 min');
SELECT feature_stream.alter_feature_view('v', offline_interval => '10 min', reset => '{offline}');
SELECT feature_stream.alter_feature_view('w', reset => '{offline}');
SELECT feature_stream.alter_feature_view('x', offline_interval => '1 min');
CREATE TABLE x_rest PARTITION OF x_history DEFAULT;
SELECT feature_stream.alter_feature_view('x', offline => 'fs_lake', offline_table => 'features.x');
DROP TABLE x_rest;
CREATE TABLE x_future PARTITION OF x_history FOR VALUES FROM ('2100-01-01') TO ('infinity');
SELECT feature_stream.alter_feature_view('x', offline => 'fs_lake', offline_table => 'features.x');
DROP TABLE x_future;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT feature_stream.alter_feature_view('x', offline => 'fs_lake', offline_table => 'features.x');
ROLLBACK;
SELECT feature_stream.alter_feature_view('x', offline => 'fs_lake', offline_table => 'features.x');
SELECT awaits_backfill FROM feature_stream.stat_offline WHERE view = 'x'::regclass;
RESET ROLE;
ALTER SERVER fs_lake RENAME TO fs_lake2;
SELECT view, offline, offline_table, offline_partition_by, offline_interval FROM feature_stream.feature_view WHERE offline IS NOT NULL ORDER BY 1;
DROP SERVER fs_lake2;
SELECT feature_stream.drop_feature_view('v'), feature_stream.drop_feature_view('w', true);
SELECT count(*) FROM feature_stream.lake_export;
DROP SERVER fs_lake2 CASCADE;
SELECT count(*) FROM feature_stream.lake_export;
SET client_min_messages = error;
DROP SCHEMA fs_lake CASCADE;
DROP SERVER fs_lake_kafka CASCADE;
SELECT count(*) FROM feature_stream.feature_view WHERE offline IS NOT NULL;
DROP OWNED BY fs_lake_owner;
DROP ROLE fs_lake_owner;
