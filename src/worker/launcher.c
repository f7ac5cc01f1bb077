/*
 * launcher.c
 *		The launcher: finds databases that have the extension, and is the only
 *		starter of workers.
 *
 * It knows nothing of streams but the slots in shared memory: a database's
 * export worker says which streams are wanted, a worker that ends says why and
 * when it may be started again.  It looks whenever its latch is set (a worker
 * ended, DDL was committed, a database was unblocked) and else when the next
 * back-off ends, at the latest after LONGEST_NAP.
 *
 * A worker is 'starting' from its registration until it attaches to its slot.
 * One that never does (its process died before, or found that it is not wanted
 * any more) is noticed by its handle, or by time if a new launcher came in
 * between and has no handle.  Two workers for one slot cannot be, whatever is
 * registered: the second one finds the slot taken.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "ground/settings.h"
#include "state/shared.h"
#include "worker/launcher.h"
#include "worker/process.h"

#define LONGEST_NAP (10 * FS_USEC_PER_SEC)
#define LOOK_AGAIN (60 * FS_USEC_PER_SEC)	/* at a database without the extension */
#define START_TIMEOUT (30 * FS_USEC_PER_SEC)	/* of a worker whose handle was lost */
#define SLOT_RETRY (2 * FS_USEC_PER_SEC)	/* after max_worker_processes was exhausted */
#define EXHAUSTED_LOG_INTERVAL (60 * FS_USEC_PER_SEC)

/* Export workers that are on their way at once, so that many databases do not take every worker slot. */
#define MAX_LOOKS 3

typedef struct DatabaseName
{
	Oid			oid;
	NameData	name;
} DatabaseName;

/* What the launcher alone knows of a worker it registered. */
static BackgroundWorkerHandle **ingest_handles;
static BackgroundWorkerHandle *database_handles[FS_MAX_DATABASES][FS_DATABASE_WORKERS];

static const char *const database_worker_names[FS_DATABASE_WORKERS] = {
	[FS_EXPORT_WORKER] = "export", [FS_BACKFILL_WORKER] = "backfill", [FS_LAKE_WORKER] = "lake"
};

static MemoryContext cycle_context;
static TimestampTz wake_at;		/* end of the nap of this cycle */
static TimestampTz exhausted_logged_at = 0;

