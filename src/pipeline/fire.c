/*
 * fire.c
 *		Window ends that are due: which entities, their rows, and what expires.
 *
 * Boundaries are multiples of the slice.  At a boundary every view whose slide
 * divides it fires: an entity is due when an event entered or left one of its
 * windows since the slide before.  Those are the entities touched by the slices
 * that came in and by those that went out (the touch lists), and those of late
 * events that begin to count here.  They are taken in order of their hash, so
 * that (view, hash) is a cursor which means the same after a crash.
 *
 * Firing runs in small steps inside a checkpoint's transaction; what it emits
 * depends only on events that were there when the boundary became due, so
 * ingestion goes on between the steps.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/slice.h"
#include "ground/clock.h"
#include "offline/table_writer.h"
#include "pipeline/row.h"
#include "pipeline/shard.h"

#define STEP_ENTITIES 500		/* of one step without rows to render */
#define STEP_ROWS 100			/* of one step with them */
#define PRUNE_ENTITIES 1000
#define SWEEP_CODES 2000

static uint32
row_index(const FsShard *shard, FsTime window_end)
{
	return (uint32) fs_slice_index(window_end, shard->def->slice);
}

/* Boundaries up to which firing may go now. */
static FsTime
target_of(const FsShard *shard, FsTime upto)
{
	return upto == FS_TIME_MIN ? FS_TIME_MIN : fs_time_floor(upto, shard->def->slice);
}

bool
fs_fire_is_due(const FsShard *shard)
{
	return shard->fire.active ||
		(shard->watermark != FS_TIME_MIN && target_of(shard, shard->watermark) > shard->frontier);
}

/* Is the row with this stamp known to be committed? */
bool
fs_row_stamp_durable(const FsShard *shard, const FsView *view, uint32 row, uint32 hash)
{
	uint32		index = (uint32) (view - shard->views);

	if (row <= (uint32) pg_atomic_read_u64(&view->shared->durable_frontier))
		return true;
	if (!shard->durable_fire.active || row != row_index(shard, shard->durable_fire.boundary))
		return false;
	return index < shard->durable_fire.view ||
		(index == shard->durable_fire.view && (int64) hash <= shard->durable_fire.hash);
}

/* The first boundary after 'frontier' at which a list of 'touches' matters to 'view'; FS_TIME_MAX none. */
static FsTime
next_boundary_of_view(const FsShard *shard, const FsView *view, FsTime frontier)
{
	const FsViewDef *def = view->def;
	int64		slice = shard->def->slice;
	FsTime		first = FS_TIME_MAX;

	if (def->emit_every_slide && frontier != FS_TIME_MIN && view->shared->entities.count > 0)
		return fs_time_next(frontier, def->slide);
	for (int i = 0; i < view->touches.n; i++)
	{
		FsTime		start = fs_slice_start(view->touches.lists[i].slice, slice);
		FsTime		enter = fs_time_next(start, def->slide);

		if (enter > frontier)
			first = Min(first, enter);
		for (int w = 0; w < def->nwindows; w++)
			if (enter + def->windows[w] > frontier)
				first = Min(first, enter + def->windows[w]);
		if (enter > frontier)
			break;				/* later slices only matter later */
	}
	for (int i = 0; i < view->late.n; i++)
	{
		FsTime		end = fs_slice_start(view->late.lists[i].slice, slice);

		if (end > frontier)
			first = Min(first, end);
	}
	return first;
}

/* The boundary that fires next (or is being fired); FS_TIME_MAX when nothing is in sight. */
FsTime
fs_fire_next(const FsShard *shard)
{
	FsTime		first = FS_TIME_MAX;

	if (shard->fire.active)
		return shard->fire.boundary;
	for (int v = 0; v < shard->nviews; v++)
		first = Min(first, next_boundary_of_view(shard, &shard->views[v], shard->frontier));
	return first;
}

