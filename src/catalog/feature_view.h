/*
 * feature_view.h
 *		Feature views, loaded and compiled.
 */
#ifndef FS_CATALOG_FEATURE_VIEW_H
#define FS_CATALOG_FEATURE_VIEW_H

#include "catalog/feature_view_def.h"
#include "catalog/stream.h"

struct Query;

/*
 * Loads and compiles one feature view, or all views of a stream (a List of
 * FsViewDef, in order of relid), into the current memory context.  Throws when
 * the definition is broken.  The caller is in a transaction.
 */
extern FsViewDef *fs_view_load(Oid relid);
extern List *fs_view_list(Oid stream);

/* The analyzed query of a definition view, copied.  Throws when there is no such view. */
extern struct Query *fs_view_query(Oid definition);

/* The feature view whose table <view>_live this relation is; InvalidOid when it is none. */
extern Oid	fs_view_of_live(Oid relid);

/* The table <view>_live of a feature view; InvalidOid when there is none. */
extern Oid	fs_view_live(Oid view);

/*
 * Compiles the Query of a definition view into view->entity ... view->where;
 * view->owner is set already.
 * Throws with what, why and a hint for every shape that is not accepted.
 */
extern void fs_view_compile(FsViewDef *view, struct Query *query, const FsStreamDef *stream);

#endif							/* FS_CATALOG_FEATURE_VIEW_H */
