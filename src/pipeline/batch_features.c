/*
 * batch_features.c
 *		The view's query over groups of events, with errors contained.
 *
 * All groups of a run are computed by one execution.  When that raises an
 * error, each group is computed by itself, and in a group that raises again
 * each feature by itself: what fails then is NULL, as it is when the engine
 * computes it.
 */
#include "postgres.h"

#include "executor/tuptable.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "catalog/guard.h"
#include "catalog/stand_in.h"
#include "pipeline/batch_state.h"

/* A query with some of the features, planned. */
typedef struct FeaturePlan
{
	FsStandInPlan *plan;		/* NULL: not planned yet */
	int			nskipped;		/* columns of the result before the features */
	int			first;			/* index of the first feature */
	int			n;
} FeaturePlan;

struct FsBatchFeatures
{
	FsBatch    *batch;
	Query	   *query;
	int			n;
	TargetEntry **targets;		/* of the features, in order */
	int16	   *typlen;
	bool	   *typbyval;
	FeaturePlan all;
	FeaturePlan *single;
	Datum	   *empty_values;	/* over no rows; NULL until computed */
	bool	   *empty_nulls;

	/* The run at hand */
	const FeaturePlan *running;
	Tuplestorestate *events;
	Datum	   *values;
	bool	   *nulls;
	MemoryContext result;
};

static bool
is_grouping(const Query *query, const TargetEntry *tle)
{
	ListCell   *lc;

	foreach(lc, query->groupClause)
		if (lfirst_node(SortGroupClause, lc)->tleSortGroupRef == tle->ressortgroupref)
			return true;
	return false;
}

/* See batch_state.h. */
FsBatchFeatures *
fs_batch_features_create(FsBatch *batch, Query *query)
{
	FsBatchFeatures *features = palloc0(sizeof(FsBatchFeatures));
	int			length = list_length(query->targetList);
	ListCell   *lc;

	features->batch = batch;
	features->query = query;
	features->targets = palloc(sizeof(TargetEntry *) * length);
	features->typlen = palloc(sizeof(int16) * length);
	features->typbyval = palloc(sizeof(bool) * length);
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->resjunk || is_grouping(query, tle))
			continue;
		get_typlenbyval(exprType((Node *) tle->expr), &features->typlen[features->n],
						&features->typbyval[features->n]);
		features->targets[features->n++] = tle;
	}
	features->single = palloc0(sizeof(FeaturePlan) * features->n);
	return features;
}

/* See batch_state.h. */
int
fs_batch_features_count(const FsBatchFeatures *features)
{
	return features->n;
}

/* See batch_state.h. */
TargetEntry *
fs_batch_features_target(const FsBatchFeatures *features, int feature)
{
	Assert(feature < features->n);
	return features->targets[feature];
}

/*
 * The query with the plan's features alone, behind the grouping columns when it
 * groups; wherever the user put those.
 */
static Query *
make_query(FsBatchFeatures *features, FeaturePlan *plan, bool grouped)
{
	Query	   *query = copyObject(features->query);
	List	   *grouping = NIL;
	List	   *others = NIL;
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (is_grouping(query, tle))
			grouping = lappend(grouping, tle);
		else if (!tle->resjunk)
			others = lappend(others, tle);
	}
	query->targetList = grouped ? grouping : NIL;
	plan->nskipped = list_length(query->targetList);
	for (int i = 0; i < plan->n; i++)
		query->targetList = lappend(query->targetList, list_nth(others, plan->first + i));
	foreach(lc, query->targetList)
		lfirst_node(TargetEntry, lc)->resno = foreach_current_index(lc) + 1;
	return query;
}

/* Plans the query for n features from 'first' on. */
static void
make_plan(FsBatchFeatures *features, FeaturePlan *plan, int first, int n, bool grouped)
{
	MemoryContext old = MemoryContextSwitchTo(features->batch->context);

	plan->first = first;
	plan->n = n;
	plan->plan = fs_stand_in_plan(make_query(features, plan, grouped), features->batch->stream,
								  grouped, features->batch->run_as,
								  features->batch->view->settings);
	MemoryContextSwitchTo(old);
}

/* Takes the features of one group; the first argument is the FsBatchFeatures. */
static void
receive_group(void *arg, int64 group, const Datum *values, const bool *nulls)
{
	FsBatchFeatures *features = arg;
	const FeaturePlan *plan = features->running;
	MemoryContext old = MemoryContextSwitchTo(features->result);

	Assert(group >= 0);
	for (int i = 0; i < plan->n; i++)
	{
		int			feature = plan->first + i;
		int64		at = group * features->n + feature;

		features->nulls[at] = nulls[plan->nskipped + i];
		if (!features->nulls[at])
			features->values[at] = datumCopy(values[plan->nskipped + i],
											 features->typbyval[feature],
											 features->typlen[feature]);
	}
	MemoryContextSwitchTo(old);
}

