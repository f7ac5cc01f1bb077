/*
 * object_s3.c
 *		A lake in an object store that speaks S3, by libcurl and our own signatures.
 *
 * Buckets are named in the path, which all such stores understand.  Objects are
 * put in one piece, which is enough up to 5 GB; files of a lake are about 256 MB.
 * Where a store offers it nothing is overwritten (If-None-Match); names are
 * fresh ones anyway.  What may be better in a moment (no connection, 429, 5xx)
 * is tried again, with longer and longer pauses.
 */
#include "postgres.h"

#include <ctype.h>
#include <time.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/memutils.h"

#include "core/sha256.h"
#include "core/sigv4.h"
#include "offline/object_store.h"

#define PIECE			(64 * 1024)
#define MAX_ANSWER		(256 * 1024 * 1024)
#define MAX_ATTEMPTS	6
#define FIRST_PAUSE_MS	200
#define MAX_CODE		64		/* characters of the store's word for what is wrong */
#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* A request, and what became of it. */
typedef struct Exchange
{
	FsObjectStore *store;
	const char *verb;			/* for messages: "put" */
	const char *method;
	const char *path;			/* bucket and key */
	const FsObjectBody *body;	/* NULL: none */
	char		hash[FS_SHA256_HEX];	/* of it */
	bool		only_new;		/* the object must not be there */
	int			attempt;
	const FsHttpAnswer *answer;
	char		code[MAX_CODE + 1];
} Exchange;

/* The body's next bytes, for libcurl: it must not throw. */
static ssize_t
read_body_cb(void *arg, int64 offset, char *room, size_t size)
{
	const FsObjectBody *body = arg;
	int64		n = Min((int64) size, body->len - offset);

	if (body->bytes == NULL)
		return FileRead(body->file, room, n, offset, PG_WAIT_EXTENSION);
	memcpy(room, body->bytes + offset, n);
	return n;
}

/* Hashes a body, in digits: by core/, as the server's own hashes need a resource owner, so a transaction. */
static void
hash_body(const FsObjectBody *body, char *text)
{
	FsSha256	hash;
	uint8		digest[FS_SHA256_SIZE];
	char	   *piece = palloc(PIECE);

	fs_sha256_begin(&hash);
	for (int64 done = 0; done < body->len; done += PIECE)
	{
		CHECK_FOR_INTERRUPTS();
		fs_sha256_add(&hash, piece, fs_object_body_read(body, done, piece, PIECE));
	}
	fs_sha256_finish(&hash, digest);
	fs_sha256_hex(digest, text);
	pfree(piece);
}

static void
close_store(void *arg)
{
	FsObjectStore *store = arg;

	if (store->http != NULL)
		fs_http_close(store->http);
	store->http = NULL;
}

/* Opens the connection to be, which lives as long as the store. */
static void
open_store(FsObjectStore *store)
{
	const FsLakeConfig *config = store->config;
	MemoryContext old;

	if (store->http != NULL)
		return;
	if (config->access_key_id == NULL || config->secret_access_key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("there are no keys for server \"%s\"", config->server),
				 errhint("CREATE USER MAPPING FOR the feature view's owner, with OPTIONS (access_key_id ..., secret_access_key ...).")));
	store->peer.what = "object store";
	store->peer.url = config->endpoint;
	store->peer.ca = config->ca;
	store->peer.timeout = config->timeout;
	store->peer.max_body = MAX_ANSWER;
	old = MemoryContextSwitchTo(GetMemoryChunkContext(store));
	store->http = fs_http_open(&store->peer);
	store->callback.func = close_store;
	store->callback.arg = store;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &store->callback);
	MemoryContextSwitchTo(old);
}

