-- Dead letters beyond the budget of a minute are counted: nothing is lost, and a storm stays bounded.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE ROLE fs_budget_other;
CREATE SCHEMA fs_budget;
GRANT USAGE ON SCHEMA fs_budget TO fs_budget_other;
SELECT feature_stream.grant_access('fs_budget_other');
SET search_path = fs_budget, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT feature_stream.set_test_clock('2024-01-15 13:00:30+00');

CREATE SERVER fs_budget FOREIGN DATA WRAPPER feature_stream_table;
CREATE TABLE outbox (id bigint PRIMARY KEY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), arrived timestamptz, value text);
CREATE FUNCTION stream(name text, budget text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    EXECUTE format($f$CREATE FOREIGN TABLE %s (user_id text NOT NULL, price int, at timestamptz NOT NULL)
        SERVER fs_budget OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', arrival 'arrived', event_time 'at',
            slice '1 min', watermark_delay '30 s', idle_after '1 day', start 'earliest', dead_letter_retention '30000 days' %s)$f$, name, budget);
END $$;
SELECT stream('x', $$, dead_letter_budget '-1'$$);
SELECT stream('x', $$, dead_letter_budget 'many'$$);
SELECT stream('few', $$, dead_letter_budget '3'$$);
SELECT stream('zero', $$, dead_letter_budget '0'$$);
SELECT stream('plenty', '');
SELECT feature_stream.create_feature_view(s || '_view', format('SELECT user_id, count(*) AS n, sum(10 / price) AS s FROM %s GROUP BY user_id', s), '{5 min}', '1 min')
  FROM unnest('{few,zero,plenty}'::text[]) s;
INSERT INTO outbox
SELECT i, pg_current_xact_id(), '2024-01-15 12:59:00+00'::timestamptz + i * interval '1 s',
       CASE WHEN i % 10 = 0 THEN '{"user_id": "u", "price": 1, "at": "2024-01-15T12:58:00Z"}'
            WHEN i % 10 = 5 THEN '{"user_id": "u", "price": 0, "at": "2024-01-15T12:58:00Z"}'
            WHEN i % 3 = 0 THEN '{"at": "2024-01-15T12:58:00Z"}' ELSE 'no JSON ' || i END
  FROM generate_series(1, 60) i;
DO $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT count(*) = 3 FROM feature_stream.partition_position WHERE next_offset = 60);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;

SELECT stream, partition, "offset", reason FROM feature_stream.dead_letter WHERE stream <> 'plenty'::regclass ORDER BY stream::text, "offset";
SELECT stream, partition, reason, recorded_at, min(first_offset) AS first, max(last_offset) AS last, sum(dead_letter_count) AS n,
       min(first_arrival) AS first_arrival, max(last_arrival) AS last_arrival, min(message) AS message
  FROM feature_stream.dead_letter_overflow GROUP BY 1, 2, 3, 4 ORDER BY stream::text, reason;
-- accepted + stored + counted = read
SELECT p.stream::regclass, p.read_count, p.accepted_count, p.dead_letter_count,
       (SELECT count(*) FROM feature_stream.dead_letter d WHERE d.stream = p.stream AND d.reason <> 'expression_error') AS stored,
       (SELECT COALESCE(sum(o.dead_letter_count), 0) FROM feature_stream.dead_letter_overflow o WHERE o.stream = p.stream AND o.reason <> 'expression_error') AS counted
  FROM feature_stream.partition_position p ORDER BY p.stream::regclass::text;
SELECT stream, reason, dead_letter_count, overflow_count, first_offset, last_offset, message, payload
  FROM feature_stream.dead_letter_summary WHERE stream <> 'plenty'::regclass ORDER BY stream::text, reason;
SET ROLE fs_budget_other;
SELECT count(*) FROM feature_stream.dead_letter_overflow;
RESET ROLE;

SET client_min_messages = error;
SELECT feature_stream.drop_feature_view(s || '_view', drop_history => true) FROM unnest('{few,zero,plenty}'::text[]) s;
DROP SCHEMA fs_budget CASCADE;
SELECT count(*) FROM feature_stream.dead_letter_overflow;
DROP SERVER fs_budget CASCADE;
DROP OWNED BY fs_budget_other;
DROP ROLE fs_budget_other;
SELECT feature_stream.set_test_clock(NULL);
