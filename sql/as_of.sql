-- <view>_as_of: the row that was in force at a time, by the history alone.
-- The broker does not exist: rows of the history are written by hand.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE ROLE fs_as_of_owner;
CREATE ROLE fs_as_of_reader;
CREATE SCHEMA fs_as_of;
GRANT USAGE, CREATE ON SCHEMA fs_as_of TO fs_as_of_owner;
GRANT USAGE ON SCHEMA fs_as_of TO fs_as_of_reader;
CREATE SERVER fs_as_of_kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '127.0.0.1:1');
GRANT USAGE ON FOREIGN SERVER fs_as_of_kafka TO fs_as_of_owner;
SELECT feature_stream.grant_access('fs_as_of_owner');
SET search_path = fs_as_of, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SET ROLE fs_as_of_owner;
CREATE FOREIGN TABLE clicks (user_id text NOT NULL, shop int NOT NULL, item_id text, clicked_at timestamptz NOT NULL)
    SERVER fs_as_of_kafka OPTIONS (topic 'clicks', event_time 'clicked_at');
SELECT feature_stream.create_feature_view('sessions',
    'SELECT user_id, count(*) AS n, max(item_id) AS last_item FROM clicks GROUP BY user_id', '{30 min}', '1 min');

-- What it is.
SELECT pg_get_functiondef('sessions_as_of'::regproc);
SELECT proowner::regrole, proacl, obj_description(oid, 'pg_proc') FROM pg_proc WHERE oid = 'sessions_as_of'::regproc;
SELECT as_of FROM feature_stream.feature_view WHERE view = 'sessions'::regclass;

-- Rows become known 10 s after their window end; that of 00:02 an hour late; those before midnight were backfilled.
SELECT format('CREATE TABLE sessions_%s PARTITION OF sessions_history FOR VALUES FROM (%L) TO (%L)', d,
              timestamptz '2024-01-01' + (d - 1) * interval '1 day', timestamptz '2024-01-01' + d * interval '1 day')
  FROM generate_series(0, 3) d \gexec
INSERT INTO sessions_history (user_id, n_30m, last_item_30m, window_end, computed_at, available_at, complete, backfilled) VALUES
    ('u1', 1, 'i1', '2023-12-31 23:59', '2024-01-05 00:00',    '2023-12-31 23:59:30', true, true),
    ('u1', 2, 'i2', '2024-01-01 00:01', '2024-01-01 00:01:10', '2024-01-01 00:01:10', true, false),
    ('u1', 3, 'i3', '2024-01-01 00:02', '2024-01-01 01:02',    '2024-01-01 01:02',    true, false),
    ('u1', 4, 'i4', '2024-01-01 00:03', '2024-01-01 00:03:10', '2024-01-01 00:03:10', true, false),
    ('u1', 0, NULL, '2024-01-01 00:31', '2024-01-01 00:31:10', '2024-01-01 00:31:10', true, false),
    ('u2', 9, 'i9', '2024-01-01 00:01', '2024-01-01 00:01:10', '2024-01-01 00:01:10', true, false);
CREATE TABLE labels (id int PRIMARY KEY, who text, at timestamptz, note text);
INSERT INTO labels VALUES
    (1, 'u1', '2023-12-31 23:59:00', 'before the first row was available'),
    (2, 'u1', '2023-12-31 23:59:30', 'backfilled: as if it had been there'),
    (3, 'u1', '2024-01-01 00:01:00', 'the window has ended, its row is not known'),
    (4, 'u1', '2024-01-01 00:01:10', 'now it is'),
    (5, 'u1', '2024-01-01 00:02:59', 'the row of 00:02 is late'),
    (6, 'u1', '2024-01-01 00:03:10', 'overtaken'),
    (7, 'u1', '2024-01-01 00:31:09', 'the last row with events'),
    (8, 'u1', '2024-01-03 00:00:00', 'empty since 00:31'),
    (9, 'u2', '2024-01-03 00:00:00', 'another entity'),
    (10, 'u3', '2024-01-03 00:00:00', 'never seen'),
    (11, NULL, '2024-01-03 00:00:00', 'no entity'),
    (12, 'u1', NULL, 'no time');
