/*
 * dead_letters.c
 *		Refused events; see dead_letters.h.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "ground/clock.h"
#include "offline/table_writer.h"
#include "pipeline/dead_letters.h"

/* Columns of feature_stream.dead_letter, in order. */
enum
{
	COL_STREAM, COL_PARTITION, COL_OFFSET, COL_RECEIVED_AT, COL_TOPIC, COL_REASON, COL_MESSAGE,
	COL_EVENT_TIME, COL_RECORD_TIME, COL_WATERMARK, COL_KEY, COL_PAYLOAD, COL_PAYLOAD_SIZE,
	COL_HEADERS, COL_RECORDED_AT, COL_ORIGINAL_KEY, COL_ORIGINAL_PAYLOAD, COL_ORIGINAL_HEADERS, COL_REPAIRED_AT,
	NCOLUMNS
};

/* The budget is of so long; its bytes are bounded, too. */
#define BUDGET_USEC (60 * FS_USEC_PER_SEC)
#define BUDGET_BYTES (64 * 1024 * 1024)

/* Of a record's headers so much JSON is kept, and what was more is counted. */
#define HEADERS_BYTES (64 * 1024)

/* Is there room for another dead letter in the budget? */
static bool
has_budget(FsShard *shard)
{
	int64		now = fs_clock_monotonic();

	if (now - shard->dead_letters_since >= BUDGET_USEC)
	{
		shard->dead_letters_since = now;
		shard->dead_letters_stored = shard->dead_letters_bytes = 0;
	}
	return shard->dead_letters_stored < shard->def->dead_letter_budget && shard->dead_letters_bytes < BUDGET_BYTES;
}

/* Bytes of a dead letter that its event decides on. */
static size_t
count_bytes(const FsDeadLetter *letter)
{
	return strlen(letter->message) + (letter->headers == NULL ? 0 : strlen(letter->headers)) +
		(letter->payload == NULL ? 0 : VARSIZE(letter->payload)) +
		(letter->key == NULL ? 0 : VARSIZE(letter->key));
}

/* Takes it out of the budget, and counts it as pending. */
static void
charge_letter(FsShard *shard, const FsDeadLetter *letter)
{
	size_t		bytes = count_bytes(letter);

	shard->dead_letters_stored++;
	shard->dead_letters_bytes += bytes;
	shard->pending.ndead++;
	shard->pending.dead_bytes += sizeof(FsDeadLetter) + bytes + 256;
}

/* See dead_letters.h. */
const FsDeadOverflow *
fs_dead_letter_overflow(const FsPending *pending, int partition, FsReason reason)
{
	const FsDeadOverflow *overflow;

	Assert(partition >= 0 && partition < FS_MAX_PARTITIONS && (int) reason < FS_REASONS);
	if (pending->overflow == NULL || pending->overflow[partition] == NULL)
		return NULL;
	overflow = &pending->overflow[partition][reason];
	return overflow->count > 0 ? overflow : NULL;
}

/* Counts a dead letter that is not stored. */
static void
count_letter(FsShard *shard, const FsPartition *partition, const FsEvent *event, FsReason reason,
			 const char *message)
{
	FsPending  *pending = &shard->pending;
	int			index = (int) (partition - shard->partitions);
	FsDeadOverflow *overflow;

	Assert(index >= 0 && index < shard->npartitions && (int) reason < FS_REASONS);
	if (pending->overflow == NULL)
		pending->overflow = MemoryContextAllocZero(pending->context, sizeof(FsDeadOverflow *) * FS_MAX_PARTITIONS);
	if (pending->overflow[index] == NULL)
		pending->overflow[index] = MemoryContextAllocZero(pending->context, sizeof(FsDeadOverflow) * FS_REASONS);
	overflow = &pending->overflow[index][reason];
	if (overflow->count++ == 0)
	{
		overflow->first_offset = overflow->last_offset = event->meta.offset;
		overflow->first_arrival = overflow->last_arrival = event->meta.arrival;
		overflow->message = MemoryContextStrdup(pending->context, message);
	}
	overflow->first_offset = Min(overflow->first_offset, event->meta.offset);
	overflow->last_offset = Max(overflow->last_offset, event->meta.offset);
	overflow->first_arrival = Min(overflow->first_arrival, event->meta.arrival);
	overflow->last_arrival = Max(overflow->last_arrival, event->meta.arrival);
}

static bytea *
make_bytea(const char *data, size_t len)
{
	bytea	   *result = palloc(VARHDRSZ + len);

	SET_VARSIZE(result, VARHDRSZ + len);
	memcpy(VARDATA(result), data, len);
	return result;
}

