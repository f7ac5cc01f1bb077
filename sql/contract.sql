-- The contract of a stream changes while it has state: columns come and go at recorded offsets.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE SCHEMA fs_contract;
SET search_path = fs_contract, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT feature_stream.set_test_clock('2024-01-15 12:20:10+00');

CREATE TABLE outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), arrived timestamptz, value text);

-- Waits until so many records are read, windows fired, and the newest contract is in force.
CREATE PROCEDURE wait_for(records bigint, fired timestamptz, name text DEFAULT 'orders') LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT sum(read_count) = records FROM feature_stream.partition_position WHERE stream = name::regclass)
              AND (SELECT frontier = fired AND fire_window_end IS NULL FROM feature_stream.stream_state WHERE stream = name::regclass)
              AND NOT EXISTS (SELECT FROM feature_stream.stream_contract WHERE stream = name::regclass AND offsets IS NULL)
              AND NOT EXISTS (SELECT FROM feature_stream.feature_view f LEFT JOIN feature_stream.view_state s USING (view)
                               WHERE f.stream = name::regclass AND s.view IS NULL)
              AND NOT EXISTS (SELECT FROM feature_stream.backfill WHERE state = 'pending')
              AND (SELECT state = 'running' AND durable_frontier = fired FROM feature_stream.stat_stream WHERE stream = name::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;

CREATE SERVER fs_contract FOREIGN DATA WRAPPER feature_stream_table;
CREATE FOREIGN TABLE orders (
    customer   text        NOT NULL,
    amount     int         NOT NULL,
    note       text,
    ordered_at timestamptz NOT NULL
) SERVER fs_contract OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', arrival 'arrived', format 'json',
    event_time 'ordered_at', slice '1 min', watermark_delay '30 s', idle_after '1 day', start 'earliest',
    dead_letter_retention '30000 days');

-- Before anything was read, columns change as they like.
-- A worker that has read without the column, and not committed, must read again.
SELECT epoch FROM feature_stream.stream_state WHERE stream = 'orders'::regclass \gset
ALTER FOREIGN TABLE orders ADD COLUMN early bigint NOT NULL;
SELECT epoch > :epoch AS fenced FROM feature_stream.stream_state WHERE stream = 'orders'::regclass;
ALTER FOREIGN TABLE orders ALTER COLUMN early TYPE text;
ALTER FOREIGN TABLE orders DROP COLUMN early;
SELECT version, columns, missing, changed_by = current_user AS by_me, offsets, effective_at FROM feature_stream.stream_contract
 WHERE stream = 'orders'::regclass ORDER BY version;

-- What was noted of a column is not for another type.
CREATE TABLE halves_outbox (LIKE outbox INCLUDING DEFAULTS);
CREATE FOREIGN TABLE halves (customer text NOT NULL, ordered_at timestamptz NOT NULL) SERVER fs_contract
OPTIONS ("table" 'halves_outbox', order_by 'id', xid 'xid', value 'value', arrival 'arrived', format 'json', event_time 'ordered_at', slice '1 min',
    watermark_delay '30 s', idle_after '1 day', start 'earliest');
ALTER FOREIGN TABLE halves ADD COLUMN half float8 DEFAULT 1.5, ADD COLUMN same float8 DEFAULT 2.5;
ALTER FOREIGN TABLE halves ALTER COLUMN half TYPE int;
SELECT version, missing FROM feature_stream.stream_contract WHERE stream = 'halves'::regclass ORDER BY version;
SELECT feature_stream.create_feature_view('half', 'SELECT customer, array_agg(half) AS list FROM halves GROUP BY customer', '{10 min}', '1 min');
INSERT INTO halves_outbox (id, arrived, value) VALUES
    (1, '2024-01-15 12:01:00+00', '{"customer": "ann", "ordered_at": "2024-01-15T12:01:00Z", "half": 7}'),
    (2, '2024-01-15 12:02:00+00', '{"customer": "ann", "ordered_at": "2024-01-15T12:02:00Z"}'),
    (3, '2024-01-15 12:04:00+00', '{"customer": "bob", "ordered_at": "2024-01-15T12:04:00Z"}');
CALL wait_for(3, '2024-01-15 12:03:00+00', 'halves');
SELECT customer, window_end, list_10m FROM half;
SELECT "offset", event -> 'half' AS half FROM feature_stream.read_event_log('halves') ORDER BY "offset";
SELECT * FROM feature_stream.verify_feature_view('half');
DROP FOREIGN TABLE halves CASCADE;

SELECT feature_stream.create_feature_view('sales', 'SELECT customer, count(*) AS n, sum(amount) AS total FROM orders GROUP BY customer',
    '{10 min}', '1 min');
