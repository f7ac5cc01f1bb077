/*
 * http.h
 *		One HTTP request at a time, without ever waiting for the peer.
 *
 * For schema registries and object stores: requests to addresses below one that
 * an administrator gave.  Never called in a transaction that has begun to do
 * anything, so that no lock and no snapshot is held while a peer thinks.
 */
#ifndef FS_GROUND_HTTP_H
#define FS_GROUND_HTTP_H

#include "postgres.h"

#define FS_HTTP_MAX_SOCKETS	8
#define FS_HTTP_ERROR_SIZE	160
#define FS_HTTP_ETAG_SIZE	128

/* Whom to ask, and how.  Strings may be NULL where it says so. */
typedef struct FsHttpConfig
{
	const char *what;			/* it is, for messages: "schema registry" */
	const char *url;			/* of the peer, without a slash at its end */
	const char *username;		/* NULL: none; of basic authentication */
	const char *password;		/* NULL: none */
	const char *ca;				/* PEM; NULL: those that the system trusts */
	int			timeout;		/* ms, of one request; more where it has a body */
	bool		link_local;		/* link-local addresses are allowed */
	size_t		max_body;		/* bytes of an answer */
} FsHttpConfig;

typedef struct FsHttp FsHttp;

/* Copies bytes of a request's body into 'room'; how many, or -1 when that fails.  Must not throw. */
typedef ssize_t (*FsHttpBody) (void *arg, int64 offset, char *room, size_t size);

typedef struct FsHttpRequest
{
	const char *method;			/* GET, PUT, POST, DELETE */
	const char *path;			/* behind the peer's address: with its leading slash, escaped */
	const char *const *headers; /* "Name: value" */
	int			nheaders;
	FsHttpBody	body;			/* NULL: there is none */
	void	   *body_arg;
	int64		body_len;
} FsHttpRequest;

typedef struct FsHttpAnswer
{
	int			status;			/* 0: there is no answer, 'error' says why */
	bool		is_late;		/* there is none, or not all of it, because time ran out */
	int			cut_status;		/* then, when its body was longer than max_body: its status; else 0 */
	char		cut_first;		/* what that body begins with, behind blanks; 0: it had nothing else */
	bool		has_connected;	/* for this request: it may have been sent over an older connection before, in vain or not */
	const char *body;			/* valid until the next request; NULL when there is none */
	size_t		len;
	char		etag[FS_HTTP_ETAG_SIZE];	/* the header ETag, as it is; empty: none, or one that is too long */
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
extern FsHttp *fs_http_open(const FsHttpConfig *config);
extern void fs_http_close(FsHttp *http);

/*
 * Begins a request; one that was under way, since an error kept its sender from
 * waiting, is given up.  What its body needs must be there until it is answered,
 * the rest is copied.  Throws nothing but for lack of memory.
 */
extern void fs_http_send(FsHttp *http, const FsHttpRequest *request);

/* The same for a GET that wants JSON. */
extern void fs_http_get(FsHttp *http, const char *path);

/* Carries on; the answer to the request, once, or NULL while it is under way. */
extern const FsHttpAnswer *fs_http_drive(FsHttp *http);

/*
 * What the request under way waits for: descriptors (their number is returned, at
 * most FS_HTTP_MAX_SOCKETS) and *timeout in ms, which is only ever lowered.
 */
extern int	fs_http_wait(FsHttp *http, FsHttpSocket *sockets, long *timeout);

/* Waits for the peer, the process's latch or a moment, then gives way to interrupts: throws when the process is cancelled. */
extern void fs_http_await(FsHttp *http);

#endif							/* FS_GROUND_HTTP_H */
