/*
 * redis.c
 *		The online store in Redis: operations.
 *
 * The socket is ours and non-blocking (redis_socket.c), commands are encoded by
 * hand (core/resp.h), replies are parsed by hiredis (redis_reply.c), and each
 * row is one call of a script (redis_script.h), pipelined, answered in order.
 * What a connection goes through and what ends it is in redis_session.c and
 * redis_answer.c.
 *
 * Nothing here throws once open() has returned, and nothing blocks.  Owned by
 * the one ingest worker that opened it.
 */
#include "postgres.h"

#include "storage/latch.h"
#include "utils/memutils.h"

#include "core/resp.h"
#include "online/redis_session.h"

#define MAX_UNSENT (1024 * 1024)	/* bytes */
#define MAX_ROW (256 * 1024 * 1024)	/* bytes; Redis ends connections at 512 MB */
#define FENCE_PREFIX "feature_stream:fence:"

StaticAssertDecl(offsetof(FsRedis, base) == 0, "an FsOnline heads an FsRedis");

static size_t
unsent_bytes(const FsRedis *redis)
{
	return redis->output.len - redis->sent;
}

/* ---- Bytes ---- */

/*
 * Sends as much as the socket takes.  False: it takes no more for ever; what the
 * peer said last may still be there to be read.
 */
static bool
send_output(FsRedis *redis)
{
	while (unsent_bytes(redis) > 0)
	{
		ssize_t		n = fs_redis_socket_send(&redis->sock, redis->output.data + redis->sent,
											 unsent_bytes(redis));

		if (n < 0)
			return false;
		if (n == 0)
			break;
		redis->sent += n;
		redis->last_progress = fs_redis_now();
	}
	if (redis->sent > redis->output.len / 2)
	{
		memmove(redis->output.data, redis->output.data + redis->sent, unsent_bytes(redis));
		redis->output.len -= redis->sent;
		redis->sent = 0;
		if (redis->output.len == 0 && redis->output.cap > FS_REDIS_MAX_IDLE_OUTPUT)
			fs_buffer_free(&redis->output);
	}
	return true;
}

/*
 * Parses what has been read, until it ends, the connection does, or 'results'
 * are full.  Returns the number of results.
 */
static int
parse_replies(FsRedis *redis, FsOnlineResult *results, int max)
{
	int			n = 0;

	redis->has_unparsed = false;
	while (fs_redis_is_talking(redis))
	{
		FsRedisCommand *oldest = fs_redis_oldest_command(redis);
		const FsRedisReply *reply;
		FsRedisReadStatus status;

		if (n >= max)
		{
			redis->has_unparsed = true;
			break;
		}
		if (oldest && oldest->kind == FS_REDIS_COMMAND_REFUSED)
		{
			results[n].tag = fs_redis_pop_command(redis).tag;
			results[n++].acknowledged = false;
			continue;
		}
		status = fs_redis_reader_next(redis->reader, &reply);
		if (status == FS_REDIS_READ_MORE)
			break;
		if (status == FS_REDIS_READ_BROKEN)
		{
			fs_redis_set_error(redis, "what \"%s\" sends is not Redis' protocol", redis->address);
			fs_redis_lose_connection(redis);
		}
		else if (fs_redis_handle_reply(redis, reply, &results[n]))
			n++;
	}
	return n;
}

/*
 * Reads what the socket has, and parses it.  Returns the number of results.
 * Bounded: no more replies can come than there are commands.
 */
static int
read_replies(FsRedis *redis, FsOnlineResult *results, int max)
{
	int			n = parse_replies(redis, results, max);

	while (fs_redis_is_talking(redis) && !redis->has_unparsed)
	{
		ssize_t		got = fs_redis_socket_recv(&redis->sock, redis->input, FS_REDIS_READ_SIZE);

		if (got == 0)
			break;
		if (got < 0)
		{
			fs_redis_set_error(redis, "lost the connection to Redis at \"%s\": %s",
							   redis->address, redis->sock.error);
			fs_redis_lose_connection(redis);
		}
		else if (!fs_redis_reader_feed(redis->reader, redis->input, got))
		{
			fs_redis_set_error(redis, "what \"%s\" sends is no reply to any command", redis->address);
			fs_redis_lose_connection(redis);
		}
		else
			n += parse_replies(redis, results + n, max - n);
	}
	return n;
}

/* ---- Operations; contracts in online.h ---- */

/* The end of the context: gives back what is not palloc'd. */
static void
release_resources(void *arg)
{
	FsRedis    *redis = arg;

	fs_redis_socket_free(&redis->sock);
	fs_redis_reader_free(redis->reader);
	fs_buffer_free(&redis->output);
}

