/*
 * compile_native.c
 *		Which native form an aggregate has.
 *
 * A native form equals PostgreSQL's own aggregate bit by bit: it is either the
 * same arithmetic over the values that rings keep, or calls of the aggregate's
 * own functions with them (FS_AGG_CALL), which saves the executor, its tuples
 * and its planning.  Functions are known by their Oid: an aggregate of a
 * user's with the same name is another one.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog/compile.h"
#include "catalog/extension.h"
#include "catalog/stream_contract.h"

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
	{F_AVG_INT2, FS_AGG_AVG},
	{F_AVG_INT4, FS_AGG_AVG},
	{F_AVG_INT8, FS_AGG_AVG},
	{F_AVG_FLOAT4, FS_AGG_AVG},
	{F_AVG_FLOAT8, FS_AGG_AVG},
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
	{F_BOOL_AND, FS_AGG_BOOL_AND},
	{F_EVERY, FS_AGG_BOOL_AND},
	{F_BOOL_OR, FS_AGG_BOOL_OR},
	{F_BIT_AND_INT2, FS_AGG_BIT_AND},
	{F_BIT_AND_INT4, FS_AGG_BIT_AND},
	{F_BIT_AND_INT8, FS_AGG_BIT_AND},
	{F_BIT_OR_INT2, FS_AGG_BIT_OR},
	{F_BIT_OR_INT4, FS_AGG_BIT_OR},
	{F_BIT_OR_INT8, FS_AGG_BIT_OR},
	{F_BIT_XOR_INT2, FS_AGG_BIT_XOR},
	{F_BIT_XOR_INT4, FS_AGG_BIT_XOR},
	{F_BIT_XOR_INT8, FS_AGG_BIT_XOR},
	{F_VARIANCE_FLOAT4, FS_AGG_VAR_SAMP},
	{F_VARIANCE_FLOAT8, FS_AGG_VAR_SAMP},
	{F_VAR_SAMP_FLOAT4, FS_AGG_VAR_SAMP},
	{F_VAR_SAMP_FLOAT8, FS_AGG_VAR_SAMP},
	{F_VAR_POP_FLOAT4, FS_AGG_VAR_POP},
	{F_VAR_POP_FLOAT8, FS_AGG_VAR_POP},
	{F_STDDEV_FLOAT4, FS_AGG_STDDEV_SAMP},
	{F_STDDEV_FLOAT8, FS_AGG_STDDEV_SAMP},
	{F_STDDEV_SAMP_FLOAT4, FS_AGG_STDDEV_SAMP},
	{F_STDDEV_SAMP_FLOAT8, FS_AGG_STDDEV_SAMP},
	{F_STDDEV_POP_FLOAT4, FS_AGG_STDDEV_POP},
	{F_STDDEV_POP_FLOAT8, FS_AGG_STDDEV_POP},
	{F_PERCENTILE_CONT_FLOAT8_FLOAT8, FS_AGG_PERCENTILE_CONT},
	{F_PERCENTILE_CONT__FLOAT8_FLOAT8, FS_AGG_PERCENTILE_CONT},
	{F_PERCENTILE_DISC_FLOAT8_ANYELEMENT, FS_AGG_PERCENTILE_DISC},
	{F_PERCENTILE_DISC__FLOAT8_ANYELEMENT, FS_AGG_PERCENTILE_DISC},
};

/* Is this function of PostgreSQL's own, in C, or of ours? */
static bool
is_trusted(Oid function)
{
	HeapTuple	tuple;
	Oid			language;

	if (function >= FirstNormalObjectId)
		return getExtensionOfObject(ProcedureRelationId, function) == get_extension_oid(FS_SCHEMA, true);
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	language = ((Form_pg_proc) GETSTRUCT(tuple))->prolang;
	ReleaseSysCache(tuple);
	return language == INTERNALlanguageId;
}

/*
 * May an aggregate's own functions be called outside the executor?  Also says
 * whether it leaves out events with a null argument.
 */
static bool
can_call(Oid aggregate, bool *is_strict)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
	Form_pg_aggregate form;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggregate);
	form = (Form_pg_aggregate) GETSTRUCT(tuple);
	*is_strict = func_strict(form->aggtransfn);
	result = form->aggkind == AGGKIND_NORMAL && is_trusted(aggregate) && is_trusted(form->aggtransfn);
	ReleaseSysCache(tuple);
	return result;
}

