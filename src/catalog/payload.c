/*
 * payload.c
 *		The payload of a stream's records: from its format to declared columns.
 *
 * The decoders are core's, in malloc'd memory; here is what ties them to a
 * definition and to a memory context.  What the schema of an Avro stream and
 * its columns have against each other is said when the stream is defined.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "catalog/payload.h"
#include "core/avro_resolve.h"

static void
throw_no_memory(const FsStreamDef *def)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("Could not create the decoder of stream %s.", def->name)));
}

/* The columns as the decoders want them; palloc'd, pointing into 'def'. */
static FsField *
make_fields(const FsStreamDef *def)
{
	FsField    *fields = palloc0(sizeof(FsField) * Max(def->ncolumns, 1));

	for (int i = 0; i < def->ncolumns; i++)
	{
		fields[i].name = def->columns[i].field;
		fields[i].name_len = strlen(def->columns[i].field);
		fields[i].type = def->columns[i].type;
		fields[i].unit = def->columns[i].unit;
	}
	return fields;
}

/* Throws for a column that the schema has nothing for, or another type. */
static void
throw_problem(const FsStreamDef *def, const FsColumn *column, const FsAvroProblem *problem)
{
	Assert(problem->kind != FS_AVRO_NO_PROBLEM);
	if (problem->kind == FS_AVRO_MISFIT)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of stream %s cannot take field \"%s\" of the schema",
						column->name, def->name, column->field),
				 errdetail("%s", problem->detail),
				 errhint("%s", problem->hint)));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" of stream %s reads field \"%s\", which the schema does not have",
					column->name, def->name, column->field),
			 errdetail("%s", problem->detail),
			 errhint("Name another field with OPTIONS (field ...), give the column a DEFAULT, or drop it.")));
}

/* Parses the stream's schema; throws when it is none. */
static FsAvroSchema *
parse_schema(const FsStreamDef *def)
{
	char		message[FS_AVRO_MESSAGE_SIZE];
	FsAvroSource source = {def->schema, strlen(def->schema)};
	FsAvroSchema *schema = fs_avro_schema_parse(&source, 1, message);

	if (schema == NULL && message[0] == '\0')
		throw_no_memory(def);
	if (schema == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"schema\" of stream %s is not an Avro schema", def->name),
				 errdetail("%s.", message),
				 errhint("Write the schema as JSON, such as {\"type\": \"record\", \"name\": ..., \"fields\": [...]}.")));
	return schema;
}

/* The program of an Avro stream, which the caller frees; throws what is wrong with the definition. */
static FsAvroProgram *
make_program(const FsStreamDef *def)
{
	FsField    *fields = make_fields(def);
	FsAvroProblem *problems = palloc0(sizeof(FsAvroProblem) * Max(def->ncolumns, 1));
	FsAvroSchema *schema = parse_schema(def);
	bool		too_long;
	FsAvroProgram *program = fs_avro_program_create(schema, NULL, fields, def->ncolumns,
													problems, &too_long);

	/* nothing throws while malloc'd memory has no owner */
	fs_avro_schema_free(schema);
	if (program == NULL && too_long)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("schema of stream %s is too complex", def->name),
				 errdetail("What its columns read takes too many steps.")));
	if (program == NULL)
		throw_no_memory(def);
	for (int i = 0; i < def->ncolumns; i++)
	{
		/* a column with a DEFAULT may wait for its field */
		if (problems[i].kind == FS_AVRO_NO_PROBLEM ||
			(problems[i].kind == FS_AVRO_UNKNOWN_FIELD && def->columns[i].default_expr != NULL))
			continue;
		fs_avro_program_free(program);
		throw_problem(def, &def->columns[i], &problems[i]);
	}
	pfree(fields);
	pfree(problems);
	return program;
}

/* See payload.h. */
void
fs_payload_check(const FsStreamDef *def)
{
	if (def->format == FS_FORMAT_AVRO)
		fs_avro_program_free(make_program(def));
}

/* Memory context callback. */
static void
free_decoder_cb(void *arg)
{
	FsPayloadDecoder *decoder = arg;

	fs_json_decoder_free(decoder->json);
	fs_avro_decoder_free(decoder->avro);
	fs_avro_program_free(decoder->program);
}

/* See payload.h. */
FsPayloadDecoder *
fs_payload_create(const FsStreamDef *def)
{
	FsPayloadDecoder *decoder = palloc0(sizeof(FsPayloadDecoder));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	FsField    *fields = make_fields(def);

	callback->func = free_decoder_cb;
	callback->arg = decoder;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	if (def->format == FS_FORMAT_AVRO)
	{
		decoder->program = make_program(def);
		decoder->avro = fs_avro_decoder_create();
	}
	else
		decoder->json = fs_json_decoder_create(fields, def->ncolumns);
	if (decoder->avro == NULL && decoder->json == NULL)
		throw_no_memory(def);
	pfree(fields);
	return decoder;
}
