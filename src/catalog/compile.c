/*
 * compile.c
 *		From the query of a feature view to what the engine computes.
 *
 * The query is the specification: PostgreSQL has parsed and analyzed it.  Here
 * it becomes inputs (what is taken from an event), aggregates (over the inputs
 * of a window's events) and features (over aggregates and entity columns).
 */
#include "postgres.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/compile.h"
#include "catalog/feature_view.h"

/* Throws unless equal values of the column have equal bytes. */
static void
check_entity_type(const FsColumn *column)
{
	const char *why = NULL;

	if (column->type == FS_TYPE_NUMERIC)
		why = "Numbers of different scale, such as 1.0 and 1.00, are equal.";
	else if (fs_type_is_float(column->type))
		why = "Zero and minus zero are equal.";
	else if (fs_type_is_array(column->type))
		why = "Arrays can be equal whose elements are written differently.";
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

/* Throws unless the entity column can be known of every event. */
static void
check_entity_null(const FsCompile *compile, const FsInput *input)
{
	if (input->stream_column < 0 || input->column.not_null)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("entity column \"%s\" must be NOT NULL", input->column.name),
			 errdetail("A key cannot be NULL."),
			 errhint("ALTER FOREIGN TABLE %s ALTER COLUMN %s SET NOT NULL: events without it become dead letters.",
					 compile->stream->name, quote_identifier(input->column.name))));
}

/* Adds one grouping expression of the target list to the view's entity. */
static void
add_entity(FsCompile *compile, TargetEntry *tle)
{
	FsViewDef  *view = compile->view;
	Node	   *expr = fs_compile_plan(compile, (Node *) tle->expr,
									   psprintf("entity column \"%s\"", tle->resname));
	int			input;

	if (pull_var_clause(expr, 0) == NIL)
		fs_compile_refuse("a constant in GROUP BY", "It says nothing about the entity.",
						  "Group by the columns that identify the entity.");
	input = fs_compile_input(compile, expr, tle->resname);
	if (input < 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" cannot be an entity column", tle->resname),
				 errdetail("Values of type %s cannot be keys.", format_type_be(exprType(expr))),
				 errhint("Group by a value of type text, smallint, integer, bigint, boolean, date, timestamptz or uuid.")));
	check_entity_type(&view->inputs[input].column);
	check_entity_null(compile, &view->inputs[input]);
	compile->groups = lappend(compile->groups, expr);
	view->outputs[view->noutputs].is_entity = true;
	view->outputs[view->noutputs].index = view->nentity;
	view->outputs[view->noutputs++].name = pstrdup(tle->resname);
	view->entity[view->nentity++] = input;
}

/* Throws for a GROUP BY expression that is not selected. */
static void
check_group(FsCompile *compile)
{
	ListCell   *lc;

	if (compile->query->groupClause == NIL)
		fs_compile_demand("GROUP BY", "The grouping columns are the entity whose features are computed.",
						  "Add GROUP BY with the columns that identify the entity.");
	foreach(lc, compile->query->groupClause)
	{
		TargetEntry *tle = get_sortgroupclause_tle(lfirst_node(SortGroupClause, lc),
												   compile->query->targetList);

		if (tle->resjunk)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg(IsA(tle->expr, Var) ? "grouping column \"%s\" is not selected" :
							"a grouping expression is not selected",
							IsA(tle->expr, Var) ?
							get_attname(compile->stream->relid, ((Var *) tle->expr)->varattno, false) : ""),
					 errdetail("The entity columns are the key of the feature view."),
					 errhint("Select every column of GROUP BY.")));
	}
}

/* Is this column of the target list one of GROUP BY? */
static bool
is_group(const FsCompile *compile, const TargetEntry *tle)
{
	ListCell   *lc;

	foreach(lc, compile->query->groupClause)
		if (lfirst_node(SortGroupClause, lc)->tleSortGroupRef == tle->ressortgroupref)
			return true;
	return false;
}

/* Puts references to aggregates and entity columns in their place. */
static Node *
replace_aggregates(Node *node, void *context)
{
	FsCompile  *compile = context;
	ListCell   *lc;

	if (node == NULL)
		return NULL;
	foreach(lc, compile->groups)
		if (equal(lfirst(lc), node))
			return (Node *) makeVar(OUTER_VAR, foreach_current_index(lc) + 1, exprType(node), -1,
									exprCollation(node), 0);
	if (IsA(node, Aggref))
	{
		Aggref	   *aggref = castNode(Aggref, node);
		int			index = fs_compile_aggregate(compile, aggref);

		return (Node *) makeVar(INNER_VAR, index + 1, aggref->aggtype, -1, aggref->aggcollid, 0);
	}
	if (IsA(node, GroupingFunc))
		fs_compile_refuse("GROUPING()", "There is one set of grouping columns.", "Leave it out.");
	return expression_tree_mutator(node, replace_aggregates, context);
}