/* The host that the endpoint names, as a request says it: without the port that is usual. */
static char *
host_of(const char *endpoint)
{
	char	   *host = pstrdup(strstr(endpoint, "://") + 3);
	const char *usual = strncmp(endpoint, "https:", 6) == 0 ? ":443" : ":80";
	size_t		len = strlen(host);

	if (len > strlen(usual) && strcmp(host + len - strlen(usual), usual) == 0)
		host[len - strlen(usual)] = '\0';
	return host;
}

/* Signs the request as of now; *headers get what is to be sent. */
static int
sign(const Exchange *exchange, const char **headers)
{
	const FsLakeConfig *config = exchange->store->config;
	char	   *host = host_of(config->endpoint);
	char		date[FS_SIGV4_DATE];
	time_t		now = time(NULL);
	struct tm	tm;
	FsSigv4Header signed_headers[4] = {{"host", host}, {"x-amz-content-sha256", exchange->hash},
	{"x-amz-date", date}, {"x-amz-security-token", config->session_token}};
	FsSigv4Request request = {.access_key_id = config->access_key_id, .secret_access_key = config->secret_access_key,
		.region = config->region, .service = "s3", .date = date, .method = exchange->method, .path = exchange->path,
		.query = "", .headers = signed_headers, .nheaders = config->session_token != NULL ? 4 : 3,
	.content_hash = exchange->hash};
	FsBuffer	signature = {0};
	int			n = 0;

	(void) strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	if (!fs_sigv4_sign(&request, &signature))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Could not sign a request to an object store.")));
	for (int i = 0; i < request.nheaders; i++)
		headers[n++] = psprintf("%s: %s", signed_headers[i].name, signed_headers[i].value);
	headers[n++] = psprintf("Authorization: %s", signature.data);
	fs_buffer_free(&signature);
	if (exchange->only_new && !exchange->store->no_conditions)
		headers[n++] = "If-None-Match: *";
	return n;
}

/* Reads the store's word for what is wrong: of letters and digits, nothing else of its answer is shown. */
static void
read_code(Exchange *exchange)
{
	static const char tag[] = "<Code>";
	const FsHttpAnswer *answer = exchange->answer;
	const char *end = answer->body + answer->len;
	int			n = 0;

	exchange->code[0] = '\0';
	for (const char *p = answer->body; answer->body != NULL && p + sizeof(tag) < end; p++)
	{
		if (memcmp(p, tag, sizeof(tag) - 1) != 0)
			continue;
		for (p += sizeof(tag) - 1; p < end && n < MAX_CODE && isalnum((unsigned char) *p); p++)
			exchange->code[n++] = *p;
		exchange->code[n] = '\0';
		return;
	}
}

/* Sends the request once, and waits for its answer. */
static void
ask_once(Exchange *exchange)
{
	const char *headers[8];
	FsHttpRequest request = {.method = exchange->method, .path = exchange->path, .headers = headers};

	if (exchange->body != NULL)
	{
		request.body = read_body_cb;
		request.body_arg = unconstify(FsObjectBody *, exchange->body);
		request.body_len = exchange->body->len;
	}
	request.nheaders = sign(exchange, headers);
	fs_http_send(exchange->store->http, &request);
	while ((exchange->answer = fs_http_drive(exchange->store->http)) == NULL)
		fs_http_await(exchange->store->http);
	read_code(exchange);
}

/* May the same request succeed in a moment? */
static bool
is_passing(const Exchange *exchange)
{
	int			status = exchange->answer->status;

	return status == 0 || status == 408 || status == 429 || status == 500 || (status >= 502 && status <= 504) ||
		(status == 409 && exchange->only_new) || strcmp(exchange->code, "RequestTimeout") == 0;
}

