/*
 * aggregate.c
 *		One native aggregate over the events of a window; see aggregate.h.
 *
 * The way to all of them, and those that take a single look at each event.
 */
#include "postgres.h"

#include "access/tupmacs.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "pipeline/aggregate.h"
#include "pipeline/values.h"

#define MUCH_BYTES (1024 * 1024) /* of copies: they are not left for the end of the cycle */
#define MAX_ARRAY_ITEMS (1 << 26)	/* as many as the executor's array_agg() takes */

/* See row.h. */
void
fs_aggregates_prepare(FsRow *row)
{
	Assert(CurrentMemoryContext == row->context);
	row->work = palloc0(sizeof(FsAggregateWork) * Max(row->view->naggregates, 1));
	for (int i = 0; i < row->view->naggregates; i++)
	{
		const FsAggregate *aggregate = &row->view->aggregates[i];

		if (aggregate->kind == FS_AGG_REPLAY)
			continue;
		if (aggregate->nkeys > 0)
			fs_aggregate_prepare_order(row, aggregate);
		if (fs_aggregate_what(aggregate) == FS_AGG_CALL)
			fs_aggregate_prepare_call(row, aggregate);
	}
}

/* See aggregate.h. */
Datum
fs_aggregate_fail(FsRow *row, bool *isnull, const char *message)
{
	row->native_failed = true;
	strlcpy(row->error, message, sizeof(row->error));
	*isnull = true;
	return (Datum) 0;
}

/* See aggregate.h. */
int64
fs_aggregate_count(const FsAggregate *aggregate, const FsRingEvent **events, int n)
{
	int64		count = 0;

	for (int i = 0; i < n; i++)
		count += !fs_aggregate_cell(events[i], aggregate)->isnull;
	return count;
}

/* See aggregate.h. */
bool
fs_aggregate_add_item(const FsRowColumn *column, Datum value, FsArrayShape *shape)
{
	shape->bytes = att_addlength_datum(shape->bytes, column->typlen, value);
	shape->bytes = att_align_nominal(shape->bytes, column->typalign);
	return AllocSizeIsValid(shape->bytes);
}

/* See aggregate.h. */
Datum
fs_aggregate_make_array(FsRow *row, const FsRowColumn *column, Datum *values, bool *nulls,
						const FsArrayShape *shape, bool *isnull)
{
	int			n = ArrayGetNItems(shape->ndims, shape->dims);
	Size		bytes = shape->bytes;

	bytes += memchr(nulls, true, n) != NULL ? ARR_OVERHEAD_WITHNULLS(shape->ndims, n) : ARR_OVERHEAD_NONULLS(shape->ndims);
	if (!AllocSizeIsValid(bytes))
		return fs_aggregate_fail(row, isnull, "array size exceeds the maximum allowed");
	return PointerGetDatum(construct_md_array(values, nulls, shape->ndims, shape->dims, shape->lower,
											  column->column->typid, column->typlen, column->typbyval,
											  column->typalign));
}

/* array_agg: nulls included; NULL over no rows. */
static Datum
compute_array(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n, bool *isnull)
{
	FsRowColumn *column = fs_aggregate_column(row, aggregate);
	int			lower = 1;
	FsArrayShape shape = {1, &n, &lower};
	Datum	   *values;
	bool	   *nulls;
	Datum		result;

	if (n == 0)
	{
		*isnull = true;
		return (Datum) 0;
	}
	if (n > MAX_ARRAY_ITEMS)
		return fs_aggregate_fail(row, isnull, "array has too many elements");
	values = palloc0(sizeof(Datum) * n);
	nulls = palloc0(sizeof(bool) * n);
	for (int i = 0; i < n; i++)
	{
		fs_aggregate_serve_interrupts(i);
		values[i] = fs_cell_datum(row, column, fs_aggregate_cell(events[i], aggregate), &nulls[i]);
		if (!nulls[i] && !fs_aggregate_add_item(column, values[i], &shape))
			break;
	}
	result = fs_aggregate_make_array(row, column, values, nulls, &shape, isnull);
	for (int i = 0; i < n && shape.bytes > MUCH_BYTES && !column->typbyval; i++)
		if (DatumGetPointer(values[i]) != NULL)
			pfree(DatumGetPointer(values[i]));
	return result;
}

/*
 * min and max.  As PostgreSQL's *_larger and *_smaller do, equal values give
 * the later one.
 */
