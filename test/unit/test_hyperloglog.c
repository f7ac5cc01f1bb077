/*
 * test_hyperloglog.c
 *		Unit tests of core/hyperloglog: its error, its memory, its bytes.
 *
 * "test_hyperloglog | grep '^#'" shows the figures that the documents give.
 */
#include <stdio.h>

#include "core/hyperloglog.h"
#include "datasets.h"
#include "unit.h"

typedef struct Errors
{
	int			n;
	double		sum;
	double		squares;
	double		greatest;
} Errors;

static void
note_error(Errors *errors, int64_t estimate, double truth)
{
	double		error = ((double) estimate - truth) / truth;

	errors->n++;
	errors->sum += error;
	errors->squares += error * error;
	if (fabs(error) > errors->greatest)
		errors->greatest = fabs(error);
}

static double
root_mean_square(const Errors *errors)
{
	return sqrt(errors->squares / errors->n);
}

/* 64 bits of a double, equal for equal ones. */
static uint64_t
hash_double(double value, uint64_t seed)
{
	uint64_t	saved = draw_seed;
	uint64_t	hash;

	value += 0.0;				/* -0 is 0 */
	memcpy(&hash, &value, sizeof(hash));
	draw_seed = hash ^ seed * UINT64_C(0x2545f4914f6cdd1d);
	hash = draw();
	draw_seed = saved;
	return hash;
}

/* Serialises into memory of just the size; the caller frees it. */
static char *
to_bytes(const FsHyperLogLog *sketch, size_t *len)
{
	char	   *bytes;

	*len = fs_hyperloglog_serialized_size(sketch);
	bytes = malloc(*len);
	if (fs_hyperloglog_serialize(sketch, bytes) != bytes + *len)
		abort();
	return bytes;
}

static bool
same_bytes(const FsHyperLogLog *a, const FsHyperLogLog *b)
{
	size_t		alen;
	size_t		blen;
	char	   *abytes = to_bytes(a, &alen);
	char	   *bbytes = to_bytes(b, &blen);
	bool		same = alen == blen && memcmp(abytes, bbytes, alen) == 0;

	free(abytes);
	free(bbytes);
	return same;
}

/*
 * Is the sketch of a data set that of its parts, merged in another order, one of
 * them after a journey as bytes?
 */
static bool
merges(const Dataset *data, uint64_t seed, const FsHyperLogLog *whole)
{
	FsHyperLogLog parts[5];
	FsHyperLogLog copy;
	size_t		len;
	char	   *bytes;
	bool		same;
	int			i;

	for (i = 0; i < 5; i++)
		fs_hyperloglog_init(&parts[i], &fs_sketch_malloc);
	for (uint32_t j = 0; j < data->n; j++)
		fs_hyperloglog_add(&parts[hash_double((double) j, 3) % 17 % 5], hash_double(data->values[j], seed));
	bytes = to_bytes(&parts[3], &len);
	same = fs_hyperloglog_deserialize(&copy, &fs_sketch_malloc, bytes, len) == FS_SKETCH_OK &&
		same_bytes(&copy, &parts[3]);
	for (i = 4; i >= 0; i--)
		if (i != 3)
			same &= fs_hyperloglog_merge(&copy, &parts[i]);
	same &= same_bytes(&copy, whole);
	for (i = 0; i < 5; i++)
		fs_hyperloglog_free(&parts[i]);
	fs_hyperloglog_free(&copy);
	free(bytes);
	return same;
}

static uint32_t
count_distinct(const Dataset *data)
{
	double	   *sorted = sort_values(data);
	uint32_t	n = 1;

	for (uint32_t i = 1; i < data->n; i++)
		n += sorted[i] != sorted[i - 1];
	free(sorted);
	return n;
}

/* The hundred data sets: exact when small, else the error; memory; merging. */
static void
test_datasets(void)
{
	Errors		errors = {0};
	size_t		memory = 0;
	bool		exact = true;
	bool		merged = true;

	for (int number = 0; number < DATASETS; number++)
	{
		Dataset		data = make_dataset(number);
		uint32_t	truth = count_distinct(&data);
		FsHyperLogLog sketch;
		int64_t		estimate;

		fs_hyperloglog_init(&sketch, &fs_sketch_malloc);
		for (uint32_t i = 0; i < data.n; i++)
			fs_hyperloglog_add(&sketch, hash_double(data.values[i], (uint64_t) number));
		estimate = fs_hyperloglog_estimate(&sketch);
		if (truth <= FS_HYPERLOGLOG_MAX_CODES)
			exact &= estimate == truth && sketch.words == NULL;
		else
			note_error(&errors, estimate, truth);
		if (fs_hyperloglog_memory(&sketch) > memory)
			memory = fs_hyperloglog_memory(&sketch);
		merged &= merges(&data, (uint64_t) number, &sketch);
		fs_hyperloglog_free(&sketch);
		free(data.values);
	}
	printf("# 100 data sets: %d with more than %d values, error %.2f %% (root mean square), %.2f %% at most\n",
		   errors.n, FS_HYPERLOGLOG_MAX_CODES, 100 * root_mean_square(&errors), 100 * errors.greatest);
	printf("# memory at most %zu bytes beside %zu of the struct\n", memory, sizeof(FsHyperLogLog));
	CHECK_NAMED(exact, "up to 512 values are counted exactly");
	CHECK_NAMED(errors.n > 30 && root_mean_square(&errors) <= 0.02, "error over the data sets");
	CHECK_NAMED(errors.greatest <= 0.06, "greatest error over the data sets");
	CHECK_NAMED(merged, "merged parts are the whole, to the byte");
	CHECK(memory == 2736);
}

