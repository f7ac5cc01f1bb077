/*
 * shard.c
 *		Making a shard: definitions, arena, dictionaries, rings.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "catalog/contract_version.h"
#include "ground/settings.h"
#include "pipeline/history_writer.h"
#include "pipeline/row.h"
#include "pipeline/shard.h"
#include "pipeline/stuck.h"

/* The dictionary of a stream column (of all expressions: number 0), made when there is none. */
static int
get_dictionary(FsShard *shard, const FsColumn *column)
{
	FsSharedRoot *root = shard->root;

	for (int i = 0; i < root->ndictionaries; i++)
		if (root->dictionary_column[i] == column->attnum)
			return i;
	if (root->ndictionaries == FS_MAX_KEPT)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("feature views of stream %s use more than %d text-like columns",
						shard->def->name, FS_MAX_KEPT)));
	if (!fs_dictionary_create(&shard->arena, &root->dictionaries[root->ndictionaries]))
		return -1;
	root->dictionary_column[root->ndictionaries] = column->attnum;
	return root->ndictionaries++;
}

/* Names of the view's online fields, window by window. */
static char **
make_field_names(const FsViewDef *def)
{
	char	  **names = palloc(sizeof(char *) * Max(def->nwindows * def->nfeatures, 1));

	for (int w = 0; w < def->nwindows; w++)
		for (int f = 0; f < def->nfeatures; f++)
			names[w * def->nfeatures + f] = psprintf("%s_%s", def->features[f].name,
													 def->suffixes[w]);
	return names;
}

/* Gives each input of the view its place among an event's values. */
static void
place_inputs(FsShard *shard, FsView *view)
{
	const FsViewDef *def = view->def;

	Assert(shard->nvalues >= shard->def->ncolumns);
	view->value_of = palloc(sizeof(int) * def->ninputs);
	for (int i = 0; i < def->ninputs; i++)
		view->value_of[i] = def->inputs[i].stream_column >= 0 ? def->inputs[i].stream_column :
			shard->nvalues++;
	view->text_key = def->nentity == 1 && fs_type_is_bytes(fs_view_entity(def, 0)->type) ?
		view->value_of[def->entity[0]] : -1;
}

/* Where the view's kept values come from and go to; false when the arena has no room for a dictionary. */
static bool
init_kept(FsShard *shard, FsView *view)
{
	const FsViewDef *def = view->def;

	view->kept = palloc0(sizeof(FsKept) * Max(def->nkept, 1));
	for (int i = 0; i < def->nkept; i++)
	{
		const FsColumn *column = fs_view_kept(def, i);
		int			index;

		view->kept[i].value = view->value_of[def->kept[i]];
		view->kept[i].is_float = fs_type_is_float(column->type);
		if (!fs_view_keeps_codes(def, i))
			continue;
		index = get_dictionary(shard, column);
		if (index < 0)
			return false;
		if (def->is_sliced)
			view->kept[i].partial = &shard->root->dictionaries[index];
		else
			view->kept[i].dictionary = &shard->root->dictionaries[index];
	}
	return true;
}

/* Prepares one view's state; false when the arena is too small even for empty tables. */
static bool
init_view(FsShard *shard, int index, FsViewDef *def)
{
	FsView	   *view = &shard->views[index];

	Assert(index < FS_MAX_VIEWS && def->nkept <= FS_MAX_KEPT);
	Assert(def->stream == shard->def->relid);
	view->def = def;
	view->shared = &shard->root->views[index];
	view->shared->relid = def->relid;
	view->shared->signature = fs_layout_signature(def, shard->def);
	pg_atomic_init_u64(&view->shared->durable_frontier, 0);
	view->complete_from = FS_TIME_MAX;
	view->log_from = FS_TIME_MIN;
	view->covered_from = FS_TIME_MIN;
	fs_layout_build(&view->layout, def, shard->def);
	place_inputs(shard, view);
	fs_touch_init(&view->touches, shard->context);
	fs_touch_init(&view->late, shard->context);
	if (!init_kept(shard, view) ||
		!fs_table_create(&shard->arena, &view->shared->entities))
		return false;
	if (def->is_sliced)
		view->partial_log = fs_partial_log_create(view);
	view->set.context = shard->context;
	view->row = fs_row_create(def, shard->def, shard->root);
	view->field_names = make_field_names(def);
	view->history_attnums = fs_history_attnums(def, shard->def);
	if (OidIsValid(def->online_server))
		view->key_parts = fs_online_key_parse(def, def->online_key, &view->nkey_parts);
	shard->max_window = Max(shard->max_window, fs_view_max_window(def));
	shard->max_slide = Max(shard->max_slide, def->slide);
	return true;
}

