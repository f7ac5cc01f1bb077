/*
 * parquet_column.c
 *		Writes a column chunk: chooses its encoding and cuts it into pages; see parquet_column.h.
 */
#include "core/parquet_column.h"

#include "core/parquet_encode.h"
#include "core/parquet_page.h"

/* Bytes that all values take as they are. */
static size_t
plain_size(const FsParquetValues *values, const FsParquetChunk *chunk)
{
	if (values->column->type == FS_PARQUET_BOOLEAN)
		return values->n / 8;
	return chunk->data.len + (values->width == 0 ? 4 * values->n : 0);
}

/* Makes press->deltas of integers; their size, or SIZE_MAX where there can be none. */
static bool
try_deltas(const FsParquetValues *values, FsParquetPress *press, size_t *size)
{
	FsParquetPhysical physical = fs_parquet_physical(values->column);

	*size = SIZE_MAX;
	if (physical != FS_PHYSICAL_INT32 && physical != FS_PHYSICAL_INT64)
		return true;
	fs_buffer_reset(&press->deltas);
	if (!fs_parquet_encode_deltas(&press->deltas, values->data, values->n, values->width))
		return false;
	*size = press->deltas.len;
	return true;
}

/* Decides on the smallest encoding, before compression; a dictionary is in the press then. */
static bool
choose_encoding(const FsParquetValues *values, const FsParquetChunk *chunk, FsParquetPress *press,
				FsParquetEncoding *encoding)
{
	size_t		least = plain_size(values, chunk);
	size_t		size;
	bool		worth;

	*encoding = FS_ENCODING_PLAIN;
	if (values->n == 0 || values->column->type == FS_PARQUET_BOOLEAN)
		return true;
	if (!try_deltas(values, press, &size))
		return false;
	if (size < least)
	{
		*encoding = FS_ENCODING_DELTAS;
		least = size;
	}
	if (!fs_parquet_dictionary_build(&press->dictionary, values, press->options->dictionary_bytes, &worth))
		return false;
	if (!worth)
		return true;
	size = press->dictionary.entries.len +
		values->n * (size_t) fs_parquet_bit_width(press->dictionary.count - 1) / 8;
	if (size < least)
		*encoding = FS_ENCODING_DICTIONARY;
	return true;
}

/* Rows of the flat column that a page should have at most, and values among their levels. */
static void
cut_flat_page(const FsParquetChunk *chunk, const FsParquetOptions *options, FsParquetPage *page)
{
	const uint8_t *levels = (const uint8_t *) chunk->levels.data + page->first_level;
	size_t		most = options->page_bytes / (size_t) chunk->width + 1;
	size_t		n = chunk->nlevels - page->first_level;

	n = n < most ? n : most;
	n = n < (size_t) options->page_rows ? n : (size_t) options->page_rows;
	page->nlevels = page->nvalues = n;
	page->nrows = (int64_t) n;
	if (chunk->max_definition > 0)
	{
		page->nvalues = 0;
		for (size_t i = 0; i < n; i++)
			page->nvalues += levels[i];
	}
}

/* The same for lists, which are not cut, and for byte strings. */
static void
cut_page(const FsParquetChunk *chunk, const FsParquetValues *values, const FsParquetOptions *options,
		 FsParquetPage *page)
{
	const uint8_t *levels = (const uint8_t *) chunk->levels.data;
	size_t		level = page->first_level;
	size_t		value = page->first_value;
	size_t		bytes = 0;

	page->nrows = 0;
	for (; level < chunk->nlevels; level++)
	{
		int			definition = chunk->max_definition == 0 ? 0 : levels[level] & (FS_LEVEL_REPEATED - 1);
		bool		repeated = chunk->column->is_list && (levels[level] & FS_LEVEL_REPEATED) != 0;

		if (!repeated && (page->nrows >= options->page_rows || bytes >= options->page_bytes))
			break;
		page->nrows += !repeated;
		if (definition == chunk->max_definition)
		{
			size_t		len;

			(void) fs_parquet_value(values, value++, &len);
			bytes += len;
		}
	}
	page->nlevels = level - page->first_level;
	page->nvalues = value - page->first_value;
}

/* Moves the page on to the next rows; false when there are none. */
static bool
next_page(const FsParquetChunk *chunk, const FsParquetValues *values, const FsParquetOptions *options,
		  FsParquetPage *page)
{
	page->first_row += page->nrows;
	page->first_level += page->nlevels;
	page->first_value += page->nvalues;
	if (page->first_level == chunk->nlevels)
		return false;
	if (chunk->width > 0 && !chunk->column->is_list)
		cut_flat_page(chunk, options, page);
	else
		cut_page(chunk, values, options, page);
	return true;
}

/* Appends all pages. */
static bool
write_pages(const FsParquetChunk *chunk, const FsParquetValues *values, FsParquetPress *press, FsBuffer *out,
			int64_t offset, FsParquetPageIndex *index, FsParquetChunkInfo *info)
{
	FsParquetPage page = {0};

	if (info->encoding == FS_ENCODING_DICTIONARY && !fs_parquet_dictionary_write(press, out, offset, info))
		return false;
	info->data_offset = offset + (int64_t) out->len;
	while (next_page(chunk, values, press->options, &page))
		if (!fs_parquet_page_write(chunk, values, &page, press, out, offset, index, info))
			return false;
	FS_ASSERT(page.first_value == values->n && page.first_row == chunk->nrows);
	return fs_parquet_index_finish(index, info);
}

/* See parquet_column.h. */
bool
fs_parquet_column_write(FsParquetChunk *chunk, FsParquetPress *press, FsBuffer *out, int64_t offset,
					   FsParquetChunkInfo *info)
{
	FsParquetValues values = {.column = chunk->column, .width = chunk->width, .data = chunk->data.data,
	.ends = (const uint32_t *) chunk->ends.data, .n = chunk->nvalues};
	FsParquetPageIndex index;
	bool		done;

	FS_ASSERT(chunk->open == 0 && chunk->nrows > 0);
	fs_parquet_index_init(&index);
	memset(info, 0, sizeof(*info));
	fs_parquet_bounds_reset(&info->bounds, values.column);
	info->dictionary_offset = -1;
	info->nlevels = (int64_t) chunk->nlevels;
	done = choose_encoding(&values, chunk, press, &info->encoding) &&
		write_pages(chunk, &values, press, out, offset, &index, info);
	fs_parquet_index_free(&index);
	fs_parquet_chunk_empty(chunk);
	return done;
}
