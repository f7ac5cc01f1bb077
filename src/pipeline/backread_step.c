/*
 * backread_step.c
 *		Reading a stream's source back for one feature view; see backread.h.
 *
 * The stream's own contract decodes and admits, by a shard without state
 * (shard.h) that has the one view; nothing was late then, so that is not asked.
 * Records whose schemas are not known here wait (backread_schemas.c).
 * Partitions are read in step, the one whose events are oldest first, so that
 * the segments of a step are few.  What is read is bounded by the source's
 * queues and STEP_BYTES.
 *
 * Offsets that retention has removed meanwhile are counted as lost and passed
 * over: the source stops such a partition for good, so the connection is made
 * anew.  Anything else that stops one is an error, and tried again.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/slice.h"
#include "ground/clock.h"
#include "ground/settings.h"
#include "ground/transaction.h"
#include "pipeline/backread.h"
#include "pipeline/backread_state.h"
#include "state/shared.h"

#define TURN_USEC (5 * FS_USEC_PER_SEC)

/* A step is written when it has that much or so many batches, or so long after it began. */
#define STEP_BYTES (16 * 1024 * 1024)
#define STEP_BATCHES 100
#define STEP_USEC (1 * FS_USEC_PER_SEC)

#define BATCH_RECORDS 1000		/* and poll_batch_size at most */

/* The process's one reading; its connection has to be closed whatever happens. */
static FsBackread *my_backread = NULL;

static const FsSourceOps *
ops_of(const FsBackread *backread)
{
	return backread->source->ops;
}

/* See backread.h. */
void
fs_backread_close(void)
{
	FsBackread *backread = my_backread;

	my_backread = NULL;
	if (backread == NULL)
		return;
	if (backread->source != NULL)
		ops_of(backread)->close(backread->source);
	backread->source = NULL;
	fs_pending_clear(&backread->shard->pending);
	MemoryContextDelete(backread->context);
}

/* Connects for a view; false when there is nothing to be read for it. */
static bool
open_reading(Oid view)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "feature_stream backread",
												  ALLOCSET_DEFAULT_SIZES);
	FsBackread *backread;

	Assert(my_backread == NULL);
	fs_transaction_begin();
	MemoryContextSwitchTo(context);
	backread = fs_backread_load(view);
	if (backread != NULL)
	{
		my_backread = backread;
		backread->records = palloc(sizeof(FsRecord) * BATCH_RECORDS);
		backread->events = palloc(sizeof(FsEvent) * BATCH_RECORDS);
		backread->begun = fs_clock_monotonic();
		backread->source = (backread->shard->def->kind == FS_SOURCE_KAFKA ? &fs_source_kafka_ops :
							&fs_source_table_ops)->open(backread->shard->def);
		fs_backread_open_schemas(backread);
	}
	fs_transaction_end(caller);
	if (backread == NULL)
		MemoryContextDelete(context);
	return backread != NULL;
}

/* Is the reading at hand still what is wanted: this view, by the newest definition of its stream? */
static bool
is_current(const FsBackread *backread, Oid view)
{
	FsSharedStream *slot;
	bool		current = backread->view == view;

	LWLockAcquire(fs_shared->lock, LW_SHARED);
	slot = fs_shared_stream(MyDatabaseId, backread->shard->def->relid, false);
	if (slot != NULL && pg_atomic_read_u64(&slot->generation) != backread->generation)
		current = false;
	LWLockRelease(fs_shared->lock);
	return current;
}

static bool
is_finished(const FsBackreadPartition *partition)
{
	return partition->begun && fs_position_compare(partition->next, partition->end) >= 0;
}

/* Is nothing left to be read? */
static bool
is_all_read(const FsBackread *backread)
{
	for (int i = 0; i < backread->npartitions; i++)
		if (!is_finished(&backread->partitions[i]))
			return false;
	return true;
}

static FsPosition
earlier_of(FsPosition a, FsPosition b)
{
	return fs_position_compare(a, b) < 0 ? a : b;
}

/* Moves a partition on, with so many of its records done; never beyond its end, whatever the peer says. */
static void
move_on(FsBackread *backread, FsBackreadPartition *partition, FsPosition next, int64 done)
{
	next = earlier_of(next, partition->end);
	if (fs_position_compare(next, partition->next) <= 0)
		return;
	partition->next = next;
	partition->done_count = is_finished(partition) ? partition->total_count :
		Min(partition->done_count + done, partition->total_count);
	backread->dirty = true;
}

/* The same up to an offset of a topic. */
static void
move_to_offset(FsBackread *backread, FsBackreadPartition *partition, int64 offset)
{
	FsPosition	next = {.offset = offset};

	move_on(backread, partition, next, offset - partition->next.offset);
}

