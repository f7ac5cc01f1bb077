/*
 * entity.c
 *		Entities and their rings in the arena; see entity.h.
 */
#include "postgres.h"

#include "port/atomics.h"

#include "core/hash.h"
#include "core/slice.h"
#include "state/blob.h"
#include "state/entity.h"
#include "state/value_set.h"

static Size
entity_size(uint16 key_len)
{
	return offsetof(FsEntity, key) + key_len;
}

/* See entity.h. */
FsHandle
fs_entity_add(FsArena *arena, FsTable *table, const char *key, uint16 key_len, uint32 hash)
{
	FsHandle	handle = fs_arena_alloc(arena, entity_size(key_len));
	FsEntity   *entity;
	uint32		seq;

	if (handle == 0)
		return 0;
	entity = fs_arena_ptr(handle);

	/*
	 * Whatever lay here before, the sequence goes on from an even value that a
	 * reader of the former tenant has not seen as its own.
	 */
	seq = (entity->seq | 1) + 1;
	memset(entity, 0, offsetof(FsEntity, key));
	entity->seq = seq;
	entity->last_touch = FS_NO_SLICE;	/* 0 is a slice: that of 1970-01-01 */
	entity->entry.hash = hash;
	entity->key_len = key_len;
	memcpy(entity->key, key, key_len);
	fs_table_insert(arena, table, handle);
	return handle;
}

/* See entity.h. */
void
fs_entity_remove(FsArena *arena, FsTable *table, FsHandle handle)
{
	FsEntity   *entity = fs_arena_ptr(handle);
	FsHandle	chunk_handle = entity->head;

	fs_table_remove(table, handle);
	entity->seq += 2;			/* a reader's copy is void from here on */
	pg_write_barrier();
	while (chunk_handle != 0)
	{
		FsChunk    *chunk = fs_arena_ptr(chunk_handle);
		FsHandle	next = chunk->next;

		fs_arena_free(arena, chunk_handle, chunk->size);
		chunk_handle = next;
	}
	fs_arena_free(arena, handle, entity_size(entity->key_len));
}

/*
 * Size of an entity's next chunk.  Small ones cost headers, large ones cost
 * what is unused at the tail and expired at the head; the sum is least where a
 * chunk takes about the square root of twice the events at hand.
 */
static Size
next_chunk_size(uint32 nevents)
{
	if (nevents < 12)
		return FS_CHUNK_FIRST;
	if (nevents < 50)
		return 80;
	if (nevents < 160)
		return 128;
	if (nevents < 500)
		return 192;
	return FS_CHUNK_MAX;
}

/*
 * Adds an empty chunk at the tail that takes at least 'need' bytes of data.
 * NULL when memory is out.
 */
static FsChunk *
add_chunk(FsArena *arena, FsEntity *entity, uint32 slice, int need)
{
	Size		size = fs_arena_chunk_size(Max(next_chunk_size(entity->nevents),
												   offsetof(FsChunk, data) + need));
	FsHandle	handle;
	FsChunk    *chunk;

	handle = fs_arena_alloc(arena, size);
	if (handle == 0)
		return NULL;
	chunk = fs_arena_ptr(handle);
	chunk->next = 0;
	chunk->base_slice = slice;
	chunk->max_slice = slice;
	chunk->used = 0;
	chunk->size = size;
	if (entity->tail != 0)
		((FsChunk *) fs_arena_ptr(entity->tail))->next = handle;
	else
		entity->head = handle;
	entity->tail = handle;
	return chunk;
}

/* Copies an encoded event to the end of a chunk; what is behind it there may be overwritten. */
static inline void
copy_event(FsChunk *chunk, const uint8 *bytes, int len)
{
	uint8	   *end = chunk->data + chunk->used;

	if (len <= 16 && offsetof(FsChunk, data) + chunk->used + 16 <= chunk->size)
		memcpy(end, bytes, 16);
	else
		memcpy(end, bytes, len);
}

