/*
 * test_decode.c
 *		The JSON decoder, rule by rule: grammar, coercions, messages, memory.
 *
 * Each record is decoded from a heap block of its exact length, so that a
 * sanitizer sees a read beyond its end.  Build with all of src/core's
 * decode_json, json_decoder, json_nested, json_scan, json_column, array_value, buffer, scratch, number, time_text, utf8, reason.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/decode.h"
#include "core/number.h"
#include "core/time_text.h"
#include "core/utf8.h"
#include "unit.h"

#define US INT64_C(1000000)

/* Decodes a copy of the record for one or more fields; the copy is *copy. */
static bool
decode_copy(FsJsonDecoder *decoder, const char *record, size_t len,
			FsValue *values, FsDecodeError *error, char **copy)
{
	*copy = malloc(len > 0 ? len : 1);
	memcpy(*copy, record, len);
	memset(error, 0, sizeof(*error));
	return fs_json_decode(decoder, *copy, len, values, error);
}

/* Every message is a short, valid C string. */
static void
check_message(const FsDecodeError *error, const char *name)
{
	size_t		len = strnlen(error->message, FS_DECODE_MESSAGE_SIZE);

	CHECK_NAMED(len > 0 && len < FS_DECODE_MESSAGE_SIZE - 1 &&
				fs_utf8_valid_length(error->message, len) == len, name);
}

/*
 * Records that are refused as malformed, or accepted, whatever the fields.
 */
typedef struct GrammarCase
{
	const char *record;
	int			len;			/* 0: strlen */
	long		position;		/* of the error; -1: well-formed */
} GrammarCase;

static const GrammarCase grammar_cases[] = {
	{"{}", 0, -1}, {" \t\r\n{ \n} \r\n", 0, -1},
	{"{\"a\":1}", 0, -1}, {"{\"a\" : 1 , \"b\":2}", 0, -1},
	{"{\"x\":[]}", 0, -1}, {"{\"x\":{}}", 0, -1},
	{"{\"x\":[1,[2,{\"y\":[ ]}],\"z\"]}", 0, -1},
	{"{\"x\":{\"y\":{\"z\":null}, \"w\":true}}", 0, -1},
	{"{\"x\":[[],{},[{}]]}", 0, -1},
	{"{\"x\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"}", 0, -1},
	{"{\"x\":\"\\u0000\"}", 0, -1}, {"{\"x\":\"\\ud800\"}", 0, -1},
	{"{\"x\":\"\\udc00\\ud800\"}", 0, -1}, {"{\"\\u0000\":1}", 0, -1},
	{"{\"\\udead\":1}", 0, -1}, {"{\"\":1}", 0, -1},
	{"{\"x\":\"\x7f\"}", 0, -1},
	{"{\"x\":-0}", 0, -1}, {"{\"x\":-0.0e-0}", 0, -1},
	{"{\"x\":1E+2}", 0, -1}, {"{\"x\":1e999999999999999999999}", 0, -1},
	{"{\"x\":0.10}", 0, -1}, {"{\"x\":0e5}", 0, -1},
	{"{\"x\":\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"}", 0, -1},
	{"{\"\xc3\xa9\":1}", 0, -1},
	{"", 0, 0}, {" ", 0, 1}, {"\n\n", 0, 2},
	{"null", 0, 0}, {"1", 0, 0}, {"\"a\"", 0, 0}, {"[]", 0, 0}, {"true", 0, 0},
	{"\xef\xbb\xbf{}", 0, 0},
	{"{", 0, 1}, {"{\"a", 0, 3}, {"{\"a\"", 0, 4}, {"{\"a\":", 0, 5},
	{"{\"a\":1", 0, 6}, {"{\"a\":1,", 0, 7}, {"{\"a\":1,}", 0, 7},
	{"{,}", 0, 1}, {"{\"a\"1}", 0, 4}, {"{a:1}", 0, 1}, {"{'a':1}", 0, 1},
	{"{\"a\":}", 0, 5}, {"{\"a\":,}", 0, 5}, {"{\"a\":1 \"b\":2}", 0, 7},
	{"{\"a\":1}}", 0, 7}, {"{}{}", 0, 2}, {"{} x", 0, 3}, {"{}\0", 3, 2},
	{"{\"a\":1]", 0, 6}, {"{\"x\":[1}", 0, 7}, {"{\"x\":{\"y\":1]}", 0, 11},
	{"{\"x\":[1,]}", 0, 8}, {"{\"x\":[,]}", 0, 6}, {"{\"x\":[1 2]}", 0, 8},
	{"{\"x\":{\"y\"}}", 0, 9}, {"{\"x\":{1:2}}", 0, 6},
	{"{\"x\":{\"y\":1,}}", 0, 12}, {"{\"x\":[", 0, 6}, {"{\"x\":{", 0, 6},
	{"{\"x\":[1", 0, 7}, {"{\"x\":[[]", 0, 8},
	{"{\"x\":01}", 0, 6}, {"{\"x\":-01}", 0, 7}, {"{\"x\":00}", 0, 6},
	{"{\"x\":-}", 0, 6}, {"{\"x\":+1}", 0, 5}, {"{\"x\":.5}", 0, 5},
	{"{\"x\":1.}", 0, 7}, {"{\"x\":1.e5}", 0, 7}, {"{\"x\":1e}", 0, 7},
	{"{\"x\":1e+}", 0, 8}, {"{\"x\":0x10}", 0, 6}, {"{\"x\":1a}", 0, 6},
	{"{\"x\":NaN}", 0, 5}, {"{\"x\":Infinity}", 0, 5},
	{"{\"x\":-Infinity}", 0, 6}, {"{\"x\":1.5.5}", 0, 8},
	{"{\"x\":tru}", 0, 5}, {"{\"x\":TRUE}", 0, 5}, {"{\"x\":nul", 0, 5},
	{"{\"x\":truex}", 0, 9}, {"{\"x\":falsey}", 0, 10},
	{"{\"x\":\"a\nb\"}", 0, 7}, {"{\"x\":\"a\0b\"}", 11, 7},
	{"{\"x\":\"\x1f\"}", 0, 6}, {"{\"a\tb\":1}", 0, 3},
	{"{\"x\":\"\\x\"}", 0, 6}, {"{\"x\":\"\\", 0, 7}, {"{\"x\":\"\\\0\"}", 10, 6},
	{"{\"x\":\"\\u12\"}", 0, 6}, {"{\"x\":\"\\u12g4\"}", 0, 6},
	{"{\"x\":\"\\U0041\"}", 0, 6}, {"{\"x\":\"\\u\"}", 0, 6},
	{"{\"x\":1} // c", 0, 8}, {"{/**/}", 0, 1},
	{"{\"x\"\f:1}", 0, 4}, {"{\"x\":\xc2\xa0" "1}", 0, 5},
	/* UTF-8, in values, skipped values and keys */
	{"{\"x\":\"\xff\"}", 0, 6}, {"{\"x\":\"\x80\"}", 0, 6},
	{"{\"x\":\"\xc0\x80\"}", 0, 6}, {"{\"x\":\"\xc1\xbf\"}", 0, 6},
	{"{\"x\":\"\xe0\x9f\xbf\"}", 0, 6}, {"{\"x\":\"\xed\xa0\x80\"}", 0, 6},
	{"{\"x\":\"\xf0\x8f\xbf\xbf\"}", 0, 6}, {"{\"x\":\"\xf4\x90\x80\x80\"}", 0, 6},
	{"{\"x\":\"\xf5\x80\x80\x80\"}", 0, 6}, {"{\"x\":\"\xe2\x82\"}", 0, 6},
	{"{\"x\":\"\xe2", 0, 6}, {"{\"\xff\":1}", 0, 2}, {"{} \xc3", 0, 3},
	{"{\"x\":{\"y\":[\"0123456789012345\xc3(\"]}}", 0, 28}
};

