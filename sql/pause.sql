-- A paused feature view fires no more; when it is resumed, the window ends that passed are backfilled.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE ROLE fs_pause_owner;
CREATE ROLE fs_pause_other;
SELECT feature_stream.grant_access('fs_pause_owner');
SELECT feature_stream.grant_access('fs_pause_other');
CREATE SCHEMA fs_pause AUTHORIZATION fs_pause_owner;
GRANT USAGE ON SCHEMA fs_pause TO fs_pause_other;
SET search_path = fs_pause, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT feature_stream.set_test_clock('2024-01-15 12:10:10+00');

CREATE SERVER fs_pause FOREIGN DATA WRAPPER feature_stream_table;
GRANT USAGE ON FOREIGN SERVER fs_pause TO fs_pause_owner;
SET ROLE fs_pause_owner;
CREATE TABLE outbox (id bigint GENERATED ALWAYS AS IDENTITY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), arrived timestamptz, value text);
CREATE FOREIGN TABLE orders (
    customer   text        NOT NULL,
    amount     numeric,
    ordered_at timestamptz NOT NULL
) SERVER fs_pause OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', arrival 'arrived', format 'json',
    event_time 'ordered_at', slice '1 min', watermark_delay '30 s', idle_after '1 day', start 'earliest',
    dead_letter_retention '30000 days', log_retention '1 hour');
RESET ROLE;

-- One order at a time of day, that arrives now.
CREATE PROCEDURE send(customer text, amount numeric, at text) LANGUAGE sql AS $$
    INSERT INTO fs_pause.outbox (arrived, value)
    SELECT greatest(('2024-01-15 ' || at || '+00')::timestamptz, max(arrived)),
           json_build_object('customer', customer, 'amount', amount, 'ordered_at', '2024-01-15T' || at || 'Z') FROM fs_pause.outbox $$;