/* Reads the definition into 'redis', all in the current memory context. */
static void
load_definition(FsRedis *redis, Oid server, Oid user, const char *fence_key, uint64 epoch)
{
	FsRedisConfig *config = fs_redis_config_load(server, user);

	redis->config = config;
	redis->address = config->unix_socket ? config->unix_socket :
		psprintf("%s:%d", config->host, config->port);
	redis->fence = psprintf(FENCE_PREFIX "%s", fence_key);
	redis->fence_len = strlen(redis->fence);
	redis->epoch_len = snprintf(redis->epoch, sizeof(redis->epoch), UINT64_FORMAT, epoch);
	fs_redis_socket_init(&redis->sock, config->host, config->port, config->unix_socket);
}

/*
 * The object has a context of its own, which hangs on the caller's until
 * nothing can fail any more.
 */
static FsOnline *
redis_open(Oid server, Oid user, const char *fence_key, uint64 epoch)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "feature_stream redis",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	FsRedis    *redis = palloc0(sizeof(FsRedis));

	redis->base.ops = &fs_online_redis_ops;
	redis->context = context;
	redis->state = FS_REDIS_WAITING;
	redis->retry_at = fs_redis_now();
	load_definition(redis, server, user, fence_key, epoch);
	redis->callback.func = release_resources;
	redis->callback.arg = redis;
	MemoryContextRegisterResetCallback(context, &redis->callback);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, TopMemoryContext);
	return &redis->base;
}

static bool
redis_has_room(FsOnline *online)
{
	FsRedis    *redis = (FsRedis *) online;

	return redis->state == FS_REDIS_READY && !redis->is_out_of_memory &&
		redis->ncommands < FS_REDIS_MAX_COMMANDS && unsent_bytes(redis) < MAX_UNSENT;
}

/*
 * Appends what both scripts take first: EVALSHA sha 2 key fence epoch window_end.
 * 'nwords' more words follow.
 */
static bool
append_row(FsRedis *redis, const char *sha, const char *key, uint32 key_len,
		   const char *window_end, int nwords)
{
	FsBuffer   *out = &redis->output;

	return fs_resp_array(out, 7 + nwords) &&
		fs_resp_bulk(out, "EVALSHA", 7) &&
		fs_resp_bulk(out, sha, FS_REDIS_SHA_SIZE - 1) &&
		fs_resp_bulk(out, "2", 1) &&
		fs_resp_bulk(out, key, key_len) &&
		fs_resp_bulk(out, redis->fence, redis->fence_len) &&
		fs_resp_bulk(out, redis->epoch, redis->epoch_len) &&
		fs_resp_bulk_cstring(out, window_end);
}

/* Appends the fields that are there. */
static bool
append_fields(FsBuffer *out, const FsOnlineField *fields, int nfields)
{
	for (int i = 0; i < nfields; i++)
	{
		if (fields[i].value == NULL)
			continue;
		if (!fs_resp_bulk(out, fields[i].name, fields[i].name_len) ||
			!fs_resp_bulk(out, fields[i].value, fields[i].value_len))
			return false;
	}
	return true;
}

/*
 * Remembers a row of which 'ok' tells whether all its bytes, from 'begin' on,
 * are in the output.
 */
static void
finish_row(FsRedis *redis, FsRedisCommandKind kind, bool ok, size_t begin, uint64 tag)
{
	if (!ok)
	{
		redis->output.len = begin;
		redis->is_out_of_memory = true;
		return;
	}
	fs_redis_push_command(redis, kind, tag);
}

/*
 * A row put without a connection is forgotten, as one that was under way when
 * the connection ended: the next incarnation is to put it again.
 */
static void
redis_put(FsOnline *online, const char *key, uint32 key_len, const char *window_end,
		  const FsOnlineField *fields, int nfields, int64 ttl_ms, uint64 tag)
{
	FsRedis    *redis = (FsRedis *) online;
	size_t		begin = redis->output.len;
	uint64		size = key_len;
	int			npresent = 0;
	bool		ok;

	Assert(ttl_ms > 0 && nfields > 0);
	if (redis->state != FS_REDIS_READY || redis->is_out_of_memory)
		return;
	Assert(redis_has_room(online));
	for (int i = 0; i < nfields; i++)
	{
		if (fields[i].value == NULL)
			continue;
		npresent++;
		size += (uint64) fields[i].name_len + fields[i].value_len;
	}
	if (size > MAX_ROW || npresent == 0)
	{
		fs_redis_set_error(redis, "a row of " UINT64_FORMAT " bytes in %d fields cannot be stored in Redis",
						   size, npresent);
		fs_redis_push_command(redis, FS_REDIS_COMMAND_REFUSED, tag);
		return;
	}
	ok = append_row(redis, redis->put_sha, key, key_len, window_end, 1 + 2 * npresent) &&
		fs_resp_bulk_int(&redis->output, ttl_ms) &&
		append_fields(&redis->output, fields, nfields);
	finish_row(redis, FS_REDIS_COMMAND_PUT, ok, begin, tag);
}