static void
test_grammar(void)
{
	static const FsField fields[] = {{"zz", 2, FS_TYPE_TEXT, FS_UNIT_NONE}};
	FsJsonDecoder *decoder = fs_json_decoder_create(fields, 1);
	FsDecodeError error;
	FsValue		value;
	char	   *copy;

	for (size_t i = 0; i < sizeof(grammar_cases) / sizeof(grammar_cases[0]); i++)
	{
		const GrammarCase *c = &grammar_cases[i];
		size_t		len = c->len > 0 ? (size_t) c->len : strlen(c->record);
		bool		ok = decode_copy(decoder, c->record, len, &value, &error,
									 &copy);

		if (c->position < 0)
			CHECK_NAMED(ok && value.presence == FS_ABSENT, c->record);
		else if (CHECK_NAMED(!ok && error.reason == FS_REASON_MALFORMED &&
							 error.field == -1 &&
							 error.position == (size_t) c->position, c->record))
			check_message(&error, "  its message");
		else
			printf("# ok %d at %zu: %s\n", ok, error.position, error.message);
		free(copy);
	}
	fs_json_decode(decoder, "", 0, &value, &error);
	CHECK(strcmp(error.message, "empty value") == 0);
	fs_json_decoder_free(decoder);
}

/*
 * One value for a column of one type.
 */
typedef struct ValueCase
{
	FsType		type;
	FsTimeUnit	unit;
	const char *json;
	char		expected;		/* 'i', 'f', 's' (bytes), 'n' (null), '!' (bad value) */
	int64_t		i;
	double		f;
	const char *bytes;			/* for '!': what the message must contain */
} ValueCase;

#define I(type, json, i) {type, FS_UNIT_NONE, json, 'i', i, 0, NULL}
#define F(type, json, f) {type, FS_UNIT_NONE, json, 'f', 0, f, NULL}
#define S(type, json, s) {type, FS_UNIT_NONE, json, 's', 0, 0, s}
#define BAD(type, json, s) {type, FS_UNIT_NONE, json, '!', 0, 0, s}
#define NIL(type) {type, FS_UNIT_NONE, "null", 'n', 0, 0, NULL}
#define T(unit, json, unix_us) \
	{FS_TYPE_TIMESTAMPTZ, unit, json, 'i', (unix_us) + FS_UNIX_EPOCH, 0, NULL}
#define TBAD(unit, json, s) {FS_TYPE_TIMESTAMPTZ, unit, json, '!', 0, 0, s}
#define RANGE "out of range for"

