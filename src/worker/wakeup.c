/*
 * wakeup.c
 *		Tells the workers at commit what a transaction changed.
 *
 * A worker must not see catalog rows that are not committed, so DDL only
 * remembers what it touched.  The callback runs when the transaction's rows
 * are visible to others; it must not fail, so it allocates nothing.  The list
 * lives in TopTransactionContext.  A subtransaction that rolls back leaves its
 * touches behind: a wake-up too many does no harm.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/latch.h"
#include "utils/memutils.h"

#include "state/shared.h"
#include "worker/launcher.h"
#include "worker/wakeup.h"

static List *touched_streams = NIL;
static bool touched_database = false;

/* Moves a stream on to its new definition.  Caller must hold 'lock'. */
static void
wake_stream(FsSharedStream *stream)
{
	pg_atomic_fetch_add_u64(&stream->generation, 1);
	stream->failures = 0;
	stream->not_before = 0;
	if (stream->latch != NULL)
		SetLatch(stream->latch);
}

/*
 * At commit: tells the workers of what was touched, and the launcher, that
 * definitions are new.  It must not throw.
 */
static void
wake_touched(void)
{
	FsSharedDatabase *database;

	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < fs_shared->max_streams; i++)
	{
		FsSharedStream *stream = &fs_shared->streams[i];

		if (stream->database == MyDatabaseId &&
			(touched_database || list_member_oid(touched_streams, stream->relid)))
			wake_stream(stream);
	}
	database = fs_shared_database(MyDatabaseId, true);
	if (database != NULL)
	{
		database->no_extension = false;
		for (int i = 0; i < FS_DATABASE_WORKERS; i++)
			database->workers[i].not_before = 0;
		if (database->workers[FS_EXPORT_WORKER].latch != NULL)
			SetLatch(database->workers[FS_EXPORT_WORKER].latch);
	}
	fs_launcher_poke();
	LWLockRelease(fs_shared->lock);
}

/*
 * Transactions end here: commit wakes, all forget.  Touches would not survive
 * PREPARE, so that is refused.
 */
static void
finish_transaction_cb(XactEvent event, void *arg)
{
	if (touched_streams == NIL && !touched_database)
		return;
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot prepare a transaction that has changed streams or feature views")));
			break;
		case XACT_EVENT_COMMIT:
			wake_touched();
			break;
		case XACT_EVENT_ABORT:
			break;
		default:
			return;
	}
	touched_streams = NIL;
	touched_database = false;
}

void
fs_wakeup_init(void)
{
	RegisterXactCallback(finish_transaction_cb, NULL);
}

/* See wakeup.h. */
void
fs_ddl_touch_stream(Oid relid)
{
	MemoryContext old;

	Assert(OidIsValid(relid));
	fs_require_preload();
	old = MemoryContextSwitchTo(TopTransactionContext);
	touched_streams = list_append_unique_oid(touched_streams, relid);
	MemoryContextSwitchTo(old);
}

void
fs_ddl_touch_database(void)
{
	fs_require_preload();
	touched_database = true;
}
