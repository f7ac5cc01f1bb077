-- The registry: features, where they come from, their tags; and changes of columns that they depend on.
CREATE EXTENSION IF NOT EXISTS feature_stream;
SET client_min_messages = warning;
CREATE ROLE fs_reg_owner;
CREATE ROLE fs_reg_other;
CREATE SCHEMA fs_reg;
GRANT USAGE, CREATE ON SCHEMA fs_reg TO fs_reg_owner;
GRANT USAGE ON SCHEMA fs_reg TO fs_reg_other;
CREATE SERVER fs_reg_kafka FOREIGN DATA WRAPPER feature_stream_kafka OPTIONS (brokers '127.0.0.1:1');
GRANT USAGE ON FOREIGN SERVER fs_reg_kafka TO fs_reg_owner;
SELECT feature_stream.grant_access('fs_reg_owner');
SELECT feature_stream.grant_access('fs_reg_other');
SET search_path = fs_reg, public;
SET ROLE fs_reg_owner;
CREATE FOREIGN TABLE payments (
    card_id text NOT NULL, country text NOT NULL, amount numeric, device text, status text, note text,
    paid_at timestamptz NOT NULL
) SERVER fs_reg_kafka OPTIONS (topic 'payments', event_time 'paid_at');
SELECT feature_stream.create_feature_view('spending', $$
    SELECT sum(amount) AS spent, country, count(*) AS payments, count(DISTINCT device) AS "Devices", card_id
      FROM payments WHERE status <> 'test' GROUP BY card_id, country $$, '{1 hour, 1 day}', '1 min');
SELECT feature_stream.create_feature_view('devices',
    'SELECT device_id, max(amount) AS largest FROM payments GROUP BY device_id', '{1 h}', '1 min');
ALTER FOREIGN TABLE payments ALTER COLUMN device SET NOT NULL;
SELECT feature_stream.create_feature_view('devices',
    'SELECT device AS "the device", max(amount) AS largest FROM payments GROUP BY device', '{1 h}', '1 min', history => 'none');

-- Features, and what they come from.
SELECT view, name, column_name, position, type, "window", expression, owner, tags FROM feature_stream.feature ORDER BY view::text, position;
SELECT * FROM feature_stream.feature_lineage ORDER BY view::text, feature, usage, stream_column;
-- It follows comments, renames and owners.
COMMENT ON COLUMN spending.spent_1h IS 'money spent in an hour';
ALTER FOREIGN TABLE payments RENAME COLUMN amount TO cents;
ALTER FOREIGN TABLE devices RENAME TO machines;
SELECT view, column_name, expression, description FROM feature_stream.feature WHERE name IN ('spent', 'largest') ORDER BY view::text, position;
SELECT DISTINCT stream_column FROM feature_stream.feature_lineage WHERE feature = 'spent' AND usage = 'feature';

-- Tags are those of a feature in all its windows.
SELECT feature_stream.set_feature_tags('spending', 'spent', '{"team": "fraud"}');
SELECT feature_stream.set_feature_tags('spending', 'Devices', '{"pii": true}');
SELECT feature_stream.set_feature_tags('spending', 'spent', '{"team": "risk", "tier": 1}');
SELECT column_name, tags FROM feature_stream.feature WHERE tags <> '{}' ORDER BY position;
SELECT feature_stream.set_feature_tags('spending', 'spent', NULL);
SELECT feature_stream.set_feature_tags('spending', 'payments', '{}');
SELECT column_name, tags FROM feature_stream.feature WHERE tags <> '{}' ORDER BY position;
SELECT feature_stream.set_feature_tags('spending', 'spent_1h', '{}');
SELECT feature_stream.set_feature_tags('payments', 'spent', '{}');
SELECT feature_stream.set_feature_tags('spending', 'spent', '[1]');
SELECT feature_stream.set_feature_tags('spending', 'spent', '1');
SELECT feature_stream.set_feature_tags(NULL, 'spent', '{}');
SET ROLE fs_reg_other;
SELECT feature_stream.set_feature_tags('spending', 'spent', '{}');
SELECT count(*) FROM feature_stream.feature;
INSERT INTO feature_stream.feature_tag VALUES ('spending', 'spent', '{}');
-- Who may not alter the stream hears nothing of its features.
ALTER FOREIGN TABLE payments DROP COLUMN cents;
SET ROLE fs_reg_owner;

-- Columns in use.
ALTER FOREIGN TABLE payments DROP COLUMN cents;
ALTER TABLE payments ADD COLUMN more int, DROP COLUMN IF EXISTS nothing, DROP COLUMN status;
ALTER FOREIGN TABLE payments ALTER COLUMN device TYPE int USING 1;
ALTER FOREIGN TABLE payments ALTER COLUMN country SET DATA TYPE uuid;
ALTER FOREIGN TABLE payments DROP COLUMN paid_at;
ALTER FOREIGN TABLE payments DROP COLUMN IF EXISTS card_id RESTRICT;
-- Columns that are not, commands that are not about columns, relations that are no streams.
ALTER FOREIGN TABLE payments DROP COLUMN note;
ALTER FOREIGN TABLE payments DROP COLUMN note;
ALTER FOREIGN TABLE payments ADD COLUMN note int;
ALTER FOREIGN TABLE payments ALTER COLUMN note TYPE text;
ALTER TABLE IF EXISTS nowhere DROP COLUMN cents;
ALTER TABLE nowhere DROP COLUMN cents;
CREATE TABLE plain (cents int);
ALTER TABLE plain DROP COLUMN cents;
-- CASCADE means it.
BEGIN;
ALTER FOREIGN TABLE payments DROP COLUMN status CASCADE;
SELECT DISTINCT view FROM feature_stream.feature;
ROLLBACK;

-- What goes takes its tags along.
SELECT feature_stream.drop_feature_view('spending', true);
SELECT count(*) FROM feature_stream.feature WHERE name = 'spent';
RESET ROLE;
SELECT count(*) FROM feature_stream.feature_tag;
-- A definition that is gone under the registry's feet.
SELECT * FROM feature_stream.get_feature(0, '{1 h}');
SELECT * FROM feature_stream.get_feature('fs_reg.plain', '{1 h}');
SELECT * FROM feature_stream.get_feature_lineage('fs_reg.plain');
DROP FOREIGN TABLE payments CASCADE;
DROP SERVER fs_reg_kafka;
DROP SCHEMA fs_reg CASCADE;
DROP OWNED BY fs_reg_owner, fs_reg_other;
DROP ROLE fs_reg_owner, fs_reg_other;
