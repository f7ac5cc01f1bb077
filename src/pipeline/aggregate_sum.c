/*
 * aggregate_sum.c
 *		Native aggregates: sums, averages, variances; see aggregate.h.
 *
 * Integers are added exactly.  Floats are added one after the other, with the
 * arithmetic and the overflow checks of PostgreSQL's float4pl, float8pl and
 * float8_accum (Youngs and Cramer, 1971).  Those of numeric, and variances of
 * integers, are calls (aggregate_call.c).
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "pipeline/aggregate.h"

#define OVERFLOW_MESSAGE "value out of range: overflow"	/* as PostgreSQL says */

/* An int128 as numeric, by its decimal text when it does not fit int64. */
static Datum
int128_numeric(int128 v)
{
	char		text[48];
	char	   *p = text + sizeof(text);
	bool		negative = v < 0;

	if (v >= PG_INT64_MIN && v <= PG_INT64_MAX)
		return NumericGetDatum(int64_to_numeric((int64) v));
	*--p = '\0';
	while (v != 0)
	{
		int			digit = (int) (v % 10);

		*--p = '0' + (digit < 0 ? -digit : digit);
		v /= 10;
	}
	if (negative)
		*--p = '-';
	return DirectFunctionCall3(numeric_in, CStringGetDatum(p), ObjectIdGetDatum(InvalidOid),
							   Int32GetDatum(-1));
}

/* See row.h. */
Datum
fs_aggregate_of_integers(const FsAggregate *aggregate, int128 sum, int64 count)
{
	Assert(count > 0);
	Assert(aggregate->result_type != INT8OID || (sum >= PG_INT64_MIN && sum <= PG_INT64_MAX));
	if (fs_aggregate_what(aggregate) == FS_AGG_AVG)
		return DirectFunctionCall2(numeric_div, int128_numeric(sum), NumericGetDatum(int64_to_numeric(count)));
	return aggregate->result_type == INT8OID ? Int64GetDatum((int64) sum) : int128_numeric(sum);
}

/* The exact sum; 4 million events of 64 bits do not overflow 128. */
static int128
sum_integers(const FsAggregate *aggregate, const FsRingEvent **events, int n)
{
	int128		sum = 0;

	for (int i = 0; i < n; i++)
	{
		const FsCell *cell = fs_aggregate_cell(events[i], aggregate);

		if (!cell->isnull)
			sum += cell->i;
	}
	return sum;
}

/* sum(float4), in single precision from the first value on. */
static Datum
sum_float4(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n, bool *isnull)
{
	float		sum = 0;
	bool		first = true;

	for (int i = 0; i < n; i++)
	{
		const FsCell *cell = fs_aggregate_cell(events[i], aggregate);
		float		value = (float) cell->f;
		float		next = first ? value : sum + value;

		if (cell->isnull)
			continue;
		if (unlikely(isinf(next)) && !first && !isinf(sum) && !isinf(value))
			return fs_aggregate_fail(row, isnull, OVERFLOW_MESSAGE);
		sum = next;
		first = false;
	}
	return Float4GetDatum(sum);
}

/* sum(float8) */
static Datum
sum_float8(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n, bool *isnull)
{
	double		sum = 0;
	bool		first = true;

	for (int i = 0; i < n; i++)
	{
		const FsCell *cell = fs_aggregate_cell(events[i], aggregate);
		double		next = first ? cell->f : sum + cell->f;

		if (cell->isnull)
			continue;
		if (unlikely(isinf(next)) && !first && !isinf(sum) && !isinf(cell->f))
			return fs_aggregate_fail(row, isnull, OVERFLOW_MESSAGE);
		sum = next;
		first = false;
	}
	return Float8GetDatum(sum);
}

/* State of float8_accum. */
typedef struct FloatState
{
	double		n;
	double		sx;				/* sum of the values */
	double		sxx;			/* sum of (value - average)^2 */
} FloatState;

/*
 * float8_accum over the arguments that are not null; false on overflow.  It
 * computes sxx for avg() too, whose overflow thus is an error there.
 */
static bool
accumulate_floats(const FsAggregate *aggregate, const FsRingEvent **events, int n, FloatState *state)
{
	*state = (FloatState) {0, 0, 0};
	for (int i = 0; i < n; i++)
	{
		const FsCell *cell = fs_aggregate_cell(events[i], aggregate);
		double		value = cell->f;
		double		before = state->n;
		double		sum = state->sx;
		double		deviation;

		if (cell->isnull)
			continue;
		state->n += 1.0;
		state->sx += value;
		if (before <= 0)
		{
			if (isnan(value) || isinf(value))
				state->sxx = get_float8_nan();
			continue;
		}
		deviation = value * state->n - state->sx;
		state->sxx += deviation * deviation / (state->n * before);
		if (likely(!isinf(state->sx) && !isinf(state->sxx)))
			continue;
		if (!isinf(sum) && !isinf(value))
			return false;
		state->sxx = get_float8_nan();
	}
	return true;
}

/* avg of floats, in double precision. */
static Datum
average_floats(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n, bool *isnull)
{
	FloatState	state;

	if (!accumulate_floats(aggregate, events, n, &state))
		return fs_aggregate_fail(row, isnull, OVERFLOW_MESSAGE);
	return Float8GetDatum(state.sx / state.n);
}

/* See aggregate.h. */
Datum
fs_aggregate_sum(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n, bool *isnull)
{
	FsType		type = fs_aggregate_column(row, aggregate)->column->type;
	int64		count = fs_aggregate_count(aggregate, events, n);

	*isnull = count == 0;
	if (count == 0)
		return (Datum) 0;
	if (!fs_type_is_float(type))
		return fs_aggregate_of_integers(aggregate, sum_integers(aggregate, events, n), count);
	if (fs_aggregate_what(aggregate) == FS_AGG_AVG)
		return average_floats(row, aggregate, events, n, isnull);
	return type == FS_TYPE_FLOAT4 ? sum_float4(row, aggregate, events, n, isnull) :
		sum_float8(row, aggregate, events, n, isnull);
}

/* See aggregate.h. */
Datum
fs_aggregate_variance(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n,
					  bool *isnull)
{
	FsAggKind	kind = fs_aggregate_what(aggregate);
	bool		is_sample = kind == FS_AGG_VAR_SAMP || kind == FS_AGG_STDDEV_SAMP;
	FloatState	state;
	double		variance;

	if (!accumulate_floats(aggregate, events, n, &state))
		return fs_aggregate_fail(row, isnull, OVERFLOW_MESSAGE);
	*isnull = state.n <= (is_sample ? 1 : 0);
	if (*isnull)
		return (Datum) 0;
	variance = state.sxx / (is_sample ? state.n - 1.0 : state.n);
	return Float8GetDatum(kind == FS_AGG_STDDEV_SAMP || kind == FS_AGG_STDDEV_POP ? sqrt(variance) : variance);
}
