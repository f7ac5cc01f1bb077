/*
 * view_scan.c
 *		The executor's side of SELECT on a feature view.
 *
 * The plan brings the conditions that make a key, one an entity column; their
 * values are evaluated when the first row is asked for and after each rescan.
 * Lists of values are made free of repetitions, so that no row comes twice, and
 * several of them are gone through in all combinations.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "pipeline/row.h"
#include "sql/serial_plan.h"
#include "sql/view_cache.h"
#include "sql/view_reader.h"
#include "sql/view_scan.h"

/* The values one entity column can have in a look-up. */
typedef struct KeyColumn
{
	ExprState  *expr;			/* the value, or the array of them */
	bool		is_array;
	Oid			value_type;		/* of the value or the array's elements */
	const FsColumn *column;
	Datum	   *values;
	int			nvalues;
	int			current;
} KeyColumn;

typedef struct ViewScan
{
	/* Info */
	Oid			relid;
	FsViewReader *reader;		/* NULL until the first row is asked for */
	const AttrNumber *attnums;	/* of the columns, in the order of the definition */
	Datum	   *values;			/* a row in that order; NULL when the table has it, too */
	bool	   *nulls;

	/* Key look-up; nkeys is 0 for a full scan */
	int			nkeys;
	KeyColumn  *keys;
	bool		has_more;		/* a combination of values is left */

	/* State */
	bool		has_begun;		/* since the last rescan */

	/* Memory */
	MemoryContext context;		/* of the scan */
	MemoryContext key_context;	/* values of keys; reset at a rescan */
} ViewScan;

/* Takes apart one condition: column = value, or column = ANY (array). */
static void
prepare_key(KeyColumn *key, Node *condition, PlanState *parent)
{
	Oid			column_type;
	Oid			opno;
	List	   *args;

	key->is_array = IsA(condition, ScalarArrayOpExpr);
	if (key->is_array)
	{
		opno = ((ScalarArrayOpExpr *) condition)->opno;
		args = ((ScalarArrayOpExpr *) condition)->args;
	}
	else
	{
		opno = castNode(OpExpr, condition)->opno;
		args = ((OpExpr *) condition)->args;
	}
	op_input_types(opno, &column_type, &key->value_type);
	key->expr = ExecInitExpr(lsecond(args), parent);
}

/* Prepares the expressions of the key; shared memory is not looked at yet. */
void
fs_view_scan_begin(ForeignScanState *node, int eflags)
{
	ForeignScan *plan = castNode(ForeignScan, node->ss.ps.plan);
	ViewScan   *scan;

	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) != 0)
		return;
	scan = palloc0(sizeof(ViewScan));
	scan->relid = RelationGetRelid(node->ss.ss_currentRelation);
	scan->context = CurrentMemoryContext;
	scan->key_context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream keys",
											  ALLOCSET_SMALL_SIZES);
	scan->nkeys = list_length(plan->fdw_exprs);
	scan->keys = palloc0(sizeof(KeyColumn) * Max(scan->nkeys, 1));
	for (int i = 0; i < scan->nkeys; i++)
		prepare_key(&scan->keys[i], list_nth(plan->fdw_exprs, i), &node->ss.ps);
	if (fs_view_cache_get(scan->relid)->view->may_raise)
		fs_plan_keep_serial(node->ss.ps.state);
	node->fdw_state = scan;
}

/*
 * Throws when the foreign table is not what the definition makes of it.
 * Returns whether its columns are in the same order.
 */
static bool
check_columns(const FsViewDef *view, const AttrNumber *attnums, TupleDesc desc)
{
	int			natts = fs_view_natts(view);
	bool		matches = attnums != NULL;
	bool		in_order = desc->natts == natts;

	for (int i = 0; matches && i < natts; i++)
	{
		Oid			type = TIMESTAMPTZOID;

		if (i < view->nentity)
			type = fs_view_entity(view, i)->typid;
		else if (i < natts - 2)
			type = view->features[(i - view->nentity) % view->nfeatures].type;
		matches = attnums[i] > InvalidAttrNumber && attnums[i] <= desc->natts &&
			TupleDescAttr(desc, attnums[i] - 1)->atttypid == type &&
			(i >= view->nentity || attnums[i] == i + 1);
		in_order = in_order && attnums[i] == i + 1;
	}
	if (!matches)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("columns of feature view \"%s\" do not match its definition", view->name),
				 errhint("Drop the feature view and create it again.")));
	return in_order;
}

