/*
 * kafka_config.h
 *		The librdkafka properties of a stream: our defaults, the user's options,
 *		and what nobody may change.
 */
#ifndef FS_SOURCE_KAFKA_CONFIG_H
#define FS_SOURCE_KAFKA_CONFIG_H

#include "postgres.h"

#include "catalog/stream.h"

typedef struct FsKafkaProperty
{
	const char *name;			/* librdkafka's */
	const char *value;
	bool		secret;			/* the value must not be shown */
} FsKafkaProperty;

/*
 * All properties of a stream with queue limits for 'npartitions', in the order
 * in which they are to be set (a later one overrides).  Their number goes to
 * *count; the array and its texts are palloc'd or the stream's.  Throws for an
 * option that may not be set.
 */
extern FsKafkaProperty *fs_kafka_config(const FsStreamDef *stream, int npartitions, int *count);

#endif							/* FS_SOURCE_KAFKA_CONFIG_H */
