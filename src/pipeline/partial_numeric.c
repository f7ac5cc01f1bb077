/*
 * partial_numeric.c
 *		Exact sums of integers and decimals, and of their squares; see partial.h.
 *
 * A record holds sums in units of the last digit, as whole numbers.  For a
 * result they are put into the form in which PostgreSQL's own aggregate hands
 * its state to a parallel worker; its functions do the rest, so that scale and
 * rounding are theirs.  That form is, as PostgreSQL 15's numeric.c writes it,
 *
 *		int8	count
 *		number	sum
 *		number	sum of squares, but not of sum() and avg()
 *		int4	most digits behind a point		these five not where the numbers
 *		int8	values that have as many		are smallint or integer
 *		int8	NaNs; Infinities; -Infinities
 *
 * A number is its count of digits, weight, sign and scale (int4 each), and then
 * its digits to the base of 10,000 (int2): numeric_send() with wider heads.
 * Values that do not fit go in one by one.
 */
#include "postgres.h"

#include "common/int.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "pipeline/aggregate.h"
#include "pipeline/partial.h"
#include "pipeline/values.h"

#define MAX_SCALE 18			/* what fs_decimal_read() gives */

/* 10 to the power of 'exponent', at most MAX_SCALE. */
static int64
power_of_ten(int exponent)
{
	int64		power = 1;

	Assert(exponent >= 0 && exponent <= MAX_SCALE);
	while (exponent-- > 0)
		power *= 10;
	return power;
}

static inline int128
get_squares(const FsCell *cells)
{
	return (int128) ((uint128) (uint64) cells[FS_DECIMAL_SQUARES_HIGH].i << 64 |
					 (uint64) cells[FS_DECIMAL_SQUARES_LOW].i);
}

static inline void
set_squares(FsCell *cells, int128 squares)
{
	cells[FS_DECIMAL_SQUARES_LOW].i = (int64) (uint64) squares;
	cells[FS_DECIMAL_SQUARES_HIGH].i = (int64) (squares >> 64);
}

/* Gives the sums more digits behind the point; false when they do not fit then. */
static bool
raise_scale(FsCell *cells, bool has_squares, int scale)
{
	int64		factor = power_of_ten(scale - (int) cells[FS_DECIMAL_SCALE].i);
	int128		squares;

	cells[FS_DECIMAL_SCALE].i = scale;
	if (factor == 1)
		return true;
	if (pg_mul_s64_overflow(cells[FS_DECIMAL_SUM].i, factor, &cells[FS_DECIMAL_SUM].i))
		return false;
	if (!has_squares)
		return true;
	squares = get_squares(cells);
	if (__builtin_mul_overflow(squares, (int128) factor * factor, &squares))
		return false;
	set_squares(cells, squares);
	return true;
}

/* See partial.h; what is refused leaves the cells spoilt. */
bool
fs_partial_add_decimal(FsCell *cells, bool has_squares, int64 digits, int scale)
{
	int128		squares;

	if (scale > cells[FS_DECIMAL_SCALE].i)
	{
		if (!raise_scale(cells, has_squares, scale))
			return false;
	}
	else if (pg_mul_s64_overflow(digits, power_of_ten((int) cells[FS_DECIMAL_SCALE].i - scale), &digits))
		return false;
	if (pg_add_s64_overflow(cells[FS_DECIMAL_SUM].i, digits, &cells[FS_DECIMAL_SUM].i))
		return false;
	cells[FS_DECIMAL_COUNT].i++;
	if (!has_squares)
		return true;
	if (__builtin_add_overflow(get_squares(cells), (int128) digits * digits, &squares))
		return false;
	set_squares(cells, squares);
	return true;
}

/* A sum over records, by scale; what does not fit 128 bits any more is in 'more'. */
typedef struct DecimalSum
{
	int128		units[2 * MAX_SCALE + 1];	/* by scale */
	bool		used[2 * MAX_SCALE + 1];
	Numeric		more;			/* NULL: nothing */
} DecimalSum;

/* Adds a numeric to what there is of one; in the current context. */
static void
add_numeric(DecimalSum *sum, Numeric value)
{
	sum->more = sum->more == NULL ? value :
		DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(sum->more), NumericGetDatum(value)));
}

