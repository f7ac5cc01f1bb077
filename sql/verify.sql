-- The batch side: preview, verify and explain run the query over the logged events in PostgreSQL's executor.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE ROLE fs_verify_reader;
CREATE SCHEMA fs_verify;
GRANT USAGE ON SCHEMA fs_verify, feature_stream TO fs_verify_reader;
SET search_path = fs_verify, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT feature_stream.set_test_clock('2024-01-15 12:20:10+00');

CREATE TABLE outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), arrived timestamptz, value text);

-- Waits until so many records are read, windows fired and the newest feature view is there.
CREATE PROCEDURE wait_for(records bigint, fired timestamptz, newest text) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT sum(read_count) = records FROM feature_stream.partition_position WHERE stream = 'orders'::regclass)
              AND (SELECT frontier = fired AND fire_window_end IS NULL FROM feature_stream.stream_state WHERE stream = 'orders'::regclass)
              AND EXISTS (SELECT FROM feature_stream.view_state WHERE view = newest::regclass)
              AND NOT EXISTS (SELECT FROM feature_stream.backfill WHERE state = 'pending')
              AND (SELECT state = 'running' AND durable_frontier = fired FROM feature_stream.stat_stream WHERE stream = 'orders'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
CREATE SERVER fs_verify FOREIGN DATA WRAPPER feature_stream_table;
CREATE FOREIGN TABLE orders (
    shop       int         NOT NULL,
    note       text,
    customer   text        NOT NULL,
    amount     numeric,
    weight     float8,
    ordered_at timestamptz NOT NULL
) SERVER fs_verify OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', arrival 'arrived', format 'json',
    event_time 'ordered_at', slice '1 min', watermark_delay '30 s', idle_after '1 day', start 'earliest',
    dead_letter_retention '30000 days');

-- Nothing was read yet.
SET client_min_messages = notice;
SELECT * FROM feature_stream.preview_feature_view('SELECT customer, count(*) AS n FROM orders GROUP BY customer', '{10 min}');
SELECT feature_stream.create_feature_view('sales', $$
    SELECT customer, count(*) AS n, sum(amount) AS total, array_agg(shop) AS shops, sum(weight) AS weight
      FROM orders WHERE 100 / amount > 1 GROUP BY customer $$, windows => '{5 min, 10 min}', slide => '1 min');
SELECT * FROM feature_stream.verify_feature_view('sales');

SELECT feature_stream.create_feature_view('steady', 'SELECT customer, count(*) AS n FROM orders GROUP BY customer',
    '{3 min}', '1 min', emit => 'every_slide', history_interval => '2 min');

-- Disorder, an event that is late for the shorter window alone (5), one that is late for all (6), equal times (2, 3),
-- one that WHERE filters (7), one for which WHERE raises an error (8), sums that overflow (9, 10).
INSERT INTO outbox (id, arrived, value)
SELECT id, '2024-01-15 12:00:00+00'::timestamptz + arrived,
       json_build_object('shop', shop, 'note', 'n' || id, 'customer', customer, 'amount', amount, 'weight', weight,
                         'ordered_at', '2024-01-15 12:00:00+00'::timestamptz + at)
  FROM (VALUES (1, interval '00:00:10', interval '00:00:05', 'ann', 1, 10.0, 1.5),
               (2, '00:01:20', '00:01:10', 'ann', 2, 20.00, 0.25), (3, '00:01:21', '00:01:10', 'ann', 3, 5, NULL),
               (4, '00:10:00', '00:10:00', 'bob', 1, 1.5, 2),
               (5, '00:10:01', '00:04:00', 'ann', 9, 7, 3), (6, '00:10:02', '-00:02:00', 'ann', 9, 7, 3),
               (7, '00:11:00', '00:11:00', 'ann', 7, 200, 1), (8, '00:11:01', '00:11:00', 'ann', 8, 0, 1),
               (9, '00:14:00', '00:14:00', 'cid', 1, 2, 1e308), (10, '00:14:01', '00:14:01', 'cid', 1, 3, 1e308),
               (11, '00:20:00', '00:20:00', 'dee', 5, 1, 1)) e (id, arrived, at, customer, shop, amount, weight);
CALL wait_for(11, '2024-01-15 12:19:00+00', 'steady');
SELECT reason, "offset" FROM feature_stream.dead_letter WHERE stream = 'orders'::regclass ORDER BY 2;

-- All is well.
SELECT customer, window_end, n_5m, total_5m, shops_5m, weight_5m, n_10m, total_10m, shops_10m, weight_10m
  FROM sales_history ORDER BY 1, 2;
