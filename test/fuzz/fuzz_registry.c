/*
 * fuzz_registry.c
 *		Any bytes at all as the answer of a schema registry.
 *
 * With libFuzzer: clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc
 * test/fuzz/fuzz_registry.c, all files of src/core, -lm.  With -DFS_FUZZ_MAIN and
 * any compiler: a driver that mutates a few answers at random, [seed [rounds]].
 *
 * An answer is a schema, "there is none" for a 404 alone, or trouble with a
 * reason; what it holds are valid texts.
 */
#include "core/registry_answer.h"
#include "fuzz.h"

/* It is there, and UTF-8. */
static void
require_text(const char *text, const char *what)
{
	require(text != NULL && fs_utf8_valid_length(text, strlen(text)) == strlen(text), what);
}

/* The answer keeps its promises. */
static void
check_answer(const FsRegistryAnswer *answer, int status)
{
	switch (answer->verdict)
	{
		case FS_REGISTRY_SCHEMA:
			require(status == 200, "a schema comes with status 200");
			require_text(answer->schema, "the schema is text");
			require_text(answer->type, "the type is text");
			require(answer->nreferences >= 0 && answer->nreferences <= FS_REGISTRY_MAX_REFERENCES, "references are bounded");
			for (int i = 0; i < answer->nreferences; i++)
			{
				require_text(answer->references[i].subject, "a subject is text");
				require(answer->references[i].version > 0, "versions count from 1");
			}
			break;
		case FS_REGISTRY_UNKNOWN:
			require(status == 404, "only a 404 says that there is none");
			break;
		case FS_REGISTRY_TROUBLE:
			require(answer->message[0] != '\0', "trouble has a reason");
			require_text(answer->message, "which is text");
			break;
	}
}

/* The first two bytes say how it was answered, and to what. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = {200, 200, 200, 404, 404, 500, 302, 401};
	FsRegistryAnswer answer;
	int			status;

	if (size < 2)
		return 0;
	status = statuses[data[0] % (sizeof(statuses) / sizeof(statuses[0]))];
	fs_registry_answer_read(&answer, status, (data[1] & 1) != 0, (const char *) data + 2, size - 2);
	check_answer(&answer, status);
	fs_registry_answer_free(&answer);
	return 0;
}

#ifdef FS_FUZZ_MAIN

#define MAX_SIZE 4096

static const char *const seeds[] = {
	"\x01" "a{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"R\\\",\\\"fields\\\":[]}\",\"schemaType\":\"AVRO\",\"id\":7}",
	"\x01" "a{\"schema\":\"\\u00fc\\ud83d\\ude00\",\"references\":[{\"name\":\"a\",\"subject\":\"b\",\"version\":1},{\"name\":\"c\",\"subject\":\"d\\/e\",\"version\":22}]}",
	"\x03" "a{\"error_code\":40403,\"message\":\"Schema not found\"}",
	"\x04" "b{\"error_code\":40402,\"message\":\"Version not found\"}",
	"\x05" "a{\"error_code\":50001,\"message\":\"no storage\"}"
};

/* Changes the answer in place, once; returns its new size. */
static size_t
mutate(uint8_t *data, size_t size)
{
	static const char alphabet[] = "{}[]\",:\\u0123456789.-_anltrf \x01\xc3\xff\x00";
	static const char *const words[] = {"\"schema\"", "\"references\":", "null", "\"version\":", "[[[[", "1e999", "\\ud800", "{\"subject\":\"x\",\"version\":1},"};
	size_t		at = next_random((uint32_t) size + 1);
	const char *word = words[next_random(LENGTH_OF(words))];

	switch (next_random(3))
	{
		case 0:
			return replace_byte(data, size, at, alphabet, sizeof(alphabet));
		case 1:
			return cut_piece(data, size, at, 20);
		default:
			return insert_word(data, size, MAX_SIZE, at, word);
	}
}

/* An answer, mutated. */
static size_t
make_answer(uint8_t *data)
{
	return mutate_text(data, seeds, LENGTH_OF(seeds), 6, mutate);
}

int
main(int argc, char **argv)
{
	return run_mutations(argc, argv, "fuzz_registry", 50000, make_answer, MAX_SIZE);
}

#endif							/* FS_FUZZ_MAIN */