/* The sum's part of one scale as a numeric of that scale. */
static Numeric
numeric_of_units(int128 units, int scale)
{
	char		text[64];
	char	   *p = text + sizeof(text);
	bool		negative = units < 0;
	int			n = 0;

	*--p = '\0';
	do
	{
		int			digit = (int) (units % 10);

		if (n == scale && scale > 0)
			*--p = '.';
		*--p = '0' + (digit < 0 ? -digit : digit);
		units /= 10;
		n++;
	} while (units != 0 || n <= scale);
	if (negative)
		*--p = '-';
	Assert(p >= text);
	return DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(p), ObjectIdGetDatum(InvalidOid),
											   Int32GetDatum(-1)));
}

/* Adds the sum of one record. */
static void
add_units(DecimalSum *sum, int128 units, int scale)
{
	Assert(scale >= 0 && scale <= 2 * MAX_SCALE);
	if (__builtin_add_overflow(sum->units[scale], units, &sum->units[scale]))
	{
		/* The addition has wrapped around: take it back, and begin again. */
		add_numeric(sum, numeric_of_units((int128) ((uint128) sum->units[scale] - (uint128) units), scale));
		sum->units[scale] = units;
	}
	sum->used[scale] = true;
}

/* All of a sum as one numeric, whose scale is the greatest of its parts. */
static Numeric
total_of(DecimalSum *sum)
{
	for (int scale = 0; scale <= 2 * MAX_SCALE; scale++)
		if (sum->used[scale])
			add_numeric(sum, numeric_of_units(sum->units[scale], scale));
	Assert(sum->more != NULL);
	return sum->more;
}

/* Writes a number as numeric.c does in a state. */
static void
send_number(StringInfo out, Numeric value)
{
	bytea	   *sent = DatumGetByteaPP(DirectFunctionCall1(numeric_send, NumericGetDatum(value)));
	StringInfoData in;
	int			ndigits;

	in.data = VARDATA_ANY(sent);
	in.len = in.maxlen = VARSIZE_ANY_EXHDR(sent);
	in.cursor = 0;
	ndigits = pq_getmsgint(&in, 2);
	pq_sendint32(out, ndigits);
	pq_sendint32(out, (int16) pq_getmsgint(&in, 2));	/* weight */
	pq_sendint32(out, pq_getmsgint(&in, 2));	/* sign */
	pq_sendint32(out, pq_getmsgint(&in, 2));	/* scale */
	pq_sendbytes(out, in.data + in.cursor, in.len - in.cursor);
}

/* A state without values that do not fit, in the current context; see the header comment. */
static bytea *
make_state(const FsAggregate *aggregate, int64 count, DecimalSum *sum, DecimalSum *squares)
{
	StringInfoData out;

	Assert(count > 0);
	pq_begintypsend(&out);
	pq_sendint64(&out, count);
	send_number(&out, total_of(sum));
	if (aggregate->partial_kind == FS_PARTIAL_MOMENTS)
		send_number(&out, total_of(squares));
	if (aggregate->input_type == INT8OID || aggregate->input_type == NUMERICOID)
	{
		pq_sendint32(&out, 0);	/* of no use when nothing is taken back */
		pq_sendint64(&out, count);
		for (int i = 0; i < 3; i++)
			pq_sendint64(&out, 0);
	}
	return pq_endtypsend(&out);
}

/* See partial.h. */
Datum
fs_partial_compute_decimal(FsRow *row, const FsAggregate *aggregate,
						   const FsRingEvent **records, int n, bool *isnull)
{
	bool		has_squares = aggregate->partial_kind == FS_PARTIAL_MOMENTS;
	DecimalSum	sum = {{0}};
	DecimalSum	squares = {{0}};
	Datum	   *values = NULL;
	int			nvalues = 0;
	int64		count = 0;

	for (int i = 0; i < n; i++)
	{
		const FsCell *cells = &records[i]->cells[aggregate->partial];
		int			scale = (int) cells[FS_DECIMAL_SCALE].i;

		if (cells[FS_DECIMAL_COUNT].i == 0)
			continue;
		if (!cells[FS_DECIMAL_CODE].isnull)
		{
			values = values == NULL ? palloc(sizeof(Datum) * n) : values;
			values[nvalues++] = fs_cell_datum(row, fs_aggregate_column(row, aggregate), &cells[FS_DECIMAL_CODE], isnull);
			if (row->stale)
				return (Datum) 0;
			continue;
		}
		count += cells[FS_DECIMAL_COUNT].i;
		add_units(&sum, cells[FS_DECIMAL_SUM].i, scale);
		if (has_squares)
			add_units(&squares, get_squares(cells), 2 * scale);
	}
	return fs_aggregate_call_state(row, aggregate, count > 0 ? make_state(aggregate, count, &sum, &squares) : NULL,
								   values, nvalues, isnull);
}