/* Makes room for 'n' more candidates. */
static void
reserve_due(FsShard *shard, uint32 n)
{
	FsFireCursor *fire = &shard->fire;

	if (fire->ndue + n <= fire->maxdue)
		return;
	fire->maxdue = Max(fire->ndue + n, Max(1024, fire->maxdue * 2));
	if (fire->due == NULL)
		fire->due = MemoryContextAllocHuge(shard->context, sizeof(uint64) * fire->maxdue);
	else
		fire->due = repalloc_huge(fire->due, sizeof(uint64) * fire->maxdue);
}

/* Adds one list's items, with their hashes. */
static void
add_list(FsShard *shard, const FsTouchLists *touches, int index)
{
	FsFireCursor *fire = &shard->fire;
	uint32		n = touches->lists[index].count;
	uint32	   *items;

	reserve_due(shard, n);
	items = MemoryContextAllocHuge(shard->cycle, sizeof(uint32) * Max(n, 1));
	n = fs_touch_items(touches, index, items);
	for (uint32 i = 0; i < n; i++)
	{
		FsEntity   *entity = fs_arena_ptr(items[i] & ~FS_TOUCH_VERIFY);

		if (i + 8 < n)
			__builtin_prefetch(fs_arena_ptr(items[i + 8] & ~FS_TOUCH_VERIFY));
		fire->due[fire->ndue++] = (uint64) entity->entry.hash << 32 | items[i];
	}
	pfree(items);
}

static void
add_slices(FsShard *shard, const FsView *view, FsTime from, FsTime until)
{
	int64		first = fs_slice_index(from, shard->def->slice);
	int64		last = fs_slice_index(until, shard->def->slice);

	for (int i = fs_touch_seek(&view->touches, first);
		 i < view->touches.n && view->touches.lists[i].slice < last; i++)
		add_list(shard, &view->touches, i);
}

/* Every entity there is, for emit 'every_slide'; each is due if it has anything to say. */
static void
add_all(FsShard *shard, const FsView *view)
{
	const FsTable *table = &view->shared->entities;

	for (uint32 bucket = 0; bucket <= table->max_bucket; bucket++)
	{
		FsHandle	handle = fs_table_read_bucket(table, bucket);

		while (handle != 0)
		{
			FsEntity   *entity = fs_arena_ptr(handle);

			/* One without events was fired empty already and only waits to be published. */
			if (entity->nevents > 0)
			{
				reserve_due(shard, 1);
				shard->fire.due[shard->fire.ndue++] = (uint64) entity->entry.hash << 32 | handle;
			}
			handle = entity->entry.next;
		}
	}
}

/* Sorts by hash: least significant digit first, 11 bits a pass. */
static void
sort_due(FsShard *shard)
{
	FsFireCursor *fire = &shard->fire;
	uint64	   *from = fire->due;
	uint64	   *other = MemoryContextAllocHuge(shard->cycle, sizeof(uint64) * Max(fire->ndue, 1));
	uint64	   *to = other;

	for (int shift = 32; shift < 64; shift += 11)
	{
		uint32		start[2049] = {0};
		uint64	   *swap = from;

		for (uint32 i = 0; i < fire->ndue; i++)
			start[((from[i] >> shift) & 2047) + 1]++;
		for (int d = 0; d < 2048; d++)
			start[d + 1] += start[d];
		for (uint32 i = 0; i < fire->ndue; i++)
			to[start[(from[i] >> shift) & 2047]++] = from[i];
		from = to;
		to = swap;
	}
	if (from != fire->due)
		memcpy(fire->due, from, sizeof(uint64) * fire->ndue);
	pfree(other);
}

