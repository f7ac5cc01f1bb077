/*
 * compile_aggregate.h
 *		Which aggregates a feature view can have.
 */
#ifndef FS_CATALOG_COMPILE_AGGREGATE_H
#define FS_CATALOG_COMPILE_AGGREGATE_H

#include "nodes/primnodes.h"

#include "catalog/feature_view_def.h"

/*
 * Recognises a native aggregate and fills in *aggregate but for name, kept and
 * input_type.  Returns its argument; NULL for count(*).  Throws for every other
 * aggregate and for decorations that are not accepted.
 */
extern Node *fs_compile_aggregate(FsAggregate *aggregate, Aggref *aggref);

/* Throws unless the aggregate can take this column; sets input_type. */
extern void fs_compile_argument(FsAggregate *aggregate, const FsColumn *column);

#endif							/* FS_CATALOG_COMPILE_AGGREGATE_H */
