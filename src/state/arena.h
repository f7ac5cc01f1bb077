/*
 * arena.h
 *		The memory of all window state: fixed, in the main shared memory segment.
 *
 * The arena is cut into blocks of FS_ARENA_BLOCK bytes.  A block belongs to one
 * stream slot (its shard); inside its blocks only that slot's ingest worker
 * allocates, from size classes, without any lock.  Links are handles: offsets
 * in units of 16 bytes, so they mean the same in every process, and a reader
 * can check them against the arena's bounds.  Memory is never unmapped, so a
 * reader that follows a stale link reads garbage, never faults; it finds out by
 * the sequence counters of what it read (entity.h).
 */
#ifndef FS_STATE_ARENA_H
#define FS_STATE_ARENA_H

#include "postgres.h"

#define FS_ARENA_BLOCK (256 * 1024)
#define FS_ARENA_UNIT 16
#define FS_ARENA_CLASSES 72

/* Offset from the arena's start in units of 16 bytes; 0 is "none". */
typedef uint32 FsHandle;

/* No handle has this bit: whoever keeps handles may mark some with it. */
#define FS_HANDLE_MARK 0x80000000U

/*
 * A worker's allocator: private to the process, lost with it.  The blocks it
 * took are recorded in shared memory and given back by fs_arena_open().
 */
typedef struct FsArena
{
	int			slot;			/* owner of its blocks */
	FsHandle	free[FS_ARENA_CLASSES];	/* freed chunks by size class */
	FsHandle	bump;			/* rest of the current block */
	FsHandle	bump_end;
	int64		blocks;			/* owned */
	int64		used;			/* bytes handed out and not freed */
} FsArena;

extern Size fs_arena_shared_size(void);
extern void fs_arena_shared_init(void);

/* Takes the arena for stream slot 'slot'; gives back all blocks an earlier worker of it held. */
extern void fs_arena_open(FsArena *arena, int slot);

/* Gives back every block of the slot, e.g. when the stream is dropped. */
extern void fs_arena_release_slot(int slot);

/*
 * Allocates 'size' bytes, not zeroed.  Returns 0 when the arena is full: the
 * caller is to have asked fs_arena_available() first where it cannot cope.
 */
extern FsHandle fs_arena_alloc(FsArena *arena, Size size);
extern void fs_arena_free(FsArena *arena, FsHandle handle, Size size);

/* Bytes that allocations of small chunks can certainly still get. */
extern int64 fs_arena_available(const FsArena *arena);

/* Size that an allocation of 'size' really takes. */
extern Size fs_arena_chunk_size(Size size);

/* Bytes of the whole arena. */
extern int64 fs_arena_total(void);

/* Hidden, so that they are read directly: nearly every link is followed through them. */
extern __attribute__((visibility("hidden"))) char *fs_arena_base;
extern __attribute__((visibility("hidden"))) uint64 fs_arena_bytes;

static inline void *
fs_arena_ptr(FsHandle handle)
{
	Assert(handle != 0);
	return fs_arena_base + (uint64) handle * FS_ARENA_UNIT;
}

/* For readers: NULL unless [handle, handle + size) lies inside the arena. */
static inline void *
fs_arena_ptr_checked(FsHandle handle, Size size)
{
	uint64		offset = (uint64) handle * FS_ARENA_UNIT;

	if (handle == 0 || offset + size > fs_arena_bytes)
		return NULL;
	return fs_arena_base + offset;
}

#endif							/* FS_STATE_ARENA_H */
