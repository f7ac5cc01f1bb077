/*
 * event_log.h
 *		The tables of segments: feature_stream.event_log, and partial_log.
 *
 * A row is a segment (core/segment.h): the events of one slice that one
 * checkpoint accepted, or a part of them.  Rows are never changed; whole
 * partitions are dropped when no recovery can need them any more.  Older events
 * that were read for one feature view are in feature_stream.backread_log, in
 * the same form, and count in that view alone.
 */
#ifndef FS_STATE_EVENT_LOG_H
#define FS_STATE_EVENT_LOG_H

#include "postgres.h"

#include "core/segment.h"

/* The stream's part of the log (feature_stream.event_log_<oid>), InvalidOid when there is none. */
extern Oid	fs_event_log_relation(Oid stream);

/*
 * Calls 'visit' for each segment of the stream with from <= slice < until, in
 * order of checkpoint, slice and part, inside the current transaction.  The segment's
 * bytes live during the call.  Stops early when 'visit' returns false.
 * 'late_from', if not FS_TIME_MIN: only those that have a late event with such a
 * late bound, or a later one.
 */
typedef bool (*FsSegmentVisitor) (void *arg, FsTime slice, const char *bytes, size_t len);
extern void fs_event_log_scan(Oid stream, FsTime from, FsTime until, FsTime late_from,
							  FsSegmentVisitor visit, void *arg);

/*
 * The same for the events that were read for one feature view beside the log
 * (pipeline/backread.h), once that is done.
 */
extern void fs_event_log_scan_view(Oid view, FsTime from, FsTime until, FsSegmentVisitor visit, void *arg);

/* Bytes of the stream's log within the same bounds. */
extern int64 fs_event_log_size(Oid stream, FsTime from, FsTime until, FsTime late_from);

/*
 * feature_stream.partial_log: a row is a segment whose events are records of a
 * view, those that first count at one window end, or a part of them
 * (pipeline/partial_log.h).
 */
typedef struct FsPartialLogRange
{
	Oid			stream;
	Oid			view;
	int64		layout;
	FsTime		after;			/* window ends behind this */
	FsTime		upto;			/* up to this */
	FsTime		before;			/* and of these the segments that have a record older than this; FS_TIME_MAX: all */
} FsPartialLogRange;

/* The stream's part (feature_stream.partial_log_<oid>), InvalidOid when there is none. */
extern Oid	fs_partial_log_relation(Oid stream);

/* Like fs_event_log_scan(), in order of window end and part; 'visit' is given the window end. */
extern void fs_partial_log_scan(const FsPartialLogRange *range, FsSegmentVisitor visit, void *arg);

extern int64 fs_partial_log_size(const FsPartialLogRange *range);

/* Is nothing of the range missing, whose last window end with records is 'last' (or before the range)? */
extern bool fs_partial_log_is_whole(const FsPartialLogRange *range, FsTime last);

/* The slices a segment could not be read from is data corruption: throws. */
extern void fs_segment_check(FsSegmentStatus status, FsTime slice);

#endif							/* FS_STATE_EVENT_LOG_H */
