/*
 * kafka_watch.c
 *		The state of a topic's partitions: what to ask the broker next, what the
 *		worker ordered, what was met while reading.
 *
 * The answers are weighed in kafka_answer.c.
 *
 * Runs in the ingest worker's main thread only.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "source/kafka_watch.h"

#define LIFE_TIME		(10 * FS_KAFKA_SEC)	/* an end older than this says nothing about now */
#define MAX_STRIKES		5

void
fs_kafka_watch_init(FsKafkaWatch *watch, const FsStreamDef *stream, MemoryContext context)
{
	Assert(stream->kind == FS_SOURCE_KAFKA && stream->topic != NULL);

	watch->base.stream = stream;
	watch->context = context;
}

/* Notes the last trouble with the peer; shown until all has been well for a while. */
void
fs_kafka_watch_error(FsKafkaWatch *watch, int64 now, const char *message)
{
	strlcpy(watch->base.error, message, FS_SOURCE_ERROR_SIZE);
	watch->base.error_time = GetCurrentTimestamp();
	watch->error_at = now;
}

void
fs_kafka_watch_disconnected(FsKafkaWatch *watch)
{
	watch->base.connected = false;
}

/*
 * Stops a partition for good: only the operator knows what is right now.  The
 * first reason is kept, as later ones follow from it.
 */
void
fs_kafka_watch_stop(FsKafkaWatch *watch, int index, const char *format,...)
{
	FsSourcePartition *partition = &watch->base.partitions[index];
	va_list		args;

	Assert(index >= 0 && index < watch->base.npartitions);
	watch->parts[index].phase = FS_KAFKA_IDLE;
	if (partition->state == FS_PARTITION_STOPPED)
		return;
	partition->state = FS_PARTITION_STOPPED;
	partition->at_end = false;
	va_start(args, format);
	vsnprintf(partition->error, FS_SOURCE_ERROR_SIZE, format, args);
	va_end(args);
}

/* --- Questions --- */

/* A partition whose worker waits for the answer. */
static inline bool
is_waiting(const FsKafkaPartition *part)
{
	return part->phase == FS_KAFKA_RESOLVE || part->phase == FS_KAFKA_VERIFY;
}

/* Adds what a partition has to ask. */
static void
add_item(FsKafkaWatch *watch, FsKafkaInquiry *inquiry, int index)
{
	const FsStreamDef *stream = watch->base.stream;
	const FsKafkaPartition *part = &watch->parts[index];
	FsKafkaAskItem *item = &inquiry->items[inquiry->nitems++];

	item->partition = watch->base.partitions[index].id;
	item->phase = part->phase;
	item->time = -1;
	item->begin = item->end = item->at = -1;
	if (part->phase == FS_KAFKA_RESOLVE && !part->from_beginning &&
		stream->start_kind == FS_START_TIMESTAMP)
	{
		/* up, so that no record before the instant is read */
		item->time = Max((stream->start_time - FS_UNIX_EPOCH + 999) / 1000, 0);
	}
}

/*
 * Adds every partition that is due and may be asked about with others;
 * 'waiting' ones only, or all.  Each is put off, so that a later question
 * comes to those that did not fit.
 */
static void
add_items(FsKafkaWatch *watch, int64 now, bool waiting, FsKafkaInquiry *inquiry)
{
	for (int i = 0; i < watch->base.npartitions && inquiry->nitems < FS_KAFKA_ASK_MAX; i++)
	{
		FsKafkaPartition *part = &watch->parts[i];

		if (part->alone || (waiting && !is_waiting(part)) || part->ask_at > now)
			continue;
		add_item(watch, inquiry, i);
		part->ask_at = now + (is_waiting(part) ? FS_KAFKA_OFFSETS_HURRY : FS_KAFKA_OFFSETS_PERIOD);
	}
}

/* Adds the next in turn of those whose leaders do not answer. */
static void
add_lone_item(FsKafkaWatch *watch, int64 now, FsKafkaInquiry *inquiry)
{
	int			n = watch->base.npartitions;

	for (int k = 1; k <= n; k++)
	{
		int			i = (watch->turn + k) % n;
		FsKafkaPartition *part = &watch->parts[i];

		if (!part->alone || part->ask_at > now)
			continue;
		add_item(watch, inquiry, i);
		part->ask_at = now + FS_KAFKA_OFFSETS_PERIOD;
		watch->turn = i;
		return;
	}
}

