/*
 * slice.h
 *		Arithmetic of slices, slides and windows on the event time line.
 *
 * All boundaries are multiples of their span from the Unix epoch (UTC).  A
 * slice is named by its index: the number of whole slices from the epoch to
 * its start.  Window (W, S) is [W - S, W).
 */
#ifndef FS_CORE_SLICE_H
#define FS_CORE_SLICE_H

#include "core/value.h"

/* Greatest multiple of 'span' from the Unix epoch that is <= t. */
static inline FsTime
fs_time_floor(FsTime t, int64_t span)
{
	int64_t		u = t - FS_UNIX_EPOCH;
	int64_t		r = u % span;

	if (r < 0)
		r += span;
	return t - r;
}

/* Least multiple of 'span' that is > t: the first window end that counts an event at t. */
static inline FsTime
fs_time_next(FsTime t, int64_t span)
{
	return fs_time_floor(t, span) + span;
}

/* Least multiple of 'span' that is >= t. */
static inline FsTime
fs_time_ceil(FsTime t, int64_t span)
{
	FsTime		f = fs_time_floor(t, span);

	return f == t ? t : f + span;
}

/* Index of the slice that holds t, and back. */
static inline int64_t
fs_slice_index(FsTime t, int64_t slice)
{
	int64_t		u = t - FS_UNIX_EPOCH;

	return u / slice - (u % slice < 0);
}

static inline FsTime
fs_slice_start(int64_t index, int64_t slice)
{
	return FS_UNIX_EPOCH + index * slice;
}

#endif							/* FS_CORE_SLICE_H */
