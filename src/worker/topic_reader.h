/*
 * topic_reader.h
 *		Records of a topic for SELECT on its stream, by a worker of the scan's own.
 *
 * The worker reads each partition that is asked for up to where it ended when the
 * reading began, with a consumer of its own: nothing of the stream's ingestion
 * takes part in it.
 */
#ifndef FS_WORKER_TOPIC_READER_H
#define FS_WORKER_TOPIC_READER_H

#include "postgres.h"

#include "source/source.h"
#include "worker/topic_link.h"

/* Where a partition ends, for this scan. */
typedef struct FsTopicEnd
{
	int32		partition;
	int64		offset;
} FsTopicEnd;

/* What is to be read.  All bounds are inclusive. */
typedef struct FsTopicRequest
{
	bool		headers;		/* are wanted */
	int64		min_partition;
	int64		max_partition;
	bool		some_partitions;	/* only those of 'partitions', too */
	int			npartitions;
	int64	   *partitions;
	int64		min_offset;
	int64		max_offset;
	FsTime		since;			/* nothing before the first record that is not older; FS_TIME_MIN: all */
	int			nends;			/* where partitions ended in an earlier reading of the scan; others: as they do now */
	FsTopicEnd *ends;
} FsTopicRequest;

/* Kinds of messages of this worker. */
#define FS_TOPIC_ENDS		'P'
#define FS_TOPIC_RECORDS	'R'
#define FS_TOPIC_DONE		'D'

/* Starts reading; see fs_topic_link_open(). */
extern FsTopicLink *fs_topic_reader_start(const FsStreamDef *stream, const FsTopicRequest *request);

/* Adds the rest of a message FS_TOPIC_ENDS to the request, palloc'd. */
extern void fs_topic_reader_take_ends(FsCursor *rest, FsTopicRequest *request);

/*
 * Takes the next record of a message FS_TOPIC_RECORDS, which it points into; false
 * when there is none.  'handle' is the JSON of its headers, palloc'd, NULL without.
 */
extern bool fs_topic_reader_take(FsCursor *rest, FsRecord *record);

/* Main function of the worker. */
extern PGDLLEXPORT void fs_topic_reader_main(Datum main_arg);

#endif							/* FS_WORKER_TOPIC_READER_H */
