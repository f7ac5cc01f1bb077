/*
 * fuzz_avro.c
 *		Any bytes at all through the Avro decoder, and the wire header.
 *
 * With libFuzzer: clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc
 * test/fuzz/fuzz_avro.c, all files of src/core, -lm.  With -DFS_FUZZ_MAIN and any
 * compiler: a driver that mutates a few records at random, [seed [rounds]].
 *
 * The first byte chooses a pair of schemas, the rest is the datum.  Beyond not
 * crashing: the same datum always comes to the same, and whatever it comes to
 * keeps the promises of core/decode.h and core/value.h.
 */
#include "core/avro_resolve.h"
#include "core/wire_header.h"

#include "fuzz.h"

#define MAX_FIELDS 16
#define NPAIRS 6

/* A writer's schema, a reader's (or NULL), and columns. */
typedef struct Pair
{
	const char *writer;
	const char *reader;
	FsField		fields[MAX_FIELDS];
} Pair;

#define FIELD(name, type, unit) {name, sizeof(name) - 1, FS_TYPE_##type, FS_UNIT_##unit}

#define ITEMS(name, type, unit) {name, sizeof(name) - 1, (FsType) (FS_TYPE_##type | FS_TYPE_ARRAY), FS_UNIT_##unit}

static const Pair pairs[NPAIRS] = {
	{"{\"type\":\"record\",\"name\":\"C\",\"fields\":[{\"name\":\"u\",\"type\":\"string\"},{\"name\":\"i\",\"type\":[\"null\",\"string\"]},"
		"{\"name\":\"t\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},{\"name\":\"n\",\"type\":\"long\"}]}", NULL,
	{FIELD("u", TEXT, NONE), FIELD("i", TEXT, NONE), FIELD("t", TIMESTAMPTZ, ISO8601), FIELD("n", INT8, NONE)}},
	{"{\"type\":\"record\",\"name\":\"C\",\"fields\":[{\"name\":\"i\",\"type\":\"int\"},{\"name\":\"f\",\"type\":\"float\"},{\"name\":\"d\",\"type\":\"double\"},"
		"{\"name\":\"b\",\"type\":\"boolean\"},{\"name\":\"s\",\"type\":\"string\"},{\"name\":\"x\",\"type\":\"bytes\"},"
		"{\"name\":\"e\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]}},{\"name\":\"u\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":16}},"
		"{\"name\":\"m\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":500,\"scale\":3}},"
		"{\"name\":\"y\",\"type\":{\"type\":\"int\",\"logicalType\":\"date\"}},{\"name\":\"h\",\"type\":{\"type\":\"long\",\"logicalType\":\"time-micros\"}}]}", NULL,
	{FIELD("i", INT2, NONE), FIELD("f", FLOAT4, NONE), FIELD("d", FLOAT4, NONE), FIELD("b", BOOL, NONE), FIELD("s", UUID, NONE), FIELD("x", TEXT, NONE),
	FIELD("e", TEXT, NONE), FIELD("u", UUID, NONE), FIELD("m", NUMERIC, NONE), FIELD("y", DATE, NONE), FIELD("h", TEXT, NONE), FIELD("d", NUMERIC, NONE),
	FIELD("d", TIMESTAMPTZ, S), FIELD("i", TIMESTAMPTZ, MS), FIELD("s", TEXT, NONE), FIELD("m", JSONB, NONE)}},
	{"{\"type\":\"record\",\"name\":\"N\",\"fields\":[{\"name\":\"v\",\"type\":[\"null\",\"int\",\"string\",\"bytes\"]},{\"name\":\"k\",\"type\":{\"type\":\"array\",\"items\":\"N\"}},"
		"{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":[\"null\",\"N\"]}}]}", NULL,
	{FIELD("k", JSONB, NONE), FIELD("m", TEXT, NONE), FIELD("v", JSONB, NONE)}},
	{"{\"type\":\"record\",\"name\":\"N\",\"fields\":[{\"name\":\"z\",\"type\":{\"type\":\"array\",\"items\":\"null\"}},"
		"{\"name\":\"k\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"Z\",\"fields\":[]}}},{\"name\":\"n\",\"type\":\"int\"}]}",
		"{\"type\":\"record\",\"name\":\"N\",\"fields\":[{\"name\":\"k\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"Z\",\"fields\":["
		"{\"name\":\"d\",\"type\":\"string\",\"default\":\"some text that is repeated\"}]}}},{\"name\":\"n\",\"type\":\"double\"}]}",
	{FIELD("k", JSONB, NONE), FIELD("n", FLOAT8, NONE)}},
	{"{\"type\":\"record\",\"name\":\"W\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"b\",\"type\":[\"string\",\"null\",\"W\"]},"
		"{\"name\":\"old\",\"type\":\"long\"}]}},{\"name\":\"skip\",\"type\":{\"type\":\"map\",\"values\":{\"type\":\"array\",\"items\":[\"double\",\"A\"]}}}]}",
		"{\"type\":\"record\",\"name\":\"W\",\"fields\":[{\"name\":\"a\",\"type\":[\"null\",{\"type\":\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"b\",\"type\":[\"null\",\"bytes\"]},"
		"{\"name\":\"now\",\"aliases\":[\"old\"],\"type\":\"float\"},{\"name\":\"c\",\"type\":\"int\",\"default\":7}]}]},{\"name\":\"e\",\"type\":\"string\"}]}",
	{FIELD("a.b", TEXT, NONE), FIELD("a", JSONB, NONE), FIELD("a.now", FLOAT4, NONE), FIELD("a.c", INT4, NONE), FIELD("e", TEXT, NONE)}},
	{"{\"type\":\"record\",\"name\":\"A\",\"fields\":[{\"name\":\"s\",\"type\":{\"type\":\"array\",\"items\":[\"null\",\"string\"]}},"
		"{\"name\":\"l\",\"type\":[\"null\",{\"type\":\"array\",\"items\":\"long\"}]},{\"name\":\"z\",\"type\":{\"type\":\"array\",\"items\":\"null\"}},"
		"{\"name\":\"r\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"map\",\"values\":\"float\"}}}]}", NULL,
	{ITEMS("s", TEXT, NONE), ITEMS("l", INT2, NONE), ITEMS("l", TIMESTAMPTZ, MS), ITEMS("l", NUMERIC, NONE), ITEMS("z", UUID, NONE),
	ITEMS("r", TEXT, NONE), FIELD("l", JSONB, NONE)}},
};

