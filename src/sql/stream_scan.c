/*
 * stream_scan.c
 *		The executor's side of SELECT on a stream.
 *
 * A worker of the scan's own reads the topic (worker/topic_reader.h); here its
 * records go through the stream's contract, by a shard without state, and what
 * meets it becomes a row.  What does not would be a dead letter of the stream: it
 * is left out, counted, and said once.  Lateness is not judged.
 *
 * A rescan reads again what the scan has read, up to the same ends: within a
 * query the scan shows one topic.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/timestamp.h"

#include "pipeline/shard.h"
#include "pipeline/values.h"
#include "sql/serial_plan.h"
#include "sql/stream_bounds.h"
#include "sql/stream_scan.h"

typedef struct StreamScan
{
	/* Info */
	FsShard    *shard;			/* its contract alone */
	FsStreamBounds *bounds;
	MemoryContext context;		/* of the scan */

	/* Reading */
	FsTopicLink *link;			/* NULL: not begun, or all is read */
	bool		has_begun;		/* since the last rescan */
	FsTopicRequest request;

	/* Batch */
	FsRecord   *records;
	FsEvent    *events;
	int			size;
	int			n;
	int			next;

	/* Statistics */
	int64		received;
	int64		skipped;
	char	   *example;		/* the first that was skipped */
} StreamScan;

/* See stream_scan.h.  The worker starts with the first row that is asked for. */
void
fs_stream_scan_begin(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = castNode(ForeignScan, node->ss.ps.plan);
	StreamScan *scan;

	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0)
		return;
	scan = palloc0(sizeof(StreamScan));
	scan->context = CurrentMemoryContext;
	scan->shard = fs_shard_create_contract(RelationGetRelid(node->ss.ss_currentRelation));
	scan->bounds = fs_stream_bounds_prepare(scan->shard->def, plan->fdw_exprs, &node->ss.ps);
	if (fs_contract_can_raise(scan->shard))
		fs_plan_keep_serial(node->ss.ps.state);
	node->fdw_state = scan;
}

/* Does the stream have a column for this? */
static bool
shows(const FsStreamDef *stream, FsMetaField field)
{
	for (int i = 0; i < stream->nmeta; i++)
		if (stream->meta[i].field == field)
			return true;
	return false;
}

/* Begins to read, unless there is nothing that could be wanted. */
static void
begin_reading(ForeignScanState *node, StreamScan *scan)
{
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	FsTopicRequest *request = &scan->request;

	scan->has_begun = true;
	request->headers = shows(scan->shard->def, FS_META_HEADERS);
	request->min_partition = request->min_offset = 0;
	request->max_partition = request->max_offset = PG_INT64_MAX;
	request->some_partitions = false;
	request->npartitions = 0;
	request->since = FS_TIME_MIN;
	if (fs_stream_bounds_apply(scan->bounds, node->ss.ps.ps_ExprContext, request))
		scan->link = fs_topic_reader_start(scan->shard->def, request);
	MemoryContextSwitchTo(old);
}

static void
end_reading(StreamScan *scan)
{
	if (scan->link != NULL)
		fs_topic_link_close(scan->link);
	scan->link = NULL;
	scan->n = scan->next = 0;
}

/* Room for one record more in the batch. */
static void
reserve(StreamScan *scan)
{
	int			size = scan->size == 0 ? 256 : scan->size * 2;

	if (scan->n < scan->size)
		return;
	if (scan->size == 0)
		scan->records = MemoryContextAllocHuge(scan->context, sizeof(FsRecord) * size);
	else
	{
		scan->records = repalloc_huge(scan->records, sizeof(FsRecord) * size);
		pfree(scan->events);
	}
	scan->events = MemoryContextAllocHuge(scan->context, sizeof(FsEvent) * size);
	scan->size = size;
}

/* Takes the records of a message and decodes them; all lives until the next message. */
static void
take_records(StreamScan *scan, FsCursor *rest)
{
	FsShard    *shard = scan->shard;
	MemoryContext old;
	FsRecord	record;

	Assert(scan->next == scan->n);	/* nobody needs the message before any more */
	scan->n = scan->next = 0;
	MemoryContextReset(shard->batch);
	old = MemoryContextSwitchTo(shard->batch);
	while (fs_topic_reader_take(rest, &record))
	{
		reserve(scan);
		scan->records[scan->n++] = record;
	}
	memset(scan->events, 0, sizeof(FsEvent) * scan->n);
	for (int i = 0; i < scan->n; i++)
		scan->events[i].record = &scan->records[i];
	if (scan->n > 0)
		fs_contract_decode(shard, scan->events, scan->n);
	MemoryContextSwitchTo(old);
	scan->received += scan->n;
}

/* Waits for the next message and takes it; false at the end. */
static bool
receive(StreamScan *scan)
{
	FsCursor	rest;
	MemoryContext old;

	switch (fs_topic_link_receive(scan->link, &rest))
	{
		case FS_TOPIC_RECORDS:
			take_records(scan, &rest);
			return true;
		case FS_TOPIC_ENDS:
			old = MemoryContextSwitchTo(scan->context);
			fs_topic_reader_take_ends(&rest, &scan->request);
			MemoryContextSwitchTo(old);
			return true;
		case FS_TOPIC_DONE:
			return false;
		default:
			elog(ERROR, "unexpected message of a topic's reader");
	}
}

