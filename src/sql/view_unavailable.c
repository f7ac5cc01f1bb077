/*
 * view_unavailable.c
 *		Why a feature view cannot be read now: errors that say what state it is in.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"

#include "catalog/extension.h"
#include "pipeline/stuck.h"
#include "sql/view_unavailable.h"
#include "state/shared.h"

/* What to do about a stream in this state. */
static const char *
state_hint(FsStreamState state)
{
	switch (state)
	{
		case FS_STREAM_PAUSED:
			return "Use feature_stream.resume_stream() to let it go on.";
		case FS_STREAM_RECOVERING:
			return "Its windows are being rebuilt from the event log; feature_stream.stat_progress_recovery shows how far this is.";
		case FS_STREAM_FAILED:
			return "Correct the definition; the stream starts again when it changes.";
		case FS_STREAM_MEMORY_EXHAUSTED:
			return "Increase \"feature_stream.memory\"; feature_stream.stat_stream shows the size needed.";
		case FS_STREAM_STOPPED:
		case FS_STREAM_NO_VIEWS:
		case FS_STREAM_STARTING:
		case FS_STREAM_RUNNING:
		case FS_STREAM_DISCONNECTED:
			break;
	}
	return "Try again when feature_stream.stat_stream shows the stream as running.";
}

/* Throws that the view is paused when its stream's worker has set it aside (pipeline/stuck.c). */
static void
reject_set_aside(const FsViewDef *view)
{
	if (fs_stuck_is_set_aside(view->relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("feature view \"%s\" is paused", view->name),
				 errdetail("An expression of it did not let itself be cancelled."),
				 errhint("Repair the function that it calls, then use feature_stream.resume_feature_view().")));
}

/* See view_unavailable.h. */
void
fs_view_unavailable(const FsViewDef *view)
{
	char		last_error[FS_ERROR_SIZE] = "";
	pid_t		pid = 0;
	FsSharedStats *stats = fs_stats_copy(MyDatabaseId, view->stream, &pid, last_error, NULL);
	FsStreamState state = stats != NULL ? stats->state : FS_STREAM_STOPPED;

	reject_set_aside(view);
	if (pid == 0 && state != FS_STREAM_PAUSED && state != FS_STREAM_FAILED)
		state = FS_STREAM_STOPPED;
	else if (pid != 0 && state == FS_STREAM_RUNNING)
		state = FS_STREAM_STARTING; /* its state went away a moment ago */
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("feature view \"%s\" cannot be read now", view->name),
			 last_error[0] != '\0' ?
			 errdetail("The state of its stream is \"%s\": %s", fs_stream_state_name(state), last_error) :
			 errdetail("The state of its stream is \"%s\".", fs_stream_state_name(state)),
			 errhint("%s", state_hint(state))));
}

/* See view_unavailable.h. */
void
fs_view_outdated(const FsViewDef *view)
{
	reject_set_aside(view);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("feature view \"%s\" cannot be read now", view->name),
			 errdetail("The worker of its stream has not taken over the current definition yet."),
			 errhint("Try again in a moment.")));
}

/* Are older events still read for the view? */
static bool
is_read_for(const FsViewDef *view)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(view->relid)};

	return fs_owner_execute("SELECT FROM feature_stream.backread WHERE view = $1 AND state <> 'done'",
							SPI_OK_SELECT, 1, types, values, NULL) > 0;
}

/* See view_unavailable.h. */
void
fs_view_paused(const FsViewDef *view)
{
	if (is_read_for(view))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("feature view \"%s\" cannot be read now", view->name),
				 errdetail("Older events are being read for it (backfill_from)."),
				 errhint("feature_stream.stat_progress_backfill shows how far this is.")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("feature view \"%s\" is paused", view->name),
			 errdetail("Rows in force are not kept while it is."),
			 errhint("Read its history, or let it go on with feature_stream.resume_feature_view().")));
}

void
fs_view_interrupted(const FsViewDef *view)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("scan of feature view \"%s\" was interrupted", view->name),
			 errdetail("The worker of its stream was stopped or restarted during the scan."),
			 errhint("Try again when feature_stream.stat_stream shows the stream as running.")));
}

void
fs_view_too_busy(const FsViewDef *view)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("could not read a row of feature view \"%s\"", view->name),
			 errdetail("It did not stand still long enough to be copied."),
			 errhint("Try again when fewer events arrive.")));
}
