/*
 * checkpoint.c
 *		One transaction that makes state, positions and output durable together.
 *
 * When a checkpoint begins, what it will write is set aside: the pending log
 * segments, dead letters and wake-ups, and a copy of the partitions' positions.
 * From then on ingestion may go on between its steps ('interleave'); what comes
 * in belongs to the next one.  In the same transaction the windows are fired
 * that the watermark of that moment allows, at most FS_CHECKPOINT_ROWS rows;
 * the fire cursor says how far.  Only after the commit is anything told to the
 * outside: readers (durable frontier) and the online store.
 *
 * Offsets live in feature_stream.partition_position and nowhere else.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "core/slice.h"
#include "ground/clock.h"
#include "ground/fault.h"
#include "ground/settings.h"
#include "offline/partition.h"
#include "offline/table_writer.h"
#include "pipeline/dead_letters.h"
#include "pipeline/shard.h"
#include "state/event_log.h"

/* WAL written without a flush: more would make the commit's flush a stall. */
#define FLUSH_BYTES (1024 * 1024)

/* What a checkpoint writes, set aside when it begins. */
typedef struct FsCheckpoint
{
	FsPending	pending;
	FsPartition *partitions;
	int			npartitions;
	FsViewCounts *counts;		/* by view */
	FsTime		watermark;
	FsTime		upto;			/* fire windows up to here */
	int64		bytes;
	int64		number;
	bool		(*interleave) (FsShard *shard);
} FsCheckpoint;

/* Is there anything to write, and is it time? */
bool
fs_checkpoint_is_due(FsShard *shard)
{
	const FsPending *pending = &shard->pending;

	if (fs_fire_is_due(shard))
		return true;
	if (pg_atomic_read_u64(&shard->slot->checkpoint_requested) != shard->checkpoint_requested)
		return true;
	if (!pending->dirty && pending->events == 0 && pending->ndead == 0)
		return false;
	return fs_pending_bytes(pending) >= FS_PENDING_BYTES ||
		GetCurrentTimestamp() >= shard->checkpoint_due || shard->new_starts;
}

/* Sets aside what is to be written; ingestion begins a new pending set. */
static void
freeze(FsShard *shard, FsCheckpoint *checkpoint)
{
	checkpoint->pending = shard->pending;
	fs_pending_init(shard, &shard->pending);
	checkpoint->npartitions = shard->npartitions;
	checkpoint->partitions = MemoryContextAlloc(shard->context,
												sizeof(FsPartition) * Max(shard->npartitions, 1));
	memcpy(checkpoint->partitions, shard->partitions, sizeof(FsPartition) * shard->npartitions);
	checkpoint->counts = MemoryContextAlloc(shard->context, sizeof(FsViewCounts) * shard->nviews);
	for (int v = 0; v < shard->nviews; v++)
		checkpoint->counts[v] = shard->views[v].counts;
	checkpoint->watermark = shard->watermark;
	checkpoint->upto = shard->watermark;
	checkpoint->number = shard->checkpoint + 1;
	checkpoint->bytes = 0;
	shard->firings = NIL;
	shard->fire.computed_at = fs_clock_now();
}

