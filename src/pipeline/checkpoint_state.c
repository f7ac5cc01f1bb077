/*
 * checkpoint_state.c
 *		The small rows of a checkpoint: positions, wake-ups, firings, counters, cursor.
 *
 * Statements are planned once and kept for the life of the process.  Each runs
 * in an SPI connection of its own, so that ingestion may go on in between.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "ground/clock.h"
#include "pipeline/dead_letter_replay.h"
#include "pipeline/pace.h"
#include "pipeline/partial_log.h"
#include "pipeline/row.h"

#define MAX_PARAMETERS 17

/* A statement, and its plan once it was first executed. */
typedef struct Statement
{
	const char *sql;
	int			n;
	Oid			types[MAX_PARAMETERS];
	int			expected;		/* SPI_OK_... */
	SPIPlanPtr	plan;
} Statement;

static Datum
time_datum(FsTime t, char *null)
{
	*null = t == FS_TIME_MIN ? 'n' : ' ';
	return TimestampTzGetDatum(t);
}

static Datum
text_datum(const char *text, char *null)
{
	*null = text == NULL ? 'n' : ' ';
	return text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

/* A message that may have been cut off within a character; "" is NULL. */
static Datum
message_datum(const char *message, char *null)
{
	int			len = strlen(message);

	*null = len == 0 ? 'n' : ' ';
	return PointerGetDatum(cstring_to_text_with_len(message, pg_mbcliplen(message, len, len)));
}

/* Executes a statement; returns the number of rows it changed. */
static uint64
execute(Statement *statement, Datum *values, const char *nulls)
{
	uint64		changed;
	int			result;

	Assert(statement->n <= MAX_PARAMETERS);
	SPI_connect();
	if (statement->plan == NULL)
	{
		SPIPlanPtr	plan = SPI_prepare_cursor(statement->sql, statement->n, statement->types,
											  CURSOR_OPT_GENERIC_PLAN);

		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not prepare a statement of the checkpoint: %s", SPI_result_code_string(SPI_result));
		statement->plan = plan;
	}
	result = SPI_execute_plan(statement->plan, values, nulls, false, 0);
	if (result != statement->expected)
		elog(ERROR, "could not write the checkpoint: %s", SPI_result_code_string(result));
	changed = SPI_processed;
	SPI_finish();
	return changed;
}

/* Writes where a partition stands; 'start' is of its first row only and is never updated. */
static void
write_position(FsShard *shard, const FsPartition *p)
{
	static Statement statement = {
		"INSERT INTO feature_stream.partition_position AS p (stream, shard, partition, next_offset, next_xid, "
		"watermark, last_event_time, last_arrival, idle, covered_from, covers_all, start_offset, "
		"read_count, accepted_count, partially_late_count, dead_letter_count, start_xid, stopped) "
		"VALUES ($1, 0, $2, $3, $4::pg_catalog.text::pg_catalog.xid8, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, "
		"$16::pg_catalog.text::pg_catalog.xid8, $17) "
		"ON CONFLICT (stream, shard, partition) DO UPDATE SET next_offset = excluded.next_offset, "
		"next_xid = excluded.next_xid, watermark = excluded.watermark, last_event_time = excluded.last_event_time, "
		"last_arrival = excluded.last_arrival, idle = excluded.idle, covered_from = excluded.covered_from, "
		"covers_all = excluded.covers_all, read_count = excluded.read_count, "
		"accepted_count = excluded.accepted_count, partially_late_count = excluded.partially_late_count, "
		"dead_letter_count = excluded.dead_letter_count, stopped = excluded.stopped",
		17, {OIDOID, INT4OID, INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID,
		TIMESTAMPTZOID, BOOLOID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, TEXTOID, TEXTOID}, SPI_OK_INSERT};
	Datum		values[17];
	char		nulls[17];

	Assert(p->started && p->read_count == p->accepted_count + p->dead_letter_count);
	memset(nulls, ' ', sizeof(nulls));
	values[0] = ObjectIdGetDatum(shard->def->relid);
	values[1] = Int32GetDatum(p->id);
	values[2] = Int64GetDatum(p->position.offset);
	values[3] = CStringGetTextDatum(psprintf(UINT64_FORMAT, p->position.xid));
	values[4] = time_datum(p->clock.watermark, &nulls[4]);
	values[5] = time_datum(p->clock.last_event_time, &nulls[5]);
	values[6] = time_datum(p->clock.last_arrival, &nulls[6]);
	values[7] = BoolGetDatum(p->clock.idle);
	values[8] = time_datum(p->covered_from, &nulls[8]);
	values[9] = BoolGetDatum(p->covers_all);
	values[10] = Int64GetDatum(p->start.offset);
	values[11] = Int64GetDatum(p->read_count);
	values[12] = Int64GetDatum(p->accepted_count);
	values[13] = Int64GetDatum(p->partially_late_count);
	values[14] = Int64GetDatum(p->dead_letter_count);
	values[15] = CStringGetTextDatum(psprintf(UINT64_FORMAT, p->start.xid));
	values[16] = message_datum(p->stopped, &nulls[16]);
	execute(&statement, values, nulls);
}

/*
 * Writes where idle partitions woke up behind the frontier: with it lateness
 * can be judged again from what is recorded.
 */
static void
write_wakeups(FsShard *shard, FsCheckpoint *checkpoint)
{
	static Statement statement = {
		"INSERT INTO feature_stream.partition_wakeup (stream, partition, \"offset\", watermark) "
		"VALUES ($1, $2, $3, $4)",
		4, {OIDOID, INT4OID, INT8OID, TIMESTAMPTZOID}, SPI_OK_INSERT};
	ListCell   *cell;

	foreach(cell, checkpoint->pending.wakeups)
	{
		const FsWakeup *wakeup = lfirst(cell);
		Datum		values[4] = {ObjectIdGetDatum(shard->def->relid), Int32GetDatum(wakeup->partition),
		Int64GetDatum(wakeup->offset), TimestampTzGetDatum(wakeup->watermark)};

		Assert(wakeup->watermark != FS_TIME_MIN);
		execute(&statement, values, NULL);
		fs_pace(shard, checkpoint);
	}
}

/* Adds the dead letters of one partition and reason that were only counted to their minute's row. */
static void
write_overflow_of(FsShard *shard, int32 partition, FsReason reason, const FsDeadOverflow *overflow)
{
	static Statement statement = {
		"INSERT INTO feature_stream.dead_letter_overflow AS o (stream, partition, reason, recorded_at, first_offset, "
		"last_offset, dead_letter_count, first_arrival, last_arrival, message) "
		"VALUES ($1::pg_catalog.regclass, $2, $3, pg_catalog.date_trunc('minute', $4, 'UTC'), $5, $6, $7, $8, $9, $10) "
		"ON CONFLICT (stream, partition, reason, recorded_at) DO UPDATE SET "
		"first_offset = LEAST(o.first_offset, excluded.first_offset), "
		"last_offset = GREATEST(o.last_offset, excluded.last_offset), "
		"dead_letter_count = o.dead_letter_count OPERATOR(pg_catalog.+) excluded.dead_letter_count, "
		"first_arrival = LEAST(o.first_arrival, excluded.first_arrival), "
		"last_arrival = GREATEST(o.last_arrival, excluded.last_arrival)",
		10, {OIDOID, INT4OID, TEXTOID, TIMESTAMPTZOID, INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID,
		TEXTOID}, SPI_OK_INSERT};
	Datum		values[10] = {ObjectIdGetDatum(shard->def->relid), Int32GetDatum(partition),
		CStringGetTextDatum(fs_reason_name(reason)), TimestampTzGetDatum(fs_clock_now()),
		Int64GetDatum(overflow->first_offset), Int64GetDatum(overflow->last_offset), Int64GetDatum(overflow->count),
		TimestampTzGetDatum(overflow->first_arrival), TimestampTzGetDatum(overflow->last_arrival),
	CStringGetTextDatum(overflow->message)};

	Assert(overflow->count > 0 && overflow->first_offset <= overflow->last_offset);
	execute(&statement, values, NULL);
}

/* Writes how many dead letters were beyond the budget. */
static void
write_overflow(FsShard *shard, FsCheckpoint *checkpoint)
{
	for (int i = 0; i < checkpoint->npartitions && checkpoint->pending.overflow != NULL; i++)
		for (int reason = 0; reason < FS_REASONS; reason++)
		{
			const FsDeadOverflow *overflow = fs_dead_letter_overflow(&checkpoint->pending, i, (FsReason) reason);

			if (overflow == NULL)
				continue;
			write_overflow_of(shard, checkpoint->partitions[i].id, (FsReason) reason, overflow);
			fs_pace(shard, checkpoint);
		}
}

/*
 * Marks what became of the dead letters that came back.  Only the worker changes
 * rows that are requested; one that is not there any more means that its event
 * must not count, and the checkpoint fails.
 */
static void
write_outcomes(FsShard *shard, FsCheckpoint *checkpoint)
{
	static Statement statement = {
		"UPDATE feature_stream.dead_letter_outcome SET outcome = $5, reason = $6, message = $7, finished_at = $8, "
		"corrected_at = CASE WHEN $9 THEN $8 END, corrected_rows = CASE WHEN $9 THEN 0 END "
		"WHERE stream OPERATOR(pg_catalog.=) $1::pg_catalog.regclass AND partition OPERATOR(pg_catalog.=) $2 "
		"AND \"offset\" OPERATOR(pg_catalog.=) $3 AND recorded_at OPERATOR(pg_catalog.=) $4 "
		"AND outcome OPERATOR(pg_catalog.=) 'requested'",
		9, {OIDOID, INT4OID, INT8OID, TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, BOOLOID},
	SPI_OK_UPDATE};
	ListCell   *cell;

	foreach(cell, checkpoint->pending.outcomes)
	{
		const FsReplayOutcome *outcome = lfirst(cell);
		Datum		values[9] = {ObjectIdGetDatum(shard->def->relid), Int32GetDatum(outcome->partition),
			Int64GetDatum(outcome->offset), TimestampTzGetDatum(outcome->recorded_at),
		CStringGetTextDatum(outcome->outcome)};
		char		nulls[9] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};

		values[5] = text_datum(outcome->reason, &nulls[5]);
		values[6] = text_datum(outcome->message, &nulls[6]);
		values[7] = TimestampTzGetDatum(fs_clock_now());
		values[8] = BoolGetDatum(outcome->corrected);
		if (execute(&statement, values, nulls) != 1)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("request to replay a dead letter of stream %s has changed meanwhile", shard->def->name),
					 errdetail("It is that of partition %d, offset %lld.", outcome->partition,
							   (long long) outcome->offset)));
		fs_pace(shard, checkpoint);
	}
}

