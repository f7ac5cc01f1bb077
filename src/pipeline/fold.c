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
#include "utils/memutils.h"

#include "core/hash.h"
#include "core/slice.h"
#include "pipeline/partial.h"
#include "pipeline/row.h"
#include "pipeline/shard.h"

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
		if (layout->kinds[i] != FS_CELL_CODE && !column->not_null)
			layout->has_nulls = true;
	}
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
	words[n++] = view->is_sliced ? -view->slide : view->slide;
	for (int i = 0; i < view->nentity && i < 30; i++)
		words[n++] = input_signature(&view->inputs[view->entity[i]]);
	words[n++] = -1;
	for (int i = 0; i < view->nkept; i++)
	{
		words[n++] = input_signature(&view->inputs[view->kept[i]]);
		words[n++] = fs_view_kept(view, i)->type * 2 + fs_view_kept(view, i)->not_null;
	}
	for (int i = 0; i < view->nwindows; i++)
		words[n++] = view->windows[i];
	return fs_hash_bytes((const char *) words, sizeof(int64) * n) | 1;
}

/* The kept values as cells; false when memory is out. */
static bool
make_cells(FsShard *shard, FsView *view, const FsValue *values, const uint32 *hashes, uint32 slice,
		   FsCell *cells)
{
	for (int i = 0; i < view->def->nkept; i++)
	{
		const FsValue *value = fs_input_value(view, values, view->def->kept[i]);
		FsType		type = fs_view_kept(view->def, i)->type;
		FsCell	   *cell = &cells[i];

		cell->isnull = value->presence != FS_PRESENT;
		if (cell->isnull)
			continue;
		if (view->dictionary[i] >= 0)
		{
			cell->code = fs_dictionary_code(&shard->arena, &shard->root->dictionaries[view->dictionary[i]],
											value->data, value->len, hashes[1 + i], slice);
			if (cell->code == 0)
				return false;
		}
		else if (fs_type_is_float(type))
			cell->f = value->f;
		else
			cell->i = value->i;
	}
	return true;
}

/* Writes down which slices (and, for a late event, which window end) the entity is to be looked at for. */
static bool
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

/* Hashes of the view's key and kept byte values into hashes[1 + nkept]. */
void
fs_fold_hash(FsShard *shard, FsView *view, const FsValue *values, uint32 *hashes)
{
	char		key[FS_ENTITY_MAX_KEY];
	int			len = fs_key_of_values(view, values, key);

	hashes[0] = len < 0 ? 0 : fs_hash_bytes(key, len);
	for (int i = 0; i < view->def->nkept; i++)
	{
		const FsValue *value = fs_input_value(view, values, view->def->kept[i]);

		if (view->dictionary[i] >= 0 && value->presence == FS_PRESENT)
			hashes[1 + i] = fs_hash_bytes(value->data, value->len);
	}
}

/* Gets the buckets on their way that folding the event will look into. */
static pg_attribute_always_inline void
prefetch_buckets(FsShard *shard, const FsEvent *event)
{
	for (int v = 0; v < shard->nviews; v++)
	{
		const FsView *view = &shard->views[v];
		const uint32 *hashes = event->hashes + view->first_hash;
		FsHandle  **buckets = event->buckets + view->first_hash;

		buckets[0] = fs_table_bucket(&view->shared->entities, hashes[0]);
		__builtin_prefetch(buckets[0]);
		for (int i = 0; i < view->def->nkept; i++)
		{
			buckets[1 + i] = NULL;
			if (view->dictionary[i] < 0 ||
				fs_input_value(view, event->values, view->def->kept[i])->presence != FS_PRESENT)
				continue;
			buckets[1 + i] = fs_table_bucket(&shard->root->dictionaries[view->dictionary[i]].table,
											 hashes[1 + i]);
			__builtin_prefetch(buckets[1 + i]);
		}
	}
}

#define ENTITY_BYTES (offsetof(FsEntity, key) + 16)	/* with the beginning of the key */
#define VALUE_BYTES 32			/* a dictionary's entry with a short value */

/* Then the first entries of the buckets. */
static pg_attribute_always_inline void
prefetch_entries(FsShard *shard, const FsEvent *event)
{
	for (int v = 0; v < shard->nviews; v++)
	{
		FsHandle  **buckets = event->buckets + shard->views[v].first_hash;

		fs_table_prefetch_entry(*buckets[0], ENTITY_BYTES);
		for (int i = 1; i <= shard->views[v].def->nkept; i++)
			if (buckets[i] != NULL)
				fs_table_prefetch_entry(*buckets[i], VALUE_BYTES);
	}
}

