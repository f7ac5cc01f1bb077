/*
 * import_columns.c
 *		The columns of a stream, made of an Avro schema.
 *
 * A DEFAULT is found by decoding: a record without any field, resolved to the
 * schema, has exactly the defaults of its fields.  So they are what the decoder
 * would make of them, whatever their types.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/heap.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "catalog/stream_contract.h"
#include "core/avro_resolve.h"
#include "pipeline/values.h"
#include "sql/import_columns.h"

#define MAX_DEPTH	32			/* records in records */

/* Where a schema is being read, and what core made for it. */
typedef struct Reading
{
	const char *subject;
	const FsAvroSchema *schema;
	List	   *columns;
	List	   *names;
	int			depth;
	int			stack[MAX_DEPTH];	/* nodes of the records around */

	/* For defaults; malloc'd */
	FsAvroSchema *empty;
	FsAvroProgram *program;
	FsAvroDecoder *decoder;
} Reading;

/* What a node becomes. */
typedef struct Kind
{
	FsType		type;			/* 0: no column */
	bool		is_array;
	bool		is_count;
} Kind;

/* Memory context callback, or called when done. */
static void
free_reading_cb(void *arg)
{
	Reading    *reading = arg;

	fs_avro_program_free(reading->program);
	fs_avro_decoder_free(reading->decoder);
	fs_avro_schema_free(reading->empty);
	reading->program = NULL;
	reading->decoder = NULL;
	reading->empty = NULL;
}

/* See import_columns.h. */
char *
fs_import_name(const char *wanted, List *taken)
{
	for (int n = 1;; n++)
	{
		char		suffix[16] = "";
		int			room;
		char	   *name;
		bool		is_taken = false;
		ListCell   *lc;

		if (n > 1)
			snprintf(suffix, sizeof(suffix), "_%d", n);
		room = NAMEDATALEN - 1 - (int) strlen(suffix);
		name = psprintf("%.*s%s", pg_mbcliplen(wanted, strlen(wanted), room), wanted, suffix);
		foreach(lc, taken)
			is_taken = is_taken || strcmp(lfirst(lc), name) == 0;
		if (!is_taken && SystemAttributeByName(name) == NULL)
			return name;
	}
}

/* --- Types --- */

/* What a node is without null: the branch of a union that has one other; *nullable is set where there is null. */
static int
strip_null(const FsAvroSchema *schema, int index, bool *nullable)
{
	const FsAvroNode *node = &schema->nodes[index];
	int			found = -1;
	int			others = 0;

	if (node->type != FS_AVRO_UNION)
		return index;
	for (int m = node->first; m >= 0; m = schema->members[m].next)
	{
		if (schema->nodes[schema->members[m].node].type == FS_AVRO_NULL)
			*nullable = true;
		else
		{
			found = schema->members[m].node;
			others++;
		}
	}
	return others == 1 ? found : index;
}

/* Of a logical type; false where it is only its base. */
static bool
logical_kind(const FsAvroNode *node, Kind *kind)
{
	switch (node->logical)
	{
		case FS_AVRO_DECIMAL:
			kind->type = FS_TYPE_NUMERIC;
			return true;
		case FS_AVRO_UUID:
			kind->type = FS_TYPE_UUID;
			return true;
		case FS_AVRO_DATE:
			kind->type = FS_TYPE_DATE;
			return true;
		case FS_AVRO_TIMESTAMP_MILLIS:
		case FS_AVRO_TIMESTAMP_MICROS:
		case FS_AVRO_TIMESTAMP_NANOS:
		case FS_AVRO_LOCAL_MILLIS:
		case FS_AVRO_LOCAL_MICROS:
		case FS_AVRO_LOCAL_NANOS:
			kind->type = FS_TYPE_TIMESTAMPTZ;
			return true;
		case FS_AVRO_TIME_MILLIS:
		case FS_AVRO_TIME_MICROS:
		case FS_AVRO_DURATION:
			kind->type = FS_TYPE_TEXT;
			return true;
		case FS_AVRO_PLAIN:
			break;
	}
	return false;
}

