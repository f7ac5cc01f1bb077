/*
 * features.c
 *		The features of a row: aggregates of each window, and expressions over them.
 *
 * What may raise, or takes long since its events are many, runs guarded as the
 * view's owner: first all of the row at once, and only when something raised, or
 * a native aggregate failed, each part alone, so that the features that can be
 * computed are.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "catalog/guard.h"
#include "catalog/run_as.h"
#include "ground/deadline.h"
#include "pipeline/partial.h"
#include "pipeline/replay.h"
#include "pipeline/row.h"
#include "pipeline/states.h"

/* Of so many events even what cannot raise is bounded in time. */
#define MANY_EVENTS 10000

/* Where the row under work is. */
typedef struct FeatureTask
{
	FsRow	   *row;
	void		(*work) (FsRow *row, struct FeatureTask *task);
	FsTime		window_end;
	int			n;				/* events in row->order */
	Datum	   *values;
	bool	   *nulls;
	int			window;			/* the window at hand */
	int			first;			/* its first event in row->order */
	bool		has_states;		/* some of its events are records of states */
	bool		failed;			/* a native aggregate failed */
	bool		has_many;		/* events: nothing is computed without a guard */
	int			item;			/* aggregate or feature at hand, when one alone is computed */
	bool		is_late;		/* what was computed last ran out of time */
	void		(*other) (FsRow *row, void *arg);	/* work that is none of features */
	void	   *arg;
} FeatureTask;

/* A slot for the values that expressions refer to: aggregates or entity columns. */
static TupleTableSlot *
make_slot(int n, Oid (*type_of) (const FsViewDef *view, int i), const FsViewDef *view)
{
	TupleDesc	desc = CreateTemplateTupleDesc(n);

	for (int i = 0; i < n; i++)
		TupleDescInitEntry(desc, i + 1, NULL, type_of(view, i), -1, 0);
	return MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
}

static Oid
aggregate_type(const FsViewDef *view, int i)
{
	return view->aggregates[i].result_type;
}

static Oid
entity_type(const FsViewDef *view, int i)
{
	return fs_view_entity(view, i)->typid;
}

/* Compiles the expressions, as the view's owner: that is whose rights functions are called with. */
static void
prepare_expressions(FsRow *row)
{
	const FsViewDef *view = row->view;
	FsRunAs		scope;

	row->econtext = CreateStandaloneExprContext();
	row->aggregate_slot = make_slot(view->naggregates, aggregate_type, view);
	row->entity_slot = make_slot(view->nentity, entity_type, view);
	row->exprs = palloc0(sizeof(ExprState *) * view->nfeatures);
	row->econtext->ecxt_innertuple = row->aggregate_slot;
	row->econtext->ecxt_outertuple = row->entity_slot;
	fs_run_as_begin(&scope, view->owner, view->settings);
	for (int f = 0; f < view->nfeatures; f++)
		if (view->features[f].expr != NULL)
			row->exprs[f] = ExecInitExpr((Expr *) view->features[f].expr, NULL);
	fs_run_as_end(&scope);
}

/* Prepares what computing takes; in the current context, which is the row's. */
void
fs_features_prepare(FsRow *row)
{
	Assert(CurrentMemoryContext == row->context);
	if (row->view->is_sliced)
		fs_partial_prepare(row);
	else
		fs_aggregates_prepare(row);
	if (!row->view->may_raise)
		return;
	prepare_expressions(row);
	if (row->view->nreplayed > 0)
		row->replay = fs_replay_create(row->view, row->stream);
	if (row->view->is_condensed)
		row->states = fs_states_create(row);
}

/* Goes to a window; they grow, so the search for its first event goes on from the shorter one's. */
static void
begin_window(const FsRow *row, FeatureTask *task, int w)
{
	FsTime		start = fs_window_start(row->view, task->window_end, row->view->windows[w]);

	task->window = w;
	if (w == 0)
		task->first = task->n;
	while (task->first > 0 && row->order[task->first - 1]->time >= start)
		task->first--;
	task->has_states = row->states != NULL && fs_states_found(row, row->order + task->first, task->n - task->first);
}

