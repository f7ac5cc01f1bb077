/*
 * redis_session.c
 *		The life of a connection to Redis: what it goes through, what replies mean.
 *
 * A connection begins with a greeting (AUTH, SELECT, INFO), then claims the
 * fence and loads the scripts, then takes rows.
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

/*
 * First words of errors that are about the server and not about one row.  The
 * connection is given up, and all its rows are put again later.
 */
static const char *const server_errors[] = {
	"BUSY ", "CLUSTERDOWN ", "DENIED ", "LOADING ", "MASTERDOWN ", "MISCONF ",
	"MOVED ", "NOAUTH ", "NOREPLICAS ", "OOM ", "READONLY ", "TRYAGAIN ",
	"UNKILLABLE ", "ERR max number of clients", "ERR Protocol error",
	"ERR The user executing the script", NULL
};

static const char *const command_names[] = {
	[FS_REDIS_COMMAND_AUTH] = "AUTH",
	[FS_REDIS_COMMAND_SELECT] = "SELECT",
	[FS_REDIS_COMMAND_INFO_SERVER] = "INFO",
	[FS_REDIS_COMMAND_INFO_REPLICATION] = "INFO",
	[FS_REDIS_COMMAND_SETNAME] = "CLIENT SETNAME",
	[FS_REDIS_COMMAND_LOAD_PUT] = "SCRIPT LOAD",
	[FS_REDIS_COMMAND_LOAD_DEL] = "SCRIPT LOAD",
	[FS_REDIS_COMMAND_CLAIM] = "EVAL",
	[FS_REDIS_COMMAND_PUT] = "EVALSHA",
	[FS_REDIS_COMMAND_DEL] = "EVALSHA",
	[FS_REDIS_COMMAND_REFUSED] = ""
};

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
	redis->is_out_of_memory = false;
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

/*
 * Gives up a connection that is sound but for what the server lost, to come
 * back at once; but not over and over.
 */
static void
renew_connection(FsRedis *redis)
{
	bool		is_first = redis->failures == 0;

	fs_redis_lose_connection(redis);
	if (is_first)
		redis->retry_at = fs_redis_now();
}

/* Stops for good: a newer writer holds the fence. */
static void
become_fenced(FsRedis *redis, const char *text)
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
				redis->fence, redis->epoch, NULL});
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

/* ---- Replies ---- */

/*
 * Copies the value of a line "name:value" of INFO.  False: there is none.
 */
static bool
find_info(const char *info, const char *name, char *value, size_t size)
{
	size_t		name_len = strlen(name);

	for (const char *line = info; line != NULL; line = strchr(line, '\n'))
	{
		if (*line == '\n')
			line++;
		if (strncmp(line, name, name_len) == 0 && line[name_len] == ':')
		{
			const char *begin = line + name_len + 1;

			strlcpy(value, begin, Min(size, strcspn(begin, "\r\n") + 1));
			return true;
		}
	}
	return false;
}

/*
 * Reads INFO server.  False, with the error set: not a server we can write to.
 * A server that does not name its run is taken for another one each time.
 */
static bool
read_server_info(FsRedis *redis, const char *info)
{
	char		value[32];

	if (!find_info(info, "run_id", redis->new_run_id, FS_REDIS_RUN_ID_SIZE))
		snprintf(redis->new_run_id, FS_REDIS_RUN_ID_SIZE, "unnamed " UINT64_FORMAT,
				 redis->base.incarnation);
	if (find_info(info, "redis_version", value, sizeof(value)) && atoi(value) < 4)
	{
		fs_redis_set_error(redis, "Redis at \"%s\" has version %s, but 4.0 or later is needed",
						   redis->address, value);
		return false;
	}
	if (find_info(info, "redis_mode", value, sizeof(value)) &&
		strcmp(value, "cluster") == 0)
	{
		fs_redis_set_error(redis, "Redis at \"%s\" is a node of a Redis Cluster, which is not supported",
						   redis->address);
		return false;
	}
	return true;
}

/* Reads INFO replication.  False, with the error set: a replica. */
static bool
read_replication_info(FsRedis *redis, const char *info)
{
	char		value[32];

	if (!find_info(info, "role", value, sizeof(value)) || strcmp(value, "slave") != 0)
		return true;
	fs_redis_set_error(redis, "READONLY Redis at \"%s\" is a replica", redis->address);
	return false;
}

/* Does this error tell of the server and not of one row? */
static bool
is_server_error(const char *text)
{
	for (int i = 0; server_errors[i] != NULL; i++)
	{
		if (strncmp(text, server_errors[i], strlen(server_errors[i])) == 0)
			return true;
	}
	/* A key that may not be written is about a row, a command that may not run is not. */
	return strncmp(text, "NOPERM ", 7) == 0 && strstr(text, "permissions to run") != NULL;
}

/* Does the text begin with this word? */
static bool
has_code(const char *text, const char *code)
{
	size_t		len = strlen(code);

	return strncmp(text, code, len) == 0 && (text[len] == ' ' || text[len] == '\0');
}

/*
 * An error that ends the connection, whatever it was the answer to.  False: it
 * is not one of those.
 */
