/*
 * test_frequent.c
 *		Unit tests of core/frequent: its error, its memory, its bytes.
 *
 * "test_frequent | grep '^#'" shows the figures that the documents give.
 */
#include <stdio.h>

#include "core/frequent.h"
#include "datasets.h"
#include "unit.h"

/*
 * Values are pieces of memory that hold a double each, so that one forgotten or
 * freed twice is noticed; 'alive' counts them.
 */
static int	alive = 0;

static double
double_at(uint64_t value)
{
	return *(double *) (uintptr_t) value;
}

static uint64_t
word_of(double *value)
{
	return (uint64_t) (uintptr_t) value;
}

static uint32_t
hash_value(void *context, uint64_t value)
{
	double		x = double_at(value) + 0.0;
	uint64_t	bits;

	memcpy(&bits, &x, sizeof(bits));
	return (uint32_t) ((bits * UINT64_C(0x9e3779b97f4a7c15)) >> 40) & *(uint32_t *) context;
}

static bool
values_equal(void *context, uint64_t a, uint64_t b)
{
	return double_at(a) == double_at(b);
}

static int
compare_values(void *context, uint64_t a, uint64_t b)
{
	double		x = double_at(a);
	double		y = double_at(b);

	return (x > y) - (x < y);
}

static bool
keep_value(void *context, uint64_t value, uint64_t *kept)
{
	double	   *copy = malloc(sizeof(double));

	*copy = double_at(value);
	*kept = word_of(copy);
	alive++;
	return true;
}

static void
drop_value(void *context, uint64_t value)
{
	free((double *) (uintptr_t) value);
	alive--;
}

static size_t
size_of_value(void *context, uint64_t value)
{
	return sizeof(double);
}

static char *
write_value(void *context, uint64_t value, char *p)
{
	memcpy(p, (double *) (uintptr_t) value, sizeof(double));
	return p + sizeof(double);
}

/* NaN is not equal to itself: no value. */
static FsSketchStatus
read_value(void *context, FsCursor *cursor, uint64_t *kept)
{
	const char *bytes;
	double		x;

	if (!fs_take_bytes(cursor, sizeof(double), &bytes))
		return FS_SKETCH_CORRUPT;
	memcpy(&x, bytes, sizeof(double));
	if (isnan(x))
		return FS_SKETCH_CORRUPT;
	keep_value(context, word_of(&x), kept);
	return FS_SKETCH_OK;
}

static const FsFrequentOps ops = {hash_value, values_equal, compare_values, keep_value, drop_value,
size_of_value, write_value, read_value};

static uint32_t all_bits = UINT32_MAX;	/* of a hash that are used */
static uint32_t two_bits = 3;

static bool
add(FsFrequent *table, double value)
{
	return fs_frequent_add(table, word_of(&value), 1);
}

/* Serialises into memory of just the size; the caller frees it. */
static char *
to_bytes(const FsFrequent *table, size_t *len)
{
	char	   *bytes;

	*len = fs_frequent_serialized_size(table);
	bytes = malloc(*len);
	if (fs_frequent_serialize(table, bytes) != bytes + *len)
		abort();
	return bytes;
}

/* A value and how often it really came. */
typedef struct Truth
{
	double		value;
	uint32_t	count;
} Truth;

static int
compare_truths(const void *a, const void *b)
{
	const Truth *x = a;
	const Truth *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return (x->value > y->value) - (x->value < y->value);
}

/* Counts by sorting: most frequent first, the lesser of equally frequent ones first. */
static Truth *
count_values(const Dataset *data, uint32_t *n)
{
	double	   *sorted = sort_values(data);
	Truth	   *truths = malloc(data->n * sizeof(Truth));

	*n = 0;
	for (uint32_t i = 0; i < data->n; i++)
	{
		if (i == 0 || sorted[i] != sorted[i - 1])
			truths[(*n)++] = (Truth) {sorted[i], 0};
		truths[*n - 1].count++;
	}
	free(sorted);
	qsort(truths, *n, sizeof(Truth), compare_truths);
	return truths;
}

/* What the table says of a value; 0 without a counter. */
static uint64_t
count_of(const FsFrequent *table, double value)
{
	for (uint32_t i = 0; i < table->n; i++)
		if (double_at(table->counters[i].value) == value)
			return table->counters[i].count;
	return 0;
}

/* Are its k most frequent values just those, in this order? */
static bool
top_is(const FsFrequent *table, uint32_t k, const Truth *truths, uint32_t ntruths)
{
	uint32_t   *places = malloc((k > 0 ? k : 1) * sizeof(uint32_t));
	uint32_t	n = fs_frequent_top(table, k, places);
	bool		right = n == (k < ntruths ? k : ntruths);

	for (uint32_t i = 0; i < n && right; i++)
		right = double_at(table->counters[places[i]].value) == truths[i].value &&
			table->counters[places[i]].count == truths[i].count;
	free(places);
	return right;
}

