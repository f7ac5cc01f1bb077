/*
 * table.c
 *		Linear hashing over arena chunks; see table.h.
 */
#include "postgres.h"

#include "port/atomics.h"

#include "state/table.h"

#define SPLIT_AHEAD 8

/* Changes of links are bracketed, so that a reader's miss can be doubted. */
static void
begin_change(FsTable *table)
{
	table->change++;
	pg_write_barrier();
}

static void
end_change(FsTable *table)
{
	pg_write_barrier();
	table->change++;
}

/* Makes an empty table of one segment; false when memory is out. */
bool
fs_table_create(FsArena *arena, FsTable *table)
{
	FsHandle   *directory;

	memset(table, 0, sizeof(FsTable));
	table->directory = fs_arena_alloc(arena, FS_TABLE_DIRECTORY * sizeof(FsHandle));
	if (table->directory == 0)
		return false;
	directory = fs_arena_ptr(table->directory);
	memset(directory, 0, FS_TABLE_DIRECTORY * sizeof(FsHandle));
	directory[0] = fs_arena_alloc(arena, FS_TABLE_SEGMENT * sizeof(FsHandle));
	if (directory[0] == 0)
		return false;
	memset(fs_arena_ptr(directory[0]), 0, FS_TABLE_SEGMENT * sizeof(FsHandle));
	table->max_bucket = FS_TABLE_SEGMENT - 1;
	table->low_mask = FS_TABLE_SEGMENT - 1;
	table->high_mask = FS_TABLE_SEGMENT - 1;
	return true;
}

/* Is there a bucket after the last one, or memory to make its segment? */
static bool
prepare_bucket(FsArena *arena, FsTable *table, uint32 bucket)
{
	FsHandle   *directory = fs_arena_ptr(table->directory);
	uint32		segment = bucket / FS_TABLE_SEGMENT;

	if (segment >= FS_TABLE_DIRECTORY)
		return false;
	if (directory[segment] == 0)
	{
		FsHandle	handle = fs_arena_alloc(arena, FS_TABLE_SEGMENT * sizeof(FsHandle));

		if (handle == 0)
			return false;
		memset(fs_arena_ptr(handle), 0, FS_TABLE_SEGMENT * sizeof(FsHandle));
		directory[segment] = handle;
	}
	return true;
}

/* Buckets are split in order, so the entries of those that come next are fetched ahead. */
static pg_attribute_always_inline void
prefetch_split(const FsTable *table, uint32 bucket)
{
	FsHandle	handle = *fs_table_bucket_at(table, bucket);

	if (handle != 0)
		__builtin_prefetch(fs_arena_ptr(handle));
}

/* Adds one bucket and moves to it what belongs there from its buddy. */
static void
split_bucket(FsArena *arena, FsTable *table)
{
	uint32		new_bucket = table->max_bucket + 1;
	uint32		old_bucket;
	FsHandle   *from;
	FsHandle   *to;

	if (!prepare_bucket(arena, table, new_bucket))
		return;
	begin_change(table);
	table->max_bucket = new_bucket;
	if (new_bucket > table->high_mask)
	{
		table->low_mask = table->high_mask;
		table->high_mask = new_bucket | table->low_mask;
	}
	old_bucket = new_bucket & table->low_mask;
	from = fs_table_bucket_at(table, old_bucket);
	to = fs_table_bucket_at(table, new_bucket);
	prefetch_split(table, Min(old_bucket + SPLIT_AHEAD, new_bucket));
	while (*from != 0)
	{
		FsEntry    *entry = fs_arena_ptr(*from);

		if (fs_table_bucket_number(table, entry->hash) == new_bucket)
		{
			*to = *from;
			*from = entry->next;
			entry->next = 0;
			to = &entry->next;
		}
		else
			from = &entry->next;
	}
	end_change(table);
}

/* See table.h. */
void
fs_table_insert(FsArena *arena, FsTable *table, FsHandle handle)
{
	FsEntry    *entry = fs_arena_ptr(handle);
	FsHandle   *bucket;

	/* Two buckets an entry: a chain's second entry is a cache miss that nobody prefetched. */
	for (int i = 0; i < 3 && table->count * 2 > table->max_bucket; i++)
		split_bucket(arena, table);
	bucket = fs_table_bucket(table, entry->hash);
	entry->next = *bucket;
	pg_write_barrier();			/* a reader sees the entry whole */
	*bucket = handle;
	table->count++;
}

/* See table.h. */
void
fs_table_remove(FsTable *table, FsHandle handle)
{
	FsEntry    *entry = fs_arena_ptr(handle);
	FsHandle   *link = fs_table_bucket(table, entry->hash);

	begin_change(table);
	while (*link != handle)
	{
		Assert(*link != 0);
		link = &((FsEntry *) fs_arena_ptr(*link))->next;
	}
	*link = entry->next;
	table->count--;
	end_change(table);
}

/* See table.h. */
FsHandle
fs_table_read_bucket(const FsTable *table, uint32 bucket)
{
	FsHandle   *directory = fs_arena_ptr_checked(table->directory,
												 FS_TABLE_DIRECTORY * sizeof(FsHandle));
	FsHandle   *segment;

	if (directory == NULL || bucket / FS_TABLE_SEGMENT >= FS_TABLE_DIRECTORY)
		return 0;
	segment = fs_arena_ptr_checked(directory[bucket / FS_TABLE_SEGMENT],
								   FS_TABLE_SEGMENT * sizeof(FsHandle));
	return segment == NULL ? 0 : segment[bucket % FS_TABLE_SEGMENT];
}

FsHandle
fs_table_read_head(const FsTable *table, uint32 hash)
{
	return fs_table_read_bucket(table, fs_table_bucket_number(table, hash));
}
