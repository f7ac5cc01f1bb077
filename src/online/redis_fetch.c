/*
 * redis_fetch.c
 *		Reading single rows back from Redis, for verification.
 *
 * One command at a time.  Replies are RESP2: status, error, integer, bulk string
 * or an array of those; hiredis' reader is not used, since the one we have keeps
 * no arrays.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

#include "catalog/redis_options.h"
#include "core/buffer.h"
#include "core/resp.h"
#include "ground/settings.h"
#include "online/redis_fetch.h"
#include "online/redis_session.h"
#include "online/redis_socket.h"

#define READ_SIZE 8192
#define MAX_REPLY (64 * 1024 * 1024)	/* no row is as large */
#define RESOLVE_POLL 10			/* ms; a name being resolved has no socket */

struct FsRedisFetch
{
	FsRedisConfig *config;
	FsRedisSocket sock;
	FsBuffer	output;
	FsBuffer	input;
	size_t		position;		/* in 'input': next byte to parse */
	int64		deadline;		/* of the command at hand */
	MemoryContextCallback callback;
};

/* One reply, or one element of an array. */
typedef struct Reply
{
	char		type;			/* '+', '-', ':', '$' or '*' */
	int64		number;			/* of ':'; length of '$', -1: nil; elements of '*' */
	char	   *text;			/* of '+', '-', '$', palloc'd */
} Reply;

static void
throw_failure(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("could not read from Redis: %s", what)));
}

/* Memory context callback: socket and buffers are not palloc'd. */
static void
close_cb(void *arg)
{
	FsRedisFetch *fetch = arg;

	fs_redis_socket_free(&fetch->sock);
	fs_buffer_free(&fetch->output);
	fs_buffer_free(&fetch->input);
}

/* Waits for the socket, at most until the deadline. */
static void
wait_for(FsRedisFetch *fetch, pgsocket fd, int events)
{
	int64		left = fetch->deadline - fs_redis_now();

	if (left <= 0)
		throw_failure("no answer in time");
	if (fd == PGINVALID_SOCKET)
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Min(left, RESOLVE_POLL), PG_WAIT_EXTENSION);
	else
		(void) WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH | events,
								 fd, left, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* Sets the deadline of what comes now. */
static void
begin_step(FsRedisFetch *fetch, int timeout)
{
	fetch->deadline = fs_redis_now() + (timeout > 0 ? timeout : fs_sink_timeout);
}

/* Connects, waiting interruptibly; throws after connect_timeout or when it fails. */
static void
connect_socket(FsRedisFetch *fetch)
{
	pgsocket	fd;
	int			events;

	begin_step(fetch, fetch->config->connect_timeout);
	if (!fs_redis_socket_start(&fetch->sock))
		throw_failure(fetch->sock.error);
	while (fetch->sock.state != FS_REDIS_SOCKET_OPEN)
	{
		fs_redis_socket_wait(&fetch->sock, &fd, &events);
		wait_for(fetch, fd, events & (WL_SOCKET_READABLE | WL_SOCKET_WRITEABLE));
		if (!fs_redis_socket_progress(&fetch->sock))
			throw_failure(fetch->sock.error);
	}
}

/* Sends a command of n parts. */
static void
send_command(FsRedisFetch *fetch, const char *const *parts, const size_t *lens, int n)
{
	bool		fine;
	size_t		sent = 0;

	fs_buffer_reset(&fetch->output);
	fine = fs_resp_array(&fetch->output, n);
	for (int i = 0; i < n && fine; i++)
		fine = fs_resp_bulk(&fetch->output, parts[i], lens[i]);
	if (!fine)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	begin_step(fetch, fetch->config->command_timeout);
	while (sent < fetch->output.len)
	{
		ssize_t		n_sent = fs_redis_socket_send(&fetch->sock, fetch->output.data + sent,
												  fetch->output.len - sent);

		if (n_sent < 0)
			throw_failure(fetch->sock.error);
		if (n_sent == 0)
			wait_for(fetch, fetch->sock.fd, WL_SOCKET_WRITEABLE);
		sent += n_sent;
	}
}

/* Reads until there are so many bytes behind the position. */
static void
need(FsRedisFetch *fetch, size_t n)
{
	while (fetch->input.len - fetch->position < n)
	{
		ssize_t		got;

		if (fetch->input.len > MAX_REPLY)
			throw_failure("the reply is too long");
		if (!fs_buffer_reserve(&fetch->input, READ_SIZE))
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory")));
		got = fs_redis_socket_recv(&fetch->sock, fetch->input.data + fetch->input.len, READ_SIZE);
		if (got < 0)
			throw_failure(fetch->sock.error);
		if (got == 0)
			wait_for(fetch, fetch->sock.fd, WL_SOCKET_READABLE);
		fetch->input.len += got;
	}
}

