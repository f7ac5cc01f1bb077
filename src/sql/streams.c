/*
 * streams.c
 *		pause_stream, resume_stream and checkpoint_stream.
 *
 * For the owner of the stream.  Pausing is a row, seen by workers at commit;
 * asking for a checkpoint is a counter in shared memory, seen at once.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/wait_event.h"

#include "catalog/extension.h"
#include "catalog/feature_view.h"
#include "catalog/stream.h"
#include "catalog/stream_state.h"
#include "pipeline/stuck.h"
#include "sql/arguments.h"
#include "state/shared.h"
#include "worker/wakeup.h"

PG_FUNCTION_INFO_V1(fs_pause_stream);
PG_FUNCTION_INFO_V1(fs_resume_stream);
PG_FUNCTION_INFO_V1(fs_checkpoint_stream);

/* How often the counter of finished checkpoints is looked at, in milliseconds. */
#define POLL_INTERVAL 10

/* After so many looks the request is repeated. */
#define REQUEST_INTERVAL 50

/* pause_stream(stream regclass) returns void */
Datum
fs_pause_stream(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);

	fs_argument_own_stream(relid);
	fs_stream_state_pause(relid, true);
	fs_ddl_touch_stream(relid);
	PG_RETURN_VOID();
}

/* resume_stream(stream regclass) returns void */
Datum
fs_resume_stream(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);

	fs_argument_own_stream(relid);
	fs_stream_state_resume(relid);
	fs_ddl_touch_stream(relid);
	PG_RETURN_VOID();
}

/* Throws when nothing is there that could make a checkpoint. */
static void
check_consumed(Oid relid)
{
	if (fs_stuck_leave_out(fs_view_list(relid), NULL) == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("stream %s has no feature view", fs_relation_name(relid)),
				 errdetail("Nothing is read from it."),
				 errhint("Create one with feature_stream.create_feature_view().")));
	if (fs_stream_state_is_paused(relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("stream %s is paused", fs_relation_name(relid)),
				 errhint("Resume it with feature_stream.resume_stream().")));
}

/* Asks for a checkpoint and wakes the worker.  0 when the stream has no slot yet, else what to wait for. */
static uint64
request_checkpoint(Oid relid)
{
	FsSharedStream *stream;
	uint64		target = 0;
	bool		has_failed = false;

	LWLockAcquire(fs_shared->lock, LW_SHARED);
	stream = fs_shared_stream(MyDatabaseId, relid, false);
	if (stream != NULL)
	{
		has_failed = stream->stats.state == FS_STREAM_FAILED;
		target = pg_atomic_add_fetch_u64(&stream->checkpoint_requested, 1);
		if (stream->latch != NULL)
			SetLatch(stream->latch);
	}
	LWLockRelease(fs_shared->lock);
	if (has_failed)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("stream %s has failed", fs_relation_name(relid)),
				 errhint("See its last_error in feature_stream.stat_stream.")));
	return target;
}

/* Has the stream's worker answered the request? A stream without a slot has not. */
static bool
is_checkpoint_done(Oid relid, uint64 target)
{
	FsSharedStream *stream;
	bool		is_done;

	Assert(target > 0);
	LWLockAcquire(fs_shared->lock, LW_SHARED);
	stream = fs_shared_stream(MyDatabaseId, relid, false);
	is_done = stream != NULL &&
		pg_atomic_read_u64(&stream->checkpoint_done) >= target;
	LWLockRelease(fs_shared->lock);
	return is_done;
}

/*
 * checkpoint_stream(stream regclass) returns void
 *
 * Waits, whatever the worker is doing, until what it had read at the call is
 * durable.  The request is repeated now and then: a worker that starts while we
 * wait does not see those made before.
 */
Datum
fs_checkpoint_stream(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	uint64		target = 0;

	fs_argument_own_stream(relid);
	check_consumed(relid);
	for (int i = 0; target == 0 || !is_checkpoint_done(relid, target); i++)
	{
		if (i % REQUEST_INTERVAL == 0)
		{
			uint64		request;

			AcceptInvalidationMessages();
			fs_argument_own_stream(relid);	/* it may be dropped meanwhile */
			request = request_checkpoint(relid);
			if (target == 0)
				target = request;
		}
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 POLL_INTERVAL, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	PG_RETURN_VOID();
}
