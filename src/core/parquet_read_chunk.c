/*
 * parquet_read_chunk.c
 *		Pages of a column chunk into the values they are of; see parquet_source.h.
 */
#include "core/compress.h"
#include "core/parquet_decode.h"
#include "core/parquet_encode.h"
#include "core/parquet_source.h"
#include "core/thrift_read.h"

#define MALFORMED "its pages are malformed"
#define MAX_PAGE ((int64_t) FS_BUFFER_MAX)

enum
{
	DATA_PAGE = 0, DICTIONARY_PAGE = 2
};

/* What is said before a page. */
typedef struct PageHeader
{
	int64_t		kind;
	int64_t		raw_bytes;
	int64_t		bytes;
	int64_t		crc;			/* -1: none */
	int64_t		n;				/* levels, or entries of a dictionary */
	int64_t		encoding;
} PageHeader;

static bool
no_memory(char *message)
{
	message[0] = '\0';
	return false;
}

static bool
malformed(char *message)
{
	return fs_parquet_refuse(message, MALFORMED);
}

/* Takes the header of a page, and its bytes as they are in the file. */
static bool
take_header(FsCursor *in, PageHeader *header, const char **body)
{
	FsThriftReader reader = {.in = *in};
	FsThriftType type;
	int			field;

	*header = (PageHeader) {.kind = -1, .crc = -1, .n = -1};
	fs_thrift_enter(&reader);
	while ((field = fs_thrift_next_field(&reader, &type)) != 0)
	{
		if (field == 1)
			header->kind = fs_thrift_take_int(&reader, type);
		else if (field == 2)
			header->raw_bytes = fs_thrift_take_int(&reader, type);
		else if (field == 3)
			header->bytes = fs_thrift_take_int(&reader, type);
		else if (field == 4)
			header->crc = (uint32_t) fs_thrift_take_int(&reader, type);
		else if ((field == 5 || field == 7) && fs_thrift_take_struct(&reader, type))
			while ((field = fs_thrift_next_field(&reader, &type)) != 0)
			{
				if (field == 1)
					header->n = fs_thrift_take_int(&reader, type);
				else if (field == 2)
					header->encoding = fs_thrift_take_int(&reader, type);
				else
					fs_thrift_skip(&reader, type);
			}
		else
			fs_thrift_skip(&reader, type);
	}
	*in = reader.in;
	return !reader.failed && header->n >= 0 && header->n < INT32_MAX && header->raw_bytes >= 0 &&
		header->raw_bytes <= MAX_PAGE && header->bytes >= 0 && fs_take_bytes(in, (size_t) header->bytes, body);
}

/* Makes the page's bytes available; false with the message. */
static bool
expand(FsParquetReader *reader, const PageHeader *header, const char *body, bool is_compressed, FsCursor *page,
	   char *message)
{
	FsExpandStatus status;

	if (header->crc >= 0 && fs_crc32(0, body, (size_t) header->bytes) != (uint32_t) header->crc)
		return fs_parquet_refuse(message, "the checksum of a page is wrong");
	if (!is_compressed)
	{
		*page = (FsCursor) {body, body + header->bytes};
		return header->bytes == header->raw_bytes || malformed(message);
	}
	fs_buffer_reset(&reader->page);
	status = fs_expand_zstd(&reader->page, body, (size_t) header->bytes, (size_t) header->raw_bytes);
	if (status == FS_EXPAND_NO_MEMORY)
		return no_memory(message);
	if (status != FS_EXPAND_OK || reader->page.len != (size_t) header->raw_bytes)
		return malformed(message);
	*page = (FsCursor) {reader->page.data, reader->page.data + reader->page.len};
	return true;
}

/* Room for n numbers; NULL when memory is out. */
static uint32_t *
take_numbers(FsParquetReader *reader, size_t n)
{
	fs_buffer_reset(&reader->numbers);
	return fs_buffer_reserve(&reader->numbers, (n + 1) * sizeof(uint32_t)) ? (uint32_t *) reader->numbers.data : NULL;
}

/*
 * Values
 */

/* Byte strings with their lengths before them. */
static bool
take_strings(FsParquetChunk *chunk, FsCursor *page, size_t n, char *message)
{
	for (size_t i = 0; i < n; i++)
	{
		const char *length;
		const char *bytes;
		uint32_t	end;

		if (!fs_take_bytes(page, 4, &length) || !fs_take_bytes(page, fs_get_le32(length), &bytes))
			return malformed(message);
		if (!fs_buffer_append(&chunk->data, bytes, fs_get_le32(length)))
			return no_memory(message);
		end = (uint32_t) chunk->data.len;
		if (!fs_buffer_append(&chunk->ends, &end, sizeof(end)))
			return no_memory(message);
	}
	return true;
}

