/*
 * ddsketch.c
 *		Percentiles of doubles; see ddsketch.h.
 *
 * Bytes: 'D', version, then varints: counts of zeros, minus infinities, plus
 * infinities and NaNs, and the buckets of either sign, negative first: how many,
 * the number of the first (zigzag), its count, and for each other one the
 * distance to the one before and its count.
 */
#include "core/ddsketch.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "core/buffer.h"

#define MAX_BUCKETS		FS_DDSKETCH_MAX_BUCKETS
#define WIDTH			0.02	/* of a bucket, as a natural logarithm */
#define FIRST_BUCKETS	4		/* room that the first value makes */
#define VERSION			1

/* Numbers of the buckets of DBL_MIN and DBL_MAX. */
#define MIN_NUMBER		(-35419)
#define MAX_NUMBER		35490

/* See ddsketch.h. */
void
fs_ddsketch_init(FsDdSketch *sketch, const FsAllocator *allocator)
{
	memset(sketch, 0, sizeof(*sketch));
	sketch->allocator = *allocator;
}

/* Gives the memory back; the sketch is empty and may be used again. */
void
fs_ddsketch_free(FsDdSketch *sketch)
{
	FsAllocator allocator = sketch->allocator;

	fs_sketch_release(&allocator, sketch->negative.buckets);
	fs_sketch_release(&allocator, sketch->positive.buckets);
	fs_ddsketch_init(sketch, &allocator);
}

/* The bucket of a normal number's magnitude. */
static int32_t
bucket_number(double magnitude)
{
	int32_t		number = (int32_t) ceil(log(magnitude) / WIDTH);

	FS_ASSERT(number >= MIN_NUMBER && number <= MAX_NUMBER);
	return number;
}

/* What stands for all values of a bucket: the same relative error at both ends. */
static double
bucket_value(int32_t number)
{
	double		value = exp(WIDTH * (number - 0.5)) / cosh(WIDTH / 2);

	if (value < DBL_MIN)
		return DBL_MIN;
	return value < DBL_MAX ? value : DBL_MAX;
}

