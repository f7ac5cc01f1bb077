/*
 * test_segment.c
 *		Unit tests of event log segments: what goes in comes out, nothing else does.
 *
 * Random events of all types, from seeds, through writer and reader; then the
 * same bytes damaged.  The shapes a column can have (all the same, counting,
 * few, many, long, changing half-way) are drawn per column and per stretch of
 * events, so that every encoding and every change between them is met.
 *
 * FS_TEST_SEEDS in the environment: how many seeds, 60 if not set.
 */
#include <stdlib.h>
#include <string.h>

#include "core/segment_format.h"
#include "draw.h"
#include "unit.h"

#define MAX_COLUMNS 16
#define TEXT_MAX	700

typedef struct Event
{
	FsEventMeta meta;
	FsValue		values[MAX_COLUMNS];
} Event;

typedef struct Sample
{
	FsTime		slice_start;
	FsSegmentColumn columns[MAX_COLUMNS];
	int			ncolumns;
	Event	   *events;
	int			count;
} Sample;

/* 64 bits of any magnitude, either sign, the edges included. */
static int64_t
draw_int(void)
{
	switch (draw_below(8))
	{
		case 0:
			return INT64_MIN + draw_below(3);
		case 1:
			return INT64_MAX - draw_below(3);
		case 2:
			return draw_below(3) - 1;
		default:
			return (int64_t) draw() >> draw_below(64);
	}
}

/* A shape of a column's values, valid for a stretch of events. */
static int64_t
draw_shaped_int(int shape, int64_t base, int i)
{
	switch (shape % 7)
	{
		case 0:
			return base;
		case 1:
			return (int64_t) ((uint64_t) base + (uint64_t) i);
		case 2:
			return draw_int();
		case 3:
			return (int64_t) ((uint64_t) base + (uint64_t) draw_below(60000) * 1000);
		case 4:
			return (int64_t) ((uint64_t) base + (uint64_t) (i / 100) * 1000000);
		case 5:
			return (int64_t) ((uint64_t) base + ((uint64_t) draw_below(1000) << 13));
		default:
			return draw_below(50) == 0 ? draw_int() : draw_below(20);
	}
}

/* Is this the shape's range for the type?  Brings an integer into it. */
static int64_t
fit_int(FsType type, int64_t v)
{
	switch (type)
	{
		case FS_TYPE_INT2:
			return (int16_t) v;
		case FS_TYPE_INT4:
		case FS_TYPE_DATE:
			return (int32_t) v;
		case FS_TYPE_BOOL:
			return v & 1;
		default:
			return v;
	}
}

static int
draw_text(char *p, int shape, int i)
{
	int			len;
	int			k;

	switch (shape % 12)
	{
		case 0:
			return sprintf(p, "u%d", draw_below(1000000));
		case 1:
			return sprintf(p, "user_%06d", draw_below(1000000));
		case 2:
			return sprintf(p, "category %c", 'a' + draw_below(20));
		case 3:
			return sprintf(p, "%016llx", (unsigned long long) draw());
		case 4:
			return sprintf(p, "%d", draw_below(3) == 0 ? i : draw_below(1 << draw_below(31)));
		case 5:
			return draw_below(10) == 0 ? sprintf(p, "guest") : sprintf(p, "m%d", draw_below(100000));
		case 6:
			return sprintf(p, "%s%lld", draw_below(2) ? "x" : "", (long long) draw_int());
		case 7:
			return sprintf(p, "%.*s", draw_below(4), "0000");
		case 8:
			return sprintf(p, "same");
		case 9:
			return sprintf(p, "%0*d", 1 + draw_below(20), draw_below(1000));
		case 10:
			return sprintf(p, "%d", draw_below(3000) * 7919) + sprintf(p + strlen(p), "-sku");
		default:
			len = draw_below(20) == 0 ? draw_below(TEXT_MAX) : draw_below(12);
			for (k = 0; k < len; k++)
				p[k] = (char) (draw_below(3) == 0 ? '0' + draw_below(12) : 1 + draw_below(255));
			return len;
	}
}

