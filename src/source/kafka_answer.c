/*
 * kafka_answer.c
 *		What the broker's answers mean for a topic and its partitions, and when a
 *		partition must stop.
 *
 * A partition is stopped, never silently repositioned, when
 *
 *	- retention removed the record we are to read next (the log begins later),
 *	- the log ends before something we know to have been there: the topic was
 *	  recreated or truncated,
 *	- the topic was deleted or has fewer partitions than before,
 *	- the cluster behind the addresses is another one,
 *	- a batch of records stays unreadable (kafka_watch.c).
 *
 * What a single answer could get wrong (brokers learn of each other's doings
 * with a delay) must be confirmed: CONFIRM_COUNT answers over CONFIRM_TIME.
 *
 * A new process is told what the one before it knew (fs_kafka_watch_remember()),
 * so all this holds across its start; that a partition was stopped it does not
 * hear here: it is never assigned again.
 *
 * Not detected here: a topic that was deleted, recreated and filled beyond both
 * our position and the greatest end seen, all while nobody looked.  librdkafka
 * 2.0 does not know topic ids.
 *
 * Runs in the ingest worker's main thread only.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "source/kafka_watch.h"

#define CONFIRM_TIME	(3 * FS_KAFKA_SEC)
#define CONFIRM_COUNT	3
#define ERROR_TIME		(10 * FS_KAFKA_SEC)	/* an error is shown at least so long */

static void
stop_all(FsKafkaWatch *watch, const char *reason)
{
	for (int i = 0; i < watch->base.npartitions; i++)
		fs_kafka_watch_stop(watch, i, "%s", reason);
}

/* --- Answers about the topic --- */

/* Appends partitions npartitions .. n-1, which Kafka numbers from 0. */
static void
add_partitions(FsKafkaWatch *watch, int n)
{
	FsSource   *base = &watch->base;
	MemoryContext old = MemoryContextSwitchTo(watch->context);

	Assert(n > base->npartitions);
	if (base->npartitions == 0)
	{
		base->partitions = palloc(n * sizeof(FsSourcePartition));
		watch->parts = palloc(n * sizeof(FsKafkaPartition));
	}
	else
	{
		base->partitions = repalloc(base->partitions, n * sizeof(FsSourcePartition));
		watch->parts = repalloc(watch->parts, n * sizeof(FsKafkaPartition));
	}
	for (int i = base->npartitions; i < n; i++)
	{
		FsSourcePartition *partition = &base->partitions[i];

		memset(partition, 0, sizeof(*partition));
		memset(&watch->parts[i], 0, sizeof(FsKafkaPartition));
		partition->id = i;
		partition->state = FS_PARTITION_FOUND;
		partition->begin_offset = partition->end_offset = -1;
		watch->parts[i].eof = watch->parts[i].high = -1;
	}
	base->npartitions = n;
	MemoryContextSwitchTo(old);
}

/* See kafka_watch.h. */
void
fs_kafka_watch_remember(FsKafkaWatch *watch, int npartitions, const char *cluster)
{
	Assert(watch->base.npartitions == 0 && !watch->existed);
	strlcpy(watch->base.cluster, cluster, sizeof(watch->base.cluster));
	if (npartitions == 0)
		return;
	watch->existed = true;
	add_partitions(watch, npartitions);
}

/* Has something odd been answered often and long enough to believe it? */
static bool
confirm(int64 now, int64 *since, int *count)
{
	if (*since == 0)
		*since = now;
	(*count)++;
	return *count >= CONFIRM_COUNT && now - *since >= CONFIRM_TIME;
}

/*
 * The topic is missing or smaller than it was.  That a topic never seen is
 * missing is no reason to stop: it may yet be created.
 */
static void
take_odd_topic(FsKafkaWatch *watch, int64 now, const FsKafkaInquiry *inquiry)
{
	const char *topic = watch->base.stream->topic;
	char		message[FS_SOURCE_ERROR_SIZE];

	watch->topic_ask_at = now + FS_KAFKA_TOPIC_HURRY;
	if (inquiry->outcome == FS_KAFKA_NO_TOPIC)
		snprintf(message, sizeof(message),
				 watch->existed ? "topic \"%s\" was deleted" : "topic \"%s\" does not exist",
				 topic);
	else
		snprintf(message, sizeof(message),
				 "topic \"%s\" was recreated: it had %d partitions and has %d now",
				 topic, watch->base.npartitions, inquiry->npartitions);
	fs_kafka_watch_error(watch, now, message);
	if (!watch->existed)
		return;
	for (int i = 0; i < watch->base.npartitions; i++)
		fs_kafka_watch_doubt(watch, i, false);
	if (confirm(now, &watch->topic_odd_since, &watch->topic_odd_count))
		stop_all(watch, message);
}

/*
 * Stops everything when the addresses lead to another cluster than before;
 * false then, and what it says of the topic is of another topic.  As long as
 * there was none, any cluster will do.
 */
