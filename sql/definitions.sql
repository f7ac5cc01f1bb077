-- Streams and feature views: what their definitions make, and what drops take away.
-- The brokers do not exist; nothing here needs a record.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE ROLE fs_def_owner;
CREATE ROLE fs_def_other;
CREATE SCHEMA fs_def;
GRANT USAGE, CREATE ON SCHEMA fs_def TO fs_def_owner;
GRANT USAGE ON SCHEMA fs_def TO fs_def_other;
CREATE SERVER fs_def_kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '127.0.0.1:1');
CREATE SERVER fs_def_table FOREIGN DATA WRAPPER feature_stream_table;
CREATE SERVER fs_def_redis FOREIGN DATA WRAPPER feature_stream_redis OPTIONS (host '127.0.0.1', port '1');
GRANT USAGE ON FOREIGN SERVER fs_def_kafka, fs_def_table, fs_def_redis TO fs_def_owner;
SELECT feature_stream.grant_access('fs_def_owner');
SET search_path = fs_def, public;
SET TimeZone = 'UTC';
SET ROLE fs_def_owner;

-- The stream of the documentation.
CREATE FOREIGN TABLE clicks (
    user_id    text        NOT NULL CHECK (user_id <> ''),
    item_id    text        NOT NULL,
    category   text        DEFAULT 'unknown',
    clicked_at timestamptz OPTIONS (field 'timestamp', unit 's') NOT NULL
) SERVER fs_def_kafka OPTIONS (topic 'click-events', format 'json', event_time 'clicked_at', slice '1 min',
    watermark_delay '30 s', max_future '60 s', idle_after '1 min', start 'latest');
COMMENT ON COLUMN clicks.user_id IS 'who clicked';
SELECT feature_stream.create_feature_view('session_features', $$
        SELECT user_id,
               array_agg(item_id)                      AS items_clicked,
               count(*)                                AS item_count,
               count(DISTINCT item_id)                 AS distinct_items,
               count(DISTINCT category)                AS distinct_categories,
               mode() WITHIN GROUP (ORDER BY category) AS top_category
          FROM clicks GROUP BY user_id $$,
    windows => '{30 min,1 day,90 s}', slide => '30 s');   -- not a multiple of the slice: refused
SELECT feature_stream.create_feature_view('session_features', $$
        SELECT user_id,
               array_agg(item_id)                      AS items_clicked,
               count(*)                                AS item_count,
               count(DISTINCT item_id)                 AS distinct_items,
               count(DISTINCT category)                AS distinct_categories,
               mode() WITHIN GROUP (ORDER BY category) AS top_category
          FROM clicks GROUP BY user_id $$,
    windows => '{30 min,1 day}', slide => '1 min',
    online => 'fs_def_redis', online_key => 'user:{user_id}:session_features', online_ttl => '2 hours');

-- What it made.
SELECT attname, format_type(atttypid, atttypmod), attnotnull, col_description(attrelid, attnum)
  FROM pg_attribute WHERE attrelid = 'session_features'::regclass AND attnum > 0 ORDER BY attnum;
SELECT attname, format_type(atttypid, atttypmod), attnotnull
  FROM pg_attribute WHERE attrelid = 'session_features_history'::regclass AND attnum > 0 ORDER BY attnum;
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'session_features_history'::regclass;
SELECT pg_get_partkeydef('session_features_history'::regclass);
SELECT pg_get_viewdef('session_features_definition'::regclass);
SELECT relname, relkind, relowner::regrole, relacl FROM pg_class
 WHERE relnamespace = 'fs_def'::regnamespace AND relname LIKE 'session_features%' AND relkind NOT IN ('i', 'I') ORDER BY 1;
SELECT relname, obj_description(oid, 'pg_class') FROM pg_class
 WHERE relnamespace = 'fs_def'::regnamespace AND relname LIKE 'session_features%' AND relkind NOT IN ('i', 'I') ORDER BY 1;
SELECT view, stream, definition, history, windows, slide, online, online_key, online_ttl, on_empty, emit, history_mode,
       history_interval, history_retention, settings[1:2] FROM feature_stream.feature_view;
SELECT column_name, position, type, "window", expression FROM feature_stream.feature ORDER BY position;
SELECT has_schema_privilege('feature_stream', 'USAGE'), has_table_privilege('feature_stream.dead_letter', 'SELECT'),
       has_table_privilege('feature_stream.stream_state', 'SELECT'), has_table_privilege('feature_stream.event_log', 'SELECT');

