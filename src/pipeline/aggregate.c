/*
 * aggregate.c
 *		One native aggregate over the events of a window.
 *
 * The events come in window order (event time, partition, offset) and the
 * result is what PostgreSQL's executor gives for the same aggregate over the
 * same rows in that order: floats are added one after the other, int8 and
 * numeric exactly, ties of mode() go to the smallest value.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "pipeline/row.h"
#include "pipeline/values.h"

/* The argument's cell of one event. */
static inline const FsCell *
cell_of(const FsRingEvent *event, const FsAggregate *aggregate)
{
	return &event->cells[aggregate->kept];
}

/* Bits that are equal exactly when the values are, for columns with byte_equality. */
static inline uint64
equality_bits(const FsRowColumn *column, const FsCell *cell)
{
	uint64		bits;
	double		f;

	if (column->dictionary != NULL)
		return cell->code;
	if (!fs_type_is_float(column->column->type))
		return (uint64) cell->i;
	f = cell->f == 0 ? 0 : cell->f; /* -0 equals 0 */
	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

static int64
count_present(const FsAggregate *aggregate, const FsRingEvent **events, int n)
{
	int64		count = 0;

	for (int i = 0; i < n; i++)
		count += !cell_of(events[i], aggregate)->isnull;
	return count;
}

/* array_agg: nulls included; NULL over no rows. */
static Datum
compute_array(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n, bool *isnull)
{
	FsRowColumn *column = &row->columns[aggregate->kept];
	Datum	   *values;
	bool	   *nulls;
	int			dims[1] = {n};
	int			lower[1] = {1};

	if (n == 0)
	{
		*isnull = true;
		return (Datum) 0;
	}
	values = palloc(sizeof(Datum) * n);
	nulls = palloc(sizeof(bool) * n);
	for (int i = 0; i < n; i++)
		values[i] = fs_cell_datum(row, column, cell_of(events[i], aggregate), &nulls[i]);
	return PointerGetDatum(construct_md_array(values, nulls, 1, dims, lower, column->column->typid,
											  column->typlen, column->typbyval, column->typalign));
}

/* Slots of a set that takes n members. */
static uint32
set_size_for(int n)
{
	uint32		size = 64;

	while (size < (uint32) n * 2)
		size *= 2;
	return size;
}

/* Empties the scratch set, grown to 'size' slots where it is smaller. */
static void
prepare_set(FsRow *row, uint32 size)
{
	if (row->set_size < size)
	{
		if (row->set != NULL)
		{
			pfree(row->set);
			pfree(row->set_count);
		}
		row->set = MemoryContextAllocHuge(row->context, sizeof(uint64) * size);
		row->set_count = MemoryContextAllocHuge(row->context, sizeof(uint32) * size);
		row->set_size = size;
	}
	memset(row->set_count, 0, sizeof(uint32) * size);
}

/* The slot of a member, made its own when it is new (its count is then 0). */
static inline uint32
find_member(FsRow *row, uint32 size, uint64 bits)
{
	uint32		at = (uint32) ((bits * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (size - 1);

	while (row->set_count[at] != 0 && row->set[at] != bits)
		at = (at + 1) & (size - 1);
	row->set[at] = bits;
	return at;
}

typedef struct SortContext
{
	FmgrInfo   *compare;
	Oid			collation;
} SortContext;

static int
compare_values(const void *a, const void *b, void *arg)
{
	SortContext *context = arg;

	return DatumGetInt32(FunctionCall2Coll(context->compare, context->collation,
										   *(const Datum *) a, *(const Datum *) b));
}

/* The values that are not null, sorted by the type's order; *count of them. */
static Datum *
sorted_values(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n, int *count)
{
	FsRowColumn *column = &row->columns[aggregate->kept];
	Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));
	SortContext context = {&column->compare, aggregate->collation};

	*count = 0;
	for (int i = 0; i < n; i++)
	{
		bool		isnull;
		Datum		value = fs_cell_datum(row, column, cell_of(events[i], aggregate), &isnull);

		if (!isnull)
			values[(*count)++] = value;
	}
	if (!row->stale)
		qsort_arg(values, *count, sizeof(Datum), compare_values, &context);
	return values;
}

static int64
count_distinct(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n)
{
	FsRowColumn *column = &row->columns[aggregate->kept];
	int64		distinct = 0;
	SortContext context = {&column->compare, aggregate->collation};
	Datum	   *values;
	int			count;

	if (column->byte_equality)
	{
		uint32		size = set_size_for(n);

		prepare_set(row, size);
		for (int i = 0; i < n; i++)
		{
			const FsCell *cell = cell_of(events[i], aggregate);

			if (!cell->isnull)
				distinct += ++row->set_count[find_member(row, size, equality_bits(column, cell))] == 1;
		}
		return distinct;
	}
	values = sorted_values(row, aggregate, events, n, &count);
	for (int i = 0; i < count; i++)
		distinct += i == 0 || compare_values(&values[i - 1], &values[i], &context) != 0;
	return distinct;
}

/* mode() by sorting: the longest run, the smallest value of the longest ones. */
static Datum
mode_by_sort(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n, bool *isnull)
{
	FsRowColumn *column = &row->columns[aggregate->kept];
	SortContext context = {&column->compare, aggregate->collation};
	int			count;
	Datum	   *values = sorted_values(row, aggregate, events, n, &count);
	int			best = -1;
	int			best_run = 0;

	for (int i = 0; i < count;)
	{
		int			run = 1;

		while (i + run < count && compare_values(&values[i], &values[i + run], &context) == 0)
			run++;
		if (run > best_run)
		{
			best = i;
			best_run = run;
		}
		i += run;
	}
	*isnull = best < 0;
	return best < 0 ? (Datum) 0 : values[best];
}

#define SEEN PG_UINT32_MAX		/* in set_count: this member was looked at */

/* mode() by counting codes; only the rivals for first place are compared as values. */
static Datum
compute_mode(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n, bool *isnull)
{
	FsRowColumn *column = &row->columns[aggregate->kept];
	uint32		size = set_size_for(n);
	uint32		best_count = 0;
	Datum		best = (Datum) 0;

	if (!column->byte_equality)
		return mode_by_sort(row, aggregate, events, n, isnull);
	prepare_set(row, size);
	for (int i = 0; i < n; i++)
	{
		const FsCell *cell = cell_of(events[i], aggregate);
		uint32		count;

		if (cell->isnull)
			continue;
		count = ++row->set_count[find_member(row, size, equality_bits(column, cell))];
		best_count = Max(best_count, count);
	}
	*isnull = true;
	for (int i = 0; i < n && best_count > 0; i++)
	{
		const FsCell *cell = cell_of(events[i], aggregate);
		uint32		at;
		Datum		value;
		bool		null;

		if (cell->isnull)
			continue;
		at = find_member(row, size, equality_bits(column, cell));
		if (row->set_count[at] != best_count)
			continue;
		row->set_count[at] = SEEN;
		value = fs_cell_datum(row, column, cell, &null);
		if (row->stale)
			return (Datum) 0;
		if (*isnull || DatumGetInt32(FunctionCall2Coll(&column->compare, aggregate->collation,
													   value, best)) < 0)
			best = value;
		*isnull = false;
	}
	return best;
}

/* An int128 as numeric, by its decimal text when it does not fit int64. */
static Datum
int128_numeric(int128 v)
{
	char		text[48];
	char	   *p = text + sizeof(text);
	bool		negative = v < 0;

	if (v >= PG_INT64_MIN && v <= PG_INT64_MAX)
		return NumericGetDatum(int64_to_numeric((int64) v));
	*--p = '\0';
	while (v != 0)
	{
		int			digit = (int) (v % 10);

		*--p = '0' + (digit < 0 ? -digit : digit);
		v /= 10;
	}
	if (negative)
		*--p = '-';
	return DirectFunctionCall3(numeric_in, CStringGetDatum(p), ObjectIdGetDatum(InvalidOid),
							   Int32GetDatum(-1));
}

/* sum or avg of 'count' integers that add up to 'sum'; there is one at least. */
Datum
fs_aggregate_of_integers(const FsAggregate *aggregate, int128 sum, int64 count)
{
	if (aggregate->kind == FS_AGG_AVG)
		return DirectFunctionCall2(numeric_div, int128_numeric(sum), NumericGetDatum(int64_to_numeric(count)));
	return aggregate->result_type == INT8OID ? Int64GetDatum((int64) sum) : int128_numeric(sum);
}

static int128
sum_integers(const FsAggregate *aggregate, const FsRingEvent **events, int n)
{
	int128		sum = 0;

	for (int i = 0; i < n; i++)
	{
		const FsCell *cell = cell_of(events[i], aggregate);

		if (!cell->isnull)
			sum += cell->i;
	}
	return sum;
}

static Datum
sum_numerics(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n)
{
	FsRowColumn *column = &row->columns[aggregate->kept];
	Datum		sum = (Datum) 0;

	for (int i = 0; i < n; i++)
	{
		bool		isnull;
		Datum		value = fs_cell_datum(row, column, cell_of(events[i], aggregate), &isnull);

		if (row->stale)
			return (Datum) 0;
		if (!isnull)
			sum = sum == 0 ? value : DirectFunctionCall2(numeric_add, sum, value);
	}
	return sum;
}

/*
 * sum(float4) adds in single precision, everything else in double, from the
 * first value on.  An overflow is NULL and counted.
 */
static Datum
sum_floats(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n,
		   int64 count, bool *isnull)
{
	bool		single = aggregate->kind == FS_AGG_SUM && aggregate->input_type == FLOAT4OID;
	bool		first = true;
	float		sum4 = 0;
	double		sum8 = 0;

	for (int i = 0; i < n; i++)
	{
		const FsCell *cell = cell_of(events[i], aggregate);

		if (cell->isnull)
			continue;
		sum4 = first ? (float) cell->f : sum4 + (float) cell->f;
		sum8 = first ? cell->f : sum8 + cell->f;
		first = false;
	}
	if (single ? isinf(sum4) : isinf(sum8))
	{
		row->errors++;
		*isnull = true;
		return (Datum) 0;
	}
	if (aggregate->kind == FS_AGG_AVG)
		return Float8GetDatum(sum8 / (double) count);
	return single ? Float4GetDatum(sum4) : Float8GetDatum(sum8);
}

/* sum and avg of any type: NULL over no values. */
static Datum
compute_sum(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n, bool *isnull)
{
	FsType		type = row->columns[aggregate->kept].column->type;
	int64		count = count_present(aggregate, events, n);
	Datum		sum;

	*isnull = count == 0;
	if (count == 0)
		return (Datum) 0;
	if (fs_type_is_float(type))
		return sum_floats(row, aggregate, events, n, count, isnull);
	if (type != FS_TYPE_NUMERIC)
		return fs_aggregate_of_integers(aggregate, sum_integers(aggregate, events, n), count);
	sum = sum_numerics(row, aggregate, events, n);
	if (aggregate->kind == FS_AGG_SUM || row->stale)
		return sum;
	return DirectFunctionCall2(numeric_div, sum, NumericGetDatum(int64_to_numeric(count)));
}

/*
 * min and max.  As PostgreSQL's *_larger and *_smaller do, equal values give
 * the later one.
 */
static Datum
compute_extreme(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n, bool *isnull)
{
	FsRowColumn *column = &row->columns[aggregate->kept];
	int			sign = aggregate->kind == FS_AGG_MAX ? 1 : -1;
	Datum		best = (Datum) 0;

	*isnull = true;
	for (int i = 0; i < n; i++)
	{
		bool		null;
		Datum		value = fs_cell_datum(row, column, cell_of(events[i], aggregate), &null);

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

/* The events that pass the aggregate's FILTER, in row->filtered; returns their number. */
static int
filter_events(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n)
{
	int			count = 0;

	if (row->max_filtered < n)
	{
		if (row->filtered != NULL)
			pfree(row->filtered);
		row->max_filtered = Max(n, row->max_filtered * 2);
		row->filtered = MemoryContextAllocHuge(row->context,
											   sizeof(FsRingEvent *) * row->max_filtered);
	}
	for (int i = 0; i < n; i++)
		if (events[i]->cells[aggregate->filter].i != 0)
			row->filtered[count++] = events[i];
	return count;
}

Datum
fs_aggregate_compute(FsRow *row, const FsAggregate *aggregate,
					 const FsRingEvent **events, int n, bool *isnull)
{
	*isnull = false;
	if (aggregate->filter >= 0)
	{
		n = filter_events(row, aggregate, events, n);
		events = row->filtered;
	}
	switch (aggregate->kind)
	{
		case FS_AGG_REPLAY:
			break;				/* replay.c */
		case FS_AGG_ARRAY_AGG:
			return compute_array(row, aggregate, events, n, isnull);
		case FS_AGG_COUNT_STAR:
			return Int64GetDatum(n);
		case FS_AGG_COUNT:
			return Int64GetDatum(count_present(aggregate, events, n));
		case FS_AGG_COUNT_DISTINCT:
			return Int64GetDatum(count_distinct(row, aggregate, events, n));
		case FS_AGG_MODE:
			return compute_mode(row, aggregate, events, n, isnull);
		case FS_AGG_SUM:
		case FS_AGG_AVG:
			return compute_sum(row, aggregate, events, n, isnull);
		case FS_AGG_MIN:
		case FS_AGG_MAX:
			return compute_extreme(row, aggregate, events, n, isnull);
	}
	pg_unreachable();
}
