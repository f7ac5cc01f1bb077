/*
 * stream_bounds.c
 *		Conditions of a query that narrow what is read of a stream's topic; see
 *		stream_bounds.h.
 *
 * A lower bound of the timestamp is the offset of the first record that is not
 * older: none before it can be wanted.  An upper bound is no bound, since records
 * may be out of order.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_opfamily_d.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "sql/stream_bounds.h"

/* A comparison, taken apart; the column is on the left. */
typedef struct Comparison
{
	FsMetaField field;
	int			strategy;		/* of a btree */
	bool		is_array;		/* = ANY (array) */
	Node	   *value;
	Oid			value_type;		/* of the elements, if it is an array */
} Comparison;

typedef struct Bound
{
	Comparison	comparison;
	ExprState  *state;
} Bound;

struct FsStreamBounds
{
	int			n;
	Bound		bounds[FLEXIBLE_ARRAY_MEMBER];
};

/* The column that an operand is; NULL: none that shows a record's place. */
static const FsMetaColumn *
find_column(const FsStreamDef *stream, Index varno, Node *operand)
{
	const Var  *var = (const Var *) operand;

	if (!IsA(operand, Var) || var->varno != varno || var->varlevelsup != 0)
		return NULL;
	return fs_stream_meta_column(stream, var->varattno);
}

/* Does the operator compare numbers, or times, in the way of a btree?  How, in *strategy. */
static bool
read_operator(Oid operator, FsMetaField field, Comparison *comparison)
{
	Oid			family = INTEGER_BTREE_FAM_OID;
	Oid			left;
	Oid			right;

	if (field == FS_META_TIMESTAMP)
		family = lookup_type_cache(TIMESTAMPTZOID, TYPECACHE_BTREE_OPFAMILY)->btree_opf;
	op_input_types(operator, &left, &right);
	comparison->value_type = right;
	comparison->strategy = get_op_opfamily_strategy(operator, family);
	return comparison->strategy != InvalidStrategy && (field != FS_META_TIMESTAMP || right == TIMESTAMPTZOID);
}

/* Is it of use?  All comparisons of numbers are, of times those that give a least one. */
static bool
is_useful(const Comparison *comparison)
{
	switch (comparison->field)
	{
		case FS_META_PARTITION:
			return true;
		case FS_META_OFFSET:
			return !comparison->is_array;
		case FS_META_TIMESTAMP:
			return !comparison->is_array && comparison->strategy >= BTEqualStrategyNumber;
		default:
			return false;
	}
}

/* Takes a condition apart; false when it is no comparison that narrows the reading. */
static bool
read_comparison(const FsStreamDef *stream, Index varno, Node *clause, Comparison *comparison)
{
	bool		is_array = IsA(clause, ScalarArrayOpExpr);
	const FsMetaColumn *column;
	Oid			operator;
	List	   *args;

	if (!is_array && !IsA(clause, OpExpr))
		return false;
	args = is_array ? ((ScalarArrayOpExpr *) clause)->args : ((OpExpr *) clause)->args;
	operator = is_array ? ((ScalarArrayOpExpr *) clause)->opno : ((OpExpr *) clause)->opno;
	if (list_length(args) != 2 || (is_array && !((ScalarArrayOpExpr *) clause)->useOr))
		return false;
	column = find_column(stream, varno, linitial(args));
	comparison->value = lsecond(args);
	if (column == NULL && !is_array)
	{
		column = find_column(stream, varno, lsecond(args));
		comparison->value = linitial(args);
		operator = get_commutator(operator);
	}
	if (column == NULL || column->field > FS_META_TIMESTAMP || !OidIsValid(operator) ||
		!read_operator(operator, column->field, comparison))
		return false;
	comparison->field = column->field;
	comparison->is_array = is_array;
	return is_useful(comparison) && (!is_array || comparison->strategy == BTEqualStrategyNumber);
}

/* See stream_bounds.h. */
List *
fs_stream_bounds_choose(const FsStreamDef *stream, RelOptInfo *rel)
{
	List	   *chosen = NIL;
	ListCell   *lc;

	foreach(lc, rel->baserestrictinfo)
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, lc);
		Comparison	comparison;

		if (!info->pseudoconstant &&
			read_comparison(stream, rel->relid, (Node *) info->clause, &comparison) &&
			!contain_var_clause(comparison.value) && !contain_subplans(comparison.value) &&
			!contain_volatile_functions(comparison.value))
			chosen = lappend(chosen, info->clause);
	}
	return chosen;
}

