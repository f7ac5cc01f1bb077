/*
 * parquet.h
 *		Writer of Apache Parquet files, as Iceberg's readers want them.
 *
 * Flat columns and lists of them, each with its field id; data pages of version
 * 1; dictionary and delta encodings where they are smaller; zstd; statistics,
 * column index and offset index, page checksums.  Rows are buffered column by
 * column until a row group is full; the bytes go to a sink in order, so a file
 * can be streamed.  Memory: about what a row group has uncompressed, and a page.
 *
 * Statistics never lie: zero is -0.0 as a minimum and +0.0 as a maximum, long
 * byte strings are shortened downwards and upwards, and there are none where
 * there is a NaN, or no order that all readers agree on (uuid).
 *
 * Format: Apache Parquet 2.11 (parquet.thrift, Encodings.md, PageIndex.md);
 * ids and types: Apache Iceberg's specification, appendix A.
 */
#ifndef FS_CORE_PARQUET_H
#define FS_CORE_PARQUET_H

#include "core/buffer.h"
#include "core/parquet_types.h"

/* zstd 3; row groups of 32 MB or 1,000,000 rows, pages of 1 MB or 20,000 rows, dictionaries of 1 MB. */
extern const FsParquetOptions fs_parquet_defaults;

/* What a manifest says of a column of the file. */
typedef struct FsParquetMetrics
{
	int64_t		bytes;			/* in the file */
	int64_t		value_count;	/* NULLs, NaNs and elements of lists included */
	int64_t		null_count;
	int64_t		nan_count;		/* of FLOAT and DOUBLE */
	bool		has_bounds;
	FsBuffer	lower;			/* Iceberg's single-value form (appendix D); of text and bytes the first 16 characters or bytes */
	FsBuffer	upper;
	bool		has_upper;		/* false: no shortened value is above it */
} FsParquetMetrics;

typedef struct FsParquetWriter FsParquetWriter;

/* Takes the next bytes of the file; false ends the writing with an error. */
typedef bool (*FsParquetSink) (void *arg, const void *bytes, size_t n);

/*
 * Makes a writer; NULL when memory is out.  The columns are not copied.  Freed
 * with fs_parquet_free, which leaves a file that is not finished as it is.
 */
extern FsParquetWriter *fs_parquet_create(const FsParquetColumn *columns, int ncolumns,
										  const FsParquetOptions *options, FsParquetSink sink, void *arg);
extern void fs_parquet_free(FsParquetWriter *writer);

/*
 * A row: for each column one value, or fs_parquet_put_list and as many elements
 * as it says; then fs_parquet_end_row.  The order of the columns is free.  A
 * decimal has no more digits than its column's precision.
 * false: memory is out, or the sink refused; see fs_parquet_error.
 */
extern bool fs_parquet_put_null(FsParquetWriter *writer, int column);
extern bool fs_parquet_put_int(FsParquetWriter *writer, int column, int64_t value);
extern bool fs_parquet_put_float(FsParquetWriter *writer, int column, double value);
extern bool fs_parquet_put_bytes(FsParquetWriter *writer, int column, const void *bytes, size_t len);
extern bool fs_parquet_put_decimal(FsParquetWriter *writer, int column, const char *bytes, size_t len);
extern bool fs_parquet_put_list(FsParquetWriter *writer, int column, uint32_t nelements);
extern bool fs_parquet_end_row(FsParquetWriter *writer);

/* Writes what is left, and the footer.  Nothing can be put after it. */
extern bool fs_parquet_finish(FsParquetWriter *writer);

/* Why something failed; NULL when nothing has. */
extern const char *fs_parquet_error(const FsParquetWriter *writer);

/* Of the file, once it is finished: rows, bytes, where its row groups begin, and the column's metrics. */
extern int64_t fs_parquet_rows(const FsParquetWriter *writer);
extern int64_t fs_parquet_size(const FsParquetWriter *writer);
extern const int64_t *fs_parquet_offsets(const FsParquetWriter *writer, int *n);
extern bool fs_parquet_get_metrics(const FsParquetWriter *writer, int column, FsParquetMetrics *metrics);

#endif							/* FS_CORE_PARQUET_H */