/* Of a scalar without a logical type; jsonb for all else. */
static void
plain_kind(const FsAvroNode *node, Kind *kind)
{
	kind->is_count = node->type == FS_AVRO_INT || node->type == FS_AVRO_LONG || node->type == FS_AVRO_FLOAT ||
		node->type == FS_AVRO_DOUBLE;
	switch (node->type)
	{
		case FS_AVRO_BOOLEAN:
			kind->type = FS_TYPE_BOOL;
			break;
		case FS_AVRO_INT:
			kind->type = FS_TYPE_INT4;
			break;
		case FS_AVRO_LONG:
			kind->type = FS_TYPE_INT8;
			break;
		case FS_AVRO_FLOAT:
			kind->type = FS_TYPE_FLOAT4;
			break;
		case FS_AVRO_DOUBLE:
			kind->type = FS_TYPE_FLOAT8;
			break;
		case FS_AVRO_STRING:
		case FS_AVRO_ENUM:
			kind->type = FS_TYPE_TEXT;
			break;
		case FS_AVRO_BYTES:
		case FS_AVRO_FIXED:
			kind->type = 0;
			break;
		default:
			kind->type = FS_TYPE_JSONB;
			break;
	}
}

/* Of any node that is no union of one type. */
static Kind
kind_of(const FsAvroSchema *schema, int index)
{
	const FsAvroNode *node = &schema->nodes[index];
	Kind		kind = {0};
	bool		unused = false;

	if (node->type == FS_AVRO_ARRAY)
	{
		kind = kind_of(schema, strip_null(schema, fs_avro_item(schema, node), &unused));
		if (kind.is_array)
			kind.type = FS_TYPE_JSONB;
		kind.is_count = false;
		kind.is_array = kind.type != FS_TYPE_JSONB; /* documents have arrays of their own */
		return kind;
	}
	if (!logical_kind(node, &kind))
		plain_kind(node, &kind);
	return kind;
}

/* --- Defaults --- */

/* Decodes a record without fields by a record of the schema; true when the column has a value then. */
static bool
decode_empty(Reading *reading, int record, const FsField *field, FsValue *value)
{
	FsAvroSchema view = *reading->schema;
	char	   *text = psprintf("{\"type\": \"record\", \"name\": \"%s\", \"fields\": []}", view.nodes[record].name);
	FsAvroSource source = {text, strlen(text)};
	char		message[FS_AVRO_MESSAGE_SIZE];
	FsAvroProblem problem;
	FsDecodeError error = {0};
	bool		too_long = false;
	bool		decoded;

	free_reading_cb(reading);
	view.root = record;
	reading->empty = fs_avro_schema_parse(&source, 1, message);
	reading->decoder = fs_avro_decoder_create();
	if (reading->empty != NULL && reading->decoder != NULL)
		reading->program = fs_avro_program_create(reading->empty, &view, field, 1, &problem, &too_long);
	if (reading->program == NULL && !too_long)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Could not read the schema of subject \"%s\".", reading->subject)));
	decoded = reading->program != NULL && problem.kind == FS_AVRO_NO_PROBLEM &&
		fs_avro_decode(reading->decoder, reading->program, "", 0, value, &error);
	return decoded && value->presence != FS_ABSENT;
}

/* The text of the column's default, or NULL: that of the record that all of it is in, else that of the field. */
static char *
find_default(Reading *reading, const FsImportColumn *column, const char *field_name)
{
	FsField		whole = {column->path, strlen(column->path), column->type, FS_UNIT_NONE};
	FsField		leaf = {field_name, strlen(field_name), column->type, FS_UNIT_NONE};
	FsColumn	shape = {.name = column->name, .field = column->path, .typid = column->typid, .typmod = -1, .type = column->type};
	FsValue		value = {0};
	Oid			output;
	bool		is_varlena;

	Assert(reading->depth > 0);
	if ((!decode_empty(reading, reading->stack[0], &whole, &value) &&
		 (reading->depth == 1 || !decode_empty(reading, reading->stack[reading->depth - 1], &leaf, &value))) ||
		value.presence == FS_NULL)
		return NULL;
	getTypeOutputInfo(column->typid, &output, &is_varlena);
	return OidOutputFunctionCall(output, fs_value_datum(&shape, &value));
}

