/*
 * partial_set.c
 *		Partial aggregates that are sets of values: count(DISTINCT x), mode(); see partial.h.
 *
 * A record has a set of its own in the arena, for each such aggregate.  An event
 * enters the sets last of all, when nothing can fail any more: before that they
 * only get room for it.
 */
#include "postgres.h"

#include "pipeline/aggregate.h"
#include "pipeline/partial.h"
#include "pipeline/values.h"

/*
 * Of numbers that are equal the one without zeros at the end: 1 for 1.00.  The
 * text is numeric_out()'s, to which events are converted (contract.c): it has no
 * exponent, and zero no sign.
 */
static FsValue
strip_zeros(const FsValue *value)
{
	FsValue		result = *value;

	Assert(memchr(value->data, 'e', value->len) == NULL);
	if (memchr(value->data, '.', value->len) == NULL)
		return result;
	while (result.data[result.len - 1] == '0')
		result.len--;
	if (result.data[result.len - 1] == '.')
		result.len--;
	return result;
}

/* Bits that are equal exactly when values are; false when memory is out. */
static bool
bits_of(const FsPartialEvent *event, const FsAggregate *aggregate, const FsValue *value, uint64 *bits)
{
	const FsRowColumn *column = &event->view->row->columns[aggregate->kept];
	FsType		type = column->column->type;
	FsCell		cell = {.isnull = false};

	if (fs_type_is_bytes(type))
	{
		FsValue		plain = type == FS_TYPE_NUMERIC ? strip_zeros(value) : *value;

		cell.code = fs_partial_code(event, aggregate, &plain);
		if (cell.code == 0)
			return false;
	}
	else if (fs_type_is_float(type))
		cell.f = value->f;
	else
		cell.i = value->i;
	*bits = fs_aggregate_equality_bits(column, &cell);
	return true;
}

/* Makes room for the event in one set. */
static FsMergeResult
reserve(FsPartialEvent *event, const FsAggregate *aggregate, const FsValue *value, FsPartialSet *set)
{
	FsMergeResult result;

	if (!bits_of(event, aggregate, value, &set->bits))
		return FS_MERGE_NO_MEMORY;
	fs_entity_begin_change(event->entity);
	result = fs_value_set_reserve(&event->shard->arena, set->handle, set->bits,
								  aggregate->partial_kind == FS_PARTIAL_COUNTED);
	fs_entity_end_change(event->entity);
	set->counts = result == FS_MERGE_DONE;
	return result;
}

/* See partial.h. */
FsMergeResult
fs_partial_reserve_sets(FsPartialEvent *event, FsCell *cells, bool is_new)
{
	const FsViewDef *def = event->view->def;

	event->nsets = 0;
	event->owns_sets = is_new;
	for (int a = 0; a < def->naggregates; a++)
	{
		const FsAggregate *aggregate = &def->aggregates[a];
		FsPartialSet *set = &event->sets[event->nsets];
		FsCell	   *cell = &cells[aggregate->partial];
		const FsValue *value;
		FsMergeResult result = FS_MERGE_DONE;

		if (aggregate->partial_kind < FS_PARTIAL_DISTINCT || aggregate->state_of != a)
			continue;
		if (is_new)
			cell->set = fs_value_set_create(&event->shard->arena);
		if (cell->set == 0)
			return FS_MERGE_NO_MEMORY;
		set->handle = cell->set;
		set->counts = false;
		event->nsets++;
		if (fs_partial_counts(event, aggregate, &value))
			result = reserve(event, aggregate, value, set);
		if (result != FS_MERGE_DONE)
			return result;
	}
	return FS_MERGE_DONE;
}

/* See partial.h. */
void
fs_partial_finish_sets(FsPartialEvent *event, bool done)
{
	if (event->nsets == 0 || (!done && !event->owns_sets))
		return;
	fs_entity_begin_change(event->entity);
	for (int i = 0; i < event->nsets; i++)
	{
		const FsPartialSet *set = &event->sets[i];

		if (!done)
			fs_value_set_free(&event->shard->arena, set->handle);
		else if (set->counts)
			fs_value_set_add(set->handle, set->bits);
	}
	fs_entity_end_change(event->entity);
}

/* The sets of a window, copied. */
typedef struct Members
{
	FsSetMember **members;		/* per record */
	int		   *n;
	int			total;
} Members;

/* Copies the sets of all records; false when a reader met nonsense. */
static bool
copy_sets(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **records, int n, Members *all)
{
	all->members = palloc(sizeof(FsSetMember *) * Max(n, 1));
	all->n = palloc(sizeof(int) * Max(n, 1));
	all->total = 0;
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		all->members[i] = fs_value_set_copy(records[i]->cells[aggregate->partial].set, &all->n[i]);
		if (all->members[i] == NULL)
		{
			row->stale = true;
			return false;
		}
		all->total += all->n[i];
	}
	return true;
}

/* Of the values that came most often the first in the sort order. */
static Datum
choose_most(FsRow *row, const FsAggregate *aggregate, const Members *all, int n, uint32 size, uint64 most, bool *isnull)
{
	bool		has_codes = fs_aggregate_column(row, aggregate)->dictionary != NULL;
	Datum		best = (Datum) 0;

	*isnull = true;
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int k = 0; k < all->n[i] && !row->stale; k++)
		{
			uint64		bits = all->members[i][k].bits;
			FsCell		cell = {.isnull = false, .i = (int64) bits};

			if (has_codes)
				cell.code = (uint32) bits;
			fs_aggregate_choose_most(row, aggregate, fs_aggregate_set_find(row, size, bits), most, &cell,
									 &best, isnull);
		}
	}
	return best;
}

/* See partial.h. */
Datum
fs_partial_compute_set(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **records, int n, bool *isnull)
{
	Members		all;
	uint32		size;
	int64		distinct = 0;
	uint64		most = 0;

	*isnull = true;
	if (!copy_sets(row, aggregate, records, n, &all))
		return (Datum) 0;
	size = fs_aggregate_set_begin(row, all.total);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		for (int k = 0; k < all.n[i]; k++)
		{
			uint32		at = fs_aggregate_set_find(row, size, all.members[i][k].bits);

			distinct += row->set_count[at] == 0;
			row->set_count[at] += Max(all.members[i][k].count, 1);
			most = Max(most, row->set_count[at]);
		}
	}
	if (aggregate->partial_kind == FS_PARTIAL_COUNTED)
		return choose_most(row, aggregate, &all, n, size, most, isnull);
	*isnull = false;
	return Int64GetDatum(distinct);
}
