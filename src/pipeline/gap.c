/*
 * gap.c
 *		Window ends that a feature view does not fire when they are due.
 *
 * A view that comes to a running stream has its state at once, out of the log,
 * but window ends have been fired without it.  When its worker loads it for the
 * first time it enters that gap into feature_stream.backfill, with the exact
 * window end at which the view begins to fire: the last one that is fired or
 * being fired by the other views, and in which no event counts any more.  The
 * rows of the gap are a function of the log from then on.  Their writing into
 * the history is left to the backfill worker (backfill.c), while the rows in
 * force are known from the state, and told to readers and the online store.
 *
 * A view for which older events are read from the topic (backread.h) is paused
 * meanwhile, from its creation on, and has its gap when that is done.
 *
 * A view that is resumed has such a gap, too: from the last window end that it
 * fired, which its worker wrote down when it met the pause, to the one at which
 * it meets the resumption.  While it is paused its events are folded all the
 * same, so that what is late does not depend on the pause.
 *
 * Run by recovery, in its transaction, before it works out the rows in force.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/timestamp.h"

#include "ground/clock.h"
#include "pipeline/backread.h"
#include "pipeline/batch.h"
#include "pipeline/shard.h"

/* A time of the first row of the last command; FS_TIME_MIN for NULL. */
static FsTime
get_time(uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);

	return isnull ? FS_TIME_MIN : DatumGetTimestampTz(value);
}

/* Sets parameter i to a time; FS_TIME_MIN is NULL. */
static void
set_time(Datum *values, char *nulls, int i, FsTime time)
{
	nulls[i] = time == FS_TIME_MIN ? 'n' : ' ';
	values[i] = TimestampTzGetDatum(time);
}

/*
 * Enters a view that is loaded for the first time; with a gap where window ends
 * were fired without it, unless older events are read for it before.
 */
