/*
 * parquet_page.c
 *		Pages of a column chunk, and the index over them; see parquet_page.h.
 *
 * Data pages are of version 1: levels and values are compressed together.
 * Field numbers are those of parquet.thrift.
 */
#include "core/parquet_page.h"

#include "core/parquet_encode.h"
#include "core/thrift.h"


/* Page types and orders, as Parquet numbers them. */
enum
{
	DATA_PAGE = 0, DICTIONARY_PAGE = 2
};
enum
{
	UNORDERED = 0, ASCENDING = 1, DESCENDING = 2
};

/* What the two indexes say of a page. */
typedef struct PageEntry
{
	int64_t		offset;			/* in the file */
	int64_t		size;			/* with its header */
	int64_t		first_row;
	int64_t		nulls;
	bool		has_bounds;
	size_t		least;			/* where in FsParquetPageIndex.bytes */
	size_t		least_len;
	size_t		greatest;
	size_t		greatest_len;
} PageEntry;

void
fs_parquet_index_init(FsParquetPageIndex *index)
{
	memset(index, 0, sizeof(*index));
	index->ascending = index->descending = true;
}

void
fs_parquet_index_free(FsParquetPageIndex *index)
{
	fs_buffer_free(&index->entries);
	fs_buffer_free(&index->bytes);
	fs_parquet_bounds_free(&index->bounds);
	fs_parquet_bounds_free(&index->last);
}

/* Levels of a page, with the bytes they take before them. */
static bool
put_levels(FsBuffer *out, const uint8_t *levels, size_t n, int shift, int width)
{
	size_t		at = out->len;

	if (!fs_buffer_append(out, "\0\0\0\0", 4) || !fs_parquet_encode_levels(out, levels, n, shift, width))
		return false;
	fs_put_le32(out->data + at, (uint32_t) (out->len - at - 4));
	return true;
}

/* Byte strings with their lengths before them (PLAIN). */
static bool
put_strings(FsBuffer *out, const FsParquetValues *values, const FsParquetPage *page)
{
	for (size_t i = page->first_value; i < page->first_value + page->nvalues; i++)
	{
		size_t		len;
		const char *bytes = fs_parquet_value(values, i, &len);

		if (!fs_buffer_reserve(out, len + 4))
			return false;
		fs_put_le32(out->data + out->len, (uint32_t) len);
		out->len += 4;
		(void) fs_buffer_append(out, bytes, len);
	}
	return true;
}

/* The page's values, in the chunk's encoding. */
static bool
put_values(const FsParquetValues *values, const FsParquetPage *page, FsParquetPress *press, FsParquetEncoding encoding)
{
	FsBuffer   *out = &press->page;
	const char *first = values->data + page->first_value * (size_t) values->width;
	int			width;

	switch (encoding)
	{
		case FS_ENCODING_DICTIONARY:
			width = fs_parquet_bit_width(press->dictionary.count - 1);
			width = width == 0 ? 1 : width;
			return fs_buffer_append_byte(out, (uint8_t) width) &&
				fs_parquet_encode_runs(out, press->dictionary.indexes + page->first_value, page->nvalues, width);
		case FS_ENCODING_DELTAS:
			return fs_parquet_encode_deltas(out, first, page->nvalues, values->width);
		default:
			if (values->width == 0)
				return put_strings(out, values, page);
			if (values->column->type == FS_PARQUET_BOOLEAN)
				return fs_parquet_encode_booleans(out, first, page->nvalues);
			return fs_buffer_append(out, first, page->nvalues * (size_t) values->width);
	}
}

/* The field of the page header that is of the page's type. */
static void
put_page_kind(FsThrift *thrift, bool is_dictionary, int64_t nlevels, FsParquetEncoding encoding)
{
	fs_thrift_begin_field(thrift, is_dictionary ? 7 : 5);
	fs_thrift_int_field(thrift, 1, FS_THRIFT_I32, nlevels);
	fs_thrift_int_field(thrift, 2, FS_THRIFT_I32, encoding);
	if (!is_dictionary)
	{
		fs_thrift_int_field(thrift, 3, FS_THRIFT_I32, FS_ENCODING_RLE);
		fs_thrift_int_field(thrift, 4, FS_THRIFT_I32, FS_ENCODING_RLE);
	}
	fs_thrift_end(thrift);
}

