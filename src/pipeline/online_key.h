/*
 * online_key.h
 *		The online key of an entity, rendered from its template.
 */
#ifndef FS_PIPELINE_ONLINE_KEY_H
#define FS_PIPELINE_ONLINE_KEY_H

#include "pipeline/shard.h"

/* The key of an entity's values (in the order of view->entity) by a template's parts; in the current context. */
extern char *fs_online_key_of_values(const FsViewDef *view, const struct FsKeyPart *parts, int nparts,
									 const Datum *values, uint32 *len);

/* The key of an entity in the view's online store, values percent-escaped; in the current context. */
extern char *fs_online_key_render(const FsShard *shard, const FsView *view, const FsEntity *entity, uint32 *len);

#endif							/* FS_PIPELINE_ONLINE_KEY_H */
