/*
 * redis_session.c
 *		The life of a connection to Redis: what it goes through, what ends it.
 *
 * A connection begins with a greeting (AUTH, SELECT, INFO), then claims the
 * fence and loads the scripts, then takes rows.  What Redis replies is weighed
 * in redis_answer.c.
 *
 * Whatever throws doubt on a connection (no answer in time, an answer nobody
 * waits for, Redis out of memory or read-only, scripts or fence gone) ends it:
 * a late answer can then never be taken for that of another command.  What was
 * under way is forgotten; since the next connection is a new incarnation, the
 * caller puts it again.  So there is one way to recover.
 *
 * Nothing here throws or blocks.
 */
#include "postgres.h"

#include <time.h>

#include "common/pg_prng.h"

#include "core/resp.h"
#include "ground/clock.h"
#include "ground/settings.h"
#include "online/redis_script.h"
#include "online/redis_session.h"

#define MIN_BACKOFF 100			/* ms */
#define MAX_BACKOFF 10000		/* ms */

/* Milliseconds of a clock that nobody sets: for time-outs and back-off. */
int64
fs_redis_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64) now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int
connect_timeout(const FsRedis *redis)
{
	int			own = redis->config->connect_timeout;

	return own > 0 ? own : fs_sink_timeout;
}

int
fs_redis_command_timeout(const FsRedis *redis)
{
	int			own = redis->config->command_timeout;

	return own > 0 ? own : fs_sink_timeout;
}

/* Is there a connection on which commands go? */
bool
fs_redis_is_talking(const FsRedis *redis)
{
	return redis->state == FS_REDIS_GREETING ||
		redis->state == FS_REDIS_CLAIMING ||
		redis->state == FS_REDIS_READY;
}

/*
 * Keeps a sentence for the user.  What the peer says in it becomes plain ASCII,
 * since it ends in views.
 */
void
fs_redis_set_error(FsRedis *redis, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	vsnprintf(redis->base.error, FS_ONLINE_ERROR_SIZE, fmt, args);
	va_end(args);
	for (char *p = redis->base.error; *p != '\0'; p++)
	{
		if ((unsigned char) *p < 0x20 || (unsigned char) *p > 0x7e)
			*p = '?';
	}
	redis->base.error_time = fs_clock_now();
}

/*
 * Closes the connection and forgets all that was under way on it.  The caller
 * sets the next state.
 */
static void
end_connection(FsRedis *redis)
{
	fs_redis_socket_close(&redis->sock);
	fs_redis_reader_free(redis->reader);
	redis->reader = NULL;
	redis->has_unparsed = false;
	if (redis->output.cap > FS_REDIS_MAX_IDLE_OUTPUT)
		fs_buffer_free(&redis->output);
	fs_buffer_reset(&redis->output);
	redis->sent = 0;
	redis->is_out_of_memory = redis->is_claiming = false;
	redis->first = redis->ncommands = 0;
	redis->base.connected = false;
}

/*
 * Gives up the connection, to come back after a back-off that doubles with each
 * failure and is blurred, so that many workers do not come back together.  The
 * caller has set the error.
 */
void
fs_redis_lose_connection(FsRedis *redis)
{
	int64		delay;

	Assert(redis->state != FS_REDIS_FENCED);
	end_connection(redis);
	delay = (int64) MIN_BACKOFF << Min(redis->failures, 10);
	delay = Min(delay, MAX_BACKOFF);
	delay -= (int64) (pg_prng_double(&pg_global_prng_state) * delay / 2);
	redis->failures++;
	redis->retry_at = fs_redis_now() + delay;
	redis->state = FS_REDIS_WAITING;
}

/* See redis_session.h. */
void
fs_redis_renew_connection(FsRedis *redis)
{
	bool		is_first = redis->failures == 0;

	fs_redis_lose_connection(redis);
	if (is_first)
		redis->retry_at = fs_redis_now();
}

