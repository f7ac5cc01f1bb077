/*
 * fuzz_avro_encode.c
 *		What the Avro decoder reads, written again and read again; and any JSON at
 *		all, written.
 *
 * With libFuzzer: clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc
 * test/fuzz/fuzz_avro_encode.c, all files of src/core, -lm.  With -DFS_FUZZ_MAIN and
 * any compiler: a driver that mutates a few inputs at random, [seed [rounds]].
 *
 * The first byte chooses a schema, its last bit whether the rest is a record or the
 * JSON for the whole of a field.  Beyond not crashing: what is written is read, a record
 * that was read comes to the same values, and a refusal keeps its promises.
 */
#include "core/avro_encode.h"
#include "core/avro_resolve.h"

#include "fuzz.h"

#define MAX_FIELDS 16
#define NSCHEMAS 3

/* A schema and columns; the first column is a jsonb. */
typedef struct Shape
{
	const char *schema;
	FsField		fields[MAX_FIELDS];
} Shape;

#define FIELD(name, type, unit) {name, sizeof(name) - 1, FS_TYPE_ ## type, FS_UNIT_ ## unit}
#define ITEMS(name, type) {name, sizeof(name) - 1, FS_TYPE_ ## type | FS_TYPE_ARRAY, FS_UNIT_NONE}
#define F(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define L(type, logical) "{\"type\":\"" type "\",\"logicalType\":\"" logical "\"}"
#define D(precision, scale) "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":" precision ",\"scale\":" scale "}"
#define ANY "[\"null\",\"boolean\",\"int\",\"double\",\"string\",{\"type\":\"array\",\"items\":\"Any\"},{\"type\":\"map\",\"values\":[\"Any\",\"float\"]},\"Any\"]"

static const Shape shapes[NSCHEMAS] = {
	{"{\"type\":\"record\",\"name\":\"A\",\"fields\":[" F("j", "[\"null\",{\"type\":\"record\",\"name\":\"Any\",\"fields\":[{\"name\":\"v\",\"type\":" ANY "},"
		"{\"name\":\"d\",\"type\":\"string\",\"default\":\"x\"}]},{\"type\":\"map\",\"values\":\"long\"}]") ","
		F("s", "[\"string\",\"null\"]") "," F("l", "\"long\"") "," F("m", L("long", "timestamp-millis")) "," F("u", L("long", "timestamp-micros")) "," F("f", "\"float\"") ","
		F("g", "\"double\"") "," F("b", "\"boolean\"") "," F("t", L("int", "time-millis")) "," F("e", "{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"S\",\"T\"]}") "]}",
	{FIELD("j", JSONB, NONE), FIELD("s", TEXT, NONE), FIELD("l", INT8, NONE), FIELD("m", TIMESTAMPTZ, NONE), FIELD("u", TIMESTAMPTZ, NONE), FIELD("f", FLOAT4, NONE),
	FIELD("g", FLOAT8, NONE), FIELD("b", BOOL, NONE), FIELD("t", TEXT, NONE), FIELD("e", TEXT, NONE)}},
	{"{\"type\":\"record\",\"name\":\"B\",\"fields\":[" F("j", "[" L("int", "date") ",{\"type\":\"fixed\",\"name\":\"X\",\"size\":3}," L("long", "timestamp-micros") "," D("30", "9")
		",{\"type\":\"array\",\"items\":[" L("long", "local-timestamp-millis") ",\"boolean\",\"string\"]}]") ","
		F("d", D("30", "9")) "," F("u", L("string", "uuid")) "," F("x", "{\"type\":\"fixed\",\"name\":\"Y\",\"size\":16}") "," F("c", "\"string\"") "," F("i", L("int", "date")) ","
		F("p", "{\"type\":\"fixed\",\"name\":\"P\",\"size\":12,\"logicalType\":\"duration\"}") "," F("z", "{\"type\":\"fixed\",\"name\":\"Z\",\"size\":5,\"logicalType\":\"decimal\",\"precision\":11}") "]}",
	{FIELD("j", JSONB, NONE), FIELD("d", NUMERIC, NONE), FIELD("u", UUID, NONE), FIELD("x", UUID, NONE), FIELD("c", TEXT, NONE), FIELD("i", DATE, NONE), FIELD("p", TEXT, NONE),
	FIELD("z", NUMERIC, NONE)}},
	{"{\"type\":\"record\",\"name\":\"C\",\"fields\":[" F("j", "{\"type\":\"map\",\"values\":[\"null\",\"bytes\",\"int\",\"long\"]}") ","
		F("r", "[\"null\",{\"type\":\"record\",\"name\":\"R\",\"fields\":[" F("a", "[\"null\",\"string\"]") "," F("b", "{\"type\":\"array\",\"items\":[\"null\",\"long\"]}") ","
		F("c", "[\"null\",\"C\"]") "]}]") "," F("t", "{\"type\":\"array\",\"items\":\"string\"}") "," F("n", "[\"null\",\"float\",\"double\"]") "]}",
	{FIELD("j", JSONB, NONE), FIELD("r.a", TEXT, NONE), ITEMS("r.b", INT8), ITEMS("t", TEXT), FIELD("n", FLOAT8, NONE)}},
};

