/*
 * test_clock.c
 *		Setting the clock by which the extension judges arrival, idleness and expiry.
 *
 * For tests only: it holds for the whole cluster until it is set again or the
 * server restarts.  Timers and back-off go on by the real clock.
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/timestamp.h"

#include "state/shared.h"

PG_FUNCTION_INFO_V1(fs_set_test_clock);

/* Wakes all ingest workers, so that they look at the new time at once. */
static void
wake_workers(void)
{
	LWLockAcquire(fs_shared->lock, LW_SHARED);
	for (int i = 0; i < fs_shared->max_streams; i++)
		if (fs_shared->streams[i].pid != 0 && fs_shared->streams[i].latch != NULL)
			SetLatch(fs_shared->streams[i].latch);
	LWLockRelease(fs_shared->lock);
}

/*
 * set_test_clock(timestamptz): NULL goes back to the real clock.  Superusers
 * only, whatever the function's privileges are.
 */
Datum
fs_set_test_clock(PG_FUNCTION_ARGS)
{
	TimestampTz clock = PG_ARGISNULL(0) ? 0 : PG_GETARG_TIMESTAMPTZ(0);

	fs_require_preload();
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to set the test clock")));
	if (TIMESTAMP_NOT_FINITE(clock) || (!PG_ARGISNULL(0) && clock == 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("test clock must be a finite time other than 2000-01-01 00:00:00 UTC"),
				 errhint("NULL goes back to the real clock.")));
	pg_atomic_write_u64(&fs_shared->test_clock, (uint64) clock);
	wake_workers();
	PG_RETURN_VOID();
}
