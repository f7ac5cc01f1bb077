/*
 * compile_query.c
 *		Which shapes of a query a feature view can have.
 *
 * One stream, WHERE, GROUP BY, aggregates.  Every other clause is refused when
 * the view is created, with what, why and what to do instead.
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"

#include "catalog/compile.h"
#include "catalog/extension.h"
#include "catalog/stream.h"

/* See compile.h. */
void
fs_compile_refuse(const char *what, const char *why, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("the query of a feature view cannot have %s", what),
			 errdetail("%s", why),
			 errhint("%s", hint)));
}

/* See compile.h. */
void
fs_compile_demand(const char *what, const char *why, const char *hint)
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
		fs_compile_refuse("UNION, INTERSECT or EXCEPT",
			   "It reads one stream, once.",
			   "Create one feature view for each part.");
	if (query->cteList != NIL)
		fs_compile_refuse("WITH", "It reads one stream, directly.",
			   "Write the query as one SELECT ... FROM stream ... GROUP BY.");
	if (query->rowMarks != NIL)
		fs_compile_refuse("FOR UPDATE or FOR SHARE", "Events cannot be locked.",
			   "Leave it out.");
}

/* See compile.h.  Clauses that choose or order result rows: each has its own reason. */
void
fs_compile_check_clauses(const Query *query)
{
	if (query->hasSubLinks)
		fs_compile_refuse("subqueries", "A row depends on the events of its window alone.",
			   "Join the feature view with other tables when you read it.");
	if (query->hasWindowFuncs || query->windowClause != NIL)
		fs_compile_refuse("window functions",
			   "Windows of event time are given by the argument \"windows\".",
			   "Use a plain aggregate, or a window function when you read the feature view.");
	if (query->hasTargetSRFs)
		fs_compile_refuse("set-returning functions",
			   "There is one row for each entity and window end.",
			   "Use array_agg(), and unnest() when you read the feature view.");
	if (query->groupingSets != NIL)
		fs_compile_refuse("GROUPING SETS, ROLLUP or CUBE",
			   "A feature view has one kind of entity.",
			   "Create one feature view for each set of grouping columns.");
	if (query->havingQual != NULL)
		fs_compile_refuse("HAVING",
			   "Every entity with an event in the window has a row.",
			   "Filter when you read the feature view.");
	if (query->distinctClause != NIL)
		fs_compile_refuse("DISTINCT", "Rows are already distinct by their entity columns.",
			   "Leave it out.");
	if (query->sortClause != NIL)
		fs_compile_refuse("ORDER BY", "Rows are looked up by entity and have no order.",
			   "Order when you read the feature view.");
	if (query->limitCount != NULL || query->limitOffset != NULL)
		fs_compile_refuse("LIMIT or OFFSET",
			   "Every entity with an event in the window has a row.",
			   "Limit when you read the feature view.");
}

/* See compile.h. */
Index
fs_compile_from(Query *query)
{
	Node	   *from;

	if (query->jointree->fromlist == NIL)
		fs_compile_demand("FROM", "It computes features from the events of a stream.",
			   "Write SELECT ... FROM stream ... GROUP BY entity columns.");
	from = linitial(query->jointree->fromlist);
	if (list_length(query->jointree->fromlist) > 1 || !IsA(from, RangeTblRef))
		fs_compile_refuse("joins", "A row depends on the events of one stream alone.",
			   "Join when you read the feature view, or put the columns into the events.");
	return ((RangeTblRef *) from)->rtindex;
}

/* See compile.h. */
Oid
fs_compile_stream(Query *query)
{
	RangeTblEntry *rte;

	check_statement(query);
	rte = rt_fetch(fs_compile_from(query), query->rtable);
	if (rte->rtekind == RTE_SUBQUERY)
		fs_compile_refuse("subqueries", "It reads one stream, directly.",
			   "Write the query as one SELECT ... FROM stream ... GROUP BY.");
	if (rte->rtekind != RTE_RELATION)
		fs_compile_refuse("functions or values in FROM", "It reads one stream, directly.",
			   "Name a stream in FROM.");
	if (!fs_is_stream(rte->relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a stream", fs_relation_name(rte->relid)),
				 errdetail("A feature view is computed from the events of one stream."),
				 errhint("A stream is a foreign table of a server of wrapper feature_stream_kafka or feature_stream_table.")));
	return rte->relid;
}
