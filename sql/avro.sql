-- Streams in Avro: definitions that are accepted or not, every column type, dead letters.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE SCHEMA fs_avro;
SET search_path = fs_avro, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SELECT feature_stream.set_test_clock('2024-01-15 12:10:00+00');
CREATE TABLE outbox (id bigint NOT NULL, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), value bytea, text_value text);
CREATE SERVER fs_avro FOREIGN DATA WRAPPER feature_stream_table;
CREATE SERVER fs_avro_kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '127.0.0.1:1');

CREATE FUNCTION refused(command text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    m text; d text; h text;
BEGIN
    BEGIN
        EXECUTE command;
        RAISE EXCEPTION USING ERRCODE = 'ZZ000';
    EXCEPTION
        WHEN SQLSTATE 'ZZ000' THEN RETURN NEXT 'ACCEPTED';
        WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
            RETURN NEXT SQLSTATE || ': ' || m;
            IF d <> '' THEN RETURN NEXT '  detail: ' || d; END IF;
            IF h <> '' THEN RETURN NEXT '  hint: ' || h; END IF;
    END;
END $$;
-- A stream with these columns over a record with these fields.
CREATE FUNCTION stream(columns text, fields text) RETURNS SETOF text LANGUAGE sql AS
    $$ SELECT refused(format('CREATE FOREIGN TABLE s (%s) SERVER fs_avro_kafka OPTIONS (topic ''x'', event_time ''t'', format ''avro'', schema %L)',
                             columns, format('{"type": "record", "name": "R", "fields": [%s]}', fields))) $$;
CREATE FUNCTION options(options text) RETURNS SETOF text LANGUAGE sql AS
    $$ SELECT refused(format('CREATE FOREIGN TABLE s (t timestamptz NOT NULL) SERVER fs_avro_kafka OPTIONS (topic ''x'', event_time ''t'', %s)', options)) $$;
\pset format unaligned
\pset tuples_only on
\set t '{"name": "t", "type": {"type": "long", "logicalType": "timestamp-millis"}}'
SELECT options($$format 'avro'$$);
SELECT options($$format 'json', schema '"int"'$$);
SELECT options($$schema '"int"'$$);
SELECT options($$format 'Avro', schema '"int"'$$);
SELECT options($$format 'avro', schema '', topic 'x'$$);
SELECT options($$format 'avro', schema '{'$$);
SELECT options($$format 'avro', schema '{"type": "record", "name": "R", "fields": [{"name": "t", "type": "time"}]}'$$);
SELECT options($$format 'avro', schema '"long"'$$);
SELECT options($$format 'avro', schema '["null", {"type": "record", "name": "R", "fields": [{"name": "t", "type": {"type": "long", "logicalType": "timestamp-micros"}}]}]'$$);
SELECT options($$format 'avro', registry 'http://localhost:8081'$$);
SELECT options($$format 'avro', reader_schema '"long"'$$);
SELECT options($$format 'avro', schema '"long"', reader_schema '"long"'$$);
SELECT options($$format 'json', reader_schema '"long"'$$);
-- A registry: each record names its schema.
CREATE SERVER fs_avro_registry FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '127.0.0.1:1', registry 'http://127.0.0.1:1/');
CREATE FUNCTION named(columns text, options text) RETURNS SETOF text LANGUAGE sql AS
    $$ SELECT refused(format('CREATE FOREIGN TABLE s (%s) SERVER fs_avro_registry OPTIONS (topic ''x'', event_time ''t''%s)', columns, options)) $$;
SELECT named('t timestamptz NOT NULL, a text', $$, format 'avro'$$);
SELECT named('t timestamptz NOT NULL, a text', $$, format 'json'$$);
SELECT named('t timestamptz NOT NULL, a text', $$, format 'avro', reader_schema '{"type": "record", "name": "R", "fields": []}'$$);
SELECT named('t timestamptz NOT NULL, a int', format($$, format 'avro', reader_schema '{"type": "record", "name": "R", "fields": [%s, {"name": "a", "type": "string"}]}'$$, :'t'));
SELECT named($$t timestamptz NOT NULL, a text, b text DEFAULT 'x'$$, format($$, format 'avro', reader_schema '{"type": "record", "name": "R", "fields": [%s, {"name": "a", "type": "string"}]}'$$, :'t'));
SELECT named('t timestamptz NOT NULL', $$, format 'avro', reader_schema '{'$$);
SELECT refused(format('ALTER SERVER fs_avro_registry OPTIONS (SET registry %L)', url)) FROM unnest(ARRAY['', 'localhost:8081', 'ftp://x', 'http://', 'http://u:p@x',
    'http://x?y', 'http://x#y', 'http://x y', 'file:///etc/passwd', 'HTTPS://[::1]:8081/apis/ccompat/v7', 'http://' || repeat('x', 3000)]) url;
