/*
 * kafka_producer.c
 *		Messages to a Kafka topic; see kafka_producer.h.
 *
 * Librdkafka's idempotent producer: what it tries again the broker writes once,
 * and in order, as long as the process lives.  Answers come through its main
 * queue, which wakes 'fd'.  A thread of the asker's destroys the handle, since
 * that may wait for a peer.
 */
#include "postgres.h"

#include <unistd.h>

#include "utils/memutils.h"

#include "source/kafka_client.h"
#include "source/kafka_config.h"
#include "source/kafka_producer.h"

#define MAX_ANSWERS		1000	/* taken at once */

struct FsKafkaProducer
{
	const FsStreamDef *stream;
	rd_kafka_conf_t *conf;		/* while it is being opened, else NULL */
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;
	rd_kafka_queue_t *events;
	FsKafkaAsker *asker;		/* only to destroy the handle */
	int			fd;				/* eventfd, -1 none */
	bool		is_broken;
	char		trouble[FS_SOURCE_ERROR_SIZE];
};

/* What makes it idempotent and patient.  The broker judges the size of a message. */
static const FsKafkaProperty producer_properties[] = {
	{"enable.idempotence", "true"},
	{"message.timeout.ms", "0"},
	{"message.max.bytes", "1000000000"}
};

/* Small, each message by itself: librdkafka gives up a whole batch for one of its messages. */
static const FsKafkaProperty single_properties[] = {
	{"queue.buffering.max.messages", "1000"},
	{"batch.num.messages", "1"},
	{"linger.ms", "0"}
};

/* Many messages of which none may fail, in the partitions where Java's clients put their keys. */
static const FsKafkaProperty batch_properties[] = {
	{"queue.buffering.max.messages", "10000"},
	{"linger.ms", "5"},
	{"partitioner", "murmur2_random"}
};

static const FsKafkaAskerWork destroyer = {NULL, fs_kafka_client_destroy};

/* Throws: the client cannot be set up, for the reason 'text'. */
static void
throw_set_up(const FsStreamDef *stream, const char *text)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("could not set up the Kafka producer of stream %s", stream->name),
			 errdetail("%s", text)));
}

/* Sets some of the properties above. */
static void
set_properties(FsKafkaProducer *producer, const FsKafkaProperty *properties, int n)
{
	char		text[512];

	for (int i = 0; i < n; i++)
		if (rd_kafka_conf_set(producer->conf, properties[i].name, properties[i].value,
							  text, sizeof(text)) != RD_KAFKA_CONF_OK)
			throw_set_up(producer->stream, text);
}

/* Fills in an empty producer, or throws. */
static void
set_up(FsKafkaProducer *producer, const char *topic, bool in_batches)
{
	const FsStreamDef *stream = producer->stream;
	char		text[512];

	producer->fd = fs_kafka_client_open_fd(stream->name);
	producer->conf = rd_kafka_conf_new();
	fs_kafka_client_configure(producer->conf, stream, 1);
	set_properties(producer, producer_properties, lengthof(producer_properties));
	if (in_batches)
		set_properties(producer, batch_properties, lengthof(batch_properties));
	else
		set_properties(producer, single_properties, lengthof(single_properties));
	rd_kafka_conf_set_events(producer->conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
	producer->rk = fs_kafka_client_new(RD_KAFKA_PRODUCER, producer->conf, text, sizeof(text));
	if (producer->rk == NULL)
		throw_set_up(stream, text);
	producer->conf = NULL;		/* the handle's now */
	producer->events = fs_kafka_client_events(producer->rk, producer->fd);
	producer->topic = rd_kafka_topic_new(producer->rk, topic, NULL);
	if (producer->topic == NULL)
		throw_set_up(stream, rd_kafka_err2str(rd_kafka_last_error()));
	producer->asker = fs_kafka_client_start_asker(&destroyer, producer->fd, stream->name);
}

/* See kafka_producer.h. */
FsKafkaProducer *
fs_kafka_producer_open(const FsStreamDef *stream, const char *topic, bool in_batches)
{
	FsKafkaProducer *producer = MemoryContextAllocZero(TopMemoryContext, sizeof(FsKafkaProducer));

	producer->stream = stream;
	producer->fd = -1;
	PG_TRY();
	{
		set_up(producer, topic, in_batches);
	}
	PG_CATCH();
	{
		fs_kafka_producer_close(producer);
		PG_RE_THROW();
	}
	PG_END_TRY();
	return producer;
}

/* See kafka_producer.h.  The memory goes with it, unless a thread may still use the descriptor. */
void
fs_kafka_producer_close(FsKafkaProducer *producer)
{
	bool		ended = true;

	if (producer->rk != NULL)
		rd_kafka_purge(producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT |
					   RD_KAFKA_PURGE_F_NON_BLOCKING);
	if (producer->events != NULL)
	{
		rd_kafka_queue_io_event_enable(producer->events, -1, NULL, 0);
		rd_kafka_queue_destroy(producer->events);
	}
	if (producer->topic != NULL)
		rd_kafka_topic_destroy(producer->topic);
	if (producer->asker != NULL)
		ended = fs_kafka_asker_end(producer->asker, producer->rk, FS_KAFKA_PRODUCER_CLOSE_MS);
	else if (producer->rk != NULL)
		fs_kafka_client_destroy(producer->rk);
	if (producer->conf != NULL)
		rd_kafka_conf_destroy(producer->conf);
	if (!ended)
	{
		elog(LOG, "Kafka producer of stream %s does not end; it is left behind", producer->stream->name);
		return;
	}
	fs_kafka_client_close_fd(producer->fd);
	pfree(producer);
}

/* Will the broker never take a message, whatever else becomes of it? */
static bool
is_refusal(rd_kafka_resp_err_t err)
{
	return err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || err == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE ||
		err == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE || err == RD_KAFKA_RESP_ERR_INVALID_RECORD;
}

/* Notes what came of handing a message over, or of its way. */
static void
note_outcome(FsKafkaProducer *producer, FsKafkaMessage *message, rd_kafka_resp_err_t err)
{
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		message->delivery = FS_DELIVERY_DONE;
		producer->trouble[0] = '\0';
		return;
	}
	strlcpy(message->error, rd_kafka_err2str(err), sizeof(message->error));
	message->delivery = is_refusal(err) ? FS_DELIVERY_REFUSED : FS_DELIVERY_PENDING;
	if (message->delivery == FS_DELIVERY_PENDING)
		strlcpy(producer->trouble, message->error, sizeof(producer->trouble));
}

