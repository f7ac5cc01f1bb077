/*
 * stuck.c
 *		Feature views that are set aside, since an expression of theirs does not end.
 *
 * What takes too long is cancelled, and is an error of its event or feature; but
 * code that catches every cancellation would keep its worker for ever, and is
 * ended with the whole process (ground/deadline.h).  The next worker would meet
 * the same event.  So the one that ends says in the stream's slot whose code it
 * was, and the next one first pauses that view, with a reason.  From then on, to
 * resume_feature_view(), the view is not loaded: none of its expressions is
 * evaluated.  Its window ends meanwhile are a gap, as those of every pause
 * (gap.c), and its events are taken from the log; what is late does not depend on
 * that.  (Of the boundary at which it was set aside rows may be missing, if it
 * had fired that in part: firing it took several checkpoints.)
 *
 * Called by the ingest worker; the report is the backfill worker's.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "catalog/extension.h"
#include "catalog/feature_view_def.h"
#include "ground/deadline.h"
#include "ground/transaction.h"
#include "pipeline/stuck.h"
#include "state/query.h"

/* The view that is noted in the slot, if any. */
static Oid
noted_view(const FsSharedStream *slot)
{
	Oid			view;

	LWLockAcquire(fs_shared->lock, LW_SHARED);
	view = slot->stuck_view;
	LWLockRelease(fs_shared->lock);
	return view;
}

/* Takes the note back, unless there is another one. */
static void
forget_view(FsSharedStream *slot, Oid view)
{
	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	if (slot->stuck_view == view)
		slot->stuck_view = InvalidOid;
	LWLockRelease(fs_shared->lock);
}

/*
 * Pauses a view.  It has fired to the frontier, or to the boundary beyond it if
 * rows of that are in the history.  SPI is connected.
 */
static void
pause_view(Oid view, Oid stream)
{
	Oid			types[2] = {OIDOID, TEXTOID};
	Datum		values[2] = {ObjectIdGetDatum(view), CStringGetTextDatum(FS_DEADLINE_GAVE_UP)};

	fs_query_run("INSERT INTO feature_stream.view_pause AS p (view, hold, reason) "
				 "SELECT v.view, '7 days', $2 FROM feature_stream.feature_view v WHERE v.view = $1 FOR KEY SHARE OF v "
				 "ON CONFLICT (view) DO UPDATE SET reason = excluded.reason",
				 SPI_OK_INSERT, 2, types, values, NULL);
	types[1] = OIDOID;
	values[1] = ObjectIdGetDatum(stream);
	fs_query_run("UPDATE feature_stream.view_state s SET paused = true, paused_hold = p.hold, "
				 "paused_after = CASE WHEN s.paused THEN s.paused_after "
				 "WHEN EXISTS (SELECT FROM feature_stream.firing f WHERE f.view = s.view AND f.window_end = d.fire_window_end) "
				 "THEN d.fire_window_end ELSE d.frontier END "
				 "FROM feature_stream.view_pause p, feature_stream.stream_state d "
				 "WHERE p.view = s.view AND s.view = $1 AND d.stream = $2 AND d.shard = 0",
				 SPI_OK_UPDATE, 2, types, values, NULL);
}

/* See stuck.h. */
void
fs_stuck_settle(FsSharedStream *slot)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			view = noted_view(slot);

	if (!OidIsValid(view))
		return;
	fs_transaction_begin();
	if (OidIsValid(fs_extension_relation("view_pause")))
	{
		SPI_connect();
		pause_view(view, slot->relid);
		SPI_finish();
		ereport(WARNING,
				(errcode(ERRCODE_QUERY_CANCELED),
				 errmsg("feature view %s is paused: %s", fs_relation_name(view), FS_DEADLINE_GAVE_UP),
				 errhint("Repair the function that it calls, then use feature_stream.resume_feature_view().")));
	}
	fs_transaction_end(context);
	forget_view(slot, view);
}

/* Does the worker of the stream know the view? */
static bool
has_view(const FsSharedStream *slot, Oid view)
{
	for (int i = 0; i < Min(slot->stats.nviews, FS_MAX_VIEWS); i++)
		if (slot->stats.views[i].relid == view)
			return true;
	return false;
}

/* See stuck.h. */
void
fs_stuck_report(void)
{
	Oid			view;

	if (!fs_deadline_gave_up(&view) || !OidIsValid(view))
		return;
	LWLockAcquire(fs_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < fs_shared->max_streams; i++)
	{
		FsSharedStream *slot = &fs_shared->streams[i];

		if (slot->database != MyDatabaseId || !has_view(slot, view))
			continue;
		slot->stuck_view = view;
		pg_atomic_fetch_add_u64(&slot->generation, 1);
		if (slot->latch != NULL)
			SetLatch(slot->latch);
	}
	LWLockRelease(fs_shared->lock);
}

/* See stuck.h. */
bool
fs_stuck_is_set_aside(Oid view)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(view)};

	return fs_owner_execute("SELECT FROM feature_stream.view_pause WHERE view = $1 AND reason IS NOT NULL",
							SPI_OK_SELECT, 1, types, values, NULL) > 0;
}

/* See stuck.h. */
List *
fs_stuck_leave_out(List *views, List **set_aside)
{
	ListCell   *lc;

	foreach(lc, views)
	{
		FsViewDef  *view = lfirst(lc);

		if (!fs_stuck_is_set_aside(view->relid))
			continue;
		if (set_aside != NULL)
			*set_aside = lappend(*set_aside, view);
		views = foreach_delete_current(views, lc);
	}
	return views;
}