/* Takes n bytes and the end of line behind them; palloc'd. */
static char *
take(FsRedisFetch *fetch, size_t n)
{
	char	   *text;

	need(fetch, n + 2);
	text = palloc(n + 1);
	memcpy(text, fetch->input.data + fetch->position, n);
	text[n] = '\0';
	if (memcmp(fetch->input.data + fetch->position + n, "\r\n", 2) != 0)
		throw_failure("this is no reply of Redis");
	fetch->position += n + 2;
	return text;
}

/* Takes the rest of a line. */
static char *
take_line(FsRedisFetch *fetch)
{
	size_t		n = 0;

	for (need(fetch, 1); fetch->input.data[fetch->position + n] != '\r'; need(fetch, n + 1))
		n++;
	return take(fetch, n);
}

/* Reads one reply, of an array its head alone. */
static Reply
read_reply(FsRedisFetch *fetch)
{
	Reply		reply = {0};
	char	   *line;

	need(fetch, 1);
	reply.type = fetch->input.data[fetch->position++];
	line = take_line(fetch);
	if (reply.type == '+' || reply.type == '-')
	{
		reply.text = line;
		return reply;
	}
	reply.number = strtoll(line, NULL, 10);
	if (strchr(":$*", reply.type) == NULL || reply.number > MAX_REPLY)
		throw_failure("this is no reply of Redis");
	if (reply.type == '$' && reply.number >= 0)
		reply.text = take(fetch, reply.number);
	return reply;
}

/* Begins to read the reply of the command sent; an error of Redis is thrown. */
static Reply
begin_reply(FsRedisFetch *fetch)
{
	Reply		reply;

	fs_buffer_reset(&fetch->input);
	fetch->position = 0;
	reply = read_reply(fetch);
	if (reply.type == '-')
	{
		for (char *p = reply.text; *p != '\0'; p++)
			if ((unsigned char) *p < 0x20 || (unsigned char) *p > 0x7e)
				*p = '?';
		throw_failure(reply.text);
	}
	return reply;
}

/* Sends a command of words, whose reply says no more than that it was done. */
static void
command(FsRedisFetch *fetch, const char *const *words, int n)
{
	size_t		lens[4];

	Assert(n <= lengthof(lens));
	for (int i = 0; i < n; i++)
		lens[i] = strlen(words[i]);
	send_command(fetch, words, lens, n);
	(void) begin_reply(fetch);
}

/* Says who we are, and which database we mean. */
static void
greet(FsRedisFetch *fetch)
{
	const FsRedisConfig *config = fetch->config;
	const char *password = config->password != NULL ? config->password : "";
	char		database[16];

	if (config->username != NULL)
		command(fetch, (const char *const[]) {"AUTH", config->username, password}, 3);
	else if (config->password != NULL)
		command(fetch, (const char *const[]) {"AUTH", password}, 2);
	if (config->database == 0)
		return;
	snprintf(database, sizeof(database), "%d", config->database);
	command(fetch, (const char *const[]) {"SELECT", database}, 2);
}

/* See redis_fetch.h. */
FsRedisFetch *
fs_redis_fetch_open(Oid server, Oid user)
{
	FsRedisFetch *fetch = palloc0(sizeof(FsRedisFetch));

	fetch->config = fs_redis_config_load(server, user);
	fs_redis_socket_init(&fetch->sock, fetch->config->host, fetch->config->port, fetch->config->unix_socket);
	fetch->callback.func = close_cb;
	fetch->callback.arg = fetch;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &fetch->callback);
	connect_socket(fetch);
	greet(fetch);
	return fetch;
}

/* See redis_fetch.h. */
FsRedisPair *
fs_redis_fetch_hash(FsRedisFetch *fetch, const char *key, uint32 key_len, int *npairs)
{
	FsRedisPair *pairs;
	Reply		reply;

	send_command(fetch, (const char *const[]) {"HGETALL", key}, (const size_t[]) {7, key_len}, 2);
	reply = begin_reply(fetch);
	if (reply.type != '*' || reply.number < 0 || reply.number % 2 != 0)
		throw_failure("this is no hash");
	*npairs = reply.number / 2;
	pairs = palloc0(sizeof(FsRedisPair) * Max(*npairs, 1));
	for (int i = 0; i < *npairs; i++)
	{
		Reply		field = read_reply(fetch);
		Reply		value = read_reply(fetch);

		if (field.text == NULL || value.text == NULL)
			throw_failure("this is no hash");
		pairs[i].field = field.text;
		pairs[i].value = value.text;
		pairs[i].value_len = value.number;
	}
	return pairs;
}
