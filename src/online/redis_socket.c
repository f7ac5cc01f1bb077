/*
 * redis_socket.c
 *		A non-blocking client socket: resolve, connect, send, receive.
 *
 * getaddrinfo() can block for as long as a name server likes, so a name is
 * looked up by a short-lived thread of its own.  Numeric addresses, 'localhost'
 * and unix sockets need no thread.  The thread runs with all signals blocked
 * and calls nothing of PostgreSQL; it and its starter share one FsRedisResolve,
 * freed by whoever is last to let go of it.  At most one is under way for a
 * socket, however long it takes.
 */
#include "postgres.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <unistd.h>

#include "storage/fd.h"
#include "storage/latch.h"

#include "online/redis_socket.h"

#define RESOLVE_STACK_SIZE (512 * 1024)

/*
 * A question to the name service.  The thread writes all but 'owners' and then
 * sets 'is_done'; the starter reads them only after it has seen that.
 */
typedef struct FsRedisResolve
{
	atomic_int	owners;			/* starter and thread; whoever takes it to 0 frees */
	atomic_bool is_done;
	int			wake_fd;		/* eventfd, readable when done */
	int			result;			/* of getaddrinfo() */
	int			naddresses;
	FsRedisAddress addresses[FS_REDIS_MAX_ADDRESSES];
	char		port[8];
	char		host[];
} FsRedisResolve;

/*
 * Asks for the addresses of a host, at most FS_REDIS_MAX_ADDRESSES.  Returns
 * getaddrinfo()'s code.  Runs in the thread, too: no PostgreSQL here.
 */
static int
lookup_addresses(const char *host, const char *port, int flags,
				 FsRedisAddress *addresses, int *naddresses)
{
	struct addrinfo hints;
	struct addrinfo *list = NULL;
	int			result;
	int			n = 0;

	memset(&hints, 0, sizeof(hints));
	hints.ai_family = AF_UNSPEC;
	hints.ai_socktype = SOCK_STREAM;
	hints.ai_flags = flags | AI_NUMERICSERV;
	result = getaddrinfo(host, port, &hints, &list);
	if (result == 0)
	{
		for (struct addrinfo *ai = list; ai && n < FS_REDIS_MAX_ADDRESSES; ai = ai->ai_next)
		{
			if (ai->ai_addrlen > sizeof(addresses[n].addr))
				continue;
			memcpy(&addresses[n].addr, ai->ai_addr, ai->ai_addrlen);
			addresses[n++].len = ai->ai_addrlen;
		}
		freeaddrinfo(list);
	}
	*naddresses = n;
	return result;
}

/* Lets go of a question; the last one frees it. */
static void
release_resolve(FsRedisResolve *resolve)
{
	if (atomic_fetch_sub(&resolve->owners, 1) == 1)
	{
		close(resolve->wake_fd);
		free(resolve);
	}
}

/* The thread: one question, no PostgreSQL. */
static void *
resolve_main(void *arg)
{
	FsRedisResolve *resolve = arg;
	uint64_t	one = 1;
	ssize_t		written;

	resolve->result = lookup_addresses(resolve->host, resolve->port, 0,
									   resolve->addresses, &resolve->naddresses);
	atomic_store(&resolve->is_done, true);
	written = write(resolve->wake_fd, &one, sizeof(one));
	(void) written;				/* an eventfd at 0 takes it */
	release_resolve(resolve);
	return NULL;
}

/*
 * Starts the thread, detached and deaf to signals: else a handler of ours could
 * run on its stack.  Returns an errno.
 */
static int
start_thread(FsRedisResolve *resolve)
{
	pthread_attr_t attr;
	pthread_t	thread;
	sigset_t	all;
	sigset_t	saved;
	int			result;

	result = pthread_attr_init(&attr);
	if (result != 0)
		return result;
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, RESOLVE_STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	result = pthread_create(&thread, &attr, resolve_main, resolve);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	pthread_attr_destroy(&attr);
	return result;
}

/* Remembers why a call failed; returns false for the caller to pass on. */
static bool
fail(FsRedisSocket *sock, const char *message)
{
	strlcpy(sock->error, message, sizeof(sock->error));
	return false;
}

/* The same for an errno. */
static bool
fail_errno(FsRedisSocket *sock, int code)
{
	errno = code;
	snprintf(sock->error, sizeof(sock->error), "%m");
	return false;
}

