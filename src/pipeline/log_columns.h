/*
 * log_columns.h
 *		Events of the log by the columns that their stream has now.
 *
 * A segment has the columns of the contract that its events were read by, named
 * by number.  Those that the stream no longer has are left out; those that it got
 * later have the value that was recorded when they were added.
 */
#ifndef FS_PIPELINE_LOG_COLUMNS_H
#define FS_PIPELINE_LOG_COLUMNS_H

#include "catalog/stream_def.h"
#include "core/segment.h"

typedef struct FsLogColumns FsLogColumns;

/* For the segments of a stream, in the current memory context; inside a transaction. */
extern FsLogColumns *fs_log_columns_create(const FsStreamDef *stream);

/* Prepares for a segment: sets values[] (by stream column) where it has none. */
extern void fs_log_columns_begin(FsLogColumns *columns, FsSegmentReader *segment, FsValue *values);

/* fs_segment_next() for that segment, into the same values[]. */
extern FsSegmentStatus fs_log_columns_next(FsLogColumns *columns, FsSegmentReader *segment,
										   FsEventMeta *meta, FsValue *values);

#endif							/* FS_PIPELINE_LOG_COLUMNS_H */
