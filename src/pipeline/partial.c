/*
 * partial.c
 *		Partial aggregates; see partial.h.
 *
 * Everything here is exact, and the same in whatever order events come.  Where
 * two values are equal but not the same (0 and -0, 1.0 and 1.00), PostgreSQL
 * gives the later one of the window: the place of such a value is kept with it.
 *
 * Sums of integers are of 64 bits; one that does not fit begins another record,
 * and records are added up in 128 bits.
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/varlena.h"

#include "pipeline/aggregate.h"
#include "pipeline/partial.h"
#include "pipeline/values.h"

/* Cells of an FS_PARTIAL_PLACED after the value. */
enum
{
	VALUE, SINCE, PARTITION
};

static inline bool
is_decimal(const FsAggregate *aggregate)
{
	return aggregate->partial_kind == FS_PARTIAL_DECIMAL || aggregate->partial_kind == FS_PARTIAL_MOMENTS;
}

static inline bool
is_set(const FsAggregate *aggregate)
{
	return aggregate->partial_kind >= FS_PARTIAL_DISTINCT;
}

/* How the value of a least or greatest one is stored. */
static FsCellKind
value_cell(const FsColumn *column)
{
	if (fs_type_is_bytes(column->type))
		return FS_CELL_CODE;
	if (column->type == FS_TYPE_FLOAT4)
		return FS_CELL_FLOAT4;
	return column->type == FS_TYPE_FLOAT8 ? FS_CELL_FLOAT8 : FS_CELL_INT;
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
	{
		const FsAggregate *aggregate = &view->aggregates[a];
		FsCellKind *kinds = &layout->kinds[aggregate->partial];

		if (is_decimal(aggregate))
			kinds[FS_DECIMAL_CODE] = FS_CELL_CODE;
		else if (is_set(aggregate))
		{
			kinds[VALUE] = FS_CELL_SET;
			layout->has_sets = true;
		}
		else if (aggregate->partial_kind >= FS_PARTIAL_BITS)
		{
			kinds[VALUE] = value_cell(fs_view_kept(view, aggregate->kept));
			layout->has_nulls |= kinds[VALUE] != FS_CELL_CODE;
		}
	}
}

/* See partial.h. */
uint32
fs_partial_code(const FsPartialEvent *event, const FsAggregate *aggregate, const FsValue *value)
{
	FsDictionary *dictionary = event->view->kept[aggregate->kept].partial;
	FsTablePlace place = fs_table_place(&dictionary->table, fs_hash_bytes(value->data, value->len));

	Assert(dictionary != NULL);
	return fs_dictionary_code(&event->shard->arena, dictionary, value->data, value->len, &place, event->slice);
}

/* The value of a cell that is not null; one without presence when its code has none: a reader's copy was stale. */
static FsValue
cell_value(const FsColumn *column, const FsDictionary *dictionary, const FsCell *cell)
{
	FsValue		value = {.presence = FS_PRESENT};

	if (dictionary != NULL)
	{
		value.data = fs_dictionary_value(dictionary, cell->code, &value.len);
		if (value.data == NULL)
			value.presence = FS_ABSENT;
	}
	else if (fs_type_is_float(column->type))
		value.f = cell->f;
	else
		value.i = cell->i;
	return value;
}

/* How -1, 0 or 1: two decimals compared, whatever their scales. */
static int
compare_decimals(const FsColumn *column, const FsValue *a, const FsValue *b)
{
	int64		x;
	int64		y;
	int			xscale;
	int			yscale;
	Datum		p;
	Datum		q;
	int			result;

	if (fs_decimal_read(a->data, a->len, &x, &xscale) && fs_decimal_read(b->data, b->len, &y, &yscale) &&
		xscale == yscale)
		return x < y ? -1 : x > y;
	p = fs_value_datum(column, a);
	q = fs_value_datum(column, b);
	result = DatumGetInt32(DirectFunctionCall2(numeric_cmp, p, q));
	pfree(DatumGetPointer(p));
	pfree(DatumGetPointer(q));
	return result;
}

