/*
 * compile_expression.c
 *		Planning the expressions of a feature view, and what they may call.
 *
 * A row must come out the same when it is computed again: now, on recovery, by
 * a reader, by verification.  So functions must be immutable, or stable and
 * depend on nothing but the settings that the view captured when it was created
 * (TimeZone and the like).  PostgreSQL does not say what a stable function
 * depends on, hence the list.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "nodes/execnodes.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "catalog/compile.h"
#include "catalog/stream_contract.h"

/* Built-in stable functions that depend on captured settings alone; those about timestamptz besides. */
static const char *const settled_functions[] = {
	"date_part", "date_trunc", "extract", "to_char", "to_timestamp", "to_date",
	"timezone", "timestamp", "date", "time", "timetz", "overlaps",
	"date_out", "interval_out", "timestamp_out", "time_out", "timetz_out",
	"array_out", "record_out", "range_out", "multirange_out", "byteaout",
	"textanycat", "anytextcat", "concat", "concat_ws", "format", "array_to_string",
	"quote_literal", "quote_nullable", "to_json", "to_jsonb", "row_to_json",
	"array_to_json", "json_build_array", "json_build_object", "jsonb_build_array",
	"jsonb_build_object", "json_agg_transfn", "jsonb_agg_transfn",
	"json_object_agg_transfn", "jsonb_object_agg_transfn", "json_agg_finalfn",
	"jsonb_agg_finalfn", "json_object_agg_finalfn", "jsonb_object_agg_finalfn",
	"json_agg", "jsonb_agg", "json_object_agg", "jsonb_object_agg",
};

/* What a walk over an expression found. */
typedef struct FunctionSearch
{
	Oid			culprit;		/* may give another result later */
	bool		has_culprit;	/* of that kind, but not a function: CURRENT_DATE and the like */
} FunctionSearch;

/* Does a stable function depend on captured settings alone? */
static bool
is_settled(Oid function)
{
	char	   *name;

	if (function >= FirstNormalObjectId)
		return false;
	name = get_func_name(function);
	for (int i = 0; i < lengthof(settled_functions); i++)
		if (strcmp(name, settled_functions[i]) == 0)
			return true;

	/* 'now' is input too. */
	return strstr(name, "timestamptz") != NULL && strcmp(name, "timestamptz_in") != 0;
}

/* True, with the culprit, for a function that may give another result later. */
static bool
is_unsettled(Oid function, void *context)
{
	FunctionSearch *search = context;

	if (!OidIsValid(function) || func_volatile(function) == PROVOLATILE_IMMUTABLE)
		return false;
	if (func_volatile(function) == PROVOLATILE_STABLE && is_settled(function))
		return false;
	search->culprit = function;
	search->has_culprit = true;
	return true;
}

/* The same for the functions that an aggregate is made of. */
static bool
is_unsettled_aggregate(const Aggref *aggref, FunctionSearch *search)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggref->aggfnoid));
	Form_pg_aggregate form;
	bool		found;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggref->aggfnoid);
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	found = is_unsettled(form->aggtransfn, search) || is_unsettled(form->aggfinalfn, search);
	ReleaseSysCache(tuple);
	return found;
}

static bool find_unsettled(Node *node, void *context);

/* The same for the constraints of a domain, those that it has from others among them. */
static bool
is_unsettled_domain(Oid domain, FunctionSearch *search)
{
	DomainConstraintRef *ref = palloc(sizeof(DomainConstraintRef)); /* is let go with the memory context */
	ListCell   *lc;

	InitDomainConstraintRef(domain, ref, CurrentMemoryContext, false);
	foreach(lc, ref->constraints)
		if (find_unsettled((Node *) lfirst_node(DomainConstraintState, lc)->check_expr, search))
			return true;
	return false;
}

/* Finds the first thing that may give another result later. */
static bool
find_unsettled(Node *node, void *context)
{
	FunctionSearch *search = context;

	if (node == NULL)
		return false;
	if (IsA(node, SQLValueFunction) || IsA(node, NextValueExpr) || IsA(node, CurrentOfExpr))
	{
		search->has_culprit = true;
		return true;
	}
	if (IsA(node, Aggref) && is_unsettled_aggregate((Aggref *) node, search))
		return true;
	if (IsA(node, CoerceToDomain) && is_unsettled_domain(((CoerceToDomain *) node)->resulttype, search))
		return true;
	if (check_functions_in_node(node, is_unsettled, context))
		return true;
	return expression_tree_walker(node, find_unsettled, context);
}

/*
 * Throws for what the search found; without a culprit it is CURRENT_TIMESTAMP
 * or another of SQL's own words.
 */
static void
throw_unsettled(const char *what, const FunctionSearch *search)
{
	if (!OidIsValid(search->culprit))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s must be immutable", what),
				 errdetail("A feature speaks of event time; it must not depend on when it is computed."),
				 errhint("Leave out CURRENT_TIMESTAMP and the like; windows of time are given by the argument \"windows\".")));
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s must be immutable", what),
			 errdetail("Function %s is %s. A feature must come out the same whenever it is computed from the same events.",
					   format_procedure(search->culprit),
					   func_volatile(search->culprit) == PROVOLATILE_STABLE ? "stable" : "volatile"),
			 search->culprit >= FirstNormalObjectId ?
			 errhint("Declare the function IMMUTABLE if it is.") :
			 errhint("Use functions of the events alone; windows of time are given by the argument \"windows\".")));
}

/* See compile.h. */
Node *
fs_compile_plan(FsCompile *compile, Node *expr, const char *what)
{
	FunctionSearch search = {InvalidOid, false};
	Node	   *planned = fs_contract_plan_as(expr, compile->view->owner);

	if (find_unsettled(planned, &search))
		throw_unsettled(what, &search);
	Assert(!search.has_culprit);
	ChangeVarNodes(planned, compile->varno, 1, 0);
	return planned;
}
