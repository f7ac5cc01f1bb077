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
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "catalog/guard.h"
#include "catalog/stand_in.h"
#include "ground/deadline.h"
#include "pipeline/batch_state.h"

/* A query with some of the features, planned. */
typedef struct FeaturePlan
{
	FsStandInPlan *plan;		/* NULL: not planned yet */
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
	bool	   *of_entity;		/* per feature: it has the entity's columns outside its aggregates */
	bool		any_of_entity;
	Node	  **entity;			/* expressions of the entity columns, as the query has them */
	Datum	   *empty_values;	/* over no rows, of the others; NULL until computed */
	bool	   *empty_nulls;

	/* The run at hand */
	const FeaturePlan *running;
	Tuplestorestate *events;
	Datum	   *values;
	bool	   *nulls;
	bool	   *has_row;		/* per group; NULL: over no rows */
	MemoryContext result;
};

/* For put_entity_mutator. */
typedef struct EntityValues
{
	const FsBatchFeatures *features;
	const Datum *entity;
} EntityValues;

/* Is there a column of the stream outside aggregates? */
static bool
has_entity_walker(Node *node, void *arg)
{
	if (node == NULL || IsA(node, Aggref))
		return false;
	return IsA(node, Var) || expression_tree_walker(node, has_entity_walker, arg);
}

/* Is the target one of the entity's columns? */
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
	int			nentity = 0;
	ListCell   *lc;

	features->batch = batch;
	features->query = query;
	features->targets = palloc(sizeof(TargetEntry *) * length);
	features->typlen = palloc(sizeof(int16) * length);
	features->typbyval = palloc(sizeof(bool) * length);
	features->of_entity = palloc0(sizeof(bool) * length);
	features->entity = palloc(sizeof(Node *) * length);
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (is_grouping(query, tle))
			features->entity[nentity++] = (Node *) tle->expr;
		if (tle->resjunk || is_grouping(query, tle))
			continue;
		features->of_entity[features->n] = has_entity_walker((Node *) tle->expr, NULL);
		features->any_of_entity |= features->of_entity[features->n];
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
 * Replaces the entity's expressions by its values, where an expression over
 * aggregates has them.
 */
static Node *
put_entity_mutator(Node *node, void *arg)
{
	const EntityValues *values = arg;
	const FsBatch *batch = values->features->batch;

	if (node == NULL || IsA(node, Aggref))
		return node;
	for (int i = 0; i < batch->nentity; i++)
	{
		int16		typlen;
		bool		typbyval;

		if (!equal(node, values->features->entity[i]))
			continue;
		get_typlenbyval(batch->columns[i].typid, &typlen, &typbyval);
		return (Node *) makeConst(batch->columns[i].typid, -1, batch->columns[i].collation,
								  typlen, values->entity[i], false, typbyval);
	}
	return expression_tree_mutator(node, put_entity_mutator, arg);
}

/*
 * The query with the plan's features alone.  It need not group by the entity: a
 * group is of one.  Over no rows (entity not NULL) that is put in.
 */
static Query *
make_query(FsBatchFeatures *features, const FeaturePlan *plan, const Datum *entity)
{
	Query	   *query = copyObject(features->query);
	EntityValues values = {features, entity};

	query->groupClause = NIL;
	query->targetList = NIL;
	for (int i = 0; i < plan->n; i++)
	{
		TargetEntry *tle = copyObject(features->targets[plan->first + i]);

		tle->resno = i + 1;
		tle->ressortgroupref = 0;
		if (entity != NULL)
			tle->expr = (Expr *) put_entity_mutator((Node *) tle->expr, &values);
		query->targetList = lappend(query->targetList, tle);
	}
	return query;
}

/* Plans the query for n features from 'first' on, over groups or (entity not NULL) over no rows. */
static void
make_plan(FsBatchFeatures *features, FeaturePlan *plan, int first, int n, const Datum *entity)
{
	plan->first = first;
	plan->n = n;
	plan->plan = fs_stand_in_plan(make_query(features, plan, entity), features->batch->stream,
								  entity == NULL, features->batch->run_as,
								  features->batch->view->settings);
}

/* Plans features over groups, for as long as the batch lives. */
static void
plan_groups(FsBatchFeatures *features, FeaturePlan *plan, int first, int n)
{
	MemoryContext old = MemoryContextSwitchTo(features->batch->context);

	make_plan(features, plan, first, n, NULL);
	MemoryContextSwitchTo(old);
}