/* As the type's btree operators do. */
static int
compare_values(const FsColumn *column, Oid collation, const FsValue *a, const FsValue *b)
{
	switch (column->type)
	{
		case FS_TYPE_TEXT:
			return varstr_cmp(a->data, a->len, b->data, b->len, collation);
		case FS_TYPE_NUMERIC:
			return compare_decimals(column, a, b);
		case FS_TYPE_FLOAT4:
		case FS_TYPE_FLOAT8:
			return float8_cmp_internal(a->f, b->f);
		default:
			Assert(!fs_type_is_bytes(column->type));
			return a->i < b->i ? -1 : a->i > b->i;
	}
}

/* Is (since, partition) later in the window than the value kept, which arrived before? */
static inline bool
is_later(const FsCell *kept, int64 since, int64 partition)
{
	return since > kept[SINCE].i || (since == kept[SINCE].i && partition >= kept[PARTITION].i);
}

/* Does the value take the place of the one in the cells? */
static bool
is_better(const FsPartialEvent *event, const FsAggregate *aggregate, const FsColumn *column, const FsValue *value,
		  const FsCell *cells)
{
	FsValue		kept;
	int			order;

	if (cells[VALUE].isnull)
		return true;
	kept = cell_value(column, event->view->kept[aggregate->kept].partial, &cells[VALUE]);
	if (kept.presence != FS_PRESENT)	/* nobody but us takes codes back */
		elog(ERROR, "a value that feature view \"%s\" keeps is not in shared memory", event->view->def->name);
	order = compare_values(column, aggregate->collation, value, &kept);
	if (order == 0)
		return aggregate->partial_kind == FS_PARTIAL_PLACED && is_later(cells, event->since, event->partition);
	return aggregate->kind == FS_AGG_MIN ? order < 0 : order > 0;
}

/* Adds a value to the least or greatest one so far. */
static FsMergeResult
add_extreme(const FsPartialEvent *event, const FsAggregate *aggregate, const FsValue *value, FsCell *cells)
{
	const FsColumn *column = fs_view_kept(event->view->def, aggregate->kept);
	bool		has_place;

	if (!is_better(event, aggregate, column, value, cells))
		return FS_MERGE_DONE;
	cells[VALUE].isnull = false;
	if (fs_type_is_bytes(column->type))
	{
		uint32		code = fs_partial_code(event, aggregate, value);

		if (code == 0)
			return FS_MERGE_NO_MEMORY;
		cells[VALUE].code = code;
	}
	else if (fs_type_is_float(column->type))
		cells[VALUE].f = value->f;
	else
		cells[VALUE].i = value->i;
	if (aggregate->partial_kind != FS_PARTIAL_PLACED)
		return FS_MERGE_DONE;

	/* Of floats it is zeros alone that differ. */
	has_place = fs_type_is_bytes(column->type) || value->f == 0;
	cells[SINCE].i = has_place ? event->since : 0;
	cells[PARTITION].i = has_place ? event->partition : 0;
	return FS_MERGE_DONE;
}

/* Adds a number to exact sums. */
static FsMergeResult
add_decimal(const FsPartialEvent *event, const FsAggregate *aggregate, const FsValue *value, FsCell *cells)
{
	bool		has_squares = aggregate->partial_kind == FS_PARTIAL_MOMENTS;
	bool		is_numeric = fs_type_is_bytes(fs_view_kept(event->view->def, aggregate->kept)->type);
	int64		digits = value->i;
	int			scale = 0;

	if (!cells[FS_DECIMAL_CODE].isnull)
		return FS_MERGE_REFUSED;
	if (!is_numeric || fs_decimal_read(value->data, value->len, &digits, &scale))
		return fs_partial_add_decimal(cells, has_squares, digits, scale) ? FS_MERGE_DONE : FS_MERGE_REFUSED;
	if (cells[FS_DECIMAL_COUNT].i > 0)
		return FS_MERGE_REFUSED;
	cells[FS_DECIMAL_COUNT].i = 1;
	cells[FS_DECIMAL_CODE].isnull = false;
	cells[FS_DECIMAL_CODE].code = fs_partial_code(event, aggregate, value);
	return cells[FS_DECIMAL_CODE].code == 0 ? FS_MERGE_NO_MEMORY : FS_MERGE_DONE;
}

