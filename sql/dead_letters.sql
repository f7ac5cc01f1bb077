-- What an on-call person asks of dead letters: how many of what kind, and what would become of an event now.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE ROLE fs_letters_owner;
CREATE ROLE fs_letters_analyst;
CREATE ROLE fs_letters_reader;
CREATE ROLE fs_letters_other;
SELECT feature_stream.grant_access(r) FROM unnest('{fs_letters_owner,fs_letters_analyst,fs_letters_reader,fs_letters_other}'::regrole[]) r;
CREATE SCHEMA fs_letters AUTHORIZATION fs_letters_owner;
GRANT USAGE, CREATE ON SCHEMA fs_letters TO fs_letters_analyst;
GRANT USAGE ON SCHEMA fs_letters TO fs_letters_reader, fs_letters_other;
SET search_path = fs_letters, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT feature_stream.set_test_clock('2024-01-15 13:00:00+00');

CREATE SERVER fs_letters FOREIGN DATA WRAPPER feature_stream_table;
GRANT USAGE ON FOREIGN SERVER fs_letters TO fs_letters_owner;
SET ROLE fs_letters_owner;
CREATE TABLE outbox (id bigint PRIMARY KEY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), arrived timestamptz, value bytea);
-- Says who runs it.
CREATE FUNCTION whoami(a float8) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
    IF a = 42 THEN RAISE EXCEPTION 'run by %', current_user; END IF;
    RETURN 'x';
END $$;
-- Pretends to be immutable.
CREATE TABLE diary (line text);
CREATE FUNCTION write_diary() RETURNS boolean VOLATILE LANGUAGE plpgsql AS $$ BEGIN INSERT INTO fs_letters.diary VALUES ('x'); RETURN true; END $$;
CREATE FUNCTION writes(a float8) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN
    IF a = 43 THEN RETURN fs_letters.write_diary(); END IF;
    RETURN true;
END $$;
-- Insists on its caller.
CREATE FUNCTION is_mine(a text) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN current_user = 'fs_letters_owner'; END $$;
CREATE DOMAIN mine AS text CHECK (is_mine(value));
CREATE FOREIGN TABLE clicks (
    user_id    text        NOT NULL CHECK (user_id <> ''),
    item_id    text        OPTIONS (field 'item') NOT NULL,
    category   text        DEFAULT ('unknown'::mine)::text,
    price      numeric,
    score      float8      CONSTRAINT score_is_fine CHECK (1 / score < 1000),
    tags       jsonb,
    clicked_at timestamptz OPTIONS (field 'timestamp', unit 's') NOT NULL
) SERVER fs_letters OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', arrival 'arrived', format 'json',
    event_time 'clicked_at', slice '1 min', watermark_delay '30 s', idle_after '1 day', start 'earliest', max_record_bytes '8kB',
    dead_letter_retention '30000 days');
GRANT SELECT ON clicks TO fs_letters_reader, fs_letters_analyst;
GRANT EXECUTE ON FUNCTION whoami, writes TO fs_letters_analyst;
CREATE FUNCTION j(text) RETURNS bytea LANGUAGE sql AS $$ SELECT convert_to($1, 'UTF8') $$;
CREATE FUNCTION click(fields jsonb DEFAULT '{}', at timestamptz DEFAULT '2024-01-15 12:59:30+00') RETURNS bytea LANGUAGE sql AS $$
    SELECT convert_to((jsonb_build_object('user_id', 'u1', 'item', 'i1', 'timestamp', extract(epoch FROM at)) || fields)::text, 'UTF8') $$;
-- Without a feature view, a worker and a watermark.
SELECT * FROM feature_stream.test_event('clicks', click());
SELECT * FROM feature_stream.test_event('clicks', click('{"user_id": ""}'));

SELECT feature_stream.create_feature_view('session', $$
    SELECT user_id, count(*) AS n FROM clicks WHERE category <> 'test' GROUP BY user_id $$, windows => '{5 min}', slide => '1 min');
