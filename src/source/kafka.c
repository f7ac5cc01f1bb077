/*
 * kafka.c
 *		The Kafka source: librdkafka behind FsSourceOps.
 *
 * It runs one consumer without a group ("simple consumer"): each partition is
 * started at an explicit offset of ours, nothing is committed to the broker, no
 * coordinator is asked, and librdkafka may never choose a position
 * (auto.offset.reset=error).
 *
 * Threads.  librdkafka's threads never run code of ours: there are no
 * callbacks; its errors and log lines are polled as events from the main queue.
 * Calls of librdkafka that wait for a broker are made by the asker
 * (kafka_asker.c); what to ask and what the answers mean is decided in
 * kafka_watch.c and kafka_answer.c.  kafka_client.h says which file does what
 * with librdkafka.
 */
#include "postgres.h"

#include <malloc.h>
#include <unistd.h>

#include "utils/memutils.h"

#include "ground/clock.h"
#include "source/kafka_client.h"
#include "source/kafka_producer.h"

#define CLOSE_ASKER_MS		2000	/* longest wait for the question under way */
#define CLOSE_DESTROY_MS	2000	/* longest wait for librdkafka's end */
#define MAX_EVENTS			1000	/* served at once */

StaticAssertDecl(FS_KAFKA_ASK_TIMEOUT < CLOSE_ASKER_MS, "a question must end before close() gives up");
StaticAssertDecl(CLOSE_ASKER_MS + CLOSE_DESTROY_MS + FS_KAFKA_PRODUCER_CLOSE_MS < 5000, "close() promises 5 s");

static void kafka_close(FsSource *source);

/* See source.h.  All is in a memory context of its own, closed again when opening fails. */
static FsSource *
kafka_open(const FsStreamDef *stream)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "feature_stream Kafka source",
												  ALLOCSET_DEFAULT_SIZES);
	FsKafkaSource *k = MemoryContextAllocZero(context, sizeof(FsKafkaSource));

	k->watch.base.ops = &fs_source_kafka_ops;
	k->fd = -1;
	fs_kafka_watch_init(&k->watch, stream, context);
	mallopt(M_ARENA_MAX, 2);	/* librdkafka's threads would make one each */
	PG_TRY();
	{
		fs_kafka_client_open(k);
	}
	PG_CATCH();
	{
		kafka_close(&k->watch.base);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return &k->watch.base;
}

static void
kafka_remember(FsSource *source, int npartitions, const char *cluster)
{
	fs_kafka_watch_remember(&fs_kafka_source(source)->watch, npartitions, cluster);
}

/* Shows an error of the client as a whole.  ALL_BROKERS_DOWN follows a better one. */
static void
take_error(FsKafkaSource *k, int64 now, rd_kafka_resp_err_t err, const char *text)
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
serve_events(FsKafkaSource *k, int64 now)
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
take_answer(FsKafkaSource *k, int64 now)
{
	const FsKafkaInquiry *inquiry = fs_kafka_asker_take(k->asker);

	if (inquiry == NULL)
		return;
	fs_kafka_watch_answer(&k->watch, now, inquiry);
	if (k->watch.base.npartitions > k->sized_for && !k->fetching)
		fs_kafka_client_resize(k);
}

static void
ask_next(FsKafkaSource *k, int64 now)
{
	FsKafkaInquiry *inquiry = fs_kafka_asker_idle(k->asker);

	if (inquiry != NULL && fs_kafka_watch_ask(&k->watch, now, inquiry))
		fs_kafka_asker_post(k->asker);
}

/* Makes room for the partitions that the watch has found. */
static void
grow_readers(FsKafkaSource *k)
{
	int			n = k->watch.base.npartitions;

	if (k->nreaders == n)
		return;
	Assert(n > k->nreaders);	/* partitions are never forgotten */
	if (k->readers == NULL)
		k->readers = MemoryContextAlloc(k->watch.context, n * sizeof(FsKafkaReader));
	else
		k->readers = repalloc(k->readers, n * sizeof(FsKafkaReader));
	memset(k->readers + k->nreaders, 0, (n - k->nreaders) * sizeof(FsKafkaReader));
	k->nreaders = n;
}

