/*
 * fuzz.h
 *		What the fuzz targets have in common: promises, values, a driver.
 *
 * A target is a libFuzzer entry, LLVMFuzzerTestOneInput().  With -DFS_FUZZ_MAIN
 * it is a program of its own, whose main() is one call of run_mutations().
 */
#ifndef FS_TEST_FUZZ_H
#define FS_TEST_FUZZ_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/array_value.h"
#include "core/number.h"
#include "core/utf8.h"
#include "core/value.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process, as a sanitizer would, when a promise is broken. */
static inline void
require(bool cond, const char *what)
{
	if (cond)
		return;
	fprintf(stderr, "broken promise: %s\n", what);
	abort();
}

/* The promises of value.h for one value. */
static inline void
check_value(FsType type, const FsValue *value)
{
	if (value->presence != FS_PRESENT)
		return;
	if (fs_type_is_array(type))
	{
		FsCursor	cursor = {value->data, value->data + value->len};
		FsValue		item;

		while (fs_array_next(&cursor, fs_type_element(type), &item))
			check_value(fs_type_element(type), &item);
		require(fs_cursor_left(&cursor) == 0, "array");
		return;
	}
	switch (type)
	{
		case FS_TYPE_TEXT:
			require(memchr(value->data, 0, value->len) == NULL, "no NUL");
			require(fs_utf8_valid_length(value->data, value->len) == value->len, "text is UTF-8");
			break;
		case FS_TYPE_INT2:
			require(value->i == (int16_t) value->i, "int2");
			break;
		case FS_TYPE_INT4:
			require(value->i == (int32_t) value->i, "int4");
			break;
		case FS_TYPE_FLOAT4:
			require(value->f == (double) (float) value->f, "float4");
			break;
		case FS_TYPE_FLOAT8:
			require(isfinite(value->f), "finite");
			break;
		case FS_TYPE_BOOL:
			require(value->i == 0 || value->i == 1, "bool");
			break;
		case FS_TYPE_TIMESTAMPTZ:
			require(value->i >= FS_TIMESTAMP_MIN && value->i < FS_TIMESTAMP_END, "timestamptz");
			break;
		case FS_TYPE_UUID:
			require(value->len == 16, "uuid");
			break;
		case FS_TYPE_NUMERIC:
		case FS_TYPE_JSONB:
			require(value->len > 0 && fs_utf8_valid_length(value->data, value->len) == value->len, "text of a value");
			break;
		default:
			break;
	}
}

/* Are two values of a type the same? */
static inline bool
is_same(FsType type, const FsValue *a, const FsValue *b)
{
	if (a->presence != b->presence || a->presence != FS_PRESENT)
		return a->presence == b->presence;
	if (fs_type_is_bytes(type))
		return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
	return a->i == b->i;
}

#ifdef FS_FUZZ_MAIN

#include <dirent.h>

#define LENGTH_OF(array) ((uint32_t) (sizeof(array) / sizeof((array)[0])))

static uint64_t random_state;

/* xorshift64*: the same numbers for the same seed everywhere. */
static inline uint32_t
next_random(uint32_t bound)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (uint32_t) ((random_state * UINT64_C(2685821657736338717)) >> 33) % bound;
}

