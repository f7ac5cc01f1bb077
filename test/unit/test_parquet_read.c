/*
 * test_parquet_read.c
 *		Files that our Parquet writer made, read: written again, they are the same bytes.
 *
 * And bytes that somebody has changed are refused with a reason, or read; never
 * is anything outside of them touched (run with sanitizers).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/compress.h"
#include "core/parquet_read.h"
#include "core/thrift_read.h"
#include "core/unscaled.h"
#include "draw.h"
#include "unit.h"

#define NCOLUMNS 30
#define MUTATIONS 4000
#define SPOILT 1000			/* files of changed pages */

static FsParquetColumn columns[NCOLUMNS];
static char names[NCOLUMNS][16];
static const int precisions[] = {18, 9, 38};	/* of decimals */
static char message[FS_PARQUET_MESSAGE_SIZE];

static bool
sink(void *arg, const void *bytes, size_t n)
{
	return fs_buffer_append(arg, bytes, n);
}

/* Columns of each type: required, not, and lists. */
static void
make_columns(void)
{
	for (int i = 0; i < NCOLUMNS; i++)
	{
		snprintf(names[i], sizeof(names[i]), "c%d", i);
		columns[i] = (FsParquetColumn) {.name = names[i], .type = i < 24 ? (FsParquetType) (i % 12) : FS_PARQUET_DECIMAL, .required = i % 3 == 0,
			.is_list = i >= 14 && i < 27, .precision = precisions[i % 3], .scale = i % 3, .field_id = i + 1, .element_id = 100 + i};
	}
}

/* A value, out of few or many. */
static void
put_value(FsParquetWriter *writer, int column, int variety)
{
	static const double special[] = {NAN, -0.0, 0.0, INFINITY, -INFINITY, 1e-300};
	int64_t		n = draw_below(4) == 0 ? (int64_t) draw() : draw_below(variety) - variety / 2;
	char		bytes[300];
	size_t		len = columns[column].type == FS_PARQUET_UUID ? 16 : (size_t) draw_below(draw_below(50) == 0 ? 300 : 9);

	switch (columns[column].type)
	{
		case FS_PARQUET_BOOLEAN:
			fs_parquet_put_int(writer, column, n & 1);
			break;
		case FS_PARQUET_INT:
		case FS_PARQUET_DATE:
			fs_parquet_put_int(writer, column, (int32_t) n);
			break;
		case FS_PARQUET_FLOAT:
		case FS_PARQUET_DOUBLE:
			fs_parquet_put_float(writer, column, draw_below(5) == 0 ? special[draw_below(6)] : (double) n / 8);
			break;
		case FS_PARQUET_STRING:
		case FS_PARQUET_BINARY:
		case FS_PARQUET_UUID:
			for (size_t i = 0; i < len; i++)
				bytes[i] = (char) ('a' + (variety < 100 ? (int) len % 5 : draw_below(26)));
			fs_parquet_put_bytes(writer, column, bytes, len);
			break;
		case FS_PARQUET_DECIMAL:
			fs_parquet_put_decimal(writer, column, bytes, fs_unscaled_put(n % (columns[column].precision > 9 ? INT64_MAX / 16 : 1000000000), bytes));
			break;
		default:
			fs_parquet_put_int(writer, column, n);
	}
}

static void
put_rows(FsParquetWriter *writer, int nrows, int variety)
{
	for (int row = 0; row < nrows; row++)
	{
		for (int i = 0; i < NCOLUMNS; i++)
		{
			int			n = draw_below(4);

			if (!columns[i].required && draw_below(variety < 100 ? 50 : 3) == 0)
				fs_parquet_put_null(writer, i);
			else if (!columns[i].is_list)
				put_value(writer, i, variety);
			else if (fs_parquet_put_list(writer, i, (uint32_t) n))
				while (n-- > 0)
				{
					if (draw_below(5) == 0)
						fs_parquet_put_null(writer, i);
					else
						put_value(writer, i, variety);
				}
		}
		fs_parquet_end_row(writer);
	}
}

