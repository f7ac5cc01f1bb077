/*
 * ingest.c
 *		A turn of ingestion: a batch of records is polled, decoded, admitted and folded.
 *
 * A batch that does not fit into memory stays in hand, and the stream waits
 * for the setting to be raised; nothing is read meanwhile, and nothing lost.
 * Outside transactions; called by the loop of pipeline.c, and by it between
 * the steps of a checkpoint.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/slice.h"
#include "ground/clock.h"
#include "ground/settings.h"
#include "pipeline/dead_letter_replay.h"
#include "pipeline/parking.h"
#include "pipeline/shard.h"

#define EXHAUSTED_LOG_INTERVAL 60000	/* ms */

/* Moves the partition behind a record. */
static void
advance_position(FsShard *shard, FsPartition *partition, const FsEvent *event)
{
	Assert(event->meta.partition == partition->id);
	partition->position = fs_source_behind(shard->source, event->record);
	partition->clock.last_arrival = Max(partition->clock.last_arrival, event->meta.arrival);
	shard->pending.dirty = true;
}

/* Decides on an event of the batch in hand. */
static inline void
admit_event(FsShard *shard, FsEvent *event)
{
	if (event->replay != NULL)
		fs_admit_replayed(shard, event);
	else
		fs_admit(shard, shard->batch_partition, event);
}

/* Books an event that is folded or refused. */
static inline void
book_event(FsShard *shard, FsEvent *event)
{
	if (event->replay != NULL)
	{
		fs_replay_book(shard, event);
		return;
	}
	fs_admit_book(shard, shard->batch_partition, event);
	advance_position(shard, shard->batch_partition, event);
}

/*
 * Admits and folds the batch in hand as far as memory goes; true when it is
 * done and its records are given back.  Dead letters that come back wait for
 * memory elsewhere: what they are judged by would move meanwhile.
 */
static bool
work_off(FsShard *shard)
{
	Assert(shard->next_event <= shard->nevents);
	for (; shard->next_event < shard->nevents; shard->next_event++)
	{
		FsEvent    *event = &shard->events[shard->next_event];

		if (!shard->admitted)
		{
			fs_fold_prepare(shard, shard->next_event);
			admit_event(shard, event);
			shard->admitted = true;
			shard->folded = 0;
		}
		if (event->reason == FS_REASON_NONE && !fs_fold(shard, shard->next_event, &shard->folded))
		{
			if (event->replay == NULL || shard->folded != 0)
				return false;
			fs_replay_put_off(shard);
			break;
		}
		book_event(shard, event);
		shard->admitted = false;
	}
	shard->source->ops->release(shard->source);
	shard->nevents = 0;
	MemoryContextReset(shard->batch);
	return true;
}

/* Makes room for a batch of 'n' events. */
static void
reserve_events(FsShard *shard, int n)
{
	if (n <= shard->maxevents)
		return;
	if (shard->events != NULL)
		pfree(shard->events);
	shard->maxevents = Max(n, fs_poll_batch_size);
	shard->events = MemoryContextAlloc(shard->context, sizeof(FsEvent) * shard->maxevents);
}

/*
 * Takes 'n' records as the batch in hand and decodes them: those that were
 * polled from 'partition', or, where that is NULL, those of dead letters that come back.
 */
static void
take_batch(FsShard *shard, FsPartition *partition, const FsReplay *replays, int n)
{
	FsTime		now = fs_clock_now();

	Assert(shard->nevents == 0 && n > 0 && n <= FS_POLL_BATCH_MAX);
	reserve_events(shard, n);
	memset(shard->events, 0, sizeof(FsEvent) * n);
	for (int i = 0; i < n; i++)
	{
		FsEvent    *event = &shard->events[i];
		const FsRecord *record = &shard->records[i];

		event->record = record;
		event->replay = partition == NULL ? &replays[i] : NULL;
		event->meta.partition = record->partition;
		event->meta.offset = record->offset;
		event->meta.xid = record->xid;
		event->meta.arrival = record->arrival != FS_TIME_MIN ? record->arrival : now;
	}
	if (partition != NULL)
	{
		partition->at_end_since = FS_TIME_MIN;
		partition->clock.idle = false;
	}
	shard->batch_partition = partition;
	shard->nevents = n;
	shard->next_event = 0;
	shard->admitted = false;
	fs_contract_decode(shard, shard->events, n);
	for (int ahead = -FS_FOLD_AHEAD; ahead < 0; ahead++)
		fs_fold_prepare(shard, ahead);
}

/*
 * The partition that has stopped and holds the watermark, so that no window ends
 * and memory only fills; NULL: there is none.
 */
static const FsPartition *
stopped_holder(const FsShard *shard)
{
	for (int i = 0; i < shard->npartitions && !shard->def->exclude_stopped; i++)
	{
		const FsPartition *p = &shard->partitions[i];

		if (p->stopped[0] != '\0' && p->clock.watermark <= shard->watermark)
			return p;
	}
	return NULL;
}

