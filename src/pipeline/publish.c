/*
 * publish.c
 *		Rows in force -> online store, after the commit that made them durable.
 *
 * What is queued is not rows but entities: the row is rendered when the store
 * can take it, from the state as of the durable stamp.  So a slow or absent
 * store costs no memory beyond a flag an entity, superseded rows are never sent,
 * and after any outage it is enough to queue everybody again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "catalog/run_as.h"
#include "core/slice.h"
#include "ground/clock.h"
#include "ground/identity.h"
#include "pipeline/online_key.h"
#include "pipeline/row.h"
#include "pipeline/shard.h"
#include "pipeline/values.h"

#define RESYNC_BUCKETS 256
#define RESULTS 256

/* Tags of commands: what to count when the answer comes. */
#define TAG_PUT 1
#define TAG_DELETE 2

/* Opens the online store of every view that has one and is not paused.  The caller is in a transaction. */
void
fs_publish_open(FsShard *shard)
{
	/* A promoted standby has a higher timeline: it fences off the old primary. */
	uint64		epoch = (uint64) GetWALInsertionTimeLine() << 40 | (uint64) shard->epoch;

	for (int v = 0; v < shard->nviews; v++)
	{
		FsView	   *view = &shard->views[v];
		char	   *fence;

		if (!OidIsValid(view->def->online_server) || view->paused)
			continue;
		fence = psprintf("%s:%u", fs_identity_database(), view->def->relid);
		view->online = fs_online_redis_ops.open(view->def->online_server, view->def->owner, fence, epoch);
		view->resync = true;
		view->settled = FS_TIME_MIN;
		view->queue_max = 1024;
		view->queue = MemoryContextAllocHuge(shard->context, sizeof(FsHandle) * view->queue_max);
	}
}

/* See shard.h. */
void
fs_publish_close(FsShard *shard)
{
	for (int v = 0; v < shard->nviews; v++)
	{
		if (shard->views[v].online != NULL)
			shard->views[v].online->ops->close(shard->views[v].online);
		shard->views[v].online = NULL;
	}
}

/* Doubles a full queue; what has wrapped around now follows the rest. */
static void
grow_queue(FsView *view)
{
	Assert(view->queue_count == view->queue_max);
	view->queue = repalloc_huge(view->queue, sizeof(FsHandle) * view->queue_max * 2);
	memcpy(view->queue + view->queue_max, view->queue, sizeof(FsHandle) * view->queue_head);
	view->queue_max *= 2;
}

/* Queues an entity unless it is queued already. */
static void
enqueue(FsView *view, FsHandle handle)
{
	FsEntity   *entity = fs_arena_ptr(handle);

	if ((entity->flags & FS_ENTITY_DIRTY) != 0)
		return;
	if (view->queue_count == view->queue_max)
		grow_queue(view);
	entity->flags |= FS_ENTITY_DIRTY;
	view->queue[(view->queue_head + view->queue_count++) % view->queue_max] = handle;
}

/*
 * Takes the oldest entity off the queue, which must not be empty; it may be
 * queued again from here on.
 */
static FsHandle
dequeue(FsView *view)
{
	FsHandle	handle = view->queue[view->queue_head];

	Assert(view->queue_count > 0);
	Assert((((FsEntity *) fs_arena_ptr(handle))->flags & FS_ENTITY_DIRTY) != 0);
	view->queue_head = (view->queue_head + 1) % view->queue_max;
	view->queue_count--;
	((FsEntity *) fs_arena_ptr(handle))->flags &= ~FS_ENTITY_DIRTY;
	return handle;
}

/*
 * Queues an entity that fired, unless it is queued already.  Called before its
 * row is committed: nothing is published before the checkpoint ends, and then
 * it is the stamps that tell which row is in force.
 */
void
fs_publish_enqueue(FsView *view, FsHandle handle)
{
	/* Without a connection nothing piles up: the next one begins with everybody, and left.c finds who is gone. */
	if (view->online != NULL && view->online->connected && !view->online->fenced)
		enqueue(view, handle);
}

/* An entity whose events have all expired while it waited; a doomed one is pruning's to remove. */
static void
remove_if_empty(FsShard *shard, FsView *view, FsHandle handle)
{
	FsEntity   *entity = fs_arena_ptr(handle);

	Assert((entity->flags & FS_ENTITY_DIRTY) == 0);
	if (entity->nevents == 0 && (entity->flags & FS_ENTITY_DOOMED) == 0)
		fs_entity_remove(&shard->arena, &view->shared->entities, handle);
}

