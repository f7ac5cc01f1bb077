/*
 * stream_bounds.h
 *		Conditions of a query that narrow what is read of a stream's topic.
 *
 * Comparisons of the columns that show partition, offset and timestamp with
 * values that the scan knows when it begins.  They stay quals of the scan.
 */
#ifndef FS_SQL_STREAM_BOUNDS_H
#define FS_SQL_STREAM_BOUNDS_H

#include "postgres.h"

#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"

#include "catalog/stream.h"
#include "worker/topic_reader.h"

typedef struct FsStreamBounds FsStreamBounds;

/* Those of the relation's own conditions that narrow the reading. */
extern List *fs_stream_bounds_choose(const FsStreamDef *stream, RelOptInfo *rel);

/* Prepares the chosen ones, as the plan has them; palloc'd. */
extern FsStreamBounds *fs_stream_bounds_prepare(const FsStreamDef *stream, List *clauses, PlanState *parent);

/*
 * Evaluates them and narrows 'request', whose array of partitions is palloc'd;
 * false when no record can meet them.
 */
extern bool fs_stream_bounds_apply(FsStreamBounds *bounds, ExprContext *econtext, FsTopicRequest *request);

#endif							/* FS_SQL_STREAM_BOUNDS_H */
