/*
 * bench_decode.c
 *		What one record costs to decode, in nanoseconds, on one core.
 *
 * Build and run: gcc -O2 -Isrc test/bench/bench_decode.c
 * src/core/{decode_json,json_scan,json_column,scratch,number,time_text,utf8}.c
 * -o bench_decode && ./bench_decode [records a run].  Each line is the best and
 * the median of eleven runs over records that differ, so that branches are not
 * learnt by heart.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/decode.h"

#define RECORDS 4096
#define RUNS	11

typedef struct Batch
{
	char	   *bytes[RECORDS];
	size_t		len[RECORDS];
	size_t		total;
} Batch;

/* Writes record 'i' of a shape. */
typedef void (*MakeRecord) (char *out, size_t size, int i);

static void
make_reference(char *out, size_t size, int i)
{
	snprintf(out, size, "{\"user_id\": \"u123456\", \"item_id\": \"i98765\", "
			 "\"category\": \"shoes\", \"timestamp\": 1700000000.123}");
}

static void
make_click(char *out, size_t size, int i)
{
	static const char *const categories[] = {"shoes", "hats", "outerwear"};

	snprintf(out, size, "{\"user_id\": \"u%d\", \"item_id\": \"i%d\", "
			 "\"category\": \"%s\", \"timestamp\": %d.%03d}",
			 rand() % 1000000, rand() % 100000, categories[rand() % 3],
			 1700000000 + i, rand() % 1000);
}

static void
make_sparse(char *out, size_t size, int i)
{
	if (rand() % 10 > 0)
		make_click(out, size, i);
	else
		snprintf(out, size, "{\"user_id\": \"u%d\", \"item_id\": \"i%d\", "
				 "\"timestamp\": %d.%03d}", rand() % 1000000,
				 rand() % 100000, 1700000000 + i, rand() % 1000);
}

static void
make_shuffled(char *out, size_t size, int i)
{
	if (i % 2 == 0)
		make_click(out, size, i);
	else
		snprintf(out, size, "{\"timestamp\": %d.%03d,\"category\":\"hats\","
				 "\"item_id\":\"i%d\",\"user_id\":\"u%d\"}", 1700000000 + i,
				 rand() % 1000, rand() % 100000, rand() % 1000000);
}

static void
make_wide(char *out, size_t size, int i)
{
	snprintf(out, size, "{\"user_id\": \"u%d\", \"session\": {\"ip\": "
			 "\"10.0.0.1\", \"tags\": [1, 2, {\"a\": null}]}, \"item_id\": "
			 "\"i%d\", \"agent\": \"Mozilla/5.0 (X11; Linux x86_64)\", "
			 "\"category\": \"shoes\", \"price\": 19.99, \"timestamp\": %d.%03d, "
			 "\"referrer\": \"https://example.com/\\u00fc\", \"ok\": true}",
			 rand() % 1000000, rand() % 100000, 1700000000 + i, rand() % 1000);
}

static void
make_unicode(char *out, size_t size, int i)
{
	snprintf(out, size, "{\"user_id\": \"u%d\", \"item_id\": \"i%d\", "
			 "\"category\": \"\xd0\xbe\xd0\xb1\xd1\x83\xd0\xb2\xd1\x8c\", "
			 "\"timestamp\": %d.%03d}", rand() % 1000000, rand() % 100000,
			 1700000000 + i, rand() % 1000);
}

static double
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double) now.tv_sec + (double) now.tv_nsec * 1e-9;
}

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

/* Makes the records of one shape, packed as a fetch buffer would be. */
static void
make_batch(Batch *batch, MakeRecord make)
{
	static char memory[RECORDS * 512];
	char	   *at = memory;

	srand(42);
	batch->total = 0;
	for (int i = 0; i < RECORDS; i++)
	{
		make(at, 512, i);
		batch->bytes[i] = at;
		batch->len[i] = strlen(at);
		batch->total += batch->len[i];
		at += batch->len[i];
	}
}

/* Decodes a batch 'rounds' times; ns a record. */
static double
run_once(FsJsonDecoder *decoder, const Batch *batch, int rounds)
{
	FsValue		values[4];
	FsDecodeError error;
	double		start = seconds();

	for (int round = 0; round < rounds; round++)
	{
		fs_json_decoder_reset(decoder);
		for (int i = 0; i < RECORDS; i++)
		{
			if (!fs_json_decode(decoder, batch->bytes[i], batch->len[i],
								values, &error))
			{
				fprintf(stderr, "record %d: %s\n", i, error.message);
				exit(1);
			}
		}
	}
	return (seconds() - start) * 1e9 / ((double) rounds * RECORDS);
}

static void
run_shape(FsJsonDecoder *decoder, const char *name, MakeRecord make, long count)
{
	static Batch batch;
	double		results[RUNS];
	int			rounds = (int) (count / RECORDS) + 1;

	make_batch(&batch, make);
	for (int i = 0; i < RUNS; i++)
		results[i] = run_once(decoder, &batch, rounds);
	qsort(results, RUNS, sizeof(double), compare_doubles);
	printf("%-10s %4zu bytes  best %6.1f  median %6.1f ns/record\n", name,
		   batch.total / RECORDS, results[0], results[RUNS / 2]);
}

int
main(int argc, char **argv)
{
	static const FsField fields[] = {
		{"user_id", 7, FS_TYPE_TEXT, FS_UNIT_NONE},
		{"item_id", 7, FS_TYPE_TEXT, FS_UNIT_NONE},
		{"category", 8, FS_TYPE_TEXT, FS_UNIT_NONE},
		{"timestamp", 9, FS_TYPE_TIMESTAMPTZ, FS_UNIT_S}
	};
	long		count = argc > 1 ? atol(argv[1]) : 1000000;
	FsJsonDecoder *decoder = fs_json_decoder_create(fields, 4);

	if (decoder == NULL)
		return 1;
	run_shape(decoder, "reference", make_reference, count);
	run_shape(decoder, "click", make_click, count);
	run_shape(decoder, "sparse", make_sparse, count);
	run_shape(decoder, "shuffled", make_shuffled, count);
	run_shape(decoder, "unicode", make_unicode, count);
	run_shape(decoder, "wide", make_wide, count);
	fs_json_decoder_free(decoder);
	return 0;
}