-- All records have the fields from the beginning; before the columns are there nobody looks.
CREATE PROCEDURE order_at(number bigint, at interval, customer text, amount text, more jsonb DEFAULT '{"device": "phone", "qty": 7}') LANGUAGE sql AS $$
    INSERT INTO outbox (id, arrived, value) VALUES (number, '2024-01-15 12:00:00+00'::timestamptz + at,
        jsonb_build_object('customer', customer, 'amount', amount::jsonb, 'note', 'n' || number, 'ordered_at', '2024-01-15 12:00:00+00'::timestamptz + at) || more);
$$;
CALL order_at(10, '0:01', 'ann', '10');
CALL order_at(11, '0:02', 'bob', '20');
CALL order_at(12, '0:03', 'ann', '"many"');
CALL order_at(13, '0:04', 'ann', '30');
CALL wait_for(4, '2024-01-15 12:03:00+00');

-- Columns come.  What the log has of them is what DEFAULT was when they came, under whatever settings.
SET TimeZone = 'Asia/Tokyo';
SET DateStyle = 'German';
SET extra_float_digits = -10;
ALTER FOREIGN TABLE orders ADD COLUMN device text DEFAULT 'unknown', ADD COLUMN qty int;
ALTER FOREIGN TABLE orders
    ADD COLUMN since timestamptz DEFAULT '2023-12-31 23:59:59.123456+00', ADD COLUMN price numeric DEFAULT 1.50,
    ADD COLUMN extra jsonb DEFAULT '{"a": ["\"b\"", null]}', ADD COLUMN paid boolean DEFAULT true, ADD COLUMN day date DEFAULT '2024-02-29',
    ADD COLUMN mark uuid DEFAULT '00000000-0000-0000-0000-00000000000a', ADD COLUMN weight float8 DEFAULT 0.1::float8 + 0.2::float8,
    ADD COLUMN nothing text DEFAULT NULL;
RESET extra_float_digits;
SET DateStyle = 'ISO';
SET TimeZone = 'UTC';
CALL wait_for(4, '2024-01-15 12:03:00+00');
SELECT version, (SELECT string_agg(c ->> 'name', ' ') FROM jsonb_array_elements(columns) c) AS columns, missing, offsets, effective_at IS NOT NULL AS in_force
  FROM feature_stream.stream_contract WHERE stream = 'orders'::regclass ORDER BY version;
CALL order_at(14, '0:05', 'ann', '40');
CALL order_at(15, '0:06', 'ann', '50', '{}');
CALL order_at(16, '0:07', 'bob', '60', '{"device": null, "qty": 1, "weight": 2.5}');
CALL wait_for(7, '2024-01-15 12:06:00+00');
SELECT "offset", event ->> 'device' AS device, event -> 'qty' AS qty, event - '{customer,amount,note,ordered_at,device,qty}'::text[] AS rest
  FROM feature_stream.read_event_log('orders') ORDER BY "offset";

-- A view over them looks at old events and new ones, and so does everything that is told of it.
SELECT feature_stream.create_feature_view('devices', $$SELECT customer, count(*) AS n, count(DISTINCT device) AS devices, array_agg(device) AS list,
    sum(qty) AS qty, sum(weight) AS weight, max(since) AS since, sum(price) AS price FROM orders WHERE paid GROUP BY customer$$, '{10 min}', '1 min');
CALL wait_for(7, '2024-01-15 12:06:00+00');
SELECT customer, window_end, n_10m, devices_10m, list_10m, qty_10m, weight_10m, since_10m, price_10m FROM devices ORDER BY customer;
SELECT customer, window_end, list_10m, backfilled FROM devices_history ORDER BY customer, window_end;
SELECT "offset", status, event -> 'device' AS device FROM feature_stream.explain_feature('devices', 'list_10m', '{"customer": "ann"}', '2024-01-15 12:06:00+00');
SELECT entity, window_end, features -> 'd_5m' AS d FROM feature_stream.preview_feature_view(
    'SELECT customer, array_agg(device) AS d FROM orders GROUP BY customer', '{5 min}', '1 min', since => '2024-01-15 12:06:00+00') ORDER BY 1, 2;
SELECT * FROM feature_stream.verify_feature_view('sales');
SELECT * FROM feature_stream.verify_feature_view('devices');

-- Another DEFAULT is for records that come; what was without the column stays as it is.
ALTER FOREIGN TABLE orders ALTER COLUMN device SET DEFAULT 'other', ALTER COLUMN qty SET DEFAULT 5;
CALL wait_for(7, '2024-01-15 12:06:00+00');
-- A dead letter from before comes back by the contract of now.
UPDATE feature_stream.dead_letter SET payload = convert_to(replace(convert_from(payload, 'UTF8'), '"many"', '25'), 'UTF8') WHERE stream = 'orders'::regclass;
SELECT feature_stream.replay_dead_letters('orders');
DO $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT outcome = 'replayed' FROM feature_stream.dead_letter_outcome WHERE stream = 'orders'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
CALL order_at(17, '0:08', 'ann', '70', '{}');
CALL wait_for(8, '2024-01-15 12:07:00+00');
SELECT "offset", event ->> 'device' AS device, event -> 'qty' AS qty FROM feature_stream.read_event_log('orders') ORDER BY "offset";
SELECT customer, window_end, list_10m, qty_10m FROM devices ORDER BY customer;
SELECT * FROM feature_stream.verify_feature_view('devices');