/* Executes the plan at hand; the argument is the FsBatchFeatures. */
static void
run_plan(void *arg)
{
	FsBatchFeatures *features = arg;

	fs_stand_in_run(features->running->plan, features->events, receive_group, features);
}

/* run_plan() of a plan; false when it raised an error. */
static bool
try_plan(FsBatchFeatures *features, const FeaturePlan *plan)
{
	features->running = plan;
	return fs_guard_run(run_plan, features, NULL);
}

/* Computes what the query gives over no rows, once. */
static void
compute_empty(FsBatchFeatures *features)
{
	FsBatch    *batch = features->batch;
	MemoryContext old = MemoryContextSwitchTo(batch->context);
	FsBatchFeatures run = *features;

	run.empty_values = run.values = palloc0(sizeof(Datum) * Max(features->n, 1));
	run.empty_nulls = run.nulls = palloc0(sizeof(bool) * Max(features->n, 1));
	run.result = batch->context;
	run.events = tuplestore_begin_heap(false, false, work_mem);
	for (int i = 0; i < features->n; i++)
	{
		FeaturePlan plan = {0};

		make_plan(&run, &plan, i, 1, false);
		if (!try_plan(&run, &plan))
			run.nulls[i] = true;
	}
	tuplestore_end(run.events);
	features->empty_values = run.empty_values;
	features->empty_nulls = run.empty_nulls;
	MemoryContextSwitchTo(old);
}

/* Sets the groups to what the query gives over no rows. */
static void
set_empty(FsBatchFeatures *features, int64 first, int64 n)
{
	for (int64 i = first; i < first + n; i++)
	{
		memcpy(features->values + i * features->n, features->empty_values,
			   sizeof(Datum) * features->n);
		memcpy(features->nulls + i * features->n, features->empty_nulls,
			   sizeof(bool) * features->n);
	}
}

/* Computes one group by itself, its events in features->events, and if need be each feature. */
static void
run_group(FsBatchFeatures *features, int64 group)
{
	if (try_plan(features, &features->all))
		return;
	for (int i = 0; i < features->n; i++)
	{
		FeaturePlan *plan = &features->single[i];

		if (plan->plan == NULL)
			make_plan(features, plan, i, 1, true);
		if (!try_plan(features, plan))
		{
			features->nulls[group * features->n + i] = true;
			features->batch->error_count++;
		}
	}
}

/* Computes each group by itself. */
static void
run_groups(FsBatchFeatures *features, Tuplestorestate *events)
{
	const FsStreamDef *stream = features->batch->stream;
	TupleTableSlot *slot = MakeSingleTupleTableSlot(fs_stand_in_desc(stream), &TTSOpsMinimalTuple);
	Tuplestorestate *one = tuplestore_begin_heap(false, false, work_mem);
	int64		group = -1;

	features->events = one;
	tuplestore_select_read_pointer(events, 0);
	tuplestore_rescan(events);
	for (;;)
	{
		bool		more = tuplestore_gettupleslot(events, true, false, slot);
		bool		isnull;
		int64		next = !more ? -1 :
			DatumGetInt64(slot_getattr(slot, fs_stand_in_group(stream) + 1, &isnull));

		if (next != group && group >= 0)
		{
			run_group(features, group);
			tuplestore_end(one);
			features->events = one = tuplestore_begin_heap(false, false, work_mem);
		}
		if (!more)
			break;
		group = next;
		tuplestore_puttupleslot(one, slot);
	}
	tuplestore_end(one);
	ExecDropSingleTupleTableSlot(slot);
}

/* See batch_state.h. */
void
fs_batch_features_run(FsBatchFeatures *features, Tuplestorestate *events, int ngroups,
					  Datum *values, bool *nulls)
{
	if (features->all.plan == NULL)
		make_plan(features, &features->all, 0, features->n, true);
	if (features->empty_values == NULL)
		compute_empty(features);
	features->values = values;
	features->nulls = nulls;
	features->events = events;
	features->result = CurrentMemoryContext;
	set_empty(features, 0, ngroups);
	if (try_plan(features, &features->all))
		return;
	set_empty(features, 0, ngroups);
	run_groups(features, events);
}