/* Bits, each of which becomes a byte. */
static bool
take_booleans(FsParquetChunk *chunk, FsCursor *page, size_t n, char *message)
{
	const char *bits;

	if (!fs_take_bytes(page, (n + 7) / 8, &bits))
		return malformed(message);
	if (!fs_buffer_reserve(&chunk->data, n))
		return no_memory(message);
	for (size_t i = 0; i < n; i++)
		chunk->data.data[chunk->data.len++] = (char) ((uint8_t) bits[i / 8] >> (i % 8) & 1);
	return true;
}

/* Values one behind the other. */
static bool
take_plain(FsParquetChunk *chunk, FsCursor *page, size_t n, char *message)
{
	const char *bytes;

	if (chunk->width == 0)
		return take_strings(chunk, page, n, message);
	if (chunk->column->type == FS_PARQUET_BOOLEAN)
		return take_booleans(chunk, page, n, message);
	if (!fs_take_bytes(page, n * (size_t) chunk->width, &bytes))
		return malformed(message);
	return fs_buffer_append(&chunk->data, bytes, n * (size_t) chunk->width) || no_memory(message);
}

/* Appends an entry of the dictionary. */
static bool
put_entry(FsParquetChunk *chunk, const FsParquetValues *entries, uint32_t i)
{
	size_t		len;
	const char *bytes = fs_parquet_value(entries, i, &len);
	uint32_t	end;

	if (!fs_buffer_append(&chunk->data, bytes, len))
		return false;
	end = (uint32_t) chunk->data.len;
	return chunk->width > 0 || fs_buffer_append(&chunk->ends, &end, sizeof(end));
}

/* Values as numbers of entries of the dictionary. */
static bool
take_indexes(FsParquetReader *reader, FsParquetChunk *chunk, FsCursor *page, size_t n, char *message)
{
	const FsParquetChunk *dictionary = &reader->dictionary;
	FsParquetValues entries = {.column = chunk->column, .width = chunk->width, .data = dictionary->data.data,
	.ends = (const uint32_t *) dictionary->ends.data, .n = dictionary->nvalues};
	uint32_t   *numbers = take_numbers(reader, n);
	uint8_t		width;

	if (numbers == NULL)
		return no_memory(message);
	if (!fs_take_byte(page, &width) || width < 1 || width > 32 || !fs_parquet_decode_runs(page, numbers, n, width))
		return malformed(message);
	for (size_t i = 0; i < n; i++)
	{
		if (numbers[i] >= entries.n)
			return malformed(message);
		if (!put_entry(chunk, &entries, numbers[i]))
			return no_memory(message);
	}
	return true;
}

/* Values as packed differences. */
static bool
take_deltas(FsParquetChunk *chunk, FsCursor *page, size_t n, char *message)
{
	FsParquetPhysical physical = fs_parquet_physical(chunk->column);
	bool		out_of_memory = false;

	if (physical != FS_PHYSICAL_INT32 && physical != FS_PHYSICAL_INT64)
		return malformed(message);
	if (fs_parquet_decode_deltas(page, n, chunk->width, &chunk->data, &out_of_memory))
		return true;
	return out_of_memory ? no_memory(message) : malformed(message);
}

/* The page's values: n of them, and nothing behind them. */
static bool
take_values(FsParquetReader *reader, FsParquetChunk *chunk, int64_t encoding, FsCursor *page, size_t n, char *message)
{
	bool		done;

	if (encoding == FS_ENCODING_DICTIONARY)
		done = take_indexes(reader, chunk, page, n, message);
	else if (encoding == FS_ENCODING_DELTAS)
		done = take_deltas(chunk, page, n, message);
	else if (encoding == FS_ENCODING_PLAIN)
		done = take_plain(chunk, page, n, message);
	else
		return malformed(message);
	if (!done)
		return false;
	chunk->nvalues += n;
	return fs_cursor_left(page) == 0 || malformed(message);
}

/*
 * Levels
 */

