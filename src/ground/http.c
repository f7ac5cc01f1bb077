/*
 * http.c
 *		One HTTP request at a time, without ever waiting for the peer.
 *
 * The only file that knows libcurl: its multi interface, driven by sockets and
 * timers that the worker's loop waits for.  Names are resolved in a thread of
 * libcurl's, which is made with all signals blocked, and which nothing of ours
 * ever waits for.
 *
 * Callbacks only copy into plain memory: nothing may throw through libcurl.
 *
 * A peer's address is the administrator's, but what a name resolves to, and
 * what an answer says, is not: no redirects, no proxies, no address of the local
 * link (where clouds keep credentials) unless the server's options allow it, and
 * bounds on size and time.
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <signal.h>
#include <sys/socket.h>

#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

#include "ground/http.h"

#define MAX_HEADERS		65536	/* bytes of all headers of an answer */
#define MAX_CONNECT_MS	5000
#define SLOWEST_BODY	64		/* bytes a ms: how much longer a request with a body may take */

struct FsHttp
{
	const FsHttpConfig *config;
	CURLM	   *multi;
	CURL	   *easy;			/* kept, with its connection, from request to request */
	struct curl_slist *headers; /* of the request */
	bool		is_reserved;	/* descriptors are accounted for */
	bool		is_busy;		/* a request is under way */
	bool		has_failed;		/* it could not even begin; 'result' says why */
	CURLcode	result;
	int			nsockets;
	FsHttpSocket sockets[FS_HTTP_MAX_SOCKETS];

	/* The request's body */
	FsHttpBody	read_body;
	void	   *read_arg;
	int64		read_offset;
	int64		read_len;

	/* The answer */
	char	   *body;			/* by malloc */
	size_t		len;
	size_t		room;
	size_t		header_bytes;
	char		etag[FS_HTTP_ETAG_SIZE];
	bool		is_too_long;
	bool		is_cut;			/* the body is what is too long */
	bool		is_link_local;	/* an address was refused */
	char		complaint[CURL_ERROR_SIZE]; /* libcurl's own words */
	FsHttpAnswer answer;
};

/* --- Callbacks: plain memory only --- */

/* Makes room for more of the body; false when that is too much. */
static bool
make_room(FsHttp *http, size_t more)
{
	size_t		room = Max(2 * http->room, http->len + more);
	char	   *body;

	http->is_cut = http->len + more > http->config->max_body;
	if (http->is_cut)
		return false;
	if (http->len + more <= http->room)
		return true;
	body = realloc(http->body, room);
	if (body == NULL)
		return false;
	http->body = body;
	http->room = room;
	return true;
}

/* Part of the body; a short count ends the request. */
static size_t
write_cb(char *data, size_t size, size_t n, void *arg)
{
	FsHttp	   *http = arg;

	if (!make_room(http, size * n))
	{
		http->is_too_long = true;
		return 0;
	}
	memcpy(http->body + http->len, data, size * n);
	http->len += size * n;
	return size * n;
}

/* libcurl wants the next part of the request's body. */
static size_t
read_cb(char *room, size_t size, size_t n, void *arg)
{
	FsHttp	   *http = arg;
	ssize_t		got;

	if (http->read_offset >= http->read_len)
		return 0;
	got = http->read_body(http->read_arg, http->read_offset, room,
						  Min((int64) (size * n), http->read_len - http->read_offset));
	if (got <= 0)
		return CURL_READFUNC_ABORT;
	http->read_offset += got;
	return got;
}

/* libcurl wants to send the body once more: the connection that it kept was closed. */
static int
seek_cb(void *arg, curl_off_t offset, int origin)
{
	FsHttp	   *http = arg;

	if (origin != SEEK_SET || offset < 0 || offset > http->read_len)
		return CURL_SEEKFUNC_CANTSEEK;
	http->read_offset = offset;
	return CURL_SEEKFUNC_OK;
}