RESET ROLE;
SET ROLE fs_letters_analyst;
SELECT feature_stream.create_feature_view('deals', $$
    SELECT item_id, sum(10 / price) AS inverse, count(*) FILTER (WHERE whoami(score) = 'x') AS n FROM clicks GROUP BY item_id $$, windows => '{5 min}', slide => '1 min');
RESET ROLE;
SET ROLE fs_letters_owner;

-- Accepted: values, null, default, missing; what each feature view says.
SELECT * FROM feature_stream.test_event('clicks', j('{"user_id": "ü", "item": "i7", "price": 12.340, "score": null, "tags": [1, "a"], "timestamp": 1705323570.5}'), 'a key');
SELECT * FROM feature_stream.test_event('clicks', click('{"category": null, "price": 0}')) WHERE kind IN ('event', 'view') OR name = 'category';
SELECT * FROM feature_stream.test_event('clicks', click('{"category": "test", "score": 42}')) WHERE kind IN ('event', 'view');
SELECT * FROM feature_stream.test_event('clicks', click('{"category": "fine"}')) WHERE kind = 'view';
-- Both views raise: each with its own message.
SELECT feature_stream.create_feature_view('ratios', $$
    SELECT user_id, sum(1 / (price - 1)) AS n FROM clicks WHERE writes(score) GROUP BY user_id $$, windows => '{5 min}', slide => '1 min');
SELECT * FROM feature_stream.test_event('clicks', click('{"price": 0}')) WHERE kind = 'view';
SELECT * FROM feature_stream.test_event('clicks', click('{"price": 1, "score": 42}')) WHERE kind = 'view';
-- Nothing is written, whatever an expression does.
SELECT * FROM feature_stream.test_event('clicks', click('{"score": 43}')) WHERE kind = 'view';
SELECT count(*) FROM diary;
SHOW transaction_read_only;
SELECT feature_stream.drop_feature_view('ratios', drop_history => true);

-- The same events go through a worker.
CREATE TABLE cases (id int, what text, value bytea);
INSERT INTO cases VALUES
    (1, 'accepted', click()),
    (2, 'empty', ''),
    (3, 'no json', j('{"user_id": "u1"')),
    (4, 'no UTF-8', '\x7b22ff'),
    (5, 'too large', click(jsonb_build_object('x', repeat('x', 9000)))),
    (6, 'tombstone', NULL),
    (7, 'missing', j('{"user_id": "u1", "timestamp": 1705323570}')),
    (8, 'null', click('{"user_id": null}')),
    (9, 'simple check', click('{"user_id": ""}')),
    (10, 'check', click('{"score": 0.0001}')),
    (11, 'check raises', click('{"score": 0}')),
    (12, 'wrong type', click('{"score": "high"}')),
    (13, 'numeric', j('{"user_id": "u1", "item": "i1", "price": 1e200000, "timestamp": 1705323570}')),
    (14, 'before 1970', click('{"timestamp": -1}')),
    (15, 'long key', click(jsonb_build_object('user_id', repeat('k', 3000)))),
    (16, 'future', click('{}', '2024-01-15 13:10:00+00')),
    (17, 'expression', click('{"price": 0}')),
    (18, 'function', click('{"score": 42}')),
    (19, 'jsonb', j('{"user_id": "u1", "item": "i1", "tags": "\u0000", "timestamp": 1705323570}'));
INSERT INTO outbox SELECT id, pg_current_xact_id(), '2024-01-15 13:00:00+00', value FROM cases ORDER BY id;
CREATE PROCEDURE wait_for(records bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT sum(read_count) = records FROM feature_stream.stat_partition WHERE stream = 'fs_letters.clicks'::regclass)
              AND (SELECT pending_events = 0 FROM feature_stream.stat_stream WHERE stream = 'fs_letters.clicks'::regclass)
              AND (SELECT count(DISTINCT "offset") = (SELECT dead_letter_count FROM feature_stream.stat_stream WHERE stream = 'fs_letters.clicks'::regclass)
                     FROM feature_stream.dead_letter WHERE stream = 'fs_letters.clicks'::regclass AND reason <> 'expression_error');
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
CALL wait_for(19);
SELECT c.id, c.what, d.reason, t.verdict, d.message, d.message = t.detail AS same
  FROM cases c LEFT JOIN feature_stream.dead_letter d ON d.stream = 'clicks'::regclass AND d."offset" = c.id
       LEFT JOIN LATERAL feature_stream.test_event('clicks', c.value) t
           ON t.kind = CASE d.reason WHEN 'expression_error' THEN 'view' ELSE 'event' END AND t.verdict IS DISTINCT FROM 'counts'
 ORDER BY c.id;

