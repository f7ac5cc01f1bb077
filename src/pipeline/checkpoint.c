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
 * One with corrections stands still: it fires nothing and lets nothing in, so
 * that memory gets them at the frontier at which they were judged.
 *
 * Offsets live in feature_stream.partition_position and nowhere else.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
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
#include "pipeline/correction.h"
#include "pipeline/dead_letter_replay.h"
#include "pipeline/dead_letter_topic.h"
#include "pipeline/dead_letters.h"
#include "pipeline/history_writer.h"
#include "pipeline/pace.h"
#include "pipeline/partial_log.h"
#include "pipeline/shard.h"
#include "state/event_log.h"

/* Is there anything to write, and is it time? */
bool
fs_checkpoint_is_due(FsShard *shard)
{
	const FsPending *pending = &shard->pending;

	if (fs_fire_is_due(shard) && !fs_shard_is_replaying(shard))
		return true;
	if (pending->outcomes != NIL)
		return true;
	if (pg_atomic_read_u64(&shard->slot->checkpoint_requested) != shard->checkpoint_requested)
		return true;
	if (!pending->dirty && pending->events == 0 && pending->ndead == 0)
		return false;
	return fs_pending_bytes(pending) >= FS_PENDING_BYTES ||
		GetCurrentTimestamp() >= shard->checkpoint_due || shard->urgent;
}

/* Ingestion while a checkpoint stands still. */
static bool
ingest_nothing(FsShard *shard)
{
	return false;
}

/*
 * With the first position that is committed it is settled of which partitions
 * the option 'start' says where they begin: of those known by then, also if their
 * own start is found much later.
 */