/* See stream_bounds.h. */
FsStreamBounds *
fs_stream_bounds_prepare(const FsStreamDef *stream, List *clauses, PlanState *parent)
{
	Index		varno = ((Scan *) parent->plan)->scanrelid;
	FsStreamBounds *bounds = palloc0(offsetof(FsStreamBounds, bounds) + sizeof(Bound) * list_length(clauses));
	ListCell   *lc;

	foreach(lc, clauses)
	{
		Bound	   *bound = &bounds->bounds[bounds->n];

		if (!read_comparison(stream, varno, lfirst(lc), &bound->comparison))
			continue;			/* the stream's columns have changed since: it stays a qual */
		bound->state = ExecInitExpr((Expr *) bound->comparison.value, parent);
		bounds->n++;
	}
	return bounds;
}

static int64
datum_number(Oid type, Datum value)
{
	return type == INT2OID ? DatumGetInt16(value) : type == INT4OID ? DatumGetInt32(value) :
		DatumGetInt64(value);
}

/* Narrows a range of numbers; false when nothing is left. */
static bool
narrow(int strategy, int64 value, int64 *least, int64 *greatest)
{
	if ((strategy == BTLessStrategyNumber && value == PG_INT64_MIN) ||
		(strategy == BTGreaterStrategyNumber && value == PG_INT64_MAX))
		return false;
	if (strategy == BTLessStrategyNumber)
		*greatest = Min(*greatest, value - 1);
	if (strategy == BTLessEqualStrategyNumber || strategy == BTEqualStrategyNumber)
		*greatest = Min(*greatest, value);
	if (strategy == BTGreaterStrategyNumber)
		*least = Max(*least, value + 1);
	if (strategy == BTGreaterEqualStrategyNumber || strategy == BTEqualStrategyNumber)
		*least = Max(*least, value);
	return *least <= *greatest;
}

/* A least time.  No record is as young as half of all times there are. */
static bool
narrow_time(TimestampTz value, FsTopicRequest *request)
{
	if (value > PG_INT64_MAX / 2)
		return false;
	if (value >= FS_UNIX_EPOCH)
		request->since = Max(request->since, value);
	return true;
}

/* Keeps the partitions that are in the array, and in those before; false when none is left. */
static bool
narrow_list(Datum datum, FsTopicRequest *request)
{
	ArrayType  *array = DatumGetArrayTypeP(datum);
	Oid			type = ARR_ELEMTYPE(array);
	int64	   *kept;
	int			nkept = 0;
	Datum	   *values;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, type, get_typlen(type), get_typbyval(type),
					  type == INT2OID ? TYPALIGN_SHORT : type == INT4OID ? TYPALIGN_INT : TYPALIGN_DOUBLE,
					  &values, &nulls, &n);
	kept = palloc(sizeof(int64) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		int64		value = nulls[i] ? -1 : datum_number(type, values[i]);
		bool		wanted = !request->some_partitions;

		for (int j = 0; j < request->npartitions; j++)
			wanted |= request->partitions[j] == value;
		if (wanted && value >= 0)
			kept[nkept++] = value;
	}
	request->some_partitions = true;
	request->partitions = kept;
	request->npartitions = nkept;
	return nkept > 0;
}

/* See stream_bounds.h. */
bool
fs_stream_bounds_apply(FsStreamBounds *bounds, ExprContext *econtext, FsTopicRequest *request)
{
	for (int i = 0; i < bounds->n; i++)
	{
		const Comparison *comparison = &bounds->bounds[i].comparison;
		bool		isnull;
		Datum		value = ExecEvalExpr(bounds->bounds[i].state, econtext, &isnull);
		bool		any;

		if (isnull)
			return false;		/* nothing compares with null */
		if (comparison->is_array)
			any = narrow_list(value, request);
		else if (comparison->field == FS_META_TIMESTAMP)
			any = narrow_time(DatumGetTimestampTz(value), request);
		else if (comparison->field == FS_META_PARTITION)
			any = narrow(comparison->strategy, datum_number(comparison->value_type, value),
						 &request->min_partition, &request->max_partition);
		else
			any = narrow(comparison->strategy, datum_number(comparison->value_type, value),
						 &request->min_offset, &request->max_offset);
		if (!any)
			return false;
	}
	return true;
}
