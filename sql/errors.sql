-- Every wrong definition is refused in the user's session: SQLSTATE, what, why and a hint.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE SCHEMA fs_err;
SET search_path = fs_err, public;
SET TimeZone = 'UTC';

-- Runs a command that must fail and says how.
CREATE FUNCTION refused(command text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    m text; d text; h text;
BEGIN
    BEGIN
        EXECUTE command;
        RAISE EXCEPTION USING ERRCODE = 'ZZ000';
    EXCEPTION
        WHEN SQLSTATE 'ZZ000' THEN RETURN NEXT 'ACCEPTED';
        WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
            RETURN NEXT SQLSTATE || ': ' || m;
            IF d <> '' THEN RETURN NEXT '  detail: ' || d; END IF;
            IF h <> '' THEN RETURN NEXT '  hint: ' || h; END IF;
    END;
END $$;
-- A stream with the given columns and options, and a feature view with the given query and arguments.
CREATE FUNCTION stream(columns text, options text) RETURNS SETOF text LANGUAGE sql AS
    $$ SELECT refused(format('CREATE FOREIGN TABLE s (%s) SERVER fs_err_kafka OPTIONS (%s)', columns, options)) $$;
CREATE FUNCTION outbox_stream(options text) RETURNS SETOF text LANGUAGE sql AS
    $$ SELECT refused(format('CREATE FOREIGN TABLE s (t timestamptz NOT NULL) SERVER fs_err_table OPTIONS (event_time ''t'', %s)', options)) $$;
CREATE FUNCTION query(query text) RETURNS SETOF text LANGUAGE sql AS
    $$ SELECT refused(format('SELECT feature_stream.create_feature_view(''v'', %L, ''{1 h}'', ''1 min'')', query)) $$;
CREATE FUNCTION arguments(arguments text) RETURNS SETOF text LANGUAGE sql AS
    $$ SELECT refused(format('SELECT feature_stream.create_feature_view(''v'', ''SELECT u, count(*) AS n FROM clicks GROUP BY u'', %s)', arguments)) $$;
\pset format unaligned
\pset tuples_only on

-- Servers and user mappings.
SELECT refused('CREATE SERVER k FOREIGN DATA WRAPPER feature_stream_kafka');
SELECT refused($$CREATE SERVER k FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (broker 'localhost')$$);
SELECT refused($$CREATE SERVER k FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '')$$);
SELECT refused($$CREATE SERVER k FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers 'x', password 'p')$$) LIMIT 1;
SELECT refused($$CREATE SERVER k FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers 'x', "plugin.library.paths" 'p')$$) LIMIT 1;
SELECT refused($$CREATE SERVER k FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers 'x', security_protocol 'telnet')$$) LIMIT 1;
SELECT refused($$CREATE SERVER k FOREIGN DATA WRAPPER feature_stream_table OPTIONS (host 'x')$$);
SELECT refused($$CREATE SERVER k FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (hosd 'x')$$);
SELECT refused($$CREATE SERVER k FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (port 'x')$$) LIMIT 1;
SELECT refused($$CREATE SERVER k FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (host '[::1]:6379')$$);
SELECT refused($$CREATE SERVER k FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (host '/tmp/redis.sock')$$);
SELECT refused($$CREATE SERVER k FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (host 'x', unix_socket '/tmp/redis.sock')$$);
SELECT refused($$CREATE SERVER k FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (host 'x', db '1', database '2')$$);
SELECT refused($$CREATE SERVER k FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (host 'x', tls 'on')$$);
CREATE SERVER fs_err_kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '127.0.0.1:1');
CREATE SERVER fs_err_table FOREIGN DATA WRAPPER feature_stream_table;
CREATE SERVER fs_err_redis FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (host '127.0.0.1', port '1');
SELECT refused($$CREATE USER MAPPING FOR CURRENT_USER SERVER fs_err_kafka OPTIONS (user 'x')$$) LIMIT 1;
SELECT refused($$CREATE USER MAPPING FOR CURRENT_USER SERVER fs_err_kafka OPTIONS (password '')$$);
SELECT refused('ALTER SERVER fs_err_kafka OPTIONS (DROP brokers)');
SELECT refused('CREATE FOREIGN TABLE s (a int) SERVER fs_err_redis');

