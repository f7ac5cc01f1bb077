/*
 * online.h
 *		The online store behind one small table of operations.
 *
 * One FsOnline per (stream, online server): it holds the connection and the
 * pipeline of commands not yet acknowledged.  It never blocks, never throws for
 * what the peer does and never runs inside a transaction wait: service() does
 * what the socket allows and returns.
 *
 * Call order: open; { service; put, put, ... ; service } ...; close.
 */
#ifndef FS_ONLINE_ONLINE_H
#define FS_ONLINE_ONLINE_H

#include "postgres.h"

#include "core/value.h"

#define FS_ONLINE_ERROR_SIZE 256

/* One field of a row as it is stored online: text, or not there when 'value' is NULL. */
typedef struct FsOnlineField
{
	const char *name;
	uint32		name_len;
	const char *value;			/* NULL: SQL NULL, the field is left out */
	uint32		value_len;
} FsOnlineField;

/* What becomes of one write, told in order of put(). */
typedef struct FsOnlineResult
{
	uint64		tag;			/* as given to put() */
	bool		acknowledged;	/* false: the store refused this command; 'error' of the FsOnline says why */
} FsOnlineResult;

typedef struct FsOnline
{
	const struct FsOnlineOps *ops;
	bool		connected;		/* ready for put() */
	bool		fenced;			/* a newer writer holds the fence: nothing is written any more */
	uint64		incarnation;	/* goes up each time the store may have lost writes: new connection, or another run_id.  All rows put before are to be put again; no result of theirs comes any more */
	bool		store_changed;	/* run_id differs from the last connection's */
	char		error[FS_ONLINE_ERROR_SIZE];
	FsTime		error_time;
} FsOnline;

typedef struct FsOnlineOps
{
	const char *name;

	/*
	 * 'server' is the foreign server, 'user' whose user mapping holds the
	 * secrets.  'fence_key' names the stream within the cluster; 'epoch' orders
	 * its writers: a writer with a lower epoch than the stored one is refused.
	 * May throw only for a broken definition.
	 */
	FsOnline   *(*open) (Oid server, Oid user, const char *fence_key, uint64 epoch);

	/*
	 * May one more put() or del() come now?  False: come back after service().
	 * A row given without room is forgotten; it has no result.
	 */
	bool		(*has_room) (FsOnline *online);

	/*
	 * Queues one row: replaces the whole value at 'key', unless the store has a
	 * newer window end there.  Expires after 'ttl_ms' (> 0).  'window_end' is
	 * in seconds since the Unix epoch, rendered as the field window_end by the
	 * caller as well.
	 */
	void		(*put) (FsOnline *online, const char *key, uint32 key_len, const char *window_end,
						const FsOnlineField *fields, int nfields, int64 ttl_ms, uint64 tag);

	/* Queues the deletion of 'key', unless the store has a newer window end there. */
	void		(*del) (FsOnline *online, const char *key, uint32 key_len, const char *window_end, uint64 tag);

	/*
	 * Connects, writes, reads replies as far as possible without blocking;
	 * drops the connection after feature_stream.sink_timeout without an answer
	 * and reconnects with back-off.  Returns the number of results put into
	 * 'results' (at most 'max').
	 */
	int			(*service) (FsOnline *online, FsOnlineResult *results, int max);

	/* The socket and the events (WL_SOCKET_*) to wait for; false when there is no socket. */
	bool		(*wait) (FsOnline *online, pgsocket *sock, int *events);

	/* Milliseconds until service() wants to be called even without an event; -1 never. */
	long		(*timeout) (FsOnline *online);

	void		(*close) (FsOnline *online);
} FsOnlineOps;

extern const FsOnlineOps fs_online_redis_ops;

#endif							/* FS_ONLINE_ONLINE_H */
