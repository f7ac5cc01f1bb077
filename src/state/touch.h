/*
 * touch.h
 *		Which entities a slice touched: the expiry wheel of a feature view.
 *
 * For each slice (or window end) a list of entity handles.  The lists' blocks
 * live in the arena, so that feature_stream.memory bounds them; the directory
 * is the worker's own.  Only the ingest worker sees them; recovery makes them
 * anew.
 */
#ifndef FS_STATE_TOUCH_H
#define FS_STATE_TOUCH_H

#include "state/arena.h"

/* Set in an item whose event came late: the entity is due only if its events say so. */
#define FS_TOUCH_VERIFY FS_HANDLE_MARK

typedef struct FsTouchBlock
{
	FsHandle	next;
	uint16		n;
	uint16		max;
	uint32		items[FLEXIBLE_ARRAY_MEMBER];
} FsTouchBlock;

typedef struct FsTouchList
{
	int64		slice;
	FsHandle	head;
	FsHandle	tail;
} FsTouchList;

/* Lists in ascending order of slice. */
typedef struct FsTouchLists
{
	FsTouchList *lists;
	int			n;
	int			max;
	int			last;			/* list used last */
	MemoryContext context;
} FsTouchLists;

extern void fs_touch_init(FsTouchLists *touches, MemoryContext context);

/* Adds an item to the list of 'slice'; false when memory is out. */
extern bool fs_touch_add(FsArena *arena, FsTouchLists *touches, int64 slice, uint32 item);

/* First list whose slice is >= 'slice', as an index (touches->n when there is none). */
extern int	fs_touch_seek(const FsTouchLists *touches, int64 slice);

/* Takes the first list out of the directory; its blocks are the caller's to free. */
extern FsTouchList fs_touch_take_first(FsTouchLists *touches);

/* Frees the first block of a list that was taken out. */
extern void fs_touch_free_block(FsArena *arena, FsTouchList *list);

/* Frees the first list. */
extern void fs_touch_drop_first(FsArena *arena, FsTouchLists *touches);

#endif							/* FS_STATE_TOUCH_H */
