/*
 * number.c
 *		JSON numbers, exactly: their grammar, and what they are as column values.
 *
 * The scan takes eight digits at a time and lets the accumulator wrap; only a
 * number of more than 19 digits is then read again, slowly.  Nothing here looks
 * at the locale: strtod, the last resort, is given digits and an exponent but
 * never a decimal point.
 */
#include "core/number.h"

#include <assert.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

#define MANTISSA_DIGITS	19		/* 10^19 < 2^64 */
#define EXPONENT_LIMIT	INT64_C(1000000000000)

/* Digits that can matter to a correctly rounded double: 767, and some. */
#define FLOAT_DIGITS	800

/* What numeric stores: see NUMERIC_WEIGHT_MAX, NUMERIC_DSCALE_MAX in numeric.c. */
#define NUMERIC_MAX_LEADING	131072
#define NUMERIC_MAX_SCALE	16383
#define NUMERIC_MAX_EXPONENT	1000000000	/* of zero; about INT_MAX / 2 */

static const uint64_t power_of_ten[MANTISSA_DIGITS + 1] = {
	UINT64_C(1), UINT64_C(10), UINT64_C(100), UINT64_C(1000),
	UINT64_C(10000), UINT64_C(100000), UINT64_C(1000000),
	UINT64_C(10000000), UINT64_C(100000000), UINT64_C(1000000000),
	UINT64_C(10000000000), UINT64_C(100000000000),
	UINT64_C(1000000000000), UINT64_C(10000000000000),
	UINT64_C(100000000000000), UINT64_C(1000000000000000),
	UINT64_C(10000000000000000), UINT64_C(100000000000000000),
	UINT64_C(1000000000000000000), UINT64_C(10000000000000000000)
};

/* Times, from the Unix epoch on, that certainly are in range: below this many units of 10^(n-6) s. */
#define TIME_LIMIT(unit) (((uint64_t) FS_TIMESTAMP_END + (uint64_t) -FS_UNIX_EPOCH) / (unit))
static const uint64_t time_limit[] = {
	TIME_LIMIT(1), TIME_LIMIT(10), TIME_LIMIT(100), TIME_LIMIT(1000),
	TIME_LIMIT(10000), TIME_LIMIT(100000), TIME_LIMIT(1000000)
};

static inline bool
is_digit(char c)
{
	return (unsigned char) (c - '0') < 10;
}

/* The number of eight digit values, first digit in the lowest byte. */
static inline uint64_t
join_digits(uint64_t digits)
{
	digits = digits * 10 + (digits >> 8);
	digits = ((digits & UINT64_C(0x000000FF000000FF)) *
			  UINT64_C(0x000F424000000064) +
			  ((digits >> 16) & UINT64_C(0x000000FF000000FF)) *
			  UINT64_C(0x0000271000000001)) >> 32;
	return digits;
}

/*
 * Which of eight bytes are no digits: the sign bit of such a byte is set in the
 * result, for the first of them at least.  A byte is a digit when, with the bits
 * of '0' flipped, adding 0x76 does not reach the sign bit; a carry out of a byte
 * only disturbs bytes after the first that is none.
 */
static inline uint64_t
find_others(uint64_t flipped)
{
	return ((flipped + UINT64_C(0x7676767676767676)) | flipped) & UINT64_C(0x8080808080808080);
}

/*
 * Appends the digits at 'p' to *value, which wraps when they are too many, and
 * returns the first byte that is none.  Eight bytes are looked at at a time; the
 * last of the record by way of the eight it ends with, where those begin at
 * 'floor' or later.  Bytes behind the end are 0 then, which is no digit.
 */
