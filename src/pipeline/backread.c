/*
 * backread.c
 *		The rows of feature_stream.backread but for the reading itself (backread_step.c);
 *		see backread.h.
 *
 * Where the reading joins the log is fixed by upkeep in one statement, so from
 * one snapshot: what the log has then, and the offsets behind that, come from one
 * checkpoint.  No one drops partitions of the log but upkeep, one after the
 * other; the transaction that fixes also holds the log.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "core/slice.h"
#include "ground/transaction.h"
#include "offline/partition.h"
#include "pipeline/backread.h"
#include "state/event_log.h"
#include "state/query.h"

/* See backread.h. */
bool
fs_backread_is_wanted(bool *fresh, bool *waits_for_upkeep)
{
	fs_query_read("SELECT bool_or(error IS NULL) FILTER (WHERE state = 'reading'),"
				  " COALESCE(bool_or(state IN ('pending', 'read')), false)"
				  " FROM feature_stream.backread WHERE state <> 'done'", 0, NULL, NULL);
	*waits_for_upkeep = fs_query_bool(0, 2);
	*fresh = fs_query_bool(0, 1);
	return !fs_query_is_null(0, 1);
}

/* See backread.h. */
Oid
fs_backread_next(void)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			view = InvalidOid;

	fs_transaction_begin();
	SPI_connect();
	fs_query_read("SELECT view FROM feature_stream.backread WHERE state = 'reading'"
				  " ORDER BY error IS NOT NULL, started_at, view LIMIT 1", 0, NULL, NULL);
	if (SPI_processed == 1)
		view = fs_query_oid(0, 1);
	SPI_finish();
	fs_transaction_end(context);
	return view;
}

/* See backread.h. */
void
fs_backread_note_error(Oid view, const char *message)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[2] = {OIDOID, TEXTOID};
	Datum		values[2] = {ObjectIdGetDatum(view)};

	fs_transaction_begin();
	SPI_connect();
	values[1] = CStringGetTextDatum(message);
	fs_query_run("UPDATE feature_stream.backread SET error = $2"
				 " WHERE view = $1 AND state = 'reading' AND error IS DISTINCT FROM $2",
				 SPI_OK_UPDATE, 2, types, values, NULL);
	SPI_finish();
	fs_transaction_end(context);
}

/*
 * Fixes where the readings of the stream's views join its log.  Not before the
 * stream has begun, and not while a partition of the log is half dropped: a late
 * event could bring that back.
 */
static void
fix_joins(Oid stream, FsTime dropped_before)
{
	Oid			types[3] = {OIDOID, TIMESTAMPTZOID, OIDOID};
	Datum		values[3] = {ObjectIdGetDatum(stream), TimestampTzGetDatum(dropped_before),
	ObjectIdGetDatum(fs_event_log_relation(stream))};

	fs_query_run("WITH log AS (SELECT min(l.slice) AS first, COALESCE(sum(l.event_count), 0) AS events"
				 " FROM feature_stream.event_log l WHERE l.stream = $1),"
				 " fixed AS (UPDATE feature_stream.backread r SET state = 'reading', started_at = now(),"
				 " cut = CASE WHEN log.events <> (SELECT sum(p.accepted_count)"
				 " FROM feature_stream.partition_position p WHERE p.stream = $1) THEN COALESCE(log.first, $2) END"
				 " FROM log, feature_stream.feature_view v"
				 " WHERE v.view = r.view AND v.stream = $1 AND r.state = 'pending'"
				 " AND EXISTS (SELECT FROM feature_stream.partition_position p WHERE p.stream = $1)"
				 " AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = $3 AND i.inhdetachpending)"
				 " RETURNING r.view, r.cut)"
				 " INSERT INTO feature_stream.backread_position"
				 " (view, partition, stream_start, stream_start_xid, end_offset, end_xid)"
				 " SELECT f.view, p.partition, p.start_offset, p.start_xid,"
				 " CASE WHEN f.cut IS NULL THEN p.start_offset ELSE p.next_offset END,"
				 " CASE WHEN f.cut IS NULL THEN p.start_xid ELSE p.next_xid END"
				 " FROM fixed f, feature_stream.partition_position p WHERE p.stream = $1",
				 SPI_OK_INSERT, 3, types, values, NULL);
}

