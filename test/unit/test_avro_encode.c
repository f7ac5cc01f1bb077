/*
 * test_avro_encode.c
 *		Avro records made of columns: what each type is written as, which branch of a
 *		union it is, what fills fields, and what is refused in which words.
 *
 * test/lib/avro_differential.py has another implementation read what is written.
 */
#include <stdlib.h>
#include <string.h>

#include "core/avro_encode.h"
#include "core/avro_resolve.h"
#include "core/avro_text.h"
#include "core/number.h"
#include "draw.h"
#include "unit.h"

#define MAX_FIELDS 8

/* A schema of one record with one field x. */
#define RECORD(type) "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\",\"type\":" type "}]}"
#define LOGICAL(type, name) "{\"type\":\"" type "\",\"logicalType\":\"" name "\"}"
#define DECIMAL(precision, scale) "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":" precision ",\"scale\":" scale "}"
#define FIXED(size) "{\"type\":\"fixed\",\"name\":\"F\",\"size\":" size "}"

static FsAvroSchema *
parse(const char *text)
{
	char		message[FS_AVRO_MESSAGE_SIZE];
	FsAvroSource source = {text, strlen(text)};
	FsAvroSchema *schema = text == NULL ? NULL : fs_avro_schema_parse(&source, 1, message);

	if (schema == NULL)
		printf("# %s\n", message);
	return schema;
}

/* A value of a type from text; NULL is null. */
static FsValue
value_of(FsType type, const char *text)
{
	FsValue		value = {.presence = text == NULL ? FS_NULL : FS_PRESENT};

	if (text == NULL)
		return value;
	if (fs_type_is_bytes(type))
	{
		value.data = text;
		value.len = (uint32_t) (type == FS_TYPE_UUID ? 16 : strlen(text));
	}
	else if (fs_type_is_float(type))
		value.f = strtod(text, NULL);
	else
		value.i = strtoll(text, NULL, 10);
	return value;
}

/* Encodes one record; hex, or the trouble's number and message. */
static void
encode(char *shown, size_t size, const char *writer, const char *reader, const FsField *fields, int n, const char *const *texts)
{
	FsAvroSchema *w = parse(writer);
	FsAvroSchema *r = reader == NULL ? NULL : parse(reader);
	FsAvroEncodeError error;
	FsAvroEncoder *encoder = fs_avro_encoder_create(w, r, fields, n, &error);
	FsValue		values[MAX_FIELDS];
	FsBuffer	out = {0};

	for (int i = 0; i < n; i++)
		values[i] = value_of(fields[i].type, texts[i]);
	shown[0] = '\0';
	if (encoder == NULL || !fs_avro_encode(encoder, values, &out, &error))
		snprintf(shown, size, "%d %s", (int) error.trouble, error.message);
	for (size_t i = 0; shown[0] == '\0' ? true : i > 0; i++)
	{
		if (i == out.len || 2 * i + 3 > size)
			break;
		snprintf(shown + 2 * i, size - 2 * i, "%02x", (unsigned char) out.data[i]);
	}
	fs_buffer_free(&out);
	fs_avro_encoder_free(encoder);
	fs_avro_schema_free(w);
	fs_avro_schema_free(r);
}

typedef struct Case
{
	const char *type;			/* of field x */
	FsType		column;
	FsTimeUnit	unit;
	const char *value;
	const char *expected;
} Case;


