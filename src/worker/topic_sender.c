/*
 * topic_sender.c
 *		Records of a transaction to a topic; see topic_sender.h.
 *
 * Only so many records are taken from the backend as are under way.  What the
 * broker refuses, and what it leaves unanswered for PATIENCE, is the end of all:
 * the transaction aborts.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "ground/clock.h"
#include "ground/fault.h"
#include "source/kafka_producer.h"
#include "source/topic_message.h"
#include "worker/topic_sender.h"

/* Kinds of messages. */
#define SEND_RECORDS	'M'
#define SEND_ALL		'F'		/* there are no more */
#define SEND_DONE		'D'		/* the worker's: the broker has them all */

#define MAX_UNDER_WAY	5000
#define MAX_BYTES		(32 * 1024 * 1024)
#define IDLE_WAIT		100		/* ms */
#define PATIENCE		(30 * USECS_PER_SEC)	/* without the broker taking anything */

/* A record under way. */
typedef struct Outgoing
{
	FsKafkaMessage message;
	Size		size;
	char		bytes[FLEXIBLE_ARRAY_MEMBER];
} Outgoing;

typedef struct Sender
{
	FsStreamDef *stream;
	int			n;
	Size		bytes;
	Outgoing   *records[MAX_UNDER_WAY]; /* in order */
	StringInfoData message;		/* taken in part */
	FsCursor	rest;			/* of it; p NULL: there is none */
	bool		has_all;
	int64		progress_at;	/* monotonic */
} Sender;

/* The process's one producer; it has to be closed whatever happens. */
static FsKafkaProducer *my_producer = NULL;

/* --- The backend's side --- */

/* See topic_sender.h. */
void
fs_topic_sender_put(StringInfo records, const FsRecord *record)
{
	fs_message_put_bytes(records, record->key, record->key_len);
	fs_message_put_bytes(records, record->value, record->value_len);
}

/* See topic_sender.h. */
FsTopicLink *
fs_topic_sender_start(const char *name, const StringInfoData *stream)
{
	return fs_topic_link_open("sender", name, stream);
}

/* See topic_sender.h. */
void
fs_topic_sender_send(FsTopicLink *link, const char *records, Size len, StringInfo room)
{
	fs_topic_link_begin(room, SEND_RECORDS);
	appendBinaryStringInfo(room, records, (int) len);
	fs_topic_link_send(link, room);
}

/* See topic_sender.h. */
void
fs_topic_sender_finish(FsTopicLink *link)
{
	StringInfoData message;
	FsCursor	rest;

	initStringInfo(&message);
	fs_topic_link_begin(&message, SEND_ALL);
	fs_topic_link_send(link, &message);
	pfree(message.data);
	if (fs_topic_link_receive(link, &rest) != SEND_DONE)
		elog(ERROR, "unexpected message of a topic's sender");
}

/* --- The worker's side --- */

/* Exit callback. */
static void
close_producer(void)
{
	FsKafkaProducer *producer = my_producer;

	my_producer = NULL;
	if (producer != NULL)
		fs_kafka_producer_close(producer);
}

/* Takes the next record of the message at hand. */
static void
take_record(Sender *sender)
{
	size_t		key_len;
	size_t		value_len;
	const char *key = fs_message_take_bytes(&sender->rest, &key_len);
	const char *value = fs_message_take_bytes(&sender->rest, &value_len);
	Outgoing   *record = palloc0(offsetof(Outgoing, bytes) + key_len + value_len + 2);

	memcpy(record->bytes, key != NULL ? key : "", key_len);
	memcpy(record->bytes + key_len + 1, value != NULL ? value : "", value_len);
	record->message.key = key != NULL ? record->bytes : NULL;
	record->message.key_len = key_len;
	record->message.value = value != NULL ? record->bytes + key_len + 1 : NULL;
	record->message.value_len = value_len;
	record->message.delivery = FS_DELIVERY_PENDING;
	record->size = key_len + value_len;
	sender->bytes += record->size;
	sender->records[sender->n++] = record;
}

