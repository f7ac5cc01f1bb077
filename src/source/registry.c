/*
 * registry.c
 *		A schema registry outside, asked for schemas by their numbers or as
 *		versions of subjects.
 *
 * What a schema refers to are versions of subjects, which may refer to others.
 * The pieces are asked for one after the other, each once, and put in order when
 * all are there.
 *
 * Not every registry has GUIDs.  One that has not takes a GUID for a wrong path,
 * and so does a proxy that leads nowhere: which of the two says a question that
 * every registry has an answer to.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "catalog/writer_schemas.h"
#include "core/avro_schema.h"
#include "core/percent.h"
#include "ground/clock.h"
#include "source/registry.h"

#define MAX_ANSWER		(4 * 1024 * 1024)	/* bytes */
#define FIRST_PAUSE		(1000 * INT64CONST(1000))	/* us, after a failure */
#define LONGEST_PAUSE	(5 * FIRST_PAUSE)

/* What a registry does not know it is asked for so often in the long run, whatever the records hold, and so much at once. */
#define VAIN_PAUSE		(10 * INT64CONST(1000)) /* us */
#define VAIN_BURST		(100 * VAIN_PAUSE)

/* HTTP status codes (RFC 9110, 15.6; RFC 6585, 4) */
#define TOO_MANY_REQUESTS	429
#define SERVER_ERROR		500

/* The schema itself, which is the first, or one that it refers to. */
typedef struct Piece
{
	char	   *subject;		/* NULL: asked for by its number */
	int			version;
	char	   *text;			/* NULL until it was answered */
	int			nreferences;
	int		   *references;		/* indexes of pieces */
	bool		is_placed;		/* in the result's order, or about to be */
} Piece;

struct FsRegistry
{
	const FsRegistryConfig *config;
	FsHttpConfig peer;
	FsHttp	   *http;			/* goes with the context */
	MemoryContextCallback callback;
	MemoryContext context;
	MemoryContext question;		/* of what belongs to one question */
	bool		is_busy;
	int			failures;		/* in a row */
	int64		ready_at;		/* fs_clock_monotonic() */
	int64		vain_until;		/* likewise: questions in vain so far, VAIN_PAUSE for each, are paid for then */

	/* The question under way */
	int			current;		/* piece asked for */
	bool		is_probing;		/* instead, whether this is a registry at all */
	int			npieces;
	Piece	   *pieces;			/* FS_REGISTRY_MAX_REFERENCES + 1 */
	size_t		bytes;
	FsRegistryAnswer *answer;
	FsRegistryResult result;
};

/* Memory context callback. */
static void
close_http_cb(void *arg)
{
	fs_http_close(arg);
}

/* See registry.h. */
FsRegistry *
fs_registry_open(const FsRegistryConfig *config)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream schema registry",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	FsRegistry *registry = palloc0(sizeof(FsRegistry));

	registry->config = config;
	registry->context = context;
	registry->question = AllocSetContextCreate(context, "feature_stream schema registry question",
											   ALLOCSET_SMALL_SIZES);
	registry->answer = palloc(sizeof(FsRegistryAnswer));
	registry->peer.what = "schema registry";
	registry->peer.url = config->url;
	registry->peer.username = config->username;
	registry->peer.password = config->password;
	registry->peer.ca = config->ca;
	registry->peer.timeout = config->timeout;
	registry->peer.link_local = config->link_local;
	registry->peer.max_body = MAX_ANSWER;
	registry->http = fs_http_open(&registry->peer);
	registry->callback.func = close_http_cb;
	registry->callback.arg = registry->http;
	MemoryContextRegisterResetCallback(context, &registry->callback);
	MemoryContextSwitchTo(old);
	return registry;
}

/* See registry.h. */
void
fs_registry_close(FsRegistry *registry)
{
	MemoryContextDelete(registry->context);
}

/* See registry.h. */
bool
fs_registry_is_ready(const FsRegistry *registry)
{
	return !registry->is_busy && fs_clock_monotonic() >= registry->ready_at;
}

/* See registry.h. */
void
fs_registry_postpone(FsRegistry *registry, int64 when)
{
	registry->ready_at = Max(registry->ready_at, when);
}