/*
 * Writes what was fired since the last checkpoint, and how far, so that
 * recovery knows when rows became known.
 */
static void
write_firings(FsShard *shard, FsCheckpoint *checkpoint)
{
	static Statement statement = {
		"INSERT INTO feature_stream.firing (view, window_end, upto_hash, computed_at, row_count) "
		"VALUES ($1, $2, $3, $4, $5)",
		5, {OIDOID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, INT8OID}, SPI_OK_INSERT};
	ListCell   *cell;

	foreach(cell, shard->firings)
	{
		const FsFiring *firing = lfirst(cell);
		Datum		values[5] = {ObjectIdGetDatum(shard->views[firing->view].def->relid),
			TimestampTzGetDatum(firing->window_end), Int64GetDatum(firing->upto_hash),
		TimestampTzGetDatum(firing->computed_at), Int64GetDatum(firing->rows)};

		Assert(firing->rows > 0 && firing->window_end <= checkpoint->upto);
		execute(&statement, values, NULL);
		fs_pace(shard, checkpoint);
	}
}

/* The row of stream_state; its epoch fences off any other worker of this stream. */
static void
write_state(FsShard *shard, const FsCheckpoint *checkpoint)
{
	static Statement statement = {
		"UPDATE feature_stream.stream_state SET checkpoint = $3, frontier = $4, watermark = $5, "
		"fire_window_end = $6, fire_view = $7, fire_hash = $8, checkpoint_time = $9, "
		"start_partitions = $10, cluster = $11 "
		"WHERE stream OPERATOR(pg_catalog.=) $1 AND shard OPERATOR(pg_catalog.=) 0 "
		"AND epoch OPERATOR(pg_catalog.=) $2",
		11, {OIDOID, INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, OIDOID, INT8OID,
		TIMESTAMPTZOID, INT4OID, TEXTOID}, SPI_OK_UPDATE};
	const FsFireCursor *fire = &shard->fire;
	bool		mid_view = fire->active && fire->view < shard->nviews;
	char		nulls[11];
	Datum		values[11];

	Assert(checkpoint->number > shard->checkpoint);
	memset(nulls, ' ', sizeof(nulls));
	values[0] = ObjectIdGetDatum(shard->def->relid);
	values[1] = Int64GetDatum(shard->epoch);
	values[2] = Int64GetDatum(checkpoint->number);
	values[3] = time_datum(shard->frontier, &nulls[3]);
	values[4] = time_datum(checkpoint->watermark, &nulls[4]);
	values[5] = time_datum(fire->active ? fire->boundary : FS_TIME_MIN, &nulls[5]);
	values[6] = ObjectIdGetDatum(mid_view ? shard->views[fire->view].def->relid : InvalidOid);
	nulls[6] = mid_view ? ' ' : 'n';
	values[7] = Int64GetDatum(fire->hash);
	nulls[7] = mid_view ? ' ' : 'n';
	values[8] = TimestampTzGetDatum(fs_clock_now());
	values[9] = Int32GetDatum(checkpoint->start_partitions);
	values[10] = message_datum(shard->cluster, &nulls[10]);
	if (execute(&statement, values, nulls) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("another worker has taken over stream %s", shard->def->name)));
}

