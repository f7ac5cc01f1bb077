/*
 * view_reader.c
 *		Rows in force of a feature view, read from its stream's shared memory.
 *
 * Three counters tell whether what was read can be taken:
 *
 *	- FsSharedStream.root, with the slot's owner and worker: the state as a whole.
 *	  A worker that restarts builds another one, perhaps in the same place.
 *	- FsTable.change: the links.  While it stands still an entity that was found
 *	  is still in the table, and one that was not found is not.
 *	- FsEntity.seq: the entity's stamps and events, and with them its events'
 *	  dictionary codes.
 *
 * Each reading therefore ends with looking at them again, and starts anew when
 * one has moved.
 *
 * A scan goes through the buckets the table had when the scan began.  Buckets
 * made since are split off those, so the entries of a bucket of then are those
 * of it and of its descendants now: each entity belongs to exactly one such
 * group however the table grows, and a group is read between two looks at
 * 'change'.  So no entity is missed or met twice, and none has to be
 * remembered.
 *
 * Live rows: T is read before any entity, so what the worker folded before it
 * published T is seen.  In whole microseconds the events with
 * T - S < event time <= T are those of the ordinary window that ends at T + 1.
 * The worker keeps what windows ending at the durable frontier or later need; T
 * has to be at least that when the entity has been copied.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "port/atomics.h"
#include "utils/memutils.h"

#include "core/hash.h"
#include "core/slice.h"
#include "ground/clock.h"
#include "pipeline/row.h"
#include "sql/view_reader.h"
#include "sql/view_unavailable.h"
#include "state/store.h"

/* Attempts without a pause, and in all (about ten seconds), at one reading. */
#define EAGER_ATTEMPTS 100
#define MAX_ATTEMPTS 10000
#define RETRY_PAUSE 1000L		/* us */

typedef struct FoundEntity
{
	FsHandle	handle;
	uint32		hash;
} FoundEntity;

struct FsViewReader
{
	/* Info */
	const FsViewEntry *entry;
	const FsViewDef *view;
	bool		is_live;		/* of <view>_live */
	FsTime		live_end;		/* T; FS_TIME_MIN: no event was seen */

	/* What is read: see is_attached() */
	FsSharedStream *slot;
	pid_t		pid;
	FsHandle	root_handle;	/* 0: not attached */
	FsSharedRoot *root;
	FsSharedViewState *state;
	FsRow	   *row;

	/* Scan: the table's buckets as they were when it began */
	uint32		bucket;			/* next to read */
	uint32		max_bucket;
	uint32		high_mask;
	uint32		low_mask;
	uint32		change;			/* of the table when found[] was filled */
	FoundEntity *found;			/* entities of the bucket read last */
	int			nfound;
	int			maxfound;
	int			next_found;

	/* Memory */
	FsEntityCopy copy;
	MemoryContext context;		/* the reader's */
	MemoryContext row_context;	/* of 'row', reset when attaching */
};

typedef enum ReadResult
{
	READ_ROW,
	READ_NO_ROW,				/* the entity has no row in force */
	READ_GONE,					/* the entity is not in the table any more */
	READ_AGAIN					/* changed meanwhile */
} ReadResult;

/* Is what the reader attached to still what its stream's worker shows? */
static bool
is_attached(const FsViewReader *reader)
{
	volatile FsSharedStream *slot = reader->slot;

	pg_read_barrier();
	return reader->root_handle != 0 &&
		slot->database == MyDatabaseId && slot->relid == reader->view->stream &&
		slot->pid == reader->pid &&
		pg_atomic_read_u32(&reader->slot->root) == reader->root_handle;
}

/* Reads T. */
static void
read_live_end(FsViewReader *reader)
{
	reader->live_end = (FsTime) pg_atomic_read_u64(&reader->root->live_end);
	pg_read_barrier();
}

/* The view's state under a root; NULL when the worker has not made it from the same definition. */
static FsSharedViewState *
find_state(const FsViewEntry *entry, FsSharedRoot *root)
{
	int			nviews = Min(root->nviews, FS_MAX_VIEWS);

	if (root->slice != entry->stream->slice)
		return NULL;
	for (int i = 0; i < nviews; i++)
	{
		FsSharedViewState *state = &root->views[i];

		if (state->relid == entry->relid)
			return state->signature == entry->signature ? state : NULL;
	}
	return NULL;
}

/*
 * Finds the state to read.  Throws 55000 when there is none.
 */