/* Copies, so that each value has memory of its own whose ends ASan watches. */
static void
set_bytes(FsValue *value, const char *bytes, int len)
{
	char	   *copy = NULL;

	if (len > 0)
	{
		copy = malloc((size_t) len);
		memcpy(copy, bytes, (size_t) len);
	}
	value->data = copy;
	value->len = (uint32_t) len;
}

static void
draw_value(FsValue *value, FsType type, int shape, int64_t base, const FsEventMeta *meta, int i)
{
	char		text[TEXT_MAX + 64];
	uint64_t	halves[2];

	value->presence = FS_PRESENT;
	switch (type)
	{
		case FS_TYPE_UUID:
			halves[0] = shape % 2 ? draw() : draw() % 100;
			halves[1] = halves[0] * 3;
			set_bytes(value, (const char *) halves, 16);
			break;
		case FS_TYPE_TEXT:
		case FS_TYPE_NUMERIC:
		case FS_TYPE_JSONB:
			set_bytes(value, text, draw_text(text, shape, i));
			break;
		case FS_TYPE_FLOAT4:
			value->f = (float) (shape % 2 ? (double) draw_int() / 7 : draw_below(1000) * -0.5);
			break;
		case FS_TYPE_FLOAT8:
			value->f = shape % 2 ? (double) draw_int() / 7 : draw_below(1000) * -0.5;
			break;
		case FS_TYPE_TIMESTAMPTZ:
			value->i = shape % 3 == 0 ? meta->event_time : draw_shaped_int(shape, base, i);
			break;
		default:
			value->i = fit_int(type, draw_shaped_int(shape, base, i));
	}
}

/* Shapes of a stretch of events. */
typedef struct Shapes
{
	int			shape[MAX_COLUMNS + 6];
	int64_t		base[MAX_COLUMNS + 6];
	int			nulls[MAX_COLUMNS + 6]; /* one in so many; 0 none, 1 all */
} Shapes;

static void
draw_shapes(Shapes *shapes)
{
	static const int nulls[] = {0, 0, 0, 1, 2, 30};
	int			c;

	for (c = 0; c < MAX_COLUMNS + 6; c++)
	{
		shapes->shape[c] = draw_below(84);
		shapes->base[c] = draw_int();
		shapes->nulls[c] = nulls[draw_below(6)];
	}
}

static void
draw_meta(FsEventMeta *meta, const Shapes *s, FsTime slice_start, int i)
{
	const int  *shape = s->shape + MAX_COLUMNS;
	const int64_t *base = s->base + MAX_COLUMNS;
	bool		usual = shape[0] % 2 == 0;

	meta->event_time = usual ? draw_shaped_int(3, slice_start, i) :
		draw_shaped_int(shape[0], base[0], i);
	meta->arrival = draw_shaped_int(usual ? 4 : shape[1], usual ? slice_start : base[1], i);
	meta->late_bound = s->nulls[MAX_COLUMNS] && draw_below(s->nulls[MAX_COLUMNS]) == 0 ?
		draw_shaped_int(shape[2], base[2], i) : FS_TIME_MIN;
	meta->partition = shape[3] % 3 ? i / 40 % 16 :
		(int32_t) draw_shaped_int(shape[3], base[3], i);
	meta->offset = shape[4] % 3 ? i : draw_shaped_int(shape[4], base[4], i);
	meta->xid = shape[5] % 3 ? 0 : (uint64_t) draw_shaped_int(shape[5], base[5], i);
}

