-- Paths into objects, arrays and documents: in JSON.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE SCHEMA fs_nested;
SET search_path = fs_nested, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT feature_stream.set_test_clock('2024-01-15 12:20:10+00');
CREATE TABLE outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), arrived timestamptz DEFAULT '2024-01-15 12:10:00+00', value text);
CREATE SERVER fs_nested FOREIGN DATA WRAPPER feature_stream_table;
CREATE FOREIGN TABLE visits (
    visitor  text        OPTIONS (field 'user.id') NOT NULL,
    zip      int         OPTIONS (field 'user.home.zip'),
    home     jsonb       OPTIONS (field 'user.home'),
    at       timestamptz OPTIONS (field 'meta.time', unit 's') NOT NULL,
    tags     text[]      DEFAULT '{}',
    small    smallint[]  OPTIONS (field 'n.small'),
    ints     int[]       OPTIONS (field 'n.ints'),
    bigs     bigint[]    OPTIONS (field 'n.bigs') DEFAULT '{1,NULL,-3}',
    reals    real[]      OPTIONS (field 'n.reals'),
    floats   float8[]    OPTIONS (field 'n.floats'),
    decimals numeric[]   OPTIONS (field 'n.decimals') DEFAULT '{1.50}',
    flags    boolean[]   CHECK (NOT false = ANY (flags)),
    times    timestamptz[] OPTIONS (unit 'ms'),
    instants timestamptz[],
    days     date[],
    marks    uuid[],
    doc      jsonb
) SERVER fs_nested OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', arrival 'arrived', event_time 'at',
    slice '1 min', watermark_delay '30 s', idle_after '1 day', start 'earliest', dead_letter_retention '30000 days');
SELECT feature_stream.create_feature_view('tagged', $$
    SELECT visitor, count(*) AS n, sum(cardinality(tags)) AS tags, count(tags) AS known, count(DISTINCT tags) AS sets, max(tags) AS most,
           sum(ints[1]) AS first_int, count(*) FILTER (WHERE 'b' = ANY (tags)) AS b, max(decimals) AS decimals, jsonb_agg(doc) AS docs,
           string_agg(array_to_string(floats, '+', '?'), ' ') AS floats, count(DISTINCT floats) AS float_sets, array_agg(zip) AS zips
      FROM visits WHERE NOT 'bot' = ANY (tags) GROUP BY visitor $$, '{5 min}', '1 min');
INSERT INTO outbox (id, value) VALUES
    (1, '{"user": {"id": "ann", "home": {"zip": 10115, "city": "Berlin"}}, "meta": {"time": 1705320001}, "tags": ["a", "b"],
          "n": {"small": [1], "ints": [7, null], "bigs": [9223372036854775807], "reals": [0.1], "floats": [1, 2.5e10, null], "decimals": [1.0, 12345678901234567890.5, 1e2]},
          "flags": [true, null], "times": [1705320001500], "instants": ["2024-01-15T12:00:01+01:00", null], "days": ["2024-02-29"],
          "marks": ["00112233-4455-6677-8899-aabbccddeeff"], "doc": [1, {"x": null}]}'),
    (2, '{"user": {"id": "ann", "home": null}, "meta": {"time": 1705320002}, "tags": [], "n": {"ints": [], "floats": [-0.0], "bigs": null}, "doc": "text"}'),
    (3, '{"user": {"id": "ann"}, "meta": {"time": 1705320003}, "tags": null, "n": null, "doc": null}'),
    (4, '{"user": {"id": "ann"}, "meta": {"time": 1705320004}, "n": {"floats": [0]}}'),
    (5, '{"user.id": "ann", "meta": {"time": 1705320005}, "tags": ["é\u00e9\n\"", "NULL", "", null, "{,}"], "user.home": {"zip": 1}}'),
    (6, '{"user": {"id": "bob"}, "meta": {"time": 1705320006}, "tags": ["bot"]}'),
    (10, '{"user": {"home": {}}, "meta": {"time": 1705320007}}'),
    (11, '{"user": "ann", "meta": {"time": 1705320007}}'),
    (12, '{"user": {"id": "ann", "home": {"zip": "10115"}}, "meta": {"time": 1705320007}}'),
    (13, '{"user": {"id": "ann", "home": [10115]}, "meta": {"time": 1705320007}}'),
    (14, '{"user": {"id": "ann"}, "meta": {"time": 1705320007}, "tags": "a"}'),
    (15, '{"user": {"id": "ann"}, "meta": {"time": 1705320007}, "tags": ["a", ["b"]]}'),
    (16, '{"user": {"id": "ann"}, "meta": {"time": 1705320007}, "n": {"small": [1, 32768]}}'),
    (17, '{"user": {"id": "ann"}, "meta": {"time": 1705320007}, "n": {"ints": [1.5]}}'),
    (18, '{"user": {"id": "ann"}, "meta": {"time": 1705320007}, "n": {"decimals": [1e1000000]}}'),
    (19, '{"user": {"id": "ann"}, "meta": {"time": 1705320007}, "flags": [true, false]}'),
    (20, '{"user": {"id": "ann"}, "meta": {"time": 1705320007}, "days": ["2024-02-30"]}'),
    (21, '{"user": {"id": "ann"}, "meta": {"time": 1705320007}, "marks": ["x"]}'),
    (22, '{"user": {"id": "ann"}, "meta": {"time": 1705320007}, "instants": [5]}'),
    (23, '{"user": {"id": "ann"}, "meta": {"time": 1705320007}, "doc": "\u0000"}'),
    (24, '{"user": {"id": "ann"}, "meta": {"time": "now"}}'),
    (30, '{"user": {"id": "zoe"}, "meta": {"time": 1705320400}}');
