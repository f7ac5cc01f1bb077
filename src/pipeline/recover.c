/*
 * recover.c
 *		From the tables back to memory.
 *
 * Reads the shard's state row (and raises its epoch, which fences off any
 * worker still alive), its positions and cursor, and folds the events of the
 * log that a window may still need into the views' rings, in the order in which
 * they were accepted; in the place of many events there may be the records of a
 * sliced view that they made (partial_log.h).  Then, from the same log and one window further back, it
 * works out for each entity the newest window end that was fired for it: the
 * last one, up to the frontier, at which an event entered or left.  Events that
 * fired windows count after all (correction.h) say so last, in their order.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
#include "utils/xid8.h"

#include "core/hash.h"
#include "core/slice.h"
#include "pipeline/corrected.h"
#include "pipeline/log_columns.h"
#include "pipeline/partial_log.h"
#include "pipeline/recover.h"
#include "pipeline/row.h"
#include "state/event_log.h"
#include "state/query.h"

/* A row of feature_stream.firing. */
typedef struct FiredChunk
{
	FsTime		window_end;
	int64		upto_hash;
	FsTime		computed_at;
} FiredChunk;

typedef struct FiredChunks
{
	FiredChunk *chunks;			/* by window end, then hash */
	int64		n;
} FiredChunks;

/* What is done with the events of a scan. */
typedef enum Pass
{
	FOLD,						/* into the rings */
	STAMP,						/* only stamps of entities that exist */
	STAMP_LEFT					/* the same, with entities made that only the online store may still have */
} Pass;

typedef struct Recovery
{
	FsShard    *shard;
	Pass		pass;
	bool		full;			/* memory is out */
	uint32		views;			/* bit i: view i counts the events at hand */

	/* What no view wants from the log, since the records are stored: slices skip_from <= slice < skip_until ... */
	FsTime		skip_from;
	FsTime		skip_until;
	FsTime		late_from;		/* ... but segments with a late bound from here on */

	/* Records that are stored, of the view at hand */
	int			view;
	FsLogColumns *columns;
	FsValue    *values;			/* by stream column */
	FiredChunks *fired;			/* by view */
	struct FsCorrectedEvents *corrected;	/* NULL: there are none */
	int64		bytes_done;
	int64		bytes_total;
	int64		events;
	int64		records;		/* that were stored, and are in rings */
} Recovery;

/* Sets the fire cursor from the state row's columns. */
static void
set_cursor(FsShard *shard)
{
	Oid			relid = fs_query_oid(0, 6);

	shard->fire.boundary = fs_query_time(0, 5);
	shard->fire.active = shard->fire.boundary != FS_TIME_MIN;
	shard->fire.hash = fs_query_int64(0, 7, -1);
	shard->fire.view = shard->nviews;
	for (int v = 0; v < shard->nviews && OidIsValid(relid); v++)
	{
		/* views are in order of relid: the first not below goes on (the named one may be gone) */
		if (shard->views[v].def->relid >= relid)
		{
			if (shard->views[v].def->relid != relid)
				shard->fire.hash = -1;
			shard->fire.view = v;
			break;
		}
	}
	Assert(shard->fire.view <= shard->nviews);
	shard->durable_fire.active = shard->fire.active;
	shard->durable_fire.boundary = shard->fire.boundary;
	shard->durable_fire.view = shard->fire.view;
	shard->durable_fire.hash = shard->fire.hash;
}

/*
 * Raises the epoch, which fences off every older worker of the stream, and
 * reads frontier and cursor.
 */