/*
 * Begins to fetch a verified partition, or begins anew: what librdkafka has
 * queued of the time before is outdated by that and never seen.
 */
static void
start_fetching(FsKafkaSource *k, int index, int64 now)
{
	FsKafkaPartition *part = &k->watch.parts[index];
	FsKafkaReader	   *reader = &k->readers[index];
	int32		id = k->watch.base.partitions[index].id;

	Assert(part->phase == FS_KAFKA_FETCH);
	k->fetching = true;
	if (reader->queue == NULL)
	{
		reader->queue = rd_kafka_queue_get_partition(k->rk, k->watch.base.stream->topic, id);
		if (reader->queue == NULL)
			return;
		fs_kafka_client_wake(reader->queue, k->fd);
	}
	if (rd_kafka_consume_start(k->topic, id, part->next) != 0)
	{
		fs_kafka_watch_error(&k->watch, now, rd_kafka_err2str(rd_kafka_last_error()));
		return;
	}
	part->phase = FS_KAFKA_READ;
}

/* See source.h: one turn of everything but records.  Never waits. */
static void
kafka_service(FsSource *source)
{
	FsKafkaSource *k = fs_kafka_source(source);
	int64		now = fs_clock_monotonic();
	uint64		count;

	if (read(k->fd, &count, sizeof(count)) < 0)
		count = 0;				/* nothing had happened */
	take_answer(k, now);
	grow_readers(k);
	serve_events(k, now);
	for (int i = 0; i < source->npartitions; i++)
		fs_kafka_note_high(k, i);
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
	FsKafkaSource *k = fs_kafka_source(source);

	fs_kafka_watch_resolve(&k->watch, index, from_beginning);
	ask_next(k, fs_clock_monotonic());
}

static int64
kafka_distance(FsSource *source, int index, FsPosition from, FsPosition to)
{
	return to.offset - from.offset;
}

static void
kafka_assign(FsSource *source, int index, FsPosition position)
{
	FsKafkaSource *k = fs_kafka_source(source);

	fs_kafka_watch_assign(&k->watch, index, position.offset);
	ask_next(k, fs_clock_monotonic());
}

/* The next service() begins to fetch again; records in hand are not touched. */
static void
kafka_rewind(FsSource *source, int index, int64 offset)
{
	fs_kafka_watch_rewind(&fs_kafka_source(source)->watch, index, offset);
}

static int
kafka_wait_fd(FsSource *source)
{
	return fs_kafka_source(source)->fd;
}

/*
 * Also called for a source that open() gave up half-way, and by an exit
 * callback: throws nothing, and ends within CLOSE_ASKER_MS + CLOSE_DESTROY_MS.
 * The memory goes with the source, unless a thread may still use it.
 */
static void
kafka_close(FsSource *source)
{
	FsKafkaSource *k = fs_kafka_source(source);
	bool		ended = true;
	rd_kafka_t *rk;

	fs_kafka_release(source);
	if (k->asker != NULL)
		fs_kafka_asker_await(k->asker, CLOSE_ASKER_MS);
	rk = fs_kafka_client_drop(k);
	if (k->asker != NULL)
		ended = fs_kafka_asker_end(k->asker, rk, CLOSE_DESTROY_MS);
	else if (rk != NULL)
		fs_kafka_client_destroy(rk);
	if (k->conf != NULL)
		rd_kafka_conf_destroy(k->conf);
	if (!ended)
		elog(LOG, "Kafka client of stream %s does not end; it is left behind",
			 k->watch.base.stream->name);
	else
		fs_kafka_client_close_fd(k->fd);
	MemoryContextDelete(k->watch.context);
}

const FsSourceOps fs_source_kafka_ops = {
	.name = "kafka",
	.open = kafka_open,
	.remember = kafka_remember,
	.service = kafka_service,
	.resolve_start = kafka_resolve_start,
	.distance = kafka_distance,
	.assign = kafka_assign,
	.poll = fs_kafka_poll,
	.release = fs_kafka_release,
	.rewind = kafka_rewind,
	.headers = fs_kafka_headers,
	.wait_fd = kafka_wait_fd,
	.close = kafka_close
};
