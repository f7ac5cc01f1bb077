/*
 * compile.c
 *		From the query of a feature view to what the engine computes.
 *
 * The query is the specification: PostgreSQL has parsed and analyzed it, and
 * whatever passes here has a form of columns, grouping and aggregates whose
 * incremental evaluation equals the executor's.  Every other shape is refused
 * when the view is created, with what, why and what to do instead.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/compile.h"
#include "catalog/compile_aggregate.h"
#include "catalog/extension.h"
#include "catalog/feature_view.h"
#include "catalog/stream_contract.h"

/* What the other functions of this file share about the query at hand. */
typedef struct CompileState
{
	FsViewDef  *view;
	Query	   *query;
	const FsStreamDef *stream;
	Index		varno;			/* of the stream in the query's range table */
} CompileState;

static void
refuse(const char *what, const char *why, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("the query of a feature view cannot have %s", what),
			 errdetail("%s", why),
			 errhint("%s", hint)));
}

/* The other way round: something must be there. */
static void
demand(const char *what, const char *why, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("the query of a feature view must have %s", what),
			 errdetail("%s", why),
			 errhint("%s", hint)));
}

/* Refuses what stands beside a simple SELECT: CTEs, set operations, locking. */
static void
check_statement(const Query *query)
{
	if (query->commandType != CMD_SELECT || query->utilityStmt != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the query of a feature view must be a SELECT")));
	if (query->setOperations != NULL)
		refuse("UNION, INTERSECT or EXCEPT",
			   "It reads one stream, once.",
			   "Create one feature view for each part.");
	if (query->cteList != NIL)
		refuse("WITH", "It reads one stream, directly.",
			   "Write the query as one SELECT ... FROM stream ... GROUP BY.");
	if (query->rowMarks != NIL)
		refuse("FOR UPDATE or FOR SHARE", "Events cannot be locked.",
			   "Leave it out.");
}

/* The clauses that choose or order result rows: each has its own reason. */
static void
check_clauses(const Query *query)
{
	if (query->hasSubLinks)
		refuse("subqueries", "A row depends on the events of its window alone.",
			   "Join the feature view with other tables when you read it.");
	if (query->hasWindowFuncs || query->windowClause != NIL)
		refuse("window functions",
			   "Windows of event time are given by the argument \"windows\".",
			   "Use a plain aggregate, or a window function when you read the feature view.");
	if (query->hasTargetSRFs)
		refuse("set-returning functions",
			   "There is one row for each entity and window end.",
			   "Use array_agg(), and unnest() when you read the feature view.");
	if (query->groupingSets != NIL)
		refuse("GROUPING SETS, ROLLUP or CUBE",
			   "A feature view has one kind of entity.",
			   "Create one feature view for each set of grouping columns.");
	if (query->havingQual != NULL)
		refuse("HAVING",
			   "Every entity with an event in the window has a row.",
			   "Filter when you read the feature view.");
	if (query->distinctClause != NIL)
		refuse("DISTINCT", "Rows are already distinct by their entity columns.",
			   "Leave it out.");
	if (query->sortClause != NIL)
		refuse("ORDER BY", "Rows are looked up by entity and have no order.",
			   "Order when you read the feature view.");
	if (query->limitCount != NULL || query->limitOffset != NULL)
		refuse("LIMIT or OFFSET",
			   "Every entity with an event in the window has a row.",
			   "Limit when you read the feature view.");
}

/* Range table index of the one thing in FROM; throws when there is none or more. */
static Index
find_from(Query *query)
{
	Node	   *from;

	if (query->jointree->fromlist == NIL)
		demand("FROM", "It computes features from the events of a stream.",
			   "Write SELECT ... FROM stream ... GROUP BY entity columns.");
	from = linitial(query->jointree->fromlist);
	if (list_length(query->jointree->fromlist) > 1 || !IsA(from, RangeTblRef))
		refuse("joins", "A row depends on the events of one stream alone.",
			   "Join when you read the feature view, or put the columns into the events.");
	return ((RangeTblRef *) from)->rtindex;
}

/* See compile.h. */
Oid
fs_compile_stream(Query *query)
{
	RangeTblEntry *rte;

	check_statement(query);
	rte = rt_fetch(find_from(query), query->rtable);
	if (rte->rtekind == RTE_SUBQUERY)
		refuse("subqueries", "It reads one stream, directly.",
			   "Write the query as one SELECT ... FROM stream ... GROUP BY.");
	if (rte->rtekind != RTE_RELATION)
		refuse("functions or values in FROM", "It reads one stream, directly.",
			   "Name a stream in FROM.");
	if (!fs_is_stream(rte->relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a stream", fs_relation_name(rte->relid)),
				 errdetail("A feature view is computed from the events of one stream."),
				 errhint("A stream is a foreign table of a server of wrapper feature_stream_kafka or feature_stream_table.")));
	return rte->relid;
}

/* Index of the stream's column that 'expr' is, or -1 when it is no plain column. */
static int
plain_column(const CompileState *state, Node *expr)
{
	Var		   *var = (Var *) expr;

	if (expr == NULL || !IsA(expr, Var) || var->varlevelsup != 0)
		return -1;
	Assert(var->varno == state->varno);
	return fs_stream_column_index(state->stream, var->varattno);
}

/* Throws unless equal values of the column have equal bytes. */
static void
check_entity_type(const FsColumn *column)
{
	const char *why = NULL;

	if (column->type == FS_TYPE_NUMERIC)
		why = "Numbers of different scale, such as 1.0 and 1.00, are equal.";
	else if (fs_type_is_float(column->type))
		why = "Zero and minus zero are equal.";
	else if (column->type == FS_TYPE_JSONB)
		why = "Documents that hold different numerals can be equal.";
	else if (OidIsValid(column->collation) &&
			 !get_collation_isdeterministic(column->collation))
		why = "Its collation is nondeterministic: different texts can be equal.";
	if (why == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("column \"%s\" cannot be an entity column", column->name),
			 errdetail("The equality of keys must be that of their bytes. %s", why),
			 errhint("Group by a column of type text with a deterministic collation, smallint, integer, bigint, boolean, date, timestamptz or uuid.")));
}