static inline const char *
take_digits(const char *floor, const char *p, const char *end, uint64_t *value)
{
	while (end - p >= 8 || (p < end && end - floor >= 8))
	{
		uint64_t	word;
		uint64_t	others;
		int			n;

		if (end - p >= 8)
			word = fs_utf8_load(p);
		else
			word = fs_utf8_load(end - 8) >> (64 - 8 * (end - p));
		word ^= UINT64_C(0x3030303030303030);
		others = find_others(word);
		if (others == 0)
		{
			*value = *value * 100000000 + join_digits(word);
			p += 8;
			continue;
		}
		n = __builtin_ctzll(others) / 8;
		if (n > 0)
			*value = *value * power_of_ten[n] +
				join_digits(word << (64 - 8 * n));
		return p + n;
	}
	while (p < end && is_digit(*p))
		*value = *value * 10 + (uint64_t) (*p++ - '0');
	return p;
}

/*
 * Reads what follows an 'e': sign and digits, at least one.  The value stops
 * growing at EXPONENT_LIMIT.  NULL, and *stop where it went wrong, when it is
 * no exponent.
 */
static const char *
scan_exponent(const char *p, const char *end, int64_t *exponent,
			  const char **stop)
{
	bool		negative = false;
	int64_t		value = 0;

	if (p < end && (*p == '-' || *p == '+'))
		negative = *p++ == '-';
	if (p == end || !is_digit(*p))
	{
		*stop = p;
		return NULL;
	}
	for (; p < end && is_digit(*p); p++)
	{
		value = value * 10 + (*p - '0');
		if (value > EXPONENT_LIMIT)
			value = EXPONENT_LIMIT;
	}
	*exponent = negative ? -value : value;
	return p;
}

/*
 * Reads the mantissa again, digit by digit, for a number with more than 19
 * digits: 'exponent' is still that of the last digit written.
 */
static void
rescan_mantissa(FsNumber *number)
{
	const char *p = number->text + (number->negative ? 1 : 0);
	const char *end = number->text + number->len;
	int			taken = 0;

	number->mantissa = 0;
	for (; p < end && (is_digit(*p) || *p == '.'); p++)
	{
		if (*p == '.' || (taken == 0 && *p == '0'))
			continue;
		if (taken < MANTISSA_DIGITS)
		{
			number->mantissa = number->mantissa * 10 + (uint64_t) (*p - '0');
			taken++;
		}
		else
		{
			number->exponent++;
			number->is_cut |= *p != '0';
		}
	}
	assert(!number->is_cut || number->mantissa >= power_of_ten[18]);
}

/* See number.h. */
const char *
fs_number_scan(const char *p, const char *end, FsNumber *number)
{
	const char *whole;
	const char *start;
	ptrdiff_t	digits;

	number->text = p;
	number->mantissa = 0;
	number->written_exponent = 0;
	number->scale = 0;
	number->is_cut = false;
	number->negative = p < end && *p == '-';
	if (number->negative)
		p++;

	start = whole = p;
	p = take_digits(number->text, p, end, &number->mantissa);
	digits = p - whole;
	if (digits == 0)
		goto broken;
	if (digits > 1 && *whole == '0')
	{
		p = whole + 1;			/* no leading zeros */
		goto broken;
	}
	if (p < end && *p == '.')
	{
		start = ++p;
		p = take_digits(number->text, p, end, &number->mantissa);
		if (p == start)
			goto broken;
		number->scale = p - start;
		digits += p - start;
	}
	if (p < end && (*p == 'e' || *p == 'E'))
	{
		p = scan_exponent(p + 1, end, &number->written_exponent, &start);
		if (p == NULL)
		{
			p = start;
			goto broken;
		}
		number->scale -= number->written_exponent;
	}
	number->exponent = -number->scale;
	number->len = (size_t) (p - number->text);
	if (digits > MANTISSA_DIGITS)
		rescan_mantissa(number);
	return p;

broken:
	number->len = (size_t) (p - number->text);
	return NULL;
}

/*
 * The whole part of |number| * 10^shift; *is_exact tells whether that is all
 * of it.  False when it does not fit 64 bits (or has 20 digits of which we do
 * not know the last, which no caller can use).
 */
