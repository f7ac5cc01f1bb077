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
    created_at         timestamptz NOT NULL DEFAULT pg_catalog.now(),
    as_of              name,
    live               regclass,
    backfill           boolean NOT NULL DEFAULT true,
    past_columns       name[] NOT NULL DEFAULT '{}',
    offline            name,
    offline_table      text,
    offline_partition_by text[],
    offline_interval   interval
);
CREATE INDEX ON feature_stream.feature_view (stream);
SELECT pg_catalog.pg_extension_config_dump('feature_stream.feature_view', '');

-- What has no place in the catalogs; the rest of the registry is views, below.
CREATE TABLE feature_stream.feature_tag (
    view         regclass NOT NULL REFERENCES feature_stream.feature_view ON DELETE CASCADE,
    name         name NOT NULL,
    tags         jsonb NOT NULL,
    PRIMARY KEY (view, name)
);
SELECT pg_catalog.pg_extension_config_dump('feature_stream.feature_tag', '');

-- Avro schemas of subjects; written by register_schema(), set_compatibility() and import_schemas() alone.
CREATE TABLE feature_stream.schema_subject (
    subject        text PRIMARY KEY,
    compatibility  text NOT NULL DEFAULT 'BACKWARD' CHECK (compatibility IN ('NONE', 'BACKWARD', 'FORWARD', 'FULL',
                       'BACKWARD_TRANSITIVE', 'FORWARD_TRANSITIVE', 'FULL_TRANSITIVE')),
    owner          regrole NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT pg_catalog.now()
);
SELECT pg_catalog.pg_extension_config_dump('feature_stream.schema_subject', '');

CREATE TABLE feature_stream.schema_version (
    subject        text NOT NULL REFERENCES feature_stream.schema_subject ON DELETE CASCADE,
    version        int NOT NULL CHECK (version > 0),
    schema         text NOT NULL,
    fingerprint    bytea NOT NULL,
    content_hash   bytea NOT NULL,
    registered_at  timestamptz NOT NULL DEFAULT pg_catalog.now(),
    registered_by  name NOT NULL,
    referenced     text[] NOT NULL DEFAULT '{}',
    refers_to      jsonb,
    PRIMARY KEY (subject, version)
);
-- Not unique: registries keep versions apart that differ in documentation alone.
CREATE INDEX schema_version_content_hash_idx ON feature_stream.schema_version (subject, content_hash);
SELECT pg_catalog.pg_extension_config_dump('feature_stream.schema_version', '');

--
-- State.  Not dumped: it belongs to this cluster and to what its brokers held.
--

-- What users' commands say of a stream: 'paused' is pause_stream's and resume_stream's, and the worker's where
-- "on_limit" has it, who leaves the 'alert' of which that was; 'resumed_count' is resume_stream's; the rest, recorded by the event trigger, is the part
-- of the definition that state depends on.  Apart from stream_state, so that no checkpoint ever waits for a user's
-- transaction.
CREATE TABLE feature_stream.stream_definition (
    stream             oid PRIMARY KEY,
    paused             boolean NOT NULL DEFAULT false,
    alert              text,
    resumed_count      bigint NOT NULL DEFAULT 0,
    slice              interval,
    source             text,
    event_time         int2,
    column_types       oid[]
);

-- The columns of each stream in their versions.  One is entered by the event trigger, with the command that changed them; the ingest
-- worker that reads by it first writes down from which offsets on ("offsets"; what began later is read by it whole).  missing: what
-- events of the log have in columns that were added after they were read, by number of the column.  never_null:
-- columns that are NOT NULL and have a value in all events of the log.
CREATE TABLE feature_stream.stream_contract (
    stream        oid NOT NULL,
    version       int NOT NULL,
    columns       jsonb NOT NULL,
    missing       jsonb NOT NULL DEFAULT '{}',
    never_null    int2[] NOT NULL DEFAULT '{}',
    changed_at    timestamptz NOT NULL DEFAULT pg_catalog.now(),
    changed_by    name NOT NULL,
    offsets       jsonb,
    effective_at  timestamptz,
    PRIMARY KEY (stream, version)
);

-- What schema registries outside have said, kept for good: a number means one schema within one registry.  Written by ingest
-- workers; a row that is deleted is asked for again.
CREATE TABLE feature_stream.registry_schema (
    registry           text NOT NULL,
    id                 text NOT NULL,
    schema_type        text NOT NULL DEFAULT 'AVRO',
    schema             text NOT NULL,
    referenced         text[] NOT NULL DEFAULT '{}',
    resolved_at        timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (registry, id)
);

-- Which versions of subjects are which schemas of registries outside; written by import_schemas() and publish_schema().
CREATE TABLE feature_stream.schema_registration (
    registry           text NOT NULL,
    subject            text NOT NULL,
    version            int NOT NULL,
    id                 int,
    registered_at      timestamptz NOT NULL DEFAULT pg_catalog.now(),
    PRIMARY KEY (registry, subject, version),
    FOREIGN KEY (subject, version) REFERENCES feature_stream.schema_version ON DELETE CASCADE
);

-- One row a shard (so far one a stream): written by its ingest worker's checkpoint alone.
CREATE TABLE feature_stream.stream_state (
    stream             oid NOT NULL,
    shard              int NOT NULL DEFAULT 0,
    epoch              bigint NOT NULL DEFAULT 0,
    checkpoint         bigint NOT NULL DEFAULT 0,
    frontier           timestamptz,
    watermark          timestamptz,
    fire_window_end    timestamptz,
    fire_view          oid,
    fire_hash          bigint,
    checkpoint_time    timestamptz,
    start_partitions   int NOT NULL DEFAULT 0,
    cluster            text,
    resumed_count      bigint NOT NULL DEFAULT 0,
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
    start_xid             xid8,
    read_count            bigint NOT NULL DEFAULT 0,
    accepted_count        bigint NOT NULL DEFAULT 0,
    partially_late_count  bigint NOT NULL DEFAULT 0,
    dead_letter_count     bigint NOT NULL DEFAULT 0,
    stopped               text,
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
    late_bound   timestamptz,
    segment      bytea NOT NULL
) PARTITION BY LIST (stream);
ALTER TABLE feature_stream.event_log ALTER COLUMN segment SET STORAGE EXTERNAL;

-- Partial aggregates that do not change any more, so that recovery need not fold their events again: the
-- records of a view that first count at a window end, in one segment or several parts.  "previous" is the
-- window end before that has any: what is missing is noticed.  A partition a stream (partial_log_<oid>),
-- below it partitions by window end.
CREATE TABLE feature_stream.partial_log (
    stream       oid NOT NULL,
    shard        int NOT NULL,
    window_end   timestamptz NOT NULL,
    view         oid NOT NULL,
    part         int NOT NULL,
    is_last      boolean NOT NULL,
    previous     timestamptz NOT NULL,
    oldest       timestamptz NOT NULL,
    layout       bigint NOT NULL,
    record_count int NOT NULL,
    segment      bytea NOT NULL
) PARTITION BY LIST (stream);
ALTER TABLE feature_stream.partial_log ALTER COLUMN segment SET STORAGE EXTERNAL;

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

-- Feature views that are paused: pause_feature_view's and resume_feature_view's; with a reason the worker's, and
-- the view is not even loaded then.
CREATE TABLE feature_stream.view_pause (
    view         oid PRIMARY KEY,
    since        timestamptz NOT NULL DEFAULT pg_catalog.now(),
    hold         interval NOT NULL,
    reason       text
);

-- A feature view's counters as of the last checkpoint; where the log began when its worker first loaded
-- it (null: nothing was missing); since which window end the worker knows it to be paused (null: since the
-- first), and for how long beyond its end the log is held for it; the newest window end of the history then
-- (null: it was empty), which a restored dump has brought along.  partial_log has all records that first
-- count after partial_from, up to partial_upto, the last of them at partial_last, in this layout (null: none).
CREATE TABLE feature_stream.view_state (
    view                    oid PRIMARY KEY,
    log_from                timestamptz,
    paused                  boolean NOT NULL DEFAULT false,
    paused_after            timestamptz,
    paused_hold             interval,
    history_until           timestamptz,
    counted_count           bigint NOT NULL DEFAULT 0,
    filtered_count          bigint NOT NULL DEFAULT 0,
    late_count              bigint NOT NULL DEFAULT 0,
    expression_error_count  bigint NOT NULL DEFAULT 0,
    row_count               bigint NOT NULL DEFAULT 0,
    feature_error_count     bigint NOT NULL DEFAULT 0,
    feature_error           text,
    partial_from            timestamptz,
    partial_upto            timestamptz,
    partial_last            timestamptz,
    partial_layout          bigint
) WITH (fillfactor = 50);

-- Window ends that a feature view did not fire when they were due: those after "after" (null: all) up to
-- "until".  Entered by the stream's ingest worker, which fires the view from there on; their history rows
-- are computed from the log by the backfill worker, which moves done_upto with them.  No longer needed
-- when the log does not reach there any more.
CREATE TABLE feature_stream.backfill (
    view              oid NOT NULL,
    "until"           timestamptz NOT NULL,
    "after"           timestamptz,
    reason            text NOT NULL CHECK (reason IN ('creation', 'pause')),
    computed_at       timestamptz NOT NULL,
    hold              interval NOT NULL DEFAULT '7 days',
    state             text NOT NULL CHECK (state IN ('pending', 'done', 'declined')),
    first_window_end  timestamptz,
    done_upto         timestamptz,
    lost_upto         timestamptz,
    row_count         bigint NOT NULL DEFAULT 0,
    started_at        timestamptz,
    finished_at       timestamptz,
    error             text,
    PRIMARY KEY (view, "until")
) WITH (fillfactor = 50);

-- Feature views that are exported to a lake, and how far that is.  The counts, times and errors are the lake
-- worker's; table_uuid is null until it has made the table.  id: another one when an export ended and began again.
-- column_numbers, column_names: attributes of the history that the table has followed.  orphan_position: where
-- the search for files that nobody needs goes on.  writer: which database the table is this one's by (ground/identity.h);
-- in a copy of that database it is another one, and nothing is done until take_over_lake().
CREATE TABLE feature_stream.lake_export (
    view               oid PRIMARY KEY,
    id                 bigint GENERATED ALWAYS AS IDENTITY,
    catalog_name       text NOT NULL,
    table_namespace    text NOT NULL,
    table_name         text NOT NULL,
    table_uuid         text,
    writer             text,
    column_numbers     smallint[],
    column_names       name[],
    row_count          bigint NOT NULL DEFAULT 0,
    file_count         bigint NOT NULL DEFAULT 0,
    byte_count         bigint NOT NULL DEFAULT 0,
    nan_count          bigint NOT NULL DEFAULT 0,
    commit_count       bigint NOT NULL DEFAULT 0,
    window_end         timestamptz,
    last_commit_time   timestamptz,
    next_export_time   timestamptz NOT NULL DEFAULT '-infinity',
    failure_count      int NOT NULL DEFAULT 0,
    last_error         text,
    last_error_time    timestamptz,
    started_at            timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    existing_rows_done    bigint NOT NULL DEFAULT 0,
    existing_chunks_done  bigint NOT NULL DEFAULT 0,
    upkeep_commit_count   bigint NOT NULL DEFAULT 0,
    next_upkeep_time      timestamptz NOT NULL DEFAULT '-infinity',
    upkeep_failure_count  int NOT NULL DEFAULT 0,
    last_upkeep_time      timestamptz,
    snapshot_count        int,
    small_file_count      int,
    last_upkeep_error     text,
    next_orphan_time      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp() + '1 day'::interval,
    orphan_position       text,
    UNIQUE (catalog_name, table_namespace, table_name)
) WITH (fillfactor = 50);

