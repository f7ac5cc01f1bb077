/*
 * event_log.c
 *		Reading the tables of segments; see event_log.h.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "state/event_log.h"
#include "state/query.h"

#define FETCH_ROWS 8

Oid
fs_event_log_relation(Oid stream)
{
	Oid			schema = get_namespace_oid("feature_stream", true);

	return OidIsValid(schema) ? get_relname_relid(psprintf("event_log_%u", stream), schema) :
		InvalidOid;
}

/* See event_log.h. */
void
fs_segment_check(FsSegmentStatus status, FsTime slice)
{
	if (status == FS_SEGMENT_OK || status == FS_SEGMENT_END)
		return;
	if (status == FS_SEGMENT_NO_MEMORY)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Could not read a segment of the event log.")));
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("event log segment of slice %s is corrupted", timestamptz_to_str(slice)),
			 errhint("Restore feature_stream.event_log from a backup, or drop and create the stream again.")));
}

/* Bounds as parameters; open ones become infinities. */
static void
bound_parameters(Oid stream, FsTime from, FsTime until, FsTime late_from, Datum *values)
{
	values[0] = ObjectIdGetDatum(stream);
	values[1] = TimestampTzGetDatum(from == FS_TIME_MIN ? DT_NOBEGIN : from);
	values[2] = TimestampTzGetDatum(until == FS_TIME_MAX ? DT_NOEND : until);
	values[3] = TimestampTzGetDatum(late_from == FS_TIME_MIN ? DT_NOBEGIN : late_from);
}

static Oid	bound_types[4] = {OIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID};

/* Hands the segments that a query finds, as (time, segment), to 'visit'. */
static void
visit_segments(const char *query, int nargs, Oid *types, Datum *values, FsSegmentVisitor visit, void *arg)
{
	Portal		portal;
	bool		go_on = true;

	SPI_connect();
	portal = SPI_cursor_open_with_args(NULL, query, nargs, types, values, NULL, true, 0);
	while (go_on)
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0; i < SPI_processed && go_on; i++)
		{
			HeapTuple	tuple = SPI_tuptable->vals[i];
			bool		isnull;
			FsTime		slice = DatumGetTimestampTz(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull));
			Datum		datum = SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull);
			bytea	   *segment = DatumGetByteaPP(datum);

			go_on = visit(arg, slice, VARDATA_ANY(segment), VARSIZE_ANY_EXHDR(segment));
			if (PointerGetDatum(segment) != datum)
				pfree(segment);	/* it was fetched from the TOAST table */
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	SPI_finish();
}

/* See event_log.h. */
void
fs_event_log_scan(Oid stream, FsTime from, FsTime until, FsTime late_from, FsSegmentVisitor visit, void *arg)
{
	Datum		values[4];

	bound_parameters(stream, from, until, late_from, values);
	visit_segments("SELECT slice, segment FROM feature_stream.event_log "
				   "WHERE stream OPERATOR(pg_catalog.=) $1 "
				   "AND slice OPERATOR(pg_catalog.>=) $2 "
				   "AND slice OPERATOR(pg_catalog.<) $3 "
				   "AND COALESCE(late_bound, '-infinity') OPERATOR(pg_catalog.>=) $4 "
				   "ORDER BY checkpoint, slice, part", 4, bound_types, values, visit, arg);
}

/* See event_log.h. */
void
fs_event_log_scan_view(Oid view, FsTime from, FsTime until, FsSegmentVisitor visit, void *arg)
{
	Datum		values[4];

	bound_parameters(view, from, until, FS_TIME_MIN, values);
	visit_segments("SELECT l.slice, l.segment FROM feature_stream.backread_log l "
				   "WHERE l.view OPERATOR(pg_catalog.=) $1 "
				   "AND l.slice OPERATOR(pg_catalog.>=) $2 "
				   "AND l.slice OPERATOR(pg_catalog.<) $3 "
				   "AND EXISTS (SELECT FROM feature_stream.backread r "
				   "WHERE r.view OPERATOR(pg_catalog.=) $1 AND r.state OPERATOR(pg_catalog.=) 'done') "
				   "ORDER BY l.step, l.slice, l.part", 3, bound_types, values, visit, arg);
}