/* See launcher.h. */
void
fs_launcher_register(void)
{
	BackgroundWorker worker = {0};

	strlcpy(worker.bgw_name, "feature_stream launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "feature_stream launcher", BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 5;
	strlcpy(worker.bgw_library_name, "feature_stream", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "fs_launcher_main", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

void
fs_launcher_poke(void)
{
	Assert(LWLockHeldByMe(fs_shared->lock));
	if (fs_shared->launcher_latch != NULL)
		SetLatch(fs_shared->launcher_latch);
}

/* Exit callback. */
static void
detach_launcher(int code, Datum arg)
{
	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	if (fs_shared->launcher_pid == MyProcPid)
	{
		fs_shared->launcher_pid = 0;
		fs_shared->launcher_latch = NULL;
	}
	LWLockRelease(fs_shared->lock);
}

static void
attach_launcher(void)
{
	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	fs_shared->launcher_pid = MyProcPid;
	fs_shared->launcher_latch = MyLatch;
	LWLockRelease(fs_shared->lock);
	before_shmem_exit(detach_launcher, (Datum) 0);
}

/* The nap of this cycle ends at 't' at the latest. */
static void
wake_by(TimestampTz t)
{
	wake_at = Min(wake_at, t);
}

/*
 * Lists the databases that can have workers, as DatabaseNames in the cycle's
 * context.
 */
static List *
list_databases(void)
{
	List	   *databases = NIL;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext old;
		DatabaseName *database;

		if (!form->datallowconn)
			continue;			/* template0 among them */
		old = MemoryContextSwitchTo(cycle_context);
		database = palloc(sizeof(DatabaseName));
		database->oid = form->oid;
		database->name = form->datname;
		databases = lappend(databases, database);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(cycle_context);
	return databases;
}

/* The database among those that are there, or NULL. */
static DatabaseName *
find_database(List *databases, Oid oid)
{
	ListCell   *lc;

	foreach(lc, databases)
	{
		DatabaseName *database = lfirst(lc);

		if (database->oid == oid)
			return database;
	}
	return NULL;
}

/*
 * Gives back the entries and slots of databases that are gone, and makes
 * entries for new ones.
 */
static void
reconcile_databases(List *databases)
{
	ListCell   *lc;

	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < fs_shared->max_streams; i++)
	{
		FsSharedStream *stream = &fs_shared->streams[i];

		if (OidIsValid(stream->database) && stream->pid == 0 && !stream->starting &&
			find_database(databases, stream->database) == NULL)
			fs_shared_free_stream(stream);
	}
	for (int i = 0; i < FS_MAX_DATABASES; i++)
	{
		FsSharedDatabase *entry = &fs_shared->databases[i];

		if (OidIsValid(entry->database) && !fs_shared_has_worker(entry) && entry->blockers == 0 &&
			find_database(databases, entry->database) == NULL)
			fs_shared_free_database(entry);
	}
	foreach(lc, databases)
		(void) fs_shared_database(((DatabaseName *) lfirst(lc))->oid, true);
	LWLockRelease(fs_shared->lock);
}

/*
 * Is a registered worker that has not attached yet still on its way?  Forgets
 * the handle when it is not.
 */
static bool
is_on_its_way(BackgroundWorkerHandle **handle, TimestampTz last_start, TimestampTz now)
{
	pid_t		pid;

	if (*handle == NULL)
		return now < last_start + START_TIMEOUT;
	if (GetBackgroundWorkerPid(*handle, &pid) != BGWH_STOPPED)
		return true;
	pfree(*handle);
	*handle = NULL;
	return false;
}

/*
 * Registers a worker of this kind ("export", ...) that works on 'what'; false
 * when there is no slot of max_worker_processes left.  That is said once a
 * minute.
 */
static bool
start_worker(BackgroundWorker *worker, const char *kind, const char *what,
			 BackgroundWorkerHandle **handle, TimestampTz now)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	bool		started;

	snprintf(worker->bgw_type, BGW_MAXLEN, "feature_stream %s worker", kind);
	snprintf(worker->bgw_name, BGW_MAXLEN, "%s: %s", worker->bgw_type, what);
	snprintf(worker->bgw_function_name, BGW_MAXLEN, "fs_%s_worker_main", kind);
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = BGW_NEVER_RESTART;
	worker->bgw_notify_pid = MyProcPid;
	strlcpy(worker->bgw_library_name, "feature_stream", BGW_MAXLEN);
	if (*handle != NULL)
		pfree(*handle);
	*handle = NULL;
	started = RegisterDynamicBackgroundWorker(worker, handle);
	MemoryContextSwitchTo(old);

	if (!started && now >= exhausted_logged_at + EXHAUSTED_LOG_INTERVAL)
	{
		exhausted_logged_at = now;
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start \"%s\": out of background worker slots", worker->bgw_name),
				 errhint("You might need to increase \"max_worker_processes\".")));
	}
	return started;
}

/*
 * Notices registered workers that ended before they attached to their place.
 * Any that did so counts as failed; an export worker's failure was counted when
 * it was claimed.
 */
