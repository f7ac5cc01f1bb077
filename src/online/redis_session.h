/*
 * redis_session.h
 *		The life of a connection to Redis, shared by redis.c, redis_session.c and
 *		redis_answer.c.
 *
 * redis.c has the operations of the online store and moves bytes;
 * redis_session.c knows what a connection goes through, redis_answer.c what
 * replies mean for it.
 */
#ifndef FS_ONLINE_REDIS_SESSION_H
#define FS_ONLINE_REDIS_SESSION_H

#include "postgres.h"

#include "catalog/redis_options.h"
#include "core/buffer.h"
#include "online/online.h"
#include "online/redis_reply.h"
#include "online/redis_socket.h"

#define FS_REDIS_MAX_COMMANDS 1000	/* not yet answered */
#define FS_REDIS_READ_SIZE (16 * 1024)
#define FS_REDIS_MAX_IDLE_OUTPUT (4 * 1024 * 1024)	/* a larger buffer is given back */
#define FS_REDIS_HEARTBEAT 10000	/* ms from one look at the fence to the next */
#define FS_REDIS_FENCE_LIFE "2592000000"	/* ms, 30 days after the last look: longer than a worker that hangs, or an old primary, stays unnoticed */
#define FS_REDIS_SHA_SIZE 41
#define FS_REDIS_RUN_ID_SIZE 64

typedef enum FsRedisState
{
	FS_REDIS_WAITING,		/* no connection until 'retry_at' -> CONNECTING */
	FS_REDIS_CONNECTING,	/* -> GREETING, WAITING */
	FS_REDIS_GREETING,		/* who are you? -> CLAIMING, WAITING */
	FS_REDIS_CLAIMING,		/* fence and scripts -> READY, WAITING, FENCED */
	FS_REDIS_READY,			/* takes rows -> WAITING, FENCED */
	FS_REDIS_FENCED				/* a newer writer is there (final) */
} FsRedisState;

typedef enum FsRedisCommandKind
{
	FS_REDIS_COMMAND_AUTH,
	FS_REDIS_COMMAND_SELECT,
	FS_REDIS_COMMAND_INFO_SERVER,
	FS_REDIS_COMMAND_INFO_REPLICATION,
	FS_REDIS_COMMAND_SETNAME,
	FS_REDIS_COMMAND_LOAD_PUT,
	FS_REDIS_COMMAND_LOAD_DEL,
	FS_REDIS_COMMAND_CLAIM,		/* also the heartbeat */
	FS_REDIS_COMMAND_PUT,
	FS_REDIS_COMMAND_DEL,
	FS_REDIS_COMMAND_REFUSED	/* a row that was never sent; has no answer */
} FsRedisCommandKind;

/* A command not yet answered. */
typedef struct FsRedisCommand
{
	FsRedisCommandKind kind;
	uint64		tag;			/* of a row */
} FsRedisCommand;

typedef struct FsRedis
{
	FsOnline	base;			/* must be first */

	/* Definition */
	MemoryContext context;		/* holds all this; its end is release_resources */
	MemoryContextCallback callback;
	FsRedisConfig *config;
	char	   *address;		/* for messages */
	char	   *fence;			/* key of the fence */
	size_t		fence_len;
	char		epoch[24];
	size_t		epoch_len;

	/* Connection */
	FsRedisState state;
	FsRedisSocket sock;
	FsRedisReader *reader;		/* malloc'd; of this connection */
	bool		has_unparsed;	/* 'reader' may hold whole replies */
	int64		deadline;		/* CONNECTING: when to give up */
	int64		last_progress;	/* when bytes were last taken, or a reply came */
	int64		retry_at;		/* WAITING */
	int64		last_claim;		/* when the fence was last asked for ... */
	bool		is_claiming;	/* ... and there is no answer yet */
	int			failures;		/* connections lost since a row was last written */

	/* The store */
	char		run_id[FS_REDIS_RUN_ID_SIZE];	/* of the last READY connection; empty: none yet */
	char		new_run_id[FS_REDIS_RUN_ID_SIZE];	/* of this one */
	bool		is_fence_lost;	/* we held the fence and found it gone */
	char		put_sha[FS_REDIS_SHA_SIZE];
	char		del_sha[FS_REDIS_SHA_SIZE];

	/* Pipeline */
	FsBuffer	output;			/* malloc'd; sent up to 'sent' */
	size_t		sent;
	bool		is_out_of_memory;	/* 'output' lacks a command */
	int			first;			/* oldest of 'commands', a ring */
	int			ncommands;
	FsRedisCommand commands[FS_REDIS_MAX_COMMANDS];
	char		input[FS_REDIS_READ_SIZE];
} FsRedis;

/* Milliseconds of a clock that nobody sets: for time-outs and back-off. */
extern int64 fs_redis_now(void);

extern int	fs_redis_command_timeout(const FsRedis *redis);

/* Is there a connection on which commands go? */
extern bool fs_redis_is_talking(const FsRedis *redis);

/* Keeps a sentence for the user in base.error, as plain ASCII. */
extern void fs_redis_set_error(FsRedis *redis, const char *fmt,...) pg_attribute_printf(2, 3);

/* Remembers, and forgets the oldest, command not yet answered. */
extern void fs_redis_push_command(FsRedis *redis, FsRedisCommandKind kind, uint64 tag);
extern FsRedisCommand fs_redis_pop_command(FsRedis *redis);
extern FsRedisCommand *fs_redis_oldest_command(FsRedis *redis);

/* WAITING -> CONNECTING; then on, until the greeting is in the output.  Both may fail, and then wait again. */
extern void fs_redis_begin_connection(FsRedis *redis);
extern void fs_redis_continue_connection(FsRedis *redis);

/*
 * Gives up the connection, to come back after a back-off.  The caller has set
 * the error.
 */
extern void fs_redis_lose_connection(FsRedis *redis);

/*
 * Gives up a connection that is sound but for what the server lost, to come
 * back at once; but not over and over.  The caller has set the error.
 */
extern void fs_redis_renew_connection(FsRedis *redis);

/* Stops for good: a newer writer holds the fence.  'text' is what Redis said. */
extern void fs_redis_become_fenced(FsRedis *redis, const char *text);

/*
 * Takes one reply to the command it belongs to.  True: it made a result.  May
 * end the connection.
 */
extern bool fs_redis_handle_reply(FsRedis *redis, const FsRedisReply *reply, FsOnlineResult *result);

/* The next step of a session once all its commands are answered. */
extern void fs_redis_advance_session(FsRedis *redis);

/* Gives up a connection that is silent, or that we can no longer serve. */
extern void fs_redis_check_session(FsRedis *redis);

#endif							/* FS_ONLINE_REDIS_SESSION_H */