static void
load_state_row(FsShard *shard)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(shard->def->relid)};

	fs_query_run("UPDATE feature_stream.stream_state SET epoch = epoch OPERATOR(pg_catalog.+) 1 "
				 "WHERE stream OPERATOR(pg_catalog.=) $1 AND shard OPERATOR(pg_catalog.=) 0 "
				 "RETURNING epoch, checkpoint, frontier, watermark, fire_window_end, fire_view, fire_hash",
				 SPI_OK_UPDATE_RETURNING, 1, types, values, NULL);
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("state of stream %s is missing", shard->def->name),
				 errhint("Drop and create the stream again; where it begins is then up to its option \"start\".")));
	shard->epoch = fs_query_int64(0, 1, 0);
	shard->checkpoint = fs_query_int64(0, 2, 0);
	shard->frontier = shard->durable_frontier = fs_query_time(0, 3);
	shard->watermark = fs_query_time(0, 4);
	set_cursor(shard);
	Assert(shard->epoch > 0 && (!shard->fire.active || shard->fire.boundary > shard->frontier));
	shard->closing = shard->fire.active ? shard->fire.boundary : shard->frontier;
}

/* One row of partition_position: the partition goes on there. */
static void
load_position(FsShard *shard, uint64 row)
{
	FsPartition *p = fs_partitions_add(shard, fs_query_int32(row, 1));

	p->started = true;
	p->position.offset = p->durable_offset = fs_query_int64(row, 2, 0);
	p->position.xid = (uint64) fs_query_int64(row, 3, 0);
	p->clock.watermark = fs_query_time(row, 4);
	p->clock.last_event_time = fs_query_time(row, 5);
	p->clock.last_arrival = fs_query_time(row, 6);
	p->covered_from = fs_query_time(row, 7);
	p->covers_all = fs_query_bool(row, 8);
	p->start.offset = fs_query_int64(row, 9, 0);
	p->read_count = fs_query_int64(row, 10, 0);
	p->accepted_count = fs_query_int64(row, 11, 0);
	p->partially_late_count = fs_query_int64(row, 12, 0);
	p->dead_letter_count = fs_query_int64(row, 13, 0);
	Assert(p->read_count == p->accepted_count + p->dead_letter_count);
}

/* All partitions that a checkpoint ever saw; without any this is the stream's first start. */
static void
load_positions(FsShard *shard)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(shard->def->relid)};

	fs_query_run("SELECT partition, next_offset, next_xid::pg_catalog.text::pg_catalog.int8, watermark, "
				 "last_event_time, last_arrival, covered_from, covers_all, start_offset, read_count, "
				 "accepted_count, partially_late_count, dead_letter_count "
				 "FROM feature_stream.partition_position WHERE stream OPERATOR(pg_catalog.=) $1 "
				 "AND shard OPERATOR(pg_catalog.=) 0 ORDER BY partition",
				 SPI_OK_SELECT, 1, types, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
		load_position(shard, i);
	shard->first_start = SPI_processed == 0;
}

/*
 * The contract that was loaded is in force from these positions on; so are those
 * that it has replaced before any was.
 */
static void
note_contract(const FsShard *shard)
{
	Oid			types[2] = {OIDOID, INT4OID};
	Datum		values[2] = {ObjectIdGetDatum(shard->def->relid), Int32GetDatum(shard->contract_version)};

	fs_query_run("UPDATE feature_stream.stream_contract c SET effective_at = pg_catalog.clock_timestamp(),"
				 " offsets = COALESCE((SELECT pg_catalog.jsonb_object_agg(p.partition, p.next_offset)"
				 " FROM feature_stream.partition_position p WHERE p.stream OPERATOR(pg_catalog.=) c.stream"
				 " AND p.shard OPERATOR(pg_catalog.=) 0), '{}')"
				 " WHERE c.stream OPERATOR(pg_catalog.=) $1 AND c.version OPERATOR(pg_catalog.<=) $2"
				 " AND c.offsets IS NULL",
				 SPI_OK_UPDATE, 2, types, values, NULL);
}

/*
 * Loads epoch, frontier, cursor and positions, and commits the new epoch.  The
 * shard's views are known already.
 */
