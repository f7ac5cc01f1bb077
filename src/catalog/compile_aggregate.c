/*
 * compile_aggregate.c
 *		How each aggregate of a feature view is computed.
 *
 * Natively where there is a form that equals PostgreSQL's own over the values
 * that rings keep; else the executor replays the events of the window, which is
 * right for every aggregate there is.  Functions are known by their Oid: an
 * aggregate of a user's with the same name is another one.
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_oper.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "catalog/compile.h"

static const struct
{
	Oid			function;
	FsAggKind	kind;
}			native_aggregates[] =
{
	{F_ARRAY_AGG_ANYNONARRAY, FS_AGG_ARRAY_AGG},
	{F_COUNT_, FS_AGG_COUNT_STAR},
	{F_COUNT_ANY, FS_AGG_COUNT},
	{F_MODE, FS_AGG_MODE},
	{F_SUM_INT2, FS_AGG_SUM},
	{F_SUM_INT4, FS_AGG_SUM},
	{F_SUM_INT8, FS_AGG_SUM},
	{F_SUM_FLOAT4, FS_AGG_SUM},
	{F_SUM_FLOAT8, FS_AGG_SUM},
	{F_SUM_NUMERIC, FS_AGG_SUM},
	{F_AVG_INT2, FS_AGG_AVG},
	{F_AVG_INT4, FS_AGG_AVG},
	{F_AVG_INT8, FS_AGG_AVG},
	{F_AVG_FLOAT4, FS_AGG_AVG},
	{F_AVG_FLOAT8, FS_AGG_AVG},
	{F_AVG_NUMERIC, FS_AGG_AVG},
	{F_MIN_TEXT, FS_AGG_MIN},
	{F_MIN_INT2, FS_AGG_MIN},
	{F_MIN_INT4, FS_AGG_MIN},
	{F_MIN_INT8, FS_AGG_MIN},
	{F_MIN_FLOAT4, FS_AGG_MIN},
	{F_MIN_FLOAT8, FS_AGG_MIN},
	{F_MIN_NUMERIC, FS_AGG_MIN},
	{F_MIN_TIMESTAMPTZ, FS_AGG_MIN},
	{F_MIN_DATE, FS_AGG_MIN},
	{F_MAX_TEXT, FS_AGG_MAX},
	{F_MAX_INT2, FS_AGG_MAX},
	{F_MAX_INT4, FS_AGG_MAX},
	{F_MAX_INT8, FS_AGG_MAX},
	{F_MAX_FLOAT4, FS_AGG_MAX},
	{F_MAX_FLOAT8, FS_AGG_MAX},
	{F_MAX_NUMERIC, FS_AGG_MAX},
	{F_MAX_TIMESTAMPTZ, FS_AGG_MAX},
	{F_MAX_DATE, FS_AGG_MAX},
};

/* The kind of an aggregate by its function; FS_AGG_REPLAY for all that have no native form. */
static FsAggKind
find_native(Oid function)
{
	for (int i = 0; i < lengthof(native_aggregates); i++)
		if (native_aggregates[i].function == function)
			return native_aggregates[i].kind;
	return FS_AGG_REPLAY;
}

/* Does mode() order by its column's default operator, ascending? */
static bool
is_plain_mode(const Aggref *aggref)
{
	SortGroupClause *clause = linitial_node(SortGroupClause, aggref->aggorder);
	TargetEntry *tle = linitial_node(TargetEntry, aggref->args);
	Oid			ascending;

	get_sort_group_operators(exprType((Node *) tle->expr), true, false, false,
							 &ascending, NULL, NULL, NULL);
	return clause->sortop == ascending;
}

/* Do values of these kinds get compared with each other? */
static bool
compares(FsAggKind kind)
{
	return kind == FS_AGG_COUNT_DISTINCT || kind == FS_AGG_MODE || kind == FS_AGG_MIN ||
		kind == FS_AGG_MAX;
}

/* Why the executor has to compute this aggregate; NULL when there is a native form, whose kind is set. */
static const char *
choose_kind(const Aggref *aggref, FsAggKind *kind)
{
	*kind = find_native(aggref->aggfnoid);
	if (*kind == FS_AGG_REPLAY)
		return "it has no native form";
	if (aggref->aggdistinct != NIL)
	{
		if (*kind != FS_AGG_COUNT)
			return "DISTINCT has a native form for count() alone";
		*kind = FS_AGG_COUNT_DISTINCT;
	}
	if (aggref->aggorder != NIL && *kind != FS_AGG_MODE)
		return "ORDER BY has no native form";
	if (*kind == FS_AGG_MODE && !is_plain_mode(aggref))
		return "mode() has a native form for ascending order alone";
	if (compares(*kind) && OidIsValid(aggref->inputcollid) &&
		!get_collation_isdeterministic(aggref->inputcollid))
		return "its collation is nondeterministic";
	return NULL;
}

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

/* Takes argument and filter of a native aggregate as inputs; false when the argument's type cannot be kept. */
static bool
take_inputs(FsCompile *compile, FsAggregate *aggregate, const Aggref *aggref)
{
	int			input = -1;

	if (aggregate->kind != FS_AGG_COUNT_STAR)
	{
		Node	   *argument = (Node *) linitial_node(TargetEntry, aggref->args)->expr;

		input = fs_compile_input(compile, guard_argument(argument, aggref->aggfilter),
								 "an argument of an aggregate");
		if (input < 0)
			return false;
		aggregate->kept = fs_compile_keep(compile->view, input);
		aggregate->input_type = exprType(argument);
	}
	if (aggref->aggfilter != NULL)
	{
		input = fs_compile_input(compile, filter_truth(aggref->aggfilter), "a FILTER");
		aggregate->filter = fs_compile_keep(compile->view, input);
	}
	return true;
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
	aggregate->reason = choose_kind(aggref, &aggregate->kind);
	if (aggregate->reason == NULL && !take_inputs(compile, aggregate, aggref))
		aggregate->reason = "values of its argument's type cannot be kept in rings";
	if (aggregate->reason != NULL)
	{
		aggregate->kind = FS_AGG_REPLAY;
		prepare_replay(compile, aggref);
	}
	return view->naggregates++;
}