/* Collects the candidates of the view under the cursor, and skips those done before a crash. */
static void
collect(FsShard *shard)
{
	FsFireCursor *fire = &shard->fire;
	const FsView *view = &shard->views[fire->view];
	const FsViewDef *def = view->def;
	FsTime		end = fire->boundary;

	fire->ndue = 0;
	fire->next = 0;
	fire->rows = 0;
	fire->collected = true;
	if (fs_time_floor(end, def->slide) != end)
		return;
	if (def->emit_every_slide)
		add_all(shard, view);
	else
	{
		int			late = fs_touch_seek(&view->late, fs_slice_index(end, shard->def->slice));

		add_slices(shard, view, end - def->slide, end);
		for (int w = 0; w < def->nwindows; w++)
			add_slices(shard, view, end - def->windows[w] - def->slide, end - def->windows[w]);
		if (late < view->late.n &&
			view->late.lists[late].slice == fs_slice_index(end, shard->def->slice))
			add_list(shard, &view->late, late);
	}
	sort_due(shard);
	while (fire->next < fire->ndue && (int64) (fire->due[fire->next] >> 32) <= fire->hash)
		fire->next++;
}

/* Does the history get rows of this window end? */
static bool
keeps_history(const FsViewDef *def, FsTime window_end)
{
	if (!OidIsValid(def->history) || def->history_mode == FS_HISTORY_NONE)
		return false;
	return def->history_mode == FS_HISTORY_ALL ||
		fs_time_floor(window_end, def->history_interval) == window_end;
}

/* Writes one history row; the aggregates are in values[nentity ..]. */
static void
write_history(FsShard *shard, FsView *view, const FsEntity *entity, Datum *values, bool *nulls)
{
	const FsViewDef *def = view->def;
	int			at = def->nentity + def->nwindows * def->nfeatures;

	if (view->history == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

		view->history = fs_table_writer_open(def->history, def->owner);
		MemoryContextSwitchTo(old);
	}
	fs_key_decode(def, entity->key, entity->key_len, values);
	memset(nulls, 0, sizeof(bool) * def->nentity);
	memset(nulls + at, 0, sizeof(bool) * 5);
	values[at++] = TimestampTzGetDatum(shard->fire.boundary);
	values[at++] = TimestampTzGetDatum(shard->fire.computed_at);
	values[at++] = TimestampTzGetDatum(shard->fire.computed_at);
	values[at++] = BoolGetDatum(shard->fire.boundary >= view->complete_from);
	values[at++] = BoolGetDatum(false);
	fs_table_writer_put(view->history, values, nulls);
}

static void
stamp(FsShard *shard, FsView *view, FsEntity *entity)
{
	fs_entity_begin_change(entity);
	if (fs_row_stamp_durable(shard, view, entity->row, entity->entry.hash))
	{
		entity->durable_row = entity->row;
		entity->durable_computed_at = entity->computed_at;
	}
	entity->row = row_index(shard, shard->fire.boundary);
	entity->computed_at = shard->fire.computed_at;
	fs_entity_end_change(entity);
}

static void
remember_fired(FsShard *shard, FsView *view, FsHandle handle)
{
	if (view->online == NULL)
		return;
	if (view->nfired == view->maxfired)
	{
		view->maxfired = Max(1024, view->maxfired * 2);
		view->fired = view->fired == NULL ?
			MemoryContextAllocHuge(shard->context, sizeof(FsHandle) * view->maxfired) :
			repalloc_huge(view->fired, sizeof(FsHandle) * view->maxfired);
	}
	view->fired[view->nfired++] = handle;
}

/*
 * Fires one candidate: checks that it is due where that is in doubt, renders
 * its history row where one is kept, and stamps it.
 */