/* Appends an event; a chunk made for it has so many bytes more than it needs. */
static inline bool
append_event(FsArena *arena, FsEntity *entity, const FsRingLayout *layout, FsTime time, uint32 slice,
			 int32 partition, FsTime counts_from, const FsCell *cells, int spare)
{
	uint8		bytes[FS_RING_MAX_EVENT];
	FsChunk    *chunk = entity->tail != 0 ? fs_arena_ptr(entity->tail) : NULL;
	int			len = 0;
	bool		fits = false;

	if (chunk != NULL)
	{
		len = fs_ring_encode(layout, entity->last_time, time, partition, counts_from, cells, bytes);
		fits = offsetof(FsChunk, data) + chunk->used + len <= chunk->size;
	}
	fs_entity_begin_change(entity);
	if (!fits)
	{
		FsTime		start = fs_slice_start(slice, layout->slice);

		len = fs_ring_encode(layout, start, time, partition, counts_from, cells, bytes);
		chunk = add_chunk(arena, entity, slice, len + spare);
	}
	if (chunk != NULL)
	{
		copy_event(chunk, bytes, len);
		chunk->used += len;
		chunk->max_slice = Max(chunk->max_slice, slice);
		entity->last_time = time;
		entity->nevents++;
	}
	fs_entity_end_change(entity);
	return chunk != NULL;
}

/* See entity.h. */
bool
fs_entity_append(FsArena *arena, FsEntity *entity, const FsRingLayout *layout,
				 FsTime time, uint32 slice, int32 partition, FsTime counts_from, const FsCell *cells)
{
	return append_event(arena, entity, layout, time, slice, partition, counts_from, cells, 0);
}

/* The records of a chunk, as bytes; returns their length, which is more than 'room' when they do not fit. */
static int
encode_records(const FsRingLayout *layout, const FsChunk *chunk, const FsRingEvent *records, int n, uint8 *out,
			   int room)
{
	FsTime		previous = fs_slice_start(chunk->base_slice, layout->slice);
	int			len = 0;

	for (int i = 0; i < n && len <= room; i++)
	{
		uint8		bytes[FS_RING_MAX_EVENT];
		int			size = fs_ring_encode(layout, previous, records[i].time, records[i].partition,
										  records[i].counts_from, records[i].cells, bytes);

		if (len + size <= room)
			memcpy(out + len, bytes, size);
		len += size;
		previous = records[i].time;
	}
	return len;
}

/*
 * Chunks of records: their greatest size, and the most cells that a chunk of
 * FS_CHUNK_MAX can hold: a record takes two bytes and its bitmap of nulls.
 */
#define MERGE_CHUNK 1024
#define MERGE_CELLS (FS_CHUNK_MAX / (2 + FS_RING_MAX_CELLS / 8) * FS_RING_MAX_CELLS)

/* Decodes a chunk into records[FS_CHUNK_MAX / 2] and space[MERGE_CELLS]; their number, -1 when there is no room. */
static int
decode_records(const FsRingLayout *layout, const FsChunk *chunk, FsRingEvent *records, FsCell *space)
{
	int			n = 0;

	if (!fs_ring_decode(layout, chunk, records, space, &n,
						Min(FS_CHUNK_MAX / 2, MERGE_CELLS / Max(layout->ncells, 1))))
		return -1;
	return n;
}

/* Tries to add to a record of the newest chunk; refused when there is none, or no room. */
static FsMergeResult
merge_in_place(FsEntity *entity, const FsRingLayout *layout, FsTime time, FsTime counts_from,
			   FsMergeFunction merge, void *arg)
{
	FsRingEvent records[FS_CHUNK_MAX / 2];
	FsCell		space[MERGE_CELLS];
	uint8		bytes[MERGE_CHUNK];
	FsChunk    *chunk = entity->tail != 0 ? fs_arena_ptr(entity->tail) : NULL;
	int			i;
	int			n;
	int			len;
	FsMergeResult result;

	if (chunk == NULL || chunk->size > MERGE_CHUNK)
		return FS_MERGE_REFUSED;
	n = decode_records(layout, chunk, records, space);
	for (i = n - 1; i >= 0; i--)
		if (records[i].time == time && records[i].counts_from == counts_from)
			break;
	if (i < 0)
		return FS_MERGE_REFUSED;
	result = merge(arg, records[i].cells, false);
	if (result != FS_MERGE_DONE)
		return result;
	len = encode_records(layout, chunk, records, n, bytes, chunk->size - offsetof(FsChunk, data));
	if (len > chunk->size - (int) offsetof(FsChunk, data))
		return FS_MERGE_REFUSED;
	fs_entity_begin_change(entity);
	memcpy(chunk->data, bytes, len);
	chunk->used = len;
	fs_entity_end_change(entity);
	return FS_MERGE_DONE;
}

