/*
 * kafka_header.h
 *		Record headers as JSON, for dead letters.
 */
#ifndef FS_SOURCE_KAFKA_HEADER_H
#define FS_SOURCE_KAFKA_HEADER_H

#include "postgres.h"

#include "lib/stringinfo.h"

/*
 * Appends {"key":..., "value":...}.  Bytes that are not UTF-8 text, or hold a
 * NUL, which jsonb refuses, become "key_base64" or "value_base64"; no value is
 * a JSON null.
 */
extern void fs_kafka_header_append(StringInfo json, const char *key, const void *value, size_t size);

#endif							/* FS_SOURCE_KAFKA_HEADER_H */
