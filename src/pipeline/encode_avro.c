/*
 * encode_avro.c
 *		From the columns of a stream to the Avro of a record; see encode_avro.h.
 *
 * core/avro_encode.h does it; here is which schema, and what ties it to a
 * definition, to Datums and to a memory context.
 */
#include "postgres.h"

#include "utils/array.h"
#include "utils/memutils.h"

#include "catalog/payload.h"
#include "catalog/published_schema.h"
#include "core/avro_encode.h"
#include "pipeline/encode_avro.h"
#include "pipeline/values.h"

struct FsAvroRecordEncoder
{
	const FsStreamDef *stream;
	FsAvroSchema *writer;
	FsAvroSchema *reader;		/* NULL: columns read the writer's */
	FsAvroEncoder *encoder;
	FsBuffer	record;			/* the last one */
	FsValue    *values;
	int32		id;				/* of the schema in the registry */
};

/* Memory context callback. */
static void
free_encoder_cb(void *arg)
{
	FsAvroRecordEncoder *encoder = arg;

	fs_avro_encoder_free(encoder->encoder);
	fs_avro_schema_free(encoder->writer);
	fs_avro_schema_free(encoder->reader);
	fs_buffer_free(&encoder->record);
}

/* What a trouble is to PostgreSQL. */
static int
trouble_code(FsAvroTrouble trouble)
{
	switch (trouble)
	{
		case FS_AVRO_UNFILLED:
			return ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
		case FS_AVRO_NOT_NULL:
			return ERRCODE_NOT_NULL_VIOLATION;
		case FS_AVRO_WRONG_TYPE:
			return ERRCODE_DATATYPE_MISMATCH;
		default:
			return ERRCODE_INVALID_PARAMETER_VALUE;
	}
}

/* Throws what core has against writing a record. */
static void
throw_error(const FsStreamDef *stream, const FsAvroEncodeError *error)
{
	if (error->trouble == FS_AVRO_NO_MEMORY)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Could not encode a record of stream %s.", stream->name)));
	ereport(ERROR,
			(errcode(trouble_code(error->trouble)),
			 errmsg("cannot write a record of stream %s by its schema", stream->name),
			 error->field >= 0 ?
			 errdetail("Column \"%s\": %s.", stream->columns[error->field].name, error->message) :
			 errdetail("What is wrong: %s.", error->message),
			 error->trouble == FS_AVRO_UNFILLED ?
			 errhint("Declare a column that reads the field, or give the field a default in a new version of the schema.") : 0));
}

/* See encode_avro.h. */
FsAvroRecordEncoder *
fs_avro_record_encoder_create(const FsStreamDef *stream)
{
	FsAvroRecordEncoder *encoder = palloc0(sizeof(FsAvroRecordEncoder));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	FsField    *fields = fs_payload_fields(stream);
	FsAvroEncodeError error;

	Assert(stream->format == FS_FORMAT_AVRO);
	callback->func = free_encoder_cb;
	callback->arg = encoder;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	encoder->stream = stream;
	encoder->values = palloc0(sizeof(FsValue) * Max(stream->ncolumns, 1));
	if (stream->registry == NULL)
		encoder->writer = fs_payload_schema(stream);
	else
	{
		encoder->writer = fs_published_schema_load(stream, &encoder->id);
		encoder->reader = fs_writer_schemas_reader(stream, fields);
	}
	encoder->encoder = fs_avro_encoder_create(encoder->writer, encoder->reader, fields, stream->ncolumns, &error);
	if (encoder->encoder == NULL)
		throw_error(stream, &error);
	pfree(fields);
	return encoder;
}

/* See encode_avro.h. */
bool
fs_avro_record_encoder_has(const FsAvroRecordEncoder *encoder, int column)
{
	return fs_avro_encoder_has(encoder->encoder, column);
}

/* Takes the row's values. */
static void
take_values(FsAvroRecordEncoder *encoder, const Datum *values, const bool *nulls)
{
	for (int i = 0; i < encoder->stream->ncolumns; i++)
	{
		const FsColumn *column = &encoder->stream->columns[i];
		Datum		datum = values[column->attnum - 1];

		encoder->values[i].presence = FS_NULL;
		if (nulls[column->attnum - 1])
			continue;
		if (fs_type_is_array(column->type))
			fs_column_check_array(column, DatumGetArrayTypeP(datum));
		encoder->values[i] = fs_datum_value(column, datum);
	}
}

/* See encode_avro.h. */
void
fs_avro_record_encode(FsAvroRecordEncoder *encoder, const Datum *values, const bool *nulls, StringInfo out)
{
	FsAvroEncodeError error;

	take_values(encoder, values, nulls);
	fs_buffer_reset(&encoder->record);
	if (!fs_avro_encode(encoder->encoder, encoder->values, &encoder->record, &error))
		throw_error(encoder->stream, &error);
	if (encoder->stream->registry != NULL)
	{
		char		header[FS_WIRE_ID_SIZE];

		fs_wire_write_id(header, (uint32_t) encoder->id);
		appendBinaryStringInfo(out, header, sizeof(header));
	}
	appendBinaryStringInfo(out, encoder->record.data, encoder->record.len);
}