static bool
check_cluster(FsKafkaWatch *watch, int64 now, const char *cluster)
{
	char		message[FS_SOURCE_ERROR_SIZE];

	if (cluster[0] == '\0' || strcmp(watch->base.cluster, cluster) == 0)
		return true;
	if (watch->existed && watch->base.cluster[0] != '\0')
	{
		snprintf(message, sizeof(message),
				 "the brokers belong to cluster \"%s\" now and belonged to cluster \"%s\" before",
				 cluster, watch->base.cluster);
		stop_all(watch, message);
		fs_kafka_watch_error(watch, now, message);
		watch->topic_ask_at = now + FS_KAFKA_TOPIC_PERIOD;
		return false;
	}
	strlcpy(watch->base.cluster, cluster, sizeof(watch->base.cluster));
	return true;
}

/* The topic is there and as large as we know it, or larger. */
static void
take_good_topic(FsKafkaWatch *watch, int64 now, const FsKafkaInquiry *inquiry)
{
	if (!watch->existed || !watch->base.connected || now - watch->error_at > ERROR_TIME)
		watch->base.error[0] = '\0';
	watch->existed = true;
	watch->topic_odd_since = 0;
	watch->topic_odd_count = 0;
	watch->topic_ask_at = now + FS_KAFKA_TOPIC_PERIOD;
	if (inquiry->npartitions > watch->base.npartitions)
		add_partitions(watch, inquiry->npartitions);
}

/* The brokers of our cluster have answered: whether the topic is there, and how large. */
static void
weigh_topic(FsKafkaWatch *watch, int64 now, const FsKafkaInquiry *inquiry)
{
	if (inquiry->outcome == FS_KAFKA_REFUSED)
	{
		watch->topic_ask_at = now + 2 * FS_KAFKA_TOPIC_HURRY;
		fs_kafka_watch_error(watch, now, inquiry->message);
	}
	else if (inquiry->outcome == FS_KAFKA_NO_TOPIC ||
			 inquiry->npartitions < watch->base.npartitions)
		take_odd_topic(watch, now, inquiry);
	else
		take_good_topic(watch, now, inquiry);
}

/*
 * Takes the answer about the topic: whether it is there, whose it is, how many
 * partitions it has; and says when to ask next.
 */
static void
take_topic(FsKafkaWatch *watch, int64 now, const FsKafkaInquiry *inquiry)
{
	if (inquiry->outcome == FS_KAFKA_UNREACHABLE)
	{
		/* back-off is short: librdkafka has its own for connections */
		watch->topic_failures++;
		watch->topic_ask_at = now + FS_KAFKA_TOPIC_HURRY * Min(watch->topic_failures, 4);
		watch->base.connected = false;
		if (watch->base.error[0] == '\0')	/* librdkafka's own word is more precise */
			fs_kafka_watch_error(watch, now, inquiry->message);
		return;
	}
	watch->topic_failures = 0;
	if (check_cluster(watch, now, inquiry->cluster))
		weigh_topic(watch, now, inquiry);
	watch->base.connected = true;
}

/* --- Answers about offsets --- */

/* Offset that the option 'start' names for this partition, or -1. */
static int64
listed_start(const FsStreamDef *stream, int32 id)
{
	for (int i = 0; i < stream->nstart_offsets; i++)
	{
		if (stream->start_offsets[i].partition == id)
			return stream->start_offsets[i].offset;
	}
	return -1;
}

/*
 * Where the partition starts by the option 'start'.  A partition that
 * 'offsets ...' does not list starts at its beginning: nothing is skipped that
 * nobody asked to skip.
 */
static int64
choose_start(const FsStreamDef *stream, const FsKafkaPartition *part, const FsKafkaAskItem *item)
{
	int64		listed;

	if (part->from_beginning)
		return item->begin;
	switch (stream->start_kind)
	{
		case FS_START_LATEST:
			return item->end;
		case FS_START_EARLIEST:
			return item->begin;
		case FS_START_TIMESTAMP:
			return item->at >= 0 ? item->at : item->end;
		case FS_START_OFFSETS:
			listed = listed_start(stream, item->partition);
			return listed >= 0 ? listed : item->begin;
	}
	pg_unreachable();
}

/* RESOLVE -> RESOLVED, or STOPPED when the listed offset is not there. */
static void
finish_resolve(FsKafkaWatch *watch, int index, const FsKafkaAskItem *item)
{
	FsSourcePartition *partition = &watch->base.partitions[index];
	FsKafkaPartition *part = &watch->parts[index];
	int64		start = choose_start(watch->base.stream, part, item);

	/* the broker was asked for the time after the end, which may have moved on meanwhile */
	if (start < item->begin || (start > item->end && start != item->at))
	{
		fs_kafka_watch_stop(watch, index,
					   "option \"start\" names offset " INT64_FORMAT " of topic \"%s\" partition %d, which begins at " INT64_FORMAT " and ends at " INT64_FORMAT,
					   start, watch->base.stream->topic, partition->id,
					   item->begin, item->end);
		return;
	}
	partition->start.offset = start;
	partition->start.xid = 0;
	partition->covers_all = (item->begin == 0 && start == 0);
	partition->starts_live = start == item->end;
	partition->state = FS_PARTITION_RESOLVED;
	part->phase = FS_KAFKA_IDLE;
}

