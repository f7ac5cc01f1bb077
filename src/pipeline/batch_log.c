/*
 * batch_log.c
 *		Events of the log as sorted tuples.
 *
 * The log is read with the extension's own rights, and nothing of a user's runs
 * meanwhile: expressions come later, over the sorted tuples, which spill to
 * disk beyond work_mem.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/tuplesort.h"
#include "utils/typcache.h"

#include "catalog/extension.h"
#include "catalog/stand_in.h"
#include "core/hash.h"
#include "core/slice.h"
#include "pipeline/batch_state.h"
#include "pipeline/row.h"
#include "pipeline/values.h"
#include "state/event_log.h"

/* Columns of a tuple after those of the stream. */
enum
{
	META_TIME, META_PARTITION, META_OFFSET, META_LATE_BOUND, META_ARRIVAL, META_COLUMNS
};

struct FsBatchLog
{
	const FsBatch *batch;
	Tuplesortstate *sort;
	TupleTableSlot *slot;
	MemoryContext event_context;

	/* Reading sorted events: 'slot' holds the next one */
	bool		at_end;
	bool		in_entity;		/* it belongs to the entity at hand */
	Datum	   *entity;			/* of the entity at hand */
	MemoryContext entity_context;

	/* What is read */
	FsTime		from;
	FsTime		until;
	double		sample;
	const char *key;			/* NULL: any entity of the sample */
	int			key_len;
	FsValue    *values;			/* by stream column */
	int		   *value_of;		/* per input of the view: index into values */
};

/* The stream's attributes and the event's own. */
static TupleDesc
make_desc(const FsStreamDef *stream)
{
	TupleDesc	source = fs_stand_in_desc(stream);
	TupleDesc	desc = CreateTemplateTupleDesc(stream->natts + META_COLUMNS);

	for (int i = 1; i <= stream->natts; i++)
		TupleDescCopyEntry(desc, i, source, i);
	for (int i = 0; i < META_COLUMNS; i++)
		TupleDescInitEntry(desc, stream->natts + 1 + i, "", INT8OID, -1, 0);
	return desc;
}

/* Begins sorting by entity, event time, partition, offset. */
static Tuplesortstate *
begin_sort(const FsBatch *batch, TupleDesc desc)
{
	int			n = batch->nentity + 3;
	AttrNumber *attnos = palloc(n * sizeof(AttrNumber));
	Oid		   *operators = palloc(n * sizeof(Oid));
	Oid		   *collations = palloc(n * sizeof(Oid));
	bool	   *nulls_first = palloc0(n * sizeof(bool));

	for (int i = 0; i < n; i++)
	{
		Form_pg_attribute attr;

		attnos[i] = i < batch->nentity ?
			batch->stream->columns[batch->columns[i].stream_column].attnum :
			batch->stream->natts + 1 + META_TIME + i - batch->nentity;
		attr = TupleDescAttr(desc, attnos[i] - 1);
		operators[i] = lookup_type_cache(attr->atttypid, TYPECACHE_LT_OPR)->lt_opr;
		collations[i] = attr->attcollation;
		Assert(OidIsValid(operators[i]));
	}
	return tuplesort_begin_heap(desc, n, attnos, operators, collations, nulls_first,
								work_mem, NULL, TUPLESORT_NONE);
}

/* Is the event of an entity that is looked at? */
static bool
is_wanted(const FsBatchLog *log)
{
	char		key[FS_ENTITY_MAX_KEY];
	int			len;

	if (log->key == NULL && log->sample >= 1)
		return true;
	len = fs_key_of_inputs(log->batch->view, log->values, log->value_of, key);
	if (len < 0)
		return false;
	if (log->key != NULL)
		return len == log->key_len && memcmp(key, log->key, len) == 0;
	return (double) fs_hash_bytes(key, len) < log->sample * ((double) PG_UINT32_MAX + 1);
}