static const Case cases[] = {
	/* numbers */
	{"\"int\"", FS_TYPE_INT4, FS_UNIT_NONE, "-1", "01"},
	{"\"int\"", FS_TYPE_INT8, FS_UNIT_NONE, "2147483648", "4 field \"x\" is int, which does not hold 2147483648"},
	{"\"long\"", FS_TYPE_INT8, FS_UNIT_NONE, "-9223372036854775808", "ffffffffffffffffff01"},
	{"\"long\"", FS_TYPE_FLOAT8, FS_UNIT_NONE, "3", "06"},
	{"\"long\"", FS_TYPE_FLOAT8, FS_UNIT_NONE, "3.5", "4 field \"x\" is long, which does not hold 3.5"},
	{"\"long\"", FS_TYPE_FLOAT8, FS_UNIT_NONE, "9223372036854775808", "4 field \"x\" is long, which does not hold 9.2233720368547758e+18"},
	{"\"long\"", FS_TYPE_NUMERIC, FS_UNIT_NONE, "12.00", "18"},
	{"\"long\"", FS_TYPE_NUMERIC, FS_UNIT_NONE, "NaN", "4 field \"x\" is long, which does not hold NaN"},
	{"\"double\"", FS_TYPE_FLOAT8, FS_UNIT_NONE, "1.5", "000000000000f83f"},
	{"\"double\"", FS_TYPE_FLOAT8, FS_UNIT_NONE, "nan", "4 field \"x\" is double, which does not hold nan"},
	{"\"double\"", FS_TYPE_NUMERIC, FS_UNIT_NONE, "1.5", "000000000000f83f"},
	{"\"double\"", FS_TYPE_NUMERIC, FS_UNIT_NONE, "1e400", "4 field \"x\" is double, which does not hold 1e400"},
	{"\"double\"", FS_TYPE_INT8, FS_UNIT_NONE, "1", "3 field \"x\" is double, which is not written from such a column"},
	{"\"float\"", FS_TYPE_FLOAT4, FS_UNIT_NONE, "1.5", "0000c03f"},
	{"\"float\"", FS_TYPE_FLOAT8, FS_UNIT_NONE, "0.1", "cdcccc3d"},
	{"\"float\"", FS_TYPE_FLOAT8, FS_UNIT_NONE, "1e300", "4 field \"x\" is float, which does not hold 1.0000000000000001e+300"},
	{"\"float\"", FS_TYPE_FLOAT8, FS_UNIT_NONE, "1e-300", "4 field \"x\" is float, which does not hold 1e-300"},
	{"\"boolean\"", FS_TYPE_BOOL, FS_UNIT_NONE, "1", "01"},
	/* decimals */
	{DECIMAL("9", "2"), FS_TYPE_NUMERIC, FS_UNIT_NONE, "1.23", "027b"},
	{DECIMAL("9", "2"), FS_TYPE_NUMERIC, FS_UNIT_NONE, "-1.28", "0280"},
	{DECIMAL("9", "2"), FS_TYPE_NUMERIC, FS_UNIT_NONE, "1.28", "040080"},
	{DECIMAL("9", "2"), FS_TYPE_NUMERIC, FS_UNIT_NONE, "-1.29", "04ff7f"},
	{DECIMAL("9", "2"), FS_TYPE_NUMERIC, FS_UNIT_NONE, "0", "0200"},
	{DECIMAL("9", "2"), FS_TYPE_NUMERIC, FS_UNIT_NONE, "-0.000", "0200"},
	{DECIMAL("9", "2"), FS_TYPE_NUMERIC, FS_UNIT_NONE, "1e2", "042710"},
	{DECIMAL("9", "2"), FS_TYPE_NUMERIC, FS_UNIT_NONE, "12300e-4", "027b"},
	{DECIMAL("9", "2"), FS_TYPE_NUMERIC, FS_UNIT_NONE, "1.2300", "027b"},
	{DECIMAL("9", "2"), FS_TYPE_NUMERIC, FS_UNIT_NONE, "1.234", "4 field \"x\" is bytes (decimal), which does not hold 1.234"},
	{DECIMAL("9", "2"), FS_TYPE_NUMERIC, FS_UNIT_NONE, "9999999.99", "083b9ac9ff"},
	{DECIMAL("9", "2"), FS_TYPE_NUMERIC, FS_UNIT_NONE, "10000000", "4 field \"x\" is bytes (decimal), which does not hold 10000000"},
	{DECIMAL("9", "2"), FS_TYPE_NUMERIC, FS_UNIT_NONE, "1e999999999999", "4 field \"x\" is bytes (decimal), which does not hold 1e999999999999"},
	{DECIMAL("9", "2"), FS_TYPE_NUMERIC, FS_UNIT_NONE, "Infinity", "4 field \"x\" is bytes (decimal), which does not hold Infinity"},
	{"{\"type\":\"fixed\",\"name\":\"F\",\"size\":2,\"logicalType\":\"decimal\",\"precision\":4,\"scale\":1}", FS_TYPE_NUMERIC, FS_UNIT_NONE, "-0.1", "ffff"},
	{"{\"type\":\"fixed\",\"name\":\"F\",\"size\":2,\"logicalType\":\"decimal\",\"precision\":4,\"scale\":1}", FS_TYPE_NUMERIC, FS_UNIT_NONE, "1", "000a"},
	/* characters */
	{"\"string\"", FS_TYPE_TEXT, FS_UNIT_NONE, "\xc3\xa9", "04c3a9"},
	{"\"string\"", FS_TYPE_TEXT, FS_UNIT_NONE, "", "00"},
	{"\"bytes\"", FS_TYPE_TEXT, FS_UNIT_NONE, "ab", "046162"},
	{FIXED("2"), FS_TYPE_TEXT, FS_UNIT_NONE, "ab", "6162"},
	{FIXED("2"), FS_TYPE_TEXT, FS_UNIT_NONE, "abc", "4 field \"x\" is fixed \"F\", which does not hold abc"},
	{FIXED("16"), FS_TYPE_UUID, FS_UNIT_NONE, "0123456789abcdef", "30313233343536373839616263646566"},
	{"\"string\"", FS_TYPE_UUID, FS_UNIT_NONE, "0123456789abcdef", "48" "33303331333233332d333433352d333633372d333833392d363136323633363436353636"},
	{LOGICAL("string", "uuid"), FS_TYPE_TEXT, FS_UNIT_NONE, "no uuid", "4 field \"x\" is string (uuid), which does not hold no uuid"},
	{"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}", FS_TYPE_TEXT, FS_UNIT_NONE, "B", "02"},
	{"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"],\"default\":\"A\"}", FS_TYPE_TEXT, FS_UNIT_NONE, "C", "4 field \"x\" is enum \"E\", which does not hold C"},
	{"{\"type\":\"fixed\",\"name\":\"D\",\"size\":12,\"logicalType\":\"duration\"}", FS_TYPE_TEXT, FS_UNIT_NONE, "P1M2DT3.004S", "0100000002000000bc0b0000"},
	{"{\"type\":\"fixed\",\"name\":\"D\",\"size\":12,\"logicalType\":\"duration\"}", FS_TYPE_TEXT, FS_UNIT_NONE, "P1M2DT3S", "4 field \"x\" is fixed \"D\" (duration), which does not hold P1M2DT3S"},
	/* times: 2000-01-01 is 946684800 seconds */
	{LOGICAL("int", "date"), FS_TYPE_DATE, FS_UNIT_NONE, "-10957", "00"},
	{LOGICAL("int", "date"), FS_TYPE_DATE, FS_UNIT_NONE, "2147483647", "4 field \"x\" is int (date), which does not hold the value"},
	{"\"string\"", FS_TYPE_DATE, FS_UNIT_NONE, "0", "14323030302d30312d3031"},
	{"\"string\"", FS_TYPE_DATE, FS_UNIT_NONE, "4000000", "4 field \"x\" is string, which does not hold the value"},
	{LOGICAL("long", "timestamp-millis"), FS_TYPE_TIMESTAMPTZ, FS_UNIT_NONE, "-946684800000001", "01"},
	{LOGICAL("long", "timestamp-micros"), FS_TYPE_TIMESTAMPTZ, FS_UNIT_NONE, "-946684800000001", "01"},
	{LOGICAL("long", "timestamp-nanos"), FS_TYPE_TIMESTAMPTZ, FS_UNIT_NONE, "-946684799999999", "d00f"},
	{LOGICAL("long", "timestamp-nanos"), FS_TYPE_TIMESTAMPTZ, FS_UNIT_NONE, "9000000000000000", "4 field \"x\" is long (timestamp-nanos), which does not hold the value"},
	{LOGICAL("long", "local-timestamp-millis"), FS_TYPE_TIMESTAMPTZ, FS_UNIT_NONE, "-946684799998001", "02"},
	{LOGICAL("long", "timestamp-millis"), FS_TYPE_TIMESTAMPTZ, FS_UNIT_NONE, "9223372036854775807", "4 field \"x\" is long (timestamp-millis), which does not hold the value"},
	{LOGICAL("long", "timestamp-millis"), FS_TYPE_TIMESTAMPTZ, FS_UNIT_NONE, "-9223372036854775808", "4 field \"x\" is long (timestamp-millis), which does not hold the value"},
	{"\"long\"", FS_TYPE_TIMESTAMPTZ, FS_UNIT_S, "-946684798000001", "02"},
	{"\"int\"", FS_TYPE_TIMESTAMPTZ, FS_UNIT_S, "0", "808eea8607"},
	{"\"int\"", FS_TYPE_TIMESTAMPTZ, FS_UNIT_MS, "0", "4 field \"x\" is int, which does not hold the value"},
	{"\"double\"", FS_TYPE_TIMESTAMPTZ, FS_UNIT_S, "-946684799500000", "000000000000e03f"},
	{"\"long\"", FS_TYPE_TIMESTAMPTZ, FS_UNIT_NONE, "0", "3 field \"x\" is long, which is not written from such a column"},
	{"\"string\"", FS_TYPE_TIMESTAMPTZ, FS_UNIT_NONE, "1", "36323030302d30312d30315430303a30303a30302e3030303030315a"},
	{LOGICAL("int", "time-millis"), FS_TYPE_TEXT, FS_UNIT_NONE, "00:00:00.0019", "02"},
	{LOGICAL("long", "time-micros"), FS_TYPE_TEXT, FS_UNIT_NONE, "00:00:00.001", "d00f"},
	{LOGICAL("int", "time-millis"), FS_TYPE_TEXT, FS_UNIT_NONE, "24:00:00", "4 field \"x\" is int (time-millis), which does not hold 24:00:00"},
	/* null, and branches of unions */
	{"\"string\"", FS_TYPE_TEXT, FS_UNIT_NONE, NULL, "2 field \"x\" is string, which is never null"},
	{"[\"string\",\"null\"]", FS_TYPE_TEXT, FS_UNIT_NONE, NULL, "02"},
	{"\"null\"", FS_TYPE_TEXT, FS_UNIT_NONE, NULL, ""},
	{"\"null\"", FS_TYPE_TEXT, FS_UNIT_NONE, "a", "3 field \"x\" is null, which is not written from such a column"},
	{"[\"null\",\"int\"]", FS_TYPE_INT8, FS_UNIT_NONE, "2147483648", "4 field \"x\" is int, which does not hold 2147483648"},
	{"[\"int\",\"long\"]", FS_TYPE_INT8, FS_UNIT_NONE, "2147483648", "028080808010"},
	{"[\"null\",\"float\",\"double\"]", FS_TYPE_FLOAT8, FS_UNIT_NONE, "0.5", "020000003f"},
	{"[\"null\",\"float\",\"double\"]", FS_TYPE_FLOAT8, FS_UNIT_NONE, "0.1", "049a9999999999b93f"},
	{"[\"float\",\"string\"]", FS_TYPE_FLOAT8, FS_UNIT_NONE, "0.1", "00cdcccc3d"},
	{"[\"double\"," DECIMAL("30", "20") "]", FS_TYPE_NUMERIC, FS_UNIT_NONE, "0.12345678901234567890", "0212" "00ab54a98ceb1f0ad2"},
	{"[{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\"]},\"string\"]", FS_TYPE_TEXT, FS_UNIT_NONE, "B", "020242"},
	{"[" LOGICAL("int", "time-millis") ",\"string\"]", FS_TYPE_TEXT, FS_UNIT_NONE, "10:00", "020a31303a3030"},
	{"[\"int\",\"boolean\"]", FS_TYPE_TEXT, FS_UNIT_NONE, "a", "4 field \"x\" is union, which does not hold the value"},
	/* JSON */
	{"{\"type\":\"map\",\"values\":\"int\"}", FS_TYPE_JSONB, FS_UNIT_NONE, "{\"a\":1,\"b\":-1}", "0402610202620100"},
	{"{\"type\":\"map\",\"values\":\"int\"}", FS_TYPE_TEXT, FS_UNIT_NONE, "{}", "00"},
	{"{\"type\":\"map\",\"values\":\"int\"}", FS_TYPE_TEXT, FS_UNIT_NONE, "[}", "4 field \"x\" is not JSON: expected a value"},
	{"{\"type\":\"array\",\"items\":[\"null\",\"string\"]}", FS_TYPE_JSONB, FS_UNIT_NONE, "[null,\"a\"]", "04000202" "6100"},
	{"\"int\"", FS_TYPE_JSONB, FS_UNIT_NONE, "\"1\"", "4 field \"x\" has int, which does not hold this string 1"},
	{"\"bytes\"", FS_TYPE_JSONB, FS_UNIT_NONE, "\"a\xc3\xa9\xc2\x80\"", "0661e980"},
	{"\"bytes\"", FS_TYPE_JSONB, FS_UNIT_NONE, "\"\xe2\x82\xac\"", "4 field \"x\" has bytes, which does not hold this string \xe2\x82\xac"},
	{"\"boolean\"", FS_TYPE_JSONB, FS_UNIT_NONE, "true", "01"},
	{"[\"null\",\"string\"]", FS_TYPE_JSONB, FS_UNIT_NONE, "null", "00"},
	{DECIMAL("9", "2"), FS_TYPE_JSONB, FS_UNIT_NONE, "1.23", "027b"},
	{LOGICAL("int", "date"), FS_TYPE_JSONB, FS_UNIT_NONE, "\"1970-01-02\"", "02"},
	{LOGICAL("long", "timestamp-millis"), FS_TYPE_JSONB, FS_UNIT_NONE, "\"1970-01-01T00:00:00.001Z\"", "02"},
	{"[" LOGICAL("long", "timestamp-millis") ",\"string\"]", FS_TYPE_JSONB, FS_UNIT_NONE, "\"1970-01-01T00:00:00.001Z\"", "0002"},
	{"[" LOGICAL("long", "timestamp-millis") ",\"string\"]", FS_TYPE_JSONB, FS_UNIT_NONE, "\"1970-01-01\"", "0214313937302d30312d3031"},
	{"{\"type\":\"record\",\"name\":\"S\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"b\",\"type\":\"string\",\"default\":\"z\"}]}",
	FS_TYPE_JSONB, FS_UNIT_NONE, "{\"a\":1}", "02027a"},
	{"{\"type\":\"record\",\"name\":\"S\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"}]}", FS_TYPE_JSONB, FS_UNIT_NONE, "{\"a\":1,\"c\":2}",
	"4 field \"x\" has an object with a member that record \"S\" does not have, or that is there twice"},
	{"{\"type\":\"record\",\"name\":\"S\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"}]}", FS_TYPE_JSONB, FS_UNIT_NONE, "{}",
	"1 field \"a\" has no value, no default, and is never null"},
	{"[{\"type\":\"record\",\"name\":\"S\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"},{\"name\":\"b\",\"type\":\"int\",\"default\":0}]},{\"type\":\"map\",\"values\":\"int\"}]",
	FS_TYPE_JSONB, FS_UNIT_NONE, "{\"a\":1}", "020202610200"},
};

