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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/registry_answer.h"
#include "core/utf8.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process, as a sanitizer would, when a promise is broken. */
static void
require(bool cond, const char *what)
{
	if (cond)
		return;
	fprintf(stderr, "broken promise: %s\n", what);
	abort();
}

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

static uint64_t state;

static uint32_t
next_random(uint32_t bound)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t) (state >> 32) % bound;
}

/* Changes the answer in place, once; returns its new size. */
static size_t
mutate(char *data, size_t size)
{
	static const char alphabet[] = "{}[]\",:\\u0123456789.-_anltrf \x01\xc3\xff\x00";
	static const char *const words[] = {"\"schema\"", "\"references\":", "null", "\"version\":", "[[[[", "1e999", "\\ud800", "{\"subject\":\"x\",\"version\":1},"};
	size_t		at = next_random((uint32_t) size + 1);
	size_t		n = next_random(20);
	const char *word = words[next_random(sizeof(words) / sizeof(words[0]))];

	switch (next_random(3))
	{
		case 0:
			if (at < size)
				data[at] = alphabet[next_random(sizeof(alphabet))];
			return size;
		case 1:
			n = n > size - at ? size - at : n;
			memmove(data + at, data + at + n, size - at - n);
			return size - n;
		default:
			n = strlen(word);
			if (size + n > MAX_SIZE)
				return size;
			memmove(data + at + n, data + at, size - at);
			memcpy(data + at, word, n);
			return size + n;
	}
}

int
main(int argc, char **argv)
{
	unsigned long seed = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	long		rounds = argc > 2 ? atol(argv[2]) : 50000;

	state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
	for (long i = 0; i < rounds; i++)
	{
		char		data[MAX_SIZE];
		const char *start = seeds[next_random(sizeof(seeds) / sizeof(seeds[0]))];
		size_t		size = strlen(start);
		uint8_t    *copy;

		memcpy(data, start, size);
		for (int n = (int) next_random(6); n > 0; n--)
			size = mutate(data, size);
		/* of the exact size, so that reading on is seen */
		copy = malloc(size > 0 ? size : 1);
		require(copy != NULL, "memory");
		memcpy(copy, data, size);
		LLVMFuzzerTestOneInput(copy, size);
		free(copy);
	}
	printf("fuzz_registry: %ld answers, seed %lu\n", rounds, seed);
	return 0;
}

#endif							/* FS_FUZZ_MAIN */