/* What is made of a shape, once. */
typedef struct Made
{
	int			n;
	FsAvroSchema *schema;
	FsAvroProgram *program;
	FsAvroEncoder *encoder;
} Made;

static const Made *
make(int which)
{
	static Made all[NSCHEMAS];
	const Shape *shape = &shapes[which];
	Made	   *made = &all[which];
	FsAvroSource source = {shape->schema, strlen(shape->schema)};
	char		message[FS_AVRO_MESSAGE_SIZE];
	FsAvroProblem problems[MAX_FIELDS];
	FsAvroEncodeError error;
	bool		too_long;

	if (made->schema != NULL)
		return made;
	while (made->n < MAX_FIELDS && shape->fields[made->n].name != NULL)
		made->n++;
	made->schema = fs_avro_schema_parse(&source, 1, message);
	require(made->schema != NULL, message);
	made->program = fs_avro_program_create(made->schema, NULL, shape->fields, made->n, problems, &too_long);
	made->encoder = fs_avro_encoder_create(made->schema, NULL, shape->fields, made->n, &error);
	require(made->program != NULL && made->encoder != NULL, "program and encoder");
	for (int i = 0; i < made->n; i++)
		require(problems[i].kind == FS_AVRO_NO_PROBLEM && fs_avro_encoder_has(made->encoder, i), problems[i].detail);
	return made;
}

/* Writes the values; false for a refusal, which keeps its promises. */
static bool
write_values(const Made *made, const FsValue *values, FsBuffer *out)
{
	FsAvroEncodeError error;

	if (fs_avro_encode(made->encoder, values, out, &error))
		return true;
	require(error.trouble != FS_AVRO_NO_MEMORY && error.field >= -1 && error.field < made->n && strlen(error.message) > 0 &&
			fs_utf8_valid_length(error.message, strlen(error.message)) == strlen(error.message), "refusal");
	return false;
}

/* A record that was read, written: it reads as the same values. */
static void
write_again(const Made *made, const FsField *fields, const FsValue *values)
{
	FsAvroDecoder *decoder = fs_avro_decoder_create();
	FsBuffer	out = {0};
	FsValue		again[MAX_FIELDS];
	FsDecodeError error = {0};
	bool		ok = write_values(made, values, &out);

	/* only dates have no form as text that is read: of years beyond 9999 */
	require(ok || values[0].presence == FS_PRESENT, "what was read is written");
	if (ok)
	{
		require(fs_avro_decode(decoder, made->program, out.data, out.len, again, &error), error.message);
		for (int i = 0; i < made->n; i++)
			require(is_same(fields[i].type, &values[i], &again[i]), fields[i].name);
	}
	fs_buffer_free(&out);
	fs_avro_decoder_free(decoder);
}