/* One input, in memory of exactly its size, so that reading on is seen. */
static inline void
run_input(const uint8_t *data, size_t size)
{
	uint8_t    *copy = malloc(size > 0 ? size : 1);

	require(copy != NULL, "memory");
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

/* Every file of a directory as an input; returns how many. */
static inline long
run_corpus(const char *directory)
{
	static uint8_t data[1 << 16];
	DIR		   *dir = opendir(directory);
	struct dirent *entry;
	long		n = 0;

	require(dir != NULL, "corpus");
	while ((entry = readdir(dir)) != NULL)
	{
		char		path[4096];
		FILE	   *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		file = fopen(path, "rb");
		require(file != NULL, "file of the corpus");
		run_input(data, fread(data, 1, sizeof(data), file));
		fclose(file);
		n++;
	}
	closedir(dir);
	return n;
}

/* The n-th input as a file of a directory. */
static inline void
write_input(const char *directory, long n, const uint8_t *data, size_t size)
{
	char		path[4096];
	FILE	   *file;

	snprintf(path, sizeof(path), "%s/made-%ld", directory, n);
	file = fopen(path, "wb");
	require(file != NULL && fwrite(data, 1, size, file) == size && fclose(file) == 0, "file of the corpus");
}

/*
 * The driver.  'make' writes an input of at most max_size bytes, by
 * next_random(), and returns its size.
 *
 *	TARGET [SEED [ROUNDS]]		so many of these
 *	TARGET --read DIRECTORY		the inputs of a directory before them
 *	TARGET --write DIRECTORY	a thousand, only written there, as far as they have at most 4096 bytes
 */
static inline int
run_mutations(int argc, char **argv, const char *name, long rounds,
			  size_t (*make) (uint8_t *data), size_t max_size)
{
	const char *writes = argc == 3 && strcmp(argv[1], "--write") == 0 ? argv[2] : NULL;
	const char *reads = argc == 3 && strcmp(argv[1], "--read") == 0 ? argv[2] : NULL;
	bool		numbers = argc > 1 && writes == NULL && reads == NULL;
	unsigned long seed = numbers ? strtoul(argv[1], NULL, 10) : 1;
	long		kept = reads != NULL ? run_corpus(reads) : 0;
	uint8_t    *data = malloc(max_size);

	require(data != NULL, "memory");
	if (writes != NULL)
		rounds = 1000;
	else if (numbers && argc > 2)
		rounds = atol(argv[2]);
	random_state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
	for (long i = 0; i < rounds; i++)
	{
		size_t		size = make(data);

		require(size <= max_size, "size");
		if (writes == NULL)
			run_input(data, size);
		else if (size <= 4096)
			write_input(writes, i, data, size);
	}
	free(data);
	printf("%s: %ld inputs, seed %lu, %ld kept ones\n", name, rounds, seed, kept);
	return 0;
}

/* One of the seeds, changed fewer than 'most' times by 'mutate', which returns the new size. */
static inline size_t
mutate_seed(uint8_t *data, const char *seed, size_t size, uint32_t most,
			size_t (*mutate) (uint8_t *data, size_t size))
{
	memcpy(data, seed, size);
	for (int n = (int) next_random(most); n > 0; n--)
		size = mutate(data, size);
	return size;
}

/* One of 'count' texts, changed likewise. */
static inline size_t
mutate_text(uint8_t *data, const char *const *texts, uint32_t count, uint32_t most,
			size_t (*mutate) (uint8_t *data, size_t size))
{
	const char *text = texts[next_random(count)];

	return mutate_seed(data, text, strlen(text), most, mutate);
}

/* A piece of at most 'most' bytes at 'at', cut to what there is. */
static inline size_t
draw_piece(size_t at, size_t size, uint32_t most)
{
	size_t		n = next_random(most);

	return n > size - at ? size - at : n;
}

/* One byte at 'at', if there is one, becomes one of the alphabet. */
static inline size_t
replace_byte(uint8_t *data, size_t size, size_t at, const char *alphabet, uint32_t letters)
{
	if (at < size)
		data[at] = (uint8_t) alphabet[next_random(letters)];
	return size;
}

/* A piece at 'at' goes. */
static inline size_t
cut_piece(uint8_t *data, size_t size, size_t at, uint32_t most)
{
	size_t		n = draw_piece(at, size, most);

	memmove(data + at, data + at + n, size - at - n);
	return size - n;
}

/* A word comes in at 'at', if there is room. */
static inline size_t
insert_word(uint8_t *data, size_t size, size_t max_size, size_t at, const char *word)
{
	size_t		n = strlen(word);

	if (size + n > max_size)
		return size;
	memmove(data + at + n, data + at, size - at);
	memcpy(data + at, word, n);
	return size + n;
}

#endif							/* FS_FUZZ_MAIN */

#endif							/* FS_TEST_FUZZ_H */
