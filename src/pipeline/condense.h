/*
 * condense.h
 *		Records of states in the place of events; see states.h.
 */
#ifndef FS_PIPELINE_CONDENSE_H
#define FS_PIPELINE_CONDENSE_H

#include "pipeline/shard.h"

/*
 * Puts records in the place of an entity's on-time events of slides that ended
 * after 'after' (exclusive) up to 'until', which must have fired, where that
 * saves memory; events with an index (of arrival) below 'first' stay.  In a
 * transaction.
 */
extern void fs_condense(FsShard *shard, FsView *view, FsEntity *entity, FsTime after, FsTime until, int first);

/* The same for recovery, each time that so many events have come for an entity: windows are not to hold all of them. */
#define FS_CONDENSE_BATCH 512
extern void fs_condense_recovered(FsShard *shard, FsView *view, FsEntity *entity);

#endif							/* FS_PIPELINE_CONDENSE_H */