/* Opens the reader, once a scan. */
static void
open_reader(ViewScan *scan, TupleDesc desc)
{
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	const FsViewEntry *entry;

	scan->reader = fs_view_reader_open(scan->relid);
	entry = fs_view_reader_entry(scan->reader);
	scan->attnums = scan->relid == entry->relid ? entry->attnums : entry->live_attnums;
	if (!check_columns(entry->view, scan->attnums, desc))
	{
		scan->values = palloc(sizeof(Datum) * fs_view_natts(entry->view));
		scan->nulls = palloc(sizeof(bool) * fs_view_natts(entry->view));
	}
	Assert(scan->nkeys == 0 || scan->nkeys == entry->view->nentity);
	for (int i = 0; i < scan->nkeys; i++)
		scan->keys[i].column = fs_view_entity(entry->view, i);
	MemoryContextSwitchTo(old);
}

/*
 * Adds a value that the column is to equal.  An integer of another width than
 * the column's is converted; one out of its range equals none.
 */
static void
add_key_value(KeyColumn *key, Datum value)
{
	int64		i = 0;
	bool		is_integer = true;

	if (key->value_type == INT2OID)
		i = DatumGetInt16(value);
	else if (key->value_type == INT4OID)
		i = DatumGetInt32(value);
	else if (key->value_type == INT8OID)
		i = DatumGetInt64(value);
	else
		is_integer = false;
	if (is_integer && key->column->typid == INT2OID)
	{
		if (i < PG_INT16_MIN || i > PG_INT16_MAX)
			return;
		value = Int16GetDatum((int16) i);
	}
	else if (is_integer && key->column->typid == INT4OID)
	{
		if (i < PG_INT32_MIN || i > PG_INT32_MAX)
			return;
		value = Int32GetDatum((int32) i);
	}
	else if (is_integer)
		value = Int64GetDatum(i);
	key->values[key->nvalues++] = value;
}

static int
compare_values_cb(const void *a, const void *b, void *arg)
{
	return DatumGetInt32(FunctionCall2Coll(arg, C_COLLATION_OID,
										   *(const Datum *) a, *(const Datum *) b));
}

/* Sorts the values and drops repeated ones: one row is given once. */
static void
unique_values(KeyColumn *key)
{
	TypeCacheEntry *type = lookup_type_cache(key->column->typid, TYPECACHE_CMP_PROC_FINFO);
	int			n = 0;

	if (key->nvalues < 2)
		return;
	qsort_arg(key->values, key->nvalues, sizeof(Datum), compare_values_cb, &type->cmp_proc_finfo);
	for (int i = 1; i < key->nvalues; i++)
		if (compare_values_cb(&key->values[n], &key->values[i], &type->cmp_proc_finfo) != 0)
			key->values[++n] = key->values[i];
	key->nvalues = n + 1;
}

/* Evaluates the values of one entity column, in the current memory context. */
static void
evaluate_key(KeyColumn *key, ExprContext *econtext)
{
	bool		isnull;
	Datum		value = ExecEvalExpr(key->expr, econtext, &isnull);
	ArrayType  *array;
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	int16		typlen;
	bool		typbyval;
	char		typalign;

	key->nvalues = 0;
	key->current = 0;
	if (isnull)
		return;
	if (!key->is_array)
	{
		key->values = palloc(sizeof(Datum));
		add_key_value(key, value);
		return;
	}
	array = DatumGetArrayTypeP(value);
	get_typlenbyvalalign(ARR_ELEMTYPE(array), &typlen, &typbyval, &typalign);
	deconstruct_array(array, ARR_ELEMTYPE(array), typlen, typbyval, typalign, &elements, &nulls, &n);
	key->values = palloc(sizeof(Datum) * Max(n, 1));
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			add_key_value(key, elements[i]);
	unique_values(key);
}

