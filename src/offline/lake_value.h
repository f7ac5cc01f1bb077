/*
 * lake_value.h
 *		Values of a history, as tables in a lake have them.
 */
#ifndef FS_OFFLINE_LAKE_VALUE_H
#define FS_OFFLINE_LAKE_VALUE_H

#include "postgres.h"

#include "fmgr.h"

#include "catalog/lake_columns.h"
#include "core/iceberg_types.h"
#include "core/parquet.h"

/* What is needed to make values of a column. */
typedef struct FsLakeValueMaker
{
	FsLakeColumn column;		/* of the history, but as the table in the lake has it */
	FmgrInfo	output;			/* of a type that is printed */
	int64		nans;			/* values that were NaN, and became NULL */
	int16		typlen;			/* of a list's elements */
	bool		typbyval;
	char		typalign;
} FsLakeValueMaker;

/*
 * Can a column of a table in a lake have what the history's has?  Decimals may be
 * of a greater precision there, or strings, as those are that were made before.
 */
extern bool fs_lake_value_fits(const FsParquetColumn *table, const FsLakeColumn *column);

/* 'table' is the column of the table, which fits. */
extern void fs_lake_value_prepare(FsLakeValueMaker *maker, const FsLakeColumn *column, const FsParquetColumn *table);

/*
 * The value of a Datum (of an array's element).  Bytes are the Datum's, or in
 * the current memory context.  Infinite times are the first and the last that
 * there are.  No decimal is NaN: such a one is NULL, and counted; where the
 * column must not be NULL it throws.
 */
extern void fs_lake_value_make(FsLakeValueMaker *maker, Datum datum, bool isnull, FsIcebergValue *value);

/* Put it, or an array of them, into a file; false when the writer refused. */
extern bool fs_lake_value_put(const FsLakeValueMaker *maker, FsParquetWriter *writer, int column, const FsIcebergValue *value);
extern bool fs_lake_value_put_list(FsLakeValueMaker *maker, FsParquetWriter *writer, int column, Datum array, bool isnull);

#endif							/* FS_OFFLINE_LAKE_VALUE_H */
