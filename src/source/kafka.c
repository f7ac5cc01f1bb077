/*
 * kafka.c
 *		The Kafka source: librdkafka behind FsSourceOps.
 *
 * The only file that knows librdkafka.  It runs one consumer without a group
 * ("simple consumer"): each partition is started at an explicit offset of ours,
 * nothing is committed to the broker, no coordinator is asked, and librdkafka
 * may never choose a position (auto.offset.reset=error).  Each partition has a
 * queue of its own, so that the worker decides which one is read next.
 *
 * Threads.  librdkafka's threads never run code of ours: there are no
 * callbacks; its errors and log lines are polled as events from the main queue.
 * All signals are blocked while it creates threads, so that every handler runs
 * in the main thread.  Calls of librdkafka that wait for a broker are made by
 * the asker (kafka_asker.c); what to ask and what the answers mean is decided
 * in kafka_watch.c and kafka_answer.c.
 *
 * A handle is made with queue limits for ASSUMED_PARTITIONS, and made anew,
 * before anything is read, for a topic that has more.
 *
 * rd_kafka_destroy() waits for ever while a message, event, topic or queue of
 * the handle is alive.  Every message handed out is therefore in 'held', and
 * nothing between taking an object and storing or destroying it can throw.
 */
#include "postgres.h"

#include <librdkafka/rdkafka.h>
#include <malloc.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "lib/stringinfo.h"
#include "storage/fd.h"
#include "utils/memutils.h"

#include "source/kafka_asker.h"
#include "source/kafka_config.h"
#include "source/kafka_header.h"
#include "source/kafka_watch.h"

#define ASSUMED_PARTITIONS	16
#define NUDGE_PERIOD		5000	/* us between two nudges */
#define CLOSE_ASKER_MS		2000	/* longest wait for the question under way */
#define CLOSE_DESTROY_MS	2500	/* longest wait for librdkafka's end */
#define MAX_EVENTS			1000	/* served at once */

StaticAssertDecl(FS_KAFKA_ASK_TIMEOUT < CLOSE_ASKER_MS, "a question must end before close() gives up");
StaticAssertDecl(CLOSE_ASKER_MS + CLOSE_DESTROY_MS < 5000, "close() promises 5 s");

/* What kafka.c itself keeps of a partition. */
typedef struct Reader
{
	rd_kafka_queue_t *queue;	/* NULL until it is first read */
	int64		run_messages;	/* taken since the last nudge */
	int64		run_bytes;
} Reader;

typedef struct KafkaSource
{
	FsKafkaWatch watch;			/* begins with FsSource */

	/* Handle */
	rd_kafka_conf_t *conf;		/* while open() builds it, else NULL */
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	rd_kafka_queue_t *events;
	int			fd;				/* eventfd, -1 none */
	int			sized_for;		/* partitions that the queue limits assume */
	bool		fetching;		/* a partition was started: the handle stays */
	FsKafkaAsker *asker;

	/* Reading */
	int			nreaders;
	Reader	   *readers;		/* of base.partitions, same index */
	int			nheld;
	int			held_size;
	rd_kafka_message_t **held;	/* handed out and not released */

	/* See nudge() */
	bool		may_sleep;		/* this librdkafka sleeps on full queues */
	int64		queue_messages;
	int64		queue_bytes;
	int64		nudge_at;
} KafkaSource;

static int64
monotonic_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static inline KafkaSource *
kafka_source(FsSource *source)
{
	Assert(source->ops == &fs_source_kafka_ops);
	return (KafkaSource *) source;
}

/* --- Configuration --- */

/* A number of the configuration; 0 when there is none. */
static int64
get_number(KafkaSource *k, const char *name)
{
	char		text[64];
	size_t		size = sizeof(text);

	if (rd_kafka_conf_get(k->conf, name, text, &size) != RD_KAFKA_CONF_OK)
		return 0;
	return strtoll(text, NULL, 10);
}

/*
 * Builds k->conf or throws; a secret's value is in no message.  librdkafka
 * from 2.2 on has a property against the sleep that nudge() ends from outside.
 */
