/*
 * stream_state.c
 *		The rows and the partition of the event log that every stream has.
 *
 * The state of a stream (log, offsets, watermark) was computed under its
 * definition.  Most options may change at any time; slice, source, event time
 * column and column types may not once something has been read: they are
 * recorded in stream_definition and held against every later definition.
 *
 * A command of a user's locks the stream's row in stream_definition until its
 * transaction ends.  The rows that checkpoints update are left alone, but for
 * a definition that changes before anything was read.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "catalog/contract_version.h"
#include "catalog/extension.h"
#include "catalog/stream_state.h"

/* Parameters of the commands below: stream, slice, source, event time column, column types. */
#define NPARAMETERS 5

static Oid	parameter_types[NPARAMETERS] = {
	OIDOID, INTERVALOID, TEXTOID, INT2OID, OIDARRAYOID
};

/* Has a column another type?  One that was added or dropped has not. */
#define TYPES_CHANGED \
	"EXISTS (SELECT FROM unnest(s.column_types) WITH ORDINALITY old (type, n)" \
	" JOIN unnest($5) WITH ORDINALITY new (type, n) USING (n)" \
	" WHERE old.type <> 0 AND new.type <> 0 AND old.type <> new.type)"

static void
execute_utility(const char *command)
{
	fs_owner_execute(command, SPI_OK_UTILITY, 0, NULL, NULL, NULL);
}

/* Types of the columns by attribute number; 0 for dropped ones. */
static Datum
column_types_datum(const FsStreamDef *stream)
{
	Datum	   *types = palloc0((stream->natts + 1) * sizeof(Datum));

	for (int i = 0; i < stream->ncolumns; i++)
		types[stream->columns[i].attnum - 1] =
			ObjectIdGetDatum(stream->columns[i].typid);
	return PointerGetDatum(construct_array(types, stream->natts, OIDOID,
										   sizeof(Oid), true, TYPALIGN_INT));
}

/* The row of stream_definition: what the state depends on, in the order of its columns. */
static void
set_parameters(const FsStreamDef *stream, Datum *values)
{
	Interval   *slice = palloc0(sizeof(Interval));
	char	   *source;

	slice->time = stream->slice;
	source = stream->kind == FS_SOURCE_KAFKA ?
		psprintf("topic %s", stream->topic) :
		psprintf("table %u", stream->table);
	values[0] = ObjectIdGetDatum(stream->relid);
	values[1] = IntervalPGetDatum(slice);
	values[2] = CStringGetTextDatum(source);
	values[3] = Int16GetDatum(stream->columns[stream->event_time].attnum);
	values[4] = column_types_datum(stream);
}

static uint64
execute(const char *command, int expected, Datum *values)
{
	return fs_owner_execute(command, expected, NPARAMETERS,
							parameter_types, values, NULL);
}

/* Throws when 'condition' is true of the recorded definition and the new one. */
static void
check_unchanged(const FsStreamDef *stream, Datum *values, const char *condition,
				const char *what, const char *hint)
{
	char	   *command = psprintf("SELECT FROM feature_stream.stream_definition s"
								   " WHERE stream = $1 AND %s", condition);

	if (execute(command, SPI_OK_SELECT, values) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot change the %s of stream %s", what, stream->name),
			 errdetail("Its state was computed under the present definition."),
			 errhint("%s", hint)));
}

/* Holds the new definition against the recorded one. */
static void
check_definition(const FsStreamDef *stream, Datum *values)
{
	const char *anew = "Create another stream, or drop this one and create it again.";

	check_unchanged(stream, values, "s.slice <> $2", "slice", anew);
	check_unchanged(stream, values, "s.source <> $3",
					stream->kind == FS_SOURCE_KAFKA ? "topic" : "table", anew);
	check_unchanged(stream, values, "s.event_time <> $4", "event time column", anew);
	check_unchanged(stream, values, TYPES_CHANGED, "column types",
					"Drop the column and add one of the other type, with a DEFAULT for events that were read before.");
}

