\echo Use "CREATE EXTENSION feature_stream" to load this file. \quit

-- The schema is a member of the extension, so that DROP EXTENSION leaves nothing behind.
CREATE SCHEMA feature_stream;
REVOKE ALL ON SCHEMA feature_stream FROM PUBLIC;
COMMENT ON SCHEMA feature_stream IS 'feature_stream: streams, feature views, dead letters and their statistics';

--
-- Definitions.  Dumped by pg_dump.
--

CREATE TABLE feature_stream.feature_view (
    view               regclass PRIMARY KEY,
    stream             regclass NOT NULL,
    definition         regclass NOT NULL,
    history            regclass,
    windows            interval[] NOT NULL,
    slide              interval NOT NULL,
    online             name,
    online_key         text,
    online_ttl         interval,
    on_empty           text NOT NULL DEFAULT 'delete' CHECK (on_empty IN ('delete', 'set')),
    emit               text NOT NULL DEFAULT 'on_change' CHECK (emit IN ('on_change', 'every_slide')),
    history_mode       text NOT NULL DEFAULT 'all' CHECK (history_mode IN ('all', 'thinned', 'none')),
    history_interval   interval,
    history_retention  interval,
    settings           text[] NOT NULL DEFAULT '{}',
    created_at         timestamptz NOT NULL DEFAULT pg_catalog.now()
);
CREATE INDEX ON feature_stream.feature_view (stream);
SELECT pg_catalog.pg_extension_config_dump('feature_stream.feature_view', '');

CREATE TABLE feature_stream.feature (
    view         regclass NOT NULL REFERENCES feature_stream.feature_view ON DELETE CASCADE,
    name         name NOT NULL,
    position     int NOT NULL,
    type         regtype NOT NULL,
    "window"     interval NOT NULL,
    expression   text NOT NULL,
    PRIMARY KEY (view, name)
);
SELECT pg_catalog.pg_extension_config_dump('feature_stream.feature', '');

--
-- State.  Not dumped: it belongs to this cluster and to what its brokers held.
--

-- One row a shard (so far one a stream): written by its ingest worker's checkpoint alone,
-- but for 'paused', which pause_stream and resume_stream set, and for 'slice' to 'column_types',
-- the part of the definition that state depends on, which the event trigger records.
CREATE TABLE feature_stream.stream_state (
    stream             oid NOT NULL,
    shard              int NOT NULL DEFAULT 0,
    paused             boolean NOT NULL DEFAULT false,
    epoch              bigint NOT NULL DEFAULT 0,
    checkpoint         bigint NOT NULL DEFAULT 0,
    frontier           timestamptz,
    watermark          timestamptz,
    fire_window_end    timestamptz,
    fire_view          oid,
    fire_hash          bigint,
    checkpoint_time    timestamptz,
    slice              interval,
    source             text,
    event_time         int2,
    column_types       oid[],
    PRIMARY KEY (stream, shard)
) WITH (fillfactor = 50);

CREATE TABLE feature_stream.partition_position (
    stream                oid NOT NULL,
    shard                 int NOT NULL DEFAULT 0,
    partition             int NOT NULL,
    next_offset           bigint NOT NULL,
    next_xid              xid8,
    watermark             timestamptz,
    last_event_time       timestamptz,
    last_arrival          timestamptz,
    idle                  boolean NOT NULL DEFAULT false,
    covered_from          timestamptz,
    covers_all            boolean NOT NULL DEFAULT false,
    started_at            timestamptz NOT NULL DEFAULT pg_catalog.now(),
    start_offset          bigint NOT NULL,
    read_count            bigint NOT NULL DEFAULT 0,
    accepted_count        bigint NOT NULL DEFAULT 0,
    partially_late_count  bigint NOT NULL DEFAULT 0,
    dead_letter_count     bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (stream, shard, partition)
) WITH (fillfactor = 50);

