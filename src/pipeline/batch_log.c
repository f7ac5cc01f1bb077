/*
 * batch_log.c
 *		Events of the log as sorted tuples.
 *
 * The log is read with the extension's own rights, and nothing of a user's runs
 * meanwhile.  Then each event is judged as the view's owner, which tells its
 * entity, and sorted.  Both steps spill to disk beyond work_mem.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/tuplesort.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#include "catalog/extension.h"
#include "catalog/stand_in.h"
#include "core/slice.h"
#include "pipeline/batch.h"
#include "pipeline/log_columns.h"
#include "pipeline/row.h"
#include "pipeline/values.h"
#include "state/event_log.h"

/* Columns of a tuple after those of the stream; behind them the entity's. */
enum
{
	META_TIME, META_PARTITION, META_SEQUENCE, META_OFFSET, META_LATE_BOUND, META_ARRIVAL, META_VERDICT, META_COLUMNS
};

/* Events are judged so many at a time. */
#define JUDGE_EVENTS 500

struct FsBatchLog
{
	const FsBatch *batch;
	TupleDesc	desc;
	Tuplestorestate *read;		/* events as they were read; entity columns NULL */
	Tuplesortstate *sort;
	int64		sequence;		/* of the next event that goes there */
	TupleTableSlot *slot;
	MemoryContext event_context;	/* of one event, or of those judged at one go */

	/* What is read */
	FsTime		from;
	FsTime		until;
	double		sample;
	const FsBatchKey *keys;		/* sorted; NULL: any entity of the sample */
	int			nkeys;
	FsLogColumns *columns;
	FsValue    *values;			/* by stream column */

	/* Reading sorted events: 'slot' holds the next one */
	bool		at_end;
	bool		in_entity;		/* it belongs to the entity at hand */
	Datum	   *entity;			/* of the entity at hand */
	MemoryContext entity_context;
};

/* Index of an entity column among the values of a tuple. */
static inline int
entity_attribute(const FsBatch *batch, int i)
{
	return batch->stream->natts + META_COLUMNS + i;
}

/* The stream's attributes, the event's own and its entity. */
static TupleDesc
make_desc(const FsBatch *batch)
{
	int			natts = batch->stream->natts;
	TupleDesc	source = fs_stand_in_desc(batch->stream);
	TupleDesc	desc = CreateTemplateTupleDesc(entity_attribute(batch, batch->nentity));

	for (int i = 1; i <= natts; i++)
		TupleDescCopyEntry(desc, i, source, i);
	for (int i = 0; i < META_COLUMNS; i++)
		TupleDescInitEntry(desc, natts + 1 + i, "", INT8OID, -1, 0);
	for (int i = 0; i < batch->nentity; i++)
	{
		AttrNumber	attno = entity_attribute(batch, i) + 1;

		TupleDescInitEntry(desc, attno, "", batch->columns[i].typid, -1, 0);
		TupleDescInitEntryCollation(desc, attno, batch->columns[i].collation);
	}
	return desc;
}

/*
 * Begins sorting by entity, event time, partition, and place in the log: that is
 * the offset, but for dead letters that came back, as in the rings.
 */
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

		attnos[i] = 1 + (i < batch->nentity ? entity_attribute(batch, i) :
						 batch->stream->natts + META_TIME + i - batch->nentity);
		attr = TupleDescAttr(desc, attnos[i] - 1);
		operators[i] = lookup_type_cache(attr->atttypid, TYPECACHE_LT_OPR)->lt_opr;
		collations[i] = attr->attcollation;
		Assert(OidIsValid(operators[i]));
	}
	return tuplesort_begin_heap(desc, n, attnos, operators, collations, nulls_first,
								work_mem, NULL, TUPLESORT_NONE);
}