/* One aggregate of the window at hand, native or not. */
static void
compute_aggregate(FsRow *row, FeatureTask *task)
{
	const FsAggregate *aggregate = &row->view->aggregates[task->item];
	FsAggregateResult *result = &row->results[task->item];
	const FsRingEvent **events = row->order + task->first;
	int			n = task->n - task->first;

	Assert(n >= 0 && task->item < row->view->naggregates);
	if (task->has_states)
	{
		fs_states_compute(row, events, n, task->item);
		return;
	}
	if (aggregate->kind == FS_AGG_REPLAY)
	{
		fs_replay_run(row, events, n, task->item);
		return;
	}
	row->native_failed = false;
	result->value = row->view->is_sliced ? fs_partial_compute(row, aggregate, events, n, &result->isnull) :
		fs_aggregate_compute(row, aggregate, events, n, &result->isnull);
	result->failed = row->native_failed;
}

/* All aggregates of the window at hand from states, or the native ones; false when one failed. */
static bool
compute_native(FsRow *row, FeatureTask *task)
{
	if (task->has_states)
		fs_states_compute(row, row->order + task->first, task->n - task->first, -1);
	for (int a = 0; a < row->view->naggregates && !row->stale && !task->has_states; a++)
	{
		if (row->view->aggregates[a].kind == FS_AGG_REPLAY)
			continue;
		task->item = a;
		compute_aggregate(row, task);
		if (row->results[a].failed)
			return false;
	}
	return true;
}

/* Evaluates one expression over the slots. */
static void
evaluate(FsRow *row, const FeatureTask *task, int f)
{
	int			at = task->window * row->view->nfeatures + f;
	Oid			type = row->view->features[f].type;
	bool		byval;
	int16		len;
	Datum		value;

	Assert(row->exprs[f] != NULL && task->window < row->view->nwindows);
	value = ExecEvalExprSwitchContext(row->exprs[f], row->econtext, &task->nulls[at]);
	get_typlenbyval(type, &len, &byval);
	task->values[at] = task->nulls[at] ? (Datum) 0 : datumCopy(value, byval, len);
}

/* Puts the aggregates of the window at hand where expressions find them. */
static void
fill_aggregate_slot(FsRow *row)
{
	TupleTableSlot *slot = row->aggregate_slot;

	ExecClearTuple(slot);
	for (int a = 0; a < row->view->naggregates; a++)
	{
		slot->tts_values[a] = row->results[a].value;
		slot->tts_isnull[a] = row->results[a].isnull;
	}
	ExecStoreVirtualTuple(slot);
}

/* Puts the entity columns where expressions find them. */
static void
fill_entity_slot(FsRow *row, const char *key, int key_len)
{
	TupleTableSlot *slot = row->entity_slot;

	Assert(slot != NULL && slot->tts_tupleDescriptor->natts == row->view->nentity);
	ExecClearTuple(slot);
	fs_key_decode(row->view, key, key_len, slot->tts_values);
	memset(slot->tts_isnull, false, sizeof(bool) * row->view->nentity);
	ExecStoreVirtualTuple(slot);
}

/* Features that are aggregates, from the results. */
static void
copy_aggregates(FsRow *row, const FeatureTask *task)
{
	for (int f = 0; f < row->view->nfeatures; f++)
	{
		const FsFeature *feature = &row->view->features[f];
		int			at = task->window * row->view->nfeatures + f;

		if (feature->expr != NULL)
			continue;
		task->values[at] = row->results[feature->aggregate].value;
		task->nulls[at] = row->results[feature->aggregate].isnull;
	}
}

/* All of a row, window by window. */
static void
compute_row(FsRow *row, FeatureTask *task)
{
	for (int w = 0; w < row->view->nwindows && !row->stale; w++)
	{
		begin_window(row, task, w);
		task->failed = !compute_native(row, task);
		if (task->failed)
			return;
		if (row->replay != NULL && !row->stale && !task->has_states)
			fs_replay_run(row, row->order + task->first, task->n - task->first, -1);
		if (row->stale)
			return;
		copy_aggregates(row, task);
		if (row->exprs == NULL)
			continue;
		fill_aggregate_slot(row);
		for (int f = 0; f < row->view->nfeatures; f++)
			if (row->exprs[f] != NULL)
				evaluate(row, task, f);
		ResetExprContext(row->econtext);
	}
}

static void
evaluate_one(FsRow *row, FeatureTask *task)
{
	evaluate(row, task, task->item);
}

/* A part of the work as the view's owner; the argument is a FeatureTask. */
static void
work_as_owner(void *arg)
{
	FeatureTask *task = arg;
	FsRunAs		scope;

	PushActiveSnapshot(ActiveSnapshotSet() ? GetActiveSnapshot() : GetTransactionSnapshot());
	fs_run_as_begin(&scope, task->row->view->owner, task->row->view->settings);
	fs_deadline_begin(task->row->view->relid);
	task->work(task->row, task);
	fs_run_as_end(&scope);
	PopActiveSnapshot();
}