-- State of the stream.
RESET ROLE;
SELECT stream::regclass, paused, slice, source, event_time, column_types::regtype[] FROM feature_stream.stream_definition
 WHERE stream = 'clicks'::regclass;
SELECT relkind, pg_get_partkeydef(oid), pg_get_expr(relpartbound, oid) LIKE 'FOR VALUES IN (%)', obj_description(oid, 'pg_class'),
       (SELECT attstorage FROM pg_attribute WHERE attrelid = c.oid AND attname = 'segment')
  FROM pg_class c WHERE relname = 'event_log_' || 'clicks'::regclass::oid;

-- Default privileges for PUBLIC do not reach features.
ALTER DEFAULT PRIVILEGES FOR ROLE fs_def_owner IN SCHEMA fs_def GRANT SELECT ON TABLES TO PUBLIC;
SET ROLE fs_def_owner;
SELECT feature_stream.create_feature_view('guarded', 'SELECT user_id AS who, count(*) AS n FROM clicks GROUP BY 1', '{1 h}', '1 min',
    history => 'none', on_empty => 'set', emit => 'every_slide');
SELECT relname, relacl::text ~ '(\{|,)=' AS public FROM pg_class
 WHERE relnamespace = 'fs_def'::regnamespace AND relname LIKE 'guarded%' ORDER BY 1;
SELECT history, history_mode, on_empty, emit FROM feature_stream.feature_view WHERE view = 'guarded'::regclass;
RESET ROLE;
ALTER DEFAULT PRIVILEGES FOR ROLE fs_def_owner IN SCHEMA fs_def REVOKE SELECT ON TABLES FROM PUBLIC;

-- Several entity columns, WHERE, every native aggregate; thinned history; another schema's name.
SET ROLE fs_def_owner;
CREATE FOREIGN TABLE orders (
    shop       int         NOT NULL,
    customer   uuid        NOT NULL,
    amount     numeric     CHECK (amount >= 0),
    weight     float8,
    pieces     int2,
    paid       bool        DEFAULT false,
    day        date,
    extra      jsonb,
    ordered_at timestamptz NOT NULL
) SERVER fs_def_kafka OPTIONS (topic 'orders', event_time 'ordered_at');
SELECT feature_stream.create_feature_view('fs_def."Order features"',
    'SELECT customer, shop, sum(amount) s, avg(weight) a, min(day) lo, max(pieces) hi, count(paid) c, array_agg(extra) e
       FROM orders WHERE amount > 10 AND paid GROUP BY shop, customer;',
    windows => '{1 day, 7 days}', slide => '1 hour', history_interval => '1 day', history_retention => '90 days',
    online => 'fs_def_redis');
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
 WHERE attrelid = '"Order features"'::regclass AND attnum > 0 ORDER BY attnum;
SELECT online_key, history_mode, history_interval FROM feature_stream.feature_view WHERE view = '"Order features"'::regclass;

-- The same key on the same server is taken.
SELECT feature_stream.create_feature_view('thief', 'SELECT user_id AS u, count(*) AS n FROM clicks GROUP BY user_id', '{1 h}', '1 min',
    online => 'fs_def_redis', online_key => 'user:{u}:session_features');

-- A stream is read from its topic (019_stream_table.pl has one), and never changed.
EXPLAIN (COSTS OFF) SELECT count(*) FROM clicks WHERE item_id = 'i';
EXPLAIN (COSTS OFF) INSERT INTO clicks VALUES ('u', 'i', 'c', now());
INSERT INTO clicks VALUES (NULL, 'i', 'c', now());
UPDATE clicks SET item_id = 'x';
DELETE FROM clicks;
TRUNCATE clicks;
COPY clicks FROM stdin;
u	i	c	infinity
\.
ANALYZE clicks;