/* See entity.h. */
bool
fs_entity_merge(FsArena *arena, FsEntity *entity, const FsRingLayout *layout, FsTime time,
				FsTime counts_from, FsMergeFunction merge, void *arg)
{
	FsCell		cells[FS_RING_MAX_CELLS];
	FsMergeResult result = merge_in_place(entity, layout, time, counts_from, merge, arg);

	if (result == FS_MERGE_REFUSED)
		result = merge(arg, cells, true);
	else if (result == FS_MERGE_DONE)
		return true;
	Assert(result != FS_MERGE_REFUSED);
	if (result != FS_MERGE_DONE)
		return false;

	/* Numbers grow: the record is to stay where it is. */
	return append_event(arena, entity, layout, time, fs_slice_index(time, layout->slice), 0, counts_from, cells,
						2 * layout->ncells);
}

#define MAX_RECORDS (MERGE_CHUNK / 4)	/* with sets, in the largest chunk */

/* Frees the sets and blobs of a chunk's records. */
static void
free_owned(FsArena *arena, const FsRingLayout *layout, const FsChunk *chunk)
{
	FsRingEvent *records = palloc(sizeof(FsRingEvent) * MAX_RECORDS);
	FsCell	   *space = palloc(sizeof(FsCell) * MAX_RECORDS * layout->ncells);
	int			n = 0;

	if (!fs_ring_decode(layout, chunk, records, space, &n, MAX_RECORDS))
		elog(ERROR, "could not decode the records of an entity in shared memory");
	for (int i = 0; i < n * layout->ncells; i++)
		if (layout->kinds[i % layout->ncells] == FS_CELL_SET)
			fs_value_set_free(arena, space[i].set);
		else if (layout->has_blobs && (i + 1) % layout->ncells == 0 && !space[i].isnull)
			fs_blob_free(arena, space[i].code);
	pfree(records);
	pfree(space);
}

/* See entity.h. */
void
fs_entity_trim(FsArena *arena, FsEntity *entity, const FsRingLayout *layout, uint32 oldest)
{
	while (entity->head != 0)
	{
		FsHandle	handle = entity->head;
		FsChunk    *chunk = fs_arena_ptr(handle);

		if (chunk->max_slice >= oldest)
			break;
		fs_entity_begin_change(entity);
		entity->nevents -= fs_ring_count(layout, chunk);
		entity->head = chunk->next;
		if (entity->head == 0)
			entity->tail = 0;
		if (layout->has_sets || layout->has_blobs)
			free_owned(arena, layout, chunk);
		fs_arena_free(arena, handle, chunk->size);
		fs_entity_end_change(entity);
	}
}

/* See entity.h. */
void
fs_entity_events_from(const FsEntity *entity, const FsRingLayout *layout, uint32 oldest, FsEventSet *set)
{
	FsHandle	handle = entity->head;

	fs_event_set_reserve(set, layout, entity->nevents);
	set->n = 0;
	while (handle != 0)
	{
		const FsChunk *chunk = fs_arena_ptr(handle);

		if (chunk->next != 0)
			__builtin_prefetch(fs_arena_ptr(chunk->next));
		if (chunk->max_slice >= oldest &&
			!fs_ring_decode(layout, chunk, set->events, set->cells, &set->n, set->max))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("could not decode the events of an entity in shared memory")));
		handle = chunk->next;
	}
	Assert(oldest > 0 || set->n == entity->nevents);
}

/* See entity.h. */
void
fs_entity_events(const FsEntity *entity, const FsRingLayout *layout, FsEventSet *set)
{
	fs_entity_events_from(entity, layout, 0, set);
}

