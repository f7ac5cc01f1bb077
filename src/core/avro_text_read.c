/*
 * avro_text_read.c
 *		Values of Avro's logical types, read from text: the reverse of avro_text.c.
 *
 * Exact or not at all.  All functions take any text, in time that its length and
 * the precision bound.
 */
#include <string.h>

#include "core/avro_text.h"
#include "core/buffer.h"
#include "core/number.h"

#define WORDS		(FS_AVRO_DECIMAL_BYTES / 4)
#define MAX_DIGITS	1000		/* 1,000 decimal digits are 3,322 bits; the sign is one more */

/* words = words * factor + digit, the lowest word first; returns how many there are. */
static int
multiply_add(uint32_t *words, int n, uint32_t factor, uint32_t digit)
{
	uint64_t	carry = digit;

	for (int i = 0; i < n; i++)
	{
		carry += (uint64_t) words[i] * factor;
		words[i] = (uint32_t) carry;
		carry >>= 32;
	}
	if (carry > 0)
	{
		FS_ASSERT(n < WORDS);
		words[n++] = (uint32_t) carry;
	}
	return n;
}

/* Writes the words, negated if need be, as big-endian bytes without needless signs; how many. */
static size_t
store_words(char *out, const uint32_t *words, int n, bool negative)
{
	char		bytes[FS_AVRO_DECIMAL_BYTES + 1];
	size_t		len = 1 + 4 * (size_t) n;
	unsigned	carry = negative ? 1 : 0;
	size_t		first = 0;

	bytes[0] = 0;
	for (int i = 0; i < n; i++)
		for (int b = 0; b < 4; b++)
			bytes[len - 1 - (4 * (size_t) i + (size_t) b)] = (char) (words[i] >> (8 * b));
	for (size_t i = len; negative && i-- > 0;)
	{
		carry += (unsigned char) ~bytes[i];
		bytes[i] = (char) carry;
		carry >>= 8;
	}
	while (first + 1 < len && (bytes[first] == 0 || bytes[first] == (char) 0xFF) &&
		   ((bytes[first] ^ bytes[first + 1]) & 0x80) == 0)
		first++;
	FS_ASSERT(len - first <= FS_AVRO_DECIMAL_BYTES);
	memcpy(out, bytes + first, len - first);
	return len - first;
}

/*
 * The number's first and last digit that is not zero, and what power of ten the
 * last one counts; NULL: it is zero.
 */
static const char *
find_digits(const FsNumber *number, const char **last, int64_t *shift)
{
	const char *end = number->text + number->len;
	const char *first = NULL;
	bool		is_fraction = false;

	*last = NULL;
	for (const char *p = number->text; p < end && *p != 'e' && *p != 'E'; p++)
		if (*p >= '1' && *p <= '9')
		{
			first = first == NULL ? p : first;
			*last = p;
		}
	*shift = number->written_exponent;
	for (const char *p = number->text; first != NULL && p < end && *p != 'e' && *p != 'E'; p++)
	{
		if (*p == '.')
			is_fraction = true;
		else if (!is_fraction && p > *last)
			*shift += 1;
		else if (is_fraction && p <= *last)
			*shift -= 1;
	}
	return first;
}

/* See avro_text.h. */
size_t
fs_avro_read_decimal(char *out, const char *text, size_t len, int precision, int scale)
{
	FsNumber	number;
	uint32_t	words[WORDS + 1] = {0};
	const char *first;
	const char *last;
	int64_t		shift;
	int64_t		digits = 0;
	int			n = 0;

	if (len == 0 || precision > MAX_DIGITS || fs_number_scan(text, text + len, &number) != text + len)
		return 0;
	first = find_digits(&number, &last, &shift);
	if (first == NULL)
	{
		out[0] = 0;
		return 1;
	}
	shift += scale;
	for (const char *p = first; p <= last && digits <= MAX_DIGITS; p++)
		digits += *p != '.';
	if (shift < 0 || shift > precision || digits + shift > precision)
		return 0;
	for (const char *p = first; p <= last; p++)
		if (*p != '.')
			n = multiply_add(words, n, 10, (uint32_t) (*p - '0'));
	while (shift-- > 0)
		n = multiply_add(words, n, 10, 0);
	return store_words(out, words, n, number.negative);
}

/* Takes a number of 32 bits that 'end' stands behind. */
static bool
take_number(const char **p, const char *limit, char end, uint64_t *value)
{
	const char *begin = *p;

	*value = 0;
	while (*p < limit && **p >= '0' && **p <= '9' && *value <= UINT32_MAX)
		*value = *value * 10 + (uint64_t) (*(*p)++ - '0');
	return *p > begin && *value <= UINT32_MAX && *p < limit && *(*p)++ == end;
}

/* See avro_text.h. */
bool
fs_avro_read_duration(char *out, const char *text, size_t len)
{
	const char *p = text;
	const char *limit = text + len;
	uint64_t	months;
	uint64_t	days;
	uint64_t	seconds;
	uint64_t	millis;

	if (len == 0 || *p++ != 'P' || !take_number(&p, limit, 'M', &months) ||
		!take_number(&p, limit, 'D', &days) || p == limit || *p++ != 'T' ||
		!take_number(&p, limit, '.', &seconds) || limit - p != 4 || !take_number(&p, limit, 'S', &millis))
		return false;
	millis += 1000 * seconds;
	if (millis > UINT32_MAX)
		return false;
	fs_put_le32(out, (uint32_t) months);
	fs_put_le32(out + 4, (uint32_t) days);
	fs_put_le32(out + 8, (uint32_t) millis);
	return true;
}
