-- IMPORT FOREIGN SCHEMA: streams from registered subjects.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE SCHEMA fs_import;
SET search_path = fs_import, public;
SET TimeZone = 'UTC';
RESET client_min_messages;
CREATE SERVER fs_import FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '127.0.0.1:1');
CREATE SERVER fs_import_registry FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '127.0.0.1:1', registry 'http://127.0.0.1:1/');
CREATE SERVER fs_import_table FOREIGN DATA WRAPPER feature_stream_table;

-- A subject with a record of these fields.
CREATE FUNCTION subject(name text, fields text) RETURNS integer LANGUAGE sql AS
    $$ SELECT feature_stream.register_schema(name, format('{"type": "record", "name": "shop.R", "fields": [%s]}', fields)) $$;
-- What there is of a stream: columns, and its own options but for the schema.
CREATE FUNCTION columns_of(stream regclass) RETURNS TABLE (name name, type text, not_null boolean, "default" text, options text[]) LANGUAGE sql AS
    $$ SELECT attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid), attfdwoptions
         FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attrelid = stream AND attnum > 0 ORDER BY attnum $$;
CREATE FUNCTION options_of(stream regclass) RETURNS SETOF text LANGUAGE sql AS
    $$ SELECT option_name || ' ' || left(option_value, 60) FROM pg_foreign_table, pg_options_to_table(ftoptions) WHERE ftrelid = stream $$;
\set ts '{"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}}'

-- Every type; NOT NULL, DEFAULT; records by path; quotes everywhere.
SELECT subject('types-value', :'ts' || $$,
    {"name": "b", "type": "boolean", "default": true}, {"name": "i", "type": "int", "default": -7}, {"name": "l", "type": "long"},
    {"name": "f", "type": "float", "default": 0.1}, {"name": "d", "type": "double", "default": 1e300},
    {"name": "s", "type": "string", "default": "it's \\ a \"quote\"; DROP TABLE x; --"}, {"name": "raw", "type": "bytes"},
    {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A", "B"]}, "default": "B"},
    {"name": "dec", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}, "default": "\u0001\u0002"},
    {"name": "u", "type": {"type": "string", "logicalType": "uuid"}, "default": "123e4567-e89b-12d3-a456-426614174000"},
    {"name": "day", "type": {"type": "int", "logicalType": "date"}, "default": 19737}, {"name": "tm", "type": {"type": "int", "logicalType": "time-millis"}, "default": 1},
    {"name": "dur", "type": {"type": "fixed", "name": "D", "size": 12, "logicalType": "duration"}},
    {"name": "opt", "type": ["null", "string"], "default": null}, {"name": "opt2", "type": ["string", "null"], "default": "x"}, {"name": "opt3", "type": ["null", "long"]},
    {"name": "mixed", "type": ["null", "int", "string"], "default": null}, {"name": "m", "type": {"type": "map", "values": "int"}, "default": {"k": 1}},
    {"name": "a", "type": {"type": "array", "items": "string"}, "default": ["x,y", "it's"]}, {"name": "an", "type": {"type": "array", "items": ["null", "int"]}},
    {"name": "ad", "type": {"type": "array", "items": {"type": "int", "logicalType": "date"}}, "default": []}, {"name": "aa", "type": {"type": "array", "items": {"type": "array", "items": "int"}}},
    {"name": "ar", "type": {"type": "array", "items": {"type": "record", "name": "I", "fields": [{"name": "x", "type": "int"}]}}}, {"name": "nothing", "type": "null"},
    {"name": "geo", "type": {"type": "record", "name": "Geo", "fields": [{"name": "lat", "type": "double", "default": 1.5}, {"name": "at", "type": ["null", {"type": "record", "name": "At",
        "fields": [{"name": "city", "type": "string"}, {"name": "seen", "type": "long", "default": 3}]}], "default": null}]}},
    {"name": "old", "type": "Geo", "default": {"lat": 2.5, "at": null}},
    {"name": "tree", "type": {"type": "record", "name": "Tree", "fields": [{"name": "v", "type": "int"}, {"name": "next", "type": ["null", "Tree"], "default": null}]}},
    {"name": "geo_lat", "type": "int"}, {"name": "ctid", "type": "int"}, {"name": "Select", "type": "int"}, {"name": "select", "type": "string"}$$);
SET DateStyle = 'SQL, DMY';
SET extra_float_digits = 0;
IMPORT FOREIGN SCHEMA "types-value" FROM SERVER fs_import INTO fs_import;
RESET extra_float_digits;
SET DateStyle = 'ISO';
SELECT * FROM columns_of('types');
SELECT * FROM options_of('types');

