/*
 * dictionary.c
 *		Value <-> code, in the arena; see dictionary.h.
 */
#include "postgres.h"

#include "port/atomics.h"

#include "core/hash.h"
#include "state/dictionary.h"

#define CODES_PER_SEGMENT 4096
#define SWEEP_AHEAD 16

/* A code's slot holds the entry's handle, or with this bit the next free code. */
#define FREE_CODE_BIT FS_HANDLE_MARK

static Size
entry_size(uint32 len)
{
	return offsetof(FsDictionaryEntry, data) + len;
}

/* See dictionary.h. */
bool
fs_dictionary_create(FsArena *arena, FsDictionary *dictionary)
{
	memset(dictionary, 0, sizeof(FsDictionary));
	if (!fs_table_create(arena, &dictionary->table))
		return false;
	dictionary->codes = fs_arena_alloc(arena, FS_TABLE_DIRECTORY * sizeof(FsHandle));
	if (dictionary->codes == 0)
		return false;
	memset(fs_arena_ptr(dictionary->codes), 0, FS_TABLE_DIRECTORY * sizeof(FsHandle));
	dictionary->ncodes = 1;
	return true;
}

/* Slot of a code; NULL when its segment does not exist. */
static uint32 *
code_slot(const FsDictionary *dictionary, uint32 code)
{
	FsHandle   *directory = fs_arena_ptr_checked(dictionary->codes,
												 FS_TABLE_DIRECTORY * sizeof(FsHandle));
	uint32	   *segment;

	if (directory == NULL || code / CODES_PER_SEGMENT >= FS_TABLE_DIRECTORY)
		return NULL;
	segment = fs_arena_ptr_checked(directory[code / CODES_PER_SEGMENT],
								   CODES_PER_SEGMENT * sizeof(uint32));
	return segment == NULL ? NULL : &segment[code % CODES_PER_SEGMENT];
}

/* Takes a free code; 0 when memory or codes are out. */
static uint32
take_code(FsArena *arena, FsDictionary *dictionary)
{
	FsHandle   *directory = fs_arena_ptr(dictionary->codes);
	uint32		code = dictionary->free_code;
	uint32		segment;

	if (code != 0)
	{
		dictionary->free_code = *code_slot(dictionary, code) & ~FREE_CODE_BIT;
		return code;
	}
	segment = dictionary->ncodes / CODES_PER_SEGMENT;
	if (segment >= FS_TABLE_DIRECTORY)
		return 0;
	if (directory[segment] == 0)
	{
		FsHandle	handle = fs_arena_alloc(arena, CODES_PER_SEGMENT * sizeof(uint32));

		if (handle == 0)
			return 0;
		memset(fs_arena_ptr(handle), 0, CODES_PER_SEGMENT * sizeof(uint32));
		directory[segment] = handle;
	}
	return dictionary->ncodes++;
}

static void
give_code(FsDictionary *dictionary, uint32 code)
{
	*code_slot(dictionary, code) = dictionary->free_code | FREE_CODE_BIT;
	dictionary->free_code = code;
}

/* See dictionary.h. */
uint32
fs_dictionary_add(FsArena *arena, FsDictionary *dictionary, const char *data, uint32 len,
				  uint32 hash, uint32 slice)
{
	FsHandle	handle = fs_arena_alloc(arena, entry_size(len));
	FsDictionaryEntry *entry;
	uint32		code;

	if (handle == 0)
		return 0;
	code = take_code(arena, dictionary);
	if (code == 0)
	{
		fs_arena_free(arena, handle, entry_size(len));
		return 0;
	}
	entry = fs_arena_ptr(handle);
	entry->entry.hash = hash;
	entry->code = code;
	entry->last_slice = slice;
	entry->len = len;
	memcpy(entry->data, data, len);
	pg_write_barrier();
	*code_slot(dictionary, code) = handle;
	fs_table_insert(arena, &dictionary->table, handle);
	return code;
}

/* See dictionary.h. */
const char *
fs_dictionary_value(const FsDictionary *dictionary, uint32 code, uint32 *len)
{
	uint32	   *slot = code_slot(dictionary, code);
	FsDictionaryEntry *entry;

	if (slot == NULL || *slot == 0 || (*slot & FREE_CODE_BIT) != 0)
		return NULL;
	entry = fs_arena_ptr_checked(*slot, offsetof(FsDictionaryEntry, data));
	if (entry == NULL || entry->len > FS_DICTIONARY_MAX_VALUE ||
		fs_arena_ptr_checked(*slot, entry_size(entry->len)) == NULL)
		return NULL;
	*len = entry->len;
	return entry->data;
}

/* Gets the entry of a code on its way. */
static pg_attribute_always_inline void
prefetch_code(const FsDictionary *dictionary, uint32 code)
{
	const uint32 *slot = code < dictionary->ncodes ? code_slot(dictionary, code) : NULL;

	if (slot != NULL && *slot != 0 && (*slot & FREE_CODE_BIT) == 0)
		__builtin_prefetch(fs_arena_ptr(*slot));
}

/* See dictionary.h. */
int
fs_dictionary_sweep(FsArena *arena, FsDictionary *dictionary, uint32 *cursor, int n, uint32 oldest)
{
	int			freed = 0;

	for (int i = 0; i < n; i++)
	{
		uint32	   *slot;
		FsDictionaryEntry *entry;
		FsHandle	handle;

		if (++*cursor >= dictionary->ncodes)
			*cursor = 0;
		prefetch_code(dictionary, *cursor + SWEEP_AHEAD);
		slot = code_slot(dictionary, *cursor);
		if (*cursor == 0 || slot == NULL || *slot == 0 || (*slot & FREE_CODE_BIT) != 0)
			continue;
		handle = *slot;
		entry = fs_arena_ptr(handle);
		if (entry->last_slice >= oldest)
			continue;
		fs_table_remove(&dictionary->table, handle);
		give_code(dictionary, entry->code);
		fs_arena_free(arena, handle, entry_size(entry->len));
		freed++;
	}
	return freed;
}