/* See registry.h. */
FsHttp *
fs_registry_http(FsRegistry *registry)
{
	Assert(!registry->is_busy);
	return registry->http;
}

/* See registry.h. */
void
fs_registry_await(FsRegistry *registry)
{
	Assert(registry->is_busy);
	fs_http_await(registry->http);
}

/* See registry.h. */
char *
fs_registry_escape(const char *subject)
{
	FsBuffer	escaped = {0};
	char	   *result;

	if (!fs_percent_escape(&escaped, subject, strlen(subject)))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Could not ask a schema registry.")));
	result = pnstrdup(escaped.data != NULL ? escaped.data : "", escaped.len);
	fs_buffer_free(&escaped);
	return result;
}

/* Asks for the current piece. */
static void
ask_piece(FsRegistry *registry)
{
	const Piece *piece = &registry->pieces[registry->current];
	char		name[FS_SCHEMA_NAME_SIZE];

	if (piece->subject == NULL)
	{
		const FsWireHeader *id = &registry->result.id;

		fs_http_get(registry->http,
					psprintf(id->kind == FS_WIRE_ID ? "/schemas/ids/%s" : "/schemas/guids/%s",
							 fs_writer_schema_name(name, id) + strlen("schema ")));
		return;
	}
	fs_http_get(registry->http,
				psprintf("/subjects/%s/versions/%d?deleted=true", fs_registry_escape(piece->subject), piece->version));
}

/* Begins a question; the first piece says for what. */
static void
begin_question(FsRegistry *registry, const FsWireHeader *id, const char *subject, int version)
{
	MemoryContext old;

	MemoryContextReset(registry->question);
	old = MemoryContextSwitchTo(registry->question);
	memset(&registry->result, 0, sizeof(FsRegistryResult));
	if (id != NULL)
		registry->result.id = *id;
	registry->pieces = palloc0(sizeof(Piece) * (FS_REGISTRY_MAX_REFERENCES + 1));
	registry->npieces = 1;
	registry->current = 0;
	registry->is_probing = false;
	registry->bytes = 0;
	registry->is_busy = true;
	registry->pieces[0].subject = subject == NULL ? NULL : pstrdup(subject);
	registry->pieces[0].version = version;
	ask_piece(registry);
	MemoryContextSwitchTo(old);
}

/* See registry.h. */
void
fs_registry_ask(FsRegistry *registry, const FsWireHeader *id)
{
	Assert(fs_registry_is_ready(registry));
	begin_question(registry, id, NULL, 0);
}

/* See registry.h. */
void
fs_registry_ask_version(FsRegistry *registry, const char *subject, int version)
{
	Assert(!registry->is_busy && version > 0);
	begin_question(registry, NULL, subject, version);
}

/* The piece of a reference, new or not; -1: there are too many. */
static int
find_piece(FsRegistry *registry, const FsRegistryReference *reference)
{
	for (int i = 1; i < registry->npieces; i++)
		if (registry->pieces[i].version == reference->version &&
			strcmp(registry->pieces[i].subject, reference->subject) == 0)
			return i;
	if (registry->npieces > FS_REGISTRY_MAX_REFERENCES)
		return -1;
	registry->pieces[registry->npieces].subject = pstrdup(reference->subject);
	registry->pieces[registry->npieces].version = reference->version;
	return registry->npieces++;
}

/* Keeps what only the schema itself is asked about. */
static void
keep_first(FsRegistry *registry)
{
	const FsRegistryAnswer *answer = registry->answer;
	FsRegistryResult *result = &registry->result;

	result->type = pstrdup(answer->type);
	result->number = answer->id;
	result->nreferences = answer->nreferences;
	result->references = palloc(sizeof(FsRegistryReference) * Max(answer->nreferences, 1));
	for (int i = 0; i < answer->nreferences; i++)
	{
		const FsRegistryReference *reference = &answer->references[i];

		result->references[i] = *reference;
		result->references[i].subject = pstrdup(reference->subject);
		if (reference->name != NULL)
			result->references[i].name = pstrdup(reference->name);
	}
}

/* How the schema is called in messages. */
static const char *
name_schema(const FsRegistry *registry, char *name)
{
	return registry->pieces[0].subject != NULL ? "the schema" : fs_writer_schema_name(name, &registry->result.id);
}

