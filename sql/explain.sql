-- How feature views are computed, and what they cost: explain_feature_view(), estimate_feature_view().
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE ROLE fs_explain_reader;
CREATE SCHEMA fs_explain;
GRANT USAGE ON SCHEMA fs_explain, feature_stream TO fs_explain_reader;
SET search_path = fs_explain, public;
SET TimeZone = 'UTC';
SELECT feature_stream.set_test_clock('2024-01-15 12:00:00+00');
CREATE TABLE outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), arrived timestamptz, value text);
CREATE SERVER fs_explain FOREIGN DATA WRAPPER feature_stream_table;
CREATE FOREIGN TABLE clicks (user_id text NOT NULL, item text, qty int, price float8, at timestamptz NOT NULL)
    SERVER fs_explain OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', arrival 'arrived', event_time 'at',
    slice '1 min', watermark_delay '0 s', max_future '10 days', idle_after '1 day', start 'earliest');

SELECT feature_stream.pause_stream('clicks');
CREATE AGGREGATE joined(text) (sfunc = textcat, stype = text, initcond = '');

-- Without a rate: what is native, what is replayed and why; 100 events a row are assumed.
SELECT feature_stream.create_feature_view('mixed', $$
    SELECT user_id, array_agg(item) AS items, count(DISTINCT item) AS different, max(qty) - min(qty) AS span, max(qty) AS most,
           joined(item ORDER BY price) AS trail, count(*) FILTER (WHERE price > 10) AS dear
      FROM clicks WHERE qty > 0 GROUP BY user_id $$, '{10 min, 30 min}', '1 min');
SELECT * FROM feature_stream.explain_feature_view('mixed');
SELECT * FROM feature_stream.estimate_feature_view('mixed');
SELECT * FROM feature_stream.explain_feature_view('SELECT lower(user_id) AS who, sum(qty) AS total, count(*) AS n FROM clicks GROUP BY 1', '{1 day}', '1 hour');
SELECT feature, strategy, bytes_per_key FROM feature_stream.explain_feature_view('SELECT user_id, mode() WITHIN GROUP (ORDER BY item) AS m FROM clicks GROUP BY 1', '{1 hour}');
-- Which of them need no events, and why others do.
SELECT feature, keeps, reason FROM feature_stream.explain_feature_view('SELECT user_id, stddev(qty) AS spread, min(item) AS first, max(price) AS dearest, avg(qty::numeric) AS mean, bool_or(qty > 3) AS many, bit_xor(qty) AS parity FROM clicks GROUP BY 1', '{1 day}');
SELECT feature, keeps, reason FROM feature_stream.explain_feature_view('SELECT user_id, stddev(qty) AS spread, sum(price) AS total, string_agg(item, NULL) AS trail FROM clicks GROUP BY 1', '{1 day}');

-- With one: ten events a second of a thousand users.
SELECT feature_stream.resume_stream('clicks');
CREATE PROCEDURE send(first int, last int) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO outbox (id, arrived, value)
    SELECT i, t, json_build_object('user_id', 'u' || i % 1000, 'item', 'i' || i % 77, 'qty', 1 + i % 5, 'price', i % 100, 'at', t)
      FROM (SELECT i, timestamptz '2024-01-15 12:00:00+00' + i * interval '100 ms' AS t FROM generate_series(first, last) i) e;
    COMMIT;
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT read_count = last AND durable_frontier = date_trunc('minute', timestamptz '2024-01-15 12:00:00+00' + last * interval '100 ms')
                     FROM feature_stream.stat_stream WHERE stream = 'clicks'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