/* Says in the log why the stream waits, and what to do. */
static void
log_exhaustion(const FsShard *shard, const FsPartition *holder)
{
	long long	megabytes = shard->memory_needed / 1024 / 1024 + 1;

	if (holder != NULL)
		ereport(LOG,
				(errmsg("stream %s waits: %s", shard->def->name, shard->error),
				 errdetail("%s", holder->stopped),
				 errhint("Set the stream's option \"on_stopped\" to 'exclude', so that windows end without the partition, or have it read again. For that \"feature_stream.memory\" may have to be raised to about %lld MB.",
						 megabytes)));
	else
		ereport(LOG,
				(errmsg("stream %s waits: %s", shard->def->name, shard->error),
				 errhint("Raise \"feature_stream.memory\" to about %lld MB and restart the server.", megabytes)));
}

/*
 * Says that the stream waits for memory, and for how much.  Windows that just
 * do not fit are exhausted again and again: the log has it once a minute.
 */
void
fs_ingest_announce_exhaustion(FsShard *shard)
{
	static TimestampTz next = 0;
	TimestampTz now = GetCurrentTimestamp();
	const FsPartition *holder = stopped_holder(shard);
	char		message[FS_ERROR_SIZE] = "feature_stream.memory is too small for its windows";

	Assert(shard->memory_needed > 0);
	if (holder != NULL)
		snprintf(message, sizeof(message),
				 "feature_stream.memory is full, since partition %d has stopped and holds the watermark", holder->id);
	fs_shard_set_error(shard, message);
	if (now < next)
		return;
	next = TimestampTzPlusMilliseconds(now, EXHAUSTED_LOG_INTERVAL);
	log_exhaustion(shard, holder);
}

/* How much of event time is in memory: from the oldest slice of any view to the newest event of any partition. */
static int64
span_in_memory(const FsShard *shard)
{
	FsTime		oldest = FS_TIME_MAX;
	FsTime		newest = FS_TIME_MIN;

	for (int v = 0; v < shard->nviews; v++)
		if (shard->views[v].touches.n > 0)
			oldest = Min(oldest, fs_slice_start(shard->views[v].touches.lists[0].slice, shard->def->slice));
	for (int i = 0; i < shard->npartitions; i++)
		newest = Max(newest, shard->partitions[i].clock.last_event_time);
	if (oldest == FS_TIME_MAX || newest == FS_TIME_MIN)
		return shard->def->slice;
	return Max(newest - oldest, shard->def->slice);
}

/* How much of the window fits now, and so how much memory all of it would take. */
static void
note_exhaustion(FsShard *shard)
{
	shard->memory_needed = (int64) (fs_arena_total() * 1.25 *
									Max(1.0, (double) (shard->max_window + shard->max_slide +
													   shard->def->watermark_delay) / span_in_memory(shard)));
	if (!shard->exhausted)
		fs_ingest_announce_exhaustion(shard);
	shard->exhausted = true;
}

/* Books how long records had to wait since the last turn that had any. */
static void
note_pause(FsShard *shard)
{
	TimestampTz now = GetCurrentTimestamp();

	if (shard->last_ingest != 0)
	{
		shard->checkpoint_pause = Max(shard->checkpoint_pause, now - shard->last_ingest);
		shard->longest_pause = Max(shard->longest_pause, now - shard->last_ingest);
	}
}

/*
 * One turn of ingestion: finishes the batch in hand, or takes one from the
 * partition furthest behind that has any.  True when anything was done.
 */
static bool
ingest_some(FsShard *shard)
{
	int			order[FS_MAX_PARTITIONS];
	int			n;

	CHECK_FOR_INTERRUPTS();
	if (shard->nevents > 0)
	{
		if (!work_off(shard))
		{
			note_exhaustion(shard);
			return false;
		}
		shard->exhausted = false;
		return true;
	}
	if (fs_pending_bytes(&shard->pending) > FS_PENDING_BYTES * 2)
		return false;			/* the checkpoint comes first */
	n = fs_partitions_choose(shard, order);
	for (int i = 0; i < n; i++)
	{
		FsPartition *partition = &shard->partitions[order[i]];
		int			got = shard->source->ops->poll(shard->source, partition->source_index,
												   shard->records, fs_poll_batch_size);

		if (got == 0)
			continue;
		if (shard->wanted != NULL)
			got = fs_parking_screen(shard, partition, shard->records, got);
		if (got == 0)
		{
			shard->source->ops->release(shard->source);
			continue;
		}
		take_batch(shard, partition, NULL, got);
		if (!work_off(shard))
			note_exhaustion(shard);
		return true;
	}
	return false;
}

/* One turn of ingestion, with the clock on it; true when anything was done. */
bool
fs_ingest(FsShard *shard)
{
	bool		busy;

	note_pause(shard);
	busy = ingest_some(shard);
	shard->last_ingest = busy ? GetCurrentTimestamp() : 0;
	return busy;
}

/* Takes back dead letters that were asked for, between two batches of the source's; true when there were any, or may be more. */
bool
fs_ingest_replayed(FsShard *shard)
{
	FsReplay   *replays;
	int			n;

	Assert(!IsTransactionState());
	if (shard->nevents > 0 || shard->exhausted || !fs_replay_is_due(shard))
		return false;
	n = fs_replay_take(shard, &replays);
	if (n == 0)
	{
		MemoryContextReset(shard->batch);
		return shard->replay_wanted;
	}
	take_batch(shard, NULL, replays, n);
	if (!work_off(shard))
		note_exhaustion(shard);
	return true;
}
