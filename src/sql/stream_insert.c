/*
 * stream_insert.c
 *		INSERT into a stream and COPY FROM: rows become records.
 *
 * Each row is encoded at once, and decoded again by the stream's own contract: what
 * that would refuse is an error here, so that nobody writes dead letters by SQL.
 * PostgreSQL checks no constraint of a foreign table; this checks NOT NULL, CHECK
 * and what the types demand.  The record then waits for the commit
 * (stream_outbox.h).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "catalog/extension.h"
#include "pipeline/encode_avro.h"
#include "pipeline/encode_json.h"
#include "pipeline/shard.h"
#include "pipeline/values.h"
#include "sql/stream_insert.h"
#include "sql/stream_outbox.h"

typedef struct StreamInsert
{
	FsShard    *shard;			/* its contract alone */
	FsJsonEncoder *json;		/* NULL: Avro */
	FsAvroRecordEncoder *avro;
	FsStreamOutbox *outbox;
	const FsColumn *key;		/* of the option; NULL: none */
	StringInfoData value;
	MemoryContext row;			/* of one row */
} StreamInsert;

/* Throws for a stream that cannot be written. */
static void
check_writable(const FsStreamDef *stream)
{
	if (stream->kind == FS_SOURCE_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot write to stream %s", stream->name),
				 errdetail("Its records are the rows of a table."),
				 errhint("Insert into %s.", fs_relation_name(stream->table))));
}

/* Prepares to insert. */
static StreamInsert *
begin(Relation rel)
{
	StreamInsert *insert = palloc0(sizeof(StreamInsert));
	const FsStreamDef *stream;

	insert->shard = fs_shard_create_contract(RelationGetRelid(rel));
	stream = insert->shard->def;
	check_writable(stream);
	if (stream->format == FS_FORMAT_JSON)
		insert->json = fs_json_encoder_create(stream);
	else
		insert->avro = fs_avro_record_encoder_create(stream);
	insert->outbox = fs_stream_outbox_open(stream);
	for (int i = 0; i < stream->ncolumns && stream->key != NULL; i++)
		if (strcmp(stream->columns[i].name, stream->key) == 0)
			insert->key = &stream->columns[i];
	initStringInfo(&insert->value);
	insert->row = AllocSetContextCreate(CurrentMemoryContext, "feature_stream row", ALLOCSET_DEFAULT_SIZES);
	return insert;
}

/* See stream_insert.h: for INSERT. */
void
fs_stream_insert_begin_modify(ModifyTableState *state, ResultRelInfo *result, List *private,
							  int subplan, int eflags)
{
	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0)
		result->ri_FdwState = begin(result->ri_RelationDesc);
}

/* See stream_insert.h: for COPY. */
void
fs_stream_insert_begin(ModifyTableState *state, ResultRelInfo *result)
{
	result->ri_FdwState = begin(result->ri_RelationDesc);
}

/* Takes the key out of a column that shows it; throws when another one that shows something has a value. */
static void
take_meta(const FsStreamDef *stream, TupleTableSlot *slot, FsRecord *record)
{
	for (int i = 0; i < stream->nmeta; i++)
	{
		const FsMetaColumn *column = &stream->meta[i];
		bytea	   *key;

		if (slot->tts_isnull[column->attnum - 1])
			continue;
		if (column->field != FS_META_KEY)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot insert a value into column \"%s\" of stream %s", column->name, stream->name),
					 errdetail("Of what is around a record only its key can be given.")));
		key = DatumGetByteaPP(slot->tts_values[column->attnum - 1]);	/* text is laid out alike */
		record->key = VARDATA_ANY(key);
		record->key_len = VARSIZE_ANY_EXHDR(key);
	}
}

/* The record's key: of the column that shows it, else of the option's. */
static void
make_key(const StreamInsert *insert, TupleTableSlot *slot, FsRecord *record)
{
	const FsColumn *column = insert->key;
	uint32		len;

	take_meta(insert->shard->def, slot, record);
	if (record->key != NULL || column == NULL || slot->tts_isnull[column->attnum - 1])
		return;
	record->key = fs_datum_online_text(column->typid, slot->tts_values[column->attnum - 1], &len);
	record->key_len = len;
}

/* What PostgreSQL says of a row that a table would refuse for the same. */
static int
refusal_code(FsReason reason)
{
	switch (reason)
	{
		case FS_REASON_MISSING_FIELD:
			return ERRCODE_NOT_NULL_VIOLATION;
		case FS_REASON_CHECK_VIOLATION:
			return ERRCODE_CHECK_VIOLATION;
		default:
			return ERRCODE_DATA_EXCEPTION;
	}
}

/* Is what the record gives for the column what the row has? */
static bool
is_given(const FsColumn *column, const FsValue *value, Datum datum, bool isnull)
{
	TypeCacheEntry *type = lookup_type_cache(column->typid, TYPECACHE_EQ_OPR_FINFO);

	if (isnull || value->presence != FS_PRESENT)
		return isnull == (value->presence != FS_PRESENT);
	return DatumGetBool(FunctionCall2Coll(&type->eq_opr_finfo, column->collation, datum, fs_value_datum(column, value)));
}

/* Throws when a column that the schema has no field for is not what the record says without it: its value would be lost. */
static void
check_unwritten(const StreamInsert *insert, TupleTableSlot *slot, const FsEvent *event)
{
	const FsStreamDef *stream = insert->shard->def;

	for (int i = 0; i < stream->ncolumns; i++)
	{
		const FsColumn *column = &stream->columns[i];
		int			at = column->attnum - 1;

		if (fs_avro_record_encoder_has(insert->avro, i) ||
			is_given(column, &event->values[i], slot->tts_values[at], slot->tts_isnull[at]))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot insert this value into column \"%s\" of stream %s", column->name, stream->name),
				 errdetail("The schema that records are written with has no field \"%s\".", column->field),
				 errhint("Leave the column out, or add the field in a new version of the schema.")));
	}
}

/* Throws when the record would be a dead letter, or not the row. */
static void
check_contract(StreamInsert *insert, const FsRecord *record, TupleTableSlot *slot)
{
	FsShard    *shard = insert->shard;
	FsEvent		event = {.record = record};

	MemoryContextReset(shard->batch);
	fs_contract_decode(shard, &event, 1);
	if (event.reason != FS_REASON_NONE)
		ereport(ERROR,
				(errcode(refusal_code(event.reason)),
				 errmsg("new row of stream %s does not meet its contract: %s", shard->def->name, event.message)));
	if (insert->avro != NULL)
		check_unwritten(insert, slot, &event);
}

/* See stream_insert.h. */
TupleTableSlot *
fs_stream_insert_row(EState *estate, ResultRelInfo *result, TupleTableSlot *slot, TupleTableSlot *plan_slot)
{
	StreamInsert *insert = result->ri_FdwState;
	MemoryContext old = MemoryContextSwitchTo(insert->row);
	FsRecord	record = {.arrival = FS_TIME_MIN, .record_time = FS_TIME_MIN};

	slot_getallattrs(slot);
	resetStringInfo(&insert->value);
	if (insert->json != NULL)
		fs_json_encode(insert->json, slot->tts_values, slot->tts_isnull, &insert->value);
	else
		fs_avro_record_encode(insert->avro, slot->tts_values, slot->tts_isnull, &insert->value);
	record.value = insert->value.data;
	record.value_len = insert->value.len;
	make_key(insert, slot, &record);
	check_contract(insert, &record, slot);
	fs_stream_outbox_put(insert->outbox, &record);
	MemoryContextSwitchTo(old);
	MemoryContextReset(insert->row);
	return slot;
}