/* Headers of a message as librdkafka has them. */
static rd_kafka_headers_t *
make_headers(const FsKafkaMessage *message)
{
	rd_kafka_headers_t *headers = rd_kafka_headers_new(message->nheaders);

	for (int i = 0; i < message->nheaders; i++)
		(void) rd_kafka_header_add(headers, message->headers[i].name, -1,
								   message->headers[i].value, (ssize_t) message->headers[i].len);
	return headers;
}

/* See kafka_producer.h. */
bool
fs_kafka_producer_send(FsKafkaProducer *producer, FsKafkaMessage *message)
{
	rd_kafka_headers_t *headers = make_headers(message);
	rd_kafka_resp_err_t err;

	Assert(message->delivery == FS_DELIVERY_PENDING);
	err = rd_kafka_producev(producer->rk, RD_KAFKA_V_RKT(producer->topic),
							RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
							RD_KAFKA_V_KEY(message->key, message->key_len),
							RD_KAFKA_V_VALUE(unconstify(void *, message->value), message->value_len),
							RD_KAFKA_V_HEADERS(headers),
							RD_KAFKA_V_OPAQUE(message), RD_KAFKA_V_END);
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		message->delivery = FS_DELIVERY_UNDER_WAY;
		return true;
	}
	rd_kafka_headers_destroy(headers);
	if (err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		return false;
	note_outcome(producer, message, err);
	return message->delivery != FS_DELIVERY_PENDING;
}

/* Takes a report about some messages. */
static void
take_report(FsKafkaProducer *producer, rd_kafka_event_t *event)
{
	const rd_kafka_message_t *message;

	while ((message = rd_kafka_event_message_next(event)) != NULL)
		note_outcome(producer, message->_private, message->err);
}

/* Takes an error of the client as a whole.  ALL_BROKERS_DOWN follows a better one. */
static void
take_error(FsKafkaProducer *producer, rd_kafka_event_t *event)
{
	rd_kafka_resp_err_t err = rd_kafka_event_error(event);
	char		text[FS_SOURCE_ERROR_SIZE];

	if (err == RD_KAFKA_RESP_ERR__FATAL)
	{
		(void) rd_kafka_fatal_error(producer->rk, text, sizeof(text));
		strlcpy(producer->trouble, text, sizeof(producer->trouble));
		producer->is_broken = true;
	}
	else if (err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || producer->trouble[0] == '\0')
		strlcpy(producer->trouble, rd_kafka_event_error_string(event), sizeof(producer->trouble));
}

/* See kafka_producer.h. */
void
fs_kafka_producer_service(FsKafkaProducer *producer)
{
	rd_kafka_event_t *event;
	uint64		count;

	if (read(producer->fd, &count, sizeof(count)) < 0)
	{
		 /* nothing has come since the last time */ ;
	}
	for (int n = 0; n < MAX_ANSWERS && (event = rd_kafka_queue_poll(producer->events, 0)) != NULL; n++)
	{
		if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR)
			take_report(producer, event);
		else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
			take_error(producer, event);
		rd_kafka_event_destroy(event);
	}
}

/* See kafka_producer.h. */
int
fs_kafka_producer_fd(const FsKafkaProducer *producer)
{
	return producer->fd;
}

/* See kafka_producer.h. */
const char *
fs_kafka_producer_trouble(const FsKafkaProducer *producer)
{
	return producer->trouble;
}

/* See kafka_producer.h. */
bool
fs_kafka_producer_is_broken(const FsKafkaProducer *producer)
{
	return producer->is_broken;
}