static Datum
compute_extreme(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n, bool *isnull)
{
	FsRowColumn *column = fs_aggregate_column(row, aggregate);
	int			sign = fs_aggregate_what(aggregate) == FS_AGG_MAX ? 1 : -1;
	Datum		best = (Datum) 0;

	*isnull = true;
	for (int i = 0; i < n; i++)
	{
		bool		null;
		Datum		value = fs_cell_datum(row, column, fs_aggregate_cell(events[i], aggregate), &null);

		fs_aggregate_serve_interrupts(i);
		if (row->stale)
			return (Datum) 0;
		if (null)
			continue;
		if (*isnull || sign * DatumGetInt32(FunctionCall2Coll(&column->compare, aggregate->collation,
															  best, value)) <= 0)
			best = value;
		*isnull = false;
	}
	return best;
}

/* See aggregate.h; nulls are left out. */
Datum
fs_aggregate_bits(const FsAggregate *aggregate, const FsRingEvent **events, int n, int cell, bool *isnull)
{
	FsAggKind	kind = fs_aggregate_what(aggregate);
	int64		sum = 0;

	*isnull = true;
	for (int i = 0; i < n; i++)
	{
		const FsCell *value = &events[i]->cells[cell];

		if (value->isnull)
			continue;
		sum = *isnull ? value->i : fs_aggregate_add_bits(kind, sum, value->i);
		*isnull = false;
	}
	switch (aggregate->result_type)
	{
		case BOOLOID:
			return BoolGetDatum(sum != 0);
		case INT2OID:
			return Int16GetDatum((int16) sum);
		case INT4OID:
			return Int32GetDatum((int32) sum);
		default:
			Assert(aggregate->result_type == INT8OID);
			return Int64GetDatum(sum);
	}
}

/* The events that pass the aggregate's FILTER, in row->filtered; returns their number. */
static int
filter_events(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n)
{
	int			count = 0;

	Assert(aggregate->filter < row->view->nkept);
	fs_row_reserve(row, &row->filtered, &row->max_filtered, n);
	for (int i = 0; i < n; i++)
		if (events[i]->cells[aggregate->filter].i != 0)
			row->filtered[count++] = events[i];
	return count;
}

/* An aggregate over the events that count for it, in the order that counts. */
static Datum
compute(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n, bool *isnull)
{
	switch (fs_aggregate_what(aggregate))
	{
		case FS_AGG_REPLAY:
		case FS_AGG_ORDERED:
			break;
		case FS_AGG_ARRAY_AGG:
			return compute_array(row, aggregate, events, n, isnull);
		case FS_AGG_COUNT_STAR:
			return Int64GetDatum(n);
		case FS_AGG_COUNT:
			return Int64GetDatum(fs_aggregate_count(aggregate, events, n));
		case FS_AGG_COUNT_DISTINCT:
			return Int64GetDatum(fs_aggregate_count_distinct(row, aggregate, events, n));
		case FS_AGG_MODE:
			return fs_aggregate_mode(row, aggregate, events, n, isnull);
		case FS_AGG_SUM:
		case FS_AGG_AVG:
			return fs_aggregate_sum(row, aggregate, events, n, isnull);
		case FS_AGG_MIN:
		case FS_AGG_MAX:
			return compute_extreme(row, aggregate, events, n, isnull);
		case FS_AGG_BOOL_AND:
		case FS_AGG_BOOL_OR:
		case FS_AGG_BIT_AND:
		case FS_AGG_BIT_OR:
		case FS_AGG_BIT_XOR:
			return fs_aggregate_bits(aggregate, events, n, aggregate->kept, isnull);
		case FS_AGG_VAR_SAMP:
		case FS_AGG_VAR_POP:
		case FS_AGG_STDDEV_SAMP:
		case FS_AGG_STDDEV_POP:
			return fs_aggregate_variance(row, aggregate, events, n, isnull);
		case FS_AGG_PERCENTILE_CONT:
		case FS_AGG_PERCENTILE_DISC:
			return fs_aggregate_percentile(row, aggregate, events, n, isnull);
		case FS_AGG_CALL:
			return fs_aggregate_call(row, aggregate, events, n, isnull);
	}
	pg_unreachable();
}

/* See row.h. */
Datum
fs_aggregate_compute(FsRow *row, const FsAggregate *aggregate,
					 const FsRingEvent **events, int n, bool *isnull)
{
	Assert(aggregate->kind != FS_AGG_REPLAY);
	CHECK_FOR_INTERRUPTS();
	*isnull = false;
	if (aggregate->filter >= 0)
	{
		n = filter_events(row, aggregate, events, n);
		events = row->filtered;
	}
	if (aggregate->kind == FS_AGG_ORDERED)
	{
		n = fs_aggregate_order(row, aggregate, events, n);
		events = row->ordered;
	}
	if (row->stale)
	{
		*isnull = true;
		return (Datum) 0;
	}
	return compute(row, aggregate, events, n, isnull);
}