static int
count_fields(const Pair *pair)
{
	int			n = 0;

	while (n < MAX_FIELDS && pair->fields[n].name != NULL)
		n++;
	return n;
}

/* The program of a pair, made once. */
static const FsAvroProgram *
program_of(int which)
{
	static FsAvroProgram *programs[NPAIRS];
	const Pair *pair = &pairs[which];
	FsAvroSource w = {pair->writer, strlen(pair->writer)};
	FsAvroSource r = {pair->reader, pair->reader != NULL ? strlen(pair->reader) : 0};
	char		message[FS_AVRO_MESSAGE_SIZE];
	FsAvroProblem problems[MAX_FIELDS];
	FsAvroSchema *writer;
	FsAvroSchema *reader;
	bool		too_long;

	if (programs[which] != NULL)
		return programs[which];
	writer = fs_avro_schema_parse(&w, 1, message);
	reader = pair->reader != NULL ? fs_avro_schema_parse(&r, 1, message) : NULL;
	require(writer != NULL && (reader != NULL || pair->reader == NULL), message);
	programs[which] = fs_avro_program_create(writer, reader, pair->fields, count_fields(pair), problems, &too_long);
	require(programs[which] != NULL, "program");
	for (int i = 0; i < count_fields(pair); i++)
		require(problems[i].kind == FS_AVRO_NO_PROBLEM, problems[i].detail);
	fs_avro_schema_free(writer);
	fs_avro_schema_free(reader);
	return programs[which];
}

/* JSON text reads as JSON: the other decoder says so. */
static void
check_json(const FsValue *value)
{
	static const FsField j = {"j", 1, FS_TYPE_JSONB, FS_UNIT_NONE};
	FsJsonDecoder *decoder = fs_json_decoder_create(&j, 1);
	char	   *text = malloc(value->len + 6);
	FsValue		read;
	FsDecodeError error;
	bool		ok;

	memcpy(text, "{\"j\":", 5);
	memcpy(text + 5, value->data, value->len);
	text[value->len + 5] = '}';
	ok = fs_json_decode(decoder, text, value->len + 6, &read, &error);
	require(ok || strstr(error.message, "deeper") != NULL, ok ? "" : error.message);
	free(text);
	fs_json_decoder_free(decoder);
}

