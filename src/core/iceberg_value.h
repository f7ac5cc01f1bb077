/*
 * iceberg_value.h
 *		Values as Iceberg's files hold them: bounds, and the fields of partitions.
 *
 * For the files iceberg*.c.
 */
#ifndef FS_CORE_ICEBERG_VALUE_H
#define FS_CORE_ICEBERG_VALUE_H

#include "core/avro_walk.h"
#include "core/buffer.h"
#include "core/iceberg_types.h"

/* Appends a value that is not NULL as a single value (appendix D); false when memory is out. */
extern bool fs_iceberg_value_encode(const FsIcebergType *type, const FsIcebergValue *value, FsBuffer *out);

/* -1, 0 or 1: two values that are neither NULL nor NaN compared, zero and minus zero being the same. */
extern int	fs_iceberg_value_compare(const FsIcebergType *type, const FsIcebergValue *a, const FsIcebergValue *b);

extern bool fs_iceberg_value_is_nan(const FsIcebergType *type, const FsIcebergValue *value);

/* Appends the Avro type of a partition's values as JSON; 'id' makes names of types unique.  False: memory is out. */
extern bool fs_iceberg_avro_type(const FsIcebergType *type, int32_t id, FsBuffer *out);

/* Can the value be written as this type: is a decimal or fixed as long as it may be? */
extern bool fs_iceberg_avro_fits(const FsIcebergType *type, const FsIcebergValue *value);

/* Appends a value of a partition, NULL or one that fits, as Avro has it; false when memory is out. */
extern bool fs_iceberg_avro_put(const FsIcebergType *type, const FsIcebergValue *value, FsBuffer *out);

/* Reads one, written by whomever; bytes stay where they are.  False: it is malformed. */
extern bool fs_iceberg_avro_get(FsAvroWalk *walk, int node, const FsIcebergType *type, FsIcebergValue *value);

#endif							/* FS_CORE_ICEBERG_VALUE_H */