/* Adds one event to the sort. */
static void
put_event(FsBatchLog *log, const FsEventMeta *meta)
{
	const FsStreamDef *stream = log->batch->stream;
	TupleTableSlot *slot = log->slot;
	MemoryContext old = MemoryContextSwitchTo(log->event_context);
	Datum	   *own = slot->tts_values + stream->natts;

	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, sizeof(bool) * stream->natts);
	memset(slot->tts_isnull + stream->natts, false, sizeof(bool) * META_COLUMNS);
	for (int i = 0; i < stream->ncolumns; i++)
	{
		const FsColumn *column = &stream->columns[i];

		if (log->values[i].presence != FS_PRESENT)
			continue;
		slot->tts_isnull[column->attnum - 1] = false;
		slot->tts_values[column->attnum - 1] = fs_value_datum(column, &log->values[i]);
	}
	own[META_TIME] = Int64GetDatum(meta->event_time);
	own[META_PARTITION] = Int64GetDatum(meta->partition);
	own[META_OFFSET] = Int64GetDatum(meta->offset);
	own[META_LATE_BOUND] = Int64GetDatum(meta->late_bound);
	own[META_ARRIVAL] = Int64GetDatum(meta->arrival);
	ExecStoreVirtualTuple(slot);
	tuplesort_puttupleslot(log->sort, slot);
	MemoryContextSwitchTo(old);
	MemoryContextReset(log->event_context);
}

/* Where each column of the segment goes; -1: the stream has it no longer. */
static int *
map_columns(const FsStreamDef *stream, FsSegmentReader *reader, int *n)
{
	const FsSegmentColumn *columns;
	int		   *map;

	*n = fs_segment_reader_columns(reader, &columns);
	map = palloc(sizeof(int) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		map[i] = fs_stream_column_index(stream, columns[i].number);
		if (map[i] >= 0 && stream->columns[map[i]].type != columns[i].type)
			map[i] = -1;
	}
	return map;
}

/* Memory context callback: readers of segments are malloc'd. */
static void
free_reader_cb(void *reader)
{
	fs_segment_reader_free(reader);
}

/* Reads one segment; the argument is the log. */
static bool
read_segment(void *arg, FsTime slice, const char *bytes, size_t len)
{
	FsBatchLog *log = arg;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream segment",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	MemoryContextCallback *callback = palloc(sizeof(MemoryContextCallback));
	FsSegmentReader *reader;
	FsSegmentStatus status;
	FsEventMeta meta;
	FsValue    *values;
	int		   *map;
	int			n;

	fs_segment_check(fs_segment_reader_open(bytes, len, &reader), slice);
	callback->func = free_reader_cb;
	callback->arg = reader;
	MemoryContextRegisterResetCallback(context, callback);
	map = map_columns(log->batch->stream, reader, &n);
	values = palloc(sizeof(FsValue) * Max(n, 1));
	memset(log->values, 0, sizeof(FsValue) * log->batch->stream->ncolumns);
	while ((status = fs_segment_next(reader, &meta, values)) == FS_SEGMENT_OK)
	{
		CHECK_FOR_INTERRUPTS();
		if (meta.event_time < log->from || meta.event_time >= log->until)
			continue;
		for (int i = 0; i < n; i++)
			if (map[i] >= 0)
				log->values[map[i]] = values[i];
		if (is_wanted(log))
			put_event(log, &meta);
	}
	fs_segment_check(status, slice);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return true;
}

/* See batch_state.h. */
FsBatchLog *
fs_batch_log_read(const FsBatch *batch, FsTime from, FsTime until, double sample,
				  const char *key, int key_len)
{
	FsBatchLog *log = palloc0(sizeof(FsBatchLog));
	TupleDesc	desc = make_desc(batch->stream);
	TupleTableSlot *sorted = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	FsOwnerScope scope;

	Assert(from < until);
	log->batch = batch;
	log->from = from;
	log->until = until;
	log->sample = sample;
	log->key = key;
	log->key_len = key_len;
	log->sort = begin_sort(batch, desc);
	log->slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	log->values = palloc0(sizeof(FsValue) * batch->stream->ncolumns);
	log->value_of = palloc(sizeof(int) * batch->view->ninputs);
	for (int i = 0; i < batch->view->ninputs; i++)
		log->value_of[i] = batch->view->inputs[i].stream_column;
	log->event_context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream event",
											   ALLOCSET_SMALL_SIZES);
	log->entity_context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream key",
												ALLOCSET_SMALL_SIZES);
	fs_owner_begin(&scope);
	fs_event_log_scan(batch->stream->relid, fs_time_floor(from, batch->stream->slice), until,
					  read_segment, log);
	fs_owner_end(&scope);
	ExecDropSingleTupleTableSlot(log->slot);
	log->slot = sorted;
	tuplesort_performsort(log->sort);
	return log;
}