/*
 * The topic first, then partitions that someone waits for, then a round of
 * all, then one of those that spoil a question for the others (librdkafka
 * fails the whole question when one partition's leader is missing).
 */
bool
fs_kafka_watch_ask(FsKafkaWatch *watch, int64 now, FsKafkaInquiry *inquiry)
{
	inquiry->nitems = 0;
	inquiry->begin = true;
	inquiry->message[0] = '\0';
	if (now >= watch->topic_ask_at)
	{
		inquiry->ask = FS_KAFKA_ASK_TOPIC;
		watch->topic_ask_at = now + FS_KAFKA_TOPIC_HURRY;
		return true;
	}
	if (watch->base.npartitions == 0 || watch->topic_failures > 0 || watch->topic_odd_since != 0)
		return false;
	inquiry->ask = FS_KAFKA_ASK_OFFSETS;
	add_items(watch, now, true, inquiry);
	if (inquiry->nitems == 0 && now >= watch->refresh_at)
	{
		watch->refresh_at = now + FS_KAFKA_OFFSETS_PERIOD / 4;
		add_items(watch, now, false, inquiry);
	}
	if (inquiry->nitems == 0)
		add_lone_item(watch, now, inquiry);
	return inquiry->nitems > 0;
}

/*
 * A question about the ends alone, out of turn; see kafka_read.c on why one is
 * needed.  False when there is nobody to ask about.
 */
bool
fs_kafka_watch_ask_ends(FsKafkaWatch *watch, FsKafkaInquiry *inquiry)
{
	inquiry->ask = FS_KAFKA_ASK_OFFSETS;
	inquiry->nitems = 0;
	inquiry->begin = false;
	inquiry->message[0] = '\0';
	for (int i = 0; i < watch->base.npartitions && inquiry->nitems < FS_KAFKA_ASK_MAX; i++)
	{
		if (watch->parts[i].phase == FS_KAFKA_READ && !watch->parts[i].alone)
			add_item(watch, inquiry, i);
	}
	return inquiry->nitems > 0;
}

/* --- Orders and events --- */

/* Has the partition asked about first of all. */
static void
hurry(FsKafkaPartition *part)
{
	part->ask_at = 0;
}

/* See kafka_watch.h. */
void
fs_kafka_watch_resolve(FsKafkaWatch *watch, int index, bool from_beginning)
{
	FsSourcePartition *partition = &watch->base.partitions[index];
	FsKafkaPartition *part = &watch->parts[index];

	Assert(index >= 0 && index < watch->base.npartitions);
	if (partition->state != FS_PARTITION_FOUND)
		return;
	partition->state = FS_PARTITION_RESOLVING;
	part->phase = FS_KAFKA_RESOLVE;
	part->from_beginning = from_beginning;
	hurry(part);
}

/*
 * The partition counts as read from now on, though nothing is handed out
 * before the broker confirmed that the position is there.
 */
void
fs_kafka_watch_assign(FsKafkaWatch *watch, int index, int64 offset)
{
	FsSourcePartition *partition = &watch->base.partitions[index];
	FsKafkaPartition *part = &watch->parts[index];

	Assert(index >= 0 && index < watch->base.npartitions && offset >= 0);
	if (partition->state == FS_PARTITION_STOPPED || partition->state == FS_PARTITION_READING)
		return;
	partition->state = FS_PARTITION_READING;
	partition->at_end = false;
	part->phase = FS_KAFKA_VERIFY;
	partition->read_to = offset;
	part->next = offset;
	part->eof = -1;
	hurry(part);
}

/*
 * Goes back to a record handed out: fetching begins anew there.  The partition
 * is not at its end meanwhile, nor is anything behind the record read.
 */
void
fs_kafka_watch_rewind(FsKafkaWatch *watch, int index, int64 offset)
{
	FsSourcePartition *partition = &watch->base.partitions[index];
	FsKafkaPartition *part = &watch->parts[index];

	Assert(index >= 0 && index < watch->base.npartitions);
	if (partition->state != FS_PARTITION_READING)
		return;
	Assert(offset >= 0 && offset <= part->next);
	if (part->phase == FS_KAFKA_READ)
		part->phase = FS_KAFKA_FETCH;
	part->next = offset;
	part->eof = -1;
	partition->read_to = offset;
	partition->at_end = false;
}