static void
build_conf(KafkaSource *k, int npartitions)
{
	const FsStreamDef *stream = k->watch.base.stream;
	char		text[512];
	int			n;
	FsKafkaProperty *properties = fs_kafka_config(stream, npartitions, &n);

	k->conf = rd_kafka_conf_new();
	for (int i = 0; i < n; i++)
	{
		const FsKafkaProperty *p = &properties[i];

		if (rd_kafka_conf_set(k->conf, p->name, p->value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid Kafka property \"%s\" of stream %s", p->name, stream->name),
					 p->secret ? errdetail("The value is not shown because it is a secret.") :
					 errdetail("%s", text)));
	}
	pfree(properties);
	k->may_sleep = rd_kafka_conf_set(k->conf, "fetch.queue.backoff.ms", "10",
									 text, sizeof(text)) != RD_KAFKA_CONF_OK;
	k->queue_messages = get_number(k, "queued.min.messages");
	k->queue_bytes = get_number(k, "queued.max.messages.kbytes") * 1024;
	k->sized_for = npartitions;
	rd_kafka_conf_set_events(k->conf, RD_KAFKA_EVENT_ERROR);
}

/* --- Questions, put in the asker (kafka_asker.h) --- */

/* Milliseconds left until 'deadline', at least 1 and never "for ever". */
static int
ms_until(int64 deadline)
{
	return (int) Max((deadline - monotonic_now()) / 1000, 1);
}

static void
answer_error(FsKafkaInquiry *inquiry, FsKafkaOutcome outcome, const char *what,
			 rd_kafka_resp_err_t err)
{
	inquiry->outcome = outcome;
	snprintf(inquiry->message, sizeof(inquiry->message), "%s: %s", what, rd_kafka_err2str(err));
}

/* Adds the cluster's id to the answer, as far as it is known; never waits. */
static void
ask_cluster(FsKafkaPeer peer, FsKafkaInquiry *inquiry)
{
	char	   *cluster = rd_kafka_clusterid(peer.client, 0);

	inquiry->cluster[0] = '\0';
	if (cluster == NULL)
		return;
	snprintf(inquiry->cluster, sizeof(inquiry->cluster), "%s", cluster);
	rd_kafka_mem_free(peer.client, cluster);
}

