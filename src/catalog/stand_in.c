/*
 * stand_in.c
 *		Another relation in the place of the stream in a feature view's query.
 *
 * The stream's range table entry becomes the subquery
 *
 *		SELECT <columns>, fs_group, fs_rank FROM <name>
 *		 ORDER BY fs_group, fs_rank
 *
 * whose order is that of the grouping above it, GROUP BY fs_group.  So the one
 * sort there is puts events in the order in which aggregates are to meet them,
 * and grouping needs no other, which would not be stable.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_clause.h"
#include "parser/parse_oper.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"

#include "catalog/ephemeral.h"
#include "catalog/stand_in.h"

#define GUESSED_EVENTS 1000		/* any number will do: there is but one plan */

static const char *const extra_names[FS_STAND_IN_EXTRA] = {"fs_group", "fs_rank"};

/* See stand_in.h. */
TupleDesc
fs_stand_in_desc(const FsStreamDef *stream)
{
	return fs_ephemeral_desc(stream, extra_names, FS_STAND_IN_EXTRA);
}

/* A clause that sorts or groups by a bigint target of the list, ascending. */
static SortGroupClause *
make_bigint_clause(TargetEntry *target, List *targets)
{
	SortGroupClause *clause = makeNode(SortGroupClause);

	Assert(exprType((Node *) target->expr) == INT8OID);
	get_sort_group_operators(INT8OID, true, true, false, &clause->sortop,
							 &clause->eqop, NULL, &clause->hashable);
	clause->tleSortGroupRef = assignSortGroupRef(target, targets);
	return clause;
}

/* Sorts by one more column, of type bigint. */
static void
add_sort(Query *query, AttrNumber attno)
{
	TargetEntry *target = list_nth_node(TargetEntry, query->targetList, attno - 1);

	query->sortClause = lappend(query->sortClause, make_bigint_clause(target, query->targetList));
}

/* The subquery, without its order. */
static Query *
make_source(TupleDesc desc, const char *name)
{
	Query	   *query = makeNode(Query);
	RangeTblRef *reference = makeNode(RangeTblRef);

	query->commandType = CMD_SELECT;
	query->querySource = QSRC_ORIGINAL;
	query->canSetTag = true;
	query->rtable = list_make1(fs_ephemeral_range(name, desc, GUESSED_EVENTS));
	reference->rtindex = 1;
	query->jointree = makeFromExpr(list_make1(reference), NULL);
	for (int attno = 1; attno <= desc->natts; attno++)
	{
		Form_pg_attribute attr = TupleDescAttr(desc, attno - 1);
		Var		   *var = makeVar(1, attno, attr->atttypid, attr->atttypmod,
								  attr->attcollation, 0);

		query->targetList = lappend(query->targetList,
									makeTargetEntry((Expr *) var, attno,
													pstrdup(NameStr(attr->attname)), false));
	}
	return query;
}

/* The order in which grouping above wants the events, and then their own. */
static void
sort_source(Query *source, int natts, bool grouped)
{
	if (grouped)
		add_sort(source, natts + 1);
	add_sort(source, natts + 2);
}

/* Makes fs_group the first target, and what the query groups by. */
static void
add_group(Query *query, Index varno, int natts, bool grouped)
{
	Expr	   *expr;
	TargetEntry *group;
	ListCell   *lc;

	Assert(query->groupClause == NIL);
	if (grouped)
		expr = (Expr *) makeVar(varno, natts + 1, INT8OID, -1, InvalidOid, 0);
	else
		expr = (Expr *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64),
								  Int64GetDatum(0), false, FLOAT8PASSBYVAL);
	foreach(lc, query->targetList)
		lfirst_node(TargetEntry, lc)->resno++;
	group = makeTargetEntry(expr, 1, pstrdup(extra_names[0]), false);
	query->targetList = lcons(group, query->targetList);
	if (grouped)
		query->groupClause = list_make1(make_bigint_clause(group, query->targetList));
}

/* Throws for a column that the stand-in does not have. */
static bool
check_vars_walker(Node *node, void *arg)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var) && ((Var *) node)->varattno <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the query of a feature view cannot have system columns or whole rows"),
				 errhint("Name the columns of the stream.")));
	return expression_tree_walker(node, check_vars_walker, arg);
}

/* See stand_in.h. */
Query *
fs_stand_in_query(const Query *query, const FsStreamDef *stream, const char *name,
				  bool grouped)
{
	Query	   *result = copyObject(unconstify(Query *, query));
	RangeTblRef *from = linitial_node(RangeTblRef, result->jointree->fromlist);
	RangeTblEntry *old = rt_fetch(from->rtindex, result->rtable);
	RangeTblEntry *new = makeNode(RangeTblEntry);
	TupleDesc	desc = fs_stand_in_desc(stream);
	ListCell   *lc;

	Assert(list_length(result->jointree->fromlist) == 1);
	Assert(old->rtekind == RTE_RELATION && old->relid == stream->relid);
	check_vars_walker((Node *) result->targetList, NULL);
	check_vars_walker(result->jointree->quals, NULL);
	new->rtekind = RTE_SUBQUERY;
	new->subquery = make_source(desc, name);
	sort_source(new->subquery, stream->natts, grouped);
	new->eref = makeAlias(old->eref->aliasname, NIL);
	new->inFromCl = true;
	foreach(lc, new->subquery->targetList)
		new->eref->colnames = lappend(new->eref->colnames,
									  makeString(lfirst_node(TargetEntry, lc)->resname));
	lfirst(list_nth_cell(result->rtable, from->rtindex - 1)) = new;
	add_group(result, from->rtindex, stream->natts, grouped);
	FreeTupleDesc(desc);
	return result;
}
