/*
 * pause.c
 *		pause_feature_view and resume_feature_view.
 *
 * A row of feature_stream.view_pause, which workers see at commit; they alone
 * say at which window end a pause begins and ends (pipeline/gap.c).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "catalog/extension.h"
#include "catalog/feature_view.h"
#include "catalog/window.h"
#include "core/slice.h"
#include "pipeline/batch.h"
#include "state/shared.h"
#include "worker/wakeup.h"

PG_FUNCTION_INFO_V1(fs_pause_feature_view);
PG_FUNCTION_INFO_V1(fs_resume_feature_view);

/* The feature view; throws unless it is one of the current user's. */
static FsViewDef *
load_own_view(Oid relid)
{
	FsViewDef  *view;

	fs_require_preload();
	view = fs_view_load(relid);
	if (!pg_class_ownercheck(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_FOREIGN_TABLE, get_rel_name(relid));
	return view;
}

/* pause_feature_view(view regclass, hold interval) returns void */
Datum
fs_pause_feature_view(PG_FUNCTION_ARGS)
{
	Oid			types[2] = {OIDOID, INTERVALOID};
	Datum		values[2] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};
	FsViewDef  *view = load_own_view(PG_GETARG_OID(0));

	(void) fs_interval_to_usec(PG_GETARG_INTERVAL_P(1), "hold", 0);
	fs_owner_execute("INSERT INTO feature_stream.view_pause (view, hold) VALUES ($1, $2)"
					 " ON CONFLICT (view) DO UPDATE SET hold = excluded.hold",
					 SPI_OK_INSERT, 2, types, values, NULL);
	fs_ddl_touch_stream(view->stream);
	PG_RETURN_VOID();
}

/* Warns when the log has lost what the pause needs. */
static void
warn_of_loss(const FsViewDef *view)
{
	FsBatchCover cover;
	FsTime		first;

	fs_batch_cover(view->stream, view->relid, &cover);
	if (!cover.is_paused || cover.paused_after == FS_TIME_MIN || cover.log_complete)
		return;
	first = fs_time_next(cover.log_from, view->slide);
	if (fs_time_next(cover.paused_after, view->slide) >= first + fs_view_max_window(view))
		return;
	ereport(WARNING,
			(errmsg("the event log does not reach back to the pause of feature view %s any more",
					fs_relation_name(view->relid)),
			 errdetail("It begins at %s: window ends before that stay missing from the history, and rows whose windows begin before it are not complete.",
					   timestamptz_to_str(cover.log_from))));
}

/* resume_feature_view(view regclass) returns void */
Datum
fs_resume_feature_view(PG_FUNCTION_ARGS)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {PG_GETARG_DATUM(0)};
	FsViewDef  *view = load_own_view(PG_GETARG_OID(0));

	if (fs_owner_execute("DELETE FROM feature_stream.view_pause WHERE view = $1",
						 SPI_OK_DELETE, 1, types, values, NULL) == 0)
		PG_RETURN_VOID();
	warn_of_loss(view);
	fs_ddl_touch_stream(view->stream);
	PG_RETURN_VOID();
}
