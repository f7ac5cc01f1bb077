/*
 * view_cache.c
 *		Definitions of feature views as a reading backend needs them.
 *
 * Private to the backend.  An entry is never changed: one that may be out of
 * date is taken off the list, and freed when nobody holds a pin on it.  Pins
 * are held by memory contexts, so that an aborted query gives its pin back.
 */
#include "postgres.h"

#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "catalog/contract_version.h"
#include "catalog/view_columns.h"
#include "pipeline/shard.h"
#include "sql/view_cache.h"
#include "state/shared.h"

static List *entries = NIL;		/* FsViewEntry *, the ones on offer */
static MemoryContext cache_context = NULL;
static uint64 invalidations = 0;	/* ever seen, of any kind */

/* Relcache callback: a definition goes stale with each relation it was made from. */
static void
invalidate_relation_cb(Datum arg, Oid relid)
{
	ListCell   *lc;

	invalidations++;
	foreach(lc, entries)
	{
		FsViewEntry *entry = lfirst(lc);

		if (!OidIsValid(relid) || relid == entry->relid || relid == entry->view->live ||
			relid == entry->view->stream || relid == entry->view->definition)
			entry->is_valid = false;
	}
}

/* Syscache callback: foreign servers change rarely, so all definitions go. */
static void
invalidate_server_cb(Datum arg, int cacheid, uint32 hashvalue)
{
	invalidate_relation_cb(arg, InvalidOid);
}

/* Makes the cache's context and registers the callbacks, once a backend. */
static void
prepare_cache(void)
{
	if (cache_context != NULL)
		return;
	CacheRegisterRelcacheCallback(invalidate_relation_cb, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, invalidate_server_cb, (Datum) 0);
	cache_context = AllocSetContextCreate(TopMemoryContext, "feature_stream view cache",
										  ALLOCSET_SMALL_SIZES);
}

/*
 * A number that grows with each change of a definition of any stream of the
 * cluster: such changes are rare, and this needs no lock.
 */
static uint64
definition_generation(void)
{
	uint64		generation = 0;

	for (int i = 0; fs_shared != NULL && i < fs_shared->max_streams; i++)
		generation += pg_atomic_read_u64(&fs_shared->streams[i].generation);
	return generation;
}

/* Finds the columns of the entry's foreign tables. */
static void
find_columns(FsViewEntry *entry)
{
	int			ncolumns;
	FsViewColumn *columns = fs_view_columns(entry->view, entry->stream, &ncolumns);

	ncolumns = fs_view_natts(entry->view);
	entry->attnums = fs_view_attnums(columns, ncolumns, entry->relid);
	if (OidIsValid(entry->view->live))
		entry->live_attnums = fs_view_attnums(columns, ncolumns, entry->view->live);
	pfree(columns);
}

/*
 * Loads a definition into a context of its own.  That hangs below the caller's
 * until all is well, so that an error leaves nothing behind.  The generation is
 * read before the definition: one that moves in between makes the entry stale,
 * not wrong.
 */
static FsViewEntry *
load_entry(Oid relid)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream view",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	FsViewEntry *entry = palloc0(sizeof(FsViewEntry));
	uint64		before = invalidations;
	Oid			view = fs_view_of_live(relid);

	if (OidIsValid(view))
		relid = view;
	entry->relid = relid;
	entry->context = context;
	entry->generation = definition_generation();
	entry->view = fs_view_load(relid);
	entry->stream = fs_stream_load(entry->view->stream);
	fs_contract_version_mark(entry->stream);
	fs_layout_build(&entry->layout, entry->view, entry->stream);
	entry->signature = fs_layout_signature(entry->view, entry->stream);
	find_columns(entry);
	entry->is_valid = before == invalidations;
	MemoryContextSwitchTo(cache_context);
	entries = lappend(entries, entry);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, cache_context);
	return entry;
}

/* See view_cache.h. */
const FsViewEntry *
fs_view_cache_get(Oid relid)
{
	ListCell   *lc;

	prepare_cache();
	foreach(lc, entries)
	{
		FsViewEntry *entry = lfirst(lc);

		if (entry->relid != relid && entry->view->live != relid)
			continue;
		if (entry->is_valid && entry->generation == definition_generation())
			return entry;
		entry->is_valid = false;
		entries = foreach_delete_current(entries, lc);
		if (entry->pins == 0)
			MemoryContextDelete(entry->context);
		break;
	}
	return load_entry(relid);
}

/* Memory context callback: the holder of a pin is gone. */
static void
unpin_cb(void *arg)
{
	FsViewEntry *entry = arg;

	Assert(entry->pins > 0);
	if (--entry->pins == 0 && !list_member_ptr(entries, entry))
		MemoryContextDelete(entry->context);
}

/* See view_cache.h. */
const FsViewEntry *
fs_view_cache_pin(Oid relid, MemoryContext context)
{
	FsViewEntry *entry = unconstify(FsViewEntry *, fs_view_cache_get(relid));
	MemoryContextCallback *callback;

	callback = MemoryContextAlloc(context, sizeof(MemoryContextCallback));
	callback->func = unpin_cb;
	callback->arg = entry;
	MemoryContextRegisterResetCallback(context, callback);
	entry->pins++;
	return entry;
}