/* Compresses 'raw' and appends it with its header; the sizes go to the chunk's info. */
static bool
put_page(FsParquetPress *press, const FsBuffer *raw, bool is_dictionary, int64_t nlevels,
		 FsParquetEncoding encoding, FsBuffer *out, FsParquetChunkInfo *info)
{
	const FsBuffer *body = raw;
	FsThrift	thrift = {.out = out};
	size_t		begin = out->len;
	size_t		header;

	if (press->compressor != NULL)
	{
		fs_buffer_reset(&press->packed);
		if (!fs_compress(press->compressor, &press->packed, raw->data, raw->len))
			return false;
		body = &press->packed;
	}
	fs_thrift_begin(&thrift);
	fs_thrift_int_field(&thrift, 1, FS_THRIFT_I32, is_dictionary ? DICTIONARY_PAGE : DATA_PAGE);
	fs_thrift_int_field(&thrift, 2, FS_THRIFT_I32, (int64_t) raw->len);
	fs_thrift_int_field(&thrift, 3, FS_THRIFT_I32, (int64_t) body->len);
	fs_thrift_int_field(&thrift, 4, FS_THRIFT_I32, (int32_t) fs_crc32(0, body->data, body->len));
	put_page_kind(&thrift, is_dictionary, nlevels, encoding);
	fs_thrift_end(&thrift);
	header = out->len - begin;
	if (thrift.failed || !fs_buffer_append(out, body->data, body->len))
		return false;
	info->bytes += (int64_t) (header + body->len);
	info->raw_bytes += (int64_t) (header + raw->len);
	return true;
}

/* Do the pages' bounds go up, or down? */
static bool
note_order(FsParquetPageIndex *index)
{
	FsParquetBounds *page = &index->bounds;
	FsParquetBounds *last = &index->last;

	if (index->has_last)
	{
		int			lower = fs_parquet_bounds_compare(page, last, false);
		int			upper = fs_parquet_bounds_compare(page, last, true);

		index->ascending &= lower >= 0 && upper >= 0;
		index->descending &= lower <= 0 && upper <= 0;
	}
	fs_parquet_bounds_reset(last, page->column);
	index->has_last = true;
	return fs_parquet_bounds_merge(last, page);
}

/* Encodes one bound into the index. */
static bool
put_bound(FsParquetPageIndex *index, bool upper, size_t *at, size_t *len)
{
	bool		exact;

	*at = index->bytes.len;
	if (!fs_parquet_bounds_encode_short(&index->bounds, upper, &index->bytes, &exact))
		return false;
	*len = index->bytes.len - *at;
	return true;
}

/* Enters a page that begins at 'offset' and takes 'size' bytes; index->bounds are its. */
static bool
add_entry(FsParquetPageIndex *index, const FsParquetPage *page, int64_t offset, int64_t size)
{
	PageEntry	entry = {.offset = offset, .size = size, .first_row = page->first_row};

	entry.nulls = index->bounds.nulls;
	entry.has_bounds = fs_parquet_bounds_are_whole(&index->bounds);
	if (!entry.has_bounds && page->nvalues > 0)
		index->incomplete = true;
	if (entry.has_bounds &&
		(!note_order(index) || !put_bound(index, false, &entry.least, &entry.least_len) ||
		 !put_bound(index, true, &entry.greatest, &entry.greatest_len)))
		return false;
	return fs_buffer_append(&index->entries, &entry, sizeof(entry));
}

/* NULLs among the page's levels, which an empty list is not. */
static int64_t
count_nulls(const FsParquetChunk *chunk, const FsParquetPage *page)
{
	const uint8_t *levels = (const uint8_t *) chunk->levels.data + page->first_level;
	int			empty = chunk->column->is_list ? chunk->max_definition - 2 : -1;
	int64_t		nulls = 0;

	if (chunk->max_definition == 0)
		return 0;
	for (size_t i = 0; i < page->nlevels; i++)
	{
		int			level = levels[i] & (FS_LEVEL_REPEATED - 1);

		nulls += level < chunk->max_definition && level != empty;
	}
	return nulls;
}

/* The page's levels, as far as its column has some. */
static bool
put_page_levels(const FsParquetChunk *chunk, const FsParquetPage *page, FsBuffer *out)
{
	const uint8_t *levels = (const uint8_t *) chunk->levels.data + page->first_level;

	if (chunk->column->is_list &&
		!put_levels(out, levels, page->nlevels, FS_LEVEL_REPEATED_SHIFT, 1))
		return false;
	return chunk->max_definition == 0 ||
		put_levels(out, levels, page->nlevels, 0, fs_parquet_bit_width((uint32_t) chunk->max_definition));
}

