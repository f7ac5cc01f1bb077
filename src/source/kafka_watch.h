/*
 * kafka_watch.h
 *		What is known of a topic and its partitions, what to ask the broker next,
 *		and what its answers mean.
 *
 * The watch decides, kafka.c does: it puts the watch's questions to the broker
 * through librdkafka and tells the watch what came out.  Nothing here knows
 * librdkafka or waits for anything, so every decision can be tried alone.
 *
 * All times named 'now' or '..._at' are microseconds of the monotonic clock.
 */
#ifndef FS_SOURCE_KAFKA_WATCH_H
#define FS_SOURCE_KAFKA_WATCH_H

#include "postgres.h"

#include "source/source.h"

#define FS_KAFKA_SEC				INT64CONST(1000000)
#define FS_KAFKA_TOPIC_PERIOD		(5 * FS_KAFKA_SEC)	/* between questions about a topic that is there */
#define FS_KAFKA_TOPIC_HURRY		(FS_KAFKA_SEC / 2)	/* ... that is not, or that nobody answered for */
#define FS_KAFKA_OFFSETS_PERIOD		(2 * FS_KAFKA_SEC)	/* between rounds of begin and end offsets */
#define FS_KAFKA_OFFSETS_HURRY		(FS_KAFKA_SEC / 4)	/* ... for a partition that waits for them */

/* Most partitions in one question. */
#define FS_KAFKA_ASK_MAX	256

/* No question to the broker may take longer (ms), so that close() is bounded. */
#define FS_KAFKA_ASK_TIMEOUT	1000

/* What is being done with a partition; finer than FsPartitionState. */
typedef enum FsKafkaPhase
{
	FS_KAFKA_IDLE,				/* nothing asked of us -> RESOLVE, VERIFY */
	FS_KAFKA_RESOLVE,			/* start position wanted -> IDLE */
	FS_KAFKA_VERIFY,			/* is 'next' still in the topic? nothing is handed out -> FETCH, IDLE */
	FS_KAFKA_FETCH,				/* verified: kafka.c is to begin fetching at 'next' -> READ */
	FS_KAFKA_READ,				/* records are handed out -> VERIFY, RETRY */
	FS_KAFKA_RETRY				/* unreadable data at 'next'; fetched again at 'retry_at' -> FETCH, IDLE */
} FsKafkaPhase;

typedef enum FsKafkaAsk
{
	FS_KAFKA_ASK_TOPIC,			/* does it exist, how many partitions has it */
	FS_KAFKA_ASK_OFFSETS		/* where do these partitions begin and end */
} FsKafkaAsk;

typedef enum FsKafkaOutcome
{
	FS_KAFKA_ANSWERED,
	FS_KAFKA_NO_TOPIC,			/* the brokers say that there is no such topic */
	FS_KAFKA_REFUSED,			/* the brokers answered with an error */
	FS_KAFKA_UNREACHABLE		/* no answer */
} FsKafkaOutcome;

typedef struct FsKafkaAskItem
{
	int32		partition;
	FsKafkaPhase phase;			/* when asked: an answer counts for that phase only */
	int64		time;			/* ms since 1970 to look up, or -1 */
	int64		begin;			/* answers; -1 not known */
	int64		end;
	int64		at;				/* first offset at or after 'time'; -1 none */
} FsKafkaAskItem;

/*
 * One question and its answer.  Plain memory: it is handed to the asking
 * thread, which fills in the answer and runs no code of the server.
 */
typedef struct FsKafkaInquiry
{
	FsKafkaAsk	ask;
	bool		begin;			/* OFFSETS: the beginnings are wanted too */
	int			nitems;
	FsKafkaAskItem items[FS_KAFKA_ASK_MAX];

	FsKafkaOutcome outcome;
	char		message[FS_SOURCE_ERROR_SIZE];	/* not ANSWERED: why */
	int			npartitions;	/* TOPIC */
	char		cluster[FS_SOURCE_CLUSTER_SIZE];	/* TOPIC: cluster id, "" not known */
} FsKafkaInquiry;