static void
attach(FsViewReader *reader)
{
	FsSharedRoot *root;
	MemoryContext old;

	reader->root_handle = 0;
	LWLockAcquire(fs_shared->lock, LW_SHARED);
	reader->slot = fs_shared_stream(MyDatabaseId, reader->view->stream, false);
	reader->pid = reader->slot != NULL ? reader->slot->pid : 0;
	LWLockRelease(fs_shared->lock);
	if (reader->pid == 0)
		fs_view_unavailable(reader->view);
	reader->root_handle = pg_atomic_read_u32(&reader->slot->root);
	root = fs_arena_ptr_checked(reader->root_handle, sizeof(FsSharedRoot));
	if (root == NULL)
		fs_view_unavailable(reader->view);
	pg_read_barrier();
	reader->state = find_state(reader->entry, root);
	if (reader->state == NULL)
		fs_view_outdated(reader->view);
	if (reader->state->paused && !reader->is_live)
		fs_view_paused(reader->view);
	reader->root = root;
	read_live_end(reader);
	MemoryContextReset(reader->row_context);
	old = MemoryContextSwitchTo(reader->row_context);
	reader->row = fs_row_create(reader->view, reader->entry->stream, root);
	MemoryContextSwitchTo(old);
}

/*
 * Waits a little between attempts at a reading, longer the more there were.
 * Only a worker that stands still in the middle of a change, or one entity that
 * changes all the time, makes it give up.
 */
static void
pause_reading(const FsViewReader *reader, int attempt)
{
	CHECK_FOR_INTERRUPTS();
	if (attempt >= MAX_ATTEMPTS)
		fs_view_too_busy(reader->view);
	if (attempt >= EAGER_ATTEMPTS)
		pg_usleep(RETRY_PAUSE);
}

/* See view_reader.h. */
FsViewReader *
fs_view_reader_open(Oid relid)
{
	FsViewReader *reader;

	fs_require_preload();
	reader = palloc0(sizeof(FsViewReader));
	reader->context = CurrentMemoryContext;
	reader->row_context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream row",
												ALLOCSET_SMALL_SIZES);
	reader->entry = fs_view_cache_pin(relid, CurrentMemoryContext);
	reader->view = reader->entry->view;
	reader->is_live = relid == reader->view->live;
	attach(reader);
	return reader;
}

const FsViewEntry *
fs_view_reader_entry(const FsViewReader *reader)
{
	return reader->entry;
}

/* The table's change counter, to be compared before and after. */
static inline uint32
table_change(const FsViewReader *reader)
{
	uint32		change = *(volatile uint32 *) &reader->state->entities.change;

	pg_read_barrier();
	return change;
}

/* Did no link change since 'change' was read, and was none being changed then? */
static inline bool
table_unchanged(const FsViewReader *reader, uint32 change)
{
	pg_read_barrier();
	return (change & 1) == 0 && *(volatile uint32 *) &reader->state->entities.change == change;
}

/*
 * Is the entity in the table?  *sure is false when the table changed meanwhile
 * and a miss proves nothing.  (A hit may have been removed just now: then its
 * 'seq' moves before its memory is used again.)
 */
static bool
is_linked(const FsViewReader *reader, FsHandle entity, uint32 hash, bool *sure)
{
	uint32		change = table_change(reader);
	FsHandle	handle = fs_table_read_head(&reader->state->entities, hash);
	int			steps = 0;

	while (handle != 0 && handle != entity && steps++ < FS_TABLE_MAX_CHAIN)
	{
		FsEntry    *entry = fs_arena_ptr_checked(handle, sizeof(FsEntry));

		if (entry == NULL)
			break;
		handle = entry->next;
	}
	*sure = handle == entity || (handle == 0 && table_unchanged(reader, change));
	return handle == entity;
}

/*
 * Copies the entity at 'handle', which was in the table when its change counter
 * was 'change'.  READ_ROW when the copy is whole and the entity still there.
 */
static ReadResult
copy_entity(FsViewReader *reader, FsHandle handle, uint32 hash, uint32 change)
{
	MemoryContext old = MemoryContextSwitchTo(reader->context);
	bool		copied = fs_entity_copy(handle, &reader->entry->layout, &reader->copy);
	bool		sure;

	MemoryContextSwitchTo(old);
	if (!table_unchanged(reader, change))
	{
		bool		linked = is_linked(reader, handle, hash, &sure);

		if (!sure)
			return READ_AGAIN;
		if (!linked)
			return READ_GONE;
		copied = copied && fs_entity_unchanged(handle, &reader->copy);
	}
	return copied && reader->copy.header.entry.hash == hash ? READ_ROW : READ_AGAIN;
}

