/*
 * correction.c
 *		Events that fired windows count after all, in the ingest worker; see correction.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/slice.h"
#include "pipeline/correction.h"
#include "pipeline/dead_letter_replay.h"
#include "pipeline/dead_letters.h"
#include "pipeline/partial_log.h"
#include "state/query.h"

/* The log has everything from here on, whatever upkeep does meanwhile: see plan_stream() there. */
static FsTime
log_floor(const FsShard *shard)
{
	int64		needed = 0;

	for (int v = 0; v < shard->nviews; v++)
		needed = Max(needed, 2 * fs_view_max_window(shard->views[v].def) + shard->views[v].def->slide);
	return shard->frontier - needed - shard->def->log_retention;
}

/* The last window end that the view has fired; FS_TIME_MIN: none. */
static FsTime
fired_upto(const FsShard *shard, const FsView *view)
{
	return view->paused ? Min(shard->frontier, view->paused_after) : shard->frontier;
}

/* Refuses an event for what a view's rows would be computed from. */
static void
refuse(const FsShard *shard, const FsView *view, FsEvent *event, FsTime oldest)
{
	char	   *t = pstrdup(timestamptz_to_str(event->meta.event_time));

	event->reason = FS_REASON_LATE;
	event->message = psprintf("event time %s is too old for corrections: the event log is only sure to have what rows of feature view \"%s\" are computed from for events from %s on",
							  t, view->def->name, timestamptz_to_str(oldest));
}

/* See correction.h. */
bool
fs_correction_judge(const FsShard *shard, FsEvent *event)
{
	FsTime		t = event->meta.event_time;
	uint32		counts = event->where_mask & ~event->error_mask;

	Assert(!shard->fire.active && shard->closing == shard->frontier);
	for (int v = 0; v < shard->nviews; v++)
	{
		const FsView *view = &shard->views[v];
		FsTime		oldest;

		if (shard->frontier == FS_TIME_MIN || fs_time_next(t, view->def->slide) > shard->frontier)
			continue;
		oldest = log_floor(shard) + fs_view_max_window(view->def) + view->def->slide;
		if (t < oldest)
		{
			refuse(shard, view, event, oldest);
			return false;
		}
		if ((counts & ((uint32) 1 << v)) != 0)
			event->corrects = true;
	}
	return true;
}

/* A copy of an event's values in the current memory context. */
static FsValue *
copy_values(const FsShard *shard, const FsValue *values)
{
	FsValue    *copy = palloc(sizeof(FsValue) * shard->nvalues);

	memcpy(copy, values, sizeof(FsValue) * shard->nvalues);
	for (int i = 0; i < shard->def->ncolumns; i++)
		if (copy[i].presence == FS_PRESENT && fs_type_is_bytes(shard->def->columns[i].type))
			copy[i].data = memcpy(palloc(copy[i].len + 1), copy[i].data, copy[i].len);
	for (int v = 0; v < shard->nviews; v++)
	{
		const FsView *view = &shard->views[v];

		for (int i = 0; i < view->def->ninputs; i++)
		{
			FsValue    *value = &copy[view->value_of[i]];

			if (view->inputs[i] != NULL && value->presence == FS_PRESENT &&
				fs_type_is_bytes(view->def->inputs[i].column.type))
				value->data = memcpy(palloc(value->len + 1), value->data, value->len);
		}
	}
	return copy;
}

/* See correction.h. */
void
fs_correction_note(FsShard *shard, const FsEvent *event)
{
	FsPending  *pending = &shard->pending;
	MemoryContext old = MemoryContextSwitchTo(pending->context);
	FsCorrection *correction = palloc0(sizeof(FsCorrection));

	Assert(event->corrects && event->meta.late_bound == FS_TIME_MIN);
	correction->meta = event->meta;
	correction->values = copy_values(shard, event->values);
	correction->views = event->where_mask & ~event->error_mask;
	correction->recorded_at = event->replay->recorded_at;
	pending->corrections = lappend(pending->corrections, correction);
	MemoryContextSwitchTo(old);
	for (int v = 0; v < shard->nviews; v++)
		if ((correction->views & ((uint32) 1 << v)) != 0)
			fs_partial_log_spoil(&shard->views[v]);
}

