/*
 * aggregate_top_k.c
 *		top_k(x, k), approx_top_k(x, k): the k most frequent values.
 *
 * Both count in a table of core/frequent.h, the approximate one with a limit.
 * Most frequent first; of equally frequent values the smaller comes first, by
 * the type's default order under the collation of the call.  Of values that are
 * equal and do not look it (1.0 and 1.00) the first is shown.  NULLs do not
 * count; k is one for all rows of a group, and is looked at in each of them.
 */
#include "postgres.h"

#include "fmgr.h"

#include "core/frequent.h"
#include "sql/aggregate_value.h"

PG_FUNCTION_INFO_V1(fs_top_k_trans);
PG_FUNCTION_INFO_V1(fs_approx_top_k_trans);
PG_FUNCTION_INFO_V1(fs_top_k_combine);
PG_FUNCTION_INFO_V1(fs_top_k_serial);
PG_FUNCTION_INFO_V1(fs_top_k_deserial);
PG_FUNCTION_INFO_V1(fs_top_k_final);

#define TYPE_FLAGS (TYPECACHE_HASH_EXTENDED_PROC_FINFO | TYPECACHE_CMP_PROC_FINFO)

typedef struct TopKState
{
	int32		k;
	FsAggValues values;
	FsFrequent	table;
} TopKState;

/* How a serialised state begins; native byte order. */
typedef struct TopKHead
{
	Oid			typid;
	Oid			collation;
	int32		k;
	int32		is_approximate;
} TopKHead;

/* Counters of the approximate form: a count is wrong by at most 1 of so many. */
static uint32
limit_of(int32 k)
{
	return Max(8 * k, 64);
}

static const char *
name_of(bool is_approximate)
{
	return is_approximate ? "approx_top_k" : "top_k";
}

/* A state over nothing, in 'context'; 'type' must outlive it. */
static TopKState *
make_state(MemoryContext context, const FsAggType *type, int32 k, bool is_approximate)
{
	FsAllocator allocator = fs_agg_allocator(context);
	TopKState  *state = MemoryContextAlloc(context, sizeof(TopKState));

	state->k = k;
	state->values = (FsAggValues) {type, context};
	fs_frequent_init(&state->table, &allocator, &fs_agg_value_ops, &state->values,
					 is_approximate ? limit_of(k) : 0);
	return state;
}

/* The transition of either. */
static Datum
add_value(FunctionCallInfo fcinfo, bool is_approximate)
{
	MemoryContext context = fs_agg_context(fcinfo);
	const FsAggType *type = fs_agg_type_of_call(fcinfo, TYPE_FLAGS);
	int32		k = fs_agg_count_argument(fcinfo, name_of(is_approximate));
	TopKState  *state;
	Datum		value;

	if (PG_ARGISNULL(0))
		state = make_state(context, type, k, is_approximate);
	else
		state = (TopKState *) PG_GETARG_POINTER(0);
	if (state->k != k)
		fs_agg_refuse_change(name_of(is_approximate), "number of values k");
	if (PG_ARGISNULL(1))
		PG_RETURN_POINTER(state);
	value = PG_GETARG_DATUM(1);
	if (type->typlen == -1)
		value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(value));
	if (!fs_frequent_add(&state->table, (uint64_t) value, 1))
		fs_agg_check(FS_SKETCH_NO_MEMORY);
	PG_RETURN_POINTER(state);
}

/* (internal, anyelement, integer) returns internal */
Datum
fs_top_k_trans(PG_FUNCTION_ARGS)
{
	return add_value(fcinfo, false);
}

/* (internal, anyelement, integer) returns internal */
Datum
fs_approx_top_k_trans(PG_FUNCTION_ARGS)
{
	return add_value(fcinfo, true);
}

/* (internal, internal) returns internal */
Datum
fs_top_k_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = fs_agg_context(fcinfo);
	const TopKState *other;
	const FsAggType *type;
	TopKState  *state;

	if (PG_ARGISNULL(1))
		return fs_agg_unchanged(fcinfo);
	other = (TopKState *) PG_GETARG_POINTER(1);
	type = fs_agg_type_of_state(fcinfo, other->values.type->typid, other->values.type->collation, TYPE_FLAGS);
	if (PG_ARGISNULL(0))
		state = make_state(context, type, other->k, other->table.limit > 0);
	else
		state = (TopKState *) PG_GETARG_POINTER(0);
	if (state->k != other->k)
		fs_agg_refuse_change(name_of(other->table.limit > 0), "number of values k");
	if (!fs_frequent_merge(&state->table, &other->table))
		fs_agg_check(FS_SKETCH_NO_MEMORY);
	PG_RETURN_POINTER(state);
}

/* (internal) returns bytea; strict */
Datum
fs_top_k_serial(PG_FUNCTION_ARGS)
{
	const TopKState *state = (TopKState *) PG_GETARG_POINTER(0);
	const FsAggType *type = state->values.type;
	TopKHead	head = {type->typid, type->collation, state->k, state->table.limit > 0};
	bytea	   *bytes = fs_agg_make_bytes(sizeof(head) + fs_frequent_serialized_size(&state->table));
	char	   *end PG_USED_FOR_ASSERTS_ONLY;

	(void) fs_agg_context(fcinfo);
	memcpy(VARDATA(bytes), &head, sizeof(head));
	end = fs_frequent_serialize(&state->table, VARDATA(bytes) + sizeof(head));
	Assert(end == (char *) bytes + VARSIZE(bytes));
	PG_RETURN_BYTEA_P(bytes);
}

/* (bytea, internal) returns internal; strict.  The state is in the caller's memory. */
Datum
fs_top_k_deserial(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	TopKHead	head;
	const FsAggType *type;
	TopKState  *state;

	(void) fs_agg_context(fcinfo);
	if (VARSIZE_ANY_EXHDR(bytes) < sizeof(head))
		fs_agg_check(FS_SKETCH_CORRUPT);
	memcpy(&head, VARDATA_ANY(bytes), sizeof(head));
	if (head.k < 0 || head.k > FS_AGG_MAX_VALUES || (head.is_approximate != 0 && head.is_approximate != 1))
		fs_agg_check(FS_SKETCH_CORRUPT);
	type = fs_agg_type_of_state(fcinfo, head.typid, head.collation, TYPE_FLAGS);
	state = make_state(CurrentMemoryContext, type, head.k, head.is_approximate != 0);
	fs_agg_check(fs_frequent_deserialize(&state->table, VARDATA_ANY(bytes) + sizeof(head),
										 VARSIZE_ANY_EXHDR(bytes) - sizeof(head)));
	PG_RETURN_POINTER(state);
}

/* (internal, anyelement, integer) returns anyarray: NULL over nothing */
Datum
fs_top_k_final(PG_FUNCTION_ARGS)
{
	const TopKState *state = PG_ARGISNULL(0) ? NULL : (TopKState *) PG_GETARG_POINTER(0);
	uint32_t   *places;
	Datum	   *values;
	uint32		n;

	(void) fs_agg_context(fcinfo);
	if (state == NULL || state->table.n == 0)
		PG_RETURN_NULL();
	places = palloc(Max(state->k, 1) * sizeof(uint32_t));
	values = palloc(Max(state->k, 1) * sizeof(Datum));
	n = fs_frequent_top(&state->table, state->k, places);
	for (uint32 i = 0; i < n; i++)
		values[i] = (Datum) state->table.counters[places[i]].value;
	PG_RETURN_DATUM(fs_agg_make_array(state->values.type, values, NULL, n));
}