static const ValueCase value_cases[] = {
	/* text */
	S(FS_TYPE_TEXT, "\"\"", ""), S(FS_TYPE_TEXT, "\"abc\"", "abc"),
	S(FS_TYPE_TEXT, "\"0123456789abcdef0123456789abcdefX\"",
	  "0123456789abcdef0123456789abcdefX"),
	S(FS_TYPE_TEXT, "\"a\\n\\t\\\"\\\\\\/\\b\\f\\rz\"", "a\n\t\"\\/\b\f\rz"),
	S(FS_TYPE_TEXT, "\"\\u0041\\u00e9\\u20AC\\ud83d\\uDE00!\"",
	  "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80!"),
	S(FS_TYPE_TEXT, "\"\\ud800\\udc00\\udbff\\udfff\"",
	  "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"),
	S(FS_TYPE_TEXT, "\"\\u007f\\u0080\\u07ff\\u0800\\uffff\\u0001\"",
	  "\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\x01"),
	S(FS_TYPE_TEXT, "\"\xd0\xb6\"", "\xd0\xb6"), NIL(FS_TYPE_TEXT),
	BAD(FS_TYPE_TEXT, "42", "has value 42, but text needs a string"),
	BAD(FS_TYPE_TEXT, "true", "has value true, but text needs"),
	BAD(FS_TYPE_TEXT, "[\"a\"]", "has value [\"a\"], but text needs"),
	BAD(FS_TYPE_TEXT, "{}", "has value {}"),
	BAD(FS_TYPE_TEXT, "\"a\\u0000b\"", "text cannot hold \\u0000"),
	BAD(FS_TYPE_TEXT, "\"\\ud800\"", "half of a surrogate pair"),
	BAD(FS_TYPE_TEXT, "\"\\ud800\\ud800\\udc00\"", "half of a surrogate pair"),
	BAD(FS_TYPE_TEXT, "\"\\udc00\"", "half of a surrogate pair"),
	BAD(FS_TYPE_TEXT, "\"\\ud83dx\"", "half of a surrogate pair"),
	BAD(FS_TYPE_TEXT, "\"\\ud83d\\n\"", "half of a surrogate pair"),
	/* integers */
	I(FS_TYPE_INT4, "0", 0), I(FS_TYPE_INT4, "-0", 0), I(FS_TYPE_INT4, "1.0", 1),
	I(FS_TYPE_INT4, "1e2", 100), I(FS_TYPE_INT4, "1.5e1", 15),
	I(FS_TYPE_INT4, "100e-2", 1), I(FS_TYPE_INT4, "0e99999999999", 0),
	I(FS_TYPE_INT4, "0.000e-99999999999", 0), NIL(FS_TYPE_INT4),
	I(FS_TYPE_INT4, "1.00000000000000000000000000000000", 1),
	I(FS_TYPE_INT4, "10000000000000000000000000000e-28", 1),
	I(FS_TYPE_INT4, "0.00000000000000000000000000001e29", 1),
	I(FS_TYPE_INT2, "32767", 32767), I(FS_TYPE_INT2, "-32768", -32768),
	BAD(FS_TYPE_INT2, "32768", RANGE " smallint"),
	BAD(FS_TYPE_INT2, "-32769", RANGE " smallint"),
	I(FS_TYPE_INT4, "2147483647", 2147483647),
	I(FS_TYPE_INT4, "-2147483648", INT64_C(-2147483648)),
	BAD(FS_TYPE_INT4, "2147483648", RANGE " integer"),
	BAD(FS_TYPE_INT4, "-2147483649", RANGE " integer"),
	I(FS_TYPE_INT8, "9223372036854775807", INT64_MAX),
	I(FS_TYPE_INT8, "-9223372036854775808", INT64_MIN),
	I(FS_TYPE_INT8, "9223372036854775807.000", INT64_MAX),
	I(FS_TYPE_INT8, "9.223372036854775807e18", INT64_MAX),
	BAD(FS_TYPE_INT8, "9223372036854775808", RANGE " bigint"),
	BAD(FS_TYPE_INT8, "-9223372036854775809", RANGE " bigint"),
	BAD(FS_TYPE_INT8, "18446744073709551616", RANGE " bigint"),
	BAD(FS_TYPE_INT8, "99999999999999999999999", RANGE " bigint"),
	BAD(FS_TYPE_INT8, "1e19", RANGE " bigint"),
	BAD(FS_TYPE_INT8, "1e999999999999999999999", RANGE " bigint"),
	BAD(FS_TYPE_INT4, "1.5", "has value 1.5, not an integer"),
	BAD(FS_TYPE_INT4, "1e-400", "not an integer"),
	BAD(FS_TYPE_INT4, "1.00000000000000000000000000000001", "not an integer"),
	BAD(FS_TYPE_INT4, "\"1\"", "has value \"1\", but integer needs a number"),
	BAD(FS_TYPE_INT4, "true", "integer needs a number"),
	/* floats */
	F(FS_TYPE_FLOAT8, "0", 0), F(FS_TYPE_FLOAT8, "-0", -0.0), F(FS_TYPE_FLOAT8, "0.1", 0.1),
	F(FS_TYPE_FLOAT8, "-1.5e300", -1.5e300), F(FS_TYPE_FLOAT8, "123456789", 123456789),
	F(FS_TYPE_FLOAT8, "9007199254740993", 9007199254740992.0),
	F(FS_TYPE_FLOAT8, "9007199254740993.00000000000000000000000001", 9007199254740994.0),
	F(FS_TYPE_FLOAT8, "1.7976931348623157e308", 1.7976931348623157e308),
	F(FS_TYPE_FLOAT8, "5e-324", 5e-324), F(FS_TYPE_FLOAT8, "1e22", 1e22),
	F(FS_TYPE_FLOAT8, "1e23", 1e23), F(FS_TYPE_FLOAT8, "0e9999999", 0),
	F(FS_TYPE_FLOAT8, "2.2250738585072011e-308", 2.2250738585072011e-308),
	F(FS_TYPE_FLOAT8, "100000000000000000000000000000e-29", 1),
	BAD(FS_TYPE_FLOAT8, "1e309", RANGE " double precision"),
	BAD(FS_TYPE_FLOAT8, "-1e999999999999", RANGE " double precision"),
	BAD(FS_TYPE_FLOAT8, "1.7976931348623159e308", RANGE " double precision"),
	BAD(FS_TYPE_FLOAT8, "1e-400", RANGE " double precision"),
	BAD(FS_TYPE_FLOAT8, "\"1\"", "needs a number"),
	F(FS_TYPE_FLOAT4, "0.1", (double) 0.1f), F(FS_TYPE_FLOAT4, "16777217", 16777216.0),
	F(FS_TYPE_FLOAT4, "16777217.0000000001", 16777218.0),
	F(FS_TYPE_FLOAT4, "3.4028234e38", (double) 3.4028234e38f),
	F(FS_TYPE_FLOAT4, "1e-45", (double) 1e-45f), F(FS_TYPE_FLOAT4, "-0.0", -0.0),
	BAD(FS_TYPE_FLOAT4, "3.4028236e38", RANGE " real"),
	BAD(FS_TYPE_FLOAT4, "1e39", RANGE " real"), BAD(FS_TYPE_FLOAT4, "1e-46", RANGE " real"),
	/* numeric */
	S(FS_TYPE_NUMERIC, "12345678901234567890.123456789", "12345678901234567890.123456789"),
	S(FS_TYPE_NUMERIC, "-1.50e3", "-1.50e3"), S(FS_TYPE_NUMERIC, "1e16383", "1e16383"),
	S(FS_TYPE_NUMERIC, "1e-16383", "1e-16383"),
	BAD(FS_TYPE_NUMERIC, "1e16384", RANGE " numeric"),
	BAD(FS_TYPE_NUMERIC, "1e-16384", RANGE " numeric"),
	BAD(FS_TYPE_NUMERIC, "1.5e-16383", RANGE " numeric"),
	BAD(FS_TYPE_NUMERIC, "0e99999", RANGE " numeric"),
	BAD(FS_TYPE_NUMERIC, "1e99999999999999", RANGE " numeric"),
	BAD(FS_TYPE_NUMERIC, "\"1\"", "numeric needs a number"),
	/* bool */
	I(FS_TYPE_BOOL, "true", 1), I(FS_TYPE_BOOL, "false", 0), NIL(FS_TYPE_BOOL),
	BAD(FS_TYPE_BOOL, "1", "boolean needs true or false"),
	BAD(FS_TYPE_BOOL, "\"true\"", "boolean needs true or false"),
	/* uuid */
	S(FS_TYPE_UUID, "\"00112233-4455-6677-8899-AABBccddeeff\"",
	  "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"),
	S(FS_TYPE_UUID, "\"00112233\\u002d4455-6677-8899-aabbccddeeff\"",
	  "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"),
	BAD(FS_TYPE_UUID, "\"001122334455-6677-8899-aabbccddeeff\"", "not a uuid"),
	BAD(FS_TYPE_UUID, "\"00112233-4455-6677-8899-aabbccddeefg\"", "not a uuid"),
	BAD(FS_TYPE_UUID, "\"{00112233-4455-6677-8899-aabbccddeef}\"", "not a uuid"),
	BAD(FS_TYPE_UUID, "\"0011223-34455-6677-8899-aabbccddeeff\"", "not a uuid"),
	BAD(FS_TYPE_UUID, "\"00112233445566778899aabbccddeeff\"", "not a uuid"),
	BAD(FS_TYPE_UUID, "\"\"", "not a uuid"), BAD(FS_TYPE_UUID, "7", "uuid needs a string"),
	/* jsonb */
	S(FS_TYPE_JSONB, "{\"a\": [1, \"x\"]}", "{\"a\": [1, \"x\"]}"),
	S(FS_TYPE_JSONB, "\"s\\n\"", "\"s\\n\""), S(FS_TYPE_JSONB, "1.50", "1.50"),
	S(FS_TYPE_JSONB, "true", "true"), S(FS_TYPE_JSONB, "[]", "[]"), NIL(FS_TYPE_JSONB),
	S(FS_TYPE_JSONB, "[1e131071]", "[1e131071]"),
	S(FS_TYPE_JSONB, "0e900000000", "0e900000000"),
	BAD(FS_TYPE_JSONB, "[1e131072]", RANGE " jsonb"),
	BAD(FS_TYPE_JSONB, "0e-16384", RANGE " jsonb"),
	BAD(FS_TYPE_JSONB, "0e99999999999", RANGE " jsonb"),
	BAD(FS_TYPE_JSONB, "1e-16384", RANGE " jsonb"),
	BAD(FS_TYPE_JSONB, "[\"\\u0000\"]", "jsonb cannot hold \\u0000"),
	BAD(FS_TYPE_JSONB, "{\"\\u0000\":1}", "jsonb cannot hold \\u0000"),
	BAD(FS_TYPE_JSONB, "[{\"a\":1,\"\\u0000\":1}]", "jsonb cannot hold \\u0000"),
	BAD(FS_TYPE_JSONB, "{\"a\":{\"\\ud800\":1}}", "half of a surrogate pair"),
	BAD(FS_TYPE_JSONB, "\"\\udfff\"", "half of a surrogate pair"),
	/* dates */
	I(FS_TYPE_DATE, "\"2000-01-01\"", 0), I(FS_TYPE_DATE, "\"1970-01-01\"", -10957),
	I(FS_TYPE_DATE, "\"2024-02-29\"", 8825), I(FS_TYPE_DATE, "\"2000-02-29\"", 59),
	I(FS_TYPE_DATE, "\"0001-01-01\"", -730119), I(FS_TYPE_DATE, "\"9999-12-31\"", 2921939),
	BAD(FS_TYPE_DATE, "\"2023-02-29\"", "not a date as YYYY-MM-DD"),
	BAD(FS_TYPE_DATE, "\"1900-02-29\"", "not a date"), BAD(FS_TYPE_DATE, "\"2024-13-01\"", "not a date"),
	BAD(FS_TYPE_DATE, "\"2024-00-01\"", "not a date"), BAD(FS_TYPE_DATE, "\"2024-04-31\"", "not a date"),
	BAD(FS_TYPE_DATE, "\"2024-01-00\"", "not a date"), BAD(FS_TYPE_DATE, "\"0000-01-01\"", "not a date"),
	BAD(FS_TYPE_DATE, "\"2024-1-1\"", "not a date"), BAD(FS_TYPE_DATE, "\"20240101\"", "not a date"),
	BAD(FS_TYPE_DATE, "\"2024-01-01T00:00:00Z\"", "not a date"),
	BAD(FS_TYPE_DATE, "\"2024-01-01 \"", "not a date"), BAD(FS_TYPE_DATE, "\"\"", "not a date"),
	BAD(FS_TYPE_DATE, "20240101", "date needs a string"),
	/* times as numbers: seconds */
	T(FS_UNIT_S, "0", 0), T(FS_UNIT_S, "-0", 0), T(FS_UNIT_S, "1700000000", 1700000000 * US),
	T(FS_UNIT_S, "1700000000.123", 1700000000 * US + 123000),
	T(FS_UNIT_S, "1700000000.123456", 1700000000 * US + 123456),
	T(FS_UNIT_S, "1700000000.1234569999", 1700000000 * US + 123456),
	T(FS_UNIT_S, "1700000000.12345600000000000000000000000001", 1700000000 * US + 123456),
	T(FS_UNIT_S, "1.7e9", 1700000000 * US), T(FS_UNIT_S, "1.700000000123E9", 1700000000 * US + 123000),
	T(FS_UNIT_S, "17000000001230000e-7", 1700000000 * US + 123000),
	T(FS_UNIT_S, "0.000001", 1), T(FS_UNIT_S, "0.0000009", 0), T(FS_UNIT_S, "1e-999999999999999", 0),
	T(FS_UNIT_S, "-1", -US), T(FS_UNIT_S, "-0.5", -500000), T(FS_UNIT_S, "-0.0000001", -1),
	T(FS_UNIT_S, "-1.0000001", -US - 1), T(FS_UNIT_S, "-1.00000010000000000000000000", -US - 1),
	T(FS_UNIT_S, "-1e-99999", -1), T(FS_UNIT_S, "0e999999", 0),
	T(FS_UNIT_S, "-210866803200", INT64_C(-210866803200) * US),
	{FS_TYPE_TIMESTAMPTZ, FS_UNIT_S, "9224318015999.999999", 'i', FS_TIMESTAMP_END - 1, 0, NULL},
	TBAD(FS_UNIT_S, "9224318016000", RANGE " timestamptz"),
	TBAD(FS_UNIT_S, "-210866803200.0000001", RANGE " timestamptz"),
	TBAD(FS_UNIT_S, "-210866803201", RANGE " timestamptz"),
	TBAD(FS_UNIT_S, "1e18", "field \"v\" has value 1e18, out of range for timestamptz"),
	TBAD(FS_UNIT_S, "-1e18", RANGE " timestamptz"), TBAD(FS_UNIT_S, "1e400", RANGE " timestamptz"),
	TBAD(FS_UNIT_S, "18446744073709.551616", RANGE " timestamptz"),
	TBAD(FS_UNIT_S, "99999999999999999999999999999999", RANGE " timestamptz"),
	TBAD(FS_UNIT_S, "\"1700000000\"", "timestamptz needs a number"),
	TBAD(FS_UNIT_S, "true", "timestamptz needs a number"),
	/* milliseconds, microseconds */
	T(FS_UNIT_MS, "1700000000123", 1700000000 * US + 123000),
	T(FS_UNIT_MS, "1700000000123.4567", 1700000000 * US + 123456),
	T(FS_UNIT_MS, "-1.0005", -1001), T(FS_UNIT_MS, "-0.0001", -1),
	TBAD(FS_UNIT_MS, "1e18", RANGE " timestamptz"),
	T(FS_UNIT_US, "1700000000123456", 1700000000 * US + 123456),
	T(FS_UNIT_US, "1700000000123456.9", 1700000000 * US + 123456),
	T(FS_UNIT_US, "-1.5", -2), T(FS_UNIT_US, "1e18", INT64_C(1000000000000000000)),
	TBAD(FS_UNIT_US, "9224318016000000000", RANGE " timestamptz"),
	TBAD(FS_UNIT_US, "1e19", RANGE " timestamptz"),
	/* times as text */
	T(FS_UNIT_NONE, "\"1970-01-01T00:00:00Z\"", 0), T(FS_UNIT_ISO8601, "\"1970-01-01\"", 0),
	T(FS_UNIT_ISO8601, "\"2023-11-14T22:13:20.123Z\"", 1700000000 * US + 123000),
	T(FS_UNIT_ISO8601, "\"2023-11-14 22:13:20\"", 1700000000 * US),
	T(FS_UNIT_ISO8601, "\"2023-11-14t22:13:20z\"", 1700000000 * US),
	T(FS_UNIT_ISO8601, "\"2023-11-14T22:13\"", 1699999980 * US),
	T(FS_UNIT_ISO8601, "\"2023-11-14T23:13:20+01\"", 1700000000 * US),
	T(FS_UNIT_ISO8601, "\"2023-11-14T23:43:20+0130\"", 1700000000 * US),
	T(FS_UNIT_ISO8601, "\"2023-11-14T18:43:20-03:30\"", 1700000000 * US),
	T(FS_UNIT_ISO8601, "\"2023-11-14T22:13:20-00:00\"", 1700000000 * US),
	T(FS_UNIT_ISO8601, "\"2023-11-14T22:13:20,5Z\"", 1700000000 * US + 500000),
	T(FS_UNIT_ISO8601, "\"2023-11-14T22:13:20.1234567890123456789Z\"", 1700000000 * US + 123456),
	T(FS_UNIT_ISO8601, "\"1969-12-31T23:59:59.9999999Z\"", -1),
	T(FS_UNIT_ISO8601, "\"2016-12-31T23:59:60Z\"", INT64_C(1483228800) * US),
	T(FS_UNIT_ISO8601, "\"2016-12-31T23:59:60.5Z\"", INT64_C(1483228800) * US + 500000),
	T(FS_UNIT_ISO8601, "\"2016-12-31T24:00:00Z\"", INT64_C(1483228800) * US),
	T(FS_UNIT_ISO8601, "\"1970-01-01T00:00:00\\u005a\"", 0),
	T(FS_UNIT_ISO8601, "\"0001-01-01T00:00:00+23:59\"", INT64_C(-62135683140) * US),
	TBAD(FS_UNIT_ISO8601, "\"2016-12-31T24:00:01Z\"", "not an ISO 8601 time"),
	TBAD(FS_UNIT_ISO8601, "\"2016-12-31T24:00:00.1Z\"", "not an ISO 8601 time"),
	TBAD(FS_UNIT_ISO8601, "\"2016-12-31T23:59:61Z\"", "not an ISO 8601 time"),
	TBAD(FS_UNIT_ISO8601, "\"2016-12-31T23:60:00Z\"", "not an ISO 8601 time"),
	TBAD(FS_UNIT_ISO8601, "\"2016-12-31T25:00:00Z\"", "not an ISO 8601 time"),
	TBAD(FS_UNIT_ISO8601, "\"2016-02-30T00:00:00Z\"", "not an ISO 8601 time"),
	TBAD(FS_UNIT_ISO8601, "\"2016-12-31T23:59:59.Z\"", "not an ISO 8601 time"),
	TBAD(FS_UNIT_ISO8601, "\"2016-12-31T23:59:59Zx\"", "not an ISO 8601 time"),
	TBAD(FS_UNIT_ISO8601, "\"2016-12-31T23:59:59+24\"", "not an ISO 8601 time"),
	TBAD(FS_UNIT_ISO8601, "\"2016-12-31T23:59:59+1\"", "not an ISO 8601 time"),
	TBAD(FS_UNIT_ISO8601, "\"2016-12-31T23:59:59+01:\"", "not an ISO 8601 time"),
	TBAD(FS_UNIT_ISO8601, "\"2016-12-31T23:59:59+01:60\"", "not an ISO 8601 time"),
	TBAD(FS_UNIT_ISO8601, "\"2016-12-31T\"", "not an ISO 8601 time"),
	TBAD(FS_UNIT_ISO8601, "\"2016-12-31T23\"", "not an ISO 8601 time"),
	TBAD(FS_UNIT_ISO8601, "\"2016-12-31Z\"", "not an ISO 8601 time"),
	TBAD(FS_UNIT_ISO8601, "\"23:59:59Z\"", "not an ISO 8601 time"),
	TBAD(FS_UNIT_ISO8601, "\"2016-12\"", "not an ISO 8601 time"),
	TBAD(FS_UNIT_ISO8601, "\"1700000000\"", "not an ISO 8601 time"),
	TBAD(FS_UNIT_ISO8601, "\"\"", "not an ISO 8601 time"),
	TBAD(FS_UNIT_ISO8601, "\"now\"", "not an ISO 8601 time"),
	TBAD(FS_UNIT_ISO8601, "1700000000", "timestamptz needs an ISO 8601 string"),
	TBAD(FS_UNIT_NONE, "1700000000", "timestamptz needs an ISO 8601 string")
};

