/*
 * view_cache.h
 *		Definitions of feature views as a reading backend needs them.
 *
 * Compiling a definition costs many times what a key look-up does, so each
 * backend keeps the compiled ones until a catalog invalidation or the streams'
 * generations say that they may have changed.
 */
#ifndef FS_SQL_VIEW_CACHE_H
#define FS_SQL_VIEW_CACHE_H

#include "access/attnum.h"

#include "catalog/feature_view.h"
#include "state/ring.h"

typedef struct FsViewEntry
{
	/* Info; never changes */
	FsViewDef  *view;
	FsStreamDef *stream;
	FsRingLayout layout;
	uint32		signature;		/* of the layout, to be compared with the worker's */
	AttrNumber *attnums;		/* where the view's columns are, by their order in the definition ... */
	AttrNumber *live_attnums;	/* ... and those of <view>_live, if there is one */

	/* Upkeep; view_cache.c only */
	Oid			relid;
	uint64		generation;		/* of all definitions when this was loaded */
	bool		is_valid;
	int			pins;
	MemoryContext context;
} FsViewEntry;

/*
 * The definition of a feature view, or of that whose table <view>_live 'relid'
 * is, compiled now or before.  Throws what
 * fs_view_load() and fs_stream_load() throw.  Without a pin the entry lives
 * until the next call or the next catalog access, whichever is sooner.
 */
extern const FsViewEntry *fs_view_cache_get(Oid relid);

/* The same, living at least as long as 'context'. */
extern const FsViewEntry *fs_view_cache_pin(Oid relid, MemoryContext context);

#endif							/* FS_SQL_VIEW_CACHE_H */
