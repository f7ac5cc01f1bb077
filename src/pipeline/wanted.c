/*
 * wanted.c
 *		Schemas that records name and nobody here knows: who asks for them.
 *
 * The records of a stream with a registry name the schema they were written
 * with.  One that this process does not know is looked for in its table, where
 * any worker may have put it; then the registry is asked, for one at a time.
 * Only the registry's own word makes dead letters: that there is no such schema,
 * or one of no use.
 *
 * What is stored is never asked for again, so that streams run and restart
 * without the registry as long as they meet no new schema.
 */
#include "postgres.h"

#include "access/xact.h"

#include "ground/clock.h"
#include "pipeline/wanted.h"
#include "source/registry.h"
#include "state/away.h"

#define MAX_WANTED		64
#define UNKNOWN_TIME	(60 * INT64CONST(1000000))	/* us, for which "there is none" is believed */

struct FsWanted
{
	const FsStreamDef *def;
	FsRegistry *registry;
	FsWriterSchemas *schemas;	/* the contract's */
	int			n;
	FsWireHeader ids[MAX_WANTED];	/* the first is being asked for, or will be next */
	uint64		answers;		/* of those, found or said not to be there */
	char		trouble[FS_SOURCE_ERROR_SIZE];
};

static inline bool
is_same(const FsWireHeader *a, const FsWireHeader *b)
{
	return a->kind == b->kind && a->id == b->id &&
		memcmp(a->guid, b->guid, sizeof(a->guid)) == 0;
}

static bool
is_wanted(const FsWanted *wanted, const FsWireHeader *id)
{
	for (int i = 0; i < wanted->n; i++)
		if (is_same(&wanted->ids[i], id))
			return true;
	return false;
}

/* Notes that a schema is wanted; when there are too many it comes up again. */
static void
want(FsWanted *wanted, const FsWireHeader *id)
{
	if (wanted->n < MAX_WANTED && !is_wanted(wanted, id))
		wanted->ids[wanted->n++] = *id;
}

/* A schema is not wanted any more. */
static void
forget(FsWanted *wanted, const FsWireHeader *id)
{
	for (int i = 0; i < wanted->n; i++)
	{
		if (!is_same(&wanted->ids[i], id))
			continue;
		memmove(&wanted->ids[i], &wanted->ids[i + 1], sizeof(FsWireHeader) * (wanted->n - i - 1));
		wanted->n--;
		return;
	}
}

/* Does this process know what to do with records of the schema? */
static inline bool
is_known(const FsWanted *wanted, const FsWireHeader *id, int64 now)
{
	const FsWriterSchema *schema = fs_writer_schemas_find(wanted->schemas, id);

	return schema != NULL && (schema->retry_at == 0 || now < schema->retry_at);
}

/* See wanted.h. */
FsWanted *
fs_wanted_open(const FsStreamDef *def, FsWriterSchemas *schemas)
{
	FsWanted   *wanted = palloc0(sizeof(FsWanted));

	Assert(def->registry != NULL && schemas != NULL);
	wanted->def = def;
	wanted->schemas = schemas;
	wanted->registry = fs_registry_open(def->registry);
	return wanted;
}

/* See wanted.h. */
void
fs_wanted_close(FsWanted *wanted)
{
	fs_registry_close(wanted->registry);
}

/* --- Screening --- */

/* Does the record name a schema that has to be waited for?  Which goes to *id. */
static inline bool
must_wait(FsWanted *wanted, const FsRecord *record, int64 now, FsWireHeader *id)
{
	const char *wrong;

	if (record->value == NULL || (int64) record->value_len > wanted->def->max_record_bytes ||
		!fs_wire_read(record->value, record->value_len, record->header, record->header_len, id, &wrong))
		return false;			/* a dead letter, whatever the registry says */
	if (likely(is_known(wanted, id, now)) || !fs_wire_may_exist(id))
		return false;
	return is_wanted(wanted, id) || fs_writer_schemas_load(wanted->schemas, id) == NULL;
}

/* See wanted.h. */
int
fs_wanted_screen(FsWanted *wanted, const FsRecord *records, int n, FsWireHeader *id)
{
	int64		now = fs_clock_monotonic();
	int			taken = n;
	FsWireHeader named;

	fs_writer_schemas_trim(wanted->schemas);
	for (int i = 0; i < n && (taken == n || wanted->n < MAX_WANTED); i++)
	{
		if (!must_wait(wanted, &records[i], now, &named))
			continue;
		want(wanted, &named);	/* also those behind the first: their turn will come */
		if (taken < n)
			continue;
		taken = i;
		*id = named;
	}
	return taken;
}

/* See wanted.h. */
void
fs_wanted_trim(FsWanted *wanted)
{
	fs_writer_schemas_trim(wanted->schemas);
}

