/*
 * fuzz_avro_compat.c
 *		Any bytes at all as two Avro schemas, with a zero byte between them.
 *
 * With libFuzzer: clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc
 * test/fuzz/fuzz_avro_compat.c, all files of src/core, -lm.  With -DFS_FUZZ_MAIN
 * and any compiler: a driver that mutates a few schemas at random, [seed [rounds]].
 *
 * A verdict goes with what is told; a schema reads what it wrote itself.
 */
#include "core/avro_canonical.h"
#include "core/avro_compat.h"

#include "fuzz.h"

static void
check_text(const char *text)
{
	require(text[0] != '\0', "not empty");
	for (const char *c = text; *c != '\0'; c++)
		require((unsigned char) *c >= 0x20 && (unsigned char) *c < 0x7f, "ASCII");
}

/* Judges a pair and looks at what is told; is the reader's field ambiguous, or the pair too large? */
static FsAvroVerdict
check_pair(const FsAvroSchema *reader, const FsAvroSchema *writer, bool *is_special)
{
	FsAvroConflicts conflicts = {0};
	FsAvroVerdict verdict = fs_avro_compat_check(reader, writer, "reader", "writer", &conflicts);

	require(verdict != FS_AVRO_NO_MEMORY, "memory");
	require(verdict != FS_AVRO_COMPATIBLE || conflicts.count == 0, "nothing to tell");
	require(verdict != FS_AVRO_INCOMPATIBLE || conflicts.count > 0, "something to tell");
	for (int i = 0; i < conflicts.count; i++)
	{
		require(conflicts.items[i].path[0] == '$', "path");
		check_text(conflicts.items[i].path);
		check_text(conflicts.items[i].sentence);
	}
	*is_special = verdict == FS_AVRO_TOO_LARGE ||
		(conflicts.count == 1 && strstr(conflicts.items[0].sentence, "several fields") != NULL);
	fs_avro_conflicts_free(&conflicts);
	return verdict;
}

/* The canonical form is the whole one without something. */
static void
check_forms(const FsAvroSchema *schema)
{
	FsBuffer	form = {0};
	FsBuffer	whole = {0};

	require(fs_avro_canonical_write(&form, schema, false) &&
			fs_avro_canonical_write(&whole, schema, true), "memory");
	require(form.len > 0 && form.len <= whole.len, "the whole form is longer");
	fs_buffer_free(&form);
	fs_buffer_free(&whole);
}

static FsAvroSchema *
parse(const uint8_t *data, size_t size)
{
	FsAvroSource source = {(const char *) data, size};
	char		message[FS_AVRO_MESSAGE_SIZE];

	return fs_avro_schema_parse(&source, 1, message);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *zero = size == 0 ? NULL : memchr(data, 0, size);
	size_t		first = zero == NULL ? size : (size_t) (zero - data);
	FsAvroSchema *reader = parse(data, first);
	FsAvroSchema *writer = zero == NULL ? NULL : parse(zero + 1, size - first - 1);
	bool		is_special;

	if (reader != NULL)
	{
		check_forms(reader);
		require(check_pair(reader, reader, &is_special) == FS_AVRO_COMPATIBLE || is_special,
				"it reads what it wrote");
	}
	if (reader != NULL && writer != NULL)
	{
		check_pair(reader, writer, &is_special);
		check_pair(writer, reader, &is_special);
	}
	fs_avro_schema_free(reader);
	fs_avro_schema_free(writer);
	return 0;
}

#ifdef FS_FUZZ_MAIN

#define MAX_SIZE 2048

#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"
#define LINK "{\"name\":\"b\",\"aliases\":[\"c\"],\"type\":[\"null\",\"R\",\"n.S\"],\"default\":null}"

static const char *const seeds[] = {
	"[\"null\",\"int\",\"string\"]", "{\"type\":\"array\",\"items\":\"long\"}", "{\"type\":\"map\",\"values\":[\"null\",\"bytes\"]}",
	"{\"type\":\"record\",\"name\":\"R\",\"fields\":[" FIELD("a", "\"int\"") "," FIELD("b", "[\"null\",\"R\"]") "]}",
	"{\"type\":\"record\",\"name\":\"R\",\"aliases\":[\"S\"],\"fields\":["
	FIELD("a", "{\"type\":\"record\",\"name\":\"n.S\",\"fields\":[" FIELD("c", "[\"null\",\"R\"]") "," FIELD("d", "\"n.S\"") "]}") "," LINK "]}",
	"{\"type\":\"record\",\"name\":\"R\",\"fields\":["
	FIELD("a", "{\"type\":\"record\",\"name\":\"n.S\",\"aliases\":[\"R\"],\"fields\":[" FIELD("c", "[\"null\",\"R\",\"S\"]") "]}") ","
	FIELD("c", "{\"type\":\"array\",\"items\":\"n.S\"}") "," LINK "]}",
	"[{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"],\"default\":\"A\"},{\"type\":\"fixed\",\"name\":\"F\",\"size\":4},"
	"{\"type\":\"record\",\"name\":\"R\",\"fields\":[" FIELD("a", "\"E\"") "," FIELD("b", "\"F\"") "," FIELD("c", "\"R\"") "]}]",
};

/* What takes the place of a word in quotes. */
static const char *const words[] = {
	"null", "int", "long", "float", "double", "bytes", "string", "record", "enum", "array", "map",
	"name", "aliases", "default", "R", "S", "n.S", "n.R", "E", "F", "a", "b", "c", "d", "A", "B"
};

/* Replaces a word in quotes by another, or (seldom) a byte; the new size. */
static size_t
mutate(uint8_t *data, size_t size)
{
	const char *word = words[next_random(LENGTH_OF(words))];
	size_t		start = next_random((uint32_t) size);
	size_t		end = start;

	if (next_random(20) == 0)
	{
		data[start] = (uint8_t) (next_random(255) + 1);
		return size;
	}
	while (start > 0 && data[start - 1] != '"')
		start--;
	while (end < size && data[end] != '"')
		end++;
	if (start == 0 || end == size || size - (end - start) + strlen(word) > MAX_SIZE / 2)
		return size;
	memmove(data + start + strlen(word), data + end, size - end);
	memcpy(data + start, word, strlen(word));
	return size - (end - start) + strlen(word);
}

/* A schema, mutated. */
static size_t
make_schema(uint8_t *data)
{
	return mutate_text(data, seeds, LENGTH_OF(seeds), 4, mutate);
}

/* Two of them. */
static size_t
make_pair(uint8_t *data)
{
	size_t		size = make_schema(data);

	data[size++] = '\0';
	return size + make_schema(data + size);
}

int
main(int argc, char **argv)
{
	return run_mutations(argc, argv, "fuzz_avro_compat", 50000, make_pair, MAX_SIZE);
}

#endif							/* FS_FUZZ_MAIN */
