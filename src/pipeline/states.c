/*
 * states.c
 *		States of aggregates, made and combined by PostgreSQL's executor; see states.h.
 *
 * Two plans do it, which the planner makes as ordinary ones: SELECT <aggregates>
 * FROM <what rings keep of events>, and SELECT <one aggregate of each column>
 * FROM <states>.  Then their aggregates are marked as the lower and the upper
 * half of a partial aggregation, as the planner's convert_combining_aggrefs()
 * does for a parallel query.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/planner.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"

#include "pipeline/ephemeral_plan.h"
#include "pipeline/replay.h"
#include "pipeline/states.h"
#include "pipeline/values.h"
#include "state/blob.h"

/* The plans for some of the view's aggregates. */
typedef struct StatePlans
{
	int			naggregates;
	int		   *aggregates;		/* column of the result -> aggregate of the view */
	FsEphemeralPlan lower;		/* events -> states */
	FsEphemeralPlan upper;		/* states of all aggregates of the view -> results */
} StatePlans;

typedef struct FsStates
{
	const FsViewDef *view;
	TupleDesc	kept;			/* of events: kept value i is attribute i + 1 */
	TupleDesc	desc;			/* of states, per aggregate of the view; NULL: not planned yet */
	uint32		seed;
	StatePlans	all;
	StatePlans *single;			/* per aggregate of the view, for finding out which one raises */
	TupleTableSlot *slot;		/* for states from a blob */
	MemoryContext context;		/* of all this */
	MemoryContext scratch;		/* values of one event, or one record */
	Datum	   *values;			/* of an event, or of states */
	bool	   *nulls;
} FsStates;

/* Memory context callback: the states go, and with them the plans' sessions. */
static void
end_states_cb(void *arg)
{
	FsStates   *states = arg;

	for (int i = -1; i < states->view->naggregates; i++)
	{
		StatePlans *plans = i < 0 ? &states->all : &states->single[i];

		fs_ephemeral_plan_end(&plans->lower);
		fs_ephemeral_plan_end(&plans->upper);
	}
}

/* See states.h. */
struct FsStates *
fs_states_create(FsRow *row)
{
	const FsViewDef *view = row->view;
	FsStates   *states = palloc0(sizeof(FsStates));
	int			nvalues = Max(view->nkept, view->naggregates);
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	Assert(view->is_condensed && view->may_raise);
	states->view = view;
	states->context = CurrentMemoryContext;
	states->kept = CreateTemplateTupleDesc(view->nkept);
	for (int i = 0; i < view->nkept; i++)
	{
		const FsColumn *column = fs_view_kept(view, i);

		TupleDescInitEntry(states->kept, i + 1, psprintf("value_%d", i + 1), column->typid, -1, 0);
		TupleDescInitEntryCollation(states->kept, i + 1, column->collation);
	}
	states->values = palloc0(sizeof(Datum) * Max(nvalues, 1));
	states->nulls = palloc0(sizeof(bool) * Max(nvalues, 1));
	states->scratch = AllocSetContextCreate(CurrentMemoryContext, "feature_stream states", ALLOCSET_SMALL_SIZES);
	states->single = palloc0(sizeof(StatePlans) * view->naggregates);
	states->all.aggregates = palloc(sizeof(int) * view->naggregates);
	states->all.naggregates = view->naggregates;
	for (int i = 0; i < view->naggregates; i++)
	{
		states->all.aggregates[i] = i;
		states->single[i].aggregates = &states->all.aggregates[i];
		states->single[i].naggregates = 1;
	}
	callback->func = end_states_cb;
	callback->arg = states;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return states;
}

/* A kept value in the place of what it is the value of. */
static Var *
kept_var(const FsViewDef *view, int kept)
{
	const FsColumn *column = fs_view_kept(view, kept);

	Assert(kept >= 0 && kept < view->nkept);
	return makeVar(1, kept + 1, column->typid, -1, column->collation, 0);
}

/* Puts kept columns in the place of the stream's. */
static Node *
replace_columns(Node *node, void *context)
{
	const FsViewDef *view = context;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		for (int i = 0; i < view->nkept; i++)
			if (fs_view_kept(view, i)->attnum == ((Var *) node)->varattno)
				return (Node *) kept_var(view, i);
		elog(ERROR, "column %d is not kept", ((Var *) node)->varattno);
	}
	return expression_tree_mutator(node, replace_columns, context);
}

