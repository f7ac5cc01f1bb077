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
	FsLakeColumn column;
	FmgrInfo	output;			/* of a type that is printed */
	int16		typlen;			/* of a list's elements */
	bool		typbyval;
	char		typalign;
} FsLakeValueMaker;

extern void fs_lake_value_prepare(FsLakeValueMaker *maker, const FsLakeColumn *column);

/*
 * The value of a Datum (of an array's element).  Bytes are the Datum's, or in
 * the current memory context.  Infinite times are the first and the last that
 * there are.
 */
extern void fs_lake_value_make(FsLakeValueMaker *maker, Datum datum, bool isnull, FsIcebergValue *value);

/* Put it, or an array of them, into a file; false when the writer refused. */
extern bool fs_lake_value_put(const FsLakeValueMaker *maker, FsParquetWriter *writer, int column, const FsIcebergValue *value);
extern bool fs_lake_value_put_list(FsLakeValueMaker *maker, FsParquetWriter *writer, int column, Datum array, bool isnull);

#endif							/* FS_OFFLINE_LAKE_VALUE_H */
