/*
 * export_worker.c
 *		Process life of a database's export worker: says which streams are to
 *		run, and looks after partitions.
 *
 * The launcher starts one in each database to see whether the extension is
 * there; where it is not the worker says so and ends.  It is the only one that
 * makes and gives back the slots of its database's streams, from the catalogs,
 * once a second or when DDL sets its latch.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "catalog/stream.h"
#include "catalog/stream_state.h"
#include "ground/settings.h"
#include "pipeline/backfill.h"
#include "pipeline/backread.h"
#include "pipeline/lake_export.h"
#include "state/arena.h"
#include "state/shared.h"
#include "worker/database_worker.h"
#include "worker/export_worker.h"
#include "worker/launcher.h"
#include "worker/process.h"
#include "worker/upkeep.h"

#define CYCLE_MS 1000L
#define UPKEEP_INTERVAL (10 * FS_USEC_PER_SEC)
#define UPKEEP_HURRY (2 * FS_USEC_PER_SEC)	/* when a reading of older events waits for it */
#define UPKEEP_RETRY (30 * FS_USEC_PER_SEC)	/* after something was left to do */
#define FULL_LOG_INTERVAL (60 * FS_USEC_PER_SEC)

/* A stream of this database and whether it is paused. */
typedef struct StreamWish
{
	Oid			relid;
	bool		paused;
} StreamWish;

static FsSharedDatabase *my_entry = NULL;
static MemoryContext cycle_context;
static TimestampTz full_logged_at = 0;

/*
 * Is the extension installed in this database, in the version of this library?
 * Caller must be in a transaction with SPI connected.
 */
static bool
check_extension(void)
{
	char	   *version;
	bool		matches;

	if (SPI_execute("SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'feature_stream'",
					true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read pg_extension");
	if (SPI_processed == 0)
		return false;
	version = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	matches = strcmp(version, FS_EXTENSION_VERSION) == 0;
	if (!matches)
		ereport(LOG,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"feature_stream\" of database \"%s\" has version %s, but the loaded library has %s",
						get_database_name(MyDatabaseId), version, FS_EXTENSION_VERSION),
				 errhint("Restart the server, or run ALTER EXTENSION feature_stream UPDATE.")));
	return matches;
}

/* What a database wants, in the cycle's context. */
typedef struct Wishes
{
	List	   *streams;		/* StreamWishes */
	bool		has_backfill;	/* there is something to backfill ... */
	bool		is_fresh;		/* ... that was not tried in vain yet */
	bool		is_waiting;		/* upkeep is waited for */
	bool		has_lake;		/* there is something to export, or will be */
} Wishes;

/* Reads what the database wants; false when the extension is not (or not usably) here. */
static bool
read_wishes(Wishes *wishes)
{
	bool		is_here;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	memset(wishes, 0, sizeof(Wishes));
	is_here = check_extension();
	if (is_here)
	{
		List	   *streams = fs_stream_list();
		ListCell   *lc;

		bool		is_fresh_read;

		wishes->has_backfill = fs_backfill_is_wanted(&wishes->is_fresh);
		wishes->has_backfill |= fs_backread_is_wanted(&is_fresh_read, &wishes->is_waiting);
		wishes->is_fresh |= is_fresh_read;
		wishes->has_lake = fs_lake_export_is_wanted();
		foreach(lc, streams)
		{
			bool		paused = fs_stream_state_is_paused(lfirst_oid(lc));
			MemoryContext old = MemoryContextSwitchTo(cycle_context);
			StreamWish *wish = palloc(sizeof(StreamWish));

			wish->relid = lfirst_oid(lc);
			wish->paused = paused;
			wishes->streams = lappend(wishes->streams, wish);
			MemoryContextSwitchTo(old);
		}
	}
	PopActiveSnapshot();
	SPI_finish();
	CommitTransactionCommand();
	MemoryContextSwitchTo(cycle_context);
	return is_here;
}

/* Is the stream among the wishes? */
static bool
is_wished(List *wishes, Oid relid)
{
	ListCell   *lc;

	foreach(lc, wishes)
	{
		if (((StreamWish *) lfirst(lc))->relid == relid)
			return true;
	}
	return false;
}

/*
 * Ends the worker of a stream that is gone, then gives back the slot.  Its
 * worker is asked first and terminated when it still runs a cycle later.
 * Caller must hold 'lock'.
 */
static void
retire_stream(FsSharedStream *stream)
{
	stream->wanted = false;
	if (stream->pid == 0)
	{
		if (!stream->starting)
			fs_shared_free_stream(stream);
		return;
	}
	if (stream->stop)
		kill(stream->pid, SIGTERM);
	else
		SetLatch(stream->latch);
	stream->stop = true;
}

