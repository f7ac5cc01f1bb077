/*
 * fuzz_segment.c
 *		Fuzzing the segment reader: any bytes, behind a CRC that is right.
 *
 * Each input is signed first, since else the CRC would stop it at the door.
 * What can be read to its end is written again, and must then read the same.
 *
 *	clang -g -O1 -fsanitize=fuzzer,address,undefined -DFS_ENABLE_ASSERTS -Isrc \
 *		test/fuzz/fuzz_segment.c src/core/segment_*.c src/core/buffer.c src/core/crc32c.c
 *
 * With -DFS_FUZZ_MAIN and any compiler it is a program of its own:
 * "fuzz_segment [seconds [seed]]" damages valid segments for so long, and
 * "fuzz_segment --corpus DIRECTORY" writes those segments as seeds for libFuzzer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/segment_format.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Mixes a value into a checksum of all that was read. */
static uint64_t
mix(uint64_t sum, uint64_t v)
{
	sum = (sum ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return sum ^ sum >> 29;
}

static uint64_t
mix_event(uint64_t sum, const FsEventMeta *meta, const FsValue *values,
		  const FsSegmentColumn *columns, int ncolumns)
{
	int			c;
	uint32_t	i;

	sum = mix(sum, (uint64_t) meta->event_time);
	sum = mix(sum, (uint64_t) meta->arrival);
	sum = mix(sum, (uint64_t) meta->late_bound);
	sum = mix(sum, (uint64_t) meta->partition);
	sum = mix(sum, (uint64_t) meta->offset);
	sum = mix(sum, meta->xid);
	for (c = 0; c < ncolumns; c++)
	{
		const FsValue *value = &values[c];

		sum = mix(sum, value->presence);
		if (value->presence != FS_PRESENT)
			continue;
		if (!fs_type_is_bytes(columns[c].type))
		{
			sum = mix(sum, (uint64_t) value->i);
			continue;
		}
		sum = mix(sum, value->len);
		for (i = 0; i < value->len; i++)
			sum = mix(sum, (uint8_t) value->data[i]);
	}
	return sum;
}

/*
 * Reads a segment; *sum is of all events.  What it reads goes into *copy, made
 * here, unless 'copy' is NULL.  False when the segment is refused.
 */
static bool
read_all(const char *bytes, size_t len, uint64_t *sum, FsSegmentWriter **copy)
{
	static FsValue values[FS_SEGMENT_MAX_COLUMNS];
	FsSegmentReader *reader;
	const FsSegmentColumn *columns;
	int			ncolumns;
	FsEventMeta meta;
	FsSegmentStatus status;
	int64_t		n = 0;

	*sum = 0;
	if (fs_segment_reader_open(bytes, len, &reader) != FS_SEGMENT_OK)
		return false;
	ncolumns = fs_segment_reader_columns(reader, &columns);
	if (copy)
		*copy = fs_segment_writer_create(fs_segment_reader_slice(reader), columns, ncolumns);
	while ((status = fs_segment_next(reader, &meta, values)) == FS_SEGMENT_OK)
	{
		n++;
		*sum = mix_event(*sum, &meta, values, columns, ncolumns);
		if (copy && fs_segment_append(*copy, &meta, values) != FS_SEGMENT_OK)
			abort();
	}
	if (status == FS_SEGMENT_END && n != fs_segment_reader_count(reader))
		abort();
	fs_segment_reader_free(reader);
	return status == FS_SEGMENT_END;
}

/* libFuzzer's entry; aborts when something is wrong. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char	   *bytes = malloc(size + 1);
	FsSegmentWriter *copy = NULL;
	const char *again;
	size_t		again_len;
	uint64_t	sum;
	uint64_t	again_sum;

	if (size < FS_SEGMENT_HEADER_SIZE)
		size = 0;
	bytes = realloc(bytes, size > 0 ? size : 1);	/* exactly: ASan watches the end */
	memcpy(bytes, data, size);
	if (size > 0)
		fs_segment_sign(bytes, size);
	if (read_all(bytes, size, &sum, &copy))
	{
		if (fs_segment_finish(copy, &again, &again_len) != FS_SEGMENT_OK ||
			!read_all(again, again_len, &again_sum, NULL) || again_sum != sum)
			abort();
	}
	fs_segment_writer_free(copy);
	free(bytes);
	return 0;
}

#ifdef FS_FUZZ_MAIN

#include <time.h>

#define SAMPLES 12

static uint64_t seed = 1;

static uint64_t
draw(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed >> 8;
}