static void
test_types(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		FsField		field = {"x", 1, cases[i].column, cases[i].unit};
		char		schema[600];
		char		shown[600];

		snprintf(schema, sizeof(schema), "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\",\"type\":%s}]}", cases[i].type);
		encode(shown, sizeof(shown), schema, NULL, &field, 1, &cases[i].value);
		if (!CHECK_NAMED(strcmp(shown, cases[i].expected) == 0, cases[i].type))
			printf("# %s: %s, not %s\n", cases[i].value, shown, cases[i].expected);
	}
}

typedef struct Path
{
	const char *writer;
	const char *reader;
	FsField		fields[4];
	const char *values[4];
	const char *expected;
} Path;

#define FIELD(name, type) {name, sizeof(name) - 1, FS_TYPE_ ## type, FS_UNIT_NONE}
#define NULLABLE "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"r\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"S\",\"fields\":[" \
	"{\"name\":\"a\",\"type\":[\"null\",\"int\"]},{\"name\":\"b\",\"type\":\"string\",\"default\":\"d\"},{\"name\":\"c\",\"type\":[\"int\",\"null\"]}]}]}]}"
#define TWO "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"r\",\"type\":[{\"type\":\"record\",\"name\":\"S\",\"fields\":[{\"name\":\"a\",\"type\":[\"null\",\"int\"]}]}," \
	"{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"a\",\"type\":[\"null\",\"int\"]},{\"name\":\"b\",\"type\":[\"null\",\"int\"]}]}]}]}"

