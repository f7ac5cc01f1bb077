/*
 * parquet_footer.h
 *		The end of a Parquet file: schema, row groups, column orders.
 *
 * For parquet.c.
 */
#ifndef FS_CORE_PARQUET_FOOTER_H
#define FS_CORE_PARQUET_FOOTER_H

#include "core/parquet_chunk.h"

/* A row group that was written. */
typedef struct FsParquetGroup
{
	int64_t		nrows;
	int64_t		offset;			/* of its first page in the file */
	FsParquetChunkInfo *chunks; /* one for each column */
} FsParquetGroup;

/* Appends the serialized FileMetaData; false when memory is out. */
extern bool fs_parquet_footer_encode(const FsParquetColumn *columns, int ncolumns, bool compressed,
									 const FsParquetGroup *groups, size_t ngroups, FsBuffer *out);

#endif							/* FS_CORE_PARQUET_FOOTER_H */
