-- <view>_live: the windows that end at the newest event seen, computed when they are read.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE ROLE fs_live_owner;
CREATE ROLE fs_live_reader;
CREATE SCHEMA fs_live;
GRANT USAGE, CREATE ON SCHEMA fs_live TO fs_live_owner;
GRANT USAGE ON SCHEMA fs_live TO fs_live_reader;
SET search_path = fs_live, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT feature_stream.set_test_clock('2024-01-15 12:10:00+00');
CREATE TABLE outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), arrived timestamptz, value text);
GRANT ALL ON outbox TO fs_live_owner;
CREATE SERVER fs_live FOREIGN DATA WRAPPER feature_stream_table;
GRANT USAGE ON FOREIGN SERVER fs_live TO fs_live_owner;
SELECT feature_stream.grant_access('fs_live_owner');

-- Waits until so many records are read; only what was read before is durable.
CREATE PROCEDURE wait_for(records bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT sum(read_count) = records FROM feature_stream.stat_partition WHERE stream = 'payments'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
GRANT EXECUTE ON PROCEDURE wait_for TO fs_live_owner;
CREATE PROCEDURE send(records text) LANGUAGE plpgsql AS $$
DECLARE
    sent bigint;
BEGIN
    INSERT INTO outbox (id, arrived, value)
    SELECT (SELECT count(*) FROM outbox) + row_number() OVER (), '2024-01-15 12:00:00+00'::timestamptz + arrived::interval,
           json_build_object('card', card, 'amount', amount, 'paid_at', '2024-01-15 12:00:00+00'::timestamptz + at::interval)
      FROM json_to_recordset(records::json) r (arrived text, at text, card text, amount numeric);
    COMMIT;
    SELECT count(*) INTO sent FROM outbox;
    CALL wait_for(sent);
END $$;

SET ROLE fs_live_owner;
CREATE FOREIGN TABLE payments (card text NOT NULL, amount numeric, paid_at timestamptz NOT NULL)
    SERVER fs_live OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', arrival 'arrived',
    event_time 'paid_at', slice '1 min', watermark_delay '30 s', idle_after '1 min', start 'earliest');
SELECT feature_stream.create_feature_view('spending', $$
    SELECT card, count(*) AS n, sum(amount) AS total, string_agg(amount::text, ',') AS amounts,
           card || '-' || count(*) AS label
      FROM payments GROUP BY card $$, '{2 min, 10 min}', '1 min');

-- What it is.
SELECT c.relname, c.relkind, c.relowner::regrole, c.relacl, obj_description(c.oid, 'pg_class')
  FROM pg_class c WHERE relname LIKE 'spending%' AND relkind = 'f' ORDER BY 1;
SELECT attname, format_type(atttypid, atttypmod), attnotnull, col_description(attrelid, attnum)
  FROM pg_attribute WHERE attrelid = 'spending_live'::regclass AND attnum > 0 ORDER BY attnum;
SELECT live FROM feature_stream.feature_view WHERE view = 'spending'::regclass;
RESET ROLE;

-- Nothing was seen.
CALL wait_for(0);
DO $$ BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT state = 'running' FROM feature_stream.stat_stream WHERE stream = 'payments'::regclass);
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT * FROM spending_live;

-- No window has ended, and events count at once; the newest counts, one that is as old as the window does not.
CALL send('[{"arrived": "00:00:10", "at": "00:00:10", "card": "a", "amount": 1}, {"arrived": "00:00:20", "at": "00:00:15.5", "card": "b", "amount": 2}]');
SELECT * FROM spending;
SELECT card, n_2m, total_2m, amounts_2m, label_2m, n_10m, window_end, computed_at FROM spending_live ORDER BY card;
CALL send('[{"arrived": "00:02:11", "at": "00:02:10", "card": "c", "amount": 3}]');
SELECT card, n_2m, total_2m, amounts_2m, label_2m, n_10m, window_end FROM spending_live ORDER BY card;
CALL send('[{"arrived": "00:02:11", "at": "00:02:09.999999", "card": "a", "amount": 4}, {"arrived": "00:02:11", "at": "00:00:10.000001", "card": "c", "amount": 5}]');
SELECT card, n_2m, total_2m, amounts_2m, label_2m, n_10m, amounts_10m, window_end FROM spending_live ORDER BY card;

-- A late event counts at once, although windows that have ended do without it.
CALL send('[{"arrived": "00:05:00", "at": "00:05:00", "card": "b", "amount": 6}, {"arrived": "00:05:01", "at": "00:03:30", "card": "b", "amount": 7}]');
SELECT amounts_2m, amounts_10m, window_end FROM spending_live WHERE card = 'b';
SELECT partially_late_count FROM feature_stream.stat_stream WHERE stream = 'payments'::regclass;

-- Look-ups of keys, as in the feature view itself.
EXPLAIN (COSTS OFF) SELECT * FROM spending_live WHERE card = 'b';
EXPLAIN (COSTS OFF) SELECT n_2m FROM (VALUES ('a'), ('b')) w (who) JOIN spending_live s ON s.card = w.who;
SELECT card, n_2m, n_10m FROM spending_live WHERE card = ANY ('{c,a,x}') ORDER BY card;
SELECT who, n_2m, n_10m FROM (VALUES ('a'), ('b'), ('x')) w (who) LEFT JOIN LATERAL (SELECT * FROM spending_live WHERE card = who) s ON true;
PREPARE one(text) AS SELECT n_10m, window_end FROM spending_live WHERE card = $1;
EXECUTE one('b');
CALL send('[{"arrived": "00:05:30", "at": "00:05:30", "card": "b", "amount": 8}]');
EXECUTE one('b');
SELECT count(*), count(DISTINCT window_end), sum(n_10m) FROM spending_live;

