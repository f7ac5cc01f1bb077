/*
 * segment.h
 *		The event log's file format: events of one slice, since one checkpoint.
 *
 * A segment is a self-contained, immutable byte string: a header (magic,
 * version, columns with their numbers and types, counts, CRC-32C over all the
 * rest) and one byte stream per column.  It holds every accepted event with its
 * event time, partition, offset, xid (streams that read a table), arrival
 * clock, late bound and declared columns, in order of arrival.
 */
#ifndef FS_CORE_SEGMENT_H
#define FS_CORE_SEGMENT_H

#include "core/value.h"

/* A declared column, as the segment's header records it. */
typedef struct FsSegmentColumn
{
	int16_t		number;			/* attribute number in the stream: survives renames */
	FsType		type;
} FsSegmentColumn;

/* What the log keeps of one event besides its columns. */
typedef struct FsEventMeta
{
	FsTime		event_time;
	FsTime		arrival;		/* arrival clock */
	FsTime		late_bound;		/* counts only in windows that end after this; FS_TIME_MIN = on time */
	int32_t		partition;
	int64_t		offset;
	uint64_t	xid;			/* 0 for Kafka */
} FsEventMeta;

typedef enum FsSegmentStatus
{
	FS_SEGMENT_OK = 0,
	FS_SEGMENT_END,				/* no more events */
	FS_SEGMENT_NO_MEMORY,
	FS_SEGMENT_CORRUPT			/* CRC, magic, version or a length is wrong */
} FsSegmentStatus;

typedef struct FsSegmentWriter FsSegmentWriter;
typedef struct FsSegmentReader FsSegmentReader;

/* Makes a writer for the slice that begins at 'slice_start'; NULL when memory is out. */
extern FsSegmentWriter *fs_segment_writer_create(FsTime slice_start, const FsSegmentColumn *columns, int ncolumns);
extern void fs_segment_writer_free(FsSegmentWriter *writer);

/*
 * Appends one event.  values[] has one entry per column; FS_ABSENT is stored
 * as FS_NULL.  Byte values are copied.
 */
extern FsSegmentStatus fs_segment_append(FsSegmentWriter *writer, const FsEventMeta *meta, const FsValue *values);

extern int64_t fs_segment_count(const FsSegmentWriter *writer);

/* Bytes the segment would have, about. */
extern size_t fs_segment_size(const FsSegmentWriter *writer);

/* Bytes of memory the writer holds, about: for the bound on pending log. */
extern size_t fs_segment_memory(const FsSegmentWriter *writer);

/*
 * Renders the segment.  *bytes points into the writer's memory and is valid
 * until the next call on this writer.
 */
extern FsSegmentStatus fs_segment_finish(FsSegmentWriter *writer, const char **bytes, size_t *len);

/*
 * Opens a segment for reading: checks magic, version, CRC and all lengths.  On
 * success *reader must be freed.  'bytes' must outlive the reader.
 */
extern FsSegmentStatus fs_segment_reader_open(const char *bytes, size_t len, FsSegmentReader **reader);
extern void fs_segment_reader_free(FsSegmentReader *reader);

extern FsTime fs_segment_reader_slice(const FsSegmentReader *reader);
extern int	fs_segment_reader_columns(const FsSegmentReader *reader, const FsSegmentColumn **columns);
extern int64_t fs_segment_reader_count(const FsSegmentReader *reader);

/*
 * Reads the next event: *meta and values[] (one per column of the segment, in
 * the segment's column order; FS_PRESENT or FS_NULL).  Byte values point into
 * the segment (or the reader) and live until the reader is freed.
 */
extern FsSegmentStatus fs_segment_next(FsSegmentReader *reader, FsEventMeta *meta, FsValue *values);

#endif							/* FS_CORE_SEGMENT_H */
