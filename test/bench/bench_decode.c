/*
 * bench_decode.c
 *		What one record costs to decode, in nanoseconds, on one core.
 *
 * Build and run as README.md says; each line is the best and
 * the median of eleven runs over records that differ, so that branches are not
 * learnt by heart.  The clicks of "avro" are those of "click", and runs of the
 * two alternate.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/avro_resolve.h"
#include "core/buffer.h"

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

/* The columns of all shapes; in Avro the time is a timestamp-millis. */
static const FsField fields[] = {
	{"user_id", 7, FS_TYPE_TEXT, FS_UNIT_NONE},
	{"item_id", 7, FS_TYPE_TEXT, FS_UNIT_NONE},
	{"category", 8, FS_TYPE_TEXT, FS_UNIT_NONE},
	{"timestamp", 9, FS_TYPE_TIMESTAMPTZ, FS_UNIT_S}
};

/* Appends a string as Avro has it. */
static char *
put_text(char *out, const char *text)
{
	size_t		len = strlen(text);

	out = fs_put_varint(out, fs_zigzag((int64_t) len));
	memcpy(out, text, len);
	return out + len;
}

/* The click of make_click as Avro, the category nullable; its length. */
static size_t
make_avro_click(char *out, int i)
{
	static const char *const categories[] = {"shoes", "hats", "outerwear"};
	char		text[16];
	char	   *p = out;

	snprintf(text, sizeof(text), "u%d", rand() % 1000000);
	p = put_text(p, text);
	snprintf(text, sizeof(text), "i%d", rand() % 100000);
	p = put_text(p, text);
	p = fs_put_varint(p, fs_zigzag(1));
	p = put_text(p, categories[rand() % 3]);
	p = fs_put_varint(p, fs_zigzag((INT64_C(1700000000) + i) * 1000 + rand() % 1000));
	return (size_t) (p - out);
}

static FsAvroProgram *
make_program(void)
{
	static const char text[] = "{\"type\":\"record\",\"name\":\"Click\",\"fields\":["
		"{\"name\":\"user_id\",\"type\":\"string\"},{\"name\":\"item_id\",\"type\":\"string\"},"
		"{\"name\":\"category\",\"type\":[\"null\",\"string\"]},"
		"{\"name\":\"timestamp\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}}]}";
	FsAvroSource source = {text, sizeof(text) - 1};
	char		message[FS_AVRO_MESSAGE_SIZE];
	FsAvroSchema *schema = fs_avro_schema_parse(&source, 1, message);
	FsField		avro[4];
	FsAvroProblem problems[4];
	bool		too_long;
	FsAvroProgram *program;

	memcpy(avro, fields, sizeof(avro));
	avro[3].unit = FS_UNIT_ISO8601;
	program = fs_avro_program_create(schema, NULL, avro, 4, problems, &too_long);
	fs_avro_schema_free(schema);
	return program;
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

/* The same for clicks in Avro. */
static void
make_avro_batch(Batch *batch)
{
	static char memory[RECORDS * 64];
	char	   *at = memory;

	srand(42);
	batch->total = 0;
	for (int i = 0; i < RECORDS; i++)
	{
		batch->bytes[i] = at;
		batch->len[i] = make_avro_click(at, i);
		batch->total += batch->len[i];
		at += batch->len[i];
	}
}

/* Decodes a batch of Avro 'rounds' times; ns a record. */
static double
run_avro_once(FsAvroDecoder *decoder, const FsAvroProgram *program, const Batch *batch, int rounds)
{
	FsValue		values[4];
	FsDecodeError error;
	double		start = seconds();

	for (int round = 0; round < rounds; round++)
	{
		fs_avro_decoder_reset(decoder);
		for (int i = 0; i < RECORDS; i++)
		{
			if (!fs_avro_decode(decoder, program, batch->bytes[i], batch->len[i], values, &error))
			{
				fprintf(stderr, "record %d: %s\n", i, error.message);
				exit(1);
			}
		}
	}
	return (seconds() - start) * 1e9 / ((double) rounds * RECORDS);
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

/* Clicks as JSON and as Avro, in turn. */
static void
run_avro(FsJsonDecoder *json, long count)
{
	static Batch batches[2];
	FsAvroDecoder *decoder = fs_avro_decoder_create();
	FsAvroProgram *program = make_program();
	double		results[2][RUNS];
	int			rounds = (int) (count / RECORDS) + 1;

	make_batch(&batches[0], make_click);
	make_avro_batch(&batches[1]);
	for (int i = 0; i < RUNS; i++)
	{
		results[0][i] = run_once(json, &batches[0], rounds);
		results[1][i] = run_avro_once(decoder, program, &batches[1], rounds);
	}
	for (int i = 0; i < 2; i++)
	{
		qsort(results[i], RUNS, sizeof(double), compare_doubles);
		printf("%-10s %4zu bytes  best %6.1f  median %6.1f ns/record\n", i == 0 ? "click" : "avro",
			   batches[i].total / RECORDS, results[i][0], results[i][RUNS / 2]);
	}
	fs_avro_program_free(program);
	fs_avro_decoder_free(decoder);
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
	long		count = argc > 1 ? atol(argv[1]) : 1000000;
	FsJsonDecoder *decoder = fs_json_decoder_create(fields, 4);

	if (decoder == NULL)
		return 1;
	run_shape(decoder, "reference", make_reference, count);
	run_avro(decoder, count);
	run_shape(decoder, "sparse", make_sparse, count);
	run_shape(decoder, "shuffled", make_shuffled, count);
	run_shape(decoder, "unicode", make_unicode, count);
	run_shape(decoder, "wide", make_wide, count);
	fs_json_decoder_free(decoder);
	return 0;
}