/* See redis_session.h. */
void
fs_redis_become_fenced(FsRedis *redis, const char *text)
{
	fs_redis_set_error(redis, "another writer has taken over at Redis \"%s\": %s; own epoch is %s",
					   redis->address, text, redis->epoch);
	end_connection(redis);
	redis->base.fenced = true;
	redis->state = FS_REDIS_FENCED;
}

/* Remembers a command whose bytes are in the output. */
void
fs_redis_push_command(FsRedis *redis, FsRedisCommandKind kind, uint64 tag)
{
	FsRedisCommand *command;

	Assert(redis->ncommands < FS_REDIS_MAX_COMMANDS);
	if (redis->ncommands == 0)
		redis->last_progress = fs_redis_now();
	command = &redis->commands[(redis->first + redis->ncommands) % FS_REDIS_MAX_COMMANDS];
	redis->ncommands++;
	command->kind = kind;
	command->tag = tag;
}

/* See redis_session.h. */
FsRedisCommand
fs_redis_pop_command(FsRedis *redis)
{
	FsRedisCommand command = redis->commands[redis->first];

	Assert(redis->ncommands > 0);
	redis->first = (redis->first + 1) % FS_REDIS_MAX_COMMANDS;
	redis->ncommands--;
	return command;
}

FsRedisCommand *
fs_redis_oldest_command(FsRedis *redis)
{
	return redis->ncommands > 0 ? &redis->commands[redis->first] : NULL;
}

/* Appends a command of plain words; the list ends with NULL. */
static void
send_words(FsRedis *redis, FsRedisCommandKind kind, const char *const *words)
{
	int			n = 0;
	bool		ok;

	while (words[n] != NULL)
		n++;
	ok = fs_resp_array(&redis->output, n);
	for (int i = 0; i < n && ok; i++)
		ok = fs_resp_bulk_cstring(&redis->output, words[i]);
	redis->is_out_of_memory |= !ok;
	fs_redis_push_command(redis, kind, 0);
}

/*
 * Sends the first commands on a new connection: who we are, which database,
 * who is there.
 */
static void
send_greeting(FsRedis *redis)
{
	const FsRedisConfig *config = redis->config;
	const char *password = config->password ? config->password : "";
	char		database[16];

	if (config->username)
		send_words(redis, FS_REDIS_COMMAND_AUTH,
				   (const char *const[]) {"AUTH", config->username, password, NULL});
	else if (config->password)
		send_words(redis, FS_REDIS_COMMAND_AUTH,
				   (const char *const[]) {"AUTH", password, NULL});
	if (config->database != 0)
	{
		snprintf(database, sizeof(database), "%d", config->database);
		send_words(redis, FS_REDIS_COMMAND_SELECT,
				   (const char *const[]) {"SELECT", database, NULL});
	}
	send_words(redis, FS_REDIS_COMMAND_INFO_SERVER,
			   (const char *const[]) {"INFO", "server", NULL});
	send_words(redis, FS_REDIS_COMMAND_INFO_REPLICATION,
			   (const char *const[]) {"INFO", "replication", NULL});
	send_words(redis, FS_REDIS_COMMAND_SETNAME,
			   (const char *const[]) {"CLIENT", "SETNAME", "feature_stream", NULL});
	redis->state = FS_REDIS_GREETING;
}

/* Claims the fence, or looks whether it is still ours. */
static void
send_claim(FsRedis *redis)
{
	send_words(redis, FS_REDIS_COMMAND_CLAIM,
			   (const char *const[]) {"EVAL", FS_REDIS_SCRIPT_CLAIM, "1",
				redis->fence, redis->epoch, FS_REDIS_FENCE_LIFE, NULL});
	redis->last_claim = fs_redis_now();
	redis->is_claiming = true;
}

/* Is the fence to be looked at again?  Not behind a question that is not answered: bytes sent would hide the silence. */
static bool
is_claim_due(const FsRedis *redis)
{
	return redis->state == FS_REDIS_READY && !redis->is_claiming &&
		redis->ncommands < FS_REDIS_MAX_COMMANDS &&
		fs_redis_now() - redis->last_claim >= FS_REDIS_HEARTBEAT;
}

