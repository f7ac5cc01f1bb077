/*
 * online_key.h
 *		The template of a feature view's keys in the online store.
 *
 * 'user:{user_id}:features' is literal text with the names of the feature
 * view's entity columns in braces; their values are put in percent-escaped
 * (core/percent.h).
 */
#ifndef FS_CATALOG_ONLINE_KEY_H
#define FS_CATALOG_ONLINE_KEY_H

#include "catalog/feature_view_def.h"

/* A piece of a template. */
typedef struct FsKeyPart
{
	char	   *literal;		/* text as it is; NULL when it is a value */
	int			entity;			/* else: index into view->entity */
} FsKeyPart;

/*
 * Splits a template, palloc'd.  Throws unless it names every entity column of
 * the compiled view, and nothing else, in such a way that different entities
 * have different keys.
 */
extern FsKeyPart *fs_online_key_parse(const FsViewDef *view, const char *key, int *nparts);

/* The template of a view that was given none: name:{entity}:{entity}, palloc'd. */
extern char *fs_online_key_default(const FsViewDef *view);

/* Can two templates make the same key?  Told by their literals; names of entity columns do not matter. */
extern bool fs_online_key_same(const char *a, const char *b);

#endif							/* FS_CATALOG_ONLINE_KEY_H */