-- Options of streams.
SELECT stream('t timestamptz NOT NULL', $$event_time 't'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time ''$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_tiem 't'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', tabel 'y'$$) LIMIT 1;
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', format 'avro'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 'u'$$);
SELECT stream('t timestamptz', $$topic 'x', event_time 't'$$);
SELECT stream('t bigint NOT NULL', $$topic 'x', event_time 't'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', slice '0'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', slice '-1 min'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', slice '10 ms'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', slice '1 month'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', slice '200 years'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', slice '99999999 days'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', slice 'a while'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', watermark_delay '-1 s'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', idle_after '0'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', late_events 'maybe'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', on_stopped 'x'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', dead_letter_payload 'x'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', max_record_bytes '1 GB'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', start 'now'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', start '2024-01-31 12:00:00'$$) LIMIT 1;
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', start '01/02/2024 12:00:00+00'$$) LIMIT 1;
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', start 'offsets 0:1,0:2'$$) LIMIT 1;
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', start 'offsets 0:99999999999999999999'$$) LIMIT 1;
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', start 'offsets '$$) LIMIT 1;
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', start '2024-01-31 12:00:00+01'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', start '2024-01-31T12:00:00Z'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', start 'offsets 0:120, 1:98'$$);
SELECT stream('t timestamptz NOT NULL', $$topic 'x', event_time 't', max_record_bytes '10MB', late_events 'strict', on_stopped 'exclude'$$);

-- Columns of streams.
SELECT stream('a interval, t timestamptz NOT NULL', $$topic 'x', event_time 't'$$);
SELECT stream('a interval[], t timestamptz NOT NULL', $$topic 'x', event_time 't'$$) LIMIT 1;
SELECT stream('a varchar(10), t timestamptz NOT NULL', $$topic 'x', event_time 't'$$) LIMIT 1;
SELECT stream('a numeric(10,2), t timestamptz NOT NULL', $$topic 'x', event_time 't'$$);
SELECT stream('a int GENERATED ALWAYS AS (1) STORED, t timestamptz NOT NULL', $$topic 'x', event_time 't'$$);
SELECT stream($$a int OPTIONS (unit 's'), t timestamptz NOT NULL$$, $$topic 'x', event_time 't'$$);
SELECT stream($$t timestamptz OPTIONS (unit 'h') NOT NULL$$, $$topic 'x', event_time 't'$$);
SELECT stream($$t timestamptz OPTIONS (units 's') NOT NULL$$, $$topic 'x', event_time 't'$$);
SELECT stream($$t timestamptz OPTIONS (field '') NOT NULL$$, $$topic 'x', event_time 't'$$);
SELECT stream($$a int OPTIONS (field 't'), t timestamptz NOT NULL$$, $$topic 'x', event_time 't'$$);
SELECT stream('a date DEFAULT current_date, t timestamptz NOT NULL', $$topic 'x', event_time 't'$$);
SELECT stream('a float8 DEFAULT random(), t timestamptz NOT NULL', $$topic 'x', event_time 't'$$);
SELECT stream('t timestamptz NOT NULL CHECK (t < now())', $$topic 'x', event_time 't'$$);
SELECT stream($$a text CHECK (a::date > '2020-01-01'), t timestamptz NOT NULL$$, $$topic 'x', event_time 't'$$) LIMIT 1;
SELECT stream('t timestamptz NOT NULL, CHECK (s IS NOT NULL)', $$topic 'x', event_time 't'$$);
SELECT stream('t timestamptz NOT NULL, CHECK (tableoid > 0)', $$topic 'x', event_time 't'$$) LIMIT 1;
SELECT stream($$a int DEFAULT 1 + 1 CHECK (a > 0), b jsonb DEFAULT '{}', t timestamptz NOT NULL CHECK (t > '2000-01-01+00')$$, $$topic 'x', event_time 't'$$);
SELECT refused($$CREATE TABLE child (t timestamptz NOT NULL) PARTITION BY RANGE (t);
    CREATE FOREIGN TABLE s PARTITION OF child DEFAULT SERVER fs_err_kafka OPTIONS (topic 'x', event_time 't')$$);

-- Streams that read a table.
CREATE TABLE outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), body text, n int,
    loose bigint, wrong xid8 NOT NULL DEFAULT '0');
