/*
 * parquet_chunk.c
 *		A column of the row group that is being filled; see parquet_chunk.h.
 */
#include "core/parquet_chunk.h"

void
fs_parquet_chunk_init(FsParquetChunk *chunk, const FsParquetColumn *column)
{
	memset(chunk, 0, sizeof(*chunk));
	chunk->column = column;
	chunk->width = fs_parquet_width(column);
	chunk->max_definition = (column->required ? 0 : 1) + (column->is_list ? 2 : 0);
}

void
fs_parquet_chunk_free(FsParquetChunk *chunk)
{
	fs_buffer_free(&chunk->data);
	fs_buffer_free(&chunk->ends);
	fs_buffer_free(&chunk->levels);
}

void
fs_parquet_chunk_info_free(FsParquetChunkInfo *info)
{
	fs_parquet_bounds_free(&info->bounds);
	fs_buffer_free(&info->column_index);
	fs_buffer_free(&info->offset_index);
}

size_t
fs_parquet_chunk_size(const FsParquetChunk *chunk)
{
	return chunk->data.len + chunk->ends.len + chunk->levels.len;
}

void
fs_parquet_chunk_empty(FsParquetChunk *chunk)
{
	fs_buffer_reset(&chunk->data);
	fs_buffer_reset(&chunk->ends);
	fs_buffer_reset(&chunk->levels);
	chunk->nvalues = chunk->nlevels = 0;
	chunk->nrows = 0;
}