/* Takes levels of n values, and adds them to the bytes at 'levels'. */
static bool
take_levels(FsParquetReader *reader, FsCursor *page, size_t n, int width, int shift, uint8_t *levels, char *message)
{
	uint32_t   *numbers = take_numbers(reader, n);
	const char *length;
	FsCursor	runs;

	if (numbers == NULL)
		return no_memory(message);
	if (!fs_take_bytes(page, 4, &length) || !fs_take_bytes(page, fs_get_le32(length), &runs.p))
		return malformed(message);
	runs.end = page->p;
	if (!fs_parquet_decode_runs(&runs, numbers, n, width) || fs_cursor_left(&runs) != 0)
		return malformed(message);
	for (size_t i = 0; i < n; i++)
		levels[i] |= (uint8_t) (numbers[i] << shift);
	return true;
}

/* Are the levels of a page such as rows have?  Counts rows, and values that are there. */
static bool
check_levels(FsParquetChunk *chunk, const uint8_t *levels, size_t n, size_t *nvalues)
{
	int			element = chunk->max_definition - 1;
	bool		is_element = false;

	*nvalues = 0;
	for (size_t i = 0; i < n; i++)
	{
		int			level = levels[i] & (FS_LEVEL_REPEATED - 1);
		bool		goes_on = (levels[i] & FS_LEVEL_REPEATED) != 0;

		if (level > chunk->max_definition || (goes_on && (!is_element || level < element)))
			return false;
		is_element = level >= element;
		chunk->nrows += !goes_on;
		*nvalues += level == chunk->max_definition;
	}
	return true;
}

/* The page's levels, as far as its column has some; *nvalues of them are values. */
static bool
take_page_levels(FsParquetReader *reader, FsParquetChunk *chunk, FsCursor *page, size_t n, size_t *nvalues, char *message)
{
	uint8_t    *levels;

	chunk->nlevels += n;
	*nvalues = n;
	if (chunk->max_definition == 0)
	{
		chunk->nrows += (int64_t) n;
		return true;
	}
	if (!fs_buffer_reserve(&chunk->levels, n))
		return no_memory(message);
	levels = (uint8_t *) chunk->levels.data + chunk->levels.len;
	memset(levels, 0, n);
	if (n > 0 && chunk->column->is_list &&
		!take_levels(reader, page, n, 1, FS_LEVEL_REPEATED_SHIFT, levels, message))
		return false;
	if (n > 0 && !take_levels(reader, page, n, fs_parquet_bit_width((uint32_t) chunk->max_definition), 0, levels, message))
		return false;
	if (!check_levels(chunk, levels, n, nvalues))
		return malformed(message);
	chunk->levels.len += n;
	return true;
}

/* Reads a dictionary. */
static bool
take_dictionary(FsParquetReader *reader, const FsParquetSource *source, const PageHeader *header, FsCursor *page,
				char *message)
{
	FsParquetChunk *dictionary = &reader->dictionary;

	if (header->encoding != FS_ENCODING_PLAIN || source->column.type == FS_PARQUET_BOOLEAN)
		return malformed(message);
	dictionary->column = &source->column;
	dictionary->width = source->chunk.width;
	if (!take_plain(dictionary, page, (size_t) header->n, message))
		return false;
	dictionary->nvalues = (size_t) header->n;
	return fs_cursor_left(page) == 0 || malformed(message);
}

/* See parquet_source.h. */
bool
fs_parquet_read_chunk(FsParquetReader *reader, FsParquetSource *source, const FsParquetPlace *place, char *message)
{
	FsCursor	in = {reader->bytes + place->offset, reader->bytes + place->offset + place->bytes};
	FsParquetChunk *chunk = &source->chunk;

	fs_parquet_chunk_empty(chunk);
	fs_parquet_chunk_empty(&reader->dictionary);
	for (bool is_first = true; fs_cursor_left(&in) > 0; is_first = false)
	{
		PageHeader	header;
		const char *body;
		FsCursor	page;
		size_t		nvalues;

		if (!take_header(&in, &header, &body))
			return malformed(message);
		if (!expand(reader, &header, body, place->is_compressed, &page, message))
			return false;
		if (header.kind == DICTIONARY_PAGE && is_first)
		{
			if (!take_dictionary(reader, source, &header, &page, message))
				return false;
			continue;
		}
		if (header.kind != DATA_PAGE || (int64_t) chunk->nlevels + header.n > place->nlevels)
			return malformed(message);
		if (!take_page_levels(reader, chunk, &page, (size_t) header.n, &nvalues, message) ||
			!take_values(reader, chunk, header.encoding, &page, nvalues, message))
			return false;
	}
	return (int64_t) chunk->nlevels == place->nlevels || malformed(message);
}