static void
settle_starts(TimestampTz now)
{
	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	for (int slot = 0; slot < fs_shared->max_streams; slot++)
	{
		FsSharedStream *stream = &fs_shared->streams[slot];

		if (!stream->starting ||
			is_on_its_way(&ingest_handles[slot], stream->last_start, now))
			continue;
		stream->starting = false;
		stream->not_before = now + fs_process_backoff(++stream->failures);
	}
	for (int i = 0; i < FS_MAX_DATABASES * FS_DATABASE_WORKERS; i++)
	{
		int			kind = i % FS_DATABASE_WORKERS;
		FsSharedWorker *place = &fs_shared->databases[i / FS_DATABASE_WORKERS].workers[kind];

		if (!place->starting || place->pid != 0 ||
			is_on_its_way(&database_handles[i / FS_DATABASE_WORKERS][kind], place->last_start, now))
			continue;
		place->starting = false;
		if (kind != FS_EXPORT_WORKER)
			place->not_before = now + fs_process_backoff(++place->failures);
	}
	LWLockRelease(fs_shared->lock);
}

/*
 * Decides whether the export worker of a database is to be started now, and if
 * so marks it as starting.  Caller must hold 'lock'.
 */
static bool
claim_export_start(FsSharedDatabase *entry, TimestampTz now, int *looks)
{
	FsSharedWorker *place = &entry->workers[FS_EXPORT_WORKER];
	TimestampTz due = place->not_before;

	if (place->starting)
	{
		(*looks)++;
		return false;
	}
	if (place->pid != 0 || entry->blockers > 0)
		return false;
	if (entry->no_extension)
		due = Max(due, place->last_start + LOOK_AGAIN);
	if (due > now || *looks >= MAX_LOOKS)
	{
		wake_by(Max(due, now + FS_USEC_PER_SEC));
		return false;
	}
	(*looks)++;
	place->starting = true;
	place->last_start = now;
	/* for the case that it dies before it can say why; it clears this itself */
	place->not_before = now + fs_process_backoff(place->failures + 1);
	return true;
}

/* The same for another worker of a database, which the export worker says is wanted. */
static bool
claim_wanted_start(FsSharedDatabase *entry, FsDatabaseWorker kind, TimestampTz now)
{
	FsSharedWorker *place = &entry->workers[kind];

	Assert(kind != FS_EXPORT_WORKER);
	if (!place->wanted || place->pid != 0 || place->starting || entry->blockers > 0)
		return false;
	if (place->not_before > now)
	{
		wake_by(place->not_before);
		return false;
	}
	place->starting = true;
	place->last_start = now;
	return true;
}

/*
 * Starts the worker that was claimed; when there is no free worker slot the
 * claim is given back, for later.
 */
static void
start_database_worker(int index, FsDatabaseWorker kind, DatabaseName *database, TimestampTz now)
{
	FsSharedDatabase *entry = &fs_shared->databases[index];
	FsSharedWorker *place = &entry->workers[kind];
	BackgroundWorker worker = {.bgw_main_arg = ObjectIdGetDatum(database->oid)};

	if (start_worker(&worker, database_worker_names[kind], NameStr(database->name),
					 &database_handles[index][kind], now))
		return;
	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	if (entry->database == database->oid)
	{
		place->starting = false;
		place->not_before = now + SLOT_RETRY;
		wake_by(place->not_before);
	}
	LWLockRelease(fs_shared->lock);
}

/*
 * Starts workers of a kind where there is none, one is wanted and it is time.
 * Claimed under the lock, started without it: starting takes long.
 */
static void
start_database_workers(List *databases, FsDatabaseWorker kind, TimestampTz now)
{
	int			looks = 0;

	for (int i = 0; i < FS_MAX_DATABASES; i++)
	{
		FsSharedDatabase *entry = &fs_shared->databases[i];
		DatabaseName *database;
		bool		start = false;

		LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
		database = find_database(databases, entry->database);
		if (database != NULL)
			start = kind == FS_EXPORT_WORKER ? claim_export_start(entry, now, &looks) :
				claim_wanted_start(entry, kind, now);
		LWLockRelease(fs_shared->lock);
		if (start)
			start_database_worker(i, kind, database, now);
	}
}

