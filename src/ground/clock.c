/*
 * clock.c
 *		The wall clock, or the test clock in shared memory; see clock.h.
 *
 * The test clock is an atomic that any process may read and only
 * feature_stream.set_test_clock() writes.
 */
#include "postgres.h"

#include "portability/instr_time.h"
#include "utils/timestamp.h"

#include "ground/clock.h"

static pg_atomic_uint64 *shared_test_clock = NULL;

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
