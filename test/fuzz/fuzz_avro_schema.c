/*
 * fuzz_avro_schema.c
 *		Any bytes at all as an Avro schema.
 *
 * With libFuzzer: clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc
 * test/fuzz/fuzz_avro_schema.c, all files of src/core, -lm.  With -DFS_FUZZ_MAIN
 * and any compiler: a driver that mutates a few schemas at random, [seed [rounds]].
 *
 * A schema that is refused says why; one that is accepted keeps its promises,
 * and programs can be made of it, for itself and against itself.
 */
#include "core/avro_resolve.h"

#include "fuzz.h"

#define NFIELDS 4

static const FsField fields[NFIELDS] = {
	{"a", 1, FS_TYPE_TEXT, FS_UNIT_NONE},
	{"a.b", 3, FS_TYPE_INT4, FS_UNIT_NONE},
	{"b", 1, FS_TYPE_JSONB, FS_UNIT_NONE},
	{"c.d.e", 5, FS_TYPE_TIMESTAMPTZ, FS_UNIT_ISO8601}
};

/* All links of the graph lead somewhere. */
static void
check_graph(const FsAvroSchema *schema)
{
	require(schema->root >= 0 && schema->root < schema->nnodes, "root");
	for (int n = 0; n < schema->nnodes; n++)
	{
		const FsAvroNode *node = &schema->nodes[n];
		int			count = 0;

		require(fs_avro_is_named(node->type) == (node->name != NULL), "named types have names");
		for (int i = node->first; i >= 0; i = schema->members[i].next)
		{
			const FsAvroMember *member = &schema->members[i];

			require(i < schema->nmembers, "member");
			require((member->node >= 0) == (node->type != FS_AVRO_ENUM) && member->node < schema->nnodes, "type of a member");
			require(!member->has_default || member->default_bytes != NULL, "default");
			require(member->aliases.first + member->aliases.count <= schema->nstrings, "aliases");
			count++;
		}
		require(count == node->count, "count");
		require(node->default_symbol < count, "symbol");
	}
}

/* Makes a program and decodes a datum of zeros, which may be anything. */
static void
check_program(const FsAvroSchema *schema, const FsAvroSchema *reader)
{
	FsAvroProblem problems[NFIELDS];
	FsValue		values[NFIELDS];
	FsDecodeError error;
	bool		too_long;
	FsAvroProgram *program = fs_avro_program_create(schema, reader, fields, NFIELDS, problems, &too_long);
	FsAvroDecoder *decoder = fs_avro_decoder_create();

	require(program != NULL || too_long, "memory");
	for (int i = 0; i < NFIELDS && program != NULL; i++)
		require((problems[i].kind == FS_AVRO_NO_PROBLEM) == (problems[i].detail[0] == '\0'), "a problem has a sentence");
	if (program != NULL)
		fs_avro_decode(decoder, program, "\0\0\0\0\0\0\0\0\0\0\0\0", 12, values, &error);
	fs_avro_decoder_free(decoder);
	fs_avro_program_free(program);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FsAvroSource source = {(const char *) data, size};
	char		message[FS_AVRO_MESSAGE_SIZE];
	FsAvroSchema *schema = fs_avro_schema_parse(&source, 1, message);

	if (schema == NULL)
	{
		require(strlen(message) > 0 && fs_utf8_valid_length(message, strlen(message)) == strlen(message), "message");
		return 0;
	}
	check_graph(schema);
	check_program(schema, NULL);
	check_program(schema, schema);
	fs_avro_schema_free(schema);
	return 0;
}

#ifdef FS_FUZZ_MAIN

#define MAX_SIZE 1000

static const char *const seeds[] = {
	"{\"type\":\"record\",\"name\":\"n.R\",\"aliases\":[\"Q\"],\"fields\":[{\"name\":\"a\",\"type\":[\"null\",\"R\"],\"default\":null},"
	"{\"name\":\"b\",\"aliases\":[\"c\"],\"type\":{\"type\":\"array\",\"items\":\"R\"},\"default\":[]}]}",
	"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"],\"default\":\"A\"},\"default\":\"B\"},"
	"{\"name\":\"b\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":2,\"logicalType\":\"decimal\",\"precision\":3},\"default\":\"\\u00ff\xc3\xbf\"},{\"name\":\"c\",\"type\":\"E\"}]}",
	"{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"c\",\"type\":{\"type\":\"record\",\"name\":\"S\",\"fields\":[{\"name\":\"d\",\"type\":"
	"[\"null\",{\"type\":\"record\",\"name\":\"T\",\"fields\":[{\"name\":\"e\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"},\"default\":7}]}],\"default\":null}]},\"default\":{}}]}",
	"[\"null\",{\"type\":\"map\",\"values\":[\"int\",\"bytes\",\"double\"]},{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":9,\"scale\":2}]",
};

static const char *const words[] = {
	"null", "int", "long", "float", "double", "bytes", "string", "record", "enum", "fixed", "array", "map",
	"type", "name", "namespace", "aliases", "fields", "symbols", "items", "values", "size", "default", "R", "E", "F", "a", "b"
};

/* Replaces the word in quotes that 'at' is in by another, as JSON stays JSON that way; its new size. */
static size_t
swap_word(uint8_t *data, size_t size, size_t at)
{
	const char *word = words[next_random(LENGTH_OF(words))];
	size_t		start = at;
	size_t		end = at;

	while (start > 0 && data[start - 1] != '"')
		start--;
	while (end < size && data[end] != '"')
		end++;
	if (size - (end - start) + strlen(word) > MAX_SIZE)
		return size;
	memmove(data + start + strlen(word), data + end, size - end);
	memcpy(data + start, word, strlen(word));
	return size - (end - start) + strlen(word);
}

/* Changes the schema in place, once; returns its new size. */
static size_t
mutate(uint8_t *data, size_t size)
{
	static const char alphabet[] = "{}[]\",:\\u0123456789.-_aRE \x01\xc3\xff";
	size_t		at = next_random((uint32_t) size + 1);
	size_t		n;

	switch (next_random(4))
	{
		case 0:
			return replace_byte(data, size, at, alphabet, sizeof(alphabet));
		case 1:
			return cut_piece(data, size, at, 20);
		case 2:
			n = next_random(100);
			if (n > size - at || size + n > MAX_SIZE)
				return size;
			memmove(data + at + n, data + at, size - at);
			return size + n;
		default:
			return swap_word(data, size, at);
	}
}

/* A schema, mutated. */
static size_t
make_schema(uint8_t *data)
{
	return mutate_text(data, seeds, LENGTH_OF(seeds), 5, mutate);
}

int
main(int argc, char **argv)
{
	return run_mutations(argc, argv, "fuzz_avro_schema", 50000, make_schema, MAX_SIZE);
}

#endif							/* FS_FUZZ_MAIN */