/*
 * At the end as far as was told lately: not when nobody tells us any more, and
 * not while an open transaction holds back records that are there already.
 */
static bool
is_at_end(const FsKafkaWatch *watch, int index, int64 now)
{
	const FsKafkaPartition *part = &watch->parts[index];

	return part->phase == FS_KAFKA_READ && part->eof >= 0 &&
		part->eof >= watch->base.partitions[index].end_offset &&
		part->eof >= part->high &&
		watch->base.connected && now - part->answered_at < LIFE_TIME;
}

/* See kafka_watch.h. */
void
fs_kafka_watch_update(FsKafkaWatch *watch, int index, int64 now)
{
	FsSourcePartition *partition = &watch->base.partitions[index];

	if (partition->state != FS_PARTITION_READING)
		return;
	partition->read_to = watch->parts[index].next;
	partition->end_offset = Max(partition->end_offset, partition->read_to);
	partition->at_end = is_at_end(watch, index, now);
}

/* The high watermark that the last fetch brought; cheap, asked for often. */
void
fs_kafka_watch_high(FsKafkaWatch *watch, int index, int64 high)
{
	watch->parts[index].high = high;
}

/*
 * Everything below 'offset' has been handed out or holds no record for us
 * (transaction markers, aborted and compacted records), so the position moves
 * there: otherwise retention of such a tail would look like a loss.
 */
void
fs_kafka_watch_eof(FsKafkaWatch *watch, int index, int64 now, int64 offset)
{
	FsKafkaPartition *part = &watch->parts[index];

	if (part->phase != FS_KAFKA_READ || offset < part->next)
		return;
	part->next = offset;
	part->eof = offset;
	part->answered_at = now;
	fs_kafka_watch_update(watch, index, now);
}

/*
 * Something (an offset out of range, a missing topic) makes it doubtful that
 * our position is still there.  Nothing is handed out until that is known.
 */
void
fs_kafka_watch_doubt(FsKafkaWatch *watch, int index, bool topic_too)
{
	FsKafkaPartition *part = &watch->parts[index];

	if (topic_too)
		watch->topic_ask_at = 0;
	if (part->phase != FS_KAFKA_READ && part->phase != FS_KAFKA_FETCH)
		return;
	part->phase = FS_KAFKA_VERIFY;
	part->eof = -1;
	watch->base.partitions[index].at_end = false;
	hurry(part);
}

/*
 * A batch could not be read: checksum, codec or format.  librdkafka would go on
 * behind it, we fetch it again: the fault may have been on the way.
 */
void
fs_kafka_watch_unreadable(FsKafkaWatch *watch, int index, int64 now, int64 offset, const char *message)
{
	FsSourcePartition *partition = &watch->base.partitions[index];
	FsKafkaPartition *part = &watch->parts[index];

	if (part->phase != FS_KAFKA_READ)
		return;
	if (part->strike_offset != part->next)
		part->strikes = 0;
	part->strike_offset = part->next;
	fs_kafka_watch_error(watch, now, message);
	if (++part->strikes >= MAX_STRIKES)
	{
		fs_kafka_watch_stop(watch, index,
					   "topic \"%s\" partition %d cannot be read at offset " INT64_FORMAT ": %s",
					   watch->base.stream->topic, partition->id, offset, message);
		return;
	}
	part->phase = FS_KAFKA_RETRY;
	part->retry_at = now + (FS_KAFKA_TOPIC_HURRY << part->strikes);
	part->eof = -1;
}

/* See kafka_watch.h. */
void
fs_kafka_watch_tick(FsKafkaWatch *watch, int64 now)
{
	for (int i = 0; i < watch->base.npartitions; i++)
	{
		FsKafkaPartition *part = &watch->parts[i];

		if (part->phase == FS_KAFKA_RETRY && now >= part->retry_at)
			part->phase = FS_KAFKA_FETCH;
		fs_kafka_watch_update(watch, i, now);
	}
}