/* Makes the partitions of the tables that the checkpoint will write into, in a transaction of its own. */
static void
ensure_partitions(FsShard *shard, FsCheckpoint *checkpoint)
{
	Oid			log;
	FsTime	   *instants;
	int			n = 0;
	ListCell   *cell;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	log = fs_event_log_relation(shard->def->relid);
	if (!OidIsValid(log))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("event log of stream %s does not exist", shard->def->name),
				 errhint("Drop and create the stream again.")));
	instants = palloc(sizeof(FsTime) * Max(checkpoint->pending.nslices, checkpoint->pending.ndead + 1));
	for (int i = 0; i < checkpoint->pending.nslices; i++)
		instants[n++] = fs_slice_start(checkpoint->pending.slices[i].slice, shard->def->slice);
	if (n > 0 && !fs_partition_exists_for(log, instants, n))
		fs_partition_ensure(log, FS_LOG_PARTITION_SPAN, instants, n);
	n = 0;
	foreach(cell, checkpoint->pending.dead_letters)
	{
		FsTime		day = fs_time_floor(((FsDeadLetter *) lfirst(cell))->recorded_at,
										FS_DEAD_LETTER_PARTITION_SPAN);

		if (n == 0 || instants[n - 1] != day)
			instants[n++] = day;
	}
	if (n > 0)
	{
		Oid			dead = get_relname_relid("dead_letter", get_namespace_oid("feature_stream", false));

		if (!fs_partition_exists_for(dead, instants, n))
			fs_partition_ensure(dead, FS_DEAD_LETTER_PARTITION_SPAN, instants, n);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/*
 * Makes the history partitions of the next boundary, and returns how far this
 * checkpoint may fire: to the end of that partition at most.
 */
static FsTime
ensure_history(FsShard *shard, FsTime upto)
{
	FsTime		boundary = fs_fire_next(shard);
	FsTime		day;

	if (upto == FS_TIME_MIN || boundary > upto)
		return upto;
	day = fs_time_floor(boundary, FS_HISTORY_PARTITION_SPAN);
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	for (int v = 0; v < shard->nviews; v++)
	{
		const FsViewDef *view = shard->views[v].def;

		if (OidIsValid(view->history) && view->history_mode != FS_HISTORY_NONE &&
			!fs_partition_exists_for(view->history, &day, 1))
			fs_partition_ensure(view->history, FS_HISTORY_PARTITION_SPAN, &day, 1);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	return Min(upto, day + FS_HISTORY_PARTITION_SPAN - 1);
}

/* Writes WAL out now and then, so that the commit has little left to flush. */
static void
flush_some(XLogRecPtr *flushed)
{
	if (XactLastRecEnd != InvalidXLogRecPtr && XactLastRecEnd > *flushed + FLUSH_BYTES)
	{
		XLogFlush(XactLastRecEnd);
		*flushed = XactLastRecEnd;
	}
}

/* Fires window ends until all are done or the rows of one checkpoint are used up. */
static void
write_rows(FsShard *shard, FsCheckpoint *checkpoint, XLogRecPtr *flushed)
{
	int64		rows_left = FS_CHECKPOINT_ROWS;

	while (!fs_fire_step(shard, checkpoint->upto, &rows_left))
	{
		flush_some(flushed);
		checkpoint->interleave(shard);
	}
	for (int v = 0; v < shard->nviews; v++)
	{
		if (shard->views[v].history != NULL)
			fs_table_writer_close(shard->views[v].history);
		shard->views[v].history = NULL;
	}
}

/* Writes one segment a touched slice. */
static void
write_segments(FsShard *shard, FsCheckpoint *checkpoint, XLogRecPtr *flushed)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	FsTableWriter *writer;

	if (checkpoint->pending.nslices == 0)
		return;
	writer = fs_table_writer_open(fs_event_log_relation(shard->def->relid), InvalidOid);
	for (int i = 0; i < checkpoint->pending.nslices; i++)
	{
		FsPendingSlice *slice = &checkpoint->pending.slices[i];
		const char *bytes;
		size_t		len;
		bytea	   *segment;
		Datum		values[6];
		bool		nulls[6] = {false};
		FsTime		start = fs_slice_start(slice->slice, shard->def->slice);

		fs_segment_check(fs_segment_finish(slice->writer, &bytes, &len), start);
		segment = MemoryContextAllocHuge(TopTransactionContext, VARHDRSZ + len);
		SET_VARSIZE(segment, VARHDRSZ + len);
		memcpy(VARDATA(segment), bytes, len);
		values[0] = ObjectIdGetDatum(shard->def->relid);
		values[1] = Int32GetDatum(0);
		values[2] = TimestampTzGetDatum(start);
		values[3] = Int64GetDatum(checkpoint->number);
		values[4] = Int32GetDatum((int32) fs_segment_count(slice->writer));
		values[5] = PointerGetDatum(segment);
		fs_table_writer_put(writer, values, nulls);
		fs_table_writer_flush(writer);
		checkpoint->bytes += len;
		pfree(segment);
		flush_some(flushed);
		checkpoint->interleave(shard);
	}
	fs_table_writer_close(writer);
	MemoryContextSwitchTo(old);
}

static Datum
time_datum(FsTime t, char *null)
{
	*null = t == FS_TIME_MIN ? 'n' : ' ';
	return TimestampTzGetDatum(t);
}

static void
execute(const char *sql, int n, Oid *types, Datum *values, const char *nulls, int expected)
{
	int			result = SPI_execute_with_args(sql, n, types, values, nulls, false, 0);

	if (result != expected)
		elog(ERROR, "could not write the checkpoint: %s", SPI_result_code_string(result));
}

static void
write_position(FsShard *shard, const FsPartition *p)
{
	static const char *sql =
		"INSERT INTO feature_stream.partition_position AS p (stream, shard, partition, next_offset, next_xid, "
		"watermark, last_event_time, last_arrival, idle, covered_from, covers_all, start_offset, "
		"read_count, accepted_count, partially_late_count, dead_letter_count) "
		"VALUES ($1, 0, $2, $3, $4::pg_catalog.text::pg_catalog.xid8, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) "
		"ON CONFLICT (stream, shard, partition) DO UPDATE SET next_offset = excluded.next_offset, "
		"next_xid = excluded.next_xid, watermark = excluded.watermark, last_event_time = excluded.last_event_time, "
		"last_arrival = excluded.last_arrival, idle = excluded.idle, covered_from = excluded.covered_from, "
		"covers_all = excluded.covers_all, read_count = excluded.read_count, "
		"accepted_count = excluded.accepted_count, partially_late_count = excluded.partially_late_count, "
		"dead_letter_count = excluded.dead_letter_count";
	Oid			types[15] = {OIDOID, INT4OID, INT8OID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
	BOOLOID, TIMESTAMPTZOID, BOOLOID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID};
	Datum		values[15];
	char		nulls[15];

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
	execute(sql, 15, types, values, nulls, SPI_OK_INSERT);
}

static void
write_wakeups(FsShard *shard, const FsPending *pending)
{
	Oid			types[4] = {OIDOID, INT4OID, INT8OID, TIMESTAMPTZOID};
	ListCell   *cell;

	foreach(cell, pending->wakeups)
	{
		const FsWakeup *wakeup = lfirst(cell);
		Datum		values[4] = {ObjectIdGetDatum(shard->def->relid), Int32GetDatum(wakeup->partition),
		Int64GetDatum(wakeup->offset), TimestampTzGetDatum(wakeup->watermark)};

		execute("INSERT INTO feature_stream.partition_wakeup (stream, partition, \"offset\", watermark) "
				"VALUES ($1, $2, $3, $4)", 4, types, values, NULL, SPI_OK_INSERT);
	}
}

static void
write_firings(FsShard *shard)
{
	Oid			types[5] = {OIDOID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, INT8OID};
	ListCell   *cell;

	foreach(cell, shard->firings)
	{
		const FsFiring *firing = lfirst(cell);
		Datum		values[5] = {ObjectIdGetDatum(shard->views[firing->view].def->relid),
			TimestampTzGetDatum(firing->window_end), Int64GetDatum(firing->upto_hash),
		TimestampTzGetDatum(firing->computed_at), Int64GetDatum(firing->rows)};

		execute("INSERT INTO feature_stream.firing (view, window_end, upto_hash, computed_at, row_count) "
				"VALUES ($1, $2, $3, $4, $5)", 5, types, values, NULL, SPI_OK_INSERT);
	}
}

/* The row of stream_state; its epoch fences off any other worker of this stream. */
static void
write_state(FsShard *shard, const FsCheckpoint *checkpoint)
{
	static const char *sql =
		"UPDATE feature_stream.stream_state SET checkpoint = $3, frontier = $4, watermark = $5, "
		"fire_window_end = $6, fire_view = $7, fire_hash = $8, checkpoint_time = $9 "
		"WHERE stream OPERATOR(pg_catalog.=) $1 AND shard OPERATOR(pg_catalog.=) 0 "
		"AND epoch OPERATOR(pg_catalog.=) $2";
	const FsFireCursor *fire = &shard->fire;
	Oid			types[9] = {OIDOID, INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
	OIDOID, INT8OID, TIMESTAMPTZOID};
	bool		mid_view = fire->active && fire->view < shard->nviews;
	char		nulls[9];
	Datum		values[9];

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
	execute(sql, 9, types, values, nulls, SPI_OK_UPDATE);
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("another worker has taken over stream %s", shard->def->name)));
}

