/*
 * aggregate_order.c
 *		Events in the order of an aggregate: ORDER BY, DISTINCT, WITHIN GROUP; see aggregate.h.
 *
 * PostgreSQL's sort is not stable, so which of several equal events comes first
 * depends on the sort itself, and shows where their values differ.  This is the
 * sort that tuplesort.c uses, over the same events in the same sequence and
 * with the same comparisons, so it permutes them in the same way.  (The
 * executor's would differ once the events of one window exceed work_mem and go
 * through temporary files; then its answer depends on work_mem, and ours does
 * not.)
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

#include "pipeline/aggregate.h"
#include "pipeline/values.h"

/* An event to be sorted. */
typedef struct SortElement
{
	Datum		key;			/* the first one's value */
	bool		isnull;
	int			index;			/* in SortTask.values and .nulls */
	const FsRingEvent *event;
} SortElement;

/* One sort. */
typedef struct SortTask
{
	SortSupport keys;
	int			nkeys;
	Datum	  **values;			/* per key but the first, per event */
	bool	  **nulls;
} SortTask;

/* Compares by the keys after the first. */
static int
compare_others(const SortElement *a, const SortElement *b, const SortTask *task)
{
	int			result = 0;

	for (int k = 1; k < task->nkeys && result == 0; k++)
		result = ApplySortComparator(task->values[k][a->index], task->nulls[k][a->index],
									 task->values[k][b->index], task->nulls[k][b->index], &task->keys[k]);
	return result;
}

static inline int
compare_elements(const SortElement *a, const SortElement *b, const SortTask *task)
{
	int			result = ApplySortComparator(a->key, a->isnull, b->key, b->isnull, &task->keys[0]);

	return result != 0 ? result : compare_others(a, b, task);
}

#define ST_SORT sort_elements
#define ST_ELEMENT_TYPE SortElement
#define ST_COMPARE(a, b, task) compare_elements(a, b, task)
#define ST_COMPARE_ARG_TYPE const SortTask
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* See aggregate.h. */
void
fs_aggregate_prepare_order(FsRow *row, const FsAggregate *aggregate)
{
	FsAggregateWork *work = fs_aggregate_work(row, aggregate);

	Assert(aggregate->nkeys > 0 && CurrentMemoryContext == row->context);
	work->keys = palloc0(sizeof(SortSupportData) * aggregate->nkeys);
	work->equals = palloc0(sizeof(FmgrInfo) * aggregate->nkeys);
	for (int k = 0; k < aggregate->nkeys; k++)
	{
		const FsAggKey *key = &aggregate->keys[k];
		SortSupport support = &work->keys[k];

		support->ssup_cxt = row->context;
		support->ssup_collation = key->collation;
		support->ssup_nulls_first = key->nulls_first;
		PrepareSortSupportFromOrderingOp(key->sort_operator, support);
		fmgr_info_cxt(get_opcode(key->equal_operator), &work->equals[k], row->context);
	}
}

/* Does the event have a null argument for which the aggregate leaves it out? */
static bool
is_left_out(const FsAggregate *aggregate, const FsRingEvent *event)
{
	if (!aggregate->is_strict)
		return false;
	for (int i = 0; i < aggregate->nargs; i++)
		if (aggregate->args[i].kept < 0 ? aggregate->args[i].constant->constisnull :
			event->cells[aggregate->args[i].kept].isnull)
			return true;
	return false;
}

/* The events that are not left out, in row->ordered in their own order; returns their number. */
static int
collect_events(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n)
{
	int			count = 0;

	fs_row_reserve(row, &row->ordered, &row->max_ordered, n);
	for (int i = 0; i < n; i++)
		if (!is_left_out(aggregate, events[i]))
			row->ordered[count++] = events[i];
	return count;
}

/* The keys of the collected events, as values. */
static void
load_keys(FsRow *row, const FsAggregate *aggregate, int n, SortElement *elements, SortTask *task)
{
	for (int k = 0; k < aggregate->nkeys; k++)
	{
		int			kept = aggregate->keys[k].kept;
		FsRowColumn *column = &row->columns[kept];

		if (k > 0)
		{
			task->values[k] = palloc(sizeof(Datum) * n);
			task->nulls[k] = palloc(sizeof(bool) * n);
		}
		for (int i = 0; i < n; i++)
		{
			bool		isnull;
			Datum		value = fs_cell_datum(row, column, &row->ordered[i]->cells[kept], &isnull);

			fs_aggregate_serve_interrupts(i);
			if (k == 0)
				elements[i] = (SortElement) {value, isnull, i, row->ordered[i]};
			else
			{
				task->values[k][i] = value;
				task->nulls[k][i] = isnull;
			}
		}
	}
}

