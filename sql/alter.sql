-- alter_feature_view: options change, features do not.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE ROLE fs_alt_owner;
CREATE ROLE fs_alt_other;
CREATE SCHEMA fs_alt;
GRANT USAGE, CREATE ON SCHEMA fs_alt TO fs_alt_owner;
GRANT USAGE ON SCHEMA fs_alt TO fs_alt_other;
CREATE SERVER fs_alt_kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '127.0.0.1:1');
CREATE SERVER fs_alt_redis FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (host '127.0.0.1', port '1');
CREATE SERVER fs_alt_redis2 FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (host '127.0.0.1', port '2');
CREATE SERVER fs_alt_redis3 FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (host '127.0.0.1', port '3');
GRANT USAGE ON FOREIGN SERVER fs_alt_kafka, fs_alt_redis, fs_alt_redis2 TO fs_alt_owner;
SELECT feature_stream.grant_access('fs_alt_owner');
SELECT feature_stream.grant_access('fs_alt_other');
SET search_path = fs_alt, public;
SET ROLE fs_alt_owner;
CREATE FOREIGN TABLE clicks (user_id text NOT NULL, item_id text, clicked_at timestamptz NOT NULL)
    SERVER fs_alt_kafka OPTIONS (topic 'clicks', event_time 'clicked_at');
