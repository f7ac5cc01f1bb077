/*
 * iceberg_types.h
 *		Types, values and partitions of an Apache Iceberg table, for all files iceberg*.c.
 *
 * Words: a *schema* is a list of columns with ids that never change, a *spec*
 * says how rows are partitioned, a *snapshot* is the table at one time: a
 * *manifest list* names *manifests*, which name *data files*.
 *
 * Format: Apache Iceberg's specification, version 2.
 */
#ifndef FS_CORE_ICEBERG_TYPES_H
#define FS_CORE_ICEBERG_TYPES_H

#include "core/parquet_types.h"
#include "core/scratch.h"

/* Why something failed, UTF-8: a clause like "the table has format version 3"; empty when memory was out. */
#define FS_ICEBERG_MESSAGE_SIZE	512

/* Primitive types: first ours, numbered as FsParquetType, then those that only others write. */
typedef enum FsIcebergKind
{
	FS_ICEBERG_BOOLEAN = FS_PARQUET_BOOLEAN,
	FS_ICEBERG_INT = FS_PARQUET_INT,
	FS_ICEBERG_LONG = FS_PARQUET_LONG,
	FS_ICEBERG_FLOAT = FS_PARQUET_FLOAT,
	FS_ICEBERG_DOUBLE = FS_PARQUET_DOUBLE,
	FS_ICEBERG_DATE = FS_PARQUET_DATE,
	FS_ICEBERG_TIMESTAMP = FS_PARQUET_TIMESTAMP,
	FS_ICEBERG_TIMESTAMPTZ = FS_PARQUET_TIMESTAMPTZ,
	FS_ICEBERG_STRING = FS_PARQUET_STRING,
	FS_ICEBERG_BINARY = FS_PARQUET_BINARY,
	FS_ICEBERG_UUID = FS_PARQUET_UUID,
	FS_ICEBERG_DECIMAL = FS_PARQUET_DECIMAL,	/* bytes: its digits (core/unscaled.h) */
	FS_ICEBERG_TIME,			/* int: microseconds of the day */
	FS_ICEBERG_FIXED,			/* bytes */
	FS_ICEBERG_OTHER			/* a struct, list, map, or one we do not know */
} FsIcebergKind;

/* Are values of this kind bytes; or numbers with a fraction?  Else they are integers. */
static inline bool
fs_iceberg_is_bytes(FsIcebergKind kind)
{
	return kind == FS_ICEBERG_STRING || kind == FS_ICEBERG_BINARY || kind == FS_ICEBERG_UUID ||
		kind == FS_ICEBERG_DECIMAL || kind == FS_ICEBERG_FIXED;
}

static inline bool
fs_iceberg_is_float(FsIcebergKind kind)
{
	return kind == FS_ICEBERG_FLOAT || kind == FS_ICEBERG_DOUBLE;
}

/* Division that rounds down, before 1970 as after it. */
static inline int64_t
fs_iceberg_floor(int64_t value, int64_t by)
{
	return value / by - (value % by < 0);
}

typedef struct FsIcebergType
{
	FsIcebergKind kind;
	int			precision;		/* of a decimal */
	int			scale;
	int			length;			/* of a fixed */
} FsIcebergType;

/* The type of a column's values, or of its elements. */
static inline FsIcebergType
fs_iceberg_type_of(const FsParquetColumn *column)
{
	return (FsIcebergType) {.kind = (FsIcebergKind) column->type, .precision = column->precision, .scale = column->scale};
}

/* A value, of a type that is known otherwise; numbers as the Parquet writer takes them. */
typedef struct FsIcebergValue
{
	bool		is_null;
	int64_t		i;				/* boolean, int, long, date, time, timestamps */
	double		f;				/* float, double */
	const char *bytes;			/* string, binary, uuid, decimal, fixed: somebody else's memory */
	size_t		len;
} FsIcebergValue;

typedef enum FsIcebergTransformKind
{
	FS_ICEBERG_IDENTITY,
	FS_ICEBERG_BUCKET,			/* of 'width' */
	FS_ICEBERG_TRUNCATE,		/* to 'width' */
	FS_ICEBERG_YEAR,
	FS_ICEBERG_MONTH,
	FS_ICEBERG_DAY,
	FS_ICEBERG_HOUR,
	FS_ICEBERG_VOID,			/* always NULL: a field that was dropped */
	FS_ICEBERG_UNKNOWN			/* somebody else's; we cannot compute it */
} FsIcebergTransformKind;

typedef struct FsIcebergTransform
{
	FsIcebergTransformKind kind;
	int32_t		width;
} FsIcebergTransform;

/* A field of a partition spec. */
typedef struct FsIcebergField
{
	int32_t		source_id;		/* of the column */
	int32_t		field_id;		/* 1000 and up */
	const char *name;
	FsIcebergTransform transform;
	FsIcebergType source;		/* of the column; FS_ICEBERG_OTHER where no schema has it */
	FsIcebergType result;		/* of the partition's values */
} FsIcebergField;

/* A partition spec; without fields, the table (or that part of it) is not partitioned. */
typedef struct FsIcebergSpec
{
	int32_t		spec_id;
	int			nfields;
	FsIcebergField *fields;
} FsIcebergSpec;

typedef struct FsIcebergProperty
{
	const char *key;
	const char *value;
} FsIcebergProperty;

/* How a new table is to be partitioned by a column, or sorted. */
typedef struct FsIcebergPartition
{
	const char *column;
	FsIcebergTransform transform;
} FsIcebergPartition;

typedef struct FsIcebergSort
{
	const char *column;
	bool		descending;
	bool		nulls_last;
} FsIcebergSort;

/* A table that is to be made.  Ids of columns are given out here: what 'columns' says of them is not read. */
typedef struct FsIcebergTable
{
	const char *location;		/* a URI, without a slash at its end */
	const FsParquetColumn *columns;
	int			ncolumns;
	const FsIcebergPartition *partitions;
	int			npartitions;
	const FsIcebergSort *sorts;
	int			nsorts;
	const FsIcebergProperty *properties;
	int			nproperties;
} FsIcebergTable;

#endif							/* FS_CORE_ICEBERG_TYPES_H */
