/*
 * compile_aggregate.c
 *		How each aggregate of a feature view is computed.
 *
 * Natively where there is such a form (compile_native.c); else the executor
 * replays the events of the window, which is right for every aggregate there
 * is.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"

#include "catalog/compile.h"

/* The argument where FILTER lets the event through, NULL elsewhere: it must not be evaluated there. */
static Node *
guard_argument(Node *argument, Expr *filter)
{
	CaseExpr   *guarded;
	CaseWhen   *when;

	if (filter == NULL || IsA(argument, Var))
		return argument;
	when = makeNode(CaseWhen);
	when->expr = filter;
	when->result = (Expr *) argument;
	when->location = -1;
	guarded = makeNode(CaseExpr);
	guarded->casetype = exprType(argument);
	guarded->casecollid = exprCollation(argument);
	guarded->args = list_make1(when);
	guarded->defresult = (Expr *) makeNullConst(guarded->casetype, -1, guarded->casecollid);
	guarded->location = -1;
	return (Node *) guarded;
}

/* "filter IS TRUE" */
static Node *
filter_truth(Expr *filter)
{
	BooleanTest *test = makeNode(BooleanTest);

	test->arg = filter;
	test->booltesttype = IS_TRUE;
	test->location = -1;
	return (Node *) test;
}

/* Index into view->kept of an argument or a sort key of a native aggregate. */
static int
keep_argument(FsCompile *compile, const Aggref *aggref, Expr *argument)
{
	int			input = fs_compile_input(compile, guard_argument((Node *) argument, aggref->aggfilter),
										 "an argument of an aggregate");

	Assert(input >= 0);			/* fs_compile_native has looked */
	return fs_compile_keep(compile->view, input);
}

/* Takes the arguments of a native aggregate as inputs. */
static void
take_arguments(FsCompile *compile, FsAggregate *aggregate, const Aggref *aggref)
{
	ListCell   *lc;

	aggregate->args = palloc0(sizeof(FsAggArgument) * Max(list_length(aggref->args), 1));
	foreach(lc, aggref->args)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		FsAggArgument *argument = &aggregate->args[aggregate->nargs];

		if (tle->resjunk)
			continue;
		argument->type = exprType((Node *) tle->expr);
		argument->kept = -1;
		if (IsA(tle->expr, Const) && fs_aggregate_what(aggregate) == FS_AGG_CALL)
			argument->constant = (Const *) tle->expr;
		else
			argument->kept = keep_argument(compile, aggref, tle->expr);
		aggregate->nargs++;
	}
	if (aggregate->nargs == 0)
		return;
	aggregate->kept = aggregate->args[0].kept;
	aggregate->input_type = aggregate->args[0].type;
}

/* Takes what a native aggregate sorts by as inputs. */
static void
take_keys(FsCompile *compile, FsAggregate *aggregate, const Aggref *aggref)
{
	List	   *clauses = fs_compile_sort_clauses(aggref);
	ListCell   *lc;

	aggregate->keys = palloc0(sizeof(FsAggKey) * Max(list_length(clauses), 1));
	foreach(lc, clauses)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		TargetEntry *tle = get_sortgroupclause_tle(clause, aggref->args);
		FsAggKey   *key = &aggregate->keys[aggregate->nkeys];

		if (IsA(tle->expr, Const))
			continue;
		key->kept = keep_argument(compile, aggref, tle->expr);
		key->type = exprType((Node *) tle->expr);
		key->sort_operator = clause->sortop;
		key->equal_operator = clause->eqop;
		key->collation = exprCollation((Node *) tle->expr);
		key->nulls_first = clause->nulls_first;
		aggregate->nkeys++;
	}
}

/* Takes arguments, sort keys and filter of a native aggregate as inputs. */
static void
take_inputs(FsCompile *compile, FsAggregate *aggregate, const Aggref *aggref)
{
	take_arguments(compile, aggregate, aggref);
	take_keys(compile, aggregate, aggref);
	if (aggref->aggfilter != NULL)
		aggregate->filter = fs_compile_keep(compile->view,
											fs_compile_input(compile, filter_truth(aggref->aggfilter), "a FILTER"));
	if (aggregate->may_raise)
		compile->view->may_raise = true;
}

/*
 * Has the columns kept that a replayed aggregate reads, and its FILTER and
 * arguments evaluated for each event: one for which they raise an error is not
 * counted, as with native aggregates.
 */
static void
prepare_replay(FsCompile *compile, Aggref *aggref)
{
	FsViewDef  *view = compile->view;
	List	   *vars = pull_var_clause((Node *) aggref, PVC_RECURSE_AGGREGATES);
	ListCell   *lc;

	fs_compile_check_columns(compile, (Node *) aggref, "an aggregate");
	foreach(lc, vars)
		(void) fs_compile_keep(view, fs_compile_input(compile, lfirst(lc), "an aggregate"));
	if (aggref->aggfilter != NULL && !IsA(aggref->aggfilter, Var))
		view->guards = lappend(view->guards, filter_truth(aggref->aggfilter));
	foreach(lc, aggref->args)
	{
		Expr	   *argument = lfirst_node(TargetEntry, lc)->expr;
		NullTest   *test;

		if (IsA(argument, Var) || IsA(argument, Const))
			continue;
		test = makeNode(NullTest);
		test->arg = (Expr *) guard_argument((Node *) argument, aggref->aggfilter);
		test->nulltesttype = IS_NULL;
		test->location = -1;
		view->guards = lappend(view->guards, test);
	}
	view->nreplayed++;
	view->may_raise = true;
}

/* See compile.h. */
int
fs_compile_aggregate(FsCompile *compile, Aggref *aggref)
{
	FsViewDef  *view = compile->view;
	FsAggregate *aggregate;

	for (int i = 0; i < view->naggregates; i++)
		if (equal(view->aggregates[i].aggref, aggref))
			return i;
	view->aggregates = view->naggregates == 0 ? palloc(sizeof(FsAggregate)) :
		repalloc(view->aggregates, sizeof(FsAggregate) * (view->naggregates + 1));
	aggregate = &view->aggregates[view->naggregates];
	memset(aggregate, 0, sizeof(FsAggregate));
	aggregate->aggref = aggref;
	aggregate->kept = aggregate->filter = -1;
	aggregate->result_type = aggref->aggtype;
	aggregate->collation = aggref->inputcollid;
	aggregate->reason = view->force_replay ? "feature_stream.force_replay was on" :
		fs_compile_native(aggref, aggregate);
	if (aggregate->reason == NULL)
		take_inputs(compile, aggregate, aggref);
	else
	{
		aggregate->kind = FS_AGG_REPLAY;
		aggregate->may_raise = true;
		prepare_replay(compile, aggref);
	}
	return view->naggregates++;
}
