/*
 * aggregate_list.c
 *		first_n(x, n), last_n(x, n), distinct_n(x, n): values in input order.
 *
 * The first n, the last n (NULLs are values, as for array_agg), and the first n
 * different ones (NULLs are not).  As with array_agg, the order is that of the
 * aggregate's ORDER BY, else that of the rows that come in.  PostgreSQL combines
 * partial states in any order, so there are no functions for that: the rows of a
 * group are all seen by one process.
 */
#include "postgres.h"

#include "fmgr.h"

#include "core/frequent.h"
#include "sql/aggregate_value.h"

PG_FUNCTION_INFO_V1(fs_first_n_trans);
PG_FUNCTION_INFO_V1(fs_last_n_trans);
PG_FUNCTION_INFO_V1(fs_list_final);
PG_FUNCTION_INFO_V1(fs_distinct_n_trans);
PG_FUNCTION_INFO_V1(fs_distinct_n_final);

#define FIRST_ITEMS 4			/* room that the first value makes */

typedef struct ListItem
{
	Datum		value;
	bool		is_null;
} ListItem;

typedef struct ListState
{
	const FsAggType *type;
	MemoryContext context;
	int32		limit;			/* n */
	int32		count;
	int32		cap;			/* room for items */
	int32		start;			/* of last_n: the oldest item's place */
	ListItem   *items;
} ListState;

typedef struct DistinctState
{
	int32		limit;			/* n */
	bool		has_values;		/* there was one that is not NULL */
	FsAggValues values;
	FsFrequent	table;
} DistinctState;

/* The state so far, which must be for the same n, or a new one. */
static ListState *
get_list(FunctionCallInfo fcinfo, const char *aggregate)
{
	MemoryContext context = fs_agg_context(fcinfo);
	int32		limit = fs_agg_count_argument(fcinfo, aggregate);
	ListState  *state;

	if (PG_ARGISNULL(0))
	{
		state = MemoryContextAllocZero(context, sizeof(ListState));
		state->type = fs_agg_type_of_call(fcinfo, 0);
		state->context = context;
		state->limit = limit;
		return state;
	}
	state = (ListState *) PG_GETARG_POINTER(0);
	if (state->limit != limit)
		fs_agg_refuse_change(aggregate, "number of values n");
	return state;
}

/* Puts the value at hand into an item, which owns the copy. */
static void
set_item(ListState *state, ListItem *item, FunctionCallInfo fcinfo)
{
	Datum		copy = (Datum) 0;

	if (!PG_ARGISNULL(1))
		copy = fs_agg_copy(state->type, state->context, PG_GETARG_DATUM(1));
	item->value = copy;
	item->is_null = PG_ARGISNULL(1);
}

/* Adds the value at hand to a list that has not all its values yet. */
static void
append_item(ListState *state, FunctionCallInfo fcinfo)
{
	Assert(state->count < state->limit);
	if (state->count == state->cap)
	{
		int32		cap = Min(Max(state->cap * 2, FIRST_ITEMS), state->limit);

		if (state->items == NULL)
			state->items = MemoryContextAlloc(state->context, cap * sizeof(ListItem));
		else
			state->items = repalloc(state->items, cap * sizeof(ListItem));
		state->cap = cap;
	}
	set_item(state, &state->items[state->count], fcinfo);
	state->count++;
}

/* (internal, anyelement, integer) returns internal */
Datum
fs_first_n_trans(PG_FUNCTION_ARGS)
{
	ListState  *state = get_list(fcinfo, "first_n");

	if (state->count < state->limit)
		append_item(state, fcinfo);
	PG_RETURN_POINTER(state);
}

/* (internal, anyelement, integer) returns internal */
Datum
fs_last_n_trans(PG_FUNCTION_ARGS)
{
	ListState  *state = get_list(fcinfo, "last_n");

	if (state->count < state->limit)
		append_item(state, fcinfo);
	else if (state->limit > 0)
	{
		ListItem   *oldest = &state->items[state->start];

		if (!oldest->is_null && !state->type->typbyval)
			pfree(DatumGetPointer(oldest->value));
		set_item(state, oldest, fcinfo);
		state->start = (state->start + 1) % state->limit;
	}
	PG_RETURN_POINTER(state);
}

/* (internal, anyelement, integer) returns anyarray, of first_n and last_n: NULL over no rows */
Datum
fs_list_final(PG_FUNCTION_ARGS)
{
	const ListState *state;
	Datum	   *values;
	bool	   *nulls;

	(void) fs_agg_context(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	state = (ListState *) PG_GETARG_POINTER(0);
	values = palloc(Max(state->count, 1) * sizeof(Datum));
	nulls = palloc(Max(state->count, 1) * sizeof(bool));
	for (int32 i = 0; i < state->count; i++)
	{
		const ListItem *item = &state->items[(state->start + i) % state->count];

		values[i] = item->value;
		nulls[i] = item->is_null;
	}
	PG_RETURN_DATUM(fs_agg_make_array(state->type, values, nulls, state->count));
}

/* The state so far, which must be for the same n, or a new one. */
static DistinctState *
get_distinct(FunctionCallInfo fcinfo)
{
	MemoryContext context = fs_agg_context(fcinfo);
	FsAllocator allocator = fs_agg_allocator(context);
	const FsAggType *type = fs_agg_type_of_call(fcinfo, TYPECACHE_HASH_EXTENDED_PROC_FINFO);
	int32		limit = fs_agg_count_argument(fcinfo, "distinct_n");
	DistinctState *state;

	if (PG_ARGISNULL(0))
	{
		state = MemoryContextAlloc(context, sizeof(DistinctState));
		state->limit = limit;
		state->has_values = false;
		state->values = (FsAggValues) {type, context};
		fs_frequent_init(&state->table, &allocator, &fs_agg_value_ops, &state->values, 0);
		return state;
	}
	state = (DistinctState *) PG_GETARG_POINTER(0);
	if (state->limit != limit)
		fs_agg_refuse_change("distinct_n", "number of values n");
	return state;
}

/* (internal, anyelement, integer) returns internal */
Datum
fs_distinct_n_trans(PG_FUNCTION_ARGS)
{
	DistinctState *state = get_distinct(fcinfo);
	Datum		value;

	if (PG_ARGISNULL(1))
		PG_RETURN_POINTER(state);
	state->has_values = true;
	if (state->table.n == state->limit)
		PG_RETURN_POINTER(state);
	value = PG_GETARG_DATUM(1);
	if (state->values.type->typlen == -1)
		value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(value));
	if (!fs_frequent_add(&state->table, (uint64_t) value, 1))
		fs_agg_check(FS_SKETCH_NO_MEMORY);
	PG_RETURN_POINTER(state);
}

/* (internal, anyelement, integer) returns anyarray: NULL over nothing */
Datum
fs_distinct_n_final(PG_FUNCTION_ARGS)
{
	const DistinctState *state = PG_ARGISNULL(0) ? NULL : (DistinctState *) PG_GETARG_POINTER(0);
	Datum	   *values;

	(void) fs_agg_context(fcinfo);
	if (state == NULL || !state->has_values)
		PG_RETURN_NULL();
	values = palloc(Max(state->table.n, 1) * sizeof(Datum));
	for (uint32 i = 0; i < state->table.n; i++)
		values[i] = (Datum) state->table.counters[i].value;
	PG_RETURN_DATUM(fs_agg_make_array(state->values.type, values, NULL, state->table.n));
}
