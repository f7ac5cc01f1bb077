/*
 * s3_request.c
 *		Requests to an object store that speaks S3; see s3_request.h.
 *
 * By libcurl and our own signatures (Signature Version 4), with the hash of what
 * is sent.  Buckets are named in the path, which all such stores understand.
 */
#include "postgres.h"

#include <ctype.h>
#include <time.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/memutils.h"

#include "core/percent.h"
#include "core/sigv4.h"
#include "offline/lake_silence.h"
#include "offline/s3_request.h"

#define PIECE			(64 * 1024)
#define MAX_ANSWER		(256 * 1024 * 1024)
#define MAX_ATTEMPTS	6
#define FIRST_PAUSE_MS	200
#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* The body's next bytes, for libcurl: it must not throw. */
static ssize_t
read_body_cb(void *arg, int64 offset, char *room, size_t size)
{
	const FsObjectBody *body = arg;
	int64		n = Min((int64) size, body->len - offset);

	if (body->bytes == NULL)
		return FileRead(body->file, room, n, body->offset + offset, PG_WAIT_EXTENSION);
	memcpy(room, body->bytes + body->offset + offset, n);
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
sign(const FsS3Request *request, const char **headers)
{
	const FsLakeConfig *config = request->store->config;
	char	   *host = host_of(config->endpoint);
	char		date[FS_SIGV4_DATE];
	time_t		now = time(NULL);
	struct tm	tm;
	FsSigv4Header signed_headers[4] = {{"host", host}, {"x-amz-content-sha256", request->hash},
	{"x-amz-date", date}, {"x-amz-security-token", config->session_token}};
	FsSigv4Request what = {.access_key_id = config->access_key_id, .secret_access_key = config->secret_access_key,
		.region = config->region, .service = "s3", .date = date, .method = request->method, .path = request->path,
		.query = request->query, .headers = signed_headers, .nheaders = config->session_token != NULL ? 4 : 3,
	.content_hash = request->hash};
	FsBuffer	signature = {0};
	int			n = 0;

	(void) strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	if (!fs_sigv4_sign(&what, &signature))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Could not sign a request to an object store.")));
	for (int i = 0; i < what.nheaders; i++)
		headers[n++] = psprintf("%s: %s", signed_headers[i].name, signed_headers[i].value);
	headers[n++] = psprintf("Authorization: %s", signature.data);
	fs_buffer_free(&signature);
	if (request->only_new && !request->store->no_conditions)
		headers[n++] = "If-None-Match: *";
	return n;
}

/* Reads the store's word for what is wrong: of letters and digits, nothing else of its answer is shown. */
static void
read_code(FsS3Request *request)
{
	static const char tag[] = "<Code>";
	const FsHttpAnswer *answer = request->answer;
	const char *end = answer->body + answer->len;
	int			n = 0;

	request->code[0] = '\0';
	for (const char *p = answer->body; answer->body != NULL && p + sizeof(tag) < end; p++)
	{
		if (memcmp(p, tag, sizeof(tag) - 1) != 0)
			continue;
		for (p += sizeof(tag) - 1; p < end && n < FS_S3_CODE_SIZE - 1 && isalnum((unsigned char) *p); p++)
			request->code[n++] = *p;
		request->code[n] = '\0';
		return;
	}
}

/*
 * What an answer of 200 means where that is said before the store knows: it holds
 * the connection by it, and tells the result, or an error, when there is one.
 */
static int
read_result(const FsS3Request *request)
{
	static const struct
	{
		const char *code;
		int			status;
	}			known[] = {{"NoSuchUpload", 404}, {"PreconditionFailed", 412}, {"AccessDenied", 403}, {"InvalidPart", 400},
	{"InvalidPartOrder", 400}, {"EntityTooSmall", 400}, {"NotImplemented", 501}};
	FsS3Answer	answer;
	bool		is_read = fs_s3_answer_read(&answer, request->answer->body != NULL ? request->answer->body : "",
											request->answer->len);
	int			status = is_read && strcmp(answer.root, "CompleteMultipartUploadResult") == 0 ? 200 : 500;

	for (int i = 0; status != 200 && i < lengthof(known); i++)
		if (is_read && strcmp(answer.code, known[i].code) == 0)
			status = known[i].status;
	fs_s3_answer_free(&answer);
	return status;
}

/* Sends the request once, and waits for its answer. */
static void
ask_once(FsS3Request *request)
{
	const char *headers[8];
	const char *path = request->query[0] == '\0' ? request->path : psprintf("%s?%s", request->path, request->query);
	FsHttpRequest what = {.method = request->method, .path = path, .headers = headers};

	if (request->body != NULL)
	{
		what.body = read_body_cb;
		what.body_arg = unconstify(FsObjectBody *, request->body);
		what.body_len = request->body->len;
	}
	what.nheaders = sign(request, headers);
	fs_http_send(request->store->http, &what);
	while ((request->answer = fs_http_drive(request->store->http)) == NULL)
		fs_http_await(request->store->http);
	read_code(request);
	request->status = request->answer->status;
	if (request->has_result && request->status == 200)
		request->status = read_result(request);
}

/* May the same request succeed in a moment? */
static bool
is_passing(const FsS3Request *request)
{
	int			status = request->status;

	return status == 0 || status == 408 || status == 429 || status == 500 || (status >= 502 && status <= 504) ||
		(status == 409 && request->only_new) || strcmp(request->code, "RequestTimeout") == 0;
}

/* Waits before the next attempt: longer and longer, and never just as long as others do. */
static void
pause_between(const FsS3Request *request)
{
	long		most = FIRST_PAUSE_MS << request->attempt;

	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, most / 2 + random() % (most / 2),
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* See s3_request.h. */
void
fs_s3_throw(const FsS3Request *request)
{
	const FsHttpAnswer *answer = request->answer;
	bool		is_refused = request->status == 403 || request->status == 401;

	if (answer->status == 0)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not %s \"s3:/%s\": the object store %s", request->verb, request->path, answer->error)));
	ereport(ERROR,
			(errcode(is_refused ? ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION : ERRCODE_CONNECTION_FAILURE),
			 errmsg("could not %s \"s3:/%s\": the object store answers %d%s%s", request->verb, request->path,
					answer->status, request->code[0] != '\0' ? " " : "", request->code),
			 is_refused ? errhint("Check access_key_id and secret_access_key of the user mapping, and what they are allowed to do.") : 0));
}