static bool
fire_entity(FsShard *shard, FsView *view, uint32 item, bool render)
{
	FsHandle	handle = item & ~FS_TOUCH_VERIFY;
	FsEntity   *entity = fs_arena_ptr(handle);
	bool		verify = (item & FS_TOUCH_VERIFY) != 0;
	FsTime		end = shard->fire.boundary;

	if (entity->row == row_index(shard, end))
		return false;			/* it came by another list as well */
	if (render || verify || view->def->emit_every_slide)
		fs_entity_events(entity, &view->layout, &view->set);
	if (view->def->emit_every_slide)
	{
		if (!fs_row_is_due(view->def, &view->set, end) &&
			fs_row_is_empty(view->def, &view->set, end))
			return false;
	}
	else if (verify && !fs_row_is_due(view->def, &view->set, end))
		return false;
	if (render)
	{
		Datum	   *values = palloc(sizeof(Datum) * (fs_view_natts(view->def) + 3));
		bool	   *nulls = palloc(sizeof(bool) * (fs_view_natts(view->def) + 3));

		view->feature_errors -= view->row->errors;
		fs_row_compute(view->row, &view->set, entity->key, entity->key_len, end,
					   values + view->def->nentity, nulls + view->def->nentity);
		view->feature_errors += view->row->errors;
		Assert(!view->row->stale);
		write_history(shard, view, entity, values, nulls);
	}
	stamp(shard, view, entity);
	remember_fired(shard, view, handle);
	view->counts.rows++;
	shard->fire.rows++;
	return true;
}

/* Writes down what was fired of the view so far; the row of feature_stream.firing. */
static void
note_firing(FsShard *shard, int64 upto_hash)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	FsFiring   *firing = palloc(sizeof(FsFiring));

	firing->view = shard->fire.view;
	firing->window_end = shard->fire.boundary;
	firing->upto_hash = upto_hash;
	firing->computed_at = shard->fire.computed_at;
	firing->rows = shard->fire.rows;
	if (firing->rows > 0)
		shard->firings = lappend(shard->firings, firing);
	shard->fire.rows = 0;
	MemoryContextSwitchTo(old);
}

