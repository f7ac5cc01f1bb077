/*
 * decode.h
 *		From the bytes of one record to the values of the declared columns.
 *
 * A decoder is made once per stream from its columns and used for every
 * record.  It is strict (RFC 8259, UTF-8 per RFC 3629), tolerant where streams
 * evolve (unknown fields are skipped, the last of duplicate keys wins), and
 * never fails for anything but the record at hand: a broken record is a result,
 * not an error.
 */
#ifndef FS_CORE_DECODE_H
#define FS_CORE_DECODE_H

#include "core/value.h"

/* Why an event was not counted; the names are those of feature_stream.dead_letter.reason. */
typedef enum FsReason
{
	FS_REASON_NONE = 0,
	FS_REASON_MALFORMED,		/* not JSON, not an object, not Avro by its schema, not UTF-8, too deep, empty */
	FS_REASON_MISSING_FIELD,	/* NOT NULL column absent (without default) or null */
	FS_REASON_CHECK_VIOLATION,	/* a CHECK of the stream is false */
	FS_REASON_BAD_VALUE,		/* the field cannot be a value of the column's type */
	FS_REASON_FUTURE,			/* event time beyond arrival clock + max_future */
	FS_REASON_LATE,				/* missed all windows of all views */
	FS_REASON_TOMBSTONE,		/* the record has no value */
	FS_REASON_EXPRESSION_ERROR,	/* an expression of a feature view raised; other views count the event */
	FS_REASON_UNKNOWN_SCHEMA	/* the registry does not know the record's schema, or it cannot be used */
} FsReason;

/* The word for a reason, as users see it ("missing_field"). */
extern const char *fs_reason_name(FsReason reason);

/* How a field is read as a time. */
typedef enum FsTimeUnit
{
	FS_UNIT_NONE = 0,			/* not a time; or: ISO 8601 text by default */
	FS_UNIT_S,
	FS_UNIT_MS,
	FS_UNIT_US,
	FS_UNIT_ISO8601
} FsTimeUnit;

/* One declared column, as far as decoding is concerned. */
typedef struct FsField
{
	const char *name;			/* key in the payload, UTF-8, or a path through objects: a.b.c */
	size_t		name_len;
	FsType		type;
	FsTimeUnit	unit;			/* for timestamptz */
} FsField;

#define FS_DECODE_MESSAGE_SIZE 256
#define FS_DECODE_MAX_DEPTH 64

/* What was wrong with a record. */
typedef struct FsDecodeError
{
	FsReason	reason;
	int			field;			/* index of the field, or -1 */
	size_t		position;		/* byte offset in the payload, for malformed ones */
	char		message[FS_DECODE_MESSAGE_SIZE];	/* a sentence that names field and value; valid UTF-8 */
} FsDecodeError;

typedef struct FsJsonDecoder FsJsonDecoder;

/*
 * Makes a decoder for 'nfields' fields (copied).  Returns NULL when memory is
 * out.  The decoder owns scratch memory for unescaped strings, reused by the
 * next *batch*: see fs_json_decoder_reset.
 */
extern FsJsonDecoder *fs_json_decoder_create(const FsField *fields, int nfields);
extern void fs_json_decoder_free(FsJsonDecoder *decoder);

/*
 * Forgets the scratch memory: values of byte types decoded since the last
 * reset must not be used any more.  Called once a batch.
 */
extern void fs_json_decoder_reset(FsJsonDecoder *decoder);

/*
 * Decodes one record into values[0..nfields-1].  True when the record is a
 * well-formed object whose declared fields all fit their types; absent and
 * null fields are told by their presence.  False: *error says why, and the
 * values are not to be used; reason FS_REASON_NONE means that memory was out,
 * which is not the record's fault: it must not become a dead letter.  Values point into 'bytes' or into the decoder's
 * scratch memory.  'bytes' need not be NUL-terminated and must not be NULL.
 */
extern bool fs_json_decode(FsJsonDecoder *decoder, const char *bytes, size_t len,
						   FsValue *values, FsDecodeError *error);

/*
 * The same for Avro.  A program knows schemas and columns (core/avro_resolve.h
 * makes it); a decoder is working memory, for any number of programs.
 */
typedef struct FsAvroProgram FsAvroProgram;
typedef struct FsAvroDecoder FsAvroDecoder;

extern void fs_avro_program_free(FsAvroProgram *program);

/* NULL when memory is out. */
extern FsAvroDecoder *fs_avro_decoder_create(void);
extern void fs_avro_decoder_free(FsAvroDecoder *decoder);

/* As fs_json_decoder_reset. */
extern void fs_avro_decoder_reset(FsAvroDecoder *decoder);

/*
 * As fs_json_decode: 'bytes' are one datum without any header.  Values may
 * also point into the program.
 */
extern bool fs_avro_decode(FsAvroDecoder *decoder, const FsAvroProgram *program,
						   const char *bytes, size_t len, FsValue *values,
						   FsDecodeError *error);

#endif							/* FS_CORE_DECODE_H */
