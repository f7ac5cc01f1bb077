/*
 * definition_objects.h
 *		The relations, comments and registry row of a new feature view.
 */
#ifndef FS_CATALOG_DEFINITION_OBJECTS_H
#define FS_CATALOG_DEFINITION_OBJECTS_H

#include "nodes/parsenodes.h"

#include "catalog/feature_view_def.h"
#include "catalog/view_request.h"

/* Suffixes of the names of a feature view's other relations: query, history, foreign table that reads the newest windows. */
#define FS_DEFINITION_SUFFIX "_definition"
#define FS_HISTORY_SUFFIX "_history"
#define FS_LIVE_SUFFIX "_live"

/*
 * Creates the history table of the given (quoted) name, unless there is to be
 * none, and the foreign tables, whose Oids go to view->relid and view->live.
 * All belong to the current user.
 */
extern void fs_objects_create(FsViewDef *view, const FsStreamDef *stream, const char *history_name);

/*
 * Enters the view into feature_stream.feature_view, and comments on everything
 * that was made.  'query' is the definition's.
 */
extern void fs_objects_register(const FsViewDef *view, const FsStreamDef *stream, Query *query,
								const FsViewRequest *request);

#endif							/* FS_CATALOG_DEFINITION_OBJECTS_H */
