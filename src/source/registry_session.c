/*
 * registry_session.c
 *		A schema registry, asked by a session that waits for the answers.
 *
 * The requests are those of Confluent's interface.  What the registry says
 * against one is shown as it says it.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "source/registry_session.h"

#define MAX_WORDS		2000	/* bytes of what the registry says */

struct FsRegistrySession
{
	const char *server;
	FsRegistry *registry;
	FsRegistryAnswer answer;	/* the last one */
	int			status;			/* of the last request; 0: there was no answer */
	MemoryContextCallback callback;
};

/* The body of a request. */
typedef struct Body
{
	const char *text;
	size_t		len;
} Body;

/* Memory context callback. */
static void
free_answer_cb(void *arg)
{
	FsRegistrySession *session = arg;

	fs_registry_answer_free(&session->answer);
}

/* See registry_session.h. */
FsRegistrySession *
fs_registry_session_open(const char *server, const FsRegistryConfig *config)
{
	FsRegistrySession *session = palloc0(sizeof(FsRegistrySession));

	session->server = server;
	session->callback.func = free_answer_cb;
	session->callback.arg = session;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &session->callback);
	session->registry = fs_registry_open(config);
	return session;
}

/* FsHttpBody */
static ssize_t
read_body(void *arg, int64 offset, char *room, size_t size)
{
	const Body *body = arg;
	size_t		n = Min(size, body->len - (size_t) offset);

	memcpy(room, body->text + offset, n);
	return n;
}

/* Makes a request, and waits until it is answered or has failed.  'text': its body, NULL when it has none. */
static const FsHttpAnswer *
request(FsRegistrySession *session, const char *method, const char *path, const char *text)
{
	static const char *const headers[] = {"Accept: application/vnd.schemaregistry.v1+json, application/json",
	"Content-Type: application/vnd.schemaregistry.v1+json"};
	FsHttp	   *http = fs_registry_http(session->registry);
	Body		body = {text, text != NULL ? strlen(text) : 0};
	FsHttpRequest request = {.method = method, .path = path, .headers = headers, .nheaders = text != NULL ? 2 : 1,
	.body = text != NULL ? read_body : NULL, .body_arg = &body, .body_len = body.len};
	const FsHttpAnswer *answer;

	fs_registry_answer_free(&session->answer);
	fs_http_send(http, &request);
	while ((answer = fs_http_drive(http)) == NULL)
		fs_http_await(http);
	session->status = answer->status;
	return answer;
}

/* What the registry has to say itself, as the end of a detail. */
static const char *
quote_words(const FsRegistrySession *session)
{
	const char *words = session->answer.words;
	int			len;

	if (words == NULL || words[0] == '\0')
		return "";
	len = pg_encoding_mbcliplen(PG_UTF8, words, strlen(words), MAX_WORDS);
	return psprintf(" It says: %s", pg_any_to_server(pnstrdup(words, len), len, PG_UTF8));
}

/* Throws that something was not done, because the registry 'message'. */
static void
throw_trouble(const FsRegistrySession *session, const char *what, const char *message)
{
	bool		is_unknown = session->status != 0 && session->answer.verdict == FS_REGISTRY_UNKNOWN;

	ereport(ERROR,
			(errcode(is_unknown ? ERRCODE_UNDEFINED_OBJECT :
					 session->status == 409 ? ERRCODE_INVALID_OBJECT_DEFINITION :
					 session->status == 422 ? ERRCODE_INVALID_PARAMETER_VALUE : ERRCODE_CONNECTION_FAILURE),
			 errmsg("could not %s", what),
			 errdetail("The registry of server \"%s\" %s.%s", session->server, message, quote_words(session))));
}

/* Throws unless a request was answered with what it was for; 'read' reads the answer. */
static void
take_answer(FsRegistrySession *session, const FsHttpAnswer *http, const char *what,
			void (*read) (FsRegistryAnswer *answer, int status, const char *body, size_t len))
{
	if (http->status == 0)
		throw_trouble(session, what, http->error);
	read(&session->answer, http->status, http->body, http->len);
	if (session->answer.verdict == FS_REGISTRY_UNKNOWN)
		throw_trouble(session, what, "does not know it");
	if (session->answer.verdict == FS_REGISTRY_TROUBLE)
		throw_trouble(session, what, session->answer.message);
}

/* A subject's address behind a prefix. */
static char *
subject_path(const char *prefix, const char *subject, const char *suffix)
{
	char	   *utf8 = pg_server_to_any(subject, strlen(subject), PG_UTF8);

	return psprintf("%s%s%s", prefix, fs_registry_escape(utf8), suffix);
}

/* See registry_session.h. */
List *
fs_registry_session_versions(FsRegistrySession *session, const char *subject)
{
	const FsHttpAnswer *http = request(session, "GET", subject_path("/subjects/", subject, "/versions"), NULL);
	List	   *versions = NIL;

	take_answer(session, http, psprintf("list the versions of subject \"%s\"", subject), fs_registry_versions_read);
	for (int i = 0; i < session->answer.nversions; i++)
		versions = lappend_int(versions, session->answer.versions[i]);
	return versions;
}

/* See registry_session.h. */
const char *
fs_registry_session_level(FsRegistrySession *session, const char *subject)
{
	char	   *what = psprintf("read the compatibility of subject \"%s\"", subject);
	const FsHttpAnswer *http = request(session, "GET", subject_path("/config/", subject, "?defaultToGlobal=true"), NULL);

	if (http->status == 404)	/* a registry that does not know this parameter: the subject has none of its own */
		http = request(session, "GET", "/config", NULL);
	take_answer(session, http, what, fs_registry_level_read);
	return session->answer.level;
}

/* See registry_session.h. */
const FsRegistryResult *
fs_registry_session_version(FsRegistrySession *session, const char *subject, int version)
{
	const FsRegistryResult *result;

	fs_registry_ask_version(session->registry, pg_server_to_any(subject, strlen(subject), PG_UTF8), version);
	while ((result = fs_registry_drive(session->registry)) == NULL)
		fs_registry_await(session->registry);
	if (result->outcome != FS_REGISTRY_HAS_IT)
		ereport(ERROR,
				(errcode(result->outcome == FS_REGISTRY_AWAY ? ERRCODE_CONNECTION_FAILURE :
						 result->outcome == FS_REGISTRY_HAS_USELESS ? ERRCODE_PROGRAM_LIMIT_EXCEEDED : ERRCODE_UNDEFINED_OBJECT),
				 errmsg("could not read version %d of subject \"%s\"", version, subject),
				 errdetail("Server \"%s\": %s.", session->server,
						   pg_any_to_server(result->message, strlen(result->message), PG_UTF8))));
	Assert(result->ntexts > 0);
	return result;
}

/* See registry_session.h. */
int
fs_registry_session_publish(FsRegistrySession *session, const char *subject, int version, const char *body)
{
	char	   *utf8 = pg_server_to_any(body, strlen(body), PG_UTF8);
	const FsHttpAnswer *http = request(session, "POST", subject_path("/subjects/", subject, "/versions"), utf8);

	take_answer(session, http, psprintf("publish version %d of subject \"%s\"", version, subject), fs_registry_id_read);
	return session->answer.id;
}

/* See registry_session.h. */
void
fs_registry_session_set_level(FsRegistrySession *session, const char *subject, const char *level)
{
	const FsHttpAnswer *http = request(session, "PUT", subject_path("/config/", subject, ""),
									   psprintf("{\"compatibility\": \"%s\"}", level));

	take_answer(session, http, psprintf("set the compatibility of subject \"%s\"", subject), fs_registry_level_read);
}
