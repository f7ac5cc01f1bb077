/*
 * correction_state.h
 *		What the files of correction_rows.h share: one step at work.
 */
#ifndef FS_PIPELINE_CORRECTION_STATE_H
#define FS_PIPELINE_CORRECTION_STATE_H

#include "postgres.h"

#include "pipeline/backfill.h"
#include "pipeline/batch.h"
#include "pipeline/history_writer.h"

/* One correction of the step. */
typedef struct FsCorrectionLetter
{
	/* Info */
	FsBatchKey	entity;
	int32		partition;
	int64		offset;
	FsTime		recorded_at;
	FsTime		event_time;
	FsTime		known_at;
	FsTime		complete_from;	/* FS_TIME_MIN: all rows are complete */

	/* Window ends that count the event, as far as they are to be written: first .. last */
	FsTime		first;
	FsTime		last;			/* fired without it */
	FsTime		leave;			/* the event is in no window any more */
	FsTime		lost_upto;		/* the log does not reach back to these; FS_TIME_MIN: it does */
	int64		nrows;			/* written */
} FsCorrectionLetter;

/* One step at work; in its transaction's memory. */
typedef struct FsCorrectionStep
{
	FsViewDef  *view;
	FsStreamDef *stream;
	FsCorrectionLetter *letters;	/* entity by entity, each one's in the order of known_at */
	int			nletters;
	FsBatchKey *keys;			/* of the entities, sorted */
	int		   *first_letter;	/* of each of these */
	int			nkeys;
	FsTime		first;			/* window ends to be looked at; none when first > last */
	FsTime		last;
	AttrNumber *attnums;
	FsHistoryWriter *writer;
	char	   *lookup;			/* query: what the history has of (entity, window end) */
	Oid		   *lookup_types;
	List	   *lookup_settings;	/* under which it runs: name, value */
} FsCorrectionStep;

/*
 * correction_plan.c: reads and plans a step, in the current memory context; NULL
 * when there is nothing to do now.  In a transaction, which then has the view
 * locked.
 */
extern FsCorrectionStep *fs_correction_begin(const FsBackfill *backfill);

/* The days of the history that the step's window ends are of, palloc'd; returns their number. */
extern int	fs_correction_days(const FsCorrectionStep *step, FsTime **days);

#endif							/* FS_PIPELINE_CORRECTION_STATE_H */