-- An idle partition that woke up behind the frontier: from this offset on its watermark is at least 'watermark'.
CREATE TABLE feature_stream.partition_wakeup (
    stream       oid NOT NULL,
    shard        int NOT NULL DEFAULT 0,
    partition    int NOT NULL,
    "offset"     bigint NOT NULL,
    watermark    timestamptz NOT NULL,
    PRIMARY KEY (stream, shard, partition, "offset")
);

-- The state: accepted events, one segment a touched slice and checkpoint, or several (parts) where one
-- would be large.  A partition a stream
-- (event_log_<oid>), below it partitions by slice.
CREATE TABLE feature_stream.event_log (
    stream       oid NOT NULL,
    shard        int NOT NULL,
    slice        timestamptz NOT NULL,
    checkpoint   bigint NOT NULL,
    part         int NOT NULL,
    event_count  int NOT NULL,
    segment      bytea NOT NULL
) PARTITION BY LIST (stream);
ALTER TABLE feature_stream.event_log ALTER COLUMN segment SET STORAGE EXTERNAL;

-- What was fired and when: rows of (view, window_end) whose entity hash is <= upto_hash and above the previous entry's.
CREATE TABLE feature_stream.firing (
    view         oid NOT NULL,
    shard        int NOT NULL DEFAULT 0,
    window_end   timestamptz NOT NULL,
    upto_hash    bigint NOT NULL,
    computed_at  timestamptz NOT NULL,
    row_count    bigint NOT NULL,
    PRIMARY KEY (view, shard, window_end, upto_hash)
);

