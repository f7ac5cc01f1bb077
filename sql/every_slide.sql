-- emit 'every_slide': a row at each window end for as long as there is anything in the longest window, and none while there is not.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE SCHEMA fs_every_slide;
SET search_path = fs_every_slide, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT feature_stream.set_test_clock('2024-01-15 12:20:10+00');
CREATE TABLE outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), arrived timestamptz, value text);
CREATE SERVER fs_every_slide FOREIGN DATA WRAPPER feature_stream_table;
CREATE FOREIGN TABLE orders (customer text NOT NULL, amount int, at timestamptz NOT NULL)
    SERVER fs_every_slide OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', arrival 'arrived',
    event_time 'at', slice '1 min', watermark_delay '30 s', idle_after '1 day', start 'earliest', log_retention '30000 days');
SELECT feature_stream.create_feature_view('steady', 'SELECT customer, count(*) AS n, array_agg(amount) AS amounts FROM orders GROUP BY customer',
    '{1 min, 3 min}', '1 min', emit => 'every_slide');
SELECT feature_stream.create_feature_view('sums', 'SELECT customer, count(*) AS n FROM orders GROUP BY customer',
    '{4 min}', '2 min', emit => 'every_slide');
SELECT feature_stream.create_feature_view('changes', 'SELECT customer, count(*) AS n, array_agg(amount) AS amounts FROM orders GROUP BY customer',
    '{1 min, 3 min}', '1 min');

-- The first event is of 1970, then ten days pass without any; one is late for the first windows that it is in (6).
INSERT INTO outbox (id, arrived, value)
SELECT id, coalesce(arrived, at::timestamptz), json_build_object('customer', customer, 'amount', id, 'at', at::timestamptz)
  FROM (VALUES (1, '1970-01-01 00:00:00+00', NULL::timestamptz, 'ann'),
               (2, '2024-01-05 12:00:10+00', NULL, 'ann'), (3, '2024-01-05 12:01:10+00', NULL, 'bob'),
               (4, '2024-01-15 12:00:00+00', NULL, 'cid'), (5, '2024-01-15 12:05:00+00', NULL, 'dee'),
               (6, '2024-01-15 12:03:30+00', '2024-01-15 12:05:01+00', 'bob'),
               (7, '2024-01-15 12:20:00+00', NULL, 'eve')) e (id, at, arrived, customer);
DO $$ BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT frontier = '2024-01-15 12:19:00+00' AND fire_window_end IS NULL FROM feature_stream.stream_state
                    WHERE stream = 'orders'::regclass)
              AND (SELECT durable_frontier = '2024-01-15 12:19:00+00' FROM feature_stream.stat_stream WHERE stream = 'orders'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT customer, window_end, n_1m, n_3m, amounts_3m FROM steady_history ORDER BY window_end, customer;
SELECT customer, window_end, n_4m FROM sums_history ORDER BY window_end, customer;
SELECT count(*), count(*) FILTER (WHERE (s.n_1m, s.n_3m, s.amounts_3m) IS NOT DISTINCT FROM (c.n_1m, c.n_3m, c.amounts_3m)) AS equal
  FROM changes_history c LEFT JOIN steady_history s USING (customer, window_end);
SELECT * FROM feature_stream.verify_feature_view('steady', "to" => '1970-01-02 00:00:00+00');
SELECT * FROM feature_stream.verify_feature_view('steady', '2024-01-01 00:00:00+00');
SELECT * FROM feature_stream.verify_feature_view('sums', "to" => '1970-01-02 00:00:00+00');
SELECT * FROM feature_stream.verify_feature_view('sums', '2024-01-01 00:00:00+00');
SELECT count(*) < 20 AS few FROM pg_inherits WHERE inhparent = 'steady_history'::regclass;
SELECT customer, n_1m, n_3m, window_end FROM steady ORDER BY 1;

SET client_min_messages = error;
DROP SCHEMA fs_every_slide CASCADE;
DROP SERVER fs_every_slide CASCADE;
SELECT feature_stream.set_test_clock(NULL);