void
fs_recover_state(FsShard *shard)
{
	Assert(!IsTransactionState());
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	load_state_row(shard);
	load_positions(shard);
	note_contract(shard);
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* Loads which window ends a view fired and when they became known. */
static void
load_fired(FsShard *shard, FsView *view, FiredChunks *fired)
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

/* When the row of (window_end, hash) became known; FS_TIME_MIN when it never fired. */
static FsTime
computed_at(const FiredChunks *fired, FsTime window_end, uint32 hash)
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
stamp_if_fired(Recovery *recovery, int v, FsEntity *entity, FsTime window_end)
{
	FsShard    *shard = recovery->shard;
	uint32		row = (uint32) fs_slice_index(window_end, shard->def->slice);
	FsTime		when;

	if (row <= entity->row)
		return;
	when = fs_gap_computed_at(&shard->views[v], window_end);
	if (when == FS_TIME_MIN)
	{
		if (window_end > shard->frontier &&
			!(shard->fire.active && window_end == shard->fire.boundary &&
			  (v < shard->fire.view || (v == shard->fire.view && (int64) entity->entry.hash <= shard->fire.hash))))
			return;
		when = computed_at(&recovery->fired[v], window_end, entity->entry.hash);
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
stamp_standing(Recovery *recovery, int v, FsEntity *entity, FsTime event_time, FsTime enter, FsTime after)
{
	const FsShard *shard = recovery->shard;
	const FsViewDef *def = shard->views[v].def;
	FsTime		last = fs_time_next(event_time + fs_view_max_window(def), def->slide) - def->slide;

	if (shard->frontier != FS_TIME_MIN)
	{
		FsTime		end = Min(last, fs_time_floor(shard->frontier, def->slide));

		if (end >= enter && end > after)
			stamp_if_fired(recovery, v, entity, end);
	}
	if (shard->fire.active && fs_time_floor(shard->fire.boundary, def->slide) == shard->fire.boundary &&
		shard->fire.boundary >= enter && shard->fire.boundary <= last)
		stamp_if_fired(recovery, v, entity, shard->fire.boundary);
}

/* The window ends at which an event enters and leaves each window of a view, those that were fired with it: after 'after'. */
static void
stamp_entity(Recovery *recovery, int v, FsEntity *entity, const FsEventMeta *meta, FsTime after)
{
	const FsViewDef *def = recovery->shard->views[v].def;
	FsTime		enter = fs_time_next(Max(meta->event_time, meta->late_bound), def->slide);

	for (int w = 0; w < def->nwindows; w++)
	{
		FsTime		leave = fs_time_next(meta->event_time + def->windows[w], def->slide);

		if (enter >= leave)
			continue;			/* missed this window altogether */
		if (enter > after)
			stamp_if_fired(recovery, v, entity, enter);
		if (leave > after)
			stamp_if_fired(recovery, v, entity, leave);
	}
	if (def->emit_every_slide)
		stamp_standing(recovery, v, entity, meta->event_time, enter, after);
}

/* How long an empty row is to live in the online store. */
static int64
empty_row_life(const FsViewDef *def)
{
	return def->online_ttl > 0 ? def->online_ttl : fs_view_max_window(def);
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
		shard->frontier - gap->until < Max(empty_row_life(def), fs_view_max_window(def)) + def->slide;
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
		time >= shard->frontier - empty_row_life(view->def) - fs_view_max_window(view->def) - view->def->slide;

	for (int i = 0; i < view->ngaps; i++)
	{
		const FsGap *gap = &view->gaps[i];

		if (is_unsettled(shard, view, gap) && time >= left_from(view, gap) && (time < gap->after || is_recent))
			return true;
	}
	return false;
}

/*
 * Makes the entity of such an event.  Publication has its row, which is empty,
 * and removes it.  0 when there is none to be made; *full: memory is out.
 */
static FsHandle
make_left(FsShard *shard, const FsView *view, FsTime time, const FsFoldKey *key, bool *full)
{
	FsHandle	handle;

	if (!is_left(shard, view, time))
		return 0;
	handle = fs_entity_add(&shard->arena, &view->shared->entities, key->bytes, key->len,
						   key->places[0].hash);
	*full = handle == 0;
	return handle;
}

/* The first event time that a window behind the frontier needs; all are when there is no frontier. */
static FsTime
first_in_window(const FsShard *shard, const FsView *view)
{
	if (shard->frontier == FS_TIME_MIN)
		return FS_TIME_MIN;
	return fs_time_floor(shard->frontier, view->def->slide) - fs_view_max_window(view->def);
}

/* One event of the log into one view; false when memory is out. */
static bool
recover_event(Recovery *recovery, int v, const FsEventMeta *meta, uint32 where_mask)
{
	FsShard    *shard = recovery->shard;
	FsView	   *view = &shard->views[v];
	FsFoldKey	key;
	FsHandle	handle;
	const FsCorrected *corrected;

	if ((where_mask & recovery->views & ((uint32) 1 << v)) == 0 ||
		(recovery->pass != STAMP_LEFT && fs_partial_log_has(view, meta)))
		return true;
	fs_fold_key_make(view, recovery->values, &key);
	if (key.len < 0)
		return true;			/* admission let it in under another definition of the views */
	if (recovery->pass == FOLD && meta->event_time >= first_in_window(shard, view) &&
		!fs_fold_view(shard, view, meta, fs_shard_slice(shard, meta->event_time), recovery->values, &key))
		return false;
	handle = fs_entity_find(&view->shared->entities, key.bytes, key.len, &key.places[0]);
	if (handle == 0 && recovery->pass == STAMP_LEFT)
	{
		bool		full = false;

		handle = make_left(shard, view, meta->event_time, &key, &full);
		if (full)
			return false;
	}
	if (handle == 0)
		return true;
	corrected = fs_corrected_meet(recovery->corrected, v, meta, handle);
	stamp_entity(recovery, v, fs_arena_ptr(handle), meta, corrected == NULL ? FS_TIME_MIN : corrected->upto);
	return true;
}

/* For stat_progress_recovery. */
static void
report_progress(Recovery *recovery)
{
	FsSharedStream *slot = recovery->shard->slot;

	fs_stats_begin_change(slot);
	slot->stats.recovery_bytes_done = recovery->bytes_done;
	slot->stats.recovery_bytes_total = recovery->bytes_total;
	slot->stats.recovery_events = recovery->events;
	fs_stats_end_change(slot);
}

/* Folds one segment; stops the scan when memory is out. */
static bool
recover_segment(void *arg, FsTime slice, const char *bytes, size_t len)
{
	Recovery   *recovery = arg;
	FsShard    *shard = recovery->shard;
	FsSegmentReader *reader;
	FsEventMeta meta;
	FsSegmentStatus status;
	FsEvent		event = {0};

	CHECK_FOR_INTERRUPTS();
	fs_segment_check(fs_segment_reader_open(bytes, len, &reader), slice);
	memset(recovery->values, 0, sizeof(FsValue) * shard->nvalues);
	fs_log_columns_begin(recovery->columns, reader, recovery->values);
	while ((status = fs_log_columns_next(recovery->columns, reader, &meta, recovery->values)) == FS_SEGMENT_OK &&
		   !recovery->full)
	{
		event.values = recovery->values;
		event.where_mask = fs_contract_views(shard, &event);
		for (int v = 0; v < shard->nviews && !recovery->full; v++)
			recovery->full = !recover_event(recovery, v, &meta, event.where_mask);
		recovery->events++;
	}
	fs_segment_reader_free(reader);
	fs_segment_check(status, slice);
	recovery->bytes_done += len;
	report_progress(recovery);
	return !recovery->full;
}

/* A record that is stored, in the place of its events; an FsPartialVisitor. */
static bool
recover_record(void *arg, const FsPartialRecord *record)
{
	Recovery   *recovery = arg;
	FsView	   *view = &recovery->shard->views[recovery->view];
	FsHandle	handle;

	/* All its events enter and leave windows when this one does. */
	FsEventMeta meta = {.event_time = record->time, .late_bound = record->counts_from};

	if (meta.late_bound != FS_TIME_MIN)
		meta.late_bound--;
	if (recovery->pass == FOLD)
	{
		handle = fs_partial_log_put(recovery->shard, view, record);
		recovery->full = handle == 0;
		recovery->records++;
	}
	else
	{
		FsTablePlace place = fs_table_place(&view->shared->entities, fs_hash_bytes(record->key, record->key_len));

		handle = fs_entity_find(&view->shared->entities, record->key, record->key_len, &place);
	}
	if (handle != 0)
		stamp_entity(recovery, recovery->view, fs_arena_ptr(handle), &meta, FS_TIME_MIN);
	return !recovery->full;
}

/* Goes over the records that are stored, of a stretch of time. */
static void
scan_records(Recovery *recovery, FsTime from, FsTime until)
{
	FsShard    *shard = recovery->shard;

	for (int v = 0; v < shard->nviews && !recovery->full; v++)
	{
		const FsView *view = &shard->views[v];
		FsTime		first = first_in_window(shard, view);
		FsTime		begin = recovery->pass == FOLD ? Max(from, first) : from;
		FsTime		end = recovery->pass == FOLD ? until : Min(until, first);

		if (view->partial_log == NULL || !view->partial_log->stored || begin >= end)
			continue;
		recovery->view = v;
		(void) fs_partial_log_restore(shard, view, begin, end, recover_record, recovery);
		recovery->bytes_done += fs_partial_log_bytes(shard, view, begin, end);
		report_progress(recovery);
	}
}

/* Goes over the log's events of a stretch of slices; 'late_from' as fs_event_log_scan() has it. */
static void
scan_log(Recovery *recovery, FsTime from, FsTime until, FsTime late_from)
{
	if (from < until && !recovery->full)
		fs_event_log_scan(recovery->shard->def->relid, from, until, late_from, recover_segment, recovery);
}

/* Bytes that a scan will go over. */
static int64
scan_size(const Recovery *recovery, FsTime from, FsTime skip_from, FsTime skip_until, FsTime until)
{
	const FsShard *shard = recovery->shard;
	int64		size = fs_event_log_size(shard->def->relid, from, skip_from, FS_TIME_MIN) +
		fs_event_log_size(shard->def->relid, skip_from, skip_until, recovery->late_from) +
		fs_event_log_size(shard->def->relid, skip_until, until, FS_TIME_MIN);

	for (int v = 0; v < shard->nviews && recovery->pass != STAMP_LEFT; v++)
	{
		const FsView *view = &shard->views[v];

		if (view->partial_log != NULL && view->partial_log->stored)
			size += fs_partial_log_bytes(shard, view, from, until);
	}
	return size;
}

/*
 * Goes over the events of a stretch of slices: first those that were read for
 * one view alone, which are older.  Entities that only ever had events outside
 * every window are not kept by the rings: nothing to do for them.  Within a slice
 * events come in the order of their acceptance; records that are stored stand
 * between the slices before and after theirs.
 */
static void
scan(Recovery *recovery, FsTime from, FsTime until, Pass pass)
{
	const FsShard *shard = recovery->shard;
	FsTime		skip_from = Min(Max(recovery->skip_from, from), until);
	FsTime		skip_until = Min(Max(recovery->skip_until, skip_from), until);

	Assert(from <= until);
	recovery->pass = pass;
	if (pass == STAMP_LEFT)
		skip_from = skip_until = until;
	recovery->bytes_done = 0;
	recovery->bytes_total = scan_size(recovery, from, skip_from, skip_until, until);
	for (int v = 0; v < shard->nviews && !recovery->full; v++)
	{
		if (!shard->views[v].has_backread)
			continue;
		recovery->views = (uint32) 1 << v;
		fs_event_log_scan_view(shard->views[v].def->relid, from, until, recover_segment, recovery);
	}
	recovery->views = PG_UINT32_MAX;
	scan_log(recovery, from, skip_from, FS_TIME_MIN);
	if (pass != STAMP_LEFT)
		scan_records(recovery, from, until);
	scan_log(recovery, skip_from, skip_until, recovery->late_from);
	scan_log(recovery, skip_until, until, FS_TIME_MIN);
}

/*
 * Works out which slices of the log nobody wants: their events are in records
 * that are stored, or too old for views without.  Where a view without has rows
 * in force of a gap to be found, all are wanted.
 */
static void
plan_skip(Recovery *recovery)
{
	const FsShard *shard = recovery->shard;
	bool		any = false;

	recovery->skip_from = FS_TIME_MIN;
	recovery->skip_until = recovery->late_from = FS_TIME_MAX;
	for (int v = 0; v < shard->nviews; v++)
	{
		const FsView *view = &shard->views[v];
		const FsPartialLog *log = view->partial_log;

		if (log != NULL && log->stored)
		{
			any = true;
			recovery->skip_from = Max(recovery->skip_from, log->from);
			recovery->skip_until = Min(recovery->skip_until, log->upto);
			recovery->late_from = Min(recovery->late_from, log->upto);
		}
		else if (view->paused || view->ngaps > 0 || shard->frontier == FS_TIME_MIN)
			recovery->skip_until = FS_TIME_MIN;
		else
			recovery->skip_until = Min(recovery->skip_until,
									   fs_time_floor(first_in_window(shard, view) - fs_view_max_window(view->def) -
													 2 * view->def->slide, shard->def->slice));
	}
	if (!any)
		recovery->skip_until = FS_TIME_MIN;
}

/* Sets the counters of a view; fs_gaps_load() has made its row. */
static void
load_counts(FsView *view)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(view->def->relid)};

	SPI_connect();
	fs_query_run("SELECT counted_count, filtered_count, late_count, expression_error_count, row_count "
				 "FROM feature_stream.view_state WHERE view OPERATOR(pg_catalog.=) $1",
				 SPI_OK_SELECT, 1, types, values, NULL);
	if (SPI_processed != 1)
		elog(ERROR, "could not read feature_stream.view_state");
	view->counts.counted = fs_query_int64(0, 1, 0);
	view->counts.filtered = fs_query_int64(0, 2, 0);
	view->counts.late = fs_query_int64(0, 3, 0);
	view->counts.expression_errors = fs_query_int64(0, 4, 0);
	view->counts.rows = fs_query_int64(0, 5, 0);
	SPI_finish();
}

/*
 * Looks for entities whose events have all gone during a pause: what the online
 * store has of them must go, too.  Where it is to get the empty row, the last
 * window end at which something left is looked for in the whole gap.
 */
static void
scan_left(Recovery *recovery, FsTime until_all)
{
	const FsShard *shard = recovery->shard;
	FsTime		from = FS_TIME_MAX;
	FsTime		until = FS_TIME_MIN;

	for (int v = 0; v < shard->nviews; v++)
	{
		const FsView *view = &shard->views[v];

		for (int i = 0; i < view->ngaps; i++)
		{
			const FsGap *gap = &view->gaps[i];

			if (!is_unsettled(shard, view, gap))
				continue;
			from = Min(from, fs_time_floor(left_from(view, gap), shard->def->slice));
			until = Max(until, view->def->on_empty == FS_ON_EMPTY_SET ? Max(gap->after, until_all) : gap->after);
		}
	}
	if (from < until)
		scan(recovery, from, until, STAMP_LEFT);
}

/* Makes what a recovery needs, in shard->batch; in a transaction. */
static void
begin_recovery(Recovery *recovery)
{
	FsShard    *shard = recovery->shard;

	recovery->columns = fs_log_columns_create(shard->def);
	recovery->values = MemoryContextAllocZero(shard->batch, sizeof(FsValue) * shard->nvalues);
	recovery->fired = MemoryContextAllocZero(shard->batch, sizeof(FiredChunks) * Max(shard->nviews, 1));
	for (int v = 0; v < shard->nviews; v++)
		load_fired(shard, &shard->views[v], &recovery->fired[v]);
	recovery->corrected = fs_corrected_load(shard);
}

/* The first slice from which on windows that end at the frontier or after it may count events. */
static FsTime
live_from(const FsShard *shard)
{
	return fs_time_floor(shard->frontier - shard->max_window - shard->max_slide, shard->def->slice);
}

/*
 * Events that are too old for a view's rings tell which window ends were the
 * last ones of its entities.  Returns the end of their stretch of the log.
 */
static FsTime
scan_older(Recovery *recovery)
{
	const FsShard *shard = recovery->shard;
	FsTime		live = live_from(shard);
	FsTime		until = live;

	for (int v = 0; v < shard->nviews; v++)
		until = Max(until, fs_time_ceil(fs_time_floor(shard->frontier, shard->views[v].def->slide) -
										fs_view_max_window(shard->views[v].def), shard->def->slice));
	scan(recovery, live - shard->max_window - shard->max_slide, until, STAMP);
	return until;
}

/* See shard.h. */
void
fs_recover_stamps(FsShard *shard)
{
	Recovery	recovery = {.shard = shard};
	MemoryContext batch = shard->batch;

	Assert(!IsTransactionState() && !shard->fire.active && shard->frontier != FS_TIME_MIN);
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	shard->batch = CurTransactionContext;	/* the batch in hand stays */
	begin_recovery(&recovery);
	(void) scan_older(&recovery);
	fs_corrected_stamp(shard, recovery.corrected);
	shard->batch = batch;
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/*
 * Rebuilds the arena.  Returns false when feature_stream.memory is too small
 * for the windows; shard->memory_needed then says what would do.
 */
bool
fs_recover_log(FsShard *shard)
{
	Recovery	recovery = {.shard = shard};
	bool		has_fired = shard->frontier != FS_TIME_MIN;

	Assert(!IsTransactionState() && shard->npartitions <= FS_MAX_PARTITIONS);
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	fs_gaps_load(shard);
	fs_partial_log_load(shard);
	plan_skip(&recovery);
	begin_recovery(&recovery);
	scan(&recovery, has_fired ? live_from(shard) : FS_TIME_MIN, FS_TIME_MAX, FOLD);

	/* Older events were met before their entities were there: their stamps come now. */
	if (!recovery.full && has_fired)
		scan_left(&recovery, scan_older(&recovery));
	if (!recovery.full)
		fs_corrected_stamp(shard, recovery.corrected);
	for (int v = 0; v < shard->nviews; v++)
		load_counts(&shard->views[v]);	/* last: folding has counted what was counted before */
	PopActiveSnapshot();
	CommitTransactionCommand();
	if (recovery.records > 0)
		ereport(LOG,
				(errmsg("stream %s is recovered from %lld stored partial aggregates, and %lld events of the log",
						shard->def->name, (long long) recovery.records, (long long) recovery.events)));
	if (recovery.full)
		shard->memory_needed = (int64) ((double) fs_arena_total() * recovery.bytes_total /
										Max(recovery.bytes_done, recovery.bytes_total / 64 + 1) * 1.25);
	for (int v = 0; v < shard->nviews && shard->frontier != FS_TIME_MIN; v++)
		pg_atomic_write_u64(&shard->views[v].shared->durable_frontier,
							fs_slice_index(shard->frontier, shard->def->slice));
	MemoryContextReset(shard->batch);
	return !recovery.full;
}
