/*
 * kafka_read.c
 *		Records from librdkafka's queues.
 *
 * Each partition has a queue of its own, so that the worker decides which one is
 * read next.  Messages stay librdkafka's: a record points into its message,
 * which is held until the worker releases all.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/memutils.h"

#include "core/wire_header.h"
#include "ground/clock.h"
#include "source/kafka_client.h"
#include "source/kafka_header.h"

#define NUDGE_PERIOD		5000	/* us between two nudges */

/* Room for 'max' more messages, so that none is taken that cannot be stored. */
static void
reserve_held(FsKafkaSource *k, int max)
{
	int			size = Max(k->held_size, 1024);

	while (size < k->nheld + max)
		size *= 2;
	if (size == k->held_size)
		return;
	if (k->held == NULL)
		k->held = MemoryContextAlloc(k->watch.context, size * sizeof(*k->held));
	else
		k->held = repalloc_huge(k->held, size * sizeof(*k->held));
	k->held_size = size;
}

/*
 * What a message that is no record says.  Errors that librdkafka deals with by
 * itself (a leader that moved, a broker that is away) are only shown.
 */
static void
take_message_error(FsKafkaSource *k, int index, int64 now, const rd_kafka_message_t *message)
{
	const char *text = rd_kafka_message_errstr(message);

	switch (message->err)
	{
		case RD_KAFKA_RESP_ERR__PARTITION_EOF:
			fs_kafka_watch_eof(&k->watch, index, now, message->offset);
			break;
		case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
		case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
			fs_kafka_watch_doubt(&k->watch, index, false);
			break;
		case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
		case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
		case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
			fs_kafka_watch_doubt(&k->watch, index, true);
			break;
		case RD_KAFKA_RESP_ERR__BAD_MSG:
		case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
		case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
		case RD_KAFKA_RESP_ERR__UNDERFLOW:
			fs_kafka_watch_unreadable(&k->watch, index, now, message->offset, text);
			break;
		default:
			fs_kafka_watch_error(&k->watch, now, text);
			break;
	}
}

/* Milliseconds since 1970 as an FsTime; FS_TIME_MIN when there is none. */
static FsTime
time_of_ms(int64 ms)
{
	if (ms < 0 || ms > PG_INT64_MAX / 2000)
		return FS_TIME_MIN;
	return FS_UNIX_EPOCH + ms * 1000;
}

/* A message as a record, which owns it until released. */
static inline void
fill_record(FsRecord *record, rd_kafka_message_t *message)
{
	rd_kafka_timestamp_type_t type;
	FsTime		time = time_of_ms(rd_kafka_message_timestamp(message, &type));

	record->partition = message->partition;
	record->offset = message->offset;
	record->xid = 0;
	record->record_time = type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? FS_TIME_MIN : time;
	record->arrival = type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME ? time : FS_TIME_MIN;
	record->key = message->key;
	record->key_len = message->key_len;
	record->value = message->payload;
	record->value_len = message->len;
	record->header = NULL;
	record->header_len = 0;
	record->handle = message;
}

