/*
 * batch_cover.c
 *		Which window ends of a view the event log can still tell about.
 *
 * The log is dropped from its beginning, in whole partitions.  As long as it
 * has as many events as were ever accepted nothing was dropped; after that it
 * is whole from its first slice on.  A view for which older events were read
 * has those, too; when anything of that is dropped, upkeep writes down from
 * where on all is there (backread.c).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/timestamp.h"

#include "catalog/extension.h"
#include "core/slice.h"
#include "pipeline/batch.h"
#include "state/query.h"

/* Sets the cover from the row at hand of the query in fs_batch_cover(). */
static void
set_cover(FsBatchCover *cover)
{
	Assert(SPI_processed == 1);
	cover->frontier = fs_query_time(0, 1);
	cover->log_complete = fs_query_bool(0, 2);
	cover->log_from = fs_query_time(0, 3);
	cover->fired_after = fs_query_time(0, 4);
	cover->paused_after = fs_query_time(0, 5);
	cover->is_paused = !fs_query_is_null(0, 5);
	if (cover->log_from == FS_TIME_MIN)
		cover->log_from = cover->frontier;	/* there is not one event */
}

/* See batch.h. */
void
fs_batch_cover(Oid stream, Oid view, FsBatchCover *cover)
{
	FsOwnerScope scope;
	Oid			types[2] = {OIDOID, OIDOID};
	Datum		values[2] = {ObjectIdGetDatum(stream), ObjectIdGetDatum(view)};

	cover->frontier = cover->log_from = cover->fired_after = cover->paused_after = FS_TIME_MIN;
	cover->log_complete = cover->is_paused = false;
	fs_owner_begin(&scope);
	SPI_connect();
	fs_query_read("SELECT s.frontier,"
				  " CASE WHEN r.view IS NOT NULL THEN r.whole_from IS NULL ELSE"
				  " COALESCE((SELECT sum(p.accepted_count)"
				  " FROM feature_stream.partition_position p WHERE p.stream = $1), 0) ="
				  " COALESCE((SELECT sum(l.event_count) FROM feature_stream.event_log l WHERE l.stream = $1), 0)"
				  " END,"
				  " COALESCE(r.whole_from, LEAST((SELECT min(l.slice) FROM feature_stream.event_log l WHERE l.stream = $1),"
				  " (SELECT min(o.slice) FROM feature_stream.backread_log o WHERE o.view = r.view))),"
				  " GREATEST((SELECT max(b.until) FROM feature_stream.backfill b WHERE b.view = $2 AND b.state <> 'done'),"
				  " (SELECT max(COALESCE(a.until, s.frontier)) FROM feature_stream.view_alteration a"
				  " WHERE a.view = $2 AND a.state <> 'done'),"
				  " (SELECT max(c.upto) FROM feature_stream.correction c WHERE c.view = $2 AND c.state = 'pending')),"
				  " (SELECT COALESCE(v.paused_after, '-infinity') FROM feature_stream.view_state v"
				  " WHERE v.view = $2 AND v.paused)"
				  " FROM feature_stream.stream_state s"
				  " LEFT JOIN feature_stream.backread r ON r.view = $2 AND r.state = 'done'"
				  " WHERE s.stream = $1 AND s.shard = 0",
				  2, types, values);
	if (SPI_processed == 1)
		set_cover(cover);
	SPI_finish();
	fs_owner_end(&scope);
}

/* See batch.h. */
FsTime
fs_batch_reach(const FsViewDef *view, const FsBatchCover *cover)
{
	return cover->log_complete ? fs_time_next(cover->log_from, view->slide) :
		fs_time_ceil(cover->log_from, view->slide) + fs_view_max_window(view) + view->slide;
}

/* See batch.h. */
bool
fs_batch_covered(const FsViewDef *view, const FsBatchCover *cover, FsTime *first, FsTime *last)
{
	if (cover->frontier == FS_TIME_MIN)
		return false;
	if (cover->is_paused && cover->paused_after == FS_TIME_MIN)
		return false;
	*last = fs_time_floor(cover->is_paused ? Min(cover->frontier, cover->paused_after) : cover->frontier,
						  view->slide);
	*first = fs_batch_reach(view, cover);
	if (cover->fired_after != FS_TIME_MIN)
		*first = Max(*first, fs_time_next(cover->fired_after, view->slide));
	return *first <= *last;
}
