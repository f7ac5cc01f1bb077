-- Dead letters that come back with corrections: windows that have fired count them, in rows of a new revision.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE ROLE fs_corrections;
SELECT feature_stream.grant_access('fs_corrections');
CREATE SCHEMA fs_corrections AUTHORIZATION fs_corrections;
SET search_path = fs_corrections, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT feature_stream.set_test_clock('2024-01-15 13:00:00+00');
CREATE SERVER fs_corrections FOREIGN DATA WRAPPER feature_stream_table;
GRANT USAGE ON FOREIGN SERVER fs_corrections TO fs_corrections;
SET ROLE fs_corrections;
CREATE TABLE outbox (id bigint PRIMARY KEY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), arrived timestamptz, value text);
CREATE FOREIGN TABLE clicks (
    user_id    text        NOT NULL CHECK (user_id <> ''),
    item_id    text        OPTIONS (field 'item') NOT NULL,
    price      int,
    clicked_at timestamptz OPTIONS (field 'timestamp', unit 's') NOT NULL
) SERVER fs_corrections OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', arrival 'arrived', format 'json',
    event_time 'clicked_at', slice '1 min', watermark_delay '30 s', idle_after '1 day', start 'earliest', log_retention '10 min',
    dead_letter_retention '30000 days');
-- Of rings of events, of partial aggregates, of every slide, thinned, and without a history.
SELECT feature_stream.create_feature_view('session', $$
    SELECT user_id, count(*) AS n, array_agg(item_id) AS items FROM clicks WHERE item_id <> 'test' GROUP BY user_id $$,
    windows => '{2 min, 5 min}', slide => '1 min');
SELECT feature_stream.create_feature_view('totals', $$
    SELECT user_id, count(*) AS n, sum(price) AS price FROM clicks GROUP BY user_id $$, windows => '{10 min}', slide => '5 min');
SELECT feature_stream.create_feature_view('steady', $$
    SELECT user_id, count(*) AS n, max(item_id) AS item FROM clicks GROUP BY user_id $$,
    windows => '{3 min}', slide => '1 min', emit => 'every_slide');
SELECT feature_stream.create_feature_view('thin', $$
    SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id $$,
    windows => '{5 min}', slide => '1 min', history => 'thinned', history_interval => '2 min');
SELECT feature_stream.create_feature_view('bare', $$
    SELECT user_id, count(*) AS n FROM clicks GROUP BY user_id $$, windows => '{5 min}', slide => '1 min', history => 'none');

CREATE FUNCTION click(usr text, item text, at interval, price int DEFAULT 1) RETURNS text LANGUAGE sql AS $$
    SELECT json_build_object('user_id', usr, 'item', item, 'price', price,
                             'timestamp', extract(epoch FROM '2024-01-15 12:00:00+00'::timestamptz + at))::text $$;
CREATE VIEW outcomes AS
    SELECT d."offset", d.reason AS was, o.outcome, o.message, o.corrections, o.corrected_rows, o.corrected_at IS NOT NULL AS corrected
      FROM feature_stream.dead_letter d LEFT JOIN feature_stream.dead_letter_outcome o USING (stream, partition, "offset", recorded_at)
     WHERE d.stream = 'fs_corrections.clicks'::regclass;
-- Waits until so many records are read and durable, windows have fired, and every request has come to its end.
CREATE PROCEDURE wait_for(records bigint, fired timestamptz) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT read_count = records AND pending_events = 0 AND durable_frontier = fired AND state = 'running'
                     FROM feature_stream.stat_stream WHERE stream = 'fs_corrections.clicks'::regclass)
              AND NOT EXISTS (SELECT FROM feature_stream.dead_letter_outcome
                               WHERE outcome = 'requested' OR outcome = 'replayed' AND corrections AND corrected_at IS NULL)
              AND (SELECT dead_letter_count FROM feature_stream.stat_partition WHERE stream = 'fs_corrections.clicks'::regclass) =
                  (SELECT count(*) FROM fs_corrections.outcomes WHERE outcome IS DISTINCT FROM 'replayed');
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
-- What is wrong with the newest revisions of session's history, computed in another way from all events.
CREATE VIEW wrong AS
    WITH e AS (SELECT event->>'user_id' AS user_id, event->>'item_id' AS item, event_time, "offset"
                 FROM feature_stream.read_event_log('fs_corrections.clicks') WHERE event->>'item_id' <> 'test'),
         p AS (SELECT DISTINCT user_id, date_bin('1 min', event_time + w, 'epoch') + interval '1 min' AS window_end
                 FROM e, unnest('{0, 2 min, 5 min}'::interval[]) w),
         should AS (
            SELECT p.*, count(*) FILTER (WHERE event_time >= window_end - interval '2 min') AS n_2m,
                   array_agg(item ORDER BY event_time, "offset") FILTER (WHERE event_time >= window_end - interval '2 min') AS items_2m,
                   count(event_time) AS n_5m, array_agg(item ORDER BY event_time, "offset") FILTER (WHERE event_time IS NOT NULL) AS items_5m
              FROM p LEFT JOIN e ON e.user_id = p.user_id AND event_time >= window_end - interval '5 min' AND event_time < window_end
             WHERE window_end <= (SELECT durable_frontier FROM feature_stream.stat_stream WHERE stream = 'fs_corrections.clicks'::regclass)
             GROUP BY p.user_id, window_end),
         has AS (SELECT DISTINCT ON (user_id, window_end) user_id, window_end, n_2m, items_2m, n_5m, items_5m
                   FROM fs_corrections.session_history ORDER BY user_id, window_end, revision DESC)
    SELECT 'is missing' AS what, * FROM (TABLE should EXCEPT ALL TABLE has) s
    UNION ALL SELECT 'is too much', * FROM (TABLE has EXCEPT ALL TABLE should) s;