/* The server is one to write to: makes it ours. */
static void
send_preparation(FsRedis *redis)
{
	send_words(redis, FS_REDIS_COMMAND_LOAD_PUT,
			   (const char *const[]) {"SCRIPT", "LOAD", FS_REDIS_SCRIPT_PUT, NULL});
	send_words(redis, FS_REDIS_COMMAND_LOAD_DEL,
			   (const char *const[]) {"SCRIPT", "LOAD", FS_REDIS_SCRIPT_DEL, NULL});
	send_claim(redis);
	redis->state = FS_REDIS_CLAIMING;
}

/*
 * Fence and scripts are there: rows may come.  The store is known to be the one
 * we left only if it is the same run of the same server and still had our fence.
 */
static void
become_ready(FsRedis *redis)
{
	FsOnline   *online = &redis->base;

	Assert(redis->state == FS_REDIS_CLAIMING && redis->ncommands == 0);
	online->store_changed = redis->run_id[0] == '\0' ||
		strcmp(redis->run_id, redis->new_run_id) != 0 ||
		redis->is_fence_lost;
	strlcpy(redis->run_id, redis->new_run_id, sizeof(redis->run_id));
	redis->is_fence_lost = false;
	online->incarnation++;
	online->connected = true;
	redis->state = FS_REDIS_READY;
}

/* Begins to connect. */
void
fs_redis_begin_connection(FsRedis *redis)
{
	Assert(redis->state == FS_REDIS_WAITING && redis->ncommands == 0);
	redis->deadline = fs_redis_now() + connect_timeout(redis);
	redis->state = FS_REDIS_CONNECTING;
	redis->reader = fs_redis_reader_create();
	if (redis->reader == NULL)
		fs_redis_set_error(redis, "out of memory");
	else if (!fs_redis_socket_start(&redis->sock))
		fs_redis_set_error(redis, "could not connect to Redis at \"%s\": %s",
						   redis->address, redis->sock.error);
	else
		return;
	fs_redis_lose_connection(redis);
}

/* Goes on connecting; greets when connected. */
void
fs_redis_continue_connection(FsRedis *redis)
{
	FsRedisSocket *sock = &redis->sock;

	if (sock->state != FS_REDIS_SOCKET_OPEN && !fs_redis_socket_progress(sock))
	{
		fs_redis_set_error(redis, "could not connect to Redis at \"%s\": %s",
						   redis->address, sock->error);
		fs_redis_lose_connection(redis);
	}
	else if (sock->state == FS_REDIS_SOCKET_OPEN)
		send_greeting(redis);
	else if (fs_redis_now() >= redis->deadline)
	{
		fs_redis_set_error(redis, "could not connect to Redis at \"%s\": no answer%s for %d ms",
						   redis->address,
						   sock->state == FS_REDIS_SOCKET_RESOLVING ? " of the name service" : "",
						   connect_timeout(redis));
		fs_redis_lose_connection(redis);
	}
}

/* The heartbeat when it is due; the next step of a session once all its commands are answered. */
void
fs_redis_advance_session(FsRedis *redis)
{
	if (is_claim_due(redis))
		send_claim(redis);
	if (redis->ncommands > 0)
		return;
	if (redis->state == FS_REDIS_GREETING)
		send_preparation(redis);
	else if (redis->state == FS_REDIS_CLAIMING)
		become_ready(redis);
}

/* Gives up a connection that is silent, or that we can no longer serve. */
void
fs_redis_check_session(FsRedis *redis)
{
	if (redis->is_out_of_memory)
		fs_redis_set_error(redis, "out of memory");
	else if (redis->ncommands > 0 && !redis->has_unparsed &&
			 fs_redis_now() - redis->last_progress >= fs_redis_command_timeout(redis))
		fs_redis_set_error(redis, "no answer of Redis at \"%s\" for %d ms",
						   redis->address, fs_redis_command_timeout(redis));
	else
		return;
	fs_redis_lose_connection(redis);
}

