/*
 * number.h
 *		JSON numbers, exactly: their grammar, and what they are as column values.
 *
 * A number is read once into a mantissa and a power of ten; each conversion
 * then works on these without floating point, so that 1700000000.123 seconds
 * is the microsecond it says.  All functions are total: whatever the digits and
 * exponents are, the answer is a value or a status, in time linear in the text.
 */
#ifndef FS_CORE_NUMBER_H
#define FS_CORE_NUMBER_H

#include "core/value.h"

/* The range of PostgreSQL's timestamptz, as FsTime: MIN <= t < END. */
#define FS_TIMESTAMP_MIN	INT64_C(-211813488000000000)
#define FS_TIMESTAMP_END	INT64_C(9223371331200000000)

/* The greatest written exponent, either sign, that a numeric column takes. */
#define FS_NUMERIC_MAX_EXPONENT 16383

typedef enum FsNumberStatus
{
	FS_NUMBER_OK = 0,
	FS_NUMBER_NOT_INTEGER,		/* a fraction, for an integer type */
	FS_NUMBER_OUT_OF_RANGE
} FsNumberStatus;

/*
 * One number, taken apart.  Its value is (mantissa + r) * 10^exponent with
 * 0 <= r < 1, negated if 'negative'; r > 0 exactly when 'is_cut', and then the
 * mantissa has 19 digits.  Exponents are kept within +-10^12, beyond all use.
 */
typedef struct FsNumber
{
	const char *text;			/* its first byte: a digit or '-' */
	size_t		len;
	uint64_t	mantissa;		/* the first 19 significant digits */
	int64_t		exponent;
	int64_t		written_exponent;	/* what stands after 'e', or 0 */
	int64_t		scale;			/* digits after the point, less the written exponent */
	bool		negative;
	bool		is_cut;
} FsNumber;

/*
 * Reads the longest number (RFC 8259) at 'p'.  Returns the first byte after
 * it, which the caller judges; or NULL when there is none, and number->len is
 * then how many bytes could have begun one.
 */
extern const char *fs_number_scan(const char *p, const char *end,
								  FsNumber *number);

/*
 * As a signed integer of 'bits' (16, 32, 64) bits: 1, 1.0 and 1e2 are
 * integers, 1.5 is not.
 */
extern FsNumberStatus fs_number_to_int(const FsNumber *number, int bits,
									   int64_t *result);

/*
 * As the nearest double or float (ties to even).  Out of range, as in
 * PostgreSQL, when that is infinite, or zero for a number that is not.
 */
extern FsNumberStatus fs_number_to_double(const FsNumber *number,
										  double *result);
extern FsNumberStatus fs_number_to_float(const FsNumber *number,
										 double *result);

/*
 * As a time: 'number' counts units of 10^-digits seconds (0: s, 3: ms, 6: us)
 * from the Unix epoch.  Digits finer than a microsecond are cut toward the
 * past, before 1970 as after it, so that equal spans stay equal spans.
 */
extern FsNumberStatus fs_number_to_time(const FsNumber *number, int digits,
										FsTime *result);

/*
 * Both at once for the plainest form: 8 to 18 digits, perhaps with a point among
 * them, neither sign nor exponent, nothing finer than a microsecond.  NULL for
 * anything else, which is not said to be wrong.
 */
extern const char *fs_number_scan_time(const char *p, const char *end, int digits,
									   FsTime *result);

/* Does PostgreSQL's numeric hold it (what jsonb needs of every number)? */
extern bool fs_number_fits_numeric(const FsNumber *number);

#endif							/* FS_CORE_NUMBER_H */
