/*
 * dictionary.h
 *		Values of byte types as small numbers: one dictionary a stream column.
 *
 * Events in the arena hold codes, not text, so that an item id costs two or
 * three bytes and comparing for equality is comparing integers.  A value lives
 * as long as an event that may still count refers to it: 'last_slice' is the
 * newest slice that used it, and a sweep drops those older than every window.
 * One writer; readers resolve codes under the sequence counter of the entity
 * they read: as long as that has not moved, its codes are in use.
 */
#ifndef FS_STATE_DICTIONARY_H
#define FS_STATE_DICTIONARY_H

#include "core/hash.h"
#include "state/table.h"

#define FS_DICTIONARY_MAX_VALUE (64 * 1024 * 1024)

/* Lives in shared memory. */
typedef struct FsDictionary
{
	FsTable		table;
	FsHandle	codes;			/* directory of code -> entry */
	uint32		ncodes;			/* codes ever given out; code 0 is never used */
	uint32		free_code;		/* chain of free codes through their slots; 0 none */
} FsDictionary;

extern bool fs_dictionary_create(FsArena *arena, FsDictionary *dictionary);

/* A value; in the arena. */
typedef struct FsDictionaryEntry
{
	FsEntry		entry;
	uint32		code;
	uint32		last_slice;
	uint32		len;
	char		data[FLEXIBLE_ARRAY_MEMBER];
} FsDictionaryEntry;

/* Makes an entry for a value that has none; its code, or 0 when memory is out. */
extern uint32 fs_dictionary_add(FsArena *arena, FsDictionary *dictionary,
								const char *data, uint32 len, uint32 hash, uint32 slice);

/*
 * The code of a value used in 'slice', made when new; 0 when memory is out.
 * 'place' is that of its fs_hash_bytes(): the caller has it from prefetching.
 */
static inline uint32
fs_dictionary_code(FsArena *arena, FsDictionary *dictionary, const char *data, uint32 len,
				   const FsTablePlace *place, uint32 slice)
{
	FsHandle	handle = fs_table_first(&dictionary->table, place);

	while (handle != 0)
	{
		FsDictionaryEntry *entry = fs_arena_ptr(handle);

		if (entry->entry.hash == place->hash && entry->len == len &&
			fs_bytes_equal(entry->data, data, len))
		{
			if (entry->last_slice < slice)
				entry->last_slice = slice;
			return entry->code;
		}
		handle = entry->entry.next;
	}
	return fs_dictionary_add(arena, dictionary, data, len, place->hash, slice);
}

/* The value of a code, or NULL when there is none (a stale or garbled code). */
extern const char *fs_dictionary_value(const FsDictionary *dictionary, uint32 code, uint32 *len);

/*
 * Looks at up to 'n' codes from *cursor on and frees those last used before
 * 'oldest'.  *cursor wraps around; returns the number freed.
 */
extern int	fs_dictionary_sweep(FsArena *arena, FsDictionary *dictionary, uint32 *cursor, int n, uint32 oldest);

#endif							/* FS_STATE_DICTIONARY_H */