/* Keeps one event as it was read. */
static void
put_event(FsBatchLog *log, const FsEventMeta *meta)
{
	const FsStreamDef *stream = log->batch->stream;
	MemoryContext old = MemoryContextSwitchTo(log->event_context);
	int			natts = log->desc->natts;
	Datum	   *values = palloc0(sizeof(Datum) * natts);
	bool	   *nulls = palloc(sizeof(bool) * natts);
	Datum	   *own = values + stream->natts;

	memset(nulls, true, sizeof(bool) * natts);
	memset(nulls + stream->natts, false, sizeof(bool) * META_COLUMNS);
	for (int i = 0; i < stream->ncolumns; i++)
	{
		const FsColumn *column = &stream->columns[i];

		if (log->values[i].presence != FS_PRESENT)
			continue;
		nulls[column->attnum - 1] = false;
		values[column->attnum - 1] = fs_value_datum(column, &log->values[i]);
	}
	own[META_TIME] = Int64GetDatum(meta->event_time);
	own[META_PARTITION] = Int64GetDatum(meta->partition);
	own[META_SEQUENCE] = Int64GetDatum(0);	/* told when it is sorted */
	own[META_OFFSET] = Int64GetDatum(meta->offset);
	own[META_LATE_BOUND] = Int64GetDatum(meta->late_bound);
	own[META_ARRIVAL] = Int64GetDatum(meta->arrival);
	own[META_VERDICT] = Int64GetDatum(FS_BATCH_COUNTS);
	tuplestore_putvalues(log->read, log->desc, values, nulls);
	MemoryContextSwitchTo(old);
	MemoryContextReset(log->event_context);
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

	fs_segment_check(fs_segment_reader_open(bytes, len, &reader), slice);
	callback->func = free_reader_cb;
	callback->arg = reader;
	MemoryContextRegisterResetCallback(context, callback);
	fs_log_columns_begin(log->columns, reader, log->values);
	while ((status = fs_log_columns_next(log->columns, reader, &meta, log->values)) == FS_SEGMENT_OK)
	{
		CHECK_FOR_INTERRUPTS();
		if (meta.event_time >= log->from && meta.event_time < log->until)
			put_event(log, &meta);
	}
	fs_segment_check(status, slice);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return true;
}

/* Reads the log's events into log->read. */
static void
read_log(FsBatchLog *log)
{
	FsOwnerScope scope;
	FsTime		from = fs_time_floor(log->from, log->batch->stream->slice);

	log->read = tuplestore_begin_heap(false, false, work_mem);
	log->columns = fs_log_columns_create(log->batch->stream);
	log->values = palloc0(sizeof(FsValue) * log->batch->stream->ncolumns);
	fs_owner_begin(&scope);
	if (OidIsValid(log->batch->view->relid))
		fs_event_log_scan_view(log->batch->view->relid, from, log->until, read_segment, log);
	fs_event_log_scan(log->batch->stream->relid, from, log->until, FS_TIME_MIN, read_segment, log);
	fs_owner_end(&scope);
	pfree(log->values);
}

