/*
 * fold.c
 *		An accepted event becomes state: the log, and each view's rings.
 *
 * A fold can stop for want of memory.  It is then taken up again with the same
 * event and the views that have not had it ('folded' in the caller's hands);
 * nothing is counted twice, because an event enters a ring last of all.
 */
#include "postgres.h"

#include "access/attnum.h"
#include "nodes/nodes.h"

#include "core/hash.h"
#include "core/slice.h"
#include "pipeline/correction.h"
#include "pipeline/partial.h"
#include "pipeline/partial_log.h"
#include "pipeline/row.h"
#include "pipeline/shard.h"

/* Can a kept value be NULL in some event of the log? */
static bool
is_nullable(const FsViewDef *view, const FsStreamDef *stream, int kept)
{
	const FsInput *input = &view->inputs[view->kept[kept]];

	if (input->stream_column < 0)
		return !input->column.not_null;
	return !stream->columns[input->stream_column].never_null;
}

/* How the kept columns of a view are stored in its rings. */
void
fs_layout_build(FsRingLayout *layout, const FsViewDef *view, const FsStreamDef *stream)
{
	StaticAssertStmt(FS_MAX_KEPT_COLUMNS <= FS_RING_MAX_CELLS, "rings hold every kept column");
	memset(layout, 0, sizeof(FsRingLayout));
	layout->slice = stream->slice;
	if (view->is_sliced)
	{
		fs_partial_layout(layout, view);
		return;
	}
	layout->ncells = view->nkept;
	for (int i = 0; i < view->nkept; i++)
	{
		const FsColumn *column = fs_view_kept(view, i);

		if (fs_type_is_bytes(column->type))
			layout->kinds[i] = FS_CELL_CODE;
		else if (column->type == FS_TYPE_FLOAT4)
			layout->kinds[i] = FS_CELL_FLOAT4;
		else if (column->type == FS_TYPE_FLOAT8)
			layout->kinds[i] = FS_CELL_FLOAT8;
		else
			layout->kinds[i] = FS_CELL_INT;
		if (layout->kinds[i] != FS_CELL_CODE && is_nullable(view, stream, i))
			layout->has_nulls = true;
	}
	layout->has_blobs = view->is_condensed;
	if (view->is_condensed)
		layout->kinds[layout->ncells++] = FS_CELL_CODE;
}

/* The column's number, or a hash of the expression. */
static int64
input_signature(const FsInput *input)
{
	char	   *text;

	if (input->expr == NULL)
		return input->column.attnum;
	text = nodeToString(input->expr);
	return ((int64) 1 << 32) + fs_hash_bytes(text, strlen(text));
}

/* A number that differs when layout, key or windows differ. */
uint32
fs_layout_signature(const FsViewDef *view, const FsStreamDef *stream)
{
	int64		words[2 * FS_MAX_KEPT_COLUMNS + FS_MAX_WINDOWS + 64];
	int			n = 0;

	words[n++] = stream->slice;
	words[n++] = view->definition;	/* a new one may keep other values, or order partial ones otherwise */
	words[n++] = view->is_sliced ? -view->slide : view->slide;
	words[n++] = view->is_condensed;
	for (int i = 0; i < view->nentity && i < 30; i++)
		words[n++] = input_signature(&view->inputs[view->entity[i]]);
	words[n++] = -1;
	for (int i = 0; i < view->nkept; i++)
	{
		words[n++] = input_signature(&view->inputs[view->kept[i]]);
		words[n++] = fs_view_kept(view, i)->type * 2 + is_nullable(view, stream, i);
	}
	for (int i = 0; i < view->nwindows; i++)
		words[n++] = view->windows[i];
	return fs_hash_bytes((const char *) words, sizeof(int64) * n) | 1;
}

