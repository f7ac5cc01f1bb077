/*
 * recover_stamp.c
 *		Rows in force, found again: see recover_stamp.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/memutils.h"

#include "core/slice.h"
#include "pipeline/recover_stamp.h"
#include "state/query.h"

/* A row of feature_stream.firing. */
typedef struct FiredChunk
{
	FsTime		window_end;
	int64		upto_hash;
	FsTime		computed_at;
} FiredChunk;

struct FsFired
{
	FiredChunk *chunks;			/* by window end, then hash */
	int64		n;
};

/* Loads which window ends a view fired and when they became known. */
static void
load_fired(FsShard *shard, const FsView *view, FsFired *fired)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(view->def->relid)};

	SPI_connect();
	fs_query_read("SELECT window_end, upto_hash, computed_at FROM feature_stream.firing "
				  "WHERE view OPERATOR(pg_catalog.=) $1 AND shard OPERATOR(pg_catalog.=) 0 "
				  "ORDER BY window_end, upto_hash",
				  1, types, values);
	fired->n = SPI_processed;
	fired->chunks = MemoryContextAllocHuge(shard->batch, sizeof(FiredChunk) * Max(fired->n, 1));
	for (int64 i = 0; i < fired->n; i++)
	{
		fired->chunks[i].window_end = fs_query_time(i, 1);
		fired->chunks[i].upto_hash = fs_query_int64(i, 2, 0);
		fired->chunks[i].computed_at = fs_query_time(i, 3);
		if (shard->fire.active && fired->chunks[i].window_end == shard->fire.boundary)
			shard->fire.computed_at = Max(shard->fire.computed_at, fired->chunks[i].computed_at);
	}
	SPI_finish();
}

/* See recover_stamp.h. */
FsFired *
fs_recover_load_fired(FsShard *shard)
{
	FsFired    *fired = MemoryContextAllocZero(shard->batch, sizeof(FsFired) * Max(shard->nviews, 1));

	for (int v = 0; v < shard->nviews; v++)
		load_fired(shard, &shard->views[v], &fired[v]);
	return fired;
}

/* When the row of (window_end, hash) became known; FS_TIME_MIN when it never fired. */
static FsTime
computed_at(const FsFired *fired, FsTime window_end, uint32 hash)
{
	int64		low = 0;
	int64		high = fired->n;

	while (low < high)
	{
		int64		middle = (low + high) / 2;
		const FiredChunk *chunk = &fired->chunks[middle];

		if (chunk->window_end < window_end ||
			(chunk->window_end == window_end && chunk->upto_hash < (int64) hash))
			low = middle + 1;
		else
			high = middle;
	}
	if (low == fired->n || fired->chunks[low].window_end != window_end)
		return FS_TIME_MIN;
	return fired->chunks[low].computed_at;
}

/* Stamps the entity with 'window_end' if that has a row for it and is newer than its stamp. */
static void
stamp_if_fired(FsShard *shard, const FsFired *fired, int v, FsEntity *entity, FsTime window_end)
{
	uint32		row = (uint32) fs_slice_index(window_end, shard->def->slice);
	FsTime		when;

	Assert(fs_time_floor(window_end, shard->views[v].def->slide) == window_end);
	if (row <= entity->row)
		return;
	when = fs_gap_computed_at(&shard->views[v], window_end);
	if (when == FS_TIME_MIN)
	{
		if (window_end > shard->frontier &&
			!(shard->fire.active && window_end == shard->fire.boundary &&
			  (v < shard->fire.view || (v == shard->fire.view && (int64) entity->entry.hash <= shard->fire.hash))))
			return;
		when = computed_at(&fired[v], window_end, entity->entry.hash);
	}
	if (when == FS_TIME_MIN)
		return;
	fs_entity_begin_change(entity);
	entity->row = entity->durable_row = row;	/* nothing fires here */
	entity->computed_at = entity->durable_computed_at = when;
	fs_entity_end_change(entity);
}

/*
 * A view with emit 'every_slide' has a row at each window end at which an event
 * is in the longest window: the last of those, from 'enter' on and after 'after', that was fired.
 */
