/*
 * compile_slices.c
 *		Which feature views keep partial aggregates of slides instead of events.
 *
 * Windows begin and end at multiples of the slide, so the events of one entity
 * in one slide count together or not at all.  Where every aggregate of a view
 * can be put together from partial ones, exactly and in any order, rings keep
 * one record a slide however many events there were: a count over a day takes
 * no more memory than its slides (the panes of Li et al., "No Pane, No Gain",
 * SIGMOD Record 2005).  Sums of floating point are left out: they depend on the
 * order in which they are added.  Sets of values (count(DISTINCT x), mode())
 * are kept of long windows alone: of short ones events are cheaper to add.
 *
 * Where one aggregate needs the events they are there, and partial ones of the
 * others would only come on top: such a view keeps events.  When all its
 * aggregates have states that can be combined (compile_combine.c), and it has a
 * long window, these are put in the place of the events of slides that are over
 * (pipeline/condense.c).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/fmgroids.h"
#include "utils/timestamp.h"

#include "catalog/compile.h"

/* Aggregates that are calls of PostgreSQL's own functions, whose states over exact numbers are sums. */
static const struct
{
	Oid			function;
	FsPartialKind kind;
}			summed_aggregates[] =
{
	{F_SUM_NUMERIC, FS_PARTIAL_DECIMAL},
	{F_AVG_NUMERIC, FS_PARTIAL_DECIMAL},
	{F_VARIANCE_INT2, FS_PARTIAL_MOMENTS},
	{F_VARIANCE_INT4, FS_PARTIAL_MOMENTS},
	{F_VARIANCE_INT8, FS_PARTIAL_MOMENTS},
	{F_VARIANCE_NUMERIC, FS_PARTIAL_MOMENTS},
	{F_VAR_SAMP_INT2, FS_PARTIAL_MOMENTS},
	{F_VAR_SAMP_INT4, FS_PARTIAL_MOMENTS},
	{F_VAR_SAMP_INT8, FS_PARTIAL_MOMENTS},
	{F_VAR_SAMP_NUMERIC, FS_PARTIAL_MOMENTS},
	{F_VAR_POP_INT2, FS_PARTIAL_MOMENTS},
	{F_VAR_POP_INT4, FS_PARTIAL_MOMENTS},
	{F_VAR_POP_INT8, FS_PARTIAL_MOMENTS},
	{F_VAR_POP_NUMERIC, FS_PARTIAL_MOMENTS},
	{F_STDDEV_INT2, FS_PARTIAL_MOMENTS},
	{F_STDDEV_INT4, FS_PARTIAL_MOMENTS},
	{F_STDDEV_INT8, FS_PARTIAL_MOMENTS},
	{F_STDDEV_NUMERIC, FS_PARTIAL_MOMENTS},
	{F_STDDEV_SAMP_INT2, FS_PARTIAL_MOMENTS},
	{F_STDDEV_SAMP_INT4, FS_PARTIAL_MOMENTS},
	{F_STDDEV_SAMP_INT8, FS_PARTIAL_MOMENTS},
	{F_STDDEV_SAMP_NUMERIC, FS_PARTIAL_MOMENTS},
	{F_STDDEV_POP_INT2, FS_PARTIAL_MOMENTS},
	{F_STDDEV_POP_INT4, FS_PARTIAL_MOMENTS},
	{F_STDDEV_POP_INT8, FS_PARTIAL_MOMENTS},
	{F_STDDEV_POP_NUMERIC, FS_PARTIAL_MOMENTS},
};

/* Cells that a state takes. */
static const int cells_of[] = {
	[FS_PARTIAL_COUNT] = 1,
	[FS_PARTIAL_SUM] = 2,
	[FS_PARTIAL_BITS] = 1,
	[FS_PARTIAL_EXTREME] = 1,
	[FS_PARTIAL_PLACED] = 3,
	[FS_PARTIAL_DECIMAL] = 4,
	[FS_PARTIAL_MOMENTS] = 6,
	[FS_PARTIAL_DISTINCT] = 1,
	[FS_PARTIAL_COUNTED] = 1
};

static bool
is_float(Oid type)
{
	return type == FLOAT4OID || type == FLOAT8OID;
}

