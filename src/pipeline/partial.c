/*
 * partial.c
 *		Partial aggregates; see partial.h.
 *
 * Everything here is exact: counts, sums of integers, least and greatest of
 * types that are integers inside.  Cells are 64 bits; a sum that does not fit
 * begins another record, and records are added up in 128 bits.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "utils/date.h"

#include "pipeline/partial.h"
#include "pipeline/row.h"

/* Does a cell of this kind hold one value, or none? */
static inline bool
is_extreme(FsAggKind kind)
{
	return kind == FS_AGG_MIN || kind == FS_AGG_MAX;
}

/* See partial.h. */
void
fs_partial_layout(FsRingLayout *layout, const FsViewDef *view)
{
	StaticAssertStmt(FS_MAX_KEPT_COLUMNS <= FS_RING_MAX_CELLS, "rings hold every partial aggregate");
	Assert(view->is_sliced && view->npartial <= FS_RING_MAX_CELLS);
	layout->ncells = view->npartial;
	for (int i = 0; i < view->npartial; i++)
		layout->kinds[i] = FS_CELL_INT;
	for (int a = 0; a < view->naggregates; a++)
		layout->has_nulls |= is_extreme(view->aggregates[a].kind);
}

/* See partial.h. */
void
fs_partial_of_event(const FsView *view, const FsValue *values, FsCell *cells)
{
	const FsViewDef *def = view->def;

	memset(cells, 0, sizeof(FsCell) * def->npartial);
	for (int a = 0; a < def->naggregates; a++)
	{
		const FsAggregate *aggregate = &def->aggregates[a];
		FsCell	   *cell = &cells[aggregate->partial];
		const FsValue *value = aggregate->kept < 0 ? NULL :
			fs_input_value(view, values, def->kept[aggregate->kept]);
		bool		counts = value == NULL || value->presence == FS_PRESENT;

		Assert(aggregate->partial < def->npartial);
		if (aggregate->filter >= 0)
			counts = counts && fs_input_value(view, values, def->kept[aggregate->filter])->i != 0;
		if (is_extreme(aggregate->kind))
		{
			cell->isnull = !counts;
			cell->i = counts ? value->i : 0;
			continue;
		}
		cell->i = counts;
		if (aggregate->kind == FS_AGG_SUM || aggregate->kind == FS_AGG_AVG)
			cell[1].i = counts ? value->i : 0;
	}
}

/* See partial.h. */
bool
fs_partial_merge(void *arg, FsCell *into, const FsCell *from)
{
	const FsViewDef *view = arg;

	for (int a = 0; a < view->naggregates; a++)
	{
		const FsAggregate *aggregate = &view->aggregates[a];
		FsCell	   *x = &into[aggregate->partial];
		const FsCell *y = &from[aggregate->partial];

		if (is_extreme(aggregate->kind))
		{
			if (!y->isnull && (x->isnull || (aggregate->kind == FS_AGG_MIN ? y->i < x->i : y->i > x->i)))
				*x = *y;
			continue;
		}
		x->i += y->i;
		if ((aggregate->kind == FS_AGG_SUM || aggregate->kind == FS_AGG_AVG) &&
			pg_add_s64_overflow(x[1].i, y[1].i, &x[1].i))
			return false;
	}
	return true;
}

/* The value of a cell as the aggregate's result. */
static Datum
extreme_datum(Oid type, int64 i)
{
	switch (type)
	{
		case INT2OID:
			return Int16GetDatum((int16) i);
		case INT4OID:
			return Int32GetDatum((int32) i);
		case DATEOID:
			return DateADTGetDatum((DateADT) i);
		default:
			Assert(type == INT8OID || type == TIMESTAMPTZOID);
			return Int64GetDatum(i);
	}
}

/* The least or greatest of the slides' partial ones; NULL when there is none. */
static Datum
compute_extreme(const FsAggregate *aggregate, const FsRingEvent **records, int n, bool *isnull)
{
	int			sign = aggregate->kind == FS_AGG_MAX ? 1 : -1;
	int64		best = 0;

	*isnull = true;
	for (int i = 0; i < n; i++)
	{
		const FsCell *cell = &records[i]->cells[aggregate->partial];

		if (cell->isnull || (!*isnull && (sign > 0 ? cell->i <= best : cell->i >= best)))
			continue;
		best = cell->i;
		*isnull = false;
	}
	return extreme_datum(aggregate->input_type, best);
}

/* See partial.h. */
Datum
fs_partial_compute(FsRow *row, const FsAggregate *aggregate,
				   const FsRingEvent **records, int n, bool *isnull)
{
	int64		count = 0;
	int128		sum = 0;

	Assert(row->view->is_sliced);
	if (is_extreme(aggregate->kind))
		return compute_extreme(aggregate, records, n, isnull);
	for (int i = 0; i < n; i++)
		count += records[i]->cells[aggregate->partial].i;
	*isnull = false;
	if (aggregate->kind == FS_AGG_COUNT_STAR || aggregate->kind == FS_AGG_COUNT)
		return Int64GetDatum(count);
	for (int i = 0; i < n; i++)
		sum += records[i]->cells[aggregate->partial + 1].i;
	*isnull = count == 0;
	return *isnull ? (Datum) 0 : fs_aggregate_of_integers(aggregate, sum, count);
}