/* Evaluates all keys; they stay until the next rescan. */
static void
evaluate_keys(ViewScan *scan, ExprContext *econtext)
{
	MemoryContext old;

	MemoryContextReset(scan->key_context);
	old = MemoryContextSwitchTo(scan->key_context);
	scan->has_more = true;
	for (int i = 0; i < scan->nkeys; i++)
	{
		evaluate_key(&scan->keys[i], econtext);
		if (scan->keys[i].nvalues == 0)
			scan->has_more = false;
	}
	MemoryContextSwitchTo(old);
}

/* Steps to the next combination of values. */
static void
advance_keys(ViewScan *scan)
{
	for (int i = scan->nkeys - 1; i >= 0; i--)
	{
		if (++scan->keys[i].current < scan->keys[i].nvalues)
			return;
		scan->keys[i].current = 0;
	}
	scan->has_more = false;
}

/* The next row among those looked up; false when there is none left. */
static bool
lookup_next(ViewScan *scan, Datum *values, bool *nulls)
{
	const FsViewEntry *entry = fs_view_reader_entry(scan->reader);
	char	   *key = palloc(FS_ENTITY_MAX_KEY);
	Datum	   *parts = palloc(sizeof(Datum) * scan->nkeys);
	bool		found = false;

	while (scan->has_more && !found)
	{
		int			len;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < scan->nkeys; i++)
			parts[i] = scan->keys[i].values[scan->keys[i].current];
		advance_keys(scan);
		len = fs_key_encode(entry->view, parts, key);

		/* no entity has a key longer than the engine accepts */
		if (len >= 0)
			found = fs_view_reader_lookup(scan->reader, key, len, values, nulls);
	}
	pfree(key);
	pfree(parts);
	return found;
}

/* The next row of the look-up or the scan, in the order of the definition. */
static bool
next_row(ViewScan *scan, Datum *values, bool *nulls)
{
	return scan->nkeys > 0 ? lookup_next(scan, values, nulls) :
		fs_view_reader_next(scan->reader, values, nulls);
}

/* The next row into the slot, in the order of the table, whose dropped columns are null. */
static bool
next_reordered(ViewScan *scan, TupleTableSlot *slot)
{
	int			natts = fs_view_natts(fs_view_reader_entry(scan->reader)->view);

	if (!next_row(scan, scan->values, scan->nulls))
		return false;
	memset(slot->tts_isnull, true, sizeof(bool) * slot->tts_tupleDescriptor->natts);
	for (int i = 0; i < natts; i++)
	{
		slot->tts_values[scan->attnums[i] - 1] = scan->values[i];
		slot->tts_isnull[scan->attnums[i] - 1] = scan->nulls[i];
	}
	return true;
}

/*
 * The next row, or an empty slot.  Runs in the per-tuple context, which the
 * executor resets before each call.
 */
TupleTableSlot *
fs_view_scan_next(ForeignScanState *node)
{
	ViewScan   *scan = node->fdw_state;
	TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
	bool		found;

	ExecClearTuple(slot);
	if (scan->reader == NULL)
		open_reader(scan, slot->tts_tupleDescriptor);
	if (!scan->has_begun)
	{
		if (scan->nkeys > 0)
			evaluate_keys(scan, node->ss.ps.ps_ExprContext);
		else
			fs_view_reader_begin(scan->reader);
		scan->has_begun = true;
	}
	found = scan->values == NULL ? next_row(scan, slot->tts_values, slot->tts_isnull) :
		next_reordered(scan, slot);
	return found ? ExecStoreVirtualTuple(slot) : slot;
}

/* Begins anew, with keys as the parameters now have it. */
void
fs_view_scan_restart(ForeignScanState *node)
{
	ViewScan   *scan = node->fdw_state;

	if (scan != NULL)
		scan->has_begun = false;
}

/* All memory goes with the query's context, and the pin on the definition with it. */
void
fs_view_scan_end(ForeignScanState *node)
{
	node->fdw_state = NULL;
}
