/*
 * http.h
 *		One HTTP request at a time, without ever waiting for the peer.
 *
 * For asking schema registries: GET alone, with the registry's credentials, to
 * addresses below its own.  Never called in a transaction.
 */
#ifndef FS_SOURCE_HTTP_H
#define FS_SOURCE_HTTP_H

#include "postgres.h"

#include "catalog/registry_options.h"

#define FS_HTTP_MAX_SOCKETS	8
#define FS_HTTP_MAX_BODY	(4 * 1024 * 1024)
#define FS_HTTP_ERROR_SIZE	160

typedef struct FsHttp FsHttp;

typedef struct FsHttpAnswer
{
	int			status;			/* 0: there is no answer, 'error' says why */
	const char *body;			/* valid until the next request; NULL when there is none */
	size_t		len;
	char		error[FS_HTTP_ERROR_SIZE];	/* words that follow "the registry "; no secret in them */
} FsHttpAnswer;

/* A descriptor to wait for. */
typedef struct FsHttpSocket
{
	pgsocket	fd;
	int			events;			/* WL_SOCKET_... */
} FsHttpSocket;

/*
 * Makes a client, in the current memory context; 'config' must outlive it.
 * Throws when there are no resources.  fs_http_close() lets go of what the
 * context does not hold, waits for nobody and may be called in an exit callback.
 */
extern FsHttp *fs_http_open(const FsRegistryConfig *config);
extern void fs_http_close(FsHttp *http);

/* Begins to ask for the path (with its leading slash, escaped).  No request is under way.  Throws nothing. */
extern void fs_http_get(FsHttp *http, const char *path);

/* Carries on; the answer to the request, once, or NULL while it is under way. */
extern const FsHttpAnswer *fs_http_drive(FsHttp *http);

/*
 * What the request under way waits for: descriptors (their number is returned, at
 * most FS_HTTP_MAX_SOCKETS) and *timeout in ms, which is only ever lowered.
 */
extern int	fs_http_wait(FsHttp *http, FsHttpSocket *sockets, long *timeout);

#endif							/* FS_SOURCE_HTTP_H */