/* A time at which no row of the stream's views that is there was computed. */
static FsTime
next_known_at(const FsShard *shard)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(shard->def->relid)};
	FsTime		latest;

	fs_query_run("SELECT GREATEST((SELECT pg_catalog.max(f.computed_at) FROM feature_stream.firing f"
				 " JOIN feature_stream.feature_view v ON v.view OPERATOR(pg_catalog.=) f.view"
				 " WHERE v.stream::pg_catalog.oid OPERATOR(pg_catalog.=) $1),"
				 " (SELECT pg_catalog.max(b.computed_at) FROM feature_stream.backfill b"
				 " JOIN feature_stream.feature_view v ON v.view OPERATOR(pg_catalog.=) b.view"
				 " WHERE v.stream::pg_catalog.oid OPERATOR(pg_catalog.=) $1),"
				 " (SELECT pg_catalog.max(c.known_at) FROM feature_stream.correction c"
				 " WHERE c.stream OPERATOR(pg_catalog.=) $1))",
				 SPI_OK_SELECT, 1, types, values, NULL);
	latest = fs_query_time(0, 1);
	return latest == FS_TIME_MIN ? fs_clock_now() : Max(fs_clock_now(), latest + 1);
}

/* What the corrected rows of a view are about; false when it fired none that count the event. */
static bool
describe(const FsShard *shard, int v, const FsCorrection *correction, FsCorrected *corrected)
{
	const FsView *view = &shard->views[v];

	if ((correction->views & ((uint32) 1 << v)) == 0)
		return false;
	corrected->event_time = correction->meta.event_time;
	corrected->upto = fired_upto(shard, view);
	corrected->known_at = correction->known_at;
	return corrected->upto != FS_TIME_MIN &&
		fs_time_next(corrected->event_time, view->def->slide) <= corrected->upto;
}

/* Enters one correction of one view; true when its rows are still to be written. */
static bool
write_correction(FsShard *shard, int v, const FsCorrection *correction)
{
	const FsView *view = &shard->views[v];
	bool		has_history = OidIsValid(view->def->history) && view->def->history_mode != FS_HISTORY_NONE;
	Oid			types[11] = {OIDOID, OIDOID, INT4OID, INT8OID, TIMESTAMPTZOID, BYTEAOID, TIMESTAMPTZOID,
	TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID};
	Datum		values[11];
	char		nulls[11];
	bytea	   *key;
	int			len;
	FsCorrected corrected;

	if (!describe(shard, v, correction, &corrected))
		return false;
	key = palloc(VARHDRSZ + FS_ENTITY_MAX_KEY);
	len = fs_key_of_values(view, correction->values, VARDATA(key));
	if (len < 0)
		return false;			/* no entity has it */
	SET_VARSIZE(key, VARHDRSZ + len);
	memset(nulls, ' ', sizeof(nulls));
	values[0] = ObjectIdGetDatum(view->def->relid);
	values[1] = ObjectIdGetDatum(shard->def->relid);
	values[2] = Int32GetDatum(correction->meta.partition);
	values[3] = Int64GetDatum(correction->meta.offset);
	values[4] = TimestampTzGetDatum(correction->recorded_at);
	values[5] = PointerGetDatum(key);
	values[6] = TimestampTzGetDatum(corrected.event_time);
	values[7] = TimestampTzGetDatum(corrected.upto);
	values[8] = TimestampTzGetDatum(corrected.known_at);
	fs_query_set_time(values, nulls, 9, view->complete_from);
	values[10] = BoolGetDatum(has_history);
	fs_query_run("INSERT INTO feature_stream.correction (view, stream, partition, \"offset\", recorded_at, entity,"
				 " event_time, upto, known_at, complete_from, state) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,"
				 " CASE WHEN $11 THEN 'pending' ELSE 'done' END)",
				 SPI_OK_INSERT, lengthof(types), types, values, nulls);
	return has_history;
}

/* See correction.h. */
void
fs_corrections_write(FsShard *shard, const FsCheckpoint *checkpoint)
{
	FsTime		known_at;
	ListCell   *cell;

	if (checkpoint->pending.corrections == NIL)
		return;
	Assert(!shard->fire.active && shard->firings == NIL);
	SPI_connect();
	known_at = next_known_at(shard);
	foreach(cell, checkpoint->pending.corrections)
	{
		FsCorrection *correction = lfirst(cell);
		bool		pending = false;

		correction->known_at = known_at++;
		for (int v = 0; v < shard->nviews; v++)
			pending |= write_correction(shard, v, correction);
		if (!pending)
			fs_replay_corrected(shard->def->relid, correction->meta.partition, correction->meta.offset,
								correction->recorded_at, 0, NULL);
	}
	SPI_finish();
}