/* Adds one grouping column of the target list to the view's entity. */
static void
add_entity(CompileState *state, TargetEntry *tle, int column)
{
	FsViewDef  *view = state->view;
	const FsColumn *def = &state->stream->columns[column];

	for (int i = 0; i < view->nentity; i++)
		if (view->entity[i] == column)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("entity column \"%s\" is selected twice", def->name),
					 errhint("Select each column of GROUP BY once.")));
	check_entity_type(def);
	if (!def->not_null)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("entity column \"%s\" must be NOT NULL", def->name),
				 errdetail("A key cannot be NULL."),
				 errhint("ALTER FOREIGN TABLE %s ALTER COLUMN %s SET NOT NULL: events without it become dead letters.",
						 state->stream->name, quote_identifier(def->name))));
	view->outputs[view->noutputs].is_entity = true;
	view->outputs[view->noutputs].index = view->nentity;
	view->outputs[view->noutputs++].name = pstrdup(tle->resname);
	view->entity[view->nentity++] = column;
}

/* Throws for a GROUP BY expression that is no plain column or is not selected. */
static void
check_group(CompileState *state)
{
	ListCell   *lc;

	if (state->query->groupClause == NIL)
		demand("GROUP BY", "The grouping columns are the entity whose features are computed.",
			   "Add GROUP BY with the columns that identify the entity.");
	foreach(lc, state->query->groupClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		TargetEntry *tle = get_sortgroupclause_tle(clause,
												   state->query->targetList);

		if (plain_column(state, (Node *) tle->expr) < 0)
			refuse("expressions in GROUP BY",
				   "Entity columns are columns of the stream.",
				   "Let the events carry the value as a column of its own, and group by that.");
		if (tle->resjunk)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("grouping column \"%s\" is not selected",
							state->stream->columns[plain_column(state, (Node *) tle->expr)].name),
					 errdetail("The entity columns are the key of the feature view."),
					 errhint("Select every column of GROUP BY.")));
	}
}