/* Is it the header ETag?  Then that is kept: printable characters alone, as it goes into requests. */
static void
take_etag(FsHttp *http, const char *line, size_t len)
{
	static const char name[] = "etag:";
	size_t		at = sizeof(name) - 1;
	size_t		n = 0;

	if (len < at || pg_strncasecmp(line, name, at) != 0)
		return;
	while (at < len && line[at] == ' ')
		at++;
	while (at + n < len && line[at + n] > ' ' && line[at + n] < 0x7f)
		n++;
	if (n >= FS_HTTP_ETAG_SIZE)
		n = 0;
	memcpy(http->etag, line + at, n);
	http->etag[n] = '\0';
}

/* A header, of which one is wanted. */
static size_t
header_cb(char *data, size_t size, size_t n, void *arg)
{
	FsHttp	   *http = arg;

	take_etag(http, data, size * n);
	http->header_bytes += size * n;
	if (http->header_bytes <= MAX_HEADERS)
		return size * n;
	http->is_too_long = true;
	return 0;
}

/* Is this 169.254.0.0/16? */
static bool
is_link_local_v4(const unsigned char *b)
{
	return b[0] == 0xA9 && b[1] == 0xFE;
}

/*
 * Is this 169.254.0.0/16, fe80::/10, or the former inside of IPv6: mapped or
 * compatible (RFC 4291, 2.5.5), translated (RFC 6052, 2.1), 6to4 (RFC 3056, 2)?
 */
static bool
is_link_local(const struct sockaddr *address)
{
	const unsigned char *b;

	if (address->sa_family == AF_INET)
		return is_link_local_v4((const unsigned char *) &((const struct sockaddr_in *) address)->sin_addr);
	if (address->sa_family != AF_INET6)
		return false;
	b = ((const struct sockaddr_in6 *) address)->sin6_addr.s6_addr;
	return (b[0] == 0xFE && (b[1] & 0xC0) == 0x80) ||
		((memcmp(b, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0 ||
		  memcmp(b, "\0\0\0\0\0\0\0\0\0\0\0\0", 12) == 0 ||
		  memcmp(b, "\0\x64\xff\x9b\0\0\0\0\0\0\0\0", 12) == 0) && is_link_local_v4(b + 12)) ||
		(b[0] == 0x20 && b[1] == 0x02 && is_link_local_v4(b + 2));
}

/* Opens the socket to an address, after the name was resolved: that is what counts. */
static curl_socket_t
open_socket_cb(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	FsHttp	   *http = arg;

	if (address->family != AF_INET && address->family != AF_INET6)
		return CURL_SOCKET_BAD;
	if (!http->config->link_local && is_link_local(&address->addr))
	{
		http->is_link_local = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* libcurl says what to wait for at a descriptor. */
static int
socket_cb(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
	FsHttp	   *http = arg;
	int			events = 0;
	int			at = 0;

	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		events |= WL_SOCKET_READABLE;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		events |= WL_SOCKET_WRITEABLE;
	while (at < http->nsockets && http->sockets[at].fd != fd)
		at++;
	if (at == FS_HTTP_MAX_SOCKETS)
		return 0;				/* it is looked at every 100 ms all the same */
	if (at == http->nsockets)
		http->nsockets++;
	http->sockets[at].fd = fd;
	http->sockets[at].events = events;
	if (what == CURL_POLL_REMOVE)
		http->sockets[at] = http->sockets[--http->nsockets];
	return 0;
}

/* --- The client --- */

/* Calls of libcurl that may make a thread are made between these. */
static void
block_signals(sigset_t *saved)
{
	sigset_t	all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, saved);
}

static void
restore_signals(const sigset_t *saved)
{
	pthread_sigmask(SIG_SETMASK, saved, NULL);
}

/* Options about whom to trust, and who we are. */
static CURLcode
set_credentials(FsHttp *http)
{
	CURL	   *easy = http->easy;
	const FsHttpConfig *config = http->config;
	CURLcode	failed = CURLE_OK;

	failed |= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->complaint);
	failed |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	failed |= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	failed |= curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	if (config->ca != NULL)
	{
		struct curl_blob blob = {unconstify(char *, config->ca), strlen(config->ca), CURL_BLOB_COPY};

		failed |= curl_easy_setopt(easy, CURLOPT_CAINFO_BLOB, &blob);
		failed |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	if (config->username != NULL || config->password != NULL)
	{
		failed |= curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC);
		failed |= curl_easy_setopt(easy, CURLOPT_USERNAME, config->username != NULL ? config->username : "");
		failed |= curl_easy_setopt(easy, CURLOPT_PASSWORD, config->password != NULL ? config->password : "");
	}
	return failed;
}

/* Options about where requests may go. */
static CURLcode
set_bounds(FsHttp *http)
{
	CURL	   *easy = http->easy;
	CURLcode	failed = CURLE_OK;

#if LIBCURL_VERSION_NUM >= 0x075500
	failed |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	failed |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long) (CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
	failed |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);	/* no waiting for its resolver thread */
#endif
	failed |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	failed |= curl_easy_setopt(easy, CURLOPT_PROXY, "");
	failed |= curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	failed |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	failed |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	failed |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long) Min(http->config->timeout, MAX_CONNECT_MS));
	failed |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket_cb);
	failed |= curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, http);
	failed |= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, write_cb);
	failed |= curl_easy_setopt(easy, CURLOPT_WRITEDATA, http);
	failed |= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, header_cb);
	failed |= curl_easy_setopt(easy, CURLOPT_HEADERDATA, http);
	failed |= curl_easy_setopt(easy, CURLOPT_READFUNCTION, read_cb);
	failed |= curl_easy_setopt(easy, CURLOPT_READDATA, http);
	failed |= curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, seek_cb);
	failed |= curl_easy_setopt(easy, CURLOPT_SEEKDATA, http);
	failed |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "feature_stream");
	return failed;
}