/* Does the topic exist, how many partitions has it? */
static void
ask_topic(FsKafkaPeer peer, FsKafkaInquiry *inquiry)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t err;

	err = rd_kafka_metadata(peer.client, 0, peer.topic, &metadata, FS_KAFKA_ASK_TIMEOUT);
	if (err)
	{
		answer_error(inquiry, FS_KAFKA_UNREACHABLE, "no Kafka broker answers", err);
		return;
	}
	err = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN;
	inquiry->npartitions = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
	rd_kafka_metadata_destroy(metadata);
	ask_cluster(peer, inquiry);
	inquiry->outcome = FS_KAFKA_ANSWERED;
	if (err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
		inquiry->outcome = FS_KAFKA_NO_TOPIC;
	else if (err || inquiry->npartitions == 0)
		answer_error(inquiry, FS_KAFKA_REFUSED, rd_kafka_topic_name(peer.topic),
					 err ? err : RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
}

typedef enum LookUp
{
	LOOK_UP_BEGIN,
	LOOK_UP_END,
	LOOK_UP_TIME
} LookUp;

/*
 * Looks up one kind of offset for the items that want it.  ListOffsets with
 * isolation level read_committed ends at the last stable offset.
 * (rd_kafka_query_watermark_offsets() is not used: in 2.0 it may overrun its
 * timeout by socket.timeout.ms.)
 */
static rd_kafka_resp_err_t
look_up(FsKafkaPeer peer, FsKafkaInquiry *inquiry, LookUp what, int64 deadline)
{
	static const int64 logical[] = {RD_KAFKA_OFFSET_BEGINNING, RD_KAFKA_OFFSET_END};
	const char *topic = rd_kafka_topic_name(peer.topic);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(inquiry->nitems);
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

	for (int i = 0; i < inquiry->nitems; i++)
	{
		FsKafkaAskItem *item = &inquiry->items[i];

		if (what == LOOK_UP_TIME && item->time < 0)
			continue;
		rd_kafka_topic_partition_list_add(list, topic, item->partition)->offset =
			what == LOOK_UP_TIME ? item->time : logical[what];
	}
	if (list->cnt > 0)
		err = rd_kafka_offsets_for_times(peer.client, list, ms_until(deadline));
	for (int i = 0; i < inquiry->nitems && !err; i++)
	{
		FsKafkaAskItem *item = &inquiry->items[i];
		rd_kafka_topic_partition_t *found =
			rd_kafka_topic_partition_list_find(list, topic, item->partition);

		if (found == NULL)
			continue;
		err = found->err;
		*(what == LOOK_UP_TIME ? &item->at :
		  what == LOOK_UP_END ? &item->end : &item->begin) = found->offset;
	}
	rd_kafka_topic_partition_list_destroy(list);
	return err;
}

/*
 * Where do the partitions begin and end?  The end before the time: when no
 * record is found at or after the time, then none was there below that end.
 */
static void
ask_offsets(FsKafkaPeer peer, FsKafkaInquiry *inquiry)
{
	int64		deadline = monotonic_now() + FS_KAFKA_ASK_TIMEOUT * INT64CONST(1000);
	rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;

	if (inquiry->begin)
		err = look_up(peer, inquiry, LOOK_UP_BEGIN, deadline);
	if (!err)
		err = look_up(peer, inquiry, LOOK_UP_END, deadline);
	if (!err)
		err = look_up(peer, inquiry, LOOK_UP_TIME, deadline);
	if (err)
		answer_error(inquiry, FS_KAFKA_REFUSED, "cannot look up offsets", err);
	else
		inquiry->outcome = FS_KAFKA_ANSWERED;
}

static void
answer(FsKafkaPeer peer, FsKafkaInquiry *inquiry)
{
	if (inquiry->ask == FS_KAFKA_ASK_TOPIC)
		ask_topic(peer, inquiry);
	else
		ask_offsets(peer, inquiry);
}

static void
destroy_client(void *client)
{
	rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static const FsKafkaAskerWork asker_work = {
	.answer = answer,
	.destroy = destroy_client
};

/* --- The handle --- */

/*
 * Makes a handle of k->conf, with all signals blocked in its threads.  False,
 * with the reason in 'text', when librdkafka refuses.
 */
static bool
make_handle(KafkaSource *k, char *text, size_t size)
{
	const uint64 one = 1;
	sigset_t	all;
	sigset_t	saved;
	rd_kafka_t *rk;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &saved);
	rk = rd_kafka_new(RD_KAFKA_CONSUMER, k->conf, text, size);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	if (rk == NULL)
		return false;
	k->conf = NULL;				/* the handle's now */
	k->rk = rk;
	k->events = rd_kafka_queue_get_main(rk);
	rd_kafka_set_log_queue(rk, k->events);
	rd_kafka_queue_io_event_enable(k->events, k->fd, &one, sizeof(one));
	k->topic = rd_kafka_topic_new(rk, k->watch.base.stream->topic, NULL);
	return true;
}

/* Lets go of everything that keeps the handle alive, and of the handle. */
static rd_kafka_t *
drop_handle(KafkaSource *k)
{
	rd_kafka_t *rk = k->rk;

	for (int i = 0; i < k->nreaders; i++)
	{
		if (k->readers[i].queue != NULL)
		{
			rd_kafka_queue_io_event_enable(k->readers[i].queue, -1, NULL, 0);
			rd_kafka_queue_destroy(k->readers[i].queue);
		}
		k->readers[i].queue = NULL;
	}
	if (k->events != NULL)
	{
		rd_kafka_queue_io_event_enable(k->events, -1, NULL, 0);
		rd_kafka_queue_destroy(k->events);
	}
	if (k->topic != NULL)
		rd_kafka_topic_destroy(k->topic);
	k->events = NULL;
	k->topic = NULL;
	k->rk = NULL;
	return rk;
}

static FsKafkaPeer
peer_of(const KafkaSource *k)
{
	FsKafkaPeer peer = {k->rk, k->topic};

	return peer;
}

/*
 * Opens the handle, or throws: a wrong value, a certificate that cannot be
 * read, no resources.
 */
static void
open_handle(KafkaSource *k)
{
	const char *stream = k->watch.base.stream->name;
	char		text[512];

	k->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (k->fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create an event descriptor for stream %s: %m", stream)));
	ReserveExternalFD();
	build_conf(k, ASSUMED_PARTITIONS);
	if (!make_handle(k, text, sizeof(text)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("could not set up the Kafka client of stream %s", stream),
				 errdetail("%s", text)));
	if (k->topic == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid Kafka topic \"%s\" of stream %s",
						k->watch.base.stream->topic, stream),
				 errdetail("%s", rd_kafka_err2str(rd_kafka_last_error()))));
	k->asker = fs_kafka_asker_start(&asker_work, k->fd);
	if (k->asker == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not start a thread for stream %s", stream)));
	fs_kafka_asker_turn(k->asker, peer_of(k), NULL);
}

/*
 * Makes the handle anew with queue limits for more partitions, before anything
 * is read.  Should that fail, the old one does.
 */
static void
resize_handle(KafkaSource *k)
{
	KafkaSource old = *k;
	char		text[512];

	build_conf(k, k->watch.base.npartitions);
	if (!make_handle(k, text, sizeof(text)))
	{
		rd_kafka_conf_destroy(k->conf);
		k->conf = NULL;
		elog(DEBUG1, "could not resize the Kafka client: %s", text);
		return;
	}
	Assert(k->topic != NULL);	/* the same name was good before */
	rd_kafka_queue_io_event_enable(old.events, -1, NULL, 0);
	rd_kafka_queue_destroy(old.events);
	rd_kafka_topic_destroy(old.topic);
	fs_kafka_asker_turn(k->asker, peer_of(k), old.rk);
}

static void kafka_close(FsSource *source);

/* See source.h.  All is in a memory context of its own, closed again when opening fails. */
static FsSource *
kafka_open(const FsStreamDef *stream)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "feature_stream Kafka source",
												  ALLOCSET_DEFAULT_SIZES);
	KafkaSource *k = MemoryContextAllocZero(context, sizeof(KafkaSource));

	k->watch.base.ops = &fs_source_kafka_ops;
	k->fd = -1;
	fs_kafka_watch_init(&k->watch, stream, context);
	mallopt(M_ARENA_MAX, 2);	/* librdkafka's threads would make one each */
	PG_TRY();
	{
		open_handle(k);
	}
	PG_CATCH();
	{
		kafka_close(&k->watch.base);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return &k->watch.base;
}