-- Rows of histories that the lake does not have yet: those of these window ends that were computed at that
-- time, as one transaction wrote them and their chunk; or, without a time, those that were there when the
-- export began: all that are in no chunk with one.  entered_at: since when the lake lacks them, by the real clock.
CREATE TABLE feature_stream.lake_chunk (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    view              oid NOT NULL,
    computed_at       timestamptz,
    first_window_end  timestamptz NOT NULL,
    last_window_end   timestamptz NOT NULL,
    row_count         bigint NOT NULL,
    entered_at        timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX ON feature_stream.lake_chunk (view, id);

-- Files in lakes that no table needs (any more) after a time.  A file is entered before it is made, and
-- taken out in the transaction that makes it part of a table: what a crash leaves behind is here.
-- is_unread: a list of manifests; before it goes, what only it leads to is looked for and entered, too.
-- is_named: it was entered before it was made, so an upload of it may have been begun.
-- writer: as of lake_export; no other database deletes it.
CREATE TABLE feature_stream.lake_file (
    location      text PRIMARY KEY,
    view          oid NOT NULL,
    server        oid NOT NULL,
    "user"        oid NOT NULL,
    delete_after  timestamptz NOT NULL,
    failure_count int NOT NULL DEFAULT 0,
    is_unread     boolean NOT NULL DEFAULT false,
    is_named      boolean NOT NULL DEFAULT false,
    writer        text NOT NULL
);

-- Upkeep of tables in lakes that was asked for by functions (the action is their name), for the lake worker,
-- and the files that it was, or in a dry run would be, about.  Kept for a week.
CREATE TABLE feature_stream.lake_upkeep (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    view          oid NOT NULL,
    action        text NOT NULL,
    dry_run       boolean NOT NULL,
    older_than    interval,
    keep          int,
    requested_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    state         text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'failed')),
    finished_at   timestamptz,
    error         text
);
CREATE TABLE feature_stream.lake_upkeep_file (
    request   bigint NOT NULL REFERENCES feature_stream.lake_upkeep ON DELETE CASCADE,
    what      text NOT NULL,
    location  text NOT NULL
);
CREATE INDEX ON feature_stream.lake_upkeep_file (request);

-- Features that alter_feature_view() added, in the definition that has them first.  The stream's ingest
-- worker sets "until" when it loads that: it fires rows with them from there on.  Their columns in the
-- history's rows up to then are computed from the log by the backfill worker, which moves done_upto with them.
CREATE TABLE feature_stream.view_alteration (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    view              oid NOT NULL,
    definition        oid NOT NULL,
    features          name[] NOT NULL,
    "until"           timestamptz,
    hold              interval NOT NULL DEFAULT '7 days',
    state             text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'declined')),
    first_window_end  timestamptz,
    done_upto         timestamptz,
    lost_upto         timestamptz,
    row_count         bigint NOT NULL DEFAULT 0,
    started_at        timestamptz,
    finished_at       timestamptz,
    error             text
) WITH (fillfactor = 50);
CREATE INDEX ON feature_stream.view_alteration (view);

-- Events older than the stream's log that are read for one feature view: create_feature_view(backfill_from => ...).
-- 'pending' until upkeep has fixed where that joins the log (backread_position), 'reading', 'read', and 'done' when the
-- view goes on with them.  cut: where the log began then (null: it was whole); what an event before it became is not
-- known any more, so those are read again.  whole_from: nothing is missing from here on (null: nothing at all).
CREATE TABLE feature_stream.backread (
    view             oid PRIMARY KEY,
    start            text NOT NULL,
    state            text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'reading', 'read', 'done')),
    hold             interval NOT NULL DEFAULT '7 days',
    cut              timestamptz,
    whole_from       timestamptz,
    step             bigint NOT NULL DEFAULT 0,
    read_count       bigint NOT NULL DEFAULT 0,
    refused_count    bigint NOT NULL DEFAULT 0,
    lost_count       bigint NOT NULL DEFAULT 0,
    refused_example  text,
    started_at       timestamptz,
    finished_at      timestamptz,
    error            text
) WITH (fillfactor = 50);

-- Records from start_offset (known when it is found) up to end_offset: all before stream_start, where the stream itself
-- began, and those before the cut after it.  Positions are those of partition_position: the next offset of a topic, the
-- last row of a table.  total_count, done_count: offsets or rows, to tell how far it is.
CREATE TABLE feature_stream.backread_position (
    view              oid NOT NULL,
    partition         int NOT NULL,
    start_offset      bigint,
    start_xid         xid8,
    next_offset       bigint,
    next_xid          xid8,
    stream_start      bigint NOT NULL,
    stream_start_xid  xid8,
    end_offset        bigint NOT NULL,
    end_xid           xid8,
    total_count       bigint,
    done_count        bigint,
    covers_all        boolean,
    covered_from      timestamptz,
    PRIMARY KEY (view, partition)
) WITH (fillfactor = 50);

-- Their events, as in event_log; for this view alone, so that no other one changes.
CREATE TABLE feature_stream.backread_log (
    view         oid NOT NULL,
    slice        timestamptz NOT NULL,
    step         bigint NOT NULL,
    part         int NOT NULL,
    event_count  int NOT NULL,
    segment      bytea NOT NULL,
    PRIMARY KEY (view, slice, step, part)
);
ALTER TABLE feature_stream.backread_log ALTER COLUMN segment SET STORAGE EXTERNAL;

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
    original_key     bytea,
    original_payload bytea,
    original_headers jsonb,
    repaired_at      timestamptz,
    PRIMARY KEY (stream, partition, "offset", recorded_at)
) PARTITION BY RANGE (recorded_at);

-- What became of dead letters that were asked back or discarded.  A row that is 'requested' is the ingest worker's alone, which marks
-- it in the checkpoint that makes its event durable; the others are replay_dead_letters()'s and discard_dead_letters()'s.
CREATE TABLE feature_stream.dead_letter_outcome (
    stream        regclass NOT NULL,
    partition     int NOT NULL,
    "offset"      bigint NOT NULL,
    recorded_at   timestamptz NOT NULL,
    outcome       text NOT NULL CHECK (outcome IN ('requested', 'replayed', 'still_bad', 'too_late', 'discarded')),
    reason        text,
    message       text,
    requested_by  name NOT NULL,
    requested_at  timestamptz NOT NULL,
    why           text,
    finished_at   timestamptz,
    corrections    boolean NOT NULL DEFAULT false,
    corrected_at   timestamptz,
    corrected_rows bigint,
    PRIMARY KEY (stream, partition, "offset", recorded_at)
);

-- Dead letters that came back with corrections, once for each feature view that had fired window ends without them: those from the
-- event's on up to "upto".  Entered by the checkpoint that makes the event durable; known_at, by which the corrected rows are known, is
-- another one for each.  The backfill worker writes the rows, and the state with them.  Kept as long as recovery may meet the event.
CREATE TABLE feature_stream.correction (
    view           oid NOT NULL,
    stream         oid NOT NULL,
    partition      int NOT NULL,
    "offset"       bigint NOT NULL,
    recorded_at    timestamptz NOT NULL,
    entity         bytea NOT NULL,
    event_time     timestamptz NOT NULL,
    upto           timestamptz NOT NULL,
    known_at       timestamptz NOT NULL,
    complete_from  timestamptz,
    state          text NOT NULL CHECK (state IN ('pending', 'done', 'lost')),
    row_count      bigint NOT NULL DEFAULT 0,
    finished_at    timestamptz,
    error          text,
    PRIMARY KEY (view, partition, "offset", recorded_at)
) WITH (fillfactor = 50);
CREATE INDEX correction_pending ON feature_stream.correction (view, known_at) WHERE state = 'pending';
CREATE INDEX ON feature_stream.correction (stream, known_at);

-- Dead letters beyond the stream's budget: counted a minute, their bytes are in the topic.
CREATE TABLE feature_stream.dead_letter_overflow (
    stream             regclass NOT NULL,
    partition          int NOT NULL,
    reason             text NOT NULL,
    recorded_at        timestamptz NOT NULL,
    first_offset       bigint NOT NULL,
    last_offset        bigint NOT NULL,
    dead_letter_count  bigint NOT NULL,
    first_arrival      timestamptz NOT NULL,
    last_arrival       timestamptz NOT NULL,
    message            text NOT NULL,
    PRIMARY KEY (stream, partition, reason, recorded_at)
) WITH (fillfactor = 50);
-- Dead letters that the stream's dead_letter_topic does not have yet.  Rows are the ingest worker's.
CREATE TABLE feature_stream.dead_letter_unsent (
    stream       regclass NOT NULL,
    partition    int NOT NULL,
    "offset"     bigint NOT NULL,
    recorded_at  timestamptz NOT NULL,
    error        text,
    PRIMARY KEY (stream, recorded_at, partition, "offset")
);
CREATE INDEX dead_letter_to_send ON feature_stream.dead_letter_unsent (stream, recorded_at, partition, "offset") WHERE error IS NULL;

CREATE INDEX dead_letter_requested ON feature_stream.dead_letter_outcome (stream, partition, "offset", recorded_at) WHERE outcome = 'requested';

-- The first partition of a table changes its row in pg_class.  Workers make partitions as soon as the extension is there, and a
-- GRANT at the same time, as pg_restore has it, would fail.  So these tables have had one.
CREATE TABLE feature_stream.first_partition PARTITION OF feature_stream.dead_letter FOR VALUES FROM (MINVALUE) TO (MAXVALUE);
DROP TABLE feature_stream.first_partition;
CREATE TABLE feature_stream.first_partition PARTITION OF feature_stream.event_log FOR VALUES IN (0);
DROP TABLE feature_stream.first_partition;
CREATE TABLE feature_stream.first_partition PARTITION OF feature_stream.partial_log FOR VALUES IN (0);
DROP TABLE feature_stream.first_partition;

--
-- Who sees dead letters: those who may read the stream they come from.
--

ALTER TABLE feature_stream.dead_letter ENABLE ROW LEVEL SECURITY;
CREATE POLICY dead_letter_of_stream ON feature_stream.dead_letter FOR SELECT
    USING (pg_catalog.has_table_privilege(stream, 'SELECT'));
COMMENT ON POLICY dead_letter_of_stream ON feature_stream.dead_letter IS 'dead letters are for those who may read their stream';
ALTER TABLE feature_stream.dead_letter_outcome ENABLE ROW LEVEL SECURITY;
CREATE POLICY dead_letter_outcome_of_stream ON feature_stream.dead_letter_outcome FOR SELECT
    USING (pg_catalog.has_table_privilege(stream, 'SELECT'));
COMMENT ON POLICY dead_letter_outcome_of_stream ON feature_stream.dead_letter_outcome IS 'outcomes are for those who may read the dead letters';
ALTER TABLE feature_stream.dead_letter_overflow ENABLE ROW LEVEL SECURITY;
CREATE POLICY dead_letter_overflow_of_stream ON feature_stream.dead_letter_overflow FOR SELECT
    USING (pg_catalog.has_table_privilege(stream, 'SELECT'));
COMMENT ON POLICY dead_letter_overflow_of_stream ON feature_stream.dead_letter_overflow IS 'counts are for those who may read the dead letters';
ALTER TABLE feature_stream.dead_letter_unsent ENABLE ROW LEVEL SECURITY;
CREATE POLICY dead_letter_unsent_of_stream ON feature_stream.dead_letter_unsent FOR SELECT
    USING (pg_catalog.has_table_privilege(stream, 'SELECT'));
COMMENT ON POLICY dead_letter_unsent_of_stream ON feature_stream.dead_letter_unsent IS 'what is on its way is for those who may read the dead letters';
ALTER TABLE feature_stream.correction ENABLE ROW LEVEL SECURITY;
CREATE POLICY correction_of_stream ON feature_stream.correction FOR SELECT
    USING (pg_catalog.has_table_privilege(stream, 'SELECT'));