-- Rates are of the samples that the worker takes as it reads: on a machine that stalls, some of them between events and watermark.
CREATE PROCEDURE send_until_steady() LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 0 .. 20 LOOP
        CALL send(i * 3000 + 1, i * 3000 + 3000);
        EXIT WHEN i >= 2 AND (SELECT bool_and(e.events_per_second BETWEEN 5 AND 20)
             AND bool_or(e.rows_per_second BETWEEN 10 AND 17 AND e.windows = 1) AND bool_or(e.events_per_row BETWEEN 9 AND 36 AND e.windows = 2)
          FROM (SELECT 2 AS windows, * FROM feature_stream.estimate_feature_view('mixed') UNION ALL
                SELECT 1, * FROM feature_stream.estimate_feature_view('SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id', '{1 hour}', '1 min')) e);
        COMMIT;
    END LOOP;
END $$;
CALL send_until_steady();
SELECT events_per_second BETWEEN 5 AND 20 AS events, entities, events_per_row BETWEEN 9 AND 36 AS per_row, rows_per_second > 0 AS rows,
       memory_bytes BETWEEN 200000 AND 2000000 AS memory, cpu_share BETWEEN 0.00001 AND 0.1 AS cpu
  FROM feature_stream.estimate_feature_view('mixed');
SELECT events_per_second BETWEEN 5 AND 20 AS events, entities, rows_per_second BETWEEN 10 AND 17 AS rows
  FROM feature_stream.estimate_feature_view('SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id', '{1 hour}', '1 min');
SELECT count(*) FROM feature_stream.explain_feature_view('mixed') WHERE reason LIKE '%assumed%';

-- What cannot work is said when it is created.
BEGIN;
SELECT feature_stream.create_feature_view('long', 'SELECT user_id, array_agg(item) AS items FROM clicks GROUP BY user_id', '{1000 days}', '1 day') \gset
ROLLBACK;
BEGIN;
SET LOCAL feature_stream.force_replay = on;
SELECT feature_stream.create_feature_view('heavy', 'SELECT user_id, string_agg(item, '','') AS items, array_agg(DISTINCT item) AS more FROM clicks GROUP BY user_id', '{200 days, 400 days, 600 days}', '1 min') AS heavy \gset
ROLLBACK;
BEGIN;
SELECT feature_stream.create_feature_view('days', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id', '{6 days}', '1 hour') \gset
SELECT feature_stream.alter_feature_view('days', query => 'SELECT user_id, count(*) AS n, sum(qty) AS total FROM clicks GROUP BY user_id') \gset
SELECT feature_stream.alter_feature_view('days', query => 'SELECT user_id, count(*) AS n, array_agg(price) AS a, array_agg(price + 1) AS b, array_agg(price + 2) AS c, array_agg(price + 3) AS d, array_agg(price + 4) AS e FROM clicks GROUP BY user_id') \gset
ROLLBACK;
SELECT feature_stream.create_feature_view('light', 'SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id', '{1 hour}', '1 min');

-- Arguments and rights.
SELECT * FROM feature_stream.explain_feature_view(NULL, '{1 hour}');
SELECT * FROM feature_stream.estimate_feature_view('SELECT count(*) FROM clicks', '{1 hour}');
SELECT * FROM feature_stream.explain_feature_view('clicks');
SET ROLE fs_explain_reader;
SELECT * FROM feature_stream.explain_feature_view('mixed');
SELECT * FROM feature_stream.estimate_feature_view('mixed');
SELECT * FROM feature_stream.explain_feature_view('SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id', '{1 hour}');
RESET ROLE;
GRANT SELECT ON mixed, clicks TO fs_explain_reader;
SET ROLE fs_explain_reader;
SELECT count(*) FROM feature_stream.explain_feature_view('mixed');
SELECT count(*) FROM feature_stream.explain_feature_view('SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id', '{1 hour}');
RESET ROLE;

DROP FOREIGN TABLE clicks CASCADE;
DROP AGGREGATE joined(text);
DROP SERVER fs_explain CASCADE;
DROP SCHEMA fs_explain CASCADE;
REVOKE USAGE ON SCHEMA feature_stream FROM fs_explain_reader;
DROP ROLE fs_explain_reader;
SELECT feature_stream.set_test_clock(NULL);
