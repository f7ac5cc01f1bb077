/*
 * states.h
 *		Aggregates over parts of a window's events: states that are stored and combined.
 *
 * Of a view that is condensed, rings hold events and, in the place of many of
 * one slide, a record: a blob with the transition states of the view's
 * aggregates over them.  States are made and combined by PostgreSQL's executor,
 * as it does for parallel queries (partial aggregation: nodeAgg.c), so what
 * initial values, strictness, FILTER and polymorphic types mean is its own.
 * condense.c decides which events give way to a record.
 */
#ifndef FS_PIPELINE_STATES_H
#define FS_PIPELINE_STATES_H

#include "access/htup.h"

#include "pipeline/row_state.h"

/* What it takes, in the current memory context; 'row' has its columns. */
extern struct FsStates *fs_states_create(FsRow *row);

/* Is an event of the ring a record of states? */
static inline bool
fs_states_is_record(const FsViewDef *view, const FsRingEvent *event)
{
	Assert(view->is_condensed);
	return !event->cells[view->nkept].isnull;
}

/* Is there one among these events? */
extern bool fs_states_found(const FsRow *row, const FsRingEvent **events, int n);

/*
 * The states of all aggregates over events[n], which are no records, as bytes
 * for a blob (fs_states_seed()) in the current memory context.  Runs as the
 * current user, which the caller has made the view's owner, in a transaction
 * with a snapshot.  Whatever the aggregates raise is thrown.
 */
extern MinimalTuple fs_states_make(FsRow *row, const FsRingEvent **events, int n);

/* What blobs of these states begin their check with; known when states were made. */
extern uint32 fs_states_seed(const FsRow *row);

/*
 * Computes all aggregates, or the one with index 'only' (-1: all), over events
 * and records into row->results, as fs_replay_run() does for events; may set
 * row->stale.
 */
extern void fs_states_compute(FsRow *row, const FsRingEvent **events, int n, int only);

#endif							/* FS_PIPELINE_STATES_H */