/* The views' counters; rows fired in this transaction are part of it. */
static void
write_view_state(FsShard *shard, FsCheckpoint *checkpoint)
{
	static Statement statement = {
		"UPDATE feature_stream.view_state SET counted_count = $2, filtered_count = $3, late_count = $4, "
		"expression_error_count = $5, row_count = $6, partial_from = $7, partial_upto = $8, partial_last = $9, "
		"partial_layout = $10, feature_error_count = $11, feature_error = $12 WHERE view OPERATOR(pg_catalog.=) $1",
		12, {OIDOID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
		INT8OID, INT8OID, TEXTOID}, SPI_OK_UPDATE};

	for (int v = 0; v < shard->nviews; v++)
	{
		const FsViewCounts *counts = &checkpoint->counts[v];
		const FsPartialLog *log = shard->views[v].partial_log;
		bool		stored = log != NULL && log->stored;
		char		nulls[12] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};
		Datum		values[12] = {ObjectIdGetDatum(shard->views[v].def->relid),
			Int64GetDatum(counts->counted), Int64GetDatum(counts->filtered),
			Int64GetDatum(counts->late), Int64GetDatum(counts->expression_errors),
		Int64GetDatum(shard->views[v].counts.rows)};

		values[6] = time_datum(stored ? log->from : FS_TIME_MIN, &nulls[6]);
		values[7] = time_datum(stored ? log->upto : FS_TIME_MIN, &nulls[7]);
		values[8] = time_datum(stored ? log->last : FS_TIME_MIN, &nulls[8]);
		values[9] = Int64GetDatum(stored ? log->layout : 0);
		nulls[9] = stored ? ' ' : 'n';
		values[10] = Int64GetDatum(shard->views[v].feature_errors);
		values[11] = message_datum(shard->views[v].row->error, &nulls[11]);
		execute(&statement, values, nulls);
		fs_pace(shard, checkpoint);
	}
}

/* See shard.h. */
void
fs_checkpoint_write_state(FsShard *shard, FsCheckpoint *checkpoint)
{
	for (int i = 0; i < checkpoint->npartitions; i++)
	{
		if (checkpoint->partitions[i].started)
			write_position(shard, &checkpoint->partitions[i]);
		fs_pace(shard, checkpoint);
	}
	write_wakeups(shard, checkpoint);
	write_overflow(shard, checkpoint);
	write_outcomes(shard, checkpoint);
	write_firings(shard, checkpoint);
	write_view_state(shard, checkpoint);
	write_state(shard, checkpoint);
}