COMMENT ON POLICY correction_of_stream ON feature_stream.correction IS 'corrections are for those who may read the dead letters';
-- Repairs are the stream's owner's; which columns is said by column privileges (grant_access()).
CREATE POLICY dead_letter_repair ON feature_stream.dead_letter FOR UPDATE
    USING (pg_catalog.pg_has_role((SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) stream::pg_catalog.oid), 'USAGE')
           AND NOT EXISTS (SELECT FROM feature_stream.dead_letter_outcome o
                            WHERE o.stream OPERATOR(pg_catalog.=) dead_letter.stream
                              AND o.partition OPERATOR(pg_catalog.=) dead_letter.partition
                              AND o."offset" OPERATOR(pg_catalog.=) dead_letter."offset"
                              AND o.recorded_at OPERATOR(pg_catalog.=) dead_letter.recorded_at
                              AND o.outcome OPERATOR(pg_catalog.=) ANY (ARRAY['replayed', 'discarded'])));
COMMENT ON POLICY dead_letter_repair ON feature_stream.dead_letter IS 'the owner of the stream may repair what was neither replayed nor discarded';

COMMENT ON TABLE feature_stream.feature_view IS 'feature views and how they are emitted';
COMMENT ON COLUMN feature_stream.feature_view.as_of IS 'name of the function over the history that reads as of a time; null without a history';
COMMENT ON COLUMN feature_stream.feature_view.live IS 'foreign table of the windows that end at the newest event seen; null when it was dropped';
COMMENT ON COLUMN feature_stream.feature_view.backfill IS 'whether the history gets rows of window ends before the view was made';
COMMENT ON COLUMN feature_stream.feature_view.past_columns IS 'columns that the history has of features that were dropped';
COMMENT ON TABLE feature_stream.feature_tag IS 'tags of features, set by set_feature_tags()';
COMMENT ON TABLE feature_stream.schema_subject IS 'subjects of Avro schemas: what is asked of new versions, and whose they are; IMPORT FOREIGN SCHEMA from a Kafka server makes streams of them';
COMMENT ON COLUMN feature_stream.schema_subject.compatibility IS 'NONE, BACKWARD (new schemas read what the newest version wrote), FORWARD (the newest version reads what they write), FULL (both); with _TRANSITIVE of all versions';
COMMENT ON COLUMN feature_stream.schema_subject.owner IS 'role that registered the first schema; it and its members register others';
COMMENT ON TABLE feature_stream.schema_version IS 'Avro schemas registered by register_schema(), as they were given, or imported by import_schemas(), with the numbers that the registry has';
COMMENT ON COLUMN feature_stream.schema_version.referenced IS 'schemas that an imported one refers to, each before those that refer to it';
COMMENT ON COLUMN feature_stream.schema_version.refers_to IS 'the same by name, subject and version, as the registry has it; null: nothing';
COMMENT ON TABLE feature_stream.schema_registration IS 'versions of subjects that were imported from a schema registry, or published to it; INSERT writes Avro by the newest that has an id';
COMMENT ON COLUMN feature_stream.schema_registration.registry IS 'address of the registry: option "registry" of the server, without slashes at its end';
COMMENT ON COLUMN feature_stream.schema_registration.id IS 'number of the schema there; null: the registry did not say';
COMMENT ON COLUMN feature_stream.schema_version.fingerprint IS 'SHA-256 of the schema''s Parsing Canonical Form, as in the specification of Avro';
COMMENT ON COLUMN feature_stream.schema_version.content_hash IS 'the same with aliases, defaults and logical types: schemas of one hash are one version';
COMMENT ON TABLE feature_stream.stream_definition IS 'whether streams are paused, and what of their definitions their state depends on';
COMMENT ON COLUMN feature_stream.stream_definition.alert IS 'why the stream was paused by its option on_limit, until it is resumed';
COMMENT ON COLUMN feature_stream.stream_definition.resumed_count IS 'calls of resume_stream: each lets stopped partitions be tried again';
COMMENT ON TABLE feature_stream.stream_contract IS 'the columns of streams in their versions, and from which records on each is in force';
COMMENT ON COLUMN feature_stream.stream_contract.columns IS 'number, name, type, options, default and not_null of each';
COMMENT ON COLUMN feature_stream.stream_contract.missing IS 'what events that were read before a column was added have in it, by the column''s number: its DEFAULT at that time, as text; null where there is none';
COMMENT ON COLUMN feature_stream.stream_contract.never_null IS 'numbers of the columns that no event of the log has NULL in, whatever version it was read by';
COMMENT ON COLUMN feature_stream.stream_contract.offsets IS 'by partition: the first record that is read by this version; partitions found later are read by it from their beginning; null: no worker reads by it yet';
COMMENT ON COLUMN feature_stream.stream_contract.effective_at IS 'when a worker began to read by it';
COMMENT ON TABLE feature_stream.registry_schema IS 'schemas that records of streams name, as schema registries gave them: known ones need no registry';
COMMENT ON COLUMN feature_stream.registry_schema.registry IS 'address of the registry: option "registry" of the server, without slashes at its end';
COMMENT ON COLUMN feature_stream.registry_schema.id IS 'number of the schema there, or its GUID';
COMMENT ON COLUMN feature_stream.registry_schema.referenced IS 'schemas that it refers to, each before those that refer to it';
COMMENT ON TABLE feature_stream.stream_state IS 'durable state of streams: frontier, watermark, fire cursor';
COMMENT ON COLUMN feature_stream.stream_state.start_partitions IS 'partitions known at the first start: option "start" says where those below this number begin; the others begin at their beginning; 0: nothing was read yet';
COMMENT ON COLUMN feature_stream.stream_state.cluster IS 'id of the Kafka cluster that the positions are of';
COMMENT ON COLUMN feature_stream.stream_state.resumed_count IS 'calls of resume_stream that the worker knew';
COMMENT ON TABLE feature_stream.partition_position IS 'durable offsets, watermarks and counters of partitions';
COMMENT ON COLUMN feature_stream.partition_position.stopped IS 'why the partition is not read any more, until resume_stream; null: it is not stopped';
COMMENT ON TABLE feature_stream.partition_wakeup IS 'idle partitions that woke up behind the frontier';
COMMENT ON TABLE feature_stream.event_log IS 'accepted events of all streams, in immutable segments';
COMMENT ON COLUMN feature_stream.event_log.late_bound IS 'the latest bound that a late event of the segment counts behind; null: none was late';
COMMENT ON TABLE feature_stream.partial_log IS 'partial aggregates that do not change any more, for recovery';
COMMENT ON TABLE feature_stream.firing IS 'window ends fired, with the time each part of their rows became known';
COMMENT ON TABLE feature_stream.view_state IS 'durable counters of feature views';
COMMENT ON TABLE feature_stream.view_pause IS 'feature views that are paused';
COMMENT ON TABLE feature_stream.backfill IS 'window ends that feature views did not fire when they were due, and how far their rows are computed';
COMMENT ON TABLE feature_stream.view_alteration IS 'features that were added to feature views, and how far their columns of earlier rows are computed';
COMMENT ON TABLE feature_stream.backread IS 'feature views for which events older than their stream''s log are read from the topic or table, and how far that is';
COMMENT ON TABLE feature_stream.backread_position IS 'which records of each partition are read for a feature view, and how far that is';
COMMENT ON TABLE feature_stream.backread_log IS 'events that were read for a feature view, in immutable segments';
COMMENT ON TABLE feature_stream.dead_letter IS 'events that were not counted, with the reason';
COMMENT ON COLUMN feature_stream.dead_letter.reason IS 'malformed, missing_field, check_violation, bad_value, future, late, tombstone, unknown_schema (the registry does not have the record''s schema, or it is no Avro that can be used), or expression_error: the stream accepted the event, but an expression of a feature view raised an error and that view does not count it';
COMMENT ON COLUMN feature_stream.dead_letter.message IS 'a sentence that names field and value; cut to about 2 kB';
COMMENT ON COLUMN feature_stream.dead_letter.headers IS 'of the record; those beyond 64 kB are left out, and a last element says how many';
COMMENT ON COLUMN feature_stream.dead_letter.original_key IS 'as it came, of a dead letter that was repaired';
COMMENT ON COLUMN feature_stream.dead_letter.original_payload IS 'as it came, of a dead letter that was repaired';
COMMENT ON COLUMN feature_stream.dead_letter.original_headers IS 'as they came, of a dead letter that was repaired';
COMMENT ON COLUMN feature_stream.dead_letter.repaired_at IS 'when key, payload or headers were changed first; null: they are as they came';
COMMENT ON COLUMN feature_stream.dead_letter.received_at IS 'arrival clock of the event';
COMMENT ON COLUMN feature_stream.dead_letter.recorded_at IS 'when the row was written';

COMMENT ON COLUMN feature_stream.dead_letter.payload_size IS 'of the record as it came; null: it had no value';
COMMENT ON TABLE feature_stream.dead_letter_overflow IS 'dead letters that were not stored, since the stream''s budget for the minute was used up: how many, and between which offsets';
COMMENT ON COLUMN feature_stream.dead_letter_overflow.recorded_at IS 'the minute in which they were counted';
COMMENT ON COLUMN feature_stream.dead_letter_overflow.message IS 'of the first one';
COMMENT ON TABLE feature_stream.dead_letter_unsent IS 'stored dead letters that the stream''s dead_letter_topic does not have yet';
COMMENT ON COLUMN feature_stream.dead_letter_unsent.error IS 'why the topic will never take it; null: it is on its way';
COMMENT ON TABLE feature_stream.dead_letter_outcome IS 'what became of dead letters that were asked back or discarded';
COMMENT ON COLUMN feature_stream.dead_letter_outcome.outcome IS 'requested: waits for the stream''s worker; replayed: accepted and counted; still_bad: refused again; too_late: all its windows have fired; discarded';
COMMENT ON COLUMN feature_stream.dead_letter_outcome.reason IS 'why it was refused again; null where there was nothing to decode';
COMMENT ON COLUMN feature_stream.dead_letter_outcome.why IS 'why it was discarded';
COMMENT ON COLUMN feature_stream.dead_letter_outcome.corrections IS 'it was asked back with corrections: replayed, it counts in windows that had fired, too';
COMMENT ON COLUMN feature_stream.dead_letter_outcome.corrected_at IS 'when the histories had all corrected rows; null before that, and without corrections';
COMMENT ON COLUMN feature_stream.dead_letter_outcome.corrected_rows IS 'rows that were written to histories because of it, so far';
COMMENT ON TABLE feature_stream.correction IS 'dead letters that came back with corrections, and how far the histories have the corrected rows';
COMMENT ON COLUMN feature_stream.correction.upto IS 'the last window end that was fired without the event';
COMMENT ON COLUMN feature_stream.correction.known_at IS 'computed_at and available_at of the corrected rows';

CREATE FUNCTION feature_stream.print_payload(payload bytea, max_bytes int DEFAULT 120) RETURNS text
    AS 'MODULE_PATHNAME', 'fs_print_payload' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION feature_stream.print_payload(bytea, int) IS
    'the beginning of a payload as one readable line: UTF-8 as it is, other bytes and control characters as \xNN';

