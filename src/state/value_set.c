/*
 * value_set.c
 *		Different values and how often each came, in the arena; see value_set.h.
 */
#include "postgres.h"

#include "state/value_set.h"

/* A set; in the arena. */
typedef struct ValueSet
{
	uint32		n;				/* members */
	uint32		max;			/* room for them in the piece; 0: there is none */
	union
	{
		uint64		bits;		/* without a piece: the one member; it counts as one */
		FsHandle	piece;
	};
} ValueSet;

#define FIRST_ROOM 3			/* members of a first piece */

/* See value_set.h. */
FsHandle
fs_value_set_create(FsArena *arena)
{
	FsHandle	handle = fs_arena_alloc(arena, sizeof(ValueSet));

	StaticAssertStmt(sizeof(ValueSet) == FS_ARENA_UNIT, "a set of one value takes one unit");
	if (handle != 0)
		memset(fs_arena_ptr(handle), 0, sizeof(ValueSet));
	return handle;
}

/* See value_set.h. */
void
fs_value_set_free(FsArena *arena, FsHandle handle)
{
	const ValueSet *set = fs_arena_ptr(handle);

	if (set->max > 0)
		fs_arena_free(arena, set->piece, sizeof(FsSetMember) * set->max);
	fs_arena_free(arena, handle, sizeof(ValueSet));
}

/* Place of the first member that is not less. */
static uint32
seek(const FsSetMember *members, uint32 n, uint64 bits)
{
	uint32		low = 0;

	while (low < n)
	{
		uint32		middle = (low + n) / 2;

		if (members[middle].bits < bits)
			low = middle + 1;
		else
			n = middle;
	}
	return low;
}

/* Is the value in the set's piece? */
static bool
holds(const ValueSet *set, uint64 bits)
{
	const FsSetMember *members = fs_arena_ptr(set->piece);
	uint32		at = seek(members, set->n, bits);

	return at < set->n && members[at].bits == bits;
}

/* Gives a set a piece with room for 'max' members, and what it holds. */
static FsMergeResult
grow(FsArena *arena, ValueSet *set, uint32 max)
{
	FsHandle	piece = fs_arena_alloc(arena, sizeof(FsSetMember) * max);
	FsSetMember *members;

	if (piece == 0)
		return FS_MERGE_NO_MEMORY;
	members = fs_arena_ptr(piece);
	if (set->max > 0)
	{
		memcpy(members, fs_arena_ptr(set->piece), sizeof(FsSetMember) * set->n);
		fs_arena_free(arena, set->piece, sizeof(FsSetMember) * set->max);
	}
	else if (set->n > 0)
		members[0] = (FsSetMember) {set->bits, 1};
	set->piece = piece;
	set->max = max;
	return FS_MERGE_DONE;
}

/* For qsort(). */
static int
compare_members(const void *a, const void *b)
{
	uint64		x = ((const FsSetMember *) a)->bits;
	uint64		y = ((const FsSetMember *) b)->bits;

	return x < y ? -1 : x > y;
}

/* See value_set.h. */
FsHandle
fs_value_set_restore(FsArena *arena, FsSetMember *members, int n)
{
	FsHandle	handle = fs_value_set_create(arena);
	ValueSet   *set;

	Assert(n >= 0 && n <= FS_VALUE_SET_MAX);
	if (handle == 0 || n == 0)
		return handle;
	set = fs_arena_ptr(handle);
	if (n == 1 && members[0].count <= 1)
		set->bits = members[0].bits;
	else if (grow(arena, set, Max(n, FIRST_ROOM)) != FS_MERGE_DONE)
	{
		fs_value_set_free(arena, handle);
		return 0;
	}
	else
	{
		qsort(members, n, sizeof(FsSetMember), compare_members);
		memcpy(fs_arena_ptr(set->piece), members, sizeof(FsSetMember) * n);
	}
	set->n = n;
	return handle;
}

/* See value_set.h. */
FsMergeResult
fs_value_set_reserve(FsArena *arena, FsHandle handle, uint64 bits, bool counted)
{
	ValueSet   *set = fs_arena_ptr(handle);

	Assert(set->n <= Max(set->max, 1));
	if (set->n == 0 || set->n < set->max)
		return FS_MERGE_DONE;
	if (set->max == 0)
		return set->bits == bits && !counted ? FS_MERGE_DONE : grow(arena, set, FIRST_ROOM);
	if (holds(set, bits))
		return FS_MERGE_DONE;
	if (set->max >= FS_VALUE_SET_MAX)
		return FS_MERGE_REFUSED;
	return grow(arena, set, Min(set->max * 2, FS_VALUE_SET_MAX));
}

/* See value_set.h. */
void
fs_value_set_add(FsHandle handle, uint64 bits)
{
	ValueSet   *set = fs_arena_ptr(handle);
	FsSetMember *members;
	uint32		at;

	if (set->max == 0)
	{
		Assert(set->n == 0 || set->bits == bits);
		set->n = 1;
		set->bits = bits;
		return;
	}
	members = fs_arena_ptr(set->piece);
	at = seek(members, set->n, bits);
	if (at < set->n && members[at].bits == bits)
	{
		members[at].count++;
		return;
	}
	Assert(set->n < set->max);
	memmove(&members[at + 1], &members[at], sizeof(FsSetMember) * (set->n - at));
	members[at] = (FsSetMember) {bits, 1};
	set->n++;
}

/* See value_set.h. */
FsSetMember *
fs_value_set_copy(FsHandle handle, int *n)
{
	const ValueSet *shared = fs_arena_ptr_checked(handle, sizeof(ValueSet));
	const FsSetMember *members;
	FsSetMember *copy;
	ValueSet	set;

	if (shared == NULL)
		return NULL;
	set = *shared;
	if (set.n > FS_VALUE_SET_MAX || (set.max == 0 && set.n > 1))
		return NULL;
	copy = palloc(sizeof(FsSetMember) * Max(set.n, 1));
	*n = set.n;
	if (set.max == 0)
	{
		copy[0] = (FsSetMember) {set.bits, 1};
		return copy;
	}
	members = fs_arena_ptr_checked(set.piece, sizeof(FsSetMember) * set.n);
	if (members == NULL)
		return NULL;
	memcpy(copy, members, sizeof(FsSetMember) * set.n);
	return copy;
}