/* --- Service --- */

/* Shows an error of the client as a whole.  ALL_BROKERS_DOWN follows a better one. */
static void
take_error(KafkaSource *k, int64 now, rd_kafka_resp_err_t err, const char *text)
{
	if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
	{
		fs_kafka_watch_disconnected(&k->watch);
		if (k->watch.base.error[0] != '\0')
			return;
	}
	fs_kafka_watch_error(&k->watch, now, text);
}

/* Serves errors and log lines.  The event is gone before anything can throw. */
static void
serve_events(KafkaSource *k, int64 now)
{
	rd_kafka_event_t *event;
	int			n = 0;

	while (n++ < MAX_EVENTS && (event = rd_kafka_queue_poll(k->events, 0)) != NULL)
	{
		char		text[FS_SOURCE_ERROR_SIZE] = "";
		const char *facility;
		const char *line;
		int			level;
		rd_kafka_resp_err_t err = rd_kafka_event_error(event);
		rd_kafka_event_type_t type = rd_kafka_event_type(event);

		if (type == RD_KAFKA_EVENT_ERROR)
			strlcpy(text, rd_kafka_event_error_string(event), sizeof(text));
		else if (type == RD_KAFKA_EVENT_LOG &&
				 rd_kafka_event_log(event, &facility, &line, &level) == 0)
			strlcpy(text, line, sizeof(text));
		rd_kafka_event_destroy(event);
		if (type == RD_KAFKA_EVENT_ERROR)
			take_error(k, now, err, text);
		else if (text[0] != '\0')
			elog(DEBUG1, "librdkafka: %s", text);
	}
}

