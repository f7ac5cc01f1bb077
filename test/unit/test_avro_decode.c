/*
 * test_avro_decode.c
 *		The Avro decoder, rule by rule: conversions, resolution, what is refused
 *		and in which words, and what hostile bytes come to.
 *
 * Each datum is decoded from a heap block of its exact length, so that a
 * sanitizer sees a read beyond its end.  test/lib/avro_differential.py compares
 * with another implementation; here stands what that one does not have.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/avro_resolve.h"
#include "core/number.h"
#include "core/utf8.h"
#include "unit.h"

#define MAX_FIELDS 8

/* A schema of one record with one field x, which ends its text. */
#define RECORD(type) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\",\"type\":" type "}]}"
#define LOGICAL(type, name) "{\"type\":\"" type "\",\"logicalType\":\"" name "\"}"

/* The outcome of one datum. */
typedef struct Outcome
{
	bool		parsed;
	bool		ok;
	char		shown[600];		/* values, or reason and message */
	FsAvroProblem problems[MAX_FIELDS];
	FsDecodeError error;
} Outcome;

static FsAvroSchema *
parse(const char *text)
{
	char		message[FS_AVRO_MESSAGE_SIZE];
	FsAvroSource source = {text, strlen(text)};
	FsAvroSchema *schema = fs_avro_schema_parse(&source, 1, message);

	if (schema == NULL)
		printf("# %s\n", message);
	return schema;
}

/* Shows the values: A absent, N null, else what they are; a space between two. */
static void
show(char *out, size_t size, const FsField *fields, const FsValue *values, int n)
{
	size_t		len = 0;

	out[0] = '\0';
	for (int i = 0; i < n; i++)
	{
		const FsValue *v = &values[i];

		if (i > 0)
			len += (size_t) snprintf(out + len, size - len, " ");
		if (v->presence != FS_PRESENT)
			len += (size_t) snprintf(out + len, size - len, "%s", v->presence == FS_NULL ? "N" : "A");
		else if (fields[i].type == FS_TYPE_UUID)
			len += (size_t) snprintf(out + len, size - len, "%02x..%02x", (unsigned char) v->data[0], (unsigned char) v->data[15]);
		else if (fs_type_is_bytes(fields[i].type))
			len += (size_t) snprintf(out + len, size - len, "%.*s", (int) v->len, v->data);
		else if (fs_type_is_float(fields[i].type))
			len += (size_t) snprintf(out + len, size - len, "%.9g", v->f);
		else
			len += (size_t) snprintf(out + len, size - len, "%" PRId64, v->i);
	}
}

/* Decodes one datum. */
static void
decode(Outcome *outcome, const char *writer_text, const char *reader_text,
	   const FsField *fields, int n, const char *datum, size_t len)
{
	FsAvroSchema *writer = parse(writer_text);
	FsAvroSchema *reader = reader_text != NULL ? parse(reader_text) : NULL;
	FsAvroDecoder *decoder = fs_avro_decoder_create();
	FsAvroProgram *program;
	FsValue		values[MAX_FIELDS];
	char	   *copy = malloc(len > 0 ? len : 1);
	bool		too_long;

	memset(outcome, 0, sizeof(*outcome));
	memcpy(copy, datum, len);
	program = writer == NULL ? NULL :
		fs_avro_program_create(writer, reader, fields, n, outcome->problems, &too_long);
	fs_avro_schema_free(writer);
	fs_avro_schema_free(reader);
	outcome->parsed = program != NULL;
	if (program != NULL)
		outcome->ok = fs_avro_decode(decoder, program, copy, len, values, &outcome->error);
	if (outcome->ok)
		show(outcome->shown, sizeof(outcome->shown), fields, values, n);
	else
		snprintf(outcome->shown, sizeof(outcome->shown), "%s: %s",
				 fs_reason_name(outcome->error.reason), outcome->error.message);
	free(copy);
	fs_avro_program_free(program);
	fs_avro_decoder_free(decoder);
}

/*
 * One field x of one type into one column.
 */