/* The schema cannot be used by anybody, with all that it refers to: 'why' follows its name. */
static void
note_useless(FsRegistry *registry, const char *why)
{
	char		name[FS_SCHEMA_NAME_SIZE];

	registry->result.outcome = FS_REGISTRY_HAS_USELESS;
	snprintf(registry->result.message, sizeof(registry->result.message), "%s %s", name_schema(registry, name), why);
}

/* Keeps an answer as the current piece; false, and notes why, when it is all too much. */
static bool
keep_piece(FsRegistry *registry)
{
	const FsRegistryAnswer *answer = registry->answer;
	Piece	   *piece = &registry->pieces[registry->current];

	registry->bytes += strlen(answer->schema);
	if (registry->bytes > FS_AVRO_MAX_TEXT)
	{
		note_useless(registry, "is too large: with all that it refers to it has more than 1 MB");
		return false;
	}
	piece->text = pstrdup(answer->schema);
	piece->references = palloc(sizeof(int) * Max(answer->nreferences, 1));
	for (int i = 0; i < answer->nreferences; i++)
	{
		int			at = find_piece(registry, &answer->references[i]);

		if (at < 0)
		{
			note_useless(registry, "refers to too many others, with all that these refer to");
			return false;
		}
		piece->references[piece->nreferences++] = at;
	}
	if (registry->current == 0)
		keep_first(registry);
	return true;
}

/* Puts a piece behind those that it refers to; circles end where they began, and do not parse. */
static void
place_piece(FsRegistry *registry, int index)
{
	Piece	   *piece = &registry->pieces[index];

	Assert(index >= 0 && index < registry->npieces);
	piece->is_placed = true;
	for (int i = 0; i < piece->nreferences; i++)
		if (!registry->pieces[piece->references[i]].is_placed)
			place_piece(registry, piece->references[i]);
	registry->result.texts[registry->result.ntexts++] = piece->text;
}

/* All pieces are there. */
static void
finish(FsRegistry *registry)
{
	registry->result.texts = palloc(sizeof(char *) * registry->npieces);
	place_piece(registry, 0);
	Assert(registry->result.ntexts == registry->npieces);
	registry->result.outcome = FS_REGISTRY_HAS_IT;
}

/* What is the matter with the current piece: 'why' follows its name. */
static void
note_useless_piece(FsRegistry *registry, const char *why)
{
	const Piece *piece = &registry->pieces[registry->current];

	if (registry->current == 0)
		note_useless(registry, why);
	else
		note_useless(registry, psprintf("refers to version %d of subject \"%.*s\", which %s", piece->version,
										pg_mbcliplen(piece->subject, strlen(piece->subject), 100),
										piece->subject, why));
}

/* The registry has no such schema, or not all that belongs to it. */
static void
note_unknown(FsRegistry *registry)
{
	const Piece *piece = &registry->pieces[registry->current];
	char		name[FS_SCHEMA_NAME_SIZE];
	const char *of = name_schema(registry, name);
	char	   *message = registry->result.message;
	size_t		size = sizeof(registry->result.message);

	registry->result.outcome = FS_REGISTRY_HAS_NONE;
	if (piece->subject == NULL)
		snprintf(message, size, "the registry does not know %s", of);
	else if (registry->current == 0)
		snprintf(message, size, "the registry does not know version %d", piece->version);
	else
		snprintf(message, size, "%s refers to version %d of subject \"%.*s\", which the registry does not know",
				 of, piece->version, pg_mbcliplen(piece->subject, strlen(piece->subject), 100), piece->subject);
}

/* Nothing was learned: the next question has to wait, the longer the more often this was so. */
static void
note_away(FsRegistry *registry, const char *why)
{
	registry->result.outcome = FS_REGISTRY_AWAY;
	snprintf(registry->result.message, sizeof(registry->result.message), "the registry %s", why);
	registry->ready_at = fs_clock_monotonic() +
		Min(FIRST_PAUSE << Min(registry->failures, 10), LONGEST_PAUSE);
	registry->failures++;
}