-- As the caller: whose dead letters these are is said by the policy of dead_letter, and nowhere else.
CREATE VIEW feature_stream.dead_letter_summary WITH (security_invoker) AS
SELECT g.hour, g.stream, g.partition, g.reason, g.dead_letter_count, g.first_arrival, g.last_arrival,
       g.first_offset, g.last_offset, coalesce(e.message, g.message) AS message,
       feature_stream.print_payload(e.payload) AS payload,
       g.requested_count, g.replayed_count, g.discarded_count, g.overflow_count
  FROM (SELECT pg_catalog.date_trunc('hour', a.first_arrival) AS hour,
               a.stream, a.partition, a.reason,
               coalesce(pg_catalog.sum(a.n) FILTER (WHERE coalesce(a.outcome OPERATOR(pg_catalog.<>) ALL (ARRAY['replayed', 'discarded']), true)), 0)::bigint
                   AS dead_letter_count,
               pg_catalog.count(*) FILTER (WHERE a.outcome OPERATOR(pg_catalog.=) 'requested') AS requested_count,
               pg_catalog.count(*) FILTER (WHERE a.outcome OPERATOR(pg_catalog.=) 'replayed') AS replayed_count,
               pg_catalog.count(*) FILTER (WHERE a.outcome OPERATOR(pg_catalog.=) 'discarded') AS discarded_count,
               coalesce(pg_catalog.sum(a.n) FILTER (WHERE a.message IS NOT NULL), 0)::bigint AS overflow_count,
               pg_catalog.min(a.first_arrival) AS first_arrival,
               pg_catalog.max(a.last_arrival) AS last_arrival,
               pg_catalog.min(a.first_offset) AS first_offset,
               pg_catalog.max(a.last_offset) AS last_offset,
               pg_catalog.max(a.stored_offset) AS stored_offset,
               pg_catalog.min(a.message) AS message
          FROM (SELECT d.stream, d.partition, d.reason, 1 AS n, o.outcome, d.received_at AS first_arrival,
                       d.received_at AS last_arrival, d."offset" AS first_offset, d."offset" AS last_offset,
                       d."offset" AS stored_offset, NULL AS message
                  FROM feature_stream.dead_letter d
                       LEFT JOIN feature_stream.dead_letter_outcome o
                       ON o.stream OPERATOR(pg_catalog.=) d.stream AND o.partition OPERATOR(pg_catalog.=) d.partition
                       AND o."offset" OPERATOR(pg_catalog.=) d."offset" AND o.recorded_at OPERATOR(pg_catalog.=) d.recorded_at
                 UNION ALL
                SELECT v.stream, v.partition, v.reason, v.dead_letter_count, NULL, v.first_arrival,
                       v.last_arrival, v.first_offset, v.last_offset, NULL, v.message
                  FROM feature_stream.dead_letter_overflow v) a
         GROUP BY 1, 2, 3, 4) g
       LEFT JOIN LATERAL
       (SELECT x.message, x.payload
          FROM feature_stream.dead_letter x
         WHERE x.stream OPERATOR(pg_catalog.=) g.stream AND x.partition OPERATOR(pg_catalog.=) g.partition
           AND x."offset" OPERATOR(pg_catalog.=) g.stored_offset AND x.reason OPERATOR(pg_catalog.=) g.reason
           AND x.received_at OPERATOR(pg_catalog.>=) g.first_arrival
           AND x.received_at OPERATOR(pg_catalog.<=) g.last_arrival
         ORDER BY x.recorded_at DESC LIMIT 1) e ON true
 ORDER BY g.last_arrival DESC, g.stream, g.partition, g.reason;
COMMENT ON VIEW feature_stream.dead_letter_summary IS 'dead letters by hour, stream, partition and reason, newest first, with an example of each';
COMMENT ON COLUMN feature_stream.dead_letter_summary.hour IS 'of arrival, in the session''s time zone';
COMMENT ON COLUMN feature_stream.dead_letter_summary.dead_letter_count IS 'those that were neither replayed nor discarded, stored or not';
COMMENT ON COLUMN feature_stream.dead_letter_summary.requested_count IS 'of dead_letter_count, those that wait to be replayed';
COMMENT ON COLUMN feature_stream.dead_letter_summary.overflow_count IS 'of dead_letter_count, those that are not in dead_letter: see dead_letter_overflow';
COMMENT ON COLUMN feature_stream.dead_letter_summary.message IS 'of the example, which is the last dead letter that was stored';
COMMENT ON COLUMN feature_stream.dead_letter_summary.payload IS 'of the example, its beginning as readable text; null for a tombstone and where payloads are not kept';

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

CREATE FUNCTION feature_stream.feature_stream_iceberg_validator(text[], oid) RETURNS void
    AS 'MODULE_PATHNAME', 'fs_feature_stream_iceberg_validator' LANGUAGE C STRICT;
REVOKE ALL ON FUNCTION feature_stream.feature_stream_iceberg_validator(text[], oid) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.feature_stream_iceberg_validator(text[], oid) IS 'validator of wrapper feature_stream_iceberg';

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

CREATE FOREIGN DATA WRAPPER feature_stream_iceberg
    NO HANDLER VALIDATOR feature_stream.feature_stream_iceberg_validator;
COMMENT ON FOREIGN DATA WRAPPER feature_stream_iceberg IS 'lakes: places where feature views'' histories become Apache Iceberg tables';

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
    online_mode text DEFAULT 'final', offline name DEFAULT NULL, backfill boolean DEFAULT true,
    backfill_from text DEFAULT NULL,
    offline_table text DEFAULT NULL, offline_partition_by text[] DEFAULT NULL,
    offline_interval interval DEFAULT NULL) RETURNS regclass
    AS 'MODULE_PATHNAME', 'fs_create_feature_view' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.create_feature_view(text, text, interval[], interval, name, text, interval, text, text, text, interval, interval, text, name, boolean, text, text, text[], interval) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.create_feature_view(text, text, interval[], interval, name, text, interval, text, text, text, interval, interval, text, name, boolean, text, text, text[], interval) IS 'creates a feature view: a query over a stream, computed for each entity and window';

CREATE FUNCTION feature_stream.alter_feature_view(
    view regclass, query text DEFAULT NULL,
    online name DEFAULT NULL, online_key text DEFAULT NULL, online_ttl interval DEFAULT NULL,
    on_empty text DEFAULT NULL, history_retention interval DEFAULT NULL, reset text[] DEFAULT NULL,
    drop_history boolean DEFAULT false, offline name DEFAULT NULL, offline_table text DEFAULT NULL,
    offline_partition_by text[] DEFAULT NULL, offline_interval interval DEFAULT NULL) RETURNS void
    AS 'MODULE_PATHNAME', 'fs_alter_feature_view' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.alter_feature_view(regclass, text, name, text, interval, text, interval, text[], boolean, name, text, text[], interval) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.alter_feature_view(regclass, text, name, text, interval, text, interval, text[], boolean, name, text, text[], interval) IS 'adds features to a feature view and drops them, by a query that differs in nothing else, and changes its options; null leaves each as it is, reset names options that get their defaults, drop_history drops the history''s columns of dropped features';

CREATE FUNCTION feature_stream.drop_feature_view(view regclass, drop_history boolean DEFAULT false) RETURNS void
    AS 'MODULE_PATHNAME', 'fs_drop_feature_view' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.drop_feature_view(regclass, boolean) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.drop_feature_view(regclass, boolean) IS 'drops a feature view; its history table only when asked';

CREATE FUNCTION feature_stream.pause_feature_view(view regclass, hold interval DEFAULT '7 days') RETURNS void
    AS 'MODULE_PATHNAME', 'fs_pause_feature_view' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.pause_feature_view(regclass, interval) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.pause_feature_view(regclass, interval) IS 'lets a feature view fire no more until it is resumed; the event log is held for it, "hold" longer than else at most';

CREATE FUNCTION feature_stream.resume_feature_view(view regclass) RETURNS void
    AS 'MODULE_PATHNAME', 'fs_resume_feature_view' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.resume_feature_view(regclass) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.resume_feature_view(regclass) IS 'lets a paused feature view fire again; window ends that passed meanwhile are backfilled';

CREATE FUNCTION feature_stream.pause_stream(stream regclass) RETURNS void
    AS 'MODULE_PATHNAME', 'fs_pause_stream' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.pause_stream(regclass) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.pause_stream(regclass) IS 'stops reading a stream until it is resumed';

CREATE FUNCTION feature_stream.resume_stream(stream regclass) RETURNS void
    AS 'MODULE_PATHNAME', 'fs_resume_stream' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.resume_stream(regclass) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.resume_stream(regclass) IS 'goes on reading a paused stream where it stopped, and has stopped partitions tried again';

CREATE FUNCTION feature_stream.checkpoint_stream(stream regclass) RETURNS void
    AS 'MODULE_PATHNAME', 'fs_checkpoint_stream' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.checkpoint_stream(regclass) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.checkpoint_stream(regclass) IS 'waits until what was read from a stream is durable';

CREATE FUNCTION feature_stream.replay_dead_letters(stream regclass, reason text DEFAULT NULL, partition int DEFAULT NULL,
    first_offset bigint DEFAULT NULL, last_offset bigint DEFAULT NULL,
    since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, corrections boolean DEFAULT false) RETURNS bigint
    AS 'MODULE_PATHNAME', 'fs_replay_dead_letters' LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.replay_dead_letters(regclass, text, int, bigint, bigint, timestamptz, timestamptz, boolean) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.replay_dead_letters(regclass, text, int, bigint, bigint, timestamptz, timestamptz, boolean) IS
    'asks for dead letters to be decoded and counted again, once: in the windows that have not fired, with corrections in those that have, too, whose history rows get a new revision; since and until are of their arrival; returns how many, whose outcome will be in dead_letter_outcome';

CREATE FUNCTION feature_stream.discard_dead_letters(stream regclass, why text, reason text DEFAULT NULL, partition int DEFAULT NULL,
    first_offset bigint DEFAULT NULL, last_offset bigint DEFAULT NULL,
    since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL) RETURNS bigint
    AS 'MODULE_PATHNAME', 'fs_discard_dead_letters' LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.discard_dead_letters(regclass, text, text, int, bigint, bigint, timestamptz, timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.discard_dead_letters(regclass, text, text, int, bigint, bigint, timestamptz, timestamptz) IS
    'marks dead letters as done with; they stay until their retention ends; since and until are of their arrival; returns how many';

CREATE FUNCTION feature_stream.keep_original() RETURNS trigger
    AS 'MODULE_PATHNAME', 'fs_keep_original' LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.keep_original() FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.keep_original() IS 'trigger of dead_letter: keeps what came when it is repaired first';
CREATE TRIGGER keep_original BEFORE UPDATE OF key, payload, headers ON feature_stream.dead_letter
    FOR EACH ROW WHEN (OLD.repaired_at IS NULL) EXECUTE FUNCTION feature_stream.keep_original();
COMMENT ON TRIGGER keep_original ON feature_stream.dead_letter IS 'keeps what came when it is repaired first';

CREATE FUNCTION feature_stream.grant_access(role regrole) RETURNS void
    AS 'MODULE_PATHNAME', 'fs_grant_access' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.grant_access(regrole) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.grant_access(regrole) IS 'lets a role define streams and feature views and see their statistics';

--
-- Registry: views over the catalogs, so that they follow every change.  What their functions say
-- everybody can read in the definition views.
--

CREATE FUNCTION feature_stream.get_feature(definition regclass, windows interval[],
    OUT name name, OUT column_name name, OUT "window" interval, OUT expression text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'fs_get_feature' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 10;
COMMENT ON FUNCTION feature_stream.get_feature(regclass, interval[]) IS
    'features that the query of a feature view defines; see view feature';

CREATE FUNCTION feature_stream.get_feature_lineage(definition regclass,
    OUT feature name, OUT attnum int2, OUT usage text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'fs_get_feature_lineage' LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 30;
COMMENT ON FUNCTION feature_stream.get_feature_lineage(regclass) IS
    'columns of the stream that the query of a feature view reads; see view feature_lineage';

CREATE VIEW feature_stream.feature AS
SELECT v.view,
       g.name,
       g.column_name,
       a.attnum AS position,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
       g."window",
       g.expression,
       pg_catalog.col_description(v.view, a.attnum) AS description,
       c.relowner::pg_catalog.regrole AS owner,
       coalesce(t.tags, '{}') AS tags
  FROM feature_stream.feature_view v
       JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) v.view::pg_catalog.oid
       CROSS JOIN LATERAL feature_stream.get_feature(v.definition, v.windows) g
       JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) v.view::pg_catalog.oid
           AND a.attname OPERATOR(pg_catalog.=) g.column_name
       LEFT JOIN feature_stream.feature_tag t ON t.view OPERATOR(pg_catalog.=) v.view
           AND t.name OPERATOR(pg_catalog.=) g.name;
COMMENT ON VIEW feature_stream.feature IS 'features: one row for each feature and window, a column of its feature view';
COMMENT ON COLUMN feature_stream.feature.name IS 'name of the feature in the query, the same for all windows';
COMMENT ON COLUMN feature_stream.feature.column_name IS 'column of the feature view, and field in the online store';
COMMENT ON COLUMN feature_stream.feature.position IS 'number of the column';
COMMENT ON COLUMN feature_stream.feature.expression IS 'what the query computes';
COMMENT ON COLUMN feature_stream.feature.description IS 'comment on the column of the feature view';
COMMENT ON COLUMN feature_stream.feature.tags IS 'set by set_feature_tags()';

CREATE VIEW feature_stream.feature_lineage AS
SELECT v.view,
       g.feature,
       v.stream,
       a.attname AS stream_column,
       g.usage
  FROM feature_stream.feature_view v
       CROSS JOIN LATERAL feature_stream.get_feature_lineage(v.definition) g
       JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) v.stream::pg_catalog.oid
           AND a.attnum OPERATOR(pg_catalog.=) g.attnum
 WHERE NOT a.attisdropped;