/* See wanted.h. */
bool
fs_wanted_holds(FsWanted *wanted, const FsRecord *record, int64 since)
{
	const FsWriterSchema *schema;
	const char *wrong;
	FsWireHeader id;

	if (record->value == NULL ||
		!fs_wire_read(record->value, record->value_len, record->header, record->header_len, &id, &wrong) ||
		!fs_wire_may_exist(&id))
		return false;
	schema = fs_writer_schemas_find(wanted->schemas, &id);
	if (schema != NULL && (schema->retry_at == 0 || schema->retry_at - UNKNOWN_TIME >= since))
		return false;
	if (!is_wanted(wanted, &id) && fs_writer_schemas_load(wanted->schemas, &id) != NULL)
		return false;
	want(wanted, &id);
	return true;
}

/* See wanted.h. */
uint64
fs_wanted_answers(const FsWanted *wanted)
{
	return wanted->answers;
}

/* --- Asking --- */

/* Notes what the matter with the registry is; the log has it once. */
static void
note_trouble(FsWanted *wanted, const char *what)
{
	if (wanted->trouble[0] == '\0')
		ereport(LOG,
				(errmsg("stream %s waits for schemas: %s", wanted->def->name, what)));
	strlcpy(wanted->trouble, what, sizeof(wanted->trouble));
}

/* Takes in what has come of the last question. */
static void
take_result(FsWanted *wanted)
{
	const FsRegistryResult *result = fs_registry_drive(wanted->registry);

	if (result == NULL)
		return;
	forget(wanted, &result->id);
	if (result->outcome != FS_REGISTRY_AWAY)
		fs_away_end(wanted->def->registry->url);
	else if (result->is_down)
		fs_away_note(wanted->def->registry->url);
	switch (result->outcome)
	{
		case FS_REGISTRY_HAS_IT:
			wanted->answers++;
			fs_writer_schemas_store(wanted->schemas, &result->id, result->type, result->texts, result->ntexts);
			break;
		case FS_REGISTRY_HAS_NONE:
		case FS_REGISTRY_HAS_USELESS:
			wanted->answers++;
			fs_writer_schemas_note_unknown(wanted->schemas, &result->id, result->message,
										   fs_clock_monotonic() + UNKNOWN_TIME);
			break;
		case FS_REGISTRY_AWAY:
			want(wanted, &result->id);	/* behind the others: it may be this one that the registry stumbles over */
			note_trouble(wanted, result->message);
			break;
		case FS_REGISTRY_NOTHING:
			break;
	}
}

/* Asks for a schema, unless the registry is away and it is another stream's turn to find out whether it is back. */
static void
ask(FsWanted *wanted, const FsWireHeader *id)
{
	int64		turn;

	if (fs_away_may_try(wanted->def->registry->url, &turn))
	{
		fs_registry_ask(wanted->registry, id);
		return;
	}
	fs_registry_postpone(wanted->registry, turn);
	if (wanted->trouble[0] == '\0')
		note_trouble(wanted, "the registry is away, as another stream has found");
}

/* Asks for the next schema wanted, unless it is in its table by now. */
static void
ask_next(FsWanted *wanted)
{
	while (wanted->n > 0 && fs_registry_is_ready(wanted->registry))
	{
		FsWireHeader id = wanted->ids[0];

		if (fs_writer_schemas_load(wanted->schemas, &id) == NULL)
		{
			ask(wanted, &id);
			return;
		}
		wanted->answers++;
		forget(wanted, &id);
	}
}

/* See wanted.h. */
void
fs_wanted_step(FsWanted *wanted)
{
	Assert(!IsTransactionState());
	take_result(wanted);
	ask_next(wanted);
	if (wanted->n == 0)
		wanted->trouble[0] = '\0';
}

/* See wanted.h. */
bool
fs_wanted_is_missing(FsWanted *wanted, const FsWireHeader *id)
{
	if (is_known(wanted, id, fs_clock_monotonic()))
		return false;
	want(wanted, id);
	return true;
}

/* See wanted.h. */
int
fs_wanted_wait(FsWanted *wanted, FsHttpSocket *sockets, long *timeout)
{
	return fs_registry_wait(wanted->registry, sockets, timeout);
}

/* --- Reporting --- */

/* See wanted.h. */
const char *
fs_wanted_trouble(const FsWanted *wanted)
{
	return wanted->trouble;
}

/* See wanted.h. */
void
fs_wanted_explain(const FsWanted *wanted, const FsWireHeader *id, char *out)
{
	char		name[FS_SCHEMA_NAME_SIZE];

	snprintf(out, FS_SOURCE_ERROR_SIZE, "waits for %s%s%s", fs_writer_schema_name(name, id),
			 wanted->trouble[0] != '\0' ? ": " : "", wanted->trouble);
}
