/*
 * alteration.h
 *		Features that are added to a feature view: their columns of rows that the history has.
 *
 * alter_feature_view() says in feature_stream.view_alteration which features a
 * definition has first.  The ingest worker that loads it writes down the last
 * window end that may have been fired without them, and fires with them from
 * there on.  The columns of the rows up to that one are a function of the log;
 * the backfill worker fills them in steps, each one transaction that updates
 * the rows of a stretch of window ends and moves the cursor behind them.
 */
#ifndef FS_PIPELINE_ALTERATION_H
#define FS_PIPELINE_ALTERATION_H

#include "pipeline/backfill.h"

struct FsShard;
struct FsView;

/*
 * Meets the alterations that the view's definition, as it was loaded, contains.
 * By recovery, after the epoch was raised; SPI is connected.
 */
extern void fs_alterations_meet(const struct FsShard *shard, const struct FsView *view);

/*
 * Does the next step for the columns of backfill->alteration, in a transaction
 * of its own.  Throws what comes in the way; the steps before stand, and the
 * step can be tried again.
 */
extern void fs_alteration_step(FsBackfill *backfill);

/* Notes why columns could not be filled, for users.  In a transaction of its own. */
extern void fs_alteration_note_error(const FsBackfill *backfill, const char *message);

#endif							/* FS_PIPELINE_ALTERATION_H */