-- Lateness, by the stream's watermark.
SELECT name, verdict, value, detail FROM feature_stream.test_event('clicks', click('{}', '2024-01-15 12:59:00+00')) WHERE kind = 'lateness';
SELECT name, verdict, value, detail FROM feature_stream.test_event('clicks', click('{}', '2024-01-15 12:56:30+00')) WHERE kind = 'lateness';
SELECT verdict, detail FROM feature_stream.test_event('clicks', click('{}', '2024-01-15 12:30:00+00')) WHERE kind IN ('event', 'lateness');

-- By hour; the example is the last one.
RESET ROLE;
SELECT feature_stream.set_test_clock('2024-01-15 14:00:00+00');
SET ROLE fs_letters_owner;
INSERT INTO outbox SELECT id, pg_current_xact_id(), ('2024-01-15 13:59:00+00'::timestamptz + (id - 100) * interval '1 s'), value FROM (VALUES
    (101, click('{"user_id": ""}')), (102, click('{"user_id": "", "item": "ä\u0007"}')), (103, '\x0001ff'::bytea), (104, NULL)) v(id, value) ORDER BY id;
INSERT INTO outbox VALUES (105, pg_current_xact_id(), '2024-01-15 14:00:00+00', '');
CALL wait_for(24);
\x
SELECT * FROM feature_stream.dead_letter_summary WHERE stream = 'clicks'::regclass AND hour >= '2024-01-15 13:00:00+00' AND reason <> 'missing_field';
\x
SELECT (SELECT sum(dead_letter_count) FROM feature_stream.dead_letter_summary) = (SELECT count(*) FROM feature_stream.dead_letter) AS all_of_them;
SELECT feature_stream.print_payload('\x61c3a40a', 2), feature_stream.print_payload('\x61c3a40a'), feature_stream.print_payload('\x'), feature_stream.print_payload(NULL);
SELECT feature_stream.print_payload('\x61', 0);

-- Whoever may read the stream; nobody else.
SET ROLE fs_letters_reader;
SELECT count(*) > 0 AS sees, sum(dead_letter_count) = (SELECT count(*) FROM feature_stream.dead_letter) AS all_of_them FROM feature_stream.dead_letter_summary WHERE stream = 'clicks'::regclass;
SELECT kind, verdict, detail FROM feature_stream.test_event('clicks', click('{"score": 42}')) WHERE kind IN ('event', 'view');
SET ROLE fs_letters_other;
SELECT count(*) FROM feature_stream.dead_letter_summary;
SELECT feature_stream.test_event('clicks', '');
RESET ROLE;
CREATE ROLE fs_letters_nobody;
SET ROLE fs_letters_nobody;
SELECT * FROM feature_stream.dead_letter_summary;
RESET ROLE;
SELECT feature_stream.test_event(NULL, '');
SELECT feature_stream.test_event('outbox', '');
BEGIN READ ONLY;
SELECT verdict FROM feature_stream.test_event('clicks', NULL);
COMMIT;