static bool
handle_server_error(FsRedis *redis, const char *text)
{
	if (has_code(text, "FENCED"))
		become_fenced(redis, text);
	else if (has_code(text, "FENCELOST"))
	{
		fs_redis_set_error(redis, "Redis at \"%s\" has lost its data", redis->address);
		redis->is_fence_lost = true;
		renew_connection(redis);
	}
	else if (has_code(text, "NOSCRIPT"))
	{
		fs_redis_set_error(redis, "Redis at \"%s\" has lost its scripts", redis->address);
		renew_connection(redis);
	}
	else if (is_server_error(text))
	{
		fs_redis_set_error(redis, "Redis at \"%s\": %s", redis->address, text);
		fs_redis_lose_connection(redis);
	}
	else
		return false;
	return true;
}

/*
 * A reply to anything but a row that is not what it should be.  Of what a
 * server says to AUTH only the first word is kept: some repeat the command.
 */
static void
refuse_reply(FsRedis *redis, FsRedisCommandKind kind, const FsRedisReply *reply)
{
	const char *text = "unexpected reply";
	int			len = strlen(text);

	if (reply->type == FS_REDIS_REPLY_ERROR)
	{
		text = reply->text;
		len = kind == FS_REDIS_COMMAND_AUTH ? strcspn(text, " ") : strlen(text);
	}
	fs_redis_set_error(redis, "Redis at \"%s\" refused %s: %.*s",
					   redis->address, command_names[kind], len, text);
	fs_redis_lose_connection(redis);
}

/*
 * The fence is ours.  A heartbeat that finds it was not has found an emptied
 * store: all rows are to be put again, as after a new connection.
 */
static void
handle_claim(FsRedis *redis, bool was_ours)
{
	if (redis->state != FS_REDIS_READY)
	{
		if (!was_ours && redis->run_id[0] != '\0')
			redis->is_fence_lost = true;
		return;
	}
	redis->failures = 0;
	if (!was_ours)
	{
		fs_redis_set_error(redis, "Redis at \"%s\" has lost its data", redis->address);
		redis->is_fence_lost = true;
		renew_connection(redis);
	}
}

/*
 * Handles the reply to a command of the greeting, the preparation, or the
 * heartbeat.  May end the connection.
 */
static void
handle_session_reply(FsRedis *redis, FsRedisCommandKind kind, const FsRedisReply *reply)
{
	bool		is_text = reply->type == FS_REDIS_REPLY_TEXT;
	bool		ok = is_text;

	if (kind == FS_REDIS_COMMAND_INFO_SERVER && is_text)
	{
		if (!read_server_info(redis, reply->text))
			fs_redis_lose_connection(redis);
	}
	else if (kind == FS_REDIS_COMMAND_INFO_REPLICATION && is_text)
	{
		if (!read_replication_info(redis, reply->text))
			fs_redis_lose_connection(redis);
	}
	else if (kind == FS_REDIS_COMMAND_SETNAME)
		ok = true;				/* a name is only for people */
	else if (kind == FS_REDIS_COMMAND_LOAD_PUT && is_text)
		strlcpy(redis->put_sha, reply->text, FS_REDIS_SHA_SIZE);
	else if (kind == FS_REDIS_COMMAND_LOAD_DEL && is_text)
		strlcpy(redis->del_sha, reply->text, FS_REDIS_SHA_SIZE);
	else if (kind == FS_REDIS_COMMAND_CLAIM)
	{
		ok = reply->type == FS_REDIS_REPLY_INTEGER;
		if (ok)
			handle_claim(redis, reply->integer != 0);
	}
	if (!ok)
		refuse_reply(redis, kind, reply);
}

/*
 * Handles the reply to a row.  0 (the store has a newer one) is as good as 1.
 * Only a row that was written shows that the server is well: deletions still
 * pass when its memory is out.
 */
static void
handle_row_reply(FsRedis *redis, FsRedisCommand command, const FsRedisReply *reply,
				 FsOnlineResult *result)
{
	result->tag = command.tag;
	result->acknowledged = reply->type == FS_REDIS_REPLY_INTEGER;
	if (!result->acknowledged)
		fs_redis_set_error(redis, "Redis at \"%s\" refused a row: %s", redis->address,
						   reply->type == FS_REDIS_REPLY_ERROR ? reply->text : "unexpected reply");
	else if (command.kind == FS_REDIS_COMMAND_PUT && reply->integer == 1)
		redis->failures = 0;
}

/*
 * Takes one reply to the command it belongs to.  True: it made a result.  May
 * end the connection.
 */
bool
fs_redis_handle_reply(FsRedis *redis, const FsRedisReply *reply, FsOnlineResult *result)
{
	FsRedisCommand command;

	redis->last_progress = fs_redis_now();
	if (reply->type == FS_REDIS_REPLY_ERROR && handle_server_error(redis, reply->text))
		return false;
	if (redis->ncommands == 0)
	{
		fs_redis_set_error(redis, "Redis at \"%s\" sent a reply that nobody waits for", redis->address);
		fs_redis_lose_connection(redis);
		return false;
	}
	command = fs_redis_pop_command(redis);
	if (command.kind == FS_REDIS_COMMAND_PUT || command.kind == FS_REDIS_COMMAND_DEL)
	{
		handle_row_reply(redis, command, reply, result);
		return true;
	}
	handle_session_reply(redis, command.kind, reply);
	return false;
}

/* The next step of a session once all its commands are answered. */
void
fs_redis_advance_session(FsRedis *redis)
{
	if (redis->ncommands > 0)
		return;
	if (redis->state == FS_REDIS_GREETING)
		send_preparation(redis);
	else if (redis->state == FS_REDIS_CLAIMING)
		become_ready(redis);
	else if (redis->state == FS_REDIS_READY &&
			 fs_redis_now() - redis->last_progress >= FS_REDIS_HEARTBEAT)
		send_claim(redis);
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