static bool
scale_magnitude(const FsNumber *number, int shift, uint64_t *magnitude,
				bool *is_exact)
{
	int64_t		exponent = number->exponent + shift;
	uint64_t	mantissa = number->mantissa;

	*is_exact = !number->is_cut;
	*magnitude = mantissa;
	if (mantissa == 0 || exponent == 0)
		return true;
	if (exponent > 0)
		return exponent <= MANTISSA_DIGITS && !number->is_cut &&
			!__builtin_mul_overflow(mantissa, power_of_ten[exponent],
									magnitude);
	if (exponent < -MANTISSA_DIGITS)
	{
		*magnitude = 0;
		*is_exact = false;
		return true;
	}
	*magnitude = mantissa / power_of_ten[-exponent];
	*is_exact &= mantissa % power_of_ten[-exponent] == 0;
	return true;
}

/* See number.h. */
FsNumberStatus
fs_number_to_int(const FsNumber *number, int bits, int64_t *result)
{
	uint64_t	limit = UINT64_C(1) << (bits - 1);
	uint64_t	magnitude;
	bool		is_exact;

	if (!scale_magnitude(number, 0, &magnitude, &is_exact))
		return FS_NUMBER_OUT_OF_RANGE;
	if (!number->negative)
		limit--;
	if (magnitude > limit)
		return FS_NUMBER_OUT_OF_RANGE;
	if (!is_exact)
		return FS_NUMBER_NOT_INTEGER;
	*result = (int64_t) (number->negative ? -magnitude : magnitude);
	return FS_NUMBER_OK;
}

/* See number.h. */
FsNumberStatus
fs_number_to_time(const FsNumber *number, int digits, FsTime *result)
{
	uint64_t	from_unix_to_min = (uint64_t) (FS_UNIX_EPOCH - FS_TIMESTAMP_MIN);
	uint64_t	from_unix_to_end = (uint64_t) FS_TIMESTAMP_END +
		(uint64_t) -FS_UNIX_EPOCH;
	uint64_t	magnitude;
	bool		is_exact;

	if (!scale_magnitude(number, 6 - digits, &magnitude, &is_exact))
		return FS_NUMBER_OUT_OF_RANGE;
	if (!number->negative)
	{
		if (magnitude >= from_unix_to_end)
			return FS_NUMBER_OUT_OF_RANGE;
		/* the sum may pass 2^63 before the epoch's difference is taken off */
		*result = (FsTime) (magnitude - (uint64_t) -FS_UNIX_EPOCH);
		return FS_NUMBER_OK;
	}
	if (magnitude > from_unix_to_min ||
		(magnitude == from_unix_to_min && !is_exact))
		return FS_NUMBER_OUT_OF_RANGE;
	*result = FS_UNIX_EPOCH - (FsTime) magnitude - (is_exact ? 0 : 1);
	return FS_NUMBER_OK;
}

/*
 * See number.h.  After the first eight, digits are taken one by one: a producer's
 * times all have as many, so that every branch is foreseen.  That the last byte
 * is no digit ends the loops; too many digits are found out afterwards.
 */
const char *
fs_number_scan_time(const char *p, const char *end, int digits, FsTime *result)
{
	const char *start = p;
	const char *point;
	uint64_t	value;
	uint64_t	word;
	unsigned	digit;
	int			exponent = 6 - digits;

	if (end - p <= 8 || *p == '0' || is_digit(end[-1]))
		return NULL;
	word = fs_utf8_load(p) ^ UINT64_C(0x3030303030303030);
	if (find_others(word) != 0)
		return NULL;
	value = join_digits(word);
	for (p += 8; (digit = (unsigned char) *p - (unsigned) '0') <= 9; p++)
		value = value * 10 + digit;
	if (*p == '.')
	{
		point = p;
		if (end - p == 1)
			return NULL;
		for (p++; (digit = (unsigned char) *p - (unsigned) '0') <= 9; p++)
			value = value * 10 + digit;
		exponent -= (int) (p - point) - 1;
		if (p == point + 1)
			return NULL;
	}
	if (p - start > MANTISSA_DIGITS || (*p | 0x20) == 'e' || exponent < 0 ||
		value >= time_limit[exponent])
		return NULL;
	*result = (FsTime) (value * power_of_ten[exponent] - (uint64_t) -FS_UNIX_EPOCH);
	return p;
}

