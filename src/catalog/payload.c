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
#include "core/utf8.h"

static void
throw_no_memory(const FsStreamDef *def)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("Could not create the decoder of stream %s.", def->name)));
}

/* See payload.h. */
FsField *
fs_payload_fields(const FsStreamDef *def)
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

/* See payload.h. */
FsAvroSchema *
fs_payload_schema(const FsStreamDef *def)
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
	FsField    *fields = fs_payload_fields(def);
	FsAvroProblem *problems = palloc0(sizeof(FsAvroProblem) * Max(def->ncolumns, 1));
	FsAvroSchema *schema = fs_payload_schema(def);
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
		if (fs_column_is_served(&def->columns[i], &problems[i]))
			continue;
		fs_avro_program_free(program);
		throw_problem(def, &def->columns[i], &problems[i]);
	}
	pfree(fields);
	pfree(problems);
	return program;
}

/* Throws for an Avro stream whose records have a schema neither from it nor from a registry, or from both. */
static void
check_origin(const FsStreamDef *def)
{
	if (def->schema == NULL && def->registry == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("format \"avro\" needs the option \"schema\""),
				 def->kind == FS_SOURCE_KAFKA ?
				 errhint("Give the Avro schema that the records were written with, as JSON; or, when each record names its own, the option \"registry\" of the server.") :
				 errhint("Give the Avro schema that the records were written with, as JSON.")));
}

/* See payload.h. */
void
fs_payload_check(const FsStreamDef *def)
{
	FsField    *fields;

	if (def->format != FS_FORMAT_AVRO)
		return;
	check_origin(def);
	fields = fs_payload_fields(def);
	if (def->registry != NULL)
		fs_writer_schemas_check(def, fields);
	else
		fs_avro_program_free(make_program(def));
	pfree(fields);
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
	FsField    *fields = fs_payload_fields(def);

	callback->func = free_decoder_cb;
	callback->arg = decoder;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	if (def->registry != NULL)
		decoder->schemas = fs_writer_schemas_create(def, fields);
	else if (def->format == FS_FORMAT_AVRO)
		decoder->program = make_program(def);
	if (def->format == FS_FORMAT_AVRO)
		decoder->avro = fs_avro_decoder_create();
	else
		decoder->json = fs_json_decoder_create(fields, def->ncolumns);
	if (decoder->avro == NULL && decoder->json == NULL)
		throw_no_memory(def);
	if (decoder->schemas == NULL)
		pfree(fields);
	return decoder;
}

/* Refuses a record as a whole; always false. */
static bool
refuse(FsDecodeError *error, FsReason reason, const char *message)
{
	error->reason = reason;
	error->field = -1;
	error->position = 0;
	strlcpy(error->message, message, sizeof(error->message));
	return false;
}

/* Adds to a message, which counts bytes from the datum on, by which schema it was read. */
static void
name_schema(FsDecodeError *error, const FsWireHeader *id)
{
	char		name[FS_SCHEMA_NAME_SIZE];
	char		message[FS_DECODE_MESSAGE_SIZE];

	error->position += id->datum;
	strlcpy(message, error->message, sizeof(message));
	snprintf(error->message, sizeof(error->message), "read by %s: ", fs_writer_schema_name(name, id));
	fs_utf8_print(error->message + strlen(error->message),
				  sizeof(error->message) - strlen(error->message) - 4, message, strlen(message));
}

/* See payload.h. */
bool
fs_payload_decode_named(FsPayloadDecoder *decoder, const char *bytes, size_t len, const char *header,
						size_t header_len, FsValue *values, FsDecodeError *error)
{
	FsWireHeader id;
	const char *wrong;
	const FsWriterSchema *schema;
	char		name[FS_SCHEMA_NAME_SIZE];

	if (!fs_wire_read(bytes, len, header, header_len, &id, &wrong))
		return refuse(error, FS_REASON_MALFORMED, psprintf("the record %s", wrong));
	schema = fs_writer_schemas_find(decoder->schemas, &id);
	if (unlikely(schema == NULL && !fs_wire_may_exist(&id)))
		return refuse(error, FS_REASON_UNKNOWN_SCHEMA,
					  psprintf("no registry has a %s: their numbers end at %d",
							   fs_writer_schema_name(name, &id), INT32_MAX));
	if (unlikely(schema == NULL))
		schema = fs_writer_schemas_load(decoder->schemas, &id);
	if (schema == NULL)
		return refuse(error, FS_REASON_UNKNOWN_SCHEMA,
					  psprintf("%s is not known here: only the stream's worker asks the registry for it",
							   fs_writer_schema_name(name, &id)));
	if (schema->program == NULL)
		return refuse(error, FS_REASON_UNKNOWN_SCHEMA, schema->refusal);
	if (fs_avro_decode(decoder->avro, schema->program, bytes + id.datum, len - id.datum, values, error))
		return true;
	if (error->reason == FS_REASON_MALFORMED)
		name_schema(error, &id);
	return false;
}