/* Index of an entity column among the values of a tuple. */
static int
entity_attribute(const FsBatchLog *log, int i)
{
	const FsBatch *batch = log->batch;

	return batch->stream->columns[batch->columns[i].stream_column].attnum - 1;
}

/* Takes the next tuple into the slot. */
static void
fetch(FsBatchLog *log)
{
	log->at_end = !tuplesort_gettupleslot(log->sort, true, false, log->slot, NULL);
	if (!log->at_end)
		slot_getallattrs(log->slot);
}

/* Is the tuple in the slot of the entity at hand?  Keys are equal exactly when their bytes are. */
static bool
is_same_entity(const FsBatchLog *log)
{
	for (int i = 0; i < log->batch->nentity; i++)
	{
		int			at = entity_attribute(log, i);
		Form_pg_attribute attr = TupleDescAttr(log->slot->tts_tupleDescriptor, at);

		if (!datum_image_eq(log->slot->tts_values[at], log->entity[i],
							attr->attbyval, attr->attlen))
			return false;
	}
	return true;
}

/* See batch_state.h. */
bool
fs_batch_log_next_entity(FsBatchLog *log)
{
	MemoryContext old;

	Assert(!log->in_entity);
	if (log->entity == NULL)
		fetch(log);				/* the very first */
	if (log->at_end)
		return false;
	MemoryContextReset(log->entity_context);
	old = MemoryContextSwitchTo(log->entity_context);
	log->entity = palloc(sizeof(Datum) * log->batch->nentity);
	for (int i = 0; i < log->batch->nentity; i++)
	{
		int			at = entity_attribute(log, i);
		Form_pg_attribute attr = TupleDescAttr(log->slot->tts_tupleDescriptor, at);

		log->entity[i] = datumCopy(log->slot->tts_values[at], attr->attbyval, attr->attlen);
	}
	MemoryContextSwitchTo(old);
	log->in_entity = true;
	return true;
}

/* Copies the event in the slot. */
static void
copy_event(const FsBatchLog *log, FsBatchEvent *event)
{
	int			natts = log->batch->stream->natts;
	const TupleTableSlot *slot = log->slot;
	const Datum *own = slot->tts_values + natts;

	event->time = DatumGetInt64(own[META_TIME]);
	event->partition = (int32) DatumGetInt64(own[META_PARTITION]);
	event->offset = DatumGetInt64(own[META_OFFSET]);
	event->late_bound = DatumGetInt64(own[META_LATE_BOUND]);
	event->arrival = DatumGetInt64(own[META_ARRIVAL]);
	event->values = palloc(sizeof(Datum) * natts);
	event->nulls = palloc(sizeof(bool) * natts);
	for (int i = 0; i < natts; i++)
	{
		Form_pg_attribute attr = TupleDescAttr(slot->tts_tupleDescriptor, i);

		event->nulls[i] = slot->tts_isnull[i];
		event->values[i] = event->nulls[i] ? (Datum) 0 :
			datumCopy(slot->tts_values[i], attr->attbyval, attr->attlen);
	}
}

/* See batch_state.h. */
bool
fs_batch_log_next(FsBatchLog *log, FsBatchEvent *event)
{
	if (!log->in_entity)
		return false;
	copy_event(log, event);
	fetch(log);
	log->in_entity = !log->at_end && is_same_entity(log);
	return true;
}

/* See batch_state.h. */
void
fs_batch_log_end(FsBatchLog *log)
{
	tuplesort_end(log->sort);
	ExecDropSingleTupleTableSlot(log->slot);
	MemoryContextDelete(log->event_context);
	MemoryContextDelete(log->entity_context);
	pfree(log->values);
	pfree(log);
}