SELECT * FROM feature_stream.verify_feature_view('sales');
SELECT * FROM feature_stream.verify_feature_view('sales', '2024-01-15 12:04:30+00', '2024-01-15 12:06:59+00');
SELECT * FROM feature_stream.verify_feature_view('sales', '2024-01-15 12:30:00+00');
SELECT * FROM feature_stream.verify_feature_view('sales', sample => 0.000001);

-- A preview of the same query gives the same rows.
\set query 'SELECT customer, count(*) AS n, sum(amount) AS total, array_agg(shop) AS shops, sum(weight) AS weight FROM orders WHERE 100 / amount > 1 GROUP BY customer'
SELECT count(*), bool_and(to_jsonb(h) @> p.features::jsonb AND to_jsonb(h) @> p.entity)
  FROM feature_stream.preview_feature_view(:'query', '{10 min, 5 min}', '1 min', since => '-infinity') p
       FULL JOIN sales_history h ON p.entity = jsonb_build_object('customer', h.customer) AND p.window_end = h.window_end;
SELECT * FROM feature_stream.preview_feature_view(:'query', '{10 min}');
SELECT * FROM feature_stream.preview_feature_view(:'query', '{10 min}', until => '2024-01-15 12:12:00+00');
SELECT entity, window_end, features->>'n_10m' AS n
  FROM feature_stream.preview_feature_view(:'query', '{10 min}', '5 min', since => '2024-01-15 12:06:00+00', "limit" => 2);
SELECT * FROM feature_stream.preview_feature_view(
    'SELECT shop, customer, max(amount) AS high FROM orders GROUP BY customer, shop', '{1 h}') ORDER BY entity->'shop', entity;

-- A row for each slide, kept every second one.
SELECT customer, window_end, n_3m FROM steady_history WHERE customer < 'c' ORDER BY 1, 2;
SELECT * FROM feature_stream.verify_feature_view('steady');

-- What explains a number.
SELECT status, event_time, "offset", late_by, counts_from, event->'amount' AS amount
  FROM feature_stream.explain_feature('sales', 'n_10m', '{"customer": "ann"}', '2024-01-15 12:11:00+00');
SELECT status, event_time, "offset", counts_from, event->'amount' AS amount, reason
  FROM feature_stream.explain_feature('sales', 'n_10m', '{"customer": "ann"}', '2024-01-15 12:06:00+00');
SELECT status, "offset" FROM feature_stream.explain_feature('sales', 'n_5m', '{"customer": "ann"}', '2024-01-15 12:12:00+00');
SELECT window_end, status, "offset" FROM feature_stream.explain_feature('sales', 'n_5m', '{"customer": "ann"}', '2024-01-15 12:08:59+00');
SELECT window_end, status, "offset" FROM feature_stream.explain_feature('sales', 'weight_10m', '{"customer": "cid"}');

-- Each damage is found, and nothing else.
BEGIN;
UPDATE sales_history SET n_5m = 7, shops_10m = '{1,3,2}' WHERE customer = 'ann' AND window_end = '2024-01-15 12:02:00+00';
UPDATE sales_history SET total_5m = total_5m + 0.000 WHERE customer = 'ann' AND window_end = '2024-01-15 12:06:00+00';
UPDATE sales_history SET weight_5m = 0, weight_10m = 'NaN' WHERE customer = 'cid' AND window_end = '2024-01-15 12:15:00+00';
DELETE FROM sales_history WHERE customer = 'bob' AND window_end = '2024-01-15 12:11:00+00';
INSERT INTO sales_history
SELECT 'eve', n_5m, total_5m, shops_5m, weight_5m, n_10m, total_10m, shops_10m, weight_10m, window_end, computed_at, available_at,
       complete, backfilled FROM sales_history WHERE customer = 'ann' AND window_end = '2024-01-15 12:01:00+00';
SELECT source, entity->>'customer' AS customer, window_end, feature, left(expected, 20) AS expected, left(found, 20) AS found, problem
  FROM feature_stream.verify_feature_view('sales');
SELECT entity, window_end, problem FROM feature_stream.verify_feature_view('sales', "to" => '2024-01-15 12:01:00+00');
ROLLBACK;

-- Without one of its events the log says something else than history and memory.
BEGIN;
SET LOCAL client_min_messages = warning;
DELETE FROM feature_stream.event_log WHERE stream = 'orders'::regclass AND slice = '2024-01-15 12:14:00+00';
UPDATE feature_stream.partition_position SET accepted_count = accepted_count - 2 WHERE stream = 'orders'::regclass;
SELECT source, entity, window_end, feature, problem FROM feature_stream.verify_feature_view('sales');
ROLLBACK;

