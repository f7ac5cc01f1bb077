/*
 * value_set.h
 *		Different values and how often each came, in the arena: states of partial aggregates.
 *
 * A value is 64 bits that are equal exactly when the values are.  A set of one
 * value takes 16 bytes (also of one that came often, where nobody asks how
 * often); more of them stand in one piece of memory, sorted.  Like
 * all of an entity a set is changed between fs_entity_begin_change() and
 * fs_entity_end_change() of its entity, by the stream's ingest worker alone.
 *
 * Adding takes two steps, so that it cannot fail half way: fs_value_set_reserve()
 * makes room, fs_value_set_add() uses it.
 */
#ifndef FS_STATE_VALUE_SET_H
#define FS_STATE_VALUE_SET_H

#include "state/ring.h"

typedef struct FsSetMember
{
	uint64		bits;
	uint64		count;
} FsSetMember;

#define FS_VALUE_SET_MAX 4096	/* members of one set: 64 kB */

/* Makes an empty set; 0 when memory is out. */
extern FsHandle fs_value_set_create(FsArena *arena);
extern void fs_value_set_free(FsArena *arena, FsHandle handle);

/* Makes a set of 'n' different members, at most FS_VALUE_SET_MAX, which it sorts; 0 when memory is out. */
extern FsHandle fs_value_set_restore(FsArena *arena, FsSetMember *members, int n);

/*
 * Makes room for a value; refused when the set is as large as one can be.  What
 * it holds stays.  'counted': how often each value came is asked for.
 */
extern FsMergeResult fs_value_set_reserve(FsArena *arena, FsHandle handle, uint64 bits, bool counted);

/* Counts a value, for which there is room. */
extern void fs_value_set_add(FsHandle handle, uint64 bits);

/*
 * Copies the members, in the current context; *n of them.  NULL when the bytes
 * make no sense, as a reader may meet; what a reader gets counts only if its
 * entity is unchanged then.
 */
extern FsSetMember *fs_value_set_copy(FsHandle handle, int *n);

#endif							/* FS_STATE_VALUE_SET_H */
