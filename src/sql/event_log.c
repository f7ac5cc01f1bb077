/*
 * event_log.c
 *		Reading a stream's event log in SQL: read_event_log().
 *
 * The log holds every accepted event, late ones too, in segments of one slice
 * and one checkpoint each.  Here they become rows again, with the declared
 * columns as one jsonb object: those that the stream has now, under their names
 * of now.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "catalog/extension.h"
#include "catalog/stream.h"
#include "core/segment.h"
#include "core/slice.h"
#include "pipeline/log_columns.h"
#include "pipeline/values.h"
#include "sql/arguments.h"

PG_FUNCTION_INFO_V1(fs_read_event_log);

#define FETCH_SEGMENTS 16

typedef struct LogReader
{
	const FsStreamDef *stream;
	FsTime		since;			/* FS_TIME_MIN: all */
	ReturnSetInfo *result;
	FmgrInfo	to_jsonb;		/* of a record */
	TupleDesc	desc;			/* of the stream's columns */
	FsLogColumns *columns;
	FsValue    *values;			/* of an event, by stream column */

	/* The segment at hand; all in segment_context */
	FsSegmentReader *segment;
	int64		checkpoint;
	MemoryContext segment_context;
	MemoryContext event_context;	/* of one event */
} LogReader;

static void
report_corrupt(const LogReader *reader)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("could not read a segment of the event log of stream %s", reader->stream->name),
			 errdetail("The segment was written by checkpoint %lld.", (long long) reader->checkpoint)));
}

/* Memory context callback: the reader of a segment is not palloc'd. */
static void
free_segment_cb(void *arg)
{
	fs_segment_reader_free(arg);
}

/* Opens one segment.  It is closed by resetting segment_context, also after an error. */
static void
open_segment(LogReader *reader, bytea *bytes)
{
	MemoryContextCallback *callback = palloc(sizeof(MemoryContextCallback));
	FsSegmentStatus status = fs_segment_reader_open(VARDATA(bytes), VARSIZE(bytes) - VARHDRSZ,
													&reader->segment);

	if (status == FS_SEGMENT_NO_MEMORY)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	if (status != FS_SEGMENT_OK)
		report_corrupt(reader);
	callback->func = free_segment_cb;
	callback->arg = reader->segment;
	MemoryContextRegisterResetCallback(reader->segment_context, callback);
	fs_log_columns_begin(reader->columns, reader->segment, reader->values);
}

/* The columns of an event as a jsonb object, in the current context. */
static Datum
event_jsonb(LogReader *reader, const FsValue *values)
{
	int			n = reader->stream->ncolumns;
	Datum	   *datums = palloc0(sizeof(Datum) * n);
	bool	   *nulls = palloc(sizeof(bool) * n);

	for (int i = 0; i < n; i++)
	{
		nulls[i] = values[i].presence != FS_PRESENT;
		if (!nulls[i])
			datums[i] = fs_value_datum(&reader->stream->columns[i], &values[i]);
	}
	return FunctionCall1(&reader->to_jsonb,
						 HeapTupleGetDatum(heap_form_tuple(reader->desc, datums, nulls)));
}

/* Gives one event as a row. */
static void
emit_event(LogReader *reader, const FsEventMeta *meta)
{
	Datum		values[8];
	bool		nulls[8] = {false};
	MemoryContext old = MemoryContextSwitchTo(reader->event_context);

	values[0] = Int32GetDatum(meta->partition);
	values[1] = Int64GetDatum(meta->offset);
	values[2] = UInt64GetDatum(meta->xid);
	nulls[2] = meta->xid == 0;
	values[3] = Int64GetDatum(meta->event_time);
	values[4] = Int64GetDatum(meta->arrival);
	values[5] = Int64GetDatum(meta->late_bound);
	nulls[5] = meta->late_bound == FS_TIME_MIN;
	values[6] = Int64GetDatum(reader->checkpoint);
	values[7] = event_jsonb(reader, reader->values);
	tuplestore_putvalues(reader->result->setResult, reader->result->setDesc, values, nulls);
	MemoryContextSwitchTo(old);
	MemoryContextReset(reader->event_context);
}