typedef struct FsKafkaPartition
{
	FsKafkaPhase phase;
	bool		from_beginning; /* RESOLVE: whatever 'start' says */
	bool		alone;			/* a question with others failed: is asked about alone */
	int64		next;			/* first offset not handed out */
	int64		eof;			/* position of the last end-of-partition, -1 after a record */
	int64		high;			/* high watermark of the last fetch, -1 not known; above 'eof': a transaction is open */
	int64		ask_at;			/* not to be asked about before */
	int64		answered_at;	/* last sign of life from the leader; 0 none */
	int64		retry_at;
	int			strikes;		/* attempts at the unreadable data at strike_offset */
	int64		strike_offset;
	int64		max_end;		/* greatest end seen in this process */
	int64		short_since;	/* since when the broker ends before what we know was there; 0 it does not */
	int			short_count;
} FsKafkaPartition;

typedef struct FsKafkaWatch
{
	FsSource	base;
	MemoryContext context;		/* holds everything that the watch allocates */
	FsKafkaPartition *parts;	/* of base.partitions, same index */

	/* Topic */
	bool		existed;		/* seen at least once, by this process or one before it */
	int64		topic_ask_at;
	int64		topic_odd_since;	/* since when it is missing or has too few partitions; 0 it is not */
	int			topic_odd_count;
	int			topic_failures; /* questions about it in a row without an answer */

	/* Offsets */
	int64		refresh_at;		/* next round of begin and end offsets */
	int			turn;			/* whose turn it is among those asked about alone */

	int64		error_at;		/* when base.error was last set */
} FsKafkaWatch;

/* Starts with nothing known; 'watch' must be zeroed. */
extern void fs_kafka_watch_init(FsKafkaWatch *watch, const FsStreamDef *stream, MemoryContext context);

/* The next question that is due, into 'inquiry'; false when there is none. */
extern bool fs_kafka_watch_ask(FsKafkaWatch *watch, int64 now, FsKafkaInquiry *inquiry);

extern bool fs_kafka_watch_ask_ends(FsKafkaWatch *watch, FsKafkaInquiry *inquiry);

/* Takes in the answer.  May add partitions: base.partitions and parts may move. */
extern void fs_kafka_watch_answer(FsKafkaWatch *watch, int64 now, const FsKafkaInquiry *inquiry);

/* Orders of the worker. */
extern void fs_kafka_watch_resolve(FsKafkaWatch *watch, int index, bool from_beginning);
extern void fs_kafka_watch_assign(FsKafkaWatch *watch, int index, int64 offset);
extern void fs_kafka_watch_rewind(FsKafkaWatch *watch, int index, int64 offset);

/* What an earlier process knew; to be called before anything else.  Makes its partitions. */
extern void fs_kafka_watch_remember(FsKafkaWatch *watch, int npartitions, const char *cluster);

/* What was met while reading a partition. */
extern void fs_kafka_watch_high(FsKafkaWatch *watch, int index, int64 high);
extern void fs_kafka_watch_eof(FsKafkaWatch *watch, int index, int64 now, int64 offset);
extern void fs_kafka_watch_doubt(FsKafkaWatch *watch, int index, bool topic_too);
extern void fs_kafka_watch_unreadable(FsKafkaWatch *watch, int index, int64 now, int64 offset, const char *message);

/* Stops a partition for good; the first reason is kept. */
extern void fs_kafka_watch_stop(FsKafkaWatch *watch, int index, const char *format,...) pg_attribute_printf(3, 4);

/* Trouble with the peer as a whole. */
extern void fs_kafka_watch_error(FsKafkaWatch *watch, int64 now, const char *message);
extern void fs_kafka_watch_disconnected(FsKafkaWatch *watch);

/* Brings what the worker sees of a partition up to date after it was read. */
extern void fs_kafka_watch_update(FsKafkaWatch *watch, int index, int64 now);

/* Lets retries come due and brings all partitions up to date. */
extern void fs_kafka_watch_tick(FsKafkaWatch *watch, int64 now);

#endif							/* FS_SOURCE_KAFKA_WATCH_H */