/* Is a column of the stream left where references to aggregates and entity columns should be? */
static bool
is_left_over(Node *expr)
{
	List	   *vars = pull_var_clause(expr, 0);
	ListCell   *lc;

	foreach(lc, vars)
		if (!IS_SPECIAL_VARNO(lfirst_node(Var, lc)->varno))
			return true;
	return false;
}

/* Adds a column of the target list that is no entity column. */
static void
add_feature(FsCompile *compile, TargetEntry *tle)
{
	FsViewDef  *view = compile->view;
	FsFeature  *feature = &view->features[view->nfeatures];
	Node	   *expr;

	if (!contain_agg_clause((Node *) tle->expr))
		fs_compile_refuse("a column without an aggregate",
						  psprintf("Column \"%s\" is neither one of GROUP BY nor computed from the events of a window.",
								   tle->resname),
						  "Compute it when you read the feature view.");
	expr = replace_aggregates(fs_compile_plan(compile, (Node *) tle->expr,
											  psprintf("feature \"%s\"", tle->resname)), compile);
	if (is_left_over(expr))
		fs_compile_refuse("parts of grouping expressions in the target list",
						  psprintf("Column \"%s\" uses them in another form than GROUP BY.", tle->resname),
						  "Write the expression as in GROUP BY, or compute it when you read the feature view.");
	feature->name = pstrdup(tle->resname);
	feature->type = exprType((Node *) tle->expr);
	feature->typmod = exprTypmod((Node *) tle->expr);
	feature->collation = exprCollation((Node *) tle->expr);
	feature->aggregate = -1;
	if (IsA(expr, Var) && ((Var *) expr)->varno == INNER_VAR)
		feature->aggregate = ((Var *) expr)->varattno - 1;
	else
	{
		feature->expr = expr;
		view->may_raise = true;
	}
	view->outputs[view->noutputs].is_entity = false;
	view->outputs[view->noutputs].index = view->nfeatures++;
	view->outputs[view->noutputs++].name = feature->name;
}

/* Sorts the target list into entity columns and features; entity columns first, since features refer to them. */
static void
compile_targets(FsCompile *compile)
{
	FsViewDef  *view = compile->view;
	int			length = list_length(compile->query->targetList);
	ListCell   *lc;

	view->entity = palloc0(length * sizeof(int));
	view->kept = palloc0(FS_MAX_KEPT_COLUMNS * sizeof(int));
	view->features = palloc0(length * sizeof(FsFeature));
	view->outputs = palloc0(length * sizeof(FsOutput));
	foreach(lc, compile->query->targetList)
		if (is_group(compile, lfirst_node(TargetEntry, lc)))
			add_entity(compile, lfirst_node(TargetEntry, lc));
	foreach(lc, compile->query->targetList)
		if (!is_group(compile, lfirst_node(TargetEntry, lc)))
			add_feature(compile, lfirst_node(TargetEntry, lc));
	if (view->nfeatures == 0)
		fs_compile_demand("an aggregate", "Each aggregate is a feature.",
						  "Select an aggregate such as count(*).");
}

/* Plans WHERE. */
static void
compile_where(FsCompile *compile)
{
	Node	   *where = compile->query->jointree->quals;

	compile->view->where = NULL;
	if (where == NULL)
		return;
	where = fs_compile_plan(compile, where, "WHERE of a feature view");
	fs_compile_check_columns(compile, where, "WHERE");
	compile->view->where = where;
}

/* See feature_view.h. */
void
fs_view_compile(FsViewDef *view, Query *query, const FsStreamDef *stream)
{
	FsCompile	compile = {view, query, stream, 0, NIL};

	if (fs_compile_stream(query) != stream->relid)
		elog(ERROR, "query reads another stream than %u", stream->relid);
	compile.varno = fs_compile_from(query);
	fs_compile_check_clauses(query);
	check_group(&compile);
	compile_targets(&compile);
	compile_where(&compile);
	fs_compile_slices(view);
	Assert(view->noutputs == view->nentity + view->nfeatures);
	Assert(view->nentity > 0);
}
