/*
 * redis_socket.h
 *		A non-blocking client socket: resolve, connect, send, receive.
 *
 * Nothing here blocks, throws, or knows the protocol.  Used by redis.c alone.
 *
 * Call order: init; { start; progress ... until OPEN; send, recv ...; close }
 * ...; free.
 */
#ifndef FS_ONLINE_REDIS_SOCKET_H
#define FS_ONLINE_REDIS_SOCKET_H

#include "postgres.h"

#include <sys/socket.h>

#define FS_REDIS_MAX_ADDRESSES 8
#define FS_REDIS_SOCKET_ERROR_SIZE 160

typedef enum FsRedisSocketState
{
	FS_REDIS_SOCKET_CLOSED,		/* -> RESOLVING, CONNECTING, OPEN */
	FS_REDIS_SOCKET_RESOLVING,	/* a thread asks the name service -> CONNECTING, OPEN, CLOSED */
	FS_REDIS_SOCKET_CONNECTING, /* -> OPEN, CLOSED */
	FS_REDIS_SOCKET_OPEN		/* -> CLOSED */
} FsRedisSocketState;

typedef struct FsRedisAddress
{
	struct sockaddr_storage addr;
	socklen_t	len;
} FsRedisAddress;

typedef struct FsRedisSocket
{
	/* Info */
	const char *host;			/* borrowed; NULL when 'path' is given */
	int			port;
	const char *path;			/* borrowed; of a unix socket */

	/* State */
	FsRedisSocketState state;
	pgsocket	fd;				/* PGINVALID_SOCKET unless CONNECTING or OPEN */
	struct FsRedisResolve *resolve; /* a question to the name service; outlives close() */
	int			naddresses;
	int			next_address;	/* those before it have been tried */
	FsRedisAddress addresses[FS_REDIS_MAX_ADDRESSES];
	char		error[FS_REDIS_SOCKET_ERROR_SIZE];	/* why the last call failed */
} FsRedisSocket;

/* 'host' or 'path' must outlive the socket. */
extern void fs_redis_socket_init(FsRedisSocket *sock, const char *host, int port, const char *path);

/*
 * Begins to connect: to the addresses not yet tried, else to all the host has.
 * False: it failed at once, and the socket is closed.
 */
extern bool fs_redis_socket_start(FsRedisSocket *sock);

/* Goes on while RESOLVING or CONNECTING.  False: it failed, and the socket is closed. */
extern bool fs_redis_socket_progress(FsRedisSocket *sock);

/* What to wait for while RESOLVING or CONNECTING. */
extern void fs_redis_socket_wait(const FsRedisSocket *sock, pgsocket *fd, int *events);

/* Bytes taken (0: none now), or -1: the connection is broken.  Only while OPEN. */
extern ssize_t fs_redis_socket_send(FsRedisSocket *sock, const char *data, size_t len);

/* Bytes read (0: none now), or -1: the peer closed or broke the connection.  Only while OPEN. */
extern ssize_t fs_redis_socket_recv(FsRedisSocket *sock, char *data, size_t size);

/* Closes the connection.  A question to the name service stays, to be used by the next start(). */
extern void fs_redis_socket_close(FsRedisSocket *sock);

/* Closes and lets go of everything. */
extern void fs_redis_socket_free(FsRedisSocket *sock);

#endif							/* FS_ONLINE_REDIS_SOCKET_H */
