/*
 * recover.c
 *		From the log back to memory.
 *
 * When it is known where the shard goes on (recover_positions.c), folds the
 * events of the log that a window may still need into the views' rings, in the
 * order in which they were accepted; in the place of many events there may be the
 * records of a sliced view that they made (partial_log.h).  Then, from the same
 * log and one window further back, finds the rows in force (recover_stamp.h).
 * Events that fired windows count after all (correction.h) say so last, in their
 * order.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "core/hash.h"
#include "core/slice.h"
#include "pipeline/condense.h"
#include "pipeline/corrected.h"
#include "pipeline/log_columns.h"
#include "pipeline/partial_log.h"
#include "pipeline/recover.h"
#include "pipeline/recover_stamp.h"
#include "pipeline/row.h"
#include "state/event_log.h"
#include "state/query.h"

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
	bool		may_end;		/* before its time */
	bool		ended;			/* so it has: what comes of it would be thrown away */
	bool		full;			/* memory is out */
	uint32		views;			/* bit i: view i counts the events at hand */
	uint32		without;		/* bit i: view i is left out */
	bool		publishes;		/* STAMP_LEFT while the stream runs, for the online store alone */

	/* What no view wants from the log, since the records are stored: slices skip_from <= slice < skip_until ... */
	FsTime		skip_from;
	FsTime		skip_until;
	FsTime		late_from;		/* ... but segments with a late bound from here on */

	/* Records that are stored, of the view at hand */
	int			view;
	FsLogColumns *columns;
	FsValue    *values;			/* by stream column */
	FsFired    *fired;			/* by view */
	struct FsCorrectedEvents *corrected;	/* NULL: there are none */
	int64		bytes_done;
	int64		bytes_total;
	int64		events;
	int64		records;		/* that were stored, and are in rings */
} Recovery;

/*
 * Is there no sense in going on?  The worker starts over with the definitions
 * that there are now, or ends: it need not recover for that before.
 */
static bool
is_over(Recovery *recovery)
{
	const FsShard *shard = recovery->shard;

	if (recovery->may_end && !recovery->ended)
		recovery->ended = shard->slot->stop || pg_atomic_read_u64(&shard->slot->generation) != shard->generation;
	return recovery->full || recovery->ended;
}

/* The first event time that a window behind the frontier needs; all are when there is no frontier. */
static FsTime
first_in_window(const FsShard *shard, const FsView *view)
{
	if (shard->frontier == FS_TIME_MIN)
		return FS_TIME_MIN;
	return fs_time_floor(shard->frontier, view->def->slide) - fs_view_max_window(view->def);
}

/* Makes the entity of an event at 'time' that is not in memory, if the online store may want it; false when memory is out. */
static bool
make_left(Recovery *recovery, FsView *view, FsTime time, const FsFoldKey *key, FsHandle *handle)
{
	bool		full = false;

	if (!recovery->publishes)
		*handle = fs_recover_make_left(recovery->shard, view, time, key, &full);
	else if (time < first_in_window(recovery->shard, view))
	{
		*handle = fs_left_make(recovery->shard, view, key);
		full = *handle == 0;
	}
	return !full;
}

/* One event of the log into one view; false when memory is out. */
static bool
recover_event(Recovery *recovery, int v, const FsEventMeta *meta, uint32 where_mask)
{
	FsShard    *shard = recovery->shard;
	FsView	   *view = &shard->views[v];
	bool		folds = recovery->pass == FOLD && meta->event_time >= first_in_window(shard, view);
	FsFoldKey	key;
	FsHandle	handle;
	const FsCorrected *corrected;

	if ((where_mask & recovery->views & ((uint32) 1 << v)) == 0 ||
		(recovery->pass != STAMP_LEFT && fs_partial_log_has(view, meta)))
		return true;
	fs_fold_key_make(view, recovery->values, &key);
	if (key.len < 0)
		return true;			/* admission let it in under another definition of the views */
	if (folds &&
		!fs_fold_view(shard, view, meta, fs_shard_slice(shard, meta->event_time), recovery->values, &key))
		return false;
	handle = fs_entity_find(&view->shared->entities, key.bytes, key.len, &key.places[0]);
	if (handle == 0 && recovery->pass == STAMP_LEFT && !make_left(recovery, view, meta->event_time, &key, &handle))
		return false;
	if (handle == 0 || (recovery->publishes && ((FsEntity *) fs_arena_ptr(handle))->nevents > 0))
		return true;
	if (folds && view->def->is_condensed)
		fs_condense_recovered(shard, view, fs_arena_ptr(handle));
	corrected = fs_corrected_meet(recovery->corrected, v, meta, handle);
	fs_recover_stamp(shard, recovery->fired, v, fs_arena_ptr(handle), meta,
					 corrected == NULL ? FS_TIME_MIN : corrected->upto);
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

/* Folds one segment; stops the scan when that is over. */
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
	if (is_over(recovery))
		return false;
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
		fs_recover_stamp(recovery->shard, recovery->fired, recovery->view, fs_arena_ptr(handle), &meta, FS_TIME_MIN);
	return !is_over(recovery);
}