/* Waits before the next attempt: longer and longer, and never just as long as others do. */
static void
pause_between(const Exchange *exchange)
{
	long		most = FIRST_PAUSE_MS << exchange->attempt;

	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, most / 2 + random() % (most / 2),
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* Throws what the store said in the end. */
static void
throw_answer(const Exchange *exchange)
{
	const FsHttpAnswer *answer = exchange->answer;

	if (answer->status == 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not %s \"s3:/%s\": the object store %s", exchange->verb, exchange->path, answer->error)));
	ereport(ERROR,
			(errcode(answer->status == 403 || answer->status == 401 ? ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION :
					 ERRCODE_CONNECTION_FAILURE),
			 errmsg("could not %s \"s3:/%s\": the object store answers %d%s%s", exchange->verb, exchange->path,
					answer->status, exchange->code[0] != '\0' ? " " : "", exchange->code),
			 answer->status == 403 || answer->status == 401 ?
			 errhint("Check access_key_id and secret_access_key of the user mapping, and what they are allowed to do.") : 0));
}

/* Asks until there is an answer that will not be another one in a moment; its status. */
static int
ask(Exchange *exchange)
{
	open_store(exchange->store);
	for (;;)
	{
		int			status;

		ask_once(exchange);
		status = exchange->answer->status;
		if (exchange->only_new && !exchange->store->no_conditions &&
			(status == 501 || (status == 400 && strcmp(exchange->code, "NotImplemented") == 0)))
		{
			exchange->store->no_conditions = true;
			continue;
		}
		if (!is_passing(exchange))
			return status;
		if (++exchange->attempt == MAX_ATTEMPTS)
			throw_answer(exchange);
		pause_between(exchange);
	}
}

/* Begins an exchange about an object. */
static void
begin(Exchange *exchange, FsObjectStore *store, const char *verb, const char *method, const char *path)
{
	memset(exchange, 0, sizeof(Exchange));
	exchange->store = store;
	exchange->verb = verb;
	exchange->method = method;
	exchange->path = psprintf("/%s%s", store->base, path);
	strlcpy(exchange->hash, EMPTY_HASH, sizeof(exchange->hash));
	for (const char *p = path; *p != '\0'; p++)
		if (!isalnum((unsigned char) *p) && strchr("-._~/", *p) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("object \"s3:/%s\" has a character in its name that is not supported", exchange->path)));
}

/* See object_store.h. */
static void
put_object(FsObjectStore *store, const char *path, const FsObjectBody *body, bool replace)
{
	Exchange	exchange;
	int			status;

	begin(&exchange, store, "put", "PUT", path);
	exchange.body = body;
	exchange.only_new = !replace;
	hash_body(body, exchange.hash);
	status = ask(&exchange);
	if (status == 412 && exchange.attempt > 0)
		return;					/* the attempt whose answer was lost has put it: nobody else has its name */
	if (status != 200 && status != 201 && status != 204)
		throw_answer(&exchange);
}

/* See object_store.h. */
static char *
get_object(FsObjectStore *store, const char *path, int64 max, int64 *len)
{
	Exchange	exchange;
	char	   *bytes;

	begin(&exchange, store, "get", "GET", path);
	if (ask(&exchange) != 200)
		throw_answer(&exchange);
	*len = exchange.answer->len;
	if (*len > max)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("object \"s3:/%s\" is too long", exchange.path),
				 errdetail("It has %lld bytes, of %lld at most.", (long long) *len, (long long) max)));
	bytes = MemoryContextAllocHuge(CurrentMemoryContext, *len + 1);
	if (*len > 0)
		memcpy(bytes, exchange.answer->body, *len);
	bytes[*len] = '\0';
	return bytes;
}

/* See object_store.h. */
static void
delete_object(FsObjectStore *store, const char *path)
{
	Exchange	exchange;
	int			status;

	begin(&exchange, store, "delete", "DELETE", path);
	status = ask(&exchange);
	if (status != 200 && status != 204 && (status != 404 || strcmp(exchange.code, "NoSuchBucket") == 0))
		throw_answer(&exchange);
}

const FsObjectStoreOps fs_object_s3_ops = {
	.scheme = "s3://",
	.put = put_object,
	.get = get_object,
	.delete = delete_object
};
