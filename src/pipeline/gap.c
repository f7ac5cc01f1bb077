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
 * A view for which older events are read from the source (backread.h) is paused
 * meanwhile, from its creation on, and has its gap when that is done.
 *
 * A view that is resumed has such a gap, too: from the last window end that it
 * fired, which its worker wrote down when it met the pause, to the one at which
 * it meets the resumption.  While it is paused its events are folded all the
 * same, so that what is late does not depend on the pause.
 *
 * Run by recovery, in a transaction of its own, before it works out the rows in force.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"

#include "ground/clock.h"
#include "pipeline/alteration.h"
#include "pipeline/backread.h"
#include "pipeline/batch.h"
#include "pipeline/history_writer.h"
#include "pipeline/shard.h"
#include "state/query.h"

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
	fs_query_set_time(values, nulls, 1, shard->frontier == FS_TIME_MIN || cover->log_complete ?
					  FS_TIME_MIN : cover->log_from);
	fs_query_run("INSERT INTO feature_stream.view_state (view, log_from, paused, paused_hold) "
				 "SELECT $1, CASE WHEN r.view IS NULL THEN $2 END, r.view IS NOT NULL, r.hold "
				 "FROM (VALUES ($1)) v (view) LEFT JOIN feature_stream.backread r ON r.view = v.view "
				 "ON CONFLICT (view) DO NOTHING",
				 SPI_OK_INSERT, 2, types, values, nulls);
	if (SPI_processed == 0)
		return;
	fs_query_set_time(values, nulls, 1, fs_history_newest(view->def, shard->def));
	fs_query_run("UPDATE feature_stream.view_state SET history_until = $2 WHERE view = $1",
				 SPI_OK_UPDATE, 2, types, values, nulls);
	if (shard->closing == FS_TIME_MIN)
		return;
	fs_query_set_time(values, nulls, 1, shard->closing);
	fs_query_set_time(values, nulls, 2, fs_clock_now());
	fs_query_run("INSERT INTO feature_stream.backfill (view, until, reason, computed_at, state) "
				 "SELECT $1, $2, 'creation', $3, CASE WHEN v.backfill THEN 'pending' ELSE 'declined' END "
				 "FROM feature_stream.feature_view v WHERE v.view = $1 "
				 "AND NOT EXISTS (SELECT FROM feature_stream.backread r WHERE r.view = $1)",
				 SPI_OK_INSERT, 3, types, values, nulls);
}

/* The view is paused: notes from which window end on, the first time. */
static void
enter_pause(const FsShard *shard, const FsView *view)
{
	Oid			types[2] = {OIDOID, TIMESTAMPTZOID};
	Datum		values[2] = {ObjectIdGetDatum(view->def->relid)};
	char		nulls[2] = {' ', ' '};

	fs_query_set_time(values, nulls, 1, shard->closing);
	fs_query_run("UPDATE feature_stream.view_state s SET paused = true, paused_hold = p.hold,"
				 " paused_after = CASE WHEN s.paused THEN s.paused_after ELSE $2 END"
				 " FROM feature_stream.view_pause p WHERE p.view = s.view AND s.view = $1",
				 SPI_OK_UPDATE, 2, types, values, nulls);
}

/* The view is not paused: if it was when it was last loaded, what passed meanwhile is a gap. */
static void
leave_pause(const FsShard *shard, const FsView *view)
{
	Oid			types[3] = {OIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[3] = {ObjectIdGetDatum(view->def->relid)};
	char		nulls[3] = {' ', ' ', ' '};

	fs_query_set_time(values, nulls, 1, shard->closing);
	fs_query_set_time(values, nulls, 2, fs_clock_now());
	fs_query_run("INSERT INTO feature_stream.backfill (view, after, until, reason, computed_at, hold, state) "
				 "SELECT s.view, s.paused_after, $2, CASE WHEN r.view IS NULL THEN 'pause' ELSE 'creation' END, "
				 "$3, s.paused_hold, CASE WHEN r.view IS NULL OR v.backfill THEN 'pending' ELSE 'declined' END "
				 "FROM feature_stream.view_state s JOIN feature_stream.feature_view v ON v.view = s.view "
				 "LEFT JOIN feature_stream.backread r ON r.view = s.view AND s.paused_after IS NULL "
				 "WHERE s.view = $1 AND s.paused "
				 "AND $2 > COALESCE(s.paused_after, '-infinity')",
				 SPI_OK_INSERT, 3, types, values, nulls);
	fs_query_run("UPDATE feature_stream.view_state s SET paused = false, paused_after = NULL, paused_hold = NULL,"
				 " log_from = COALESCE((SELECT r.whole_from FROM feature_stream.backread r"
				 " WHERE r.view = s.view AND s.paused_after IS NULL), s.log_from)"
				 " WHERE s.view = $1 AND s.paused",
				 SPI_OK_UPDATE, 1, types, values, nulls);
}

/* Follows pause and resumption, and sets what the row of view_state says. */
static void
load_state(FsShard *shard, FsView *view)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(view->def->relid)};
	bool		is_paused;
	bool		has_backread;

	fs_query_run("SELECT EXISTS (SELECT FROM feature_stream.view_pause WHERE view = $1),"
				 " (SELECT state = 'done' FROM feature_stream.backread WHERE view = $1)",
				 SPI_OK_SELECT, 1, types, values, NULL);
	is_paused = fs_query_bool(0, 1);
	has_backread = !fs_query_is_null(0, 2);
	view->has_backread = fs_query_bool(0, 2);
	if (is_paused)
		enter_pause(shard, view);
	else if (!has_backread || view->has_backread)
		leave_pause(shard, view);
	fs_query_run("SELECT log_from, paused_after, paused, history_until FROM feature_stream.view_state WHERE view = $1",
				 SPI_OK_SELECT, 1, types, values, NULL);
	if (SPI_processed != 1)
		elog(ERROR, "could not read feature_stream.view_state");
	view->log_from = fs_query_time(0, 1);
	view->paused_after = fs_query_time(0, 2);
	view->paused = fs_query_bool(0, 3);
	view->history_until = fs_query_time(0, 4);
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

	fs_query_run("SELECT b.after, b.until, b.computed_at, b.reason = 'pause', b.state = 'pending' "
				 "FROM feature_stream.backfill b "
				 "WHERE b.view = $1 ORDER BY b.until",
				 SPI_OK_SELECT, 1, types, values, NULL);
	view->ngaps = (int) SPI_processed;
	view->gaps = MemoryContextAlloc(shard->context, sizeof(FsGap) * Max(view->ngaps, 1));
	for (int i = 0; i < view->ngaps; i++)
	{
		view->gaps[i].after = fs_query_time(i, 1);
		view->gaps[i].until = fs_query_time(i, 2);
		view->gaps[i].computed_at = fs_query_time(i, 3);
		view->gaps[i].by_pause = fs_query_bool(i, 4);
		view->gaps[i].pending = fs_query_bool(i, 5);
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
		fs_alterations_meet(shard, view);
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