/* The window end whose row of the copied entity is in force, as a slice index; 0 when none is. */
static uint32
row_in_force(const FsViewReader *reader, FsTime *computed_at)
{
	const FsEntity *entity = &reader->copy.header;

	if ((int64) entity->row <= (int64) pg_atomic_read_u64(&reader->state->durable_frontier))
	{
		*computed_at = entity->computed_at;
		return entity->row;
	}
	*computed_at = entity->durable_computed_at;
	return entity->durable_row;
}

/* Start of a slice of the view's stream; FS_TIME_MIN for none (0). */
static FsTime
slice_time(const FsViewReader *reader, uint64 index)
{
	return index == 0 ? FS_TIME_MIN : fs_slice_start((int64) index, reader->entry->stream->slice);
}

/*
 * Makes the copied entity's events those of live windows; see the header
 * comment.  Returns T.
 */
static FsTime
make_live(FsViewReader *reader)
{
	FsEventSet *set = &reader->copy.set;

	pg_read_barrier();
	if (reader->live_end < slice_time(reader, pg_atomic_read_u64(&reader->state->durable_frontier)))
		read_live_end(reader);
	for (int i = 0; i < set->n; i++)
		set->events[i].counts_from = FS_TIME_MIN;
	return reader->live_end;
}

/*
 * Computes the row from the copy: that in force, or the live one.  Codes are resolved in the
 * dictionaries as they are now, which is right as long as the entity has not
 * changed: that is looked at last.
 */
static ReadResult
compute_row(FsViewReader *reader, FsHandle handle, Datum *values, bool *nulls)
{
	const FsViewDef *view = reader->view;
	int			natts = fs_view_natts(view);
	FsTime		computed_at = fs_clock_now();
	FsTime		window_end = reader->is_live ? make_live(reader) :
		slice_time(reader, row_in_force(reader, &computed_at));
	FsTime		end = window_end + (reader->is_live ? 1 : 0);
	bool		is_empty = window_end == FS_TIME_MIN || fs_row_is_empty(view, &reader->copy.set, end);

	memset(nulls, 0, sizeof(bool) * natts);
	if (!is_empty)
		(void) fs_row_compute(reader->row, &reader->copy.set, reader->copy.key,
							  reader->copy.header.key_len, end,
							  values + view->nentity, nulls + view->nentity);
	if ((!is_empty && reader->row->stale) ||
		!fs_entity_unchanged(handle, &reader->copy) || !is_attached(reader))
		return READ_AGAIN;
	if (is_empty)
		return READ_NO_ROW;
	fs_key_decode(view, reader->copy.key, reader->copy.header.key_len, values);
	values[natts - 2] = Int64GetDatum(window_end);
	values[natts - 1] = Int64GetDatum(computed_at);
	return READ_ROW;
}

/* One attempt at the row of a key. */
static ReadResult
read_key(FsViewReader *reader, const char *key, int key_len, uint32 hash, Datum *values, bool *nulls)
{
	uint32		change = table_change(reader);
	bool		sure;
	FsHandle	handle = fs_entity_search(&reader->state->entities, key, key_len, hash, &sure);
	ReadResult	result;

	if (handle == 0)
		return sure && is_attached(reader) ? READ_NO_ROW : READ_AGAIN;
	result = copy_entity(reader, handle, hash, change);
	if (result == READ_ROW &&
		(reader->copy.header.key_len != key_len || memcmp(reader->copy.key, key, key_len) != 0))
		result = READ_AGAIN;	/* it went, and another one took its place */
	if (result == READ_ROW)
		result = compute_row(reader, handle, values, nulls);
	return result == READ_GONE ? READ_AGAIN : result;
}

/* See view_reader.h. */
bool
fs_view_reader_lookup(FsViewReader *reader, const char *key, int key_len, Datum *values, bool *nulls)
{
	uint32		hash = fs_hash_bytes(key, key_len);
	ReadResult	result;

	Assert(key_len >= 0 && key_len <= FS_ENTITY_MAX_KEY);
	for (int attempt = 0;; attempt++)
	{
		if (!is_attached(reader))
			attach(reader);
		result = read_key(reader, key, key_len, hash, values, nulls);
		if (result != READ_AGAIN)
			return result == READ_ROW;
		pause_reading(reader, attempt);
	}
}

/* Throws when a scan's state went away under it: half of it was read. */
static void
check_attached(const FsViewReader *reader)
{
	if (!is_attached(reader))
		fs_view_interrupted(reader->view);
}

