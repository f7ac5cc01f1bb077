/*
 * avro_cases.c
 *		Decodes Avro cases from standard input, for avro_differential.py.
 *
 * A case: writer's schema, reader's schema (empty: none), number of columns, for
 * each column its path, type and unit, then the datum; strings have their length
 * before them, all numbers are 32 bits, little-endian.  The answer is one line a
 * column ("A" absent, "N" null, "I 7", "F 0x1p+0", "B hex"), or one line that
 * begins with why there are none ("bad_value", "malformed", "schema", "problem").
 * After the columns stands what they are as a record of the writer's schema, "E hex",
 * or why they are none, "R" with the trouble's number.  After each case comes an empty line.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/array_value.h"
#include "core/avro_encode.h"
#include "core/avro_resolve.h"

#define MAX_COLUMNS 64

/* A number; the process ends when there is none. */
static uint32_t
read_number(void)
{
	unsigned char b[4];

	if (fread(b, 1, 4, stdin) != 4)
		exit(0);
	return (uint32_t) b[0] | (uint32_t) b[1] << 8 | (uint32_t) b[2] << 16 | (uint32_t) b[3] << 24;
}

/* A string of its exact size, so that a sanitizer sees a read beyond its end. */
static char *
read_string(size_t *len)
{
	char	   *bytes;

	*len = read_number();
	bytes = malloc(*len > 0 ? *len : 1);
	if (bytes == NULL || fread(bytes, 1, *len, stdin) != *len)
		exit(2);
	return bytes;
}

static void
print_scalar(FsType type, const FsValue *value)
{
	if (value->presence != FS_PRESENT)
		printf("%s", value->presence == FS_ABSENT ? "A" : "N");
	else if (fs_type_is_bytes(type))
	{
		printf("B ");
		for (uint32_t i = 0; i < value->len; i++)
			printf("%02x", (unsigned char) value->data[i]);
	}
	else if (fs_type_is_float(type))
		printf("F %a", value->f);
	else
		printf("I %" PRId64, value->i);
}

static void
print_value(const FsField *field, const FsValue *value)
{
	FsCursor	cursor;
	FsValue		item;
	const char *before = "L ";

	if (!fs_type_is_array(field->type) || value->presence != FS_PRESENT)
		print_scalar(field->type, value);
	else if (value->len == 0)
		printf("%s", before);
	else
	{
		cursor.p = value->data;
		cursor.end = value->data + value->len;
		for (; fs_array_next(&cursor, fs_type_element(field->type), &item); before = "|")
		{
			printf("%s", before);
			print_scalar(fs_type_element(field->type), &item);
		}
	}
	printf("\n");
}

static FsAvroSchema *
parse(const char *text, size_t len)
{
	FsAvroSource source = {text, len};
	char		message[FS_AVRO_MESSAGE_SIZE];
	FsAvroSchema *schema = fs_avro_schema_parse(&source, 1, message);

	if (schema == NULL)
		printf("schema %s\n", message);
	return schema;
}

/* The record that has these values, as a line. */
static void
print_record(const FsAvroSchema *writer, const FsAvroSchema *reader, const FsField *fields, int n, const FsValue *values)
{
	FsAvroEncodeError error;
	FsAvroEncoder *encoder = fs_avro_encoder_create(writer, reader, fields, n, &error);
	FsBuffer	record = {0};

	if (encoder == NULL || !fs_avro_encode(encoder, values, &record, &error))
		printf("R %d %s\n", (int) error.trouble, error.message);
	else
	{
		printf("E ");
		for (size_t i = 0; i < record.len; i++)
			printf("%02x", (unsigned char) record.data[i]);
		printf("\n");
	}
	fs_buffer_free(&record);
	fs_avro_encoder_free(encoder);
}

/* One column a line, or why not. */
static void
answer(FsAvroDecoder *decoder, const FsAvroSchema *writer, const FsAvroSchema *reader,
	   const FsField *fields, int n, const char *datum, size_t len)
{
	static FsAvroProblem problems[MAX_COLUMNS];
	static FsValue values[MAX_COLUMNS];
	FsDecodeError error;
	bool		too_long;
	FsAvroProgram *program = fs_avro_program_create(writer, reader, fields, n, problems, &too_long);
	int			wrong = 0;

	if (program == NULL)
	{
		printf("problem no program\n");
		return;
	}
	while (wrong < n && problems[wrong].kind == FS_AVRO_NO_PROBLEM)
		wrong++;
	if (wrong < n)
		printf("problem %d %s %s\n", wrong, problems[wrong].detail, problems[wrong].hint);
	else if (!fs_avro_decode(decoder, program, datum, len, values, &error))
		printf("%s %s\n", fs_reason_name(error.reason), error.message);
	else
	{
		for (int i = 0; i < n; i++)
			print_value(&fields[i], &values[i]);
		print_record(writer, reader, fields, n, values);
	}
	fs_avro_decoder_reset(decoder);
	fs_avro_program_free(program);
}

int
main(void)
{
	FsAvroDecoder *decoder = fs_avro_decoder_create();

	for (;;)
	{
		FsField		fields[MAX_COLUMNS];
		size_t		wlen;
		size_t		rlen;
		size_t		len;
		char	   *wtext = read_string(&wlen);
		char	   *rtext = read_string(&rlen);
		int			n = (int) read_number();
		char	   *datum;
		FsAvroSchema *writer;
		FsAvroSchema *reader;

		for (int i = 0; i < n && i < MAX_COLUMNS; i++)
		{
			fields[i].name = read_string(&fields[i].name_len);
			fields[i].type = (FsType) read_number();
			fields[i].unit = (FsTimeUnit) read_number();
		}
		datum = read_string(&len);
		writer = parse(wtext, wlen);
		reader = rlen > 0 && writer != NULL ? parse(rtext, rlen) : NULL;
		free(wtext);
		free(rtext);
		if (writer != NULL && (reader != NULL || rlen == 0))
			answer(decoder, writer, reader, fields, n, datum, len);
		printf("\n");
		fflush(stdout);
		fs_avro_schema_free(writer);
		fs_avro_schema_free(reader);
		for (int i = 0; i < n; i++)
			free((char *) fields[i].name);
		free(datum);
	}
}