/* Takes a message of the backend, if there is one and the one at hand is done with. */
static void
take_message(Sender *sender)
{
	if (sender->rest.p != NULL && fs_cursor_left(&sender->rest) > 0)
		return;
	if (sender->rest.p != NULL)
		pfree(sender->message.data);
	sender->rest.p = NULL;
	if (sender->has_all || !fs_topic_link_poll(&sender->message))
		return;
	sender->has_all = sender->message.data[0] == SEND_ALL;
	sender->rest.p = sender->message.data + 1;
	sender->rest.end = sender->message.data + sender->message.len;
}

/* Takes what there is room for; false when there was nothing. */
static bool
take_records(Sender *sender)
{
	int			before = sender->n;

	while (sender->n < MAX_UNDER_WAY && sender->bytes < MAX_BYTES)
	{
		take_message(sender);
		if (sender->rest.p == NULL)
			break;
		if (fs_cursor_left(&sender->rest) > 0)
			take_record(sender);
	}
	return sender->n > before;
}

/* Throws: the broker does not take what it was sent. */
static void
throw_undelivered(const Sender *sender, int code, const char *what, const char *why)
{
	ereport(ERROR,
			(errcode(code),
			 errmsg("could not write to the topic of stream %s: %s", sender->stream->name, what),
			 why[0] != '\0' ? errdetail_internal("%s.", why) : 0,
			 errhint("Records that were sent before may have been delivered.")));
}

/* Forgets what is delivered, and hands over what is not under way. */
static void
follow_records(Sender *sender)
{
	int			kept = 0;
	bool		has_room = true;

	for (int i = 0; i < sender->n; i++)
	{
		Outgoing   *record = sender->records[i];

		if (record->message.delivery == FS_DELIVERY_PENDING && has_room)
			has_room = fs_kafka_producer_send(my_producer, &record->message);
		if (record->message.delivery == FS_DELIVERY_REFUSED)
			throw_undelivered(sender, ERRCODE_EXTERNAL_ROUTINE_INVOCATION_EXCEPTION,
							  "the broker refuses a record", record->message.error);
		if (record->message.delivery != FS_DELIVERY_DONE)
		{
			sender->records[kept++] = record;
			continue;
		}
		sender->bytes -= record->size;
		sender->progress_at = fs_clock_monotonic();
		pfree(record);
	}
	sender->n = kept;
}

/* Throws when the broker has taken nothing for too long, or the producer has failed. */
static void
check_patience(const Sender *sender)
{
	const char *trouble = fs_kafka_producer_trouble(my_producer);

	if (fs_kafka_producer_is_broken(my_producer))
		throw_undelivered(sender, ERRCODE_CONNECTION_FAILURE, "the producer has failed", trouble);
	if (sender->n > 0 && fs_clock_monotonic() - sender->progress_at >= PATIENCE)
		throw_undelivered(sender, ERRCODE_CONNECTION_FAILURE, "the brokers do not answer", trouble);
}

static void
wait_for_anything(void)
{
	(void) WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH | WL_SOCKET_READABLE,
							 fs_kafka_producer_fd(my_producer), IDLE_WAIT, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

/* The worker's work: until all is delivered. */
static void
serve(FsCursor *request)
{
	Sender	   *sender = palloc0(sizeof(Sender));

	sender->stream = fs_message_take_stream(request);
	sender->progress_at = fs_clock_monotonic();
	my_producer = fs_kafka_producer_open(sender->stream, sender->stream->topic, true);
	while (!sender->has_all || sender->n > 0)
	{
		bool		any;

		fs_topic_link_check();
		if (sender->n == 0)
			sender->progress_at = fs_clock_monotonic();
		any = take_records(sender);
		fs_kafka_producer_service(my_producer);
		follow_records(sender);
		check_patience(sender);
		if (!any && (!sender->has_all || sender->n > 0))
			wait_for_anything();
	}
	FS_FAULT("topic-delivered");
	initStringInfo(&sender->message);
	fs_topic_link_begin(&sender->message, SEND_DONE);
	fs_topic_link_answer(&sender->message);
}

/* See topic_sender.h. */
void
fs_topic_sender_main(Datum main_arg)
{
	fs_topic_link_serve(main_arg, serve, close_producer);
}