/* The newest window end up to 'upto' at which the event enters or leaves; FS_TIME_MIN: none. */
static FsTime
newest_change(const FsViewDef *def, const FsCorrected *corrected)
{
	FsTime		enter = fs_time_next(corrected->event_time, def->slide);
	FsTime		newest = FS_TIME_MIN;

	if (enter <= corrected->upto)
		newest = enter;
	for (int w = 0; w < def->nwindows; w++)
	{
		FsTime		leave = fs_time_next(corrected->event_time + def->windows[w], def->slide);

		if (leave <= corrected->upto)
			newest = Max(newest, leave);
	}
	if (def->emit_every_slide)
	{
		FsTime		last = fs_time_next(corrected->event_time + fs_view_max_window(def), def->slide) - def->slide;

		newest = Max(newest, Min(last, fs_time_floor(corrected->upto, def->slide)));
	}
	return newest;
}

/* See correction.h. */
void
fs_correction_stamp(FsShard *shard, int v, FsEntity *entity, const FsCorrected *corrected)
{
	const FsView *view = &shard->views[v];
	const FsViewDef *def = view->def;
	int64		slice = shard->def->slice;
	uint32		newest = (uint32) fs_slice_index(newest_change(def, corrected), slice);
	uint32		enter = (uint32) fs_slice_index(fs_time_next(corrected->event_time, def->slide), slice);
	uint32		leave = (uint32) fs_slice_index(fs_time_next(corrected->event_time + fs_view_max_window(def), def->slide), slice);
	uint32		upto = (uint32) fs_slice_index(corrected->upto, slice);

	Assert(fs_time_next(corrected->event_time, def->slide) <= corrected->upto);
	fs_entity_begin_change(entity);
	if (entity->row < newest)
	{
		if (fs_row_stamp_durable(shard, view, entity->row, entity->entry.hash))
		{
			entity->durable_row = entity->row;
			entity->durable_computed_at = entity->computed_at;
		}
		entity->row = newest;
		entity->computed_at = corrected->known_at;
	}
	else if (entity->row >= enter && entity->row < leave && entity->row <= upto)
		entity->computed_at = Max(entity->computed_at, corrected->known_at);
	fs_entity_end_change(entity);
}

/* The entity of a correction in a view; 0 when it has none in memory, or the view does not count it. */
static FsHandle
find_entity(const FsShard *shard, int v, const FsCorrection *correction, FsFoldKey *key)
{
	const FsView *view = &shard->views[v];

	key->len = -1;
	if ((correction->views & ((uint32) 1 << v)) == 0)
		return 0;
	fs_fold_key_make(view, correction->values, key);
	return key->len < 0 ? 0 : fs_entity_find(&view->shared->entities, key->bytes, key->len, &key->places[0]);
}

/*
 * Puts one correction into the rings of a view, if its windows still hold it;
 * false when memory is out.  *is_new: an entity was not there, or had not fired
 * since it came.
 */
static bool
fold(FsShard *shard, int v, const FsCorrection *correction, bool *is_new)
{
	FsView	   *view = &shard->views[v];
	FsTime		t = correction->meta.event_time;
	FsFoldKey	key;
	FsHandle	handle = find_entity(shard, v, correction, &key);

	if (key.len < 0 || t < fs_time_floor(shard->frontier, view->def->slide) - fs_view_max_window(view->def))
		return true;
	*is_new |= handle == 0 || ((FsEntity *) fs_arena_ptr(handle))->row == 0;
	return fs_fold_view(shard, view, &correction->meta, fs_shard_slice(shard, t), correction->values, &key);
}

/* Tells the row in force of one correction, and has it published. */
static void
tell(FsShard *shard, int v, const FsCorrection *correction)
{
	FsFoldKey	key;
	FsHandle	handle = find_entity(shard, v, correction, &key);
	FsCorrected corrected;

	if (handle == 0 || !describe(shard, v, correction, &corrected))
		return;
	fs_correction_stamp(shard, v, fs_arena_ptr(handle), &corrected);
	fs_publish_enqueue(&shard->views[v], handle);
}

/* See correction.h. */
void
fs_corrections_apply(FsShard *shard, const FsCheckpoint *checkpoint)
{
	const List *corrections = checkpoint->pending.corrections;
	bool		is_new = false;
	ListCell   *cell;

	foreach(cell, corrections)
		for (int v = 0; v < shard->nviews; v++)
			if (!fold(shard, v, lfirst(cell), &is_new))
			{
				shard->start_over = true;
				return;
			}
	if (is_new)
		fs_recover_stamps(shard);
	foreach(cell, corrections)
		for (int v = 0; v < shard->nviews; v++)
			tell(shard, v, lfirst(cell));
}