/* Text as the first column, which the others need not follow. */
static void
write_text(const Made *made, const char *text, size_t len)
{
	FsValue		values[MAX_FIELDS] = {{.presence = FS_PRESENT, .len = (uint32_t) len, .data = text}};
	FsBuffer	out = {0};

	if (fs_utf8_valid_length(text, len) == len)
		(void) write_values(made, values, &out);
	fs_buffer_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *) data + 1;
	FsAvroDecoder *decoder = fs_avro_decoder_create();
	FsDecodeError error;
	FsValue		values[MAX_FIELDS];

	require(decoder != NULL, "memory");
	if (size > 0)
	{
		int			which = (data[0] >> 1) % NSCHEMAS;
		const Made *made = make(which);

		if (data[0] & 1)
			write_text(made, bytes, size - 1);
		else if (fs_avro_decode(decoder, made->program, bytes, size - 1, values, &error))
			write_again(made, shapes[which].fields, values);
	}
	fs_avro_decoder_free(decoder);
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
	SEED("\0\2\x06\0\0\0\0\0\0\xe0\x3f\2x" "\0\4ab\x7f\x80\1\x90\3\0\0\x80\x3f\0\0\0\0\0\0\xe0\x3f\1\x80\x02\2"),
	SEED("\0\4\2\2v\2\0" "\0\4ab\x7f\x80\1\x90\3\0\0\x80\x3f\0\0\0\0\0\0\xe0\x3f\1\x80\x02\2"),
	SEED("\1{\"v\":{\"v\":[{\"v\":1,\"d\":\"y\"}],\"d\":\"z\"}}"),
	SEED("\1{\"v\":{\"k\":0.1,\"l\":null}}"),
	SEED("\2\x08\4\0\2\2\1\0\4\1\2\x48" "00112233-4455-6677-8899-aabbccddeeff" "0123456789abcdef\4ab\2\1\0\0\0\2\0\0\0\3\0\0\0\0\0\0\0\7"),
	SEED("\2\4\x90\x91\x92\x93\7\2\5\x48" "00112233-4455-6677-8899-aabbccddeeff" "0123456789abcdef\0\3\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\x80"),
	SEED("\3[\"1970-01-01T00:00:00.001\",true,\"x\"]"),
	SEED("\3\"abc\""), SEED("\3-1.25e3"), SEED("\3\"2024-02-29\""),
	SEED("\2\x08\2\4\x14" "1970-01-01" "\0\2\5\x48" "00112233-4455-6677-8899-aabbccddeeff" "0123456789abcdef\0\3\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\x80"),
	SEED("\4\2\2k\2\4\x01\x02\0" "\0" "\4\2a\0\0" "\4\x9a\x99\x99\x99\x99\x99\xb9\x3f"),
	SEED("\4\2\2k\6\x80\x80\x80\x80\x80\1\0" "\2\2\4xy\4\2\5\0\0\0" "\0" "\0"),
	SEED("\5{\"a\":\"\\u00ff\",\"b\":9223372036854775807,\"c\":null}"),
};

/* Changes the input in place, once; returns its new size. */
static size_t
mutate(uint8_t *data, size_t size)
{
	static const char *const words[] = {"null", "{\"v\":", "[", "}", "1e9", "\"\\u0000\"", ",", "\xff", "\x80\1", "\2\2", "-0.5"};
	size_t		at = 1 + next_random((uint32_t) size);

	switch (next_random(4))
	{
		case 0:
			if (at < size)
				data[at] = (uint8_t) next_random(256);
			return size;
		case 1:
			return replace_byte(data, size, at, "\0\1\2\4\6\x08\x7f\x80\xff{}[]\",:019", 19);
		case 2:
			return at < size ? cut_piece(data, size, at, 12) : size;
		default:
			return insert_word(data, size, MAX_SIZE, at < size ? at : size, words[next_random(LENGTH_OF(words))]);
	}
}

/* A choice and an input, mutated. */
static size_t
make_input(uint8_t *data)
{
	const Seed *seed = &seeds[next_random(LENGTH_OF(seeds))];

	return mutate_seed(data, seed->bytes, seed->len, 4, mutate);
}

/* A seed that is refused would try nothing. */
static void
check_seeds(void)
{
	FsAvroDecoder *decoder = fs_avro_decoder_create();
	FsDecodeError error = {0};
	FsValue		values[MAX_FIELDS];

	for (uint32_t i = 0; i < LENGTH_OF(seeds); i++)
		if ((seeds[i].bytes[0] & 1) == 0)
			require(fs_avro_decode(decoder, make(seeds[i].bytes[0] >> 1)->program, seeds[i].bytes + 1, seeds[i].len - 1,
								   values, &error), error.message);
	fs_avro_decoder_free(decoder);
}

int
main(int argc, char **argv)
{
	check_seeds();
	return run_mutations(argc, argv, "fuzz_avro_encode", 100000, make_input, MAX_SIZE);
}

#endif							/* FS_FUZZ_MAIN */