/* Is the value what the case expects? */
static bool
is_expected(const ValueCase *c, bool ok, const FsValue *value,
			const FsDecodeError *error)
{
	size_t		len;

	switch (c->expected)
	{
		case 'i':
			return ok && value->presence == FS_PRESENT && value->i == c->i;
		case 'f':
			return ok && value->presence == FS_PRESENT && value->f == c->f &&
				signbit(value->f) == signbit(c->f);
		case 's':
			len = c->type == FS_TYPE_UUID ? 16 : strlen(c->bytes);
			return ok && value->presence == FS_PRESENT && value->len == len &&
				memcmp(value->data, c->bytes, len) == 0;
		case 'n':
			return ok && value->presence == FS_NULL;
		default:
			return !ok && error->reason == FS_REASON_BAD_VALUE &&
				error->field == 0 && strstr(error->message, c->bytes) != NULL;
	}
}

static void
test_values(void)
{
	for (size_t i = 0; i < sizeof(value_cases) / sizeof(value_cases[0]); i++)
	{
		const ValueCase *c = &value_cases[i];
		FsField		field = {"v", 1, c->type, c->unit};
		FsJsonDecoder *decoder = fs_json_decoder_create(&field, 1);
		FsDecodeError error;
		FsValue		value;
		char		record[512];
		char	   *copy;
		bool		ok;

		/* at the record's end, in its middle, and by a remembered gap */
		for (int form = 0; form < 4; form++)
		{
			snprintf(record, sizeof(record), form < 2 ? "{\"v\":%s}" :
					 "{\"v\": %s, \"w\": [\"a string of some length\"]}", c->json);
			ok = decode_copy(decoder, record, strlen(record), &value, &error,
							 &copy);
			if (!CHECK_NAMED(is_expected(c, ok, &value, &error), record))
				printf("# %s; i %lld\n", ok ? "ok" : error.message,
					   (long long) value.i);
			if (!ok)
				check_message(&error, "  its message");
			free(copy);
		}
		fs_json_decoder_free(decoder);
	}
}