SELECT refused($$ALTER SERVER fs_avro_registry OPTIONS (ADD registry_timeout '1 h')$$);
SELECT refused($$ALTER SERVER fs_avro_registry OPTIONS (ADD registry_timeout '5 s')$$);
SELECT refused($$ALTER SERVER fs_avro_registry OPTIONS (ADD registry_password 'x')$$);
SELECT refused($$CREATE USER MAPPING FOR CURRENT_USER SERVER fs_avro_registry OPTIONS (registry_username 'a:b')$$);
SELECT refused($$CREATE USER MAPPING FOR CURRENT_USER SERVER fs_avro_registry OPTIONS (registry_ca_pem '/etc/ssl/certs/ca.pem')$$);
SELECT refused($$CREATE USER MAPPING FOR CURRENT_USER SERVER fs_avro_registry OPTIONS (registry_username 'a', registry_password 'b')$$);
CREATE ROLE fs_avro_nobody;
GRANT USAGE ON FOREIGN DATA WRAPPER feature_stream_kafka TO fs_avro_nobody;
GRANT USAGE ON SCHEMA fs_avro TO fs_avro_nobody;
SET ROLE fs_avro_nobody;
SELECT refused($$CREATE SERVER k FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers 'x', registry 'http://x', registry_link_local 'true')$$);
SELECT refused($$CREATE SERVER k FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers 'x', registry 'http://x')$$);
RESET ROLE;
DROP OWNED BY fs_avro_nobody;
DROP ROLE fs_avro_nobody;
DROP SERVER fs_avro_registry;
SELECT refused($$CREATE FOREIGN TABLE s (t timestamptz NOT NULL) SERVER fs_avro OPTIONS ("table" 'outbox', order_by 'id', xid 'xid',
    value 'text_value', event_time 't', format 'avro', schema '{"type": "record", "name": "R", "fields": [{"name": "t", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}')$$);
-- Columns and schema.
SELECT stream('t timestamptz NOT NULL', :'t');
SELECT stream($$t timestamptz OPTIONS (unit 'ms') NOT NULL$$, :'t');
SELECT stream($$t timestamptz OPTIONS (unit 's') NOT NULL$$, :'t');
SELECT stream('t timestamptz NOT NULL', '{"name": "t", "type": "long"}');
SELECT stream($$t timestamptz OPTIONS (unit 'us') NOT NULL$$, '{"name": "t", "type": "long"}');
SELECT stream('t timestamptz NOT NULL', '{"name": "t", "type": "string"}');
SELECT stream('t timestamptz NOT NULL, a text', :'t' || ', {"name": "a", "type": "int"}');
SELECT stream('t timestamptz NOT NULL, a int', :'t' || ', {"name": "a", "type": ["null", "string"]}');
SELECT stream('t timestamptz NOT NULL, a numeric', :'t' || ', {"name": "a", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}');
SELECT stream('t timestamptz NOT NULL, a float8', :'t' || ', {"name": "a", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}');
SELECT stream('t timestamptz NOT NULL, a bigint', :'t' || ', {"name": "a", "type": {"type": "array", "items": "long"}}');
SELECT stream('t timestamptz NOT NULL, a jsonb, b text OPTIONS (field ''c'')', :'t' || ', {"name": "a", "type": {"type": "array", "items": "long"}}, {"name": "c", "type": {"type": "map", "values": "int"}}');
SELECT stream('t timestamptz NOT NULL, a bigint[]', :'t' || ', {"name": "a", "type": {"type": "array", "items": "long"}}') LIMIT 1;
SELECT stream('t timestamptz NOT NULL, a text[]', :'t' || ', {"name": "a", "type": {"type": "array", "items": "long"}}');
SELECT stream('t timestamptz NOT NULL, a text[]', :'t' || ', {"name": "a", "type": "string"}');
SELECT stream('t timestamptz NOT NULL, a int[]', :'t' || ', {"name": "a", "type": {"type": "array", "items": {"type": "array", "items": "int"}}}');
SELECT stream('t timestamptz NOT NULL, a int[]', :'t' || ', {"name": "a", "type": {"type": "map", "values": "int"}}');
SELECT stream('t timestamptz NOT NULL, a text', :'t');
SELECT stream('t timestamptz NOT NULL, a text DEFAULT ''none''', :'t');
SELECT stream($$t timestamptz NOT NULL, a text OPTIONS (field 'u.id')$$, :'t' || ', {"name": "u", "type": ["null", {"type": "record", "name": "U", "fields": [{"name": "id", "type": "string"}]}]}');
SELECT stream($$t timestamptz NOT NULL, a text OPTIONS (field 'u.name')$$, :'t' || ', {"name": "u", "type": ["null", {"type": "record", "name": "U", "fields": [{"name": "id", "type": "string"}]}]}');
SELECT stream($$t timestamptz NOT NULL, a text OPTIONS (field 't.x')$$, :'t');
\pset tuples_only off
\pset format aligned

