/*
 * parquet_chunk.h
 *		A column of the row group that is being filled, and what becomes of it in the file.
 *
 * For the files parquet*.c.
 */
#ifndef FS_CORE_PARQUET_CHUNK_H
#define FS_CORE_PARQUET_CHUNK_H

#include "core/compress.h"
#include "core/parquet_dictionary.h"
#include "core/parquet_values.h"

/* Parquet's encodings, as its files number them. */
typedef enum FsParquetEncoding
{
	FS_ENCODING_PLAIN = 0,
	FS_ENCODING_RLE = 3,
	FS_ENCODING_DELTAS = 5,
	FS_ENCODING_DICTIONARY = 8
} FsParquetEncoding;

/* A byte of levels: the definition level, and this where the row goes on. */
#define FS_LEVEL_REPEATED 0x10
#define FS_LEVEL_REPEATED_SHIFT 4

/* A chunk that was written: what the footer says of it. */
typedef struct FsParquetChunkInfo
{
	FsParquetEncoding encoding;
	int64_t		dictionary_offset;	/* in the file; -1: no dictionary */
	int64_t		data_offset;
	int64_t		bytes;			/* in the file, page headers included */
	int64_t		raw_bytes;		/* the same, uncompressed */
	int64_t		nlevels;		/* values, NULLs and empty lists */
	FsParquetBounds bounds;
	FsBuffer	column_index;	/* serialized; empty: there is none */
	FsBuffer	offset_index;
	int64_t		column_index_offset;	/* where they went */
	int64_t		offset_index_offset;
} FsParquetChunkInfo;

/* A chunk that is being filled. */
typedef struct FsParquetChunk
{
	const FsParquetColumn *column;
	int			width;
	int			max_definition; /* level of a value that is there */
	FsBuffer	data;			/* see FsParquetValues */
	FsBuffer	ends;			/* uint32s */
	size_t		nvalues;
	FsBuffer	levels;			/* a byte each */
	size_t		nlevels;		/* counted where there are no levels, too */
	uint32_t	open;			/* elements of a list that are still to come */
	int			repeated;		/* FS_LEVEL_REPEATED: the next element is not its list's first; else 0 */
	int64_t		nrows;
} FsParquetChunk;

/* What all chunks of a writer share while they are written. */
typedef struct FsParquetPress
{
	const FsParquetOptions *options;
	FsCompressor *compressor;	/* NULL: not compressed */
	FsParquetDictionary dictionary;
	FsBuffer	page;			/* one page, uncompressed */
	FsBuffer	packed;			/* and compressed */
	FsBuffer	deltas;			/* of all values, to see whether they are small */
} FsParquetPress;

extern void fs_parquet_chunk_init(FsParquetChunk *chunk, const FsParquetColumn *column);
extern void fs_parquet_chunk_free(FsParquetChunk *chunk);

/* Notes one value, NULL or empty list at its definition level; false when memory is out, as all below. */
static inline bool
fs_parquet_chunk_put_level(FsParquetChunk *chunk, int level)
{
	chunk->nlevels++;
	if (chunk->open > 0)
	{
		chunk->open--;
		level |= chunk->repeated;
		chunk->nrows += chunk->repeated == 0;
		chunk->repeated = FS_LEVEL_REPEATED;
	}
	else
		chunk->nrows++;
	return chunk->max_definition == 0 || fs_buffer_append_byte(&chunk->levels, (uint8_t) level);
}

/* A NULL: an element of the list that has begun, else the value or the list. */
static inline bool
fs_parquet_chunk_put_null(FsParquetChunk *chunk)
{
	FS_ASSERT(chunk->open > 0 || !chunk->column->required);
	return fs_parquet_chunk_put_level(chunk, chunk->open > 0 ? chunk->max_definition - 1 : 0);
}

/* A number, as its little-endian bits, of which the first 'width' bytes count (of a boolean: one). */
static inline bool
fs_parquet_chunk_put_bits(FsParquetChunk *chunk, uint64_t bits)
{
	FS_ASSERT(chunk->width > 0 && chunk->width <= 8 && (!chunk->column->is_list || chunk->open > 0));
	if (!fs_buffer_reserve(&chunk->data, 8))
		return false;
	fs_put_le64(chunk->data.data + chunk->data.len, bits);
	chunk->data.len += (size_t) chunk->width;
	chunk->nvalues++;
	return fs_parquet_chunk_put_level(chunk, chunk->max_definition);
}

/* Copies bytes, most of which are few, to where there is room: without a call of memcpy() for those. */
static inline void
fs_parquet_copy(char *to, const char *from, size_t len)
{
	if (len > 16)
		memcpy(to, from, len);
	else if (len >= 8)
	{
		memcpy(to, from, 8);
		memcpy(to + len - 8, from + len - 8, 8);
	}
	else if (len >= 4)
	{
		memcpy(to, from, 4);
		memcpy(to + len - 4, from + len - 4, 4);
	}
	else
		for (size_t i = 0; i < len; i++)
			to[i] = from[i];
}

/* A byte string. */
static inline bool
fs_parquet_chunk_put_bytes(FsParquetChunk *chunk, const char *bytes, size_t len)
{
	uint32_t	end = (uint32_t) (chunk->data.len + len);

	FS_ASSERT((chunk->width == 0 || len == (size_t) chunk->width) && (!chunk->column->is_list || chunk->open > 0));
	chunk->nvalues++;
	if (!fs_buffer_reserve(&chunk->data, len))
		return false;
	fs_parquet_copy(chunk->data.data + chunk->data.len, bytes, len);
	chunk->data.len += len;
	return (chunk->width > 0 || fs_buffer_append(&chunk->ends, &end, sizeof(end))) &&
		fs_parquet_chunk_put_level(chunk, chunk->max_definition);
}

/* A list of n elements, which follow. */
static inline bool
fs_parquet_chunk_put_list(FsParquetChunk *chunk, uint32_t n)
{
	FS_ASSERT(chunk->column->is_list && chunk->open == 0);
	if (n == 0)
		return fs_parquet_chunk_put_level(chunk, chunk->max_definition - 2);
	chunk->repeated = 0;
	chunk->open = n;
	return true;
}

/* Bytes of memory it holds, about. */
extern size_t fs_parquet_chunk_size(const FsParquetChunk *chunk);

/* Forgets the content, keeps the memory. */
extern void fs_parquet_chunk_empty(FsParquetChunk *chunk);

extern void fs_parquet_chunk_info_free(FsParquetChunkInfo *info);

#endif							/* FS_CORE_PARQUET_CHUNK_H */