/* Makes libcurl's handles; false when it refuses. */
static bool
make_handles(FsHttp *http)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return false;
	http->multi = curl_multi_init();
	http->easy = curl_easy_init();
	return http->multi != NULL && http->easy != NULL &&
		curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, socket_cb) == CURLM_OK &&
		curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http) == CURLM_OK &&
		curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, 1L) == CURLM_OK &&
		set_credentials(http) == CURLE_OK && set_bounds(http) == CURLE_OK;
}

/* See http.h. */
FsHttp *
fs_http_open(const FsHttpConfig *config)
{
	FsHttp	   *http = palloc0(sizeof(FsHttp));
	sigset_t	saved;
	bool		is_made;

	http->config = config;
	block_signals(&saved);
	is_made = make_handles(http);
	restore_signals(&saved);
	if (!is_made)
	{
		fs_http_close(http);
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("could not set up the client of %s \"%s\"", config->what, config->url)));
	}
	ReserveExternalFD();
	http->is_reserved = true;
	return http;
}

/* Takes the request out that is under way, if there is one, with its connection. */
static void
give_up(FsHttp *http)
{
	sigset_t	saved;

	block_signals(&saved);
	if (http->is_busy && !http->has_failed)
		curl_multi_remove_handle(http->multi, http->easy);
	restore_signals(&saved);
	http->is_busy = false;
}

/* See http.h. */
void
fs_http_close(FsHttp *http)
{
	give_up(http);
	curl_easy_cleanup(http->easy);
	curl_multi_cleanup(http->multi);
	curl_slist_free_all(http->headers);
	free(http->body);
	if (http->is_reserved)
		ReleaseExternalFD();
	memset(http, 0, sizeof(FsHttp));
}

/* --- A request --- */