/* Lets views go on for which all is read; true when there were any. */
static bool
finish_readings(Oid stream)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(stream)};

	fs_query_run("UPDATE feature_stream.backread r SET state = 'done', finished_at = clock_timestamp()"
				 " FROM feature_stream.feature_view v, feature_stream.stream_state s"
				 " WHERE v.view = r.view AND v.stream = $1 AND r.state = 'read'"
				 " AND s.stream = $1 AND s.shard = 0 AND s.frontier IS NOT NULL",
				 SPI_OK_UPDATE, 1, types, values, NULL);
	return SPI_processed > 0;
}

/*
 * Drops events that are older than the log is to be, of views whose history has
 * them; and writes down from where on all is there, if that or the log loses any
 * that the view counts.
 */
static void
drop_old_events(Oid stream, FsTime dropped_before)
{
	Oid			types[2] = {OIDOID, TIMESTAMPTZOID};
	Datum		values[2] = {ObjectIdGetDatum(stream), TimestampTzGetDatum(dropped_before)};

	fs_query_run("WITH own AS (SELECT r.view FROM feature_stream.backread r"
				 " JOIN feature_stream.feature_view v ON v.view = r.view AND v.stream = $1"
				 " JOIN feature_stream.view_state s ON s.view = r.view AND NOT s.paused"
				 " WHERE r.state = 'done' AND NOT EXISTS (SELECT FROM feature_stream.backfill b"
				 " WHERE b.view = r.view AND b.state = 'pending')),"
				 " gone AS (DELETE FROM feature_stream.backread_log o USING own"
				 " WHERE o.view = own.view AND o.slice < $2 RETURNING o.view)"
				 " UPDATE feature_stream.backread r SET whole_from = $2 FROM feature_stream.feature_view v"
				 " WHERE v.view = r.view AND v.stream = $1 AND r.state <> 'pending'"
				 " AND (r.whole_from IS NULL OR r.whole_from < $2)"
				 " AND (EXISTS (SELECT FROM gone WHERE gone.view = r.view)"
				 " OR EXISTS (SELECT FROM feature_stream.event_log l WHERE l.stream = $1 AND l.slice < $2"
				 " AND l.slice >= COALESCE(r.cut, '-infinity')))",
				 SPI_OK_UPDATE, 2, types, values, NULL);
}

/* Has any view of the stream older events, or is to have? */
static bool
has_any(Oid stream)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(stream)};

	fs_query_run("SELECT FROM feature_stream.backread r JOIN feature_stream.feature_view v ON v.view = r.view"
				 " WHERE v.stream = $1 LIMIT 1", SPI_OK_SELECT, 1, types, values, NULL);
	return SPI_processed > 0;
}

/* See backread.h. */
bool
fs_backread_plan(Oid stream, FsTime log_before)
{
	FsTime		dropped_before = log_before == FS_TIME_MIN ? FS_TIME_MIN :
	fs_time_floor(log_before, FS_LOG_PARTITION_SPAN);
	bool		finished = false;

	SPI_connect();
	if (has_any(stream))
	{
		fix_joins(stream, dropped_before);
		finished = finish_readings(stream);
		if (dropped_before != FS_TIME_MIN)
			drop_old_events(stream, dropped_before);
	}
	SPI_finish();
	return finished;
}

/* See backread.h. */
FsTime
fs_backread_covered_from(Oid view, Oid stream)
{
	Oid			types[2] = {OIDOID, OIDOID};
	Datum		values[2] = {ObjectIdGetDatum(view), ObjectIdGetDatum(stream)};
	FsTime		covered;

	SPI_connect();
	fs_query_run("SELECT max(COALESCE(b.covered_from, CASE WHEN b.view IS NOT NULL THEN r.cut END, p.covered_from, 'infinity'))"
				 " FROM feature_stream.partition_position p"
				 " LEFT JOIN feature_stream.backread r ON r.view = $1 AND r.state = 'done'"
				 " LEFT JOIN feature_stream.backread_position b ON b.view = r.view AND b.partition = p.partition"
				 " WHERE p.stream = $2 AND NOT COALESCE(b.covers_all,"
				 " p.covers_all AND (b.view IS NULL OR r.cut IS NULL))",
				 SPI_OK_SELECT, 2, types, values, NULL);
	covered = fs_query_time(0, 1);
	SPI_finish();
	return covered;
}
