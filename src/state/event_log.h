/*
 * event_log.h
 *		The event log's table: feature_stream.event_log.
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
 */
typedef bool (*FsSegmentVisitor) (void *arg, FsTime slice, const char *bytes, size_t len);
extern void fs_event_log_scan(Oid stream, FsTime from, FsTime until, FsSegmentVisitor visit, void *arg);

/*
 * The same for the events that were read for one feature view beside the log
 * (pipeline/backread.h), once that is done.
 */
extern void fs_event_log_scan_view(Oid view, FsTime from, FsTime until, FsSegmentVisitor visit, void *arg);

/* Bytes and first slice of the stream's log within [from, until). */
extern int64 fs_event_log_size(Oid stream, FsTime from, FsTime until, FsTime *first);

/* The slices a segment could not be read from is data corruption: throws. */
extern void fs_segment_check(FsSegmentStatus status, FsTime slice);

#endif							/* FS_STATE_EVENT_LOG_H */
