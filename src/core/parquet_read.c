/*
 * parquet_read.c
 *		Rows of the Parquet files that our writer makes; see parquet_read.h.
 *
 * The form of a row, column by column: 0 for NULL; else 1 and the value, or for a
 * list 1 + its elements (a varint) and each of them like a value.  A number is its
 * bytes as in the file; a byte string has its length before it (a varint).
 */
#include "core/parquet_read.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/parquet_source.h"
#include "core/unscaled.h"

/* See parquet_source.h. */
bool
fs_parquet_refuse(char *message, const char *format,...)
{
	va_list		arguments;

	va_start(arguments, format);
	vsnprintf(message, FS_PARQUET_MESSAGE_SIZE, format, arguments);
	va_end(arguments);
	return false;
}

/* See parquet_read.h. */
FsParquetReader *
fs_parquet_open(const char *bytes, size_t len, const FsParquetColumn *columns, int ncolumns, char *message)
{
	FsParquetReader *reader = calloc(1, sizeof(FsParquetReader));

	FS_ASSERT(ncolumns > 0);
	message[0] = '\0';
	if (reader == NULL)
		return NULL;
	reader->bytes = bytes;
	reader->len = len;
	reader->columns = columns;
	reader->ncolumns = ncolumns;
	reader->sources = calloc((size_t) ncolumns, sizeof(FsParquetSource));
	if (reader->sources != NULL && fs_parquet_read_footer(reader, message))
		return reader;
	fs_parquet_reader_free(reader);
	return NULL;
}

/* NULL is nothing to free. */
void
fs_parquet_reader_free(FsParquetReader *reader)
{
	if (reader == NULL)
		return;
	for (int i = 0; i < reader->ncolumns && reader->sources != NULL; i++)
		fs_parquet_chunk_free(&reader->sources[i].chunk);
	free(reader->sources);
	fs_parquet_chunk_free(&reader->dictionary);
	fs_buffer_free(&reader->leaves);
	fs_buffer_free(&reader->groups);
	fs_buffer_free(&reader->places);
	fs_buffer_free(&reader->page);
	fs_buffer_free(&reader->numbers);
	free(reader);
}

int64_t
fs_parquet_reader_rows(const FsParquetReader *reader)
{
	return reader->nrows;
}

/*
 * Going through rows
 */

/* Rows of the row group at hand. */
static int64_t
group_rows(const FsParquetReader *reader)
{
	return reader->ngroup == 0 ? 0 : ((const int64_t *) reader->groups.data)[reader->ngroup - 1];
}

/* Reads the next row group; false with the message. */
static bool
next_group(FsParquetReader *reader, char *message)
{
	const FsParquetPlace *places = (const FsParquetPlace *) reader->places.data + reader->ngroup * (size_t) reader->ncolumns;

	reader->ngroup++;
	reader->row = 0;
	for (int i = 0; i < reader->ncolumns; i++)
	{
		FsParquetSource *source = &reader->sources[i];

		source->level = source->value = source->nlevels = source->nvalues = 0;
		if (!source->is_there)
			continue;
		if (!fs_parquet_read_chunk(reader, source, &places[i], message))
			return false;
		if (source->chunk.nrows != group_rows(reader))
			return fs_parquet_refuse(message, "its columns have not as many rows as each other");
	}
	return true;
}

/* The level of a value or of what is none. */
static int
level_of(const FsParquetSource *source, size_t i)
{
	return source->chunk.max_definition == 0 ? 0 : (uint8_t) source->chunk.levels.data[i] & (FS_LEVEL_REPEATED - 1);
}

/* Finds what the column has of the next row. */
static void
step(FsParquetSource *source)
{
	const FsParquetChunk *chunk = &source->chunk;

	source->level += source->nlevels;
	source->value += source->nvalues;
	source->nlevels = source->nvalues = 0;
	do
		source->nvalues += level_of(source, source->level + source->nlevels++) == chunk->max_definition;
	while (chunk->column->is_list && source->level + source->nlevels < chunk->nlevels &&
		   ((uint8_t) chunk->levels.data[source->level + source->nlevels] & FS_LEVEL_REPEATED) != 0);
	FS_ASSERT(source->level + source->nlevels <= chunk->nlevels && source->value + source->nvalues <= chunk->nvalues);
}