/* The state of an aggregate that is a call of its own functions. */
static FsPartialKind
summed_kind(const FsAggregate *aggregate)
{
	for (int i = 0; i < lengthof(summed_aggregates); i++)
		if (summed_aggregates[i].function == aggregate->aggref->aggfnoid && aggregate->kept >= 0)
			return summed_aggregates[i].kind;
	return FS_PARTIAL_NONE;
}

/* Sets of values are worth it where the same values come again and again. */
#define LONG_WINDOW USECS_PER_HOUR

/* Is one of the windows, which are not in order yet, a long one? */
static bool
has_long_window(const FsViewDef *view)
{
	for (int i = 0; i < view->nwindows; i++)
		if (view->windows[i] >= LONG_WINDOW)
			return true;
	return false;
}

/* The set of values of an aggregate; or why there is none. */
static FsPartialKind
set_kind(const FsViewDef *view, const FsAggregate *aggregate, const char **reason)
{
	Oid			type = aggregate->input_type;

	if (!has_long_window(view))
		*reason = "windows are shorter than an hour";
	else if (aggregate->kept < 0 || type == JSONBOID)
		*reason = "its values cannot be told apart by their bytes";
	else if (aggregate->kind == FS_AGG_COUNT_DISTINCT)
		return FS_PARTIAL_DISTINCT;
	else if (is_float(type) || type == NUMERICOID || aggregate->nkeys != 1)
		*reason = "which of equal values it gives depends on the order of the events";
	else
		return FS_PARTIAL_COUNTED;
	return FS_PARTIAL_NONE;
}

/* The partial state of an aggregate; or why there is none. */
static FsPartialKind
partial_kind(const FsViewDef *view, const FsAggregate *aggregate, const char **reason)
{
	switch (aggregate->kind)
	{
		case FS_AGG_COUNT_STAR:
		case FS_AGG_COUNT:
			return FS_PARTIAL_COUNT;
		case FS_AGG_SUM:
		case FS_AGG_AVG:
			if (!is_float(aggregate->input_type))
				return FS_PARTIAL_SUM;
			break;
		case FS_AGG_MIN:
		case FS_AGG_MAX:
			/* of 0 and -0, and of 1.0 and 1.00, the later one is the least */
			return is_float(aggregate->input_type) || aggregate->input_type == NUMERICOID ?
				FS_PARTIAL_PLACED : FS_PARTIAL_EXTREME;
		case FS_AGG_BOOL_AND:
		case FS_AGG_BOOL_OR:
		case FS_AGG_BIT_AND:
		case FS_AGG_BIT_OR:
		case FS_AGG_BIT_XOR:
			return FS_PARTIAL_BITS;
		case FS_AGG_COUNT_DISTINCT:
		case FS_AGG_MODE:
			return set_kind(view, aggregate, reason);
		case FS_AGG_CALL:
			return summed_kind(aggregate);
		case FS_AGG_VAR_SAMP:
		case FS_AGG_VAR_POP:
		case FS_AGG_STDDEV_SAMP:
		case FS_AGG_STDDEV_POP:
			break;
		default:
			*reason = "it takes the values one by one";
			return FS_PARTIAL_NONE;
	}
	*reason = "its rounding depends on the order of the events";
	return FS_PARTIAL_NONE;
}

/* See feature_view_def.h. */
bool
fs_view_keeps_codes(const FsViewDef *view, int kept)
{
	if (!fs_type_is_bytes(fs_view_kept(view, kept)->type))
		return false;
	if (!view->is_sliced)
		return true;
	for (int i = 0; i < view->naggregates; i++)
		if (view->aggregates[i].kept == kept && view->aggregates[i].partial_kind > FS_PARTIAL_BITS)
			return true;
	return false;
}

/* Are the two over the same values? */
static bool
same_values(const FsAggregate *a, const FsAggregate *b)
{
	return a->kept == b->kept && a->filter == b->filter;
}

