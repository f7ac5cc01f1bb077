/*
 * compile_slices.c
 *		Which feature views keep partial aggregates of slides instead of events.
 *
 * Windows begin and end at multiples of the slide, so the events of one entity
 * in one slide count together or not at all.  Where every aggregate of a view
 * can be put together from partial ones, exactly and in any order, rings keep
 * one record a slide however many events there were: a count over a day takes
 * no more memory than its slides (the panes of Li et al., "No Pane, No Gain",
 * SIGMOD Record 2005).  Floating point is left out: its sums depend on the
 * order, and of 0 and -0 the later one is the least.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "catalog/compile.h"

/* Cells that the partial state of an aggregate takes; 0: it has none that is exact. */
static int
partial_cells(const FsAggregate *aggregate)
{
	bool		is_integer = aggregate->input_type == INT2OID || aggregate->input_type == INT4OID ||
	aggregate->input_type == INT8OID;
	bool		is_time = aggregate->input_type == TIMESTAMPTZOID || aggregate->input_type == DATEOID;

	switch (aggregate->kind)
	{
		case FS_AGG_COUNT_STAR:
		case FS_AGG_COUNT:
			return 1;			/* count */
		case FS_AGG_SUM:
		case FS_AGG_AVG:
			return is_integer ? 2 : 0;	/* count, sum */
		case FS_AGG_MIN:
		case FS_AGG_MAX:
			return is_integer || is_time ? 1 : 0;	/* the value; null: none */
		default:
			return 0;
	}
}

/* See compile.h. */
void
fs_compile_slices(FsViewDef *view)
{
	int			ncells = 0;

	Assert(!view->is_sliced);
	for (int i = 0; i < view->naggregates; i++)
	{
		int			cells = partial_cells(&view->aggregates[i]);

		if (cells == 0 || ncells + cells > FS_MAX_KEPT_COLUMNS)
			return;
		view->aggregates[i].partial = ncells;
		ncells += cells;
	}
	view->is_sliced = true;
	view->npartial = ncells;
}
