-- Dead letters that come back: repaired, replayed, discarded.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE ROLE fs_replay_owner;
CREATE ROLE fs_replay_analyst;
CREATE ROLE fs_replay_reader;
CREATE ROLE fs_replay_other;
SELECT feature_stream.grant_access(r) FROM unnest('{fs_replay_owner,fs_replay_analyst,fs_replay_reader,fs_replay_other}'::regrole[]) r;
CREATE SCHEMA fs_replay AUTHORIZATION fs_replay_owner;
GRANT USAGE, CREATE ON SCHEMA fs_replay TO fs_replay_analyst;
GRANT USAGE ON SCHEMA fs_replay TO fs_replay_reader, fs_replay_other;
SET search_path = fs_replay, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT feature_stream.set_test_clock('2024-01-15 13:00:00+00');

CREATE SERVER fs_replay FOREIGN DATA WRAPPER feature_stream_table;
GRANT USAGE ON FOREIGN SERVER fs_replay TO fs_replay_owner;
SET ROLE fs_replay_owner;
CREATE TABLE outbox (id bigint PRIMARY KEY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), arrived timestamptz, value bytea);
CREATE FOREIGN TABLE clicks (
    user_id    text        NOT NULL CHECK (user_id <> ''),
    item_id    text        OPTIONS (field 'item') NOT NULL,
    price      int,
    clicked_at timestamptz OPTIONS (field 'timestamp', unit 's') NOT NULL
) SERVER fs_replay OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', arrival 'arrived', format 'json',
    event_time 'clicked_at', slice '1 min', watermark_delay '30 s', idle_after '1 day', start 'earliest',
    dead_letter_retention '30000 days');
GRANT SELECT ON clicks TO fs_replay_reader, fs_replay_analyst;
SELECT feature_stream.create_feature_view('session', $$
    SELECT user_id, count(*) AS n, array_agg(item_id) AS items FROM clicks WHERE item_id <> 'test' GROUP BY user_id $$,
    windows => '{2 min, 5 min}', slide => '1 min');
SELECT feature_stream.create_feature_view('totals', $$
    SELECT user_id, count(*) AS n, sum(price) AS price FROM clicks GROUP BY user_id $$, windows => '{5 min}', slide => '5 min');
RESET ROLE;
SET ROLE fs_replay_analyst;
SELECT feature_stream.create_feature_view('deals', $$
    SELECT item_id, sum(10 / price) AS inverse FROM clicks GROUP BY item_id $$, windows => '{5 min}', slide => '1 min');
RESET ROLE;
SET ROLE fs_replay_owner;
CREATE FUNCTION click(usr text, item text, at interval, price int DEFAULT 1) RETURNS bytea LANGUAGE sql AS $$
    SELECT convert_to(json_build_object('user_id', usr, 'item', item, 'price', price,
                                        'timestamp', extract(epoch FROM '2024-01-15 12:00:00+00'::timestamptz + at))::text, 'UTF8') $$;
CREATE VIEW counts AS
    SELECT p.read_count, p.accepted_count, p.partially_late_count, p.dead_letter_count, p.durable_offset, p.watermark, p.last_event_time
      FROM feature_stream.stat_partition p WHERE p.stream = 'fs_replay.clicks'::regclass;
CREATE VIEW views AS
    SELECT view, counted_count, filtered_count, late_count, expression_error_count
      FROM feature_stream.stat_feature_view WHERE stream = 'fs_replay.clicks'::regclass;
CREATE VIEW outcomes AS
    SELECT d."offset", d.reason AS was, o.outcome, o.reason, o.message, o.requested_by, o.why
      FROM feature_stream.dead_letter d LEFT JOIN feature_stream.dead_letter_outcome o USING (stream, partition, "offset", recorded_at)
     WHERE d.stream = 'fs_replay.clicks'::regclass AND d.reason <> 'expression_error';
-- Waits until so many records are read and durable, no replay is on its way, and so far windows have fired.
CREATE PROCEDURE wait_for(records bigint, fired timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT read_count = records AND pending_events = 0 AND durable_frontier = fired
                     FROM feature_stream.stat_stream WHERE stream = 'fs_replay.clicks'::regclass)
              AND NOT EXISTS (SELECT FROM feature_stream.dead_letter_outcome WHERE outcome = 'requested')
              AND (SELECT dead_letter_count FROM fs_replay.counts) = (SELECT count(*) FROM fs_replay.outcomes WHERE outcome IS DISTINCT FROM 'replayed');
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;

-- Windows fire up to 12:57.  Of 3 and 4, which have the same time, 3 comes back later.
INSERT INTO outbox VALUES
    (1, DEFAULT, '2024-01-15 12:55:31+00', click('ann', 'a1', '00:55:30')),
    (2, DEFAULT, '2024-01-15 12:56:01+00', click('', 'a2', '00:56:00')),
    (3, DEFAULT, '2024-01-15 12:57:11+00', click('', 'a3', '00:57:10')),
    (4, DEFAULT, '2024-01-15 12:57:12+00', click('ann', 'a4', '00:57:10')),
    (5, DEFAULT, '2024-01-15 12:57:20+00', '{'),
    (6, DEFAULT, '2024-01-15 12:57:21+00', NULL),
    (7, DEFAULT, '2024-01-15 12:57:22+00', click('bob', 'b7', '00:30:00')),
    (8, DEFAULT, '2024-01-15 12:57:23+00', click('bob', 'b8', '01:30:00')),
    (9, DEFAULT, '2024-01-15 12:57:24+00', click('bob', NULL, '00:57:24')),
    (10, DEFAULT, '2024-01-15 12:57:50+00', click('bob', 'b10', '00:57:40'));
