-- An alert when too many records are dead letters, and a stream that pauses for it.
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS feature_stream;
CREATE SCHEMA fs_limit;
SET search_path = fs_limit, public;
CREATE SERVER fs_limit FOREIGN DATA WRAPPER feature_stream_table;
CREATE TABLE outbox (id bigserial PRIMARY KEY, xid xid8 NOT NULL DEFAULT pg_current_xact_id(), value text);
CREATE FUNCTION stream(name text, options text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN
    EXECUTE format($f$CREATE FOREIGN TABLE %s (user_id text NOT NULL, at timestamptz NOT NULL)
        SERVER fs_limit OPTIONS ("table" 'outbox', order_by 'id', xid 'xid', value 'value', event_time 'at', slice '1 min', start 'earliest' %s)$f$, name, options);
END $$;
SELECT stream('x', $$, dead_letter_limit ''$$);
SELECT stream('x', $$, dead_letter_limit '1 over 1 min'$$);
SELECT stream('x', $$, dead_letter_limit '100 % over 1 min'$$);
SELECT stream('x', $$, dead_letter_limit 'nan % over 1 min'$$);
SELECT stream('x', $$, dead_letter_limit '1 % over the hill'$$);
SELECT stream('x', $$, dead_letter_limit '1 % over 1 ms'$$);
SELECT stream('x', $$, on_limit 'stop'$$);
SELECT stream('lenient', $$, dead_letter_limit '60 % over 1 s', on_limit 'pause'$$);
SELECT stream('alerting', $$, dead_letter_limit '10%  over  12 s'$$);
SELECT stream('pausing', $$, dead_letter_limit '10.5 % over 1 s', on_limit 'pause'$$);
SELECT feature_stream.create_feature_view(s || '_view', format('SELECT user_id, count(*) AS n FROM %s GROUP BY user_id', s), '{5 min}', '1 min')
  FROM unnest('{lenient,alerting,pausing}'::text[]) s;
CREATE PROCEDURE wait_for(what text, condition text, INOUT alerts text DEFAULT NULL) LANGUAGE plpgsql AS $$
DECLARE done boolean;
BEGIN
    FOR i IN 1 .. 3600 LOOP
        EXECUTE format('SELECT %s, alert FROM feature_stream.stat_stream WHERE stream = %L::regclass', condition, what) INTO done, alerts;
        EXIT WHEN done;
        COMMIT;
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;
CREATE FUNCTION good() RETURNS text LANGUAGE sql AS $$ SELECT json_build_object('user_id', 'u', 'at', clock_timestamp())::text $$;

-- Half are bad.
INSERT INTO outbox (value) SELECT CASE WHEN i % 2 = 0 THEN 'bad' ELSE good() END FROM generate_series(1, 20) i;
CALL wait_for('lenient', 'read_count = 20');
CALL wait_for('alerting', 'alert IS NOT NULL');
CALL wait_for('pausing', $$state = 'paused' AND pid IS NULL$$);
SELECT stream, state, paused, alert FROM feature_stream.stat_stream WHERE stream::text IN ('lenient', 'pausing') ORDER BY stream::text;

-- It ends when they are fine again; the one that is paused keeps it until it is resumed, and loses nothing.
CALL wait_for('alerting', 'alert IS NULL');
INSERT INTO outbox (value) SELECT good() FROM generate_series(1, 20) i;
SELECT feature_stream.resume_stream('pausing');
CALL wait_for('pausing', $$state = 'running' AND read_count = 40 AND alert IS NULL$$);
CALL wait_for('alerting', 'read_count = 40');
SELECT stream, state, paused, read_count, accepted_count, dead_letter_count, alert FROM feature_stream.stat_stream
 WHERE stream::text IN ('alerting', 'pausing') ORDER BY stream::text;

SET client_min_messages = error;
SELECT feature_stream.drop_feature_view(s || '_view', drop_history => true) FROM unnest('{lenient,alerting,pausing}'::text[]) s;
DROP SCHEMA fs_limit CASCADE;
DROP SERVER fs_limit CASCADE;