-- Every type, by way of a table.
CREATE FOREIGN TABLE things (
    id       bigint      NOT NULL,
    who      text        OPTIONS (field 'user.name') NOT NULL,
    country  text        OPTIONS (field 'user.home.country'),
    kind     text        NOT NULL CHECK (kind <> 'NONE'),
    flag     boolean,
    small    smallint,
    price    numeric,
    ratio    float8,
    day      date,
    tag      uuid,
    tags     jsonb,
    spot     text,
    channel  text        DEFAULT 'web',
    at       timestamptz NOT NULL
) SERVER fs_avro OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', event_time 'at', slice '1 min',
    watermark_delay '30 s', idle_after '1 day', start 'earliest', dead_letter_retention '30000 days', format 'avro', schema '{
  "type": "record", "name": "shop.Thing", "fields": [
    {"name": "id", "type": "long"},
    {"name": "user", "type": {"type": "record", "name": "User", "fields": [
        {"name": "name", "type": ["null", "string"]},
        {"name": "unread", "type": {"type": "map", "values": {"type": "array", "items": "double"}}},
        {"name": "home", "type": ["null", {"type": "record", "name": "Home", "fields": [{"name": "country", "type": "string"}]}]}]}},
    {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["NONE", "BOOK", "HAT"]}},
    {"name": "flag", "type": ["null", "boolean"]},
    {"name": "small", "type": "int"},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
    {"name": "ratio", "type": "float"},
    {"name": "day", "type": {"type": "int", "logicalType": "date"}},
    {"name": "tag", "type": {"type": "fixed", "name": "Guid", "size": 16}},
    {"name": "tags", "type": {"type": "array", "items": ["null", "string", "int"]}},
    {"name": "spot", "type": {"type": "map", "values": "double"}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}}]}');
SELECT feature_stream.create_feature_view('kinds', $$
    SELECT kind, count(*) AS n, sum(price) AS total, max(tags ->> 0) AS tag, count(DISTINCT channel) AS channels FROM things GROUP BY kind $$,
    windows => '{5 min}', slide => '1 min');

-- The pieces of a datum.
CREATE FUNCTION n(value bigint) RETURNS bytea LANGUAGE plpgsql AS $$
DECLARE
    zigzag numeric := CASE WHEN value < 0 THEN -2 * value::numeric - 1 ELSE 2 * value::numeric END;
    out bytea := '';
BEGIN
    WHILE zigzag >= 128 LOOP
        out := out || set_byte('\x00', 0, (mod(zigzag, 128) + 128)::int);
        zigzag := div(zigzag, 128);
    END LOOP;
    RETURN out || set_byte('\x00', 0, zigzag::int);
END $$;
CREATE FUNCTION b(value bytea) RETURNS bytea LANGUAGE sql AS $$ SELECT n(length(value)) || value $$;
CREATE FUNCTION s(value text) RETURNS bytea LANGUAGE sql AS $$ SELECT b(convert_to(value, 'UTF8')) $$;
CREATE FUNCTION at(value timestamptz) RETURNS bytea LANGUAGE sql AS $$ SELECT n((extract(epoch FROM value) * 1000000)::bigint) $$;
CREATE FUNCTION thing(id bigint, name bytea, home bytea, kind bytea, rest bytea, at timestamptz) RETURNS bytea LANGUAGE sql AS $$
    SELECT n(id) || name || n(-1) || n(12) || s('k') || n(1) || '\x000000000000f83f' || n(0) || n(0) || home || kind || rest || at(at) $$;