/* Takes in an answer, if there is one. */
static void
take_answer(KafkaSource *k, int64 now)
{
	const FsKafkaInquiry *inquiry = fs_kafka_asker_take(k->asker);

	if (inquiry == NULL)
		return;
	fs_kafka_watch_answer(&k->watch, now, inquiry);
	if (k->watch.base.npartitions > k->sized_for && !k->fetching)
		resize_handle(k);
}

static void
ask_next(KafkaSource *k, int64 now)
{
	FsKafkaInquiry *inquiry = fs_kafka_asker_idle(k->asker);

	if (inquiry != NULL && fs_kafka_watch_ask(&k->watch, now, inquiry))
		fs_kafka_asker_post(k->asker);
}

/* Makes room for the partitions that the watch has found. */
static void
grow_readers(KafkaSource *k)
{
	int			n = k->watch.base.npartitions;

	if (k->nreaders == n)
		return;
	if (k->readers == NULL)
		k->readers = MemoryContextAlloc(k->watch.context, n * sizeof(Reader));
	else
		k->readers = repalloc(k->readers, n * sizeof(Reader));
	memset(k->readers + k->nreaders, 0, (n - k->nreaders) * sizeof(Reader));
	k->nreaders = n;
}

/*
 * Begins to fetch a verified partition, or begins anew: what librdkafka has
 * queued of the time before is outdated by that and never seen.
 */
static void
start_fetching(KafkaSource *k, int index, int64 now)
{
	FsKafkaPartition *part = &k->watch.parts[index];
	Reader	   *reader = &k->readers[index];
	int32		id = k->watch.base.partitions[index].id;
	const uint64 one = 1;

	k->fetching = true;
	if (reader->queue == NULL)
	{
		reader->queue = rd_kafka_queue_get_partition(k->rk, k->watch.base.stream->topic, id);
		if (reader->queue == NULL)
			return;
		rd_kafka_queue_io_event_enable(reader->queue, k->fd, &one, sizeof(one));
	}
	if (rd_kafka_consume_start(k->topic, id, part->next) != 0)
	{
		fs_kafka_watch_error(&k->watch, now, rd_kafka_err2str(rd_kafka_last_error()));
		return;
	}
	part->phase = FS_KAFKA_READ;
}

/* Tells the watch the high watermark of a partition at whose end we are. */
static void
note_high_watermark(KafkaSource *k, int index)
{
	int64		low;
	int64		high;

	if (k->watch.parts[index].eof >= 0 &&
		rd_kafka_get_watermark_offsets(k->rk, k->watch.base.stream->topic,
									   k->watch.base.partitions[index].id,
									   &low, &high) == RD_KAFKA_RESP_ERR_NO_ERROR)
		fs_kafka_watch_high(&k->watch, index, high);
}

/* See source.h: one turn of everything but records.  Never waits. */
static void
kafka_service(FsSource *source)
{
	KafkaSource *k = kafka_source(source);
	int64		now = monotonic_now();
	uint64		count;

	if (read(k->fd, &count, sizeof(count)) < 0)
		count = 0;				/* nothing had happened */
	take_answer(k, now);
	grow_readers(k);
	serve_events(k, now);
	for (int i = 0; i < source->npartitions; i++)
		note_high_watermark(k, i);
	fs_kafka_watch_tick(&k->watch, now);
	for (int i = 0; i < source->npartitions; i++)
	{
		if (k->watch.parts[i].phase == FS_KAFKA_FETCH)
			start_fetching(k, i, now);
	}
	ask_next(k, now);
}

static void
kafka_resolve_start(FsSource *source, int index, bool from_beginning)
{
	KafkaSource *k = kafka_source(source);

	fs_kafka_watch_resolve(&k->watch, index, from_beginning);
	ask_next(k, monotonic_now());
}

static void
kafka_assign(FsSource *source, int index, FsPosition position)
{
	KafkaSource *k = kafka_source(source);

	fs_kafka_watch_assign(&k->watch, index, position.offset);
	ask_next(k, monotonic_now());
}

/* --- Reading --- */

/* Room for 'max' more messages, so that none is taken that cannot be stored. */
static void
reserve_held(KafkaSource *k, int max)
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
take_message_error(KafkaSource *k, int index, int64 now, const rd_kafka_message_t *message)
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
	record->handle = message;
}

