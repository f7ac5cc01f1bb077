/*
 * payload.h
 *		The payload of a stream's records: from its format to declared columns.
 */
#ifndef FS_CATALOG_PAYLOAD_H
#define FS_CATALOG_PAYLOAD_H

#include "catalog/stream_def.h"
#include "catalog/writer_schemas.h"

/* The decoder of one stream: for JSON, Avro by one schema, or Avro by those that records name; see core/decode.h. */
typedef struct FsPayloadDecoder
{
	FsJsonDecoder *json;		/* NULL: Avro */
	FsAvroDecoder *avro;
	FsAvroProgram *program;		/* NULL: each record has its own */
	FsWriterSchemas *schemas;	/* then; else NULL */
} FsPayloadDecoder;

/*
 * Throws, with column, what and hint, when the stream's schema is none or does
 * not go with its columns; does nothing for JSON.  'def' has its columns.
 */
extern void fs_payload_check(const FsStreamDef *def);

/* The columns as the decoders want them; palloc'd, pointing into 'def'. */
extern FsField *fs_payload_fields(const FsStreamDef *def);

/* The schema of an Avro stream without a registry, malloc'd; throws when it is none. */
extern FsAvroSchema *fs_payload_schema(const FsStreamDef *def);

/* Makes the decoder, which lives as long as the current memory context.  Throws. */
extern FsPayloadDecoder *fs_payload_create(const FsStreamDef *def);

/* Forgets the values decoded so far; once a batch. */
static inline void
fs_payload_reset(FsPayloadDecoder *decoder)
{
	if (decoder->json != NULL)
		fs_json_decoder_reset(decoder->json);
	else
		fs_avro_decoder_reset(decoder->avro);
}

/*
 * Decodes a record of a stream with a registry, by the schema that it names.  A
 * schema that this process does not know is read from its row, if there is one.
 */
extern bool fs_payload_decode_named(FsPayloadDecoder *decoder, const char *bytes, size_t len,
									const char *header, size_t header_len,
									FsValue *values, FsDecodeError *error);

/*
 * Decodes one record; as fs_json_decode.  'header' is the record's header
 * FS_WIRE_HEADER_NAME, NULL when it has none or the stream has no registry.
 */
static inline bool
fs_payload_decode(FsPayloadDecoder *decoder, const char *bytes, size_t len, const char *header,
				  size_t header_len, FsValue *values, FsDecodeError *error)
{
	if (decoder->json != NULL)
		return fs_json_decode(decoder->json, bytes, len, values, error);
	if (decoder->schemas != NULL)
		return fs_payload_decode_named(decoder, bytes, len, header, header_len, values, error);
	return fs_avro_decode(decoder->avro, decoder->program, bytes, len, values, error);
}

#endif							/* FS_CATALOG_PAYLOAD_H */