/* Many sketches of 'n' random hashes each. */
static Errors
try_many(uint32_t n, int trials)
{
	Errors		errors = {0};

	while (trials-- > 0)
	{
		FsHyperLogLog sketch;

		fs_hyperloglog_init(&sketch, &fs_sketch_malloc);
		for (uint32_t i = 0; i < n; i++)
			fs_hyperloglog_add(&sketch, draw());
		note_error(&errors, fs_hyperloglog_estimate(&sketch), n);
		fs_hyperloglog_free(&sketch);
	}
	return errors;
}

/* A hash for a register and a rank: the middle of those that go there. */
static uint64_t
hash_for(uint32_t number, uint32_t rank)
{
	long double fraction = 1.5L * powl(2, -(long double) rank);

	return (uint64_t) ((number + fraction) / FS_HYPERLOGLOG_REGISTERS * 18446744073709551616.0L);
}

/*
 * The same for numbers too great to add: each register's greatest rank is drawn
 * from its distribution, P(rank <= r) = exp(-n / m * 2^-r).
 */
static Errors
draw_many(double n, int trials)
{
	Errors		errors = {0};

	while (trials-- > 0)
	{
		FsHyperLogLog sketch;

		fs_hyperloglog_init(&sketch, &fs_sketch_malloc);
		for (uint32_t i = 0; i < FS_HYPERLOGLOG_REGISTERS; i++)
		{
			double		rank = ceil(log2(n / FS_HYPERLOGLOG_REGISTERS / -log(draw_even())));

			if (rank >= 1)
				fs_hyperloglog_add(&sketch, hash_for(i, rank < 40 ? (uint32_t) rank : 40));
		}
		note_error(&errors, fs_hyperloglog_estimate(&sketch), n);
		fs_hyperloglog_free(&sketch);
	}
	return errors;
}

/* No cardinality is worse than others, and none is biased: 1.63 % each, within sampling error. */
static void
test_cardinalities(void)
{
	static const double sizes[] = {520, 700, 1000, 2000, 3000, 5000, 8000, 12000, 20000, 40000,
	1e5, 1e6, 1e9, 1e11, 1e12};
	Errors		all = {0};
	char		name[100];

	draw_seed = 4711;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		int			trials = 300;
		Errors		errors = sizes[i] < 1e5 ? try_many((uint32_t) sizes[i], trials) : draw_many(sizes[i], trials);
		double		error = root_mean_square(&errors);
		double		bias = errors.sum / errors.n;

		printf("# %.0f values, %d times: error %.2f %%, bias %+.2f %%, %.2f %% at most\n",
			   sizes[i], trials, 100 * error, 100 * bias, 100 * errors.greatest);
		snprintf(name, sizeof(name), "error at %.0f values", sizes[i]);
		CHECK_NAMED(error <= 0.0185 && fabs(bias) <= 0.004, name);
		all.n += errors.n;
		all.squares += errors.squares;
	}
	printf("# together: error %.2f %%\n", 100 * root_mean_square(&all));
	CHECK_NAMED(root_mean_square(&all) <= 0.0163, "error at all cardinalities together");
}

static void
test_three_million(void)
{
	Errors		errors = try_many(3000000, 1);

	CHECK_NAMED(errors.greatest <= 0.05, "three million values");
}

static void
test_edges(void)
{
	FsHyperLogLog sketch;
	FsHyperLogLog other;

	fs_hyperloglog_init(&sketch, &fs_sketch_malloc);
	fs_hyperloglog_init(&other, &fs_sketch_malloc);
	CHECK(fs_hyperloglog_estimate(&sketch) == 0 && fs_hyperloglog_memory(&sketch) == 0);
	CHECK(fs_hyperloglog_merge(&sketch, &other) && fs_hyperloglog_estimate(&sketch) == 0);
	CHECK(fs_hyperloglog_add(&sketch, 0) && fs_hyperloglog_add(&sketch, UINT64_MAX));
	CHECK(fs_hyperloglog_add(&sketch, 0) && fs_hyperloglog_estimate(&sketch) == 2);
	CHECK(fs_hyperloglog_memory(&sketch) == 32);
	CHECK(fs_hyperloglog_merge(&other, &sketch) && same_bytes(&other, &sketch));

	/* all registers at the end of their range */
	for (uint32_t i = 0; i < FS_HYPERLOGLOG_REGISTERS; i++)
		fs_hyperloglog_add(&sketch, hash_for(i, 45));
	CHECK(fs_hyperloglog_estimate(&sketch) == INT64_MAX);
	fs_hyperloglog_free(&sketch);
	CHECK(fs_hyperloglog_estimate(&sketch) == 0);
	fs_hyperloglog_free(&other);
}