INSERT INTO outbox VALUES (11, DEFAULT, '2024-01-15 12:58:00+00', 'null');
CALL wait_for(11, '2024-01-15 12:57:00+00');
SELECT "offset", was FROM outcomes ORDER BY 1;
TABLE counts;

-- Nobody but the owner repairs, and only what is the producer's.
RESET ROLE;
SET ROLE fs_replay_reader;
UPDATE feature_stream.dead_letter SET payload = '\x00';
SELECT feature_stream.replay_dead_letters('clicks');
SELECT feature_stream.discard_dead_letters('clicks', 'mine');
SET ROLE fs_replay_other;
SELECT count(*) FROM feature_stream.dead_letter_outcome;
RESET ROLE;
SET ROLE fs_replay_owner;
UPDATE feature_stream.dead_letter SET reason = 'none';
UPDATE feature_stream.dead_letter SET "offset" = 0;
DELETE FROM feature_stream.dead_letter;
INSERT INTO feature_stream.dead_letter SELECT * FROM feature_stream.dead_letter;
UPDATE feature_stream.dead_letter_outcome SET outcome = 'replayed';
SELECT feature_stream.replay_dead_letters(NULL);
SELECT feature_stream.replay_dead_letters('outbox');
SELECT feature_stream.replay_dead_letters('clicks', reason => 'broken');
SELECT feature_stream.replay_dead_letters('clicks', reason => 'expression_error');
SELECT feature_stream.discard_dead_letters('clicks', NULL);

-- Nothing is repaired: all are as bad as they were, and say so.  What arrived too early has arrived by now.
SELECT feature_stream.replay_dead_letters('clicks', first_offset => 5, last_offset => 9);
CALL wait_for(11, '2024-01-15 12:57:00+00');
SELECT * FROM outcomes WHERE outcome IS NOT NULL ORDER BY 1;
TABLE counts;

-- Repaired.  2 misses the windows that end at 12:57, 9 raises an error in a feature view.
UPDATE feature_stream.dead_letter SET payload = convert_to(replace(convert_from(payload, 'UTF8'), '"user_id" : ""', '"user_id" : "ann"'), 'UTF8')
 WHERE stream = 'clicks'::regclass AND reason = 'check_violation';
UPDATE feature_stream.dead_letter SET payload = click('bob', 'b' || "offset", interval '00:57:25', CASE "offset" WHEN 9 THEN 0 ELSE 1 END), key = 'k', headers = '[{"key": "repaired", "value": "yes"}]'
 WHERE stream = 'clicks'::regclass AND "offset" IN (5, 6, 9);
UPDATE feature_stream.dead_letter SET payload = payload, key = key WHERE stream = 'clicks'::regclass AND "offset" = 5;
SELECT "offset", convert_from(original_payload, 'UTF8') AS original_payload, original_key, original_headers, repaired_at IS NOT NULL AS repaired, headers
  FROM feature_stream.dead_letter WHERE stream = 'clicks'::regclass AND "offset" IN (5, 6, 8) ORDER BY 1;
UPDATE feature_stream.dead_letter SET original_payload = NULL, repaired_at = NULL;
SELECT feature_stream.replay_dead_letters('clicks', reason => 'check_violation', partition => 0);
CALL wait_for(11, '2024-01-15 12:57:00+00');
SELECT feature_stream.replay_dead_letters('clicks', since => '2024-01-15 12:57:21+00', until => '2024-01-15 12:57:24+00');
CALL wait_for(11, '2024-01-15 12:57:00+00');
SELECT feature_stream.replay_dead_letters('clicks', reason => 'missing_field');
CALL wait_for(11, '2024-01-15 12:57:00+00');
SELECT feature_stream.replay_dead_letters('clicks', reason => 'malformed', last_offset => 5);
CALL wait_for(11, '2024-01-15 12:57:00+00');
SELECT * FROM outcomes WHERE outcome IS NOT NULL ORDER BY 1;
TABLE counts;
SELECT * FROM views ORDER BY view::text;
SELECT "offset", message, payload = click('bob', 'b9', '00:57:25', 0) AS same, convert_from(key, 'UTF8') AS key, headers
  FROM feature_stream.dead_letter WHERE stream = 'clicks'::regclass AND reason = 'expression_error';
SELECT partition, "offset", event_time, arrival, late_bound, event->>'item_id' AS item FROM feature_stream.read_event_log('clicks') ORDER BY checkpoint, event_time, "offset";