/*
 * Does the log end before what we know to have been there?  Then the partition
 * waits for confirmation, or stops.  Returns true when its end is in order.
 */
static bool
check_end(FsKafkaWatch *watch, int index, int64 now, int64 end)
{
	FsSourcePartition *partition = &watch->base.partitions[index];
	FsKafkaPartition *part = &watch->parts[index];
	bool		reads = part->phase == FS_KAFKA_VERIFY || part->phase == FS_KAFKA_READ;

	if (end >= part->max_end && (!reads || end >= part->next))
	{
		part->short_since = 0;
		part->short_count = 0;
		part->max_end = end;
		return true;
	}
	part->ask_at = now + FS_KAFKA_OFFSETS_HURRY;
	if (!confirm(now, &part->short_since, &part->short_count))
		return false;
	if (reads && end < part->next)
		fs_kafka_watch_stop(watch, index,
					   "topic \"%s\" partition %d was recreated or truncated: next to read is " INT64_FORMAT ", the broker ends at " INT64_FORMAT,
					   watch->base.stream->topic, partition->id, part->next, end);
	else
		fs_kafka_watch_stop(watch, index,
					   "topic \"%s\" partition %d was recreated or truncated: the broker ended at " INT64_FORMAT " before and ends at " INT64_FORMAT " now",
					   watch->base.stream->topic, partition->id, part->max_end, end);
	return false;
}

/* VERIFY -> FETCH, or STOPPED when retention has passed our position. */
static void
finish_verify(FsKafkaWatch *watch, int index, const FsKafkaAskItem *item)
{
	FsKafkaPartition *part = &watch->parts[index];

	if (part->next < item->begin)
		fs_kafka_watch_stop(watch, index,
					   "retention removed offsets " INT64_FORMAT " to " INT64_FORMAT " of topic \"%s\" partition %d: next to read is " INT64_FORMAT ", the broker begins at " INT64_FORMAT,
					   part->next, item->begin - 1, watch->base.stream->topic,
					   item->partition, part->next, item->begin);
	else
		part->phase = FS_KAFKA_FETCH;
}

/*
 * Takes the answer about one partition.  Its phase goes on only if it is still
 * the one that was asked in.
 */
static void
take_item(FsKafkaWatch *watch, int64 now, const FsKafkaAskItem *item)
{
	int			index = item->partition;
	FsSourcePartition *partition = &watch->base.partitions[index];
	FsKafkaPartition *part = &watch->parts[index];
	bool		in_order;

	Assert(index >= 0 && index < watch->base.npartitions && partition->id == index);
	part->alone = false;
	part->answered_at = now;
	if (item->begin >= 0)
		partition->begin_offset = item->begin;
	if (item->end < 0)
		return;
	partition->end_offset = Max(item->end, part->phase == FS_KAFKA_READ ? part->next : 0);
	in_order = check_end(watch, index, now, item->end);
	if (!in_order || item->begin < 0 || item->phase != part->phase)
		return;
	if (part->phase == FS_KAFKA_RESOLVE)
		finish_resolve(watch, index, item);
	else if (part->phase == FS_KAFKA_VERIFY)
		finish_verify(watch, index, item);
}

/*
 * A failed question says nothing about which of its partitions was the cause:
 * all are asked about alone until they answer.
 */
static void
take_offsets(FsKafkaWatch *watch, int64 now, const FsKafkaInquiry *inquiry)
{
	if (inquiry->outcome == FS_KAFKA_ANSWERED)
	{
		for (int i = 0; i < inquiry->nitems; i++)
			take_item(watch, now, &inquiry->items[i]);
		return;
	}
	for (int i = 0; i < inquiry->nitems; i++)
	{
		FsKafkaPartition *part = &watch->parts[inquiry->items[i].partition];

		part->alone = true;
		part->ask_at = inquiry->nitems > 1 ? now : now + FS_KAFKA_OFFSETS_PERIOD;
	}
	if (inquiry->nitems == 1)
		fs_kafka_watch_error(watch, now, inquiry->message);
	watch->topic_ask_at = Min(watch->topic_ask_at, now + FS_KAFKA_TOPIC_HURRY);
}

void
fs_kafka_watch_answer(FsKafkaWatch *watch, int64 now, const FsKafkaInquiry *inquiry)
{
	if (inquiry->ask == FS_KAFKA_ASK_TOPIC)
		take_topic(watch, now, inquiry);
	else
		take_offsets(watch, now, inquiry);
}
