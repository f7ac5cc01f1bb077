/*
 * ingest_worker.c
 *		Process life of the worker that owns a stream's shard; the data's way is in pipeline/.
 *
 * A worker attaches to its slot before it connects, so that from the first
 * moment a DROP DATABASE sees whom to stop, and so that there is never a second
 * worker for a stream.  It gives the slot back in an exit callback, after its
 * transaction was aborted and its locks released, and there says why it ended
 * and when it may be started again; only the launcher does that.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "ground/deadline.h"
#include "pipeline/pipeline.h"
#include "state/arena.h"
#include "state/shared.h"
#include "worker/ingest_worker.h"
#include "worker/launcher.h"
#include "worker/process.h"

/* A worker that lived so long was healthy: its failure is the first one again. */
#define HEALTHY_LIFE (60 * FS_USEC_PER_SEC)

static FsSharedStream *my_stream = NULL;
static uint64 start_generation;
static bool has_ended = false;	/* the pipeline returned */
static FsPipelineEnd my_end;

/* Notes a failure and puts off the next start.  Caller must hold 'lock'. */
static void
record_failure(FsSharedStream *stream, TimestampTz now)
{
	stream->failures = now - stream->last_start >= HEALTHY_LIFE ? 1 : stream->failures + 1;
	stream->not_before = now + fs_process_backoff(stream->failures);
	strlcpy(stream->last_error, fs_process_failure(), FS_ERROR_SIZE);
	stream->last_error_time = now;
}

/*
 * Notes that the worker was ended for code that did not let itself be cancelled:
 * the next one sets the feature view aside.  Code of the stream itself, in a
 * CHECK, is a broken definition.  Caller must hold 'lock'.
 */
static FsStreamState
record_stuck(FsSharedStream *stream, Oid view, TimestampTz now)
{
	record_failure(stream, now);
	stream->stuck_view = view;
	if (OidIsValid(view) || pg_atomic_read_u64(&stream->generation) != start_generation)
		return FS_STREAM_STOPPED;
	stream->not_before = FS_TIME_MAX;
	return FS_STREAM_FAILED;
}

/*
 * Translates the end of the pipeline into the slot's fields.  A definition that
 * moved after the worker began is looked at afresh in any case.  Caller must
 * hold 'lock'.
 */
static FsStreamState
record_end(FsSharedStream *stream)
{
	bool		moved = pg_atomic_read_u64(&stream->generation) != start_generation;

	stream->failures = 0;
	stream->not_before = 0;
	if (my_end == FS_END_FAILED && !moved)
	{
		stream->not_before = FS_TIME_MAX;	/* until a touch of the definition */
		return FS_STREAM_FAILED;
	}
	stream->last_error[0] = '\0';
	if (my_end == FS_END_GONE || my_end == FS_END_PAUSED)
		stream->wanted = false; /* the export worker knows better within a second */
	return my_end == FS_END_PAUSED ? FS_STREAM_PAUSED : FS_STREAM_STOPPED;
}

/* Exit callback: gives the slot back. */
static void
detach_stream(int code, Datum arg)
{
	FsSharedStream *stream = my_stream;
	TimestampTz now = GetCurrentTimestamp();
	FsStreamState state = FS_STREAM_STOPPED;
	Oid			view;

	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	Assert(stream->pid == MyProcPid);
	if (has_ended)
		state = record_end(stream);
	else if (fs_deadline_gave_up(&view))
		state = record_stuck(stream, view, now);
	else if (!stream->stop)
		record_failure(stream, now);
	fs_stats_begin_change(stream);
	stream->stats.state = state;
	stream->stats.state_since = now;
	fs_stats_end_change(stream);
	stream->pid = 0;
	stream->latch = NULL;
	if (!stream->wanted)
		fs_arena_release_slot(fs_shared_slot(stream));	/* no worker follows that would */
	fs_launcher_poke();
	LWLockRelease(fs_shared->lock);
}

/* Exit callback: no handle of a foreign library survives, however the worker ends. */
static void
cleanup_pipeline(int code, Datum arg)
{
	fs_pipeline_cleanup();
}

/*
 * Takes the slot.  False when the stream is not to run any more (dropped,
 * paused, its database blocked) or has a worker already.
 */
static bool
attach_stream(int slot, const FsIngestArgs *args)
{
	FsSharedStream *stream = &fs_shared->streams[slot];
	FsSharedDatabase *database;
	bool		attached = false;

	Assert(slot >= 0 && slot < fs_shared->max_streams);
	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	database = fs_shared_database(args->database, false);
	if (stream->database == args->database && stream->relid == args->relid &&
		stream->pid == 0)
	{
		stream->starting = false;
		if (stream->wanted && !stream->stop &&
			(database == NULL || database->blockers == 0))
		{
			stream->pid = MyProcPid;
			stream->latch = MyLatch;
			start_generation = pg_atomic_read_u64(&stream->generation);
			attached = true;
		}
	}
	LWLockRelease(fs_shared->lock);
	my_stream = attached ? stream : NULL;
	return attached;
}

/* Says once in the log that a worker has started, with the stream's name. */
static void
log_start(void)
{
	char	   *name;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	name = get_rel_name(my_stream->relid);
	ereport(LOG,
			(errmsg("ingest worker for stream \"%s\" (oid %u) started",
					name ? name : "", my_stream->relid)));
	CommitTransactionCommand();
}

/* Says in the statistics that the worker is on its way. */
static void
publish_start(void)
{
	fs_stats_begin_change(my_stream);
	my_stream->stats.state = FS_STREAM_STARTING;
	my_stream->stats.state_since = GetCurrentTimestamp();
	fs_stats_end_change(my_stream);
	pgstat_report_activity(STATE_RUNNING, "starting");
}

/* The worker's life between connecting and ending. */
static void
consume_stream(void)
{
	log_start();
	my_end = fs_pipeline_run(my_stream);
	has_ended = true;
	ereport(LOG,
			(errmsg("ingest worker for stream with oid %u stopped", my_stream->relid)));
}

/* See ingest_worker.h. */
void
fs_ingest_worker_main(Datum main_arg)
{
	FsIngestArgs args;

	memcpy(&args, MyBgworkerEntry->bgw_extra, sizeof(args));
	fs_process_prepare();
	if (!attach_stream(DatumGetInt32(main_arg), &args))
		proc_exit(0);

	/* exit callbacks run last first: abort the transaction, close the peers, give back the slot */
	before_shmem_exit(detach_stream, (Datum) 0);
	before_shmem_exit(cleanup_pipeline, (Datum) 0);
	fs_process_connect(args.database);
	publish_start();
	fs_process_run(consume_stream);
	proc_exit(0);
}