static const FsField click_fields[] = {
	{"user_id", 7, FS_TYPE_TEXT, FS_UNIT_NONE},
	{"n", 1, FS_TYPE_INT4, FS_UNIT_NONE},
	{"\xc3\xa9", 2, FS_TYPE_TEXT, FS_UNIT_NONE},
	{"timestamp", 9, FS_TYPE_TIMESTAMPTZ, FS_UNIT_S}
};

/* A whole record for click_fields: "user|n|e|timestamp" ("-" absent, "0" null). */
typedef struct RecordCase
{
	const char *record;
	const char *expected;		/* or what the message contains after '!' */
} RecordCase;

static const RecordCase record_cases[] = {
	{"{}", "-|-|-|-"},
	{"{\"user_id\":\"u1\",\"n\":7,\"timestamp\":1}", "u1|7|-|1000000"},
	{"{\"timestamp\":1,\"n\":7,\"user_id\":\"u1\"}", "u1|7|-|1000000"},
	{"{\"user_id\":null,\"n\":null}", "null|null|-|-"},
	{"{\"user_id\":\"u1\",\"extra\":{\"user_id\":\"no\"},\"n\":7}", "u1|7|-|-"},
	{"{\"user_id\":\"u1\",\"user_id\":\"u2\"}", "u2|-|-|-"},
	{"{\"user_id\":\"u1\",\"user_id\":null}", "null|-|-|-"},
	{"{\"user_id\":null,\"user_id\":\"u1\"}", "u1|-|-|-"},
	{"{\"n\":1.5,\"n\":2}", "-|2|-|-"}, {"{\"n\":1.5,\"n\":null}", "-|null|-|-"},
	{"{\"user_id\":5,\"user_id\":\"u1\"}", "u1|-|-|-"},
	{"{\"user_id\":5,\"n\":1,\"x\":\"y\",\"user_id\":\"u1\"}", "u1|1|-|-"},
	{"{\"n\":2,\"n\":1.5}", "!field \"n\" has value 1.5, not an integer"},
	{"{\"n\":1.5,\"n\":\"x\"}", "!field \"n\" has value \"x\", but"},
	{"{\"n\":1.5,\"n\":2,\"n\":2.5}", "!has value 2.5"},
	{"{\"user_id\":5,\"n\":1.5,\"user_id\":\"u\"}", "!field \"n\" has value 1.5"},
	{"{\"n\":1.5,\"user_id\":5}", "!field \"n\" has value 1.5"},
	{"{\"n\":1.5,", "!expected a key at byte 9, where the record ends"},
	{"{\"user\\u005fid\":\"u1\"}", "u1|-|-|-"},
	{"{\"\\u0075\\u0073\\u0065\\u0072\\u005f\\u0069\\u0064\":\"u1\"}", "u1|-|-|-"},
	{"{\"\\u00e9\":\"x\"}", "-|-|x|-"}, {"{\"\\u00E9\":\"x\",\"\xc3\xa9\":\"y\"}", "-|-|y|-"},
	{"{\"user_id\\u0000\":\"u1\"}", "-|-|-|-"}, {"{\"User_id\":\"u1\"}", "-|-|-|-"},
	{"{\"user_i\":\"u1\",\"user_id_\":\"u2\"}", "-|-|-|-"},
	{"{\"n\\ud800\":1}", "-|-|-|-"}, {"{\"n\":1,\"x\":\"\\u0000\\ud800\"}", "-|1|-|-"},
	{"{\"n\" :\t1}", "-|1|-|-"}, {"{\"n\":\n\n1}", "-|1|-|-"}, {"{\"n\":1\n}", "-|1|-|-"},
	{",\"n\":1}", "!expected an object at byte 0"}, {"{\"n\":1{\"n\":1}", "!expected \",\""}
};