-- Once is enough, also for who asks again; what was replayed is not repaired any more.
SELECT feature_stream.replay_dead_letters('clicks', reason => 'check_violation');
SELECT feature_stream.replay_dead_letters('clicks', first_offset => 5, last_offset => 6);
SELECT feature_stream.discard_dead_letters('clicks', 'no', reason => 'check_violation');
UPDATE feature_stream.dead_letter SET payload = '\x00' WHERE stream = 'clicks'::regclass AND "offset" = 2;
SELECT count(*) FROM feature_stream.dead_letter WHERE payload = '\x00';

-- A request that is rolled back, and one that cannot be prepared.
BEGIN;
SELECT feature_stream.replay_dead_letters('clicks', reason => 'late');
ROLLBACK;
BEGIN;
SELECT feature_stream.replay_dead_letters('clicks', reason => 'late');
PREPARE TRANSACTION 'replay';

-- Done with.
SELECT feature_stream.discard_dead_letters('clicks', 'a test of the producer', reason => 'late');
SELECT feature_stream.discard_dead_letters('clicks', 'again', reason => 'late');
SELECT feature_stream.replay_dead_letters('clicks', reason => 'late');
SELECT * FROM outcomes WHERE outcome IS DISTINCT FROM 'replayed' ORDER BY 1;
SELECT requested_at, finished_at FROM feature_stream.dead_letter_outcome WHERE stream = 'clicks'::regclass AND outcome = 'discarded';
SELECT hour, reason, dead_letter_count, requested_count, replayed_count, discarded_count, last_offset
  FROM feature_stream.dead_letter_summary WHERE stream = 'clicks'::regclass AND reason <> 'expression_error' ORDER BY reason;
SELECT sum(dead_letter_count + discarded_count) = (SELECT dead_letter_count FROM counts) AS sums_hold
  FROM feature_stream.dead_letter_summary WHERE stream = 'clicks'::regclass AND reason <> 'expression_error';

-- The worker is stopped and recovers from the log: the request waits for it.
SELECT feature_stream.pause_stream('clicks');
DO $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT state = 'paused' FROM feature_stream.stat_stream WHERE stream = 'clicks'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
UPDATE feature_stream.dead_letter SET payload = click('cid', 'c11', '00:58:30') WHERE stream = 'clicks'::regclass AND "offset" = 11;
SELECT feature_stream.replay_dead_letters('clicks', first_offset => 11);
SELECT outcome FROM outcomes WHERE "offset" = 11;
SELECT feature_stream.discard_dead_letters('clicks', 'too late for that', first_offset => 11);
SELECT feature_stream.resume_stream('clicks');
CALL wait_for(11, '2024-01-15 12:57:00+00');
SELECT outcome FROM outcomes WHERE "offset" = 11;
TABLE counts;

-- Windows fire, with what came back in the order in which it came, and the batch side has the same.
INSERT INTO outbox VALUES (12, DEFAULT, '2024-01-15 13:00:00+00', click('dee', 'd12', '01:00:40'));
CALL wait_for(12, '2024-01-15 12:59:00+00');
INSERT INTO outbox VALUES (13, DEFAULT, '2024-01-15 13:01:00+00', click('dee', 'd13', '01:01:00'));
RESET ROLE;
SELECT feature_stream.set_test_clock('2024-01-15 13:01:00+00');
SET ROLE fs_replay_owner;
CALL wait_for(13, '2024-01-15 13:00:00+00');
SELECT user_id, window_end, n_2m, items_2m, n_5m, items_5m FROM session_history ORDER BY 1, 2;
SELECT user_id, window_end, n_5m, price_5m FROM totals_history ORDER BY 1, 2;
SELECT * FROM feature_stream.verify_feature_view('session');
SELECT * FROM feature_stream.verify_feature_view('totals');
SELECT status, "offset", event_time, late_by FROM feature_stream.explain_feature('session', 'n_5m', '{"user_id": "ann"}', '2024-01-15 12:58:00+00') ORDER BY "offset";

-- By now they are all too late.
UPDATE feature_stream.dead_letter SET payload = click('eve', 'e8', '00:50:00') WHERE stream = 'clicks'::regclass AND "offset" = 8;
SELECT outcome FROM outcomes WHERE "offset" = 8;
SELECT feature_stream.replay_dead_letters('clicks', first_offset => 8, last_offset => 8);
CALL wait_for(13, '2024-01-15 13:00:00+00');
SELECT * FROM outcomes WHERE "offset" = 8;

-- The stream takes them along.
RESET ROLE;
SET client_min_messages = error;
SELECT feature_stream.drop_feature_view('session', drop_history => true);
SELECT feature_stream.drop_feature_view('totals', drop_history => true);
SELECT feature_stream.drop_feature_view('deals', drop_history => true);
DROP SCHEMA fs_replay CASCADE;
SELECT count(*) FROM feature_stream.dead_letter_outcome;
DROP SERVER fs_replay CASCADE;
DROP OWNED BY fs_replay_owner, fs_replay_analyst, fs_replay_reader, fs_replay_other;
DROP ROLE fs_replay_owner, fs_replay_analyst, fs_replay_reader, fs_replay_other;
SELECT feature_stream.set_test_clock(NULL);