/* Takes over where a partition begins. */
static void
take_start(FsBackread *backread, FsBackreadPartition *partition, const FsSourcePartition *known)
{
	Assert(!partition->begun && known->state == FS_PARTITION_RESOLVED);
	partition->begun = true;
	partition->start = partition->next = earlier_of(known->start, partition->end);
	partition->covers_known = !is_finished(partition);
	partition->covers_all = known->covers_all;
	if (partition->covers_known)
		partition->total_count = ops_of(backread)->distance(backread->source, partition->index,
															partition->start, partition->end);
	backread->dirty = true;
}

/*
 * A partition was stopped: retention has passed us, which is written down, or
 * throws.  True: the connection has to be made anew.
 */
static bool
take_stop(FsBackread *backread, FsBackreadPartition *partition, const FsSourcePartition *known)
{
	if (!partition->begun || known->begin_offset <= partition->next.offset)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("could not read the topic of stream %s: %s",
						backread->shard->def->name, known->error)));
	backread->lost_count += Min(known->begin_offset, partition->end.offset) - partition->next.offset;
	partition->covers_all = false;
	partition->covered_from = FS_TIME_MIN;
	move_to_offset(backread, partition, known->begin_offset);
	return true;
}

/*
 * Passes over what is left where no record is: transaction markers behind the
 * last one of a topic, rows that were deleted from a table.
 */
static void
pass_over(FsBackread *backread, FsBackreadPartition *partition, const FsSourcePartition *known)
{
	if (backread->source->stream->kind == FS_SOURCE_KAFKA)
		move_to_offset(backread, partition, known->read_to);
	else if (known->at_end)
		move_on(backread, partition, partition->end, 0);
}

/* Follows what the source knows of a partition; true when the connection has to be made anew. */
static bool
follow_partition(FsBackread *backread, FsBackreadPartition *partition)
{
	FsSource   *source = backread->source;
	const FsSourcePartition *known;

	for (int i = 0; i < source->npartitions && partition->index < 0; i++)
		if (source->partitions[i].id == partition->id)
			partition->index = i;
	if (partition->index < 0 || is_finished(partition))
		return false;
	known = &source->partitions[partition->index];
	if (known->state == FS_PARTITION_STOPPED)
		return take_stop(backread, partition, known);
	if (!partition->begun && known->state == FS_PARTITION_FOUND)
		ops_of(backread)->resolve_start(source, partition->index, false);
	else if (!partition->begun && known->state == FS_PARTITION_RESOLVED)
		take_start(backread, partition, known);
	else if (partition->begun && !partition->assigned)
	{
		ops_of(backread)->assign(source, partition->index, partition->next);
		partition->assigned = true;
	}
	else if (partition->assigned)
		pass_over(backread, partition, known);
	return false;
}

/* Looks after the source; true when the connection has to be made anew. */
static bool
service(FsBackread *backread)
{
	bool		anew = false;

	ops_of(backread)->service(backread->source);
	for (int i = 0; i < backread->npartitions; i++)
		anew |= follow_partition(backread, &backread->partitions[i]);
	return anew;
}

/* Counts a record that does not count, with the first one as an example. */
static void
refuse(FsBackread *backread, const FsEvent *event, FsReason reason, const char *message)
{
	backread->refused_count++;
	if (backread->example == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(backread->context);

		backread->example = psprintf("partition %d, offset " INT64_FORMAT ", %s: %s", event->meta.partition,
									 event->meta.offset, fs_reason_name(reason), message);
		MemoryContextSwitchTo(old);
	}
}

/* Is a record among those before a position? */
static bool
is_before(const FsBackread *backread, const FsRecord *record, FsPosition position)
{
	return fs_position_compare(fs_source_behind(backread->source, record), position) <= 0;
}

/*
 * One decoded record.  Of those from the stream's own start on, the log has what
 * is not before the cut, or it was refused then.
 */
static void
take_event(FsBackread *backread, FsBackreadPartition *partition, FsEvent *event)
{
	FsShard    *shard = backread->shard;
	FsPartition judge = {.id = partition->id, .clock.watermark = FS_TIME_MIN};
	bool		is_older = is_before(backread, event->record, partition->stream_start);
	int64		slice;

	event->lacks_key = true;	/* it may: admission is to look */
	fs_admit(shard, &judge, event);
	if (event->reason != FS_REASON_NONE)
	{
		if (is_older)
			refuse(backread, event, event->reason, event->message);
		return;
	}
	Assert(event->meta.late_bound == FS_TIME_MIN);
	partition->seen = Max(partition->seen, event->meta.event_time);
	slice = fs_slice_index(event->meta.event_time, shard->def->slice);
	if (!is_older && fs_slice_start(slice, shard->def->slice) >= backread->cut)
		return;
	if (partition->covered_from == FS_TIME_MIN && !partition->covers_all)
		partition->covered_from = fs_event_covered_from(event, shard->def->watermark_delay);
	if ((event->error_mask & 1) != 0 && is_older)
		refuse(backread, event, FS_REASON_EXPRESSION_ERROR, event->error);
	if (((event->where_mask | event->error_mask) & 1) != 0)
		fs_pending_add(shard, event, slice);
}