CREATE FUNCTION rest() RETURNS bytea LANGUAGE sql AS $$
    SELECT n(1) || '\x01' || n(-7) || b('\xff38') || '\x0000003e' || n(19737) || '\x00112233445566778899aabbccddeeff'
        || n(3) || n(1) || s('a"b') || n(0) || n(2) || n(5) || n(0) || n(1) || s('x') || '\x000000000000e03f' || n(0) $$;

INSERT INTO outbox (id, value) VALUES
    (1, thing(1, n(1) || s('ann'), n(1) || s('AT'), n(1), rest(), '2024-01-15 12:00:01.000001+00')),
    (2, thing(2, n(1) || s('bob'), n(0), n(2), rest(), '2024-01-15 12:00:02+00')),
    (3, thing(3, n(0), n(0), n(2), rest(), '2024-01-15 12:00:03+00')),
    (4, thing(4, n(1) || s('bob'), n(0), n(3), rest(), '2024-01-15 12:00:04+00')),
    (5, thing(5, n(1) || s('bob'), n(0), n(0), rest(), '2024-01-15 12:00:05+00')),
    (6, thing(6, n(1) || s('bob'), n(0), n(1), '\x'::bytea, '2024-01-15 12:00:06+00')),
    (7, thing(7, n(1) || s('bob'), n(0), n(1), n(0) || n(40000) || b('\x01') || '\x0000c07f' || n(0) || '\x00112233445566778899aabbccddeeff' || n(0) || n(0),
        '2024-01-15 12:00:07+00')),
    (8, thing(8, n(1) || s('bob'), n(0), n(1), n(0) || n(4) || b('\x01') || '\x0000c07f' || n(0) || '\x00112233445566778899aabbccddeeff' || n(0) || n(0),
        '2024-01-15 12:00:08+00')),
    (9, thing(9, n(1) || s('bob'), n(0), n(1), rest(), '2024-01-15 12:00:09+00') || '\x00'),
    (10, '{"id": 10}'), (11, ''), (12, NULL),
    (13, thing(13, n(1) || b('\x61ff'), n(0), n(1), rest(), '2024-01-15 12:00:13+00')),
    (14, thing(14, n(1) || b('\x6100'), n(0), n(1), rest(), '2024-01-15 12:00:14+00')),
    (15, thing(15, n(1) || s('cy'), n(0), n(1), rest(), '2024-01-15 12:06:01+00'));
CREATE PROCEDURE wait_for(records bigint) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT sum(read_count) = records FROM feature_stream.partition_position WHERE stream = 'things'::regclass)
              AND (SELECT frontier = '2024-01-15 12:05:00+00' AND fire_window_end IS NULL FROM feature_stream.stream_state WHERE stream = 'things'::regclass)
              AND (SELECT state = 'running' AND durable_frontier = '2024-01-15 12:05:00+00' FROM feature_stream.stat_stream WHERE stream = 'things'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
CALL wait_for(15);
SELECT jsonb_pretty(event) FROM feature_stream.read_event_log('things') ORDER BY "offset" LIMIT 1;
SELECT "offset", event ->> 'who' AS who, event ->> 'country' AS country, event ->> 'kind' AS kind FROM feature_stream.read_event_log('things') ORDER BY 1;
SELECT "offset", reason, message FROM feature_stream.dead_letter WHERE stream = 'things'::regclass ORDER BY 1;
SELECT * FROM kinds ORDER BY kind;
SELECT count(*) AS differences FROM feature_stream.verify_feature_view('kinds') WHERE problem IS NOT NULL;
-- The payload of a dead letter is decoded as an event's is: this one's CHECK is what explain says.
SELECT status, reason FROM feature_stream.explain_feature('kinds', 'n_5m', '{"kind": "NONE"}', '2024-01-15 12:05:00+00');
-- Arrays.
CREATE TABLE lists_outbox (LIKE outbox INCLUDING ALL);
CREATE FOREIGN TABLE lists (
    who    text          NOT NULL,
    words  text[]        OPTIONS (field 'in.words'),
    counts int[]         OPTIONS (field 'in.counts'),
    whens  timestamptz[] DEFAULT '{}',
    prices numeric[],
    kinds  text[],
    docs   jsonb,
    at     timestamptz   NOT NULL
) SERVER fs_avro OPTIONS ("table" 'lists_outbox', order_by 'id', xid 'xid', value 'value', event_time 'at', slice '1 min',
    watermark_delay '30 s', idle_after '1 day', start 'earliest', dead_letter_retention '30000 days', format 'avro', schema '{
  "type": "record", "name": "L", "fields": [
    {"name": "who", "type": "string"},
    {"name": "in", "type": ["null", {"type": "record", "name": "In", "fields": [
        {"name": "words", "type": {"type": "array", "items": ["null", "string"]}},
        {"name": "counts", "type": {"type": "array", "items": "long"}}]}]},
    {"name": "whens", "type": ["null", {"type": "array", "items": {"type": "long", "logicalType": "timestamp-millis"}}]},
    {"name": "prices", "type": {"type": "array", "items": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}}},
    {"name": "kinds", "type": {"type": "array", "items": {"type": "enum", "name": "K", "symbols": ["A", "B"]}}},
    {"name": "docs", "type": {"type": "map", "values": {"type": "array", "items": "In"}}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}}]}');