CREATE VIEW verified AS
    SELECT v.view, d.* FROM unnest('{session,totals,steady,thin,bare}'::regclass[]) v (view), feature_stream.verify_feature_view(v.view) d;

-- Is what is in force known by the newest revision, of rows that several corrections count in one step and in several?
CREATE VIEW in_step AS
    SELECT 'session' AS view, s.user_id, s.window_end, s.computed_at = h.computed_at AS same, h.revision
      FROM session s JOIN LATERAL (SELECT * FROM session_history h WHERE (h.user_id, h.window_end) = (s.user_id, s.window_end)
                                    ORDER BY h.revision DESC LIMIT 1) h ON true
    UNION ALL
    SELECT 'steady', s.user_id, s.window_end, s.computed_at = h.computed_at, h.revision
      FROM steady s JOIN LATERAL (SELECT * FROM steady_history h WHERE (h.user_id, h.window_end) = (s.user_id, s.window_end)
                                   ORDER BY h.revision DESC LIMIT 1) h ON true;

-- Windows fire up to 12:57.
INSERT INTO outbox VALUES
    (1, DEFAULT, '2024-01-15 12:50:01+00', click('ann', 'a1', '00:50:00')),
    (2, DEFAULT, '2024-01-15 12:50:31+00', click('', 'a2', '00:50:30')),
    (3, DEFAULT, '2024-01-15 12:51:01+00', click('', 'z3', '00:51:00')),
    (4, DEFAULT, '2024-01-15 12:55:31+00', click('ann', 'a4', '00:55:30')),
    (5, DEFAULT, '2024-01-15 12:56:01+00', click('', 'a5', '00:56:00')),
    (6, DEFAULT, '2024-01-15 12:56:02+00', '{'),
    (7, DEFAULT, '2024-01-15 12:56:03+00', click('bob', 'b7', '00:30:00')),
    (8, DEFAULT, '2024-01-15 12:56:04+00', click('', 'test', '00:56:04')),
    (9, DEFAULT, '2024-01-15 12:56:05+00', click('', 'c9', '00:57:20')),
    (10, DEFAULT, '2024-01-15 12:57:50+00', click('bob', 'b10', '00:57:40')),
    (11, DEFAULT, '2024-01-15 12:57:51+00', click('', 'f11', '00:10:00'));
CALL wait_for(11, '2024-01-15 12:57:00+00');
SELECT "offset", was FROM outcomes ORDER BY 1;
SELECT user_id, window_end, n_2m, items_2m, n_5m, items_5m, revision FROM session_history ORDER BY 1, 2;
CREATE TABLE before AS TABLE session_history;
TABLE wrong;
TABLE verified;
SELECT user_id, window_end, n_5m, computed_at FROM session ORDER BY 1;

-- Repaired: rows that were, and rows of an entity that was not.  6 is not; 7 and 11 are older than the log.
UPDATE feature_stream.dead_letter SET payload = convert_to(replace(convert_from(payload, 'UTF8'), '"user_id" : ""',
       format('"user_id" : "%s"', CASE "offset" WHEN 3 THEN 'zoe' WHEN 9 THEN 'cid' ELSE 'ann' END)), 'UTF8')
 WHERE stream = 'clicks'::regclass AND reason = 'check_violation';
