/*
 * shared.c
 *		Set-up and tables of the main shared memory segment; see shared.h.
 *
 * Everything here is done under FsShared.lock for microseconds, or without any
 * lock under the change counter of a stream's statistics.  Nothing throws
 * while the lock is held.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "ground/clock.h"
#include "ground/settings.h"
#include "state/arena.h"
#include "state/shared.h"

/* A database without the extension keeps its entry at least this long, so that it is not looked at all the time. */
#define EVICT_AFTER (60 * FS_USEC_PER_SEC)

/* How often a reader tries to get an unchanging copy of statistics before it takes what it got. */
#define COPY_ATTEMPTS 10000

FsShared   *fs_shared = NULL;

/* See shared.h. */
const char *
fs_stream_state_name(FsStreamState state)
{
	switch (state)
	{
		case FS_STREAM_STOPPED:
			return "stopped";
		case FS_STREAM_PAUSED:
			return "paused";
		case FS_STREAM_NO_VIEWS:
			return "no_views";
		case FS_STREAM_STARTING:
			return "starting";
		case FS_STREAM_RECOVERING:
			return "recovering";
		case FS_STREAM_RUNNING:
			return "running";
		case FS_STREAM_DISCONNECTED:
			return "disconnected";
		case FS_STREAM_MEMORY_EXHAUSTED:
			return "memory_exhausted";
		case FS_STREAM_FAILED:
			return "failed";
	}
	elog(ERROR, "unexpected stream state %d", (int) state);
}

void
fs_require_preload(void)
{
	if (fs_shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("feature_stream is not loaded"),
				 errhint("Add \"feature_stream\" to \"shared_preload_libraries\" and restart the server.")));
}

Size
fs_shared_size(void)
{
	return add_size(offsetof(FsShared, streams),
					mul_size(sizeof(FsSharedStream), fs_max_workers));
}

/*
 * Attaches to the segment; in the postmaster (and again after a crash restart)
 * initialises it.  Caller holds AddinShmemInitLock.
 */
void
fs_shared_init(void)
{
	bool		found;

	fs_shared = ShmemInitStruct("feature_stream", fs_shared_size(), &found);
	if (!found)
	{
		memset(fs_shared, 0, fs_shared_size());
		fs_shared->lock = &GetNamedLWLockTranche("feature_stream")->lock;
		fs_shared->max_streams = fs_max_workers;
		pg_atomic_init_u64(&fs_shared->test_clock, fs_clock_first());
		for (int i = 0; i < fs_max_workers; i++)
		{
			FsSharedStream *stream = &fs_shared->streams[i];

			pg_atomic_init_u64(&stream->generation, 1);
			pg_atomic_init_u64(&stream->checkpoint_requested, 0);
			pg_atomic_init_u64(&stream->checkpoint_done, 0);
			pg_atomic_init_u64(&stream->replay_requested, 0);
			pg_atomic_init_u32(&stream->stats_changecount, 0);
		}
	}
	fs_clock_attach(&fs_shared->test_clock);
}

int
fs_shared_slot(const FsSharedStream *stream)
{
	Assert(stream >= fs_shared->streams &&
		   stream < fs_shared->streams + fs_shared->max_streams);
	return stream - fs_shared->streams;
}

/*
 * Makes a free slot look new for a stream.  Its counters go on from where an
 * earlier stream left them: a late reader of that one must see them move.
 */
static void
claim_stream(FsSharedStream *stream, Oid database, Oid relid)
{
	Assert(stream->pid == 0 && !OidIsValid(stream->database));
	stream->database = database;
	stream->relid = relid;
	stream->latch = NULL;
	stream->wanted = false;
	stream->stop = false;
	stream->starting = false;
	stream->last_start = 0;
	stream->failures = 0;
	stream->not_before = 0;
	stream->last_error[0] = '\0';
	stream->last_error_time = 0;
	stream->stuck_view = InvalidOid;
	pg_atomic_fetch_add_u64(&stream->generation, 1);
	fs_stats_begin_change(stream);
	memset(&stream->stats, 0, sizeof(FsSharedStats));
	stream->stats.watermark = FS_TIME_MIN;
	stream->stats.frontier = FS_TIME_MIN;
	stream->stats.durable_frontier = FS_TIME_MIN;
	stream->stats.held_back_by = -1;
	fs_stats_end_change(stream);
}

/* See shared.h. */
FsSharedStream *
fs_shared_stream(Oid database, Oid relid, bool create)
{
	FsSharedStream *unused = NULL;

	Assert(LWLockHeldByMe(fs_shared->lock));
	Assert(OidIsValid(database) && OidIsValid(relid));
	for (int i = 0; i < fs_shared->max_streams; i++)
	{
		FsSharedStream *stream = &fs_shared->streams[i];

		if (stream->database == database && stream->relid == relid)
			return stream;
		if (!OidIsValid(stream->database) && unused == NULL)
			unused = stream;
	}
	if (!create || unused == NULL)
		return NULL;
	Assert(LWLockHeldByMeInMode(fs_shared->lock, LW_EXCLUSIVE));
	claim_stream(unused, database, relid);
	return unused;
}

/* See shared.h. */
bool
fs_shared_has_worker(const FsSharedDatabase *database)
{
	bool		found = false;

	for (int i = 0; i < FS_DATABASE_WORKERS; i++)
		found |= database->workers[i].pid != 0 || database->workers[i].starting;
	return found;
}