/* A sparse sketch and a dense one, merged either way: as if all were added to one. */
static void
test_mixed_merge(void)
{
	FsHyperLogLog small;
	FsHyperLogLog large;
	FsHyperLogLog whole;

	draw_seed = 8;
	for (int round = 0; round < 2; round++)
	{
		fs_hyperloglog_init(&small, &fs_sketch_malloc);
		fs_hyperloglog_init(&large, &fs_sketch_malloc);
		fs_hyperloglog_init(&whole, &fs_sketch_malloc);
		for (int i = 0; i < 900; i++)
		{
			uint64_t	hash = draw();

			fs_hyperloglog_add(i < 300 ? &small : &large, hash);
			fs_hyperloglog_add(&whole, hash);
		}
		CHECK(small.words == NULL && large.words != NULL);
		if (round == 0)
			CHECK(fs_hyperloglog_merge(&small, &large) && same_bytes(&small, &whole));
		else
			CHECK(fs_hyperloglog_merge(&large, &small) && same_bytes(&large, &whole));
		fs_hyperloglog_free(&small);
		fs_hyperloglog_free(&large);
		fs_hyperloglog_free(&whole);
	}
}

static FsSketchStatus
read_bytes(const char *bytes, size_t len)
{
	FsHyperLogLog sketch;
	FsSketchStatus status = fs_hyperloglog_deserialize(&sketch, &fs_sketch_malloc, bytes, len);

	fs_hyperloglog_free(&sketch);
	return status;
}

/* What no sketch is written as. */
static void
test_wrong_bytes(void)
{
	char		words[3 + 2736] = "H\1\1";

	CHECK(read_bytes("H\1\0\2\0\200\0\0\1\200\0\0", 12) == FS_SKETCH_OK);
	CHECK(read_bytes("H\1\0\2\1\200\0\0\0\200\0\0", 12) == FS_SKETCH_CORRUPT);	/* descending */
	CHECK(read_bytes("H\1\0\2\1\200\0\0\1\200\0\0", 12) == FS_SKETCH_CORRUPT);	/* twice the same */
	CHECK(read_bytes("H\1\0\1\1\0\0\0", 8) == FS_SKETCH_CORRUPT);	/* rank 0 */
	CHECK(read_bytes("H\2\0\0", 4) == FS_SKETCH_CORRUPT && read_bytes("", 0) == FS_SKETCH_CORRUPT);
	CHECK(read_bytes(words, sizeof(words)) == FS_SKETCH_OK);
	words[3 + 7] = 0x10;		/* beside the registers of the first word */
	CHECK(read_bytes(words, sizeof(words)) == FS_SKETCH_CORRUPT);
	words[3 + 7] = 0;
	words[3 + 2728 + 2] = 0x10; /* beside those of the last, which has four */
	CHECK(read_bytes(words, sizeof(words)) == FS_SKETCH_CORRUPT);
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
		FsHyperLogLog sketch;
		size_t		len;
		size_t		again_len;
		char	   *bytes;
		char	   *damaged;
		char	   *again;

		fs_hyperloglog_init(&sketch, &fs_sketch_malloc);
		for (uint64_t i = draw() % (round % 10 == 0 ? 800 : 20); i > 0; i--)
			fs_hyperloglog_add(&sketch, draw());
		bytes = to_bytes(&sketch, &len);
		fs_hyperloglog_free(&sketch);
		damaged = damage(bytes, &len);
		if (fs_hyperloglog_deserialize(&sketch, &fs_sketch_malloc, damaged, len) == FS_SKETCH_OK)
		{
			read++;
			again = to_bytes(&sketch, &again_len);
			same &= again_len == len && memcmp(again, damaged, len) == 0;
			same &= fs_hyperloglog_estimate(&sketch) >= 0;
			same &= fs_hyperloglog_add(&sketch, draw());
			free(again);
		}
		fs_hyperloglog_free(&sketch);
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

	for (int left = 0; left < 9; left++)
	{
		FsHyperLogLog sketch;
		int64_t		n = 0;

		draw_seed = 6;
		pieces_left = left;
		fs_hyperloglog_init(&sketch, &scarce);
		while (n < 600 && fs_hyperloglog_add(&sketch, draw()))
			n++;
		kept &= left < 8 ? n == (left == 0 ? 0 : 4 << left) && fs_hyperloglog_estimate(&sketch) == n : n == 600;
		fs_hyperloglog_free(&sketch);
	}
	CHECK_NAMED(kept, "out of memory, nothing is lost");
}

int
main(void)
{
	test_edges();
	test_datasets();
	test_cardinalities();
	test_three_million();
	test_mixed_merge();
	test_wrong_bytes();
	test_hostile_bytes();
	test_out_of_memory();
	return unit_finish();
}
