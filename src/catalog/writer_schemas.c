/*
 * writer_schemas.c
 *		The schemas that the records of a stream name; see writer_schemas.h.
 *
 * A number means a schema for good within one registry, so rows are never
 * updated, and are kept by the registry's address.  Programs are made of malloc'd
 * memory (core/), which goes with the set's memory context.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "catalog/extension.h"
#include "catalog/writer_schemas.h"
#include "core/avro_resolve.h"
#include "core/hash.h"
#include "ground/transaction.h"
#include "state/query.h"

#define MAX_SCHEMAS 4096		/* known to a process at once */
#define MAX_UNKNOWN 512			/* beside them, of which it is known that there are none */

/* What a record names: a number, or the 16 bytes of a GUID. */
typedef struct SchemaKey
{
	uint64		high;
	uint64		low;
	uint32		kind;			/* FsWireKind */
} SchemaKey;

typedef struct SchemaEntry
{
	SchemaKey	key;
	char		status;
	FsWriterSchema *schema;
} SchemaEntry;

static inline uint32
hash_key(SchemaKey key)
{
	return (uint32) fs_hash_fold(key.low ^ UINT64CONST(0xa0761d6478bd642f), key.high ^ UINT64CONST(0xe7037ed1a0b428db));
}

static inline bool
is_same_key(SchemaKey a, SchemaKey b)
{
	return a.low == b.low && a.high == b.high && a.kind == b.kind;
}

#define SH_PREFIX		schemas
#define SH_ELEMENT_TYPE	SchemaEntry
#define SH_KEY_TYPE		SchemaKey
#define SH_KEY			key
#define SH_HASH_KEY(table, key)	hash_key(key)
#define SH_EQUAL(table, a, b)	is_same_key(a, b)
#define SH_SCOPE		static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct FsWriterSchemas
{
	const FsStreamDef *def;
	const FsField *fields;		/* of the stream's columns */
	FsAvroSchema *reader;		/* NULL: columns read each record's own schema */
	MemoryContext context;		/* of the table and the schemas in it */
	schemas_hash *table;
	int			nunknown;		/* entries that the registry has no schema for */
};

/* What tells a schema apart: its number or its GUID. */
static SchemaKey
make_key(const FsWireHeader *id)
{
	SchemaKey	key = {0, id->id, id->kind};

	if (id->kind == FS_WIRE_GUID)
	{
		memcpy(&key.high, id->guid, sizeof(key.high));
		memcpy(&key.low, id->guid + sizeof(key.high), sizeof(key.low));
	}
	return key;
}

/* See writer_schemas.h. */
const char *
fs_writer_schema_name(char *name, const FsWireHeader *id)
{
	const unsigned char *g = id->guid;

	if (id->kind == FS_WIRE_ID)
		snprintf(name, FS_SCHEMA_NAME_SIZE, "schema %u", id->id);
	else
		snprintf(name, FS_SCHEMA_NAME_SIZE,
				 "schema %02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
				 g[0], g[1], g[2], g[3], g[4], g[5], g[6], g[7],
				 g[8], g[9], g[10], g[11], g[12], g[13], g[14], g[15]);
	return name;
}

/* What stands for the schema in registry_schema. */
static Datum
key_datum(const FsWireHeader *id)
{
	char		name[FS_SCHEMA_NAME_SIZE];

	return CStringGetTextDatum(fs_writer_schema_name(name, id) + strlen("schema "));
}

static void
throw_no_memory(const FsStreamDef *def)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("Could not compile a schema of stream %s.", def->name)));
}

/* --- The reader's schema --- */

/* Throws for a column that the reader's schema has nothing for, or another type. */
static void
throw_problem(const FsStreamDef *def, const FsColumn *column, const FsAvroProblem *problem)
{
	ereport(ERROR,
			(errcode(problem->kind == FS_AVRO_MISFIT ? ERRCODE_DATATYPE_MISMATCH : ERRCODE_UNDEFINED_COLUMN),
			 problem->kind == FS_AVRO_MISFIT ?
			 errmsg("column \"%s\" of stream %s cannot take field \"%s\" of the reader's schema",
					column->name, def->name, column->field) :
			 errmsg("column \"%s\" of stream %s reads field \"%s\", which the reader's schema does not have",
					column->name, def->name, column->field),
			 errdetail("%s", problem->detail),
			 problem->hint[0] != '\0' ? errhint("%s", problem->hint) : 0));
}

