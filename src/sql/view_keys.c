/*
 * view_keys.c
 *		Conditions on the entity columns of a feature view that make a key look-up.
 *
 * Keys are found by their bytes, so a condition serves only if its operator is
 * true for equal bytes alone: the equality of the column type's own btree
 * family, under a deterministic collation.  All conditions stay quals of the
 * scan as well, so what is chosen here decides about speed, never about which
 * rows come out.
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/typcache.h"

#include "sql/view_keys.h"

/* More sets of outer relations than this are not tried. */
#define MAX_OUTER_RELIDS 64

/* The entity column an expression is, or 0. */
static AttrNumber
entity_column(Node *node, RelOptInfo *rel, int nentity)
{
	Var		   *var;

	while (node != NULL && IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	if (node == NULL || !IsA(node, Var))
		return 0;
	var = (Var *) node;
	if (var->varno != rel->relid || var->varlevelsup != 0 ||
		var->varattno < 1 || var->varattno > nentity)
		return 0;
	return var->varattno;
}

/* Can the value be known before the row is? */
static bool
is_key_value(PlannerInfo *root, RelOptInfo *rel, Node *value)
{
	return !bms_is_member(rel->relid, pull_varnos(root, value)) &&
		!contain_volatile_functions(value) && !contain_subplans(value);
}

static bool
is_integer(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

/*
 * Does "column op value" hold for exactly one key?  The value has the column's
 * type, or both are integers.
 */
static bool
is_key_operator(Oid opno, Oid column_type, Oid collation)
{
	TypeCacheEntry *type = lookup_type_cache(column_type, TYPECACHE_BTREE_OPFAMILY);
	Oid			left;
	Oid			right;

	if (!OidIsValid(type->btree_opf) ||
		get_op_opfamily_strategy(opno, type->btree_opf) != BTEqualStrategyNumber)
		return false;
	op_input_types(opno, &left, &right);
	if (left != column_type ||
		(right != column_type && !(is_integer(left) && is_integer(right))))
		return false;
	return !OidIsValid(collation) || get_collation_isdeterministic(collation);
}

static Oid
column_type(PlannerInfo *root, RelOptInfo *rel, AttrNumber column)
{
	return get_atttype(planner_rt_fetch(rel->relid, root)->relid, column);
}

/* column = value or value = column; the former is returned, or NULL. */
static Expr *
match_operator(PlannerInfo *root, RelOptInfo *rel, int nentity, OpExpr *op, AttrNumber *column)
{
	Oid			opno = op->opno;
	bool		commute = false;

	if (list_length(op->args) != 2)
		return NULL;
	*column = entity_column(linitial(op->args), rel, nentity);
	if (*column == 0)
	{
		*column = entity_column(lsecond(op->args), rel, nentity);
		opno = get_commutator(opno);
		commute = true;
	}
	if (*column == 0 || !OidIsValid(opno) ||
		!is_key_operator(opno, column_type(root, rel, *column), op->inputcollid) ||
		!is_key_value(root, rel, commute ? linitial(op->args) : lsecond(op->args)))
		return NULL;
	if (commute)
	{
		op = copyObject(op);
		CommuteOpExpr(op);
	}
	return (Expr *) op;
}

/* column = ANY (array), or NULL. */
static Expr *
match_array(PlannerInfo *root, RelOptInfo *rel, int nentity, ScalarArrayOpExpr *op, AttrNumber *column)
{
	*column = entity_column(linitial(op->args), rel, nentity);
	if (*column == 0 || !op->useOr ||
		!is_key_operator(op->opno, column_type(root, rel, *column), op->inputcollid) ||
		!is_key_value(root, rel, lsecond(op->args)))
		return NULL;
	return (Expr *) op;
}

/* The planner simplifies "flag = true" to "flag" and "flag = false" to "NOT flag": undoes that. */
static Expr *
match_boolean(PlannerInfo *root, RelOptInfo *rel, int nentity, Node *clause, AttrNumber *column)
{
	bool		value = true;

	if (is_notclause(clause))
	{
		clause = (Node *) get_notclausearg(clause);
		value = false;
	}
	if (!IsA(clause, Var))
		return NULL;
	*column = entity_column(clause, rel, nentity);
	if (*column == 0 || ((Var *) clause)->vartype != BOOLOID)
		return NULL;
	return make_opclause(BooleanEqualOperator, BOOLOID, false, (Expr *) copyObject(clause),
						 (Expr *) makeBoolConst(value, false), InvalidOid, InvalidOid);
}

/* The condition on an entity column that a restriction is, or NULL. */
static Expr *
match_restriction(PlannerInfo *root, RelOptInfo *rel, int nentity, RestrictInfo *restriction,
				  AttrNumber *column)
{
	Node	   *clause = (Node *) restriction->clause;

	*column = 0;
	if (restriction->pseudoconstant || !restriction_is_securely_promotable(restriction, rel))
		return NULL;
	if (IsA(clause, OpExpr))
		return match_operator(root, rel, nentity, (OpExpr *) clause, column);
	if (IsA(clause, ScalarArrayOpExpr))
		return match_array(root, rel, nentity, (ScalarArrayOpExpr *) clause, column);
	return match_boolean(root, rel, nentity, clause, column);
}

/* See view_keys.h. */
List *
fs_view_keys_choose(PlannerInfo *root, RelOptInfo *rel, int nentity, List *restrictions)
{
	Expr	  **chosen = palloc0(sizeof(Expr *) * nentity);
	List	   *keys = NIL;
	ListCell   *lc;

	Assert(nentity > 0);
	foreach(lc, restrictions)
	{
		AttrNumber	column;
		Expr	   *key = match_restriction(root, rel, nentity, lfirst_node(RestrictInfo, lc), &column);

		/* one value is better than an array of them */
		if (key != NULL &&
			(chosen[column - 1] == NULL || IsA(chosen[column - 1], ScalarArrayOpExpr)))
			chosen[column - 1] = key;
	}
	for (int i = 0; i < nentity; i++)
	{
		if (chosen[i] == NULL)
			return NIL;
		keys = lappend(keys, chosen[i]);
	}
	return keys;
}

/* Adds the relations a join condition needs, and their unions with those found before. */
static List *
add_outer_relids(List *sets, PlannerInfo *root, RelOptInfo *rel, int nentity, RestrictInfo *restriction)
{
	AttrNumber	column;
	Relids		outer;
	int			before = list_length(sets);

	if (match_restriction(root, rel, nentity, restriction, &column) == NULL)
		return sets;
	outer = bms_union(restriction->clause_relids, rel->lateral_relids);
	outer = bms_del_member(outer, rel->relid);
	if (bms_is_empty(outer))
		return sets;
	for (int i = -1; i < before && list_length(sets) < MAX_OUTER_RELIDS; i++)
	{
		Relids		set = i < 0 ? outer : bms_union(outer, list_nth(sets, i));
		ListCell   *lc;

		foreach(lc, sets)
			if (bms_equal(lfirst(lc), set))
				break;
		if (lc == NULL)
			sets = lappend(sets, set);
	}
	return sets;
}

/* Callback for generate_implied_equalities_for_column: is the member our column? */
static bool
is_column_cb(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass *ec, EquivalenceMember *member, void *arg)
{
	AttrNumber	column = *(AttrNumber *) arg;

	return entity_column((Node *) member->em_expr, rel, column) == column;
}

/* See view_keys.h. */
List *
fs_view_keys_outer_relids(PlannerInfo *root, RelOptInfo *rel, int nentity)
{
	List	   *sets = NIL;
	ListCell   *lc;

	foreach(lc, rel->joininfo)
	{
		RestrictInfo *restriction = lfirst_node(RestrictInfo, lc);

		if (join_clause_is_movable_to(restriction, rel))
			sets = add_outer_relids(sets, root, rel, nentity, restriction);
	}
	for (AttrNumber column = 1; rel->has_eclass_joins && column <= nentity; column++)
	{
		List	   *implied = generate_implied_equalities_for_column(root, rel, is_column_cb, &column,
																	 rel->lateral_referencers);

		foreach(lc, implied)
			sets = add_outer_relids(sets, root, rel, nentity, lfirst_node(RestrictInfo, lc));
	}
	return sets;
}

/* See view_keys.h. */
double
fs_view_keys_estimate(List *keys)
{
	double		n = 1;
	ListCell   *lc;

	foreach(lc, keys)
		if (IsA(lfirst(lc), ScalarArrayOpExpr))
			n *= Max(estimate_array_length(lsecond(((ScalarArrayOpExpr *) lfirst(lc))->args)), 1);
	return n;
}
