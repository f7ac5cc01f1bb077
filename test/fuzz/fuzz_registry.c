/*
 * fuzz_registry.c
 *		Any bytes at all as the answer of a schema registry.
 *
 * With libFuzzer: clang -g -O1 -fsanitize=fuzzer,address,undefined -Isrc
 * test/fuzz/fuzz_registry.c, all files of src/core, -lm.  With -DFS_FUZZ_MAIN and
 * any compiler: a driver that mutates a few answers at random, [seed [rounds]].
 *
 * An answer is what was asked for, "there is none" for a 404 alone, of no use or
 * trouble with a reason; what it holds are valid texts.
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
check_answer(const FsRegistryAnswer *answer, int status, int question)
{
	if (answer->words != NULL)
		require_text(answer->words, "its words are text");
	switch (answer->verdict)
	{
		case FS_REGISTRY_SCHEMA:
			require(status == 200, "a schema comes with status 200");
			if (question < 2)
			{
				require_text(answer->schema, "the schema is text");
				require_text(answer->type, "the type is text");
			}
			if (question == 3)
				require_text(answer->level, "the level is text");
			require(answer->id > 0 || (question != 4 && answer->id == 0), "schemas are numbered");
			require(answer->nversions >= 0 && answer->nversions <= FS_REGISTRY_MAX_VERSIONS, "versions are bounded");
			for (int i = 0; i < answer->nversions; i++)
				require(answer->versions[i] > 0, "versions count from 1");
			require(answer->nreferences >= 0 && answer->nreferences <= FS_REGISTRY_MAX_REFERENCES, "references are bounded");
			for (int i = 0; i < answer->nreferences; i++)
			{
				require_text(answer->references[i].subject, "a subject is text");
				if (answer->references[i].name != NULL)
					require_text(answer->references[i].name, "a name is text");
				require(answer->references[i].version > 0, "references have versions");
			}
			break;
		case FS_REGISTRY_UNKNOWN:
			require(status == 404, "only a 404 says that there is none");
			break;
		case FS_REGISTRY_UNUSABLE:
			require(status == 200 && question < 2, "what nobody can use is there");
			require(answer->message[0] != '\0', "nobody can use it for a reason");
			require_text(answer->message, "which is text");
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
	int			question;

	if (size < 2)
		return 0;
	status = statuses[data[0] % (sizeof(statuses) / sizeof(statuses[0]))];
	question = data[1] % 6;
	if (question == 2)
		fs_registry_versions_read(&answer, status, (const char *) data + 2, size - 2);
	else if (question == 3)
		fs_registry_level_read(&answer, status, (const char *) data + 2, size - 2);
	else if (question == 4)
		fs_registry_id_read(&answer, status, (const char *) data + 2, size - 2);
	else if (question == 5)
		fs_registry_types_read(&answer, status, (const char *) data + 2, size - 2);
	else
		fs_registry_answer_read(&answer, status, question == 1, (const char *) data + 2, size - 2);
	check_answer(&answer, status, question);
	fs_registry_answer_free(&answer);
	return 0;
}

#ifdef FS_FUZZ_MAIN

#define MAX_SIZE 4096

static const char *const seeds[] = {
	"\x01" "\x06{\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"R\\\",\\\"fields\\\":[]}\",\"schemaType\":\"AVRO\",\"id\":7}",
	"\x01" "\x01{\"schema\":\"\\u00fc\\ud83d\\ude00\",\"references\":[{\"name\":\"a\",\"subject\":\"b\",\"version\":1},{\"name\":\"c\",\"subject\":\"d\\/e\",\"version\":22}]}",
	"\x03" "\x06{\"error_code\":40403,\"message\":\"Schema not found\"}",
	"\x04" "\x01{\"error_code\":40402,\"message\":\"Version not found\"}",
	"\x05" "\x06{\"error_code\":50001,\"message\":\"no storage\"}",
	"\x01" "\x02[1,2,30]",
	"\x01" "\x03{\"compatibilityLevel\":\"FULL\"}",
	"\x01" "\x04{\"id\":17,\"version\":2}",
	"\x01" "\x05[\"JSON\",\"PROTOBUF\",\"AVRO\"]",
	"\x05" "\x04{\"error_code\":409,\"message\":\"Schema being registered is incompatible: [{errorType:'X'}]\"}"
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