/* Replaces the headers of the request before; false when memory is out. */
static bool
set_headers(FsHttp *http, const FsHttpRequest *request)
{
	struct curl_slist *headers = NULL;

	curl_slist_free_all(http->headers);
	http->headers = NULL;
	for (int i = -1; i < request->nheaders; i++)
	{
		/* Without an "Expect" of libcurl's, for which many peers only make it wait. */
		headers = curl_slist_append(http->headers, i < 0 ? "Expect:" : request->headers[i]);
		if (headers == NULL)
			return false;
		http->headers = headers;
	}
	return true;
}

/* Tells libcurl of the request; it copies what it is told. */
static CURLcode
set_request(FsHttp *http, const FsHttpRequest *request)
{
	CURL	   *easy = http->easy;
	bool		has_body = request->body != NULL;
	char	   *url = psprintf("%s%s", http->config->url, request->path);
	long		timeout = http->config->timeout + (has_body ? request->body_len / SLOWEST_BODY : 0);
	CURLcode	failed = set_headers(http, request) ? CURLE_OK : CURLE_OUT_OF_MEMORY;

	failed |= curl_easy_setopt(easy, CURLOPT_URL, url);
	failed |= curl_easy_setopt(easy, CURLOPT_HTTPHEADER, http->headers);
	failed |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout);
	failed |= curl_easy_setopt(easy, CURLOPT_UPLOAD, has_body ? 1L : 0L);
	if (has_body)
		failed |= curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t) request->body_len);
	else
		failed |= curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
	failed |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	pfree(url);
	return failed == CURLE_OK ? CURLE_OK : CURLE_OUT_OF_MEMORY;
}

/* See http.h. */
void
fs_http_send(FsHttp *http, const FsHttpRequest *request)
{
	sigset_t	saved;

	Assert(request->path[0] == '/');
	give_up(http);
	http->len = 0;
	http->header_bytes = 0;
	http->etag[0] = '\0';
	http->is_too_long = http->is_cut = http->is_link_local = false;
	http->read_body = request->body;
	http->read_arg = request->body_arg;
	http->read_offset = 0;
	http->read_len = request->body != NULL ? request->body_len : 0;
	http->complaint[0] = '\0';
	http->result = set_request(http, request);
	http->is_busy = true;
	block_signals(&saved);
	if (http->result == CURLE_OK && curl_multi_add_handle(http->multi, http->easy) != CURLM_OK)
		http->result = CURLE_OUT_OF_MEMORY;
	restore_signals(&saved);
	http->has_failed = http->result != CURLE_OK;
}

/* See http.h. */
void
fs_http_get(FsHttp *http, const char *path)
{
	static const char *const headers[] = {"Accept: application/vnd.schemaregistry.v1+json, application/json"};
	const FsHttpRequest request = {.method = "GET", .path = path, .headers = headers, .nheaders = 1};

	fs_http_send(http, &request);
}

/* Has libcurl look at its sockets and timers; none of this waits. */
static void
act(FsHttp *http)
{
	FsHttpSocket sockets[FS_HTTP_MAX_SOCKETS];
	int			n = http->nsockets;
	int			running;
	sigset_t	saved;

	memcpy(sockets, http->sockets, sizeof(sockets));	/* libcurl changes ours meanwhile */
	block_signals(&saved);
	for (int i = 0; i < n; i++)
		(void) curl_multi_socket_action(http->multi, sockets[i].fd, 0, &running);
	(void) curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	restore_signals(&saved);
}