/* The kept values as cells; false when memory is out. */
static bool
make_cells(FsShard *shard, const FsView *view, const FsValue *values, const FsFoldKey *key, uint32 slice,
		   FsCell *cells)
{
	const FsKept *end = view->kept + view->def->nkept;
	const FsTablePlace *place = &key->places[1];
	FsCell	   *cell = cells;

	for (const FsKept *kept = view->kept; kept < end; kept++, cell++, place++)
	{
		const FsValue *value = &values[kept->value];

		cell->isnull = value->presence != FS_PRESENT;
		if (cell->isnull)
			continue;
		if (kept->dictionary != NULL)
		{
			cell->code = fs_dictionary_code(&shard->arena, kept->dictionary, value->data, value->len,
											place, slice);
			if (cell->code == 0)
				return false;
		}
		else if (kept->is_float)
			cell->f = value->f;
		else
			cell->i = value->i;
	}
	cell->isnull = true;		/* of the blob, where the layout has one */
	return true;
}

/* Writes down which slices (and, for a late event, which window end) the entity is to be looked at for. */
static inline bool
touch(FsShard *shard, FsView *view, FsHandle handle, uint32 slice, FsTime counts_from)
{
	FsEntity   *entity = fs_arena_ptr(handle);
	bool		late = counts_from != FS_TIME_MIN;

	if (late)
	{
		if (!fs_touch_add(&shard->arena, &view->late, fs_slice_index(counts_from, shard->def->slice),
						  handle | FS_TOUCH_VERIFY) ||
			!fs_touch_add(&shard->arena, &view->touches, slice, handle | FS_TOUCH_VERIFY))
			return false;
	}
	else if (entity->last_touch != slice)
	{
		if (!fs_touch_add(&shard->arena, &view->touches, slice, handle))
			return false;
		entity->last_touch = slice;
	}
	return true;
}

/*
 * The first window end that a late event counts in, FS_TIME_MIN for one that is
 * not late for the view; false when it is too late for all windows of the view.
 */
static inline bool
count_from(const FsView *view, const FsEventMeta *meta, FsTime *counts_from)
{
	*counts_from = FS_TIME_MIN;
	if (meta->late_bound == FS_TIME_MIN ||
		fs_time_next(meta->event_time, view->def->slide) > meta->late_bound)
		return true;
	*counts_from = fs_time_next(meta->late_bound, view->def->slide);
	return *counts_from <= meta->event_time + fs_view_max_window(view->def);
}

/*
 * The slice in which the view has an event of 'slice': that one, or of a sliced
 * view the last of the slide, where the record stands.  Record and touch list
 * must be of one slice, so that expiry of the list finds the record expired;
 * which slice of the slide it is means nothing to window ends.
 */
static inline int64
slice_in_view(const FsShard *shard, const FsView *view, FsTime event_time, int64 slice)
{
	if (!view->def->is_sliced)
		return slice;
	return fs_slice_index(fs_time_next(event_time, view->def->slide), shard->def->slice) - 1;
}

/* Puts the event into the record of its slide, which stands in 'slice'. */
static bool
keep_partial(FsShard *shard, FsView *view, FsEntity *entity, const FsEventMeta *meta, int64 slice,
			 FsTime counts_from, const FsValue *values)
{
	FsTime		record = fs_slice_start(slice, shard->def->slice);
	uint32		before = entity->nevents;
	FsPartialEvent event;
	bool		done;

	event.shard = shard;
	event.view = view;
	event.entity = entity;
	event.values = values;
	event.since = meta->event_time - record;
	event.partition = meta->partition;
	event.slice = slice;
	done = fs_partial_keep(&event, record, counts_from);
	if (done)
	{
		view->partial_log->events++;
		view->partial_log->records += entity->nevents - before;
	}
	return done;
}

/* The entity of a key, made if there is none; 0 when memory is out. */
static inline FsHandle
get_entity(FsShard *shard, FsView *view, const char *key, int key_len, const FsTablePlace *place)
{
	FsHandle	handle = fs_entity_find(&view->shared->entities, key, key_len, place);

	if (handle == 0)
		handle = fs_entity_add(&shard->arena, &view->shared->entities, key, key_len, place->hash);
	return handle;
}

/*
 * Folds one event, which passed the view's WHERE and has a key that fits, into
 * the view.  Returns false when memory is out.  Its counters are the caller's.
 */
