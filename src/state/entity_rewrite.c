/*
 * entity_rewrite.c
 *		Other events in the place of an entity's; see entity.h.
 */
#include "postgres.h"

#include "core/slice.h"
#include "state/entity.h"

/* Frees a chain of chunks; what their events own is not theirs any more. */
static void
free_chunks(FsArena *arena, FsHandle handle)
{
	while (handle != 0)
	{
		FsChunk    *chunk = fs_arena_ptr(handle);
		FsHandle	next = chunk->next;

		fs_arena_free(arena, handle, chunk->size);
		handle = next;
	}
}

/* The last of the chunks that hold nothing but the first 'same' events, 0 when there is none; *n: how many they hold. */
static FsHandle
find_last_same(const FsEntity *entity, const FsRingLayout *layout, int same, int *n)
{
	FsHandle	last = 0;

	*n = 0;
	for (FsHandle handle = entity->head; handle != 0;)
	{
		const FsChunk *chunk = fs_arena_ptr(handle);
		int			count = fs_ring_count(layout, chunk);

		if (*n + count > same)
			break;
		*n += count;
		last = handle;
		handle = chunk->next;
	}
	return last;
}

/* See entity.h. */
bool
fs_entity_rewrite(FsArena *arena, FsEntity *entity, const FsRingLayout *layout, const FsRingEvent *events, int n,
				  int same)
{
	FsEntity	other = {.nevents = 0};
	int			kept;
	FsHandle	last = find_last_same(entity, layout, same, &kept);
	FsHandle	rest = last != 0 ? ((FsChunk *) fs_arena_ptr(last))->next : entity->head;

	Assert(n > same && same >= kept && rest != 0);
	for (int i = kept; i < n; i++)
	{
		uint32		slice = (uint32) fs_slice_index(events[i].time, layout->slice);

		if (!fs_entity_append(arena, &other, layout, events[i].time, slice, events[i].partition,
							  events[i].counts_from, events[i].cells))
		{
			free_chunks(arena, other.head);
			return false;
		}
	}
	fs_entity_begin_change(entity);
	if (last != 0)
		((FsChunk *) fs_arena_ptr(last))->next = other.head;
	else
		entity->head = other.head;
	entity->tail = other.tail;
	entity->last_time = other.last_time;
	entity->nevents = n;
	free_chunks(arena, rest);
	fs_entity_end_change(entity);
	return true;
}