/* Holds the columns against the reader's schema, which is consumed when they do not fit. */
static void
check_columns(const FsStreamDef *def, const FsField *fields, FsAvroSchema *reader)
{
	FsAvroProblem *problems = palloc0(sizeof(FsAvroProblem) * Max(def->ncolumns, 1));
	bool		too_long;
	FsAvroProgram *program = fs_avro_program_create(reader, reader, fields, def->ncolumns,
													problems, &too_long);
	bool		is_made = program != NULL;

	fs_avro_program_free(program);
	for (int i = 0; i < def->ncolumns && is_made; i++)
	{
		if (fs_column_is_served(&def->columns[i], &problems[i]))
			continue;
		fs_avro_schema_free(reader);
		throw_problem(def, &def->columns[i], &problems[i]);
	}
	pfree(problems);
	if (is_made)
		return;
	fs_avro_schema_free(reader);
	if (!too_long)
		throw_no_memory(def);
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("reader's schema of stream %s is too complex", def->name),
			 errdetail("What its columns read takes too many steps.")));
}

/* See writer_schemas.h. */
FsAvroSchema *
fs_writer_schemas_reader(const FsStreamDef *def, const FsField *fields)
{
	char		message[FS_AVRO_MESSAGE_SIZE];
	FsAvroSource source;
	FsAvroSchema *reader;

	if (def->reader_schema == NULL)
		return NULL;
	source.text = def->reader_schema;
	source.len = strlen(def->reader_schema);
	reader = fs_avro_schema_parse(&source, 1, message);
	if (reader == NULL && message[0] == '\0')
		throw_no_memory(def);
	if (reader == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"reader_schema\" of stream %s is not an Avro schema", def->name),
				 errdetail("%s.", message)));
	check_columns(def, fields, reader);
	return reader;
}

/* See writer_schemas.h. */
void
fs_writer_schemas_check(const FsStreamDef *def, const FsField *fields)
{
	fs_avro_schema_free(fs_writer_schemas_reader(def, fields));
}

/* --- The set --- */

/* Memory context callback: what malloc gave; the context of the entries is still there. */
static void
free_set_cb(void *arg)
{
	FsWriterSchemas *set = arg;
	schemas_iterator iterator;
	SchemaEntry *entry;

	schemas_start_iterate(set->table, &iterator);
	while ((entry = schemas_iterate(set->table, &iterator)) != NULL)
		fs_avro_program_free(entry->schema->program);
	fs_avro_schema_free(set->reader);
}

/* See writer_schemas.h. */
FsWriterSchemas *
fs_writer_schemas_create(const FsStreamDef *def, const FsField *fields)
{
	FsWriterSchemas *set = palloc0(sizeof(FsWriterSchemas));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	Assert(def->registry != NULL);
	set->def = def;
	set->fields = fields;
	set->context = CurrentMemoryContext;
	set->table = schemas_create(set->context, 32, NULL);
	callback->func = free_set_cb;
	callback->arg = set;
	set->reader = fs_writer_schemas_reader(def, fields);
	MemoryContextRegisterResetCallback(set->context, callback);
	return set;
}

/* See writer_schemas.h. */
const FsWriterSchema *
fs_writer_schemas_find(FsWriterSchemas *set, const FsWireHeader *id)
{
	SchemaEntry *entry = schemas_lookup(set->table, make_key(id));

	return entry == NULL ? NULL : entry->schema;
}