CREATE VIEW outbox_view AS SELECT * FROM outbox;
SELECT outbox_stream($$order_by 'id', xid 'xid', value 'body'$$);
SELECT outbox_stream($$table 'outbox', xid 'xid', value 'body'$$);
SELECT outbox_stream($$table 'nowhere', order_by 'id', xid 'xid', value 'body'$$);
SELECT outbox_stream($$table 'outbox_view', order_by 'id', xid 'xid', value 'body'$$);
SELECT outbox_stream($$table 'outbox', order_by 'no', xid 'xid', value 'body'$$);
SELECT outbox_stream($$table 'outbox', order_by 'n', xid 'xid', value 'body'$$);
SELECT outbox_stream($$table 'outbox', order_by 'loose', xid 'xid', value 'body'$$);
SELECT outbox_stream($$table 'outbox', order_by 'id', xid 'id', value 'body'$$);
SELECT outbox_stream($$table 'outbox', order_by 'id', xid 'wrong', value 'body'$$);
SELECT outbox_stream($$table 'outbox', order_by 'id', xid 'xid', value 'n'$$);
SELECT outbox_stream($$table 'outbox', order_by 'id', xid 'xid', value 'body', key 'n'$$);
SELECT outbox_stream($$table 'outbox', order_by 'id', xid 'xid', value 'body', topic 'x'$$);
SELECT outbox_stream($$table 'outbox', order_by 'id', xid 'xid', value 'body', start '2024-01-31 12:00:00+00'$$);
SELECT outbox_stream($$table 'outbox', order_by 'id', xid 'xid', value 'body', start 'offsets 1:5'$$);
CREATE TEMP TABLE passing (LIKE outbox INCLUDING ALL);
SELECT outbox_stream($$table 'pg_temp.passing', order_by 'id', xid 'xid', value 'body'$$);
DROP TABLE passing;
SELECT outbox_stream($$table 'fs_err.outbox', order_by 'id', xid 'xid', value 'body'$$);