/* When somebody last went to see whether the database has the extension. */
static TimestampTz
last_look(const FsSharedDatabase *database)
{
	return database->workers[FS_EXPORT_WORKER].last_start;
}

/*
 * A database entry that may be given to another database: free, or one that was
 * looked at some time ago and has no extension.  So a cluster of more than
 * FS_MAX_DATABASES databases is looked through in turns.
 */
static FsSharedDatabase *
reusable_database(void)
{
	FsSharedDatabase *oldest = NULL;
	TimestampTz limit = GetCurrentTimestamp() - EVICT_AFTER;

	for (int i = 0; i < FS_MAX_DATABASES; i++)
	{
		FsSharedDatabase *entry = &fs_shared->databases[i];

		if (!OidIsValid(entry->database))
			return entry;
		if (!entry->no_extension || fs_shared_has_worker(entry) || entry->blockers > 0 ||
			last_look(entry) > limit)
			continue;
		if (oldest == NULL || last_look(entry) < last_look(oldest))
			oldest = entry;
	}
	return oldest;
}

/* See shared.h. */
FsSharedDatabase *
fs_shared_database(Oid database, bool create)
{
	FsSharedDatabase *entry;

	Assert(LWLockHeldByMe(fs_shared->lock));
	Assert(OidIsValid(database));
	for (int i = 0; i < FS_MAX_DATABASES; i++)
	{
		if (fs_shared->databases[i].database == database)
			return &fs_shared->databases[i];
	}
	if (!create || (entry = reusable_database()) == NULL)
		return NULL;
	Assert(LWLockHeldByMeInMode(fs_shared->lock, LW_EXCLUSIVE));
	memset(entry, 0, sizeof(FsSharedDatabase));
	entry->database = database;
	return entry;
}

/* See shared.h. */
void
fs_shared_free_stream(FsSharedStream *stream)
{
	Assert(LWLockHeldByMeInMode(fs_shared->lock, LW_EXCLUSIVE));
	Assert(stream->pid == 0 && !stream->starting);
	fs_arena_release_slot(fs_shared_slot(stream));
	stream->database = InvalidOid;
	stream->relid = InvalidOid;
	stream->wanted = false;
	stream->stop = false;
}

void
fs_shared_free_database(FsSharedDatabase *database)
{
	Assert(LWLockHeldByMeInMode(fs_shared->lock, LW_EXCLUSIVE));
	Assert(!fs_shared_has_worker(database) && database->blockers == 0);
	memset(database, 0, sizeof(FsSharedDatabase));
}

/*
 * The change counter is odd while the statistics change.  Only their worker
 * changes them, so no atomic read-modify-write is needed.  A worker that died
 * between the two left it odd; then it just stays so until the change ends.
 */
void
fs_stats_begin_change(FsSharedStream *stream)
{
	uint32		count = pg_atomic_read_u32(&stream->stats_changecount);

	pg_atomic_write_u32(&stream->stats_changecount, count | 1);
	pg_write_barrier();
}

void
fs_stats_end_change(FsSharedStream *stream)
{
	uint32		count = pg_atomic_read_u32(&stream->stats_changecount);

	Assert(count & 1);
	pg_write_barrier();
	pg_atomic_write_u32(&stream->stats_changecount, count + 1);
}

/*
 * Copies statistics that may change meanwhile.  A torn copy is better than a
 * reader that waits for a worker that was stopped in the middle of a change:
 * after many attempts it takes what there is, with the counts kept in range.
 */
static void
copy_stats(FsSharedStream *stream, FsSharedStats *copy)
{
	for (int attempt = 0; attempt < COPY_ATTEMPTS; attempt++)
	{
		uint32		before = pg_atomic_read_u32(&stream->stats_changecount);
		int			n;

		pg_read_barrier();
		n = Min(Max(stream->stats.npartitions, 0), FS_MAX_PARTITIONS);
		memcpy(copy, &stream->stats,
			   offsetof(FsSharedStats, partitions) + n * sizeof(FsSharedPartition));
		copy->npartitions = n;
		copy->nviews = Min(Max(copy->nviews, 0), FS_MAX_VIEWS);
		pg_read_barrier();
		if ((before & 1) == 0 &&
			before == pg_atomic_read_u32(&stream->stats_changecount))
			break;
	}
}

/* See shared.h. */
FsSharedStats *
fs_stats_copy(Oid database, Oid relid, pid_t *pid, char *last_error, FsTime *last_error_time)
{
	FsSharedStats *copy;
	FsSharedStream *stream;

	fs_require_preload();
	copy = palloc0(sizeof(FsSharedStats));
	LWLockAcquire(fs_shared->lock, LW_SHARED);
	stream = fs_shared_stream(database, relid, false);
	if (stream != NULL)
	{
		if (pid)
			*pid = stream->pid;
		if (last_error)
			strlcpy(last_error, stream->last_error, FS_ERROR_SIZE);
		if (last_error_time)
			*last_error_time = stream->last_error_time;
	}
	LWLockRelease(fs_shared->lock);
	if (stream == NULL)
	{
		pfree(copy);
		return NULL;
	}
	copy_stats(stream, copy);
	return copy;
}