/*
 * The promise of a table with a limit: no counter is too great, none is too
 * small by more than the offset, the offset is at most N / (limit + 1), and what
 * is surely among the k most frequent values is among those given.  *error
 * becomes the greatest count missed, in parts of N / (limit + 1).
 */
static bool
keeps_promise(const FsFrequent *table, uint32_t k, uint64_t n, const Truth *truths, uint32_t ntruths, double *error)
{
	uint32_t   *places = malloc((k > 0 ? k : 1) * sizeof(uint32_t));
	uint32_t	ntop = fs_frequent_top(table, k, places);
	uint64_t	last = ntop < k ? 0 : table->counters[places[ntop - 1]].count;
	uint64_t	sum = 0;
	bool		kept = table->n <= table->limit * 2;

	for (uint32_t i = 0; i < table->n; i++)
		sum += table->counters[i].count;
	kept &= table->offset <= (n - sum) / (table->limit + 1);
	for (uint32_t i = 0; i < ntruths && i < 3000; i++)
	{
		uint64_t	count = count_of(table, truths[i].value);
		bool		is_top = false;

		kept &= count <= truths[i].count && truths[i].count - count <= table->offset;
		*error = fmax(*error, (double) (truths[i].count - count) * (table->limit + 1.0) / (double) n);
		for (uint32_t j = 0; j < ntop; j++)
			is_top |= double_at(table->counters[places[j]].value) == truths[i].value;
		kept &= is_top || truths[i].count <= last + table->offset;
	}
	if (ntruths <= table->limit * 2)
		kept &= table->offset == 0;
	free(places);
	return kept;
}

/* Without a limit: exact.  All values, and merged from parts. */
static bool
counts_exactly(const Dataset *data, const Truth *truths, uint32_t ntruths)
{
	FsFrequent	whole;
	FsFrequent	part;
	bool		right = true;

	fs_frequent_init(&whole, &fs_sketch_malloc, &ops, &all_bits, 0);
	fs_frequent_init(&part, &fs_sketch_malloc, &ops, &all_bits, 0);
	for (uint32_t i = 0; i < data->n; i++)
		right &= add(i % 3 == 0 ? &part : &whole, data->values[i]);
	right &= fs_frequent_merge(&whole, &part);
	right &= whole.n == ntruths && whole.offset == 0;
	right &= top_is(&whole, 0, truths, ntruths) && top_is(&whole, 1, truths, ntruths) &&
		top_is(&whole, 10, truths, ntruths) && top_is(&whole, data->n, truths, ntruths);
	fs_frequent_free(&whole);
	fs_frequent_free(&part);
	return right;
}

/* With a limit of max(8 k, 64): in one piece, and merged from five by way of bytes. */
static bool
counts_nearly(const Dataset *data, uint32_t k, const Truth *truths, uint32_t ntruths, double *error, size_t *memory)
{
	uint32_t	limit = 8 * k > 64 ? 8 * k : 64;
	FsFrequent	whole;
	FsFrequent	merged;
	FsFrequent	parts[5];
	bool		kept = true;

	fs_frequent_init(&whole, &fs_sketch_malloc, &ops, &all_bits, limit);
	fs_frequent_init(&merged, &fs_sketch_malloc, &ops, &all_bits, limit);
	for (int i = 0; i < 5; i++)
		fs_frequent_init(&parts[i], &fs_sketch_malloc, &ops, &all_bits, limit);
	for (uint32_t i = 0; i < data->n; i++)
		kept &= add(&whole, data->values[i]) && add(&parts[i % 7 % 5], data->values[i]);
	kept &= keeps_promise(&whole, k, data->n, truths, ntruths, error);
	*memory = fmax(*memory, fs_frequent_memory(&whole));
	for (int i = 0; i < 5; i++)
	{
		size_t		len;
		char	   *bytes = to_bytes(&parts[i], &len);

		fs_frequent_free(&parts[i]);
		kept &= fs_frequent_deserialize(&parts[i], bytes, len) == FS_SKETCH_OK;
		kept &= fs_frequent_merge(&merged, &parts[i]);
		fs_frequent_free(&parts[i]);
		free(bytes);
	}
	kept &= keeps_promise(&merged, k, data->n, truths, ntruths, error);
	if (ntruths <= limit * 2)
		kept &= top_is(&merged, k, truths, ntruths) && top_is(&whole, k, truths, ntruths);
	fs_frequent_free(&whole);
	fs_frequent_free(&merged);
	return kept;
}

