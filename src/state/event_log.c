/*
 * event_log.c
 *		Reading the event log's table; see event_log.h.
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
bound_parameters(Oid stream, FsTime from, FsTime until, Datum *values)
{
	values[0] = ObjectIdGetDatum(stream);
	values[1] = TimestampTzGetDatum(from == FS_TIME_MIN ? DT_NOBEGIN : from);
	values[2] = TimestampTzGetDatum(until == FS_TIME_MAX ? DT_NOEND : until);
}

static Oid	bound_types[3] = {OIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID};

/*
 * Hands the segments that a query finds, as (slice, segment), to 'visit'; the
 * query's parameters are those of bound_parameters().
 */
static void
visit_segments(const char *query, Datum *values, FsSegmentVisitor visit, void *arg)
{
	Portal		portal;
	bool		go_on = true;

	SPI_connect();
	portal = SPI_cursor_open_with_args(NULL, query, 3, bound_types, values, NULL, true, 0);
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
fs_event_log_scan(Oid stream, FsTime from, FsTime until, FsSegmentVisitor visit, void *arg)
{
	Datum		values[3];

	bound_parameters(stream, from, until, values);
	visit_segments("SELECT slice, segment FROM feature_stream.event_log "
				   "WHERE stream OPERATOR(pg_catalog.=) $1 "
				   "AND slice OPERATOR(pg_catalog.>=) $2 "
				   "AND slice OPERATOR(pg_catalog.<) $3 "
				   "ORDER BY checkpoint, slice, part", values, visit, arg);
}

/* See event_log.h. */
void
fs_event_log_scan_view(Oid view, FsTime from, FsTime until, FsSegmentVisitor visit, void *arg)
{
	Datum		values[3];

	bound_parameters(view, from, until, values);
	visit_segments("SELECT l.slice, l.segment FROM feature_stream.backread_log l "
				   "WHERE l.view OPERATOR(pg_catalog.=) $1 "
				   "AND l.slice OPERATOR(pg_catalog.>=) $2 "
				   "AND l.slice OPERATOR(pg_catalog.<) $3 "
				   "AND EXISTS (SELECT FROM feature_stream.backread r "
				   "WHERE r.view OPERATOR(pg_catalog.=) $1 AND r.state OPERATOR(pg_catalog.=) 'done') "
				   "ORDER BY l.step, l.slice, l.part", values, visit, arg);
}

/* See event_log.h. */
int64
fs_event_log_size(Oid stream, FsTime from, FsTime until, FsTime *first)
{
	Datum		values[3];
	int64		size;

	bound_parameters(stream, from, until, values);
	SPI_connect();
	fs_query_read("SELECT pg_catalog.sum(pg_catalog.octet_length(segment))::pg_catalog.int8, "
				  "pg_catalog.min(slice) FROM feature_stream.event_log "
				  "WHERE stream OPERATOR(pg_catalog.=) $1 "
				  "AND slice OPERATOR(pg_catalog.>=) $2 "
				  "AND slice OPERATOR(pg_catalog.<) $3",
				  3, bound_types, values);
	size = fs_query_int64(0, 1, 0);
	*first = fs_query_int64(0, 2, FS_TIME_MAX);
	SPI_finish();
	return size;
}
