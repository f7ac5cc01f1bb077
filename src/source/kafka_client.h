/*
 * kafka_client.h
 *		What the files of the Kafka source that know librdkafka share.
 *
 * Files: kafka.c the operations of source.h but for reading; kafka_client.c
 * makes librdkafka's handle and lets go of it; kafka_read.c takes records from
 * it; kafka_question.c asks the broker, in the asker's thread; kafka_producer.c
 * sends.  No other file includes this one, which alone includes librdkafka's
 * header.
 *
 * rd_kafka_destroy() waits for ever while a message, event, topic or queue of
 * the handle is alive.  Every message handed out is therefore in 'held', and
 * nothing between taking an object and storing or destroying it can throw.
 */
#ifndef FS_SOURCE_KAFKA_CLIENT_H
#define FS_SOURCE_KAFKA_CLIENT_H

#include "postgres.h"

#include <librdkafka/rdkafka.h>

#include "source/kafka_asker.h"
#include "source/kafka_watch.h"

/* What is kept of a partition beside the watch. */
typedef struct FsKafkaReader
{
	rd_kafka_queue_t *queue;	/* NULL until it is first read */
	int64		run_messages;	/* taken since the last nudge */
	int64		run_bytes;
} FsKafkaReader;

typedef struct FsKafkaSource
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
	FsKafkaReader *readers;		/* of base.partitions, same index */
	int			nheld;
	int			held_size;
	rd_kafka_message_t **held;	/* handed out and not released */

	/* See nudge() in kafka_read.c */
	bool		may_sleep;		/* this librdkafka sleeps on full queues */
	int64		queue_messages;
	int64		queue_bytes;
	int64		nudge_at;
} FsKafkaSource;

/* The source behind the interface; any source of ours. */
static inline FsKafkaSource *
fs_kafka_source(FsSource *source)
{
	Assert(source->ops == &fs_source_kafka_ops);
	return (FsKafkaSource *) source;
}

/* --- kafka_client.c --- */

/*
 * Sets the properties of a stream's client, for so many partitions; throws for a
 * wrong value.  A secret's value is in no message.
 */
extern void fs_kafka_client_configure(rd_kafka_conf_t *conf, const FsStreamDef *stream, int npartitions);

/*
 * Makes a handle, which then has the configuration, with all signals blocked in
 * its threads.  NULL, with the reason in 'text', when librdkafka refuses.
 */
extern rd_kafka_t *fs_kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text, size_t size);

/* An eventfd for a handle of the stream, which counts as ours until fs_kafka_client_close_fd(); or throws. */
extern int	fs_kafka_client_open_fd(const char *stream);
extern void fs_kafka_client_close_fd(int fd);

/* Has a queue wake the eventfd. */
extern void fs_kafka_client_wake(rd_kafka_queue_t *queue, int fd);

/* The handle's main queue, which takes its log lines and wakes the eventfd. */
extern rd_kafka_queue_t *fs_kafka_client_events(rd_kafka_t *rk, int fd);

/* Starts an asker for a handle of the stream, or throws. */
extern FsKafkaAsker *fs_kafka_client_start_asker(const FsKafkaAskerWork *work, int fd, const char *stream);

/*
 * Opens the handle and starts the asker, or throws: a wrong value, a certificate
 * that cannot be read, no resources.  What there is by then is in 'k'.
 */
extern void fs_kafka_client_open(FsKafkaSource *k);

/*
 * Makes the handle anew with queue limits for all partitions there are, before
 * anything is read.  Should that fail, the old one does.  No question may be
 * under way.
 */
extern void fs_kafka_client_resize(FsKafkaSource *k);

/*
 * Lets go of everything that keeps the handle alive but held messages, and
 * returns it, to be destroyed; NULL: there is none.
 */
extern rd_kafka_t *fs_kafka_client_drop(FsKafkaSource *k);

/* Destroys a handle that nothing keeps alive.  May take long; called in any thread. */
extern void fs_kafka_client_destroy(void *client);

/* --- kafka_question.c --- */

/* What the asker's thread does. */
extern const FsKafkaAskerWork fs_kafka_questions;

/* --- kafka_read.c --- */

/* Operations of source.h. */
extern int	fs_kafka_poll(FsSource *source, int index, FsRecord *records, int max);
extern void fs_kafka_release(FsSource *source);
extern char *fs_kafka_headers(FsSource *source, const FsRecord *record, size_t max);

/* Tells the watch the high watermark of a partition at whose end we are. */
extern void fs_kafka_note_high(FsKafkaSource *k, int index);

#endif							/* FS_SOURCE_KAFKA_CLIENT_H */
