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

/*
 * The code of a value used in 'slice', made when new; 0 when memory is out.
 * 'hash' is fs_hash_bytes() of it: the caller has it from prefetching.
 */
extern uint32 fs_dictionary_code(FsArena *arena, FsDictionary *dictionary,
								 const char *data, uint32 len, uint32 hash, uint32 slice);

/* The value of a code, or NULL when there is none (a stale or garbled code). */
extern const char *fs_dictionary_value(const FsDictionary *dictionary, uint32 code, uint32 *len);

/*
 * Looks at up to 'n' codes from *cursor on and frees those last used before
 * 'oldest'.  *cursor wraps around; returns the number freed.
 */
extern int	fs_dictionary_sweep(FsArena *arena, FsDictionary *dictionary, uint32 *cursor, int n, uint32 oldest);

#endif							/* FS_STATE_DICTIONARY_H */