/* The tables of which each stream has a partition of its own, in turn partitioned by time. */
static const struct
{
	const char *table;
	const char *time;
	const char *what;
}			logs[] =
{
	{"event_log", "slice", "event log"},
	{"partial_log", "window_end", "partial aggregates"}
};

static char *
log_name(const char *table, Oid relid)
{
	return psprintf("%s_%u", table, relid);
}

/*
 * Drops the stream's partition of a log; false when there is none.  A plain
 * DROP TABLE would turn to the extension, whose member it is.
 */
static bool
remove_log(const char *table, Oid relid)
{
	ObjectAddress log;

	ObjectAddressSet(log, RelationRelationId, fs_extension_relation(log_name(table, relid)));
	if (!OidIsValid(log.objectId))
		return false;
	LockRelationOid(log.objectId, AccessExclusiveLock);
	performDeletion(&log, DROP_CASCADE, PERFORM_DELETION_SKIP_EXTENSIONS | PERFORM_DELETION_INTERNAL);
	CommandCounterIncrement();
	return true;
}

/* Drops the stream's partitions of all logs; false when there are none. */
static bool
remove_logs(Oid relid)
{
	bool		any = false;

	for (int i = 0; i < lengthof(logs); i++)
		any |= remove_log(logs[i].table, relid);
	return any;
}

/* Makes the stream's partition of a log; below it upkeep makes those by time. */
static void
create_log(const FsStreamDef *stream, int i)
{
	char	   *log = log_name(logs[i].table, stream->relid);
	char	   *comment = psprintf("%s of stream %s", logs[i].what, stream->name);

	execute_utility(psprintf("CREATE TABLE feature_stream.%s"
							 " (LIKE feature_stream.%s INCLUDING STORAGE)"
							 " PARTITION BY RANGE (%s)", log, logs[i].table, logs[i].time));
	execute_utility(psprintf("ALTER TABLE feature_stream.%s"
							 " ATTACH PARTITION feature_stream.%s FOR VALUES IN (%u)",
							 logs[i].table, log, stream->relid));
	execute_utility(psprintf("COMMENT ON TABLE feature_stream.%s IS %s", log,
							 quote_literal_cstr(comment)));
	fs_extension_add_member(get_extension_oid("feature_stream", false), fs_extension_relation(log));
}

/* Makes those of the stream's partitions of logs that are not there. */
static void
create_logs(const FsStreamDef *stream)
{
	for (int i = 0; i < lengthof(logs); i++)
		if (!OidIsValid(fs_extension_relation(log_name(logs[i].table, stream->relid))))
			create_log(stream, i);
}

/*
 * Ties the stream to the table it reads: DROP TABLE needs CASCADE then, and
 * pg_dump writes the table first.
 */
static void
record_dependency(const FsStreamDef *stream)
{
	ObjectAddress self;
	ObjectAddress table;

	Assert(OidIsValid(stream->table));
	ObjectAddressSet(self, RelationRelationId, stream->relid);
	ObjectAddressSet(table, RelationRelationId, stream->table);
	(void) deleteDependencyRecordsForSpecific(RelationRelationId, stream->relid,
											  DEPENDENCY_NORMAL,
											  RelationRelationId, stream->table);
	recordDependencyOn(&self, &table, DEPENDENCY_NORMAL);
}

/*
 * Records a definition that differs from the recorded one in more than columns
 * added and dropped.  A worker may be about to commit what it read under that.
 */
static void
change_definition(const FsStreamDef *stream, Datum *values)
{
	fs_contract_version_fence(stream->relid);
	if (execute("SELECT FROM feature_stream.partition_position WHERE stream = $1",
				SPI_OK_SELECT, values) > 0)
		check_definition(stream, values);
	(void) execute("UPDATE feature_stream.stream_definition SET slice = $2,"
				   " source = $3, event_time = $4, column_types = $5"
				   " WHERE stream = $1", SPI_OK_UPDATE, values);
}

