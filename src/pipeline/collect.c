/*
 * collect.c
 *		Which entities a window end is due for, in order of their hash.
 *
 * Candidates of (boundary, view) are those on the touch lists of the slices
 * that came in since the slide before and of those that went out, and those of
 * late events that begin to count here.  They are gathered and then sorted by
 * hash, least significant digit first, all in small steps with ingestion in
 * between.  The cursor names a list by its slice and holds a handle of its next
 * block: lists may be added meanwhile, and the block's list may grow, but no
 * block is freed while a boundary is being fired.  What comes in meanwhile does
 * not count at this boundary, so it does not matter whether it is gathered.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "core/slice.h"
#include "ground/clock.h"
#include "pipeline/shard.h"

#define PASSES 3
#define DIGIT_BITS 11
#define DIGITS (1 << DIGIT_BITS)
#define STEP_ITEMS 1024			/* moved between two looks at the clock */
#define STEP_BUCKETS 256
#define AHEAD 12

/* Work in hand; the result is in FsFireCursor. */
struct FsCollector
{
	/* Gathering */
	int			source;			/* see source_lists() */
	int64		slice;			/* lists of the source before this are done */
	FsHandle	block;			/* next of the list of 'slice'; 0: none begun */
	uint32		bucket;			/* next, when every entity is a candidate */
	bool		gathered;

	/* Sorting */
	int			pass;
	uint32		moved;			/* items of the pass */
	uint32		start[PASSES][DIGITS];	/* counts while gathering, then positions */
	uint64	   *other;			/* the pass writes here */
	uint32		maxother;
};

static inline uint32
digit_of(uint64 due, int pass)
{
	return (uint32) (due >> (32 + pass * DIGIT_BITS)) & (DIGITS - 1);
}

/* Makes an array of items at least 'n' long; what it holds stays. */
static uint64 *
grow(FsShard *shard, uint64 *items, uint32 *max, uint32 n)
{
	if (n <= *max)
		return items;
	*max = Max(n, Max(1024, *max * 2));
	if (items == NULL)
		return MemoryContextAllocHuge(shard->context, sizeof(uint64) * *max);
	return repalloc_huge(items, sizeof(uint64) * *max);
}

/* Adds a candidate; there is room. */
static inline void
add_item(FsShard *shard, uint32 hash, uint32 item)
{
	FsFireCursor *fire = &shard->fire;
	uint64		due = (uint64) hash << 32 | item;

	Assert(fire->ndue < fire->maxdue);
	for (int pass = 0; pass < PASSES; pass++)
		fire->collector->start[pass][digit_of(due, pass)]++;
	fire->due[fire->ndue++] = due;
}

/* Adds one block's items, with their hashes. */
static void
add_block(FsShard *shard, const FsTouchBlock *block)
{
	FsFireCursor *fire = &shard->fire;

	fire->due = grow(shard, fire->due, &fire->maxdue, fire->ndue + block->n);
	for (int i = 0; i < block->n; i++)
	{
		FsEntity   *entity = fs_arena_ptr(block->items[i] & ~FS_TOUCH_VERIFY);

		if (i + AHEAD < block->n)
			__builtin_prefetch(fs_arena_ptr(block->items[i + AHEAD] & ~FS_TOUCH_VERIFY));
		add_item(shard, entity->entry.hash, block->items[i]);
	}
}

/*
 * The lists of a source and the slices [*first, *last) of them: source 0 is
 * what entered, 1 .. nwindows what left each window, the next the late events.
 * NULL after the last.
 */
static const FsTouchLists *
source_lists(const FsShard *shard, int source, int64 *first, int64 *last)
{
	const FsView *view = &shard->views[shard->fire.view];
	FsTime		until = shard->fire.boundary;

	if (source > view->def->nwindows + 1)
		return NULL;
	if (source == view->def->nwindows + 1)
	{
		*first = fs_slice_index(until, shard->def->slice);
		*last = *first + 1;
		return &view->late;
	}
	if (source > 0)
		until -= view->def->windows[source - 1];
	*first = fs_slice_index(until - view->def->slide, shard->def->slice);
	*last = fs_slice_index(until, shard->def->slice);
	return &view->touches;
}

/* Finds the next list to gather; false when there is none. */
static bool
find_list(FsShard *shard, struct FsCollector *collector)
{
	const FsTouchLists *lists;
	int64		first;
	int64		last;

	while ((lists = source_lists(shard, collector->source, &first, &last)) != NULL)
	{
		int			index = fs_touch_seek(lists, Max(first, collector->slice));

		if (index < lists->n && lists->lists[index].slice < last)
		{
			collector->block = lists->lists[index].head;
			collector->slice = lists->lists[index].slice + 1;
			return true;
		}
		collector->source++;
		collector->slice = PG_INT64_MIN;
	}
	return false;
}

/* Gathers from the touch lists as long as the step lasts; true when all is gathered. */
static bool
gather_touched(FsShard *shard, int64 begin)
{
	struct FsCollector *collector = shard->fire.collector;

	do
	{
		const FsTouchBlock *block;

		if (collector->block == 0 && !find_list(shard, collector))
			return true;
		block = fs_arena_ptr(collector->block);
		add_block(shard, block);
		collector->block = block->next;
	} while (!fs_step_is_over(begin));
	return false;
}

