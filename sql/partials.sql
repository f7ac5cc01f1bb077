-- Partial aggregates of slides: values that are hard to put together, and memory that comes back.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE SCHEMA fs_partials;
SET search_path = fs_partials, public;
SET TimeZone = 'UTC';
SELECT feature_stream.set_test_clock('2024-01-16 18:00:00+00');
CREATE TABLE outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), value text);
CREATE SERVER fs_partials FOREIGN DATA WRAPPER feature_stream_table;
CREATE FOREIGN TABLE sales (shop text NOT NULL, item text, price numeric, score float8, qty int, big bigint, at timestamptz NOT NULL)
    SERVER fs_partials OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', event_time 'at',
    slice '1 min', watermark_delay '2 min', max_future '1 day', idle_after '1 day', start 'earliest', log_retention '7 days');
CREATE PROCEDURE wait_for(records bigint, clock timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 2400 LOOP
        EXIT WHEN (SELECT sum(read_count) = records FROM feature_stream.stat_partition WHERE stream = 'sales'::regclass)
              AND (SELECT durable_frontier >= clock - interval '2 min' FROM feature_stream.stat_stream WHERE stream = 'sales'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT feature_stream.create_feature_view('partials', $$
    SELECT shop, count(*) AS n, sum(price) AS total, avg(price) AS mean, var_pop(price) AS spread, min(price) AS least, max(price) AS most,
           min(score) AS low, max(score) AS high, sum(big) AS sum_big, stddev(big) AS dev_big, variance(qty) AS var_qty,
           count(DISTINCT item) AS items, count(DISTINCT price) AS prices, count(DISTINCT score) AS scores,
           mode() WITHIN GROUP (ORDER BY item) AS top, min(item) AS first, bit_xor(qty) AS parity, bool_or(qty > 8) AS many
      FROM sales GROUP BY shop $$, '{2 min, 1 hour}', '1 min');
SELECT DISTINCT keeps FROM feature_stream.explain_feature_view('partials') WHERE feature IS NOT NULL;

-- Equal values that differ, within a slide and over several, out of order; numbers with many digits, of many scales, and beyond 64 bits; none.
INSERT INTO outbox (id, value) SELECT row_number() OVER (), v FROM (VALUES
    ('{"shop": "ties", "price": 1.0, "score": 0, "item": "b", "at": "2024-01-15 12:00:20+00"}'),
    ('{"shop": "ties", "price": 1.00, "score": -0.0, "item": "a", "at": "2024-01-15 12:00:40+00"}'),
    ('{"shop": "ties", "price": 1, "score": 0, "item": "a", "at": "2024-01-15 12:00:30+00"}'),
    ('{"shop": "ties", "price": 1.000, "score": -0.0, "item": "b", "at": "2024-01-15 12:00:40+00"}'),
    ('{"shop": "ties", "price": 1.0, "score": 0, "item": "c", "at": "2024-01-15 12:01:10+00"}'),
    ('{"shop": "digits", "price": 123456789012345678901234567890.5, "big": 9223372036854775807, "at": "2024-01-15 12:00:20+00"}'),
    ('{"shop": "digits", "price": 0.000000000000000001, "big": 9223372036854775807, "at": "2024-01-15 12:00:21+00"}'),
    ('{"shop": "digits", "price": 999999999999999999, "big": -9223372036854775808, "at": "2024-01-15 12:00:22+00"}'),
    ('{"shop": "digits", "price": -0.00000000000000000000000000001, "big": 1, "at": "2024-01-15 12:00:23+00"}'),
    ('{"shop": "digits", "price": 3, "big": 9223372036854775806, "at": "2024-01-15 12:01:24+00"}'),
    ('{"shop": "nothing", "at": "2024-01-15 12:00:20+00"}'),
    -- numbers written otherwise: two pairs are equal, the third is not
    ('{"shop": "written", "price": 1e2, "at": "2024-01-15 12:00:20+00"}'),
    ('{"shop": "written", "price": 100, "at": "2024-01-15 12:00:21+00"}'),
    ('{"shop": "written", "price": -0.0, "at": "2024-01-15 12:00:22+00"}'),
    ('{"shop": "written", "price": 0.0, "at": "2024-01-15 12:01:23+00"}'),
    ('{"shop": "written", "price": 1.5e-10, "at": "2024-01-15 12:00:24+00"}'),
    ('{"shop": "written", "price": 1.5e-100, "at": "2024-01-15 12:01:25+00"}')) e (v);
-- A set that outgrows a record's: 5,000 items in a slide, three of them twice.
INSERT INTO outbox (id, value)
SELECT 100 + i, json_build_object('shop', 'many', 'item', 'i' || i % 5000, 'price', (i % 5000) / 10.0, 'score', i % 100, 'qty', i % 10,
       'at', timestamptz '2024-01-15 12:00:00+00' + i % 60 * interval '1 s') FROM generate_series(1, 5003) i;
INSERT INTO outbox (id, value) VALUES (10000, '{"shop": "clock", "at": "2024-01-15 12:06:00+00"}');
CALL wait_for(5021, '2024-01-15 12:06:00+00');
SELECT shop, n_1h AS n, total_1h, mean_1h, spread_1h, least_1h, most_1h, low_1h, high_1h FROM partials WHERE shop < 'clock' OR shop > 'd' ORDER BY 1;
SELECT shop, sum_big_1h, dev_big_1h, var_qty_1h, items_1h, prices_1h, scores_1h, top_1h, first_1h, parity_1h, many_1h FROM partials WHERE shop <> 'clock' ORDER BY 1;
SELECT * FROM feature_stream.verify_feature_view('partials');

-- The same after recovery from the log.
CREATE TABLE before AS TABLE partials;
SELECT pid FROM feature_stream.stat_stream WHERE stream = 'sales'::regclass \gset
SELECT pg_terminate_backend(:pid);
CREATE PROCEDURE wait_for_other(former int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 1200 LOOP
        EXIT WHEN (SELECT state = 'running' AND pid <> former FROM feature_stream.stat_stream WHERE stream = 'sales'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
CALL wait_for_other(:pid);
SELECT count(*) FROM before;
SELECT shop FROM (TABLE before EXCEPT TABLE partials) b UNION ALL SELECT shop FROM (TABLE partials EXCEPT TABLE before) p;

-- Memory comes back: waves of new items, each gone before the next one.
CREATE TABLE memory (wave int, bytes bigint);
CREATE PROCEDURE send_waves() LANGUAGE plpgsql AS $$
BEGIN
    FOR wave IN 1 .. 7 LOOP
        INSERT INTO outbox (id, value)
        SELECT 10000 + wave * 10000 + i, json_build_object('shop', 'shop ' || i % 40, 'item', wave || ' ' || i % 700, 'price', i / 100.0, 'score', i % 13, 'qty', i % 10,
               'at', timestamptz '2024-01-15 12:10:00+00' + wave * interval '2 hours' + i % 1800 * interval '1 s') FROM generate_series(1, 4000) i;
        INSERT INTO outbox (id, value)
        SELECT 19000 + wave * 10000, json_build_object('shop', 'clock', 'at', timestamptz '2024-01-15 12:10:00+00' + wave * interval '2 hours' + interval '110 min');
        COMMIT;
        CALL wait_for(5021 + wave * 4001, timestamptz '2024-01-15 12:10:00+00' + wave * interval '2 hours' + interval '110 min');
        FOR i IN 1 .. 1200 LOOP
            EXIT WHEN (SELECT entities <= 2 FROM feature_stream.stat_feature_view WHERE view = 'partials'::regclass)
                  AND (SELECT memory_bytes <= 1.1 * coalesce((SELECT m.bytes FROM memory m WHERE m.wave = 2), memory_bytes)
                         FROM feature_stream.stat_stream WHERE stream = 'sales'::regclass);
            COMMIT;
            PERFORM pg_sleep(0.05);
        END LOOP;
        INSERT INTO memory SELECT wave, memory_bytes FROM feature_stream.stat_stream WHERE stream = 'sales'::regclass;
        COMMIT;
    END LOOP;
END $$;
CALL send_waves();
SELECT wave, bytes FROM memory WHERE bytes > (SELECT 1.1 * bytes FROM memory WHERE wave = 2) AND wave > 2;
SELECT * FROM feature_stream.verify_feature_view('partials', sample => 0.2);

-- A slide of several slices: shops that had events in its first slice alone go as well.
SELECT feature_stream.create_feature_view('coarse', $$
    SELECT shop, count(*) AS n, count(DISTINCT item) AS items FROM sales GROUP BY shop $$, '{1 hour}', '5 min');
SELECT DISTINCT keeps FROM feature_stream.explain_feature_view('coarse') WHERE feature IS NOT NULL;
CREATE TABLE left_over (wave int, entities bigint, bytes bigint);
CREATE PROCEDURE send_early_events() LANGUAGE plpgsql AS $$
BEGIN
    FOR wave IN 1 .. 3 LOOP
        INSERT INTO outbox (id, value)
        SELECT 100000 + wave * 10000 + i, json_build_object('shop', 'early ' || i, 'item', 'item ' || i,
               'at', timestamptz '2024-01-16 04:10:30+00' + wave * interval '80 min') FROM generate_series(1, 2000) i;
        INSERT INTO outbox (id, value)
        SELECT 105000 + wave * 10000, json_build_object('shop', 'clock', 'at', timestamptz '2024-01-16 05:25:00+00' + wave * interval '80 min');
        COMMIT;
        CALL wait_for(33028 + wave * 2001, timestamptz '2024-01-16 05:25:00+00' + wave * interval '80 min');
        FOR i IN 1 .. 1200 LOOP
            EXIT WHEN (SELECT entities <= 1 FROM feature_stream.stat_feature_view WHERE view = 'coarse'::regclass)
                  AND (SELECT memory_bytes <= 1.1 * coalesce((SELECT l.bytes FROM left_over l WHERE l.wave = 1), memory_bytes)
                         FROM feature_stream.stat_stream WHERE stream = 'sales'::regclass);
            COMMIT;
            PERFORM pg_sleep(0.05);
        END LOOP;
        INSERT INTO left_over SELECT wave, v.entities, s.memory_bytes
          FROM feature_stream.stat_stream s, feature_stream.stat_feature_view v
         WHERE s.stream = 'sales'::regclass AND v.view = 'coarse'::regclass;
        COMMIT;
    END LOOP;
END $$;
SELECT feature_stream.drop_feature_view('partials');
CALL send_early_events();
SELECT wave, entities, bytes <= (SELECT 1.1 * bytes FROM left_over WHERE wave = 1) AS is_back FROM left_over ORDER BY wave;
SELECT count(*) FROM feature_stream.dead_letter WHERE stream = 'sales'::regclass;
SELECT * FROM feature_stream.verify_feature_view('coarse');

-- The first slice of all, at the beginning of 1970, is a slice like others: entities that begin there fire, and go.
CREATE TABLE first_outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), value text);
CREATE FOREIGN TABLE first_sales (shop text NOT NULL, at timestamptz NOT NULL)
    SERVER fs_partials OPTIONS ("table" 'first_outbox', order_by 'id', xid 'xid', value 'value', event_time 'at',
    slice '1 min', watermark_delay '0 s', max_future '1 day', idle_after '1 day', start 'earliest', log_retention '7 days');
SELECT feature_stream.create_feature_view('sliced', 'SELECT shop, count(*) AS n FROM first_sales GROUP BY shop', '{2 min}', '1 min');
SELECT feature_stream.create_feature_view('whole', 'SELECT shop, array_agg(at) AS times FROM first_sales GROUP BY shop', '{2 min}', '1 min');
INSERT INTO first_outbox (id, value) SELECT id, json_build_object('shop', shop, 'at', at) FROM (VALUES
    (1, 'first', '1970-01-01 00:00:00+00'), (2, 'first', '1970-01-01 00:00:30+00'), (3, 'second', '1970-01-01 00:01:30+00'),
    (4, 'clock', '1970-01-01 00:10:00+00')) e (id, shop, at);
CREATE PROCEDURE wait_for_first(entities bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 1200 LOOP
        EXIT WHEN (SELECT durable_frontier >= '1970-01-01 00:10:00+00' FROM feature_stream.stat_stream WHERE stream = 'first_sales'::regclass)
              AND (SELECT bool_and(v.entities = wait_for_first.entities) FROM feature_stream.stat_feature_view v
                    WHERE v.view IN ('sliced'::regclass, 'whole'::regclass));
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
CALL wait_for_first(1);
SELECT shop, window_end, n_2m FROM sliced_history ORDER BY 1, 2;
SELECT shop, window_end, times_2m FROM whole_history ORDER BY 1, 2;
SELECT view, entities FROM feature_stream.stat_feature_view WHERE view IN ('sliced'::regclass, 'whole'::regclass) ORDER BY 1;
DROP FOREIGN TABLE first_sales CASCADE;

DROP FOREIGN TABLE sales CASCADE;
DROP SERVER fs_partials CASCADE;
DROP SCHEMA fs_partials CASCADE;
SELECT feature_stream.set_test_clock(NULL);
