/*
 * refused_events.c
 *		Dead letters of one entity.
 *
 * A dead letter has no columns, only its payload.  That is decoded as the
 * stream's events are now; what decodes tells its entity and event time.  Those
 * of expression errors, and those that came back, are left out: such events were
 * accepted, and are in the log.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "catalog/extension.h"
#include "catalog/guard.h"
#include "catalog/payload.h"
#include "core/decode.h"
#include "core/wire_header.h"
#include "pipeline/row.h"
#include "pipeline/values.h"
#include "source/kafka_header.h"
#include "sql/refused_events.h"

#define FETCH_ROWS 100

typedef struct Refused
{
	const FsBatch *batch;
	FsTime		from;
	FsTime		until;
	const char *key;
	int			key_len;
	FsRefusedReceiver receive;
	void	   *arg;
	FsPayloadDecoder *decoder;
	FsValue    *values;			/* by stream column */
	FsBatchEvent event;			/* the one at hand */
	MemoryContext context;		/* of one dead letter */
} Refused;

/* The decoded values as those of an event; the argument is the Refused. */
static void
set_values(void *arg)
{
	Refused    *refused = arg;
	const FsStreamDef *stream = refused->batch->stream;
	FsBatchEvent *event = &refused->event;

	for (int i = 0; i < stream->ncolumns; i++)
	{
		const FsColumn *column = &stream->columns[i];

		if (refused->values[i].presence != FS_PRESENT)
			continue;
		event->values[column->attnum - 1] = fs_value_datum(column, &refused->values[i]);
		event->nulls[column->attnum - 1] = false;
	}
}

/*
 * Decodes the payload into the event at hand; false when it is of no use.
 * 'headers' are its record's where one of them may name its schema, else NULL.
 */
static bool
decode_payload(Refused *refused, const bytea *payload, Jsonb *headers)
{
	const FsStreamDef *stream = refused->batch->stream;
	const FsValue *time = &refused->values[stream->event_time];
	FsBatchEvent *event = &refused->event;
	FsDecodeError error;
	size_t		len = 0;
	const char *header = headers == NULL ? NULL : fs_kafka_header_find(headers, FS_WIRE_HEADER_NAME, &len);

	fs_payload_reset(refused->decoder);
	if (!fs_payload_decode(refused->decoder, VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload),
						   header, len, refused->values, &error) ||
		time->presence != FS_PRESENT || time->i < refused->from || time->i >= refused->until)
		return false;
	event->time = time->i;
	event->late_bound = FS_TIME_MIN;
	event->values = palloc0(sizeof(Datum) * stream->natts);
	event->nulls = palloc(sizeof(bool) * stream->natts);
	memset(event->nulls, true, sizeof(bool) * stream->natts);

	/* A numeral or document beyond what PostgreSQL has may be why it is a dead letter: the rest is NULL then. */
	(void) fs_guard_run(set_values, refused, NULL);
	return true;
}

/* Is the event at hand of the entity? */
static bool
is_wanted(Refused *refused)
{
	char		key[FS_ENTITY_MAX_KEY];

	fs_batch_judge(refused->batch->judge, &refused->event, 1);
	return refused->event.entity != NULL &&
		fs_key_encode(refused->batch->view, refused->event.entity, key) == refused->key_len &&
		memcmp(key, refused->key, refused->key_len) == 0;
}

/* Hands on one row of dead_letter if it is the entity's. */
static void
take_row(Refused *refused, HeapTuple tuple, TupleDesc desc)
{
	FsBatchEvent *event = &refused->event;
	bool		isnull;
	Datum		payload = SPI_getbinval(tuple, desc, 5, &isnull);
	Datum		headers = SPI_getbinval(tuple, desc, 6, &isnull);
	bool		is_named = !isnull && refused->batch->stream->registry != NULL;

	if (!decode_payload(refused, DatumGetByteaPP(payload), is_named ? DatumGetJsonbP(headers) : NULL) ||
		!is_wanted(refused))
		return;
	event->partition = DatumGetInt32(SPI_getbinval(tuple, desc, 1, &isnull));
	event->offset = DatumGetInt64(SPI_getbinval(tuple, desc, 2, &isnull));
	event->arrival = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 3, &isnull));
	refused->receive(refused->arg, event,
					 TextDatumGetCString(SPI_getbinval(tuple, desc, 4, &isnull)));
}

/* Opens a cursor on the dead letters that may be wanted; SPI is connected. */
static Portal
open_cursor(const Refused *refused)
{
	Oid			types[3] = {OIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[3];

	values[0] = ObjectIdGetDatum(refused->batch->stream->relid);
	values[1] = TimestampTzGetDatum(refused->from);
	values[2] = TimestampTzGetDatum(refused->until);
	return SPI_cursor_open_with_args(NULL,
									 "SELECT partition, \"offset\", received_at, reason || ': ' || message, payload, headers"
									 " FROM feature_stream.dead_letter d"
									 " WHERE stream = $1::pg_catalog.regclass AND payload IS NOT NULL AND"
									 " reason <> 'expression_error' AND"
									 " NOT EXISTS (SELECT FROM feature_stream.dead_letter_outcome o"
									 " WHERE o.stream = d.stream AND o.partition = d.partition"
									 " AND o.\"offset\" = d.\"offset\" AND o.recorded_at = d.recorded_at"
									 " AND o.outcome = 'replayed') AND"
									 " (event_time IS NULL OR event_time >= $2 AND event_time < $3)"
									 " ORDER BY event_time, partition, \"offset\"",
									 3, types, values, NULL, true, 0);
}

/* Goes through the dead letters; SPI is connected. */
static void
take_rows(Refused *refused)
{
	Portal		portal = open_cursor(refused);

	for (;;)
	{
		SPITupleTable *table;
		uint64		n;

		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		table = SPI_tuptable;
		n = SPI_processed;
		for (uint64 i = 0; i < n; i++)
		{
			MemoryContext old = MemoryContextSwitchTo(refused->context);

			CHECK_FOR_INTERRUPTS();
			take_row(refused, table->vals[i], table->tupdesc);
			MemoryContextSwitchTo(old);
			MemoryContextReset(refused->context);
		}
		SPI_freetuptable(table);
		if (n == 0)
			break;
	}
	SPI_cursor_close(portal);
}

/* See refused_events.h. */
void
fs_refused_events(const FsBatch *batch, FsTime from, FsTime until, const char *key, int key_len,
				  FsRefusedReceiver receive, void *arg)
{
	Refused		refused = {.batch = batch, .from = from, .until = until, .key = key,
		.key_len = key_len, .receive = receive, .arg = arg};
	FsOwnerScope scope;

	refused.decoder = fs_payload_create(refused.batch->stream);
	refused.values = palloc(sizeof(FsValue) * batch->stream->ncolumns);
	refused.context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream dead letter",
											ALLOCSET_SMALL_SIZES);
	fs_owner_begin(&scope);
	SPI_connect();
	take_rows(&refused);
	SPI_finish();
	fs_owner_end(&scope);
	MemoryContextDelete(refused.context);
}
