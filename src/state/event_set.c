/*
 * event_set.c
 *		Memory for the decoded events of an entity; see entity.h.
 *
 * Few keys have many events.  What they take is taken for them: private memory
 * must not stay as large as the largest key ever met.
 */
#include "postgres.h"

#include "state/entity.h"

/* Gives up what was decoded, and the room for it. */
static void
release(FsEventSet *set)
{
	if (set->events != NULL)
	{
		pfree(set->events);
		pfree(set->cells);
	}
	set->events = NULL;
	set->cells = NULL;
	set->n = set->max = 0;
}

/* See entity.h. */
void
fs_event_set_trim(FsEventSet *set)
{
	if (set->max > FS_EVENTS_AT_HAND)
		release(set);
}

/* See entity.h. */
void
fs_event_set_reserve(FsEventSet *set, const FsRingLayout *layout, int n)
{
	if (n <= set->max)
		return;
	n = fs_events_room(n, set->max);
	release(set);
	if (set->context == NULL)
		set->context = CurrentMemoryContext;
	set->max = n;
	set->events = MemoryContextAllocHuge(set->context, sizeof(FsRingEvent) * set->max);
	set->cells = MemoryContextAllocHuge(set->context,
										sizeof(FsCell) * (Size) set->max * Max(layout->ncells, 1));
}

/* See entity.h. */
void
fs_event_set_extend(FsEventSet *set, const FsRingLayout *layout, int n)
{
	int			ncells = Max(layout->ncells, 1);

	Assert(set->max >= FS_EVENTS_AT_HAND && n > set->max);
	set->max = n;
	set->events = repalloc_huge(set->events, sizeof(FsRingEvent) * set->max);
	set->cells = repalloc_huge(set->cells, sizeof(FsCell) * (Size) set->max * ncells);
	for (int i = 0; i < set->n; i++)
		set->events[i].cells = set->cells + (Size) i * layout->ncells;
}