/* See batch_state.h. */
int
fs_batch_key_compare(const void *a, const void *b)
{
	const FsBatchKey *x = a;
	const FsBatchKey *y = b;
	int			order = memcmp(x->bytes, y->bytes, Min(x->len, y->len));

	return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* See batch_state.h. */
int
fs_batch_key_find(const FsBatchKey *keys, int n, const char *bytes, int len)
{
	FsBatchKey	key = {bytes, len};
	const FsBatchKey *found = bsearch(&key, keys, n, sizeof(FsBatchKey), fs_batch_key_compare);

	return found == NULL ? -1 : (int) (found - keys);
}

/* Is the event of an entity that is looked at? */
static bool
is_wanted(const FsBatchLog *log, const FsBatchEvent *event)
{
	char		key[FS_ENTITY_MAX_KEY];
	int			len;

	if (event->entity == NULL)
		return false;
	if (log->keys == NULL)
		return fs_batch_in_sample(log->batch, log->sample, event->entity);
	len = fs_key_encode(log->batch->view, event->entity, key);
	return len >= 0 && fs_batch_key_find(log->keys, log->nkeys, key, len) >= 0;
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
	event->verdict = (FsBatchVerdict) DatumGetInt64(own[META_VERDICT]);
	event->entity = NULL;
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

/* Hands one judged event to the sort. */
static void
sort_event(FsBatchLog *log, TupleTableSlot *out, const FsBatchEvent *event)
{
	const FsBatch *batch = log->batch;
	int			natts = batch->stream->natts;
	Datum	   *own = out->tts_values + natts;

	Assert(event->entity != NULL);
	ExecClearTuple(out);
	memcpy(out->tts_values, event->values, sizeof(Datum) * natts);
	memcpy(out->tts_isnull, event->nulls, sizeof(bool) * natts);
	own[META_TIME] = Int64GetDatum(event->time);
	own[META_PARTITION] = Int64GetDatum(event->partition);
	own[META_SEQUENCE] = Int64GetDatum(log->sequence++);
	own[META_OFFSET] = Int64GetDatum(event->offset);
	own[META_LATE_BOUND] = Int64GetDatum(event->late_bound);
	own[META_ARRIVAL] = Int64GetDatum(event->arrival);
	own[META_VERDICT] = Int64GetDatum(event->verdict);
	memcpy(own + META_COLUMNS, event->entity, sizeof(Datum) * batch->nentity);
	memset(out->tts_isnull + natts, false, sizeof(bool) * (META_COLUMNS + batch->nentity));
	ExecStoreVirtualTuple(out);
	tuplesort_puttupleslot(log->sort, out);
}

/* Judges the events that were read, and sorts those that are wanted. */
static void
judge_log(FsBatchLog *log)
{
	TupleTableSlot *out = MakeSingleTupleTableSlot(log->desc, &TTSOpsVirtual);
	FsBatchEvent *events = palloc(sizeof(FsBatchEvent) * JUDGE_EVENTS);
	MemoryContext old = MemoryContextSwitchTo(log->event_context);
	int			n;

	do
	{
		CHECK_FOR_INTERRUPTS();
		for (n = 0; n < JUDGE_EVENTS && tuplestore_gettupleslot(log->read, true, false, log->slot); n++)
		{
			slot_getallattrs(log->slot);
			copy_event(log, &events[n]);
		}
		fs_batch_judge(log->batch->judge, events, n);
		for (int i = 0; i < n; i++)
			if (is_wanted(log, &events[i]))
				sort_event(log, out, &events[i]);
		ExecClearTuple(log->slot);	/* its tuple is in that memory, once the events are too many for work_mem */
		MemoryContextReset(log->event_context);
	} while (n == JUDGE_EVENTS);
	MemoryContextSwitchTo(old);
	pfree(events);
	ExecDropSingleTupleTableSlot(out);
}

/* See batch_state.h. */
FsBatchLog *
fs_batch_log_read(const FsBatch *batch, FsTime from, FsTime until, double sample,
				  const FsBatchKey *keys, int nkeys)
{
	FsBatchLog *log = palloc0(sizeof(FsBatchLog));

	Assert(from < until);
	log->batch = batch;
	log->from = from;
	log->until = until;
	log->sample = sample;
	log->keys = keys;
	log->nkeys = nkeys;
	log->desc = make_desc(batch);
	log->slot = MakeSingleTupleTableSlot(log->desc, &TTSOpsMinimalTuple);
	log->event_context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream event",
											   ALLOCSET_DEFAULT_SIZES);
	log->entity_context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream key",
												ALLOCSET_SMALL_SIZES);
	read_log(log);
	log->sort = begin_sort(batch, log->desc);
	judge_log(log);
	tuplestore_end(log->read);
	tuplesort_performsort(log->sort);
	return log;
}

/* Takes the next sorted tuple into the slot. */
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
	Assert(log->entity != NULL && !log->at_end);
	for (int i = 0; i < log->batch->nentity; i++)
	{
		int			at = entity_attribute(log->batch, i);
		Form_pg_attribute attr = TupleDescAttr(log->desc, at);

		if (!datum_image_eq(log->slot->tts_values[at], log->entity[i],
							attr->attbyval, attr->attlen))
			return false;
	}
	return true;
}

/* See batch_state.h. */
const Datum *
fs_batch_log_next_entity(FsBatchLog *log)
{
	MemoryContext old;

	Assert(!log->in_entity);
	if (log->entity == NULL)
		fetch(log);				/* the very first */
	if (log->at_end)
		return NULL;
	MemoryContextReset(log->entity_context);
	old = MemoryContextSwitchTo(log->entity_context);
	log->entity = palloc(sizeof(Datum) * log->batch->nentity);
	for (int i = 0; i < log->batch->nentity; i++)
	{
		int			at = entity_attribute(log->batch, i);
		Form_pg_attribute attr = TupleDescAttr(log->desc, at);

		log->entity[i] = datumCopy(log->slot->tts_values[at], attr->attbyval, attr->attlen);
	}
	MemoryContextSwitchTo(old);
	log->in_entity = true;
	return log->entity;
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
	pfree(log);
}
