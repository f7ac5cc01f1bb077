/*
 * clock.c
 *		The wall clock, or the test clock in shared memory; see clock.h.
 *
 * The test clock is an atomic that any process may read and only
 * feature_stream.set_test_clock() writes.
 */
#include "postgres.h"

#include "portability/instr_time.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "ground/clock.h"

static pg_atomic_uint64 *shared_test_clock = NULL;

#ifdef FS_FAULTS
/* feature_stream.first_clock; see fs_clock_first. */
static double first_clock = 0;

/* Defines feature_stream.first_clock. */
void
fs_clock_define(void)
{
	DefineCustomRealVariable("feature_stream.first_clock",
							 "Test clock of a server that starts, in seconds since 1970; 0 for none.",
							 NULL, &first_clock, 0, 0, 1e11, PGC_SIGHUP, GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL,
							 NULL, NULL, NULL);
}

uint64
fs_clock_first(void)
{
	if (first_clock == 0)
		return 0;
	return (uint64) ((int64) ((first_clock - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * 86400.0) * 1e6));
}
#endif							/* FS_FAULTS */

void
fs_clock_attach(pg_atomic_uint64 *test_clock)
{
	shared_test_clock = test_clock;
}

TimestampTz
fs_clock_now(void)
{
	uint64		test = shared_test_clock ? pg_atomic_read_u64(shared_test_clock) : 0;

	return test != 0 ? (TimestampTz) test : GetCurrentTimestamp();
}

int64
fs_clock_monotonic(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MICROSEC(now);
}