/* See number.h. */
bool
fs_number_fits_numeric(const FsNumber *number)
{
	int64_t		leading = number->exponent;

	if (number->scale > NUMERIC_MAX_SCALE)
		return false;
	if (number->mantissa == 0)
		return number->written_exponent <= NUMERIC_MAX_EXPONENT;
	for (uint64_t m = number->mantissa; m > 0; m /= 10)
		leading++;
	return leading <= NUMERIC_MAX_LEADING;
}

/*
 * Writes the absolute value as digits and an exponent, for strtod: no point,
 * and no more digits than can matter, a last '1' standing for all the rest.
 */
static void
write_digits(const FsNumber *number, char *out, size_t size)
{
	const char *p = number->text + (number->negative ? 1 : 0);
	const char *end = number->text + number->len;
	int64_t		exponent = number->exponent + MANTISSA_DIGITS;
	bool		has_rest = false;
	int			taken = 0;

	assert(size > FLOAT_DIGITS + 32);
	if (!number->is_cut)
	{
		taken = snprintf(out, size, "%" PRIu64, number->mantissa);
		exponent = number->exponent;
	}
	else
	{
		for (; p < end && (is_digit(*p) || *p == '.'); p++)
		{
			if (*p == '.' || (taken == 0 && *p == '0'))
				continue;
			if (taken < FLOAT_DIGITS)
				out[taken++] = *p;
			else if (*p != '0')
				has_rest = true;
		}
		if (has_rest)
			out[taken++] = '1';
		exponent -= taken;
	}
	if (exponent > 100000)
		exponent = 100000;
	if (exponent < -100000)
		exponent = -100000;
	snprintf(out + taken, size - (size_t) taken, "e%" PRId64, exponent);
}

/*
 * |number| as a double where two exact operands make one rounding: a mantissa
 * below 2^53 and a power of ten up to 10^22.  False when it is not that simple.
 */
static bool
simple_double(const FsNumber *number, double *result)
{
	static const double powers[] = {
		1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
		1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
	};

	if (FLT_EVAL_METHOD != 0 || number->is_cut ||
		number->mantissa > (UINT64_C(1) << 53) ||
		number->exponent < -22 || number->exponent > 22)
		return false;
	*result = (double) number->mantissa;
	if (number->exponent < 0)
		*result /= powers[-number->exponent];
	else
		*result *= powers[number->exponent];
	return true;
}

/* Gives 'magnitude' the number's sign, or says that it is out of range. */
static FsNumberStatus
finish_float(const FsNumber *number, double magnitude, double *result)
{
	if (isinf(magnitude) || (magnitude == 0 && number->mantissa != 0))
		return FS_NUMBER_OUT_OF_RANGE;
	*result = number->negative ? -magnitude : magnitude;
	return FS_NUMBER_OK;
}

/* See number.h. */
FsNumberStatus
fs_number_to_double(const FsNumber *number, double *result)
{
	char		digits[FLOAT_DIGITS + 64];
	double		magnitude;

	if (!simple_double(number, &magnitude))
	{
		write_digits(number, digits, sizeof(digits));
		magnitude = strtod(digits, NULL);
	}
	return finish_float(number, magnitude, result);
}

/*
 * See number.h.  Rounding the double again is right unless it lies half-way
 * between two floats, where the first rounding may have decided wrongly.
 */
FsNumberStatus
fs_number_to_float(const FsNumber *number, double *result)
{
	char		digits[FLOAT_DIGITS + 64];
	double		magnitude;
	uint64_t	bits;

	if (simple_double(number, &magnitude))
	{
		memcpy(&bits, &magnitude, sizeof(bits));
		if (magnitude == 0 ||
			(magnitude >= (double) FLT_MIN && magnitude < (double) FLT_MAX &&
			 (bits & UINT64_C(0x1FFFFFFF)) != UINT64_C(0x10000000)))
			return finish_float(number, (double) (float) magnitude, result);
	}
	write_digits(number, digits, sizeof(digits));
	return finish_float(number, (double) strtof(digits, NULL), result);
}
