/*
 * arena.c
 *		Blocks and size classes of the window state; see arena.h.
 *
 * The table of block owners is protected by a spinlock: it changes once per
 * 256 kB.  Everything else here is private to one worker.
 */
#include "postgres.h"

#include "storage/shmem.h"
#include "storage/spin.h"

#include "ground/settings.h"
#include "state/arena.h"

/* In shared memory, in front of the blocks. */
typedef struct FsSharedArena
{
	slock_t		mutex;			/* protects the following fields */
	int			nblocks;
	int			nfree;
	int			next;			/* where the search for a free block begins */
	uint16		owner[FLEXIBLE_ARRAY_MEMBER];	/* slot + 1; 0 free */
} FsSharedArena;

StaticAssertDecl((uint64) FS_MEMORY_MAX * 1024 * 1024 / FS_ARENA_UNIT < FS_HANDLE_MARK,
				 "handles of the largest arena leave the mark free");

char	   *fs_arena_base = NULL;
uint64		fs_arena_bytes = 0;
static FsSharedArena *shared_arena = NULL;

static int
arena_blocks(void)
{
	return (int) ((int64) fs_memory * 1024 * 1024 / FS_ARENA_BLOCK);
}

static Size
arena_header_size(void)
{
	return MAXALIGN(offsetof(FsSharedArena, owner) + sizeof(uint16) * arena_blocks());
}

/* Bytes of shared memory to ask for: the table of owners and the blocks. */
Size
fs_arena_shared_size(void)
{
	return add_size(arena_header_size(),
					add_size(mul_size(arena_blocks(), FS_ARENA_BLOCK), FS_ARENA_BLOCK));
}

/*
 * Attaches, and in the postmaster (or after a crash restart) initialises.
 * Caller holds AddinShmemInitLock.
 */
void
fs_arena_shared_init(void)
{
	bool		found;

	shared_arena = ShmemInitStruct("feature_stream arena", fs_arena_shared_size(), &found);
	fs_arena_base = (char *) TYPEALIGN(4096, (char *) shared_arena + arena_header_size());
	fs_arena_bytes = (uint64) arena_blocks() * FS_ARENA_BLOCK;
	if (!found)
	{
		SpinLockInit(&shared_arena->mutex);
		shared_arena->nblocks = arena_blocks();
		shared_arena->nfree = shared_arena->nblocks;
		shared_arena->next = 0;
		memset(shared_arena->owner, 0, sizeof(uint16) * shared_arena->nblocks);
	}
}

int64
fs_arena_total(void)
{
	return (int64) fs_arena_bytes;
}

/* See arena.h. */
void
fs_arena_release_slot(int slot)
{
	SpinLockAcquire(&shared_arena->mutex);
	for (int i = 0; i < shared_arena->nblocks; i++)
	{
		if (shared_arena->owner[i] == slot + 1)
		{
			shared_arena->owner[i] = 0;
			shared_arena->nfree++;
		}
	}
	SpinLockRelease(&shared_arena->mutex);
}

void
fs_arena_open(FsArena *arena, int slot)
{
	Assert(slot >= 0 && slot < PG_UINT16_MAX);
	fs_arena_release_slot(slot);
	memset(arena, 0, sizeof(FsArena));
	arena->slot = slot;
}

/*
 * Size classes: multiples of 16 up to 256, then four a doubling up to half a
 * block.  Larger sizes take whole runs of blocks and have no class (-1).
 */
static int
size_class(Size size, Size *rounded)
{
	int			shift = 8;
	Size		step;

	if (size <= 256)
	{
		*rounded = Max(TYPEALIGN(FS_ARENA_UNIT, size), FS_ARENA_UNIT);
		return (int) (*rounded / FS_ARENA_UNIT) - 1;
	}
	if (size > FS_ARENA_BLOCK / 2)
	{
		*rounded = TYPEALIGN(FS_ARENA_BLOCK, size);
		return -1;
	}
	while (size > ((Size) 2 << shift))
		shift++;
	step = (Size) 1 << (shift - 2);
	*rounded = TYPEALIGN(step, size);
	return 16 + (shift - 8) * 4 + (int) ((*rounded - ((Size) 1 << shift)) / step) - 1;
}

Size
fs_arena_chunk_size(Size size)
{
	Size		rounded;

	(void) size_class(size, &rounded);
	return rounded;
}

