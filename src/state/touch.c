/*
 * touch.c
 *		Lists of touched entities by slice; see touch.h.
 */
#include "postgres.h"

#include "state/touch.h"

#define FIRST_ITEMS 14			/* 64-byte block */
#define MAX_ITEMS 254			/* 1 kB block */

void
fs_touch_init(FsTouchLists *touches, MemoryContext context)
{
	memset(touches, 0, sizeof(FsTouchLists));
	touches->context = context;
}

/* See touch.h. */
int
fs_touch_seek(const FsTouchLists *touches, int64 slice)
{
	int			low = 0;
	int			high = touches->n;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (touches->lists[middle].slice < slice)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The list of a slice, made when there is none. */
static FsTouchList *
get_list(FsTouchLists *touches, int64 slice)
{
	int			at;

	if (touches->last < touches->n && touches->lists[touches->last].slice == slice)
		return &touches->lists[touches->last];
	at = fs_touch_seek(touches, slice);
	touches->last = at;
	if (at < touches->n && touches->lists[at].slice == slice)
		return &touches->lists[at];
	if (touches->n == touches->max)
	{
		touches->max = Max(64, touches->max * 2);
		if (touches->lists == NULL)
			touches->lists = MemoryContextAlloc(touches->context,
												sizeof(FsTouchList) * touches->max);
		else
			touches->lists = repalloc(touches->lists, sizeof(FsTouchList) * touches->max);
	}
	memmove(&touches->lists[at + 1], &touches->lists[at],
			sizeof(FsTouchList) * (touches->n - at));
	touches->n++;
	memset(&touches->lists[at], 0, sizeof(FsTouchList));
	touches->lists[at].slice = slice;
	return &touches->lists[at];
}

static Size
block_size(int max)
{
	return offsetof(FsTouchBlock, items) + sizeof(uint32) * max;
}

/* See touch.h. */
bool
fs_touch_add(FsArena *arena, FsTouchLists *touches, int64 slice, uint32 item)
{
	FsTouchList *list = get_list(touches, slice);
	FsTouchBlock *block = list->tail != 0 ? fs_arena_ptr(list->tail) : NULL;

	if (block == NULL || block->n == block->max)
	{
		int			max = block == NULL ? FIRST_ITEMS : Min(block->max * 2 + 2, MAX_ITEMS);
		FsHandle	handle = fs_arena_alloc(arena, block_size(max));
		FsTouchBlock *fresh;

		if (handle == 0)
			return false;
		fresh = fs_arena_ptr(handle);
		fresh->next = 0;
		fresh->n = 0;
		fresh->max = max;
		if (block != NULL)
			block->next = handle;
		else
			list->head = handle;
		list->tail = handle;
		block = fresh;
	}
	block->items[block->n++] = item;
	return true;
}

/* See touch.h. */
FsTouchList
fs_touch_take_first(FsTouchLists *touches)
{
	FsTouchList first = touches->lists[0];

	Assert(touches->n > 0);
	touches->n--;
	memmove(&touches->lists[0], &touches->lists[1], sizeof(FsTouchList) * touches->n);
	touches->last = Max(touches->last - 1, 0);
	return first;
}

void
fs_touch_free_block(FsArena *arena, FsTouchList *list)
{
	FsHandle	handle = list->head;
	FsTouchBlock *block = fs_arena_ptr(handle);

	list->head = block->next;
	fs_arena_free(arena, handle, block_size(block->max));
}

void
fs_touch_drop_first(FsArena *arena, FsTouchLists *touches)
{
	FsTouchList list = fs_touch_take_first(touches);

	while (list.head != 0)
		fs_touch_free_block(arena, &list);
}
