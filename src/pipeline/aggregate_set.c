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
	Assert((size & (size - 1)) == 0);	/* find_member() relies on it */
	if (row->set_size < size)
	{
		if (row->set != NULL)
		{
			pfree(row->set);
			pfree(row->set_count);
		}
		row->set = MemoryContextAllocHuge(row->context, sizeof(uint64) * size);
		row->set_count = MemoryContextAllocHuge(row->context, sizeof(uint64) * size);
		row->set_size = size;
	}
	memset(row->set_count, 0, sizeof(uint64) * size);
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

/* See aggregate.h. */
uint32
fs_aggregate_set_begin(FsRow *row, int n)
{
	uint32		size = set_size_for(n);

	prepare_set(row, size);
	return size;
}

/* See aggregate.h. */
uint32
fs_aggregate_set_find(FsRow *row, uint32 size, uint64 bits)
{
	return find_member(row, size, bits);
}

/* See aggregate.h. */
int64
fs_aggregate_count_distinct(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n)
{
	FsRowColumn *column = fs_aggregate_column(row, aggregate);
	int64		distinct = 0;
	uint32		size = set_size_for(n);

	if (!column->byte_equality)
		return fs_aggregate_order(row, aggregate, events, n);
	prepare_set(row, size);
	for (int i = 0; i < n; i++)
	{
		const FsCell *cell = fs_aggregate_cell(events[i], aggregate);

		if (!cell->isnull)
			distinct += ++row->set_count[find_member(row, size, fs_aggregate_equality_bits(column, cell))] == 1;
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

/* The values that are counted most often, of which the sort order's first is the mode. */
static Datum
choose_most(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n, uint32 size,
			uint64 most, bool *isnull)
{
	FsRowColumn *column = fs_aggregate_column(row, aggregate);
	SortSupport order = &fs_aggregate_work(row, aggregate)->keys[0];
	Datum		best = (Datum) 0;

	*isnull = true;
	for (int i = 0; i < n && most > 0; i++)
	{
		const FsCell *cell = fs_aggregate_cell(events[i], aggregate);
		uint32		at;
		Datum		value;
		bool		null;

		if (cell->isnull)
			continue;
		at = find_member(row, size, fs_aggregate_equality_bits(column, cell));
		if (row->set_count[at] != most)
			continue;
		row->set_count[at] = SEEN;
		value = fs_cell_datum(row, column, cell, &null);
		if (row->stale)
			return (Datum) 0;
		if (*isnull || ApplySortComparator(value, false, best, false, order) < 0)
			best = value;
		*isnull = false;
	}
	return best;
}

/*
 * See aggregate.h.  Floats are sorted: 0 and -0 are equal but not the same, and
 * which of them mode() gives depends on the sort.
 */
Datum
fs_aggregate_mode(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n, bool *isnull)
{
	FsRowColumn *column = fs_aggregate_column(row, aggregate);
	uint32		size = set_size_for(n);
	uint64		most = 0;

	if (!column->byte_equality || fs_type_is_float(column->column->type))
		return mode_by_sort(row, aggregate, events, n, isnull);
	prepare_set(row, size);
	for (int i = 0; i < n; i++)
	{
		const FsCell *cell = fs_aggregate_cell(events[i], aggregate);
		uint64		count;

		if (cell->isnull)
			continue;
		count = ++row->set_count[find_member(row, size, fs_aggregate_equality_bits(column, cell))];
		most = Max(most, count);
	}
	return choose_most(row, aggregate, events, n, size, most, isnull);
}