/* Is the state of 'a' found in the one of 'b'?  Counts are the first cell of all that has one. */
static bool
is_part_of(const FsAggregate *a, const FsAggregate *b)
{
	if (!same_values(a, b) || (a->kind == FS_AGG_COUNT_STAR) != (b->kind == FS_AGG_COUNT_STAR))
		return false;
	switch (a->partial_kind)
	{
		case FS_PARTIAL_COUNT:
			return b->partial_kind == FS_PARTIAL_COUNT || b->partial_kind == FS_PARTIAL_SUM ||
				b->partial_kind == FS_PARTIAL_DECIMAL || b->partial_kind == FS_PARTIAL_MOMENTS;
		case FS_PARTIAL_DECIMAL:
			return b->partial_kind == FS_PARTIAL_DECIMAL || b->partial_kind == FS_PARTIAL_MOMENTS;
		case FS_PARTIAL_SUM:
			return b->partial_kind == FS_PARTIAL_SUM || b->partial_kind == FS_PARTIAL_MOMENTS;
		case FS_PARTIAL_MOMENTS:
			return b->partial_kind == FS_PARTIAL_MOMENTS;
		case FS_PARTIAL_DISTINCT:
			return b->partial_kind >= FS_PARTIAL_DISTINCT && a->collation == b->collation;
		case FS_PARTIAL_COUNTED:
			return b->partial_kind == FS_PARTIAL_COUNTED && a->collation == b->collation;
		default:
			return a->kind == b->kind && a->collation == b->collation;
	}
}

/*
 * Gives each state its cells: those of another aggregate, where it is a part of
 * that one's.  Returns how many there are.
 */
static int
place_states(FsViewDef *view)
{
	int			ncells = 0;

	for (int i = 0; i < view->naggregates; i++)
	{
		FsAggregate *aggregate = &view->aggregates[i];

		aggregate->state_of = i;
		for (int j = 0; j < view->naggregates && aggregate->state_of == i; j++)
		{
			const FsAggregate *other = &view->aggregates[j];

			/* of two that are parts of each other the first one has the cells */
			if (j != i && is_part_of(aggregate, other) && (j < i || !is_part_of(other, aggregate)))
				aggregate->state_of = j;
		}
	}
	for (int i = 0; i < view->naggregates; i++)
	{
		int			owner = i;

		while (view->aggregates[owner].state_of != owner)
			owner = view->aggregates[owner].state_of;
		view->aggregates[i].state_of = owner;
		if (owner != i)
			continue;
		view->aggregates[i].partial = ncells;
		ncells += cells_of[view->aggregates[i].partial_kind];
	}
	for (int i = 0; i < view->naggregates; i++)
		view->aggregates[i].partial = view->aggregates[view->aggregates[i].state_of].partial;
	return ncells;
}

/* See feature_view_def.h. */
int
fs_view_state_cells(const FsViewDef *view, int aggregate)
{
	Assert(view->is_sliced && aggregate < view->naggregates);
	return view->aggregates[aggregate].state_of == aggregate ? cells_of[view->aggregates[aggregate].partial_kind] : 0;
}

/* Windows that have fewer slides gain little by states. */
#define MIN_SLIDES 4

/* Does the longest window, of those that are not in order yet, have slides enough? */
static bool
has_many_slides(const FsViewDef *view)
{
	for (int i = 0; i < view->nwindows; i++)
		if (view->windows[i] >= MIN_SLIDES * view->slide)
			return true;
	return false;
}

/* Has states put in the place of events if all aggregates of the view can be computed from them. */
static void
condense(FsViewDef *view)
{
	bool		all = !view->force_replay && view->nkept < FS_MAX_KEPT_COLUMNS;

	for (int i = 0; i < view->naggregates; i++)
	{
		FsAggregate *aggregate = &view->aggregates[i];
		const char *reason = fs_compile_combine(aggregate->aggref);

		all = all && reason == NULL;
		if (aggregate->kind == FS_AGG_CALL && aggregate->partial_kind == FS_PARTIAL_NONE)
			aggregate->events_reason = reason;
	}
	view->is_condensed = all && has_long_window(view) && has_many_slides(view);
	if (view->is_condensed)
		view->may_raise = true; /* it is the executor that combines states */
}

/* See compile.h. */
void
fs_compile_slices(FsViewDef *view)
{
	bool		all = true;
	int			ncells;

	Assert(!view->is_sliced);
	for (int i = 0; i < view->naggregates; i++)
	{
		FsAggregate *aggregate = &view->aggregates[i];

		if (aggregate->kind != FS_AGG_REPLAY)
			aggregate->partial_kind = partial_kind(view, aggregate, &aggregate->events_reason);
		all = all && aggregate->partial_kind != FS_PARTIAL_NONE;
	}
	ncells = all ? place_states(view) : 0;
	if (!all || ncells > FS_MAX_KEPT_COLUMNS)
	{
		condense(view);
		return;
	}
	view->is_sliced = true;
	view->npartial = ncells;
}