RESET ROLE;
SELECT feature_stream.set_test_clock('2024-01-15 13:00:10+00');
SET ROLE fs_corrections;
SELECT feature_stream.replay_dead_letters('clicks', corrections => true);
CALL wait_for(11, '2024-01-15 12:57:00+00');
SELECT * FROM outcomes ORDER BY 1;
SELECT user_id, window_end, n_2m, items_2m, n_5m, items_5m, revision, available_at = computed_at AS alike,
       date_trunc('second', computed_at) AS second FROM session_history WHERE revision > 0 ORDER BY 1, 2, revision;
SELECT count(*) FROM (TABLE before EXCEPT TABLE session_history) s;
SELECT count(*) FROM session_history WHERE revision = 0 AND NOT EXISTS (SELECT FROM before b WHERE (b.user_id, b.window_end) = (session_history.user_id, session_history.window_end));
SELECT count(*) FROM totals_history WHERE revision > 0;
SELECT count(*), bool_and(extract(minute FROM window_end)::int % 2 = 0) FROM thin_history WHERE revision > 0;
TABLE wrong;
TABLE verified;
SET client_min_messages = notice;
SELECT * FROM feature_stream.verify_feature_view('session');
SET client_min_messages = warning;

-- Training sees what serving knew at a time.
SELECT known_by, window_end, n_5m, items_5m, revision
  FROM unnest('{2024-01-15 13:00:05+00, 2024-01-15 13:00:11+00}'::timestamptz[]) known_by, session_as_of('ann', '2024-01-15 12:57:00+00', known_by);
SELECT known_by, window_end, n_5m, items_5m, revision
  FROM unnest('{2024-01-15 13:00:05+00, 2024-01-15 13:00:11+00}'::timestamptz[]) known_by, session_as_of('zoe', '2024-01-15 12:53:30+00', known_by);
SELECT count(*) FROM session_as_of('ann', '2024-01-15 12:57:00+00');

-- The rows in force are corrected, too, and are the same after a recovery.
SELECT s.user_id, s.window_end, s.n_5m, s.items_5m, s.computed_at = h.computed_at AS same, h.revision
  FROM session s JOIN LATERAL (SELECT * FROM session_history h WHERE (h.user_id, h.window_end) = (s.user_id, s.window_end)
                                ORDER BY revision DESC LIMIT 1) h ON true ORDER BY 1;
SELECT * FROM in_step ORDER BY 1, 2;
CREATE TABLE in_force AS SELECT 'session' AS view, user_id, window_end, computed_at, n_5m AS n FROM session
    UNION ALL SELECT 'totals', user_id, window_end, computed_at, n_10m FROM totals
    UNION ALL SELECT 'steady', user_id, window_end, computed_at, n_3m FROM steady
    UNION ALL SELECT 'thin', user_id, window_end, computed_at, n_5m FROM thin
    UNION ALL SELECT 'bare', user_id, window_end, computed_at, n_5m FROM bare;
SELECT feature_stream.pause_stream('clicks');
DO $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT state = 'paused' FROM feature_stream.stat_stream WHERE stream = 'clicks'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT feature_stream.resume_stream('clicks');
CALL wait_for(11, '2024-01-15 12:57:00+00');
SELECT * FROM (SELECT 'session' AS view, user_id, window_end, computed_at, n_5m AS n FROM session
    UNION ALL SELECT 'totals', user_id, window_end, computed_at, n_10m FROM totals
    UNION ALL SELECT 'steady', user_id, window_end, computed_at, n_3m FROM steady
    UNION ALL SELECT 'thin', user_id, window_end, computed_at, n_5m FROM thin
    UNION ALL SELECT 'bare', user_id, window_end, computed_at, n_5m FROM bare EXCEPT ALL TABLE in_force) s;

-- Once is enough.
SELECT feature_stream.replay_dead_letters('clicks', reason => 'check_violation', corrections => true);
SELECT count(*) FROM feature_stream.read_event_log('clicks');

-- What is corrected is corrected again; what comes back without corrections counts as before.
UPDATE feature_stream.dead_letter SET payload = convert_to(click('ann', 'a6', '00:56:10', 5), 'UTF8') WHERE stream = 'clicks'::regclass AND "offset" = 6;
UPDATE feature_stream.dead_letter SET payload = convert_to(click('bob', 'b7', '00:56:20'), 'UTF8') WHERE stream = 'clicks'::regclass AND "offset" = 7;
SELECT feature_stream.replay_dead_letters('clicks', first_offset => 6, last_offset => 6, corrections => true);
SELECT feature_stream.replay_dead_letters('clicks', first_offset => 7, last_offset => 7);
CALL wait_for(11, '2024-01-15 12:57:00+00');
SELECT * FROM outcomes WHERE "offset" IN (6, 7) ORDER BY 1;
SELECT max(revision) FROM session_history WHERE user_id = 'ann' AND window_end = '2024-01-15 12:57:00+00';
SELECT count(*) FROM session_history WHERE user_id = 'bob';
SELECT * FROM in_step ORDER BY 1, 2;
TABLE verified;

