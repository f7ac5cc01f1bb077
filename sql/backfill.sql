-- A feature view that comes to a running stream: its history is filled from the log, its rows in force are there at once.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE ROLE fs_backfill_owner;
CREATE ROLE fs_backfill_other;
SELECT feature_stream.grant_access('fs_backfill_owner');
CREATE SCHEMA fs_backfill AUTHORIZATION fs_backfill_owner;
GRANT USAGE ON SCHEMA fs_backfill TO fs_backfill_other;
SET search_path = fs_backfill, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT feature_stream.set_test_clock('2024-01-15 12:20:10+00');

CREATE SERVER fs_backfill FOREIGN DATA WRAPPER feature_stream_table;
GRANT USAGE ON FOREIGN SERVER fs_backfill TO fs_backfill_owner;
SET ROLE fs_backfill_owner;
CREATE TABLE outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), arrived timestamptz, value text);
CREATE FOREIGN TABLE orders (
    shop       int         NOT NULL,
    customer   text        NOT NULL,
    amount     numeric,
    weight     float8,
    ordered_at timestamptz NOT NULL
) SERVER fs_backfill OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', arrival 'arrived', format 'json',
    event_time 'ordered_at', slice '1 min', watermark_delay '30 s', idle_after '1 day', start 'earliest', log_retention '2 days',
    dead_letter_retention '30000 days');
RESET ROLE;