/* A value of a shape that depends on the sample. */
static void
make_value(FsValue *value, FsType type, int shape, int i, char *text)
{
	static const char *const formats[] = {"u%d", "user_%06d", "%d", "c%d-x", "%d.5", "g"};

	value->presence = draw() % 10 == 0 && shape % 2 ? FS_NULL : FS_PRESENT;
	if (type == FS_TYPE_UUID)
	{
		memset(text, (int) (draw() % 4), 16);
		value->len = 16;
		value->data = text;
	}
	else if (fs_type_is_bytes(type))
	{
		const char *format = formats[draw() % 10 == 0 ? draw() % 6 : (uint64_t) shape % 6];

		value->len = (uint32_t) sprintf(text, format, (int) (draw() % (shape % 3 ? 30 : 1000000)));
		value->data = text;
	}
	else if (fs_type_is_float(type))
		value->f = (double) (draw() % 100) / 4;
	else
		value->i = type == FS_TYPE_BOOL ? (int64_t) (draw() & 1) : (int64_t) (draw() % 1000) * (shape + 1) + i;
}

/* Builds valid segment number 'n'; the writer owns the bytes. */
static FsSegmentWriter *
make_segment(int n, const char **bytes, size_t *len)
{
	FsSegmentColumn columns[12];
	FsSegmentWriter *writer;
	int			ncolumns = n % 3 == 0 ? 12 : 4;
	int			count = n < 4 ? n * 5 : (int) (draw() % 1500);
	int			i;
	int			c;

	for (c = 0; c < ncolumns; c++)
		columns[c] = (FsSegmentColumn) {(int16_t) (c + 1), (FsType) (1 + (c + n) % 12)};
	writer = fs_segment_writer_create(INT64_C(820000020000000), columns, ncolumns);
	for (i = 0; i < count; i++)
	{
		FsEventMeta meta = {INT64_C(820000020000000) + (int64_t) (draw() % 60000) * 1000,
			INT64_C(820000090000000) + i / 100, draw() % 20 ? FS_TIME_MIN : i,
			i / 7 % 16, i + (int64_t) (draw() % 3), n % 2 ? (uint64_t) i / 30 : 0};
		FsValue		values[12];
		char		text[12][32];

		for (c = 0; c < ncolumns; c++)
			make_value(&values[c], columns[c].type, n + c, i, text[c]);
		if (fs_segment_append(writer, &meta, values) != FS_SEGMENT_OK)
			abort();
	}
	if (fs_segment_finish(writer, bytes, len) != FS_SEGMENT_OK)
		abort();
	return writer;
}

/* Damages some bytes, or cuts, doubles or moves a part. */
static size_t
mutate(char *bytes, size_t len)
{
	size_t		at = draw() % len;
	size_t		n = 1 + draw() % 16;
	int			hits = 1 + (int) (draw() % 4);

	if (draw() % 8 == 0 && at + n < len)
	{
		memmove(bytes + at, bytes + at + n, len - at - n);
		return len - n;
	}
	if (draw() % 8 == 0 && at + n < len)
		memmove(bytes + at, bytes + draw() % (len - n), n);
	while (hits-- > 0)
	{
		at = draw() % (draw() % 3 == 0 && len > 150 ? 150 : len);
		bytes[at] = (char) (draw() % 2 ? (uint64_t) (uint8_t) bytes[at] ^ 1 << draw() % 8 : draw());
	}
	return len;
}

static int
write_corpus(const char *directory)
{
	int			n;

	for (n = 0; n < SAMPLES; n++)
	{
		const char *bytes;
		size_t		len;
		char		path[1000];
		FsSegmentWriter *writer = make_segment(n, &bytes, &len);
		FILE	   *file;

		snprintf(path, sizeof(path), "%s/segment-%d", directory, n);
		file = fopen(path, "wb");
		if (file == NULL || fwrite(bytes, 1, len, file) != len || fclose(file) != 0)
		{
			perror(path);
			return 1;
		}
		fs_segment_writer_free(writer);
	}
	return 0;
}

int
main(int argc, char **argv)
{
	time_t		end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 10);
	long		rounds = 0;
	int			n = 0;

	if (argc == 3 && strcmp(argv[1], "--corpus") == 0)
		return write_corpus(argv[2]);
	if (argc > 2)
		seed = strtoull(argv[2], NULL, 10) * 2 + 1;
	while (time(NULL) < end)
	{
		const char *bytes;
		size_t		len;
		FsSegmentWriter *writer = make_segment(n++ % SAMPLES, &bytes, &len);
		char	   *copy = malloc(len);
		int			i;

		for (i = 0; i < 100; i++)
		{
			memcpy(copy, bytes, len);
			LLVMFuzzerTestOneInput((const uint8_t *) copy, i > 0 ? mutate(copy, len) : len);
			rounds++;
		}
		free(copy);
		fs_segment_writer_free(writer);
	}
	printf("%ld damaged segments read\n", rounds);
	return 0;
}

#endif							/* FS_FUZZ_MAIN */
