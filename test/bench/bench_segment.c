/*
 * bench_segment.c
 *		What a segment costs: bytes and nanoseconds an event, written and read.
 *
 * The reference stream is clicks: 1,000,000 users "u123456", 100,000 items, 20
 * categories some of which are null, milliseconds, 16 partitions whose batches
 * interleave, arrival clocks that last for a thousand events.  For segments of
 * 1,000 and of 100,000 events; and the same with identifiers that are no numbers, as a
 * worst case.  CPU time of this thread.
 *
 *	gcc -O2 -Isrc test/bench/bench_segment.c src/core/segment_*.c \
 *		src/core/buffer.c src/core/crc32c.c -o bench_segment
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/segment.h"

#define EVENTS		100000		/* generated; used PASSES times */
#define PASSES		20
#define PARTITIONS	16
#define BATCH		50

typedef struct Event
{
	FsEventMeta meta;
	FsValue		values[4];
} Event;

static const FsSegmentColumn columns[4] = {
	{1, FS_TYPE_TEXT}, {2, FS_TYPE_TEXT}, {3, FS_TYPE_TEXT}, {4, FS_TYPE_TIMESTAMPTZ}
};

static uint64_t seed = 42;

static uint64_t
next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static double
cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

static char *
put_text(char *p, FsValue *value, const char *format, unsigned number)
{
	value->presence = FS_PRESENT;
	value->data = p;
	value->len = (uint32_t) sprintf(p, format, number);
	return p + value->len;
}

/* One slice's worth of clicks after another, a minute each, in batches of a partition. */
static Event *
make_events(const char *user, const char *item, FsTime slice_start)
{
	Event	   *events = calloc(EVENTS, sizeof(Event));
	char	   *text = malloc((size_t) EVENTS * 80);
	int64_t		offsets[PARTITIONS];
	int			i;

	for (i = 0; i < PARTITIONS; i++)
		offsets[i] = (int64_t) (next_random() % 1000000000);
	for (i = 0; i < EVENTS; i++)
	{
		Event	   *e = &events[i];
		int			partition = (int) (((uint64_t) (i / BATCH) * 7) % PARTITIONS);
		unsigned	category = (unsigned) (next_random() % 21);

		e->meta.event_time = slice_start + (int64_t) (next_random() % 60000) * 1000;
		e->meta.arrival = slice_start + 60000000 + (int64_t) (i / 1000) * 20011;
		e->meta.late_bound = FS_TIME_MIN;
		e->meta.partition = partition;
		offsets[partition] += next_random() % 50 == 0 ? 2 + (int64_t) (next_random() % 30) : 1;
		e->meta.offset = offsets[partition];
		text = put_text(text, &e->values[0], user, (unsigned) (next_random() % 1000000));
		text = put_text(text, &e->values[1], item, (unsigned) (next_random() % 100000));
		text = put_text(text, &e->values[2], "category-%c", 'a' + category);
		if (category == 20)
			e->values[2].presence = FS_NULL;
		e->values[3].presence = FS_PRESENT;
		e->values[3].i = e->meta.event_time;
	}
	return events;
}

static void
measure(const char *name, const Event *events, int per_segment, FsTime slice_start)
{
	double		write_time = 0;
	double		read_time = 0;
	size_t		total = 0;
	size_t		memory = 0;
	int			segments = EVENTS / per_segment * PASSES;
	int			s;

	for (s = 0; s < segments; s++)
	{
		const Event *e = events + (size_t) s * (size_t) per_segment % EVENTS;
		FsSegmentWriter *writer;
		FsSegmentReader *reader;
		FsEventMeta meta;
		FsValue		values[4];
		const char *bytes;
		size_t		len;
		int			n = 0;
		int			i;
		double		start = cpu_seconds();

		writer = fs_segment_writer_create(slice_start, columns, 4);
		for (i = 0; i < per_segment; i++)
			fs_segment_append(writer, &e[i].meta, e[i].values);
		memory = fs_segment_memory(writer);
		fs_segment_finish(writer, &bytes, &len);
		write_time += cpu_seconds() - start;
		total += len;
		start = cpu_seconds();
		if (fs_segment_reader_open(bytes, len, &reader) != FS_SEGMENT_OK)
			abort();
		while (fs_segment_next(reader, &meta, values) == FS_SEGMENT_OK)
			n++;
		fs_segment_reader_free(reader);
		read_time += cpu_seconds() - start;
		if (n != per_segment)
			abort();
		fs_segment_writer_free(writer);
	}
	printf("%-22s %7d events a segment: %6.2f bytes/event, write %5.1f ns, read %5.1f ns, "
		   "writer holds %.1f bytes/event\n",
		   name, per_segment, (double) total / (EVENTS * PASSES), write_time / (EVENTS * PASSES) * 1e9,
		   read_time / (EVENTS * PASSES) * 1e9, (double) memory / per_segment);
}

int
main(void)
{
	FsTime		slice_start = INT64_C(820000020) * FS_USEC_PER_SEC;
	Event	   *clicks = make_events("u%u", "i%u", slice_start);
	volatile char *large;
	Event	   *hashes = make_events("%08x-user", "%06x.item", slice_start);

	/*
	 * glibc gives the top of the heap back to the system after each small
	 * segment until something large was freed once, as a worker soon has.
	 */
	large = malloc(16 * 1024 * 1024);
	large[0] = 0;
	free((char *) large);
	measure("clicks", clicks, 1000, slice_start);
	measure("clicks", clicks, 100000, slice_start);
	measure("ids that are no numbers", hashes, 1000, slice_start);
	measure("ids that are no numbers", hashes, 100000, slice_start);
	return 0;
}