-- Queries.
CREATE COLLATION fs_err.blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE FOREIGN TABLE clicks (
    u text NOT NULL, i text, n int, f float8 NOT NULL, d numeric NOT NULL, j jsonb NOT NULL, b bool,
    c text COLLATE fs_err.blind NOT NULL, o text, t timestamptz NOT NULL
) SERVER fs_err_kafka OPTIONS (topic 'x', event_time 't');
CREATE TABLE plain (u text);
SELECT query('SELECT');
SELECT query('');
SELECT query('SELECT 1; SELECT 2');
SELECT query('DROP TABLE plain');
SELECT query('SELECT u, count(*) INTO x FROM clicks GROUP BY u');
SELECT query('VALUES (1)');
SELECT query('SELEC');
SELECT query('SELECT nothing, count(*) FROM clicks GROUP BY 1') LIMIT 1;
SELECT query('SELECT u, count(*) FROM plain GROUP BY u');
SELECT query('SELECT 1 AS a');
SELECT query('SELECT a.u, count(*) FROM clicks a JOIN clicks b ON a.u = b.u GROUP BY a.u');
SELECT query('SELECT a.u, count(*) FROM clicks a, plain b GROUP BY a.u');
SELECT query('SELECT u, count(*) FROM (SELECT * FROM clicks) x GROUP BY u');
SELECT query('SELECT g, count(*) FROM generate_series(1, 2) g GROUP BY g');
SELECT query('WITH x AS (SELECT * FROM clicks) SELECT u, count(*) FROM x GROUP BY u');
SELECT query('SELECT u, count(*) FROM clicks GROUP BY u UNION SELECT u, 1 FROM clicks');
SELECT query('SELECT u, count(*) FROM clicks WHERE u IN (SELECT u FROM plain) GROUP BY u');
SELECT query('SELECT u, count(*), row_number() OVER () FROM clicks GROUP BY u');
SELECT query('SELECT u, count(*), generate_series(1, 2) FROM clicks GROUP BY u');
SELECT query('SELECT u, count(*) FROM clicks GROUP BY ROLLUP (u)');
SELECT query('SELECT u, count(*) FROM clicks GROUP BY u HAVING count(*) > 1');
SELECT query('SELECT DISTINCT u, count(*) FROM clicks GROUP BY u');
SELECT query('SELECT u, count(*) FROM clicks GROUP BY u ORDER BY u');
SELECT query('SELECT u, count(*) FROM clicks GROUP BY u LIMIT 1');
SELECT query('SELECT count(*) FROM clicks');
SELECT query('SELECT count(*) FROM clicks GROUP BY u');
SELECT query('SELECT u, u AS u2, count(*) FROM clicks GROUP BY u');
SELECT query('SELECT u FROM clicks GROUP BY u');
SELECT query('SELECT u, 1 AS n FROM clicks GROUP BY u');
SELECT query('SELECT u, upper(u) AS n FROM clicks GROUP BY u');
SELECT query('SELECT lower(u) AS l, count(*) FROM clicks GROUP BY 1');
SELECT query('SELECT ''x'' AS l, count(*) FROM clicks GROUP BY 1');
SELECT query('SELECT count(*) FROM clicks GROUP BY lower(u)');
SELECT query('SELECT n::numeric AS l, count(*) FROM clicks GROUP BY 1');
SELECT query('SELECT ARRAY[u] AS l, count(*) FROM clicks GROUP BY 1');
SELECT query('SELECT u, count(*) FILTER (WHERE t > now()) AS n FROM clicks GROUP BY u');
SELECT query('SELECT u, max(t) - CURRENT_TIMESTAMP AS n FROM clicks GROUP BY u');
SELECT query('SELECT u, sum(n * random()) AS n FROM clicks GROUP BY u');
SELECT query('SELECT u, array_agg(clicks) AS n FROM clicks GROUP BY u');
SELECT query('SELECT u, count(*) + GROUPING(u) AS n FROM clicks GROUP BY u');
SELECT query('SELECT u, string_agg(i, '','' ORDER BY t DESC) FILTER (WHERE b) || max(to_char(t, ''HH24'')) AS n FROM clicks GROUP BY u');
SELECT query('SELECT u, count(DISTINCT (i, n)) FROM clicks GROUP BY u') LIMIT 1;
SELECT query('SELECT u, max(c) FROM clicks GROUP BY u');
SELECT query('SELECT u, count(*) FROM clicks WHERE t > now() GROUP BY u');
SELECT query('SELECT u, count(*) FROM clicks WHERE random() < 0.5 GROUP BY u');
CREATE DOMAIN past AS bigint CHECK (VALUE < extract(epoch FROM now()));
CREATE DOMAIN recent AS past CHECK (VALUE > 0);
CREATE DOMAIN small AS bigint CHECK (VALUE < 1000000);
SELECT query('SELECT u, sum(n)::fs_err.past AS s FROM clicks GROUP BY u');
SELECT query('SELECT u, sum(n::fs_err.recent) AS s FROM clicks GROUP BY u');
SELECT query('SELECT u, sum(n)::fs_err.small AS s FROM clicks GROUP BY u');
SELECT query('SELECT u, count(*) FROM clicks WHERE clicks IS NOT NULL GROUP BY u');
SELECT query('SELECT o, count(*) FROM clicks GROUP BY o');
SELECT query('SELECT d, count(*) FROM clicks GROUP BY d');
SELECT query('SELECT f, count(*) FROM clicks GROUP BY f');
SELECT query('SELECT j, count(*) FROM clicks GROUP BY j');
SELECT query('SELECT c, count(*) FROM clicks GROUP BY c');
SELECT query('SELECT u, count(*) AS "window_end", count(n) AS window_end_1h FROM clicks GROUP BY u');
SELECT query('SELECT u AS window_end, count(*) AS n FROM clicks GROUP BY u');
SELECT query('SELECT u AS n_1h, count(*) AS n FROM clicks GROUP BY u');
SELECT query('SELECT u, count(*) AS abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghij123 FROM clicks GROUP BY u');
SELECT query('SELECT u, count(*) AS n FROM clicks GROUP BY u FOR UPDATE') LIMIT 1;
SELECT query('SELECT u, count(*) AS n FROM clicks WHERE n > 1 AND i LIKE ''a%'' GROUP BY u -- fine');