/* The views' counters; rows fired in this transaction are part of it. */
static void
write_view_state(FsShard *shard, const FsCheckpoint *checkpoint)
{
	static const char *sql =
		"UPDATE feature_stream.view_state SET counted_count = $2, filtered_count = $3, late_count = $4, "
		"expression_error_count = $5, row_count = $6 WHERE view OPERATOR(pg_catalog.=) $1";
	Oid			types[6] = {OIDOID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID};

	for (int v = 0; v < shard->nviews; v++)
	{
		const FsViewCounts *counts = &checkpoint->counts[v];
		Datum		values[6] = {ObjectIdGetDatum(shard->views[v].def->relid),
			Int64GetDatum(counts->counted), Int64GetDatum(counts->filtered),
			Int64GetDatum(counts->late), Int64GetDatum(counts->expression_errors),
		Int64GetDatum(shard->views[v].counts.rows)};

		execute(sql, 6, types, values, NULL, SPI_OK_UPDATE);
	}
}

/* Everything but rows and segments: small, at the end. */
static void
write_small(FsShard *shard, FsCheckpoint *checkpoint)
{
	fs_dead_letters_write(shard, &checkpoint->pending);
	SPI_connect();
	for (int i = 0; i < checkpoint->npartitions; i++)
		if (checkpoint->partitions[i].started)
			write_position(shard, &checkpoint->partitions[i]);
	write_wakeups(shard, &checkpoint->pending);
	write_firings(shard);
	write_view_state(shard, checkpoint);
	write_state(shard, checkpoint);
	SPI_finish();
}