/* Takes the arena and makes the root and all views' empty state in it. */
static bool
init_state(FsShard *shard, List *views)
{
	ListCell   *cell;

	fs_arena_open(&shard->arena, shard->slot_index);
	shard->root_handle = fs_arena_alloc(&shard->arena, sizeof(FsSharedRoot));
	if (shard->root_handle == 0)
		return false;
	shard->root = fs_arena_ptr(shard->root_handle);
	memset(shard->root, 0, sizeof(FsSharedRoot));
	shard->root->slice = shard->def->slice;
	shard->live_end = FS_TIME_MIN;
	shard->slice_start = FS_TIME_MIN;
	pg_atomic_init_u64(&shard->root->live_end, (uint64) FS_TIME_MIN);
	shard->root->nviews = list_length(views);
	shard->views = palloc0(sizeof(FsView) * Max(list_length(views), 1));
	foreach(cell, views)
	{
		if (!init_view(shard, foreach_current_index(cell), lfirst(cell)))
			return false;
		shard->nviews++;
	}
	fs_fold_ahead_init(shard);
	return true;
}

static void
make_contexts(FsShard *shard)
{
	shard->cycle = AllocSetContextCreate(shard->context, "feature_stream cycle", ALLOCSET_DEFAULT_SIZES);
	shard->batch = AllocSetContextCreate(shard->context, "feature_stream batch", ALLOCSET_DEFAULT_SIZES);
}

/* Throws when the stream has more feature views than a shard can have. */
static void
check_view_count(const FsStreamDef *stream, List *views)
{
	if (list_length(views) > FS_MAX_VIEWS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("stream %s has more than %d feature views", stream->name, FS_MAX_VIEWS)));
}

/* A shard without state, views and contract, in a new memory context. */
static FsShard *
make_stateless(Oid stream)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream shard",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	FsShard    *shard = palloc0(sizeof(FsShard));

	Assert(IsTransactionState());
	shard->context = context;
	shard->def = fs_stream_load(stream);
	shard->nvalues = shard->def->ncolumns;
	shard->watermark = shard->frontier = shard->closing = shard->durable_frontier = FS_TIME_MIN;
	make_contexts(shard);
	MemoryContextSwitchTo(old);
	return shard;
}

/* See shard.h. */
FsShard *
fs_shard_create_contract(Oid stream)
{
	FsShard    *shard = make_stateless(stream);

	shard->contract = fs_contract_create(shard);
	return shard;
}

/* See shard.h. */
FsShard *
fs_shard_create_stateless(Oid stream)
{
	FsShard    *shard = make_stateless(stream);
	MemoryContext old = MemoryContextSwitchTo(shard->context);
	List	   *views = fs_view_list(stream);
	ListCell   *cell;

	check_view_count(shard->def, views);
	shard->views = palloc0(sizeof(FsView) * Max(list_length(views), 1));
	foreach(cell, views)
	{
		FsView	   *view = &shard->views[shard->nviews++];

		view->def = lfirst(cell);
		place_inputs(shard, view);
	}
	MemoryContextSwitchTo(old);
	shard->contract = fs_contract_create(shard);
	return shard;
}

/*
 * Makes the shard of the stream in 'slot' in a new memory context: loads the
 * definitions and prepares empty state.  The caller is in a transaction.  NULL
 * when the stream has no feature views yet, or all are set aside.  shard->exhausted and memory_needed
 * are set when the arena cannot even hold the empty state.
 */
FsShard *
fs_shard_create(FsSharedStream *slot)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "feature_stream shard",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	FsShard    *shard = palloc0(sizeof(FsShard));
	List	   *views;

	Assert(IsTransactionState());
	shard->context = context;
	shard->slot = slot;
	shard->slot_index = slot - fs_shared->streams;
	Assert(shard->slot_index >= 0 && shard->slot_index < fs_shared->max_streams);
	shard->def = fs_stream_load(slot->relid);	/* locks it, so what is read next belongs to it */
	shard->contract_version = fs_contract_version_newest(slot->relid);
	fs_contract_version_mark(shard->def);
	shard->nvalues = shard->def->ncolumns;
	views = fs_stuck_leave_out(fs_view_list(slot->relid), &shard->set_aside);
	if (views == NIL)
	{
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
		return NULL;
	}
	check_view_count(shard->def, views);
	make_contexts(shard);
	shard->watermark = shard->frontier = shard->closing = shard->durable_frontier = FS_TIME_MIN;
	shard->held_back_by = -1;
	shard->fire.hash = -1;
	shard->checkpoint_due = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), fs_checkpoint_interval);
	shard->checkpoint_requested = pg_atomic_read_u64(&slot->checkpoint_requested);
	shard->replay_wanted = true;
	shard->exhausted = !init_state(shard, views);
	if (shard->exhausted)
		shard->memory_needed = fs_arena_total() / 4 * 5;	/* others have it all, we have no idea yet */
	fs_pending_init(shard, &shard->pending);
	MemoryContextSwitchTo(old);
	if (!shard->exhausted)
		shard->contract = fs_contract_create(shard);
	return shard;
}
