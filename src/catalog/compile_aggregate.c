/*
 * compile_aggregate.c
 *		Which aggregates a feature view can have.
 *
 * Only those with a native, incremental form that equals PostgreSQL's own.
 * Functions are known by their Oid: an aggregate of a user's with the same name
 * is another one.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "nodes/parsenodes.h"
#include "parser/parse_oper.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"

#include "catalog/compile_aggregate.h"

#define NATIVE_AGGREGATES \
	"array_agg(x), count(*), count(x), count(DISTINCT x), mode() WITHIN GROUP (ORDER BY x), sum(x), avg(x), min(x), max(x)"

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

static void
refuse(const char *what, const char *why, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("an aggregate of a feature view cannot have %s", what),
			 errdetail("%s", why),
			 errhint("%s", hint)));
}

/* The kind of a native aggregate; throws for every other function. */
static FsAggKind
find_native(Oid function)
{
	for (int i = 0; i < lengthof(native_aggregates); i++)
		if (native_aggregates[i].function == function)
			return native_aggregates[i].kind;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("aggregate %s is not supported in a feature view",
					format_procedure(function)),
			 errdetail("It has no form that can be kept up to date as events enter and leave a window."),
			 errhint("Supported are %s.", NATIVE_AGGREGATES)));
	return FS_AGG_COUNT_STAR;	/* not reached */
}

/* Refuses FILTER, DISTINCT and ORDER BY where there is no native form for them. */
static void
check_decorations(FsAggKind kind, const Aggref *aggref)
{
	if (aggref->aggfilter != NULL)
		refuse("FILTER", "All features of a view are computed from the same events.",
			   "Use WHERE, in a feature view of its own.");
	if (aggref->aggdistinct != NIL && kind != FS_AGG_COUNT)
		refuse("DISTINCT", "Only count() has a native form with DISTINCT.",
			   "Use count(DISTINCT x), or compute from array_agg(x) when you read the feature view.");
	if (aggref->aggorder != NIL && kind != FS_AGG_MODE)
		refuse("ORDER BY",
			   "Events are taken in the order of event time, partition and offset.",
			   "Leave it out, or sort when you read the feature view.");
}

/* mode() must order by its column's default operator, ascending. */
static void
check_mode_order(const Aggref *aggref)
{
	SortGroupClause *clause = linitial_node(SortGroupClause, aggref->aggorder);
	TargetEntry *tle = linitial_node(TargetEntry, aggref->args);
	Oid			ascending;

	get_sort_group_operators(exprType((Node *) tle->expr), true, false, false,
							 &ascending, NULL, NULL, NULL);
	if (clause->sortop != ascending)
		refuse("DESC or USING",
			   "Ties of mode() go to the smallest value.",
			   "Write mode() WITHIN GROUP (ORDER BY x).");
}

/* See compile_aggregate.h. */
Node *
fs_compile_aggregate(FsAggregate *aggregate, Aggref *aggref)
{
	FsAggKind	kind = find_native(aggref->aggfnoid);

	check_decorations(kind, aggref);
	if (kind == FS_AGG_COUNT && aggref->aggdistinct != NIL)
		kind = FS_AGG_COUNT_DISTINCT;
	if (kind == FS_AGG_MODE)
		check_mode_order(aggref);
	aggregate->kind = kind;
	aggregate->aggfnoid = aggref->aggfnoid;
	aggregate->input_type = InvalidOid;
	aggregate->result_type = aggref->aggtype;
	aggregate->result_typmod = -1;
	aggregate->collation = aggref->inputcollid;
	if (kind == FS_AGG_COUNT_STAR)
		return NULL;
	Assert(list_length(aggref->args) == 1);
	return (Node *) linitial_node(TargetEntry, aggref->args)->expr;
}

/* See compile_aggregate.h. */
void
fs_compile_argument(FsAggregate *aggregate, const FsColumn *column)
{
	bool		compares = aggregate->kind == FS_AGG_COUNT_DISTINCT ||
	aggregate->kind == FS_AGG_MODE || aggregate->kind == FS_AGG_MIN ||
	aggregate->kind == FS_AGG_MAX;

	if (compares && OidIsValid(column->collation) &&
		!get_collation_isdeterministic(column->collation))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" has a nondeterministic collation",
						column->name),
				 errdetail("Which of several equal values is taken would be left open."),
				 errhint("Declare the column with a deterministic collation.")));
	aggregate->input_type = column->typid;
}