SELECT feature_stream.create_feature_view('listed', $$
    SELECT who, count(*) AS n, sum(cardinality(words)) AS words, max(counts) AS counts, sum(prices[1]) AS price FROM lists GROUP BY who $$,
    windows => '{5 min}', slide => '1 min');
INSERT INTO lists_outbox (id, value) VALUES
    (1, s('ann') || n(1) || n(2) || n(1) || s('x') || n(0) || n(-1) || n(3) || n(1) || s('y') || n(0) || n(-2) || n(2) || n(7) || n(-8) || n(0)
        || n(1) || n(1) || n(1705320001500) || n(0) || n(2) || b('\xff38') || b('\x0401') || n(0) || n(1) || n(1) || n(0)
        || n(1) || s('k') || n(1) || n(0) || n(1) || n(5) || n(0) || n(0) || n(0) || at('2024-01-15 12:00:01+00')),
    (2, s('ann') || n(0) || n(0) || n(0) || n(0) || n(0) || at('2024-01-15 12:00:02+00')),
    (3, s('ann') || n(1) || n(0) || n(0) || n(1) || n(0) || n(0) || n(0) || n(0) || at('2024-01-15 12:00:03+00')),
    (4, s('bad') || n(1) || n(0) || n(2) || n(1) || n(4000000000) || n(0) || n(0) || n(0) || n(0) || n(0) || at('2024-01-15 12:00:04+00')),
    (5, s('bad') || n(1) || n(2) || n(1) || s('a') || n(1) || b('\x6100') || n(0) || n(0) || n(0) || n(0) || n(0) || n(0) || at('2024-01-15 12:00:04+00')),
    (6, s('bad') || n(1) || n(0) || n(3) || n(1)),
    (7, s('bad') || n(1) || n(9000000) || n(0)),
    (15, s('zoe') || n(0) || n(0) || n(0) || n(0) || n(0) || at('2024-01-15 12:06:01+00'));
DO $$
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXIT WHEN (SELECT sum(read_count) = 8 FROM feature_stream.partition_position WHERE stream = 'lists'::regclass)
              AND (SELECT frontier = '2024-01-15 12:05:00+00' AND fire_window_end IS NULL FROM feature_stream.stream_state WHERE stream = 'lists'::regclass)
              AND (SELECT durable_frontier = '2024-01-15 12:05:00+00' FROM feature_stream.stat_stream WHERE stream = 'lists'::regclass);
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
SELECT "offset", event - '{who,at}'::text[] AS event FROM feature_stream.read_event_log('lists') ORDER BY 1;
SELECT "offset", reason, message FROM feature_stream.dead_letter WHERE stream = 'lists'::regclass ORDER BY 1;
SELECT who, window_end, n_5m, words_5m, counts_5m, price_5m FROM listed ORDER BY who;
SELECT count(*) AS differences FROM feature_stream.verify_feature_view('listed');

-- Another schema: what is read from now on is read by it.
SELECT refused($$ALTER FOREIGN TABLE things OPTIONS (SET schema '{"type": "record", "name": "R", "fields": []}')$$) LIMIT 1;
SELECT refused($$ALTER FOREIGN TABLE things OPTIONS (DROP schema)$$) LIMIT 1;

SET client_min_messages = error;
SELECT feature_stream.drop_feature_view('kinds', drop_history => true);
SELECT feature_stream.drop_feature_view('listed', drop_history => true);
DROP SCHEMA fs_avro CASCADE;
DROP SERVER fs_avro CASCADE;
DROP SERVER fs_avro_kafka CASCADE;
SELECT feature_stream.set_test_clock(NULL);
