/*
 * test_ddsketch.c
 *		Unit tests of core/ddsketch: its error, its memory, its bytes.
 *
 * "test_ddsketch | grep '^#'" shows the figures that the documents give.
 */
#include <float.h>
#include <stdio.h>

#include "core/buffer.h"
#include "core/ddsketch.h"
#include "datasets.h"
#include "unit.h"

static const double fractions[] = {0, 1e-5, 0.001, 0.01, 0.05, 0.1, 0.25, 0.333, 0.5, 0.6, 0.75,
0.9, 0.95, 0.99, 0.999, 0.99999, 1};

#define FRACTIONS (sizeof(fractions) / sizeof(fractions[0]))

/* What percentile_disc(p) gives of 'n' sorted values. */
static double
exact_percentile(const double *sorted, uint32_t n, double p)
{
	uint32_t	rank = (uint32_t) ceil(p * n);

	return sorted[rank > 0 ? rank - 1 : 0];
}

/* The relative error; 0 also where both are the same in another way. */
static double
error_of(double estimate, double truth)
{
	if (estimate == truth || (isnan(estimate) && isnan(truth)))
		return 0;
	return truth != 0 ? fabs(estimate - truth) / fabs(truth) : INFINITY;
}

/* Serialises into memory of just the size; the caller frees it. */
static char *
to_bytes(const FsDdSketch *sketch, size_t *len)
{
	char	   *bytes;

	*len = fs_ddsketch_serialized_size(sketch);
	bytes = malloc(*len);
	if (fs_ddsketch_serialize(sketch, bytes) != bytes + *len)
		abort();
	return bytes;
}

static bool
same_bytes(const FsDdSketch *a, const FsDdSketch *b)
{
	size_t		alen;
	size_t		blen;
	char	   *abytes = to_bytes(a, &alen);
	char	   *bbytes = to_bytes(b, &blen);
	bool		same = alen == blen && memcmp(abytes, bbytes, alen) == 0 && a->count == b->count;

	free(abytes);
	free(bbytes);
	return same;
}

/*
 * Is the sketch of these values that of their parts, merged in another order,
 * one of them after a journey as bytes?
 */
static bool
merges(const double *values, uint32_t n, const FsDdSketch *whole)
{
	FsDdSketch	parts[5];
	FsDdSketch	copy;
	size_t		len;
	char	   *bytes;
	bool		same;
	int			i;

	for (i = 0; i < 5; i++)
		fs_ddsketch_init(&parts[i], &fs_sketch_malloc);
	for (uint32_t j = n; j-- > 0;)
		fs_ddsketch_add(&parts[draw() % 5], values[j]);
	bytes = to_bytes(&parts[3], &len);
	same = fs_ddsketch_deserialize(&copy, &fs_sketch_malloc, bytes, len) == FS_SKETCH_OK &&
		same_bytes(&copy, &parts[3]);
	for (i = 4; i >= 0; i--)
		if (i != 3)
			same &= fs_ddsketch_merge(&copy, &parts[i]);
	same &= same_bytes(&copy, whole);
	for (i = 0; i < 5; i++)
		fs_ddsketch_free(&parts[i]);
	fs_ddsketch_free(&copy);
	free(bytes);
	return same;
}

static void
make_sketch(FsDdSketch *sketch, const double *values, uint32_t n)
{
	fs_ddsketch_init(sketch, &fs_sketch_malloc);
	for (uint32_t i = 0; i < n; i++)
		if (!fs_ddsketch_add(sketch, values[i]))
			abort();
}

/* The hundred data sets: error at all fractions, memory, merging. */
static void
test_datasets(void)
{
	double		greatest = 0;
	size_t		memory = 0;
	size_t		memory_of_shape[10] = {0};
	size_t		bytes = 0;
	bool		merged = true;
	Dataset		data;

	for (int number = 0; number < DATASETS; number++)
	{
		double	   *sorted;
		FsDdSketch	sketch;

		data = make_dataset(number);
		sorted = sort_values(&data);
		make_sketch(&sketch, data.values, data.n);
		for (size_t i = 0; i < FRACTIONS; i++)
			greatest = fmax(greatest, error_of(fs_ddsketch_percentile(&sketch, fractions[i]),
											   exact_percentile(sorted, data.n, fractions[i])));
		memory = fmax(memory, fs_ddsketch_memory(&sketch));
		memory_of_shape[number % 10] = fs_ddsketch_memory(&sketch);
		bytes = fmax(bytes, fs_ddsketch_serialized_size(&sketch));
		merged &= merges(data.values, data.n, &sketch);
		if (number >= 90)
			printf("# %u values, %s: %u buckets, %zu bytes of memory, %zu serialized\n", data.n, data.shape,
				   sketch.negative.n + sketch.positive.n, fs_ddsketch_memory(&sketch),
				   fs_ddsketch_serialized_size(&sketch));
		fs_ddsketch_free(&sketch);
		free(sorted);
		free(data.values);
	}
	printf("# 100 data sets, 17 fractions: error %.4f %% at most; memory at most %zu bytes beside %zu of the struct, "
		   "%zu bytes serialized\n", 100 * greatest, memory, sizeof(FsDdSketch), bytes);
	CHECK_NAMED(greatest > 0.005 && greatest <= 0.01, "error over the data sets");
	CHECK_NAMED(merged, "merged parts are the whole, to the byte");
	CHECK(memory <= 2 * FS_DDSKETCH_MAX_BUCKETS * sizeof(FsDdBucket));
	CHECK_NAMED(memory_of_shape[7] <= 64, "one value takes next to nothing");
}