/* Takes the features of one group, when the time of the next one begins; the first argument is the FsBatchFeatures. */
static void
receive_group(void *arg, int64 group, const Datum *values, const bool *nulls)
{
	FsBatchFeatures *features = arg;
	const FeaturePlan *plan = features->running;
	MemoryContext old = MemoryContextSwitchTo(features->result);

	Assert(group >= 0);
	Assert(plan->first + plan->n <= features->n);
	if (features->has_row != NULL)
		features->has_row[group] = true;
	for (int i = 0; i < plan->n; i++)
	{
		int			feature = plan->first + i;
		int64		at = group * features->n + feature;

		features->nulls[at] = nulls[i];
		if (!features->nulls[at])
			features->values[at] = datumCopy(values[i],
											 features->typbyval[feature],
											 features->typlen[feature]);
	}
	MemoryContextSwitchTo(old);
	fs_deadline_begin(features->batch->view->relid);
}

/* Executes the plan at hand; the argument is the FsBatchFeatures. */
static void
run_plan(void *arg)
{
	FsBatchFeatures *features = arg;

	fs_deadline_begin(features->batch->view->relid);
	fs_stand_in_run(features->running->plan, features->events, receive_group, features);
}

/* run_plan() of a plan; false when it raised an error. */
static bool
try_plan(FsBatchFeatures *features, const FeaturePlan *plan)
{
	Assert(plan->plan != NULL && features->events != NULL);
	features->running = plan;
	return fs_guard_run(run_plan, features, NULL);
}

/*
 * Computes what the query gives over no rows for the features that do (or do
 * not) depend on the entity, into a row of values.
 */
static void
compute_empty(FsBatchFeatures *features, const Datum *entity, bool of_entity, Datum *values, bool *nulls)
{
	FsBatchFeatures run = *features;

	run.values = values;
	run.nulls = nulls;
	run.events = tuplestore_begin_heap(false, false, work_mem);
	for (int i = 0; i < features->n; i++)
	{
		FeaturePlan plan = {0};

		if (features->of_entity[i] != of_entity)
			continue;
		make_plan(&run, &plan, i, 1, entity);
		if (!try_plan(&run, &plan))
			nulls[i] = true;
	}
	tuplestore_end(run.events);
}

/* Computes once what the query gives over no rows for any entity. */
static void
prepare_empty(FsBatchFeatures *features, const Datum *entity)
{
	MemoryContext old = MemoryContextSwitchTo(features->batch->context);
	MemoryContext result = features->result;

	features->empty_values = palloc0(sizeof(Datum) * Max(features->n, 1));
	features->empty_nulls = palloc0(sizeof(bool) * Max(features->n, 1));
	features->result = features->batch->context;
	compute_empty(features, entity, false, features->empty_values, features->empty_nulls);
	features->result = result;
	MemoryContextSwitchTo(old);
}

/* Sets the groups to have no row yet. */
static void
reset_groups(FsBatchFeatures *features, int ngroups)
{
	memset(features->has_row, false, sizeof(bool) * ngroups);
}

/* Sets the groups that have no row to what the query gives over no rows. */
static void
set_empty(FsBatchFeatures *features, int ngroups, const Datum *const *entities)
{
	for (int64 i = 0; i < ngroups; i++)
	{
		Datum	   *values = features->values + i * features->n;
		bool	   *nulls = features->nulls + i * features->n;

		if (features->has_row[i])
			continue;
		CHECK_FOR_INTERRUPTS();
		if (features->empty_values == NULL)
			prepare_empty(features, entities[i]);
		memcpy(values, features->empty_values, sizeof(Datum) * features->n);
		memcpy(nulls, features->empty_nulls, sizeof(bool) * features->n);
		if (features->any_of_entity)
			compute_empty(features, entities[i], true, values, nulls);
	}
}

/* Computes one group by itself, its events in features->events, and if need be each feature. */
static void
run_group(FsBatchFeatures *features, int64 group)
{
	if (try_plan(features, &features->all))
		return;
	features->has_row[group] = true;
	for (int i = 0; i < features->n; i++)
	{
		FeaturePlan *plan = &features->single[i];

		if (plan->plan == NULL)
			plan_groups(features, plan, i, 1);
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

		Assert(!more || (!isnull && next >= group));	/* they come in order */
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
					  const Datum *const *entities, Datum *values, bool *nulls)
{
	if (features->all.plan == NULL)
		plan_groups(features, &features->all, 0, features->n);
	features->values = values;
	features->nulls = nulls;
	features->events = events;
	features->result = CurrentMemoryContext;
	features->has_row = palloc(sizeof(bool) * Max(ngroups, 1));
	reset_groups(features, ngroups);
	if (!try_plan(features, &features->all))
	{
		reset_groups(features, ngroups);
		run_groups(features, events);
	}
	set_empty(features, ngroups, entities);
	pfree(features->has_row);
	features->has_row = NULL;
}