/* Adds a value that counts to the state of an aggregate; NULL: count(*). */
static FsMergeResult
add_value(const FsPartialEvent *event, const FsAggregate *aggregate, const FsValue *value, FsCell *cells)
{
	switch (aggregate->partial_kind)
	{
		case FS_PARTIAL_NONE:
			break;
		case FS_PARTIAL_COUNT:
			cells[0].i++;
			return FS_MERGE_DONE;
		case FS_PARTIAL_SUM:
			cells[0].i++;
			return pg_add_s64_overflow(cells[1].i, value->i, &cells[1].i) ? FS_MERGE_REFUSED : FS_MERGE_DONE;
		case FS_PARTIAL_BITS:
			cells[VALUE].i = cells[VALUE].isnull ? value->i :
				fs_aggregate_add_bits(aggregate->kind, cells[VALUE].i, value->i);
			cells[VALUE].isnull = false;
			return FS_MERGE_DONE;
		case FS_PARTIAL_EXTREME:
		case FS_PARTIAL_PLACED:
			return add_extreme(event, aggregate, value, cells);
		case FS_PARTIAL_DECIMAL:
		case FS_PARTIAL_MOMENTS:
			return add_decimal(event, aggregate, value, cells);
		case FS_PARTIAL_DISTINCT:
		case FS_PARTIAL_COUNTED:
			return FS_MERGE_DONE;	/* later: partial_set.c */
	}
	pg_unreachable();
}

/* States of nothing. */
static void
clear_cells(const FsViewDef *view, FsCell *cells)
{
	memset(cells, 0, sizeof(FsCell) * view->npartial);
	for (int a = 0; a < view->naggregates; a++)
	{
		const FsAggregate *aggregate = &view->aggregates[a];

		if (is_decimal(aggregate))
			cells[aggregate->partial + FS_DECIMAL_CODE].isnull = true;
		else if (!is_set(aggregate) && aggregate->partial_kind >= FS_PARTIAL_BITS)
			cells[aggregate->partial + VALUE].isnull = true;
	}
}

/* See partial.h. */
bool
fs_partial_counts(const FsPartialEvent *event, const FsAggregate *aggregate, const FsValue **value)
{
	const FsView *view = event->view;

	*value = aggregate->kept < 0 ? NULL : fs_input_value(view, event->values, view->def->kept[aggregate->kept]);
	if (*value != NULL && (*value)->presence != FS_PRESENT)
		return false;
	return aggregate->filter < 0 ||
		fs_input_value(view, event->values, view->def->kept[aggregate->filter])->i != 0;
}

/* Adds an event to the cells of a record; an FsMergeFunction. */
static FsMergeResult
add_event(void *arg, FsCell *cells, bool is_new)
{
	FsPartialEvent *event = arg;
	const FsViewDef *def = event->view->def;

	if (is_new)
		clear_cells(def, cells);
	for (int a = 0; a < def->naggregates; a++)
	{
		const FsAggregate *aggregate = &def->aggregates[a];
		const FsValue *value;
		FsMergeResult result;

		if (aggregate->state_of != a || !fs_partial_counts(event, aggregate, &value))
			continue;
		result = add_value(event, aggregate, value, &cells[aggregate->partial]);
		if (result != FS_MERGE_DONE)
			return result;
	}
	return event->view->layout.has_sets ? fs_partial_reserve_sets(event, cells, is_new) : FS_MERGE_DONE;
}

/* See partial.h. */
bool
fs_partial_keep(FsPartialEvent *event, FsTime record, FsTime counts_from)
{
	bool		done;

	event->nsets = 0;
	event->owns_sets = false;
	done = fs_entity_merge(&event->shard->arena, event->entity, &event->view->layout, record, counts_from,
						   add_event, event);
	fs_partial_finish_sets(event, done);
	return done;
}

/* See partial.h. */
void
fs_partial_prepare(FsRow *row)
{
	Assert(CurrentMemoryContext == row->context && row->view->is_sliced);
	row->work = palloc0(sizeof(FsAggregateWork) * Max(row->view->naggregates, 1));
	for (int i = 0; i < row->view->naggregates; i++)
	{
		const FsAggregate *aggregate = &row->view->aggregates[i];

		if (is_decimal(aggregate))
			fs_aggregate_prepare_call(row, aggregate);
		else if (aggregate->partial_kind == FS_PARTIAL_COUNTED)
			fs_aggregate_prepare_order(row, aggregate);

		/* The first use of a collation reads catalogs; folding is in no transaction. */
		else if (aggregate->partial_kind == FS_PARTIAL_EXTREME && OidIsValid(aggregate->collation))
			(void) varstr_cmp("a", 1, "b", 1, aggregate->collation);
	}
}