-- Windows fire on, with all that came back.
INSERT INTO outbox VALUES (12, DEFAULT, '2024-01-15 13:00:10+00', click('dee', 'd12', '01:00:00'));
INSERT INTO outbox VALUES (13, DEFAULT, '2024-01-15 13:00:20+00', click('dee', 'd13', '01:00:10'));
-- Each event has a time of its own, by which its rows are known.  Who may read the stream sees that, nobody else.
SELECT count(DISTINCT "offset") AS events, count(DISTINCT known_at) AS times FROM feature_stream.correction WHERE stream = 'fs_corrections.clicks'::regclass;
DELETE FROM feature_stream.correction;
RESET ROLE;
CREATE ROLE fs_corrections_other;
SELECT feature_stream.grant_access('fs_corrections_other');
SET ROLE fs_corrections_other;
SELECT count(*) FROM feature_stream.correction;
RESET ROLE;
SELECT feature_stream.set_test_clock('2024-01-15 13:01:00+00');
SET ROLE fs_corrections;
INSERT INTO outbox VALUES (14, DEFAULT, '2024-01-15 13:01:00+00', click('dee', 'd14', '01:00:40'));
CALL wait_for(14, '2024-01-15 13:00:00+00');
SELECT user_id, window_end, n_2m, items_5m, revision FROM session_history WHERE window_end > '2024-01-15 12:57:00+00' ORDER BY 1, 2;
TABLE verified;

-- Columns that are added are filled in, in the newest revisions.
SELECT feature_stream.alter_feature_view('session', $$
    SELECT user_id, count(*) AS n, array_agg(item_id) AS items, sum(price) AS price FROM clicks WHERE item_id <> 'test' GROUP BY user_id $$);
DO $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT state = 'done' FROM feature_stream.stat_progress_backfill WHERE view = 'session'::regclass AND reason = 'alteration');
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
CALL wait_for(14, '2024-01-15 13:00:00+00');
SELECT n_5m, price_5m, revision FROM session_history WHERE user_id = 'ann' AND window_end = '2024-01-15 12:57:00+00' ORDER BY revision;
TABLE verified;

-- Where a policy hides the history's rows from its owner they are not corrected as if there were none: that waits.
INSERT INTO outbox VALUES (15, DEFAULT, '2024-01-15 13:01:01+00', click('', 'a15', '00:56:50'));
CALL wait_for(15, '2024-01-15 13:00:00+00');
ALTER TABLE session_history ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
UPDATE feature_stream.dead_letter SET payload = convert_to(click('ann', 'a15', '00:56:50'), 'UTF8') WHERE stream = 'clicks'::regclass AND "offset" = 15;
SELECT feature_stream.replay_dead_letters('clicks', first_offset => 15, corrections => true);
RESET ROLE;
SELECT max(revision) AS former FROM session_history WHERE user_id = 'ann' AND window_end = '2024-01-15 12:57:00+00' \gset
DO $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN EXISTS (SELECT FROM feature_stream.correction WHERE view = 'fs_corrections.session'::regclass AND "offset" = 15 AND (error IS NOT NULL OR state <> 'pending'));
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT state, error FROM feature_stream.correction WHERE view = 'session'::regclass AND "offset" = 15;
SET ROLE fs_corrections;
ALTER TABLE session_history DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
CALL wait_for(15, '2024-01-15 13:00:00+00');
SELECT max(revision) - :former AS more FROM session_history WHERE user_id = 'ann' AND window_end = '2024-01-15 12:57:00+00';
TABLE verified;

RESET ROLE;
SET client_min_messages = error;
DROP VIEW wrong, verified, in_step;
SELECT feature_stream.drop_feature_view(v, drop_history => true) FROM unnest('{session,totals,steady,thin,bare}'::regclass[]) v;
SELECT count(*) FROM feature_stream.correction;
DROP SCHEMA fs_corrections CASCADE;
DROP SERVER fs_corrections CASCADE;
DROP OWNED BY fs_corrections, fs_corrections_other;
DROP ROLE fs_corrections, fs_corrections_other;
SELECT feature_stream.set_test_clock(NULL);