/* Are these events equal by all keys?  Nulls are. */
static bool
are_equal(const FsAggregateWork *work, const SortTask *task, const SortElement *a, const SortElement *b)
{
	for (int k = 0; k < task->nkeys; k++)
	{
		bool		a_null = k == 0 ? a->isnull : task->nulls[k][a->index];
		bool		b_null = k == 0 ? b->isnull : task->nulls[k][b->index];

		if (a_null != b_null)
			return false;
		if (!a_null &&
			!DatumGetBool(FunctionCall2Coll(&work->equals[k], task->keys[k].ssup_collation,
											k == 0 ? a->key : task->values[k][a->index],
											k == 0 ? b->key : task->values[k][b->index])))
			return false;
	}
	return true;
}

/* See aggregate.h. */
int
fs_aggregate_order(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n)
{
	FsAggregateWork *work = fs_aggregate_work(row, aggregate);
	SortTask	task = {work->keys, aggregate->nkeys};
	SortElement *elements;
	int			count = 0;

	n = collect_events(row, aggregate, events, n);
	if (aggregate->nkeys == 0)
		return aggregate->is_distinct ? Min(n, 1) : n;
	if (n == 0)
		return 0;
	elements = palloc_extended(sizeof(SortElement) * n, MCXT_ALLOC_HUGE);
	task.values = palloc(sizeof(Datum *) * task.nkeys);
	task.nulls = palloc(sizeof(bool *) * task.nkeys);
	load_keys(row, aggregate, n, elements, &task);
	if (row->stale)
		return 0;
	sort_elements(elements, n, &task);
	for (int i = 0; i < n; i++)
	{
		fs_aggregate_serve_interrupts(i);
		if (i == 0 || !aggregate->is_distinct || !are_equal(work, &task, &elements[i - 1], &elements[i]))
			row->ordered[count++] = elements[i].event;
	}
	return count;
}

/* The argument of the k-th of ordered events. */
static Datum
value_at(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int64 k)
{
	bool		isnull;

	return fs_cell_datum(row, fs_aggregate_column(row, aggregate), fs_aggregate_cell(events[k], aggregate),
						 &isnull);
}

/* percentile_cont(): between two of n > 0 floats, with PostgreSQL's arithmetic. */
static Datum
interpolate(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int64 n, double fraction)
{
	int64		first = floor(fraction * (n - 1));
	int64		second = ceil(fraction * (n - 1));
	double		low = DatumGetFloat8(value_at(row, aggregate, events, first));
	double		high;

	Assert(first >= 0 && second < n);
	if (first == second)
		return Float8GetDatum(low);
	high = DatumGetFloat8(value_at(row, aggregate, events, second));
	return Float8GetDatum(low + (fraction * (n - 1) - first) * (high - low));
}

/* One percentile of n > 0 ordered events. */
static Datum
percentile_at(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int64 n, double fraction)
{
	Assert(n > 0 && fraction >= 0 && fraction <= 1);
	if (fs_aggregate_what(aggregate) == FS_AGG_PERCENTILE_CONT)
		return interpolate(row, aggregate, events, n, fraction);
	return value_at(row, aggregate, events, Max((int64) ceil(fraction * n), 1) - 1);
}

/* Percentiles for an array of fractions: an array of the same shape. */
static Datum
percentile_array(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int64 n, bool *isnull)
{
	FsRowColumn *column = fs_aggregate_column(row, aggregate);
	ArrayType  *fractions = DatumGetArrayTypeP(aggregate->fraction->constvalue);
	Datum	   *values;
	bool	   *nulls;
	int			count;
	FsArrayShape shape = {ARR_NDIM(fractions), ARR_DIMS(fractions), ARR_LBOUND(fractions)};

	deconstruct_array(fractions, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE,
					  &values, &nulls, &count);
	if (count == 0)
		return PointerGetDatum(construct_empty_array(column->column->typid));
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			continue;
		values[i] = percentile_at(row, aggregate, events, n, DatumGetFloat8(values[i]));
		if (row->stale)
			return (Datum) 0;
		if (!fs_aggregate_add_item(column, values[i], &shape))
			break;
	}
	return fs_aggregate_make_array(row, column, values, nulls, &shape, isnull);
}

/* See aggregate.h. */
Datum
fs_aggregate_percentile(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n,
						bool *isnull)
{
	Datum		result;

	*isnull = n == 0;
	if (n == 0)
		return (Datum) 0;
	result = aggregate->fraction->consttype == FLOAT8OID ?
		percentile_at(row, aggregate, events, n, DatumGetFloat8(aggregate->fraction->constvalue)) :
		percentile_array(row, aggregate, events, n, isnull);
	*isnull |= row->stale;
	return result;
}