/* What is wrong with the peer's certificate, of which parts may be shown: whatever it holds, it is printable. */
static const char *
explain_distrust(FsHttp *http)
{
	for (char *c = http->complaint; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return http->complaint[0] != '\0' ? http->complaint : curl_easy_strerror(http->result);
}

/* Says why there is no answer. */
static void
explain_failure(FsHttp *http)
{
	if (http->is_too_long)
		strlcpy(http->answer.error, "answers at too great a length", FS_HTTP_ERROR_SIZE);
	else if (http->is_link_local)
		strlcpy(http->answer.error, "has a link-local address, which is not allowed", FS_HTTP_ERROR_SIZE);
	else if (http->result == CURLE_OPERATION_TIMEDOUT)
	{
		http->answer.is_late = true;
		strlcpy(http->answer.error, "does not answer in time", FS_HTTP_ERROR_SIZE);
	}
	else
		snprintf(http->answer.error, FS_HTTP_ERROR_SIZE, "cannot be asked: %s",
				 http->result == CURLE_PEER_FAILED_VERIFICATION ? explain_distrust(http) : curl_easy_strerror(http->result));
}

/* What can be told of an answer whose body was too long. */
static void
describe_cut(FsHttp *http)
{
	long		status = 0;
	size_t		at = 0;

	(void) curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
	while (at < http->len && strchr(" \t\r\n", http->body[at]) != NULL)
		at++;
	http->answer.cut_status = (int) status;
	http->answer.cut_first = at < http->len ? http->body[at] : '\0';
}

/* The request is over: makes its answer. */
static const FsHttpAnswer *
finish(FsHttp *http)
{
	long		status = 0;
	long		connects = 0;

	http->is_busy = false;
	memset(&http->answer, 0, sizeof(FsHttpAnswer));
	(void) curl_easy_getinfo(http->easy, CURLINFO_NUM_CONNECTS, &connects);
	http->answer.has_connected = connects > 0;
	if (http->result == CURLE_OK)
		(void) curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
	if (http->result != CURLE_OK || status <= 0)
	{
		explain_failure(http);
		if (http->is_cut)
			describe_cut(http);
	}
	else
	{
		http->answer.status = (int) status;
		http->answer.body = http->len > 0 ? http->body : NULL;
		http->answer.len = http->len;
		memcpy(http->answer.etag, http->etag, FS_HTTP_ETAG_SIZE);
	}
	return &http->answer;
}

/* See http.h. */
const FsHttpAnswer *
fs_http_drive(FsHttp *http)
{
	CURLMsg    *message;
	int			left;
	sigset_t	saved;

	if (!http->is_busy)
		return NULL;
	if (http->has_failed)
		return finish(http);
	act(http);
	while ((message = curl_multi_info_read(http->multi, &left)) != NULL)
	{
		if (message->msg != CURLMSG_DONE)
			continue;
		http->result = message->data.result;
		block_signals(&saved);
		curl_multi_remove_handle(http->multi, http->easy);
		restore_signals(&saved);
		return finish(http);
	}
	return NULL;
}

/* See http.h. */
int
fs_http_wait(FsHttp *http, FsHttpSocket *sockets, long *timeout)
{
	long		ms = -1;
	int			n = 0;

	if (!http->is_busy)
		return 0;
	if (http->has_failed || curl_multi_timeout(http->multi, &ms) != CURLM_OK)
		ms = 0;
	if (ms >= 0)
		*timeout = Min(*timeout, ms);
	for (int i = 0; i < http->nsockets; i++)
		if (http->sockets[i].events != 0)
			sockets[n++] = http->sockets[i];
	return n;
}

/* See http.h. */
void
fs_http_await(FsHttp *http)
{
	FsHttpSocket sockets[FS_HTTP_MAX_SOCKETS];
	long		timeout = 100;
	int			n = fs_http_wait(http, sockets, &timeout);
	WaitEventSet *set = CreateWaitEventSet(CurrentMemoryContext, n + 2);
	WaitEvent	event;

	AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (int i = 0; i < n; i++)
		AddWaitEventToSet(set, sockets[i].events, sockets[i].fd, NULL, NULL);
	(void) WaitEventSetWait(set, timeout, &event, 1, PG_WAIT_EXTENSION);
	FreeWaitEventSet(set);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}
