/*
 * parquet_types.h
 *		Columns and options of a Parquet file, for all files parquet*.c.
 */
#ifndef FS_CORE_PARQUET_TYPES_H
#define FS_CORE_PARQUET_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum FsParquetType
{
	FS_PARQUET_BOOLEAN,			/* int: 0 or 1 */
	FS_PARQUET_INT,				/* int, of 32 bits */
	FS_PARQUET_LONG,			/* int */
	FS_PARQUET_FLOAT,			/* float */
	FS_PARQUET_DOUBLE,			/* float */
	FS_PARQUET_DATE,			/* int: days since 1970-01-01 */
	FS_PARQUET_TIMESTAMP,		/* int: microseconds since 1970-01-01, of no time zone */
	FS_PARQUET_TIMESTAMPTZ,		/* int: microseconds since 1970-01-01 UTC */
	FS_PARQUET_STRING,			/* bytes: valid UTF-8 */
	FS_PARQUET_BINARY,			/* bytes */
	FS_PARQUET_UUID,			/* bytes: 16 */
	FS_PARQUET_DECIMAL			/* a decimal: its digits (core/unscaled.h) */
} FsParquetType;

typedef struct FsParquetColumn
{
	const char *name;			/* valid UTF-8; lives as long as the writer */
	FsParquetType type;			/* of the value, or of a list's elements */
	bool		required;		/* never NULL */
	bool		is_list;		/* of elements that can be NULL */
	int32_t		field_id;
	int32_t		element_id;		/* of a list's elements */
	int			precision;		/* of a decimal: 1 to 38 */
	int			scale;			/* likewise: 0 to its precision */
} FsParquetColumn;

/* Of parquet_read.h */
typedef struct FsParquetReader FsParquetReader;

#define FS_PARQUET_MAX_LEVEL 22	/* of zstd */

typedef struct FsParquetOptions
{
	int			zstd_level;		/* 1 to that; 0: not compressed */
	size_t		group_bytes;	/* uncompressed, of a row group; about */
	int64_t		group_rows;
	size_t		page_bytes;		/* uncompressed; about */
	int64_t		page_rows;
	size_t		dictionary_bytes;	/* at most */
} FsParquetOptions;

#endif							/* FS_CORE_PARQUET_TYPES_H */