/* See event_log.h. */
int64
fs_event_log_size(Oid stream, FsTime from, FsTime until, FsTime late_from)
{
	Datum		values[4];
	int64		size;

	bound_parameters(stream, from, until, late_from, values);
	SPI_connect();
	fs_query_read("SELECT pg_catalog.sum(pg_catalog.octet_length(segment))::pg_catalog.int8 "
				  "FROM feature_stream.event_log "
				  "WHERE stream OPERATOR(pg_catalog.=) $1 "
				  "AND slice OPERATOR(pg_catalog.>=) $2 "
				  "AND slice OPERATOR(pg_catalog.<) $3 "
				  "AND COALESCE(late_bound, '-infinity') OPERATOR(pg_catalog.>=) $4",
				  4, bound_types, values);
	size = fs_query_int64(0, 1, 0);
	SPI_finish();
	return size;
}

/* See event_log.h. */
Oid
fs_partial_log_relation(Oid stream)
{
	Oid			schema = get_namespace_oid("feature_stream", true);

	return OidIsValid(schema) ? get_relname_relid(psprintf("partial_log_%u", stream), schema) :
		InvalidOid;
}

#define PARTIAL_LOG_ARGS 6

/* The parameters of queries on the partial log, in 'values'; their types. */
static Oid *
partial_parameters(const FsPartialLogRange *range, Datum *values)
{
	static Oid	types[PARTIAL_LOG_ARGS] = {OIDOID, OIDOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID};

	values[0] = ObjectIdGetDatum(range->stream);
	values[1] = ObjectIdGetDatum(range->view);
	values[2] = Int64GetDatum(range->layout);
	values[3] = TimestampTzGetDatum(range->after);
	values[4] = TimestampTzGetDatum(range->upto);
	values[5] = TimestampTzGetDatum(range->before == FS_TIME_MAX ? DT_NOEND : range->before);
	return types;
}

#define PARTIAL_LOG_CONDITION \
	" FROM feature_stream.partial_log WHERE stream OPERATOR(pg_catalog.=) $1" \
	" AND view OPERATOR(pg_catalog.=) $2 AND layout OPERATOR(pg_catalog.=) $3" \
	" AND window_end OPERATOR(pg_catalog.>) $4 AND window_end OPERATOR(pg_catalog.<=) $5" \
	" AND oldest OPERATOR(pg_catalog.<) $6"

/* See event_log.h. */
void
fs_partial_log_scan(const FsPartialLogRange *range, FsSegmentVisitor visit, void *arg)
{
	Datum		values[PARTIAL_LOG_ARGS];
	Oid		   *types = partial_parameters(range, values);

	visit_segments("SELECT window_end, segment" PARTIAL_LOG_CONDITION " ORDER BY window_end, part",
				   PARTIAL_LOG_ARGS, types, values, visit, arg);
}

/* See event_log.h. */
int64
fs_partial_log_size(const FsPartialLogRange *range)
{
	Datum		values[PARTIAL_LOG_ARGS];
	Oid		   *types = partial_parameters(range, values);
	int64		size;

	SPI_connect();
	fs_query_read("SELECT pg_catalog.sum(pg_catalog.octet_length(segment))::pg_catalog.int8" PARTIAL_LOG_CONDITION,
				  PARTIAL_LOG_ARGS, types, values);
	size = fs_query_int64(0, 1, 0);
	SPI_finish();
	return size;
}

/*
 * See event_log.h.  A row that is missing, or there twice, breaks the chain of
 * window ends, or that of the parts of one.
 */
bool
fs_partial_log_is_whole(const FsPartialLogRange *range, FsTime last)
{
	Datum		values[PARTIAL_LOG_ARGS];
	Oid		   *types = partial_parameters(range, values);
	FsTime		at = FS_TIME_MIN;
	bool		is_whole = true;
	bool		is_last = true;
	int			part = 0;

	Assert(range->before == FS_TIME_MAX);
	SPI_connect();
	fs_query_read("SELECT window_end, part, is_last, previous" PARTIAL_LOG_CONDITION " ORDER BY window_end, part",
				  PARTIAL_LOG_ARGS, types, values);
	for (uint64 i = 0; i < SPI_processed && is_whole; i++)
	{
		FsTime		window_end = fs_query_time(i, 1);
		FsTime		previous = fs_query_time(i, 4);

		if (is_last)
			is_whole = fs_query_int32(i, 2) == 0 && (i == 0 ? previous <= range->after : previous == at);
		else
			is_whole = window_end == at && fs_query_int32(i, 2) == part + 1;
		at = window_end;
		part = fs_query_int32(i, 2);
		is_last = fs_query_bool(i, 3);
	}
	SPI_finish();
	return is_whole && is_last && (at == FS_TIME_MIN ? last <= range->after : last == at);
}