/* Bounds of the page's values: of byte strings, each entry of a dictionary is looked at once. */
static bool
set_bounds(const FsParquetValues *values, const FsParquetPage *page, const FsParquetDictionary *dictionary,
		   FsParquetPageIndex *index)
{
	uint32_t	number = (uint32_t) (index->entries.len / sizeof(PageEntry)) + 1;

	if (dictionary == NULL || values->width > 0)
		return fs_parquet_bounds_add(&index->bounds, values, page->first_value, page->first_value + page->nvalues);
	for (size_t i = page->first_value; i < page->first_value + page->nvalues; i++)
	{
		uint32_t	entry = dictionary->indexes[i];
		size_t		first = dictionary->firsts[entry];

		if (dictionary->pages[entry] == number)
			continue;
		dictionary->pages[entry] = number;
		if (!fs_parquet_bounds_add(&index->bounds, values, first, first + 1))
			return false;
	}
	return true;
}

/* See parquet_page.h. */
bool
fs_parquet_page_write(const FsParquetChunk *chunk, const FsParquetValues *values, const FsParquetPage *page,
					  FsParquetPress *press, FsBuffer *out, int64_t offset,
					  FsParquetPageIndex *index, FsParquetChunkInfo *info)
{
	size_t		begin = out->len;

	fs_buffer_reset(&press->page);
	fs_parquet_bounds_reset(&index->bounds, values->column);
	index->bounds.nulls = count_nulls(chunk, page);
	return set_bounds(values, page, info->encoding == FS_ENCODING_DICTIONARY ? &press->dictionary : NULL, index) &&
		fs_parquet_bounds_merge(&info->bounds, &index->bounds) &&
		put_page_levels(chunk, page, &press->page) &&
		put_values(values, page, press, info->encoding) &&
		put_page(press, &press->page, false, (int64_t) page->nlevels, info->encoding, out, info) &&
		add_entry(index, page, offset + (int64_t) begin, (int64_t) (out->len - begin));
}

bool
fs_parquet_dictionary_write(FsParquetPress *press, FsBuffer *out, int64_t offset, FsParquetChunkInfo *info)
{
	info->dictionary_offset = offset + (int64_t) out->len;
	return put_page(press, &press->dictionary.entries, true, press->dictionary.count, FS_ENCODING_PLAIN, out, info);
}

/* Serializes the ColumnIndex. */
static bool
put_column_index(const FsParquetPageIndex *index, const PageEntry *entries, size_t n, FsBuffer *out)
{
	FsThrift	thrift = {.out = out};

	fs_thrift_begin(&thrift);
	fs_thrift_list_field(&thrift, 1, FS_THRIFT_TRUE, n);
	for (size_t i = 0; i < n; i++)
		fs_thrift_bool_item(&thrift, !entries[i].has_bounds);
	fs_thrift_list_field(&thrift, 2, FS_THRIFT_BINARY, n);
	for (size_t i = 0; i < n; i++)
		fs_thrift_bytes_item(&thrift, index->bytes.data + entries[i].least, entries[i].least_len);
	fs_thrift_list_field(&thrift, 3, FS_THRIFT_BINARY, n);
	for (size_t i = 0; i < n; i++)
		fs_thrift_bytes_item(&thrift, index->bytes.data + entries[i].greatest, entries[i].greatest_len);
	fs_thrift_int_field(&thrift, 4, FS_THRIFT_I32,
						index->ascending ? ASCENDING : index->descending ? DESCENDING : UNORDERED);
	fs_thrift_list_field(&thrift, 5, FS_THRIFT_I64, n);
	for (size_t i = 0; i < n; i++)
		fs_thrift_int_item(&thrift, entries[i].nulls);
	fs_thrift_end(&thrift);
	return !thrift.failed;
}

/* Serializes the OffsetIndex. */
static bool
put_offset_index(const PageEntry *entries, size_t n, FsBuffer *out)
{
	FsThrift	thrift = {.out = out};

	fs_thrift_begin(&thrift);
	fs_thrift_list_field(&thrift, 1, FS_THRIFT_STRUCT, n);
	for (size_t i = 0; i < n; i++)
	{
		fs_thrift_begin(&thrift);
		fs_thrift_int_field(&thrift, 1, FS_THRIFT_I64, entries[i].offset);
		fs_thrift_int_field(&thrift, 2, FS_THRIFT_I32, entries[i].size);
		fs_thrift_int_field(&thrift, 3, FS_THRIFT_I64, entries[i].first_row);
		fs_thrift_end(&thrift);
	}
	fs_thrift_end(&thrift);
	return !thrift.failed;
}

/* See parquet_page.h. */
bool
fs_parquet_index_finish(FsParquetPageIndex *index, FsParquetChunkInfo *info)
{
	const PageEntry *entries = (const PageEntry *) index->entries.data;
	size_t		n = index->entries.len / sizeof(PageEntry);

	FS_ASSERT(n > 0);
	if (!index->incomplete && !put_column_index(index, entries, n, &info->column_index))
		return false;
	return put_offset_index(entries, n, &info->offset_index);
}