COMMENT ON VIEW feature_stream.feature_lineage IS 'one row for each feature and column of the stream that it depends on, a way of depending';
COMMENT ON COLUMN feature_stream.feature_lineage.usage IS 'feature: its expression reads the column; entity, filter, event_time: all features of the view depend on it by GROUP BY, WHERE, windows';
REVOKE ALL ON feature_stream.feature, feature_stream.feature_lineage FROM PUBLIC;

-- Checks by itself that the caller owns the feature view; granted by grant_access() or by hand.
CREATE FUNCTION feature_stream.set_feature_tags(view regclass, feature name, tags jsonb) RETURNS void
    AS 'MODULE_PATHNAME', 'fs_set_feature_tags' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.set_feature_tags(regclass, name, jsonb) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.set_feature_tags(regclass, name, jsonb) IS
    'sets the tags of a feature, a JSON object, in place of those it had; null removes them';

--
-- Schemas.  Each checks by itself whose the subject is; granted by grant_access() or by hand.
--

CREATE FUNCTION feature_stream.register_schema(subject text, schema text, compatibility text DEFAULT NULL) RETURNS integer
    AS 'MODULE_PATHNAME', 'fs_register_schema' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.register_schema(text, text, text) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.register_schema(text, text, text) IS
    'adds an Avro schema to a subject, whose compatibility it must meet (given here, it is set first), and gives its version; unless that is NONE, what streams of Avro over the topic "<topic>-value" read must stay, too; a schema that the subject has gives the version it has';

CREATE FUNCTION feature_stream.check_schema(subject text, schema text)
RETURNS TABLE (path text, rule text, reader_version int, writer_version int, problem text, features text[])
AS 'MODULE_PATHNAME', 'fs_check_schema' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 10;
REVOKE ALL ON FUNCTION feature_stream.check_schema(text, text) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.check_schema(text, text) IS
    'why register_schema() would refuse the schema, which is the version that is null: one row a problem; and, with neither version, what streams of Avro over the topic "<topic>-value" could not read of it any more, with the features that depend on it; no row: neither';

CREATE FUNCTION feature_stream.set_compatibility(subject text, mode text) RETURNS void
    AS 'MODULE_PATHNAME', 'fs_set_compatibility' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.set_compatibility(text, text) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.set_compatibility(text, text) IS
    'sets what a subject asks of new schemas: NONE, BACKWARD, FORWARD, FULL, or one of the last three with _TRANSITIVE';

-- They ask a registry as the caller, who needs USAGE on the server, and commit before they do.
CREATE PROCEDURE feature_stream.import_schemas(server name, VARIADIC subject text[])
    AS 'MODULE_PATHNAME', 'fs_import_schemas' LANGUAGE C;
REVOKE ALL ON PROCEDURE feature_stream.import_schemas(name, text[]) FROM PUBLIC;
COMMENT ON PROCEDURE feature_stream.import_schemas(name, text[]) IS
    'brings the versions of subjects here that the schema registry of a Kafka server has, with their numbers, and what it asks of new ones; all or nothing; not within a transaction';

CREATE PROCEDURE feature_stream.publish_schema(server name, subject text, version integer DEFAULT NULL, compatibility boolean DEFAULT false)
    AS 'MODULE_PATHNAME', 'fs_publish_schema' LANGUAGE C;
REVOKE ALL ON PROCEDURE feature_stream.publish_schema(name, text, integer, boolean) FROM PUBLIC;
COMMENT ON PROCEDURE feature_stream.publish_schema(name, text, integer, boolean) IS
    'adds a version of a subject, the newest by default, to the schema registry of a Kafka server, which may refuse it; compatibility: sets there what the subject asks here, first; not within a transaction';

--
-- Aggregates.  Ordinary ones, for any table.  Like all functions, PUBLIC may execute them: who may use the
-- schema can call them.  Their support functions are called by them alone.
--

CREATE FUNCTION feature_stream.approx_count_distinct_trans(internal, anyelement) RETURNS internal
    AS 'MODULE_PATHNAME', 'fs_approx_count_distinct_trans' LANGUAGE C IMMUTABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.approx_count_distinct_trans(internal, anyelement) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.approx_count_distinct_trans(internal, anyelement) IS 'support function of approx_count_distinct: adds a value';