/* The first bucket whose number is not less: where it is, or where it belongs. */
static uint32_t
find_bucket(const FsDdStore *store, int32_t number)
{
	uint32_t	low = 0;
	uint32_t	high = store->n;

	while (low < high)
	{
		uint32_t	middle = (low + high) / 2;

		if (store->buckets[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Makes room for one more bucket.  False when memory is out. */
static bool
reserve_bucket(FsDdStore *store, const FsAllocator *allocator)
{
	uint32_t	cap = store->cap > 0 ? store->cap * 2 : FIRST_BUCKETS;
	FsDdBucket *buckets;

	if (store->n < store->cap)
		return true;
	if (cap > MAX_BUCKETS)
		cap = MAX_BUCKETS;
	FS_ASSERT(cap > store->n);
	buckets = fs_sketch_resize(allocator, store->buckets, cap * sizeof(FsDdBucket));
	if (buckets == NULL)
		return false;
	store->buckets = buckets;
	store->cap = cap;
	return true;
}

/*
 * Counts 'count' more values in a bucket.  With all buckets in use, a new one
 * takes the place of the least, which then counts in the next; one below all
 * others counts in the least at once.  False when memory is out.
 */
static bool
count_values(FsDdStore *store, const FsAllocator *allocator, int32_t number, uint64_t count)
{
	FsDdBucket *buckets = store->buckets;
	uint32_t	at = find_bucket(store, number);

	FS_ASSERT(count > 0);
	if (at < store->n && (buckets[at].number == number || (at == 0 && store->n == MAX_BUCKETS)))
	{
		buckets[at].count += count;
		return true;
	}
	if (store->n == MAX_BUCKETS)
	{
		uint64_t	least = buckets[0].count;

		at--;
		memmove(buckets, buckets + 1, at * sizeof(FsDdBucket));
		buckets[at] = (FsDdBucket) {count, number};
		buckets[0].count += least;
		return true;
	}
	if (!reserve_bucket(store, allocator))
		return false;
	buckets = store->buckets;
	memmove(buckets + at + 1, buckets + at, (store->n - at) * sizeof(FsDdBucket));
	buckets[at] = (FsDdBucket) {count, number};
	store->n++;
	return true;
}

/* See ddsketch.h. */
bool
fs_ddsketch_add(FsDdSketch *sketch, double value)
{
	bool		done = true;

	if (isnan(value))
		sketch->nans++;
	else if (isinf(value))
		*(value > 0 ? &sketch->plus_infinities : &sketch->minus_infinities) += 1;
	else if (fabs(value) < DBL_MIN)
		sketch->zeros++;
	else
		done = count_values(value > 0 ? &sketch->positive : &sketch->negative, &sketch->allocator,
							bucket_number(fabs(value)), 1);
	if (done)
		sketch->count++;
	return done;
}

/* Adds the buckets of 'from', and their counts to *total. */
static bool
merge_store(FsDdStore *into, const FsDdStore *from, const FsAllocator *allocator, uint64_t *total)
{
	for (uint32_t i = from->n; i-- > 0;)
	{
		if (!count_values(into, allocator, from->buckets[i].number, from->buckets[i].count))
			return false;
		*total += from->buckets[i].count;
	}
	return true;
}

/* See ddsketch.h. */
bool
fs_ddsketch_merge(FsDdSketch *into, const FsDdSketch *from)
{
	FS_ASSERT(into != from);
	into->zeros += from->zeros;
	into->minus_infinities += from->minus_infinities;
	into->plus_infinities += from->plus_infinities;
	into->nans += from->nans;
	into->count += from->zeros + from->minus_infinities + from->plus_infinities + from->nans;
	return merge_store(&into->negative, &from->negative, &into->allocator, &into->count) &&
		merge_store(&into->positive, &from->positive, &into->allocator, &into->count);
}

/* See ddsketch.h.  The rank is computed as percentile_disc does. */
double
fs_ddsketch_percentile(const FsDdSketch *sketch, double p)
{
	uint64_t	rank = (uint64_t) ceil(p * (double) sketch->count);
	uint64_t	seen = sketch->minus_infinities;

	FS_ASSERT(sketch->count > 0 && p >= 0 && p <= 1);
	if (rank < 1)
		rank = 1;
	if (rank <= seen)
		return -INFINITY;
	for (uint32_t i = sketch->negative.n; i-- > 0;)
	{
		seen += sketch->negative.buckets[i].count;
		if (rank <= seen)
			return -bucket_value(sketch->negative.buckets[i].number);
	}
	seen += sketch->zeros;
	if (rank <= seen)
		return 0;
	for (uint32_t i = 0; i < sketch->positive.n; i++)
	{
		seen += sketch->positive.buckets[i].count;
		if (rank <= seen)
			return bucket_value(sketch->positive.buckets[i].number);
	}
	if (rank <= seen + sketch->plus_infinities || sketch->nans == 0)
		return INFINITY;
	return NAN;
}

/* See ddsketch.h. */
size_t
fs_ddsketch_memory(const FsDdSketch *sketch)
{
	return ((size_t) sketch->negative.cap + sketch->positive.cap) * sizeof(FsDdBucket);
}

/* How far a bucket is from the one before; the first one's number, zigzag. */
static uint64_t
bucket_distance(const FsDdStore *store, uint32_t i)
{
	if (i == 0)
		return fs_zigzag(store->buckets[0].number);
	return (uint64_t) (store->buckets[i].number - store->buckets[i - 1].number);
}

static size_t
store_size(const FsDdStore *store)
{
	size_t		size = (size_t) fs_varint_size(store->n);

	for (uint32_t i = 0; i < store->n; i++)
		size += (size_t) (fs_varint_size(bucket_distance(store, i)) + fs_varint_size(store->buckets[i].count));
	return size;
}

/* Writes store_size() bytes: numbers of buckets as distances, which are small; returns the end. */
static char *
write_store(const FsDdStore *store, char *p)
{
	p = fs_put_varint(p, store->n);
	for (uint32_t i = 0; i < store->n; i++)
	{
		p = fs_put_varint(p, bucket_distance(store, i));
		p = fs_put_varint(p, store->buckets[i].count);
	}
	return p;
}

/* See ddsketch.h. */
size_t
fs_ddsketch_serialized_size(const FsDdSketch *sketch)
{
	return 2 + (size_t) (fs_varint_size(sketch->zeros) + fs_varint_size(sketch->minus_infinities) +
						 fs_varint_size(sketch->plus_infinities) + fs_varint_size(sketch->nans)) +
		store_size(&sketch->negative) + store_size(&sketch->positive);
}

/* See ddsketch.h. */
char *
fs_ddsketch_serialize(const FsDdSketch *sketch, char *p)
{
	*p++ = 'D';
	*p++ = VERSION;
	p = fs_put_varint(p, sketch->zeros);
	p = fs_put_varint(p, sketch->minus_infinities);
	p = fs_put_varint(p, sketch->plus_infinities);
	p = fs_put_varint(p, sketch->nans);
	p = write_store(&sketch->negative, p);
	return write_store(&sketch->positive, p);
}

/* Takes a count and adds it to the sketch's, which must not overflow. */
static bool
take_count(FsDdSketch *sketch, FsCursor *cursor, uint64_t *count)
{
	return fs_take_varint(cursor, count) && !__builtin_add_overflow(sketch->count, *count, &sketch->count);
}

/* Takes the number of a bucket whose predecessor's is 'before'; it must ascend. */
static bool
take_number(FsCursor *cursor, bool is_first, int32_t before, int32_t *number)
{
	uint64_t	distance;
	int64_t		n;

	if (!fs_take_varint(cursor, &distance) || (!is_first && distance == 0) || distance > 2 * MAX_NUMBER)
		return false;
	n = is_first ? fs_unzigzag(distance) : before + (int64_t) distance;
	*number = (int32_t) n;
	return n >= MIN_NUMBER && n <= MAX_NUMBER;
}

/*
 * Reads what write_store() wrote, from bytes that anybody may have made.  An
 * error leaves the store incomplete: the caller throws it away.
 */
static FsSketchStatus
read_store(FsDdSketch *sketch, FsDdStore *store, FsCursor *cursor)
{
	uint64_t	n;
	int32_t		number = 0;

	if (!fs_take_varint(cursor, &n) || n > MAX_BUCKETS)
		return FS_SKETCH_CORRUPT;
	for (uint32_t i = 0; i < n; i++)
	{
		uint64_t	count;

		if (!take_number(cursor, i == 0, number, &number) ||
			!take_count(sketch, cursor, &count) || count == 0)
			return FS_SKETCH_CORRUPT;
		if (!count_values(store, &sketch->allocator, number, count))
			return FS_SKETCH_NO_MEMORY;
	}
	return FS_SKETCH_OK;
}

/* Reads what follows the head into an empty sketch. */
static FsSketchStatus
read_sketch(FsDdSketch *sketch, FsCursor *cursor)
{
	FsSketchStatus status;

	if (!take_count(sketch, cursor, &sketch->zeros) ||
		!take_count(sketch, cursor, &sketch->minus_infinities) ||
		!take_count(sketch, cursor, &sketch->plus_infinities) ||
		!take_count(sketch, cursor, &sketch->nans))
		return FS_SKETCH_CORRUPT;
	status = read_store(sketch, &sketch->negative, cursor);
	if (status == FS_SKETCH_OK)
		status = read_store(sketch, &sketch->positive, cursor);
	if (status == FS_SKETCH_OK && fs_cursor_left(cursor) > 0)
		status = FS_SKETCH_CORRUPT;
	return status;
}

/* See ddsketch.h. */
FsSketchStatus
fs_ddsketch_deserialize(FsDdSketch *sketch, const FsAllocator *allocator, const char *bytes, size_t len)
{
	FsCursor	cursor = {bytes, bytes + len};
	const char *head;
	FsSketchStatus status;

	fs_ddsketch_init(sketch, allocator);
	if (!fs_take_bytes(&cursor, 2, &head) || head[0] != 'D' || head[1] != VERSION)
		return FS_SKETCH_CORRUPT;
	status = read_sketch(sketch, &cursor);
	if (status != FS_SKETCH_OK)
		fs_ddsketch_free(sketch);
	return status;
}
