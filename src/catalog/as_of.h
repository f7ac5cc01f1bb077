/*
 * as_of.h
 *		The function <view>_as_of of a feature view: the row that was in force at a time.
 */
#ifndef FS_CATALOG_AS_OF_H
#define FS_CATALOG_AS_OF_H

#include "catalog/feature_view_def.h"

/* Suffix of the function's name. */
#define FS_AS_OF_SUFFIX "_as_of"

/*
 * Creates the function in the view's schema as the current user, and records it
 * in the view's row of feature_stream.feature_view, which must be there.  The
 * view must have a history.  Throws as CREATE FUNCTION does.
 */
extern void fs_as_of_create(const FsViewDef *view, const FsStreamDef *stream);

/* The function of a feature view; InvalidOid when there is none, or it was renamed. */
extern Oid	fs_as_of_find(Oid view);

/* Enters the function's name into the registry, by which it is found. */
extern void fs_as_of_record_name(Oid view, const char *name);

/*
 * Drops the function of a feature view if there is one, whoever asks: the
 * caller has checked that.  Throws when other objects depend on it.
 */
extern void fs_as_of_drop(Oid view);

#endif							/* FS_CATALOG_AS_OF_H */