/* The schema's entry, made if need be, with nothing in it. */
static FsWriterSchema *
reset_schema(FsWriterSchemas *set, const FsWireHeader *id)
{
	bool		found;
	FsWriterSchema *fresh = MemoryContextAllocZero(set->context, sizeof(FsWriterSchema));
	SchemaEntry *entry = schemas_insert(set->table, make_key(id), &found);

	if (found)
	{
		pfree(fresh);
		fs_avro_program_free(entry->schema->program);
		entry->schema->program = NULL;
		if (entry->schema->refusal != NULL)
			pfree((char *) entry->schema->refusal);
		entry->schema->refusal = NULL;
		if (entry->schema->retry_at != 0)
			set->nunknown--;
	}
	else
		entry->schema = fresh;
	entry->schema->id = *id;
	entry->schema->retry_at = 0;
	return entry->schema;
}

/* See writer_schemas.h. */
void
fs_writer_schemas_note_unknown(FsWriterSchemas *set, const FsWireHeader *id, const char *refusal,
							   int64 retry_at)
{
	FsWriterSchema *schema = reset_schema(set, id);

	Assert(retry_at > 0);
	schema->refusal = MemoryContextStrdup(set->context, refusal);
	schema->retry_at = retry_at;
	set->nunknown++;
}

/* Forgets those that the registry has no schema for, or with 'all' the others, too. */
static void
forget_schemas(FsWriterSchemas *set, bool all)
{
	schemas_iterator iterator;
	SchemaEntry *entry;

	schemas_start_iterate(set->table, &iterator);
	while ((entry = schemas_iterate(set->table, &iterator)) != NULL)
	{
		FsWriterSchema *schema = entry->schema;

		if (!all && schema->retry_at == 0)
			continue;
		schemas_delete_item(set->table, entry);
		fs_avro_program_free(schema->program);
		if (schema->refusal != NULL)
			pfree((char *) schema->refusal);
		pfree(schema);
	}
	set->nunknown = 0;
}

/*
 * See writer_schemas.h.  What records that are junk name does not push out the
 * schemas of those that are not.
 */
void
fs_writer_schemas_trim(FsWriterSchemas *set)
{
	Assert(set->nunknown >= 0 && set->nunknown <= set->table->members);
	if (set->table->members - set->nunknown >= MAX_SCHEMAS)
		forget_schemas(set, true);
	else if (set->nunknown >= MAX_UNKNOWN)
		forget_schemas(set, false);
}

/* --- Compiling --- */

/* Compiles parsed texts; returns why the records are refused (palloc'd), or NULL. */
static char *
compile_parsed(FsWriterSchemas *set, const char *name, const FsAvroSchema *writer, FsAvroProgram **program)
{
	FsAvroProblem *problems = palloc0(sizeof(FsAvroProblem) * Max(set->def->ncolumns, 1));
	bool		too_long = false;

	*program = fs_avro_program_create(writer, set->reader, set->fields, set->def->ncolumns,
									  problems, &too_long);
	pfree(problems);			/* each record tells them, of the columns that it cannot give */
	if (*program != NULL || !too_long)
		return NULL;
	return psprintf("%s is too complex: what the columns read of it takes too many steps", name);
}

/* Compiles a schema into its entry. */
static const FsWriterSchema *
compile_schema(FsWriterSchemas *set, const FsWireHeader *id, const char *type, const FsAvroSource *sources, int n)
{
	char		message[FS_AVRO_MESSAGE_SIZE] = "";
	char		name[FS_SCHEMA_NAME_SIZE];
	FsWriterSchema *schema;
	FsAvroProgram *program = NULL;
	char	   *refusal = NULL;

	fs_writer_schema_name(name, id);
	if (strcmp(type, "AVRO") != 0)
		refusal = psprintf("%s is of type %s, not Avro", name, type);
	else
	{
		FsAvroSchema *writer = fs_avro_schema_parse(sources, n, message);

		if (writer != NULL)
			refusal = compile_parsed(set, name, writer, &program);
		else if (message[0] != '\0')
			refusal = psprintf("%s cannot be used: %s", name, message);
		fs_avro_schema_free(writer);
	}
	if (program == NULL && refusal == NULL)
		throw_no_memory(set->def);
	schema = reset_schema(set, id);
	schema->program = program;
	if (refusal != NULL)
		schema->refusal = MemoryContextStrdup(set->context, refusal);
	return schema;
}

/* --- The table --- */

