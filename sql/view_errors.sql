-- view_errors: an event that raises in the expressions of some views counts in the others, before and behind them.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE SCHEMA fs_view_errors;
SET search_path = fs_view_errors, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT feature_stream.set_test_clock('2024-01-15 12:20:10+00');
CREATE TABLE outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), arrived timestamptz, value text);
CREATE SERVER fs_view_errors FOREIGN DATA WRAPPER feature_stream_table;
CREATE FOREIGN TABLE payments (customer text NOT NULL, note text NOT NULL, divisor int NOT NULL, at timestamptz NOT NULL)
    SERVER fs_view_errors
    OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', arrival 'arrived', event_time 'at', slice '1 min',
             watermark_delay '30 s', idle_after '1 day', start 'earliest', dead_letter_retention '30000 days');
SELECT feature_stream.create_feature_view(view, format('SELECT customer, max(%s) AS f FROM payments GROUP BY customer', expression), '{1 min}', '1 min')
  FROM (VALUES ('payments_a', 'upper(note)'), ('payments_b', 'note::int'), ('payments_c', 'lower(note)'),
               ('payments_d', '100 / divisor'), ('payments_e', 'length(note)')) v (view, expression);

-- None raises (1), one in the middle (2), the last but one (3), two of them (4).
INSERT INTO outbox (id, arrived, value)
SELECT id, '2024-01-15 12:00:10+00', json_build_object('customer', customer, 'note', note, 'divisor', divisor, 'at', '2024-01-15 12:00:10+00')
  FROM (VALUES (1, 'ann', '17', 4), (2, 'bob', 'Abc', 5), (3, 'cid', '18', 0), (4, 'dee', 'Xy', 0)) e (id, customer, note, divisor);
INSERT INTO outbox (id, arrived, value)
VALUES (5, '2024-01-15 12:02:00+00', '{"customer": "eve", "note": "1", "divisor": 1, "at": "2024-01-15 12:02:00+00"}');
DO $$ BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT count(*) = 1 FROM feature_stream.stream_state d JOIN feature_stream.stat_stream s ON s.stream = d.stream::regclass
                    WHERE d.stream = 'payments'::regclass AND d.frontier = '2024-01-15 12:01:00+00'
                      AND d.fire_window_end IS NULL AND s.durable_frontier = d.frontier);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT customer, a.f_1m AS a, b.f_1m AS b, c.f_1m AS c, d.f_1m AS d, e.f_1m AS e
  FROM payments_a_history a FULL JOIN payments_b_history b USING (customer) FULL JOIN payments_c_history c USING (customer)
       FULL JOIN payments_d_history d USING (customer) FULL JOIN payments_e_history e USING (customer) ORDER BY customer;
SELECT "offset", reason, message FROM feature_stream.dead_letter WHERE stream = 'payments'::regclass ORDER BY "offset";
SELECT * FROM feature_stream.verify_feature_view('payments_a');
SELECT * FROM feature_stream.verify_feature_view('payments_c');
SELECT * FROM feature_stream.verify_feature_view('payments_d');
SELECT * FROM feature_stream.verify_feature_view('payments_e');

SET client_min_messages = error;
DROP SCHEMA fs_view_errors CASCADE;
DROP SERVER fs_view_errors CASCADE;
SELECT feature_stream.set_test_clock(NULL);