static void
draw_sample(Sample *sample, int count)
{
	Shapes		shapes;
	int			i;
	int			c;

	sample->slice_start = draw_below(4) == 0 ? draw_int() : draw_below(1000000000) * INT64_C(60000000);
	sample->ncolumns = draw_below(MAX_COLUMNS + 1);
	sample->count = count;
	sample->events = calloc((size_t) count + 1, sizeof(Event));
	for (c = 0; c < sample->ncolumns; c++)
	{
		sample->columns[c].number = (int16_t) (draw_below(10) == 0 ? -c : c * 3 + 1);
		sample->columns[c].type = (FsType) (1 + draw_below(12));
	}
	for (i = 0; i < count; i++)
	{
		Event	   *e = &sample->events[i];

		if (i == 0 || draw_below(2000) == 0)
			draw_shapes(&shapes);
		draw_meta(&e->meta, &shapes, sample->slice_start, i);
		for (c = 0; c < sample->ncolumns; c++)
		{
			if (shapes.nulls[c] && draw_below(shapes.nulls[c]) == 0)
				e->values[c].presence = draw_below(2) ? FS_NULL : FS_ABSENT;
			else
				draw_value(&e->values[c], sample->columns[c].type, shapes.shape[c],
						   shapes.base[c], &e->meta, i);
		}
	}
}

static void
free_sample(Sample *sample)
{
	int			i;
	int			c;

	for (i = 0; i < sample->count; i++)
	{
		for (c = 0; c < sample->ncolumns; c++)
		{
			if (sample->events[i].values[c].presence == FS_PRESENT &&
				fs_type_is_bytes(sample->columns[c].type))
				free((char *) sample->events[i].values[c].data);
		}
	}
	free(sample->events);
}

static bool
is_same_value(FsType type, const FsValue *a, const FsValue *b)
{
	if (a->presence != FS_PRESENT || b->presence != FS_PRESENT)
		return a->presence != FS_PRESENT && b->presence == FS_NULL;
	if (fs_type_is_bytes(type))
		return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
	return a->i == b->i;
}

static bool
is_same_meta(const FsEventMeta *a, const FsEventMeta *b)
{
	return a->event_time == b->event_time && a->arrival == b->arrival &&
		a->late_bound == b->late_bound && a->partition == b->partition &&
		a->offset == b->offset && a->xid == b->xid;
}

/* Does the reader give the first 'count' events of the sample, and then the end? */
static bool
reads_back(const Sample *sample, int count, const char *bytes, size_t len)
{
	FsSegmentReader *reader;
	const FsSegmentColumn *columns;
	FsValue    *kept = calloc((size_t) count * MAX_COLUMNS + 1, sizeof(FsValue));
	FsEventMeta meta;
	bool		same;
	int			i;
	int			c;

	if (fs_segment_reader_open(bytes, len, &reader) != FS_SEGMENT_OK)
		return false;
	same = fs_segment_reader_slice(reader) == sample->slice_start &&
		fs_segment_reader_count(reader) == count &&
		fs_segment_reader_columns(reader, &columns) == sample->ncolumns;
	for (c = 0; same && c < sample->ncolumns; c++)
		same = columns[c].number == sample->columns[c].number &&
			columns[c].type == sample->columns[c].type;
	for (i = 0; same && i < count; i++)
		same = fs_segment_next(reader, &meta, kept + i * MAX_COLUMNS) == FS_SEGMENT_OK &&
			is_same_meta(&sample->events[i].meta, &meta);

	/* only now: values live until the reader is freed */
	for (i = 0; same && i < count; i++)
		for (c = 0; same && c < sample->ncolumns; c++)
			same = is_same_value(sample->columns[c].type, &sample->events[i].values[c],
								 &kept[i * MAX_COLUMNS + c]);
	same = same && fs_segment_next(reader, &meta, kept) == FS_SEGMENT_END &&
		fs_segment_next(reader, &meta, kept) == FS_SEGMENT_END;
	fs_segment_reader_free(reader);
	free(kept);
	return same;
}

/*
 * Writes the sample and reads it back, at times also finished before its end.
 * The bytes are copied to where ASan sees each step outside.
 */