/* See view_reader.h. */
void
fs_view_reader_begin(FsViewReader *reader)
{
	const FsTable *table;

	if (!is_attached(reader))
		attach(reader);
	table = &reader->state->entities;
	for (int attempt = 0;; attempt++)
	{
		uint32		change = table_change(reader);

		reader->max_bucket = table->max_bucket;
		reader->high_mask = table->high_mask;
		reader->low_mask = table->low_mask;
		if (table_unchanged(reader, change) && is_attached(reader))
			break;
		pause_reading(reader, attempt);
		check_attached(reader);
	}
	reader->bucket = 0;
	reader->nfound = 0;
	reader->next_found = 0;
}

/* The bucket that held, when the scan began, what is in this bucket now. */
static inline uint32
bucket_of_old(const FsViewReader *reader, uint32 bucket)
{
	uint32		old = bucket & reader->high_mask;

	return old > reader->max_bucket ? bucket & reader->low_mask : old;
}

/* Appends the entities of one bucket to found[]; false when the chain leads nowhere. */
static bool
collect_chain(FsViewReader *reader, uint32 bucket)
{
	FsHandle	handle = fs_table_read_bucket(&reader->state->entities, bucket);

	for (int steps = 0; handle != 0; steps++)
	{
		FsEntry    *entry = fs_arena_ptr_checked(handle, sizeof(FsEntry));

		if (entry == NULL || steps >= FS_TABLE_MAX_CHAIN)
			return false;
		if (reader->nfound == reader->maxfound)
		{
			reader->maxfound = Max(64, reader->maxfound * 2);
			reader->found = reader->found == NULL ?
				MemoryContextAlloc(reader->context, sizeof(FoundEntity) * reader->maxfound) :
				repalloc(reader->found, sizeof(FoundEntity) * reader->maxfound);
		}
		reader->found[reader->nfound].handle = handle;
		reader->found[reader->nfound++].hash = entry->hash;
		handle = entry->next;
	}
	return true;
}

/*
 * Fills found[] with the entities that bucket 'bucket' would hold, had the
 * table not grown since the scan began; see the header comment.  All buckets
 * split off it agree with it in the bits of low_mask.
 */
static void
collect_bucket(FsViewReader *reader, uint32 bucket)
{
	const FsTable *table = &reader->state->entities;

	for (int attempt = 0;; attempt++)
	{
		bool		whole = true;
		uint64		max;

		reader->change = table_change(reader);
		reader->nfound = 0;
		reader->next_found = 0;
		max = *(volatile uint32 *) &table->max_bucket;
		max = Min(max, (uint64) FS_TABLE_DIRECTORY * FS_TABLE_SEGMENT - 1);
		for (uint64 b = bucket; b <= max && whole; b += (uint64) reader->low_mask + 1)
			if (bucket_of_old(reader, (uint32) b) == bucket)
				whole = collect_chain(reader, (uint32) b);
		if (table_unchanged(reader, reader->change) && whole)
			break;
		check_attached(reader);
		pause_reading(reader, attempt);
	}
	check_attached(reader);
}

/* Reads the row of an entity that the scan found. */
static bool
read_found(FsViewReader *reader, const FoundEntity *found, Datum *values, bool *nulls)
{
	ReadResult	result;

	for (int attempt = 0;; attempt++)
	{
		result = copy_entity(reader, found->handle, found->hash, reader->change);
		if (result == READ_ROW)
			result = compute_row(reader, found->handle, values, nulls);
		if (result != READ_AGAIN)
			break;
		check_attached(reader);
		pause_reading(reader, attempt);
	}
	check_attached(reader);
	return result == READ_ROW;
}

/* See view_reader.h. */
bool
fs_view_reader_next(FsViewReader *reader, Datum *values, bool *nulls)
{
	for (;;)
	{
		while (reader->next_found < reader->nfound)
			if (read_found(reader, &reader->found[reader->next_found++], values, nulls))
				return true;
		if (reader->bucket > reader->max_bucket)
			return false;
		CHECK_FOR_INTERRUPTS();
		collect_bucket(reader, reader->bucket++);
	}
}

FsTime
fs_view_reader_frontier(FsViewReader *reader)
{
	if (!is_attached(reader))
		attach(reader);
	return slice_time(reader, pg_atomic_read_u64(&reader->state->durable_frontier));
}

/* See view_reader.h. */
int64
fs_view_entities(Oid stream, Oid relid)
{
	FsSharedStats *stats;
	int64		entities = -1;

	if (fs_shared == NULL)
		return -1;
	stats = fs_stats_copy(MyDatabaseId, stream, NULL, NULL, NULL);
	if (stats == NULL)
		return -1;
	for (int i = 0; i < stats->nviews; i++)
		if (stats->views[i].relid == relid)
			entities = stats->views[i].entities;
	pfree(stats);
	return entities;
}
