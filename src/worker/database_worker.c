/*
 * database_worker.c
 *		The place in shared memory of a worker that a database has one of.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/timestamp.h"

#include "worker/database_worker.h"
#include "worker/launcher.h"
#include "worker/process.h"

#define HEALTHY_LIFE (60 * FS_USEC_PER_SEC) /* of an export worker: what fails then is something new */

static FsSharedDatabase *my_entry = NULL;
static FsDatabaseWorker my_kind;
static bool is_done = false;	/* ends because nothing is left to do */

/* Says when the next one may start after this one has failed. */
static void
count_failure(FsSharedWorker *place)
{
	TimestampTz now = GetCurrentTimestamp();

	if (my_kind == FS_EXPORT_WORKER && now - place->last_start >= HEALTHY_LIFE)
		place->failures = 0;
	place->not_before = now + fs_process_backoff(++place->failures);
}

/* Exit callback: gives the place back. */
static void
detach(int code, Datum arg)
{
	FsSharedWorker *place = &my_entry->workers[my_kind];

	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	Assert(place->pid == MyProcPid);
	place->pid = 0;
	place->latch = NULL;
	place->starting = false;
	if (is_done)
		place->wanted = false;
	if (is_done || my_entry->blockers > 0)
	{
		place->failures = 0;
		place->not_before = 0;
	}
	else
		count_failure(place);
	fs_launcher_poke();
	LWLockRelease(fs_shared->lock);
}

/* See database_worker.h. */
FsSharedDatabase *
fs_database_worker_attach(Oid database, FsDatabaseWorker kind)
{
	FsSharedDatabase *entry;

	Assert(my_entry == NULL);
	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	entry = fs_shared_database(database, false);
	if (entry != NULL && entry->workers[kind].pid == 0)
	{
		if (entry->blockers == 0)
		{
			my_entry = entry;
			my_kind = kind;
			entry->workers[kind].pid = MyProcPid;
			entry->workers[kind].latch = MyLatch;
		}
		else
			entry->workers[kind].starting = false;
	}
	LWLockRelease(fs_shared->lock);
	if (my_entry != NULL)
		before_shmem_exit(detach, (Datum) 0);
	return my_entry;
}

/* See database_worker.h. */
void
fs_database_worker_done(void)
{
	is_done = true;
}