static const Path paths[] = {
	{NULLABLE, NULL, {FIELD("r.a", INT4)}, {"1"}, "0202020264" "02"},
	{NULLABLE, NULL, {FIELD("r.a", INT4)}, {NULL}, "00"},
	{NULLABLE, NULL, {FIELD("r.a", INT4), FIELD("r.b", TEXT)}, {NULL, "x"}, "02000278" "02"},
	{NULLABLE, NULL, {FIELD("other", INT4)}, {"1"}, "00"},
	{NULLABLE, NULL, {FIELD("r.a.z", INT4)}, {NULL}, "00"},
	{NULLABLE, NULL, {FIELD("r", JSONB)}, {"{\"a\":1,\"b\":\"x\",\"c\":null}"}, "0202020278" "02"},
	{NULLABLE, NULL, {FIELD("r", JSONB), FIELD("r.a", INT4)}, {NULL, "1"}, "3 field \"r\" is read by several columns, or in parts"},
	{NULLABLE, NULL, {FIELD("r.a", INT4), FIELD("r.a", INT8)}, {NULL, "1"}, "3 field \"r.a\" is read by several columns, or in parts"},
	{TWO, NULL, {FIELD("r.a", INT4), FIELD("r.b", INT4)}, {"1", NULL}, "000202"},
	{TWO, NULL, {FIELD("r.a", INT4), FIELD("r.b", INT4)}, {NULL, "1"}, "02000202"},
	{RECORD("\"int\""), NULL, {FIELD("y", INT4)}, {"1"}, "1 field \"x\" has no value, no default, and is never null"},
	{"\"int\"", NULL, {FIELD("y", INT4)}, {"1"}, "3 the schema is int, which has no fields"},
	{"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"r\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"S\",\"fields\":[]}]}]}", NULL, {FIELD("r.new", INT4)}, {"1"}, "02"},
	/* by way of a reader's schema */
	{RECORD("\"int\""), "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"y\",\"aliases\":[\"x\"],\"type\":[\"null\",\"double\"]}]}", {FIELD("y", FLOAT8)}, {"1"}, "02"},
	{RECORD("\"int\""), "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"x\",\"type\":\"string\"}]}", {FIELD("x", TEXT)}, {"1"},
	"3 field \"x\" is int, which is not written from such a column"},
	{RECORD("\"int\""), "{\"type\":\"record\",\"name\":\"Q\",\"fields\":[]}", {FIELD("x", TEXT)}, {"1"},
	"3 the schema is record \"R\", which the reader's schema does not read"},
	{RECORD("\"long\""), RECORD(LOGICAL("long", "timestamp-millis")), {FIELD("x", TIMESTAMPTZ)}, {"-946684799999000"}, "02"},
	{RECORD("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}"), RECORD("{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"B\"],\"default\":\"B\"}"), {FIELD("x", TEXT)}, {"A"},
	"4 field \"x\" is enum \"E\", which does not hold A"},
	{RECORD("{\"type\":\"record\",\"name\":\"S\",\"fields\":[{\"name\":\"a\",\"type\":\"int\"}]}"),
	RECORD("{\"type\":\"record\",\"name\":\"S\",\"fields\":[{\"name\":\"z\",\"aliases\":[\"a\"],\"type\":\"long\"}]}"), {FIELD("x", JSONB)}, {"{\"z\":3}"}, "06"},
};