-- What was dropped from the log cannot be verified.
BEGIN;
DELETE FROM feature_stream.event_log WHERE stream = 'orders'::regclass AND slice < '2024-01-15 12:01:00+00';
SELECT * FROM feature_stream.verify_feature_view('sales');
SELECT * FROM feature_stream.explain_feature('sales', 'n_10m', '{"customer": "ann"}', '2024-01-15 12:09:00+00');
ROLLBACK;
BEGIN;
DELETE FROM feature_stream.event_log WHERE stream = 'orders'::regclass AND slice < '2024-01-15 12:01:00+00';
SELECT min(window_end) FROM feature_stream.preview_feature_view(:'query', '{10 min}', '1 min', since => '-infinity');
ROLLBACK;

-- A view that came later, and rows that are newer than its first.
SELECT feature_stream.create_feature_view('newer', 'SELECT shop, count(*) AS n, max(customer) AS last FROM orders GROUP BY shop',
    '{10 min}', '1 min', backfill => false);
CALL wait_for(11, '2024-01-15 12:19:00+00', 'newer');
SELECT * FROM feature_stream.verify_feature_view('newer');
SELECT feature_stream.set_test_clock('2024-01-15 12:25:10+00');
INSERT INTO outbox (id, arrived, value) VALUES (12, '2024-01-15 12:25:00+00',
    '{"shop": 1, "customer": "ann", "amount": 3, "ordered_at": "2024-01-15T12:25:00Z"}');
CALL wait_for(12, '2024-01-15 12:24:00+00', 'newer');
SELECT shop, window_end, n_10m, last_10m FROM newer_history ORDER BY 1, 2;
SELECT * FROM feature_stream.verify_feature_view('newer');
SELECT * FROM feature_stream.verify_feature_view('sales');

-- Entity columns that are expressions: an event for which one raises (8) or is null (3) is of no entity.
\set query 'SELECT upper(customer) AS who, 100 / (nullif(shop, 3) - 8) AS part, count(*) AS n, sum(100 / (amount - 5)) FILTER (WHERE shop <> 3) AS parts, upper(customer) || count(*) AS label FROM orders WHERE amount < 100 GROUP BY upper(customer), 100 / (nullif(shop, 3) - 8)'
SELECT feature_stream.create_feature_view('mixed', :'query', '{5 min, 10 min}', '1 min');
CALL wait_for(12, '2024-01-15 12:24:00+00', 'mixed');
SELECT feature_stream.set_test_clock('2024-01-15 12:26:10+00');
INSERT INTO outbox (id, arrived, value) VALUES
    (13, '2024-01-15 12:26:00+00', '{"shop": 3, "customer": "ann", "amount": 3, "ordered_at": "2024-01-15T12:26:00Z"}'),
    (14, '2024-01-15 12:26:00+00', '{"shop": 8, "customer": "ann", "amount": 3, "ordered_at": "2024-01-15T12:26:00Z"}'),
    (15, '2024-01-15 12:26:00+00', '{"shop": 4, "customer": "ann", "amount": 5, "ordered_at": "2024-01-15T12:26:00Z"}'),
    (16, '2024-01-15 12:26:00+00', '{"shop": 4, "customer": "Ann", "amount": 4, "ordered_at": "2024-01-15T12:26:00Z"}');
SELECT feature_stream.checkpoint_stream('orders');
INSERT INTO outbox (id, arrived, value) VALUES
    (17, '2024-01-15 12:40:00+00', '{"shop": 1, "customer": "eve", "amount": 3, "ordered_at": "2024-01-15T12:40:00Z"}');
SELECT feature_stream.set_test_clock('2024-01-15 12:40:10+00');
CALL wait_for(17, '2024-01-15 12:39:00+00', 'mixed');
SELECT who, part, window_end, n_5m, parts_5m, label_5m, n_10m, label_10m FROM mixed_history ORDER BY 1, 2, 3;
SELECT message FROM feature_stream.dead_letter WHERE stream = 'orders'::regclass AND "offset" > 12 ORDER BY "offset", message;
SELECT * FROM feature_stream.verify_feature_view('mixed');
SELECT count(*) FROM feature_stream.verify_feature_view('mixed', sample => 0.5);
SELECT status, event_time, "offset", event->'shop' AS shop
  FROM feature_stream.explain_feature('mixed', 'parts_10m', '{"who": "ANN", "part": -25}', '2024-01-15 12:30:00+00');