/* See s3_request.h. */
bool
fs_s3_is_again(const FsS3Request *request)
{
	return request->attempt > 0 || request->answer->has_connected;
}

/* Does the store say that it knows nothing of conditions?  Then it is asked without. */
static bool
drop_condition(const FsS3Request *request)
{
	FsObjectStore *store = request->store;

	if (!request->only_new || store->no_conditions ||
		(request->status != 501 && (request->status != 400 || strcmp(request->code, "NotImplemented") != 0)))
		return false;
	store->no_conditions = true;
	return true;
}

/* Notes whether the store answers at all; false when it does not, and so will not be asked any more. */
static bool
note_silence(const FsS3Request *request)
{
	FsObjectStore *store = request->store;

	if (request->answer->is_late)
	{
		store->silence = request->answer;
		fs_lake_silence_note(store->config->oid, store->config->timeout);
	}
	else if (request->answer->status != 0)
		fs_lake_silence_over(store->config->oid);
	return store->silence == NULL;
}

/* What comes of requests to a store that does not answer. */
static int
answer_silence(FsS3Request *request)
{
	request->answer = request->store->silence;
	request->status = request->answer->status;
	Assert(request->status == 0);
	return request->status;
}

/* See s3_request.h. */
int
fs_s3_ask(FsS3Request *request)
{
	if (request->store->silence != NULL)
		return answer_silence(request);
	open_store(request->store);
	for (;;)
	{
		ask_once(request);
		if (!note_silence(request))
			return request->status;
		if (drop_condition(request))
			continue;
		if (!is_passing(request) || ++request->attempt >= request->most_attempts)
			return request->status;
		pause_between(request);
	}
}

/* See s3_request.h. */
void
fs_s3_begin(FsS3Request *request, FsObjectStore *store, const char *verb, const char *method, const char *path)
{
	memset(request, 0, sizeof(FsS3Request));
	request->store = store;
	request->verb = verb;
	request->method = method;
	request->query = "";
	request->most_attempts = MAX_ATTEMPTS;
	request->path = path != NULL ? psprintf("/%s%s", store->base, path) :
		psprintf("/%s", pnstrdup(store->base, strcspn(store->base, "/")));
	strlcpy(request->hash, EMPTY_HASH, sizeof(request->hash));
	for (const char *p = path; p != NULL && *p != '\0'; p++)
		if (!isalnum((unsigned char) *p) && strchr("-._~/", *p) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("object \"s3:/%s\" has a character in its name that is not supported", request->path)));
}

/* See s3_request.h. */
void
fs_s3_set_body(FsS3Request *request, const FsObjectBody *body)
{
	request->body = body;
	hash_body(body, request->hash);
}

/* See s3_request.h. */
void
fs_s3_read(const FsS3Request *request, const char *root, FsS3Answer *answer)
{
	if (request->answer->body != NULL && fs_s3_answer_read(answer, request->answer->body, request->answer->len))
	{
		if (strcmp(answer->root, root) == 0)
			return;
		fs_s3_answer_free(answer);
	}
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("could not %s \"s3:/%s\": the object store does not answer as S3 does", request->verb, request->path)));
}

/* See s3_request.h. */
void
fs_s3_append(StringInfo query, const char *name, const char *value)
{
	FsBuffer	escaped = {0};

	if (!fs_percent_escape(&escaped, value, strlen(value)))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Could not make a request to an object store.")));
	if (query->len > 0)
		appendStringInfoChar(query, '&');
	appendStringInfo(query, "%s=", name);
	appendBinaryStringInfo(query, escaped.data, (int) escaped.len);
	fs_buffer_free(&escaped);
}