/* See parquet_read.h. */
int
fs_parquet_next_row(FsParquetReader *reader, char *message)
{
	if (reader->row == group_rows(reader))
	{
		if (reader->ngroup == reader->groups.len / sizeof(int64_t))
			return 0;
		if (!next_group(reader, message))
			return -1;
	}
	for (int i = 0; i < reader->ncolumns; i++)
		if (reader->sources[i].is_there)
			step(&reader->sources[i]);
	reader->row++;
	return 1;
}

/*
 * The i-th value of the row group, as the reader's column has it: a decimal that
 * has fewer digits in the file is made longer in 'room', 16 bytes.
 */
static const char *
value_of(const FsParquetSource *source, const FsParquetColumn *wanted, size_t i, size_t *len, char *room)
{
	const FsParquetChunk *chunk = &source->chunk;
	FsParquetValues values = {.column = chunk->column, .width = chunk->width, .data = chunk->data.data,
	.ends = (const uint32_t *) chunk->ends.data, .n = chunk->nvalues};
	const char *bytes = fs_parquet_value(&values, i, len);
	char		digits[FS_UNSCALED_SIZE];

	if (source->column.precision == wanted->precision)
		return bytes;
	fs_parquet_decimal_put(wanted, digits, fs_parquet_decimal_get(&source->column, bytes, digits), room);
	*len = (size_t) fs_parquet_width(wanted);
	return room;
}

/*
 * The row's form
 */

/* Appends a value. */
static bool
take_value(const FsParquetSource *source, const FsParquetColumn *wanted, size_t i, FsBuffer *out)
{
	char		room[FS_UNSCALED_SIZE];
	size_t		len;
	const char *bytes = value_of(source, wanted, i, &len, room);

	return fs_buffer_append_byte(out, 1) && (source->chunk.width > 0 || fs_buffer_append_varint(out, len)) &&
		fs_buffer_append(out, bytes, len);
}

/* Appends a list. */
static bool
take_list(const FsParquetSource *source, const FsParquetColumn *wanted, FsBuffer *out)
{
	int			definition = source->chunk.max_definition;
	int			first = level_of(source, source->level);
	size_t		value = source->value;

	if (first < definition - 1)
		return fs_buffer_append_varint(out, first == definition - 2 ? 1 : 0);
	if (!fs_buffer_append_varint(out, 1 + source->nlevels))
		return false;
	for (size_t i = 0; i < source->nlevels; i++)
		if (level_of(source, source->level + i) == definition ? !take_value(source, wanted, value++, out) :
			!fs_buffer_append_byte(out, 0))
			return false;
	return true;
}

/* See parquet_read.h. */
bool
fs_parquet_take_row(const FsParquetReader *reader, FsBuffer *out)
{
	for (int i = 0; i < reader->ncolumns; i++)
	{
		const FsParquetSource *source = &reader->sources[i];
		const FsParquetColumn *wanted = &reader->columns[i];
		bool		done;

		if (!source->is_there)
			done = fs_buffer_append_byte(out, 0);
		else if (source->column.is_list)
			done = take_list(source, wanted, out);
		else if (source->nvalues == 1)
			done = take_value(source, wanted, source->value, out);
		else
			done = fs_buffer_append_byte(out, 0);
		if (!done)
			return false;
	}
	return true;
}

/* Puts the value or NULL that is next. */
static bool
put_value(FsParquetWriter *writer, int i, const FsParquetColumn *column, FsCursor *row)
{
	uint8_t		is_there = 0;
	uint64_t	len = (uint64_t) fs_parquet_width(column);
	const char *bytes = NULL;
	char		number[8] = {0};
	uint32_t	narrow;
	float		single;
	double		wide;

	if (!fs_take_byte(row, &is_there) || is_there == 0)
		return fs_parquet_put_null(writer, i);
	if ((len == 0 && !fs_take_varint(row, &len)) || !fs_take_bytes(row, len, &bytes))
		return false;
	switch (fs_parquet_physical(column))
	{
		case FS_PHYSICAL_BYTES:
		case FS_PHYSICAL_FIXED:
			return fs_parquet_put_bytes(writer, i, bytes, len);
		case FS_PHYSICAL_FLOAT:
			narrow = fs_get_le32(bytes);
			memcpy(&single, &narrow, sizeof(single));
			return fs_parquet_put_float(writer, i, single);
		case FS_PHYSICAL_DOUBLE:
			memcpy(number, bytes, sizeof(number));
			len = fs_get_le64(number);
			memcpy(&wide, &len, sizeof(wide));
			return fs_parquet_put_float(writer, i, wide);
		default:
			memcpy(number, bytes, len);
			return fs_parquet_put_int(writer, i, (int64_t) fs_get_le64(number));
	}
}

