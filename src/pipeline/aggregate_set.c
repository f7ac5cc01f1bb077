/*
 * aggregate_set.c
 *		Native aggregates that count different values: count(DISTINCT x), mode(); see aggregate.h.
 *
 * Where equal values have equal codes or bits, a hash table of these does, and
 * only the rivals for first place are compared as values.  Else the values are
 * sorted.
 */
#include "postgres.h"

#include <math.h>

#include "pipeline/aggregate.h"
#include "pipeline/values.h"

/* See aggregate.h. */
uint64
fs_aggregate_equality_bits(const FsRowColumn *column, const FsCell *cell)
{
	uint64		bits;
	double		f;

	if (column->dictionary != NULL)
		return cell->code;
	if (!fs_type_is_float(column->column->type))
		return (uint64) cell->i;
	f = cell->f == 0 ? 0 : isnan(cell->f) ? NAN : cell->f;	/* -0 equals 0, and all NaNs each other */
	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

/* See aggregate.h; the set is grown where it is smaller. */
uint32
fs_aggregate_set_begin(FsRow *row, int n)
{
	uint32		size = 64;

	while (size < (uint32) n * 2)
		size *= 2;
	Assert((size & (size - 1)) == 0);	/* fs_aggregate_set_find() relies on it */
	if (row->set_size < size)
	{
		if (row->set != NULL)
			pfree(row->set);
		if (row->set_count != NULL)
			pfree(row->set_count);
		row->set = row->set_count = NULL;
		row->set_size = 0;		/* should there be no memory */
		row->set = MemoryContextAllocHuge(row->context, sizeof(uint64) * size);
		row->set_count = MemoryContextAllocHuge(row->context, sizeof(uint64) * size);
		row->set_size = size;
	}
	memset(row->set_count, 0, sizeof(uint64) * size);
	return size;
}

/* See aggregate.h. */
int64
fs_aggregate_count_distinct(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n)
{
	FsRowColumn *column = fs_aggregate_column(row, aggregate);
	int64		distinct = 0;
	uint32		size;

	if (!column->byte_equality)
		return fs_aggregate_order(row, aggregate, events, n);
	size = fs_aggregate_set_begin(row, n);
	for (int i = 0; i < n; i++)
	{
		const FsCell *cell = fs_aggregate_cell(events[i], aggregate);

		fs_aggregate_serve_interrupts(i);
		if (!cell->isnull)
			distinct += ++row->set_count[fs_aggregate_set_find(row, size, fs_aggregate_equality_bits(column, cell))] == 1;
	}
	return distinct;
}

/* Are the arguments of these events equal? */
static bool
are_equal(FsRow *row, const FsAggregate *aggregate, Datum a, Datum b)
{
	return DatumGetBool(FunctionCall2Coll(&fs_aggregate_work(row, aggregate)->equals[0],
										  aggregate->collation, a, b));
}

/* mode() by sorting: the longest run, the first one of several; of its values the first. */
static Datum
mode_by_sort(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n, bool *isnull)
{
	FsRowColumn *column = fs_aggregate_column(row, aggregate);
	int			count = fs_aggregate_order(row, aggregate, events, n);
	Datum		best = (Datum) 0;
	Datum		current = (Datum) 0;
	int			best_run = 0;
	int			run = 0;

	for (int i = 0; i < count && !row->stale; i++)
	{
		bool		null;
		Datum		value = fs_cell_datum(row, column, fs_aggregate_cell(row->ordered[i], aggregate), &null);

		fs_aggregate_serve_interrupts(i);
		if (row->stale)
			break;
		if (run > 0 && are_equal(row, aggregate, current, value))
			run++;
		else
		{
			run = 1;
			current = value;
		}
		if (run > best_run)
		{
			best = current;
			best_run = run;
		}
	}
	*isnull = best_run == 0 || row->stale;
	return *isnull ? (Datum) 0 : best;
}

#define SEEN PG_UINT64_MAX		/* in set_count: this member was looked at */

/* See aggregate.h. */
void
fs_aggregate_choose_most(FsRow *row, const FsAggregate *aggregate, uint32 slot, uint64 most, const FsCell *cell,
						 Datum *best, bool *isnull)
{
	SortSupport order = &fs_aggregate_work(row, aggregate)->keys[0];
	Datum		value;
	bool		null;

	Assert(most > 0 && !cell->isnull);
	if (row->set_count[slot] != most)
		return;
	row->set_count[slot] = SEEN;
	value = fs_cell_datum(row, fs_aggregate_column(row, aggregate), cell, &null);
	if (row->stale)
		return;
	if (*isnull || ApplySortComparator(value, false, *best, false, order) < 0)
		*best = value;
	*isnull = false;
}

/*
 * See aggregate.h.  Floats are sorted: 0 and -0 are equal but not the same, and
 * which of them mode() gives depends on the sort.
 */
Datum
fs_aggregate_mode(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n, bool *isnull)
{
	FsRowColumn *column = fs_aggregate_column(row, aggregate);
	uint32		size;
	uint64		most = 0;
	Datum		best = (Datum) 0;

	*isnull = true;
	if (!column->byte_equality || fs_type_is_float(column->column->type))
		return mode_by_sort(row, aggregate, events, n, isnull);
	size = fs_aggregate_set_begin(row, n);
	for (int i = 0; i < n; i++)
	{
		const FsCell *cell = fs_aggregate_cell(events[i], aggregate);
		uint64		count;

		fs_aggregate_serve_interrupts(i);
		if (cell->isnull)
			continue;
		count = ++row->set_count[fs_aggregate_set_find(row, size, fs_aggregate_equality_bits(column, cell))];
		most = Max(most, count);
	}
	for (int i = 0; i < n && most > 0 && !row->stale; i++)
	{
		const FsCell *cell = fs_aggregate_cell(events[i], aggregate);

		fs_aggregate_serve_interrupts(i);
		if (!cell->isnull)
			fs_aggregate_choose_most(row, aggregate,
									 fs_aggregate_set_find(row, size, fs_aggregate_equality_bits(column, cell)),
									 most, cell, &best, isnull);
	}
	return best;
}