static void
stamp_standing(FsShard *shard, const FsFired *fired, int v, FsEntity *entity, FsTime event_time, FsTime enter,
			   FsTime after)
{
	const FsViewDef *def = shard->views[v].def;
	FsTime		last = fs_time_next(event_time + fs_view_max_window(def), def->slide) - def->slide;

	if (shard->frontier != FS_TIME_MIN)
	{
		FsTime		end = Min(last, fs_time_floor(shard->frontier, def->slide));

		if (end >= enter && end > after)
			stamp_if_fired(shard, fired, v, entity, end);
	}
	if (shard->fire.active && fs_time_floor(shard->fire.boundary, def->slide) == shard->fire.boundary &&
		shard->fire.boundary >= enter && shard->fire.boundary <= last)
		stamp_if_fired(shard, fired, v, entity, shard->fire.boundary);
}

/* See recover_stamp.h. */
void
fs_recover_stamp(FsShard *shard, const FsFired *fired, int v, FsEntity *entity, const FsEventMeta *meta, FsTime after)
{
	const FsViewDef *def = shard->views[v].def;
	FsTime		enter = fs_time_next(Max(meta->event_time, meta->late_bound), def->slide);

	for (int w = 0; w < def->nwindows; w++)
	{
		FsTime		leave = fs_time_next(meta->event_time + def->windows[w], def->slide);

		if (enter >= leave)
			continue;			/* missed this window altogether */
		if (enter > after)
			stamp_if_fired(shard, fired, v, entity, enter);
		if (leave > after)
			stamp_if_fired(shard, fired, v, entity, leave);
	}
	if (def->emit_every_slide)
		stamp_standing(shard, fired, v, entity, meta->event_time, enter, after);
}

/*
 * May the online store still have keys of before this gap, or lack empty rows
 * of it?  Filling the gap tells nothing of that: the store may be away, or a
 * worker die before it has sent them.  After a while keys have expired.
 */
static bool
is_unsettled(const FsShard *shard, const FsView *view, const FsGap *gap)
{
	const FsViewDef *def = view->def;

	if (!OidIsValid(def->online_server) || view->paused || !gap->by_pause || gap->after == FS_TIME_MIN)
		return false;
	return gap->pending ||
		shard->frontier - gap->until < Max(fs_left_row_life(def), fs_view_max_window(def)) + def->slide;
}

/* The first event time whose window end may have been the last one before the gap. */
static FsTime
left_from(const FsView *view, const FsGap *gap)
{
	return gap->after - fs_view_max_window(view->def) - view->def->slide;
}

/*
 * Does the online store have, or is it to have, something of an entity that
 * had an event at 'time' and has none any more?  A key that was there when the
 * gap began; or else the empty row, as long as it is to live.
 */
static bool
is_left(const FsShard *shard, const FsView *view, FsTime time)
{
	bool		is_recent = view->def->on_empty == FS_ON_EMPTY_SET &&
		time >= shard->frontier - fs_left_row_life(view->def) - fs_view_max_window(view->def) - view->def->slide;

	for (int i = 0; i < view->ngaps; i++)
	{
		const FsGap *gap = &view->gaps[i];

		if (is_unsettled(shard, view, gap) && time >= left_from(view, gap) && (time < gap->after || is_recent))
			return true;
	}
	return false;
}

/* See recover_stamp.h. */
FsHandle
fs_recover_make_left(FsShard *shard, const FsView *view, FsTime time, const FsFoldKey *key, bool *full)
{
	FsHandle	handle;

	if (!is_left(shard, view, time))
		return 0;
	handle = fs_entity_add(&shard->arena, &view->shared->entities, key->bytes, key->len,
						   key->places[0].hash);
	*full = handle == 0;
	return handle;
}

/* See recover_stamp.h. */
bool
fs_recover_left_range(const FsShard *shard, FsTime until_all, FsTime *from, FsTime *until)
{
	*from = FS_TIME_MAX;
	*until = FS_TIME_MIN;
	for (int v = 0; v < shard->nviews; v++)
	{
		const FsView *view = &shard->views[v];

		for (int i = 0; i < view->ngaps; i++)
		{
			const FsGap *gap = &view->gaps[i];

			if (!is_unsettled(shard, view, gap))
				continue;
			*from = Min(*from, fs_time_floor(left_from(view, gap), shard->def->slice));
			*until = Max(*until, view->def->on_empty == FS_ON_EMPTY_SET ? Max(gap->after, until_all) : gap->after);
		}
	}
	return *from < *until;
}