/* Asks the name service in a thread.  False: no thread to be had. */
static bool
start_resolve(FsRedisSocket *sock)
{
	size_t		host_size = strlen(sock->host) + 1;
	FsRedisResolve *resolve;
	int			result;

	Assert(sock->resolve == NULL);
	resolve = calloc(1, sizeof(FsRedisResolve) + host_size);
	if (resolve == NULL)
		return fail_errno(sock, ENOMEM);
	resolve->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (resolve->wake_fd < 0)
	{
		result = errno;
		free(resolve);
		return fail_errno(sock, result);
	}
	memcpy(resolve->host, sock->host, host_size);
	snprintf(resolve->port, sizeof(resolve->port), "%d", sock->port);
	atomic_init(&resolve->owners, 2);
	atomic_init(&resolve->is_done, false);
	result = start_thread(resolve);
	if (result != 0)
	{
		close(resolve->wake_fd);
		free(resolve);
		return fail_errno(sock, result);
	}
	sock->resolve = resolve;
	return true;
}

/*
 * Takes over the answer of the thread.  False: there is no such host.
 */
static bool
finish_resolve(FsRedisSocket *sock)
{
	FsRedisResolve *resolve = sock->resolve;
	int			result = resolve->result;

	Assert(atomic_load(&resolve->is_done));
	sock->naddresses = resolve->naddresses;
	sock->next_address = 0;
	memcpy(sock->addresses, resolve->addresses, sizeof(sock->addresses));
	sock->resolve = NULL;
	release_resolve(resolve);
	if (result != 0)
	{
		sock->naddresses = 0;
		return fail(sock, gai_strerror(result));
	}
	if (sock->naddresses == 0)
		return fail(sock, "host has no address");
	return true;
}

/* Fills in the address of the unix socket. */
static void
set_unix_address(FsRedisSocket *sock)
{
	struct sockaddr_un *un = (struct sockaddr_un *) &sock->addresses[0].addr;

	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	strlcpy(un->sun_path, sock->path, sizeof(un->sun_path));
	sock->addresses[0].len = sizeof(*un);
	sock->naddresses = 1;
}

/*
 * Fills in the addresses that need no name service.  False: this host is a name.
 */
static bool
set_known_addresses(FsRedisSocket *sock)
{
	char		port[8];
	int			n = 0;

	if (sock->path)
	{
		set_unix_address(sock);
		return true;
	}
	snprintf(port, sizeof(port), "%d", sock->port);
	if (strcmp(sock->host, "localhost") == 0)
	{
		(void) lookup_addresses("127.0.0.1", port, AI_NUMERICHOST, sock->addresses, &n);
		sock->naddresses = n;
		(void) lookup_addresses("::1", port, AI_NUMERICHOST, sock->addresses + n, &n);
		sock->naddresses += n;
		return true;
	}
	return lookup_addresses(sock->host, port, AI_NUMERICHOST,
							sock->addresses, &sock->naddresses) == 0;
}

/* Closes the descriptor, if there is one. */
static void
close_fd(FsRedisSocket *sock)
{
	if (sock->fd != PGINVALID_SOCKET)
	{
		close(sock->fd);
		ReleaseExternalFD();
	}
	sock->fd = PGINVALID_SOCKET;
}

/*
 * Makes the socket and begins to connect to one address.  False: refused at
 * once.
 */