/* Then the chunks that the event will probably be appended to. */
static pg_attribute_always_inline void
prefetch_tails(FsShard *shard, const FsEvent *event)
{
	for (int v = 0; v < shard->nviews; v++)
	{
		FsHandle	handle = *event->buckets[shard->views[v].first_hash];
		const FsEntity *entity = handle != 0 ? fs_arena_ptr(handle) : NULL;

		if (entity != NULL && entity->tail != 0)
		{
			char	   *chunk = fs_arena_ptr(entity->tail);

			__builtin_prefetch(chunk);
			__builtin_prefetch(chunk + (entity->nevents < 12 ? FS_CHUNK_FIRST - 1 : 64));
		}
	}
}

#define AHEAD_BUCKET FS_FOLD_AHEAD
#define AHEAD_ENTRY 16
#define AHEAD_TAIL 8

/*
 * Gets memory on its way for the events that follow events[next]: first the
 * buckets, a little later the entries, then the chunks.  Folding is bound by
 * cache misses, and this lets those of many events overlap.
 */
void
fs_fold_prepare(FsShard *shard, FsEvent *events, int n, int next)
{
	Assert(next >= -AHEAD_BUCKET);
	if (next + AHEAD_BUCKET < n && events[next + AHEAD_BUCKET].reason == FS_REASON_NONE)
	{
		FsEvent    *event = &events[next + AHEAD_BUCKET];

		for (int v = 0; v < shard->nviews; v++)
			fs_fold_hash(shard, &shard->views[v], event->values,
						 event->hashes + shard->views[v].first_hash);
		prefetch_buckets(shard, event);
	}
	if (next + AHEAD_ENTRY < n && next + AHEAD_ENTRY >= 0 && events[next + AHEAD_ENTRY].reason == FS_REASON_NONE)
		prefetch_entries(shard, &events[next + AHEAD_ENTRY]);
	if (next + AHEAD_TAIL < n && next + AHEAD_TAIL >= 0 && events[next + AHEAD_TAIL].reason == FS_REASON_NONE)
		prefetch_tails(shard, &events[next + AHEAD_TAIL]);
}

/*
 * The first window end that a late event counts in, FS_TIME_MIN for one that is
 * not late for the view; false when it is too late for all windows of the view.
 */
static bool
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
 * Puts the event into the entity's ring, or into the record of its slide.  Such
 * a record stands in the slide's last slice, so that it does not expire before
 * the touch list of any of its events.
 */
static bool
keep_event(FsShard *shard, FsView *view, FsEntity *entity, const FsEventMeta *meta, FsTime counts_from,
		   const FsCell *cells)
{
	FsTime		slide_end = fs_time_next(meta->event_time, view->def->slide);

	if (!view->def->is_sliced)
		return fs_entity_append(&shard->arena, entity, &view->layout, meta->event_time, meta->partition,
								counts_from, cells);
	return fs_entity_merge(&shard->arena, entity, &view->layout,
						   slide_end - shard->def->slice, counts_from, cells,
						   fs_partial_merge, view->def);
}

/*
 * Folds one event, which passed the view's WHERE, into the view.  Returns
 * false when memory is out.  Its counters are the caller's.
 */
bool
fs_fold_view(FsShard *shard, FsView *view, const FsEventMeta *meta, const FsValue *values,
			 const uint32 *hashes)
{
	char		key[FS_ENTITY_MAX_KEY];
	FsCell		cells[FS_RING_MAX_CELLS];
	uint32		slice = fs_slice_index(meta->event_time, shard->def->slice);
	FsTime		counts_from;
	int			key_len;
	uint32		hash;
	FsHandle	handle;

	if (!count_from(view, meta, &counts_from))
		return true;
	key_len = fs_key_of_values(view, values, key);
	Assert(key_len >= 0);		/* admission refused longer ones */
	if (view->def->is_sliced)
		fs_partial_of_event(view, values, cells);
	else if (!make_cells(shard, view, values, hashes, slice, cells))
		return false;
	hash = hashes[0];
	handle = fs_entity_find(&view->shared->entities, key, key_len, hash);
	if (handle == 0)
		handle = fs_entity_add(&shard->arena, &view->shared->entities, key, key_len, hash);
	if (handle == 0 || !touch(shard, view, handle, slice, counts_from) ||
		!keep_event(shard, view, fs_arena_ptr(handle), meta, counts_from, cells))
		return false;
	return true;
}

