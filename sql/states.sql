-- States of aggregates in the place of events: what PostgreSQL can combine, in long windows.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE ROLE fs_states_owner;
CREATE SCHEMA fs_states;
GRANT USAGE, CREATE ON SCHEMA fs_states TO fs_states_owner;
SET search_path = fs_states, public;
SET TimeZone = 'UTC';
SELECT feature_stream.set_test_clock('2024-01-16 18:00:00+00');
CREATE TABLE outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), value text);
GRANT ALL ON outbox TO fs_states_owner;
CREATE SERVER fs_states FOREIGN DATA WRAPPER feature_stream_table;
GRANT USAGE ON FOREIGN SERVER fs_states TO fs_states_owner;
SELECT feature_stream.grant_access('fs_states_owner');
CREATE FUNCTION larger_of(anyelement, anyelement) RETURNS anyelement LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS
    'BEGIN RETURN CASE WHEN $1 > $2 THEN $1 ELSE $2 END; END';
-- Runs as the owner of the view, and refuses 13.
CREATE FUNCTION add_square(bigint, int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    IF current_user <> 'fs_states_owner' OR $2 = 13 THEN
        RAISE 'no square of % for %', $2, current_user;
    END IF;
    RETURN $1 + coalesce($2, 0)::bigint * coalesce($2, 0);
END $$;

CREATE AGGREGATE largest(anyelement) (SFUNC = larger_of, STYPE = anyelement, COMBINEFUNC = larger_of, PARALLEL = SAFE);
CREATE AGGREGATE squares(int) (SFUNC = add_square, STYPE = bigint, INITCOND = '0', COMBINEFUNC = int8pl, PARALLEL = SAFE);
CREATE AGGREGATE unsafe_squares(int) (SFUNC = add_square, STYPE = bigint, INITCOND = '0', COMBINEFUNC = int8pl);
CREATE AGGREGATE float_squares(float8) (SFUNC = float8pl, STYPE = float8, INITCOND = '0', COMBINEFUNC = float8pl, PARALLEL = SAFE);

SET ROLE fs_states_owner;
CREATE FOREIGN TABLE sales (shop text NOT NULL, item text, price numeric, score float8, qty int, at timestamptz NOT NULL)
    SERVER fs_states OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', event_time 'at',
    slice '1 min', watermark_delay '2 min', max_future '1 day', idle_after '1 day', start 'earliest', log_retention '7 days');
-- Which aggregates have states, and why others keep events.
SELECT feature, keeps, strategy, reason FROM feature_stream.explain_feature_view($$
    SELECT shop, count(*) AS n, feature_stream.approx_count_distinct(price) AS prices, squares(qty) AS squares FROM sales GROUP BY 1 $$, '{1 day}', '1 hour');
SELECT feature, keeps FROM feature_stream.explain_feature_view($$
    SELECT shop, feature_stream.approx_count_distinct(item) AS items, sum(score) AS total FROM sales GROUP BY 1 $$, '{1 day}', '1 hour') WHERE feature IS NOT NULL;
SELECT a, keeps, e.reason
  FROM (VALUES (1, 'feature_stream.approx_top_k(item, 3)', '{1 day}'::interval[]), (2, 'feature_stream.top_k(price, 3)', '{1 day}'),
               (3, 'feature_stream.last_n(item, 3)', '{1 day}'), (4, 'feature_stream.top_k(item, 3)', '{2 hours}')) v (i, a, w),
       LATERAL feature_stream.explain_feature_view(format('SELECT shop, %s AS f FROM sales GROUP BY shop', a), w, '1 hour') e
 WHERE feature IS NOT NULL ORDER BY i;
SELECT DISTINCT keeps FROM feature_stream.explain_feature_view('SELECT shop, unsafe_squares(qty) AS f FROM sales GROUP BY 1', '{1 day}', '1 hour') WHERE feature IS NOT NULL;
SELECT DISTINCT keeps FROM feature_stream.explain_feature_view('SELECT shop, float_squares(score) AS f FROM sales GROUP BY 1', '{1 day}', '1 hour') WHERE feature IS NOT NULL;