/* Does a part of the work; false, with the message in row->error, when it raised. */
static bool
guarded(FsRow *row, void (*work) (FsRow *row, FeatureTask *task), FeatureTask *task)
{
	ErrorData  *error;

	task->row = row;
	task->work = work;
	error = fs_guard_catch(work_as_owner, task, &task->is_late);
	if (error == NULL)
		return true;
	strlcpy(row->error, error->message, sizeof(row->error));
	FreeErrorData(error);
	return false;
}

static void
do_other(FsRow *row, FeatureTask *task)
{
	task->other(row, task->arg);
}

/* Does a part of the work for one aggregate or feature, the part of this number, unless it has run out of time too often. */
static bool
guarded_part(FsRow *row, void (*work) (FsRow *row, FeatureTask *task), FeatureTask *task, int part)
{
	if (fs_slow_is_passed_over(row, part))
		return false;
	if (guarded(row, work, task))
		return true;
	if (task->is_late)
		fs_slow_note(row, part);
	return false;
}

/* See row.h.  As far as time goes it is a row of its own, with one part: see slow.c. */
bool
fs_features_run_as_owner(FsRow *row, void (*work) (FsRow *row, void *arg), void *arg)
{
	FeatureTask task = {.other = work, .arg = arg};

	row->number++;
	return guarded_part(row, do_other, &task, row->view->naggregates + row->view->nfeatures);
}

/* Does the expression read an aggregate that failed? */
static bool
reads_failed(Node *node, void *context)
{
	FsRow	   *row = context;

	if (node == NULL)
		return false;
	if (IsA(node, Var) && ((Var *) node)->varno == INNER_VAR)
		return row->results[((Var *) node)->varattno - 1].failed;
	return expression_tree_walker(node, reads_failed, context);
}

/* Sets a feature of the window at hand to NULL because it cannot be computed. */
static void
fail_feature(FsRow *row, const FeatureTask *task, int f)
{
	int			at = task->window * row->view->nfeatures + f;

	task->values[at] = (Datum) 0;
	task->nulls[at] = true;
	row->errors++;
}

/* The window at hand, each aggregate and each expression under a guard of its own. */
static void
compute_window_piecewise(FsRow *row, FeatureTask *task)
{
	const FsViewDef *view = row->view;

	for (int a = 0; a < view->naggregates && !row->stale; a++)
	{
		task->item = a;
		if (!view->aggregates[a].may_raise && !task->has_states && !task->has_many)
			compute_aggregate(row, task);
		else if (!guarded_part(row, compute_aggregate, task, a))
		{
			row->results[a].failed = row->results[a].isnull = true;
			row->results[a].value = (Datum) 0;
		}
	}
	if (row->stale)
		return;
	copy_aggregates(row, task);
	if (row->exprs != NULL)
		fill_aggregate_slot(row);
	for (int f = 0; f < view->nfeatures; f++)
	{
		task->item = f;
		if (view->features[f].expr == NULL)
		{
			if (row->results[view->features[f].aggregate].failed)
				fail_feature(row, task, f);
		}
		else if (reads_failed(view->features[f].expr, row) ||
				 !guarded_part(row, evaluate_one, task, view->naggregates + f))
			fail_feature(row, task, f);
	}
	if (row->exprs != NULL)
		ResetExprContext(row->econtext);
}

/*
 * Computes the features of all windows from row->order[0 .. n - 1], the events
 * of the longest one; see fs_row_compute().
 */
void
fs_features_compute(FsRow *row, const char *key, int key_len, FsTime window_end, int n,
					Datum *values, bool *nulls)
{
	FeatureTask task = {.window_end = window_end, .n = n, .values = values, .nulls = nulls,
	.has_many = n >= MANY_EVENTS};

	Assert(n <= row->max_order);
	row->number++;
	if (row->exprs != NULL)
		fill_entity_slot(row, key, key_len);
	if (!row->view->may_raise && !task.has_many)
		compute_row(row, &task);
	else if (fs_slow_has_any(row) || !guarded(row, compute_row, &task))
		task.failed = true;
	if (!task.failed || row->stale)
		return;
	for (int w = 0; w < row->view->nwindows && !row->stale; w++)
	{
		begin_window(row, &task, w);
		compute_window_piecewise(row, &task);
	}
}