/* Writes the values as a RecordCase has them. */
static void
write_values(char *out, size_t size, const FsValue *values)
{
	size_t		at = 0;

	for (int i = 0; i < 4; i++)
	{
		const FsValue *v = &values[i];
		const char *bar = i < 3 ? "|" : "";

		if (v->presence == FS_ABSENT)
			at += (size_t) snprintf(out + at, size - at, "-%s", bar);
		else if (v->presence == FS_NULL)
			at += (size_t) snprintf(out + at, size - at, "null%s", bar);
		else if (fs_type_is_bytes(click_fields[i].type))
			at += (size_t) snprintf(out + at, size - at, "%.*s%s", (int) v->len,
									v->data, bar);
		else
			at += (size_t) snprintf(out + at, size - at, "%lld%s",
									(long long) (i == 3 ? v->i - FS_UNIX_EPOCH : v->i),
									bar);
	}
}

/* Decodes one case and compares; 'decoder' may have seen anything before. */
static bool
run_record_case(FsJsonDecoder *decoder, const RecordCase *c)
{
	FsDecodeError error;
	FsValue		values[4];
	char		out[512];
	char	   *copy;
	bool		passed;

	if (decode_copy(decoder, c->record, strlen(c->record), values, &error, &copy))
	{
		write_values(out, sizeof(out), values);
		passed = strcmp(out, c->expected) == 0;
	}
	else
	{
		snprintf(out, sizeof(out), "!%s", error.message);
		passed = c->expected[0] == '!' && strstr(out, c->expected + 1) != NULL;
	}
	if (!passed)
		printf("# %s gave %s, not %s\n", c->record, out, c->expected);
	free(copy);
	return passed;
}