/* Reads bytes of their exact size and writes the rows again; how many, -1 when they are refused. */
static int64_t
copy_rows(const FsBuffer *file, const FsParquetColumn *wanted, int nwanted, const FsParquetOptions *options, FsBuffer *out)
{
	char	   *bytes = malloc(file->len > 0 ? file->len : 1);
	FsParquetReader *reader;
	FsParquetWriter *writer = fs_parquet_create(wanted, nwanted, options, sink, out);
	FsBuffer	row = {0};
	int64_t		n = 0;
	int			found = -1;

	memcpy(bytes, file->data, file->len);
	message[0] = '\0';
	reader = fs_parquet_open(bytes, file->len, wanted, nwanted, message);
	while (reader != NULL && (found = fs_parquet_next_row(reader, message)) > 0)
	{
		fs_buffer_reset(&row);
		for (int i = 0; i < nwanted; i++)
			if (!wanted[i].is_list)
				fs_parquet_take_key(reader, i, i % 2, i % 4 > 1, &row);
		fs_buffer_reset(&row);
		if (!fs_parquet_take_row(reader, &row) || !fs_parquet_put_row(writer, wanted, nwanted, row.data, row.len))
			break;
		n++;
	}
	if (found < 0)
		n = -1;
	else if (n != fs_parquet_reader_rows(reader) || !fs_parquet_finish(writer))
		n = -2;
	fs_parquet_reader_free(reader);
	fs_parquet_free(writer);
	fs_buffer_free(&row);
	free(bytes);
	return n;
}

/* Writes rows, reads them and writes them again. */
static void
round_trip(const char *name, int nrows, int variety, const FsParquetOptions *options)
{
	FsBuffer	file = {0};
	FsBuffer	again = {0};
	FsParquetWriter *writer = fs_parquet_create(columns, NCOLUMNS, options, sink, &file);

	put_rows(writer, nrows, variety);
	CHECK_NAMED(fs_parquet_finish(writer), name);
	fs_parquet_free(writer);
	CHECK_NAMED(copy_rows(&file, columns, NCOLUMNS, options, &again) == nrows && again.len == file.len &&
				memcmp(again.data, file.data, file.len) == 0, name);
	fs_buffer_free(&again);
	fs_buffer_free(&file);
}

/* Changes bytes of a file at random: it is read, or there is a reason. */
static void
mutate(int level)
{
	FsParquetOptions options = fs_parquet_defaults;
	FsBuffer	file = {0};
	FsParquetWriter *writer;
	int			refused = 0;
	bool		has_reasons = true;

	options.zstd_level = level;
	options.page_rows = 10;
	options.group_rows = 30;
	writer = fs_parquet_create(columns, NCOLUMNS, &options, sink, &file);
	put_rows(writer, 70, 20);
	fs_parquet_finish(writer);
	fs_parquet_free(writer);
	for (int i = 0; i < MUTATIONS; i++)
	{
		FsBuffer	changed = {0};
		FsBuffer	again = {0};

		fs_buffer_append(&changed, file.data, file.len);
		for (int k = draw_below(3); k >= 0; k--)
			changed.data[draw_below(2) ? (size_t) draw_below((int) file.len) : file.len - 1 - (size_t) draw_below(2000)] ^=
				(char) (1 << draw_below(8));
		if (draw_below(20) == 0)
			changed.len = (size_t) draw_below((int) file.len);
		if (copy_rows(&changed, columns, NCOLUMNS, &options, &again) == -1)
		{
			refused++;
			has_reasons = has_reasons && message[0] != '\0';
		}
		fs_buffer_free(&changed);
		fs_buffer_free(&again);
	}
	CHECK(has_reasons);
	CHECK(refused > MUTATIONS / 4);
	fs_buffer_free(&file);
}

/* A page of a file: where its checksum and its bytes are. */
typedef struct Page
{
	size_t		crc;
	size_t		crc_len;
	size_t		body;
	size_t		len;
} Page;

/* The page at 'at', which moves behind it; false: there is none. */
static bool
next_page(const FsBuffer *file, size_t *at, Page *page)
{
	FsThriftReader in = {.in = {file->data + *at, file->data + file->len}};
	FsThriftType type;
	int			field;

	*page = (Page) {0};
	fs_thrift_enter(&in);
	while ((field = fs_thrift_next_field(&in, &type)) != 0)
	{
		size_t		begin = (size_t) (in.in.p - file->data);

		if (field == 3)
			page->len = (size_t) fs_thrift_take_int(&in, type);
		else
			fs_thrift_skip(&in, type);
		if (field == 4)
		{
			page->crc = begin;
			page->crc_len = (size_t) (in.in.p - file->data) - begin;
		}
	}
	page->body = (size_t) (in.in.p - file->data);
	*at = page->body + page->len;
	return !in.failed && page->crc_len > 0 && page->len > 0 && page->len <= fs_cursor_left(&in.in);
}

/* Changes a page's bytes at random, and its checksum with them; false: that takes more room. */
static bool
spoil(FsBuffer *file, const Page *page)
{
	uint64_t	crc;

	for (int k = draw_below(3); k >= 0; k--)
		file->data[page->body + (size_t) draw_below((int) (draw_below(2) || page->len < 8 ? page->len : 8))] ^= (char) (1 << draw_below(8));
	crc = fs_zigzag((int32_t) fs_crc32(0, file->data + page->body, page->len));
	for (size_t i = 0; i < page->crc_len; i++, crc >>= 7)
		file->data[page->crc + i] = (char) ((crc & 0x7f) | (i + 1 < page->crc_len ? 0x80 : 0));
	return crc == 0;
}