-- Moves the clock, and waits until all is read, windows are fired up to then, pauses have been followed and nothing is left to backfill.
CREATE PROCEDURE go_on(clock timestamptz, fired timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM feature_stream.set_test_clock(clock);
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT sum(read_count) = (SELECT count(*) FROM outbox) FROM feature_stream.partition_position WHERE stream = 'orders'::regclass)
              AND (SELECT frontier = fired AND fire_window_end IS NULL FROM feature_stream.stream_state WHERE stream = 'orders'::regclass)
              AND NOT EXISTS (SELECT FROM feature_stream.feature_view v LEFT JOIN feature_stream.view_state s ON s.view = v.view
                                     LEFT JOIN feature_stream.view_pause p ON p.view = v.view
                               WHERE v.stream = 'orders'::regclass
                                 AND (s.paused IS DISTINCT FROM (p.view IS NOT NULL) OR s.paused_hold IS DISTINCT FROM p.hold))
              AND NOT EXISTS (SELECT FROM feature_stream.stat_feature_view
                               WHERE stream = 'orders'::regclass AND state = 'active' AND frontier IS DISTINCT FROM fired)
              AND NOT EXISTS (SELECT FROM feature_stream.backfill WHERE state = 'pending')
              AND (SELECT state = 'running' FROM feature_stream.stat_stream WHERE stream = 'orders'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
CREATE FUNCTION difference(one regclass, other regclass) RETURNS TABLE (side text, h jsonb) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format($q$
        WITH a AS (SELECT to_jsonb(h) - '{computed_at,available_at,backfilled}'::text[] AS h FROM %s h),
             b AS (SELECT to_jsonb(h) - '{computed_at,available_at,backfilled}'::text[] AS h FROM %s h)
        (SELECT 'one', x.h FROM (TABLE a EXCEPT ALL TABLE b) x) UNION ALL (SELECT 'other', x.h FROM (TABLE b EXCEPT ALL TABLE a) x)
        $q$, one, other);
END $$;

SET ROLE fs_pause_owner;
SELECT feature_stream.create_feature_view('steady', 'SELECT customer, count(*) AS n, array_agg(amount) AS amounts FROM orders GROUP BY customer',
    '{3 min, 10 min}', '1 min');
SELECT feature_stream.create_feature_view('paused', 'SELECT customer, count(*) AS n, array_agg(amount) AS amounts FROM orders GROUP BY customer',
    '{3 min, 10 min}', '1 min');
CALL send('ann', 1, '12:00:05');
CALL send('bob', 2, '12:01:10');
CALL send('ann', 3, '12:10:00');
RESET ROLE;
CALL go_on('2024-01-15 12:10:10+00', '2024-01-15 12:09:00+00');
SELECT view, state, paused_since IS NOT NULL AS since, frontier FROM feature_stream.stat_feature_view WHERE stream = 'orders'::regclass ORDER BY view::text;

-- Arguments, rights, and a transaction that is rolled back.
SELECT feature_stream.pause_feature_view('orders');
SELECT feature_stream.pause_feature_view('paused_history');
SELECT feature_stream.pause_feature_view('paused', hold => '-1 day');
SELECT feature_stream.pause_feature_view('paused', hold => '1 month');
SET ROLE fs_pause_other;
SELECT feature_stream.pause_feature_view('paused');
SELECT feature_stream.resume_feature_view('paused');
SET ROLE fs_pause_owner;
BEGIN;
SELECT feature_stream.pause_feature_view('paused');
ROLLBACK;
SELECT count(*) FROM feature_stream.stat_feature_view WHERE state = 'paused';
SELECT feature_stream.resume_feature_view('paused');

-- It fires no more, while the other one goes on, and late events are judged as before.
SELECT feature_stream.pause_feature_view('paused');
RESET ROLE;
CALL go_on('2024-01-15 12:10:10+00', '2024-01-15 12:09:00+00');
CALL send('bob', 4, '12:12:00');
CALL send('cid', 5, '12:15:00');
CALL send('ann', 6, '12:10:30');
CALL send('dee', 7, '12:30:00');
CALL go_on('2024-01-15 12:30:10+00', '2024-01-15 12:29:00+00');
SELECT view, state, paused_since <= now() AS since, frontier, counted_count FROM feature_stream.stat_feature_view WHERE stream = 'orders'::regclass ORDER BY view::text;
SELECT max(window_end), count(*) FROM paused_history;
SELECT max(window_end), count(*) FROM steady_history;
SELECT * FROM paused;
SELECT customer, n_10m, window_end FROM paused_live ORDER BY 1;
SELECT customer, n_10m FROM paused_as_of('bob', '2024-01-15 12:29:00+00');
SET client_min_messages = notice;
SELECT * FROM feature_stream.verify_feature_view('paused');
SET client_min_messages = warning;
-- A pause of one that is paused changes nothing but the limit.
SET ROLE fs_pause_owner;
SELECT feature_stream.pause_feature_view('paused', hold => '2 days');
RESET ROLE;
CALL go_on('2024-01-15 12:30:10+00', '2024-01-15 12:29:00+00');
SELECT paused_after, paused_hold FROM feature_stream.view_state WHERE paused;

-- Resumed, it has the same rows as the other one.  A resumption that is rolled back is none.
SET ROLE fs_pause_owner;
BEGIN;
SELECT feature_stream.resume_feature_view('paused');
ROLLBACK;
SELECT state FROM feature_stream.stat_feature_view WHERE view = 'paused'::regclass;
SELECT feature_stream.resume_feature_view('paused');
RESET ROLE;
CALL go_on('2024-01-15 12:30:10+00', '2024-01-15 12:29:00+00');
SELECT view, reason, state, from_window_end, to_window_end, done_window_end, lost_window_end, row_count FROM feature_stream.stat_progress_backfill;
SELECT customer, window_end, n_3m, amounts_10m, available_at - window_end AS available, backfilled FROM paused_history ORDER BY 2, 1;
SELECT * FROM difference('paused_history', 'steady_history');
SELECT * FROM difference('paused', 'steady');
CALL send('ann', 8, '12:41:00');
CALL go_on('2024-01-15 12:41:10+00', '2024-01-15 12:40:00+00');
SELECT * FROM difference('paused_history', 'steady_history');
SELECT * FROM difference('paused', 'steady');
SELECT bool_or(backfilled) FROM paused_history WHERE window_end > '2024-01-15 12:29:00+00';
SET client_min_messages = notice;
SELECT * FROM feature_stream.verify_feature_view('paused');
SET client_min_messages = warning;

-- Paused and resumed before anything fires in between; and in one transaction with its creation.
SET ROLE fs_pause_owner;
SELECT feature_stream.pause_feature_view('paused');
RESET ROLE;
CALL go_on('2024-01-15 12:41:10+00', '2024-01-15 12:40:00+00');
SET ROLE fs_pause_owner;
SELECT feature_stream.resume_feature_view('paused');
BEGIN;
SELECT feature_stream.create_feature_view('early', 'SELECT customer, count(*) AS n, array_agg(amount) AS amounts FROM orders GROUP BY customer',
    '{3 min, 10 min}', '1 min');
SELECT feature_stream.pause_feature_view('early');
COMMIT;
RESET ROLE;
CALL go_on('2024-01-15 12:41:10+00', '2024-01-15 12:40:00+00');
SELECT * FROM difference('early_history', 'steady_history');
SELECT * FROM early;
CALL send('eve', 9, '12:50:00');
CALL go_on('2024-01-15 12:50:10+00', '2024-01-15 12:49:00+00');
SELECT max(window_end) FROM early_history;
SET ROLE fs_pause_owner;
SELECT feature_stream.resume_feature_view('early');
RESET ROLE;
CALL go_on('2024-01-15 12:50:10+00', '2024-01-15 12:49:00+00');
SELECT view, reason, state, to_window_end, row_count FROM feature_stream.stat_progress_backfill ORDER BY view::text, to_window_end;
SELECT * FROM difference('early_history', 'steady_history');
SELECT * FROM difference('paused_history', 'steady_history');
SELECT * FROM difference('early', 'steady');

-- The log is held for a pause, but no longer than its limit.
SET ROLE fs_pause_owner;
SELECT feature_stream.pause_feature_view('paused', hold => '7 days');
SELECT feature_stream.pause_feature_view('early', hold => '1 day');
RESET ROLE;
CALL go_on('2024-01-15 12:50:10+00', '2024-01-15 12:49:00+00');
CALL send('fay', 10, '20:00:00');
CALL go_on('2024-01-15 20:00:10+00', '2024-01-15 19:59:00+00');
-- Upkeep has looked when it has made the partitions of the log ahead.
CREATE PROCEDURE wait_for_upkeep(hour timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN EXISTS (SELECT FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                           WHERE i.inhparent = ('feature_stream.event_log_' || 'orders'::regclass::oid)::regclass
                             AND pg_get_expr(c.relpartbound, c.oid) LIKE '%(''' || hour || ''')%TO%');
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
CALL wait_for_upkeep('2024-01-15 21:00:00+00');
SELECT min(slice) FROM feature_stream.event_log WHERE stream = 'orders'::regclass;
CALL send('fay', 11, '23:00:00');
CALL go_on('2024-01-15 23:00:10+00', '2024-01-15 22:59:00+00');
INSERT INTO outbox (arrived, value) VALUES ('2024-01-17 15:00:00+00', '{"customer": "gus", "amount": 12, "ordered_at": "2024-01-17T15:00:00Z"}');
CALL go_on('2024-01-17 15:00:10+00', '2024-01-17 14:59:00+00');
CALL wait_for_upkeep('2024-01-17 16:00:00+00');
SELECT min(slice) FROM feature_stream.event_log WHERE stream = 'orders'::regclass;
SET ROLE fs_pause_owner;
SELECT feature_stream.resume_feature_view('paused');
RESET ROLE;
CALL go_on('2024-01-17 15:00:10+00', '2024-01-17 14:59:00+00');
SELECT * FROM difference('paused_history', 'steady_history');
-- Now only the one with the short limit is left.
INSERT INTO outbox (arrived, value) VALUES ('2024-01-17 17:00:00+00', '{"customer": "gus", "amount": 13, "ordered_at": "2024-01-17T17:00:00Z"}');
CALL go_on('2024-01-17 17:00:10+00', '2024-01-17 16:59:00+00');
CALL wait_for_upkeep('2024-01-17 18:00:00+00');
DO $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT min(slice) > '2024-01-17' FROM feature_stream.event_log WHERE stream = 'orders'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT min(slice) FROM feature_stream.event_log WHERE stream = 'orders'::regclass;
SET ROLE fs_pause_owner;
SELECT feature_stream.resume_feature_view('early');
RESET ROLE;
CALL go_on('2024-01-17 17:00:10+00', '2024-01-17 16:59:00+00');
SELECT from_window_end, to_window_end, lost_window_end, row_count FROM feature_stream.stat_progress_backfill
 WHERE view = 'early'::regclass AND to_window_end > '2024-01-16';
SELECT customer, window_end, n_10m, complete FROM early_history WHERE window_end > '2024-01-15 12:49:00+00' ORDER BY 2, 1;
SELECT h->>'customer' AS customer, h->>'window_end' AS window_end FROM difference('early_history', 'steady_history') WHERE side = 'other' ORDER BY 2, 1;

DROP SCHEMA fs_pause CASCADE;
SELECT (SELECT count(*) FROM feature_stream.view_pause) + (SELECT count(*) FROM feature_stream.backfill) AS left;
DROP SERVER fs_pause;
DROP OWNED BY fs_pause_owner, fs_pause_other;
DROP ROLE fs_pause_owner, fs_pause_other;
SELECT feature_stream.set_test_clock(NULL);
