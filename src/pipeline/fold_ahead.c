/*
 * fold_ahead.c
 *		What folding will look up for an event, found out ahead of its turn.
 *
 * Folding is bound by cache misses.  While one event is folded, the memory of
 * those that follow is got on its way: keys and hashes are made FS_FOLD_AHEAD
 * events ahead and the buckets fetched, a little later the entries, then the
 * chunks, so that the misses of many events overlap.  What was found out is
 * kept in a ring that stays in the nearest cache.
 */
#include "postgres.h"

#include "core/hash.h"
#include "pipeline/shard.h"

/* Makes the ring, once the views are there. */
void
fs_fold_ahead_init(FsShard *shard)
{
	shard->ahead = palloc0(sizeof(FsFoldKey) * FS_FOLD_RING * Max(shard->nviews, 1));
}

/* The place of a hash, whose bucket is got on its way. */
static pg_attribute_always_inline void
fetch_bucket(FsTablePlace *place, const FsTable *table, uint32 hash)
{
	*place = fs_table_place(table, hash);
	__builtin_prefetch(place->bucket);
}

/* The key of an event for a view, with all that is looked up by it. */
static inline void
make_key(const FsView *view, const FsValue *values, FsFoldKey *key)
{
	const FsKept *end = view->kept + view->def->nkept;
	FsTablePlace *place = key->places;

	key->nplaces = 0;
	key->len = fs_key_of_values(view, values, key->bytes);
	if (key->len < 0)
		return;
	fetch_bucket(place++, &view->shared->entities, fs_hash_bytes(key->bytes, key->len));
	for (const FsKept *kept = view->kept; kept < end; kept++, place++)
	{
		const FsValue *value = &values[kept->value];

		if (kept->dictionary == NULL || value->presence != FS_PRESENT)
			place->bucket = NULL;
		else
			fetch_bucket(place, &kept->dictionary->table, fs_hash_bytes(value->data, value->len));
	}
	key->nplaces = place - key->places;
}

/* See shard.h; for recovery. */
void
fs_fold_key_make(const FsView *view, const FsValue *values, FsFoldKey *key)
{
	make_key(view, values, key);
}

#define ENTITY_BYTES (offsetof(FsEntity, key) + 16)	/* with the beginning of the key */
#define VALUE_BYTES 32			/* a dictionary's entry with a short value */

/* Then the first entries of the buckets. */
static pg_attribute_always_inline void
fetch_entries(const FsFoldKey *key)
{
	if (key->nplaces == 0)
		return;
	fs_table_prefetch_entry(*key->places[0].bucket, ENTITY_BYTES);
	for (const FsTablePlace *place = &key->places[1]; place < &key->places[key->nplaces]; place++)
		if (place->bucket != NULL)
			fs_table_prefetch_entry(*place->bucket, VALUE_BYTES);
}

/* Then the chunk that the event will probably be appended to. */
static pg_attribute_always_inline void
fetch_tail(const FsFoldKey *key)
{
	FsHandle	handle = key->nplaces > 0 ? *key->places[0].bucket : 0;
	const FsEntity *entity = handle != 0 ? fs_arena_ptr(handle) : NULL;

	if (entity != NULL && entity->tail != 0)
	{
		char	   *chunk = fs_arena_ptr(entity->tail);

		__builtin_prefetch(chunk);
		__builtin_prefetch(chunk + (entity->nevents < 12 ? FS_CHUNK_FIRST - 1 : 64));
	}
}

#define AHEAD_ENTRY 16
#define AHEAD_TAIL 8

/* Makes the keys of an event for all views; none for one that was refused. */
static inline void
make_keys(FsShard *shard, int index)
{
	FsEvent    *event = &shard->events[index];
	FsFoldKey  *key = fs_fold_key(shard, index, 0);
	FsView	   *end = shard->views + shard->nviews;

	for (FsView *view = shard->views; view < end; view++, key++)
	{
		key->len = -1;
		key->nplaces = 0;
		if (event->reason != FS_REASON_NONE)
			continue;
		make_key(view, event->values, key);
		event->lacks_key |= key->len < 0;
	}
}

/*
 * Prepares the events of the batch that follow events[next], 'next' being from
 * -FS_FOLD_AHEAD on: makes the keys of one, fetches for that and two others.
 * Before the first and after the last event these are what the ring still holds
 * of others, which does no harm: it is memory of the tables all the same.
 */
void
fs_fold_prepare(FsShard *shard, int next)
{
	const FsFoldKey *entry = fs_fold_key(shard, next + AHEAD_ENTRY, 0);
	const FsFoldKey *tail = fs_fold_key(shard, next + AHEAD_TAIL, 0);
	const FsFoldKey *end = entry + shard->nviews;

	Assert(next >= -FS_FOLD_AHEAD);
	if (next + FS_FOLD_AHEAD < shard->nevents)
		make_keys(shard, next + FS_FOLD_AHEAD);
	for (; entry < end; entry++, tail++)
	{
		fetch_entries(entry);
		fetch_tail(tail);
	}
}
