-- Schemas of subjects: versions, compatibility, what a refusal says, and whose subjects are.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
RESET client_min_messages;
CREATE ROLE fs_schema_owner;
CREATE ROLE fs_schema_member IN ROLE fs_schema_owner;
CREATE ROLE fs_schema_other;
CREATE ROLE fs_schema_guest;
SELECT feature_stream.grant_access('fs_schema_owner');
SELECT feature_stream.grant_access('fs_schema_other');

-- Click records: fields as JSON, separated by commas.
CREATE FUNCTION public.click(fields text, more text DEFAULT '') RETURNS text LANGUAGE sql AS
    $$ SELECT format('{"type": "record", "name": "shop.Click"%s, "fields": [%s]}', more, fields) $$;
\set user '{"name": "user_id", "type": "string"}'
\set price '{"name": "price", "type": ["null", "double"], "default": null}'

SET ROLE fs_schema_owner;
SELECT feature_stream.register_schema('clicks-value', click(:'user'));
-- The same schema has the version it has, however it is written; a default is a difference.
SELECT feature_stream.register_schema('clicks-value', '{"fields":[{"doc":"who","type":{"type":"string"},"name":"user_id"}],"namespace":"shop","name":"Click","doc":"x","type":"record"}');
SELECT feature_stream.register_schema('clicks-value', click(:'user' || ',' || :'price'));
SELECT feature_stream.register_schema('clicks-value', click(:'user' || ', {"name": "price", "type": ["null", "double"]}'));
SELECT feature_stream.register_schema('clicks-value', click(:'user' || ',' || :'price', ', "aliases": ["Old"]'));
SELECT feature_stream.register_schema('clicks-value', click('{"name": "user_id", "type": {"type": "string", "logicalType": "uuid"}},' || :'price'));
SELECT subject, version, length(fingerprint), registered_by FROM feature_stream.schema_version ORDER BY version;
SELECT count(DISTINCT fingerprint) FROM feature_stream.schema_version;
SELECT subject, compatibility, owner FROM feature_stream.schema_subject;
-- The fingerprint is that of the specification.
SELECT feature_stream.register_schema('plain', '{"type": "int"}');
SELECT fingerprint = sha256('"int"') AS is_avros FROM feature_stream.schema_version WHERE subject = 'plain';

-- Refused: the first problem is the message, all are the detail.
SELECT feature_stream.register_schema('clicks-value', click('{"name": "user_id", "type": "int"}, {"name": "device", "type": "string"}'));
SELECT * FROM feature_stream.check_schema('clicks-value', click('{"name": "user_id", "type": "int"}, {"name": "device", "type": "string"}'));
SELECT * FROM feature_stream.check_schema('clicks-value', click('{"name": "user_id", "type": ["null", "string"]}'));
SELECT * FROM feature_stream.check_schema('clicks-value', click(:'user'));
SELECT count(*) FROM feature_stream.schema_version WHERE subject = 'clicks-value';
SELECT * FROM feature_stream.check_schema('nothing', click(:'user'));

-- Modes.  Three versions: a; a, b = 1; a, c = 1.
CREATE TEMP TABLE mode_result (mode text, schema text, problem text);
SELECT feature_stream.register_schema('modes', click('{"name": "a", "type": "int"}'), 'none');
SELECT feature_stream.register_schema('modes', click('{"name": "a", "type": "int"}, {"name": "b", "type": "int", "default": 1}'));
SELECT feature_stream.register_schema('modes', click('{"name": "a", "type": "long"}, {"name": "c", "type": "int"}'));
SELECT compatibility FROM feature_stream.schema_subject WHERE subject = 'modes';
DO $$
DECLARE
    mode text;
BEGIN
    FOREACH mode IN ARRAY '{NONE,BACKWARD,FORWARD,FULL,BACKWARD_TRANSITIVE,FORWARD_TRANSITIVE,FULL_TRANSITIVE}'::text[] LOOP
        PERFORM feature_stream.set_compatibility('modes', mode);
        INSERT INTO mode_result
        SELECT mode, s.name, c.path || ' ' || c.rule || ' ' || coalesce(c.reader_version::text, 'new') || ' <- ' || coalesce(c.writer_version::text, 'new')
          FROM (VALUES ('a, c', click('{"name": "a", "type": "double"}, {"name": "c", "type": "int"}')),
                       ('a', click('{"name": "a", "type": "long"}'))) s(name, schema),
               LATERAL feature_stream.check_schema('modes', s.schema) c;
    END LOOP;
