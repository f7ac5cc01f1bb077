/*
 * aggregate_percentile.c
 *		approx_percentile(x, p): about percentile_disc(p), in bounded memory.
 *
 * The sketch is core/ddsketch.h.  NULL values of x do not count; p is one for
 * all rows of a group, and is looked at in each of them.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"

#include "core/ddsketch.h"
#include "sql/aggregate_value.h"

PG_FUNCTION_INFO_V1(fs_approx_percentile_trans);
PG_FUNCTION_INFO_V1(fs_approx_percentile_combine);
PG_FUNCTION_INFO_V1(fs_approx_percentile_serial);
PG_FUNCTION_INFO_V1(fs_approx_percentile_deserial);
PG_FUNCTION_INFO_V1(fs_approx_percentile_final);

#define AGGREGATE "approx_percentile"

typedef struct PercentileState
{
	double		p;
	FsDdSketch	sketch;
} PercentileState;

/* A state over nothing, in 'context'. */
static PercentileState *
make_state(MemoryContext context, double p)
{
	FsAllocator allocator = fs_agg_allocator(context);
	PercentileState *state = MemoryContextAlloc(context, sizeof(PercentileState));

	state->p = p;
	fs_ddsketch_init(&state->sketch, &allocator);
	return state;
}

/* The state so far, which must be for the same p, or a new one. */
static PercentileState *
get_state(FunctionCallInfo fcinfo, MemoryContext context, double p)
{
	PercentileState *state;

	if (PG_ARGISNULL(0))
		return make_state(context, p);
	state = (PercentileState *) PG_GETARG_POINTER(0);
	if (state->p != p)
		fs_agg_refuse_change(AGGREGATE, "fraction p");
	return state;
}

/* Argument p: 22003 unless 0..1, 22004 for NULL. */
static double
get_fraction(FunctionCallInfo fcinfo)
{
	double		p;

	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("fraction p of %s must not be null", AGGREGATE)));
	p = PG_GETARG_FLOAT8(2);
	if (isnan(p) || p < 0 || p > 1)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("fraction p of %s is out of range: %g", AGGREGATE, p),
				 errdetail("It must be between 0 and 1.")));
	return p;
}

/* (internal, float8, float8) returns internal */
Datum
fs_approx_percentile_trans(PG_FUNCTION_ARGS)
{
	MemoryContext context = fs_agg_context(fcinfo);
	PercentileState *state = get_state(fcinfo, context, get_fraction(fcinfo));

	if (!PG_ARGISNULL(1) && !fs_ddsketch_add(&state->sketch, PG_GETARG_FLOAT8(1)))
		fs_agg_check(FS_SKETCH_NO_MEMORY);
	PG_RETURN_POINTER(state);
}

/* (internal, internal) returns internal */
Datum
fs_approx_percentile_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = fs_agg_context(fcinfo);
	const PercentileState *other;
	PercentileState *state;

	if (PG_ARGISNULL(1))
		return fs_agg_unchanged(fcinfo);
	other = (PercentileState *) PG_GETARG_POINTER(1);
	state = get_state(fcinfo, context, other->p);
	if (!fs_ddsketch_merge(&state->sketch, &other->sketch))
		fs_agg_check(FS_SKETCH_NO_MEMORY);
	PG_RETURN_POINTER(state);
}

/* (internal) returns bytea; strict.  p, then the sketch. */
Datum
fs_approx_percentile_serial(PG_FUNCTION_ARGS)
{
	const PercentileState *state = (PercentileState *) PG_GETARG_POINTER(0);
	bytea	   *bytes = fs_agg_make_bytes(sizeof(double) + fs_ddsketch_serialized_size(&state->sketch));
	char	   *end PG_USED_FOR_ASSERTS_ONLY;

	(void) fs_agg_context(fcinfo);
	memcpy(VARDATA(bytes), &state->p, sizeof(double));
	end = fs_ddsketch_serialize(&state->sketch, VARDATA(bytes) + sizeof(double));
	Assert(end == (char *) bytes + VARSIZE(bytes));
	PG_RETURN_BYTEA_P(bytes);
}

/* (bytea, internal) returns internal; strict.  The state is in the caller's memory. */
Datum
fs_approx_percentile_deserial(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	FsAllocator allocator = fs_agg_allocator(CurrentMemoryContext);
	PercentileState *state = palloc(sizeof(PercentileState));

	(void) fs_agg_context(fcinfo);
	if (VARSIZE_ANY_EXHDR(bytes) < sizeof(double))
		fs_agg_check(FS_SKETCH_CORRUPT);
	memcpy(&state->p, VARDATA_ANY(bytes), sizeof(double));
	if (!(state->p >= 0 && state->p <= 1))
		fs_agg_check(FS_SKETCH_CORRUPT);
	fs_agg_check(fs_ddsketch_deserialize(&state->sketch, &allocator, VARDATA_ANY(bytes) + sizeof(double),
										 VARSIZE_ANY_EXHDR(bytes) - sizeof(double)));
	PG_RETURN_POINTER(state);
}

/* (internal) returns float8: NULL over nothing */
Datum
fs_approx_percentile_final(PG_FUNCTION_ARGS)
{
	const PercentileState *state = PG_ARGISNULL(0) ? NULL : (PercentileState *) PG_GETARG_POINTER(0);

	(void) fs_agg_context(fcinfo);
	if (state == NULL || state->sketch.count == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(fs_ddsketch_percentile(&state->sketch, state->p));
}
