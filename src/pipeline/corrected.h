/*
 * corrected.h
 *		Corrections that recovery meets in the log.
 *
 * An event that came back with corrections (correction.h) is in the log as if it
 * had come in time; but rows that were fired without it became known with it.
 * Recovery leaves their stamps alone until all other events have been met, and
 * then has the corrections make theirs, in their order.
 */
#ifndef FS_PIPELINE_CORRECTED_H
#define FS_PIPELINE_CORRECTED_H

#include "pipeline/correction.h"

typedef struct FsCorrectedEvents FsCorrectedEvents;

/* Reads feature_stream.correction, into shard->batch; NULL when the stream has none.  In a transaction. */
extern FsCorrectedEvents *fs_corrected_load(FsShard *shard);

/*
 * An event of the log counts in view 'v', and its entity is in memory: if it is
 * a correction, notes that and returns what it says; else NULL.
 */
extern const FsCorrected *fs_corrected_meet(FsCorrectedEvents *events, int v, const FsEventMeta *meta, FsHandle entity);

/* Tells the rows in force of the corrections that were met. */
extern void fs_corrected_stamp(FsShard *shard, FsCorrectedEvents *events);

#endif							/* FS_PIPELINE_CORRECTED_H */