/* An aggregate of the view over what rings keep: of a native one they have arguments and FILTER ready. */
static Aggref *
make_lower(const FsViewDef *view, const FsAggregate *aggregate)
{
	Aggref	   *aggref;
	ListCell   *lc;

	if (aggregate->kind == FS_AGG_REPLAY)
		return castNode(Aggref, replace_columns((Node *) aggregate->aggref, unconstify(FsViewDef *, view)));
	aggref = copyObject(aggregate->aggref);
	Assert(list_length(aggref->args) == aggregate->nargs);
	foreach(lc, aggref->args)
	{
		const FsAggArgument *argument = &aggregate->args[foreach_current_index(lc)];

		if (argument->kept >= 0)
			lfirst_node(TargetEntry, lc)->expr = (Expr *) kept_var(view, argument->kept);
	}
	if (aggregate->filter >= 0)
		aggref->aggfilter = (Expr *) kept_var(view, aggregate->filter);
	return aggref;
}

/* The aggregates of a plan that is nothing but them. */
static Agg *
get_agg(const PlannedStmt *statement)
{
	return castNode(Agg, statement->planTree);
}

static Aggref *
get_aggref(const Agg *agg, int i)
{
	return castNode(Aggref, list_nth_node(TargetEntry, agg->plan.targetlist, i)->expr);
}

/*
 * Plans what makes states.  Returns copies of the aggregates as they were
 * planned, as whole ones.
 */
static List *
plan_lower(FsStates *states, StatePlans *plans)
{
	List	   *exprs = NIL;
	List	   *planned = NIL;
	Agg		   *agg;

	for (int i = 0; i < plans->naggregates; i++)
		exprs = lappend(exprs, make_lower(states->view, &states->view->aggregates[plans->aggregates[i]]));
	plans->lower.desc = states->kept;
	plans->lower.statement = fs_ephemeral_plan_query(states->kept, exprs);
	agg = get_agg(plans->lower.statement);
	agg->aggsplit = AGGSPLIT_INITIAL_SERIAL;
	for (int i = 0; i < plans->naggregates; i++)
	{
		planned = lappend(planned, copyObject(get_aggref(agg, i)));
		mark_partial_aggref(get_aggref(agg, i), AGGSPLIT_INITIAL_SERIAL);
	}
	return planned;
}

/* count(<the column>) of states: stands where an aggregate over it will. */
static Aggref *
make_placeholder(TupleDesc desc, int column)
{
	Form_pg_attribute attribute = TupleDescAttr(desc, column);
	Aggref	   *aggref = makeNode(Aggref);
	Var		   *var = makeVar(1, column + 1, attribute->atttypid, -1, attribute->attcollation, 0);

	aggref->aggfnoid = F_COUNT_ANY;
	aggref->aggtype = INT8OID;
	aggref->aggargtypes = list_make1_oid(attribute->atttypid);
	aggref->args = list_make1(makeTargetEntry((Expr *) var, 1, NULL, false));
	aggref->aggkind = AGGKIND_NORMAL;
	aggref->aggsplit = AGGSPLIT_SIMPLE;
	aggref->aggno = aggref->aggtransno = -1;
	aggref->location = -1;
	return aggref;
}

/* Plans what combines states into results of the aggregates, 'planned' by plan_lower(). */
static void
plan_upper(FsStates *states, StatePlans *plans, const List *planned)
{
	List	   *exprs = NIL;
	Agg		   *agg;

	Assert(list_length(planned) == plans->naggregates);
	for (int i = 0; i < plans->naggregates; i++)
		exprs = lappend(exprs, make_placeholder(states->desc, plans->aggregates[i]));
	plans->upper.desc = states->desc;
	plans->upper.statement = fs_ephemeral_plan_query(states->desc, exprs);
	agg = get_agg(plans->upper.statement);
	agg->aggsplit = AGGSPLIT_FINAL_DESERIAL;
	for (int i = 0; i < plans->naggregates; i++)
	{
		Aggref	   *placeholder = get_aggref(agg, i);
		Aggref	   *aggref = list_nth_node(Aggref, planned, i);

		aggref->aggfilter = NULL;
		aggref->args = placeholder->args;
		aggref->aggno = placeholder->aggno;
		aggref->aggtransno = placeholder->aggtransno;
		mark_partial_aggref(aggref, AGGSPLIT_FINAL_DESERIAL);
		list_nth_node(TargetEntry, agg->plan.targetlist, i)->expr = (Expr *) aggref;
	}
}

/* What states look like, from the plan that makes them. */
static void
describe_states(FsStates *states)
{
	const FsViewDef *view = states->view;
	const Agg  *agg = get_agg(states->all.lower.statement);
	TupleDesc	desc = CreateTemplateTupleDesc(view->naggregates);

	states->seed = view->relid;
	for (int i = 0; i < view->naggregates; i++)
	{
		const Aggref *aggref = get_aggref(agg, i);

		TupleDescInitEntry(desc, i + 1, psprintf("state_%d", i + 1), aggref->aggtype, -1, 0);
		TupleDescInitEntryCollation(desc, i + 1, aggref->aggcollid);
		states->seed = hash_combine(states->seed, hash_combine(aggref->aggfnoid, aggref->aggtype));
	}
	states->slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	states->desc = desc;
}