/* Takes 'n' neighbouring free blocks; 0 when there are none. */
static FsHandle
take_blocks(FsArena *arena, int n)
{
	FsSharedArena *sa = shared_arena;
	int			found = -1;
	int			run = 0;

	SpinLockAcquire(&sa->mutex);
	if (sa->nfree >= n)
	{
		int			start = n == 1 ? sa->next : 0;

		for (int k = 0; k < sa->nblocks && found < 0; k++)
		{
			int			i = (start + k) % sa->nblocks;

			if (i == 0)
				run = 0;		/* a run does not wrap around */
			run = sa->owner[i] == 0 ? run + 1 : 0;
			if (run == n)
				found = i - n + 1;
		}
		if (found >= 0)
		{
			for (int i = found; i < found + n; i++)
				sa->owner[i] = arena->slot + 1;
			sa->nfree -= n;
			sa->next = (found + n) % sa->nblocks;
		}
	}
	SpinLockRelease(&sa->mutex);
	if (found < 0)
		return 0;
	arena->blocks += n;

	/* Handle 0 means none, so the arena's first unit is never handed out. */
	return Max((FsHandle) ((uint64) found * (FS_ARENA_BLOCK / FS_ARENA_UNIT)), 1);
}

/* Gives whole blocks back to all: other slots may take them. */
static void
give_blocks(FsArena *arena, FsHandle handle, int n)
{
	int			first = handle / (FS_ARENA_BLOCK / FS_ARENA_UNIT);

	SpinLockAcquire(&shared_arena->mutex);
	for (int i = first; i < first + n; i++)
	{
		Assert(shared_arena->owner[i] == arena->slot + 1);
		shared_arena->owner[i] = 0;
	}
	shared_arena->nfree += n;
	SpinLockRelease(&shared_arena->mutex);
	arena->blocks -= n;
}

/* Cuts the rest of the current block into freed chunks, so that it is not lost. */
static void
retire_bump(FsArena *arena)
{
	while (arena->bump < arena->bump_end)
	{
		Size		rest = (Size) (arena->bump_end - arena->bump) * FS_ARENA_UNIT;
		Size		size = Min(rest, 256);
		Size		rounded;
		int			class = size_class(size, &rounded);

		*(FsHandle *) fs_arena_ptr(arena->bump) = arena->free[class];
		arena->free[class] = arena->bump;
		arena->bump += rounded / FS_ARENA_UNIT;
	}
}

/* See arena.h. */
FsHandle
fs_arena_alloc(FsArena *arena, Size size)
{
	Size		rounded;
	int			class = size_class(size, &rounded);
	uint32		units = rounded / FS_ARENA_UNIT;
	FsHandle	handle;

	if (class < 0)
	{
		/* one block more than needed when the run may begin at block 0 */
		handle = take_blocks(arena, rounded / FS_ARENA_BLOCK + 1);
		if (handle != 0)
			arena->used += rounded + FS_ARENA_BLOCK;
		return handle;
	}
	Assert(class < FS_ARENA_CLASSES);
	handle = arena->free[class];
	if (handle != 0)
		arena->free[class] = *(FsHandle *) fs_arena_ptr(handle);
	else
	{
		if (arena->bump + units > arena->bump_end)
		{
			FsHandle	block = take_blocks(arena, 1);

			if (block == 0)
				return 0;
			retire_bump(arena);
			arena->bump = block;
			arena->bump_end = (block / (FS_ARENA_BLOCK / FS_ARENA_UNIT) + 1) *
				(FS_ARENA_BLOCK / FS_ARENA_UNIT);
		}
		handle = arena->bump;
		arena->bump += units;
	}
	arena->used += rounded;
	return handle;
}

/* See arena.h. */
void
fs_arena_free(FsArena *arena, FsHandle handle, Size size)
{
	Size		rounded;
	int			class = size_class(size, &rounded);

	Assert(handle != 0);
	if (class < 0)
	{
		give_blocks(arena, handle, rounded / FS_ARENA_BLOCK + 1);
		arena->used -= rounded + FS_ARENA_BLOCK;
		return;
	}
	*(FsHandle *) fs_arena_ptr(handle) = arena->free[class];
	arena->free[class] = handle;
	arena->used -= rounded;
}

/* See arena.h. */
int64
fs_arena_available(const FsArena *arena)
{
	int			nfree;

	SpinLockAcquire(&shared_arena->mutex);
	nfree = shared_arena->nfree;
	SpinLockRelease(&shared_arena->mutex);

	/*
	 * Freed chunks of other classes do not help a class that has none, so only
	 * whole blocks and the rest of the current one count.
	 */
	return (int64) nfree * FS_ARENA_BLOCK +
		(int64) (arena->bump_end - arena->bump) * FS_ARENA_UNIT;
}