/* Counts a record that becomes no row. */
static void
skip(StreamScan *scan, const FsRecord *record, FsReason reason, const char *message)
{
	if (scan->skipped++ == 0)
		scan->example = MemoryContextStrdup(scan->context,
											psprintf("partition %d, offset " INT64_FORMAT ", %s: %s", record->partition,
													 record->offset, fs_reason_name(reason), message));
}

/* Is the key text, if it is to be shown as such? */
static bool
has_valid_key(const FsStreamDef *stream, const FsRecord *record)
{
	for (int i = 0; i < stream->nmeta && record->key != NULL; i++)
		if (stream->meta[i].field == FS_META_KEY && stream->meta[i].typid == TEXTOID &&
			!pg_verify_mbstr(PG_UTF8, record->key, (int) record->key_len, true))
			return false;
	return true;
}

/* What is around the payload, as the column shows it; in the current memory context. */
static Datum
meta_datum(const FsMetaColumn *column, const FsRecord *record, bool *isnull)
{
	*isnull = false;
	switch (column->field)
	{
		case FS_META_PARTITION:
			return Int32GetDatum(record->partition);
		case FS_META_OFFSET:
			return Int64GetDatum(record->offset);
		case FS_META_TIMESTAMP:
			*isnull = record->record_time == FS_TIME_MIN;
			return TimestampTzGetDatum(record->record_time);
		case FS_META_KEY:
			*isnull = record->key == NULL;
			/* text and bytea are made alike */
			return *isnull ? (Datum) 0 : PointerGetDatum(cstring_to_text_with_len(record->key, (int) record->key_len));
		case FS_META_HEADERS:
			*isnull = record->handle == NULL;
			return *isnull ? (Datum) 0 : DirectFunctionCall1(jsonb_in, CStringGetDatum(record->handle));
	}
	pg_unreachable();
}

/* Puts the event into the slot. */
static void
fill_slot(const FsStreamDef *stream, const FsEvent *event, TupleTableSlot *slot)
{
	Assert(event->reason == FS_REASON_NONE);
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, sizeof(bool) * slot->tts_tupleDescriptor->natts);
	for (int i = 0; i < stream->ncolumns; i++)
	{
		const FsColumn *column = &stream->columns[i];

		if (event->values[i].presence != FS_PRESENT)
			continue;
		slot->tts_values[column->attnum - 1] = fs_value_datum(column, &event->values[i]);
		slot->tts_isnull[column->attnum - 1] = false;
	}
	for (int i = 0; i < stream->nmeta; i++)
	{
		int			at = stream->meta[i].attnum - 1;

		slot->tts_values[at] = meta_datum(&stream->meta[i], event->record, &slot->tts_isnull[at]);
	}
	ExecStoreVirtualTuple(slot);
}

/* The next event of the batch that becomes a row; NULL when there is none left. */
static const FsEvent *
next_event(StreamScan *scan)
{
	while (scan->next < scan->n)
	{
		const FsEvent *event = &scan->events[scan->next++];

		if (event->reason != FS_REASON_NONE)
			skip(scan, event->record, event->reason, event->message);
		else if (!has_valid_key(scan->shard->def, event->record))
			skip(scan, event->record, FS_REASON_BAD_VALUE, "the key is not UTF-8 text; declare its column as bytea");
		else
			return event;
	}
	return NULL;
}

/* See stream_scan.h. */
TupleTableSlot *
fs_stream_scan_next(ForeignScanState *node)
{
	StreamScan *scan = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	const FsEvent *event;

	if (!scan->has_begun)
		begin_reading(node, scan);
	while (scan->link != NULL)
	{
		event = next_event(scan);
		if (event != NULL)
		{
			fill_slot(scan->shard->def, event, slot);
			return slot;
		}
		if (!receive(scan))
			end_reading(scan);
	}
	return ExecClearTuple(slot);
}

/* See stream_scan.h.  What is skipped is the same again. */
void
fs_stream_scan_restart(ForeignScanState *node)
{
	StreamScan *scan = node->fdw_state;

	end_reading(scan);
	scan->has_begun = false;
	scan->skipped = 0;
}

/* See stream_scan.h. */
void
fs_stream_scan_end(ForeignScanState *node)
{
	StreamScan *scan = node->fdw_state;

	if (scan == NULL)
		return;
	end_reading(scan);
	if (scan->skipped > 0)
		ereport(NOTICE,
				(errmsg_plural("skipped " INT64_FORMAT " record of stream %s that does not meet its contract",
							   "skipped " INT64_FORMAT " records of stream %s that do not meet its contract",
							   scan->skipped, scan->skipped, scan->shard->def->name),
				 errdetail("The first: %s.", scan->example)));
}

/* See stream_scan.h.  What is read is narrowed by these conditions; the others are looked at afterwards. */
void
fs_stream_scan_explain(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = castNode(ForeignScan, node->ss.ps.plan);
	const StreamScan *scan = node->fdw_state;

	if (plan->fdw_exprs != NIL)
	{
		List	   *context = set_deparse_context_plan(es->deparse_cxt, &plan->scan.plan, NIL);

		ExplainPropertyText("Topic Range",
							deparse_expression((Node *) make_ands_explicit(plan->fdw_exprs), context,
											   es->verbose, false), es);
	}
	if (es->analyze && scan != NULL)
		ExplainPropertyInteger("Records Received", NULL, scan->received, es);
}
