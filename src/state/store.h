/*
 * store.h
 *		The root of a stream's state in the arena: where readers begin.
 *
 * Made by the ingest worker when it has recovered, pointed to by
 * FsSharedStream.root, written by that worker alone.  A reader takes the root's
 * handle, works, and takes the result only if the handle and the entity's
 * sequence have not moved.
 */
#ifndef FS_STATE_STORE_H
#define FS_STATE_STORE_H

#include "port/atomics.h"

#include "state/dictionary.h"
#include "state/entity.h"
#include "state/shared.h"

#define FS_MAX_KEPT FS_RING_MAX_CELLS

typedef struct FsSharedViewState
{
	Oid			relid;
	uint32		signature;		/* of the layout: a reader compiled from another definition must not read */
	bool		paused;			/* its rows are not to be read; live ones are */
	FsTable		entities;
	pg_atomic_uint64 durable_frontier;	/* slice index: all window ends up to it are fired and committed */
} FsSharedViewState;

typedef struct FsSharedRoot
{
	int64		slice;			/* microseconds */
	pg_atomic_uint64 live_end;	/* an FsTime: the newest event accepted, or the watermark where that is further */
	int			nviews;
	int			ndictionaries;
	FsSharedViewState views[FS_MAX_VIEWS];
	int16		dictionary_column[FS_MAX_KEPT];	/* attribute number of each dictionary */
	FsDictionary dictionaries[FS_MAX_KEPT];
} FsSharedRoot;

#endif							/* FS_STATE_STORE_H */