static void
test_datasets(void)
{
	static const uint32_t ks[] = {1, 8, 20};
	bool		exact = true;
	bool		kept = true;
	double		greatest = 0;

	for (int number = 0; number < DATASETS; number++)
	{
		Dataset		data = make_dataset(number);
		uint32_t	ntruths;
		Truth	   *truths = count_values(&data, &ntruths);

		exact &= counts_exactly(&data, truths, ntruths);
		for (int i = 0; i < 3; i++)
		{
			double		error = 0;
			size_t		memory = 0;

			kept &= counts_nearly(&data, ks[i], truths, ntruths, &error, &memory);
			greatest = fmax(greatest, error);
			if (number >= 90 && ks[i] >= 8)
				printf("# k = %u, %u values, %u different, %s: greatest error of a count %.2f N / (m + 1), %zu bytes\n",
					   ks[i], data.n, ntruths, data.shape, error, memory);
		}
		free(truths);
		free(data.values);
	}
	printf("# 100 data sets, k of 1, 8 and 20, whole and merged: greatest error of a count %.2f N / (m + 1)\n", greatest);
	CHECK_NAMED(exact, "without a limit all data sets are counted exactly");
	CHECK_NAMED(kept, "with a limit all data sets are counted as promised");
	CHECK(alive == 0);
}

/* Hashes that collide, values that are equal and do not look it. */
static void
test_equality(void)
{
	FsFrequent	table;
	uint32_t	places[3];
	double		minus_zero = -0.0;

	fs_frequent_init(&table, &fs_sketch_malloc, &ops, &two_bits, 0);
	for (int i = 0; i < 1000; i++)
		add(&table, i % 100);
	CHECK(table.n == 100);
	CHECK(fs_frequent_add(&table, word_of(&minus_zero), 5) && table.n == 100);
	CHECK(fs_frequent_top(&table, 3, places) == 3 && places[0] == 0 && places[1] == 1 && places[2] == 2);
	CHECK(table.counters[0].count == 15 && !signbit(double_at(table.counters[0].value)));
	fs_frequent_free(&table);
	CHECK(table.n == 0 && fs_frequent_memory(&table) == 0 && fs_frequent_top(&table, 3, places) == 0);
	CHECK(add(&table, 1) && table.n == 1);
	fs_frequent_free(&table);
}

/* The worst there is for it: all values different, but one that fills a bit more than a share of 1 / (m + 1). */
static void
test_hidden_value(void)
{
	FsFrequent	table;
	uint64_t	n = 65000;
	uint32_t	place;

	fs_frequent_init(&table, &fs_sketch_malloc, &ops, &all_bits, 64);
	for (uint64_t i = 0; i < n; i++)
		add(&table, i % 64 == 0 ? -1 : (double) i);
	CHECK(table.offset > 0 && table.offset <= n / 65 && table.n <= 128);
	CHECK(count_of(&table, -1) > 0);
	CHECK(fs_frequent_top(&table, 1, &place) == 1 && double_at(table.counters[place].value) == -1);
	fs_frequent_free(&table);
}

/* Any bytes are refused, or are the table they say: written again, the same bytes. */
static void
test_hostile_bytes(void)
{
	bool		same = true;
	int			read = 0;

	draw_seed = 5;
	for (int round = 0; round < 20000; round++)
	{
		uint32_t	limit = round % 2 ? 0 : 5;
		FsFrequent	table;
		size_t		len;
		size_t		again_len;
		char	   *bytes;
		char	   *damaged;
		char	   *again;

		fs_frequent_init(&table, &fs_sketch_malloc, &ops, &all_bits, limit);
		for (uint64_t i = draw() % 30; i > 0; i--)
			add(&table, (double) (draw() % 12));
		bytes = to_bytes(&table, &len);
		fs_frequent_free(&table);
		damaged = damage(bytes, &len);
		if (fs_frequent_deserialize(&table, damaged, len) == FS_SKETCH_OK)
		{
			read++;
			again = to_bytes(&table, &again_len);
			same &= again_len == len && memcmp(again, damaged, len) == 0;
			same &= add(&table, 1000);
			free(again);
		}
		fs_frequent_free(&table);
		free(bytes);
		free(damaged);
	}
	CHECK_NAMED(same, "damaged bytes: refused, or read as they are");
	CHECK_NAMED(read > 1000 && read < 19000, "damaged bytes: some of either");
	CHECK(alive == 0);
}

/* Out of memory at each step: false, and what was there is there. */
static void
test_out_of_memory(void)
{
	bool		kept = true;

	for (int left = 0; left < 14; left++)
	{
		FsFrequent	table;
		uint32_t	n = 0;

		pieces_left = left;
		fs_frequent_init(&table, &scarce, &ops, &all_bits, 64);
		while (n < 1000 && add(&table, n))
			n++;
		if (n < 128)
		{
			kept &= table.n == n && n == (left < 2 ? 0 : 2u << left / 2);
			for (uint32_t i = 0; i < n; i++)
				kept &= count_of(&table, i) == 1;
		}
		else
			kept &= n == (left == 12 ? 128 : 256);
		fs_frequent_free(&table);
	}
	CHECK_NAMED(kept, "out of memory, nothing is lost");
	CHECK(alive == 0);
}

int
main(void)
{
	test_equality();
	test_hidden_value();
	test_datasets();
	test_hostile_bytes();
	test_out_of_memory();
	return unit_finish();
}