/* See parquet_read.h. */
bool
fs_parquet_put_row(FsParquetWriter *writer, const FsParquetColumn *columns, int ncolumns, const char *bytes, size_t len)
{
	FsCursor	row = {bytes, bytes + len};

	for (int i = 0; i < ncolumns; i++)
	{
		uint64_t	n;

		if (!columns[i].is_list)
		{
			if (!put_value(writer, i, &columns[i], &row))
				return false;
			continue;
		}
		if (!fs_take_varint(&row, &n))
			return false;
		if (n == 0 ? !fs_parquet_put_null(writer, i) : !fs_parquet_put_list(writer, i, (uint32_t) (n - 1)))
			return false;
		while (n-- > 1)
			if (!put_value(writer, i, &columns[i], &row))
				return false;
	}
	FS_ASSERT(fs_cursor_left(&row) == 0);
	return fs_parquet_end_row(writer);
}

/*
 * Keys
 */

/* Appends a number so that its bytes compare as the numbers do. */
static bool
put_number(FsParquetPhysical physical, const char *bytes, size_t width, FsBuffer *out)
{
	char		wide[8] = {0};
	uint64_t	bits;
	uint64_t	sign = UINT64_C(1) << (8 * width - 1);

	memcpy(wide, bytes, width);
	bits = fs_get_le64(wide);
	if ((physical == FS_PHYSICAL_FLOAT || physical == FS_PHYSICAL_DOUBLE) && (bits & sign) != 0)
		bits = ~bits;
	else if (physical != FS_PHYSICAL_BOOLEAN)
		bits ^= sign;
	for (size_t i = width; i > 0; i--)
		if (!fs_buffer_append_byte(out, (uint8_t) (bits >> (8 * (i - 1)))))
			return false;
	return true;
}

/* Appends a decimal of a width, most significant byte first: below zero comes before. */
static bool
put_signed(const char *bytes, size_t len, FsBuffer *out)
{
	return fs_buffer_append_byte(out, (uint8_t) bytes[0] ^ 0x80) && fs_buffer_append(out, bytes + 1, len - 1);
}

/* Appends bytes so that they end: a zero among them is marked. */
static bool
put_string(const char *bytes, size_t len, FsBuffer *out)
{
	for (size_t i = 0; i < len; i++)
		if (!fs_buffer_append_byte(out, (uint8_t) bytes[i]) || (bytes[i] == 0 && !fs_buffer_append_byte(out, 0xff)))
			return false;
	return fs_buffer_append(out, "\0\0", 2);
}

/* See parquet_read.h. */
bool
fs_parquet_take_key(const FsParquetReader *reader, int column, bool descending, bool nulls_last, FsBuffer *out)
{
	const FsParquetSource *source = &reader->sources[column];
	const FsParquetColumn *wanted = &reader->columns[column];
	FsParquetPhysical physical = fs_parquet_physical(wanted);
	bool		is_null = !source->is_there || source->nvalues == 0;
	size_t		begin;
	const char *bytes;
	size_t		len;
	char		room[FS_UNSCALED_SIZE];
	bool		done;

	FS_ASSERT(!wanted->is_list);
	if (!fs_buffer_append_byte(out, is_null == nulls_last))
		return false;
	if (is_null)
		return true;
	begin = out->len;
	bytes = value_of(source, wanted, source->value, &len, room);
	if (physical != FS_PHYSICAL_BYTES && physical != FS_PHYSICAL_FIXED)
		done = put_number(physical, bytes, len, out);
	else if (wanted->type == FS_PARQUET_DECIMAL)
		done = put_signed(bytes, len, out);
	else
		done = put_string(bytes, len, out);
	if (!done)
		return false;
	for (size_t i = begin; i < out->len && descending; i++)
		out->data[i] = (char) ~out->data[i];
	return true;
}
