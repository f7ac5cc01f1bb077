/*
 * fuzz_json.c
 *		Any bytes at all through the JSON decoder.
 *
 * With libFuzzer: clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc
 * test/fuzz/fuzz_json.c src/core/{decode_json,json_decoder,json_nested,json_scan,json_column,array_value,buffer,
 * scratch,number,time_text,utf8}.c.  With -DFS_FUZZ_MAIN and any compiler: a driver that
 * mutates a few records at random, [seed [rounds]].
 *
 * Beyond not crashing: a decoder that has seen many records says the same of
 * one as a decoder that has seen none, and whatever it says keeps the promises
 * of core/decode.h and core/value.h.
 */
#include "core/decode.h"

#include "fuzz.h"

#define NFIELDS 21

static const FsField fields[NFIELDS] = {
	{"t", 1, FS_TYPE_TEXT, FS_UNIT_NONE},
	{"i2", 2, FS_TYPE_INT2, FS_UNIT_NONE},
	{"i4", 2, FS_TYPE_INT4, FS_UNIT_NONE},
	{"i8", 2, FS_TYPE_INT8, FS_UNIT_NONE},
	{"f4", 2, FS_TYPE_FLOAT4, FS_UNIT_NONE},
	{"f8", 2, FS_TYPE_FLOAT8, FS_UNIT_NONE},
	{"n", 1, FS_TYPE_NUMERIC, FS_UNIT_NONE},
	{"b", 1, FS_TYPE_BOOL, FS_UNIT_NONE},
	{"s", 1, FS_TYPE_TIMESTAMPTZ, FS_UNIT_S},
	{"ms", 2, FS_TYPE_TIMESTAMPTZ, FS_UNIT_MS},
	{"us", 2, FS_TYPE_TIMESTAMPTZ, FS_UNIT_US},
	{"iso", 3, FS_TYPE_TIMESTAMPTZ, FS_UNIT_ISO8601},
	{"d", 1, FS_TYPE_DATE, FS_UNIT_NONE},
	{"u", 1, FS_TYPE_UUID, FS_UNIT_NONE},
	{"j", 1, FS_TYPE_JSONB, FS_UNIT_NONE},
	{"j", 1, FS_TYPE_JSONB, FS_UNIT_NONE},
	{"j.t", 3, FS_TYPE_TEXT, FS_UNIT_NONE},
	{"j.j.i4", 6, FS_TYPE_INT4, FS_UNIT_NONE},
	{"j.j.a", 5, (FsType) (FS_TYPE_TEXT | FS_TYPE_ARRAY), FS_UNIT_NONE},
	{"a", 1, (FsType) (FS_TYPE_FLOAT8 | FS_TYPE_ARRAY), FS_UNIT_NONE},
	{"a", 1, (FsType) (FS_TYPE_TIMESTAMPTZ | FS_TYPE_ARRAY), FS_UNIT_S}
};

/* Decodes with a new decoder and with one that has seen much. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FsJsonDecoder *used = NULL;
	FsJsonDecoder *fresh = fs_json_decoder_create(fields, NFIELDS);
	FsValue		a[NFIELDS];
	FsValue		b[NFIELDS];
	FsDecodeError error = {0};
	FsDecodeError other = {0};
	const char *bytes = size > 0 ? (const char *) data : "";
	bool		ok;

	if (used == NULL)
		used = fs_json_decoder_create(fields, NFIELDS);
	require(used != NULL && fresh != NULL, "memory");
	fs_json_decoder_reset(used);
	ok = fs_json_decode(fresh, bytes, size, a, &error);
	for (int round = 0; round < 2; round++)
		require(fs_json_decode(used, bytes, size, b, &other) == ok, "same answer");
	for (int i = 0; ok && i < NFIELDS; i++)
	{
		check_value(fields[i].type, &a[i]);
		require(is_same(fields[i].type, &a[i], &b[i]), "same value");
	}
	if (!ok)
	{
		require(error.reason == FS_REASON_MALFORMED ||
				error.reason == FS_REASON_BAD_VALUE, "reason");
		require(error.field >= -1 && error.field < NFIELDS, "field");
		require(error.position <= size, "position");
		require(strlen(error.message) > 0 &&
				fs_utf8_valid_length(error.message, strlen(error.message)) ==
				strlen(error.message), "message");
		require(error.reason == other.reason && error.field == other.field &&
				strcmp(error.message, other.message) == 0, "same error");
	}
	fs_json_decoder_free(fresh);
	return 0;
}

#ifdef FS_FUZZ_MAIN

#define MAX_SIZE 600

static const char *const seeds[] = {
	"{\"t\": \"u123456\", \"i4\": 98765, \"s\": 1700000000.123, \"x\": \"shoes\"}",
	"{\"t\":\"\\u00e9\\ud83d\\ude00\\n\",\"b\":true,\"n\":-1.50e3,\"f8\":5e-324}",
	"{\"iso\":\"2023-11-14T22:13:20.123+01:30\",\"d\":\"2024-02-29\",\"i2\":-32768}",
	"{\"u\":\"00112233-4455-6677-8899-aabbccddeeff\",\"f4\":3.4e38,\"ms\":-1.5}",
	"{\"j\":{\"a\":[1,{\"b\":null}],\"c\":\"\\u0041\"},\"us\":1e15,\"i8\":9223372036854775807}",
	"{\"j\":{\"t\":\"x\",\"j\":{\"i4\":-7,\"a\":[\"a\",null,\"\\u0041\"]}},\"a\":[1,2.5,null]}",
	"{\"j\":null,\"j\":{\"j\":{\"a\":[]},\"t\":null},\"j.t\":\"flat\",\"a\":[]}",
	"{\"x\":[[[{}]]],\"t\":null,\"t\":\"\xd0\xb6\",\"i4\":1.5,\"i4\":2}"
};

/* Changes the record in place, once; returns its new size. */
static size_t
mutate(uint8_t *data, size_t size)
{
	static const char alphabet[] = "{}[]\",:\\/ue0123456789.-+ntfalsr \t\n\x01\x80\xc3\xed\xff";
	const char *other = seeds[next_random(LENGTH_OF(seeds))];
	size_t		at = next_random((uint32_t) size + 1);
	size_t		n;

	switch (next_random(5))
	{
		case 0:					/* replace a byte */
			return replace_byte(data, size, at, alphabet, sizeof(alphabet));
		case 1:					/* insert a byte */
			if (size == MAX_SIZE)
				return size;
			memmove(data + at + 1, data + at, size - at);
			data[at] = (uint8_t) alphabet[next_random(sizeof(alphabet))];
			return size + 1;
		case 2:					/* delete some */
			return cut_piece(data, size, at, 8);
		case 3:					/* repeat some */
			n = next_random(32);
			if (n > size - at || size + n > MAX_SIZE)
				return size;
			memmove(data + at + n, data + at, size - at);
			return size + n;
		default:				/* go on as another record does */
			n = next_random((uint32_t) strlen(other) + 1);
			if (at + strlen(other) - n > MAX_SIZE)
				return size;
			memcpy(data + at, other + n, strlen(other) - n);
			return at + strlen(other) - n;
	}
}

/* A record, mutated. */
static size_t
make_record(uint8_t *data)
{
	return mutate_text(data, seeds, LENGTH_OF(seeds), 4, mutate);
}

int
main(int argc, char **argv)
{
	return run_mutations(argc, argv, "fuzz_json", 200000, make_record, MAX_SIZE);
}

#endif							/* FS_FUZZ_MAIN */
