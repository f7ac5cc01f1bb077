/*
 * avro_encode.h
 *		From the values of declared columns to the Avro record of a schema: the
 *		reverse of what core/decode.h promises of Avro.
 *
 * A field that a column's path leads to is the column's value; in the types that the
 * decoder would make that value of, and in no other.  Of a union it is the first
 * branch that holds the value exactly, else the first that holds it at all.  What
 * no column gives is the field's default, else null, if its type has it.
 *
 * A value is written as it is, but for this: times are cut to the schema's unit,
 * toward the past, and numbers rounded to the nearest float or double.  Anything
 * else that a type does not hold is refused.
 */
#ifndef FS_CORE_AVRO_ENCODE_H
#define FS_CORE_AVRO_ENCODE_H

#include "core/avro_schema.h"
#include "core/buffer.h"
#include "core/decode.h"

typedef struct FsAvroEncoder FsAvroEncoder;

/* Why there is no record. */
typedef enum FsAvroTrouble
{
	FS_AVRO_NO_MEMORY = 0,
	FS_AVRO_UNFILLED,			/* a field has no column, no default and is never null */
	FS_AVRO_NOT_NULL,			/* null, for a type that has none */
	FS_AVRO_WRONG_TYPE,			/* the column is none of those that take the type */
	FS_AVRO_WRONG_VALUE			/* the type does not hold the value */
} FsAvroTrouble;

typedef struct FsAvroEncodeError
{
	FsAvroTrouble trouble;
	int			field;			/* index of the column, or -1 */
	char		message[FS_DECODE_MESSAGE_SIZE];	/* as part of a sentence, names the field; valid UTF-8 */
} FsAvroEncodeError;

/*
 * Makes an encoder of records of the writer's schema, for columns that read these by
 * way of the reader's (NULL: there is none).  The schemas must live as long as
 * it does; 'fields' are copied.  NULL: *error says why.
 */
extern FsAvroEncoder *fs_avro_encoder_create(const FsAvroSchema *writer, const FsAvroSchema *reader,
											 const FsField *fields, int nfields, FsAvroEncodeError *error);
extern void fs_avro_encoder_free(FsAvroEncoder *encoder);

/* Has the schema something for the column?  What it has not is not written. */
extern bool fs_avro_encoder_has(const FsAvroEncoder *encoder, int field);

/*
 * Appends the record of values[0 .. nfields - 1], in which absent is as null.
 * False: *error says why, and what was appended is to be dropped.
 */
extern bool fs_avro_encode(FsAvroEncoder *encoder, const FsValue *values, FsBuffer *out,
						   FsAvroEncodeError *error);

#endif							/* FS_CORE_AVRO_ENCODE_H */