/*
 * Gathers every entity there is, for emit 'every_slide'; each is due if it has
 * anything to say.  Buckets that are split meanwhile move entities to later
 * ones, so that none is missed; one met twice fires once.
 */
static bool
gather_all(FsShard *shard, int64 begin)
{
	const FsTable *table = &shard->views[shard->fire.view].shared->entities;
	FsFireCursor *fire = &shard->fire;
	struct FsCollector *collector = fire->collector;

	while (collector->bucket <= table->max_bucket)
	{
		FsHandle	handle = fs_table_read_bucket(table, collector->bucket++);

		while (handle != 0)
		{
			FsEntity   *entity = fs_arena_ptr(handle);

			/* One without events was fired empty already and only waits to be published. */
			if (entity->nevents > 0)
			{
				fire->due = grow(shard, fire->due, &fire->maxdue, fire->ndue + 1);
				add_item(shard, entity->entry.hash, handle);
			}
			handle = entity->entry.next;
		}
		if (collector->bucket % STEP_BUCKETS == 0 && fs_step_is_over(begin))
			return false;
	}
	return true;
}

/* Turns the counts of digits into the positions where their items begin. */
static void
begin_sort(FsShard *shard)
{
	struct FsCollector *collector = shard->fire.collector;

	collector->gathered = true;
	collector->pass = 0;
	collector->moved = 0;
	collector->other = grow(shard, collector->other, &collector->maxother, shard->fire.ndue);
	Assert(collector->maxother >= shard->fire.ndue);
	for (int pass = 0; pass < PASSES; pass++)
	{
		uint32		position = 0;

		for (int digit = 0; digit < DIGITS; digit++)
		{
			uint32		count = collector->start[pass][digit];

			collector->start[pass][digit] = position;
			position += count;
		}
		Assert(position == shard->fire.ndue);
	}
}

/* Ends a pass: what it wrote is what the next one reads. */
static void
end_pass(FsFireCursor *fire)
{
	struct FsCollector *collector = fire->collector;
	uint64	   *due = collector->other;
	uint32		max = collector->maxother;

	Assert(collector->moved == fire->ndue);
	collector->other = fire->due;
	collector->maxother = fire->maxdue;
	fire->due = due;
	fire->maxdue = max;
	collector->pass++;
	collector->moved = 0;
}

/* Sorts as long as the step lasts; true when all is sorted. */
static bool
sort_some(FsShard *shard, int64 begin)
{
	FsFireCursor *fire = &shard->fire;
	struct FsCollector *collector = fire->collector;

	while (collector->pass < PASSES)
	{
		uint32	   *start = collector->start[collector->pass];
		uint32		until = Min(fire->ndue, collector->moved + STEP_ITEMS);

		for (uint32 i = collector->moved; i < until; i++)
			collector->other[start[digit_of(fire->due[i], collector->pass)]++] = fire->due[i];
		collector->moved = until;
		if (until == fire->ndue)
			end_pass(fire);
		if (fs_step_is_over(begin))
			return false;
	}
	return true;
}

/* Sets fire.next behind the hashes that were done before a crash. */
static void
skip_done(FsFireCursor *fire)
{
	uint32		low = 0;
	uint32		high = fire->ndue;

	while (low < high)
	{
		uint32		middle = low + (high - low) / 2;

		if ((int64) (fire->due[middle] >> 32) <= fire->hash)
			low = middle + 1;
		else
			high = middle;
	}
	fire->next = low;
}

/* See shard.h. */
void
fs_collect_begin(FsShard *shard)
{
	FsFireCursor *fire = &shard->fire;

	Assert(fire->active && fire->view < shard->nviews);
	if (fire->collector == NULL)
		fire->collector = MemoryContextAllocZero(shard->context, sizeof(struct FsCollector));
	fire->collector->source = 0;
	fire->collector->slice = PG_INT64_MIN;
	fire->collector->block = 0;
	fire->collector->bucket = 0;
	fire->collector->gathered = false;
	memset(fire->collector->start, 0, sizeof(fire->collector->start));
	fire->ndue = 0;
	fire->next = 0;
	fire->phase = FS_FIRE_COLLECT;
}

/* See shard.h. */
bool
fs_collect_step(FsShard *shard)
{
	const FsView *view = &shard->views[shard->fire.view];
	const FsViewDef *def = view->def;
	struct FsCollector *collector = shard->fire.collector;
	int64		begin = fs_clock_monotonic();

	Assert(shard->fire.phase == FS_FIRE_COLLECT);
	if (fs_time_floor(shard->fire.boundary, def->slide) != shard->fire.boundary ||
		!fs_view_fires(view, shard->fire.boundary))
		return true;
	if (!collector->gathered)
	{
		if (!(def->emit_every_slide ? gather_all(shard, begin) : gather_touched(shard, begin)))
			return false;
		begin_sort(shard);
	}
	if (!sort_some(shard, begin))
		return false;
	skip_done(&shard->fire);
	return true;
}
