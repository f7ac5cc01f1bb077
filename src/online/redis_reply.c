/*
 * redis_reply.c
 *		The bytes that Redis sends become replies.
 *
 * The parser is hiredis' reader, which is all that is used of hiredis; this is
 * the one file that includes it.  It is given functions of ours that fill the
 * one FsRedisReply, so that no reply costs memory.
 */
#include "postgres.h"

#include <hiredis/hiredis.h>

#include "online/redis_reply.h"

#define MAX_UNPARSED (256 * 1024)	/* no reply to our commands is as long */

struct FsRedisReader
{
	redisReader *parser;
	FsRedisReply reply;
};

/* Which of our types a reply of hiredis is. */
static FsRedisReplyType
reply_type(int type)
{
	switch (type)
	{
		case REDIS_REPLY_INTEGER:
			return FS_REDIS_REPLY_INTEGER;
		case REDIS_REPLY_STRING:
		case REDIS_REPLY_STATUS:
			return FS_REDIS_REPLY_TEXT;
		case REDIS_REPLY_ERROR:
			return FS_REDIS_REPLY_ERROR;
		default:
			return FS_REDIS_REPLY_OTHER;
	}
}

/*
 * What all callbacks of the parser do.  Only the outermost object counts: what
 * an array holds is skipped.  Must not throw: hiredis is on the stack.
 */
static void *
fill_reply(const redisReadTask *task, const char *data, size_t len, int64 integer)
{
	FsRedisReply *reply = task->privdata;

	if (task->parent != NULL)
		return reply;
	reply->type = reply_type(task->type);
	reply->integer = integer;
	len = Min(len, FS_REDIS_REPLY_SIZE - 1);
	memcpy(reply->text, data, len);
	reply->text[len] = '\0';
	return reply;
}

static void *
create_string_cb(const redisReadTask *task, char *data, size_t len)
{
	return fill_reply(task, data, len, 0);
}

static void *
create_integer_cb(const redisReadTask *task, long long value)
{
	return fill_reply(task, "", 0, value);
}

/* hiredis 1.0 changed the type of the count. */
#if HIREDIS_MAJOR >= 1
static void *
create_array_cb(const redisReadTask *task, size_t count)
#else
static void *
create_array_cb(const redisReadTask *task, int count)
#endif
{
	return fill_reply(task, "", 0, 0);
}

static void *
create_nil_cb(const redisReadTask *task)
{
	return fill_reply(task, "", 0, 0);
}

/* The reply is part of the reader: there is nothing to free. */
static void
free_object_cb(void *object)
{
}

static redisReplyObjectFunctions parser_functions = {
	.createString = create_string_cb,
	.createArray = create_array_cb,
	.createInteger = create_integer_cb,
	.createNil = create_nil_cb,
	.freeObject = free_object_cb
};

/* See redis_reply.h. */
FsRedisReader *
fs_redis_reader_create(void)
{
	FsRedisReader *reader = calloc(1, sizeof(FsRedisReader));

	if (reader == NULL)
		return NULL;
	reader->parser = redisReaderCreateWithFunctions(&parser_functions);
	if (reader->parser == NULL)
	{
		free(reader);
		return NULL;
	}
	reader->parser->privdata = &reader->reply;
	return reader;
}

void
fs_redis_reader_free(FsRedisReader *reader)
{
	if (reader == NULL)
		return;
	redisReaderFree(reader->parser);
	free(reader);
}

bool
fs_redis_reader_feed(FsRedisReader *reader, const char *data, size_t len)
{
	redisReader *parser = reader->parser;

	if (parser->len - parser->pos + len > MAX_UNPARSED)
		return false;
	return redisReaderFeed(parser, data, len) == REDIS_OK;
}

/* See redis_reply.h. */
FsRedisReadStatus
fs_redis_reader_next(FsRedisReader *reader, const FsRedisReply **reply)
{
	void	   *object = NULL;

	if (redisReaderGetReply(reader->parser, &object) != REDIS_OK)
		return FS_REDIS_READ_BROKEN;
	if (object == NULL)
		return FS_REDIS_READ_MORE;
	if (object != &reader->reply)
		return FS_REDIS_READ_BROKEN;	/* a type of RESP3 */
	*reply = &reader->reply;
	return FS_REDIS_READ_REPLY;
}
