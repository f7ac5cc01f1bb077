/*
 * iceberg_transform.h
 *		Partition transforms: from a row's values to the partition it belongs to.
 *
 * Everything here is total: each value has a partition.  Values before 1970 are
 * rounded down, as the specification has it.
 */
#ifndef FS_CORE_ICEBERG_TRANSFORM_H
#define FS_CORE_ICEBERG_TRANSFORM_H

#include "core/buffer.h"
#include "core/iceberg_types.h"

/* "identity", "bucket[16]", "day" and so on, as metadata has it; anything else is FS_ICEBERG_UNKNOWN. */
extern FsIcebergTransform fs_iceberg_transform_read(const char *text, size_t len);

/* The same, written: at most FS_ICEBERG_TRANSFORM_SIZE bytes with the zero. */
#define FS_ICEBERG_TRANSFORM_SIZE 24
extern void fs_iceberg_transform_write(const FsIcebergTransform *transform, char *out);

/* The decimal number from 'p' to 'end', from 1 to 2^31 - 1; 0 when it is none. */
extern int32_t fs_iceberg_read_width(const char *p, const char *end);

/*
 * What a user writes: a column, or day(column), bucket(16, column),
 * truncate(8, column), identity(column), also years, months, days, hours.
 * Space is allowed between the parts; a column is taken as it stands, or in
 * double quotes (two for one inside).  The column's name becomes
 * partition->column, in 'memory'.  False, with the message, when it is none.
 */
extern bool fs_iceberg_partition_read(const char *text, FsScratch *memory, FsIcebergPartition *partition, char *message);

/* What a transform makes of a type; false when it takes no such values. */
extern bool fs_iceberg_transform_type(const FsIcebergTransform *transform, const FsIcebergType *source,
									  FsIcebergType *result);

/*
 * Can a new table be partitioned so?  Not where values of the type would have
 * partitions that it has no room for: decimals of few digits, truncated to many.
 */
extern bool fs_iceberg_can_partition(const FsIcebergTransform *transform, const FsIcebergType *source);

/*
 * A value's partition.  The transform takes values of the type and is not
 * FS_ICEBERG_UNKNOWN.  Bytes of the result are the value's own, from the
 * beginning, or those of 'room', 16 bytes for a decimal that is truncated.
 */
extern void fs_iceberg_transform(const FsIcebergTransform *transform, const FsIcebergType *type,
								 const FsIcebergValue *value, FsIcebergValue *result, char *room);

/* The hash behind buckets, of the bytes that the specification gives a value: murmur3, 32 bits, seed 0. */
extern uint32_t fs_murmur3(const void *bytes, size_t len);
extern int32_t fs_iceberg_hash(const FsIcebergType *type, const FsIcebergValue *value);

/*
 * Appends a partition (a value for each field of the spec) as bytes that are
 * the same for the same partitions and for no others, to group rows by; false
 * when memory is out.
 */
extern bool fs_iceberg_partition_key(const FsIcebergSpec *spec, const FsIcebergValue *values, FsBuffer *out);

/*
 * Appends a partition as a path for people, "2025-10-17/3": of unreserved
 * characters alone, which every object store signs alike, so different
 * partitions can have the same.  Nothing for a spec without fields.  False when
 * memory is out.
 */
extern bool fs_iceberg_partition_path(const FsIcebergSpec *spec, const FsIcebergValue *values, FsBuffer *out);

#endif							/* FS_CORE_ICEBERG_TRANSFORM_H */