/* Makes the slot of a stream and says whether it is to run.  False: no slot is free.  Caller must hold 'lock'. */
static bool
publish_wish(const StreamWish *wish)
{
	FsSharedStream *stream = fs_shared_stream(MyDatabaseId, wish->relid, true);

	if (stream == NULL)
		return false;
	if (!wish->paused && !stream->wanted)
		fs_launcher_poke();
	stream->wanted = !wish->paused;
	if (wish->paused && stream->pid == 0 && !stream->starting &&
		stream->stats.state != FS_STREAM_PAUSED)
	{
		fs_arena_release_slot(fs_shared_slot(stream));
		fs_stats_begin_change(stream);
		stream->stats.state = FS_STREAM_PAUSED;
		stream->stats.state_since = GetCurrentTimestamp();
		fs_stats_end_change(stream);
	}
	return true;
}

/* Says whether a worker is wanted; what is new does not wait for what has failed.  Caller must hold 'lock'. */
static void
publish_worker(FsDatabaseWorker kind, bool wanted, bool is_fresh)
{
	FsSharedWorker *place = &my_entry->workers[kind];

	if (is_fresh)
		place->not_before = 0;
	if (wanted && place->pid == 0 && (is_fresh || !place->wanted))
		fs_launcher_poke();
	place->wanted = wanted;
}

/* Brings the slots of this database in line with its streams, and says which workers it wants. */
static void
publish_wishes(const Wishes *wishes, bool is_here)
{
	int			missing = 0;
	TimestampTz now = GetCurrentTimestamp();
	ListCell   *lc;

	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < fs_shared->max_streams; i++)
	{
		FsSharedStream *stream = &fs_shared->streams[i];

		if (stream->database == MyDatabaseId && !is_wished(wishes->streams, stream->relid))
			retire_stream(stream);
	}
	foreach(lc, wishes->streams)
	{
		if (!publish_wish(lfirst(lc)))
			missing++;
	}
	my_entry->workers[FS_EXPORT_WORKER].starting = false;	/* others may look at their databases now */
	my_entry->no_extension = !is_here;
	if (is_here)
		my_entry->workers[FS_EXPORT_WORKER].not_before = 0;
	publish_worker(FS_BACKFILL_WORKER, wishes->has_backfill, wishes->is_fresh);
	publish_worker(FS_LAKE_WORKER, wishes->has_lake, false);
	LWLockRelease(fs_shared->lock);

	if (missing > 0 && now >= full_logged_at + FULL_LOG_INTERVAL)
	{
		full_logged_at = now;
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("\"%s\" has no slot for %d more stream(s)", MyBgworkerEntry->bgw_name, missing),
				 errhint("You might need to increase \"feature_stream.max_workers\".")));
	}
}

/* Does a stream of this database still have a slot or a worker? */
static bool
has_slots(void)
{
	bool		found = false;

	LWLockAcquire(fs_shared->lock, LW_SHARED);
	for (int i = 0; i < fs_shared->max_streams; i++)
		found |= fs_shared->streams[i].database == MyDatabaseId;
	LWLockRelease(fs_shared->lock);
	return found;
}

/* Sleeps for a cycle, or until DDL sets the latch. */
static void
take_nap(void)
{
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 CYCLE_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	fs_process_reload();
	MemoryContextReset(cycle_context);
	MemoryContextSwitchTo(cycle_context);
}

/*
 * The worker's life.  It ends when the extension is not here and the last of
 * its streams' workers has ended.
 */
static void
look_after_database(void)
{
	TimestampTz upkeep_at = 0;
	TimestampTz upkeep_done = 0;
	bool		announced = false;

	cycle_context = AllocSetContextCreate(TopMemoryContext, "feature_stream cycle",
										  ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(cycle_context);
	SetConfigOption("lock_timeout", "1s", PGC_SUSET, PGC_S_OVERRIDE);
	for (;;)
	{
		Wishes		wishes;
		bool		is_here;

		pgstat_report_activity(STATE_RUNNING, "looking for streams");
		is_here = read_wishes(&wishes);
		publish_wishes(&wishes, is_here);
		if (!is_here && !has_slots())
			break;
		if (is_here && !announced)
			ereport(LOG, (errmsg("\"%s\" started", MyBgworkerEntry->bgw_name)));
		announced |= is_here;
		if (wishes.is_waiting)
			upkeep_at = Min(upkeep_at, upkeep_done + UPKEEP_HURRY);
		if (is_here && GetCurrentTimestamp() >= upkeep_at)
		{
			pgstat_report_activity(STATE_RUNNING, "partition upkeep");
			upkeep_at = fs_upkeep_run() ? UPKEEP_INTERVAL : UPKEEP_RETRY;
			upkeep_done = GetCurrentTimestamp();
			upkeep_at += upkeep_done;
		}
		take_nap();
	}
	if (announced)
		ereport(LOG, (errmsg("\"%s\" stopped: the extension is gone", MyBgworkerEntry->bgw_name)));
	fs_database_worker_done();
}

/* See export_worker.h. */
void
fs_export_worker_main(Datum main_arg)
{
	Oid			database = DatumGetObjectId(main_arg);

	fs_process_prepare();
	my_entry = fs_database_worker_attach(database, FS_EXPORT_WORKER);
	if (my_entry == NULL)
		proc_exit(0);
	fs_process_connect(database);
	fs_process_run(look_after_database);
	proc_exit(0);
}
