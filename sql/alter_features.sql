-- Features are added to a feature view and dropped from it: the history is that of a view that had them from the start.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE ROLE fs_features_owner;
CREATE ROLE fs_features_other;
SELECT feature_stream.grant_access('fs_features_owner');
SELECT feature_stream.grant_access('fs_features_other');
CREATE SCHEMA fs_features AUTHORIZATION fs_features_owner;
GRANT USAGE ON SCHEMA fs_features TO fs_features_other;
SET search_path = fs_features, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT feature_stream.set_test_clock('2024-01-15 12:10:10+00');

CREATE SERVER fs_features FOREIGN DATA WRAPPER feature_stream_table;
GRANT USAGE ON FOREIGN SERVER fs_features TO fs_features_owner;
SET ROLE fs_features_owner;
CREATE TABLE outbox (id bigint GENERATED ALWAYS AS IDENTITY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), arrived timestamptz, value text);
CREATE FOREIGN TABLE orders (
    customer   text        NOT NULL,
    shop       int         NOT NULL,
    amount     numeric,
    ordered_at timestamptz NOT NULL
) SERVER fs_features OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', arrival 'arrived', format 'json',
    event_time 'ordered_at', slice '1 min', watermark_delay '30 s', idle_after '1 day', start 'earliest',
    dead_letter_retention '30000 days', log_retention '2 days');
RESET ROLE;

-- One order at a time of day, that arrives now.
CREATE PROCEDURE send(customer text, shop int, amount numeric, at text) LANGUAGE sql AS $$
    INSERT INTO fs_features.outbox (arrived, value)
    SELECT greatest(('2024-01-15 ' || at || '+00')::timestamptz, max(arrived)),
           json_build_object('customer', customer, 'shop', shop, 'amount', amount, 'ordered_at', '2024-01-15T' || at || 'Z') FROM fs_features.outbox $$;

