/*
 * bench_parquet.c
 *		Writes history rows as a Parquet file and says what a row cost; see test/bench/parquet.
 *
 *	bench_parquet FILE ROWS
 *
 * Rows are like those of the README's example: an entity, a window end, a list
 * of ten items, three numbers, the top category and when it was computed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/parquet.h"

#define ENTITIES 100000
#define ITEMS 10

static const FsParquetColumn columns[] = {
	{"user_id", FS_PARQUET_STRING, true, false, 1, 0},
	{"window_end", FS_PARQUET_TIMESTAMPTZ, true, false, 2, 0},
	{"items_clicked_30m", FS_PARQUET_STRING, false, true, 3, 9},
	{"item_count_30m", FS_PARQUET_LONG, false, false, 4, 0},
	{"distinct_items_30m", FS_PARQUET_LONG, false, false, 5, 0},
	{"distinct_categories_30m", FS_PARQUET_LONG, false, false, 6, 0},
	{"top_category_30m", FS_PARQUET_STRING, false, false, 7, 0},
	{"computed_at", FS_PARQUET_TIMESTAMPTZ, true, false, 8, 0}
};

static uint64_t state = 1;

static uint32_t
draw(uint32_t limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t) (state >> 32) % limit;
}

/* A text of a letter and a number, made before the clock runs. */
typedef struct Name
{
	char		text[12];
	size_t		len;
} Name;

static Name users[ENTITIES];
static Name items[500];
static Name categories[20];

static void
make_names(Name *names, int n, char letter)
{
	for (int i = 0; i < n; i++)
		names[i].len = (size_t) snprintf(names[i].text, sizeof(names[i].text), "%c%d", letter, i);
}

static bool
put_name(FsParquetWriter *writer, int column, const Name *name)
{
	return fs_parquet_put_bytes(writer, column, name->text, name->len);
}

/* One row: entities in order within a window end. */
static bool
put_row(FsParquetWriter *writer, int64_t row)
{
	int64_t		window_end = INT64_C(1700000000000000) + row / ENTITIES * 60000000;
	bool		done = put_name(writer, 0, &users[row % ENTITIES]) &&
		fs_parquet_put_int(writer, 1, window_end) && fs_parquet_put_list(writer, 2, ITEMS);

	for (int i = 0; i < ITEMS; i++)
		done &= put_name(writer, 2, &items[draw(500)]);
	return done && fs_parquet_put_int(writer, 3, ITEMS + draw(5)) && fs_parquet_put_int(writer, 4, 1 + draw(10)) &&
		fs_parquet_put_int(writer, 5, 1 + draw(5)) && put_name(writer, 6, &categories[draw(20)]) &&
		fs_parquet_put_int(writer, 7, window_end + 30000000 + row % ENTITIES * 10 + draw(5)) &&
		fs_parquet_end_row(writer);
}

static bool
write_file(void *arg, const void *bytes, size_t n)
{
	return fwrite(bytes, 1, n, arg) == n;
}

int
main(int argc, char **argv)
{
	FILE	   *file = argc == 3 ? fopen(argv[1], "wb") : NULL;
	int64_t		rows = argc == 3 ? atoll(argv[2]) : 0;
	FsParquetWriter *writer = file == NULL ? NULL :
		fs_parquet_create(columns, sizeof(columns) / sizeof(columns[0]), &fs_parquet_defaults, write_file, file);
	bool		done = writer != NULL;
	clock_t		begin;

	make_names(users, ENTITIES, 'u');
	make_names(items, 500, 'i');
	make_names(categories, 20, 'c');
	begin = clock();
	for (int64_t row = 0; done && row < rows; row++)
		done = put_row(writer, row);
	done = done && fs_parquet_finish(writer) && fclose(file) == 0;
	if (!done)
	{
		fprintf(stderr, "writing failed\n");
		return 1;
	}
	printf("ours, zstd-3: %.2f million rows a second, %.2f bytes a row\n",
		   (double) rows / ((double) (clock() - begin) / CLOCKS_PER_SEC) / 1e6,
		   (double) fs_parquet_size(writer) / (double) rows);
	fs_parquet_free(writer);
	return 0;
}
