/*
 * blob.h
 *		Bytes of some length in the arena that a reader can tell whole from broken.
 *
 * They are written once and never change.  A reader that follows a stale handle
 * finds other bytes: what was not made with the same seed is refused, so nothing
 * has to be looked at that another view has put there.
 */
#ifndef FS_STATE_BLOB_H
#define FS_STATE_BLOB_H

#include "state/arena.h"

#define FS_BLOB_MAX (32 * 1024)

/* Bytes of the arena that a blob of 'len' bytes takes. */
extern Size fs_blob_size(uint32 len);

/* Makes a blob of 'len' bytes, FS_BLOB_MAX at most; 0 when memory is out. */
extern FsHandle fs_blob_create(FsArena *arena, uint32 seed, const void *bytes, uint32 len);
extern void fs_blob_free(FsArena *arena, FsHandle handle);

/* A copy of the bytes in the current context; NULL when this is no blob of that seed. */
extern void *fs_blob_copy(FsHandle handle, uint32 seed, uint32 *len);

#endif							/* FS_STATE_BLOB_H */
