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

/* Where the test clock lives in shared memory; NULL before attach. */
extern void fs_clock_attach(pg_atomic_uint64 *test_clock);

/* Now, or what feature_stream.set_test_clock() said; an FsTime (core/value.h) is the same. */
extern TimestampTz fs_clock_now(void);

/* Microseconds since some instant, never set back: how long a step has taken. */
extern int64 fs_clock_monotonic(void);

#endif							/* FS_GROUND_CLOCK_H */