/* Empties the queue of a store that went away, as far as a step goes. */
static void
drop_queue(FsShard *shard, FsView *view)
{
	int64		begin = fs_clock_monotonic();

	do
	{
		for (int i = 0; i < 64 && view->queue_count > 0; i++)
			remove_if_empty(shard, view, dequeue(view));
	} while (view->queue_count > 0 && !fs_step_is_over(begin));
	view->resync = true;
	view->resync_bucket = 0;
}

/* Queues the entities of some buckets; true when all have been. */
static bool
resync_some(FsView *view)
{
	const FsTable *table = &view->shared->entities;

	for (int i = 0; i < RESYNC_BUCKETS && view->resync_bucket <= table->max_bucket; i++)
	{
		FsHandle	handle = fs_table_read_bucket(table, view->resync_bucket++);

		while (handle != 0)
		{
			FsEntity   *entity = fs_arena_ptr(handle);

			if (entity->row != 0)
				enqueue(view, handle);
			handle = entity->entry.next;
		}
	}
	return view->resync_bucket > table->max_bucket;
}

/* Seconds since the Unix epoch with as many digits as needed. */
static char *
epoch_text(FsTime t)
{
	int64		u = t - FS_UNIX_EPOCH;
	int64		seconds = u / FS_USEC_PER_SEC;
	int			fraction = (int) (u % FS_USEC_PER_SEC);

	if (fraction == 0)
		return psprintf(INT64_FORMAT, seconds);
	return psprintf(INT64_FORMAT ".%06d", seconds, fraction);
}

/* Milliseconds until the entity's newest event leaves the longest window, by the clock. */
static int64
time_to_live(FsShard *shard, FsView *view)
{
	const FsViewDef *def = view->def;
	FsTime		newest = FS_TIME_MIN;
	int64		ttl;

	for (int i = 0; i < view->set.n; i++)
		newest = Max(newest, view->set.events[i].time);
	if (newest == FS_TIME_MIN)
		return 0;
	ttl = fs_time_next(newest + fs_view_max_window(def), def->slide) +
		shard->def->watermark_delay - fs_clock_now();
	if (def->online_ttl > 0)
		ttl = Min(ttl, def->online_ttl);
	return ttl / 1000;
}

/* Milliseconds that an empty row is to stand yet, by the clock. */
static int64
empty_time_to_live(const FsView *view, FsTime computed_at)
{
	return (fs_left_row_life(view->def) - Max(fs_clock_now() - computed_at, 0)) / 1000;
}

/* Renders the fields of a row into fields[]; returns their number. */
static int
render_fields(FsShard *shard, FsView *view, const FsEntity *entity, FsTime window_end, FsTime computed_at, FsOnlineField *fields)
{
	const FsViewDef *def = view->def;
	int			n = def->nwindows * def->nfeatures;
	Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));
	bool	   *nulls = palloc(sizeof(bool) * Max(n, 1));
	int64		errors = view->row->errors;
	int			out = 0;

	fs_row_compute_own(view->row, &view->set, entity->key, entity->key_len, window_end, values, nulls);
	if (!fs_fire_keeps_history(view, window_end))
		view->feature_errors += view->row->errors - errors; /* firing has not counted them */
	for (int i = 0; i < n; i++)
	{
		FsOnlineField *field = &fields[out++];

		field->name = view->field_names[i];
		field->name_len = strlen(field->name);
		field->value = nulls[i] ? NULL :
			fs_datum_online_text(def->features[i % def->nfeatures].type, values[i],
								 &field->value_len);
	}
	fields[out].name = "window_end";
	fields[out++].value = epoch_text(window_end);
	fields[out].name = "computed_at";
	fields[out++].value = epoch_text(computed_at);
	Assert(out == n + 2);
	for (int i = n; i < out; i++)
	{
		fields[i].name_len = strlen(fields[i].name);
		fields[i].value_len = strlen(fields[i].value);
	}
	return out;
}