/* Goes over the records that are stored, of a stretch of time. */
static void
scan_records(Recovery *recovery, FsTime from, FsTime until)
{
	FsShard    *shard = recovery->shard;

	for (int v = 0; v < shard->nviews && !is_over(recovery); v++)
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
	if (from < until && !is_over(recovery))
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
	if (is_over(recovery))
		return;
	recovery->bytes_done = 0;
	recovery->bytes_total = scan_size(recovery, from, skip_from, skip_until, until);
	for (int v = 0; v < shard->nviews && !is_over(recovery); v++)
	{
		if (!shard->views[v].has_backread || (recovery->without & ((uint32) 1 << v)) != 0)
			continue;
		recovery->views = (uint32) 1 << v;
		fs_event_log_scan_view(shard->views[v].def->relid, from, until, recover_segment, recovery);
	}
	recovery->views = ~recovery->without;
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

/* Sets the counters of a view.  fs_gaps_load() has made its row, which is gone if the view was dropped meanwhile. */
static void
load_counts(FsView *view)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(view->def->relid)};

	SPI_connect();
	fs_query_run("SELECT counted_count, filtered_count, late_count, expression_error_count, row_count, "
				 "feature_error_count, feature_error FROM feature_stream.view_state WHERE view OPERATOR(pg_catalog.=) $1",
				 SPI_OK_SELECT, 1, types, values, NULL);
	if (SPI_processed == 1)
	{
		view->counts.counted = fs_query_int64(0, 1, 0);
		view->counts.filtered = fs_query_int64(0, 2, 0);
		view->counts.late = fs_query_int64(0, 3, 0);
		view->counts.expression_errors = fs_query_int64(0, 4, 0);
		view->counts.rows = fs_query_int64(0, 5, 0);
		view->feature_errors = fs_query_int64(0, 6, 0);
		if (!fs_query_is_null(0, 7))
			strlcpy(view->row->error, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 7),
					sizeof(view->row->error));
	}
	SPI_finish();
}

/* Makes what a recovery needs, in shard->batch; in a transaction. */
static void
begin_recovery(Recovery *recovery)
{
	FsShard    *shard = recovery->shard;

	recovery->columns = fs_log_columns_create(shard->def);
	recovery->values = MemoryContextAllocZero(shard->batch, sizeof(FsValue) * shard->nvalues);
	recovery->fired = fs_recover_load_fired(shard);
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

/* Goes over the events of entities that have lost all of theirs during a pause. */
static void
scan_left(Recovery *recovery, FsTime until_all)
{
	FsTime		from;
	FsTime		until;

	if (fs_recover_left_range(recovery->shard, until_all, &from, &until))
		scan(recovery, from, until, STAMP_LEFT);
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

/* See shard.h. */
bool
fs_recover_left(FsShard *shard, FsView *view, FsTime from, FsTime until)
{
	Recovery	recovery = {.shard = shard, .publishes = true, .without = ~((uint32) 1 << (view - shard->views))};
	MemoryContext batch = shard->batch;

	Assert(IsTransactionState() && shard->frontier != FS_TIME_MIN);
	shard->batch = CurTransactionContext;	/* the batch in hand stays */
	begin_recovery(&recovery);
	scan(&recovery, from, until, STAMP_LEFT);
	fs_corrected_stamp(shard, recovery.corrected);
	shard->batch = batch;
	return !recovery.full;
}

/*
 * Pauses and gaps, in a transaction of their own: what follows may take hours
 * and only reads, so whoever drops a view does not wait for its rows.
 */
static void
load_gaps(FsShard *shard)
{
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	fs_gaps_load(shard);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/*
 * Rebuilds the arena.  Returns false when feature_stream.memory is too small
 * for the windows; shard->memory_needed then says what would do.  It ends before
 * its time, with shard->start_over, when definitions change meanwhile.
 */
bool
fs_recover_log(FsShard *shard)
{
	Recovery	recovery = {.shard = shard, .may_end = true};
	bool		has_fired = shard->frontier != FS_TIME_MIN;

	Assert(!IsTransactionState() && shard->npartitions <= FS_MAX_PARTITIONS);
	Assert(!shard->start_over);
	load_gaps(shard);
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	fs_partial_log_load(shard);
	plan_skip(&recovery);
	begin_recovery(&recovery);
	scan(&recovery, has_fired ? live_from(shard) : FS_TIME_MIN, FS_TIME_MAX, FOLD);

	/* Older events were met before their entities were there: their stamps come now. */
	if (!is_over(&recovery) && has_fired)
		scan_left(&recovery, scan_older(&recovery));
	if (!is_over(&recovery))
		fs_corrected_stamp(shard, recovery.corrected);
	for (int v = 0; v < shard->nviews; v++)
		load_counts(&shard->views[v]);	/* last: folding has counted what was counted before */
	PopActiveSnapshot();
	CommitTransactionCommand();
	shard->start_over = recovery.ended;
	if (recovery.ended)
		ereport(LOG,
				(errmsg("recovery of stream %s ends before its time", shard->def->name),
				 errdetail("Its definition or those of its feature views have changed, or it is to stop.")));
	else if (recovery.records > 0)
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