-- Changes that are fine, and changes that would break something.
ALTER FOREIGN TABLE clicks OPTIONS (SET watermark_delay '45 s');
ALTER FOREIGN TABLE clicks ADD COLUMN referrer text;
ALTER FOREIGN TABLE clicks DROP COLUMN referrer;
ALTER FOREIGN TABLE clicks DROP COLUMN user_id;
ALTER FOREIGN TABLE clicks ALTER COLUMN item_id TYPE int;
ALTER FOREIGN TABLE clicks ALTER COLUMN user_id DROP NOT NULL;
ALTER FOREIGN TABLE clicks OPTIONS (SET slice '7 s');
ALTER FOREIGN TABLE clicks OPTIONS (DROP event_time);
ALTER FOREIGN TABLE clicks OPTIONS (SET slice '30 s');
ALTER FOREIGN TABLE clicks OPTIONS (SET slice '1 min');
ALTER FOREIGN TABLE session_features ADD COLUMN extra int;
ALTER FOREIGN TABLE session_features RENAME COLUMN item_count_30m TO n;
ALTER TABLE session_features_history ADD COLUMN extra int;
CREATE OR REPLACE VIEW session_features_definition AS
    SELECT user_id, array_agg(item_id) AS items_clicked, count(*) AS item_count, count(DISTINCT item_id) AS distinct_items,
           count(DISTINCT category) AS distinct_categories, mode() WITHIN GROUP (ORDER BY category) AS top_category
      FROM clicks WHERE item_id <> 'x' GROUP BY user_id;
DROP FOREIGN TABLE clicks;
DROP VIEW session_features_definition;

-- Once something was read, its state pins parts of the definition.
RESET ROLE;
INSERT INTO feature_stream.partition_position (stream, partition, next_offset, start_offset) VALUES ('clicks'::regclass, 0, 0, 0);
ALTER FOREIGN TABLE clicks OPTIONS (SET slice '30 s');
ALTER FOREIGN TABLE clicks OPTIONS (SET topic 'other');
ALTER FOREIGN TABLE clicks ADD COLUMN seen_at timestamptz NOT NULL;
ALTER FOREIGN TABLE clicks OPTIONS (SET event_time 'seen_at');
ALTER FOREIGN TABLE clicks ALTER COLUMN seen_at TYPE date;
ALTER FOREIGN TABLE clicks OPTIONS (ADD max_drift '2 min');

-- Names may change; the definition follows.
ALTER FOREIGN TABLE clicks RENAME COLUMN category TO kind;
SELECT pg_get_viewdef('session_features_definition'::regclass) ~ 'kind';
ALTER FOREIGN TABLE clicks RENAME TO klicks;
ALTER FOREIGN TABLE klicks RENAME TO clicks;

-- Pausing.
SET ROLE fs_def_owner;
SELECT feature_stream.pause_stream('clicks');
RESET ROLE;
SELECT paused FROM feature_stream.stream_definition WHERE stream = 'clicks'::regclass;
SELECT feature_stream.checkpoint_stream('clicks');
SELECT feature_stream.resume_stream('clicks');
SELECT paused FROM feature_stream.stream_definition WHERE stream = 'clicks'::regclass;
SELECT feature_stream.pause_stream('session_features');

