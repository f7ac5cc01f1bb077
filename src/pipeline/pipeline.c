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
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "catalog/stream_state.h"
#include "ground/clock.h"
#include "ground/settings.h"
#include "pipeline/dead_letter_limit.h"
#include "pipeline/dead_letter_topic.h"
#include "pipeline/parking.h"
#include "pipeline/pipeline.h"
#include "pipeline/shard.h"
#include "pipeline/stuck.h"

#define IDLE_WAIT 100			/* ms: how often idleness and time are looked at without events */

/* A stream that memory was too small for tries again so long after it failed, when that part of all memory has become free. */
#define TRY_AGAIN_USEC (5 * FS_USEC_PER_SEC)
#define MEMORY_PARTS 64

/* The one shard of this process, for cleanup. */
static FsShard *my_shard = NULL;

/* Ingestion between the steps of a checkpoint. */
static bool
interleave(FsShard *shard)
{
	shard->source->ops->service(shard->source);
	fs_report_turn(shard);
	return fs_ingest(shard);
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
	busy = fs_ingest(shard);
	busy |= fs_ingest_replayed(shard);
	fs_partitions_advance(shard, fs_clock_now());	/* also while memory is out: what fires makes room */
	if (fs_checkpoint_is_due(shard))
	{
		fs_checkpoint(shard, interleave);
		busy = true;
	}
	fs_prune_step(shard);
	busy |= fs_publish_step(shard);
	busy |= fs_dead_letter_topic_step(shard);
	fs_dead_letter_limit_check(shard);
	fs_report_turn(shard);
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

static void
wait_for_news(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 1000L,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

/* Waits, showing 'state', until asked to end. */
static FsPipelineEnd
wait_in_state(FsShard *shard, FsStreamState state)
{
	FsPipelineEnd end;

	fs_shard_set_state(shard, state);
	while (!should_end(shard, &end))
		wait_for_news();
	return end;
}

/*
 * Does any other stream take up its memory, or is about to?  Then what is free says
 * nothing.  Caller must hold 'lock'.
 */
static bool
others_are_starting(const FsSharedStream *slot)
{
	TimestampTz now = GetCurrentTimestamp();

	Assert(LWLockHeldByMe(fs_shared->lock));
	for (int i = 0; i < fs_shared->max_streams; i++)
	{
		const FsSharedStream *other = &fs_shared->streams[i];

		if (other == slot || !OidIsValid(other->database) || !other->wanted)
			continue;
		if (other->pid == 0 ? other->not_before <= now :
			(other->stats.state == FS_STREAM_STARTING || other->stats.state == FS_STREAM_RECOVERING))
			return true;
	}
	return false;
}

/*
 * Is more memory free than the stream could get when it had too little?  One stream
 * at a time: the others see that it is starting.
 */
static bool
may_try_again(FsShard *shard, int64 had)
{
	bool		may;

	if (fs_arena_available(&shard->arena) < had + fs_arena_total() / MEMORY_PARTS)
		return false;
	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	may = !others_are_starting(shard->slot);
	if (may)
		fs_shard_set_state(shard, FS_STREAM_STARTING);
	LWLockRelease(fs_shared->lock);
	return may;
}

/*
 * Memory is too small for the windows: waits until asked to end, or until others
 * need less of it.  What the stream had got is of no use to it, but may be to them.
 */
static FsPipelineEnd
wait_for_memory(FsShard *shard)
{
	int64		had = fs_arena_available(&shard->arena) + shard->arena.blocks * FS_ARENA_BLOCK;
	int64		begin = fs_clock_monotonic();
	FsPipelineEnd end;

	shard->exhausted = true;
	fs_ingest_announce_exhaustion(shard);
	for (int v = 0; v < shard->nviews; v++)
		shard->views[v].shared = NULL;
	fs_arena_open(&shard->arena, shard->slot_index);
	fs_shard_set_state(shard, FS_STREAM_MEMORY_EXHAUSTED);
	while (!should_end(shard, &end))
	{
		if (fs_clock_monotonic() - begin >= TRY_AGAIN_USEC && may_try_again(shard, had))
			return FS_END_RELOAD;
		wait_for_news();
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

/* Rebuilds memory from the tables; false when it is too small.  It is nobody's to see when the shard starts over. */
static bool
recover(FsShard *shard)
{
	fs_shard_set_state(shard, FS_STREAM_RECOVERING);
	pgstat_report_activity(STATE_RUNNING, "recovering from the event log");
	fs_recover_state(shard);
	if (!fs_recover_log(shard))
		return false;
	if (shard->start_over)
		return true;
	fs_shard_move_live_end(shard, shard->watermark);
	for (int i = 0; i < shard->npartitions; i++)
		fs_shard_move_live_end(shard, shard->partitions[i].clock.last_event_time);
	pg_atomic_write_u32(&shard->slot->root, shard->root_handle);
	return true;
}

/* Tells the source what is known of it from before: positions are of partitions that were there. */
static void
remember_source(FsShard *shard)
{
	int			n = shard->start_partitions;

	for (int i = 0; i < shard->npartitions; i++)
		n = Max(n, shard->partitions[i].id + 1);
	if (shard->source->ops->remember != NULL)
		shard->source->ops->remember(shard->source, n, shard->cluster);
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
	remember_source(shard);
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
	FsShard    *shard;

	fs_stuck_settle(slot);
	shard = load(slot, &end);
	if (shard == NULL)
	{
		fs_arena_release_slot(fs_shared_slot(slot));	/* others may have what the worker before had */
		return end == FS_END_STOP ? wait_for_views(slot, generation) : end;
	}
	Assert(my_shard == NULL);	/* a process has one in its life */
	shard->generation = generation;
	my_shard = shard;
	if (shard->exhausted || !recover(shard))
		return wait_for_memory(shard);
	if (!should_end(shard, &end))
	{
		open_peers(shard);
		end = run(shard);
	}
	fs_pipeline_cleanup();
	return end;
}
