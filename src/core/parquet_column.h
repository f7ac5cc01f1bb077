/*
 * parquet_column.h
 *		Writes a column chunk.
 *
 * For parquet.c.
 */
#ifndef FS_CORE_PARQUET_COLUMN_H
#define FS_CORE_PARQUET_COLUMN_H

#include "core/parquet_chunk.h"

/*
 * Appends the chunk's pages to 'out', whose first byte is at 'offset' in the
 * file, fills 'info' and empties the chunk.  False when memory is out.
 */
extern bool fs_parquet_column_write(FsParquetChunk *chunk, FsParquetPress *press, FsBuffer *out,
									int64_t offset, FsParquetChunkInfo *info);

#endif							/* FS_CORE_PARQUET_COLUMN_H */
