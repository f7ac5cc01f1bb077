/*
 * encode_avro.h
 *		From the columns of a stream to the Avro of a record: the reverse of the
 *		contract.
 */
#ifndef FS_PIPELINE_ENCODE_AVRO_H
#define FS_PIPELINE_ENCODE_AVRO_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "catalog/stream_def.h"

typedef struct FsAvroRecordEncoder FsAvroRecordEncoder;

/*
 * Makes the encoder, which lives as long as the current memory context: by the
 * stream's schema, or by the newest one that its registry is known to have.  Throws when
 * there is none, or when columns cannot be written by it.
 */
extern FsAvroRecordEncoder *fs_avro_record_encoder_create(const FsStreamDef *stream);

/* Has the schema a field for the column?  What it has not is not written. */
extern bool fs_avro_record_encoder_has(const FsAvroRecordEncoder *encoder, int column);

/*
 * Appends the record of a row, whose arrays are by attribute number minus one, with
 * its header where it names its schema.  Throws for what the schema does not hold.
 */
extern void fs_avro_record_encode(FsAvroRecordEncoder *encoder, const Datum *values, const bool *nulls,
								  StringInfo out);

#endif							/* FS_PIPELINE_ENCODE_AVRO_H */
