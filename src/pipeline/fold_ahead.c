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

/* See shard.h. */
void
fs_fold_key_make(const FsView *view, const FsValue *values, FsFoldKey *key)
{
	int			len = fs_key_of_values(view, values, key->bytes);

	key->len = len;
	if (len < 0)
		return;
	key->hash = fs_hash_bytes(key->bytes, len);
	for (int i = 0; i < view->def->nkept; i++)
	{
		const FsKept *kept = &view->kept[i];
		const FsValue *value = &values[kept->value];

		if (kept->dictionary != NULL && value->presence == FS_PRESENT)
			key->hashes[i] = fs_hash_bytes(value->data, value->len);
	}
}

/* Gets the buckets on their way that folding the event will look into. */
static pg_attribute_always_inline void
prefetch_buckets(const FsView *view, const FsValue *values, FsFoldKey *key)
{
	key->bucket = fs_table_bucket(&view->shared->entities, key->hash);
	__builtin_prefetch(key->bucket);
	for (int i = 0; i < view->def->nkept; i++)
	{
		const FsKept *kept = &view->kept[i];

		key->buckets[i] = NULL;
		if (kept->dictionary == NULL || values[kept->value].presence != FS_PRESENT)
			continue;
		key->buckets[i] = fs_table_bucket(&kept->dictionary->table, key->hashes[i]);
		__builtin_prefetch(key->buckets[i]);
	}
}

#define ENTITY_BYTES (offsetof(FsEntity, key) + 16)	/* with the beginning of the key */
#define VALUE_BYTES 32			/* a dictionary's entry with a short value */

/* Then the first entries of the buckets. */
static pg_attribute_always_inline void
prefetch_entries(const FsView *view, const FsFoldKey *key)
{
	fs_table_prefetch_entry(*key->bucket, ENTITY_BYTES);
	for (int i = 0; i < view->def->nkept; i++)
		if (key->buckets[i] != NULL)
			fs_table_prefetch_entry(*key->buckets[i], VALUE_BYTES);
}

/* Then the chunk that the event will probably be appended to. */
static pg_attribute_always_inline void
prefetch_tail(const FsFoldKey *key)
{
	FsHandle	handle = *key->bucket;
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

/* Is events[at] one that will be folded? */
static inline bool
is_wanted(const FsEvent *events, int n, int at)
{
	return at >= 0 && at < n && events[at].reason == FS_REASON_NONE;
}

/*
 * Prepares the events that follow events[next], 'next' being from
 * -FS_FOLD_AHEAD on: makes the keys of one, fetches for that and two others.
 */
void
fs_fold_prepare(FsShard *shard, const FsEvent *events, int n, int next)
{
	int			making = next + FS_FOLD_AHEAD;
	bool		entries = is_wanted(events, n, next + AHEAD_ENTRY);
	bool		tails = is_wanted(events, n, next + AHEAD_TAIL);

	Assert(making >= 0);
	for (int v = 0; v < shard->nviews; v++)
	{
		const FsView *view = &shard->views[v];

		if (is_wanted(events, n, making))
		{
			FsFoldKey  *key = fs_fold_key(shard, making, v);

			fs_fold_key_make(view, events[making].values, key);
			if (key->len >= 0)
				prefetch_buckets(view, events[making].values, key);
		}
		if (entries && fs_fold_key(shard, next + AHEAD_ENTRY, v)->len >= 0)
			prefetch_entries(view, fs_fold_key(shard, next + AHEAD_ENTRY, v));
		if (tails && fs_fold_key(shard, next + AHEAD_TAIL, v)->len >= 0)
			prefetch_tail(fs_fold_key(shard, next + AHEAD_TAIL, v));
	}
}