static void
test_paths(void)
{
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
	{
		char		shown[600];
		int			n = 0;

		while (n < 4 && paths[i].fields[n].name != NULL)
			n++;
		encode(shown, sizeof(shown), paths[i].writer, paths[i].reader, paths[i].fields, n, paths[i].values);
		if (!CHECK_NAMED(strcmp(shown, paths[i].expected) == 0, paths[i].fields[0].name))
			printf("# case %zu: %s, not %s\n", i, shown, paths[i].expected);
	}
}

/* Decimals of any length are what they were. */
static void
test_decimals(void)
{
	bool		ok = true;

	for (int i = 0; i < 20000; i++)
	{
		char		text[1100];
		char		bytes[FS_AVRO_DECIMAL_BYTES];
		char		again[FS_AVRO_DECIMAL_TEXT];
		int			digits = 1 + (int) (draw() % (i % 100 == 0 ? 1000 : 40));
		int			scale = (int) (draw() % (unsigned) (digits + 1));
		int			len = 0;
		size_t		size;

		if (draw() % 2)
			text[len++] = '-';
		for (int d = 0; d < digits; d++)
		{
			if (d == digits - scale)
			{
				if (d == 0)
					text[len++] = '0';
				text[len++] = '.';
			}
			text[len++] = (char) ('0' + (d == 0 && scale < digits ? 1 + draw() % 9 : draw() % 10));
		}
		size = fs_avro_read_decimal(bytes, text, (size_t) len, digits, scale);
		ok &= size > 0;
		if (size > 0)
		{
			size_t		n = fs_avro_write_decimal(again, bytes, size, scale);
			bool		is_zero = strspn(text, "-0.") >= (size_t) len || again[0] == '0';

			ok &= is_zero || (n == (size_t) len && memcmp(again, text, n) == 0);
		}
		if (!ok)
		{
			printf("# %.*s\n", len, text);
			break;
		}
	}
	CHECK_NAMED(ok, "decimals of up to 1,000 digits");
}