/* Gives the events of one row of the log. */
static void
read_segment(LogReader *reader, HeapTuple tuple, TupleDesc desc)
{
	MemoryContext old = MemoryContextSwitchTo(reader->segment_context);
	bool		isnull;
	FsSegmentStatus status;
	FsEventMeta meta;

	reader->checkpoint = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
	open_segment(reader, DatumGetByteaP(SPI_getbinval(tuple, desc, 2, &isnull)));
	while ((status = fs_log_columns_next(reader->columns, reader->segment, &meta, reader->values)) == FS_SEGMENT_OK)
	{
		CHECK_FOR_INTERRUPTS();
		if (meta.event_time >= reader->since)
			emit_event(reader, &meta);
	}
	if (status != FS_SEGMENT_END)
		report_corrupt(reader);
	MemoryContextSwitchTo(old);
	MemoryContextReset(reader->segment_context);
}

/* Goes through the stream's segments, oldest checkpoint first. */
static void
read_segments(LogReader *reader)
{
	Oid			types[2] = {OIDOID, TIMESTAMPTZOID};
	Datum		values[2];
	Portal		portal;

	values[0] = ObjectIdGetDatum(reader->stream->relid);
	values[1] = Int64GetDatum(reader->since == FS_TIME_MIN ? DT_NOBEGIN :
							  fs_time_floor(reader->since, reader->stream->slice));
	SPI_connect();
	portal = SPI_cursor_open_with_args(NULL,
									   "SELECT checkpoint, segment FROM feature_stream.event_log"
									   " WHERE stream = $1 AND slice >= $2"
									   " ORDER BY checkpoint, slice, part",
									   2, types, values, NULL, true, 0);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH_SEGMENTS);
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0; i < SPI_processed; i++)
			read_segment(reader, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	SPI_finish();
}

/* Throws unless the current user may read the stream. */
static void
check_stream(Oid relid)
{
	AclResult	right;

	if (!fs_is_stream(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a stream", fs_relation_name(relid)),
				 errhint("A stream is a foreign table of a server of wrapper feature_stream_kafka or feature_stream_table.")));
	right = pg_class_aclcheck(relid, GetUserId(), ACL_SELECT);
	if (right != ACLCHECK_OK)
		aclcheck_error(right, OBJECT_FOREIGN_TABLE, get_rel_name(relid));
}

/* What to_jsonb() is to make objects of. */
static TupleDesc
make_desc(const FsStreamDef *stream)
{
	TupleDesc	desc = CreateTemplateTupleDesc(stream->ncolumns);

	for (int i = 0; i < stream->ncolumns; i++)
	{
		const FsColumn *column = &stream->columns[i];

		TupleDescInitEntry(desc, i + 1, column->name, column->typid, column->typmod, 0);
	}
	return BlessTupleDesc(desc);
}

/* to_jsonb() decides by the argument's type what to do, and finds that in its call's expression. */
static void
prepare_to_jsonb(FmgrInfo *to_jsonb)
{
	Const	   *argument = makeNullConst(RECORDOID, -1, InvalidOid);

	fmgr_info(F_TO_JSONB, to_jsonb);
	fmgr_info_set_expr((Node *) makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(argument),
											 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL),
					   to_jsonb);
}

/*
 * read_event_log(stream, since): the events that the log still has.  The right
 * to read the stream is the right to read its log.
 */
Datum
fs_read_event_log(PG_FUNCTION_ARGS)
{
	LogReader	reader = {0};
	FsOwnerScope scope;

	fs_argument_require(fcinfo, 0, "stream");
	check_stream(PG_GETARG_OID(0));
	InitMaterializedSRF(fcinfo, 0);
	reader.result = (ReturnSetInfo *) fcinfo->resultinfo;
	reader.stream = fs_stream_load(PG_GETARG_OID(0));
	reader.since = PG_ARGISNULL(1) || TIMESTAMP_IS_NOBEGIN(PG_GETARG_TIMESTAMPTZ(1)) ?
		FS_TIME_MIN : PG_GETARG_TIMESTAMPTZ(1);
	if (TIMESTAMP_IS_NOEND(reader.since))
		return (Datum) 0;
	reader.segment_context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream segment",
												   ALLOCSET_DEFAULT_SIZES);
	reader.event_context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream event",
												 ALLOCSET_DEFAULT_SIZES);
	prepare_to_jsonb(&reader.to_jsonb);
	reader.desc = make_desc(reader.stream);
	reader.columns = fs_log_columns_create(reader.stream);
	reader.values = palloc0(sizeof(FsValue) * reader.stream->ncolumns);
	fs_owner_begin(&scope);
	read_segments(&reader);
	fs_owner_end(&scope);
	return (Datum) 0;
}
