/*
 * redis_fetch.h
 *		Reading single rows back from Redis, for verification.
 *
 * A connection of its own, held by a user's backend while it verifies: it waits
 * for answers, interruptibly and no longer than the server's time-outs.  Throws
 * when the peer fails; the socket closes with the memory context.
 */
#ifndef FS_ONLINE_REDIS_FETCH_H
#define FS_ONLINE_REDIS_FETCH_H

#include "postgres.h"

typedef struct FsRedisFetch FsRedisFetch;

/* One field of a hash; both texts are palloc'd and end with NUL. */
typedef struct FsRedisPair
{
	char	   *field;
	char	   *value;
	uint32		value_len;
} FsRedisPair;

/*
 * Connects to the server with the user mapping of 'user', in the current memory
 * context.  The caller is in a transaction.
 */
extern FsRedisFetch *fs_redis_fetch_open(Oid server, Oid user);

/* All fields of the hash at 'key', in the current memory context; 0 of them when there is none. */
extern FsRedisPair *fs_redis_fetch_hash(FsRedisFetch *fetch, const char *key, uint32 key_len, int *npairs);

#endif							/* FS_ONLINE_REDIS_FETCH_H */