END $$;
SELECT * FROM mode_result ORDER BY schema, mode, problem;
-- The mode that is given is the one that is met, and stays only if it is.
SELECT feature_stream.register_schema('modes', click('{"name": "a", "type": "string"}'), 'BACKWARD_TRANSITIVE');
SELECT compatibility FROM feature_stream.schema_subject WHERE subject = 'modes';
SELECT feature_stream.register_schema('modes', click('{"name": "a", "type": "string"}'), 'NONE');
SELECT feature_stream.set_compatibility('modes', 'full');
SELECT feature_stream.register_schema('modes', click('{"name": "a", "type": "int"}'), 'FORWARD');
SELECT compatibility FROM feature_stream.schema_subject WHERE subject = 'modes';
-- ROLLBACK leaves nothing.
BEGIN;
SELECT feature_stream.register_schema('gone', '"int"');
ROLLBACK;
SELECT count(*) FROM feature_stream.schema_subject WHERE subject = 'gone';

-- Features that a change breaks: of streams over the topic, columns that a schema of records does not serve any more.
RESET ROLE;
CREATE SERVER nowhere FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '127.0.0.1:1');
\set v1 '{"name": "id", "type": "string"}, {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}}, {"name": "price", "type": "double"}, {"name": "shop", "type": {"type": "record", "name": "Shop", "fields": [{"name": "city", "type": "string"}]}}'
SELECT set_config('test.v1', :'v1', false) IS NOT NULL AS set;
DO $$
BEGIN
	EXECUTE format($s$CREATE FOREIGN TABLE orders (id text NOT NULL, at timestamptz NOT NULL, price float8,
		city text OPTIONS (field 'shop.city'), coupon text DEFAULT 'none')
		SERVER nowhere OPTIONS (topic 'orders', format 'avro', schema %L, event_time 'at')$s$, click(current_setting('test.v1')));
END $$;
SELECT feature_stream.create_feature_view('order_features', $$
	SELECT id, sum(price) FILTER (WHERE coupon = 'none') AS spent, count(DISTINCT city) AS cities FROM orders GROUP BY id $$,
	windows => '{1 hour, 24 hours}', slide => '1 hour');
SELECT feature_stream.register_schema('orders-value', click(:'v1'), 'NONE');
SELECT path, rule, problem, features FROM feature_stream.check_schema('orders-value',
	click('{"name": "id", "type": "string"}, {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}}, {"name": "price", "type": "string"}'));
SELECT path, rule, problem, features FROM feature_stream.check_schema('orders-value',
	click(:'v1' || ', {"name": "coupon", "type": "string"}'));
SELECT feature_stream.register_schema('orders-value', click(:'v1' || ', {"name": "coupon", "type": "string"}'));
SELECT path, rule, problem, features FROM feature_stream.check_schema('orders-value', click(:'v1'));
SELECT feature_stream.register_schema('orders-value', click('{"name": "id", "type": "int"}'), 'FULL');
-- Compatible with the versions, but not with streams: a field that features use goes, or one that each record must have.
SELECT feature_stream.set_compatibility('orders-value', 'BACKWARD');
\set id '{"name": "id", "type": "string"}'
\set at '{"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}}'
\set rest '{"name": "shop", "type": {"type": "record", "name": "Shop", "fields": [{"name": "city", "type": "string"}]}}, {"name": "coupon", "type": "string"}'
\set more '{"name": "more", "type": ["null", "string"], "default": null}'
SELECT feature_stream.register_schema('orders-value', click(:'id' || ',' || :'at' || ',' || :'rest'));
SELECT feature_stream.register_schema('orders-value', click(:'id' || ',' || :'rest' || ', {"name": "price", "type": "double"}'));
-- A DEFAULT is the word for that; so is NONE.
BEGIN;
SELECT feature_stream.register_schema('orders-value', click(:'v1' || ',' || :'more'));
ROLLBACK;
BEGIN;
SELECT feature_stream.register_schema('orders-value', click(:'id' || ',' || :'at' || ',' || :'rest'), 'NONE');
ROLLBACK;
-- What is refused for other reasons says which features it is about, too.
SELECT path, rule, features FROM feature_stream.check_schema('orders-value', click('{"name": "id", "type": "string"}, {"name": "price", "type": "int"}, {"name": "device", "type": "int"}'));
-- Without features nobody misses a column that may be null; one that may not still refuses.
BEGIN;
SELECT feature_stream.drop_feature_view('order_features', drop_history => true);
SELECT feature_stream.register_schema('orders-value', click(:'id' || ',' || :'rest' || ', {"name": "price", "type": "double"}'));
ROLLBACK;
BEGIN;
SELECT feature_stream.drop_feature_view('order_features', drop_history => true);
SELECT feature_stream.register_schema('orders-value', click(:'id' || ',' || :'at'));
ROLLBACK;
SELECT count(*) FROM feature_stream.check_schema('other-value', click('{"name": "id", "type": "int"}'));
SELECT feature_stream.set_compatibility('orders-value', 'NONE');
SELECT feature_stream.drop_feature_view('order_features', drop_history => true);
DROP FOREIGN TABLE orders;
-- A field that nobody has had yet may come with a type that its column cannot take.
DO $$
BEGIN
	EXECUTE format($s$CREATE FOREIGN TABLE orders (id text NOT NULL, at timestamptz NOT NULL, more int DEFAULT 1)
		SERVER nowhere OPTIONS (topic 'orders', format 'avro', schema %L, event_time 'at')$s$, click(current_setting('test.v1')));