/* Pages whose checksums are right, whatever they say: their file is read, or there is a reason. */
static void
spoil_pages(void)
{
	FsParquetOptions options = fs_parquet_defaults;
	FsBuffer	file = {0};
	FsParquetWriter *writer;
	int			npages = 0;
	int			nread = 0;
	int			nrefused = 0;
	bool		has_reasons = true;
	Page		page;

	options.zstd_level = 0;
	options.page_rows = 20;
	options.group_rows = 100;
	writer = fs_parquet_create(columns, NCOLUMNS, &options, sink, &file);
	put_rows(writer, 100, 20);
	fs_parquet_finish(writer);
	fs_parquet_free(writer);
	for (size_t at = 4; next_page(&file, &at, &page);)
		npages++;
	CHECK(npages > 5 * NCOLUMNS);
	for (int i = 0; i < SPOILT; i++)
	{
		FsBuffer	changed = {0};
		FsBuffer	again = {0};
		size_t		at = 4;

		fs_buffer_append(&changed, file.data, file.len);
		for (int k = draw_below(npages); k >= 0; k--)
			next_page(&file, &at, &page);
		if (spoil(&changed, &page))
		{
			bool		refused = copy_rows(&changed, columns, NCOLUMNS, &options, &again) == -1;

			nrefused += refused;
			nread += !refused;
			has_reasons = has_reasons && (!refused || (message[0] != '\0' && strstr(message, "checksum") == NULL));
		}
		fs_buffer_free(&changed);
		fs_buffer_free(&again);
	}
	CHECK(has_reasons && nread > SPOILT / 10 && nrefused > SPOILT / 10);
	fs_buffer_free(&file);
}

/* Values' keys are in the order of the values. */
static void
check_keys(void)
{
	static const double floats[] = {-INFINITY, -1e10, -2, -0.5, 0, 0.5, 3, 1e300, INFINITY};
	static const char *const texts[] = {"", "a", "a\1", "aa", "b", "\xc3\xbc"};
	FsParquetColumn two[] = {{.name = "d", .type = FS_PARQUET_DOUBLE, .field_id = 1}, {.name = "t", .type = FS_PARQUET_STRING, .field_id = 2}};
	FsBuffer	file = {0};
	FsBuffer	keys[2][11] = {0};
	FsParquetWriter *writer = fs_parquet_create(two, 2, &fs_parquet_defaults, sink, &file);
	FsParquetReader *reader;
	int			n = 0;

	for (int i = 0; i < 9; i++)
	{
		fs_parquet_put_float(writer, 0, floats[i]);
		if (i < 6)
			fs_parquet_put_bytes(writer, 1, texts[i], strlen(texts[i]));
		else
			fs_parquet_put_null(writer, 1);
		fs_parquet_end_row(writer);
	}
	fs_parquet_finish(writer);
	fs_parquet_free(writer);
	reader = fs_parquet_open(file.data, file.len, two, 2, message);
	for (; reader != NULL && fs_parquet_next_row(reader, message) > 0; n++)
	{
		fs_parquet_take_key(reader, 0, true, false, &keys[0][n]);
		fs_parquet_take_key(reader, 1, false, true, &keys[1][n]);
	}
	CHECK(n == 9);
	for (int i = 1; i < n; i++)
	{
		const FsBuffer *a = keys[0];
		const FsBuffer *b = keys[1];

		CHECK(a[i - 1].len == a[i].len && memcmp(a[i - 1].data, a[i].data, a[i].len) > 0);
		CHECK(memcmp(b[i - 1].data, b[i].data, b[i].len < b[i - 1].len ? b[i].len : b[i - 1].len) < (i > 6));
	}
	for (int i = 0; i < n; i++)
	{
		fs_buffer_free(&keys[0][i]);
		fs_buffer_free(&keys[1][i]);
	}
	fs_parquet_reader_free(reader);
	fs_buffer_free(&file);
}

/* Writes these decimals into a file of one column, that can be NULL. */
static void
write_decimals(const FsParquetColumn *column, const int64_t *values, int n, FsBuffer *file)
{
	FsParquetWriter *writer = fs_parquet_create(column, 1, &fs_parquet_defaults, sink, file);
	char		bytes[FS_UNSCALED_SIZE];

	for (int i = 0; i < n; i++)
	{
		fs_parquet_put_decimal(writer, 0, bytes, fs_unscaled_put(values[i], bytes));
		fs_parquet_end_row(writer);
	}
	CHECK(fs_parquet_finish(writer));
	fs_parquet_free(writer);
}