/*
 * See online.h: deletes the key, if it is not newer than 'window_end'.  Without
 * a session nothing is done; the caller resyncs then.
 */
static void
redis_del(FsOnline *online, const char *key, uint32 key_len, const char *window_end,
		  uint64 tag)
{
	FsRedis    *redis = (FsRedis *) online;
	size_t		begin = redis->output.len;
	bool		ok;

	if (redis->state != FS_REDIS_READY || redis->is_out_of_memory)
		return;
	Assert(redis_has_room(online));
	ok = append_row(redis, redis->del_sha, key, key_len, window_end, 0);
	finish_row(redis, FS_REDIS_COMMAND_DEL, ok, begin, tag);
}

/* See online.h.  Replies are read even when sending failed: what came before the loss counts. */
static int
redis_service(FsOnline *online, FsOnlineResult *results, int max)
{
	FsRedis    *redis = (FsRedis *) online;
	bool		is_sent = true;
	int			n = 0;

	Assert(max > 0);
	if (redis->state == FS_REDIS_WAITING && fs_redis_now() >= redis->retry_at)
		fs_redis_begin_connection(redis);
	if (redis->state == FS_REDIS_CONNECTING)
		fs_redis_continue_connection(redis);
	if (fs_redis_is_talking(redis) && !redis->is_out_of_memory)
		is_sent = send_output(redis);
	if (fs_redis_is_talking(redis))
		n = read_replies(redis, results, max);
	if (fs_redis_is_talking(redis) && !is_sent)
	{
		fs_redis_set_error(redis, "could not send to Redis at \"%s\": connection lost",
						   redis->address);
		fs_redis_lose_connection(redis);
	}
	if (fs_redis_is_talking(redis))
		fs_redis_advance_session(redis);
	if (fs_redis_is_talking(redis))
		fs_redis_check_session(redis);
	return n;
}

/*
 * What fs_redis_advance_session() has appended is sent by the next service(): a socket
 * that takes bytes is waited for.
 */
static bool
redis_wait(FsOnline *online, pgsocket *sock, int *events)
{
	FsRedis    *redis = (FsRedis *) online;

	if (redis->state == FS_REDIS_CONNECTING && redis->sock.state != FS_REDIS_SOCKET_OPEN)
	{
		fs_redis_socket_wait(&redis->sock, sock, events);
		return true;
	}
	if (redis->sock.state != FS_REDIS_SOCKET_OPEN)
		return false;
	*sock = redis->sock.fd;
	*events = WL_SOCKET_READABLE;
	if (unsent_bytes(redis) > 0)
		*events |= WL_SOCKET_WRITEABLE;
	return true;
}

/* See online.h.  Who has been fenced off waits for nothing. */
static long
redis_timeout(FsOnline *online)
{
	FsRedis    *redis = (FsRedis *) online;
	FsRedisCommand *oldest = fs_redis_oldest_command(redis);
	int64		due;

	if (redis->state == FS_REDIS_FENCED)
		return -1;
	if (redis->has_unparsed || redis->is_out_of_memory ||
		(oldest && oldest->kind == FS_REDIS_COMMAND_REFUSED))
		return 0;
	if (redis->state == FS_REDIS_WAITING)
		due = redis->retry_at;
	else if (redis->state == FS_REDIS_CONNECTING)
		due = redis->deadline;
	else if (oldest)
		due = redis->last_progress + fs_redis_command_timeout(redis);
	else
		due = redis->last_claim + FS_REDIS_HEARTBEAT;
	return (long) Max(due - fs_redis_now(), 0);
}

static void
redis_close(FsOnline *online)
{
	MemoryContextDelete(((FsRedis *) online)->context);
}

const FsOnlineOps fs_online_redis_ops = {
	.name = "redis",
	.open = redis_open,
	.has_room = redis_has_room,
	.put = redis_put,
	.del = redis_del,
	.service = redis_service,
	.wait = redis_wait,
	.timeout = redis_timeout,
	.close = redis_close
};