DO $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT sum(read_count) = (SELECT count(*) FROM outbox) FROM feature_stream.partition_position WHERE stream = 'visits'::regclass)
              AND (SELECT frontier = '2024-01-15 12:06:00+00' AND fire_window_end IS NULL FROM feature_stream.stream_state WHERE stream = 'visits'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
\x
SELECT r.* FROM feature_stream.read_event_log('visits') e, jsonb_to_record(e.event) AS r (visitor text, zip int, home jsonb, at timestamptz, tags text[],
    small smallint[], ints int[], bigs bigint[], reals real[], floats float8[], decimals numeric[], flags boolean[], times timestamptz[],
    instants timestamptz[], days date[], marks uuid[], doc jsonb) WHERE e."offset" = 1;
\x
SELECT "offset", event -> 'visitor' AS visitor, event -> 'zip' AS zip, event -> 'home' AS home, event -> 'tags' AS tags, event -> 'bigs' AS bigs,
       event -> 'floats' AS floats, event -> 'decimals' AS decimals, event -> 'doc' AS doc FROM feature_stream.read_event_log('visits') WHERE "offset" > 1 ORDER BY 1;
SELECT "offset", reason, message FROM feature_stream.dead_letter WHERE stream = 'visits'::regclass ORDER BY "offset";
\x
SELECT * FROM tagged_history WHERE visitor = 'ann' AND window_end = '2024-01-15 12:01:00+00';
\x
SELECT * FROM feature_stream.verify_feature_view('tagged');
-- Recovery reads them back.
SELECT feature_stream.create_feature_view('again', 'SELECT visitor, max(tags) AS tags, max(marks) AS marks, max(days) AS days, max(flags) AS flags FROM visits GROUP BY visitor', '{5 min}', '1 min');
DO $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN EXISTS (SELECT FROM feature_stream.backfill WHERE view = 'again'::regclass AND state = 'done')
              AND (SELECT state = 'running' FROM feature_stream.stat_stream WHERE stream = 'visits'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT * FROM feature_stream.verify_feature_view('tagged');
SELECT * FROM feature_stream.verify_feature_view('again');
SELECT visitor, tags_5m, marks_5m, days_5m, flags_5m FROM again_history WHERE visitor = 'ann' AND window_end = '2024-01-15 12:01:00+00';

-- What cannot be.
ALTER FOREIGN TABLE visits ADD COLUMN docs jsonb[];
ALTER FOREIGN TABLE visits ADD COLUMN stamps timestamp[];
ALTER FOREIGN TABLE visits ADD COLUMN short varchar(3)[];
ALTER FOREIGN TABLE visits ADD COLUMN grid int[][];
ALTER FOREIGN TABLE visits ADD COLUMN square int[] DEFAULT '{{1,2},{3,4}}';
ALTER FOREIGN TABLE visits ADD COLUMN shifted int[] DEFAULT '[0:1]={1,2}';
ALTER FOREIGN TABLE visits ADD COLUMN words text[] OPTIONS (unit 's');
SELECT feature_stream.create_feature_view('no', 'SELECT tags, count(*) AS n FROM visits GROUP BY tags', '{5 min}', '1 min');

DROP FOREIGN TABLE visits CASCADE;
DROP SERVER fs_nested;
DROP SCHEMA fs_nested CASCADE;
SELECT feature_stream.set_test_clock(NULL);