SELECT l.id, l.note, f.n_30m AS n, f.last_item_30m AS item, f.window_end, f.backfilled
  FROM labels l LEFT JOIN LATERAL sessions_as_of(l.who, l.at) f ON true ORDER BY l.id;

-- known_by: what the table says now (or said then) about that time.
SELECT n_30m, window_end, available_at FROM sessions_as_of('u1', '2024-01-01 00:02:59', '2024-01-01 01:02');
SELECT n_30m, window_end, available_at FROM sessions_as_of('u1', '2024-01-01 00:02:59', known_by => 'infinity');
SELECT n_30m, window_end, available_at FROM sessions_as_of(user_id => 'u1', at => 'infinity', known_by => '2024-01-01 00:03');

-- The newest row of each entity and time by another way.
SELECT count(*) FROM
    (SELECT l.id, f.* FROM labels l LEFT JOIN LATERAL sessions_as_of(l.who, l.at) f ON true
     EXCEPT
     (SELECT DISTINCT ON (l.id) l.id, h.* FROM labels l
        LEFT JOIN sessions_history h ON h.user_id = l.who AND h.window_end <= l.at AND h.available_at <= l.at
       ORDER BY l.id, h.window_end DESC)) s;

-- Inlined: no function is left in the plan, each label is a descent of an index, newest partition first.
INSERT INTO sessions_history (user_id, n_30m, last_item_30m, window_end, computed_at, available_at, complete)
SELECT 'v' || u, u, 'i', w, w, w, true
  FROM generate_series(1, 20) u, generate_series(timestamptz '2023-12-31', '2024-01-03 23:55', interval '10 min') w;
INSERT INTO labels SELECT 100 + i, 'v' || i % 25, timestamptz '2024-01-01' + i * interval '1 min' FROM generate_series(1, 2000) i;
ANALYZE sessions_history;
ANALYZE labels;
SET enable_memoize = off;   -- comes on top where labels repeat
EXPLAIN (COSTS OFF) SELECT * FROM labels l LEFT JOIN LATERAL sessions_as_of(l.who, l.at) f ON true;
EXPLAIN (COSTS OFF) SELECT * FROM sessions_as_of('v1', '2024-01-01 12:00', known_by => '2024-01-02');
-- What is at run time past the label is not touched, and of the rest only what is needed.
CREATE FUNCTION partitions_touched(query text) RETURNS TABLE (partition text, loops int) LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
        partition := substring(line FROM ' on (sessions_\d)');
        loops := coalesce(substring(line FROM 'loops=(\d+)')::int, 0);
        IF partition IS NOT NULL THEN RETURN NEXT; END IF;
    END LOOP;
END $$;
SELECT * FROM partitions_touched('SELECT f.* FROM (VALUES (''v1'', timestamptz ''2024-01-02 12:00'')) l (who, at) LEFT JOIN LATERAL sessions_as_of(l.who, l.at) f ON true');
SELECT * FROM partitions_touched('SELECT f.* FROM labels l LEFT JOIN LATERAL sessions_as_of(l.who, l.at) f ON true WHERE l.id = 1250');

-- Privileges: the function is given like a table, and reads as who calls it.
SET ROLE fs_as_of_reader;
SELECT n_30m FROM sessions_as_of('u1', '2024-01-01 00:03:10');
SET ROLE fs_as_of_owner;
GRANT EXECUTE ON FUNCTION sessions_as_of TO fs_as_of_reader;
SET ROLE fs_as_of_reader;
SELECT n_30m FROM sessions_as_of('u1', '2024-01-01 00:03:10');
SET ROLE fs_as_of_owner;
GRANT SELECT ON sessions_history TO fs_as_of_reader;
SET ROLE fs_as_of_reader;
SELECT n_30m FROM sessions_as_of('u1', '2024-01-01 00:03:10');
SET ROLE fs_as_of_owner;