/* Copies an event into a dead letter, to be written by the next checkpoint. */
static void
store_letter(FsShard *shard, const FsEvent *event, FsReason reason, const char *message, FsTime watermark)
{
	const FsRecord *record = event->record;
	FsPending  *pending = &shard->pending;
	MemoryContext old = MemoryContextSwitchTo(pending->context);
	FsDeadLetter *letter = palloc0(sizeof(FsDeadLetter));

	Assert(message != NULL && reason != FS_REASON_NONE);
	letter->partition = record->partition;
	letter->offset = record->offset;
	letter->received_at = event->meta.arrival;
	letter->recorded_at = fs_clock_now();
	letter->reason = reason;
	letter->message = pstrdup(message);
	letter->event_time = reason == FS_REASON_LATE || reason == FS_REASON_FUTURE ||
		reason == FS_REASON_EXPRESSION_ERROR ?
		event->meta.event_time : FS_TIME_MIN;
	letter->record_time = record->record_time;
	letter->watermark = watermark;
	letter->payload_size = record->value == NULL ? -1 : (int64) record->value_len;
	if (shard->def->dead_letter_payload && record->value != NULL)
		letter->payload = make_bytea(record->value, Min(record->value_len, (size_t) shard->def->max_record_bytes));
	if (shard->def->dead_letter_payload && record->key != NULL)
		letter->key = make_bytea(record->key, record->key_len);
	if (event->replay == NULL)
		letter->headers = shard->source->ops->headers(shard->source, record, HEADERS_BYTES);
	else
	{
		/* It stands beside the one that came back, and must differ from that. */
		letter->headers = event->replay->headers == NULL ? NULL : pstrdup(event->replay->headers);
		letter->recorded_at = Max(letter->recorded_at, event->replay->recorded_at + 1);
	}
	pending->dead_letters = lappend(pending->dead_letters, letter);
	charge_letter(shard, letter);
	MemoryContextSwitchTo(old);
}

/* Stores or counts a dead letter. */
static void
add_letter(FsShard *shard, const FsPartition *partition, const FsEvent *event, FsReason reason, const char *message)
{
	if (has_budget(shard))
		store_letter(shard, event, reason, message, partition->clock.watermark);
	else
		count_letter(shard, partition, event, reason, message);
}

void
fs_dead_letter_add(FsShard *shard, const FsPartition *partition, const FsEvent *event)
{
	Assert(event->reason != FS_REASON_NONE);
	add_letter(shard, partition, event, event->reason, event->message);
}

void
fs_dead_letter_add_error(FsShard *shard, const FsPartition *partition, const FsEvent *event)
{
	Assert(event->error_mask != 0);
	add_letter(shard, partition, event, FS_REASON_EXPRESSION_ERROR, event->error);
}

static void
set_time(Datum *values, bool *nulls, int column, FsTime t)
{
	nulls[column] = t == FS_TIME_MIN;
	values[column] = TimestampTzGetDatum(t);
}

/* One row of feature_stream.dead_letter. */
static void
write_letter(FsShard *shard, FsTableWriter *writer, const FsDeadLetter *letter)
{
	Datum		values[NCOLUMNS];
	bool		nulls[NCOLUMNS] = {false};

	values[COL_STREAM] = ObjectIdGetDatum(shard->def->relid);
	values[COL_PARTITION] = Int32GetDatum(letter->partition);
	values[COL_OFFSET] = Int64GetDatum(letter->offset);
	values[COL_RECEIVED_AT] = TimestampTzGetDatum(letter->received_at);
	nulls[COL_TOPIC] = shard->def->topic == NULL;
	if (shard->def->topic != NULL)
		values[COL_TOPIC] = CStringGetTextDatum(shard->def->topic);
	values[COL_REASON] = CStringGetTextDatum(fs_reason_name(letter->reason));
	values[COL_MESSAGE] = CStringGetTextDatum(letter->message);
	set_time(values, nulls, COL_EVENT_TIME, letter->event_time);
	set_time(values, nulls, COL_RECORD_TIME, letter->record_time);
	set_time(values, nulls, COL_WATERMARK, letter->watermark);
	nulls[COL_KEY] = letter->key == NULL;
	values[COL_KEY] = PointerGetDatum(letter->key);
	nulls[COL_PAYLOAD] = letter->payload == NULL;
	values[COL_PAYLOAD] = PointerGetDatum(letter->payload);
	nulls[COL_PAYLOAD_SIZE] = letter->payload_size < 0;
	values[COL_PAYLOAD_SIZE] = Int64GetDatum(letter->payload_size);
	nulls[COL_HEADERS] = letter->headers == NULL;
	if (letter->headers != NULL)
		values[COL_HEADERS] = DirectFunctionCall1(jsonb_in, CStringGetDatum(letter->headers));
	values[COL_RECORDED_AT] = TimestampTzGetDatum(letter->recorded_at);
	for (int i = COL_ORIGINAL_KEY; i < NCOLUMNS; i++)
		nulls[i] = true;		/* until it is repaired */
	fs_table_writer_put(writer, values, nulls);
}

/* See dead_letters.h. */
void
fs_dead_letters_write(FsShard *shard, FsCheckpoint *checkpoint)
{
	Oid			schema = get_namespace_oid("feature_stream", false);
	FsTableWriter *writer;
	ListCell   *cell;

	if (checkpoint->pending.dead_letters == NIL)
		return;
	writer = fs_table_writer_open(get_relname_relid("dead_letter", schema), InvalidOid);
	Assert(fs_table_writer_desc(writer)->natts == NCOLUMNS);
	foreach(cell, checkpoint->pending.dead_letters)
	{
		write_letter(shard, writer, lfirst(cell));
		fs_pace(shard, checkpoint);
	}
	fs_table_writer_close(writer);
}