/* Copies one chunk into copy->buffer; NULL when the link leads nowhere. */
static FsChunk *
copy_chunk(FsHandle handle, FsEntityCopy *copy)
{
	FsChunk    *chunk = fs_arena_ptr_checked(handle, offsetof(FsChunk, data));
	FsChunk    *mine = (FsChunk *) copy->buffer;
	uint16		used;

	if (chunk == NULL)
		return NULL;
	used = chunk->used;
	if (fs_arena_ptr_checked(handle, offsetof(FsChunk, data) + used) == NULL)
		return NULL;
	memcpy(mine, chunk, offsetof(FsChunk, data) + used);
	mine->used = used;
	return mine;
}

bool
fs_entity_unchanged(FsHandle handle, const FsEntityCopy *copy)
{
	FsEntity   *entity = fs_arena_ptr(handle);

	pg_read_barrier();
	return *(volatile uint32 *) &entity->seq == copy->seq;
}

/* The most events that an entity can have; what says more is none. */
static inline uint64
most_events(void)
{
	return Min(fs_arena_bytes / FS_RING_MIN_EVENT, PG_INT32_MAX);
}

/*
 * Copies and decodes the chunks of an entity whose header has been copied; false
 * when they make no sense.  Room is made for what chunks have, not for what the
 * header says, which may be that of something else by now.
 */
static bool
copy_events(const FsRingLayout *layout, FsEntityCopy *copy)
{
	FsEventSet *set = &copy->set;
	int			nevents = copy->header.nevents;
	FsHandle	handle = copy->header.head;

	fs_event_set_reserve(set, layout, Min(nevents, FS_EVENTS_AT_HAND));
	set->n = 0;
	while (handle != 0)
	{
		FsChunk    *chunk = copy_chunk(handle, copy);

		if (chunk == NULL || chunk->used == 0)
			return false;
		if (set->max < nevents && set->n + chunk->used / FS_RING_MIN_EVENT > set->max)
			fs_event_set_extend(set, layout, (int) Min((int64) set->max * 2, nevents));
		if (!fs_ring_decode(layout, chunk, set->events, set->cells, &set->n, Min(set->max, nevents)))
			return false;
		handle = chunk->next;
	}
	return set->n == nevents;
}

/* See entity.h. */
bool
fs_entity_copy(FsHandle handle, const FsRingLayout *layout, FsEntityCopy *copy)
{
	FsEntity   *entity = fs_arena_ptr_checked(handle, offsetof(FsEntity, key));

	if (entity == NULL)
		return false;
	copy->seq = *(volatile uint32 *) &entity->seq;
	pg_read_barrier();
	memcpy(&copy->header, entity, offsetof(FsEntity, key));
	if ((copy->seq & 1) != 0 || copy->header.key_len > FS_ENTITY_MAX_KEY ||
		copy->header.nevents > most_events() ||
		fs_arena_ptr_checked(handle, entity_size(copy->header.key_len)) == NULL)
		return false;
	if (copy->buffer == NULL)
	{
		copy->buffer = palloc(offsetof(FsChunk, data) + PG_UINT16_MAX);
		copy->key = palloc(FS_ENTITY_MAX_KEY);
	}
	memcpy(copy->key, entity->key, copy->header.key_len);
	if (!fs_entity_unchanged(handle, copy))
		return false;
	return copy_events(layout, copy) && fs_entity_unchanged(handle, copy);
}

/* See entity.h. */
FsHandle
fs_entity_search(const FsTable *table, const char *key, uint16 key_len, uint32 hash, bool *sure)
{
	uint32		change = *(volatile uint32 *) &table->change;
	FsHandle	handle;
	int			steps = 0;

	pg_read_barrier();
	handle = fs_table_read_head(table, hash);
	while (handle != 0 && steps++ < FS_TABLE_MAX_CHAIN)
	{
		FsEntity   *entity = fs_arena_ptr_checked(handle, entity_size(key_len));

		if (entity == NULL)
			break;
		if (entity->entry.hash == hash && entity->key_len == key_len &&
			memcmp(entity->key, key, key_len) == 0)
		{
			*sure = true;
			return handle;
		}
		handle = entity->entry.next;
	}
	pg_read_barrier();
	*sure = (change & 1) == 0 && *(volatile uint32 *) &table->change == change && handle == 0;
	return 0;
}
