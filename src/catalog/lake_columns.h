/*
 * lake_columns.h
 *		What becomes of a history's columns in the lake.
 */
#ifndef FS_CATALOG_LAKE_COLUMNS_H
#define FS_CATALOG_LAKE_COLUMNS_H

#include "postgres.h"

#include "access/attnum.h"

#include "core/parquet_types.h"

/* How a value, or an element of a list, is made of a Datum. */
typedef enum FsLakeForm
{
	FS_LAKE_BOOL,
	FS_LAKE_INT2,
	FS_LAKE_INT4,
	FS_LAKE_INT8,
	FS_LAKE_FLOAT4,
	FS_LAKE_FLOAT8,
	FS_LAKE_DATE,
	FS_LAKE_TIME_POINT,			/* timestamp and timestamptz */
	FS_LAKE_VARLENA,			/* text and bytea: the bytes as they are */
	FS_LAKE_UUID,
	FS_LAKE_DECIMAL,			/* numeric of a precision and scale */
	FS_LAKE_PRINTED				/* what the type's output function says */
} FsLakeForm;

typedef struct FsLakeColumn
{
	FsParquetColumn column;		/* of the table in the lake; ids are set by who knows them */
	FsLakeForm	form;
	Oid			typid;			/* of the value, or of an array's elements */
	AttrNumber	number;			/* in the history: no other column ever has it */
} FsLakeColumn;

/*
 * The columns of a history, dropped ones left out, in its order; palloc'd.
 * Throws for a type that has no counterpart.  The caller is in a transaction.
 */
extern FsLakeColumn *fs_lake_columns(Oid history, int *ncolumns);

#endif							/* FS_CATALOG_LAKE_COLUMNS_H */