-- Columns go, unless something is built on them.
ALTER FOREIGN TABLE orders DROP COLUMN qty;
ALTER FOREIGN TABLE orders DROP COLUMN note, DROP COLUMN day;
ALTER FOREIGN TABLE orders RENAME COLUMN mark TO marked;
-- A name that comes again is another column.
ALTER FOREIGN TABLE orders ADD COLUMN note text DEFAULT 'new';
CALL wait_for(8, '2024-01-15 12:07:00+00');
SELECT DISTINCT event ->> 'note' AS note, event ? 'day' AS has_day, event ->> 'marked' AS marked FROM feature_stream.read_event_log('orders');
SELECT * FROM feature_stream.verify_feature_view('devices');
SELECT version, missing, offsets FROM feature_stream.stream_contract WHERE stream = 'orders'::regclass ORDER BY version DESC LIMIT 1;

-- Events have NULL in a column that has become NOT NULL, however often they are read.
ALTER FOREIGN TABLE orders ADD COLUMN q int, ADD COLUMN given int NOT NULL DEFAULT 6;
CALL order_at(18, '0:09', 'ann', '80', '{}');
CALL order_at(19, '0:09', 'bob', '90', '{"q": 300}');
CALL wait_for(10, '2024-01-15 12:08:00+00');
ALTER FOREIGN TABLE orders ALTER COLUMN q SET NOT NULL;
CALL order_at(20, '0:10', 'ann', '100', '{"q": 4, "given": 5}');
CALL order_at(21, '0:11', 'ann', '110', '{"q": 5}');
CALL wait_for(12, '2024-01-15 12:10:00+00');
SELECT (SELECT string_agg(c ->> 'name', ' ' ORDER BY n) FROM jsonb_array_elements(columns) c, unnest(never_null) n WHERE (c -> 'number')::int2 = n) AS never_null,
       (SELECT string_agg(c ->> 'name', ' ') FROM jsonb_array_elements(columns) c WHERE (c -> 'not_null')::bool) AS not_null
  FROM feature_stream.stream_contract WHERE stream = 'orders'::regclass ORDER BY version DESC LIMIT 1;
SELECT feature_stream.create_feature_view('lists', 'SELECT customer, array_agg(q) AS q FROM orders GROUP BY customer', '{10 min}', '1 min');
CALL wait_for(12, '2024-01-15 12:10:00+00');
SELECT customer, window_end, q_10m FROM lists ORDER BY customer;
SELECT pg_terminate_backend(pid, 60000) FROM feature_stream.stat_stream WHERE stream = 'orders'::regclass;
CALL order_at(22, '0:12', 'bob', '120', '{"q": 6}');
CALL wait_for(13, '2024-01-15 12:11:00+00');
SELECT customer, window_end, q_10m FROM lists ORDER BY customer;
SELECT * FROM feature_stream.verify_feature_view('lists');

-- What cannot be.
ALTER FOREIGN TABLE orders ALTER COLUMN price TYPE float8;
ALTER FOREIGN TABLE orders ALTER COLUMN extra TYPE text;
ALTER FOREIGN TABLE orders ADD COLUMN needed text NOT NULL;
ALTER FOREIGN TABLE orders ADD COLUMN needed text NOT NULL DEFAULT NULL;
ALTER FOREIGN TABLE orders ADD COLUMN since2 timestamptz DEFAULT now();
ALTER FOREIGN TABLE orders ADD COLUMN stamp timestamp;
ALTER FOREIGN TABLE orders ADD COLUMN other text OPTIONS (field 'device');
SELECT count(*) FROM feature_stream.stream_contract WHERE stream = 'orders'::regclass;
BEGIN;
ALTER FOREIGN TABLE orders ADD COLUMN undone text NOT NULL DEFAULT 'x';
SELECT missing FROM feature_stream.stream_contract WHERE stream = 'orders'::regclass ORDER BY version DESC LIMIT 1;
ROLLBACK;
SELECT count(*) FROM feature_stream.stream_contract WHERE stream = 'orders'::regclass;

\set VERBOSITY default
ALTER FOREIGN TABLE orders ALTER COLUMN extra TYPE text;
ALTER FOREIGN TABLE orders DROP COLUMN qty;
ALTER FOREIGN TABLE orders ADD COLUMN needed text NOT NULL;
\set VERBOSITY terse
SELECT 'orders'::regclass::oid AS stream \gset
DROP FOREIGN TABLE orders CASCADE;
SELECT count(*) FROM feature_stream.stream_contract WHERE stream = :stream;
DROP SERVER fs_contract;
DROP SCHEMA fs_contract CASCADE;
SELECT feature_stream.set_test_clock(NULL);