/* --- Fields --- */

static void
throw_too_many(const Reading *reading)
{
	ereport(ERROR,
			(errcode(ERRCODE_TOO_MANY_COLUMNS),
			 errmsg("the schema of subject \"%s\" has too many fields for a table", reading->subject),
			 errdetail("A table has at most %d columns.", MaxHeapAttributeNumber),
			 errhint("Create the stream with the columns that are wanted.")));
}

/* A column for what a node becomes. */
static void
add_column(Reading *reading, const char *path, const char *field_name, Kind kind, bool nullable)
{
	FsImportColumn *column = palloc0(sizeof(FsImportColumn));
	char	   *wanted = pstrdup(path);

	if (list_length(reading->columns) >= MaxHeapAttributeNumber)
		throw_too_many(reading);
	for (char *p = wanted; *p != '\0'; p++)
		if (*p == '.')
			*p = '_';
	column->name = fs_import_name(wanted, reading->names);
	column->path = pstrdup(path);
	column->type = kind.is_array ? kind.type | FS_TYPE_ARRAY : kind.type;
	column->typid = fs_contract_element(kind.type);
	if (kind.is_array)
		column->typid = get_array_type(column->typid);
	column->not_null = !nullable;
	column->is_count = kind.is_count;
	column->default_text = find_default(reading, column, field_name);
	reading->columns = lappend(reading->columns, column);
	reading->names = lappend(reading->names, column->name);
}

/* Is the record one of those around? */
static bool
is_around(const Reading *reading, int record)
{
	for (int i = 0; i < reading->depth; i++)
		if (reading->stack[i] == record)
			return true;
	return false;
}

/* The fields of a record, and of those in it; a record that holds itself ends as a document. */
static void
add_fields(Reading *reading, int record, const char *prefix, bool nullable)
{
	const FsAvroSchema *schema = reading->schema;

	CHECK_FOR_INTERRUPTS();
	reading->stack[reading->depth++] = record;
	for (int m = schema->nodes[record].first; m >= 0; m = schema->members[m].next)
	{
		const char *name = schema->members[m].name;
		bool		may_be_null = nullable;
		int			node = strip_null(schema, schema->members[m].node, &may_be_null);
		char	   *path = prefix[0] == '\0' ? pstrdup(name) : psprintf("%s.%s", prefix, name);
		Kind		kind;

		if (schema->nodes[node].type == FS_AVRO_RECORD && !is_around(reading, node) && reading->depth < MAX_DEPTH)
		{
			add_fields(reading, node, path, may_be_null);
			continue;
		}
		kind = kind_of(schema, node);
		if (kind.type != 0)
			add_column(reading, path, name, kind, may_be_null || schema->nodes[node].type == FS_AVRO_NULL);
		else
			ereport(NOTICE,
					(errmsg("field \"%s\" of subject \"%s\" is left out: it is of bytes, which need not be text", path,
							reading->subject),
					 errhint("ALTER FOREIGN TABLE ... ADD COLUMN with type text if they are UTF-8.")));
	}
	reading->depth--;
}

/* Has texts made as PostgreSQL reads them again, whatever the session's settings are. */
static int
pin_output(void)
{
	int			level = NewGUCNestLevel();

	(void) set_config_option("DateStyle", "ISO, YMD", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("extra_float_digits", "3", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

/* See import_columns.h. */
List *
fs_import_columns(const char *subject, FsSchemaWork *work)
{
	Reading    *reading = palloc0(sizeof(Reading));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	bool		nullable = false;
	int			root = strip_null(work->given, work->given->root, &nullable);
	int			level;

	callback->func = free_reading_cb;
	callback->arg = reading;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	reading->subject = subject;
	reading->schema = work->given;
	if (work->given->nodes[root].type != FS_AVRO_RECORD)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the schema of subject \"%s\" is no record", subject),
				 errdetail("A stream's columns are the fields of its records.")));
	level = pin_output();
	add_fields(reading, root, "", nullable);
	AtEOXact_GUC(true, level);
	free_reading_cb(reading);
	return reading->columns;
}