/* What was decoded before must never show: every pair of records, in order. */
static void
test_records(void)
{
	const size_t n = sizeof(record_cases) / sizeof(record_cases[0]);
	FsJsonDecoder *decoder = fs_json_decoder_create(click_fields, 4);
	bool		all = true;

	for (size_t i = 0; i < n; i++)
		CHECK_NAMED(run_record_case(decoder, &record_cases[i]),
					record_cases[i].record);
	for (size_t i = 0; i < n; i++)
	{
		for (size_t j = 0; j < n; j++)
			all = run_record_case(decoder, &record_cases[i]) &&
				run_record_case(decoder, &record_cases[j]) && all;
	}
	CHECK_NAMED(all, "records in every order of two");
	fs_json_decoder_free(decoder);
}

/* A record with the value nested in 'depth' arrays or objects, alternating. */
static size_t
write_nested(char *out, int depth)
{
	char	   *at = out + sprintf(out, "{\"x\":");

	for (int i = 0; i < depth; i++)
		at += sprintf(at, i % 2 ? "{\"k\":" : "[");
	at += sprintf(at, "1");
	for (int i = depth - 1; i >= 0; i--)
		*at++ = i % 2 ? '}' : ']';
	*at++ = '}';
	return (size_t) (at - out);
}

static void
test_depth(void)
{
	static const FsField field = {"x", 1, FS_TYPE_JSONB, FS_UNIT_NONE};
	FsJsonDecoder *jsonb = fs_json_decoder_create(&field, 1);
	FsJsonDecoder *none = fs_json_decoder_create(NULL, 0);
	FsDecodeError error;
	FsValue		value;
	char		record[2000];
	size_t		len;

	len = write_nested(record, FS_DECODE_MAX_DEPTH - 1);
	CHECK(fs_json_decode(jsonb, record, len, &value, &error));
	CHECK(fs_json_decode(none, record, len, NULL, &error));
	len = write_nested(record, FS_DECODE_MAX_DEPTH);
	CHECK(!fs_json_decode(jsonb, record, len, &value, &error));
	CHECK(error.reason == FS_REASON_MALFORMED &&
		  strstr(error.message, "nested deeper than 64 levels at byte") != NULL);
	CHECK(!fs_json_decode(none, record, len, NULL, &error));
	len = write_nested(record, 200);
	CHECK(!fs_json_decode(none, record, len, NULL, &error));
	fs_json_decoder_free(jsonb);
	fs_json_decoder_free(none);
}

/* Two columns of one key, many columns, and names that share a prefix. */
static void
test_columns(void)
{
	static const FsField twins[] = {
		{"ts", 2, FS_TYPE_TIMESTAMPTZ, FS_UNIT_S},
		{"ts", 2, FS_TYPE_FLOAT8, FS_UNIT_NONE},
		{"ts", 2, FS_TYPE_INT4, FS_UNIT_NONE}
	};
	FsField		many[300];
	char		names[300][8];
	char		record[300 * 20];
	FsValue		values[300];
	FsDecodeError error;
	FsJsonDecoder *decoder = fs_json_decoder_create(twins, 3);
	size_t		len = 0;
	bool		all = true;

	CHECK(fs_json_decode(decoder, "{\"ts\":2}", 8, values, &error));
	CHECK(values[0].i == FS_UNIX_EPOCH + 2 * US && values[1].f == 2 &&
		  values[2].i == 2);
	CHECK(!fs_json_decode(decoder, "{\"ts\":2.5}", 10, values, &error));
	CHECK(error.field == 2);
	fs_json_decoder_free(decoder);

	for (int i = 0; i < 300; i++)
	{
		sprintf(names[i], "c%d", i);
		many[i] = (FsField) {names[i], strlen(names[i]), FS_TYPE_INT4, FS_UNIT_NONE};
		len += (size_t) sprintf(record + len, "%c\"c%d\":%d", i ? ',' : '{', i, i);
	}
	record[len++] = '}';
	decoder = fs_json_decoder_create(many, 300);
	for (int round = 0; round < 2; round++)
	{
		all = all && fs_json_decode(decoder, record, len, values, &error);
		for (int i = 0; i < 300; i++)
			all = all && values[i].presence == FS_PRESENT && values[i].i == i;
	}
	CHECK_NAMED(all, "300 columns");
	fs_json_decoder_free(decoder);
}

/* Messages keep to their size and to UTF-8, whatever name and value are. */
static void
test_messages(void)
{
	char		name[400];
	char		record[2000];
	FsField		field = {name, 0, FS_TYPE_INT4, FS_UNIT_NONE};
	FsJsonDecoder *decoder;
	FsDecodeError error;
	FsValue		value;
	char		printed[64];
	int			len;

	for (int i = 0; i + 3 <= 390; i += 3)
		memcpy(name + i, "\xe2\x82\xac", 4);
	for (int shift = 0; shift < 4; shift++)
	{
		field.name_len = 390;
		decoder = fs_json_decoder_create(&field, 1);
		len = sprintf(record, "{\"%s\":\"%.*s%s%s%s\"}", name, shift, "abc",
					  name, "\xc2\x85\x7f", name);
		CHECK(!fs_json_decode(decoder, record, (size_t) len, &value, &error));
		CHECK(error.reason == FS_REASON_BAD_VALUE);
		check_message(&error, "long name and value");
		fs_json_decoder_free(decoder);
	}
	CHECK(fs_utf8_print(printed, 20, "a\n\x7f\xff\xc2\x85", 6) == 16 &&
		  strcmp(printed, "a\\x0a\\x7f\\xff...") == 0);
	CHECK(fs_utf8_print(printed, 21, "a\n\x7f\xff\xc2\x85", 6) == 21 &&
		  strcmp(printed, "a\\x0a\\x7f\\xff\\xc2\\x85") == 0);
	fs_utf8_print(printed, 8, "a\nbcdefgh", 9);
	CHECK(strcmp(printed, "a\\x0abcd...") == 0);
	fs_utf8_print(printed, 4, "\xe2\x82\xac\xe2\x82\xac", 6);
	CHECK(strcmp(printed, "\xe2\x82\xac...") == 0);
	fs_utf8_print(printed, 8, "", 0);
	CHECK(printed[0] == '\0');
	CHECK(strcmp(fs_reason_name(FS_REASON_MALFORMED), "malformed") == 0 &&
		  strcmp(fs_reason_name(FS_REASON_BAD_VALUE), "bad_value") == 0 &&
		  strcmp(fs_reason_name(FS_REASON_TOMBSTONE), "tombstone") == 0);
}

