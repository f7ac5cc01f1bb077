/*
 * partition.h
 *		Upkeep of tables partitioned by time: create ahead, drop after retention.
 *
 * Partitions are made as plain tables and attached (SHARE UPDATE EXCLUSIVE on
 * the parent: writers and readers go on), and detached CONCURRENTLY before they
 * are dropped, each in a transaction of its own with a lock timeout; never
 * inside a checkpoint.
 */
#ifndef FS_OFFLINE_PARTITION_H
#define FS_OFFLINE_PARTITION_H

#include "postgres.h"

#include "core/value.h"

/* Widths of the partitions we make. */
#define FS_LOG_PARTITION_SPAN (INT64_C(3600) * FS_USEC_PER_SEC)	/* below event_log_<oid>: by slice */
#define FS_HISTORY_PARTITION_SPAN FS_USEC_PER_DAY	/* <view>_history: by window_end */
#define FS_DEAD_LETTER_PARTITION_SPAN FS_USEC_PER_DAY	/* dead_letter: by recorded_at */

/*
 * Makes sure that 'parent' (range partitioned by one timestamptz column) has a
 * partition of width 'span' (microseconds, partitions begin at multiples of it
 * from the Unix epoch) for every one of the 'n' instants.  Runs inside the
 * caller's transaction; throws lock_not_available when it had to wait longer
 * than feature_stream's lock timeout (1 s).  Returns how many were created, or
 * attached again because their detach had been interrupted.
 */
extern int	fs_partition_ensure(Oid parent, int64 span, const FsTime *instants, int n);

/*
 * True when all of the instants have a partition that takes rows; cheap, for
 * the checkpoint's path.  Needs a snapshot.
 */
extern bool fs_partition_exists_for(Oid parent, const FsTime *instants, int n);

/*
 * Detaches concurrently and drops every partition of 'parent' whose upper
 * bound is <= 'before', finishing all interrupted detaches first.  Must be called
 * outside a transaction, in a process that may run utility commands as top
 * level (the export worker); starts and commits its own.  Returns how many
 * were dropped; a partition it could not lock in time is left for next time.
 */
extern int	fs_partition_drop_before(Oid parent, FsTime before);

#endif							/* FS_OFFLINE_PARTITION_H */