/* Writing a segment keeps ingestion waiting: from these many bytes on the slice gets another. */
#define SEGMENT_BYTES (512 * 1024)

/* The pending segment of a slice that takes events, made when there is none. */
static FsSegmentWriter *
pending_segment(FsShard *shard, int64 slice)
{
	FsPending  *pending = &shard->pending;
	FsSegmentColumn *columns;
	int			at = pending->nslices;

	while (at > 0 && pending->slices[at - 1].slice > slice)
		at--;
	if (at > 0 && pending->slices[at - 1].slice == slice &&
		fs_segment_size(pending->slices[at - 1].writer) < SEGMENT_BYTES)
		return pending->slices[at - 1].writer;
	if (pending->nslices == pending->maxslices)
	{
		pending->maxslices *= 2;
		pending->slices = repalloc(pending->slices, sizeof(FsPendingSlice) * pending->maxslices);
	}
	memmove(&pending->slices[at + 1], &pending->slices[at],
			sizeof(FsPendingSlice) * (pending->nslices - at));
	pending->nslices++;
	columns = palloc(sizeof(FsSegmentColumn) * shard->def->ncolumns);
	for (int i = 0; i < shard->def->ncolumns; i++)
	{
		columns[i].number = shard->def->columns[i].attnum;
		columns[i].type = shard->def->columns[i].type;
	}
	pending->slices[at].slice = slice;
	pending->slices[at].writer = fs_segment_writer_create(fs_slice_start(slice, shard->def->slice),
														  columns, shard->def->ncolumns);
	pfree(columns);
	if (pending->slices[at].writer == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Could not make a segment of the event log.")));
	return pending->slices[at].writer;
}

/* Adds an event to the log that the next checkpoint writes. */
static void
log_event(FsShard *shard, const FsEvent *event)
{
	FsSegmentWriter *writer = pending_segment(shard, fs_slice_index(event->meta.event_time, shard->def->slice));

	if (fs_segment_append(writer, &event->meta, event->values) != FS_SEGMENT_OK)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Could not add an event to a segment of the event log.")));
	shard->pending.events++;
}

/* Counts an event that all views have had. */
static void
count_event(FsShard *shard, const FsEvent *event)
{
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
 * Folds an accepted event into every view that has not had it yet (bits of
 * *folded), then counts it and adds it to the log.  False: memory is out, call
 * again later; a checkpoint in between knows nothing of the event.
 */
bool
fs_fold(FsShard *shard, const FsEvent *event, uint32 *folded)
{
	for (int v = 0; v < shard->nviews; v++)
	{
		FsView	   *view = &shard->views[v];
		uint32		bit = (uint32) 1 << v;

		if ((*folded & bit) != 0)
			continue;
		if ((event->error_mask & bit) == 0 && (event->where_mask & bit) != 0 &&
			!fs_fold_view(shard, view, &event->meta, event->values,
						  event->hashes + view->first_hash))
			return false;
		*folded |= bit;
	}
	count_event(shard, event);
	log_event(shard, event);
	return true;
}

/* Begins a pending set. */
void
fs_pending_init(FsShard *shard, FsPending *pending)
{
	MemoryContext old = MemoryContextSwitchTo(shard->context);

	memset(pending, 0, sizeof(FsPending));
	pending->context = AllocSetContextCreate(shard->context, "feature_stream pending",
											 ALLOCSET_DEFAULT_SIZES);
	pending->maxslices = 64;
	pending->slices = palloc(sizeof(FsPendingSlice) * pending->maxslices);
	MemoryContextSwitchTo(old);
}

/* Frees a pending set, written or given up. */
void
fs_pending_clear(FsPending *pending)
{
	for (int i = 0; i < pending->nslices; i++)
		fs_segment_writer_free(pending->slices[i].writer);
	pfree(pending->slices);
	MemoryContextDelete(pending->context);
	memset(pending, 0, sizeof(FsPending));
}

/* Bytes of memory that the pending set holds, about. */
int64
fs_pending_bytes(const FsPending *pending)
{
	int64		bytes = pending->dead_bytes;

	for (int i = 0; i < pending->nslices; i++)
		bytes += fs_segment_memory(pending->slices[i].writer);
	return bytes;
}