/* Decimals of files from before their column got a greater precision: rows are those of a file from after it. */
static void
check_decimals(int precision, int later)
{
	static const int64_t values[] = {-999999999, -65536, -256, -255, -128, -1, 0, 1, 127, 128, 65535, 16777216, 999999999};
	const int	n = sizeof(values) / sizeof(values[0]);
	FsParquetColumn column = {.name = "c", .type = FS_PARQUET_DECIMAL, .field_id = 1, .precision = precision, .scale = 2};
	FsParquetColumn wanted = column;
	FsBuffer	files[3] = {0};
	FsBuffer	key[2] = {0};
	FsParquetReader *reader;
	bool		ordered = true;

	wanted.precision = later;
	write_decimals(&column, values, n, &files[0]);
	write_decimals(&wanted, values, n, &files[1]);
	CHECK(copy_rows(&files[0], &wanted, 1, &fs_parquet_defaults, &files[2]) == n);
	CHECK(files[2].len == files[1].len && memcmp(files[2].data, files[1].data, files[1].len) == 0);
	reader = fs_parquet_open(files[0].data, files[0].len, &wanted, 1, message);
	for (int i = 0; fs_parquet_next_row(reader, message) > 0; i++)
	{
		fs_buffer_reset(&key[i % 2]);
		fs_parquet_take_key(reader, 0, false, false, &key[i % 2]);
		if (i > 0)
			ordered = ordered && key[0].len == key[1].len && memcmp(key[(i - 1) % 2].data, key[i % 2].data, key[0].len) < 0;
	}
	CHECK(ordered);
	fs_parquet_reader_free(reader);
	wanted.precision = precision - 1;
	CHECK(copy_rows(&files[0], &wanted, 1, &fs_parquet_defaults, &files[2]) == -1 && strstr(message, "another type") != NULL);
	wanted.precision = later;
	wanted.scale = 3;
	CHECK(copy_rows(&files[0], &wanted, 1, &fs_parquet_defaults, &files[2]) == -1 && strstr(message, "another type") != NULL);
	wanted.type = precision <= 9 ? FS_PARQUET_INT : precision <= 18 ? FS_PARQUET_LONG : FS_PARQUET_BINARY;
	CHECK(copy_rows(&files[0], &wanted, 1, &fs_parquet_defaults, &files[2]) == -1 && strstr(message, "another type") != NULL);
	for (int i = 0; i < 3; i++)
		fs_buffer_free(&files[i]);
	fs_buffer_free(&key[0]);
	fs_buffer_free(&key[1]);
}

int
main(void)
{
	FsParquetOptions small = fs_parquet_defaults;
	FsParquetColumn other[2];
	FsBuffer	file = {0};
	FsBuffer	out = {0};
	FsParquetWriter *writer;

	make_columns();
	round_trip("no rows", 0, 10, &fs_parquet_defaults);
	round_trip("a row", 1, 10, &fs_parquet_defaults);
	round_trip("few values", 3000, 10, &fs_parquet_defaults);
	round_trip("many values", 3000, 1000000, &fs_parquet_defaults);
	small.zstd_level = 0;
	small.page_rows = 7;
	small.group_rows = 100;
	round_trip("small pages", 1000, 30, &small);
	small.dictionary_bytes = 100;
	round_trip("small dictionaries", 1000, 1000, &small);
	check_keys();
	check_decimals(9, 9);
	check_decimals(9, 18);
	check_decimals(9, 38);
	check_decimals(12, 25);
	check_decimals(20, 21);
	check_decimals(19, 38);

	/* a column that the file has not, one that it has in another form, and a file of somebody else's */
	writer = fs_parquet_create(columns, NCOLUMNS, &small, sink, &file);
	put_rows(writer, 5, 10);
	fs_parquet_finish(writer);
	fs_parquet_free(writer);
	other[0] = columns[8];
	other[1] = columns[1];
	other[1].field_id = 77;
	CHECK(copy_rows(&file, other, 2, &small, &out) == 5);
	other[1].required = true;
	CHECK(copy_rows(&file, other, 2, &small, &out) == -1 && strcmp(message, "it has no column \"c1\"") == 0);
	other[0].type = FS_PARQUET_INT;
	CHECK(copy_rows(&file, other, 1, &small, &out) == -1 && strcmp(message, "its column \"c8\" is of another type") == 0);
	for (size_t i = file.len - 30; i > 0; i--)
		if (memcmp(file.data + i, "feature_stream version", 22) == 0)
		{
			file.data[i] = 'F';
			break;
		}
	CHECK(copy_rows(&file, columns, NCOLUMNS, &small, &out) == -1 && strcmp(message, "it was written by somebody else") == 0);
	mutate(0);
	mutate(3);
	spoil_pages();
	fs_buffer_free(&file);
	fs_buffer_free(&out);
	return unit_finish();
}