static inline bool
fold_view(FsShard *shard, FsView *view, const FsEventMeta *meta, int64 slice,
		  const FsValue *values, const FsFoldKey *key)
{
	FsCell		cells[FS_RING_MAX_CELLS + 1];
	FsTime		counts_from;
	FsHandle	handle;

	Assert(key->len >= 0);
	if (!count_from(view, meta, &counts_from))
		return true;
	slice = slice_in_view(shard, view, meta->event_time, slice);
	if (!view->def->is_sliced && !make_cells(shard, view, values, key, slice, cells))
		return false;
	handle = get_entity(shard, view, key->bytes, key->len, &key->places[0]);
	if (handle == 0 || !touch(shard, view, handle, slice, counts_from))
		return false;
	if (view->def->is_sliced)
		return keep_partial(shard, view, fs_arena_ptr(handle), meta, slice, counts_from, values);
	return fs_entity_append(&shard->arena, fs_arena_ptr(handle), &view->layout, meta->event_time, slice,
							meta->partition, counts_from, cells);
}

/* See shard.h; for recovery, and corrections. */
bool
fs_fold_view(FsShard *shard, FsView *view, const FsEventMeta *meta, int64 slice,
			 const FsValue *values, const FsFoldKey *key)
{
	return fold_view(shard, view, meta, slice, values, key);
}

/* See shard.h; for recovery: a record that was stored, whose sets are its own.  0 when memory is out. */
FsHandle
fs_fold_record(FsShard *shard, FsView *view, const char *key, int key_len, FsTime record, FsTime counts_from,
			   const FsCell *cells)
{
	FsTablePlace place = fs_table_place(&view->shared->entities, fs_hash_bytes(key, key_len));
	uint32		slice = fs_slice_index(record, shard->def->slice);
	FsHandle	handle = get_entity(shard, view, key, key_len, &place);

	Assert(view->def->is_sliced);
	if (handle == 0 || !touch(shard, view, handle, slice, counts_from) ||
		!fs_entity_append(&shard->arena, fs_arena_ptr(handle), &view->layout, record, slice, 0, counts_from, cells))
		return 0;
	return handle;
}

/* Counts an event that all views have had. */
static void
count_event(FsShard *shard, const FsEvent *event)
{
	/* mostly it counts in all */
	if (event->error_mask == 0 && event->where_mask == PG_UINT32_MAX &&
		event->meta.late_bound == FS_TIME_MIN)
	{
		for (FsView *view = shard->views, *end = view + shard->nviews; view < end; view++)
			view->counts.counted++;
		return;
	}
	for (int v = 0; v < shard->nviews; v++)
	{
		FsViewCounts *counts = &shard->views[v].counts;
		uint32		bit = (uint32) 1 << v;
		FsTime		counts_from;

		if ((event->error_mask & bit) != 0)
			counts->expression_errors++;
		else if ((event->where_mask & bit) == 0)
			counts->filtered++;
		else if (!count_from(&shard->views[v], &event->meta, &counts_from))
			counts->late++;
		else
			counts->counted++;
	}
}

/*
 * Folds events[index], which was accepted and prepared, into every view that
 * has not had it yet (bits of *folded), then counts it and adds it to the log.
 * One that corrects rows goes into the views when that is committed.
 * False: memory is out, call again later; a checkpoint in between knows nothing
 * of the event.
 */
bool
fs_fold(FsShard *shard, int index, uint32 *folded)
{
	const FsEvent *event = &shard->events[index];
	const FsFoldKey *key = fs_fold_key(shard, index, 0);
	FsView	   *end = shard->views + shard->nviews;
	uint32		todo = event->where_mask & ~event->error_mask & ~*folded;
	uint32		bit = 1;
	int64		slice = fs_shard_slice(shard, event->meta.event_time);

	if (event->corrects)
	{
		fs_correction_note(shard, event);
		todo = 0;
	}
	for (FsView *view = shard->views; view < end; view++, key++, bit <<= 1)
	{
		if ((todo & bit) == 0)
			continue;
		if (!fold_view(shard, view, &event->meta, slice, event->values, key))
			return false;
		fs_partial_log_watch(shard, view, &event->meta);
		*folded |= bit;
	}
	count_event(shard, event);
	fs_pending_add(shard, event, slice);
	return true;
}