-- Windows and the other arguments.
SELECT arguments($$'{}', '1 min'$$);
SELECT arguments($$NULL, '1 min'$$);
SELECT arguments($$'{1 h,NULL}', '1 min'$$);
SELECT arguments($$'{{1 h}}', '1 min'$$) LIMIT 1;
SELECT arguments($$'{1 h,60 min}', '1 min'$$);
SELECT arguments($$'{90 s}', '1 min'$$);
SELECT arguments($$'{1 h}', '90 s'$$);
SELECT arguments($$'{1 h}', '0'$$);
SELECT arguments($$'{-1 h}', '1 min'$$);
SELECT arguments($$'{1 month}', '1 min'$$);
SELECT arguments($$(SELECT array_agg(i * interval '1 min') FROM generate_series(1, 17) i), '1 min'$$);
SELECT arguments($$'{1 h}', '1 min', on_empty => 'keep'$$);
SELECT arguments($$'{1 h}', '1 min', emit => NULL$$);
SELECT arguments($$'{1 h}', '1 min', history => 'some'$$);
SELECT arguments($$'{1 h}', '1 min', history => 'thinned'$$);
SELECT arguments($$'{1 h}', '1 min', history => 'none', history_retention => '1 day'$$);
SELECT arguments($$'{1 h}', '1 min', history_interval => '90 s'$$);
SELECT arguments($$'{1 h}', '1 min', history_retention => '3 months'$$);
SELECT arguments($$'{1 h}', '1 min', offline => 'lake'$$);
SELECT arguments($$'{1 h}', '1 min', online_mode => 'live'$$);
SELECT arguments($$'{1 h}', '1 min', online_mode => 'x'$$);
SELECT arguments($$'{1 h}', '1 min', online_key => 'x'$$);
SELECT arguments($$'{1 h}', '1 min', online => 'nowhere'$$);
SELECT arguments($$'{1 h}', '1 min', online => 'fs_err_kafka'$$);
SELECT arguments($$'{1 h}', '1 min', online => 'fs_err_redis', online_key => 'x'$$);
SELECT arguments($$'{1 h}', '1 min', online => 'fs_err_redis', online_key => 'x:{i}'$$);
SELECT arguments($$'{1 h}', '1 min', online => 'fs_err_redis', online_key => 'x:{u'$$);
SELECT arguments($$'{1 h}', '1 min', online => 'fs_err_redis', online_key => 'x:u}'$$) LIMIT 2;
SELECT arguments($$'{1 h}', '1 min', online => 'fs_err_redis', online_ttl => '0'$$);
SELECT refused($$SELECT feature_stream.create_feature_view('v', 'SELECT u, i, count(*) AS n FROM clicks GROUP BY u, i', '{1 h}', '1 min')$$);
ALTER FOREIGN TABLE clicks ALTER COLUMN i SET NOT NULL;
SELECT refused($$SELECT feature_stream.create_feature_view('v', 'SELECT u, i, count(*) AS n FROM clicks GROUP BY u, i', '{1 h}', '1 min',
    online => 'fs_err_redis', online_key => '{u}{i}')$$);
SELECT refused($$SELECT feature_stream.create_feature_view('v', 'SELECT u, i, count(*) AS n FROM clicks GROUP BY u, i', '{1 h}', '1 min',
    online => 'fs_err_redis', online_key => '{u}-x-{i}')$$) LIMIT 2;