-- Entity columns with the parameters' names, odd names, collations, several columns.
CREATE FOREIGN TABLE odd (at int NOT NULL, known_by text COLLATE "C" NOT NULL, known_by_ uuid NOT NULL, h bool NOT NULL, "T" timestamptz NOT NULL)
    SERVER fs_as_of_kafka OPTIONS (topic 'odd', event_time 'T');
SELECT feature_stream.create_feature_view('"Odd one"',
    'SELECT known_by, at, count(*) AS n, known_by_, h FROM odd GROUP BY at, known_by, known_by_, h', '{1 h}', '1 min');
SELECT pg_get_function_arguments('"Odd one_as_of"'::regproc);
CREATE TABLE odd_1 PARTITION OF "Odd one_history" FOR VALUES FROM ('2024-01-01') TO ('2024-01-02');
INSERT INTO "Odd one_history" (at, known_by, known_by_, h, n_1h, window_end, computed_at, available_at, complete)
VALUES (1, 'k', '00000000-0000-0000-0000-000000000001', true, 5, '2024-01-01 01:00', now(), '2024-01-01 01:00', true);
SELECT n_1h FROM "Odd one_as_of"('k', 1, '00000000-0000-0000-0000-000000000001', true, '2024-01-01 02:00');
SELECT n_1h FROM "Odd one_as_of"('k', 1, '00000000-0000-0000-0000-000000000001', true, at_ => '2024-01-01 02:00', known_by__ => '2024-01-01');
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT f.n_1h FROM labels l LEFT JOIN LATERAL "Odd one_as_of"(l.who COLLATE "POSIX", l.id, '00000000-0000-0000-0000-000000000001', true, l.at) f ON true;
RESET enable_seqscan;

-- A view without a history has no such function; a name that is taken is refused.
SELECT feature_stream.create_feature_view('bare', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id', '{1 h}', '1 min', history => 'none');
SELECT to_regproc('bare_as_of'), as_of FROM feature_stream.feature_view WHERE view = 'bare'::regclass;
CREATE FUNCTION taken_as_of(text, timestamptz, timestamptz) RETURNS int LANGUAGE sql AS 'SELECT 1';
SELECT feature_stream.create_feature_view('taken', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id', '{1 h}', '1 min');
SELECT to_regclass('taken'), to_regclass('taken_history');
DROP FUNCTION taken_as_of;

-- It goes with the view, or with the history; what uses it keeps both.
CREATE VIEW training AS SELECT l.id, f.n_30m FROM labels l LEFT JOIN LATERAL sessions_as_of(l.who, l.at) f ON true;
SELECT feature_stream.drop_feature_view('sessions');
DROP TABLE sessions_history;
DROP VIEW training;
BEGIN;
SELECT feature_stream.drop_feature_view('sessions');
SELECT to_regproc('sessions_as_of'), to_regclass('sessions_history');
ROLLBACK;
BEGIN;
DROP FOREIGN TABLE sessions;
SELECT to_regproc('sessions_as_of'), to_regclass('sessions_history');
ROLLBACK;
BEGIN;
DROP TABLE sessions_history CASCADE;
SELECT to_regproc('sessions_as_of');
SELECT history, as_of FROM feature_stream.feature_view WHERE view = 'sessions'::regclass;
SELECT feature_stream.drop_feature_view('sessions');
ROLLBACK;
-- After a restored dump the function depends on the history alone.
RESET ROLE;
BEGIN;
DELETE FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = 'sessions_as_of'::regproc AND deptype = 'a';
SELECT feature_stream.drop_feature_view('sessions');
SELECT to_regproc('sessions_as_of'), to_regclass('sessions_history');
ROLLBACK;
SELECT feature_stream.drop_feature_view('sessions', drop_history => true);
SELECT to_regproc('sessions_as_of'), to_regclass('sessions_history');

DROP FOREIGN TABLE clicks, odd CASCADE;
DROP SERVER fs_as_of_kafka;
DROP SCHEMA fs_as_of CASCADE;
DROP OWNED BY fs_as_of_owner, fs_as_of_reader;
DROP ROLE fs_as_of_owner, fs_as_of_reader;