/* Unions within unions, of which only the innermost tells that all was wrong: it comes to an end. */
static void
test_attempts(void)
{
	static const char schema[] = RECORD("[\"null\",{\"type\":\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"n\",\"type\":[\"null\",\"A\","
										"{\"type\":\"record\",\"name\":\"B\",\"fields\":[{\"name\":\"n\",\"type\":[\"null\",\"A\",\"B\"]},{\"name\":\"k\",\"type\":\"string\"}]}]},"
										"{\"name\":\"k\",\"type\":\"string\"}]}]");
	FsField		field = {"x", 1, FS_TYPE_JSONB, FS_UNIT_NONE};
	const char *value;
	char		text[1500] = "";
	char		shown[600];

	for (int i = 0; i < 55; i++)
		strcat(text, "{\"k\":\"v\",\"n\":");
	strcat(text, "{\"k\":1,\"n\":null}");
	for (int i = 0; i < 55; i++)
		strcat(text, "}");
	value = text;
	encode(shown, sizeof(shown), schema, NULL, &field, 1, &value);
	CHECK(strcmp(shown, "4 field \"x\" takes too many attempts to be written") == 0);
}

int
main(void)
{
	test_types();
	test_paths();
	test_decimals();
	test_attempts();
	return unit_finish();
}
