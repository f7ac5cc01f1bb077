/*
 * kafka_client.c
 *		Librdkafka's handle: configured, made, made larger, let go of.
 *
 * A handle is made with queue limits for ASSUMED_PARTITIONS, and made anew,
 * before anything is read, for a topic that has more.  All signals are blocked
 * while librdkafka creates its threads, so that every handler runs in the main
 * thread; events and log lines come through the main queue, which wakes 'fd'.
 */
#include "postgres.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "storage/fd.h"

#include "source/kafka_client.h"
#include "source/kafka_config.h"

#define ASSUMED_PARTITIONS	16

/* A number of the configuration; 0 when there is none. */
static int64
get_number(FsKafkaSource *k, const char *name)
{
	char		text[64];
	size_t		size = sizeof(text);

	if (rd_kafka_conf_get(k->conf, name, text, &size) != RD_KAFKA_CONF_OK)
		return 0;
	return strtoll(text, NULL, 10);
}

/* See kafka_client.h. */
void
fs_kafka_client_configure(rd_kafka_conf_t *conf, const FsStreamDef *stream, int npartitions)
{
	char		text[512];
	int			n;
	FsKafkaProperty *properties = fs_kafka_config(stream, npartitions, &n);

	for (int i = 0; i < n; i++)
	{
		const FsKafkaProperty *p = &properties[i];

		if (rd_kafka_conf_set(conf, p->name, p->value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid Kafka property \"%s\" of stream %s", p->name, stream->name),
					 p->secret ? errdetail("The value is not shown because it is a secret.") :
					 errdetail("%s", text)));
	}
	pfree(properties);
}

/*
 * Builds k->conf or throws.  librdkafka from 2.2 on has a property against the
 * sleep that nudge() ends from outside.
 */
static void
build_conf(FsKafkaSource *k, int npartitions)
{
	char		text[512];

	k->conf = rd_kafka_conf_new();
	fs_kafka_client_configure(k->conf, k->watch.base.stream, npartitions);
	k->may_sleep = rd_kafka_conf_set(k->conf, "fetch.queue.backoff.ms", "10",
									 text, sizeof(text)) != RD_KAFKA_CONF_OK;
	k->queue_messages = get_number(k, "queued.min.messages");
	k->queue_bytes = get_number(k, "queued.max.messages.kbytes") * 1024;
	k->sized_for = npartitions;
	rd_kafka_conf_set_events(k->conf, RD_KAFKA_EVENT_ERROR);
}

/* See kafka_client.h. */
rd_kafka_t *
fs_kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text, size_t size)
{
	sigset_t	all;
	sigset_t	saved;
	rd_kafka_t *rk;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &saved);
	rk = rd_kafka_new(type, conf, text, size);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	return rk;
}

/* See kafka_client.h. */
int
fs_kafka_client_open_fd(const char *stream)
{
	int			fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not create an event descriptor for stream %s: %m", stream)));
	ReserveExternalFD();
	return fd;
}

/* See kafka_client.h. */
void
fs_kafka_client_close_fd(int fd)
{
	if (fd < 0)
		return;
	close(fd);
	ReleaseExternalFD();
}

/* See kafka_client.h. */
void
fs_kafka_client_wake(rd_kafka_queue_t *queue, int fd)
{
	const uint64 one = 1;

	rd_kafka_queue_io_event_enable(queue, fd, &one, sizeof(one));
}

/* See kafka_client.h. */
rd_kafka_queue_t *
fs_kafka_client_events(rd_kafka_t *rk, int fd)
{
	rd_kafka_queue_t *events = rd_kafka_queue_get_main(rk);

	rd_kafka_set_log_queue(rk, events);
	fs_kafka_client_wake(events, fd);
	return events;
}

/* See kafka_client.h. */
FsKafkaAsker *
fs_kafka_client_start_asker(const FsKafkaAskerWork *work, int fd, const char *stream)
{
	FsKafkaAsker *asker = fs_kafka_asker_start(work, fd);

	if (asker == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not start a thread for stream %s", stream)));
	return asker;
}

/* Makes a handle of k->conf.  False, with the reason in 'text', when librdkafka refuses. */
static bool
make_handle(FsKafkaSource *k, char *text, size_t size)
{
	rd_kafka_t *rk = fs_kafka_client_new(RD_KAFKA_CONSUMER, k->conf, text, size);

	if (rk == NULL)
		return false;
	k->conf = NULL;				/* the handle's now */
	k->rk = rk;
	k->events = fs_kafka_client_events(rk, k->fd);
	k->topic = rd_kafka_topic_new(rk, k->watch.base.stream->topic, NULL);
	return true;
}

/* See kafka_client.h. */
rd_kafka_t *
fs_kafka_client_drop(FsKafkaSource *k)
{
	rd_kafka_t *rk = k->rk;

	Assert(k->nheld == 0);		/* else its end would wait for ever */
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
peer_of(const FsKafkaSource *k)
{
	FsKafkaPeer peer = {k->rk, k->topic};

	return peer;
}

/* See kafka_client.h. */
void
fs_kafka_client_open(FsKafkaSource *k)
{
	const char *stream = k->watch.base.stream->name;
	char		text[512];

	k->fd = fs_kafka_client_open_fd(stream);
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
	k->asker = fs_kafka_client_start_asker(&fs_kafka_questions, k->fd, stream);
	fs_kafka_asker_turn(k->asker, peer_of(k), NULL);
}

/* See kafka_client.h. */
void
fs_kafka_client_resize(FsKafkaSource *k)
{
	FsKafkaSource old = *k;
	char		text[512];

	Assert(!k->fetching && k->nheld == 0);
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

/* See kafka_client.h. */
void
fs_kafka_client_destroy(void *client)
{
	rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}
