/*
 * prune.c
 *		What no durable window needs any more is let go of, a little at a time.
 *
 * The oldest touch list of a view names all entities that had an event in its
 * slice.  Once no durable window reaches back to it, the list is taken out of
 * the directory and gone through twice: first every entity is trimmed, and
 * those left without events stay on the list, once each, marked as doomed; then
 * the doomed ones are removed, unless they have had events again.  Nobody else
 * removes a doomed entity, so the handles on the list stay good while ingestion
 * and publication go on between the steps.
 *
 * Dictionaries are swept once for each slice that goes.
 */
#include "postgres.h"

#include "core/slice.h"
#include "ground/clock.h"
#include "pipeline/shard.h"

#define STEP_USEC 1000			/* ingestion waits this long, about */
#define SWEEP_CODES 2000		/* of a dictionary in one step */
#define AHEAD_ENTITY 12
#define AHEAD_CHUNK 6

/* The first slice that the durable windows of a view may still need. */
static int64
oldest_slice(const FsShard *shard, const FsView *view)
{
	FsTime		frontier = fs_time_floor(shard->durable_frontier, view->def->slide);

	return fs_slice_index(frontier - fs_view_max_window(view->def), shard->def->slice);
}

static FsEntity *
entity_at(const FsTouchBlock *block, int i)
{
	Assert(i < block->n);
	return fs_arena_ptr(block->items[i] & ~FS_TOUCH_VERIFY);
}

/* Gets the memory on its way that items after 'i' will need. */
static pg_attribute_always_inline void
prefetch_ahead(const FsTouchBlock *block, int i)
{
	if (i + AHEAD_ENTITY < block->n)
		__builtin_prefetch(entity_at(block, i + AHEAD_ENTITY));
	if (i + AHEAD_CHUNK < block->n && entity_at(block, i + AHEAD_CHUNK)->head != 0)
		__builtin_prefetch(fs_arena_ptr(entity_at(block, i + AHEAD_CHUNK)->head));
}

/*
 * Trims the entities of a block, no further than the list's own slice: one
 * that also stands in a later list must be there when its turn comes.  The
 * block keeps those that are doomed by it.
 */
static void
trim_block(FsShard *shard, FsView *view, FsTouchBlock *block)
{
	uint32		oldest = (uint32) (view->prune.list.slice + 1);
	int			kept = 0;

	Assert(view->prune.phase == FS_PRUNE_TRIM);
	for (int i = 0; i < block->n; i++)
	{
		FsEntity   *entity = entity_at(block, i);

		prefetch_ahead(block, i);
		fs_entity_trim(&shard->arena, entity, &view->layout, oldest);
		if (entity->nevents == 0 && (entity->flags & FS_ENTITY_DOOMED) == 0)
		{
			entity->flags |= FS_ENTITY_DOOMED;
			block->items[kept++] = block->items[i] & ~FS_TOUCH_VERIFY;
		}
	}
	block->n = kept;
}

/* Removes the doomed entities of a block; one whose row waits to be published is removed then. */
static void
remove_block(FsShard *shard, FsView *view, const FsTouchBlock *block)
{
	for (int i = 0; i < block->n; i++)
	{
		FsEntity   *entity = entity_at(block, i);

		prefetch_ahead(block, i);
		Assert((entity->flags & FS_ENTITY_DOOMED) != 0);
		entity->flags &= ~FS_ENTITY_DOOMED;
		if (entity->nevents == 0 && (entity->flags & FS_ENTITY_DIRTY) == 0)
			fs_entity_remove(&shard->arena, &view->shared->entities, block->items[i]);
	}
}

/* Goes on with the list in hand; true when it is done. */
static bool
prune_list(FsShard *shard, FsView *view, int64 begin)
{
	FsPruneCursor *prune = &view->prune;

	while (prune->phase == FS_PRUNE_TRIM)
	{
		FsTouchBlock *block;

		if (prune->block == 0)
		{
			prune->phase = FS_PRUNE_REMOVE;
			break;
		}
		block = fs_arena_ptr(prune->block);
		trim_block(shard, view, block);
		prune->block = block->next;
		if (fs_clock_monotonic() - begin >= STEP_USEC)
			return false;
	}
	while (prune->list.head != 0)
	{
		remove_block(shard, view, fs_arena_ptr(prune->list.head));
		fs_touch_free_block(&shard->arena, &prune->list);
		if (fs_clock_monotonic() - begin >= STEP_USEC)
			return false;
	}
	prune->phase = FS_PRUNE_NONE;
	return true;
}

/* Prunes the view's lists before slice 'needed' as far as the time goes. */
static void
prune_view(FsShard *shard, FsView *view, int64 needed, int64 begin)
{
	do
	{
		if (view->prune.phase == FS_PRUNE_NONE)
		{
			if (view->touches.n == 0 || view->touches.lists[0].slice >= needed)
				return;
			view->prune.list = fs_touch_take_first(&view->touches);
			Assert(view->prune.list.slice < needed);
			view->prune.block = view->prune.list.head;
			view->prune.phase = FS_PRUNE_TRIM;
		}
	} while (prune_list(shard, view, begin) && fs_clock_monotonic() - begin < STEP_USEC);
}

/* The oldest slice whose events may still be in the view's rings for a reason. */
static int64
oldest_kept(const FsView *view, int64 needed)
{
	if (view->prune.phase != FS_PRUNE_NONE)
		return Min(needed, view->prune.list.slice);
	return view->touches.n > 0 ? Min(needed, view->touches.lists[0].slice) : needed;
}

/* Looks at each code of the dictionaries once after 'oldest' has moved. */
static void
sweep_some(FsShard *shard, int64 oldest)
{
	bool		again = oldest > shard->swept_slice;

	for (int d = 0; d < shard->root->ndictionaries; d++)
	{
		FsDictionary *dictionary = &shard->root->dictionaries[d];
		uint32		n;

		if (again)
			shard->sweep_left[d] = dictionary->ncodes;
		n = Min(SWEEP_CODES, shard->sweep_left[d]);
		fs_dictionary_sweep(&shard->arena, dictionary, &shard->sweep_cursor[d], n, (uint32) oldest);
		shard->sweep_left[d] -= n;
	}
	if (again)
		shard->swept_slice = oldest;
}

/*
 * One step of expiry.  Never while a boundary is being fired or rows fired are
 * not committed yet, whose candidates it could remove.
 */
void
fs_prune_step(FsShard *shard)
{
	int64		oldest = PG_INT64_MAX;
	int64		begin = fs_clock_monotonic();

	Assert(shard->durable_frontier <= shard->frontier);
	if (shard->durable_frontier == FS_TIME_MIN || shard->fire.active)
		return;
	for (int v = 0; v < shard->nviews; v++)
	{
		FsView	   *view = &shard->views[v];
		int64		needed = oldest_slice(shard, view);

		prune_view(shard, view, needed, begin);
		oldest = Min(oldest, oldest_kept(view, needed));
	}
	if (oldest > 0 && oldest != PG_INT64_MAX)
		sweep_some(shard, oldest);
}