SELECT feature_stream.create_feature_view('a', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id', '{1 h}', '1 min');
SELECT feature_stream.create_feature_view('b', 'SELECT user_id AS u, count(*) AS n FROM clicks GROUP BY user_id', '{1 h}', '1 min',
    online => 'fs_alt_redis', online_key => 'b:{u}', online_ttl => '2 hours', history => 'none');
CREATE VIEW options AS
    SELECT view, online, online_key, online_ttl, on_empty, history_retention,
           (SELECT string_agg(srvname, ' ') FROM pg_depend d JOIN pg_foreign_server s ON s.oid = d.refobjid
             WHERE d.classid = 'pg_class'::regclass AND d.objid = view AND d.refclassid = 'pg_foreign_server'::regclass AND srvname LIKE 'fs\_alt%') AS depends
      FROM feature_stream.feature_view ORDER BY view::text;

-- An online store for a view that had none, by its default key; then others, and none.
SELECT feature_stream.alter_feature_view('a', online => 'fs_alt_redis');
TABLE options;
SELECT feature_stream.alter_feature_view('a', online_ttl => '1 day', on_empty => 'set', history_retention => '90 days');
TABLE options;
SELECT feature_stream.alter_feature_view('a', online => 'fs_alt_redis2', online_key => 'x:{user_id}');
TABLE options;
SELECT feature_stream.alter_feature_view('a', reset => '{online_key,online_ttl}');
TABLE options;
SELECT feature_stream.alter_feature_view('a', online => 'fs_alt_redis');
SELECT feature_stream.alter_feature_view('a', online_key => 'x:{user_id}', reset => '{on_empty,history_retention}');
TABLE options;
SELECT feature_stream.alter_feature_view('a', reset => '{online}');
TABLE options;
-- The server that is no longer used can go.
BEGIN;
SELECT feature_stream.alter_feature_view('b', online => 'fs_alt_redis2');
RESET ROLE;
DROP SERVER fs_alt_redis;
SET ROLE fs_alt_owner;
TABLE options;
ROLLBACK;
SET ROLE fs_alt_owner;
-- Its own key is no other's; another view's key is taken.
SELECT feature_stream.alter_feature_view('b', online_key => 'b:{u}');
SELECT feature_stream.alter_feature_view('a', online => 'fs_alt_redis', online_key => 'b:{user_id}');
SELECT feature_stream.alter_feature_view('a', online => 'fs_alt_redis2', online_key => 'b:{user_id}');
SELECT feature_stream.alter_feature_view('a', online => 'fs_alt_redis');
TABLE options;

-- What cannot be.
SELECT feature_stream.alter_feature_view('a', 'SELECT user_id, max(item_id) FROM clicks GROUP BY user_id');
SELECT feature_stream.alter_feature_view('a');
SELECT feature_stream.alter_feature_view('a', reset => '{}');
SELECT feature_stream.alter_feature_view(NULL, online => 'fs_alt_redis');
SELECT feature_stream.alter_feature_view('clicks', online => 'fs_alt_redis');
SELECT feature_stream.alter_feature_view('a', online => 'nowhere');
SELECT feature_stream.alter_feature_view('a', online => 'fs_alt_kafka');
SELECT feature_stream.alter_feature_view('a', online => 'fs_alt_redis3');
SELECT feature_stream.alter_feature_view('a', online_key => 'k:{item_id}');
SELECT feature_stream.alter_feature_view('a', online_ttl => '1 month');
SELECT feature_stream.alter_feature_view('a', online_ttl => '-1 s');
SELECT feature_stream.alter_feature_view('a', on_empty => 'keep');
SELECT feature_stream.alter_feature_view('a', history_retention => '0 s');
SELECT feature_stream.alter_feature_view('b', history_retention => '1 day');
SELECT feature_stream.alter_feature_view('a', on_empty => 'set', reset => '{on_empty}');
SELECT feature_stream.alter_feature_view('a', reset => '{windows}');
SELECT feature_stream.alter_feature_view('a', reset => '{NULL}');
SELECT feature_stream.alter_feature_view('a', online_key => 'x:{user_id}', reset => '{online}');
SELECT feature_stream.alter_feature_view('a', reset => '{online}');
SELECT feature_stream.alter_feature_view('a', online_ttl => '1 day');
SET ROLE fs_alt_other;
SELECT feature_stream.alter_feature_view('a', on_empty => 'set');
RESET ROLE;
-- The owner's rights count, whoever alters.
SELECT feature_stream.alter_feature_view('a', online => 'fs_alt_redis3');
SELECT view, online, on_empty FROM feature_stream.feature_view ORDER BY view::text;

-- Name, schema and owner: the other objects of the view follow where they had them in common.
CREATE SCHEMA fs_alt2;
GRANT CREATE, USAGE ON SCHEMA fs_alt, fs_alt2 TO fs_alt_owner, fs_alt_other;
GRANT SELECT ON clicks TO fs_alt_other;
GRANT USAGE ON FOREIGN SERVER fs_alt_redis3 TO fs_alt_other;
CREATE VIEW objects AS
    SELECT n.nspname AS schema, c.relname AS name, c.relkind AS kind, pg_get_userbyid(c.relowner) AS owner
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname IN ('fs_alt', 'fs_alt2') AND c.relkind IN ('v', 'f', 'r', 'p') AND c.relname NOT IN ('options', 'objects')
    UNION ALL
    SELECT n.nspname, p.proname, 'F', pg_get_userbyid(p.proowner)
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname IN ('fs_alt', 'fs_alt2')
     ORDER BY 1, 2;
CREATE TABLE a_part PARTITION OF a_history FOR VALUES FROM ('2024-01-15') TO ('2024-01-16');
ALTER TABLE a_part OWNER TO fs_alt_owner;
SET ROLE fs_alt_owner;
ALTER FOREIGN TABLE a RENAME TO "a (2)";
RESET ROLE;
TABLE objects;
SELECT as_of FROM feature_stream.feature_view WHERE view = '"a (2)"'::regclass;
ALTER FOREIGN TABLE "a (2)" OWNER TO fs_alt_other;
TABLE objects;
ALTER TABLE "a (2)" SET SCHEMA fs_alt2;
TABLE objects;
-- A history of a name and a place of its own keeps them; a name that is taken refuses the whole.
ALTER TABLE fs_alt2."a (2)_history" RENAME TO kept;
ALTER TABLE fs_alt2.kept SET SCHEMA fs_alt;
CREATE TABLE fs_alt2.c_live ();
ALTER FOREIGN TABLE fs_alt2."a (2)" RENAME TO c;
DROP TABLE fs_alt2.c_live;
ALTER FOREIGN TABLE fs_alt2."a (2)" RENAME TO c;
TABLE objects;
SET ROLE fs_alt_other;
SELECT feature_stream.drop_feature_view('fs_alt2.c', drop_history => true);
RESET ROLE;
TABLE objects;

DROP FOREIGN TABLE clicks CASCADE;
DROP SERVER fs_alt_kafka, fs_alt_redis, fs_alt_redis2, fs_alt_redis3;
DROP SCHEMA fs_alt, fs_alt2 CASCADE;
DROP OWNED BY fs_alt_owner, fs_alt_other;
DROP ROLE fs_alt_owner, fs_alt_other;