typedef struct Conversion
{
	const char *schema;
	FsType		type;
	FsTimeUnit	unit;
	const char *datum;
	int			len;
	const char *shown;			/* a value; or reason and sentence */
} Conversion;

#define D(bytes) bytes, sizeof(bytes) - 1

static const Conversion conversions[] = {
	{RECORD("\"boolean\""), FS_TYPE_BOOL, 0, D("\1"), "1"},
	{RECORD("\"boolean\""), FS_TYPE_BOOL, 0, D("\2"), "malformed: boolean is neither 0 nor 1 at byte 0 of 1"},
	{RECORD("\"boolean\""), FS_TYPE_JSONB, 0, D("\0"), "false"},
	{RECORD("\"int\""), FS_TYPE_INT2, 0, D("\xff\xff\x03"), "-32768"},
	{RECORD("\"int\""), FS_TYPE_INT2, 0, D("\x80\x80\x04"), "bad_value: field \"x\" has value 32768, out of range for smallint"},
	{RECORD("\"int\""), FS_TYPE_INT4, 0, D("\xff\xff\xff\xff\x0f"), "-2147483648"},
	{RECORD("\"int\""), FS_TYPE_INT4, 0, D("\x80\x80\x80\x80\x10"), "malformed: int has more than 32 bits at byte 0 of 5"},
	{RECORD("\"long\""), FS_TYPE_INT4, 0, D("\x80\x80\x80\x80\x10"), "bad_value: field \"x\" has value 2147483648, out of range for integer"},
	{RECORD("\"long\""), FS_TYPE_INT8, 0, D("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "-9223372036854775808"},
	{RECORD("\"long\""), FS_TYPE_INT8, 0, D("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), "malformed: number has more than 64 bits at byte 0 of 10"},
	{RECORD("\"long\""), FS_TYPE_INT8, 0, D("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), "malformed: number has more than 64 bits at byte 0 of 11"},
	{RECORD("\"long\""), FS_TYPE_INT8, 0, D("\x80"), "malformed: value runs beyond the end at byte 0 of 1"},
	{RECORD("\"long\""), FS_TYPE_INT8, 0, D("\x82\x00"), "1"},
	{RECORD("\"long\""), FS_TYPE_NUMERIC, 0, D("\x01"), "-1"},
	{RECORD("\"long\""), FS_TYPE_FLOAT8, 0, D("\x06"), "3"},
	{RECORD("\"float\""), FS_TYPE_FLOAT4, 0, D("\xcd\xcc\xcc\x3d"), "0.100000001"},
	{RECORD("\"float\""), FS_TYPE_NUMERIC, 0, D("\xcd\xcc\xcc\x3d"), "0.1"},
	{RECORD("\"float\""), FS_TYPE_JSONB, 0, D("\xcd\xcc\xcc\x3d"), "0.1"},
	{RECORD("\"float\""), FS_TYPE_FLOAT8, 0, D("\x00\x00\xc0\x7f"), "bad_value: field \"x\" has value NaN, which is no number"},
	{RECORD("\"float\""), FS_TYPE_JSONB, 0, D("\x00\x00\x80\xff"), "bad_value: field \"x\" has value -Infinity, which JSON cannot hold"},
	{RECORD("\"double\""), FS_TYPE_FLOAT8, 0, D("\x00\x00\x00\x00\x00\x00\xf8\x3f"), "1.5"},
	{RECORD("\"double\""), FS_TYPE_FLOAT4, 0, D("\x9c\x75\x00\x88\x3c\xe4\x37\x7e"), "bad_value: field \"x\" has value 1e+300, out of range for real"},
	{RECORD("\"double\""), FS_TYPE_TIMESTAMPTZ, FS_UNIT_S, D("\x3b\xdf\x07\x40\xfc\x54\xd9\x41"), "753315200123000"},
	{RECORD("\"double\""), FS_TYPE_FLOAT8, 0, D("\0\0\0"), "malformed: value runs beyond the end at byte 0 of 3"},
	{RECORD("\"string\""), FS_TYPE_TEXT, 0, D("\x06" "abc"), "abc"},
	{RECORD("\"string\""), FS_TYPE_TEXT, 0, D("\x08" "\xf0\x9f\x98\x80"), "\xf0\x9f\x98\x80"},
	{RECORD("\"string\""), FS_TYPE_TEXT, 0, D("\x00"), ""},
	{RECORD("\"string\""), FS_TYPE_TEXT, 0, D("\x08" "abc"), "malformed: length runs beyond the end at byte 0 of 4"},
	{RECORD("\"string\""), FS_TYPE_TEXT, 0, D("\x01" "abc"), "malformed: length runs beyond the end at byte 0 of 4"},
	{RECORD("\"string\""), FS_TYPE_TEXT, 0, D("\x06" "a\xff" "c"), "malformed: invalid UTF-8 at byte 2 of 4"},
	{RECORD("\"string\""), FS_TYPE_TEXT, 0, D("\x06" "a\0c"), "bad_value: field \"x\" has a character U+0000, which text cannot hold"},
	{RECORD("\"string\""), FS_TYPE_TEXT, 0, D("\x14" "abcdefgh\0j"), "bad_value: field \"x\" has a character U+0000, which text cannot hold"},
	{RECORD("\"string\""), FS_TYPE_TEXT, 0, D("\x06" "abcd"), "malformed: expected nothing after the record at byte 4 of 5"},
	{RECORD("\"string\""), FS_TYPE_JSONB, 0, D("\x06" "a\"b"), "\"a\\\"b\""},
	{RECORD("\"string\""), FS_TYPE_DATE, 0, D("\x14" "2000-01-02"), "1"},
	{RECORD("\"string\""), FS_TYPE_DATE, 0, D("\x14" "2000-02-30"), "bad_value: field \"x\" has value 2000-02-30, not a date as YYYY-MM-DD"},
	{RECORD("\"string\""), FS_TYPE_TIMESTAMPTZ, FS_UNIT_ISO8601, D("\x28" "2000-01-01T00:00:01Z"), "1000000"},
	{RECORD("\"string\""), FS_TYPE_UUID, 0, D("\x48" "00112233-4455-6677-8899-aabbccddeeff"), "00..ff"},
	{RECORD("\"string\""), FS_TYPE_UUID, 0, D("\x06" "abc"), "bad_value: field \"x\" has value abc, not a uuid"},
	{RECORD("\"bytes\""), FS_TYPE_TEXT, 0, D("\x04" "\xc3\xa9"), "\xc3\xa9"},
	{RECORD("\"bytes\""), FS_TYPE_TEXT, 0, D("\x02" "\xe9"), "bad_value: field \"x\" has bytes that are not UTF-8"},
	{RECORD("\"bytes\""), FS_TYPE_JSONB, 0, D("\x02" "\xe9"), "\"\xc3\xa9\""},
	{RECORD("\"bytes\""), FS_TYPE_JSONB, 0, D("\x02" "\x00"), "bad_value: field \"x\" has a zero byte, which JSON text cannot hold"},
	{RECORD("{\"type\":\"fixed\",\"name\":\"F\",\"size\":16}"), FS_TYPE_UUID, 0, D("0123456789abcdef"), "30..66"},
	{RECORD("{\"type\":\"fixed\",\"name\":\"F\",\"size\":3}"), FS_TYPE_TEXT, 0, D("abc"), "abc"},
	{RECORD("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}"), FS_TYPE_TEXT, 0, D("\2"), "B"},
	{RECORD("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}"), FS_TYPE_TEXT, 0, D("\4"), "malformed: enum has no symbol of this number at byte 0 of 1"},
	{RECORD("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}"), FS_TYPE_TEXT, 0, D("\1"), "malformed: enum has no symbol of this number at byte 0 of 1"},
	/* logical types */
	{RECORD(LOGICAL("long", "timestamp-millis")), FS_TYPE_TIMESTAMPTZ, FS_UNIT_ISO8601, D("\x02"), "-946684799999000"},
	{RECORD(LOGICAL("long", "timestamp-micros")), FS_TYPE_TIMESTAMPTZ, FS_UNIT_ISO8601, D("\x02"), "-946684799999999"},
	{RECORD(LOGICAL("long", "timestamp-nanos")), FS_TYPE_TIMESTAMPTZ, FS_UNIT_ISO8601, D("\x01"), "-946684800000001"},
	{RECORD(LOGICAL("long", "local-timestamp-micros")), FS_TYPE_TIMESTAMPTZ, FS_UNIT_ISO8601, D("\x02"), "-946684799999999"},
	{RECORD(LOGICAL("long", "timestamp-millis")), FS_TYPE_INT8, 0, D("\x02"), "1"},
	{RECORD(LOGICAL("long", "timestamp-millis")), FS_TYPE_JSONB, 0, D("\x01"), "\"1969-12-31T23:59:59.999Z\""},
	{RECORD(LOGICAL("long", "local-timestamp-micros")), FS_TYPE_JSONB, 0, D("\x02"), "\"1970-01-01T00:00:00.000001\""},
	{RECORD(LOGICAL("long", "timestamp-millis")), FS_TYPE_TIMESTAMPTZ, FS_UNIT_ISO8601, D("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
	 "bad_value: field \"x\" has value -9223372036854775808, out of range for timestamptz"},
	{RECORD("\"long\""), FS_TYPE_TIMESTAMPTZ, FS_UNIT_S, D("\x02"), "-946684799000000"},
	{RECORD("\"int\""), FS_TYPE_TIMESTAMPTZ, FS_UNIT_MS, D("\x02"), "-946684799999000"},
	{RECORD(LOGICAL("int", "date")), FS_TYPE_DATE, 0, D("\x9c\xab\x01"), "1"},
	{RECORD(LOGICAL("int", "date")), FS_TYPE_JSONB, 0, D("\x01"), "\"1969-12-31\""},
	{RECORD(LOGICAL("int", "date")), FS_TYPE_DATE, 0, D("\xff\xff\xff\xff\x0f"), "bad_value: field \"x\" has value -2147483648, out of range for date"},
	{RECORD(LOGICAL("int", "time-millis")), FS_TYPE_TEXT, 0, D("\x02"), "00:00:00.001"},
	{RECORD(LOGICAL("long", "time-micros")), FS_TYPE_TEXT, 0, D("\x01"), "bad_value: field \"x\" has value -1, out of range for text"},
	{RECORD(LOGICAL("string", "uuid")), FS_TYPE_TEXT, 0, D("\x02u"), "u"},
	{RECORD("{\"type\":\"fixed\",\"name\":\"F\",\"size\":12,\"logicalType\":\"duration\"}"), FS_TYPE_TEXT, 0,
	 D("\1\0\0\0\2\0\0\0\xbc\x0b\0\0"), "P1M2DT3.004S"},
	{RECORD("{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,\"scale\":2}"), FS_TYPE_NUMERIC, 0, D("\x04\xff\x38"), "-2.00"},
	{RECORD("{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,\"scale\":2}"), FS_TYPE_NUMERIC, 0, D("\x02\x07"), "0.07"},
	{RECORD("{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9}"), FS_TYPE_NUMERIC, 0, D("\x02\x80"), "-128"},
	{RECORD("{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9}"), FS_TYPE_NUMERIC, 0, D("\x00"), "0"},
	{RECORD("{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":38,\"scale\":5}"), FS_TYPE_JSONB, 0,
	 D("\x20\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "1701411834604692317316873037158841.05727"},
	/* unions, collections */
	{RECORD("[\"null\",\"string\"]"), FS_TYPE_TEXT, 0, D("\0"), "N"},
	{RECORD("[\"null\",\"string\"]"), FS_TYPE_TEXT, 0, D("\2\2a"), "a"},
	{RECORD("[\"null\",\"string\"]"), FS_TYPE_TEXT, 0, D("\4"), "malformed: union has no branch of this number at byte 0 of 1"},
	{RECORD("[\"null\",\"string\"]"), FS_TYPE_TEXT, 0, D("\1"), "malformed: union has no branch of this number at byte 0 of 1"},
	{RECORD("[\"null\",\"int\",\"long\"]"), FS_TYPE_INT8, 0, D("\4\2"), "1"},
	{RECORD("[\"null\",\"string\"]"), FS_TYPE_JSONB, 0, D("\0"), "N"},
	{RECORD("\"null\""), FS_TYPE_TEXT, 0, D(""), "N"},
	{RECORD("{\"type\":\"array\",\"items\":[\"null\",\"int\"]}"), FS_TYPE_JSONB, 0, D("\4\0\2\2\0"), "[null,1]"},
	{RECORD("{\"type\":\"array\",\"items\":\"int\"}"), FS_TYPE_TEXT, 0, D("\1\2\6\3\4\5\7\0"), "[3,-3,-4]"},
	{RECORD("{\"type\":\"array\",\"items\":\"int\"}"), FS_TYPE_TEXT, 0, D("\2\6\3\4\5\7\0"), "[3,-3,-4]"},
	{RECORD("{\"type\":\"array\",\"items\":\"int\"}"), FS_TYPE_JSONB, 0, D("\1\x7f\2\0"), "malformed: block runs beyond the end at byte 0 of 4"},
	{RECORD("{\"type\":\"map\",\"values\":\"int\"}"), FS_TYPE_JSONB, 0, D("\2\2a\4\0"), "{\"a\":2}"},
	{RECORD("{\"type\":\"record\",\"name\":\"S\",\"fields\":[]}"), FS_TYPE_JSONB, 0, D(""), "{}"},
	{RECORD("{\"type\":\"record\",\"name\":\"S\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"b\",\"type\":\"R\"}]}"),
	 FS_TYPE_JSONB, 0, D("\2"), "malformed: value runs beyond the end at byte 1 of 1"},
};

static void
test_conversions(void)
{
	Outcome		outcome;

	for (size_t i = 0; i < sizeof(conversions) / sizeof(conversions[0]); i++)
	{
		const Conversion *c = &conversions[i];
		FsField		field = {"x", 1, c->type, c->unit};

		decode(&outcome, c->schema, NULL, &field, 1, c->datum, (size_t) c->len);
		if (!CHECK_NAMED(outcome.parsed && strcmp(outcome.shown, c->shown) == 0, c->shown))
			printf("# %s: %s\n", c->schema, outcome.shown);
	}
}

/*
 * Paths: what columns find, and what the rest of a record costs nothing.
 */
static const char click[] =
"{\"type\":\"record\",\"name\":\"Click\",\"fields\":["
"{\"name\":\"ids\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"map\",\"values\":\"string\"}}},"
"{\"name\":\"user\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"User\",\"fields\":["
"{\"name\":\"id\",\"type\":\"string\"},{\"name\":\"boss\",\"type\":[\"null\",\"User\"]}]}]},"
"{\"name\":\"n\",\"type\":\"int\"}]}";

static void
test_paths(void)
{
	static const FsField fields[] = {
		{"user.id", 7, FS_TYPE_TEXT, 0}, {"user.boss.id", 12, FS_TYPE_TEXT, 0}, {"user", 4, FS_TYPE_JSONB, 0},
		{"n", 1, FS_TYPE_INT4, 0}, {"n", 1, FS_TYPE_TEXT, 0}, {"user.age", 8, FS_TYPE_INT4, 0}, {"n.x", 3, FS_TYPE_INT4, 0}
	};
	Outcome		outcome;

	decode(&outcome, click, NULL, fields, 4, D("\0\2\2a\2\2b\0\2"));
	CHECK(strcmp(outcome.shown, "a b {\"id\":\"a\",\"boss\":{\"id\":\"b\",\"boss\":null}} 1") == 0);
	decode(&outcome, click, NULL, fields, 4, D("\0\2\2a\0\2"));
	CHECK(strcmp(outcome.shown, "a N {\"id\":\"a\",\"boss\":null} 1") == 0);
	decode(&outcome, click, NULL, fields, 4, D("\0\0\2"));
	CHECK(strcmp(outcome.shown, "N N N 1") == 0);
	/* blocks that are skipped by items, and by their size */
	decode(&outcome, click, NULL, fields + 3, 1, D("\2\2\2k\2v\0\0\0\2"));
	CHECK(strcmp(outcome.shown, "1") == 0);
	decode(&outcome, click, NULL, fields + 3, 1, D("\1\x0c\2\2k\2v\0\0\0\2"));
	CHECK(strcmp(outcome.shown, "1") == 0);
	/* problems: a misfit, an unknown field, a path through what has no fields */
	decode(&outcome, click, NULL, fields, 7, D("\0\2\2a\0\2"));
	CHECK(outcome.problems[4].kind == FS_AVRO_MISFIT &&
		  strcmp(outcome.problems[4].detail, "The schema has it as int.") == 0 &&
		  strstr(outcome.problems[4].hint, "integer, bigint") != NULL);
	CHECK(outcome.problems[5].kind == FS_AVRO_UNKNOWN_FIELD &&
		  strcmp(outcome.problems[5].detail, "The schema's record \"User\" has no field \"age\".") == 0);
	CHECK(outcome.problems[6].kind == FS_AVRO_UNKNOWN_FIELD &&
		  strcmp(outcome.problems[6].detail, "The path ends at int, which has no fields.") == 0);
	CHECK(outcome.problems[0].kind == FS_AVRO_NO_PROBLEM && outcome.problems[3].kind == FS_AVRO_NO_PROBLEM);
	CHECK(strcmp(outcome.shown, "bad_value: field \"n\" is int, which the column does not take") == 0);
	decode(&outcome, "\"string\"", NULL, fields + 3, 1, D("\2a"));
	CHECK(outcome.problems[0].kind == FS_AVRO_UNKNOWN_FIELD && strcmp(outcome.shown, "A") == 0);
	decode(&outcome, RECORD("\"long\""), NULL, &(FsField) {"x", 1, FS_TYPE_TIMESTAMPTZ, FS_UNIT_ISO8601}, 1, D("\2"));
	CHECK(outcome.problems[0].kind == FS_AVRO_MISFIT && strstr(outcome.problems[0].hint, "(unit 's')") != NULL);
}

/* A reader's schema: what stands in no other implementation's way. */
static void
test_resolution(void)
{
	static const FsField x = {"x", 1, FS_TYPE_TEXT, 0};
	static const FsField j = {"x", 1, FS_TYPE_JSONB, 0};
	static const FsField t = {"x", 1, FS_TYPE_TIMESTAMPTZ, FS_UNIT_ISO8601};
	static const FsField f = {"x", 1, FS_TYPE_FLOAT8, 0};
	Outcome		outcome;

	/* the reader's default, over an encoding of its own; then the column's turn */
	decode(&outcome, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[]}",
		   "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\",\"type\":\"string\",\"default\":\"d\"}]}", &x, 1, D(""));
	CHECK(strcmp(outcome.shown, "d") == 0);
	decode(&outcome, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[]}", RECORD("\"string\""), &x, 1, D(""));
	CHECK(strcmp(outcome.shown, "A") == 0 && outcome.problems[0].kind == FS_AVRO_NO_PROBLEM);
	/* a record's default is filled up from the defaults of its fields */
	decode(&outcome, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[]}",
		   "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\",\"type\":{\"type\":\"record\",\"name\":\"S\",\"fields\":["
		   "{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"b\",\"type\":[\"null\",\"int\"],\"default\":null}]},\"default\":{\"a\":1}}]}", &j, 1, D(""));
	CHECK(strcmp(outcome.shown, "{\"a\":1,\"b\":null}") == 0);
	/* what the writer meant: milliseconds stay milliseconds */
	decode(&outcome, RECORD(LOGICAL("long", "timestamp-millis")), RECORD(LOGICAL("long", "timestamp-micros")), &t, 1, D("\2"));
	CHECK(strcmp(outcome.shown, "-946684799999000") == 0);
	/* the branch of the same type goes before one that is promoted to */
	decode(&outcome, RECORD("\"long\""), RECORD("[\"double\",\"long\"]"), &j, 1, D("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
	CHECK(strcmp(outcome.shown, "-9223372036854775808") == 0);
	decode(&outcome, RECORD("\"long\""), RECORD("\"float\""), &f, 1, D("\x82\x80\x80\x10"));
	CHECK(strcmp(outcome.shown, "16777216") == 0);
	/* a mismatch is met, or not */
	decode(&outcome, RECORD("[\"int\",\"string\"]"), RECORD("\"string\""), &x, 1, D("\2\2a"));
	CHECK(strcmp(outcome.shown, "a") == 0);
	decode(&outcome, RECORD("[\"int\",\"string\"]"), RECORD("\"string\""), &x, 1, D("\0\2"));
	CHECK(strcmp(outcome.shown, "bad_value: field \"x\" was written as int, which cannot be read as string") == 0);
	decode(&outcome, RECORD("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}"),
		   RECORD("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]}"), &x, 1, D("\2"));
	CHECK(strcmp(outcome.shown, "bad_value: field \"x\" has symbol number 1, which the reader's enum does not have and has no default for") == 0);
	/* what is wrong later is malformed, whatever did not fit before */
	decode(&outcome, RECORD("[\"int\",\"string\"]"), RECORD("\"string\""), &x, 1, D("\0\2\2"));
	CHECK(outcome.error.reason == FS_REASON_MALFORMED);
}

/* Bytes that would keep a careless reader busy, or deep. */
static void
test_hostile(void)
{
	static const FsField j = {"x", 1, FS_TYPE_JSONB, 0};
	static const FsField y = {"y", 1, FS_TYPE_INT4, 0};
	static const char nulls[] = "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\",\"type\":{\"type\":\"array\",\"items\":\"null\"}},"
		"{\"name\":\"y\",\"type\":\"int\"}]}";
	static const char tree[] = RECORD("[\"null\",\"R\"]");
	char		deep[200];
	Outcome		outcome;

	decode(&outcome, nulls, NULL, &j, 1, D("\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\0\2"));
	CHECK(strstr(outcome.shown, "malformed: too many items that take no bytes") == outcome.shown);
	decode(&outcome, nulls, NULL, &y, 1, D("\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\0\2"));
	CHECK(strstr(outcome.shown, "malformed: too many items that take no bytes") == outcome.shown);
	/* the least number there is: its magnitude has no sign */
	decode(&outcome, nulls, NULL, &y, 1, D("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\0\0\2"));
	CHECK(strcmp(outcome.shown, "1") == 0);
	memset(deep, 2, sizeof(deep));
	deep[60] = 0;
	decode(&outcome, tree, NULL, &j, 1, deep, 61);
	CHECK(outcome.ok);
	decode(&outcome, tree, NULL, &j, 1, deep + 61, 139);
	CHECK(strstr(outcome.shown, "malformed: nested deeper than 64 levels") == outcome.shown);
	decode(&outcome, "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\",\"type\":\"R\"}]}", NULL, &j, 1, D(""));
	CHECK(strstr(outcome.shown, "malformed: nested deeper than 64 levels") == outcome.shown);
}

/* Every beginning of a record is malformed, and says so within its bytes. */
static void
test_truncation(void)
{
	static const FsField fields[] = {{"ids", 3, FS_TYPE_JSONB, 0}, {"user.id", 7, FS_TYPE_TEXT, 0}, {"n", 1, FS_TYPE_INT4, 0}};
	static const char datum[] = "\2\2\2k\2v\0\0\2\2a\2\2b\0\x80\1";
	Outcome		outcome;
	bool		ok = true;

	decode(&outcome, click, NULL, fields, 3, datum, sizeof(datum) - 1);
	CHECK(strcmp(outcome.shown, "[{\"k\":\"v\"}] a 64") == 0);
	for (size_t len = 0; len < sizeof(datum) - 1; len++)
	{
		decode(&outcome, click, NULL, fields, 3, datum, len);
		ok &= outcome.error.reason == FS_REASON_MALFORMED && outcome.error.position <= len && outcome.error.field == -1;
	}
	CHECK(ok);
}

int
main(void)
{
	test_conversions();
	test_paths();
	test_resolution();
	test_hostile();
	test_truncation();
	return unit_finish();
}
