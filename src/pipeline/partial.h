/*
 * partial.h
 *		Partial aggregates: what rings of a sliced view keep of one entity and slide.
 *
 * A record is an event to everybody else: its time is the beginning of the
 * last slice of the slide, its cells are the states of the view's aggregates in turn.  Records of
 * the same slide may be several; they add up.
 */
#ifndef FS_PIPELINE_PARTIAL_H
#define FS_PIPELINE_PARTIAL_H

#include "pipeline/row_state.h"
#include "pipeline/shard.h"

/* How the records of a sliced view are stored. */
extern void fs_partial_layout(FsRingLayout *layout, const FsViewDef *view);

/* The partial aggregates of one event. */
extern void fs_partial_of_event(const FsView *view, const FsValue *values, FsCell *cells);

/* Adds 'from' to 'into'; false, with 'into' spoilt, when a sum would overflow its cell.  'arg' is the FsViewDef. */
extern bool fs_partial_merge(void *arg, FsCell *into, const FsCell *from);

/* The aggregate over the records of a window. */
extern Datum fs_partial_compute(FsRow *row, const FsAggregate *aggregate,
								const FsRingEvent **records, int n, bool *isnull);

#endif							/* FS_PIPELINE_PARTIAL_H */
