-- Which rows say that they are complete, where a stream does not begin with the first record.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE SCHEMA fs_coverage;
SET search_path = fs_coverage, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT feature_stream.set_test_clock('2024-01-15 14:00:00+00');
CREATE TABLE outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), arrived timestamptz, value text);
CREATE SERVER fs_coverage FOREIGN DATA WRAPPER feature_stream_table;

-- Waits until streams have read so many records, and fired their windows; none: until the worker knows where it begins.
CREATE PROCEDURE wait_for(streams regclass[], records bigint, fired timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT count(*) = cardinality(streams) FROM feature_stream.partition_position p
                     JOIN feature_stream.stat_stream s ON s.stream = p.stream::regclass
                     JOIN feature_stream.stream_state d ON d.stream = p.stream
                    WHERE p.stream = ANY (streams::oid[]) AND p.read_count = records AND s.state = 'running'
                      AND (fired IS NULL OR (d.frontier = fired AND d.fire_window_end IS NULL AND s.durable_frontier = fired)))
              AND NOT EXISTS (SELECT FROM feature_stream.backfill WHERE state = 'pending');
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
CREATE PROCEDURE create_counts(name text, start text, also text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format($f$ CREATE FOREIGN TABLE %s (customer text NOT NULL, at timestamptz NOT NULL) SERVER fs_coverage
        OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', event_time 'at', slice '1 min', watermark_delay '30 s',
                 max_future '60 s', idle_after '1 day', log_retention '2 days', start %L %s) $f$, name, start, also);
    PERFORM feature_stream.create_feature_view(name || '_counts', format('SELECT customer, count(*) AS n FROM %s GROUP BY customer', name),
        '{2 min, 5 min}', '1 min');
END $$;
-- What a history says: of so many rows these are complete; they are those of a stream that read everything, others are not.
CREATE FUNCTION judge(name text) RETURNS TABLE (incomplete bigint, incomplete_upto timestamptz, complete bigint, complete_from timestamptz,
    known_from timestamptz, complete_are_right boolean, incomplete_are_right boolean) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format($f$ SELECT count(*) FILTER (WHERE NOT h.complete), max(h.window_end) FILTER (WHERE NOT h.complete),
        count(*) FILTER (WHERE h.complete), min(h.window_end) FILTER (WHERE h.complete),
        (SELECT f.complete_from FROM feature_stream.stat_feature_view f WHERE f.view = '%1$s_counts'::regclass),
        bool_and((h.n_2m, h.n_5m) IS NOT DISTINCT FROM (w.n_2m, w.n_5m)) FILTER (WHERE h.complete),
        bool_and((h.n_2m, h.n_5m) IS NOT DISTINCT FROM (w.n_2m, w.n_5m)) FILTER (WHERE NOT h.complete)
        FROM %1$s_counts_history h LEFT JOIN whole_counts_history w USING (customer, window_end) $f$, name);
END $$;

-- Two events a minute for two hours, the last ones at 13:59; the clock is at 14:00.
INSERT INTO outbox (id, arrived, value)
SELECT i, '2024-01-15 12:00:01+00'::timestamptz + i / 2 * interval '1 min',
       json_build_object('customer', 'ann', 'at', '2024-01-15 12:00:00+00'::timestamptz + i / 2 * interval '1 min')
  FROM generate_series(0, 239) i;
CALL create_counts('whole', 'earliest', $$, arrival 'arrived'$$);
CALL create_counts('skipped', 'offsets 0:61', $$, arrival 'arrived'$$);
CALL create_counts('timed', '2024-01-15 13:00:00+00', $$, arrival 'arrived'$$);
CALL create_counts('plain', 'offsets 0:61', '');
CALL create_counts('recent', 'latest', $$, arrival 'arrived'$$);
CALL wait_for('{whole}', 240, '2024-01-15 13:58:00+00');
CALL wait_for('{skipped,plain}', 179, '2024-01-15 13:58:00+00');
CALL wait_for('{timed}', 120, '2024-01-15 13:58:00+00');
CALL wait_for('{recent}', 0, NULL);

-- The first records are read at once and fire many window ends: those whose windows begin before them are not complete.
SELECT * FROM judge('whole');
SELECT * FROM judge('skipped');
SELECT * FROM judge('timed');
SELECT * FROM judge('plain');
SELECT * FROM feature_stream.verify_feature_view('skipped_counts');
-- What is filled in from the log says the same.
SELECT feature_stream.create_feature_view('skipped_later', 'SELECT customer, count(*) AS n FROM skipped GROUP BY customer', '{2 min, 5 min}', '1 min');
DO $$ BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT state = 'done' FROM feature_stream.stat_progress_backfill WHERE view = 'skipped_later'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT count(*), count(*) FILTER (WHERE (l.n_2m, l.n_5m, l.complete) IS NOT DISTINCT FROM (h.n_2m, h.n_5m, h.complete)) AS equal
  FROM skipped_counts_history h FULL JOIN skipped_later_history l USING (customer, window_end);

-- A straggler is the first record of all after 'latest' and a restart: it says nothing of what came before the beginning.
SELECT feature_stream.pause_stream('recent');
DO $$ BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT state = 'paused' FROM feature_stream.stat_stream WHERE stream = 'recent'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT feature_stream.resume_stream('recent');
SELECT feature_stream.set_test_clock('2024-01-15 14:00:30+00');
INSERT INTO outbox (id, arrived, value) VALUES (240, '2024-01-15 14:00:05+00', '{"customer": "bob", "at": "2024-01-15T13:40:00Z"}');
CALL wait_for('{recent}', 1, NULL);
-- One that a stream begins with, whose record says when it was written.
CALL create_counts('stray', 'offsets 0:240', $$, arrival 'arrived'$$);
CALL wait_for('{stray}', 1, NULL);
SELECT feature_stream.set_test_clock('2024-01-15 14:20:00+00');
INSERT INTO outbox (id, arrived, value)
SELECT 241 + i, '2024-01-15 14:00:31+00'::timestamptz + i * interval '1 min',
       json_build_object('customer', 'ann', 'at', '2024-01-15 14:00:30+00'::timestamptz + i * interval '1 min')
  FROM generate_series(0, 14) i;
CALL wait_for('{recent,stray}', 16, '2024-01-15 14:14:00+00');
CALL wait_for('{whole}', 256, '2024-01-15 14:14:00+00');
SELECT * FROM judge('recent');
SELECT * FROM judge('stray');
SELECT customer, window_end, n_5m, complete FROM recent_counts_history WHERE customer = 'bob' ORDER BY 2;
SELECT * FROM feature_stream.verify_feature_view('recent_counts');

-- As long as no event was read nobody knows.
INSERT INTO outbox (id, arrived, value) VALUES (300, '2024-01-15 14:20:00+00', '{"customer": "ann"}');
CALL wait_for('{whole}', 257, NULL);
CALL create_counts('nothing', 'offsets 0:300', $$, arrival 'arrived'$$);
CALL wait_for('{nothing}', 1, NULL);
DO $$ BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT accepted_count = 0 AND dead_letter_count = 1 FROM feature_stream.stat_partition WHERE stream = 'nothing'::regclass);
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT complete_from FROM feature_stream.stat_feature_view WHERE view = 'nothing_counts'::regclass;

SET client_min_messages = error;
DROP SCHEMA fs_coverage CASCADE;
DROP SERVER fs_coverage CASCADE;
SELECT feature_stream.set_test_clock(NULL);
