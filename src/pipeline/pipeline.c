/*
 * pipeline.c
 *		The loop of an ingest worker: the data's way, in verbs.
 *
 *	service the source -> choose a partition -> poll -> decode -> admit -> fold
 *	-> advance the watermark -> checkpoint (and fire) -> prune -> publish
 *
 * No call waits for a peer: when nothing is to be done the loop waits for its
 * latch, the source's descriptor, the stores' sockets, or the next thing due.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "catalog/stream_state.h"
#include "ground/clock.h"
#include "ground/settings.h"
#include "pipeline/dead_letter_limit.h"
#include "pipeline/dead_letter_replay.h"
#include "pipeline/dead_letter_topic.h"
#include "pipeline/parking.h"
#include "pipeline/pipeline.h"
#include "pipeline/row.h"
#include "pipeline/shard.h"

#define IDLE_WAIT 100			/* ms: how often idleness and time are looked at without events */
#define REPORT_INTERVAL 200		/* ms */
#define EXHAUSTED_LOG_INTERVAL 60000	/* ms */

/* The one shard of this process, for cleanup. */
static FsShard *my_shard = NULL;

/* Moves the partition behind a record. */
static void
advance_position(FsShard *shard, FsPartition *partition, const FsEvent *event)
{
	Assert(event->meta.partition == partition->id);
	partition->position.offset = event->meta.offset +
		(shard->def->kind == FS_SOURCE_KAFKA ? 1 : 0);
	partition->position.xid = event->meta.xid;
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
 * Says that the stream waits for memory, and for how much.  Windows that just
 * do not fit are exhausted again and again: the log has it once a minute.
 */
static void
announce_exhaustion(FsShard *shard)
{
	static TimestampTz next = 0;
	TimestampTz now = GetCurrentTimestamp();

	Assert(shard->memory_needed > 0);
	fs_shard_set_error(shard, "feature_stream.memory is too small for its windows");
	if (now < next)
		return;
	next = TimestampTzPlusMilliseconds(now, EXHAUSTED_LOG_INTERVAL);
	ereport(LOG,
			(errmsg("stream %s waits: feature_stream.memory is too small for its windows", shard->def->name),
			 errhint("Raise \"feature_stream.memory\" to about %lld MB and restart the server.",
					 (long long) (shard->memory_needed / 1024 / 1024 + 1))));
}

/* How much of the window fits now, and so how much memory all of it would take. */
static void
note_exhaustion(FsShard *shard)
{
	FsTime		oldest = FS_TIME_MAX;
	int64		span;

	for (int v = 0; v < shard->nviews; v++)
		if (shard->views[v].touches.n > 0)
			oldest = Min(oldest, shard->views[v].touches.lists[0].slice * shard->def->slice);
	span = oldest == FS_TIME_MAX ? shard->def->slice :
		Max(shard->partitions[0].clock.last_event_time - FS_UNIX_EPOCH - oldest, shard->def->slice);
	shard->memory_needed = (int64) (fs_arena_total() * 1.25 *
									Max(1.0, (double) (shard->max_window + shard->max_slide +
													   shard->def->watermark_delay) / span));
	if (!shard->exhausted)
		announce_exhaustion(shard);
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
		if (shard->parking != NULL)
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

/* The same, with the clock on it. */
static bool
ingest(FsShard *shard)
{
	bool		busy;

	note_pause(shard);
	busy = ingest_some(shard);
	shard->last_ingest = busy ? GetCurrentTimestamp() : 0;
	return busy;
}

/* Takes back dead letters that were asked for, between two batches of the source's; true when there were any. */
static bool
replay(FsShard *shard)
{
	FsReplay   *replays;
	int			n;

	Assert(!IsTransactionState());
	if (shard->nevents > 0 || shard->exhausted || !fs_replay_is_due(shard))
		return false;
	n = fs_replay_take(shard, &replays);
	if (n == 0)
		return false;
	take_batch(shard, NULL, replays, n);
	if (!work_off(shard))
		note_exhaustion(shard);
	return true;
}

/* State, trouble and statistics, a few times a second. */
static void
report(FsShard *shard)
{
	static TimestampTz next = 0;
	TimestampTz now = GetCurrentTimestamp();
	FsStreamState state = FS_STREAM_RUNNING;

	if (now < next)
		return;
	next = TimestampTzPlusMilliseconds(now, REPORT_INTERVAL);
	fs_report_sample_rates(shard);
	if (shard->exhausted)
		state = FS_STREAM_MEMORY_EXHAUSTED;
	else if (!shard->source->connected)
		state = FS_STREAM_DISCONNECTED;
	if (shard->source->error[0] != '\0' && strcmp(shard->error, shard->source->error) != 0)
		fs_shard_set_error(shard, shard->source->error);
	if (fs_parking_trouble(shard)[0] != '\0' && strcmp(shard->error, fs_parking_trouble(shard)) != 0)
		fs_shard_set_error(shard, fs_parking_trouble(shard));
	if (fs_dead_letter_topic_trouble(shard)[0] != '\0' && strcmp(shard->error, fs_dead_letter_topic_trouble(shard)) != 0)
		fs_shard_set_error(shard, fs_dead_letter_topic_trouble(shard));
	for (int i = 0; i < shard->source->npartitions; i++)
		if (shard->source->partitions[i].state == FS_PARTITION_STOPPED &&
			strcmp(shard->error, shard->source->partitions[i].error) != 0)
			fs_shard_set_error(shard, shard->source->partitions[i].error);
	if (shard->state != state)
		fs_shard_set_state(shard, state);
	else
		fs_report(shard);
}

/* Ingestion between the steps of a checkpoint. */
static bool
interleave(FsShard *shard)
{
	shard->source->ops->service(shard->source);
	report(shard);
	return ingest(shard);
}

/* Waits until something can be done. */
static void
wait_for_work(FsShard *shard)
{
	WaitEventSet *set = CreateWaitEventSet(shard->cycle, 4 + FS_HTTP_MAX_SOCKETS + shard->nviews);
	FsHttpSocket sockets[FS_HTTP_MAX_SOCKETS];
	int			nsockets;
	int			fd = shard->source->ops->wait_fd(shard->source);
	long		timeout = IDLE_WAIT;
	WaitEvent	event;

	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	if (fd >= 0)
		AddWaitEventToSet(set, WL_SOCKET_READABLE, fd, NULL, NULL);
	fd = fs_dead_letter_topic_wait(shard, &timeout);
	if (fd >= 0)
		AddWaitEventToSet(set, WL_SOCKET_READABLE, fd, NULL, NULL);
	nsockets = fs_parking_wait(shard, sockets, &timeout);
	for (int i = 0; i < nsockets; i++)
		AddWaitEventToSet(set, sockets[i].events, sockets[i].fd, NULL, NULL);
	for (int v = 0; v < shard->nviews; v++)
	{
		FsOnline   *online = shard->views[v].online;
		pgsocket	sock;
		int			events;
		long		online_timeout;

		if (online == NULL)
			continue;
		if (online->ops->wait(online, &sock, &events))
			AddWaitEventToSet(set, events, sock, NULL, NULL);
		online_timeout = online->ops->timeout(online);
		if (online_timeout >= 0)
			timeout = Min(timeout, online_timeout);
	}
	(void) WaitEventSetWait(set, timeout, &event, 1, PG_WAIT_EXTENSION);
	FreeWaitEventSet(set);
	ResetLatch(MyLatch);
	MemoryContextReset(shard->cycle);
}

/* Is the pipeline to end?  Looks at signals, the slot and the generation of the definitions. */
static bool
should_end(FsShard *shard, FsPipelineEnd *end)
{
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
	*end = FS_END_STOP;
	if (ShutdownRequestPending || shard->slot->stop)
		return true;
	*end = FS_END_RELOAD;
	return shard->start_over || pg_atomic_read_u64(&shard->slot->generation) != shard->generation;
}

/* One turn of the loop; true when anything was done. */
static bool
turn(FsShard *shard)
{
	bool		busy;

	Assert(!IsTransactionState());
	shard->source->ops->service(shard->source);
	fs_partitions_update(shard);
	fs_parking_step(shard);
	busy = ingest(shard);
	busy |= replay(shard);
	if (!shard->exhausted && shard->nevents == 0)
		fs_partitions_advance(shard, fs_clock_now());
	if (fs_checkpoint_is_due(shard))
	{
		fs_checkpoint(shard, interleave);
		busy = true;
	}
	fs_prune_step(shard);
	busy |= fs_publish_step(shard);
	busy |= fs_dead_letter_topic_step(shard);
	fs_dead_letter_limit_check(shard);
	report(shard);
	return busy;
}

/* Runs until asked to end, then commits what is there. */
static FsPipelineEnd
run(FsShard *shard)
{
	FsPipelineEnd end;

	fs_shard_set_state(shard, FS_STREAM_RUNNING);
	pgstat_report_activity(STATE_RUNNING, "ingesting");
	while (!should_end(shard, &end))
		if (!turn(shard))
			wait_for_work(shard);
	if (shard->pending.dirty || shard->pending.events > 0)
		fs_checkpoint(shard, interleave);
	return end;
}

/* Waits, showing 'state', until asked to end. */
static FsPipelineEnd
wait_in_state(FsShard *shard, FsStreamState state)
{
	FsPipelineEnd end;

	fs_shard_set_state(shard, state);
	while (!should_end(shard, &end))
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 1000L,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	return end;
}

/* A stream without feature views, as of a generation, has nothing to compute, so it reads nothing. */
static FsPipelineEnd
wait_for_views(FsSharedStream *slot, uint64 generation)
{
	FsShard		nothing = {.slot = slot, .watermark = FS_TIME_MIN, .frontier = FS_TIME_MIN,
	.durable_frontier = FS_TIME_MIN, .held_back_by = -1, .generation = generation};

	return wait_in_state(&nothing, FS_STREAM_NO_VIEWS);
}

/* Rebuilds memory from the tables; false when it is too small. */
static bool
recover(FsShard *shard)
{
	fs_shard_set_state(shard, FS_STREAM_RECOVERING);
	pgstat_report_activity(STATE_RUNNING, "recovering from the event log");
	fs_recover_state(shard);
	if (!fs_recover_log(shard))
		return false;
	fs_shard_move_live_end(shard, shard->watermark);
	for (int i = 0; i < shard->npartitions; i++)
		fs_shard_move_live_end(shard, shard->partitions[i].clock.last_event_time);
	pg_atomic_write_u32(&shard->slot->root, shard->root_handle);
	return true;
}

/* Connects to the peers. */
static void
open_peers(FsShard *shard)
{
	MemoryContext old;

	Assert(shard->source == NULL);
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	old = MemoryContextSwitchTo(shard->context);
	shard->records = palloc(sizeof(FsRecord) * FS_POLL_BATCH_MAX);
	shard->source = (shard->def->kind == FS_SOURCE_KAFKA ? &fs_source_kafka_ops :
					 &fs_source_table_ops)->open(shard->def);
	fs_parking_open(shard);
	fs_publish_open(shard);
	fs_dead_letter_topic_open(shard);
	MemoryContextSwitchTo(old);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* See pipeline.h. */
void
fs_pipeline_cleanup(void)
{
	FsShard    *shard = my_shard;

	my_shard = NULL;
	if (shard == NULL)
		return;
	pg_atomic_write_u32(&shard->slot->root, 0);
	fs_parking_close(shard);
	fs_dead_letter_topic_close(shard);
	if (shard->source != NULL)
		shard->source->ops->close(shard->source);
	shard->source = NULL;
	fs_publish_close(shard);
}

/* Does an error mean that the definition cannot work, whatever the peers do? */
static bool
is_broken_definition(int sqlstate)
{
	switch (ERRCODE_TO_CATEGORY(sqlstate))
	{
		case ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION:
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_FEATURE_NOT_SUPPORTED:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
		case ERRCODE_FDW_ERROR:
			return true;
		default:
			return false;
	}
}

/* Keeps the message of a broken definition for stat_stream, and the log. */
static void
note_broken_definition(FsSharedStream *slot)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	ErrorData  *error = CopyErrorData();

	MemoryContextSwitchTo(old);
	EmitErrorReport();
	FlushErrorState();
	AbortCurrentTransaction();
	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	strlcpy(slot->last_error, error->message, FS_ERROR_SIZE);
	slot->last_error_time = GetCurrentTimestamp();
	LWLockRelease(fs_shared->lock);
	FreeErrorData(error);
}

/* Loads the shard; *end says why there is none when it returns NULL. */
static FsShard *
load(FsSharedStream *slot, FsPipelineEnd *end)
{
	FsShard    *volatile shard = NULL;
	volatile bool paused = false;

	*end = FS_END_GONE;
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(slot->relid)) || !fs_is_stream(slot->relid))
	{
		PopActiveSnapshot();
		CommitTransactionCommand();
		return NULL;
	}
	PG_TRY();
	{
		*end = FS_END_PAUSED;
		paused = fs_stream_state_is_paused(slot->relid);
		if (!paused)
		{
			shard = fs_shard_create(slot);
			*end = FS_END_STOP;
		}
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		if (!is_broken_definition(geterrcode()))
			PG_RE_THROW();
		note_broken_definition(slot);
		*end = FS_END_FAILED;
		shard = NULL;
	}
	PG_END_TRY();
	return shard;
}

/* See pipeline.h. */
FsPipelineEnd
fs_pipeline_run(FsSharedStream *slot)
{
	FsPipelineEnd end;
	uint64		generation = pg_atomic_read_u64(&slot->generation);	/* before anything is read: what changes from here on is seen */
	FsShard    *shard = load(slot, &end);

	if (shard == NULL)
		return end == FS_END_STOP ? wait_for_views(slot, generation) : end;
	Assert(my_shard == NULL);	/* a process has one in its life */
	shard->generation = generation;
	my_shard = shard;
	if (shard->exhausted || !recover(shard))
	{
		shard->exhausted = true;
		announce_exhaustion(shard);
		return wait_in_state(shard, FS_STREAM_MEMORY_EXHAUSTED);
	}
	open_peers(shard);
	end = run(shard);
	fs_pipeline_cleanup();
	return end;
}