/*
 * Is the record's value later in the window than that of one before it?  Events
 * of one time and partition are in the order of their arrival, and there those
 * on time come before late ones, which count from later and later window ends;
 * records may not: another partition's late event may have begun theirs.
 */
static bool
comes_later(const FsRingEvent *before, const FsRingEvent *record, const FsAggregate *aggregate)
{
	const FsCell *kept = &before->cells[aggregate->partial];
	const FsCell *cells = &record->cells[aggregate->partial];

	Assert(aggregate->partial_kind == FS_PARTIAL_PLACED);
	if (before->time != record->time)
		return true;
	if (kept[SINCE].i == cells[SINCE].i && kept[PARTITION].i == cells[PARTITION].i)
		return record->counts_from >= before->counts_from;
	return is_later(kept, cells[SINCE].i, cells[PARTITION].i);
}

/* The least or greatest value of the records, which come in the order of slides; NULL when there is none. */
static Datum
compute_extreme(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **records, int n, bool *isnull)
{
	const FsRowColumn *column = fs_aggregate_column(row, aggregate);
	const FsRingEvent *best = NULL;
	FsValue		best_value = {0};

	for (int i = 0; i < n; i++)
	{
		const FsCell *cells = &records[i]->cells[aggregate->partial];
		FsValue		value;
		int			order;

		if (cells[VALUE].isnull)
			continue;
		value = cell_value(column->column, column->dictionary, &cells[VALUE]);
		if (value.presence != FS_PRESENT)
		{
			row->stale = true;
			break;
		}
		order = best == NULL ? -1 :
			compare_values(column->column, aggregate->collation, &value, &best_value) *
			(aggregate->kind == FS_AGG_MIN ? 1 : -1);
		if (order > 0 ||
			(order == 0 && aggregate->partial_kind == FS_PARTIAL_PLACED && !comes_later(best, records[i], aggregate)))
			continue;
		best = records[i];
		best_value = value;
	}
	*isnull = best == NULL || row->stale;
	return *isnull ? (Datum) 0 : fs_cell_datum(row, column, &best->cells[aggregate->partial], isnull);
}

/* Counts, and sums of integers with them. */
static Datum
compute_sum(const FsAggregate *aggregate, const FsRingEvent **records, int n, bool *isnull)
{
	int64		count = 0;
	int128		sum = 0;

	for (int i = 0; i < n; i++)
		count += records[i]->cells[aggregate->partial].i;
	*isnull = false;
	if (aggregate->partial_kind == FS_PARTIAL_COUNT)
		return Int64GetDatum(count);
	for (int i = 0; i < n; i++)
		sum += records[i]->cells[aggregate->partial + 1].i;
	*isnull = count == 0;
	return *isnull ? (Datum) 0 : fs_aggregate_of_integers(aggregate, sum, count);
}

/* See partial.h. */
Datum
fs_partial_compute(FsRow *row, const FsAggregate *aggregate,
				   const FsRingEvent **records, int n, bool *isnull)
{
	Assert(row->view->is_sliced);
	CHECK_FOR_INTERRUPTS();
	switch (aggregate->partial_kind)
	{
		case FS_PARTIAL_COUNT:
		case FS_PARTIAL_SUM:
			return compute_sum(aggregate, records, n, isnull);
		case FS_PARTIAL_BITS:
			return fs_aggregate_bits(aggregate, records, n, aggregate->partial, isnull);
		case FS_PARTIAL_EXTREME:
		case FS_PARTIAL_PLACED:
			return compute_extreme(row, aggregate, records, n, isnull);
		case FS_PARTIAL_DECIMAL:
		case FS_PARTIAL_MOMENTS:
			return fs_partial_compute_decimal(row, aggregate, records, n, isnull);
		case FS_PARTIAL_DISTINCT:
		case FS_PARTIAL_COUNTED:
			return fs_partial_compute_set(row, aggregate, records, n, isnull);
		case FS_PARTIAL_NONE:
			break;
	}
	pg_unreachable();
}
