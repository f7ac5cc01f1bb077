/*
 * parquet_cases.c
 *		Writes Parquet files from standard input, for parquet_differential.py.
 *
 * A case: path, level of zstd, rows and bytes of a row group, rows and bytes of
 * a page, bytes of a dictionary, number of columns, and for each column its
 * name, type, whether it is required, whether it is a list, its id and that of
 * its elements, precision and scale; then the number of rows and the rows.  A value is a byte, 0 for
 * NULL, 1 for what follows (8 bytes, or a length and bytes), 2 for a list (its
 * length, then its elements).  Strings have their length before them; numbers
 * are 32 bits; all is little-endian.  The answer is a line a column: bytes,
 * values, NULLs, NaNs, and both bounds as hex ("-" where there is none); then
 * rows and bytes of the file, and where its row groups begin.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/parquet.h"

#define MAX_COLUMNS 64

/* Reads n bytes; the process ends when they are not there. */
static void
read_bytes(void *bytes, size_t n)
{
	if (n > 0 && fread(bytes, 1, n, stdin) != n)
		exit(0);
}

static uint32_t
read_number(void)
{
	char		b[4];

	read_bytes(b, 4);
	return fs_get_le32(b);
}

/* A string of its exact size, so that a sanitizer sees a read beyond its end. */
static char *
read_string(size_t *len, size_t spare)
{
	char	   *bytes;

	*len = read_number();
	bytes = malloc(*len + spare > 0 ? *len + spare : 1);
	if (bytes == NULL)
		exit(2);
	read_bytes(bytes, *len);
	return bytes;
}

/* The same with a zero behind it. */
static char *
read_text(void)
{
	size_t		len;
	char	   *text = read_string(&len, 1);

	text[len] = '\0';
	return text;
}

static void
require(bool done, const char *what)
{
	if (done)
		return;
	fprintf(stderr, "%s failed\n", what);
	exit(2);
}

/* One value, or an element of a list. */
static void
read_value(FsParquetWriter *writer, int column, FsParquetType type)
{
	char		tag;
	char		b[8];
	double		number;
	uint64_t	bits;

	read_bytes(&tag, 1);
	if (tag == 0)
		require(fs_parquet_put_null(writer, column), "fs_parquet_put_null");
	else if (tag == 2)
	{
		uint32_t	n = read_number();

		require(fs_parquet_put_list(writer, column, n), "fs_parquet_put_list");
		while (n-- > 0)
			read_value(writer, column, type);
	}
	else if (type >= FS_PARQUET_STRING)
	{
		size_t		len;
		char	   *bytes = read_string(&len, 0);

		require(type == FS_PARQUET_DECIMAL ? fs_parquet_put_decimal(writer, column, bytes, len) :
				fs_parquet_put_bytes(writer, column, bytes, len), "fs_parquet_put_bytes");
		free(bytes);
	}
	else
	{
		read_bytes(b, 8);
		bits = fs_get_le64(b);
		memcpy(&number, &bits, sizeof(number));
		if (type == FS_PARQUET_FLOAT || type == FS_PARQUET_DOUBLE)
			require(fs_parquet_put_float(writer, column, number), "fs_parquet_put_float");
		else
			require(fs_parquet_put_int(writer, column, (int64_t) bits), "fs_parquet_put_int");
	}
}

static bool
write_file(void *arg, const void *bytes, size_t n)
{
	return fwrite(bytes, 1, n, arg) == n;
}

static void
print_bound(bool there, const FsBuffer *bound)
{
	printf(" ");
	for (size_t i = 0; there && i < bound->len; i++)
		printf("%02x", (unsigned char) bound->data[i]);
	printf("%s", there ? "." : "-");
}

/* What the writer says of the file. */
static void
print_metrics(const FsParquetWriter *writer, int ncolumns)
{
	const int64_t *offsets;
	int			n;

	for (int i = 0; i < ncolumns; i++)
	{
		FsParquetMetrics metrics;

		require(fs_parquet_get_metrics(writer, i, &metrics), "fs_parquet_get_metrics");
		printf("%" PRId64 " %" PRId64 " %" PRId64 " %" PRId64, metrics.bytes, metrics.value_count,
			   metrics.null_count, metrics.nan_count);
		print_bound(metrics.has_bounds, &metrics.lower);
		print_bound(metrics.has_bounds && metrics.has_upper, &metrics.upper);
		printf("\n");
		fs_buffer_free(&metrics.lower);
		fs_buffer_free(&metrics.upper);
	}
	printf("%" PRId64 " %" PRId64, fs_parquet_rows(writer), fs_parquet_size(writer));
	offsets = fs_parquet_offsets(writer, &n);
	for (int i = 0; i < n; i++)
		printf(" %" PRId64, offsets[i]);
	printf("\n");
	fflush(stdout);
}

static void
read_columns(FsParquetColumn *columns, int ncolumns)
{
	for (int i = 0; i < ncolumns; i++)
	{
		columns[i].name = read_text();
		columns[i].type = (FsParquetType) read_number();
		columns[i].required = read_number() != 0;
		columns[i].is_list = read_number() != 0;
		columns[i].field_id = (int32_t) read_number();
		columns[i].element_id = (int32_t) read_number();
		columns[i].precision = (int) read_number();
		columns[i].scale = (int) read_number();
	}
}

int
main(void)
{
	for (;;)
	{
		char	   *path = read_text();
		FILE	   *file = fopen(path, "wb");
		FsParquetOptions options;
		FsParquetColumn columns[MAX_COLUMNS];
		FsParquetWriter *writer;
		int			ncolumns;

		options.zstd_level = (int) read_number();
		options.group_rows = read_number();
		options.group_bytes = read_number();
		options.page_rows = read_number();
		options.page_bytes = read_number();
		options.dictionary_bytes = read_number();
		ncolumns = (int) read_number();
		require(file != NULL && ncolumns > 0 && ncolumns <= MAX_COLUMNS, "opening the file");
		read_columns(columns, ncolumns);
		writer = fs_parquet_create(columns, ncolumns, &options, write_file, file);
		require(writer != NULL, "fs_parquet_create");
		for (uint32_t rows = read_number(); rows > 0; rows--)
		{
			for (int i = 0; i < ncolumns; i++)
				read_value(writer, i, columns[i].type);
			require(fs_parquet_end_row(writer), "fs_parquet_end_row");
		}
		require(fs_parquet_finish(writer) && fclose(file) == 0, "fs_parquet_finish");
		print_metrics(writer, ncolumns);
		fs_parquet_free(writer);
		for (int i = 0; i < ncolumns; i++)
			free((char *) columns[i].name);
		free(path);
	}
}