-- Moves the clock, and waits until all is read, windows are fired up to then, alterations have been met and nothing is left to fill.
CREATE PROCEDURE go_on(clock timestamptz, fired timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM feature_stream.set_test_clock(clock);
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT sum(read_count) = (SELECT count(*) FROM outbox) FROM feature_stream.partition_position WHERE stream = 'orders'::regclass)
              AND (SELECT frontier = fired AND fire_window_end IS NULL FROM feature_stream.stream_state WHERE stream = 'orders'::regclass)
              AND NOT EXISTS (SELECT FROM feature_stream.feature_view v LEFT JOIN feature_stream.view_state s ON s.view = v.view
                                     LEFT JOIN feature_stream.view_pause p ON p.view = v.view
                               WHERE v.stream = 'orders'::regclass AND s.paused IS DISTINCT FROM (p.view IS NOT NULL))
              AND NOT EXISTS (SELECT FROM feature_stream.stat_feature_view
                               WHERE stream = 'orders'::regclass AND state = 'active' AND frontier IS DISTINCT FROM fired)
              AND NOT EXISTS (SELECT FROM feature_stream.backfill WHERE state = 'pending')
              AND NOT EXISTS (SELECT FROM feature_stream.view_alteration WHERE state = 'pending')
              AND (SELECT state = 'running' FROM feature_stream.stat_stream WHERE stream = 'orders'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
CREATE FUNCTION difference(one regclass, other regclass, without text[] DEFAULT '{}') RETURNS TABLE (side text, h jsonb) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format($q$
        WITH a AS (SELECT to_jsonb(h) - '{computed_at,available_at,backfilled}'::text[] - %L::text[] AS h FROM %s h),
             b AS (SELECT to_jsonb(h) - '{computed_at,available_at,backfilled}'::text[] - %L::text[] AS h FROM %s h)
        (SELECT 'one', x.h FROM (TABLE a EXCEPT ALL TABLE b) x) UNION ALL (SELECT 'other', x.h FROM (TABLE b EXCEPT ALL TABLE a) x)
        $q$, without, one, without, other);
END $$;
-- Columns of a relation, in order.
CREATE FUNCTION columns_of(relation regclass) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped $$;

-- 'grown' and 'sparse' get features later that 'full' and 'dense' have.
SET ROLE fs_features_owner;
SELECT feature_stream.create_feature_view('full', 'SELECT customer, sum(amount) AS total, count(*) AS n, array_agg(amount) AS amounts,
    max(shop) FILTER (WHERE shop > 1) AS shop FROM orders WHERE amount > 0 GROUP BY customer', '{3 min, 10 min}', '1 min');
SELECT feature_stream.create_feature_view('grown', 'SELECT customer, count(*) AS n FROM orders WHERE amount > 0 GROUP BY customer',
    '{3 min, 10 min}', '1 min');
SELECT feature_stream.create_feature_view('dense', 'SELECT shop, customer, count(*) AS n, avg(shop) AS mean, sum(shop) AS sum FROM orders GROUP BY shop, customer',
    '{4 min, 10 min}', '1 min', emit => 'every_slide', history_interval => '2 min');
SELECT feature_stream.create_feature_view('sparse', 'SELECT shop, customer, sum(shop) AS sum FROM orders GROUP BY shop, customer',
    '{4 min, 10 min}', '1 min', emit => 'every_slide', history_interval => '2 min');
SELECT feature_stream.create_feature_view('unkept', 'SELECT customer, count(*) AS n FROM orders GROUP BY customer', '{10 min}', '1 min', history => 'none');
-- Nothing has been fired yet.
SELECT feature_stream.alter_feature_view('unkept', 'SELECT customer, count(*) AS n, min(amount) AS least FROM orders GROUP BY customer');
CALL send('ann', 1, 1, '12:00:05');
CALL send('bob', 2, 2.50, '12:01:10');
CALL send('ann', 2, 3, '12:04:00');
CALL send('ann', 3, -3, '12:05:00');
CALL send('dan', 2, 9, '12:08:30');
CALL send('cid', 1, 4, '12:10:00');
RESET ROLE;
CALL go_on('2024-01-15 12:10:10+00', '2024-01-15 12:09:00+00');
SELECT * FROM unkept ORDER BY 1;
CREATE TABLE before AS SELECT customer, window_end, computed_at, available_at, backfilled, n_3m, n_10m FROM grown_history;
SELECT count(*) FROM before;

-- What cannot be.
SET ROLE fs_features_owner;
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer, count(*) AS n, sum(amount) AS total FROM orders GROUP BY customer');
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer, count(*) AS n, sum(amount) AS total FROM orders WHERE amount > 1 GROUP BY customer');
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer, count(amount) AS n, sum(amount) AS total FROM orders WHERE amount > 0 GROUP BY customer');
SELECT feature_stream.alter_feature_view('grown', 'SELECT shop, count(*) AS n, sum(amount) AS total FROM orders WHERE amount > 0 GROUP BY shop');
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer AS c, count(*) AS n, sum(amount) AS total FROM orders WHERE amount > 0 GROUP BY customer');
SELECT feature_stream.alter_feature_view('sparse', 'SELECT customer, shop, sum(shop) AS sum, count(*) AS n FROM orders GROUP BY shop, customer');
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer, shop, count(*) AS n FROM orders WHERE amount > 0 GROUP BY customer, shop');
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer, count(*) AS n FROM orders WHERE amount > 0 GROUP BY customer');
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer, count(*) AS n, random() AS r FROM orders WHERE amount > 0 GROUP BY customer');
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer, count(*) AS n, sum(random()) AS r FROM orders WHERE amount > 0 GROUP BY customer');
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer, count(*) AS n, sum(amount) AS n FROM orders WHERE amount > 0 GROUP BY customer');
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer, count(*) AS n, nothing FROM orders');
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer, count(*) AS n, sum(amount) AS total FROM orders WHERE amount > 0 GROUP BY customer HAVING count(*) > 1');
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer, count(*) AS n, sum(1) AS s FROM outbox WHERE value > '''' GROUP BY customer');
SELECT feature_stream.alter_feature_view('grown', (SELECT format('SELECT customer, count(*) AS n, %s FROM orders WHERE amount > 0 GROUP BY customer',
    string_agg(format('count(*) + %s AS n%s', i, i), ', ')) FROM generate_series(1, 520) i));
SELECT feature_stream.alter_feature_view('grown', 'SELECT 1; SELECT 2');
SELECT feature_stream.alter_feature_view('grown', drop_history => NULL);
SELECT feature_stream.alter_feature_view('orders', 'SELECT customer, count(*) AS n FROM orders GROUP BY customer');
SET ROLE fs_features_other;
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer, sum(amount) AS total, count(*) AS n FROM orders WHERE amount > 0 GROUP BY customer');
SET ROLE fs_features_owner;
CREATE OR REPLACE VIEW grown_definition AS SELECT customer, count(*) AS n, sum(amount) AS total FROM orders WHERE amount > 0 GROUP BY customer;
BEGIN;
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer, sum(amount) AS total FROM orders WHERE amount > 0 GROUP BY customer', drop_history => true);
ROLLBACK;
SELECT columns_of('grown'), columns_of('grown_live'), columns_of('grown_history'), columns_of('grown_definition');
SELECT count(*) FROM feature_stream.stat_progress_backfill;

-- Added: between the others, by the owner and by somebody who may.
GRANT EXECUTE ON FUNCTION grown_as_of TO fs_features_other;
GRANT SELECT ON grown_history TO fs_features_other;
CREATE VIEW of_user AS SELECT g.n_3m, a.n_10m FROM grown g, grown_as_of(g.customer, g.window_end, 'infinity') a;
SELECT feature_stream.set_feature_tags('grown', 'n', '{"kept": true}');
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer, sum(amount) AS total, count(*) AS n, array_agg(amount) AS amounts,
    max(shop) FILTER (WHERE shop > 1) AS shop FROM orders WHERE amount > 0 GROUP BY customer');
RESET ROLE;
SELECT feature_stream.alter_feature_view('sparse', 'SELECT shop, customer, count(*) AS n, avg(shop) AS mean, sum(shop) AS sum FROM orders GROUP BY shop, customer');
CALL go_on('2024-01-15 12:10:10+00', '2024-01-15 12:09:00+00');
SELECT columns_of('grown'), columns_of('grown_live'), columns_of('grown_history'), columns_of('grown_definition');
SELECT relname, relowner::regrole FROM pg_class WHERE relname IN ('sparse', 'sparse_live', 'sparse_definition', 'sparse_history') ORDER BY 1;
SELECT view, reason, state, from_window_end, to_window_end, done_window_end, lost_window_end, row_count, started_at <= finished_at AS finished, error
  FROM feature_stream.stat_progress_backfill ORDER BY view::text;
SELECT * FROM difference('grown_history', 'full_history');
SELECT * FROM difference('sparse_history', 'dense_history');
SELECT * FROM difference('grown', 'full');
SELECT * FROM difference('sparse', 'dense');
SELECT * FROM difference('grown_live', 'full_live');
SELECT count(*) > 0 AS rows, count(*) FILTER (WHERE amounts_10m IS NOT NULL) > 0 AS filled FROM grown_history;
SELECT * FROM grown WHERE customer = 'ann';
SELECT * FROM grown WHERE customer = ANY ('{ann,cid}') ORDER BY customer;
-- What rows had stays.
SELECT count(*) FROM (TABLE before EXCEPT SELECT customer, window_end, computed_at, available_at, backfilled, n_3m, n_10m FROM grown_history) x;
SELECT count(*) FROM (SELECT customer, window_end, computed_at, available_at, backfilled, n_3m, n_10m FROM grown_history EXCEPT TABLE before) x;
-- Readers, registry, and what users made.
SET ROLE fs_features_other;
SELECT total_10m, n_10m FROM grown_as_of('ann', '2024-01-15 12:07:30+00', 'infinity');
RESET ROLE;
SELECT * FROM of_user ORDER BY 1, 2;
SELECT name, column_name, type, expression, description, tags FROM feature_stream.feature WHERE view = 'grown'::regclass ORDER BY position;
SELECT obj_description('grown_definition'::regclass), col_description('grown_history'::regclass, (SELECT attnum FROM pg_attribute WHERE attrelid = 'grown_history'::regclass AND attname = 'total_3m'));
SELECT feature, stream_column, usage FROM feature_stream.feature_lineage WHERE view = 'grown'::regclass AND usage = 'feature' ORDER BY 1, 2;
SELECT feature, aggregate, strategy FROM feature_stream.explain_feature_view('grown');
SELECT status, event_time, event FROM feature_stream.explain_feature('grown', 'total_10m', '{"customer": "ann"}') ORDER BY event_time;
SET client_min_messages = notice;
SELECT * FROM feature_stream.verify_feature_view('grown');
SELECT * FROM feature_stream.verify_feature_view('sparse');
SET client_min_messages = warning;

-- The live flow goes on from there.
CALL send('ann', 5, 5, '12:12:00');
CALL send('dee', 1, 6, '12:14:00');
CALL send('ann', 5, 7, '12:11:30');
CALL send('eve', 1, 8, '12:30:00');
CALL go_on('2024-01-15 12:30:10+00', '2024-01-15 12:29:00+00');
SELECT * FROM difference('grown_history', 'full_history');
SELECT * FROM difference('sparse_history', 'dense_history');
SELECT * FROM difference('grown', 'full');
SELECT * FROM feature_stream.verify_feature_view('grown');
SELECT * FROM feature_stream.verify_feature_view('sparse');

-- Dropped: what users made of it is in the way; the history keeps the columns unless told otherwise.
SET ROLE fs_features_owner;
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer, sum(amount) AS total, max(shop) FILTER (WHERE shop > 1) AS shop,
    min(amount) AS least FROM orders WHERE amount > 0 GROUP BY customer');
DROP VIEW of_user;
ALTER TABLE grown_history ALTER n_3m SET NOT NULL;
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer, sum(amount) AS total, max(shop) FILTER (WHERE shop > 1) AS shop,
    min(amount) AS least FROM orders WHERE amount > 0 GROUP BY customer');
SELECT feature_stream.create_feature_view('late', 'SELECT customer, sum(amount) AS total, max(shop) FILTER (WHERE shop > 1) AS shop,
    min(amount) AS least FROM orders WHERE amount > 0 GROUP BY customer', '{3 min, 10 min}', '1 min');
RESET ROLE;
CALL send('fay', 1, 9, '12:40:00');
CALL go_on('2024-01-15 12:40:10+00', '2024-01-15 12:39:00+00');
SELECT columns_of('grown'), columns_of('grown_live'), columns_of('grown_history'), columns_of('grown_definition');
SELECT past_columns FROM feature_stream.feature_view WHERE view = 'grown'::regclass;
SELECT name, tags FROM feature_stream.feature WHERE view = 'grown'::regclass AND "window" = '3 min' ORDER BY position;
SELECT count(*) FROM feature_stream.feature_tag WHERE view = 'grown'::regclass;
SELECT * FROM difference('grown_history', 'late_history', '{n_3m,n_10m,amounts_3m,amounts_10m}');
SELECT * FROM difference('grown', 'late');
SELECT max(window_end) FILTER (WHERE n_3m IS NOT NULL) AS with, min(window_end) FILTER (WHERE n_3m IS NULL) AS without FROM grown_history;
SELECT n_10m, total_10m FROM grown_as_of('ann', '2024-01-15 12:07:30+00', 'infinity');
SELECT * FROM feature_stream.verify_feature_view('grown');
SET ROLE fs_features_owner;
ALTER TABLE grown_history DROP COLUMN total_3m CASCADE;
ALTER TABLE grown_history RENAME COLUMN n_3m TO m;
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer, sum(amount) AS total, max(shop) FILTER (WHERE shop > 1) AS shop,
    min(amount) AS least, count(shop) AS n FROM orders WHERE amount > 0 GROUP BY customer');
SELECT feature_stream.alter_feature_view('grown', drop_history => true);
SELECT columns_of('grown_history'), past_columns FROM feature_stream.feature_view WHERE view = 'grown'::regclass;
-- Again with features that had been there, twice before any worker hears of it, and with an option.
SELECT feature_stream.pause_stream('orders');
DO $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT state = 'paused' FROM feature_stream.stat_stream WHERE stream = 'orders'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer, count(*) AS n, sum(amount) AS total, max(shop) FILTER (WHERE shop > 1) AS shop,
    min(amount) AS least FROM orders WHERE amount > 0 GROUP BY customer');
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer, sum(amount) AS total, count(*) AS n, array_agg(amount) AS amounts,
    max(shop) FILTER (WHERE shop > 1) AS shop FROM orders WHERE amount > 0 GROUP BY customer', drop_history => true, on_empty => 'set');
SELECT reason, state, to_window_end FROM feature_stream.stat_progress_backfill WHERE view = 'grown'::regclass AND state <> 'done';
SET client_min_messages = notice;
SELECT * FROM feature_stream.verify_feature_view('grown');
SET client_min_messages = warning;
SELECT feature_stream.resume_stream('orders');
RESET ROLE;
CALL go_on('2024-01-15 12:40:10+00', '2024-01-15 12:39:00+00');
SELECT columns_of('grown_history'), on_empty FROM feature_stream.feature_view WHERE view = 'grown'::regclass;
SELECT * FROM difference('grown_history', 'full_history');
SELECT * FROM difference('grown', 'full');
SELECT * FROM feature_stream.verify_feature_view('grown');

-- Paused, altered, resumed; without <view>_live, the as-of function and the history.
SET ROLE fs_features_owner;
SELECT feature_stream.pause_feature_view('late');
RESET ROLE;
CALL go_on('2024-01-15 12:40:10+00', '2024-01-15 12:39:00+00');
CALL send('ann', 4, 10, '12:50:00');
CALL go_on('2024-01-15 12:50:10+00', '2024-01-15 12:49:00+00');
SET ROLE fs_features_owner;
DROP FOREIGN TABLE late_live;
DROP FUNCTION late_as_of;
SELECT feature_stream.alter_feature_view('late', 'SELECT customer, sum(amount) AS total, count(*) AS n, array_agg(amount) AS amounts,
    max(shop) FILTER (WHERE shop > 1) AS shop FROM orders WHERE amount > 0 GROUP BY customer', drop_history => true);
SELECT feature_stream.resume_feature_view('late');
RESET ROLE;
CALL go_on('2024-01-15 12:50:10+00', '2024-01-15 12:49:00+00');
SELECT * FROM difference('late_history', 'full_history');
SELECT * FROM difference('late', 'full');
SELECT * FROM feature_stream.verify_feature_view('late');
SET ROLE fs_features_owner;
DROP TABLE late_history;
SELECT feature_stream.alter_feature_view('late', 'SELECT customer, sum(amount) AS total FROM orders WHERE amount > 0 GROUP BY customer');
SELECT feature_stream.alter_feature_view('unkept', 'SELECT customer, max(amount) AS most, min(amount) AS least FROM orders GROUP BY customer');
RESET ROLE;
CALL go_on('2024-01-15 12:50:10+00', '2024-01-15 12:49:00+00');
SELECT * FROM late ORDER BY 1;
SELECT * FROM unkept ORDER BY 1;

-- Where the log does not reach, new columns stay NULL.  A history that cannot be written says why.
DELETE FROM feature_stream.event_log WHERE stream = 'orders'::regclass AND slice < '2024-01-15 12:04:00+00';
CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not now''; END';
CREATE TRIGGER forbid BEFORE UPDATE ON grown_history FOR EACH ROW EXECUTE FUNCTION forbid();
SET ROLE fs_features_owner;
SELECT feature_stream.alter_feature_view('grown', 'SELECT customer, sum(amount) AS total, count(*) AS n, array_agg(amount) AS amounts,
    max(shop) FILTER (WHERE shop > 1) AS shop, min(shop) AS first FROM orders WHERE amount > 0 GROUP BY customer');
RESET ROLE;
DO $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN EXISTS (SELECT FROM feature_stream.stat_progress_backfill WHERE state = 'failed');
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT view, reason, state, row_count, error FROM feature_stream.stat_progress_backfill WHERE state <> 'done';
SET client_min_messages = notice;
SELECT * FROM feature_stream.verify_feature_view('grown');
SET client_min_messages = warning;
DROP TRIGGER forbid ON grown_history;
SET ROLE fs_features_owner;
SELECT feature_stream.alter_feature_view('unkept', 'SELECT customer, max(amount) AS most FROM orders GROUP BY customer');
RESET ROLE;
CALL go_on('2024-01-15 12:50:10+00', '2024-01-15 12:49:00+00');
SELECT from_window_end, to_window_end, lost_window_end, row_count, error FROM feature_stream.stat_progress_backfill
 WHERE view = 'grown'::regclass ORDER BY started_at DESC LIMIT 1;
SELECT max(window_end) FILTER (WHERE first_10m IS NULL AND n_10m > 0) AS unfilled, min(window_end) FILTER (WHERE first_10m IS NOT NULL) AS filled FROM grown_history;
SET client_min_messages = notice;
SELECT * FROM feature_stream.verify_feature_view('grown');
SET client_min_messages = warning;

DROP SCHEMA fs_features CASCADE;
SELECT (SELECT count(*) FROM feature_stream.view_alteration) + (SELECT count(*) FROM feature_stream.backfill) AS left;
DROP SERVER fs_features;
DROP OWNED BY fs_features_owner, fs_features_other;
DROP ROLE fs_features_owner, fs_features_other;
SELECT feature_stream.set_test_clock(NULL);
