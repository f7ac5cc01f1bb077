/*
 * clock.h
 *		The one wall clock of the extension.
 *
 * All decisions that depend on "now" (arrival clock, idleness, expiry) ask
 * fs_clock_now(), so that tests can set it.  Timers and back-off use the real
 * clock.
 */
#ifndef FS_GROUND_CLOCK_H
#define FS_GROUND_CLOCK_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "port/atomics.h"

/*
 * The test clock that shared memory begins with, so that workers that start
 * after a crash have it at once; 0 for none.  A setting of builds for tests.
 */
#ifdef FS_FAULTS
extern void fs_clock_define(void);
extern uint64 fs_clock_first(void);
#else
#define fs_clock_define() ((void) 0)
#define fs_clock_first() UINT64CONST(0)
#endif

/* Where the test clock lives in shared memory; NULL before attach. */
extern void fs_clock_attach(pg_atomic_uint64 *test_clock);

/* Now, or what feature_stream.set_test_clock() said; an FsTime (core/value.h) is the same. */
extern TimestampTz fs_clock_now(void);

/* Microseconds since some instant, never set back: how long a step has taken. */
extern int64 fs_clock_monotonic(void);

#endif							/* FS_GROUND_CLOCK_H */