CREATE FUNCTION feature_stream.approx_count_distinct_combine(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'fs_approx_count_distinct_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.approx_count_distinct_combine(internal, internal) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.approx_count_distinct_combine(internal, internal) IS 'support function of approx_count_distinct: joins two states';

CREATE FUNCTION feature_stream.approx_count_distinct_serial(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'fs_approx_count_distinct_serial' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.approx_count_distinct_serial(internal) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.approx_count_distinct_serial(internal) IS 'support function of approx_count_distinct: a state for another process';

CREATE FUNCTION feature_stream.approx_count_distinct_deserial(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'fs_approx_count_distinct_deserial' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.approx_count_distinct_deserial(bytea, internal) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.approx_count_distinct_deserial(bytea, internal) IS 'support function of approx_count_distinct: a state from another process';

CREATE FUNCTION feature_stream.approx_count_distinct_final(internal) RETURNS bigint
    AS 'MODULE_PATHNAME', 'fs_approx_count_distinct_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.approx_count_distinct_final(internal) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.approx_count_distinct_final(internal) IS 'support function of approx_count_distinct: its result';

CREATE AGGREGATE feature_stream.approx_count_distinct(x anyelement) (
    SFUNC = feature_stream.approx_count_distinct_trans,
    STYPE = internal,
    SSPACE = 2800,
    FINALFUNC = feature_stream.approx_count_distinct_final,
    FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = feature_stream.approx_count_distinct_combine,
    SERIALFUNC = feature_stream.approx_count_distinct_serial,
    DESERIALFUNC = feature_stream.approx_count_distinct_deserial,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE feature_stream.approx_count_distinct(anyelement) IS
    'about how many different values (HyperLogLog, Flajolet et al. 2007, with the estimator of Ertl 2017): exact up to 512, then standard error 1.63 %, in 2.7 kB at most';

CREATE FUNCTION feature_stream.approx_percentile_trans(internal, double precision, double precision) RETURNS internal
    AS 'MODULE_PATHNAME', 'fs_approx_percentile_trans' LANGUAGE C IMMUTABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.approx_percentile_trans(internal, double precision, double precision) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.approx_percentile_trans(internal, double precision, double precision) IS 'support function of approx_percentile: adds a value';

CREATE FUNCTION feature_stream.approx_percentile_combine(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'fs_approx_percentile_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.approx_percentile_combine(internal, internal) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.approx_percentile_combine(internal, internal) IS 'support function of approx_percentile: joins two states';

CREATE FUNCTION feature_stream.approx_percentile_serial(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'fs_approx_percentile_serial' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.approx_percentile_serial(internal) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.approx_percentile_serial(internal) IS 'support function of approx_percentile: a state for another process';

CREATE FUNCTION feature_stream.approx_percentile_deserial(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'fs_approx_percentile_deserial' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.approx_percentile_deserial(bytea, internal) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.approx_percentile_deserial(bytea, internal) IS 'support function of approx_percentile: a state from another process';

CREATE FUNCTION feature_stream.approx_percentile_final(internal) RETURNS double precision
    AS 'MODULE_PATHNAME', 'fs_approx_percentile_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.approx_percentile_final(internal) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.approx_percentile_final(internal) IS 'support function of approx_percentile: its result';

CREATE AGGREGATE feature_stream.approx_percentile(x double precision, p double precision) (
    SFUNC = feature_stream.approx_percentile_trans,
    STYPE = internal,
    SSPACE = 8192,
    FINALFUNC = feature_stream.approx_percentile_final,
    FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = feature_stream.approx_percentile_combine,
    SERIALFUNC = feature_stream.approx_percentile_serial,
    DESERIALFUNC = feature_stream.approx_percentile_deserial,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE feature_stream.approx_percentile(double precision, double precision) IS
    'about percentile_disc(p) of x (DDSketch, Masson et al. 2019): relative error 1 %, in 64 kB at most';

CREATE FUNCTION feature_stream.top_k_trans(internal, anyelement, integer) RETURNS internal
    AS 'MODULE_PATHNAME', 'fs_top_k_trans' LANGUAGE C IMMUTABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.top_k_trans(internal, anyelement, integer) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.top_k_trans(internal, anyelement, integer) IS 'support function of top_k: adds a value';

CREATE FUNCTION feature_stream.approx_top_k_trans(internal, anyelement, integer) RETURNS internal
    AS 'MODULE_PATHNAME', 'fs_approx_top_k_trans' LANGUAGE C IMMUTABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.approx_top_k_trans(internal, anyelement, integer) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.approx_top_k_trans(internal, anyelement, integer) IS 'support function of approx_top_k: adds a value';

CREATE FUNCTION feature_stream.top_k_combine(internal, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'fs_top_k_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.top_k_combine(internal, internal) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.top_k_combine(internal, internal) IS 'support function of top_k and approx_top_k: joins two states';

CREATE FUNCTION feature_stream.top_k_serial(internal) RETURNS bytea
    AS 'MODULE_PATHNAME', 'fs_top_k_serial' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.top_k_serial(internal) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.top_k_serial(internal) IS 'support function of top_k and approx_top_k: a state for another process';

CREATE FUNCTION feature_stream.top_k_deserial(bytea, internal) RETURNS internal
    AS 'MODULE_PATHNAME', 'fs_top_k_deserial' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.top_k_deserial(bytea, internal) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.top_k_deserial(bytea, internal) IS 'support function of top_k and approx_top_k: a state from another process';

CREATE FUNCTION feature_stream.top_k_final(internal, anyelement, integer) RETURNS anyarray
    AS 'MODULE_PATHNAME', 'fs_top_k_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.top_k_final(internal, anyelement, integer) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.top_k_final(internal, anyelement, integer) IS 'support function of top_k and approx_top_k: their result';

CREATE AGGREGATE feature_stream.top_k(x anyelement, k integer) (
    SFUNC = feature_stream.top_k_trans,
    STYPE = internal,
    SSPACE = 4096,
    FINALFUNC = feature_stream.top_k_final,
    FINALFUNC_EXTRA,
    FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = feature_stream.top_k_combine,
    SERIALFUNC = feature_stream.top_k_serial,
    DESERIALFUNC = feature_stream.top_k_deserial,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE feature_stream.top_k(anyelement, integer) IS
    'the k most frequent values, most frequent first, ties to the smaller value: exact, in memory for all different values';

CREATE AGGREGATE feature_stream.approx_top_k(x anyelement, k integer) (
    SFUNC = feature_stream.approx_top_k_trans,
    STYPE = internal,
    SSPACE = 4096,
    FINALFUNC = feature_stream.top_k_final,
    FINALFUNC_EXTRA,
    FINALFUNC_MODIFY = READ_ONLY,
    COMBINEFUNC = feature_stream.top_k_combine,
    SERIALFUNC = feature_stream.top_k_serial,
    DESERIALFUNC = feature_stream.top_k_deserial,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE feature_stream.approx_top_k(anyelement, integer) IS
    'about the k most frequent values, most frequent first, ties to the smaller value (Misra and Gries 1982, Agarwal et al. 2012): counts are wrong by at most 1 / max(8 k, 64) of all, in memory for 2 max(8 k, 64) values';

CREATE FUNCTION feature_stream.first_n_trans(internal, anyelement, integer) RETURNS internal
    AS 'MODULE_PATHNAME', 'fs_first_n_trans' LANGUAGE C IMMUTABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.first_n_trans(internal, anyelement, integer) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.first_n_trans(internal, anyelement, integer) IS 'support function of first_n: adds a value';

CREATE FUNCTION feature_stream.last_n_trans(internal, anyelement, integer) RETURNS internal
    AS 'MODULE_PATHNAME', 'fs_last_n_trans' LANGUAGE C IMMUTABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.last_n_trans(internal, anyelement, integer) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.last_n_trans(internal, anyelement, integer) IS 'support function of last_n: adds a value';

CREATE FUNCTION feature_stream.distinct_n_trans(internal, anyelement, integer) RETURNS internal
    AS 'MODULE_PATHNAME', 'fs_distinct_n_trans' LANGUAGE C IMMUTABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.distinct_n_trans(internal, anyelement, integer) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.distinct_n_trans(internal, anyelement, integer) IS 'support function of distinct_n: adds a value';

CREATE FUNCTION feature_stream.list_final(internal, anyelement, integer) RETURNS anyarray
    AS 'MODULE_PATHNAME', 'fs_list_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.list_final(internal, anyelement, integer) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.list_final(internal, anyelement, integer) IS 'support function of first_n and last_n: their result';

CREATE FUNCTION feature_stream.distinct_n_final(internal, anyelement, integer) RETURNS anyarray
    AS 'MODULE_PATHNAME', 'fs_distinct_n_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
REVOKE ALL ON FUNCTION feature_stream.distinct_n_final(internal, anyelement, integer) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.distinct_n_final(internal, anyelement, integer) IS 'support function of distinct_n: its result';

CREATE AGGREGATE feature_stream.first_n(x anyelement, n integer) (
    SFUNC = feature_stream.first_n_trans,
    STYPE = internal,
    SSPACE = 1024,
    FINALFUNC = feature_stream.list_final,
    FINALFUNC_EXTRA,
    FINALFUNC_MODIFY = READ_ONLY,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE feature_stream.first_n(anyelement, integer) IS
    'the first n values in input order, NULLs too';

CREATE AGGREGATE feature_stream.last_n(x anyelement, n integer) (
    SFUNC = feature_stream.last_n_trans,
    STYPE = internal,
    SSPACE = 1024,
    FINALFUNC = feature_stream.list_final,
    FINALFUNC_EXTRA,
    FINALFUNC_MODIFY = READ_ONLY,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE feature_stream.last_n(anyelement, integer) IS
    'the last n values in input order, NULLs too';

CREATE AGGREGATE feature_stream.distinct_n(x anyelement, n integer) (
    SFUNC = feature_stream.distinct_n_trans,
    STYPE = internal,
    SSPACE = 1024,
    FINALFUNC = feature_stream.distinct_n_final,
    FINALFUNC_EXTRA,
    FINALFUNC_MODIFY = READ_ONLY,
    PARALLEL = SAFE);
COMMENT ON AGGREGATE feature_stream.distinct_n(anyelement, integer) IS
    'the first n different values in input order, without NULLs';

--
-- Event triggers: whole definitions are checked, state is made and removed with its stream.
--

CREATE FUNCTION feature_stream.on_ddl_command_start() RETURNS event_trigger
    AS 'MODULE_PATHNAME', 'fs_on_ddl_command_start' LANGUAGE C;
REVOKE ALL ON FUNCTION feature_stream.on_ddl_command_start() FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.on_ddl_command_start() IS 'refuses changes of columns that features depend on';

CREATE FUNCTION feature_stream.on_ddl_command_end() RETURNS event_trigger
    AS 'MODULE_PATHNAME', 'fs_on_ddl_command_end' LANGUAGE C;
REVOKE ALL ON FUNCTION feature_stream.on_ddl_command_end() FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.on_ddl_command_end() IS 'checks streams and feature views after DDL';

CREATE FUNCTION feature_stream.on_sql_drop() RETURNS event_trigger
    AS 'MODULE_PATHNAME', 'fs_on_sql_drop' LANGUAGE C;
REVOKE ALL ON FUNCTION feature_stream.on_sql_drop() FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.on_sql_drop() IS 'removes what belongs to dropped streams and feature views';

CREATE EVENT TRIGGER feature_stream_on_ddl_command_start ON ddl_command_start
    WHEN TAG IN ('ALTER TABLE', 'ALTER FOREIGN TABLE')
    EXECUTE FUNCTION feature_stream.on_ddl_command_start();
COMMENT ON EVENT TRIGGER feature_stream_on_ddl_command_start IS 'refuses changes of columns that features depend on';

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
-- The catalog of lakes: Iceberg's own tables, as its JDBC catalogs have them, for whoever reads the lake.
-- A schema of their own, which clients put into their search_path: they use the names alone.
--

CREATE SCHEMA feature_stream_catalog;
COMMENT ON SCHEMA feature_stream_catalog IS 'the Iceberg catalog of lakes that feature_stream exports to';

CREATE TABLE feature_stream_catalog.iceberg_tables (
    catalog_name                varchar(255) NOT NULL,
    table_namespace             varchar(255) NOT NULL,
    table_name                  varchar(255) NOT NULL,
    metadata_location           varchar(1000),
    previous_metadata_location  varchar(1000),
    iceberg_type                varchar(5),
    PRIMARY KEY (catalog_name, table_namespace, table_name)
);
COMMENT ON TABLE feature_stream_catalog.iceberg_tables IS 'Iceberg tables and where their metadata is; a commit moves metadata_location';
SELECT pg_catalog.pg_extension_config_dump('feature_stream_catalog.iceberg_tables', '');

CREATE TABLE feature_stream_catalog.iceberg_namespace_properties (
    catalog_name    varchar(255) NOT NULL,
    namespace       varchar(255) NOT NULL,
    property_key    varchar(255) NOT NULL,
    property_value  varchar(1000),
    PRIMARY KEY (catalog_name, namespace, property_key)
);
COMMENT ON TABLE feature_stream_catalog.iceberg_namespace_properties IS 'namespaces of Iceberg tables';
SELECT pg_catalog.pg_extension_config_dump('feature_stream_catalog.iceberg_namespace_properties', '');

CREATE FUNCTION feature_stream.iceberg_metadata_location(view regclass) RETURNS text
    LANGUAGE c STABLE STRICT
    AS 'MODULE_PATHNAME', 'fs_iceberg_metadata_location';
REVOKE ALL ON FUNCTION feature_stream.iceberg_metadata_location(regclass) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.iceberg_metadata_location(regclass) IS 'where the metadata of the feature view''s table in the lake is, for readers of the view without a catalog; null before the first export';

-- Upkeep of tables in lakes.  Each checks by itself that the caller owns the feature view; granted by grant_access() or by hand.
CREATE FUNCTION feature_stream.expire_snapshots(view regclass, older_than interval DEFAULT NULL, keep int DEFAULT NULL, dry_run boolean DEFAULT false)
RETURNS bigint
AS 'MODULE_PATHNAME', 'fs_expire_snapshots' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.expire_snapshots(regclass, interval, int, boolean) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.expire_snapshots(regclass, interval, int, boolean) IS
    'asks for snapshots of the feature view''s table in the lake to go that are older, but for so many of the newest (null: as properties of the table say); files that only they need are deleted a day later; the number of its row in stat_lake_upkeep';

CREATE FUNCTION feature_stream.compact_lake(view regclass, dry_run boolean DEFAULT false)
RETURNS bigint
AS 'MODULE_PATHNAME', 'fs_compact_lake' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.compact_lake(regclass, boolean) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.compact_lake(regclass, boolean) IS
    'asks for small data files of the feature view''s table in the lake to become larger ones of the same rows, sorted, however few there are (a dry run tells those of the partition that would be first); the number of its row in stat_lake_upkeep';

CREATE FUNCTION feature_stream.merge_manifests(view regclass, dry_run boolean DEFAULT false)
RETURNS bigint
AS 'MODULE_PATHNAME', 'fs_merge_manifests' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.merge_manifests(regclass, boolean) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.merge_manifests(regclass, boolean) IS
    'asks for small manifests of the feature view''s table in the lake to be merged, however few there are; the number of its row in stat_lake_upkeep';

CREATE FUNCTION feature_stream.remove_orphan_files(view regclass, older_than interval DEFAULT '3 days', dry_run boolean DEFAULT false)
RETURNS bigint
AS 'MODULE_PATHNAME', 'fs_remove_orphan_files' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.remove_orphan_files(regclass, interval, boolean) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.remove_orphan_files(regclass, interval, boolean) IS
    'asks for files to go that are where those of the feature view''s table in the lake are, have names like ours, are older, and that nothing leads to any more; they are deleted a day later; the number of its row in stat_lake_upkeep';

CREATE FUNCTION feature_stream.take_over_lake(view regclass)
RETURNS void
AS 'MODULE_PATHNAME', 'fs_take_over_lake' LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.take_over_lake(regclass) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.take_over_lake(regclass) IS
    'makes the feature view''s table in the lake this database''s own, which is a copy of the one that wrote it (a failover, an upgrade, a restored backup, a database made from a template), and must be the only one that goes on';

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
    OUT last_error text, OUT last_error_time timestamptz, OUT alert text)
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
    OUT late_count bigint, OUT expression_error_count bigint, OUT feature_error_count bigint,
    OUT feature_error text, OUT row_count bigint)
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
       CASE WHEN l.stream IS NULL THEN p.stopped ELSE l.error END AS error
  FROM feature_stream.partition_position p
       FULL JOIN feature_stream.stat_get_partition() l
       ON l.stream OPERATOR(pg_catalog.=) p.stream AND l.partition OPERATOR(pg_catalog.=) p.partition;
COMMENT ON VIEW feature_stream.stat_partition IS 'one row a partition of each stream: how far it was read, and what came of it';
COMMENT ON COLUMN feature_stream.stat_partition.state IS 'found, resolving, resolved, reading, parked (it waits for the schema that its next record names), or stopped (error says why); null when the stream has no worker';
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
                     WHEN c.paused THEN 'paused'
                     ELSE l.state END, 'stopped') AS state,
       l.pid,
       coalesce(c.paused, false) AS paused,
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
       l.last_error_time,
       coalesce(l.alert, c.alert) AS alert
  FROM pg_catalog.pg_foreign_table t
       JOIN pg_catalog.pg_foreign_server s ON s.oid OPERATOR(pg_catalog.=) t.ftserver
       JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid OPERATOR(pg_catalog.=) s.srvfdw
       LEFT JOIN feature_stream.stat_get_stream() l ON l.stream OPERATOR(pg_catalog.=) t.ftrelid
       LEFT JOIN feature_stream.stream_definition c ON c.stream OPERATOR(pg_catalog.=) t.ftrelid
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
COMMENT ON COLUMN feature_stream.stat_stream.alert IS 'dead letters are more than the stream''s dead_letter_limit; also of a stream that was paused for it, until it is resumed';
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
       coalesce(l.frontier, CASE WHEN v.paused THEN v.paused_after ELSE d.frontier END) AS frontier,
       l.complete_from,
       coalesce(l.counted_count, v.counted_count) AS counted_count,
       coalesce(l.filtered_count, v.filtered_count) AS filtered_count,
       coalesce(l.late_count, v.late_count) AS late_count,
       coalesce(l.expression_error_count, v.expression_error_count) AS expression_error_count,
       coalesce(l.feature_error_count, v.feature_error_count) AS feature_error_count,
       coalesce(l.feature_error, v.feature_error) AS feature_error,
       coalesce(l.row_count, v.row_count) AS row_count,
       CASE WHEN p.view IS NOT NULL THEN 'paused' WHEN r.view IS NOT NULL THEN 'reading' ELSE 'active' END AS state,
       p.since AS paused_since,
       p.reason AS pause_reason
  FROM feature_stream.feature_view f
       LEFT JOIN feature_stream.view_pause p ON p.view OPERATOR(pg_catalog.=) f.view::pg_catalog.oid
       LEFT JOIN feature_stream.backread r
       ON r.view OPERATOR(pg_catalog.=) f.view::pg_catalog.oid AND r.state OPERATOR(pg_catalog.<>) 'done'
       LEFT JOIN feature_stream.stat_get_feature_view() l ON l.view OPERATOR(pg_catalog.=) f.view::pg_catalog.oid
       LEFT JOIN feature_stream.view_state v ON v.view OPERATOR(pg_catalog.=) f.view::pg_catalog.oid
       LEFT JOIN feature_stream.stream_state d ON d.stream OPERATOR(pg_catalog.=) f.stream::pg_catalog.oid;
COMMENT ON VIEW feature_stream.stat_feature_view IS 'one row a feature view: entities, memory, and what became of the stream''s events there';
COMMENT ON COLUMN feature_stream.stat_feature_view.frontier IS 'last window end fired and committed';
COMMENT ON COLUMN feature_stream.stat_feature_view.complete_from IS 'from this window end on windows are fully covered by what was read; NULL: all are, infinity: nobody knows yet';
COMMENT ON COLUMN feature_stream.stat_feature_view.filtered_count IS 'events that the query''s WHERE left out';
COMMENT ON COLUMN feature_stream.stat_feature_view.late_count IS 'accepted events that were too late for all windows of this view';
COMMENT ON COLUMN feature_stream.stat_feature_view.expression_error_count IS 'events left out because an expression of the query raised an error for them; see dead_letter';
COMMENT ON COLUMN feature_stream.stat_feature_view.feature_error_count IS 'features of rows that are NULL because computing them raised an error: of history rows or, at window ends that the history does not have, of those written to the online store (anew with each writing)';
COMMENT ON COLUMN feature_stream.stat_feature_view.state IS 'active, paused by pause_feature_view() (or see pause_reason), or reading: it begins when the topic or table is read, see stat_progress_backfill';
COMMENT ON COLUMN feature_stream.stat_feature_view.feature_error IS 'message of the latest of these errors';
COMMENT ON COLUMN feature_stream.stat_feature_view.pause_reason IS 'why the worker has set the feature view aside, until resume_feature_view(): it had an expression that did not let itself be cancelled';

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

CREATE VIEW feature_stream.stat_offline AS
SELECT f.view,
       f.offline AS server,
       f.offline_table AS table_name,
       e.row_count,
       e.file_count,
       e.byte_count,
       e.nan_count,
       e.commit_count,
       e.window_end,
       e.last_commit_time,
       CASE WHEN e.view IS NOT NULL
            THEN coalesce(greatest(EXTRACT(epoch FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) c.entered_at), 0), 0)::pg_catalog.float8
            END AS lag_seconds,
       coalesce(c.row_count, 0) AS pending_rows,
       c.window_end AS pending_window_end,
       EXISTS (SELECT FROM feature_stream.view_alteration a
                WHERE a.view OPERATOR(pg_catalog.=) f.view::pg_catalog.oid
                  AND a.state OPERATOR(pg_catalog.=) 'pending') AS awaits_backfill,
       e.failure_count,
       CASE WHEN e.view IS NULL THEN 'the state of the export is not in this database' ELSE e.last_error END AS last_error,
       e.last_error_time,
       e.last_upkeep_time,
       e.snapshot_count,
       e.small_file_count,
       e.upkeep_failure_count,
       e.last_upkeep_error
  FROM feature_stream.feature_view f
       LEFT JOIN feature_stream.lake_export e ON e.view OPERATOR(pg_catalog.=) f.view::pg_catalog.oid
       LEFT JOIN (SELECT k.view, pg_catalog.sum(k.row_count)::pg_catalog.int8 AS row_count,
                         pg_catalog.min(k.first_window_end) AS window_end, pg_catalog.min(k.entered_at) AS entered_at
                    FROM feature_stream.lake_chunk k GROUP BY k.view) c
       ON c.view OPERATOR(pg_catalog.=) f.view::pg_catalog.oid
 WHERE f.offline IS NOT NULL;
COMMENT ON VIEW feature_stream.stat_offline IS 'one row a feature view that is exported to a lake; counts since the export began';
COMMENT ON COLUMN feature_stream.stat_offline.row_count IS 'rows that were exported';
COMMENT ON COLUMN feature_stream.stat_offline.nan_count IS 'values that are NaN in the history, and NULL in the lake because they are decimals there';
COMMENT ON COLUMN feature_stream.stat_offline.window_end IS 'newest window end in the lake';
COMMENT ON COLUMN feature_stream.stat_offline.lag_seconds IS 'for how long the lake lacks the row that it lacks for longest: since that was written, or since the export began if it was there before; 0 when the lake has all of the history';
COMMENT ON COLUMN feature_stream.stat_offline.pending_rows IS 'rows of the history that are not exported yet; of those that were there when the export began, an estimate';
COMMENT ON COLUMN feature_stream.stat_offline.pending_window_end IS 'oldest window end that can have such rows';
COMMENT ON COLUMN feature_stream.stat_offline.awaits_backfill IS 'added features are not computed for all rows yet, and nothing is exported until they are: see stat_progress_backfill';
COMMENT ON COLUMN feature_stream.stat_offline.failure_count IS 'how often the export has failed since it last succeeded';
COMMENT ON COLUMN feature_stream.stat_offline.last_error IS 'why the export last failed; null once it succeeds again';
COMMENT ON COLUMN feature_stream.stat_offline.last_upkeep_time IS 'when the table in the lake was last kept up: manifests merged, files looked for that only expired snapshots need';
COMMENT ON COLUMN feature_stream.stat_offline.snapshot_count IS 'snapshots of the table in the lake at that time';
COMMENT ON COLUMN feature_stream.stat_offline.small_file_count IS 'its data files that are small, and could become larger ones, at that time';
COMMENT ON COLUMN feature_stream.stat_offline.last_upkeep_error IS 'why that last failed; null once it succeeds again';

CREATE VIEW feature_stream.stat_progress_export AS
SELECT f.view,
       CASE WHEN e.last_error IS NOT NULL THEN 'failed'
            WHEN e.existing_chunks_done OPERATOR(pg_catalog.=) 0 AND e.existing_rows_done OPERATOR(pg_catalog.=) 0 THEN 'waiting'
            ELSE 'running' END AS state,
       e.started_at,
       e.existing_rows_done AS rows_done,
       e.existing_rows_done OPERATOR(pg_catalog.+) c.row_count AS rows_total,
       e.existing_chunks_done AS chunks_done,
       e.existing_chunks_done OPERATOR(pg_catalog.+) c.chunk_count AS chunks_total,
       c.window_end AS next_window_end,
       e.last_error AS error
  FROM feature_stream.feature_view f
       JOIN feature_stream.lake_export e ON e.view OPERATOR(pg_catalog.=) f.view::pg_catalog.oid
       JOIN (SELECT k.view, pg_catalog.sum(k.row_count)::pg_catalog.int8 AS row_count, pg_catalog.count(*) AS chunk_count,
                    pg_catalog.min(k.first_window_end) AS window_end
               FROM feature_stream.lake_chunk k WHERE k.computed_at IS NULL GROUP BY k.view) c
       ON c.view OPERATOR(pg_catalog.=) f.view::pg_catalog.oid;
COMMENT ON VIEW feature_stream.stat_progress_export IS 'one row a feature view whose history was there before its export to a lake, until all of that is exported';
COMMENT ON COLUMN feature_stream.stat_progress_export.state IS 'waiting, running, or failed (error says why; it is tried again)';
COMMENT ON COLUMN feature_stream.stat_progress_export.rows_done IS 'rows of that history in the lake';
COMMENT ON COLUMN feature_stream.stat_progress_export.rows_total IS 'rows of that history, an estimate';
COMMENT ON COLUMN feature_stream.stat_progress_export.chunks_done IS 'partitions of the history that are exported';
COMMENT ON COLUMN feature_stream.stat_progress_export.next_window_end IS 'where it goes on';

CREATE VIEW feature_stream.stat_lake_upkeep AS
SELECT u.id AS request, u.view::pg_catalog.regclass AS view, u.action, u.dry_run, u.older_than, u.keep, u.state,
       u.requested_at, u.finished_at, u.error,
       (SELECT pg_catalog.count(*) FROM feature_stream.lake_upkeep_file f
         WHERE f.request OPERATOR(pg_catalog.=) u.id) AS file_count
  FROM feature_stream.lake_upkeep u;
COMMENT ON VIEW feature_stream.stat_lake_upkeep IS 'upkeep of tables in lakes that was asked for by compact_lake(), expire_snapshots(), merge_manifests() and remove_orphan_files(), for a week';
COMMENT ON COLUMN feature_stream.stat_lake_upkeep.state IS 'waiting (for the lake worker), done or failed (error says why)';
COMMENT ON COLUMN feature_stream.stat_lake_upkeep.file_count IS 'rows of stat_lake_upkeep_file';

CREATE VIEW feature_stream.stat_lake_upkeep_file AS
SELECT f.request, f.what, f.location
  FROM feature_stream.lake_upkeep_file f;
COMMENT ON VIEW feature_stream.stat_lake_upkeep_file IS 'files that upkeep of a table in a lake was, or in a dry run would be, about';
COMMENT ON COLUMN feature_stream.stat_lake_upkeep_file.what IS 'manifest list or file: needed by expired snapshots only; merged manifest; small file: replaced by a larger one; orphan: a file that nothing leads to; upload: parts of a file that was never completed';

CREATE VIEW feature_stream.stat_progress_recovery AS
SELECT l.stream::pg_catalog.regclass AS stream, l.phase, l.bytes_done, l.bytes_total, l.events
  FROM feature_stream.stat_get_progress_recovery() l;
COMMENT ON VIEW feature_stream.stat_progress_recovery IS 'one row a stream whose worker is rebuilding its windows from the event log';
COMMENT ON COLUMN feature_stream.stat_progress_recovery.phase IS 'initializing, reading event log or finishing';

CREATE VIEW feature_stream.stat_progress_backfill AS
SELECT coalesce(b.view, r.view)::pg_catalog.regclass AS view,
       coalesce(b.reason, 'creation') AS reason,
       CASE WHEN coalesce(b.error, r.error) IS NOT NULL THEN 'failed'
            WHEN b.view IS NULL THEN CASE r.state WHEN 'reading' THEN 'reading' ELSE 'waiting' END
            WHEN b.state OPERATOR(pg_catalog.<>) 'pending' THEN b.state
            WHEN b.started_at IS NULL THEN 'waiting'
            ELSE 'running' END AS state,
       b.first_window_end AS from_window_end,
       b."until" AS to_window_end,
       b.done_upto AS done_window_end,
       b.lost_upto AS lost_window_end,
       b.row_count,
       coalesce(r.started_at, b.started_at) AS started_at,
       b.finished_at,
       coalesce(b.error, r.error) AS error,
       p.offsets_total,
       p.offsets_done,
       r.read_count,
       r.refused_count,
       r.lost_count,
       r.refused_example
  FROM (SELECT view, reason, state, first_window_end, "until", done_upto, lost_upto, row_count, started_at, finished_at, error
          FROM feature_stream.backfill
         UNION ALL
        SELECT view, 'alteration', state, first_window_end, "until", done_upto, lost_upto, row_count, started_at, finished_at, error
          FROM feature_stream.view_alteration
         WHERE features OPERATOR(pg_catalog.<>) '{}') b
       FULL JOIN feature_stream.backread r
       ON r.view OPERATOR(pg_catalog.=) b.view AND b.reason OPERATOR(pg_catalog.=) 'creation'
       LEFT JOIN (SELECT o.view,
                         pg_catalog.sum(o.total_count)::pg_catalog.int8 AS offsets_total,
                         pg_catalog.sum(o.done_count)::pg_catalog.int8 AS offsets_done
                    FROM feature_stream.backread_position o GROUP BY o.view) p
       ON p.view OPERATOR(pg_catalog.=) r.view
 WHERE b.view IS NOT NULL OR r.state OPERATOR(pg_catalog.<>) 'done';
COMMENT ON VIEW feature_stream.stat_progress_backfill IS 'one row for each stretch of window ends whose history rows are computed from the event log, also when that is done, while the log reaches there; and for each feature view for which a topic or table is read before that';
COMMENT ON COLUMN feature_stream.stat_progress_backfill.reason IS 'creation: the feature view was made later; pause: it was paused; alteration: features were added, whose columns of earlier rows are filled';
COMMENT ON COLUMN feature_stream.stat_progress_backfill.state IS 'waiting, reading (the topic or table), running, failed (error says why; it is tried again), done, or declined (create_feature_view(backfill => false))';
COMMENT ON COLUMN feature_stream.stat_progress_backfill.from_window_end IS 'first window end, as far back as the log and the history''s retention reach; known when it began';
COMMENT ON COLUMN feature_stream.stat_progress_backfill.to_window_end IS 'last window end; the feature view itself fires those after it; null until the stream''s worker has seen an alteration';
COMMENT ON COLUMN feature_stream.stat_progress_backfill.done_window_end IS 'window ends up to this one are in the history, of an alteration with the new columns';
COMMENT ON COLUMN feature_stream.stat_progress_backfill.offsets_total IS 'offsets of the topic, or rows of the table, to be read (create_feature_view(backfill_from => ...)), of the partitions whose beginning is known';
COMMENT ON COLUMN feature_stream.stat_progress_backfill.offsets_done IS 'how many of them are behind us';
COMMENT ON COLUMN feature_stream.stat_progress_backfill.read_count IS 'records read';
COMMENT ON COLUMN feature_stream.stat_progress_backfill.refused_count IS 'records among them that do not meet the stream''s contract, or for which an expression of the query raised an error';
COMMENT ON COLUMN feature_stream.stat_progress_backfill.lost_count IS 'offsets that retention removed from the topic before they were read';
COMMENT ON COLUMN feature_stream.stat_progress_backfill.refused_example IS 'the first record that was refused: where it is, and why';
COMMENT ON COLUMN feature_stream.stat_progress_backfill.lost_window_end IS 'window ends up to this one are not in the history, or their new columns are null: the log did not reach back to them any more';

-- Offsets and errors tell about others' data: for monitoring roles.
REVOKE ALL ON FUNCTION feature_stream.stat_get_stream(), feature_stream.stat_get_partition(),
    feature_stream.stat_get_feature_view(), feature_stream.stat_get_online(),
    feature_stream.stat_get_progress_recovery() FROM PUBLIC;
REVOKE ALL ON feature_stream.stat_stream, feature_stream.stat_partition, feature_stream.stat_feature_view,
    feature_stream.stat_online, feature_stream.stat_offline, feature_stream.stat_progress_export, feature_stream.stat_lake_upkeep,
    feature_stream.stat_lake_upkeep_file, feature_stream.stat_progress_recovery, feature_stream.stat_progress_backfill FROM PUBLIC;
GRANT USAGE ON SCHEMA feature_stream TO pg_monitor;
GRANT EXECUTE ON FUNCTION feature_stream.stat_get_stream(), feature_stream.stat_get_partition(),
    feature_stream.stat_get_feature_view(), feature_stream.stat_get_online(),
    feature_stream.stat_get_progress_recovery() TO pg_monitor;
GRANT SELECT ON feature_stream.stat_stream, feature_stream.stat_partition, feature_stream.stat_feature_view,
    feature_stream.stat_online, feature_stream.stat_offline, feature_stream.stat_progress_export, feature_stream.stat_lake_upkeep,
    feature_stream.stat_lake_upkeep_file, feature_stream.stat_progress_recovery, feature_stream.stat_progress_backfill TO pg_monitor;

-- Checks by itself that the caller may SELECT from the stream.
CREATE FUNCTION feature_stream.read_event_log(stream regclass, since timestamptz DEFAULT NULL)
RETURNS TABLE (partition int, "offset" bigint, xid xid8, event_time timestamptz, arrival timestamptz,
               late_bound timestamptz, checkpoint bigint, event jsonb)
AS 'MODULE_PATHNAME', 'fs_read_event_log' LANGUAGE C VOLATILE PARALLEL UNSAFE ROWS 100000;
COMMENT ON FUNCTION feature_stream.read_event_log(regclass, timestamptz) IS
    'accepted events of a stream that its event log still has, late ones too (late_bound: counts only in windows that end after it)';

-- Checks by itself that the caller may SELECT from the stream.
CREATE FUNCTION feature_stream.test_event(stream regclass, payload bytea, key bytea DEFAULT NULL, headers jsonb DEFAULT NULL)
RETURNS TABLE (kind text, name text, verdict text, value text, detail text)
AS 'MODULE_PATHNAME', 'fs_test_event' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE ROWS 20;
COMMENT ON FUNCTION feature_stream.test_event(regclass, bytea, bytea, jsonb) IS
    'what would become of an event that arrived now, with headers as dead_letter has them: accepted, with its columns and what each feature view does with it, or the reason and message of its dead letter; nothing is written';

-- For tests: moves the whole cluster's idea of now.
CREATE FUNCTION feature_stream.set_test_clock(clock timestamptz)
RETURNS void
AS 'MODULE_PATHNAME', 'fs_set_test_clock' LANGUAGE C VOLATILE PARALLEL UNSAFE;
REVOKE ALL ON FUNCTION feature_stream.set_test_clock(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION feature_stream.set_test_clock(timestamptz) IS
    'sets the clock that arrival, idleness and expiry are judged by, for tests; null goes back to the real clock';

--
-- The batch side: the query in PostgreSQL's executor over the event log.  Each checks by itself that the
-- caller may SELECT from what it tells about.
--

CREATE FUNCTION feature_stream.preview_feature_view(
    query text, windows interval[], slide interval DEFAULT NULL,
    since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, "limit" bigint DEFAULT NULL)
RETURNS TABLE (entity jsonb, window_end timestamptz, features json)
AS 'MODULE_PATHNAME', 'fs_preview_feature_view' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION feature_stream.preview_feature_view(text, interval[], interval, timestamptz, timestamptz, bigint) IS
    'rows that a feature view with this query would have, computed over the events of the log: those of the newest complete window end, or with "since" those it would have emitted since then';

CREATE FUNCTION feature_stream.verify_feature_view(
    view regclass, "from" timestamptz DEFAULT NULL, "to" timestamptz DEFAULT NULL, sample double precision DEFAULT NULL)
RETURNS TABLE (source text, entity jsonb, window_end timestamptz, feature text, expected text, found text, problem text)
AS 'MODULE_PATHNAME', 'fs_verify_feature_view' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION feature_stream.verify_feature_view(regclass, timestamptz, timestamptz, double precision) IS
    'runs a feature view''s query again over the logged events and gives each difference from its history and its rows in force; no row: all is well';

CREATE FUNCTION feature_stream.explain_feature(
    view regclass, feature text, entity jsonb, at timestamptz DEFAULT NULL)
RETURNS TABLE (window_end timestamptz, status text, event_time timestamptz, partition int, "offset" bigint,
               arrival timestamptz, late_by interval, counts_from timestamptz, event jsonb, reason text)
AS 'MODULE_PATHNAME', 'fs_explain_feature' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE;
COMMENT ON FUNCTION feature_stream.explain_feature(regclass, text, jsonb, timestamptz) IS
    'the logged events of one entity in the window of one feature, and which of them make the number: status is counted, late (not in this window, but in those from counts_from on), filtered (by WHERE or FILTER), error (WHERE raised one) or refused (a dead letter, with its reason)';

--
-- How a feature view is computed.  Each checks by itself that the caller may SELECT from what it tells about.
--

CREATE FUNCTION feature_stream.explain_feature_view(view regclass)
RETURNS TABLE (feature text, aggregate text, strategy text, keeps text, reason text,
               bytes_per_key float8, bytes_per_event float8, row_microseconds float8)
AS 'MODULE_PATHNAME', 'fs_explain_feature_view' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED ROWS 20;
COMMENT ON FUNCTION feature_stream.explain_feature_view(regclass) IS
    'how each aggregate of a feature view is computed, and why: native or replay (PostgreSQL''s executor); whether memory keeps events for it, or partial aggregates (a state of each slide); and what it adds to a key, an event in a window, and a row. What several share is counted once; sums are the whole view';

CREATE FUNCTION feature_stream.explain_feature_view(query text, windows interval[], slide interval DEFAULT NULL)
RETURNS TABLE (feature text, aggregate text, strategy text, keeps text, reason text,
               bytes_per_key float8, bytes_per_event float8, row_microseconds float8)
AS 'MODULE_PATHNAME', 'fs_explain_candidate' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL RESTRICTED ROWS 20;
COMMENT ON FUNCTION feature_stream.explain_feature_view(text, interval[], interval) IS
    'the same of a feature view that does not exist';

CREATE FUNCTION feature_stream.estimate_feature_view(view regclass,
    OUT events_per_second float8, OUT entities bigint, OUT events_per_row float8, OUT rows_per_second float8,
    OUT event_microseconds float8, OUT row_microseconds float8, OUT memory_bytes bigint, OUT cpu_share float8)
AS 'MODULE_PATHNAME', 'fs_estimate_feature_view' LANGUAGE C VOLATILE STRICT PARALLEL RESTRICTED;
COMMENT ON FUNCTION feature_stream.estimate_feature_view(regclass) IS
    'what a feature view takes by its stream''s live rate: shared memory, and share of the one core that the stream''s worker has; nulls while there is no rate';

CREATE FUNCTION feature_stream.estimate_feature_view(query text, windows interval[], slide interval DEFAULT NULL,
    OUT events_per_second float8, OUT entities bigint, OUT events_per_row float8, OUT rows_per_second float8,
    OUT event_microseconds float8, OUT row_microseconds float8, OUT memory_bytes bigint, OUT cpu_share float8)
AS 'MODULE_PATHNAME', 'fs_estimate_candidate' LANGUAGE C VOLATILE CALLED ON NULL INPUT PARALLEL RESTRICTED;
COMMENT ON FUNCTION feature_stream.estimate_feature_view(text, interval[], interval) IS
    'the same of a feature view that does not exist, its entities and rows guessed from the stream''s other views';
