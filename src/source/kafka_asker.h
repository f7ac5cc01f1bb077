/*
 * kafka_asker.h
 *		A thread that waits for the broker, so that the worker does not.
 *
 * The thread runs two functions of its maker: one answers the inquiry, one
 * destroys a client that is no longer needed.  Both must call no code of the
 * server and touch no memory but what they are given.  The thread is started
 * with all signals blocked and runs one thing at a time.
 */
#ifndef FS_SOURCE_KAFKA_ASKER_H
#define FS_SOURCE_KAFKA_ASKER_H

#include "postgres.h"

#include "source/kafka_watch.h"

typedef struct FsKafkaAsker FsKafkaAsker;

/* What the asker asks: librdkafka's handle and topic. */
typedef struct FsKafkaPeer
{
	void	   *client;
	void	   *topic;
} FsKafkaPeer;

typedef struct FsKafkaAskerWork
{
	/* Fills in the answer within FS_KAFKA_ASK_TIMEOUT. */
	void		(*answer) (FsKafkaPeer peer, FsKafkaInquiry *inquiry);

	/* Destroys a client; may take long. */
	void		(*destroy) (void *client);
} FsKafkaAskerWork;

/*
 * Starts the thread; NULL when it cannot be.  Whenever an answer is there it
 * writes to the eventfd 'fd'.
 */
extern FsKafkaAsker *fs_kafka_asker_start(const FsKafkaAskerWork *work, int fd);

/*
 * The inquiry, when no question is under way and every answer has been taken;
 * else NULL.  To be filled in and posted.
 */
extern FsKafkaInquiry *fs_kafka_asker_idle(FsKafkaAsker *asker);
extern void fs_kafka_asker_post(FsKafkaAsker *asker);

/* The answered inquiry, valid until the next post; NULL when there is none. */
extern const FsKafkaInquiry *fs_kafka_asker_take(FsKafkaAsker *asker);

/*
 * From now on 'peer' is asked, and 'doomed' (NULL: none) is destroyed.  No
 * question may be under way.
 */
extern void fs_kafka_asker_turn(FsKafkaAsker *asker, FsKafkaPeer peer, void *doomed);

/* Waits up to 'ms' until no question is under way. */
extern void fs_kafka_asker_await(FsKafkaAsker *asker, int ms);

/*
 * Has the asker destroy 'doomed' (NULL: nothing) and end.  False when it did
 * not within 'ms': then it is left behind with its memory and 'fd'.
 */
extern bool fs_kafka_asker_end(FsKafkaAsker *asker, void *doomed, int ms);

#endif							/* FS_SOURCE_KAFKA_ASKER_H */
