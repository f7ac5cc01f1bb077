/*
 * redis_answer.c
 *		What the replies of Redis mean for the connection and for rows.
 *
 * An error is about the server, and ends the connection, or about one row,
 * which the caller is told.  Replies come in the order of commands.
 *
 * Nothing here throws or blocks.
 */
#include "postgres.h"

#include "online/redis_session.h"

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
		fs_redis_become_fenced(redis, text);
	else if (has_code(text, "FENCELOST"))
	{
		fs_redis_set_error(redis, "Redis at \"%s\" has lost its data", redis->address);
		redis->is_fence_lost = true;
		fs_redis_renew_connection(redis);
	}
	else if (has_code(text, "NOSCRIPT"))
	{
		fs_redis_set_error(redis, "Redis at \"%s\" has lost its scripts", redis->address);
		fs_redis_renew_connection(redis);
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
	redis->is_claiming = false;
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
		fs_redis_renew_connection(redis);
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
	Assert(command.kind == FS_REDIS_COMMAND_PUT || command.kind == FS_REDIS_COMMAND_DEL);
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
