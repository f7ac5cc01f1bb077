/*
 * fire.c
 *		Window ends that are due, and their rows.
 *
 * Boundaries are multiples of the slice.  At a boundary every view whose slide
 * divides it fires: an entity is due when an event entered or left one of its
 * windows since the slide before.  Candidates (collect.c) are taken in order of
 * their hash, so that (view, hash) is a cursor which means the same after a
 * crash.
 *
 * Firing runs in small steps inside a checkpoint's transaction; what it emits
 * depends only on events that were there when the boundary became due, so
 * ingestion goes on between the steps.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/slice.h"
#include "ground/clock.h"
#include "pipeline/condense.h"
#include "pipeline/history_writer.h"
#include "pipeline/row.h"
#include "pipeline/shard.h"

#define LOOK_AT_CLOCK 16		/* candidates without rows to render, between two looks */
#define AHEAD_ENTITY 12
#define AHEAD_CHUNK 5

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

	Assert(index < (uint32) shard->nviews);
	if (row <= (uint32) pg_atomic_read_u64(&view->shared->durable_frontier))
		return true;
	if (!shard->durable_fire.active || row != row_index(shard, shard->durable_fire.boundary))
		return false;
	return index < shard->durable_fire.view ||
		(index == shard->durable_fire.view && (int64) hash <= shard->durable_fire.hash);
}

/*
 * The first boundary after 'frontier' at which a list of 'touches' matters to
 * 'view'; FS_TIME_MAX none.  With emit 'every_slide' that is each at which the
 * longest window has a touched slice, or has just lost it.
 */