static bool
round_trips(const Sample *sample, char **copy, size_t *copy_len)
{
	FsSegmentWriter *writer = fs_segment_writer_create(sample->slice_start, sample->columns,
													   sample->ncolumns);
	int			early = draw_below(3) == 0 ? draw_below(sample->count + 1) : -1;
	const char *bytes;
	size_t		len;
	bool		same = true;
	int			i;

	for (i = 0; i < sample->count; i++)
	{
		if (i == early)
			same = fs_segment_finish(writer, &bytes, &len) == FS_SEGMENT_OK &&
				reads_back(sample, i, bytes, len);
		same = same && fs_segment_append(writer, &sample->events[i].meta,
										 sample->events[i].values) == FS_SEGMENT_OK;
	}
	same = same && fs_segment_count(writer) == sample->count;
	same = same && fs_segment_finish(writer, &bytes, &len) == FS_SEGMENT_OK;
	*copy = malloc(len);
	*copy_len = len;
	memcpy(*copy, bytes, len);
	same = same && fs_segment_memory(writer) >= len;
	fs_segment_writer_free(writer);
	return same && reads_back(sample, sample->count, *copy, *copy_len);
}

static bool
is_refused(const char *bytes, size_t len)
{
	FsSegmentReader *reader = NULL;
	bool		refused = fs_segment_reader_open(bytes, len, &reader) == FS_SEGMENT_CORRUPT &&
		reader == NULL;

	fs_segment_reader_free(reader);
	return refused;
}

/* Every single damaged bit, and every shorter length, must be found out. */
static bool
refuses_damage(char *bytes, size_t len)
{
	bool		refused = true;
	size_t		stride = len > 3000 ? len / 500 : 1;
	size_t		i;

	for (i = 0; i < len; i += stride)
	{
		int			bit;

		for (bit = 0; bit < 8; bit++)
		{
			bytes[i] = (char) (bytes[i] ^ (1 << bit));
			refused = refused && is_refused(bytes, len);
			bytes[i] = (char) (bytes[i] ^ (1 << bit));
		}
		refused = refused && is_refused(bytes, i);
	}
	return refused;
}

/*
 * Damage with a CRC made right again: whatever comes, it must not hurt.  Run
 * under ASan this is the proof; here a promise is that reading ends.
 */
static bool
survives_forgery(const char *bytes, size_t len, int64_t *opened)
{
	FsValue		values[1600];
	FsEventMeta meta;
	int			round;

	for (round = 0; round < 200; round++)
	{
		char	   *forged = malloc(len);
		int			hits = 1 + draw_below(3);
		FsSegmentReader *reader;
		FsSegmentStatus status;
		int64_t		n = 0;

		memcpy(forged, bytes, len);
		while (hits-- > 0)
			forged[draw() % len] = (char) draw();
		fs_segment_sign(forged, len);
		status = fs_segment_reader_open(forged, len, &reader);
		if (status == FS_SEGMENT_OK)
		{
			(*opened)++;
			while ((status = fs_segment_next(reader, &meta, values)) == FS_SEGMENT_OK)
				n++;
			if (status == FS_SEGMENT_END && n != fs_segment_reader_count(reader))
				return false;
			fs_segment_reader_free(reader);
		}
		free(forged);
		if (status != FS_SEGMENT_END && status != FS_SEGMENT_CORRUPT)
			return false;
	}
	return true;
}

static void
test_seed(int number)
{
	static const int counts[] = {0, 1, 2, 15, 16, 17, 300, 1023, 1024, 1025, 2500, 9000};
	Sample		sample;
	char	   *bytes;
	size_t		len;
	int64_t		opened = 0;
	char		name[80];
	bool		passed;

	draw_seed = (uint64_t) number * 7919;
	draw_sample(&sample, counts[number % 12] + (number % 12 > 5 ? draw_below(2) : 0));
	passed = round_trips(&sample, &bytes, &len);
	snprintf(name, sizeof(name), "seed %d: %d events, %d columns, %zu bytes round trip",
			 number, sample.count, sample.ncolumns, len);
	CHECK_NAMED(passed, name);
	snprintf(name, sizeof(name), "seed %d: damage is refused", number);
	CHECK_NAMED(refuses_damage(bytes, len), name);
	passed = survives_forgery(bytes, len, &opened);
	snprintf(name, sizeof(name), "seed %d: forgeries do no harm (%d opened)", number, (int) opened);
	CHECK_NAMED(passed, name);
	free(bytes);
	free_sample(&sample);
}

