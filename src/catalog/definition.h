/*
 * definition.h
 *		Creating, altering and dropping feature views.
 *
 * A feature view <name> is a foreign table of that name (what users select
 * from), another one <name>_live (the same at the newest event), the view
 * <name>_definition (the query), the partitioned table <name>_history with the
 * function <name>_as_of over it, and a row in feature_stream.feature_view.  All
 * of it happens in the caller's transaction, with the rights of the caller.
 */
#ifndef FS_CATALOG_DEFINITION_H
#define FS_CATALOG_DEFINITION_H

#include "postgres.h"

#include "catalog/feature_view_def.h"
#include "catalog/view_request.h"

/*
 * Creates the feature view and returns its definition as fs_view_load would,
 * in the current memory context.  Throws, with nothing left behind but what the
 * transaction's abort removes.
 */
extern FsViewDef *fs_definition_create(FsViewRequest *request);

/*
 * Changes the options of a feature view of the current user's: those that the
 * request gives, and those that 'reset' (which may be NULL) names, to their
 * defaults.  Sets *stream, and returns whether its worker must load the view
 * anew.  In definition_alter.c.
 */
extern bool fs_definition_alter(Oid view, const FsViewRequest *request, ArrayType *reset, Oid *stream);

/*
 * Gives a feature view of the current user's another query, which differs from
 * the one it has in its features alone; NULL: it keeps its query.  Columns of
 * features that are dropped stay in the history unless 'drop_history', which
 * takes those of earlier calls along.  Sets *stream, whose worker must load the
 * view anew.  In definition_query.c.
 */
extern void fs_definition_alter_query(Oid view, const char *query, bool drop_history, Oid *stream);

/*
 * Drops the feature view as the current user, who must own it; its history only
 * when asked.  Throws when other objects depend on it.
 */
extern void fs_definition_drop(const FsViewDef *view, bool drop_history);

/*
 * After ALTER FOREIGN TABLE on the feature view: gives its other objects its
 * name, schema and owner, as the current user, where they had them before.
 * Does nothing when they have them.  In definition_follow.c.
 */
extern void fs_definition_follow(const FsViewDef *view);

/*
 * Removes what the extension knows of a feature view whose foreign table is
 * gone, its as-of function, <view>_live and its definition view, unless they are gone too.
 * May be called twice.
 */
extern void fs_definition_forget(Oid view, Oid definition);

/*
 * One creator or changer at a time until the transaction ends: names and keys
 * are checked against those of the other feature views.
 */
extern void fs_definition_lock(void);

/* Ties the foreign table to its online server, if it has one. */
extern void fs_definition_depend_on_server(const FsViewDef *view);

/* Throws unless the current user may read the stream. */
extern void fs_definition_check_right(const FsStreamDef *stream);

/* The checks of create_feature_view's arguments, in definition_check.c. */

/* Throws unless the text is exactly one SELECT. */
extern void fs_definition_check_query(const char *query);

/* Sets windows and emission of 'view' from the request.  Throws for values that cannot be. */
extern void fs_definition_check_arguments(FsViewDef *view, FsViewRequest *request);

/* What the word means.  Throws for others. */
extern FsOnEmpty fs_definition_check_on_empty(const char *word);

/* Throws unless the stream's source can be read again from where the request says. */
extern void fs_definition_check_backfill(const FsViewRequest *request, const FsStreamDef *stream);

/*
 * Checks online server and key of the compiled view against the request and
 * the other views of the same server; sets view->online_server and online_key,
 * and request->online_key to the default when there is none.
 */
extern void fs_definition_check_online(FsViewDef *view, FsViewRequest *request);

#endif							/* FS_CATALOG_DEFINITION_H */