/* Values in scratch memory outlive later records, until the reset. */
static void
test_scratch(void)
{
	static const FsField field = {"s", 1, FS_TYPE_TEXT, FS_UNIT_NONE};
	FsJsonDecoder *decoder = fs_json_decoder_create(&field, 1);
	static FsValue values[5000];
	FsDecodeError error;
	char		record[64];
	bool		all = true;

	for (int round = 0; round < 3; round++)
	{
		for (int i = 0; i < 5000; i++)
		{
			int			len = sprintf(record, "{\"s\":\"\\n%d padding padding\"}", i);

			all = all && fs_json_decode(decoder, record, (size_t) len,
										&values[i], &error);
		}
		for (int i = 0; i < 5000; i++)
			all = all && values[i].data[0] == '\n' &&
				atoi(values[i].data + 1) == i;
		fs_json_decoder_reset(decoder);
	}
	CHECK_NAMED(all, "values stay until the reset");
	fs_json_decoder_free(decoder);
}

/* Seconds to decode {"s":<10 MB made of 'piece'>}. */
static double
time_large(FsType type, const char *open, const char *piece, const char *close,
		   bool expected)
{
	FsField		field = {"s", 1, type, FS_UNIT_S};
	FsJsonDecoder *decoder = fs_json_decoder_create(&field, 1);
	size_t		size = 10 * 1000 * 1000;
	char	   *record = malloc(size + 100);
	char	   *at = record + sprintf(record, "{\"s\":%s", open);
	clock_t		start;
	FsDecodeError error;
	FsValue		value;

	while ((size_t) (at - record) < size)
		at += sprintf(at, "%s", piece);
	at += sprintf(at, "%s}", close);
	start = clock();
	if (fs_json_decode(decoder, record, (size_t) (at - record), &value,
					   &error) != expected)
		CHECK_NAMED(false, piece);
	free(record);
	fs_json_decoder_free(decoder);
	return (double) (clock() - start) / CLOCKS_PER_SEC;
}

/* Ten million bytes take linear time: far from this bound, even sanitized. */
static void
test_large(void)
{
	const double bound = 5;

	CHECK(time_large(FS_TYPE_TEXT, "\"", "abcdefgh", "\"", true) < bound);
	CHECK(time_large(FS_TYPE_TEXT, "\"", "\\n\\u00e9", "\"", true) < bound);
	CHECK(time_large(FS_TYPE_TEXT, "\"", "\xd0\xb6", "\"", true) < bound);
	CHECK(time_large(FS_TYPE_JSONB, "[1", ",{\"a\":[]}", "]", true) < bound);
	CHECK(time_large(FS_TYPE_FLOAT8, "1", "0", "e-9999999", true) < bound);
	CHECK(time_large(FS_TYPE_FLOAT8, "0.", "3", "", true) < bound);
	CHECK(time_large(FS_TYPE_NUMERIC, "1", "2", "", false) < bound);
	CHECK(time_large(FS_TYPE_INT8, "1.", "0", "", true) < bound);
	CHECK(time_large(FS_TYPE_TIMESTAMPTZ, "1.", "9", "", true) < bound);
	CHECK(time_large(FS_TYPE_TIMESTAMPTZ, "1e", "9", "", false) < bound);
	CHECK(time_large(FS_TYPE_INT4, "1,\"x\":0", ",\"k\":\"v\"", "", true) < bound);
	CHECK(time_large(FS_TYPE_INT4, "1", "         ", "", true) < bound);
	CHECK(time_large(FS_TYPE_INT4, "1,\"x\":1", ",\"s\":1.5", "", false) < bound);
}

/* Random doubles, printed in several ways, come back as strtod reads them. */
static void
test_floats(void)
{
	static const char *const formats[] = {"%.17g", "%.16e", "%.3f", "%.30e", "%.9g"};
	uint64_t	seed = 42;
	char		text[400];
	bool		all = true;

	for (int i = 0; i < 200000; i++)
	{
		FsNumber	number;
		double		x;
		double		y = 0;
		const char *end;

		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
		memcpy(&x, &seed, 8);
		if (i % 2)
			x = (double) (int64_t) (seed >> 20) / 1000;
		if (!isfinite(x))
			continue;
		snprintf(text, sizeof(text), formats[i % 5], x);
		end = fs_number_scan(text, text + strlen(text), &number);
		all = all && end == text + strlen(text);
		if (strtod(text, NULL) != 0)
			all = all && fs_number_to_double(&number, &y) == FS_NUMBER_OK &&
				y == strtod(text, NULL);
		if (strtof(text, NULL) != 0 && isfinite(strtof(text, NULL)))
			all = all && fs_number_to_float(&number, &y) == FS_NUMBER_OK &&
				y == (double) strtof(text, NULL);
		if (!all)
		{
			printf("# %s\n", text);
			break;
		}
	}
	CHECK_NAMED(all, "floats as strtod and strtof read them");
}

/* fs_number_scan_time against the long way: the same time and end, or no answer. */
static void
test_times(void)
{
	static const char *const plain[] = {"17000000.5}", "1700000000}", "1700000000 ", "1700000000.123,", "1700000000.123456}"};
	uint64_t	seed = 7;
	bool		all = true;
	int			answers = 0;

	for (int i = 0; i < 5; i++)
	{
		FsTime		time;
		const char *end = plain[i] + strlen(plain[i]);

		CHECK_NAMED(fs_number_scan_time(plain[i], end, 0, &time) == end - 1, plain[i]);
	}
	for (int i = 0; i < 400000 && all; i++)
	{
		static const int units[] = {0, 3, 6};
		static const char others[] = ".eE-+}, /:x";
		char		text[40];
		FsNumber	number;
		FsTime		quick;
		FsTime		slow;
		const char *quick_end;
		const char *end;
		int			digits;
		size_t		len;

		seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
		len = 1 + (seed >> 40) % 26;
		for (size_t k = 0; k < len; k++)
		{
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
			text[k] = k + 1 == len || (seed >> 32) % 16 == 0 ? others[(seed >> 40) % 11] : (char) ('0' + (seed >> 40) % 10);
		}
		digits = units[(seed >> 50) % 3];
		quick_end = fs_number_scan_time(text, text + len, digits, &quick);
		if (quick_end == NULL)
			continue;
		end = fs_number_scan(text, text + len, &number);
		all = end == quick_end && fs_number_to_time(&number, digits, &slow) == FS_NUMBER_OK && slow == quick;
		answers++;
		if (!all)
			printf("# %.*s in 10^-%d s\n", (int) len, text, digits);
	}
	CHECK_NAMED(all && answers > 10000, "plain times as the general way reads them");
}

int
main(void)
{
	test_grammar();
	test_values();
	test_records();
	test_depth();
	test_columns();
	test_messages();
	test_scratch();
	test_large();
	test_floats();
	test_times();
	return unit_finish();
}