/*
 * One value in every bucket there is: those nearest to zero are counted
 * together, the others are as before, whatever the order.
 */
static void
test_collapse(void)
{
	uint32_t	n = 70900;
	double	   *values = malloc(n * sizeof(double));
	double		greatest = 0;
	bool		least = true;
	FsDdSketch	sketch;
	FsDdSketch	backward;

	for (uint32_t i = 0; i < n; i++)
		values[i] = exp(0.02 * ((double) i - 35419) + 0.013);
	make_sketch(&sketch, values, n);
	CHECK(sketch.positive.n == FS_DDSKETCH_MAX_BUCKETS && sketch.count == n);
	CHECK(fs_ddsketch_memory(&sketch) == FS_DDSKETCH_MAX_BUCKETS * sizeof(FsDdBucket));
	for (uint32_t i = 0; i < n; i++)
	{
		double		estimate = fs_ddsketch_percentile(&sketch, (i + 1.0) / n);

		if (i >= n - FS_DDSKETCH_MAX_BUCKETS)
			greatest = fmax(greatest, error_of(estimate, values[i]));
		else
			least &= estimate == fs_ddsketch_percentile(&sketch, 0);
	}
	CHECK_NAMED(greatest <= 0.01, "the greatest 2048 buckets are as exact as ever");
	CHECK_NAMED(least, "all others are counted in the least of them");

	fs_ddsketch_init(&backward, &fs_sketch_malloc);
	for (uint32_t i = n; i-- > 0;)
		fs_ddsketch_add(&backward, values[i]);
	CHECK_NAMED(same_bytes(&sketch, &backward), "collapsed backward");
	fs_ddsketch_free(&backward);
	draw_seed = 9;
	for (uint32_t i = n; i-- > 1;)
	{
		uint32_t	j = (uint32_t) (draw() % (i + 1));
		double		t = values[i];

		values[i] = values[j];
		values[j] = t;
	}
	CHECK_NAMED(merges(values, n, &sketch), "collapsed in parts, in any order");
	fs_ddsketch_free(&sketch);
	free(values);
}

/* A sketch of one value tells it, at each fraction. */
static bool
tells(double value, double expected, double tolerance)
{
	FsDdSketch	sketch;
	bool		right = true;

	make_sketch(&sketch, &value, 1);
	for (double p = 0; p <= 1; p += 0.25)
		right &= error_of(fs_ddsketch_percentile(&sketch, p), expected) <= tolerance;
	right &= merges(&value, 1, &sketch);
	fs_ddsketch_free(&sketch);
	return right;
}

static void
test_single_values(void)
{
	bool		all = true;

	CHECK(tells(0, 0, 0) && tells(-0.0, 0, 0));
	CHECK(tells(INFINITY, INFINITY, 0) && tells(-INFINITY, -INFINITY, 0) && tells(NAN, NAN, 0));
	CHECK(tells(DBL_MAX, DBL_MAX, 0.01) && tells(-DBL_MAX, -DBL_MAX, 0.01));
	CHECK(tells(DBL_MIN, DBL_MIN, 0.01) && tells(-DBL_MIN, -DBL_MIN, 0.01));
	CHECK(tells(nextafter(DBL_MIN, 0), 0, 0) && tells(5e-324, 0, 0) && tells(-5e-324, 0, 0));

	/* the ends of all buckets, and the numbers beside them */
	for (int i = -35419; i < 35490; i += 3)
	{
		double		end = exp(0.02 * i);
		FsDdSketch	sketch;

		for (int beside = -1; beside <= 1; beside++)
		{
			double		value = beside == 0 ? end : nextafter(end, beside * INFINITY);

			if (value < DBL_MIN)
				continue;
			make_sketch(&sketch, &value, 1);
			all &= error_of(fs_ddsketch_percentile(&sketch, 0.5), value) <= 0.01;
			fs_ddsketch_free(&sketch);
		}
	}
	CHECK_NAMED(all, "values at the ends of buckets");
}

