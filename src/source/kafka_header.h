/*
 * kafka_header.h
 *		Record headers as JSON, for dead letters and columns that show them, and back.
 */
#ifndef FS_SOURCE_KAFKA_HEADER_H
#define FS_SOURCE_KAFKA_HEADER_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/jsonb.h"

/*
 * Appends {"key":..., "value":...} to an array that has been opened, behind a
 * comma if it is not the first.  Bytes that are not UTF-8 text, or hold a NUL,
 * which jsonb refuses, become "key_base64" or "value_base64"; no value is a JSON
 * null.  False, and all as before, where the array would become longer than 'max'.
 */
extern bool fs_kafka_header_append(StringInfo json, const char *key, const void *value, size_t size, size_t max);

/*
 * The value of the last header of that key, out of an array of such objects: "" when it
 * has none, or none that can be read; NULL: there is no such header.  Elements that are
 * no headers are passed over, as is a document that is no array: users repair them.
 * Points into 'headers', or is palloc'd.
 */
extern const char *fs_kafka_header_find(Jsonb *headers, const char *key, size_t *len);

#endif							/* FS_SOURCE_KAFKA_HEADER_H */