static bool
connect_address(FsRedisSocket *sock, const FsRedisAddress *address)
{
	const struct sockaddr *addr = (const struct sockaddr *) &address->addr;
	int			on = 1;

	Assert(sock->fd == PGINVALID_SOCKET);
	if (!AcquireExternalFD())
		return fail_errno(sock, EMFILE);
	sock->fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (sock->fd < 0)
	{
		int			code = errno;

		sock->fd = PGINVALID_SOCKET;
		ReleaseExternalFD();
		return fail_errno(sock, code);
	}
	if (addr->sa_family != AF_UNIX)
	{
		/* Without either it works, only later or with more packets. */
		(void) setsockopt(sock->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		(void) setsockopt(sock->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	}
	if (connect(sock->fd, addr, address->len) == 0)
		sock->state = FS_REDIS_SOCKET_OPEN;
	else if (errno == EINPROGRESS || errno == EINTR)
		sock->state = FS_REDIS_SOCKET_CONNECTING;
	else
		return fail_errno(sock, errno);
	return true;
}

/*
 * Tries the addresses not yet tried, until one does not refuse at once.  False:
 * all did; 'error' is about the last one.
 */
static bool
connect_next(FsRedisSocket *sock)
{
	Assert(sock->naddresses <= FS_REDIS_MAX_ADDRESSES);
	while (sock->next_address < sock->naddresses)
	{
		if (connect_address(sock, &sock->addresses[sock->next_address++]))
			return true;
		close_fd(sock);
	}
	sock->state = FS_REDIS_SOCKET_CLOSED;
	return false;
}

/*
 * Has the connect that is under way come to an end?  If refused, goes on with
 * the next address.
 */
static bool
check_connect(FsRedisSocket *sock)
{
	struct pollfd pfd = {.fd = sock->fd, .events = POLLOUT};
	int			code = 0;
	socklen_t	len = sizeof(code);

	if (poll(&pfd, 1, 0) <= 0)
		return true;			/* not yet */
	if (getsockopt(sock->fd, SOL_SOCKET, SO_ERROR, &code, &len) != 0)
		code = errno;
	if (code == 0)
	{
		sock->state = FS_REDIS_SOCKET_OPEN;
		return true;
	}
	fail_errno(sock, code);
	close_fd(sock);
	return connect_next(sock);
}

/* See redis_socket.h. */
void
fs_redis_socket_init(FsRedisSocket *sock, const char *host, int port, const char *path)
{
	Assert((host == NULL) != (path == NULL));
	memset(sock, 0, sizeof(*sock));
	sock->host = host;
	sock->port = port;
	sock->path = path;
	sock->fd = PGINVALID_SOCKET;
}

/* See redis_socket.h. */
bool
fs_redis_socket_start(FsRedisSocket *sock)
{
	Assert(sock->state == FS_REDIS_SOCKET_CLOSED);
	sock->error[0] = '\0';
	if (sock->resolve == NULL)
	{
		if (sock->next_address < sock->naddresses)
			return connect_next(sock);
		sock->next_address = 0;
		if (set_known_addresses(sock))
			return connect_next(sock);
		sock->naddresses = 0;
		if (!start_resolve(sock))
			return false;
	}
	sock->state = FS_REDIS_SOCKET_RESOLVING;
	return true;
}

/* See redis_socket.h. */
bool
fs_redis_socket_progress(FsRedisSocket *sock)
{
	if (sock->state == FS_REDIS_SOCKET_CONNECTING)
		return check_connect(sock);
	Assert(sock->state == FS_REDIS_SOCKET_RESOLVING);
	if (!atomic_load(&sock->resolve->is_done))
		return true;
	sock->state = FS_REDIS_SOCKET_CLOSED;
	return finish_resolve(sock) && connect_next(sock);
}

/* See redis_socket.h. */
void
fs_redis_socket_wait(const FsRedisSocket *sock, pgsocket *fd, int *events)
{
	if (sock->state == FS_REDIS_SOCKET_RESOLVING)
	{
		*fd = sock->resolve->wake_fd;
		*events = WL_SOCKET_READABLE;
	}
	else
	{
		Assert(sock->state == FS_REDIS_SOCKET_CONNECTING);
		*fd = sock->fd;
		*events = WL_SOCKET_WRITEABLE;
	}
}

/* See redis_socket.h. */
ssize_t
fs_redis_socket_send(FsRedisSocket *sock, const char *data, size_t len)
{
	ssize_t		n;

	Assert(sock->state == FS_REDIS_SOCKET_OPEN);
	do
		n = send(sock->fd, data, len, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return n;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return 0;
	fail_errno(sock, errno);
	return -1;
}

/* See redis_socket.h. */
ssize_t
fs_redis_socket_recv(FsRedisSocket *sock, char *data, size_t size)
{
	ssize_t		n;

	Assert(sock->state == FS_REDIS_SOCKET_OPEN);
	do
		n = recv(sock->fd, data, size, 0);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return n;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n == 0)
		fail(sock, "the server closed the connection");
	else
		fail_errno(sock, errno);
	return -1;
}

void
fs_redis_socket_close(FsRedisSocket *sock)
{
	close_fd(sock);
	sock->state = FS_REDIS_SOCKET_CLOSED;
}

void
fs_redis_socket_free(FsRedisSocket *sock)
{
	fs_redis_socket_close(sock);
	if (sock->resolve)
		release_resolve(sock->resolve);
	sock->resolve = NULL;
	sock->naddresses = sock->next_address = 0;
}
