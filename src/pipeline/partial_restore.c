/*
 * partial_restore.c
 *		From stored partial aggregates back to rings; see partial_log.h.
 *
 * What is stored is used whole or not at all: of the very definition, up to the
 * very frontier, and with nothing missing among what the windows need.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "core/hash.h"
#include "core/slice.h"
#include "ground/settings.h"
#include "pipeline/partial_log.h"
#include "state/event_log.h"
#include "state/query.h"

/* A scan at work. */
typedef struct Restoring
{
	const FsView *view;
	FsTime		from;
	FsTime		until;
	FsPartialVisitor visit;
	void	   *arg;
	MemoryContext context;		/* of one record */
	bool		go_on;
} Restoring;

/*
 * The rows with records of 'from' <= time < 'until', and some others.  Those are
 * kept that have entries of the last two windows, as the log is.
 */
static FsPartialLogRange
range_of(const FsShard *shard, const FsView *view, FsTime from, FsTime until)
{
	const FsPartialLog *log = view->partial_log;
	FsTime		kept = log->upto - 2 * fs_view_max_window(view->def) - view->def->slide;
	FsPartialLogRange range = {
		.stream = shard->def->relid,
		.view = view->def->relid,
		.layout = log->layout,
		.after = Max(Max(log->from, kept), from),
		.upto = log->upto,
		.before = until
	};

	return range;
}

/* What of the view's state is not as it must be; NULL: nothing. */
static const char *
find_fault(const FsShard *shard, const FsView *view, int64 layout)
{
	const FsPartialLog *log = view->partial_log;
	FsPartialLogRange range;

	if (view->paused)
		return "The feature view is paused.";
	if (fs_partial_log_ratio <= 0)
		return "\"feature_stream.partial_log_ratio\" is 0.";
	if (layout != log->layout)
		return "They are of another definition.";
	if (shard->frontier == FS_TIME_MIN || log->upto != fs_time_floor(shard->frontier, view->def->slide) ||
		log->from > log->last || log->last > log->upto)
		return "They do not end where windows were fired.";
	range = range_of(shard, view, FS_TIME_MIN, FS_TIME_MAX);
	return fs_partial_log_is_whole(&range, log->last) ? NULL : "Some are missing.";
}

/* Reads which records of a view are stored. */
static void
load_view(const FsShard *shard, const FsView *view)
{
	FsPartialLog *log = view->partial_log;
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(view->def->relid)};
	const char *fault;
	int64		layout = 0;

	SPI_connect();
	fs_query_run("SELECT partial_from, partial_upto, partial_last, partial_layout FROM feature_stream.view_state"
				 " WHERE view OPERATOR(pg_catalog.=) $1 AND partial_from IS NOT NULL",
				 SPI_OK_SELECT, 1, types, values, NULL);
	log->stored = SPI_processed == 1;
	if (log->stored)
	{
		log->from = fs_query_time(0, 1);
		log->upto = fs_query_time(0, 2);
		log->last = fs_query_time(0, 3);
		layout = fs_query_int64(0, 4, 0);
	}
	SPI_finish();
	if (!log->stored)
		return;
	fault = find_fault(shard, view, layout);
	if (fault == NULL)
		return;
	log->stored = false;
	ereport(LOG,
			(errmsg("partial aggregates of feature view \"%s\" that are stored are not used", view->def->name),
			 errdetail_internal("%s", fault)));
}

/* See partial_log.h. */
void
fs_partial_log_load(FsShard *shard)
{
	for (int v = 0; v < shard->nviews; v++)
		if (shard->views[v].partial_log != NULL)
			load_view(shard, &shard->views[v]);
}

/* Has the segment the columns of the view's records? */
static bool
has_columns(const FsView *view, const FsSegmentReader *reader)
{
	FsSegmentColumn expected[FS_RING_MAX_CELLS + 1];
	const FsSegmentColumn *columns;
	int			n = fs_partial_record_columns(view, expected);

	if (fs_segment_reader_columns(reader, &columns) != n)
		return false;
	for (int i = 0; i < n; i++)
		if (columns[i].number != expected[i].number || columns[i].type != expected[i].type)
			return false;
	return true;
}

/* A segment does not read; nothing was lost, since the log has the events. */
static void
check_segment(FsSegmentStatus status, FsTime window_end, const FsView *view)
{
	if (status == FS_SEGMENT_OK || status == FS_SEGMENT_END || status == FS_SEGMENT_NO_MEMORY)
		fs_segment_check(status, window_end);
	else
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("partial aggregates of feature view \"%s\" are corrupted", view->def->name),
				 errhint("Delete the rows of view %u from feature_stream.partial_log: its events are read instead.",
						 view->def->relid)));
}

/* Hands the records of a segment to the visitor. */
static bool
restore_segment(void *arg, FsTime window_end, const char *bytes, size_t len)
{
	Restoring  *restoring = arg;
	const FsView *view = restoring->view;
	FsSegmentReader *reader;
	FsSegmentStatus status;
	FsEventMeta meta;
	FsValue		values[FS_RING_MAX_CELLS + 1];

	CHECK_FOR_INTERRUPTS();
	check_segment(fs_segment_reader_open(bytes, len, &reader), window_end, view);
	if (!has_columns(view, reader))
		check_segment(FS_SEGMENT_CORRUPT, window_end, view);
	while (restoring->go_on && (status = fs_segment_next(reader, &meta, values)) == FS_SEGMENT_OK)
	{
		FsPartialRecord record = {values[0].data, (int) values[0].len, meta.event_time, meta.late_bound, &values[1]};
		MemoryContext old;

		if (meta.event_time < restoring->from || meta.event_time >= restoring->until)
			continue;
		old = MemoryContextSwitchTo(restoring->context);
		restoring->go_on = restoring->visit(restoring->arg, &record);
		MemoryContextSwitchTo(old);
		if (view->layout.has_sets)
			MemoryContextReset(restoring->context);
	}
	fs_segment_reader_free(reader);
	if (restoring->go_on)
		check_segment(status, window_end, view);
	return restoring->go_on;
}

/* See partial_log.h. */
bool
fs_partial_log_restore(const FsShard *shard, const FsView *view, FsTime from, FsTime until,
					   FsPartialVisitor visit, void *arg)
{
	FsPartialLogRange range = range_of(shard, view, from, until);
	Restoring	restoring = {.view = view, .from = from, .until = until, .visit = visit, .arg = arg, .go_on = true};

	Assert(view->partial_log->stored);
	restoring.context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream partial record",
											  ALLOCSET_DEFAULT_SIZES);
	fs_partial_log_scan(&range, restore_segment, &restoring);
	MemoryContextDelete(restoring.context);
	return restoring.go_on;
}

/* See partial_log.h. */
int64
fs_partial_log_bytes(const FsShard *shard, const FsView *view, FsTime from, FsTime until)
{
	FsPartialLogRange range = range_of(shard, view, from, until);

	return fs_partial_log_size(&range);
}

/* See partial_log.h. */
FsHandle
fs_partial_log_put(FsShard *shard, FsView *view, const FsPartialRecord *record)
{
	FsCell		cells[FS_RING_MAX_CELLS];
	uint32		slice = (uint32) fs_slice_index(record->time, shard->def->slice);

	Assert(record->key_len <= FS_ENTITY_MAX_KEY && fs_slice_start(slice, shard->def->slice) == record->time);
	if (!fs_partial_record_cells(shard, view, record, slice, cells))
		return 0;
	return fs_fold_record(shard, view, record->key, record->key_len, record->time, record->counts_from, cells);
}
