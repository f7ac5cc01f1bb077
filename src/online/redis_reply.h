/*
 * redis_reply.h
 *		The bytes that Redis sends become replies.
 *
 * Memory is malloc's, so that nothing here throws.  Used by redis.c alone.
 */
#ifndef FS_ONLINE_REDIS_REPLY_H
#define FS_ONLINE_REDIS_REPLY_H

#include "postgres.h"

#define FS_REDIS_REPLY_SIZE 8192

typedef enum FsRedisReplyType
{
	FS_REDIS_REPLY_INTEGER,
	FS_REDIS_REPLY_TEXT,		/* a status or a string */
	FS_REDIS_REPLY_ERROR,		/* 'text' is what Redis says */
	FS_REDIS_REPLY_OTHER		/* nil or an array: nothing we ask for */
} FsRedisReplyType;

/* Texts are cut at FS_REDIS_REPLY_SIZE, and always end with NUL. */
typedef struct FsRedisReply
{
	FsRedisReplyType type;
	int64		integer;
	char		text[FS_REDIS_REPLY_SIZE];
} FsRedisReply;

typedef struct FsRedisReader FsRedisReader;

/* NULL: memory is out. */
extern FsRedisReader *fs_redis_reader_create(void);
extern void fs_redis_reader_free(FsRedisReader *reader);

/* Adds bytes of the peer.  False: memory is out, or this is no reply to any command of ours. */
extern bool fs_redis_reader_feed(FsRedisReader *reader, const char *data, size_t len);

typedef enum FsRedisReadStatus
{
	FS_REDIS_READ_REPLY,
	FS_REDIS_READ_MORE,			/* needs more bytes */
	FS_REDIS_READ_BROKEN		/* this is not RESP2, or memory is out */
} FsRedisReadStatus;

/* Parses the next reply; *reply is valid until the next call. */
extern FsRedisReadStatus fs_redis_reader_next(FsRedisReader *reader, const FsRedisReply **reply);

#endif							/* FS_ONLINE_REDIS_REPLY_H */
