/*
 * left.c
 *		Empty rows that the online store may lack.
 *
 * With on_empty 'set' the row of an entity whose last event has left its
 * windows is to stand in the online store for a while.  The entity itself goes
 * out of memory as soon as its row is durable, so when the store is away then,
 * or the worker dies before it has told it, nobody in memory knows.  The
 * log does.  So each new connection, once all entities of memory have been put,
 * goes back over the events of entities that have left: since the store was last
 * known to have everything, or as long as an empty row lives.
 *
 * It goes from the newest stretch of the log to the oldest: the first row that
 * is found of an entity is the one in force, and the store refuses older ones.
 * One stretch is read in a step, and its entities are published and gone before
 * the next: neither memory nor ingestion feels how long the outage was.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "core/slice.h"
#include "ground/clock.h"
#include "pipeline/shard.h"
#include "state/event_log.h"
#include "state/query.h"

#define STRETCH_BYTES (1024 * 1024)	/* of log, read in one step */
#define SPARE_SHARE 16			/* of the arena stays for ingestion */

/* See shard.h. */
int64
fs_left_row_life(const FsViewDef *def)
{
	return def->online_ttl > 0 ? def->online_ttl : fs_view_max_window(def);
}

/* Does the view's store get empty rows that it may lack now? */
static bool
is_wanted(const FsShard *shard, const FsView *view)
{
	return view->def->on_empty == FS_ON_EMPTY_SET && shard->durable_frontier != FS_TIME_MIN;
}

/* The store may lack rows from here on: those that became known before have expired.  FS_TIME_MAX: none. */
static FsTime
first_alive(const FsView *view)
{
	FsTime		since = fs_clock_now() - fs_left_row_life(view->def);
	Oid			types[2] = {OIDOID, TIMESTAMPTZOID};
	Datum		values[2] = {ObjectIdGetDatum(view->def->relid), TimestampTzGetDatum(since)};
	FsTime		first = FS_TIME_MAX;

	SPI_connect();
	fs_query_read("SELECT pg_catalog.min(window_end) FROM feature_stream.firing "
				  "WHERE view OPERATOR(pg_catalog.=) $1 AND shard OPERATOR(pg_catalog.=) 0 "
				  "AND computed_at OPERATOR(pg_catalog.>=) $2", 2, types, values);
	if (!fs_query_is_null(0, 1))
		first = fs_query_time(0, 1);
	SPI_finish();
	for (int i = 0; i < view->ngaps; i++)
		if (view->gaps[i].by_pause && view->gaps[i].after != FS_TIME_MIN && view->gaps[i].computed_at >= since)
			first = Min(first, view->gaps[i].after);
	return first;
}

/* Works out the stretch of the log to be gone over: events that left all windows at the window ends in question. */
static void
begin(FsShard *shard, FsView *view)
{
	FsTime		first = Max(first_alive(view), view->settled);
	int64		reach = fs_view_max_window(view->def) + view->def->slide;

	view->left_wanted = false;
	view->left_until = fs_time_ceil(fs_time_floor(shard->durable_frontier, view->def->slide) -
									fs_view_max_window(view->def), shard->def->slice);
	view->left_from = first == FS_TIME_MAX ? view->left_until :
		Min(fs_time_floor(first - reach, shard->def->slice), view->left_until);
	view->left_span = view->left_until - view->left_from;
}

/* Half of a span, in whole slices. */
static int64
half(int64 span, int64 slice)
{
	return (span / 2 + slice - 1) / slice * slice;
}

/* The beginning of the next stretch, which ends at left_until. */
static FsTime
stretch_begin(const FsShard *shard, const FsView *view)
{
	int64		slice = shard->def->slice;
	int64		span = Min(view->left_span, view->left_until - view->left_from);

	while (span > slice &&
		   fs_event_log_size(shard->def->relid, view->left_until - span, view->left_until, FS_TIME_MIN) > STRETCH_BYTES)
		span = half(span, slice);
	return view->left_until - span;
}

/* Memory was out within a stretch: the next try is with a shorter one; a slice that is too much is passed over, and told. */
static void
shorten(const FsShard *shard, FsView *view, FsTime from)
{
	int64		span = view->left_until - from;

	if (span > shard->def->slice)
	{
		view->left_span = half(span, shard->def->slice);
		return;
	}
	view->left_until = from;
	view->online_errors++;
	ereport(LOG,
			(errmsg("not all empty rows of feature view with oid %u are set anew in its online store", view->def->relid),
			 errdetail("There is no memory for their entities."),
			 errhint("You might need to increase \"%s\".", "feature_stream.memory")));
}

/* See shard.h. */
void
fs_left_connected(FsView *view)
{
	if (view->online->store_changed)
		view->settled = FS_TIME_MIN;
	view->left_wanted = true;
	view->unanswered = 0;
}

/* See shard.h. */
bool
fs_left_step(FsShard *shard, FsView *view)
{
	FsTime		from;

	if (!is_wanted(shard, view) || view->resync || view->queue_count > 0)
		return false;
	if (!view->left_wanted && view->left_from >= view->left_until)
	{
		if (view->unanswered == 0)
			view->settled = shard->durable_frontier;
		return false;
	}
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (view->left_wanted)
		begin(shard, view);
	from = stretch_begin(shard, view);
	if (from < view->left_until)
	{
		if (fs_recover_left(shard, view, from, view->left_until))
			view->left_until = from;
		else
			shorten(shard, view, from);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(shard->cycle);
	return true;
}

/* See shard.h. */
FsHandle
fs_left_make(FsShard *shard, FsView *view, const FsFoldKey *key)
{
	const FsArena *arena = &shard->arena;
	int64		spare = fs_arena_available(arena) + arena->blocks * FS_ARENA_BLOCK - arena->used;
	FsHandle	handle = 0;

	Assert(view->online != NULL && view->online->connected);
	if (spare > fs_arena_total() / SPARE_SHARE)
		handle = fs_entity_add(&shard->arena, &view->shared->entities, key->bytes, key->len, key->places[0].hash);
	if (handle != 0)
		fs_publish_enqueue(view, handle);
	return handle;
}