-- Avro.
CREATE FOREIGN TABLE things (
    who  text OPTIONS (field 'user.name') NOT NULL,
    kind text NOT NULL CHECK (kind <> 'NONE'),
    note text DEFAULT 'none',
    at   timestamptz NOT NULL
) SERVER fs_letters OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', event_time 'at', slice '1 min', format 'avro', schema '{
  "type": "record", "name": "Thing", "fields": [
    {"name": "user", "type": {"type": "record", "name": "User", "fields": [{"name": "name", "type": ["null", "string"]}]}},
    {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["NONE", "BOOK"]}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}');
SELECT * FROM feature_stream.test_event('things', '\x0206616e6e02a08da5d3a163');
SELECT * FROM feature_stream.test_event('things', '\x0002a08da5d3a163');
SELECT * FROM feature_stream.test_event('things', '\x0206616e6e00a08da5d3a163');
SELECT * FROM feature_stream.test_event('things', '\x0206616e6e02a08da5d3a16300');
SELECT * FROM feature_stream.test_event('things', '{}');
-- Records that name their schema, before the datum or in a header.
CREATE SERVER fs_letters_kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '127.0.0.1:1', registry 'http://127.0.0.1:1');
CREATE FOREIGN TABLE named (who text NOT NULL, at timestamptz NOT NULL) SERVER fs_letters_kafka OPTIONS (topic 'named', event_time 'at', slice '1 min', format 'avro');
INSERT INTO feature_stream.registry_schema (registry, id, schema) SELECT 'http://127.0.0.1:1', id, '{
  "type": "record", "name": "Named", "fields": [{"name": "who", "type": "string"}, {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}'
  FROM unnest('{7,61626364-6566-6768-696a-6b6c6d6e6f70}'::text[]) id;
SELECT c.what, e.verdict, e.detail
  FROM (VALUES
    (1, 'number', '\x000000000706616e6ea08da5d3a163'::bytea, NULL::jsonb),
    (2, 'none', '\x06616e6ea08da5d3a163', NULL),
    (3, 'number in a header', '\x06616e6ea08da5d3a163', '[{"key": "__value_schema_id", "value_base64": "AAAAAAc="}]'),
    (4, 'GUID in a header', '\x06616e6ea08da5d3a163', '[{"key": "x", "value": null}, {"key": "__value_schema_id", "value": "\u0001abcdefghijklmnop"}]'),
    (5, 'name as bytes', '\x06616e6ea08da5d3a163', '[{"key_base64": "X192YWx1ZV9zY2hlbWFfaWQ=", "value_base64": "AAAAAAc="}]'),
    (6, 'the last one counts', '\x06616e6ea08da5d3a163', '[{"key": "__value_schema_id", "value": "x"}, {"key": "__value_schema_id", "value_base64": "AAAAAAc="}]'),
    (7, 'the last one counts', '\x06616e6ea08da5d3a163', '[{"key": "__value_schema_id", "value_base64": "AAAAAAc="}, {"key": "__value_schema_id", "value": "x"}]'),
    (8, 'header without value', '\x06616e6ea08da5d3a163', '[{"key": "__value_schema_id", "value": null}]'),
    (9, 'header of no base64', '\x06616e6ea08da5d3a163', '[{"key": "__value_schema_id", "value_base64": "AAAAAAc"}]'),
    (10, 'header before number', '\x000000000706616e6ea08da5d3a163', '[{"key": "__value_schema_id", "value_base64": "AAAAAAc="}]'),
    (11, 'no such headers', '\x000000000706616e6ea08da5d3a163', '[{"key": "trace", "value": "x"}, 1, "__value_schema_id", {}, [], {"value": "x"}, {"key": 7}]'),
    (12, 'none at all', '\x000000000706616e6ea08da5d3a163', '[]')) c (n, what, payload, headers),
       feature_stream.test_event('named', c.payload, headers => c.headers) e
 WHERE e.kind = 'event' ORDER BY c.n;
SELECT verdict FROM feature_stream.test_event('named', '', NULL, '{"key": "__value_schema_id", "value_base64": "AAAAAAc="}');
SELECT verdict FROM feature_stream.test_event('named', '', NULL, '7');
DELETE FROM feature_stream.registry_schema WHERE registry = 'http://127.0.0.1:1';

SET client_min_messages = error;
SELECT feature_stream.drop_feature_view('session', drop_history => true);
SELECT feature_stream.drop_feature_view('deals', drop_history => true);
DROP SCHEMA fs_letters CASCADE;
DROP SERVER fs_letters, fs_letters_kafka CASCADE;
DROP OWNED BY fs_letters_owner, fs_letters_analyst, fs_letters_reader, fs_letters_other, fs_letters_nobody;
DROP ROLE fs_letters_owner, fs_letters_analyst, fs_letters_reader, fs_letters_other, fs_letters_nobody;
SELECT feature_stream.set_test_clock(NULL);
