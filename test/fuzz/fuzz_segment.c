/*
 * fuzz_segment.c
 *		Fuzzing the segment reader: any bytes, behind a CRC that is right.
 *
 * Each input is signed first, since else the CRC would stop it at the door.
 * What can be read to its end is written again, and must then read the same.
 * The driver damages valid segments of several shapes.
 */
#include "core/segment_format.h"

#include "fuzz.h"

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

#define SAMPLES 12
#define MAX_SIZE (1 << 20)

static uint32_t
draw(void)
{
	return next_random(UINT32_MAX);
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
		const char *format = formats[draw() % 10 == 0 ? draw() % 6 : (uint32_t) shape % 6];

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
		bytes[at] = (char) (draw() % 2 ? (uint8_t) bytes[at] ^ 1u << draw() % 8 : draw());
	}
	return len;
}

/* A valid segment, and then a hundred times the same one damaged. */
static size_t
make_input(uint8_t *data)
{
	static FsSegmentWriter *writer;
	static const char *bytes;
	static size_t len;
	static int	made;
	bool		is_new = made % 100 == 0;

	if (is_new)
	{
		fs_segment_writer_free(writer);
		writer = make_segment(made / 100 % SAMPLES, &bytes, &len);
	}
	made++;
	memcpy(data, bytes, len);
	return is_new ? len : mutate((char *) data, len);
}

int
main(int argc, char **argv)
{
	return run_mutations(argc, argv, "fuzz_segment", 50000, make_input, MAX_SIZE);
}

#endif							/* FS_FUZZ_MAIN */