SELECT feature_stream.create_feature_view('states', $$
    SELECT shop, count(*) AS n, feature_stream.approx_count_distinct(item) AS items, feature_stream.approx_percentile(score, 0.9) FILTER (WHERE qty > 2) AS high,
           feature_stream.top_k(item, 2) AS top, squares(qty) AS squares, largest(item || '!') AS last, max(qty) - min(qty) AS span,
           sum(price) AS total, avg(at - timestamptz '2024-01-15 00:00:00+00') AS middle
      FROM sales GROUP BY shop $$, '{30 min, 20 hours}', '30 min');
RESET ROLE;
CREATE PROCEDURE wait_for(records bigint, frontier timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 2400 LOOP
        EXIT WHEN (SELECT sum(read_count) = records FROM feature_stream.stat_partition WHERE stream = 'sales'::regclass)
              AND (SELECT durable_frontier >= wait_for.frontier FROM feature_stream.stat_stream WHERE stream = 'sales'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
CREATE VIEW memory AS SELECT memory_bytes AS bytes FROM feature_stream.stat_stream WHERE stream = 'sales'::regclass;

-- Three shops, 40,000 events in 15 hours, all of them in the long window: their memory is that of 30 slides.
INSERT INTO outbox (id, value) VALUES (1, '{"shop": "clock", "at": "2024-01-15 00:00:00+00"}');
CALL wait_for(1, '2024-01-14 23:30:00+00');
SELECT bytes AS empty_bytes FROM memory \gset
INSERT INTO outbox (id, value)
SELECT 1 + i, json_build_object('shop', 's' || i % 3, 'item', CASE WHEN i % 7 > 0 THEN 'i' || i * i % 23 END, 'price', round((i % 500) / 100.0, 2),
       'score', CASE WHEN i % 11 > 0 THEN i % 97 - 20 END, 'qty', i % 10,
       'at', timestamptz '2024-01-15 01:00:00+00' + i * interval '1.35 s') FROM generate_series(1, 40000) i;
-- Of another one few, so that they stay; of another some that cannot be squared: its other features are there.
INSERT INTO outbox (id, value)
SELECT 50000 + i, json_build_object('shop', CASE WHEN i > 100 THEN 'odd' ELSE 'rare' END, 'item', 'i' || i % 5, 'price', i, 'score', i, 'qty', i % 14,
       'at', timestamptz '2024-01-15 16:02:00+00' - (i % 100) * interval '6 s') FROM (SELECT CASE WHEN i > 3 THEN 100 + i ELSE i END FROM generate_series(1, 60) i) e (i);
INSERT INTO outbox (id, value) VALUES (60000, '{"shop": "clock", "at": "2024-01-15 16:32:00+00"}');
CALL wait_for(40062, '2024-01-15 16:30:00+00');
SELECT (bytes - :empty_bytes) / 40000.0 < 5 AS is_small FROM memory;
SELECT shop, n_20h AS n, items_20h AS items, high_20h AS high, top_20h AS top, squares_20h AS squares, last_20h AS last, span_20h AS span, total_20h AS total, middle_20h AS middle
  FROM states ORDER BY 1;
SELECT shop, n_30m AS n, items_30m AS items, top_30m AS top, squares_30m AS squares, total_30m AS total FROM states ORDER BY 1;
SELECT shop, n_20h, items_20h, squares_30m FROM states_live ORDER BY 1;
SET ROLE fs_states_owner;
SELECT * FROM feature_stream.verify_feature_view('states');
RESET ROLE;

-- Late ones enter slides that are over.
INSERT INTO outbox (id, value)
SELECT 60000 + i, json_build_object('shop', 's' || i % 2, 'item', 'late' || i % 3, 'price', i, 'score', 1000 + i, 'qty', 3,
       'at', timestamptz '2024-01-15 15:00:00+00' - i * interval '19 min') FROM generate_series(1, 40) i;
INSERT INTO outbox (id, value) VALUES (60100, '{"shop": "clock", "at": "2024-01-15 17:02:00+00"}');
CALL wait_for(40103, '2024-01-15 17:00:00+00');
SELECT shop, n_20h, items_20h, top_20h, squares_20h FROM states WHERE shop LIKE 's%' ORDER BY 1;

-- The same after recovery from the log, in as little memory.
CREATE TABLE before AS TABLE states;
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
SELECT shop FROM (TABLE before EXCEPT TABLE states) b UNION ALL SELECT shop FROM (TABLE states EXCEPT TABLE before) s;
SELECT (bytes - :empty_bytes) / 40000.0 < 7 AS is_small FROM memory;

-- They go with their slides, and memory comes back.
INSERT INTO outbox (id, value)
SELECT 70000 + i, json_build_object('shop', 's' || i % 3, 'item', 'new' || i % 5, 'price', i % 3, 'score', i % 9, 'qty', i % 4,
       'at', timestamptz '2024-01-15 17:10:00+00' + i * interval '5 s') FROM generate_series(1, 1000) i;
INSERT INTO outbox (id, value) VALUES (80000, '{"shop": "clock", "at": "2024-01-16 10:02:00+00"}');
CALL wait_for(41104, '2024-01-16 10:00:00+00');
SELECT shop, n_20h, items_20h, top_20h, squares_20h, total_20h FROM states ORDER BY 1;
INSERT INTO outbox (id, value) VALUES (80001, '{"shop": "clock", "at": "2024-01-16 16:02:00+00"}');
CALL wait_for(41105, '2024-01-16 16:00:00+00');
CREATE PROCEDURE wait_for_memory(most bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 1200 LOOP
        EXIT WHEN (SELECT bytes <= most FROM memory)
              AND (SELECT entities <= 1 FROM feature_stream.stat_feature_view WHERE view = 'states'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
CALL wait_for_memory(:empty_bytes + 40000);
SELECT v.entities, m.bytes <= :empty_bytes + 40000 AS is_back FROM memory m, feature_stream.stat_feature_view v WHERE v.view = 'states'::regclass;
-- A correction becomes the 512th event of an entity, some of which stand in a slide that is over: it comes into the rings outside of a transaction.
INSERT INTO outbox (id, value)
SELECT 90000 + i, json_build_object('shop', 'full', 'item', 'i' || i, 'price', i, 'score', i, 'qty', 1,
       'at', timestamptz '2024-01-16 16:05:00+00' + i * interval '1 s') FROM generate_series(1, 5) i;
INSERT INTO outbox (id, value) VALUES (90010, '{"item": "corrected", "price": 6, "score": 6, "qty": 1, "at": "2024-01-16 16:06:00+00"}');
INSERT INTO outbox (id, value)
SELECT 91000 + i, json_build_object('shop', 'full', 'item', 'i' || i % 10, 'price', 1, 'score', i, 'qty', 2,
       'at', timestamptz '2024-01-16 16:32:00+00' + i * interval '1 s') FROM generate_series(1, 506) i;
CALL wait_for(41617, '2024-01-16 16:30:00+00');
SELECT pid AS former FROM feature_stream.stat_stream WHERE stream = 'sales'::regclass \gset
SET ROLE fs_states_owner;
UPDATE feature_stream.dead_letter SET payload = convert_to(jsonb_set(convert_from(payload, 'UTF8')::jsonb, '{shop}', '"full"')::text, 'UTF8')
 WHERE stream = 'sales'::regclass AND reason = 'missing_field';
SELECT feature_stream.replay_dead_letters('sales', corrections => true);
RESET ROLE;
CREATE PROCEDURE wait_for_corrections() LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 2400 LOOP
        EXIT WHEN (SELECT bool_and(corrected_at IS NOT NULL) FROM feature_stream.dead_letter_outcome WHERE stream = 'sales'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
CALL wait_for_corrections();
SELECT outcome, corrected_rows FROM feature_stream.dead_letter_outcome WHERE stream = 'sales'::regclass;
SELECT pid = :former AS is_same FROM feature_stream.stat_stream WHERE stream = 'sales'::regclass;
SELECT shop, window_end, n_30m, items_30m, squares_30m, n_20h FROM states WHERE shop = 'full';
SELECT shop, n_20h, squares_20h FROM states_live WHERE shop = 'full';
SET ROLE fs_states_owner;
SELECT * FROM feature_stream.verify_feature_view('states');
RESET ROLE;
SELECT count(*) FROM feature_stream.dead_letter WHERE stream = 'sales'::regclass;

DROP FOREIGN TABLE sales CASCADE;
DROP SERVER fs_states CASCADE;
DROP SCHEMA fs_states CASCADE;
DROP OWNED BY fs_states_owner;
DROP ROLE fs_states_owner;
SELECT feature_stream.set_test_clock(NULL);
