/*
 * backfill.h
 *		History rows of window ends that a feature view did not fire when they were due.
 *
 * Which these are the ingest worker says, in feature_stream.backfill (gap.c).
 * The rows come from the event log by PostgreSQL's executor (batch.h), as
 * verify_feature_view computes them; so a backfilled row is what the query
 * says, whatever the engine does.  A process of its own does it, beside
 * ingestion, in steps: each is one transaction that writes the rows of a
 * stretch of window ends and moves the cursor behind them.
 */
#ifndef FS_PIPELINE_BACKFILL_H
#define FS_PIPELINE_BACKFILL_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "catalog/feature_view_def.h"
#include "core/value.h"

/* A gap of a view, being filled. */
typedef struct FsBackfill
{
	Oid			view;
	FsTime		until;			/* identifies the gap among the view's */
	int64		alteration;		/* 0; or it is no gap but columns of that alteration: see alteration.h */
	bool		corrections;	/* it is neither, but the view's corrections: see correction_rows.h */
	int64		span;			/* event time that the next step is to cover; 0: not known yet */
	bool		done;			/* or it is no longer there */
} FsBackfill;

/*
 * Is there any gap, or column, to be filled, or a row to be corrected?  *fresh: one that was not tried in vain yet.
 * In the caller's transaction, SPI connected.
 */
extern bool fs_backfill_is_wanted(bool *fresh);

/* The gaps, and columns, to be filled, FsBackfill pointers in the current memory context.  In a transaction of its own. */
extern List *fs_backfill_list(void);

/*
 * Does the next step, in transactions of its own.  Throws what comes in the way
 * (a lock that is not to be had, a segment that does not read); the steps
 * before stand, and the step can be tried again.
 */
extern void fs_backfill_step(FsBackfill *backfill);

/* Notes why a gap could not be filled, for users.  In a transaction of its own. */
extern void fs_backfill_note_error(const FsBackfill *backfill, const char *message);

/* The last window end of the next step, which begins with 'first', not beyond 'end' ... */
extern FsTime fs_backfill_last(FsBackfill *backfill, const FsViewDef *view, FsTime first, FsTime end);

/* ... and how much the one after that is to cover, when this one took so long, in microseconds. */
extern void fs_backfill_adapt(FsBackfill *backfill, const FsViewDef *view, int64 took);

#endif							/* FS_PIPELINE_BACKFILL_H */