-- Privileges.
SET ROLE fs_def_other;
SELECT feature_stream.pause_stream('clicks');
RESET ROLE;
SELECT feature_stream.grant_access('fs_def_other');
SET ROLE fs_def_other;
SELECT feature_stream.grant_access('fs_def_other');
SELECT feature_stream.pause_stream('clicks');
SELECT feature_stream.checkpoint_stream('clicks');
SELECT feature_stream.drop_feature_view('session_features');
SELECT feature_stream.create_feature_view('mine', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id', '{1 h}', '1 min');
RESET ROLE;
GRANT CREATE ON SCHEMA fs_def TO fs_def_other;
SET ROLE fs_def_other;
SELECT feature_stream.create_feature_view('mine', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id', '{1 h}', '1 min');
RESET ROLE;
GRANT SELECT ON clicks TO fs_def_other;
SET ROLE fs_def_other;
SELECT feature_stream.create_feature_view('mine', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id', '{1 h}', '1 min',
    online => 'fs_def_redis');
SELECT feature_stream.create_feature_view('mine', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id', '{1 h}', '1 min');
CREATE FOREIGN TABLE forged (user_id text) SERVER feature_stream;
RESET ROLE;

-- Dead letters are seen by those who may read their stream.
CREATE TABLE feature_stream.dead_letter_test PARTITION OF feature_stream.dead_letter FOR VALUES FROM ('2999-01-01') TO ('2999-01-02');
INSERT INTO feature_stream.dead_letter (stream, partition, "offset", received_at, reason, message)
VALUES ('clicks', 0, 1, '1999-01-01 00:00+00', 'malformed', 'x'), ('orders', 0, 1, '1999-01-01 00:00+00', 'late', 'y');
SELECT stream, reason FROM feature_stream.dead_letter WHERE received_at < '1999-01-02' ORDER BY 1;
SET ROLE fs_def_other;
SELECT stream, reason FROM feature_stream.dead_letter WHERE received_at < '1999-01-02' ORDER BY 1;
SELECT * FROM feature_stream.dead_letter_test;
DELETE FROM feature_stream.dead_letter;
RESET ROLE;

-- Everything is transactional.
BEGIN;
SELECT feature_stream.drop_feature_view('session_features', drop_history => true);
SELECT to_regclass('session_features'), to_regclass('session_features_definition'), to_regclass('session_features_history');
ROLLBACK;
BEGIN;
DROP FOREIGN TABLE clicks CASCADE;
ROLLBACK;
SELECT view FROM feature_stream.feature_view ORDER BY view::text;

-- Dropping: the history survives unless it is asked for.
SET ROLE fs_def_owner;
SELECT feature_stream.drop_feature_view('session_features');
SELECT to_regclass('session_features'), to_regclass('session_features_definition'), to_regclass('session_features_history');
SELECT feature_stream.create_feature_view('session_features', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id', '{1 h}', '1 min');
DROP TABLE session_features_history;
SELECT feature_stream.create_feature_view('session_features', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id', '{1 h}', '1 min',
    online => 'fs_def_redis');
DROP TABLE session_features_history;
DROP TABLE session_features_history CASCADE;
SELECT history FROM feature_stream.feature_view WHERE view = 'session_features'::regclass;
CREATE VIEW dependent AS SELECT user_id FROM session_features;
SELECT feature_stream.drop_feature_view('session_features');
DROP VIEW dependent;
RESET ROLE;
SELECT feature_stream.drop_feature_view('"Order features"', true);
DROP SERVER fs_def_redis;
DROP SERVER fs_def_redis CASCADE;
DROP FOREIGN TABLE guarded;
SELECT view FROM feature_stream.feature_view ORDER BY view::text;
SELECT relname FROM pg_class WHERE relnamespace = 'fs_def'::regnamespace AND relkind IN ('r', 'p', 'v', 'f') ORDER BY 1;
SELECT 'clicks'::regclass::oid AS clicks \gset
DROP FOREIGN TABLE clicks CASCADE;
DROP FOREIGN TABLE orders;
SELECT count(*) FROM feature_stream.feature_view;
SELECT count(*) FROM feature_stream.feature;
SELECT (SELECT count(*) FROM feature_stream.stream_state WHERE stream = :clicks),
       (SELECT count(*) FROM feature_stream.stream_definition WHERE stream = :clicks);
SELECT count(*) FROM feature_stream.partition_position WHERE stream = :clicks;
SELECT count(*) FROM feature_stream.dead_letter WHERE stream = :clicks;
SELECT to_regclass('feature_stream.event_log_' || :clicks);
SELECT relname FROM pg_class WHERE relnamespace = 'fs_def'::regnamespace AND relkind IN ('r', 'p', 'v', 'f') ORDER BY 1;

-- A stream over a table; the table is looked up in the stream's schema.
CREATE TABLE outbox (id bigint PRIMARY KEY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), body jsonb, at timestamptz);
CREATE FOREIGN TABLE events (k int NOT NULL, t timestamptz NOT NULL)
    SERVER fs_def_table OPTIONS (table 'outbox', order_by 'id', xid 'xid', value 'body', arrival 'at', event_time 't', start 'earliest');
SELECT * FROM events;
INSERT INTO events VALUES (1, now());
ALTER FOREIGN TABLE events OPTIONS (SET start '2024-01-31 12:00:00+00');
ALTER FOREIGN TABLE events OPTIONS (SET start 'offsets 0:17');
DROP TABLE outbox;
ALTER TABLE outbox ALTER COLUMN body TYPE text;
DROP FOREIGN TABLE events;
DROP TABLE outbox;

DROP TABLE feature_stream.dead_letter_test;
DROP SERVER fs_def_kafka, fs_def_table;
DROP SCHEMA fs_def CASCADE;
DROP OWNED BY fs_def_owner, fs_def_other;
DROP ROLE fs_def_owner, fs_def_other;