/* The registry was asked in vain: the next question waits if there were too many. */
static void
note_vain(FsRegistry *registry)
{
	registry->vain_until = Max(registry->vain_until, fs_clock_monotonic()) + VAIN_PAUSE;
	registry->ready_at = registry->vain_until - VAIN_BURST;
}

/* Is it a GUID that is asked for? */
static bool
is_about_guid(const FsRegistry *registry)
{
	return registry->current == 0 && registry->pieces[0].subject == NULL && registry->result.id.kind == FS_WIRE_GUID;
}

/* Finds out who says that there is no such page. */
static void
probe(FsRegistry *registry)
{
	registry->is_probing = true;
	fs_http_get(registry->http, "/schemas/types");
}

/* Takes in what was answered about the current piece. */
static void
take_piece(FsRegistry *registry, int status)
{
	switch (registry->answer->verdict)
	{
		case FS_REGISTRY_SCHEMA:
			if (!keep_piece(registry))
				break;
			if (++registry->current == registry->npieces)
				finish(registry);
			else
				ask_piece(registry);
			break;
		case FS_REGISTRY_UNKNOWN:
			note_unknown(registry);
			break;
		case FS_REGISTRY_UNUSABLE:
			note_useless_piece(registry, registry->answer->message);
			break;
		case FS_REGISTRY_TROUBLE:
			if (status == 404 && is_about_guid(registry))
				probe(registry);
			else
				note_away(registry, registry->answer->message);
			break;
	}
}

/* Takes in whether it was a registry that knows no GUIDs: any words of a registry's own will do. */
static void
take_probe(FsRegistry *registry)
{
	if (registry->answer->verdict == FS_REGISTRY_TROUBLE)
		note_away(registry, registry->answer->message);
	else
		note_unknown(registry);
}

/*
 * Takes in the answer to a request.  One that is too long is a schema when it is
 * an object, as all schemas come; anything else would be somebody else's words.
 */
static void
take_answer(FsRegistry *registry, const FsHttpAnswer *http)
{
	if (http->cut_status == 200 && http->cut_first == '{' && !registry->is_probing)
		note_useless_piece(registry, "is too large: the registry answers with more than 4 MB");
	else if (http->status == 0)
		note_away(registry, http->error);
	else if (registry->is_probing)
	{
		fs_registry_types_read(registry->answer, http->status, http->body, http->len);
		take_probe(registry);
	}
	else
	{
		fs_registry_answer_read(registry->answer, http->status,
								registry->pieces[registry->current].subject != NULL, http->body, http->len);
		take_piece(registry, http->status);
	}
	registry->result.is_down = registry->result.outcome == FS_REGISTRY_AWAY &&
		(http->status == 0 || http->status == TOO_MANY_REQUESTS || http->status >= SERVER_ERROR);
	if (registry->result.outcome == FS_REGISTRY_HAS_NONE || registry->result.outcome == FS_REGISTRY_HAS_USELESS)
		note_vain(registry);
	if (registry->result.outcome != FS_REGISTRY_NOTHING && registry->result.outcome != FS_REGISTRY_AWAY)
		registry->failures = 0;
}

/* See registry.h. */
const FsRegistryResult *
fs_registry_drive(FsRegistry *registry)
{
	const FsHttpAnswer *answer = registry->is_busy ? fs_http_drive(registry->http) : NULL;
	MemoryContext old;

	if (answer == NULL)
		return NULL;
	registry->answer->verdict = FS_REGISTRY_TROUBLE;
	memset(&registry->answer->memory, 0, sizeof(registry->answer->memory));
	old = MemoryContextSwitchTo(registry->question);
	take_answer(registry, answer);
	MemoryContextSwitchTo(old);
	fs_registry_answer_free(registry->answer);
	if (registry->result.outcome == FS_REGISTRY_NOTHING)
		return NULL;
	registry->is_busy = false;
	return &registry->result;
}

/* See registry.h. */
int
fs_registry_wait(FsRegistry *registry, FsHttpSocket *sockets, long *timeout)
{
	int64		pause = registry->ready_at - fs_clock_monotonic();

	if (registry->is_busy)
		return fs_http_wait(registry->http, sockets, timeout);
	if (pause > 0)
		*timeout = Min(*timeout, (long) (pause / 1000 + 1));
	return 0;
}