/* The promise of size: the reference stream in less than 18 bytes an event. */
static void
test_size(void)
{
	FsSegmentColumn columns[4] = {
		{1, FS_TYPE_TEXT}, {2, FS_TYPE_TEXT}, {3, FS_TYPE_TEXT}, {4, FS_TYPE_TIMESTAMPTZ}
	};
	FsTime		start = INT64_C(820000020) * FS_USEC_PER_SEC;
	FsSegmentWriter *writer = fs_segment_writer_create(start, columns, 4);
	const char *bytes;
	size_t		len;
	char		text[3][32];
	bool		appended = true;
	int			i;

	draw_seed = 1;
	for (i = 0; i < 20000; i++)
	{
		FsEventMeta meta = {start + draw_below(60000) * 1000, start + i / 1000,
		FS_TIME_MIN, i / 50 % 16, 1000000 + i, 0};
		FsValue		values[4] = {{FS_PRESENT, 0, {0}}, {FS_PRESENT, 0, {0}},
		{FS_PRESENT, 0, {0}}, {FS_PRESENT, 0, {meta.event_time}}};

		values[0].len = (uint32_t) sprintf(text[0], "u%d", draw_below(1000000));
		values[1].len = (uint32_t) sprintf(text[1], "i%d", draw_below(100000));
		values[2].len = (uint32_t) sprintf(text[2], "category %c", 'a' + draw_below(20));
		values[0].data = text[0];
		values[1].data = text[1];
		values[2].data = text[2];
		appended = appended && fs_segment_append(writer, &meta, values) == FS_SEGMENT_OK;
	}
	CHECK(appended && fs_segment_finish(writer, &bytes, &len) == FS_SEGMENT_OK);
	printf("# %.2f bytes an event\n", (double) len / 20000);
	CHECK(len < 20000 * 10);
	fs_segment_writer_free(writer);
}

static void
test_refusals(void)
{
	FsSegmentWriter *writer = fs_segment_writer_create(0, NULL, 0);
	const char *bytes;
	size_t		len;
	char		copy[200];

	CHECK(is_refused("", 0) && is_refused("FSEG", 4));
	CHECK(fs_segment_finish(writer, &bytes, &len) == FS_SEGMENT_OK && len < sizeof(copy));
	memcpy(copy, bytes, len);
	CHECK(!is_refused(copy, len));
	copy[4] = 2;
	fs_segment_sign(copy, len);
	CHECK_NAMED(is_refused(copy, len), "another version is refused");
	copy[4] = 1;
	copy[24] = 1;
	fs_segment_sign(copy, len);
	CHECK_NAMED(is_refused(copy, len), "a wrong count is refused");
	copy[24] = 0;
	fs_segment_sign(copy, len);
	CHECK(!is_refused(copy, len));
	copy[len] = 0;
	fs_segment_sign(copy, len + 1);
	CHECK_NAMED(is_refused(copy, len + 1), "a byte too many is refused");
	fs_segment_writer_free(writer);
	fs_segment_writer_free(NULL);
	fs_segment_reader_free(NULL);
}

int
main(void)
{
	const char *seeds = getenv("FS_TEST_SEEDS");
	int			n = seeds ? atoi(seeds) : 60;
	int			i;

	test_refusals();
	test_size();
	for (i = 0; i < n; i++)
		test_seed(i);
	return unit_finish();
}
