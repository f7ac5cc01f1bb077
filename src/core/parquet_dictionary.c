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
		dictionary->slots = malloc(MIN_SLOTS * sizeof(FsParquetSlot));
		if (dictionary->slots == NULL)
			return false;
		dictionary->nslots = MIN_SLOTS;
	}
	memset(dictionary->slots, 0, dictionary->nslots * sizeof(FsParquetSlot));
	fs_buffer_reset(&dictionary->entries);
	dictionary->count = 0;
	return true;
}

/* Where a value's search begins. */
static inline size_t
first_slot(const FsParquetDictionary *dictionary, uint64_t key, uint32_t len)
{
	return (size_t) fs_hash_fold(key ^ UINT64_C(0xa0761d6478bd642f), len ^ UINT64_C(0xe7037ed1a0b428db)) &
		(dictionary->nslots - 1);
}

/* Twice the table. */
static bool
grow(FsParquetDictionary *dictionary)
{
	FsParquetSlot *old = dictionary->slots;
	size_t		nold = dictionary->nslots;
	FsParquetSlot *slots = calloc(nold * 2, sizeof(FsParquetSlot));

	if (slots == NULL)
		return false;
	dictionary->slots = slots;
	dictionary->nslots = nold * 2;
	for (size_t i = 0; i < nold; i++)
	{
		size_t		slot = first_slot(dictionary, old[i].key, old[i].len);

		if (old[i].entry == 0)
			continue;
		while (slots[slot].entry != 0)
			slot = (slot + 1) & (dictionary->nslots - 1);
		slots[slot] = old[i];
	}
	free(old);
	return true;
}

/* Is the value of these bytes the k-th one? */
static bool
is_same(const FsParquetValues *values, const char *bytes, size_t len, size_t k)
{
	size_t		other_len;
	const char *other = fs_parquet_value(values, k, &other_len);

	return len == other_len && fs_bytes_equal(bytes, other, len);
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

/* Finds or adds value i, which has these bytes and key; its entry, or -1 when memory is out. */
static int64_t
find_entry(FsParquetDictionary *dictionary, const FsParquetValues *values, size_t i, const char *bytes, uint32_t len,
		   uint64_t key)
{
	size_t		mask = dictionary->nslots - 1;
	size_t		at = first_slot(dictionary, key, len);
	uint32_t	entry = dictionary->count;

	for (; dictionary->slots[at].entry != 0; at = (at + 1) & mask)
	{
		const FsParquetSlot *slot = &dictionary->slots[at];

		if (slot->key == key && slot->len == len &&
			(len <= 8 || is_same(values, bytes, len, dictionary->firsts[slot->entry - 1])))
			return slot->entry - 1;
	}
	dictionary->slots[at] = (FsParquetSlot) {key, len, entry + 1};
	if (!add_entry(dictionary, values, i))
		return -1;
	return dictionary->count * 2 < dictionary->nslots || grow(dictionary) ? entry : -1;
}

/*
 * See parquet_dictionary.h.  A value that comes again at once is not looked for,
 * and where values come in the order of their entries, as entities do in each
 * window end, the next entry is tried before the table.
 */
bool
fs_parquet_dictionary_build(FsParquetDictionary *dictionary, const FsParquetValues *values,
							size_t limit, bool *worth)
{
	uint64_t	last_key = 0;
	size_t		last_len = SIZE_MAX;
	int64_t		entry = -1;
	bool		in_order = false;

	FS_ASSERT(values->n < UINT32_MAX);
	*worth = false;
	if (!prepare(dictionary, values->n))
		return false;
	for (size_t i = 0; i < values->n; i++)
	{
		size_t		len;
		const char *bytes = fs_parquet_value(values, i, &len);
		uint64_t	key = len <= 8 ? fs_hash_tail(bytes, len) : fs_hash_bytes(bytes, len);

		if (in_order && entry + 1 < dictionary->count && is_same(values, bytes, len, dictionary->firsts[entry + 1]))
			entry++;
		else if (key != last_key || len != last_len || len > 8)
		{
			int64_t		found = find_entry(dictionary, values, i, bytes, (uint32_t) len, key);

			if (found < 0)
				return false;
			in_order = found == entry + 1;
			entry = found;
		}
		last_key = key;
		last_len = len;
		dictionary->indexes[i] = (uint32_t) entry;
		if (dictionary->entries.len > limit || (i == SAMPLE && dictionary->count > SAMPLE / 4 * 3))
			return true;
	}
	*worth = values->n > 0;
	return true;
}