/* Index into view->kept of a column of the stream, which is added when it is new. */
static int
keep_column(FsViewDef *view, int column)
{
	for (int i = 0; i < view->nkept; i++)
		if (view->kept[i] == column)
			return i;
	if (view->nkept == FS_MAX_KEPT_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("feature view aggregates more than %d columns", FS_MAX_KEPT_COLUMNS),
				 errhint("Split it into several feature views.")));
	view->kept[view->nkept] = column;
	return view->nkept++;
}

/* Adds one aggregate of the target list. */
static void
add_aggregate(CompileState *state, TargetEntry *tle, Aggref *aggref)
{
	FsViewDef  *view = state->view;
	FsAggregate *aggregate = &view->aggregates[view->naggregates];
	Node	   *argument = fs_compile_aggregate(aggregate, aggref);
	int			column;

	aggregate->name = pstrdup(tle->resname);
	aggregate->kept = -1;
	if (argument != NULL)
	{
		column = plain_column(state, argument);
		if (column < 0)
			refuse("expressions inside aggregates",
				   psprintf("The argument of feature \"%s\" must be a column of the stream.",
							tle->resname),
				   "Let the events carry the value as a column of its own.");
		fs_compile_argument(aggregate, &state->stream->columns[column]);
		aggregate->kept = keep_column(view, column);
	}
	view->outputs[view->noutputs].is_entity = false;
	view->outputs[view->noutputs].index = view->naggregates++;
	view->outputs[view->noutputs++].name = aggregate->name;
}

/* Sorts the target list into entity columns and aggregates. */
static void
compile_targets(CompileState *state)
{
	FsViewDef  *view = state->view;
	int			length = list_length(state->query->targetList);
	ListCell   *lc;

	view->entity = palloc0(length * sizeof(int));
	view->kept = palloc0(length * sizeof(int));
	view->aggregates = palloc0(length * sizeof(FsAggregate));
	view->outputs = palloc0(length * sizeof(FsOutput));
	view->nentity = view->nkept = view->naggregates = view->noutputs = 0;
	foreach(lc, state->query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		int			column = plain_column(state, (Node *) tle->expr);

		Assert(!tle->resjunk);
		if (column >= 0)
			add_entity(state, tle, column);
		else if (IsA(tle->expr, Aggref))
			add_aggregate(state, tle, (Aggref *) tle->expr);
		else
			refuse(contain_agg_clause((Node *) tle->expr) ?
				   "expressions over aggregates" : "expressions in the target list",
				   psprintf("Column \"%s\" is neither a grouping column nor an aggregate.",
							tle->resname),
				   "Select the aggregates themselves, and compute when you read the feature view.");
	}
	if (view->naggregates == 0)
		demand("an aggregate", "Each aggregate is a feature.",
			   "Select an aggregate such as count(*).");
}

/* Plans WHERE, with the stream as varno 1. */
static void
compile_where(CompileState *state)
{
	Node	   *where = state->query->jointree->quals;
	List	   *vars;
	ListCell   *lc;

	state->view->where = NULL;
	if (where == NULL)
		return;
	where = fs_contract_plan(where, state->view->owner, "WHERE of a feature view",
							 "Whether an event counts must not depend on when it is asked.",
							 "Compare columns with constants; windows of time are given by the argument \"windows\".");
	vars = pull_var_clause(where, 0);
	foreach(lc, vars)
	{
		if (plain_column(state, lfirst(lc)) < 0)
			refuse("system columns or whole rows in WHERE",
				   "Events have the declared columns alone.",
				   "Name the columns of the stream.");
	}
	ChangeVarNodes(where, state->varno, 1, 0);
	state->view->where = where;
}

/* See feature_view.h. */
void
fs_view_compile(FsViewDef *view, Query *query, const FsStreamDef *stream)
{
	CompileState state = {view, query, stream, 0};

	if (fs_compile_stream(query) != stream->relid)
		elog(ERROR, "query reads another stream than %u", stream->relid);
	state.varno = find_from(query);
	check_clauses(query);
	check_group(&state);
	compile_targets(&state);
	compile_where(&state);
	Assert(view->noutputs == view->nentity + view->naggregates);
	Assert(view->nentity > 0);
}