SELECT refused($$SELECT feature_stream.create_feature_view('v', 'SELECT u, i, count(*) AS n FROM clicks GROUP BY u, i', '{1 h}', '1 min',
    online => 'fs_err_redis', online_key => '{i}:{u}')$$);

-- Names.
SELECT refused($$SELECT feature_stream.create_feature_view('plain', 'SELECT u, count(*) AS n FROM clicks GROUP BY u', '{1 h}', '1 min')$$);
SELECT refused($$SELECT feature_stream.create_feature_view('nowhere.v', 'SELECT u, count(*) AS n FROM clicks GROUP BY u', '{1 h}', '1 min')$$);
SELECT refused($$SELECT feature_stream.create_feature_view('pg_temp.v', 'SELECT u, count(*) AS n FROM clicks GROUP BY u', '{1 h}', '1 min')$$);
SELECT refused($$SELECT feature_stream.create_feature_view(repeat('v', 53), 'SELECT u, count(*) AS n FROM clicks GROUP BY u', '{1 h}', '1 min')$$);
SELECT refused($$SELECT feature_stream.drop_feature_view('plain')$$);
SELECT refused($$SELECT feature_stream.pause_stream('plain')$$);
SELECT refused($$SELECT feature_stream.checkpoint_stream('clicks')$$);
SELECT refused($$SELECT feature_stream.on_sql_drop()$$);

SELECT refused($$SELECT * FROM feature_stream.read_event_log('plain')$$);
SELECT refused($$SELECT * FROM feature_stream.read_event_log(NULL)$$);
SELECT refused($$SELECT feature_stream.set_test_clock('infinity')$$);

-- Too many of everything.
SELECT refused(format('CREATE FOREIGN TABLE wide (u text NOT NULL, t timestamptz NOT NULL, %s) SERVER fs_err_kafka
    OPTIONS (topic ''x'', event_time ''t'');
    SELECT feature_stream.create_feature_view(''v'', ''SELECT u, %s FROM wide GROUP BY u'', ''{1 h}'', ''1 min'')',
    string_agg(format('c%s int', i), ', '), string_agg(format('sum(c%s) AS s%s', i, i), ', '))) FROM generate_series(1, 65) i;
SELECT refused($$SELECT feature_stream.create_feature_view('v' || i, 'SELECT u, count(*) AS n FROM clicks GROUP BY u', '{1 h}', '1 min')
    FROM generate_series(1, 100) i$$);
SELECT refused(format('SELECT feature_stream.create_feature_view(''v'', ''SELECT u, %s FROM clicks GROUP BY u'', %L, ''1 min'')', features, windows))
  FROM (SELECT array_agg(i * interval '1 min') FROM generate_series(1, 16) i) w (windows),
       LATERAL (SELECT string_agg(format('count(*) + %s AS n%s', i, i), ', ') FROM generate_series(1, 100) i
                UNION ALL SELECT string_agg(format('count(*) + %s AS n%s', i, i), ', ') FROM generate_series(1, 64) i) f (features);

-- What only superusers may.
CREATE ROLE fs_err_user;
GRANT USAGE ON FOREIGN DATA WRAPPER feature_stream_redis, feature_stream_kafka TO fs_err_user;
GRANT USAGE ON SCHEMA feature_stream, fs_err TO fs_err_user;
SET ROLE fs_err_user;
SELECT refused($$CREATE SERVER k FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (unix_socket '/tmp/redis.sock')$$);
SELECT refused($$CREATE SERVER k FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers 'x', ssl_ca_location '/etc/passwd')$$);
SELECT refused($$SELECT feature_stream.grant_access('fs_err_user')$$);
SELECT refused($$SELECT feature_stream.set_test_clock(NULL)$$);
RESET ROLE;
DROP OWNED BY fs_err_user;
DROP ROLE fs_err_user;

DROP SERVER fs_err_kafka, fs_err_table, fs_err_redis CASCADE;
DROP SCHEMA fs_err CASCADE;

-- The arena is no larger than what its handles can name.
SELECT max_val, unit FROM pg_settings WHERE name = 'feature_stream.memory';
