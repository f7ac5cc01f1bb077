/*
 * recover_stamp.h
 *		Rows in force, found again by recovery.
 *
 * The row in force of an entity is that of the newest window end that was fired
 * for it: the last one, up to the frontier, at which an event entered or left.
 * Events of the log say which window ends these are, feature_stream.firing which
 * of them were fired, and when.
 */
#ifndef FS_PIPELINE_RECOVER_STAMP_H
#define FS_PIPELINE_RECOVER_STAMP_H

#include "pipeline/shard.h"

/* Which window ends a view fired and when they became known. */
typedef struct FsFired FsFired;

/* Those of all views, in shard->batch, an element a view; in a transaction. */
extern FsFired *fs_recover_load_fired(FsShard *shard);

/*
 * Stamps an entity of view 'v' with the window ends at which an event enters and
 * leaves each window, those that were fired with it: after 'after'.
 */
extern void fs_recover_stamp(FsShard *shard, const FsFired *fired, int v, FsEntity *entity,
							 const FsEventMeta *meta, FsTime after);

/*
 * Entities whose events have all gone during a pause: what the online store has
 * of them must go, too.  fs_recover_left_range() tells the slices of the log in
 * which they had events, false: there are none.  Where the store is to get the empty
 * row, the last window end at which something left is looked for in the whole gap,
 * up to 'until_all'.
 *
 * fs_recover_make_left() makes the entity of an event at 'time'.  Publication has
 * its row, which is empty, and removes it.  0 when there is none to be made; *full:
 * memory is out.
 */
extern bool fs_recover_left_range(const FsShard *shard, FsTime until_all, FsTime *from, FsTime *until);
extern FsHandle fs_recover_make_left(FsShard *shard, const FsView *view, FsTime time, const FsFoldKey *key,
									 bool *full);

#endif							/* FS_PIPELINE_RECOVER_STAMP_H */
