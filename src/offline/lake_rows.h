/*
 * lake_rows.h
 *		Rows of a history into Parquet files, one for each partition of a table in
 *		the lake, and for each 256 MB of one.
 *
 * Files are temporary ones of the server until somebody puts them into the lake:
 * rows are read in a transaction, and no store is spoken to in one.  Few files are
 * open at a time; rows of more partitions are sorted by these (lake_spill.h).
 * Memory: what row groups under construction hold, 128 MB in all at most, about
 * 1 MB for each file that is open, and 64 MB for sorting.
 */
#ifndef FS_OFFLINE_LAKE_ROWS_H
#define FS_OFFLINE_LAKE_ROWS_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "storage/fd.h"

#include "catalog/lake_columns.h"
#include "core/iceberg.h"
#include "core/iceberg_manifest.h"

/* Properties of a table: how its data files are compressed */
#define FS_LAKE_CODEC	"write.parquet.compression-codec"
#define FS_LAKE_LEVEL	"write.parquet.compression-level"

typedef struct FsLakeRows FsLakeRows;

/* A file that is finished. */
typedef struct FsLakeFile
{
	File		file;
	char	   *location;
	FsIcebergDataFile entry;	/* what the manifest says of it */
} FsLakeFile;

/*
 * Begins, in the transaction that reads the rows; memory and files are the current context's, gone when it is.  'columns'
 * are those of the rows that will be put, in that order, found in the table by
 * their names; they must outlive the rows.  Throws when the table has not the same.
 */
extern FsLakeRows *fs_lake_rows_open(FsIcebergMetadata *metadata, const FsLakeColumn *columns, int ncolumns);

/* Adds a row; what it points to is copied. */
extern void fs_lake_rows_put(FsLakeRows *rows, const Datum *values, const bool *nulls);

/* Finishes all files, in that transaction: a List of FsLakeFile, in the rows' context. */
extern List *fs_lake_rows_finish(FsLakeRows *rows);

/* How many values of them became NULL because they were NaN. */
extern int64 fs_lake_rows_nans(const FsLakeRows *rows);

/* How many rows were put. */
extern int64 fs_lake_rows_count(const FsLakeRows *rows);

/* How data files of the table are written: with zstd, at the level that the table says. */
extern FsParquetOptions fs_lake_parquet_options(const FsIcebergMetadata *metadata);

/* A random uuid as text, palloc'd: names of files are of fresh ones. */
extern char *fs_lake_uuid(void);

/* Writes bytes to a temporary file at this offset; false, with errno, when it cannot: it does not throw. */
extern bool fs_lake_file_write(File file, const void *bytes, size_t n, off_t offset);

/* Throws why a Parquet file could not be written. */
extern void fs_lake_throw_writer(const FsParquetWriter *writer) pg_attribute_noreturn();

/* Throws why something of core/iceberg.h failed: 'message' is what it said. */
extern void fs_lake_throw(const char *what, const char *message) pg_attribute_noreturn();

#endif							/* FS_OFFLINE_LAKE_ROWS_H */
