/*
 * table.h
 *		A hash table of arena chunks that grows one bucket at a time.
 *
 * Linear hashing (Litwin 1980; Larson 1988, as in PostgreSQL's dynahash): an
 * insert may split one bucket, so no insert ever pays for a whole rehash.  An
 * entry is an arena chunk that begins with FsEntry.  One writer; readers walk
 * the chains without locks, bounded, and find out by 'change' that a miss may
 * be a lie.
 */
#ifndef FS_STATE_TABLE_H
#define FS_STATE_TABLE_H

#include "state/arena.h"

#define FS_TABLE_SEGMENT 4096	/* buckets of a segment */
#define FS_TABLE_DIRECTORY 16384	/* segments at most: 64 M buckets */
#define FS_TABLE_MAX_CHAIN 4096 /* a reader that walks longer is lost */

/* The first bytes of every entry. */
typedef struct FsEntry
{
	FsHandle	next;
	uint32		hash;
} FsEntry;

/* Lives in shared memory. */
typedef struct FsTable
{
	FsHandle	directory;		/* array of FS_TABLE_DIRECTORY segment handles */
	uint32		max_bucket;		/* highest bucket in use */
	uint32		high_mask;
	uint32		low_mask;
	uint32		change;			/* odd while links change */
	uint32		count;
} FsTable;

/* Bytes an empty table takes from the arena. */
#define FS_TABLE_MIN_SIZE ((Size) (FS_TABLE_DIRECTORY + FS_TABLE_SEGMENT) * sizeof(FsHandle))

extern bool fs_table_create(FsArena *arena, FsTable *table);

/*
 * An entry wanted soon is fetched without waiting: its first 'size' bytes, at
 * most two lines.  Functions that do nothing but prefetch must be inlined: gcc
 * takes them for pure and leaves out calls of them.
 */
static pg_attribute_always_inline void
fs_table_prefetch_entry(FsHandle handle, Size size)
{
	if (handle != 0)
	{
		char	   *entry = fs_arena_ptr(handle);

		__builtin_prefetch(entry);
		__builtin_prefetch(entry + size - 1);
	}
}

static inline FsHandle *
fs_table_bucket_at(const FsTable *table, uint32 bucket)
{
	FsHandle   *directory = fs_arena_ptr(table->directory);
	FsHandle   *segment = fs_arena_ptr(directory[bucket / FS_TABLE_SEGMENT]);

	return &segment[bucket % FS_TABLE_SEGMENT];
}

static inline uint32
fs_table_bucket_number(const FsTable *table, uint32 hash)
{
	uint32		bucket = hash & table->high_mask;

	return bucket > table->max_bucket ? hash & table->low_mask : bucket;
}

/* The bucket's head for a hash. */
static inline FsHandle *
fs_table_bucket(const FsTable *table, uint32 hash)
{
	return fs_table_bucket_at(table, fs_table_bucket_number(table, hash));
}

/* Where entries of a hash are looked up, found out ahead: the table may grow meanwhile. */
typedef struct FsTablePlace
{
	FsHandle   *bucket;
	uint32		hash;
	uint32		max_bucket;		/* the table's then */
} FsTablePlace;

static inline FsTablePlace
fs_table_place(const FsTable *table, uint32 hash)
{
	FsTablePlace place = {fs_table_bucket(table, hash), hash, table->max_bucket};

	return place;
}

/* The first entry at a place now: it is where it was, unless a bucket was split. */
static inline FsHandle
fs_table_first(const FsTable *table, const FsTablePlace *place)
{
	Assert(place->max_bucket != table->max_bucket || place->bucket == fs_table_bucket(table, place->hash));
	if (place->max_bucket == table->max_bucket)
		return *place->bucket;
	return *fs_table_bucket(table, place->hash);
}

/* Links an entry whose 'hash' is set; may split a bucket (silently not, when memory is out). */
extern void fs_table_insert(FsArena *arena, FsTable *table, FsHandle handle);

/* Unlinks an entry; it must be in the table. */
extern void fs_table_remove(FsTable *table, FsHandle handle);

/* Reader's bucket head: 0 also when the table is being changed in a way that cannot be followed. */
extern FsHandle fs_table_read_bucket(const FsTable *table, uint32 bucket);
extern FsHandle fs_table_read_head(const FsTable *table, uint32 hash);

#endif							/* FS_STATE_TABLE_H */