/* The plans for all aggregates, or for one; planned if they were not yet. */
static StatePlans *
get_plans(FsStates *states, int only)
{
	StatePlans *plans = only < 0 ? &states->all : &states->single[only];
	MemoryContext old = MemoryContextSwitchTo(states->context);

	if (only >= 0 && states->desc == NULL)
		(void) get_plans(states, -1);
	if (plans->upper.statement == NULL)
	{
		List	   *planned = plan_lower(states, plans);

		if (states->desc == NULL)
			describe_states(states);
		plan_upper(states, plans, planned);
	}
	MemoryContextSwitchTo(old);
	return plans;
}

/* See states.h. */
uint32
fs_states_seed(const FsRow *row)
{
	Assert(row->states->desc != NULL);
	return row->states->seed;
}

/* See states.h. */
bool
fs_states_found(const FsRow *row, const FsRingEvent **events, int n)
{
	for (int i = 0; i < n; i++)
		if (fs_states_is_record(row->view, events[i]))
			return true;
	return false;
}

/* Runs the lower plan over those of the events that are no records; NULL when all are, or the row is stale. */
static TupleTableSlot *
run_lower(FsRow *row, StatePlans *plans, const FsRingEvent **events, int n)
{
	FsStates   *states = row->states;
	Tuplestorestate *relation = fs_ephemeral_plan_begin(&plans->lower);
	MemoryContext old = MemoryContextSwitchTo(states->scratch);
	int			count = 0;

	for (int e = 0; e < n; e++)
	{
		if (fs_states_is_record(row->view, events[e]))
			continue;
		for (int i = 0; i < row->view->nkept; i++)
			states->values[i] = fs_cell_datum(row, &row->columns[i], &events[e]->cells[i], &states->nulls[i]);
		tuplestore_putvalues(relation, states->kept, states->values, states->nulls);
		MemoryContextReset(states->scratch);
		count++;
	}
	MemoryContextSwitchTo(old);
	return count == 0 || row->stale ? NULL : fs_ephemeral_plan_run(&plans->lower);
}

/* See states.h. */
MinimalTuple
fs_states_make(FsRow *row, const FsRingEvent **events, int n)
{
	TupleTableSlot *slot = run_lower(row, get_plans(row->states, -1), events, n);

	Assert(slot != NULL);		/* the worker's own events: never stale */
	return heap_form_minimal_tuple(slot->tts_tupleDescriptor, slot->tts_values, slot->tts_isnull);
}

/* Puts the states of a record into a relation; false when a reader met nonsense. */
static bool
put_record(FsRow *row, Tuplestorestate *relation, const FsRingEvent *record)
{
	FsStates   *states = row->states;
	MemoryContext old = MemoryContextSwitchTo(states->scratch);
	uint32		len;
	MinimalTuple tuple = fs_blob_copy(record->cells[row->view->nkept].code, states->seed, &len);

	if (tuple != NULL)
	{
		Assert(tuple->t_len == len);
		ExecStoreMinimalTuple(tuple, states->slot, false);
		tuplestore_puttupleslot(relation, states->slot);
		ExecClearTuple(states->slot);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(states->scratch);
	return tuple != NULL;
}

/* See states.h. */
void
fs_states_compute(FsRow *row, const FsRingEvent **events, int n, int only)
{
	FsStates   *states = row->states;
	StatePlans *plans = get_plans(states, only);
	Tuplestorestate *relation = fs_ephemeral_plan_begin(&plans->upper);
	TupleTableSlot *slot;

	for (int i = 0; i < n && !row->stale; i++)
		if (fs_states_is_record(row->view, events[i]))
			row->stale = !put_record(row, relation, events[i]);
	if (row->stale)
		return;
	slot = run_lower(row, plans, events, n);
	if (row->stale)
		return;
	if (slot != NULL)
	{
		memset(states->nulls, true, sizeof(bool) * row->view->naggregates);
		for (int i = 0; i < plans->naggregates; i++)
		{
			states->values[plans->aggregates[i]] = slot->tts_values[i];
			states->nulls[plans->aggregates[i]] = slot->tts_isnull[i];
		}
		tuplestore_putvalues(relation, states->desc, states->values, states->nulls);
	}
	fs_replay_set_results(row, fs_ephemeral_plan_run(&plans->upper), plans->aggregates, plans->naggregates);
}