/* See writer_schemas.h. */
FsAvroSource *
fs_writer_schemas_sources(Datum schemas, int *n)
{
	Datum	   *texts;
	FsAvroSource *sources;

	deconstruct_array(DatumGetArrayTypeP(schemas), TEXTOID, -1, false, TYPALIGN_INT, &texts, NULL, n);
	sources = palloc(sizeof(FsAvroSource) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		text	   *source = DatumGetTextPP(texts[i]);

		sources[i].text = VARDATA_ANY(source);
		sources[i].len = VARSIZE_ANY_EXHDR(source);
	}
	return sources;
}

/* Compiles the row that SPI has just read. */
static const FsWriterSchema *
compile_row(FsWriterSchemas *set, const FsWireHeader *id)
{
	HeapTuple	tuple = SPI_tuptable->vals[0];
	TupleDesc	desc = SPI_tuptable->tupdesc;
	bool		isnull;
	int			n;
	FsAvroSource *sources = fs_writer_schemas_sources(SPI_getbinval(tuple, desc, 2, &isnull), &n);

	return compile_schema(set, id, SPI_getvalue(tuple, desc, 1), sources, n);
}

/* Compiles the schema's row, if there is one. */
static const FsWriterSchema *
read_row(FsWriterSchemas *set, const FsWireHeader *id)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];
	const FsWriterSchema *schema = NULL;
	FsOwnerScope scope;

	fs_owner_begin(&scope);
	SPI_connect();
	values[0] = CStringGetTextDatum(set->def->registry->url);
	values[1] = key_datum(id);
	fs_query_read("SELECT schema_type, referenced || schema FROM feature_stream.registry_schema"
				  " WHERE registry = $1 AND id = $2", 2, types, values);
	if (SPI_processed > 0)
		schema = compile_row(set, id);
	SPI_finish();
	fs_owner_end(&scope);
	return schema;
}

/* See writer_schemas.h. */
const FsWriterSchema *
fs_writer_schemas_load(FsWriterSchemas *set, const FsWireHeader *id)
{
	MemoryContext old = CurrentMemoryContext;
	const FsWriterSchema *schema;

	if (!IsTransactionState())
	{
		fs_transaction_begin();
		schema = read_row(set, id);
		fs_transaction_end(old);
		return schema;
	}
	PushActiveSnapshot(GetTransactionSnapshot());
	schema = read_row(set, id);
	PopActiveSnapshot();
	return schema;
}

/* See writer_schemas.h. */
void
fs_writer_schemas_insert(const char *registry, const char *id, const char *type, const char **texts, int ntexts)
{
	Oid			types[5] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID};
	Datum		values[5];
	Datum	   *referenced = palloc(sizeof(Datum) * ntexts);

	Assert(ntexts > 0);
	for (int i = 0; i < ntexts - 1; i++)
		referenced[i] = CStringGetTextDatum(texts[i]);
	values[0] = CStringGetTextDatum(registry);
	values[1] = CStringGetTextDatum(id);
	values[2] = CStringGetTextDatum(type);
	values[3] = CStringGetTextDatum(texts[ntexts - 1]);
	values[4] = PointerGetDatum(construct_array(referenced, ntexts - 1, TEXTOID, -1, false, TYPALIGN_INT));
	(void) fs_owner_execute("INSERT INTO feature_stream.registry_schema (registry, id, schema_type, schema, referenced)"
							" VALUES ($1, $2, $3, $4, $5) ON CONFLICT (registry, id) DO NOTHING",
							SPI_OK_INSERT, 5, types, values, NULL);
}

/* See writer_schemas.h. */
void
fs_writer_schemas_store(FsWriterSchemas *set, const FsWireHeader *id, const char *type, const char **texts,
						int ntexts)
{
	MemoryContext old = CurrentMemoryContext;
	char		name[FS_SCHEMA_NAME_SIZE];

	Assert(!IsTransactionState());
	fs_transaction_begin();
	fs_writer_schemas_insert(set->def->registry->url, fs_writer_schema_name(name, id) + strlen("schema "), type, texts, ntexts);
	fs_transaction_end(old);
	(void) fs_writer_schemas_load(set, id);
}
