/*
 * encode_json.h
 *		From the columns of a stream to the JSON of a record: the reverse of the
 *		contract.
 */
#ifndef FS_PIPELINE_ENCODE_JSON_H
#define FS_PIPELINE_ENCODE_JSON_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "catalog/stream_def.h"

typedef struct FsJsonEncoder FsJsonEncoder;

/* Makes the encoder, palloc'd; throws when fields of the stream contain each other. */
extern FsJsonEncoder *fs_json_encoder_create(const FsStreamDef *stream);

/*
 * Appends the object of a row, whose arrays are by attribute number minus one.
 * NULL is an absent field, or null where the column has a DEFAULT, which an absent
 * one would become.  Throws for values that JSON or the contract has no form for.
 */
extern void fs_json_encode(const FsJsonEncoder *encoder, const Datum *values, const bool *nulls, StringInfo out);

#endif							/* FS_PIPELINE_ENCODE_JSON_H */