/* Sends one entity's row in force, or its deletion. */
static void
publish_entity(FsShard *shard, FsView *view, FsHandle handle)
{
	FsEntity   *entity = fs_arena_ptr(handle);
	bool		durable = fs_row_stamp_durable(shard, view, entity->row, entity->entry.hash);
	uint32		row = durable ? entity->row : entity->durable_row;
	FsTime		computed_at = durable ? entity->computed_at : entity->durable_computed_at;
	FsTime		window_end = fs_slice_start(row, shard->def->slice);
	FsOnlineField *fields;
	char	   *key;
	uint32		key_len;
	int64		ttl;
	bool		empty;

	if (row == 0)
		return;
	fs_entity_events(entity, &view->layout, &view->set);
	empty = fs_row_is_empty(view->def, &view->set, window_end);
	ttl = empty && view->def->on_empty == FS_ON_EMPTY_SET ? empty_time_to_live(view, computed_at) :
		time_to_live(shard, view);
	view->unanswered++;
	key = fs_online_key_render(shard, view, entity, &key_len);
	if ((empty && view->def->on_empty == FS_ON_EMPTY_DELETE) || ttl <= 0)
	{
		view->online->ops->del(view->online, key, key_len, epoch_text(window_end), TAG_DELETE);
		return;
	}
	fields = palloc(sizeof(FsOnlineField) * (view->def->nwindows * view->def->nfeatures + 2));
	view->online->ops->put(view->online, key, key_len, epoch_text(window_end), fields,
						   render_fields(shard, view, entity, window_end, computed_at, fields), ttl, TAG_PUT);
}

/* Books answers. */
static void
take_results(FsView *view, const FsOnlineResult *results, int n)
{
	view->unanswered -= n;
	for (int i = 0; i < n; i++)
	{
		Assert(results[i].tag == TAG_PUT || results[i].tag == TAG_DELETE);
		if (!results[i].acknowledged)
			view->online_errors++;
		else if (results[i].tag == TAG_DELETE)
			view->online_deleted++;
		else
			view->online_written++;
		if (results[i].acknowledged)
			view->online_time = fs_clock_now();
	}
}

/* Follows the state of the connection. */
static void
follow_connection(FsShard *shard, FsView *view)
{
	FsOnline   *online = view->online;

	if (!online->connected && view->queue_count > 0)
		drop_queue(shard, view);
	if (online->incarnation != view->incarnation)
	{
		view->incarnation = online->incarnation;
		view->resync = true;
		view->resync_bucket = 0;
		fs_left_connected(view);
	}
}

/*
 * Renders and puts some queued rows, under the view's settings.  Runs in a short
 * transaction, since rendering may look into the catalogs (collations, output
 * functions); nothing in here waits.  True when anything was put.
 */
static bool
put_some(FsShard *shard, FsView *view)
{
	FsOnline   *online = view->online;
	int64		begin = fs_clock_monotonic();
	bool		busy = false;
	FsRunAs		scope;

	Assert(!IsTransactionState());
	if (view->queue_count == 0 && !view->resync)
		return false;
	StartTransactionCommand();
	MemoryContextSwitchTo(shard->cycle);
	fs_run_as_begin(&scope, view->def->owner, view->def->settings);
	while ((!busy || !fs_step_is_over(begin)) && online->ops->has_room(online))
	{
		FsHandle	handle;

		if (view->queue_count == 0)
		{
			if (!view->resync)
				break;
			if (resync_some(view))
				view->resync = false;
			busy = true;
			continue;
		}
		handle = dequeue(view);
		publish_entity(shard, view, handle);
		remove_if_empty(shard, view, handle);
		MemoryContextReset(shard->cycle);
		busy = true;
	}
	fs_event_set_trim(&view->set);
	fs_row_trim(view->row);
	fs_run_as_end(&scope);
	CommitTransactionCommand();
	MemoryContextSwitchTo(shard->cycle);
	return busy;
}

/* One step for one view's store; true when anything was done. */
static bool
publish_view(FsShard *shard, FsView *view)
{
	FsOnlineResult results[RESULTS];
	FsOnline   *online = view->online;
	int			n = online->ops->service(online, results, RESULTS);

	take_results(view, results, n);
	follow_connection(shard, view);
	if (!online->connected || online->fenced)
		return n > 0 || (!online->connected && view->queue_count > 0);
	if (fs_left_step(shard, view))
		n++;
	if (!put_some(shard, view))
		return n > 0;

	/* What was just put goes out now. */
	take_results(view, results, online->ops->service(online, results, RESULTS));
	return true;
}

/* One step of publication to every store; true when anything was done. */
bool
fs_publish_step(FsShard *shard)
{
	MemoryContext old = MemoryContextSwitchTo(shard->cycle);
	bool		busy = false;

	for (int v = 0; v < shard->nviews; v++)
		if (shard->views[v].online != NULL)
			busy |= publish_view(shard, &shard->views[v]);
	MemoryContextSwitchTo(old);
	MemoryContextReset(shard->cycle);
	return busy;
}