/* Decodes and takes the first 'n' polled records. */
static void
take_records(FsBackread *backread, FsBackreadPartition *partition, int n)
{
	FsTime		now = fs_clock_now();

	memset(backread->events, 0, sizeof(FsEvent) * n);
	for (int i = 0; i < n; i++)
	{
		FsEvent    *event = &backread->events[i];
		const FsRecord *record = &backread->records[i];

		event->record = record;
		event->meta.partition = record->partition;
		event->meta.offset = record->offset;
		event->meta.xid = record->xid;
		event->meta.arrival = record->arrival != FS_TIME_MIN ? record->arrival : now;
	}
	fs_contract_decode(backread->shard, backread->events, n);
	for (int i = 0; i < n; i++)
		take_event(backread, partition, &backread->events[i]);
	backread->read_count += n;
	MemoryContextReset(backread->shard->batch);
}

/* Takes what is at hand of one partition, up to its end; false when nothing is. */
static bool
read_partition(FsBackread *backread, FsBackreadPartition *partition)
{
	int			got = ops_of(backread)->poll(backread->source, partition->index, backread->records,
											   Min(fs_poll_batch_size, BATCH_RECORDS));
	FsPosition	next;
	int			n = 0;
	int			taken;

	if (got == 0)
		return false;
	while (n < got && is_before(backread, &backread->records[n], partition->end))
		n++;
	taken = fs_backread_screen(backread, partition, n);
	if (taken > 0)
		take_records(backread, partition, taken);
	next = n < got ? partition->end : fs_source_behind(backread->source, &backread->records[got - 1]);
	if (partition->parked)
		move_to_offset(backread, partition, backread->records[taken].offset);
	else
		move_on(backread, partition, next, backread->source->stream->kind == FS_SOURCE_KAFKA ? next.offset - partition->next.offset : n);
	ops_of(backread)->release(backread->source);
	backread->batches++;
	return taken > 0 || !partition->parked;
}

/* Reads from the partition furthest behind that has anything at hand; false when none has. */
static bool
read_some(FsBackread *backread)
{
	FsBackreadPartition *order[FS_MAX_PARTITIONS];
	int			n = 0;

	for (int i = 0; i < backread->npartitions; i++)
	{
		FsBackreadPartition *partition = &backread->partitions[i];
		int			at = n;

		if (!partition->assigned || partition->parked || is_finished(partition))
			continue;
		for (; at > 0 && order[at - 1]->seen > partition->seen; at--)
			order[at] = order[at - 1];
		order[at] = partition;
		n++;
	}
	for (int i = 0; i < n; i++)
		if (read_partition(backread, order[i]))
			return true;
	return false;
}

/* Is what was read to be written now? */
static bool
is_step_due(const FsBackread *backread)
{
	return backread->dirty &&
		(fs_pending_bytes(&backread->shard->pending) >= STEP_BYTES ||
		 backread->batches >= STEP_BATCHES || fs_clock_monotonic() - backread->begun >= STEP_USEC || is_all_read(backread));
}

/* Writes a step; true when the reading is over: all is read, or the view is gone. */
static bool
write_step(FsBackread *backread)
{
	bool		all = is_all_read(backread);

	if (!fs_backread_write(backread, all))
		return true;
	backread->begun = fs_clock_monotonic();
	backread->batches = 0;
	pgstat_report_stat(true);
	return all;
}

/* Reads and writes until the turn is over; true when the reading is. */
static bool
read_on(FsBackread *backread, bool *anew)
{
	int64		end = fs_clock_monotonic() + TURN_USEC;

	*anew = false;
	while (!*anew && fs_clock_monotonic() < end)
	{
		CHECK_FOR_INTERRUPTS();
		*anew = service(backread);
		fs_backread_ask(backread);
		if (!*anew && !read_some(backread) && !is_step_due(backread))
			fs_backread_wait(backread);
		if ((*anew || is_step_due(backread)) && write_step(backread))
			return true;
	}
	return false;
}

/* See backread.h. */
bool
fs_backread_turn(Oid view)
{
	MemoryContext caller = CurrentMemoryContext;
	FsBackread *backread;
	const char *obstacle;
	int64		step;
	bool		over;
	bool		anew;

	if (my_backread != NULL && !is_current(my_backread, view))
		fs_backread_close();
	if (my_backread == NULL && !open_reading(view))
		return true;
	backread = my_backread;
	step = backread->step;
	MemoryContextSwitchTo(backread->shard->cycle);
	over = read_on(backread, &anew);
	obstacle = over ? NULL : fs_backread_explain(backread, backread->step == step);
	if (obstacle != NULL)
		fs_backread_note_error(view, obstacle);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(backread->shard->cycle);
	if (over || anew)
		fs_backread_close();
	return over;
}