static void
register_view(const FsShard *shard, const FsView *view, const FsBatchCover *cover)
{
	Oid			types[3] = {OIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[3] = {ObjectIdGetDatum(view->def->relid)};
	char		nulls[3] = {' ', ' ', ' '};

	/* Before the first firing nothing has been dropped from the log. */
	set_time(values, nulls, 1, shard->frontier == FS_TIME_MIN || cover->log_complete ?
			 FS_TIME_MIN : cover->log_from);
	if (SPI_execute_with_args("INSERT INTO feature_stream.view_state (view, log_from, paused, paused_hold) "
							  "SELECT $1, CASE WHEN r.view IS NULL THEN $2 END, r.view IS NOT NULL, r.hold "
							  "FROM (VALUES ($1)) v (view) LEFT JOIN feature_stream.backread r ON r.view = v.view "
							  "ON CONFLICT (view) DO NOTHING",
							  2, types, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write feature_stream.view_state");
	if (SPI_processed == 0 || shard->closing == FS_TIME_MIN)
		return;
	set_time(values, nulls, 1, shard->closing);
	set_time(values, nulls, 2, fs_clock_now());
	if (SPI_execute_with_args("INSERT INTO feature_stream.backfill (view, until, reason, computed_at, state) "
							  "SELECT $1, $2, 'creation', $3, CASE WHEN v.backfill THEN 'pending' ELSE 'declined' END "
							  "FROM feature_stream.feature_view v WHERE v.view = $1 "
							  "AND NOT EXISTS (SELECT FROM feature_stream.backread r WHERE r.view = $1)",
							  3, types, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write feature_stream.backfill");
}

/* The view is paused: notes from which window end on, the first time. */
static void
enter_pause(const FsShard *shard, const FsView *view)
{
	Oid			types[2] = {OIDOID, TIMESTAMPTZOID};
	Datum		values[2] = {ObjectIdGetDatum(view->def->relid)};
	char		nulls[2] = {' ', ' '};

	set_time(values, nulls, 1, shard->closing);
	if (SPI_execute_with_args("UPDATE feature_stream.view_state s SET paused = true, paused_hold = p.hold,"
							  " paused_after = CASE WHEN s.paused THEN s.paused_after ELSE $2 END"
							  " FROM feature_stream.view_pause p WHERE p.view = s.view AND s.view = $1",
							  2, types, values, nulls, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not write feature_stream.view_state");
}

/* The view is not paused: if it was when it was last loaded, what passed meanwhile is a gap. */
static void
leave_pause(const FsShard *shard, const FsView *view)
{
	Oid			types[3] = {OIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[3] = {ObjectIdGetDatum(view->def->relid)};
	char		nulls[3] = {' ', ' ', ' '};

	set_time(values, nulls, 1, shard->closing);
	set_time(values, nulls, 2, fs_clock_now());
	if (SPI_execute_with_args("INSERT INTO feature_stream.backfill (view, after, until, reason, computed_at, hold, state) "
							  "SELECT s.view, s.paused_after, $2, CASE WHEN r.view IS NULL THEN 'pause' ELSE 'creation' END, "
							  "$3, s.paused_hold, CASE WHEN r.view IS NULL OR v.backfill THEN 'pending' ELSE 'declined' END "
							  "FROM feature_stream.view_state s JOIN feature_stream.feature_view v ON v.view = s.view "
							  "LEFT JOIN feature_stream.backread r ON r.view = s.view AND s.paused_after IS NULL "
							  "WHERE s.view = $1 AND s.paused "
							  "AND $2 > COALESCE(s.paused_after, '-infinity')",
							  3, types, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write feature_stream.backfill");
	if (SPI_execute_with_args("UPDATE feature_stream.view_state s SET paused = false, paused_after = NULL, paused_hold = NULL,"
							  " log_from = COALESCE((SELECT r.whole_from FROM feature_stream.backread r"
							  " WHERE r.view = s.view AND s.paused_after IS NULL), s.log_from)"
							  " WHERE s.view = $1 AND s.paused",
							  1, types, values, nulls, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not write feature_stream.view_state");
}

/* Follows pause and resumption, and sets what the row of view_state says. */
static void
load_state(FsShard *shard, FsView *view)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(view->def->relid)};
	bool		isnull;
	bool		is_paused;
	bool		is_read;

	if (SPI_execute_with_args("SELECT EXISTS (SELECT FROM feature_stream.view_pause WHERE view = $1),"
							  " (SELECT state = 'done' FROM feature_stream.backread WHERE view = $1)",
							  1, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read feature_stream.view_pause");
	is_paused = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	is_read = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	view->has_backread = !isnull && is_read;
	if (is_paused)
		enter_pause(shard, view);
	else if (isnull || is_read)
		leave_pause(shard, view);
	if (SPI_execute_with_args("SELECT log_from, paused_after, paused FROM feature_stream.view_state WHERE view = $1",
							  1, types, values, NULL, false, 0) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read feature_stream.view_state");
	view->log_from = get_time(0, 1);
	view->paused_after = get_time(0, 2);
	view->paused = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull));
	view->shared->paused = view->paused;
	if (view->has_backread)
		view->covered_from = fs_backread_covered_from(view->def->relid, shard->def->relid);
}

/* Reads the gaps of a view. */
static void
load_gaps(FsShard *shard, FsView *view)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(view->def->relid)};

	bool		isnull;

	if (SPI_execute_with_args("SELECT b.after, b.until, b.computed_at, b.reason = 'pause' AND b.state = 'pending' "
							  "FROM feature_stream.backfill b "
							  "WHERE b.view = $1 ORDER BY b.until",
							  1, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read feature_stream.backfill");
	view->ngaps = (int) SPI_processed;
	view->gaps = MemoryContextAlloc(shard->context, sizeof(FsGap) * Max(view->ngaps, 1));
	for (int i = 0; i < view->ngaps; i++)
	{
		view->gaps[i].after = get_time(i, 1);
		view->gaps[i].until = get_time(i, 2);
		view->gaps[i].computed_at = get_time(i, 3);
		view->gaps[i].unsettled = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc,
															 4, &isnull));
	}
}

/* Registers views that are new, follows pauses, and sets the gaps of all. */
void
fs_gaps_load(FsShard *shard)
{
	FsBatchCover cover;

	fs_batch_cover(shard->def->relid, InvalidOid, &cover);
	SPI_connect();
	for (int v = 0; v < shard->nviews; v++)
	{
		FsView	   *view = &shard->views[v];

		register_view(shard, view, &cover);
		load_state(shard, view);
		load_gaps(shard, view);
	}
	SPI_finish();
}

/* When the row of a window end became known that lies in a gap of the view; FS_TIME_MIN when it does not. */
FsTime
fs_gap_computed_at(const FsView *view, FsTime window_end)
{
	for (int i = 0; i < view->ngaps; i++)
		if (window_end > view->gaps[i].after && window_end <= view->gaps[i].until)
			return view->gaps[i].computed_at;
	return FS_TIME_MIN;
}