-- An error in an expression is a NULL here, too; what is empty has no row.
SELECT feature_stream.create_feature_view('inverse', 'SELECT card, count(*) AS n, sum(amount) / (count(*) - 1) AS part FROM payments GROUP BY card', '{1 min}', '1 min');
CALL send('[{"arrived": "00:05:40", "at": "00:05:40", "card": "d", "amount": 8}]');
DO $$ BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT count(*) FROM feature_stream.stat_get_feature_view() WHERE view = 'inverse'::regclass::oid) = 1
              AND (SELECT state = 'running' FROM feature_stream.stat_stream WHERE stream = 'payments'::regclass);
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT card, n_1m, part_1m, window_end FROM inverse_live ORDER BY card;

-- In a parallel plan, too, where no subtransaction can begin.
CREATE TABLE large AS SELECT CASE i % 2 WHEN 0 THEN 'b' ELSE 'd' END AS card FROM generate_series(1, 20000) i;
ANALYZE large;
CREATE FUNCTION is_parallel(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
        IF line LIKE '%Gather%' THEN RETURN true; END IF;
    END LOOP;
    RETURN false;
END $$;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET enable_nestloop = off;
SELECT is_parallel('SELECT count(*), count(n_1m), count(part_1m) FROM large JOIN inverse_live USING (card)');
SELECT count(*), count(n_1m), count(part_1m) FROM large JOIN inverse_live USING (card);
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET enable_nestloop;

-- Settings are those of the session that made the view: here, and in the worker.
SET quote_all_identifiers = on;
SELECT feature_stream.create_feature_view('quoted', $$SELECT card, format('%I', max(card)) AS name FROM payments GROUP BY card$$, '{1 min}', '1 min');
RESET quote_all_identifiers;
SELECT settings[i] FROM feature_stream.feature_view, generate_series(1, array_length(settings, 1), 2) i WHERE view = 'quoted'::regclass ORDER BY i;
DO $$ BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT count(*) FROM feature_stream.stat_get_feature_view() WHERE view = 'quoted'::regclass::oid) = 1
              AND (SELECT state = 'running' FROM feature_stream.stat_stream WHERE stream = 'payments'::regclass)
              AND (SELECT lag_events = 0 FROM feature_stream.stat_partition WHERE stream = 'payments'::regclass);
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT card, name_1m FROM quoted_live ORDER BY card;

-- With all partitions idle time goes on by the clock, as it does for windows.
SELECT feature_stream.set_test_clock('2024-01-15 12:14:59+00');
DO $$ BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT state = 'running' AND frontier = '2024-01-15 12:13:00+00' FROM feature_stream.stat_stream WHERE stream = 'payments'::regclass);
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT card, n_2m, n_10m, amounts_10m, window_end FROM spending_live ORDER BY card;

-- Privileges: its own.
SET ROLE fs_live_reader;
SELECT count(*) FROM spending_live;
RESET ROLE;
GRANT SELECT ON spending_live TO fs_live_reader;
SET ROLE fs_live_reader;
SELECT count(*) FROM spending_live;
SELECT count(*) FROM spending;
INSERT INTO spending_live (card) VALUES ('x');
RESET ROLE;

-- It is no feature view of its own; its columns are fixed; it can go, and goes with the view.
SELECT feature_stream.drop_feature_view('spending_live');
ALTER FOREIGN TABLE spending_live ADD COLUMN extra int;
SELECT feature_stream.create_feature_view('taken', 'SELECT card, count(*) AS n FROM payments GROUP BY card', '{1 min}', '1 min');
BEGIN;
DROP FOREIGN TABLE taken_live;
SELECT live FROM feature_stream.feature_view WHERE view = 'taken'::regclass;
SELECT feature_stream.drop_feature_view('taken', drop_history => true);
ROLLBACK;
BEGIN;
DELETE FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = 'taken_live'::regclass AND refobjid = 'taken'::regclass;
SELECT feature_stream.drop_feature_view('taken', drop_history => true);
SELECT to_regclass('taken_live');
ROLLBACK;
CREATE VIEW mine AS SELECT * FROM taken_live;
SELECT feature_stream.drop_feature_view('taken');
DROP VIEW mine;
SELECT feature_stream.drop_feature_view('taken', drop_history => true);
SELECT to_regclass('taken_live');
CREATE TABLE taken_live ();
SELECT feature_stream.create_feature_view('taken', 'SELECT card, count(*) AS n FROM payments GROUP BY card', '{1 min}', '1 min');

DROP FOREIGN TABLE payments CASCADE;
SELECT to_regclass('spending_live'), to_regclass('inverse_live');
DROP SERVER fs_live CASCADE;
DROP SCHEMA fs_live CASCADE;
DROP OWNED BY fs_live_owner, fs_live_reader;
DROP ROLE fs_live_owner, fs_live_reader;
SELECT feature_stream.set_test_clock(NULL);