END $$;
SELECT feature_stream.register_schema('orders-value', click(:'v1' || ', {"name": "coupon", "type": "string"},' || :'more'), 'BACKWARD');
DROP FOREIGN TABLE orders;
-- The same of a stream that resolves all records to a schema of its own.
ALTER SERVER nowhere OPTIONS (ADD registry 'http://127.0.0.1:1');
DO $$
BEGIN
	EXECUTE format($s$CREATE FOREIGN TABLE orders (id text NOT NULL, at timestamptz NOT NULL, price float8,
		city text OPTIONS (field 'shop.city'))
		SERVER nowhere OPTIONS (topic 'orders', format 'avro', reader_schema %L, event_time 'at')$s$, click(current_setting('test.v1')));
END $$;
SELECT feature_stream.create_feature_view('order_features', $$
	SELECT id, sum(price) AS spent, count(DISTINCT city) AS cities FROM orders GROUP BY id $$,
	windows => '{1 hour, 24 hours}', slide => '1 hour');
SELECT path, rule, problem, features FROM feature_stream.check_schema('orders-value',
	click('{"name": "id", "type": "string"}, {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}}, {"name": "price", "type": "float"}'));
SELECT feature_stream.register_schema('orders-value', click(:'id' || ',' || :'at' || ', {"name": "price", "type": "double"}, {"name": "coupon", "type": "string"}'), 'BACKWARD');
SELECT feature_stream.register_schema('orders-value', click(:'v1' || ', {"name": "coupon", "type": "string"},' || :'more'), 'BACKWARD');
SELECT feature_stream.drop_feature_view('order_features', drop_history => true);
DROP FOREIGN TABLE orders;
DROP SERVER nowhere;
DELETE FROM feature_stream.schema_subject WHERE subject = 'orders-value';
SET ROLE fs_schema_owner;

-- Errors.
SELECT feature_stream.register_schema('bad', '{"type": "record"}');
SELECT feature_stream.register_schema('bad', 'int');
SELECT feature_stream.check_schema('bad', '["int", "int"]');
SELECT feature_stream.register_schema('bad', '"int"', 'SIDEWAYS');
SELECT feature_stream.set_compatibility('modes', 'BACKWARDS');
SELECT feature_stream.set_compatibility('nothing', 'FULL');
SELECT feature_stream.register_schema('', '"int"');
SELECT feature_stream.register_schema(repeat('x', 256), '"int"');
SELECT feature_stream.register_schema(NULL, '"int"');
SELECT feature_stream.register_schema('bad', NULL);
SELECT feature_stream.check_schema(NULL, '"int"');
SELECT feature_stream.check_schema('bad', NULL);
SELECT feature_stream.set_compatibility('modes', NULL);
SELECT count(*) FROM feature_stream.schema_subject WHERE subject = 'bad';

-- Privileges: others look and try, only the owner and its members change.
SET ROLE fs_schema_other;
SELECT version FROM feature_stream.schema_version WHERE subject = 'plain';
SELECT rule FROM feature_stream.check_schema('plain', '"string"');
SELECT feature_stream.register_schema('plain', '"long"');
SELECT feature_stream.register_schema('plain', '"int"');
SELECT feature_stream.set_compatibility('plain', 'NONE');
INSERT INTO feature_stream.schema_subject (subject, owner) VALUES ('mine', 'fs_schema_other');
UPDATE feature_stream.schema_version SET schema = '"null"';
SET ROLE fs_schema_member;
SELECT feature_stream.register_schema('plain', '"long"');
SELECT version, registered_by FROM feature_stream.schema_version WHERE subject = 'plain' ORDER BY version;
SET ROLE fs_schema_guest;
SELECT feature_stream.register_schema('guest', '"int"');
RESET ROLE;
GRANT USAGE ON SCHEMA feature_stream TO fs_schema_guest;
SET ROLE fs_schema_guest;
SELECT feature_stream.register_schema('guest', '"int"');
SELECT feature_stream.check_schema('plain', '"int"');
SELECT feature_stream.set_compatibility('plain', 'NONE');
SELECT * FROM feature_stream.schema_version;
RESET ROLE;
-- Superusers may all, and pg_dump takes both tables along.
SELECT feature_stream.set_compatibility('plain', 'NONE');
SELECT c.oid::regclass FROM pg_extension e, unnest(e.extconfig) c(oid) WHERE e.extname = 'feature_stream' AND c.oid::regclass::text LIKE '%.schema\_%' ORDER BY 1;

DELETE FROM feature_stream.schema_subject;
DROP FUNCTION public.click(text, text);
DROP OWNED BY fs_schema_owner, fs_schema_other, fs_schema_guest;
DROP ROLE fs_schema_member, fs_schema_owner, fs_schema_other, fs_schema_guest;
