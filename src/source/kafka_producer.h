/*
 * kafka_producer.h
 *		Messages to a Kafka topic, without ever waiting for the broker.
 *
 * The producer is idempotent and tries again for as long as the broker is away;
 * a message reports by itself what became of it.  Never called in a transaction,
 * but for opening and closing.
 */
#ifndef FS_SOURCE_KAFKA_PRODUCER_H
#define FS_SOURCE_KAFKA_PRODUCER_H

#include "catalog/stream.h"
#include "source/source.h"

/* Longest wait for librdkafka's end: a source of the same worker has most of the 5 s that a stop may take. */
#define FS_KAFKA_PRODUCER_CLOSE_MS	500

typedef struct FsKafkaProducer FsKafkaProducer;

/* What became of a message. */
typedef enum FsDelivery
{
	FS_DELIVERY_PENDING,		/* not handed over, or to be handed over again */
	FS_DELIVERY_UNDER_WAY,
	FS_DELIVERY_DONE,			/* the broker has it, as safe as its topic makes it */
	FS_DELIVERY_REFUSED			/* it never will: 'error' says why */
} FsDelivery;

typedef struct FsKafkaHeader
{
	const char *name;
	const void *value;			/* NULL: a header without value */
	size_t		len;
} FsKafkaHeader;

/* A message; stays where it is while it is under way. */
typedef struct FsKafkaMessage
{
	const void *key;			/* NULL: none */
	size_t		key_len;
	const void *value;			/* NULL: none */
	size_t		value_len;
	int			nheaders;
	const FsKafkaHeader *headers;
	FsDelivery	delivery;
	char		error[FS_SOURCE_ERROR_SIZE];	/* REFUSED, or of the last attempt */
} FsKafkaMessage;

/*
 * Makes a producer with the connection settings of 'stream', which outlives it,
 * to one topic of its brokers.  Throws for a value or a name that cannot be.
 * 'in_batches' is faster, but one message that is refused takes others along.
 * fs_kafka_producer_close() forgets what is under way and may be called in an
 * exit callback.
 */
extern FsKafkaProducer *fs_kafka_producer_open(const FsStreamDef *stream, const char *topic, bool in_batches);
extern void fs_kafka_producer_close(FsKafkaProducer *producer);

/* Hands over a pending message, of which nothing is copied but what it points to; false when there is no room now. */
extern bool fs_kafka_producer_send(FsKafkaProducer *producer, FsKafkaMessage *message);

/* Takes the broker's answers: to be called when fs_kafka_producer_fd() is readable, or from time to time. */
extern void fs_kafka_producer_service(FsKafkaProducer *producer);

/* A descriptor that is readable when there are answers; cleared by service. */
extern int	fs_kafka_producer_fd(const FsKafkaProducer *producer);

/* What is the matter with the broker; empty: nothing. */
extern const char *fs_kafka_producer_trouble(const FsKafkaProducer *producer);

/* Has it failed for good?  Then it is to be closed, and another one opened. */
extern bool fs_kafka_producer_is_broken(const FsKafkaProducer *producer);

#endif							/* FS_SOURCE_KAFKA_PRODUCER_H */
