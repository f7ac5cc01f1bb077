/*
 * aggregate_distinct.c
 *		approx_count_distinct(x): about how many different values, in 2.7 kB.
 *
 * NULLs do not count.  The sketch is core/hyperloglog.h; which values are equal
 * says the type's hash function, under the collation of the call.
 */
#include "postgres.h"

#include "fmgr.h"

#include "core/hyperloglog.h"
#include "sql/aggregate_value.h"

PG_FUNCTION_INFO_V1(fs_approx_count_distinct_trans);
PG_FUNCTION_INFO_V1(fs_approx_count_distinct_combine);
PG_FUNCTION_INFO_V1(fs_approx_count_distinct_serial);
PG_FUNCTION_INFO_V1(fs_approx_count_distinct_deserial);
PG_FUNCTION_INFO_V1(fs_approx_count_distinct_final);

/* The state so far, or a new one. */
static FsHyperLogLog *
get_state(FunctionCallInfo fcinfo, MemoryContext context)
{
	FsAllocator allocator = fs_agg_allocator(context);
	FsHyperLogLog *state;

	if (!PG_ARGISNULL(0))
		return (FsHyperLogLog *) PG_GETARG_POINTER(0);
	state = MemoryContextAlloc(context, sizeof(FsHyperLogLog));
	fs_hyperloglog_init(state, &allocator);
	return state;
}

/* (internal, anyelement) returns internal; no state before the first value */
Datum
fs_approx_count_distinct_trans(PG_FUNCTION_ARGS)
{
	MemoryContext context = fs_agg_context(fcinfo);
	const FsAggType *type = fs_agg_type_of_call(fcinfo, TYPECACHE_HASH_EXTENDED_PROC_FINFO);
	FsHyperLogLog *state;

	if (PG_ARGISNULL(1))
		return fs_agg_unchanged(fcinfo);
	state = get_state(fcinfo, context);
	if (!fs_hyperloglog_add(state, fs_agg_hash(type, PG_GETARG_DATUM(1))))
		fs_agg_check(FS_SKETCH_NO_MEMORY);
	PG_RETURN_POINTER(state);
}

/* (internal, internal) returns internal */
Datum
fs_approx_count_distinct_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = fs_agg_context(fcinfo);
	FsHyperLogLog *state;

	if (PG_ARGISNULL(1))
		return fs_agg_unchanged(fcinfo);
	state = get_state(fcinfo, context);
	if (!fs_hyperloglog_merge(state, (FsHyperLogLog *) PG_GETARG_POINTER(1)))
		fs_agg_check(FS_SKETCH_NO_MEMORY);
	PG_RETURN_POINTER(state);
}

/* (internal) returns bytea; strict */
Datum
fs_approx_count_distinct_serial(PG_FUNCTION_ARGS)
{
	const FsHyperLogLog *state = (FsHyperLogLog *) PG_GETARG_POINTER(0);
	bytea	   *bytes = fs_agg_make_bytes(fs_hyperloglog_serialized_size(state));
	char	   *end PG_USED_FOR_ASSERTS_ONLY;

	(void) fs_agg_context(fcinfo);
	end = fs_hyperloglog_serialize(state, VARDATA(bytes));
	Assert(end == (char *) bytes + VARSIZE(bytes));
	PG_RETURN_BYTEA_P(bytes);
}

/* (bytea, internal) returns internal; strict.  The state is in the caller's memory. */
Datum
fs_approx_count_distinct_deserial(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	FsAllocator allocator = fs_agg_allocator(CurrentMemoryContext);
	FsHyperLogLog *state = palloc(sizeof(FsHyperLogLog));

	(void) fs_agg_context(fcinfo);
	fs_agg_check(fs_hyperloglog_deserialize(state, &allocator, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes)));
	PG_RETURN_POINTER(state);
}

/* (internal) returns bigint: 0 over nothing */
Datum
fs_approx_count_distinct_final(PG_FUNCTION_ARGS)
{
	(void) fs_agg_context(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_INT64(0);
	PG_RETURN_INT64(fs_hyperloglog_estimate((FsHyperLogLog *) PG_GETARG_POINTER(0)));
}