/*
 * Sorts out a batch that was put behind the held messages: records are handed
 * out and held, the others destroyed.  Whatever follows an error that put the
 * partition in doubt is dropped, as is what was handed out before.
 */
static int
take_batch(KafkaSource *k, int index, int64 now, int got, FsRecord *records)
{
	FsKafkaPartition *part = &k->watch.parts[index];
	rd_kafka_message_t **batch = k->held + k->nheld;
	int			n = 0;

	for (int i = 0; i < got; i++)
	{
		rd_kafka_message_t *message = batch[i];

		if (likely(!message->err && message->offset >= part->next &&
				   part->phase == FS_KAFKA_READ))
		{
			fill_record(&records[n], message);
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
nudge(KafkaSource *k, Reader *reader, int64 now)
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

/*
 * Batches are safe here, also with librdkafka 2.0: what is told against
 * rd_kafka_consume_batch_queue() happens around pause and seek and to stored
 * positions, neither of which we use.
 */
static int
kafka_poll(FsSource *source, int index, FsRecord *records, int max)
{
	KafkaSource *k = kafka_source(source);
	int			n = 0;
	int64		now;

	Assert(index >= 0 && index < source->npartitions && max > 0);
	if (index >= k->nreaders || k->watch.parts[index].phase != FS_KAFKA_READ)
		return 0;
	now = monotonic_now();
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
	note_high_watermark(k, index);
	fs_kafka_watch_update(&k->watch, index, now);
	return n;
}

static void
kafka_release(FsSource *source)
{
	KafkaSource *k = kafka_source(source);

	while (k->nheld > 0)
		rd_kafka_message_destroy(k->held[--k->nheld]);
}

/* --- Headers --- */

/* See source.h: a JSON array of pairs, palloc'd; NULL without headers. */
static char *
kafka_headers(FsSource *source, const FsRecord *record)
{
	rd_kafka_headers_t *headers;
	StringInfoData json;
	const char *name;
	const void *value;
	size_t		size;

	if (rd_kafka_message_headers(record->handle, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return NULL;
	initStringInfo(&json);
	for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) ==
		 RD_KAFKA_RESP_ERR_NO_ERROR; i++)
	{
		appendStringInfoChar(&json, i == 0 ? '[' : ',');
		fs_kafka_header_append(&json, name, value, size);
	}
	if (json.len == 0)
		return NULL;
	appendStringInfoChar(&json, ']');
	return json.data;
}

/* --- The rest --- */

static int
kafka_wait_fd(FsSource *source)
{
	return kafka_source(source)->fd;
}

/*
 * Also called for a source that open() gave up half-way, and by an exit
 * callback: throws nothing, and ends within CLOSE_ASKER_MS + CLOSE_DESTROY_MS.
 * The memory goes with the source, unless a thread may still use it.
 */
static void
kafka_close(FsSource *source)
{
	KafkaSource *k = kafka_source(source);
	bool		ended = true;
	rd_kafka_t *rk;

	kafka_release(source);
	if (k->asker != NULL)
		fs_kafka_asker_await(k->asker, CLOSE_ASKER_MS);
	rk = drop_handle(k);
	if (k->asker != NULL)
		ended = fs_kafka_asker_end(k->asker, rk, CLOSE_DESTROY_MS);
	else if (rk != NULL)
		destroy_client(rk);
	if (k->conf != NULL)
		rd_kafka_conf_destroy(k->conf);
	if (!ended)
		elog(LOG, "Kafka client of stream %s does not end; it is left behind",
			 k->watch.base.stream->name);
	else if (k->fd >= 0)
	{
		close(k->fd);
		ReleaseExternalFD();
	}
	MemoryContextDelete(k->watch.context);
}

const FsSourceOps fs_source_kafka_ops = {
	.name = "kafka",
	.open = kafka_open,
	.service = kafka_service,
	.resolve_start = kafka_resolve_start,
	.assign = kafka_assign,
	.poll = kafka_poll,
	.release = kafka_release,
	.headers = kafka_headers,
	.wait_fd = kafka_wait_fd,
	.close = kafka_close
};