static int
settle_start(const FsShard *shard)
{
	bool		started = false;

	for (int i = 0; i < shard->npartitions; i++)
		started |= shard->partitions[i].started;
	return shard->start_partitions > 0 || !started ? shard->start_partitions : shard->npartitions;
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
	checkpoint->start_partitions = settle_start(shard);
	checkpoint->counts = MemoryContextAlloc(shard->context, sizeof(FsViewCounts) * shard->nviews);
	for (int v = 0; v < shard->nviews; v++)
	{
		checkpoint->counts[v] = shard->views[v].counts;
		shard->views[v].complete_from = fs_partitions_complete_from(shard, &shard->views[v]);
	}
	checkpoint->watermark = shard->watermark;
	checkpoint->upto = fs_shard_is_replaying(shard) ? Min(shard->watermark, shard->closing) : shard->watermark;
	if (checkpoint->pending.corrections != NIL)
	{
		Assert(!shard->fire.active);
		checkpoint->upto = FS_TIME_MIN;
		checkpoint->interleave = ingest_nothing;
	}
	checkpoint->number = shard->checkpoint + 1;
	checkpoint->bytes = 0;
	shard->firings = NIL;
	fs_fire_restamp(shard);
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

	Assert(boundary > shard->frontier);
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

/* Fires window ends until all are done or the rows of one checkpoint are used up. */
static void
write_rows(FsShard *shard, FsCheckpoint *checkpoint)
{
	int64		rows_left = FS_CHECKPOINT_ROWS;

	while (!fs_fire_step(shard, checkpoint->upto, &rows_left))
		fs_pace(shard, checkpoint);
	for (int v = 0; v < shard->nviews; v++)
	{
		if (shard->views[v].history != NULL)
			fs_history_writer_close(shard->views[v].history);
		shard->views[v].history = NULL;
		fs_pace(shard, checkpoint);
	}
}

/* Writes one segment: part 'part' of its slice in this checkpoint. */
static void
write_segment(FsShard *shard, FsCheckpoint *checkpoint, FsTableWriter *writer, FsPendingSlice *slice, int part)
{
	FsTime		start = fs_slice_start(slice->slice, shard->def->slice);
	const char *bytes;
	size_t		len;
	bytea	   *segment;
	Datum		values[8];
	bool		nulls[8] = {false};

	Assert(slice->writer != NULL);
	fs_segment_check(fs_segment_finish(slice->writer, &bytes, &len), start);
	segment = MemoryContextAllocHuge(TopTransactionContext, VARHDRSZ + len);
	SET_VARSIZE(segment, VARHDRSZ + len);
	memcpy(VARDATA(segment), bytes, len);
	values[0] = ObjectIdGetDatum(shard->def->relid);
	values[1] = Int32GetDatum(0);
	values[2] = TimestampTzGetDatum(start);
	values[3] = Int64GetDatum(checkpoint->number);
	values[4] = Int32GetDatum(part);
	values[5] = Int32GetDatum((int32) fs_segment_count(slice->writer));
	values[6] = TimestampTzGetDatum(slice->late_bound);
	nulls[6] = slice->late_bound == FS_TIME_MIN;
	values[7] = PointerGetDatum(segment);
	fs_table_writer_put(writer, values, nulls);
	fs_table_writer_flush(writer);
	checkpoint->bytes += len;
	pfree(segment);
	fs_segment_writer_free(slice->writer);
	slice->writer = NULL;
}

/* Writes the segments of each touched slice, in order. */
static void
write_segments(FsShard *shard, FsCheckpoint *checkpoint)
{
	FsPending  *pending = &checkpoint->pending;
	MemoryContext old;
	FsTableWriter *writer;
	int			part = 0;

	if (pending->nslices == 0)
		return;
	old = MemoryContextSwitchTo(TopTransactionContext);
	writer = fs_table_writer_open(fs_event_log_relation(shard->def->relid), InvalidOid);
	for (int i = 0; i < pending->nslices; i++)
	{
		Assert(i == 0 || pending->slices[i].slice >= pending->slices[i - 1].slice);
		part = i > 0 && pending->slices[i].slice == pending->slices[i - 1].slice ? part + 1 : 0;
		write_segment(shard, checkpoint, writer, &pending->slices[i], part);
		fs_pace(shard, checkpoint);
	}
	fs_table_writer_close(writer);
	MemoryContextSwitchTo(old);
}

/* What the commit made true is now told to readers. */
static void
publish_durable(FsShard *shard, const FsCheckpoint *checkpoint)
{
	Assert(shard->frontier >= shard->durable_frontier);
	Assert(checkpoint->npartitions <= shard->npartitions);
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
	shard->start_partitions = checkpoint->start_partitions;
	shard->urgent = false;
	fs_replay_done(shard, &checkpoint->pending);
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

	Assert(!IsTransactionState());
	checkpoint.interleave = interleave;
	checkpoint.ingested = fs_clock_monotonic();
	shard->checkpoint_pause = 0;
	freeze(shard, &checkpoint);
	ensure_partitions(shard, &checkpoint);
	checkpoint.upto = ensure_history(shard, checkpoint.upto);
	if (checkpoint.upto != FS_TIME_MIN)
		shard->closing = Max(shard->closing, fs_time_floor(checkpoint.upto, shard->def->slice));
	fs_partial_log_ensure(shard, checkpoint.upto);
	FS_FAULT("checkpoint-begin");
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	write_rows(shard, &checkpoint);
	fs_partial_log_write(shard, &checkpoint);
	write_segments(shard, &checkpoint);
	fs_dead_letters_write(shard, &checkpoint);
	fs_dead_letter_topic_note(shard, &checkpoint);
	fs_checkpoint_write_state(shard, &checkpoint);
	fs_corrections_write(shard, &checkpoint);
	PopActiveSnapshot();
	fs_pace_commit(shard, &checkpoint);
	fs_report(shard);			/* or statistics were behind the tables for a while */
	FS_FAULT("checkpoint-before-commit");
	CommitTransactionCommand();
	FS_FAULT("checkpoint-after-commit");
	publish_durable(shard, &checkpoint);
	fs_corrections_apply(shard, &checkpoint);
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