/* The wire header of a value, and of one whose record has its first few bytes as the header of that name. */
static void
check_wire(const uint8_t *bytes, size_t size)
{
	size_t		cut = size > 0 ? bytes[0] % 24 : 0;
	char	   *header;
	FsWireHeader wire;
	const char *wrong = NULL;

	if (fs_wire_read((const char *) bytes, size, NULL, 0, &wire, &wrong))
		require(wire.datum <= size, "datum");
	else
		require(wrong != NULL, "what is wrong");
	if (cut > size)
		cut = size;
	header = malloc(cut > 0 ? cut : 1);
	require(header != NULL, "memory");
	memcpy(header, bytes, cut);
	wrong = NULL;
	if (fs_wire_read((const char *) bytes + cut, size - cut, header, cut, &wire, &wrong))
		require(wire.datum <= size - cut, "datum of a record with a header");
	else
		require(wrong != NULL, "what is wrong with the header");
	free(header);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FsAvroDecoder *used = NULL;
	const char *bytes = (const char *) data + 1;
	FsAvroDecoder *fresh = fs_avro_decoder_create();
	FsDecodeError error = {0};
	FsDecodeError other = {0};
	FsValue		a[MAX_FIELDS];
	FsValue		b[MAX_FIELDS];
	const Pair *pair;
	bool		ok;

	if (used == NULL)
		used = fs_avro_decoder_create();
	require(used != NULL && fresh != NULL, "memory");
	if (size > 0)
	{
		pair = &pairs[data[0] % NPAIRS];
		size--;
		fs_avro_decoder_reset(used);
		ok = fs_avro_decode(fresh, program_of(data[0] % NPAIRS), bytes, size, a, &error);
		require(fs_avro_decode(used, program_of(data[0] % NPAIRS), bytes, size, b, &other) == ok, "same answer");
		for (int i = 0; ok && i < count_fields(pair); i++)
		{
			check_value(pair->fields[i].type, &a[i]);
			require(is_same(pair->fields[i].type, &a[i], &b[i]), "same value");
			if (pair->fields[i].type == FS_TYPE_JSONB && a[i].presence == FS_PRESENT)
				check_json(&a[i]);
		}
		if (!ok)
		{
			require(error.reason == FS_REASON_MALFORMED || error.reason == FS_REASON_BAD_VALUE, "reason");
			require(error.field >= -1 && error.field < count_fields(pair) && error.position <= size, "place");
			require(strlen(error.message) > 0 && fs_utf8_valid_length(error.message, strlen(error.message)) == strlen(error.message) &&
					error.reason == other.reason && strcmp(error.message, other.message) == 0, "message");
		}
		check_wire((const uint8_t *) bytes, size);
	}
	fs_avro_decoder_free(fresh);
	return 0;
}

#ifdef FS_FUZZ_MAIN

#define MAX_SIZE 400

typedef struct Seed
{
	const char *bytes;
	size_t		len;
} Seed;

#define SEED(bytes) {bytes, sizeof(bytes) - 1}

static const Seed seeds[] = {
	SEED("\0\x0eu123456\2\x0ci98765\x96\xf8\xd1\xd1\xfa\x62\x54"),
	SEED("\1\x54\xcd\xcc\xcc\x3d\0\0\0\0\0\0\xf8\x3f\1\x48" "00112233-4455-6677-8899-aabbccddeeff\6abc\2" "0123456789abcdef\4\xff\x38\x9c\xab\1\x80\x10"),
	SEED("\1\x54\xcd\xcc\xcc\x3d\0\0\0\0\0\0\xf8\x3f\1\x48" "00112233-4455-6677-8899-aabbccddeeff\6abc\2" "0123456789abcdef\x50\x7f\xff\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x20\x21\x22\x23\x24\x25\x26\x9c\xab\1\x80\x10"),
	SEED("\2\2\x08\4\0\0\0\4\6\"\\\n\0\0\0\4\2a\0\2b\2\6\2\xe9\0\0\0"),
	SEED("\2\0\1\6\2\2\0\0\0\0"),
	SEED("\3\x80\1\0\6\0\x54"),
	SEED("\4\0\6abc\x54\2\2k\4" "\0" "\0\0\0\0\0\0\xf8\x3f" "\2\2\6" "\0\0"),
	SEED("\4\4\0\2z\2\0\7\0"),
};

/* Changes the record in place, once; returns its new size. */
static size_t
mutate(uint8_t *data, size_t size)
{
	static const uint8_t telling[] = {0, 1, 2, 3, 4, 6, 8, 0x7e, 0x7f, 0x80, 0x81, 0xfe, 0xff, 0x20, 0x40};
	size_t		at = next_random((uint32_t) size + 1);
	size_t		n = next_random(24);

	switch (next_random(5))
	{
		case 0:					/* replace a byte */
			if (at < size)
				data[at] = next_random(2) ? telling[next_random(sizeof(telling))] : (uint8_t) next_random(256);
			return size;
		case 1:					/* insert a byte */
			if (size == MAX_SIZE)
				return size;
			memmove(data + at + 1, data + at, size - at);
			data[at] = telling[next_random(sizeof(telling))];
			return size + 1;
		case 2:					/* delete some */
			if (n > size - at)
				n = size - at;
			memmove(data + at, data + at + n, size - at - n);
			return size - n;
		case 3:					/* repeat some */
			if (n > size - at || size + n > MAX_SIZE)
				return size;
			memmove(data + at + n, data + at, size - at);
			return size + n;
		default:				/* a long number */
			if (size + 10 > MAX_SIZE)
				return size;
			memmove(data + at + 10, data + at, size - at);
			memset(data + at, 0xff, 9);
			data[at + 9] = 1;
			return size + 10;
	}
}

/* A choice and a datum, mutated. */
static size_t
make_record(uint8_t *data)
{
	const Seed *seed = &seeds[next_random(LENGTH_OF(seeds))];

	return mutate_seed(data, seed->bytes, seed->len, 4, mutate);
}

int
main(int argc, char **argv)
{
	return run_mutations(argc, argv, "fuzz_avro", 100000, make_record, MAX_SIZE);
}

#endif							/* FS_FUZZ_MAIN */