/* How many attributes the recorded definition has, dropped ones included; -1 when there is none. */
static int
count_known(Oid relid)
{
	FsOwnerScope scope;
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(relid)};
	bool		isnull = true;
	Datum		known = (Datum) 0;

	fs_owner_begin(&scope);
	SPI_connect();
	if (SPI_execute_with_args("SELECT cardinality(column_types) FROM feature_stream.stream_definition"
							  " WHERE stream = $1", 1, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read feature_stream.stream_definition");
	if (SPI_processed == 1)
		known = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	SPI_finish();
	fs_owner_end(&scope);
	return isnull ? -1 : DatumGetInt32(known);
}

/* See stream_state.h. */
void
fs_stream_state_ensure(const FsStreamDef *stream)
{
	Datum		values[NPARAMETERS];
	bool		is_new;
	int			known = count_known(stream->relid);

	set_parameters(stream, values);
	is_new = execute("INSERT INTO feature_stream.stream_definition"
					 " (stream, slice, source, event_time, column_types)"
					 " VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
					 SPI_OK_INSERT, values) > 0;
	if (is_new)
	{
		(void) execute("INSERT INTO feature_stream.stream_state (stream)"
					   " VALUES ($1) ON CONFLICT DO NOTHING", SPI_OK_INSERT, values);
		remove_logs(stream->relid);	/* restored from a dump: another stream's */
	}
	else if (execute("SELECT FROM feature_stream.stream_definition s WHERE stream = $1"
					 " AND ((slice, source, event_time) IS DISTINCT FROM ($2, $3, $4) OR " TYPES_CHANGED ")"
					 " FOR UPDATE",
					 SPI_OK_SELECT, values) > 0)
		change_definition(stream, values);
	else
		(void) execute("UPDATE feature_stream.stream_definition SET column_types = $5"
					   " WHERE stream = $1 AND column_types IS DISTINCT FROM $5"
					   " AND (slice, source, event_time) IS NOT DISTINCT FROM ($2, $3, $4)",
					   SPI_OK_UPDATE, values);
	fs_contract_version_enter(stream, known >= 0 ? known : stream->natts);
	create_logs(stream);
	if (stream->kind == FS_SOURCE_TABLE)
		record_dependency(stream);
}

/* See stream_state.h. */
bool
fs_stream_state_remove(Oid relid)
{
	static const char *const tables[] = {
		"partition_position", "partition_wakeup", "dead_letter_outcome", "dead_letter_overflow", "dead_letter_unsent",
		"dead_letter", "stream_contract", "stream_state", "stream_definition"
	};
	Oid			types[1] = {OIDOID};
	Datum		values[1];
	uint64		removed = 0;

	values[0] = ObjectIdGetDatum(relid);
	for (int i = 0; i < lengthof(tables); i++)
		removed += fs_owner_execute(psprintf("DELETE FROM feature_stream.%s"
											 " WHERE stream = $1", tables[i]),
									SPI_OK_DELETE, 1, types, values, NULL);
	return remove_logs(relid) || removed > 0;
}

/* See stream_state.h. */
void
fs_stream_state_pause(Oid relid, bool paused)
{
	Oid			types[2] = {OIDOID, BOOLOID};
	Datum		values[2];

	values[0] = ObjectIdGetDatum(relid);
	values[1] = BoolGetDatum(paused);
	fs_owner_execute("INSERT INTO feature_stream.stream_definition AS d (stream, paused)"
					 " VALUES ($1, $2) ON CONFLICT (stream)"
					 " DO UPDATE SET paused = EXCLUDED.paused, alert = CASE WHEN EXCLUDED.paused THEN d.alert END",
					 SPI_OK_INSERT, 2, types, values, NULL);
}

/* See stream_state.h. */
void
fs_stream_state_resume(Oid relid)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(relid)};

	fs_stream_state_pause(relid, false);
	fs_owner_execute("UPDATE feature_stream.stream_definition SET resumed_count = resumed_count + 1"
					 " WHERE stream = $1", SPI_OK_UPDATE, 1, types, values, NULL);
}

/* See stream_state.h. */
bool
fs_stream_state_is_paused(Oid relid)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1];

	values[0] = ObjectIdGetDatum(relid);
	return fs_owner_execute("SELECT FROM feature_stream.stream_definition"
							" WHERE stream = $1 AND paused",
							SPI_OK_SELECT, 1, types, values, NULL) > 0;
}
