-- late_events: what becomes of an event that missed some of its windows, and not all.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE SCHEMA fs_late_events;
SET search_path = fs_late_events, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT feature_stream.set_test_clock('2024-01-15 12:20:10+00');
CREATE TABLE outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), arrived timestamptz, value text);
CREATE SERVER fs_late_events FOREIGN DATA WRAPPER feature_stream_table;
CREATE PROCEDURE create_stream(name text, late_events text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format($f$ CREATE FOREIGN TABLE %s (customer text NOT NULL, at timestamptz NOT NULL) SERVER fs_late_events
        OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', arrival 'arrived', event_time 'at', slice '1 min',
                 watermark_delay '30 s', idle_after '1 day', start 'earliest', dead_letter_retention '30000 days', late_events %L) $f$,
        name, late_events);
    PERFORM feature_stream.create_feature_view(name || '_counts', format('SELECT customer, count(*) AS n FROM %s GROUP BY customer', name),
        '{1 min, 5 min}', '1 min');
    PERFORM feature_stream.create_feature_view(name || '_rare', format('SELECT customer, count(*) AS n FROM %s GROUP BY customer', name),
        '{10 min}', '10 min');
END $$;
CALL create_stream('lenient', 'accept');
CALL create_stream('strict', 'strict');

-- On time (1, 2); out of order, but before the watermark has passed a window of its (3); late for a window that ended at
-- 12:05, not for all (4); at the very watermark (5) and just before it (6), whose window goes on; late for all (7).
INSERT INTO outbox (id, arrived, value)
SELECT id, '2024-01-15 12:00:00+00'::timestamptz + arrived,
       json_build_object('customer', customer, 'at', '2024-01-15 12:00:00+00'::timestamptz + at)
  FROM (VALUES (1, interval '00:00:10', interval '00:00:10', 'ann'), (2, '00:05:40', '00:05:40', 'bob'),
               (3, '00:05:41', '00:05:05', 'ann'), (4, '00:05:42', '00:04:59', 'ann'),
               (5, '00:05:43', '00:05:10', 'cid'), (6, '00:05:44', '00:05:09.999999', 'cid'),
               (7, '00:05:45', '-00:10:00', 'dee'), (8, '00:12:00', '00:12:00', 'eve')) e (id, arrived, at, customer);
DO $$ BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT count(*) = 2 FROM feature_stream.stream_state d JOIN feature_stream.stat_stream s ON s.stream = d.stream::regclass
                    WHERE d.stream IN ('lenient'::regclass, 'strict'::regclass) AND d.frontier = '2024-01-15 12:11:00+00'
                      AND d.fire_window_end IS NULL AND s.durable_frontier = d.frontier);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT c.relname, read_count, accepted_count, partially_late_count, dead_letter_count FROM feature_stream.partition_position
  JOIN pg_class c ON c.oid = stream WHERE c.relname IN ('lenient', 'strict') ORDER BY c.relname;
SELECT stream, "offset", reason, message FROM feature_stream.dead_letter WHERE stream IN ('lenient'::regclass, 'strict'::regclass) ORDER BY stream::text, "offset";
SELECT customer, window_end, l.n_1m AS lenient_1m, s.n_1m AS strict_1m, l.n_5m AS lenient_5m, s.n_5m AS strict_5m
  FROM lenient_counts_history l FULL JOIN strict_counts_history s USING (customer, window_end) ORDER BY 1, 2;
SELECT customer, window_end, l.n_10m AS lenient_10m, s.n_10m AS strict_10m
  FROM lenient_rare_history l FULL JOIN strict_rare_history s USING (customer, window_end) ORDER BY 1, 2;
SELECT * FROM feature_stream.verify_feature_view('strict_counts');
SELECT * FROM feature_stream.verify_feature_view('strict_rare');

SET client_min_messages = error;
DROP SCHEMA fs_late_events CASCADE;
DROP SERVER fs_late_events CASCADE;
SELECT feature_stream.set_test_clock(NULL);