-- A feature view's counters as of the last checkpoint, and what its worker found when it first
-- loaded the view: the log began at log_from (null: nothing was missing).
CREATE TABLE feature_stream.view_state (
    view                    oid PRIMARY KEY,
    log_from                timestamptz,
    counted_count           bigint NOT NULL DEFAULT 0,
    filtered_count          bigint NOT NULL DEFAULT 0,
    late_count              bigint NOT NULL DEFAULT 0,
    expression_error_count  bigint NOT NULL DEFAULT 0,
    row_count               bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

CREATE TABLE feature_stream.dead_letter (
    stream       regclass NOT NULL,
    partition    int NOT NULL,
    "offset"     bigint NOT NULL,
    received_at  timestamptz NOT NULL,
    topic        text,
    reason       text NOT NULL,
    message      text NOT NULL,
    event_time   timestamptz,
    record_time  timestamptz,
    watermark    timestamptz,
    key          bytea,
    payload      bytea,
    payload_size bigint,
    headers      jsonb,
    recorded_at  timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (stream, partition, "offset", recorded_at)
) PARTITION BY RANGE (recorded_at);

--
-- Who sees dead letters: those who may read the stream they come from.
--

ALTER TABLE feature_stream.dead_letter ENABLE ROW LEVEL SECURITY;
CREATE POLICY dead_letter_of_stream ON feature_stream.dead_letter FOR SELECT
    USING (pg_catalog.has_table_privilege(stream, 'SELECT'));
COMMENT ON POLICY dead_letter_of_stream ON feature_stream.dead_letter IS 'dead letters are for those who may read their stream';

COMMENT ON TABLE feature_stream.feature_view IS 'feature views and how they are emitted';
COMMENT ON TABLE feature_stream.feature IS 'features: one column of a feature view each';
COMMENT ON TABLE feature_stream.stream_state IS 'durable state of streams: frontier, watermark, fire cursor';
COMMENT ON TABLE feature_stream.partition_position IS 'durable offsets, watermarks and counters of partitions';
COMMENT ON TABLE feature_stream.partition_wakeup IS 'idle partitions that woke up behind the frontier';
COMMENT ON TABLE feature_stream.event_log IS 'accepted events of all streams, in immutable segments';
COMMENT ON TABLE feature_stream.firing IS 'window ends fired, with the time each part of their rows became known';
COMMENT ON TABLE feature_stream.view_state IS 'durable counters of feature views';
COMMENT ON TABLE feature_stream.dead_letter IS 'events that were not counted, with the reason';
COMMENT ON COLUMN feature_stream.dead_letter.reason IS 'malformed, missing_field, check_violation, bad_value, future, late or tombstone';
COMMENT ON COLUMN feature_stream.dead_letter.message IS 'a sentence that names field and value';
COMMENT ON COLUMN feature_stream.dead_letter.received_at IS 'arrival clock of the event';
COMMENT ON COLUMN feature_stream.dead_letter.recorded_at IS 'when the row was written';

--
-- Foreign-data wrappers.  Handlers and validators are called by DDL and the planner, not by users.
--

CREATE FUNCTION feature_stream.stream_fdw_handler() RETURNS fdw_handler
    AS 'MODULE_PATHNAME', 'fs_stream_fdw_handler' LANGUAGE C STRICT;
REVOKE ALL ON FUNCTION feature_stream.stream_fdw_handler() FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.stream_fdw_handler() IS 'handler of the wrappers of streams';

CREATE FUNCTION feature_stream.view_fdw_handler() RETURNS fdw_handler
    AS 'MODULE_PATHNAME', 'fs_view_fdw_handler' LANGUAGE C STRICT;
REVOKE ALL ON FUNCTION feature_stream.view_fdw_handler() FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.view_fdw_handler() IS 'handler of the wrapper of feature views';

CREATE FUNCTION feature_stream.feature_stream_kafka_validator(text[], oid) RETURNS void
    AS 'MODULE_PATHNAME', 'fs_feature_stream_kafka_validator' LANGUAGE C STRICT;
REVOKE ALL ON FUNCTION feature_stream.feature_stream_kafka_validator(text[], oid) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.feature_stream_kafka_validator(text[], oid) IS 'validator of wrapper feature_stream_kafka';

CREATE FUNCTION feature_stream.feature_stream_redis_validator(text[], oid) RETURNS void
    AS 'MODULE_PATHNAME', 'fs_feature_stream_redis_validator' LANGUAGE C STRICT;
REVOKE ALL ON FUNCTION feature_stream.feature_stream_redis_validator(text[], oid) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.feature_stream_redis_validator(text[], oid) IS 'validator of wrapper feature_stream_redis';

CREATE FUNCTION feature_stream.feature_stream_table_validator(text[], oid) RETURNS void
    AS 'MODULE_PATHNAME', 'fs_feature_stream_table_validator' LANGUAGE C STRICT;
REVOKE ALL ON FUNCTION feature_stream.feature_stream_table_validator(text[], oid) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.feature_stream_table_validator(text[], oid) IS 'validator of wrapper feature_stream_table';

CREATE FUNCTION feature_stream.feature_stream_view_validator(text[], oid) RETURNS void
    AS 'MODULE_PATHNAME', 'fs_feature_stream_view_validator' LANGUAGE C STRICT;
REVOKE ALL ON FUNCTION feature_stream.feature_stream_view_validator(text[], oid) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.feature_stream_view_validator(text[], oid) IS 'validator of wrapper feature_stream_view';

CREATE FOREIGN DATA WRAPPER feature_stream_kafka
    HANDLER feature_stream.stream_fdw_handler VALIDATOR feature_stream.feature_stream_kafka_validator;
COMMENT ON FOREIGN DATA WRAPPER feature_stream_kafka IS 'Kafka clusters; their foreign tables are streams';

CREATE FOREIGN DATA WRAPPER feature_stream_table
    HANDLER feature_stream.stream_fdw_handler VALIDATOR feature_stream.feature_stream_table_validator;
COMMENT ON FOREIGN DATA WRAPPER feature_stream_table IS 'this database; its foreign tables are streams that read an append-only table';

CREATE FOREIGN DATA WRAPPER feature_stream_redis
    NO HANDLER VALIDATOR feature_stream.feature_stream_redis_validator;
COMMENT ON FOREIGN DATA WRAPPER feature_stream_redis IS 'Redis servers: online stores';

CREATE FOREIGN DATA WRAPPER feature_stream_view
    HANDLER feature_stream.view_fdw_handler VALIDATOR feature_stream.feature_stream_view_validator;
COMMENT ON FOREIGN DATA WRAPPER feature_stream_view IS 'feature views';

CREATE SERVER feature_stream FOREIGN DATA WRAPPER feature_stream_view;
COMMENT ON SERVER feature_stream IS 'the feature views of this database';

--
-- Definitions.  They start workers and make objects: granted one by one, by grant_access() or by hand.
--

CREATE FUNCTION feature_stream.create_feature_view(
    name text, query text, windows interval[], slide interval,
    online name DEFAULT NULL, online_key text DEFAULT NULL, online_ttl interval DEFAULT NULL,
    on_empty text DEFAULT 'delete', emit text DEFAULT 'on_change',
    history text DEFAULT 'all', history_interval interval DEFAULT NULL, history_retention interval DEFAULT NULL,
    online_mode text DEFAULT 'final', offline name DEFAULT NULL) RETURNS regclass
    AS 'MODULE_PATHNAME', 'fs_create_feature_view' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.create_feature_view(text, text, interval[], interval, name, text, interval, text, text, text, interval, interval, text, name) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.create_feature_view(text, text, interval[], interval, name, text, interval, text, text, text, interval, interval, text, name) IS 'creates a feature view: a query over a stream, computed for each entity and window';

CREATE FUNCTION feature_stream.drop_feature_view(view regclass, drop_history boolean DEFAULT false) RETURNS void
    AS 'MODULE_PATHNAME', 'fs_drop_feature_view' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.drop_feature_view(regclass, boolean) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.drop_feature_view(regclass, boolean) IS 'drops a feature view; its history table only when asked';

CREATE FUNCTION feature_stream.pause_stream(stream regclass) RETURNS void
    AS 'MODULE_PATHNAME', 'fs_pause_stream' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.pause_stream(regclass) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.pause_stream(regclass) IS 'stops reading a stream until it is resumed';

CREATE FUNCTION feature_stream.resume_stream(stream regclass) RETURNS void
    AS 'MODULE_PATHNAME', 'fs_resume_stream' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.resume_stream(regclass) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.resume_stream(regclass) IS 'goes on reading a paused stream where it stopped';

CREATE FUNCTION feature_stream.checkpoint_stream(stream regclass) RETURNS void
    AS 'MODULE_PATHNAME', 'fs_checkpoint_stream' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.checkpoint_stream(regclass) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.checkpoint_stream(regclass) IS 'waits until what was read from a stream is durable';

CREATE FUNCTION feature_stream.grant_access(role regrole) RETURNS void
    AS 'MODULE_PATHNAME', 'fs_grant_access' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.grant_access(regrole) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.grant_access(regrole) IS 'lets a role define streams and feature views and see their statistics';

--
-- Event triggers: whole definitions are checked, state is made and removed with its stream.
--

CREATE FUNCTION feature_stream.on_ddl_command_end() RETURNS event_trigger
    AS 'MODULE_PATHNAME', 'fs_on_ddl_command_end' LANGUAGE C;
REVOKE ALL ON FUNCTION feature_stream.on_ddl_command_end() FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.on_ddl_command_end() IS 'checks streams and feature views after DDL';

CREATE FUNCTION feature_stream.on_sql_drop() RETURNS event_trigger
    AS 'MODULE_PATHNAME', 'fs_on_sql_drop' LANGUAGE C;
REVOKE ALL ON FUNCTION feature_stream.on_sql_drop() FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.on_sql_drop() IS 'removes what belongs to dropped streams and feature views';

CREATE EVENT TRIGGER feature_stream_on_ddl_command_end ON ddl_command_end
    WHEN TAG IN ('CREATE FOREIGN TABLE', 'ALTER FOREIGN TABLE', 'IMPORT FOREIGN SCHEMA', 'ALTER TABLE',
                 'CREATE VIEW', 'ALTER VIEW', 'CREATE SCHEMA', 'ALTER SERVER',
                 'CREATE USER MAPPING', 'ALTER USER MAPPING')
    EXECUTE FUNCTION feature_stream.on_ddl_command_end();
COMMENT ON EVENT TRIGGER feature_stream_on_ddl_command_end IS 'checks streams and feature views after DDL';

CREATE EVENT TRIGGER feature_stream_on_sql_drop ON sql_drop
    EXECUTE FUNCTION feature_stream.on_sql_drop();
COMMENT ON EVENT TRIGGER feature_stream_on_sql_drop IS 'removes what belongs to dropped streams and feature views';

--
-- statistics
--

-- What the workers publish in shared memory: nothing about a stream that has no slot.
CREATE FUNCTION feature_stream.stat_get_stream(
    OUT stream oid, OUT state text, OUT pid int, OUT watermark timestamptz, OUT held_back_by int,
    OUT frontier timestamptz, OUT durable_frontier timestamptz, OUT lag_seconds float8,
    OUT pending_events bigint, OUT memory_bytes bigint, OUT memory_needed_bytes bigint,
    OUT checkpoint_count bigint, OUT last_checkpoint_time timestamptz,
    OUT last_checkpoint_duration float8, OUT last_checkpoint_bytes bigint,
    OUT last_checkpoint_pause float8, OUT longest_pause float8,
    OUT last_error text, OUT last_error_time timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'fs_stat_get_stream' LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 10;
COMMENT ON FUNCTION feature_stream.stat_get_stream() IS
    'what the ingest workers of this database publish about their streams; see view stat_stream';

CREATE FUNCTION feature_stream.stat_get_partition(
    OUT stream oid, OUT partition int, OUT state text, OUT idle boolean, OUT pending_offset bigint,
    OUT begin_offset bigint, OUT end_offset bigint, OUT lag_events bigint, OUT watermark timestamptz,
    OUT last_event_time timestamptz, OUT last_arrival timestamptz, OUT read_count bigint,
    OUT accepted_count bigint, OUT partially_late_count bigint, OUT dead_letter_count bigint, OUT error text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'fs_stat_get_partition' LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 100;
COMMENT ON FUNCTION feature_stream.stat_get_partition() IS
    'what the ingest workers of this database publish about partitions; see view stat_partition';

CREATE FUNCTION feature_stream.stat_get_feature_view(
    OUT view oid, OUT entities bigint, OUT memory_bytes bigint, OUT frontier timestamptz,
    OUT complete_from timestamptz, OUT counted_count bigint, OUT filtered_count bigint,
    OUT late_count bigint, OUT expression_error_count bigint, OUT row_count bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'fs_stat_get_feature_view' LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 10;
COMMENT ON FUNCTION feature_stream.stat_get_feature_view() IS
    'what the ingest workers of this database publish about feature views; see view stat_feature_view';

CREATE FUNCTION feature_stream.stat_get_online(
    OUT view oid, OUT connected boolean, OUT queued bigint, OUT written_count bigint,
    OUT deleted_count bigint, OUT error_count bigint, OUT last_write_time timestamptz, OUT last_error text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'fs_stat_get_online' LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 10;
COMMENT ON FUNCTION feature_stream.stat_get_online() IS
    'what the ingest workers of this database publish about online stores; see view stat_online';

CREATE FUNCTION feature_stream.stat_get_progress_recovery(
    OUT stream oid, OUT phase text, OUT bytes_done bigint, OUT bytes_total bigint, OUT events bigint)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'fs_stat_get_progress_recovery' LANGUAGE C VOLATILE PARALLEL RESTRICTED ROWS 1;
COMMENT ON FUNCTION feature_stream.stat_get_progress_recovery() IS
    'how far recovering ingest workers of this database are; see view stat_progress_recovery';

-- A partition is known from its durable position, from a worker, or both.
CREATE VIEW feature_stream.stat_partition AS
SELECT coalesce(l.stream, p.stream)::pg_catalog.regclass AS stream,
       coalesce(l.partition, p.partition) AS partition,
       l.state,
       coalesce(l.idle, p.idle) AS idle,
       coalesce(l.pending_offset, p.next_offset) AS pending_offset,
       p.next_offset AS durable_offset,
       l.begin_offset,
       l.end_offset,
       l.lag_events,
       coalesce(l.watermark, p.watermark) AS watermark,
       coalesce(l.last_event_time, p.last_event_time) AS last_event_time,
       coalesce(l.last_arrival, p.last_arrival) AS last_arrival,
       coalesce(l.read_count, p.read_count) AS read_count,
       coalesce(l.accepted_count, p.accepted_count) AS accepted_count,
       coalesce(l.partially_late_count, p.partially_late_count) AS partially_late_count,
       coalesce(l.dead_letter_count, p.dead_letter_count) AS dead_letter_count,
       l.error
  FROM feature_stream.partition_position p
       FULL JOIN feature_stream.stat_get_partition() l
       ON l.stream OPERATOR(pg_catalog.=) p.stream AND l.partition OPERATOR(pg_catalog.=) p.partition;
COMMENT ON VIEW feature_stream.stat_partition IS 'one row a partition of each stream: how far it was read, and what came of it';
COMMENT ON COLUMN feature_stream.stat_partition.state IS 'found, resolving, resolved, reading, or stopped (error says why); null when the stream has no worker';
COMMENT ON COLUMN feature_stream.stat_partition.idle IS 'read to the end and silent for idle_after: it does not hold the watermark';
COMMENT ON COLUMN feature_stream.stat_partition.pending_offset IS 'next offset to be read';
COMMENT ON COLUMN feature_stream.stat_partition.durable_offset IS 'next offset to be read after a crash: everything before it is committed';
COMMENT ON COLUMN feature_stream.stat_partition.begin_offset IS 'first offset that the broker still has';
COMMENT ON COLUMN feature_stream.stat_partition.end_offset IS 'offset that the broker will give to the next record';
COMMENT ON COLUMN feature_stream.stat_partition.lag_events IS 'records between pending_offset and end_offset';
COMMENT ON COLUMN feature_stream.stat_partition.watermark IS 'event time before which no more events are expected from the partition';

CREATE VIEW feature_stream.stat_stream AS
SELECT t.ftrelid::pg_catalog.regclass AS stream,
       coalesce(CASE WHEN l.pid IS NOT NULL THEN l.state
                     WHEN d.paused THEN 'paused'
                     ELSE l.state END, 'stopped') AS state,
       l.pid,
       coalesce(d.paused, false) AS paused,
       coalesce(l.watermark, d.watermark) AS watermark,
       l.held_back_by,
       coalesce(l.frontier, d.frontier) AS frontier,
       coalesce(l.durable_frontier, d.frontier) AS durable_frontier,
       coalesce(l.lag_seconds,
                EXTRACT(epoch FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) d.watermark)::pg_catalog.float8)
           AS lag_seconds,
       p.lag_events,
       coalesce(p.read_count, 0) AS read_count,
       coalesce(p.accepted_count, 0) AS accepted_count,
       coalesce(p.partially_late_count, 0) AS partially_late_count,
       coalesce(p.dead_letter_count, 0) AS dead_letter_count,
       l.pending_events,
       l.memory_bytes,
       l.memory_needed_bytes,
       l.checkpoint_count,
       coalesce(l.last_checkpoint_time, d.checkpoint_time) AS last_checkpoint_time,
       l.last_checkpoint_duration,
       l.last_checkpoint_bytes,
       l.last_checkpoint_pause,
       l.longest_pause,
       l.last_error,
       l.last_error_time
  FROM pg_catalog.pg_foreign_table t
       JOIN pg_catalog.pg_foreign_server s ON s.oid OPERATOR(pg_catalog.=) t.ftserver
       JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid OPERATOR(pg_catalog.=) s.srvfdw
       LEFT JOIN feature_stream.stat_get_stream() l ON l.stream OPERATOR(pg_catalog.=) t.ftrelid
       LEFT JOIN feature_stream.stream_state d ON d.stream OPERATOR(pg_catalog.=) t.ftrelid
       LEFT JOIN (SELECT stream,
                         pg_catalog.sum(lag_events)::bigint AS lag_events,
                         pg_catalog.sum(read_count)::bigint AS read_count,
                         pg_catalog.sum(accepted_count)::bigint AS accepted_count,
                         pg_catalog.sum(partially_late_count)::bigint AS partially_late_count,
                         pg_catalog.sum(dead_letter_count)::bigint AS dead_letter_count
                    FROM feature_stream.stat_partition GROUP BY stream) p
           ON p.stream::pg_catalog.oid OPERATOR(pg_catalog.=) t.ftrelid
 WHERE w.fdwname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (ARRAY['feature_stream_kafka', 'feature_stream_table']);
COMMENT ON VIEW feature_stream.stat_stream IS 'one row a stream: what its worker does, how far event time has come, and what troubles it';
COMMENT ON COLUMN feature_stream.stat_stream.state IS 'stopped, paused, no_views, starting, recovering, running, disconnected, memory_exhausted or failed; last_error says why';
COMMENT ON COLUMN feature_stream.stat_stream.held_back_by IS 'partition that holds the watermark';
COMMENT ON COLUMN feature_stream.stat_stream.frontier IS 'last window end fired';
COMMENT ON COLUMN feature_stream.stat_stream.durable_frontier IS 'last window end whose rows are committed';
COMMENT ON COLUMN feature_stream.stat_stream.lag_seconds IS 'how far the watermark is behind the clock';
COMMENT ON COLUMN feature_stream.stat_stream.lag_events IS 'records that the broker has and the worker has not read';
COMMENT ON COLUMN feature_stream.stat_stream.pending_events IS 'accepted events that the next checkpoint will make durable';
COMMENT ON COLUMN feature_stream.stat_stream.memory_bytes IS 'shared memory that the stream''s windows take';
COMMENT ON COLUMN feature_stream.stat_stream.memory_needed_bytes IS 'in state memory_exhausted: size of feature_stream.memory that would do';
COMMENT ON COLUMN feature_stream.stat_stream.checkpoint_count IS 'checkpoints since the worker started';
COMMENT ON COLUMN feature_stream.stat_stream.last_checkpoint_duration IS 'in milliseconds';
COMMENT ON COLUMN feature_stream.stat_stream.last_checkpoint_pause IS 'longest time without ingestion during the last checkpoint and its firing, in milliseconds';
COMMENT ON COLUMN feature_stream.stat_stream.longest_pause IS 'longest time without ingestion although there was work, since the worker started, in milliseconds';

CREATE VIEW feature_stream.stat_feature_view AS
SELECT f.view,
       f.stream,
       l.entities,
       l.memory_bytes,
       coalesce(l.frontier, d.frontier) AS frontier,
       l.complete_from,
       coalesce(l.counted_count, v.counted_count) AS counted_count,
       coalesce(l.filtered_count, v.filtered_count) AS filtered_count,
       coalesce(l.late_count, v.late_count) AS late_count,
       coalesce(l.expression_error_count, v.expression_error_count) AS expression_error_count,
       coalesce(l.row_count, v.row_count) AS row_count
  FROM feature_stream.feature_view f
       LEFT JOIN feature_stream.stat_get_feature_view() l ON l.view OPERATOR(pg_catalog.=) f.view::pg_catalog.oid
       LEFT JOIN feature_stream.view_state v ON v.view OPERATOR(pg_catalog.=) f.view::pg_catalog.oid
       LEFT JOIN feature_stream.stream_state d ON d.stream OPERATOR(pg_catalog.=) f.stream::pg_catalog.oid;
COMMENT ON VIEW feature_stream.stat_feature_view IS 'one row a feature view: entities, memory, and what became of the stream''s events there';
COMMENT ON COLUMN feature_stream.stat_feature_view.frontier IS 'last window end fired and committed';
COMMENT ON COLUMN feature_stream.stat_feature_view.complete_from IS 'from this window end on windows are fully covered by what was read';
COMMENT ON COLUMN feature_stream.stat_feature_view.filtered_count IS 'events that the query''s WHERE left out';
COMMENT ON COLUMN feature_stream.stat_feature_view.late_count IS 'accepted events that were too late for all windows of this view';
COMMENT ON COLUMN feature_stream.stat_feature_view.expression_error_count IS 'events left out because the query''s WHERE raised an error';

CREATE VIEW feature_stream.stat_online AS
SELECT f.view,
       f.online AS server,
       coalesce(l.connected, false) AS connected,
       l.queued,
       l.written_count,
       l.deleted_count,
       l.error_count,
       l.last_write_time,
       l.last_error
  FROM feature_stream.feature_view f
       LEFT JOIN feature_stream.stat_get_online() l ON l.view OPERATOR(pg_catalog.=) f.view::pg_catalog.oid
 WHERE f.online IS NOT NULL;
COMMENT ON VIEW feature_stream.stat_online IS 'one row a feature view with an online store; counts since its worker started';
COMMENT ON COLUMN feature_stream.stat_online.queued IS 'keys whose newest row is not written yet';
COMMENT ON COLUMN feature_stream.stat_online.last_write_time IS 'when the store last acknowledged a write';

CREATE VIEW feature_stream.stat_progress_recovery AS
SELECT l.stream::pg_catalog.regclass AS stream, l.phase, l.bytes_done, l.bytes_total, l.events
  FROM feature_stream.stat_get_progress_recovery() l;
COMMENT ON VIEW feature_stream.stat_progress_recovery IS 'one row a stream whose worker is rebuilding its windows from the event log';
COMMENT ON COLUMN feature_stream.stat_progress_recovery.phase IS 'initializing, reading event log or finishing';

-- Offsets and errors tell about others' data: for monitoring roles.
REVOKE ALL ON FUNCTION feature_stream.stat_get_stream(), feature_stream.stat_get_partition(),
    feature_stream.stat_get_feature_view(), feature_stream.stat_get_online(),
    feature_stream.stat_get_progress_recovery() FROM PUBLIC;
REVOKE ALL ON feature_stream.stat_stream, feature_stream.stat_partition, feature_stream.stat_feature_view,
    feature_stream.stat_online, feature_stream.stat_progress_recovery FROM PUBLIC;
GRANT USAGE ON SCHEMA feature_stream TO pg_monitor;
GRANT EXECUTE ON FUNCTION feature_stream.stat_get_stream(), feature_stream.stat_get_partition(),
    feature_stream.stat_get_feature_view(), feature_stream.stat_get_online(),
    feature_stream.stat_get_progress_recovery() TO pg_monitor;
GRANT SELECT ON feature_stream.stat_stream, feature_stream.stat_partition, feature_stream.stat_feature_view,
    feature_stream.stat_online, feature_stream.stat_progress_recovery TO pg_monitor;

-- Checks by itself that the caller may SELECT from the stream.
CREATE FUNCTION feature_stream.read_event_log(stream regclass, since timestamptz DEFAULT NULL)
RETURNS TABLE (partition int, "offset" bigint, xid xid8, event_time timestamptz, arrival timestamptz,
               late_bound timestamptz, checkpoint bigint, event jsonb)
AS 'MODULE_PATHNAME', 'fs_read_event_log' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100000;
COMMENT ON FUNCTION feature_stream.read_event_log(regclass, timestamptz) IS
    'accepted events of a stream that its event log still has, late ones too (late_bound: counts only in windows that end after it)';

-- For tests: moves the whole cluster's idea of now.
CREATE FUNCTION feature_stream.set_test_clock(clock timestamptz)
RETURNS void
AS 'MODULE_PATHNAME', 'fs_set_test_clock' LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.set_test_clock(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.set_test_clock(timestamptz) IS
    'sets the clock that arrival, idleness and expiry are judged by, for tests; null goes back to the real clock';