static FsTime
next_boundary_of_view(const FsShard *shard, const FsView *view, FsTime frontier)
{
	const FsViewDef *def = view->def;
	bool		every_slide = def->emit_every_slide && !view->paused;
	int64		slice = shard->def->slice;
	FsTime		first = FS_TIME_MAX;

	for (int i = 0; i < view->touches.n; i++)
	{
		FsTime		start = fs_slice_start(view->touches.lists[i].slice, slice);
		FsTime		enter = fs_time_next(start, def->slide);

		if (enter > frontier)
			first = Min(first, enter);
		else if (every_slide && enter + fs_view_max_window(def) > frontier)
			return fs_time_next(frontier, def->slide);
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

/* See shard.h. */
bool
fs_fire_keeps_history(const FsView *view, FsTime window_end)
{
	const FsViewDef *def = view->def;

	if (window_end < view->history_until)
		return false;
	if (!OidIsValid(def->history) || def->history_mode == FS_HISTORY_NONE)
		return false;
	return def->history_mode == FS_HISTORY_ALL ||
		fs_time_floor(window_end, def->history_interval) == window_end;
}

/* Counts features that the row of the history has not, because they are too much for it. */
static void
count_missing(FsView *view, const bool *nulls)
{
	for (int i = 0; i < view->def->nwindows * view->def->nfeatures; i++)
		view->feature_errors += !nulls[i];
	strlcpy(view->row->error, "features are too much for a row of the history", sizeof(view->row->error));
}

/* Writes one history row with these features. */
static void
write_history(FsShard *shard, FsView *view, const FsEntity *entity, const Datum *values, const bool *nulls)
{
	const FsViewDef *def = view->def;
	Datum	   *parts = palloc(sizeof(Datum) * def->nentity);
	FsHistoryRow row = {
		.entity = parts,
		.values = values,
		.nulls = nulls,
		.window_end = shard->fire.boundary,
		.computed_at = shard->fire.computed_at,
		.available_at = shard->fire.computed_at,
		.complete = shard->fire.boundary >= view->complete_from
	};

	if (view->history == NULL)
		view->history = fs_history_writer_open(def, shard->def, view->history_attnums, view->history_until);
	fs_key_decode(def, entity->key, entity->key_len, parts);
	if (!fs_history_writer_put(view->history, &row))
		count_missing(view, nulls);
}

/*
 * Says in the entity that the window end at hand is its row in force; the row
 * before is kept as the durable one if it is that.
 */
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
	FsTime		before = fs_slice_start(entity->row, shard->def->slice);	/* 1970 when there was none */

	if (entity->row == row_index(shard, end))
		return false;			/* it came by another list as well */
	Assert(entity->row < row_index(shard, end));
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
		int			n = view->def->nwindows * view->def->nfeatures;
		Datum	   *values = palloc(sizeof(Datum) * n);
		bool	   *nulls = palloc(sizeof(bool) * n);

		view->feature_errors -= view->row->errors;
		fs_row_compute_own(view->row, &view->set, entity->key, entity->key_len, end, values, nulls);
		view->feature_errors += view->row->errors;
		write_history(shard, view, entity, values, nulls);
	}
	stamp(shard, view, entity);
	if (view->def->is_condensed)
		fs_condense(shard, view, entity, before, end, 0);
	fs_publish_enqueue(view, handle);
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

/* Gets the memory on its way that candidates after the next one will need. */
static pg_attribute_always_inline void
prefetch_ahead(const FsFireCursor *fire, bool render)
{
	uint32		at = fire->next + AHEAD_ENTITY;
	const FsEntity *entity;

	if (at < fire->ndue)
		__builtin_prefetch(fs_arena_ptr((uint32) fire->due[at] & ~FS_TOUCH_VERIFY));
	at = fire->next + AHEAD_CHUNK;
	if (!render || at >= fire->ndue)
		return;
	entity = fs_arena_ptr((uint32) fire->due[at] & ~FS_TOUCH_VERIFY);
	if (entity->head != 0)
		__builtin_prefetch(fs_arena_ptr(entity->head));
}

/*
 * Fires entities of the view under the cursor as long as a step lasts and
 * *rows_left are left; true when the view is done.
 */
static bool
fire_some(FsShard *shard, int64 *rows_left)
{
	FsFireCursor *fire = &shard->fire;
	FsView	   *view = &shard->views[fire->view];
	bool		render = fs_fire_keeps_history(view, fire->boundary);
	int64		begin = fs_clock_monotonic();
	MemoryContext old = MemoryContextSwitchTo(shard->cycle);

	Assert(fire->phase == FS_FIRE_ROWS);
	while (fire->next < fire->ndue)
	{
		uint64		due = fire->due[fire->next++];

		prefetch_ahead(fire, render);
		if (fire_entity(shard, view, (uint32) due, render) && render)
			--*rows_left;
		fire->hash = (int64) (due >> 32);

		/* A group of equal hashes is never split between checkpoints. */
		if (*rows_left <= 0 && fire->next < fire->ndue &&
			(int64) (fire->due[fire->next] >> 32) != fire->hash)
			break;
		if (*rows_left > 0 && (render || fire->next % LOOK_AT_CLOCK == 0) && fs_step_is_over(begin))
			break;
	}
	fs_event_set_trim(&view->set);
	fs_row_trim(view->row);
	MemoryContextSwitchTo(old);
	MemoryContextReset(shard->cycle);
	return fire->next >= fire->ndue;
}

/* Ends the boundary under the cursor. */
static void
finish_boundary(FsShard *shard)
{
	FsFireCursor *fire = &shard->fire;

	Assert(fire->active && fire->boundary > shard->frontier);
	shard->frontier = fire->boundary;
	fire->active = false;

	/* Those of partial aggregates are still wanted: partial_log.c drops them. */
	for (int v = 0; v < shard->nviews; v++)
		while (shard->views[v].partial_log == NULL && shard->views[v].late.n > 0 &&
			   fs_slice_start(shard->views[v].late.lists[0].slice, shard->def->slice) <= shard->frontier)
			fs_touch_drop_first(&shard->arena, &shard->views[v].late);
}

/*
 * The next checkpoint's rows become known now.  Those of a boundary that goes on
 * must be told from its earlier ones by their time, whatever the clock says.
 */
void
fs_fire_restamp(FsShard *shard)
{
	FsTime		now = fs_clock_now();

	if (shard->fire.active && now <= shard->fire.computed_at)
		now = shard->fire.computed_at + 1;
	shard->fire.computed_at = now;
}

/* Sets the cursor to a boundary's beginning. */
static void
begin_boundary(FsShard *shard, FsTime boundary)
{
	Assert(!shard->fire.active && boundary > shard->frontier);
	shard->fire.active = true;
	shard->fire.boundary = boundary;
	shard->fire.view = 0;
	shard->fire.hash = -1;
	shard->fire.phase = FS_FIRE_BEGIN;
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

	Assert(IsTransactionState());
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
	if (fire->phase == FS_FIRE_BEGIN)
	{
		fs_collect_begin(shard);
		fire->rows = 0;
	}
	if (fire->phase == FS_FIRE_COLLECT)
	{
		if (fs_collect_step(shard))
			fire->phase = FS_FIRE_ROWS;
		return false;
	}
	if (fire_some(shard, rows_left))
	{
		note_firing(shard, PG_UINT32_MAX);
		fire->view++;
		fire->hash = -1;
		fire->phase = FS_FIRE_BEGIN;
		return *rows_left <= 0;
	}
	if (*rows_left <= 0)
	{
		note_firing(shard, fire->hash);
		return true;
	}
	return false;
}