/* Fires some entities of the view under the cursor; true when the view is done. */
static bool
fire_some(FsShard *shard, int64 *rows_left)
{
	FsFireCursor *fire = &shard->fire;
	FsView	   *view = &shard->views[fire->view];
	bool		render = keeps_history(view->def, fire->boundary);
	int			budget = render ? STEP_ROWS : STEP_ENTITIES;
	MemoryContext old = MemoryContextSwitchTo(shard->cycle);

	while (fire->next < fire->ndue && budget-- > 0)
	{
		uint64		due = fire->due[fire->next++];

		if (fire->next + 4 < fire->ndue)
			__builtin_prefetch(fs_arena_ptr((uint32) fire->due[fire->next + 4] & ~FS_TOUCH_VERIFY));
		if (fire_entity(shard, view, (uint32) due, render))
			--*rows_left;
		fire->hash = (int64) (due >> 32);

		/* A group of equal hashes is never split between checkpoints. */
		if (*rows_left <= 0 && fire->next < fire->ndue &&
			(int64) (fire->due[fire->next] >> 32) != fire->hash)
			break;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(shard->cycle);
	return fire->next >= fire->ndue;
}

/* Ends the boundary under the cursor. */
static void
finish_boundary(FsShard *shard)
{
	FsFireCursor *fire = &shard->fire;

	shard->frontier = fire->boundary;
	fire->active = false;
	for (int v = 0; v < shard->nviews; v++)
		while (shard->views[v].late.n > 0 &&
			   fs_slice_start(shard->views[v].late.lists[0].slice, shard->def->slice) <= shard->frontier)
			fs_touch_drop_first(&shard->arena, &shard->views[v].late);
}

/* Sets the cursor to a boundary's beginning. */
static void
begin_boundary(FsShard *shard, FsTime boundary)
{
	shard->fire.active = true;
	shard->fire.boundary = boundary;
	shard->fire.view = 0;
	shard->fire.hash = -1;
	shard->fire.collected = false;
}

/*
 * One step of firing, inside the checkpoint's transaction.  Returns true when
 * there is nothing more to fire up to 'upto', or *rows_left is used up.
 */
bool
fs_fire_step(FsShard *shard, FsTime upto, int64 *rows_left)
{
	FsFireCursor *fire = &shard->fire;
	FsTime		target = target_of(shard, upto);

	if (!fire->active)
	{
		FsTime		boundary;

		if (target == FS_TIME_MIN || target <= shard->frontier)
			return true;
		boundary = fs_fire_next(shard);
		if (boundary > target)
		{
			shard->frontier = target;
			return true;
		}
		begin_boundary(shard, boundary);
		fire->computed_at = fs_clock_now();
	}
	if (fire->view >= shard->nviews)
	{
		finish_boundary(shard);
		return false;
	}
	if (!fire->collected)
	{
		collect(shard);
		MemoryContextReset(shard->cycle);
		return false;
	}
	if (fire_some(shard, rows_left))
	{
		note_firing(shard, PG_UINT32_MAX);
		fire->view++;
		fire->hash = -1;
		fire->collected = false;
		return *rows_left <= 0;
	}
	if (*rows_left <= 0)
	{
		note_firing(shard, fire->hash);
		return true;
	}
	return false;
}

/* The first slice that the durable windows of a view may still need. */
static int64
oldest_slice(const FsShard *shard, const FsView *view)
{
	FsTime		frontier = fs_time_floor(shard->durable_frontier, view->def->slide);

	return fs_slice_index(frontier - fs_view_max_window(view->def), shard->def->slice);
}

/*
 * Trims the entities of the first list, and removes those left without events.
 * Trimming goes no further than the list's own slice: an entity that also
 * stands in a later list must be there when its turn comes.
 */
static void
prune_list(FsShard *shard, FsView *view)
{
	int64		oldest = view->touches.lists[0].slice + 1;
	uint32		n = view->touches.lists[0].count;
	uint32	   *items = MemoryContextAllocHuge(shard->cycle, sizeof(uint32) * Max(n, 1));
	uint32		ndoomed = 0;

	n = fs_touch_items(&view->touches, 0, items);
	for (uint32 i = 0; i < n; i++)
	{
		FsHandle	handle = items[i] & ~FS_TOUCH_VERIFY;
		FsEntity   *entity = fs_arena_ptr(handle);

		if (i + 8 < n)
			__builtin_prefetch(fs_arena_ptr(items[i + 8] & ~FS_TOUCH_VERIFY));
		fs_entity_trim(&shard->arena, entity, &view->layout, (uint32) oldest);

		/* An entity may stand in the list twice; one whose row waits to be published is removed then. */
		if (entity->nevents == 0 && (entity->flags & (FS_ENTITY_DOOMED | FS_ENTITY_DIRTY)) == 0)
		{
			entity->flags |= FS_ENTITY_DOOMED;
			items[ndoomed++] = handle;
		}
	}
	for (uint32 i = 0; i < ndoomed; i++)
		fs_entity_remove(&shard->arena, &view->shared->entities, items[i]);
	fs_touch_drop_first(&shard->arena, &view->touches);
	pfree(items);
}

/*
 * Expires what no durable window needs any more: one touch list of each view,
 * and some dictionary codes.  Never while a boundary is being fired or rows
 * fired are not committed yet, whose candidates it could remove.
 */
void
fs_prune_step(FsShard *shard)
{
	int64		oldest = PG_INT64_MAX;

	if (shard->durable_frontier == FS_TIME_MIN || shard->fire.active)
		return;
	for (int v = 0; v < shard->nviews; v++)
	{
		FsView	   *view = &shard->views[v];
		int64		needed = oldest_slice(shard, view);

		if (view->touches.n > 0 && view->touches.lists[0].slice < needed)
			prune_list(shard, view);
		oldest = Min(oldest, view->touches.n > 0 ?
					 Min(needed, view->touches.lists[0].slice) : needed);
	}
	for (int d = 0; d < shard->root->ndictionaries && oldest > 0 && oldest != PG_INT64_MAX; d++)
		fs_dictionary_sweep(&shard->arena, &shard->root->dictionaries[d], &shard->sweep_cursor[d],
							Min(SWEEP_CODES, shard->root->dictionaries[d].ncodes),
							(uint32) oldest);
}