/* What the commit made true is now told to readers. */
static void
publish_durable(FsShard *shard, const FsCheckpoint *checkpoint)
{
	shard->checkpoint = checkpoint->number;
	shard->durable_frontier = shard->frontier;
	shard->durable_fire.active = shard->fire.active;
	shard->durable_fire.boundary = shard->fire.boundary;
	shard->durable_fire.view = shard->fire.view;
	shard->durable_fire.hash = shard->fire.hash;
	for (int v = 0; v < shard->nviews && shard->frontier != FS_TIME_MIN; v++)
		pg_atomic_write_u64(&shard->views[v].shared->durable_frontier,
							fs_slice_index(shard->frontier, shard->def->slice));
	for (int i = 0; i < checkpoint->npartitions; i++)
	{
		FsPartition *partition = &shard->partitions[i];

		Assert(partition->id == checkpoint->partitions[i].id);
		partition->durable_offset = checkpoint->partitions[i].position.offset;
		if (checkpoint->partitions[i].new_start)
			partition->new_start = false;
	}
	shard->first_start = false;
	shard->new_starts = false;
	fs_publish_fired(shard);
}

/*
 * Writes a checkpoint.  'interleave' is called between its steps, inside its
 * transaction, and may ingest; it returns whether it did anything.
 */
void
fs_checkpoint(FsShard *shard, bool (*interleave) (FsShard *shard))
{
	FsCheckpoint checkpoint;
	TimestampTz begin = GetCurrentTimestamp();
	uint64		requested = pg_atomic_read_u64(&shard->slot->checkpoint_requested);
	XLogRecPtr	flushed = GetXLogInsertRecPtr();

	checkpoint.interleave = interleave;
	shard->checkpoint_pause = 0;
	freeze(shard, &checkpoint);
	ensure_partitions(shard, &checkpoint);
	checkpoint.upto = ensure_history(shard, checkpoint.upto);
	if (checkpoint.upto != FS_TIME_MIN)
		shard->closing = Max(shard->closing, fs_time_floor(checkpoint.upto, shard->def->slice));
	FS_FAULT("checkpoint-begin");
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	write_rows(shard, &checkpoint, &flushed);
	write_segments(shard, &checkpoint, &flushed);
	write_small(shard, &checkpoint);
	PopActiveSnapshot();
	FS_FAULT("checkpoint-before-commit");
	CommitTransactionCommand();
	FS_FAULT("checkpoint-after-commit");
	publish_durable(shard, &checkpoint);
	fs_pending_clear(&checkpoint.pending);
	pfree(checkpoint.partitions);
	pfree(checkpoint.counts);
	shard->checkpoint_requested = requested;
	pg_atomic_write_u64(&shard->slot->checkpoint_done, requested);
	shard->checkpoint_time = fs_clock_now();
	shard->checkpoint_duration = GetCurrentTimestamp() - begin;
	shard->checkpoint_bytes = checkpoint.bytes;
	shard->checkpoint_count++;
	shard->checkpoint_due = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), fs_checkpoint_interval);
}