/* The kind of an aggregate by its function; FS_AGG_REPLAY for one that has no native form. */
static FsAggKind
find_kind(Oid function, bool *is_strict)
{
	bool		callable = can_call(function, is_strict);

	for (int i = 0; i < lengthof(native_aggregates); i++)
		if (native_aggregates[i].function == function)
			return native_aggregates[i].kind;
	return callable ? FS_AGG_CALL : FS_AGG_REPLAY;
}

/* Can rings keep the value of an argument, or is it the same in all calls? */
static bool
can_keep(const Expr *argument, FsAggKind kind)
{
	FsType		type;

	return (IsA(argument, Const) && kind == FS_AGG_CALL) ||
		(fs_contract_type(exprType((const Node *) argument), &type) && !fs_type_is_array(type));
}

/* Do values of this collation, if it is any, equal each other exactly when their bytes do? */
static bool
is_plain(Oid collation)
{
	return !OidIsValid(collation) || get_collation_isdeterministic(collation);
}

/* Is every fraction of a percentile, one or an array, between 0 and 1? */
static bool
has_good_fractions(const Const *fraction)
{
	Datum	   *values;
	bool	   *nulls;
	int			n;

	if (fraction->constisnull)
		return false;
	if (fraction->consttype == FLOAT8OID)
		return DatumGetFloat8(fraction->constvalue) >= 0 && DatumGetFloat8(fraction->constvalue) <= 1;
	Assert(fraction->consttype == FLOAT8ARRAYOID);
	deconstruct_array(DatumGetArrayTypeP(fraction->constvalue), FLOAT8OID, sizeof(float8),
					  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &values, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i] && !(DatumGetFloat8(values[i]) >= 0 && DatumGetFloat8(values[i]) <= 1))
			return false;
	return true;
}

/* Sets the kind of an aggregate that sorts its own argument; why the executor has to compute it, or NULL. */
static const char *
choose_ordered_set(const Aggref *aggref, FsAggregate *aggregate)
{
	aggregate->is_strict = true;	/* nulls are left out */
	if (aggregate->kind == FS_AGG_MODE)
		return NULL;
	if (!IsA(linitial(aggref->aggdirectargs), Const))
		return "its fraction is not a constant";
	aggregate->fraction = linitial_node(Const, aggref->aggdirectargs);
	if (!has_good_fractions(aggregate->fraction))
		return "its fraction is not between 0 and 1";
	aggregate->ordered = aggregate->kind;
	aggregate->kind = FS_AGG_ORDERED;
	return NULL;
}

/* The same of an aggregate with DISTINCT or ORDER BY. */
static void
choose_order(const Aggref *aggref, FsAggregate *aggregate)
{
	aggregate->is_distinct = aggref->aggdistinct != NIL;
	if (aggregate->kind == FS_AGG_COUNT && aggregate->is_distinct && list_length(aggref->aggdistinct) == 1)
	{
		aggregate->kind = FS_AGG_COUNT_DISTINCT;
		return;
	}
	aggregate->ordered = aggregate->kind;
	aggregate->kind = FS_AGG_ORDERED;
}

/* See compile.h. */
const char *
fs_compile_native(const Aggref *aggref, FsAggregate *aggregate)
{
	ListCell   *lc;

	aggregate->kind = find_kind(aggref->aggfnoid, &aggregate->is_strict);
	if (aggregate->kind == FS_AGG_REPLAY)
		return "it has no native form";
	foreach(lc, aggref->args)
	{
		const Expr *argument = lfirst_node(TargetEntry, lc)->expr;

		if (!can_keep(argument, aggregate->kind))
			return "values of its argument's type cannot be kept in rings";
		if (!is_plain(exprCollation((const Node *) argument)))
			return "its collation is nondeterministic";
	}
	if (!is_plain(aggref->inputcollid))
		return "its collation is nondeterministic";
	if (aggref->aggkind != AGGKIND_NORMAL)
		return choose_ordered_set(aggref, aggregate);
	if (aggref->aggdistinct != NIL || aggref->aggorder != NIL)
		choose_order(aggref, aggregate);
	aggregate->may_raise = fs_aggregate_what(aggregate) == FS_AGG_CALL;
	return NULL;
}

/* See compile.h. */
List *
fs_compile_sort_clauses(const Aggref *aggref)
{
	/* DISTINCT's clauses begin with those of ORDER BY, if there are any. */
	return aggref->aggdistinct != NIL ? aggref->aggdistinct : aggref->aggorder;
}