SELECT count(*), bool_and(to_jsonb(h) @> p.features::jsonb AND to_jsonb(h) @> p.entity)
  FROM feature_stream.preview_feature_view(:'query', '{10 min, 5 min}', '1 min', since => '-infinity') p
       FULL JOIN mixed_history h ON p.entity = jsonb_build_object('who', h.who, 'part', h.part) AND p.window_end = h.window_end;
BEGIN;
UPDATE mixed_history SET label_5m = 'x' WHERE who = 'ANN' AND n_5m = 0;
DELETE FROM mixed_history WHERE who = 'DEE' AND n_10m = 1;
SELECT entity, window_end, feature, expected, found, problem FROM feature_stream.verify_feature_view('mixed');
ROLLBACK;
SELECT feature_stream.drop_feature_view('mixed', drop_history => true);

-- A column that the log has and the stream no longer.
ALTER FOREIGN TABLE orders DROP COLUMN note;
ALTER FOREIGN TABLE orders RENAME COLUMN amount TO price;
SELECT count(*) FROM feature_stream.verify_feature_view('sales', "to" => '2024-01-15 12:23:00+00');

-- Arguments.
SELECT * FROM feature_stream.preview_feature_view(NULL, '{10 min}');
SELECT * FROM feature_stream.preview_feature_view('SELECT customer, count(*) AS n FROM orders GROUP BY customer', '{90 s}');
SELECT * FROM feature_stream.preview_feature_view('SELECT customer, count(*) AS n FROM orders GROUP BY customer', '{10 min}', "limit" => -1);
SELECT * FROM feature_stream.preview_feature_view('SELECT customer FROM orders ORDER BY 1', '{10 min}');
SELECT * FROM feature_stream.preview_feature_view('SELECT 1; SELECT 2', '{10 min}');
SELECT * FROM feature_stream.preview_feature_view('SELECT id, count(*) FROM outbox GROUP BY id', '{10 min}');
SELECT * FROM feature_stream.verify_feature_view('orders');
SELECT * FROM feature_stream.verify_feature_view(NULL);
SELECT * FROM feature_stream.verify_feature_view('sales', sample => 0);
SELECT * FROM feature_stream.explain_feature('sales', 'n', '{"customer": "ann"}');
SELECT * FROM feature_stream.explain_feature('sales', 'n_5m', '"ann"');
SELECT * FROM feature_stream.explain_feature('sales', 'n_5m', '{"customer": ["ann"]}');
SELECT * FROM feature_stream.explain_feature('sales', 'n_5m', '{"customer": "ann", "shop": 1}');

-- Rights: the view's for verifying, with its history's; the stream's for looking at events.
SET ROLE fs_verify_reader;
SELECT * FROM feature_stream.preview_feature_view('SELECT shop, count(*) AS n FROM orders GROUP BY shop', '{10 min}');
SELECT * FROM feature_stream.verify_feature_view('sales');
RESET ROLE;
GRANT SELECT ON sales TO fs_verify_reader;
SET ROLE fs_verify_reader;
SELECT * FROM feature_stream.verify_feature_view('sales');
SELECT * FROM feature_stream.explain_feature('sales', 'n_5m', '{"customer": "ann"}');
RESET ROLE;
GRANT SELECT ON sales_history, orders TO fs_verify_reader;
SET ROLE fs_verify_reader;
SELECT count(*) FROM feature_stream.verify_feature_view('sales', "to" => '2024-01-15 12:23:00+00');
SELECT count(*) FROM feature_stream.explain_feature('sales', 'n_5m', '{"customer": "dee"}', '2024-01-15 12:24:00+00');
SELECT entity, features FROM feature_stream.preview_feature_view('SELECT shop, count(*) AS n FROM orders GROUP BY shop', '{10 min}');
RESET ROLE;

SET client_min_messages = warning;
SELECT feature_stream.drop_feature_view('sales', drop_history => true);
SELECT feature_stream.drop_feature_view('steady', drop_history => true);
SELECT feature_stream.drop_feature_view('newer', drop_history => true);
DROP FOREIGN TABLE orders;
DROP SERVER fs_verify;
DROP SCHEMA fs_verify CASCADE;
REVOKE USAGE ON SCHEMA feature_stream FROM fs_verify_reader;
DROP ROLE fs_verify_reader;
SELECT feature_stream.set_test_clock(NULL);