-- Waits until so many records are read, windows fired, and nothing is left to backfill.
CREATE PROCEDURE wait_for(records bigint, fired timestamptz, newest regclass) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT sum(read_count) = records FROM feature_stream.partition_position WHERE stream = 'orders'::regclass)
              AND (SELECT frontier = fired AND fire_window_end IS NULL FROM feature_stream.stream_state WHERE stream = 'orders'::regclass)
              AND EXISTS (SELECT FROM feature_stream.view_state WHERE view = newest)
              AND NOT EXISTS (SELECT FROM feature_stream.backfill WHERE state = 'pending')
              AND (SELECT state = 'running' AND durable_frontier = fired FROM feature_stream.stat_stream WHERE stream = 'orders'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;

-- The same features of the same windows, view by view.
CREATE PROCEDURE create_views(suffix text, arguments text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format($f$ SELECT feature_stream.create_feature_view('sales%s',
        'SELECT customer, count(*) AS n, sum(amount) AS total, array_agg(shop) AS shops, sum(weight) AS weight
           FROM orders WHERE 100 / amount > 1 GROUP BY customer', windows => '{5 min, 10 min}', slide => '1 min' %s) $f$, suffix, arguments);
    EXECUTE format($f$ SELECT feature_stream.create_feature_view('steady%s',
        'SELECT shop, customer, count(*) AS n FROM orders GROUP BY customer, shop', windows => '{3 min}', slide => '1 min',
        emit => 'every_slide', history_interval => '2 min' %s) $f$, suffix, arguments);
    EXECUTE format($f$ SELECT feature_stream.create_feature_view('ratio%s',
        'SELECT customer, sum(100 / amount) AS inverse, 10 / (count(*) - 2) AS ratio, customer || count(*) AS label
           FROM orders GROUP BY customer', windows => '{2 min, 10 min}', slide => '2 min' %s) $f$, suffix, arguments);
END $$;

SET ROLE fs_backfill_owner;
CALL create_views('', '');
-- Disorder, an event that is late for the shorter window alone (5), one that is late for all (6), equal times (2, 3),
-- one that WHERE filters (7), one for which WHERE raises an error (8), sums that overflow (9, 10), another day (12).
CREATE TABLE event AS
SELECT * FROM (VALUES (1, interval '00:00:10', interval '00:00:05', 'ann', 1, 10.0, 1.5::float8),
               (2, '00:01:20', '00:01:10', 'ann', 2, 20.00, 0.25), (3, '00:01:21', '00:01:10', 'ann', 3, 5, NULL),
               (4, '00:10:00', '00:10:00', 'bob', 1, 1.5, 2),
               (5, '00:10:01', '00:04:00', 'ann', 9, 7, 3), (6, '00:10:02', '-00:02:00', 'ann', 9, 7, 3),
               (7, '00:11:00', '00:11:00', 'ann', 7, 200, 1), (8, '00:11:01', '00:11:00', 'ann', 8, 0, 1),
               (9, '00:14:00', '00:14:00', 'cid', 1, 2, 1e308), (10, '00:14:01', '00:14:01', 'cid', 1, 3, 1e308),
               (11, '00:20:00', '00:20:00', 'dee', 5, 1, 1),
               (12, '12:10:00', '12:10:00', 'ann', 1, 3, 1), (13, '12:20:00', '12:19:30', 'bob', 2, 4, 1)) e (id, arrived, at, customer, shop, amount, weight);
CREATE PROCEDURE send(first int, last int) LANGUAGE sql AS $$
    INSERT INTO outbox (id, arrived, value)
    SELECT id, '2024-01-15 12:00:00+00'::timestamptz + arrived,
           json_build_object('shop', shop, 'customer', customer, 'amount', amount, 'weight', weight,
                             'ordered_at', '2024-01-15 12:00:00+00'::timestamptz + at)
      FROM event WHERE id BETWEEN first AND last ORDER BY id $$;
CALL send(1, 11);
RESET ROLE;
CALL wait_for(11, '2024-01-15 12:19:00+00', 'ratio');
SELECT feature_stream.set_test_clock('2024-01-16 00:20:10+00');
CALL send(12, 13);
CALL wait_for(13, '2024-01-16 00:19:00+00', 'ratio');
-- A view that was there from the start has nothing to backfill.
SELECT count(*) FROM feature_stream.stat_progress_backfill;

-- Views that come later have the same history.
SET ROLE fs_backfill_owner;
CALL create_views('_later', '');
RESET ROLE;
CALL wait_for(13, '2024-01-16 00:19:00+00', 'ratio_later');
SELECT view, reason, state, from_window_end, to_window_end, done_window_end, lost_window_end, row_count,
       started_at <= finished_at AS finished, error
  FROM feature_stream.stat_progress_backfill ORDER BY view::text;
SELECT customer, window_end, n_5m, total_5m, shops_5m, weight_5m, n_10m, complete, available_at - window_end AS available, backfilled
  FROM sales_later_history ORDER BY 1, 2;
CREATE FUNCTION difference(one regclass, other regclass) RETURNS TABLE (side text, h jsonb) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format($q$
        WITH a AS (SELECT to_jsonb(h) - '{computed_at,available_at,backfilled}'::text[] AS h FROM %s h),
             b AS (SELECT to_jsonb(h) - '{computed_at,available_at,backfilled}'::text[] AS h FROM %s h)
        (SELECT 'one', x.h FROM (TABLE a EXCEPT ALL TABLE b) x) UNION ALL (SELECT 'other', x.h FROM (TABLE b EXCEPT ALL TABLE a) x)
        $q$, one, other);
END $$;
SELECT * FROM difference('sales_history', 'sales_later_history');
SELECT * FROM difference('steady_history', 'steady_later_history');
SELECT * FROM difference('ratio_history', 'ratio_later_history');
SELECT count(*) FROM ratio_later_history;
SELECT bool_and(backfilled AND complete AND available_at = window_end + interval '30 s' AND computed_at = '2024-01-16 00:20:10+00')
  FROM steady_later_history;
-- In force: the rows of views that were there before.
SELECT * FROM difference('sales', 'sales_later');
SELECT * FROM difference('ratio', 'ratio_later');
SELECT customer, n_10m, window_end, computed_at FROM sales_later ORDER BY 1;
SET client_min_messages = notice;
SELECT * FROM feature_stream.verify_feature_view('sales_later');
SELECT * FROM feature_stream.verify_feature_view('steady_later');
SELECT * FROM feature_stream.verify_feature_view('ratio_later');
SET client_min_messages = warning;
-- Training sees what a view of then would have served.
SELECT n_10m, backfilled FROM sales_later_as_of('ann', '2024-01-15 12:06:29+00');
SELECT n_10m, backfilled FROM sales_later_as_of('ann', '2024-01-15 12:06:30+00');

-- Declined, and without a history.
SET ROLE fs_backfill_owner;
CALL create_views('_declined', ', backfill => false');
SELECT feature_stream.create_feature_view('unkept', 'SELECT customer, count(*) AS n FROM orders GROUP BY customer', '{10 min}', '1 min',
    history => 'none');
RESET ROLE;
CALL wait_for(13, '2024-01-16 00:19:00+00', 'unkept');
SELECT view, state, row_count, from_window_end FROM feature_stream.stat_progress_backfill
 WHERE view IN ('sales_declined'::regclass, 'unkept'::regclass) ORDER BY view::text;
SELECT count(*) FROM sales_declined_history;
SELECT customer, n_10m, window_end FROM sales_declined ORDER BY 1;
SELECT customer, n_10m, window_end FROM unkept ORDER BY 1;

-- The live flow goes on from there: each row once.
SELECT feature_stream.set_test_clock('2024-01-16 00:40:10+00');
SET ROLE fs_backfill_owner;
INSERT INTO event VALUES (14, '12:31:00', '12:22:00', 'ann', 4, 3, 1), (15, '12:40:00', '12:40:00', 'eve', 4, 3, 1);
CALL send(14, 15);
RESET ROLE;
CALL wait_for(15, '2024-01-16 00:39:00+00', 'unkept');
SELECT * FROM difference('sales_history', 'sales_later_history');
SELECT * FROM difference('steady_history', 'steady_later_history');
SELECT * FROM difference('ratio_history', 'ratio_later_history');
SELECT backfilled, min(window_end), max(window_end), count(*) FROM sales_later_history GROUP BY 1 ORDER BY 1;
SELECT backfilled, min(window_end), max(window_end), count(*) FROM sales_declined_history GROUP BY 1 ORDER BY 1;
SET client_min_messages = notice;
SELECT * FROM feature_stream.verify_feature_view('sales_later');
SELECT * FROM feature_stream.verify_feature_view('sales_declined');
SELECT * FROM feature_stream.verify_feature_view('unkept');
SET client_min_messages = warning;

-- Nothing is left of a creation that is rolled back, and of a view that is dropped.
BEGIN;
CALL create_views('_never', '');
ROLLBACK;
SELECT feature_stream.drop_feature_view('steady_later', drop_history => true);
SELECT count(*) FROM feature_stream.backfill b WHERE NOT EXISTS (SELECT FROM feature_stream.feature_view v WHERE v.view = b.view);

-- A history that cannot be written says why, and is filled when the cause is gone.  Others go on meanwhile.
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
BEGIN;
CALL create_views('_stuck', '');
CREATE TRIGGER look BEFORE INSERT ON sales_stuck_history FOR EACH ROW EXECUTE FUNCTION look();
COMMIT;
DO $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT array_agg(state ORDER BY view::text) = '{done,failed,done}' FROM feature_stream.stat_progress_backfill WHERE view::text LIKE '%stuck');
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT view, state, row_count, error FROM feature_stream.stat_progress_backfill WHERE view::text LIKE '%stuck' ORDER BY view::text;
SET client_min_messages = notice;
SELECT * FROM feature_stream.verify_feature_view('sales_stuck');
SET client_min_messages = warning;
DROP TRIGGER look ON sales_stuck_history;

-- What is too old for the history is left out.  A new view has what failed tried again at once.
SET ROLE fs_backfill_owner;
SELECT feature_stream.create_feature_view('brief', 'SELECT customer, count(*) AS n FROM orders GROUP BY customer', '{10 min}', '1 min',
    history_retention => '10 min');
RESET ROLE;
CALL wait_for(15, '2024-01-16 00:39:00+00', 'brief');
SELECT customer, window_end, n_10m, complete FROM brief_history ORDER BY 2, 1;
SELECT state, error FROM feature_stream.stat_progress_backfill WHERE view = 'sales_stuck'::regclass;
SELECT * FROM difference('sales_history', 'sales_stuck_history');

-- What the log has lost in part is marked.
DELETE FROM feature_stream.event_log WHERE stream = 'orders'::regclass AND slice < '2024-01-15 12:04:00+00';
SET ROLE fs_backfill_owner;
CALL create_views('_part', '');
RESET ROLE;
CALL wait_for(15, '2024-01-16 00:39:00+00', 'ratio_part');
SELECT view, from_window_end, lost_window_end, row_count FROM feature_stream.stat_progress_backfill WHERE view::text LIKE '%part' ORDER BY view::text;
SELECT h.customer, h.window_end, h.n_10m, h.complete, f.n_10m AS n_10m_of_first
  FROM sales_part_history h LEFT JOIN sales_history f USING (customer, window_end)
 WHERE NOT h.complete OR h.window_end < '2024-01-15 12:20:00+00' ORDER BY 2, 1;
SET client_min_messages = notice;
SELECT * FROM feature_stream.verify_feature_view('sales_part');
SET client_min_messages = warning;

-- Arguments and rights.
SELECT feature_stream.create_feature_view('wrong', 'SELECT customer, count(*) AS n FROM orders GROUP BY customer', '{10 min}', '1 min', backfill => NULL);
BEGIN;
CREATE FOREIGN TABLE plain (customer text NOT NULL, at timestamptz NOT NULL) SERVER fs_backfill OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', event_time 'at');
SELECT feature_stream.create_feature_view('wrong', 'SELECT customer, count(*) AS n FROM plain GROUP BY customer', '{10 min}', '1 min', backfill_from => '2024-01-15 12:00:00+00');
ROLLBACK;
CREATE SERVER fs_backfill_kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '127.0.0.1:1');
BEGIN;
CREATE FOREIGN TABLE far (customer text NOT NULL, at timestamptz NOT NULL) SERVER fs_backfill_kafka OPTIONS (topic 'far', event_time 'at');
SELECT feature_stream.create_feature_view('far_counts', 'SELECT customer, count(*) AS n FROM far GROUP BY customer', '{10 min}', '1 min', backfill_from => '2024-01-15 12:00:00+00');
SELECT view, reason, state, error, read_count FROM feature_stream.stat_progress_backfill WHERE view = 'far_counts'::regclass;
SELECT state FROM feature_stream.stat_feature_view WHERE view = 'far_counts'::regclass;
SAVEPOINT s;
SELECT feature_stream.create_feature_view('wrong', 'SELECT customer, count(*) AS n FROM far GROUP BY customer', '{10 min}', '1 min', backfill_from => 'latest');
ROLLBACK TO s;
SELECT feature_stream.create_feature_view('wrong', 'SELECT customer, count(*) AS n FROM far GROUP BY customer', '{10 min}', '1 min', backfill_from => '2024-01-15 12:00:00');
ROLLBACK TO s;
SELECT feature_stream.drop_feature_view('far_counts');
SELECT count(*) FROM feature_stream.backread;
ROLLBACK;
DROP SERVER fs_backfill_kafka;
SET ROLE fs_backfill_other;
SELECT * FROM feature_stream.stat_progress_backfill;
SELECT * FROM feature_stream.backfill;
SET ROLE fs_backfill_owner;
SELECT count(*) > 0 FROM feature_stream.stat_progress_backfill;
SELECT count(*) FROM feature_stream.backfill;
DELETE FROM feature_stream.backfill;
RESET ROLE;

DROP SCHEMA fs_backfill CASCADE;
SELECT count(*) FROM feature_stream.backfill;
DROP SERVER fs_backfill;
DROP OWNED BY fs_backfill_owner, fs_backfill_other;
DROP ROLE fs_backfill_owner, fs_backfill_other;
SELECT feature_stream.set_test_clock(NULL);
