/*
 * replay.h
 *		Aggregates computed by PostgreSQL's executor over the events of a window.
 *
 * The query of a replay selects the view's replayed aggregates from an
 * ephemeral relation in the place of the stream, without grouping: it is
 * planned once, started once a transaction, and run again (rescanned) for each
 * window.  So it is PostgreSQL's own result by construction, over no events
 * too.
 */
#ifndef FS_PIPELINE_REPLAY_H
#define FS_PIPELINE_REPLAY_H

#include "pipeline/row_state.h"

/* Plans, as the view's owner, into the current memory context; the caller is in a transaction. */
extern struct FsReplay *fs_replay_create(const FsViewDef *view, const FsStreamDef *stream);

/*
 * Computes all replayed aggregates, or the one with index 'only' (-1: all),
 * over events[] in their order into row->results; values are in the current
 * memory context.  Runs as the current user, which the caller has made the
 * view's owner.  Whatever the aggregates raise is thrown.
 */
extern void fs_replay_run(FsRow *row, const FsRingEvent **events, int n, int only);

/* The row of a query as results of aggregates[n], whose column i is; values are copied into the current memory context. */
extern void fs_replay_set_results(FsRow *row, TupleTableSlot *slot, const int *aggregates, int n);

#endif							/* FS_PIPELINE_REPLAY_H */
