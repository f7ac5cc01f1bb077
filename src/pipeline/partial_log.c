/*
 * partial_log.c
 *		Writing of stored partial aggregates; see partial_log.h.
 *
 * Which entities have records of an entry is on the touch list of its slide,
 * and for late events on the late list of the window end.  The latter is kept
 * until the records are written, by the checkpoint that fires it at the latest.
 * An entity may stand on a list several times: a flag says that it was met.
 *
 * Records cost more than their events where these are few: so how many events a
 * record stands for decides.  Since an event may always be folded from the log,
 * storing can begin and end at any checkpoint.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "core/slice.h"
#include "ground/clock.h"
#include "ground/settings.h"
#include "offline/partition.h"
#include "offline/table_writer.h"
#include "pipeline/partial_log.h"
#include "state/event_log.h"

#define SEGMENT_BYTES (512 * 1024)	/* as of the event log */
#define DECIDE_RECORDS 10000	/* before it is known what a view's events are like */
#define REMEMBER_RECORDS 1000000

/* The records of one view, on their way into the table. */
typedef struct Writer
{
	FsShard    *shard;
	FsCheckpoint *checkpoint;
	FsView	   *view;
	FsTableWriter *table;		/* NULL: not opened yet */
	FsTime		entry;
	FsSegmentWriter *segment;	/* NULL: none begun */
	FsTime		oldest;			/* record in it */
	int			part;
} Writer;

/* What is stored up to now is of no use any more, or nothing was: from here on. */
static void
begin_at(FsPartialLog *log, FsTime frontier, bool stored)
{
	Assert(!stored || frontier != FS_TIME_MIN);
	log->stored = stored;
	log->from = log->upto = log->last = stored ? frontier : FS_TIME_MIN;
}

/* Is an event of the batch in hand in this view's rings, but not in what the checkpoint writes? */
static bool
is_ahead_of_log(const FsShard *shard, const FsView *view)
{
	return shard->nevents > 0 && shard->admitted &&
		(shard->folded & ((uint32) 1 << (view - shard->views))) != 0;
}

/* Are the view's records worth to be stored? */
static bool
is_worth(const FsPartialLog *log)
{
	double		ratio = fs_partial_log_ratio;

	if (ratio <= 1)
		return ratio > 0;
	if (log->records < DECIDE_RECORDS)
		return log->stored;
	return log->events >= log->records * (log->stored ? ratio / 2 : ratio);
}

/* Decides whether the view's records are stored up to 'frontier', a window end of its; begins or ends it. */
static void
decide(const FsShard *shard, const FsView *view, FsTime frontier)
{
	FsPartialLog *log = view->partial_log;
	bool		stored = !view->paused && is_worth(log);

	if (log->stored && (!stored || log->spoilt || is_ahead_of_log(shard, view)))
		begin_at(log, frontier, false);
	else if (!log->stored && stored)
		begin_at(log, frontier, true);
	log->spoilt = false;
	if (log->records > REMEMBER_RECORDS)
	{
		log->records /= 2;
		log->events /= 2;
	}
}

/* The first entry behind 'after' for which an entity stands on a list; FS_TIME_MAX when there is none. */
static FsTime
next_entry(const FsShard *shard, const FsView *view, FsTime after)
{
	int64		slice = shard->def->slice;
	int64		index = fs_slice_index(after, slice);
	int			touched = fs_touch_seek(&view->touches, index);
	int			late = fs_touch_seek(&view->late, index + 1);
	FsTime		entry = FS_TIME_MAX;

	/* The list of a slide is that of its last slice. */
	if (touched < view->touches.n)
		entry = fs_slice_start(view->touches.lists[touched].slice + 1, slice);
	if (late < view->late.n)
		entry = Min(entry, fs_slice_start(view->late.lists[late].slice, slice));
	Assert(entry > after);
	return entry;
}

/* See partial_log.h. */
void
fs_partial_log_ensure(const FsShard *shard, FsTime upto)
{
	for (int v = 0; v < shard->nviews && upto != FS_TIME_MIN; v++)
	{
		const FsView *view = &shard->views[v];
		const FsPartialLog *log = view->partial_log;
		FsTime		entry;
		FsTime		made = FS_TIME_MIN;	/* partitions up to here are there */

		if (log == NULL || !log->stored)
			continue;
		for (entry = next_entry(shard, view, log->upto); entry <= upto; entry = next_entry(shard, view, entry))
		{
			Oid			relation;

			if (entry < made)
				continue;
			made = fs_time_next(entry, FS_LOG_PARTITION_SPAN);
			StartTransactionCommand();
			PushActiveSnapshot(GetTransactionSnapshot());
			relation = fs_partial_log_relation(shard->def->relid);
			if (!fs_partition_exists_for(relation, &entry, 1))
				fs_partition_ensure(relation, FS_LOG_PARTITION_SPAN, &entry, 1);
			PopActiveSnapshot();
			CommitTransactionCommand();
		}
	}
}

