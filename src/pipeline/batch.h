/*
 * batch.h
 *		Rows of a feature view computed in PostgreSQL's own executor from the event log.
 *
 * The other way to the same rows: nothing here looks at shared memory or at the
 * engine's aggregates.  Which rows there are follows from the log's events
 * alone, and their features from the view's query run over the events of each
 * window.  For verify_feature_view, which holds the two ways against each
 * other, and preview_feature_view, which has only this one.
 *
 * All reads of one caller see one snapshot: the active one.
 */
#ifndef FS_PIPELINE_BATCH_H
#define FS_PIPELINE_BATCH_H

#include "postgres.h"

#include "pipeline/batch_state.h"

/* Which rows are wanted. */
typedef enum FsBatchChoice
{
	FS_BATCH_EMITTED,			/* as fired: an event entered or left (emit 'every_slide': or there are any) */
	FS_BATCH_NEWEST,			/* of those the last one of each entity */
	FS_BATCH_STANDING			/* of each entity with events in its longest window */
} FsBatchChoice;

/* Window ends from 'first' to 'last', both multiples of the slide. */
typedef struct FsBatchRange
{
	FsTime		first;
	FsTime		last;
	int64		grid;			/* only multiples of this; 0: all */
	double		sample;			/* share of the entities, by the hash of their keys; 1: all */
	const FsBatchKey *keys;		/* sorted: these alone; NULL: those of the sample */
	int			nkeys;
	FsBatchChoice choice;
} FsBatchRange;

/* A row; it lives during the call. */
typedef struct FsBatchRow
{
	const Datum *entity;		/* nentity values, in the order of the view's columns */
	FsTime		window_end;
	bool		is_empty;		/* no event in the longest window */
	FsTime		empties_at;		/* window end at which the last event known leaves the longest window */
	const Datum *values;		/* nfeatures values, in the order of the view's columns */
	const bool *nulls;
} FsBatchRow;

/* False: enough. */
typedef bool (*FsBatchVisitor) (void *arg, const FsBatchRow *row);

/*
 * Prepares a batch in the current memory context.  'query' is the analyzed
 * query that 'view' was compiled from; expressions run as 'run_as' under the
 * view's settings.
 */
extern FsBatch *fs_batch_create(const FsViewDef *view, const FsStreamDef *stream,
								Query *query, Oid run_as);

/*
 * Calls 'visit' for each row of the range, in order of entity (the sort order
 * of its columns) and window end.  Reads the log behind the caller's rights;
 * memory is bounded by work_mem and the events of one entity, so long ranges
 * are for fs_batch_part.
 */
extern void fs_batch_rows(FsBatch *batch, const FsBatchRange *range,
						  FsBatchVisitor visit, void *arg);

/* Last window end of a part of first .. last that is done at one go. */
extern FsTime fs_batch_part(const FsBatch *batch, FsTime first, FsTime last);

/* Is the entity with these values in the sample? */
extern bool fs_batch_in_sample(const FsBatch *batch, double sample, const Datum *entity);

/* What the tables say about the window ends that a batch can compute. */
typedef struct FsBatchCover
{
	FsTime		frontier;		/* last window end fired and committed; FS_TIME_MIN: none */
	FsTime		log_from;		/* the log has every event accepted from here on */
	bool		log_complete;	/* it has every event ever accepted */
	bool		is_paused;		/* the view; it has fired up to ... */
	FsTime		paused_after;	/* ... this; FS_TIME_MIN: never */
	FsTime		fired_after;	/* the history is whole after this window end; FS_TIME_MIN: from the first */
} FsBatchCover;

/* Reads it; 'view' is InvalidOid for one that does not exist. */
extern void fs_batch_cover(Oid stream, Oid view, FsBatchCover *cover);

/* The first window end whose windows the log covers as a whole. */
extern FsTime fs_batch_reach(const FsViewDef *view, const FsBatchCover *cover);

/*
 * First and last window end that the log covers and that were fired; false
 * when there is none.
 */
extern bool fs_batch_covered(const FsViewDef *view, const FsBatchCover *cover,
							 FsTime *first, FsTime *last);

#endif							/* FS_PIPELINE_BATCH_H */
