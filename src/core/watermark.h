/*
 * watermark.h
 *		What a partition knows about event time, and when windows may end.
 *
 * A partition's watermark is its greatest accepted event time less the delay,
 * but never beyond the arrival clock less the delay, and it never falls.  The
 * shard's watermark is the least over the partitions that are not left out.
 */
#ifndef FS_CORE_WATERMARK_H
#define FS_CORE_WATERMARK_H

#include "core/value.h"

typedef struct FsPartitionClock
{
	FsTime		watermark;		/* FS_TIME_MIN: no event yet */
	FsTime		last_event_time;	/* greatest accepted; FS_TIME_MIN: none */
	FsTime		last_arrival;	/* when the last record came; FS_TIME_MIN: none */
	bool		idle;			/* read to the end, nothing came for idle_after */
} FsPartitionClock;

/* Notes an accepted event. */
static inline void
fs_watermark_observe(FsPartitionClock *clock, FsTime event_time, FsTime arrival, int64_t delay)
{
	FsTime		bound = event_time < arrival ? event_time : arrival;

	if (event_time > clock->last_event_time)
		clock->last_event_time = event_time;
	if (bound - delay > clock->watermark)
		clock->watermark = bound - delay;
}

/*
 * Is the partition idle at 'now'?  'at_end' says that everything the peer has
 * was read; 'since' is when that, or the last record, was seen.
 */
static inline bool
fs_watermark_is_idle(const FsPartitionClock *clock, bool at_end, FsTime since, FsTime now, int64_t idle_after)
{
	return at_end && since != FS_TIME_MIN && now - since >= idle_after;
}

#endif							/* FS_CORE_WATERMARK_H */
