/*
 * registry.c
 *		A schema registry outside, asked for schemas by their numbers.
 *
 * What a schema refers to are versions of subjects, which may refer to others.
 * The pieces are asked for one after the other, each once, and put in order when
 * all are there.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/memutils.h"

#include "catalog/writer_schemas.h"
#include "core/avro_schema.h"
#include "core/percent.h"
#include "core/registry_answer.h"
#include "ground/clock.h"
#include "source/registry.h"

#define MAX_ANSWER		(4 * 1024 * 1024)	/* bytes */
#define FIRST_PAUSE		(1000 * INT64CONST(1000))	/* us, after a failure */
#define LONGEST_PAUSE	(5 * FIRST_PAUSE)

/* The schema itself, or one that it refers to. */
typedef struct Piece
{
	char	   *subject;		/* NULL: the schema itself */
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
	FsHttp	   *http;
	MemoryContext context;
	MemoryContext question;		/* of what belongs to one question */
	bool		is_busy;
	int			failures;		/* in a row */
	int64		ready_at;		/* fs_clock_monotonic() */

	/* The question under way */
	int			current;		/* piece asked for */
	int			npieces;
	Piece	   *pieces;			/* FS_REGISTRY_MAX_REFERENCES + 1 */
	size_t		bytes;
	FsRegistryAnswer *answer;
	FsRegistryResult result;
};

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
	MemoryContextSwitchTo(old);
	return registry;
}

/* See registry.h. */
void
fs_registry_close(FsRegistry *registry)
{
	fs_http_close(registry->http);
	MemoryContextDelete(registry->context);
}

/* See registry.h. */
bool
fs_registry_is_ready(const FsRegistry *registry)
{
	return !registry->is_busy && fs_clock_monotonic() >= registry->ready_at;
}

/* Asks for the current piece. */
static void
ask_piece(FsRegistry *registry)
{
	const Piece *piece = &registry->pieces[registry->current];
	char		name[FS_SCHEMA_NAME_SIZE];
	FsBuffer	subject = {0};

	if (piece->subject == NULL)
	{
		const FsWireHeader *id = &registry->result.id;

		fs_http_get(registry->http,
					psprintf(id->kind == FS_WIRE_ID ? "/schemas/ids/%s" : "/schemas/guids/%s",
							 fs_writer_schema_name(name, id) + strlen("schema ")));
		return;
	}
	if (!fs_percent_escape(&subject, piece->subject, strlen(piece->subject)))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Could not ask a schema registry.")));
	fs_http_get(registry->http,
				psprintf("/subjects/%.*s/versions/%d?deleted=true", (int) subject.len, subject.data,
						 piece->version));
	fs_buffer_free(&subject);
}

/* See registry.h. */
void
fs_registry_ask(FsRegistry *registry, const FsWireHeader *id)
{
	MemoryContext old;

	Assert(fs_registry_is_ready(registry));
	MemoryContextReset(registry->question);
	old = MemoryContextSwitchTo(registry->question);
	memset(&registry->result, 0, sizeof(FsRegistryResult));
	registry->result.id = *id;
	registry->pieces = palloc0(sizeof(Piece) * (FS_REGISTRY_MAX_REFERENCES + 1));
	registry->npieces = 1;
	registry->current = 0;
	registry->bytes = 0;
	registry->is_busy = true;
	ask_piece(registry);
	MemoryContextSwitchTo(old);
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

/* Keeps an answer as the current piece; false when it is all too much. */
static bool
keep_piece(FsRegistry *registry)
{
	const FsRegistryAnswer *answer = registry->answer;
	Piece	   *piece = &registry->pieces[registry->current];

	registry->bytes += strlen(answer->schema);
	if (registry->bytes > FS_AVRO_MAX_TEXT)
		return false;
	piece->text = pstrdup(answer->schema);
	piece->references = palloc(sizeof(int) * Max(answer->nreferences, 1));
	for (int i = 0; i < answer->nreferences; i++)
	{
		int			at = find_piece(registry, &answer->references[i]);

		if (at < 0)
			return false;
		piece->references[piece->nreferences++] = at;
	}
	if (registry->current == 0)
		registry->result.type = pstrdup(answer->type);
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

/* The registry has no such schema, or not all that belongs to it. */
static void
note_unknown(FsRegistry *registry)
{
	const Piece *piece = &registry->pieces[registry->current];
	char		name[FS_SCHEMA_NAME_SIZE];

	fs_writer_schema_name(name, &registry->result.id);
	registry->result.outcome = FS_REGISTRY_HAS_NONE;
	if (piece->subject == NULL)
		snprintf(registry->result.message, sizeof(registry->result.message),
				 "the registry does not know %s", name);
	else
		snprintf(registry->result.message, sizeof(registry->result.message),
				 "%s refers to version %d of subject \"%.*s\", which the registry does not know",
				 name, piece->version, pg_mbcliplen(piece->subject, strlen(piece->subject), 100), piece->subject);
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

/* Takes in the answer about the current piece. */
static void
take_answer(FsRegistry *registry, const FsHttpAnswer *http)
{
	FsRegistryAnswer *answer = registry->answer;

	if (http->status == 0)
	{
		note_away(registry, http->error);
		return;
	}
	fs_registry_answer_read(answer, http->status, registry->pieces[registry->current].subject != NULL,
							http->body, http->len);
	if (answer->verdict == FS_REGISTRY_TROUBLE)
	{
		note_away(registry, answer->message);
		return;
	}
	if (answer->verdict == FS_REGISTRY_UNKNOWN)
		note_unknown(registry);
	else if (!keep_piece(registry))
		note_away(registry, "has a schema that is too large, with all that it refers to");
	else if (++registry->current == registry->npieces)
		finish(registry);
	else
		ask_piece(registry);
	if (registry->result.outcome == FS_REGISTRY_HAS_IT || registry->result.outcome == FS_REGISTRY_HAS_NONE)
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
	return registry->is_busy ? fs_http_wait(registry->http, sockets, timeout) : 0;
}