-- Event time: the only candidate, the one that is named, or a number with a unit.
SELECT subject('two-value', :'ts' || ', {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}], "default": null}, {"name": "n", "type": {"type": "record", "name": "N", "fields": [{"name": "ms", "type": "long"}]}}, {"name": "s", "type": "string"}');
SELECT subject('none-value', '{"name": "ms", "type": "long", "default": 0}, {"name": "secs", "type": "double"}');
IMPORT FOREIGN SCHEMA "two-value" FROM SERVER fs_import INTO fs_import;
IMPORT FOREIGN SCHEMA "none-value" FROM SERVER fs_import INTO fs_import;
IMPORT FOREIGN SCHEMA "two-value" FROM SERVER fs_import INTO fs_import OPTIONS (event_time 'nowhere');
IMPORT FOREIGN SCHEMA "two-value" FROM SERVER fs_import INTO fs_import OPTIONS (event_time 's', event_time_unit 'ms');
IMPORT FOREIGN SCHEMA "two-value" FROM SERVER fs_import INTO fs_import OPTIONS (event_time 'n.ms');
IMPORT FOREIGN SCHEMA "two-value" FROM SERVER fs_import INTO fs_import OPTIONS (event_time_unit 'ms');
IMPORT FOREIGN SCHEMA "two-value" FROM SERVER fs_import INTO fs_import OPTIONS (event_time 'at', start 'earliest', "watermark_delay" '5 s');
SELECT * FROM columns_of('two');
SELECT * FROM options_of('two');
DROP FOREIGN TABLE two;
IMPORT FOREIGN SCHEMA "two-value" FROM SERVER fs_import INTO fs_import OPTIONS (event_time 'n.ms', event_time_unit 'ms');
SELECT * FROM columns_of('two');
IMPORT FOREIGN SCHEMA "none-value" FROM SERVER fs_import_registry INTO fs_import OPTIONS (event_time 'secs', event_time_unit 's');
SELECT * FROM columns_of('none');
SELECT * FROM options_of('none');
DROP FOREIGN TABLE two, none;

-- Which subjects: one, those that begin so, LIMIT TO, EXCEPT.
SELECT subject('shop.a-value', :'ts'), subject('shop.b-value', :'ts'), subject('shop.c-value', '{"name": "x", "type": "int"}'), subject('shop.a-key', :'ts'), subject('shop.recordname', :'ts');
IMPORT FOREIGN SCHEMA "shop." FROM SERVER fs_import INTO fs_import;
IMPORT FOREIGN SCHEMA "shop." EXCEPT ("shop.c") FROM SERVER fs_import INTO fs_import;
SELECT ftrelid::regclass::text FROM pg_foreign_table WHERE ftrelid::regclass::text LIKE '%shop%' ORDER BY 1;
IMPORT FOREIGN SCHEMA "shop." LIMIT TO ("shop.a") FROM SERVER fs_import INTO fs_import;
DROP FOREIGN TABLE "shop.a", "shop.b";
IMPORT FOREIGN SCHEMA "shop." LIMIT TO ("shop.a") FROM SERVER fs_import INTO fs_import;
IMPORT FOREIGN SCHEMA "shop.b-value" FROM SERVER fs_import_registry INTO fs_import;
SELECT ftrelid::regclass::text, (SELECT string_agg(o, ', ') FROM options_of(ftrelid) o) FROM pg_foreign_table WHERE ftrelid::regclass::text LIKE '%shop%' ORDER BY 1;
-- Names of 63 bytes, of which there is one each.
SELECT subject(repeat('n', 70) || i || '-value', '{"name": "ts", "type": {"type": "record", "name": "' || repeat('t', 70) || '", "fields": [' || :'ts' || ', {"name": "' || repeat('c', 70) || '", "type": "int"}, {"name": "' || repeat('c', 70) || '2", "type": "int"}]}}')
  FROM generate_series(1, 2) i;
IMPORT FOREIGN SCHEMA nnnn FROM SERVER fs_import INTO fs_import;
SELECT relname, length(relname), (SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0) FROM pg_class c WHERE relname LIKE 'nnnn%' ORDER BY 1;

-- Refused.
IMPORT FOREIGN SCHEMA "no such" FROM SERVER fs_import INTO fs_import;
IMPORT FOREIGN SCHEMA "shop.recordname" FROM SERVER fs_import INTO fs_import;
IMPORT FOREIGN SCHEMA "shop.b-value" FROM SERVER fs_import_table INTO fs_import;
IMPORT FOREIGN SCHEMA "shop.b-value" FROM SERVER fs_import INTO fs_import OPTIONS (topic 'x');
IMPORT FOREIGN SCHEMA "shop.b-value" FROM SERVER fs_import INTO fs_import OPTIONS (sliec '1 min');
SELECT feature_stream.register_schema('scalar-value', '"int"');
IMPORT FOREIGN SCHEMA "scalar-value" FROM SERVER fs_import INTO fs_import;
SELECT count(subject('wide-value', (SELECT string_agg(format('{"name": "f%s", "type": "int"}', i), ',') FROM generate_series(1, 1601) i)));
IMPORT FOREIGN SCHEMA "wide-value" FROM SERVER fs_import INTO fs_import;
CREATE ROLE fs_import_guest;
GRANT USAGE ON FOREIGN SERVER fs_import TO fs_import_guest;
GRANT ALL ON SCHEMA fs_import TO fs_import_guest;
SET ROLE fs_import_guest;
IMPORT FOREIGN SCHEMA "two-value" FROM SERVER fs_import INTO fs_import OPTIONS (event_time 'ts');
RESET ROLE;
SELECT feature_stream.grant_access('fs_import_guest');
SET ROLE fs_import_guest;
IMPORT FOREIGN SCHEMA "two-value" FROM SERVER fs_import INTO fs_import OPTIONS (event_time 'ts');
SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'two'::regclass;
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA fs_import CASCADE;
DROP SERVER fs_import, fs_import_registry, fs_import_table CASCADE;
REVOKE ALL ON ALL TABLES IN SCHEMA feature_stream FROM fs_import_guest;
DROP OWNED BY fs_import_guest;
DROP ROLE fs_import_guest;
DELETE FROM feature_stream.schema_subject;