/* The same for the ingest worker of a stream's slot. */
static bool
claim_ingest_start(int slot, TimestampTz now)
{
	FsSharedStream *stream = &fs_shared->streams[slot];
	FsSharedDatabase *database;

	if (!OidIsValid(stream->database) || stream->pid != 0 || stream->starting)
		return false;
	database = fs_shared_database(stream->database, false);
	if (!stream->wanted || stream->stop || (database && database->blockers > 0))
		return false;
	if (stream->not_before > now)
	{
		wake_by(stream->not_before);
		return false;
	}
	stream->starting = true;
	stream->last_start = now;
	return true;
}

/* The same for an ingest worker, whose stream is told why it waits. */
static void
start_ingest_worker(int slot, FsIngestArgs *args, TimestampTz now)
{
	FsSharedStream *stream = &fs_shared->streams[slot];
	BackgroundWorker worker = {.bgw_main_arg = Int32GetDatum(slot)};
	char		relid[12];

	StaticAssertStmt(sizeof(FsIngestArgs) <= BGW_EXTRALEN, "arguments do not fit");
	snprintf(relid, sizeof(relid), "%u", args->relid);
	memcpy(worker.bgw_extra, args, sizeof(FsIngestArgs));
	if (start_worker(&worker, "ingest", relid, &ingest_handles[slot], now))
		return;
	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	Assert(stream->starting);
	stream->starting = false;
	stream->not_before = now + SLOT_RETRY;	/* not the stream's failure: no longer and longer wait */
	strlcpy(stream->last_error, "max_worker_processes exhausted", FS_ERROR_SIZE);
	stream->last_error_time = now;
	wake_by(stream->not_before);
	LWLockRelease(fs_shared->lock);
}

/*
 * Starts ingest workers where one is wanted and it is time; claimed and started
 * as a database's workers are.
 */
static void
start_ingest_workers(TimestampTz now)
{
	for (int slot = 0; slot < fs_shared->max_streams; slot++)
	{
		FsSharedStream *stream = &fs_shared->streams[slot];
		FsIngestArgs args;
		bool		start;

		LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
		args.database = stream->database;
		args.relid = stream->relid;
		start = claim_ingest_start(slot, now);
		LWLockRelease(fs_shared->lock);
		if (start)
			start_ingest_worker(slot, &args, now);
	}
}

/* Sleeps until someone sets the latch or the nap ends. */
static void
take_nap(void)
{
	long		msec = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), wake_at);

	pgstat_report_activity(STATE_IDLE, NULL);
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 Max(msec, 10), PG_WAIT_EXTENSION);
}

/*
 * The launcher's loop.  Each turn looks at everything anew: databases that are
 * there, workers that died, what is wanted.
 */
static void
launch_workers(void)
{
	cycle_context = AllocSetContextCreate(TopMemoryContext, "feature_stream cycle",
										  ALLOCSET_DEFAULT_SIZES);
	for (;;)
	{
		TimestampTz now;
		List	   *databases;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		fs_process_reload();
		MemoryContextReset(cycle_context);
		MemoryContextSwitchTo(cycle_context);

		databases = list_databases();
		now = GetCurrentTimestamp();
		settle_starts(now);
		reconcile_databases(databases);
		wake_at = now + LONGEST_NAP;
		start_database_workers(databases, FS_EXPORT_WORKER, now);
		start_ingest_workers(now);
		start_database_workers(databases, FS_BACKFILL_WORKER, now);
		start_database_workers(databases, FS_LAKE_WORKER, now);
		take_nap();
	}
}

/* The launcher; see launcher.h.  The postmaster starts it again when it dies. */
void
fs_launcher_main(Datum main_arg)
{
	fs_process_prepare();
	ingest_handles = MemoryContextAllocZero(TopMemoryContext,
											fs_shared->max_streams * sizeof(BackgroundWorkerHandle *));
	attach_launcher();
	fs_process_connect(InvalidOid);
	ereport(LOG, (errmsg("feature_stream launcher started")));
	fs_process_run(launch_workers);
}
