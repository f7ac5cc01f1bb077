/*
 * parquet_dictionary.c
 *		Dictionary of the values of a column; see parquet_dictionary.h.
 */
#include "core/parquet_dictionary.h"

#include <stdlib.h>

#include "core/hash.h"

#define MIN_SLOTS 1024
#define SAMPLE 8192				/* values after which it shows whether they repeat */

void
fs_parquet_dictionary_free(FsParquetDictionary *dictionary)
{
	fs_buffer_free(&dictionary->entries);
	free(dictionary->indexes);
	free(dictionary->firsts);
	free(dictionary->pages);
	free(dictionary->slots);
}

/* Room for n values and an empty table. */
static bool
prepare(FsParquetDictionary *dictionary, size_t n)
{
	if (n > dictionary->room)
	{
		free(dictionary->indexes);
		free(dictionary->firsts);
		free(dictionary->pages);
		dictionary->indexes = malloc(n * sizeof(uint32_t));
		dictionary->firsts = malloc(n * sizeof(uint32_t));
		dictionary->pages = malloc(n * sizeof(uint32_t));
		dictionary->room = n;
		if (dictionary->indexes == NULL || dictionary->firsts == NULL || dictionary->pages == NULL)
		{
			dictionary->room = 0;
			return false;
		}
	}
	if (dictionary->slots == NULL)
	{
		dictionary->slots = malloc(MIN_SLOTS * sizeof(uint64_t));
		if (dictionary->slots == NULL)
			return false;
		dictionary->nslots = MIN_SLOTS;
	}
	memset(dictionary->slots, 0, dictionary->nslots * sizeof(uint64_t));
	fs_buffer_reset(&dictionary->entries);
	dictionary->count = 0;
	return true;
}

static uint32_t
hash_value(const FsParquetValues *values, size_t i)
{
	size_t		len;
	const char *bytes = fs_parquet_value(values, i, &len);

	return fs_hash_bytes(bytes, len);
}

/* Twice the table. */
static bool
grow(FsParquetDictionary *dictionary)
{
	size_t		nslots = dictionary->nslots * 2;
	uint64_t   *slots = calloc(nslots, sizeof(uint64_t));

	if (slots == NULL)
		return false;
	for (size_t i = 0; i < dictionary->nslots; i++)
	{
		size_t		slot = (dictionary->slots[i] >> 32) & (nslots - 1);

		if (dictionary->slots[i] == 0)
			continue;
		while (slots[slot] != 0)
			slot = (slot + 1) & (nslots - 1);
		slots[slot] = dictionary->slots[i];
	}
	free(dictionary->slots);
	dictionary->slots = slots;
	dictionary->nslots = nslots;
	return true;
}

/* Are two values the same bytes? */
static bool
is_same(const FsParquetValues *values, size_t i, size_t k)
{
	size_t		ilen;
	size_t		klen;
	const char *a = fs_parquet_value(values, i, &ilen);
	const char *b = fs_parquet_value(values, k, &klen);

	return ilen == klen && fs_bytes_equal(a, b, ilen);
}

/* Appends value i as a new entry. */
static bool
add_entry(FsParquetDictionary *dictionary, const FsParquetValues *values, size_t i)
{
	size_t		len;
	const char *bytes = fs_parquet_value(values, i, &len);
	char		length[4];

	dictionary->pages[dictionary->count] = 0;
	dictionary->firsts[dictionary->count++] = (uint32_t) i;
	fs_put_le32(length, (uint32_t) len);
	return (values->width > 0 || fs_buffer_append(&dictionary->entries, length, 4)) &&
		fs_buffer_append(&dictionary->entries, bytes, len);
}

/* Finds or adds value i, and notes its entry. */
static bool
index_value(FsParquetDictionary *dictionary, const FsParquetValues *values, size_t i)
{
	size_t		mask = dictionary->nslots - 1;
	uint32_t	hash = hash_value(values, i);
	size_t		slot = hash & mask;

	for (; dictionary->slots[slot] != 0; slot = (slot + 1) & mask)
	{
		uint32_t	entry = (uint32_t) dictionary->slots[slot] - 1;

		if (dictionary->slots[slot] >> 32 == hash && is_same(values, dictionary->firsts[entry], i))
		{
			dictionary->indexes[i] = entry;
			return true;
		}
	}
	dictionary->indexes[i] = dictionary->count;
	dictionary->slots[slot] = (uint64_t) hash << 32 | (dictionary->count + 1);
	if (!add_entry(dictionary, values, i))
		return false;
	return dictionary->count * 2 < dictionary->nslots || grow(dictionary);
}

/* See parquet_dictionary.h. */
bool
fs_parquet_dictionary_build(FsParquetDictionary *dictionary, const FsParquetValues *values,
							size_t limit, bool *worth)
{
	FS_ASSERT(values->n < UINT32_MAX);
	*worth = false;
	if (!prepare(dictionary, values->n))
		return false;
	for (size_t i = 0; i < values->n; i++)
	{
		if (i > 0 && values->width > 0 && is_same(values, i - 1, i))
			dictionary->indexes[i] = dictionary->indexes[i - 1];
		else if (!index_value(dictionary, values, i))
			return false;
		if (dictionary->entries.len > limit || (i == SAMPLE && dictionary->count > SAMPLE / 4 * 3))
			return true;
	}
	*worth = values->n > 0;
	return true;
}