/* The header that names the schema of the message's value, if it has one.  It stays the message's. */
static void
fill_header(FsRecord *record, const rd_kafka_message_t *message)
{
	rd_kafka_headers_t *headers;
	const void *value;
	size_t		size;

	if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
		rd_kafka_header_get_last(headers, FS_WIRE_HEADER_NAME, &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	record->header = value == NULL ? "" : value;
	record->header_len = value == NULL ? 0 : size;
}

/*
 * Sorts out a batch that was put behind the held messages: records are handed
 * out and held, the others destroyed.  Whatever follows an error that put the
 * partition in doubt is dropped, as is what was handed out before.
 */
static int
take_batch(FsKafkaSource *k, int index, int64 now, int got, FsRecord *records)
{
	FsKafkaPartition *part = &k->watch.parts[index];
	rd_kafka_message_t **batch = k->held + k->nheld;
	bool		named = k->watch.base.stream->registry != NULL;
	int			n = 0;

	Assert(k->nheld + got <= k->held_size);
	for (int i = 0; i < got; i++)
	{
		rd_kafka_message_t *message = batch[i];

		if (likely(!message->err && message->offset >= part->next &&
				   part->phase == FS_KAFKA_READ))
		{
			fill_record(&records[n], message);
			if (named)
				fill_header(&records[n], message);
			part->next = message->offset + 1;
			part->eof = -1;
			k->readers[index].run_bytes += message->len + message->key_len;
			batch[n++] = message;
			continue;
		}
		if (message->err)
			take_message_error(k, index, now, message);
		rd_kafka_message_destroy(message);
	}
	k->nheld += n;
	return n;
}

/*
 * librdkafka before 2.2 does not notice that a full queue was emptied: when
 * all partitions of a broker are full its thread sleeps for up to a second.
 * Any request to the broker wakes it, so we ask for the ends, after the worth
 * of half a queue at the earliest.
 */
static void
nudge(FsKafkaSource *k, FsKafkaReader *reader, int64 now)
{
	FsKafkaInquiry *inquiry;

	if (!k->may_sleep || now < k->nudge_at || !k->watch.base.connected ||
		(reader->run_messages < k->queue_messages / 2 && reader->run_bytes < k->queue_bytes / 2))
		return;
	inquiry = fs_kafka_asker_idle(k->asker);
	if (inquiry == NULL || !fs_kafka_watch_ask_ends(&k->watch, inquiry))
		return;
	fs_kafka_asker_post(k->asker);
	k->nudge_at = now + NUDGE_PERIOD;
	reader->run_messages = reader->run_bytes = 0;
}

/* See kafka_client.h. */
void
fs_kafka_note_high(FsKafkaSource *k, int index)
{
	int64		low;
	int64		high;

	if (k->watch.parts[index].eof >= 0 &&
		rd_kafka_get_watermark_offsets(k->rk, k->watch.base.stream->topic,
									   k->watch.base.partitions[index].id,
									   &low, &high) == RD_KAFKA_RESP_ERR_NO_ERROR)
		fs_kafka_watch_high(&k->watch, index, high);
}

/*
 * See source.h.  Batches are safe here, also with librdkafka 2.0: what is told
 * against rd_kafka_consume_batch_queue() happens around pause and seek and to
 * stored positions, neither of which we use.
 */
int
fs_kafka_poll(FsSource *source, int index, FsRecord *records, int max)
{
	FsKafkaSource *k = fs_kafka_source(source);
	int			n = 0;
	int64		now;

	Assert(index >= 0 && index < source->npartitions && max > 0);
	if (index >= k->nreaders || k->watch.parts[index].phase != FS_KAFKA_READ)
		return 0;
	now = fs_clock_monotonic();
	reserve_held(k, max);
	while (n == 0 && k->watch.parts[index].phase == FS_KAFKA_READ &&
		   rd_kafka_queue_length(k->readers[index].queue) > 0)
	{
		ssize_t		got = rd_kafka_consume_batch_queue(k->readers[index].queue, 0,
													   k->held + k->nheld, max);

		if (got <= 0)
			break;
		n = take_batch(k, index, now, (int) got, records);
	}
	if (n > 0)
	{
		k->watch.parts[index].answered_at = now;
		k->readers[index].run_messages += n;
		nudge(k, &k->readers[index], now);
	}
	fs_kafka_note_high(k, index);
	fs_kafka_watch_update(&k->watch, index, now);
	return n;
}

/* See source.h. */
void
fs_kafka_release(FsSource *source)
{
	FsKafkaSource *k = fs_kafka_source(source);

	while (k->nheld > 0)
		rd_kafka_message_destroy(k->held[--k->nheld]);
}

/* See source.h: a JSON array of pairs, palloc'd; NULL without headers. */
char *
fs_kafka_headers(FsSource *source, const FsRecord *record, size_t max)
{
	rd_kafka_headers_t *headers;
	StringInfoData json;
	const char *name;
	const void *value;
	size_t		size;
	int64		omitted = 0;
	int64		omitted_bytes = 0;

	if (rd_kafka_message_headers(record->handle, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return NULL;
	initStringInfo(&json);
	appendStringInfoChar(&json, '[');
	for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) ==
		 RD_KAFKA_RESP_ERR_NO_ERROR; i++)
	{
		if (fs_kafka_header_append(&json, name, value, size, max))
			continue;
		omitted++;
		omitted_bytes += strlen(name) + size;
	}
	if (omitted > 0)
		appendStringInfo(&json, "%s{\"omitted_headers\":" INT64_FORMAT ",\"omitted_bytes\":" INT64_FORMAT "}",
						 json.len > 1 ? "," : "", omitted, omitted_bytes);
	if (json.len == 1)
		return NULL;
	appendStringInfoChar(&json, ']');
	return repalloc(json.data, json.len + 1);	/* it may be kept for a while */
}