/* Writes the segment at hand, which has records. */
static void
write_segment(Writer *writer, bool is_last)
{
	FsPartialLog *log = writer->view->partial_log;
	const char *bytes;
	size_t		len;
	bytea	   *segment;
	Datum		values[11];
	bool		nulls[11] = {false};

	Assert(fs_segment_count(writer->segment) > 0 && writer->oldest < writer->entry && log->last < writer->entry);
	fs_segment_check(fs_segment_finish(writer->segment, &bytes, &len), writer->entry);
	segment = MemoryContextAllocHuge(TopTransactionContext, VARHDRSZ + len);
	SET_VARSIZE(segment, VARHDRSZ + len);
	memcpy(VARDATA(segment), bytes, len);
	values[0] = ObjectIdGetDatum(writer->shard->def->relid);
	values[1] = Int32GetDatum(0);
	values[2] = TimestampTzGetDatum(writer->entry);
	values[3] = ObjectIdGetDatum(writer->view->def->relid);
	values[4] = Int32GetDatum(writer->part++);
	values[5] = BoolGetDatum(is_last);
	values[6] = TimestampTzGetDatum(log->last);
	values[7] = TimestampTzGetDatum(writer->oldest);
	values[8] = Int64GetDatum(log->layout);
	values[9] = Int32GetDatum((int32) fs_segment_count(writer->segment));
	values[10] = PointerGetDatum(segment);
	if (writer->table == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

		writer->table = fs_table_writer_open(fs_partial_log_relation(writer->shard->def->relid), InvalidOid);
		MemoryContextSwitchTo(old);
	}
	fs_table_writer_put(writer->table, values, nulls);
	fs_table_writer_flush(writer->table);
	writer->checkpoint->bytes += len;
	pfree(segment);
	fs_segment_writer_free(writer->segment);
	writer->segment = NULL;
	if (is_last)
		log->last = writer->entry;
}

/* Adds the entity's records of the entry; 'oldest': they are in no chunk without this slice, or a newer one. */
static void
put_entity(Writer *writer, FsEntity *entity, uint32 oldest)
{
	FsView	   *view = writer->view;

	fs_entity_events_from(entity, &view->layout, oldest, &view->set);
	for (int i = 0; i < view->set.n; i++)
	{
		const FsRingEvent *event = &view->set.events[i];
		FsTime		entry = event->counts_from != FS_TIME_MIN ? event->counts_from :
			fs_time_next(event->time, view->def->slide);

		if (entry != writer->entry)
			continue;
		if (writer->segment != NULL && fs_segment_size(writer->segment) >= SEGMENT_BYTES)
			write_segment(writer, false);
		if (writer->segment == NULL)
		{
			writer->segment = fs_partial_record_writer(view, writer->entry);
			writer->oldest = FS_TIME_MAX;
		}
		writer->oldest = Min(writer->oldest, event->time);
		fs_partial_record_append(view, writer->segment, entity, event);
	}
}

/*
 * Goes over the entities on a list: adds the records of those that were not met
 * yet ('put'), or forgets that they were.
 */
static void
walk_list(Writer *writer, const FsTouchLists *lists, int64 slice, uint32 oldest, bool put)
{
	int			at = fs_touch_seek(lists, slice);
	FsHandle	handle = at < lists->n && lists->lists[at].slice == slice ? lists->lists[at].head : 0;
	FsShard    *shard = writer->shard;

	while (handle != 0)
	{
		const FsTouchBlock *block = fs_arena_ptr(handle);
		MemoryContext old = MemoryContextSwitchTo(shard->cycle);

		for (int i = 0; i < block->n; i++)
		{
			FsEntity   *entity = fs_arena_ptr(block->items[i] & ~FS_TOUCH_VERIFY);

			if (!put)
				entity->flags &= ~FS_ENTITY_MET;
			else if ((entity->flags & FS_ENTITY_MET) == 0)
			{
				entity->flags |= FS_ENTITY_MET;
				put_entity(writer, entity, oldest);
			}
		}
		MemoryContextSwitchTo(old);
		MemoryContextReset(shard->cycle);
		handle = block->next;
		fs_pace(shard, writer->checkpoint);
	}
}

/*
 * Writes the records of the entry at hand.  What is ingested meanwhile is in
 * none of them; no entity is removed during a checkpoint.
 */
static void
write_entry(Writer *writer)
{
	FsView	   *view = writer->view;
	int64		slice = fs_slice_index(writer->entry, writer->shard->def->slice);

	Assert(writer->segment == NULL && writer->entry > view->partial_log->upto);
	writer->part = 0;

	/* Late records may be in any chunk; the others are not before their slide. */
	for (int pass = 0; pass < 2; pass++)
	{
		walk_list(writer, &view->late, slice, 0, pass == 0);
		walk_list(writer, &view->touches, slice - 1, (uint32) slice - 1, pass == 0);
	}
	if (writer->segment != NULL)
		write_segment(writer, true);
}

/* Lets go of the late lists that firing has left, if it has. */
static void
drop_late(FsShard *shard, FsView *view)
{
	while (view->late.n > 0 &&
		   fs_slice_start(view->late.lists[0].slice, shard->def->slice) <= shard->frontier)
		fs_touch_drop_first(&shard->arena, &view->late);
}

/* See partial_log.h. */
void
fs_partial_log_write(FsShard *shard, FsCheckpoint *checkpoint)
{
	Writer		writer = {.shard = shard, .checkpoint = checkpoint};

	Assert(IsTransactionState());
	for (int v = 0; v < shard->nviews && shard->frontier != FS_TIME_MIN; v++)
	{
		FsView	   *view = writer.view = &shard->views[v];
		FsPartialLog *log = view->partial_log;
		FsTime		frontier = fs_time_floor(shard->frontier, view->def->slide);

		if (log == NULL)
			continue;
		decide(shard, view, frontier);
		while (log->stored && !log->spoilt && (writer.entry = next_entry(shard, view, log->upto)) <= frontier)
		{
			write_entry(&writer);
			log->upto = writer.entry;
		}
		if (log->stored && log->spoilt)
			begin_at(log, frontier, false);	/* what was written may have it, too */
		if (log->stored)
			log->upto = frontier;
		Assert(!log->stored || (log->from <= log->last && log->last <= log->upto));
		drop_late(shard, view);
	}
	if (writer.table != NULL)
		fs_table_writer_close(writer.table);
}
