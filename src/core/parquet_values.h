/*
 * parquet_values.h
 *		Values of one column of a row group, and what is the least and greatest of them.
 *
 * For the files parquet*.c.  Values that are NULL are not among them.
 */
#ifndef FS_CORE_PARQUET_VALUES_H
#define FS_CORE_PARQUET_VALUES_H

#include "core/buffer.h"
#include "core/parquet_types.h"

/* Parquet's physical types, as its files number them. */
typedef enum FsParquetPhysical
{
	FS_PHYSICAL_BOOLEAN = 0,
	FS_PHYSICAL_INT32 = 1,
	FS_PHYSICAL_INT64 = 2,
	FS_PHYSICAL_FLOAT = 4,
	FS_PHYSICAL_DOUBLE = 5,
	FS_PHYSICAL_BYTES = 6,
	FS_PHYSICAL_FIXED = 7
} FsParquetPhysical;

/* As what a file has the column's values (parquet_physical.c). */
extern FsParquetPhysical fs_parquet_physical(const FsParquetColumn *column);

/* Bytes a value takes; 0 where they differ. */
extern int	fs_parquet_width(const FsParquetColumn *column);

/*
 * A decimal's digits (core/unscaled.h) as the column's files have them, so many
 * bytes as they are wide; and the other way round, the fewest bytes: how many.
 */
extern void fs_parquet_decimal_put(const FsParquetColumn *column, const char *bytes, size_t len, char *out);
extern size_t fs_parquet_decimal_get(const FsParquetColumn *column, const char *bytes, char *out);

/*
 * Values in the order they came: little-endian numbers of one width (a boolean
 * is a byte), or bytes one behind the other, where ends[i] is the end of the
 * i-th (unless they are of one width, too).  Points into memory of the column's.
 */
typedef struct FsParquetValues
{
	const FsParquetColumn *column;
	int			width;
	const char *data;
	const uint32_t *ends;
	size_t		n;
} FsParquetValues;

/* The i-th value's bytes. */
static inline const char *
fs_parquet_value(const FsParquetValues *values, size_t i, size_t *len)
{
	size_t		begin;

	FS_ASSERT(i < values->n);
	if (values->width > 0)
	{
		*len = (size_t) values->width;
		return values->data + i * (size_t) values->width;
	}
	begin = i == 0 ? 0 : values->ends[i - 1];
	*len = values->ends[i] - begin;
	return values->data + begin;
}

/* Least and greatest of some values, and how many cannot be compared. */
typedef struct FsParquetBounds
{
	const FsParquetColumn *column;	/* lives as long */
	bool		any;			/* else there is none */
	int64_t		nulls;
	int64_t		nans;
	int64_t		least;			/* of integers */
	int64_t		greatest;
	double		least_float;
	double		greatest_float;
	FsBuffer	least_bytes;
	FsBuffer	greatest_bytes;
} FsParquetBounds;

/*
 * Can readers be told these bounds?  Not where there is a NaN, for which a
 * Parquet file has no count: DuckDB 1.5.5 takes a chunk with equal bounds and
 * no NULLs for a constant one.  Iceberg's manifests count NaNs.
 */
static inline bool
fs_parquet_bounds_are_whole(const FsParquetBounds *bounds)
{
	return bounds->any && bounds->nans == 0;
}

extern void fs_parquet_bounds_free(FsParquetBounds *bounds);

/* None of a column's, keeping the memory. */
extern void fs_parquet_bounds_reset(FsParquetBounds *bounds, const FsParquetColumn *column);

/* Takes values first .. end - 1 into account; false when memory is out. */
extern bool fs_parquet_bounds_add(FsParquetBounds *bounds, const FsParquetValues *values, size_t first, size_t end);

/* Takes other bounds of the same column into account; false when memory is out. */
extern bool fs_parquet_bounds_merge(FsParquetBounds *bounds, const FsParquetBounds *other);

/* How -1, 0 or 1: one of the two bounds of a page compared with that of another, of the same column. */
extern int	fs_parquet_bounds_compare(const FsParquetBounds *a, const FsParquetBounds *b, bool upper);

/*
 * Appends a bound as Parquet has the value (PLAIN), which is also as Iceberg has
 * it, but for decimals: text cut to 'length' characters and bytes to 'length' bytes, upwards
 * for an upper bound.  *exact is false when it was cut; *found false, and
 * nothing appended, when no shorter value is above it.  False when memory is out.
 */
extern bool fs_parquet_bounds_encode(const FsParquetBounds *bounds, bool upper, size_t length,
									 FsBuffer *out, bool *exact, bool *found);

/* The same cut to what Parquet's statistics and page index take, and whole where nothing shorter bounds. */
extern bool fs_parquet_bounds_encode_short(const FsParquetBounds *bounds, bool upper, FsBuffer *out, bool *exact);

#endif							/* FS_CORE_PARQUET_VALUES_H */
