/*
 * backread_state.h
 *		What the files backread*.c share.
 */
#ifndef FS_PIPELINE_BACKREAD_STATE_H
#define FS_PIPELINE_BACKREAD_STATE_H

#include "postgres.h"

#include "core/wire_header.h"
#include "pipeline/shard.h"

/* One partition's reading; a row of feature_stream.backread_position. */
typedef struct FsBackreadPartition
{
	int32		id;
	bool		begun;			/* start and next are known */
	bool		durable;		/* and written */
	FsPosition	start;			/* where it began */
	FsPosition	next;			/* where it goes on */
	FsPosition	durable_next;	/* as of the last step */
	FsPosition	stream_start;
	FsPosition	end;			/* records behind it are not read */
	int64		total_count;	/* from start to end; progress only */
	int64		done_count;
	bool		covers_known;	/* covers_all says something: there was something to be read */
	bool		covers_all;		/* it began at the very first record, and none was lost */
	FsTime		covered_from;	/* FS_TIME_MIN: not known */
	FsTime		seen;			/* time of the last event; FS_TIME_MIN: none yet */
	int			index;			/* in source->partitions; -1 */
	bool		assigned;
	bool		parked;			/* waits for the schema of the record at 'next' */
	FsWireHeader parked_for;
} FsBackreadPartition;

/* A reading at work; all in 'context'. */
typedef struct FsBackread
{
	/* Info */
	MemoryContext context;
	Oid			view;
	uint64		generation;		/* of the stream's definition */
	FsShard    *shard;			/* stateless, with the one view; its pending set takes the events */
	FsTime		cut;			/* FS_TIME_MIN: the log was whole */
	FsSource   *source;
	struct FsWanted *wanted;	/* NULL: the stream has no registry */
	int			npartitions;
	FsBackreadPartition *partitions;

	/* The step at hand */
	int64		step;
	int64		begun;			/* monotonic */
	int			batches;
	bool		dirty;			/* there is something to write */
	int64		read_count;
	int64		refused_count;
	int64		lost_count;
	char	   *example;		/* of a refused record; NULL: none */

	/* Batch */
	FsRecord   *records;
	FsEvent    *events;
} FsBackread;

/*
 * backread_write.c: loads a reading, without its source, into the current memory
 * context; NULL when there is nothing to be read for the view.  In a transaction.
 */
extern FsBackread *fs_backread_load(Oid view);

/*
 * Writes what was read since the last step, in a transaction of its own, with
 * the offsets behind it; false when the view is gone.  'all': nothing is left
 * to be read.
 */
extern bool fs_backread_write(FsBackread *backread, bool all);

/*
 * backread_schemas.c: gets ready to ask the stream's registry, if it has one, in
 * the current memory context.  Throws for want of resources.
 */
extern void fs_backread_open_schemas(FsBackread *backread);

/*
 * How many of the first 'n' polled records can be decoded: all, or those before
 * the first whose schema is not known.  The partition is parked at that one, to
 * which the source goes back.
 */
extern int	fs_backread_screen(FsBackread *backread, FsBackreadPartition *partition, int n);

/* Asks the registry, and lets partitions go on which have what they waited for.  Not in a transaction; never waits. */
extern void fs_backread_ask(FsBackread *backread);

/* Waits until the source or the registry has something, or not long. */
extern void fs_backread_wait(FsBackread *backread);

/*
 * What keeps the reading from going on, as a sentence; NULL: nothing.  'stands':
 * nothing was read for a while.
 */
extern const char *fs_backread_explain(const FsBackread *backread, bool stands);

#endif							/* FS_PIPELINE_BACKREAD_STATE_H */