static void
test_order(void)
{
	static const double values[] = {NAN, INFINITY, 3, -3, 0, -0.0, -INFINITY, 1, -1, NAN};
	static const double expected[] = {-INFINITY, -3, -1, 0, 0, 1, 3, INFINITY, NAN, NAN};
	bool		right = true;
	FsDdSketch	sketch;
	FsDdSketch	empty;

	make_sketch(&sketch, values, 10);
	for (int i = 0; i < 10; i++)
		right &= error_of(fs_ddsketch_percentile(&sketch, (i + 1) / 10.0), expected[i]) <= 0.01;
	CHECK_NAMED(right, "minus infinity, negative, zero, positive, infinity, NaN");
	make_sketch(&empty, NULL, 0);
	CHECK(empty.count == 0 && fs_ddsketch_memory(&empty) == 0);
	CHECK(fs_ddsketch_merge(&empty, &sketch) && same_bytes(&empty, &sketch));
	fs_ddsketch_free(&empty);
	CHECK(empty.count == 0 && fs_ddsketch_merge(&sketch, &empty) && sketch.count == 10);
	fs_ddsketch_free(&sketch);
}

/* Bytes of one bucket of this number. */
static FsSketchStatus
read_bucket(int32_t number, uint64_t count)
{
	char		bytes[40] = "D\1\0\0\0\0\0\1";
	char	   *end = fs_put_varint(fs_put_varint(bytes + 8, fs_zigzag(number)), count);
	FsDdSketch	sketch;
	FsSketchStatus status = fs_ddsketch_deserialize(&sketch, &fs_sketch_malloc, bytes, (size_t) (end - bytes));

	fs_ddsketch_free(&sketch);
	return status;
}

/* What no sketch is written as. */
static void
test_wrong_bytes(void)
{
	CHECK(read_bucket(-35419, 1) == FS_SKETCH_OK && read_bucket(35490, UINT64_MAX) == FS_SKETCH_OK);
	CHECK(read_bucket(-35420, 1) == FS_SKETCH_CORRUPT && read_bucket(35491, 1) == FS_SKETCH_CORRUPT);
	CHECK(read_bucket(INT32_MIN, 1) == FS_SKETCH_CORRUPT && read_bucket(0, 0) == FS_SKETCH_CORRUPT);
}

/* Any bytes are refused, or are the sketch they say: written again, the same bytes. */
static void
test_hostile_bytes(void)
{
	bool		same = true;
	int			read = 0;

	draw_seed = 5;
	for (int round = 0; round < 20000; round++)
	{
		FsDdSketch	sketch;
		size_t		len;
		size_t		again_len;
		char	   *bytes;
		char	   *damaged;
		char	   *again;

		fs_ddsketch_init(&sketch, &fs_sketch_malloc);
		for (uint64_t i = draw() % (round % 10 == 0 ? 800 : 20); i > 0; i--)
			fs_ddsketch_add(&sketch, draw_value((int) (draw() % 10), 3));
		bytes = to_bytes(&sketch, &len);
		fs_ddsketch_free(&sketch);
		damaged = damage(bytes, &len);
		if (fs_ddsketch_deserialize(&sketch, &fs_sketch_malloc, damaged, len) == FS_SKETCH_OK)
		{
			read++;
			again = to_bytes(&sketch, &again_len);
			same &= again_len == len && memcmp(again, damaged, len) == 0;
			if (sketch.count > 0)
				for (size_t i = 0; i < FRACTIONS; i++)
					same &= !isnan(fs_ddsketch_percentile(&sketch, fractions[i])) || sketch.nans > 0;
			same &= fs_ddsketch_add(&sketch, 1);
			free(again);
		}
		fs_ddsketch_free(&sketch);
		free(bytes);
		free(damaged);
	}
	CHECK_NAMED(same, "damaged bytes: refused, or read as they are");
	CHECK_NAMED(read > 1000 && read < 19000, "damaged bytes: some of either");
}

/* Out of memory at each step: false, and what was there is there. */
static void
test_out_of_memory(void)
{
	bool		kept = true;

	for (int left = 0; left < 11; left++)
	{
		FsDdSketch	sketch;
		uint64_t	n = 0;

		pieces_left = left;
		fs_ddsketch_init(&sketch, &scarce);
		while (n < 3000 && fs_ddsketch_add(&sketch, exp(0.02 * (double) n + 0.01)))
			n++;
		kept &= sketch.count == n && n == (left == 0 ? 0 : left < 10 ? UINT64_C(2) << left : 3000);
		kept &= n == 0 || error_of(fs_ddsketch_percentile(&sketch, 1), exp(0.02 * (double) (n - 1) + 0.01)) <= 0.01;
		fs_ddsketch_free(&sketch);
	}
	CHECK_NAMED(kept, "out of memory, nothing is lost");
}

int
main(void)
{
	test_single_values();
	test_order();
	test_datasets();
	test_collapse();
	test_wrong_bytes();
	test_hostile_bytes();
	test_out_of_memory();
	return unit_finish();
}
