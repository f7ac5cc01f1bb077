/*
 * avro_text.c
 *		Values of Avro's logical types, written as text.
 */
#include "core/avro_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"

#define WORDS		(FS_AVRO_DECIMAL_BYTES / 4)
#define CHUNK		UINT64_C(1000000000)	/* nine digits at a time */
#define SECONDS_A_DAY	86400

/* Bytes that only repeat the sign are left out. */
static void
trim_sign(const char **bytes, size_t *len)
{
	while (*len > 1)
	{
		unsigned char first = (unsigned char) (*bytes)[0];
		bool		next_negative = ((*bytes)[1] & 0x80) != 0;

		if ((first != 0xFF || !next_negative) && (first != 0 || next_negative))
			break;
		++*bytes;
		--*len;
	}
}

/* The magnitude of a two's complement number as words, the lowest first; how many. */
static int
load_magnitude(uint32_t *words, const char *bytes, size_t len, bool negative)
{
	int			n = 0;
	uint64_t	carry = negative ? 1 : 0;

	for (size_t end = len; end > 0; end = end > 4 ? end - 4 : 0)
	{
		uint32_t	word = 0;

		for (size_t i = end > 4 ? end - 4 : 0; i < end; i++)
			word = word << 8 | (unsigned char) bytes[i];
		if (negative)
		{
			if (end < 4)
				word |= UINT32_MAX << (8 * end);
			carry += (uint32_t) ~word;
			word = (uint32_t) carry;
			carry >>= 32;
		}
		words[n++] = word;
	}
	if (carry > 0)
		words[n++] = (uint32_t) carry;
	return n;
}

/* Writes the decimal digits of the words at the end of 'room'; how many.  The words are used up. */
static size_t
write_digits(char *room, size_t size, uint32_t *words, int n)
{
	size_t		count = 0;

	while (n > 0)
	{
		uint64_t	rest = 0;

		for (int i = n - 1; i >= 0; i--)
		{
			uint64_t	value = rest << 32 | words[i];

			words[i] = (uint32_t) (value / CHUNK);
			rest = value % CHUNK;
		}
		while (n > 0 && words[n - 1] == 0)
			n--;
		for (int i = 0; i < 9 && (n > 0 || rest > 0); i++)
		{
			room[size - ++count] = (char) ('0' + rest % 10);
			rest /= 10;
		}
	}
	FS_ASSERT(count <= size);
	return count;
}

/* See avro_text.h. */
size_t
fs_avro_write_decimal(char *out, const char *bytes, size_t len, int scale)
{
	char		room[FS_AVRO_DECIMAL_TEXT / 2];
	uint32_t	words[WORDS + 2];
	bool		negative = len > 0 && (bytes[0] & 0x80) != 0;
	size_t		count;
	const char *digits;
	char	   *p = out;

	trim_sign(&bytes, &len);
	if (len > FS_AVRO_DECIMAL_BYTES || scale > 1000)
		return 0;
	count = write_digits(room, sizeof(room), words, load_magnitude(words, bytes, len, negative));
	digits = room + sizeof(room) - count;
	if (negative)
		*p++ = '-';
	if (count <= (size_t) scale)
	{
		*p++ = '0';
		if (scale > 0)
			*p++ = '.';
		memset(p, '0', (size_t) scale - count);
		p += (size_t) scale - count;
	}
	else
	{
		memcpy(p, digits, count - (size_t) scale);
		p += count - (size_t) scale;
		digits += count - (size_t) scale;
		count = (size_t) scale;
		if (scale > 0)
			*p++ = '.';
	}
	memcpy(p, digits, count);
	return (size_t) (p + count - out);
}

/* See avro_text.h.  A locale's decimal comma is not JSON's. */
size_t
fs_avro_write_double(char *out, double value, bool is_float)
{
	char		text[FS_AVRO_SHORT_TEXT];
	int			digits = is_float ? 6 : 15;
	int			most = is_float ? 9 : 17;
	int			len;

	if (!isfinite(value))
		return 0;
	for (;; digits++)
	{
		len = snprintf(text, sizeof(text), "%.*g", digits, value);
		if (digits == most ||
			(is_float ? strtof(text, NULL) == (float) value : strtod(text, NULL) == value))
			break;
	}
	for (int i = 0; i < len; i++)
		out[i] = strchr("0123456789+-e", text[i]) != NULL ? text[i] : '.';
	return (size_t) len;
}

/* See avro_text.h. */
size_t
fs_avro_write_duration(char *out, const char *bytes)
{
	char		text[FS_AVRO_SHORT_TEXT];
	uint32_t	millis = fs_get_le32(bytes + 8);
	int			len = snprintf(text, sizeof(text), "P%" PRIu32 "M%" PRIu32 "DT%" PRIu32 ".%03" PRIu32 "S",
							   fs_get_le32(bytes), fs_get_le32(bytes + 4), millis / 1000, millis % 1000);

	memcpy(out, text, (size_t) len);
	return (size_t) len;
}

static int64_t
power_of_ten(int digits)
{
	return digits == 3 ? 1000 : digits == 6 ? 1000000 : 1000000000;
}

/* See avro_text.h. */
size_t
fs_avro_write_time(char *out, int64_t value, int digits)
{
	char		text[FS_AVRO_SHORT_TEXT];
	int64_t		units = power_of_ten(digits);
	int			seconds = (int) (value / units);
	int			len;

	if (value < 0 || value >= SECONDS_A_DAY * units)
		return 0;
	len = snprintf(text, sizeof(text), "%02d:%02d:%02d.%0*d", seconds / 3600, seconds / 60 % 60,
				   seconds % 60, digits, (int) (value % units));
	memcpy(out, text, (size_t) len);
	return (size_t) len;
}

/* See avro_text.h.  Years begin in March here. */
void
fs_civil_date(int64_t days, int64_t *year, int *month, int *day)
{
	int64_t		since = days + 719468;	/* from 0000-03-01 */
	int64_t		era = (since >= 0 ? since : since - 146096) / 146097;
	int			day_of_era = (int) (since - era * 146097);
	int			year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	int			day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int			m = (5 * day_of_year + 2) / 153;

	*month = m < 10 ? m + 3 : m - 9;
	*day = day_of_year - (153 * m + 2) / 5 + 1;
	*year = year_of_era + era * 400 + (*month <= 2);
}

/* See avro_text.h. */
size_t
fs_avro_write_date(char *out, int64_t days)
{
	char		text[FS_AVRO_SHORT_TEXT];
	int64_t		year;
	int			month;
	int			day;
	int			len;

	fs_civil_date(days, &year, &month, &day);
	len = snprintf(text, sizeof(text), "%s%04" PRId64 "-%02d-%02d", year < 0 ? "-" : "",
				   year < 0 ? -year : year, month, day);
	memcpy(out, text, (size_t) len);
	return (size_t) len;
}

/* See avro_text.h. */
size_t
fs_avro_write_timestamp(char *out, int64_t value, int digits, bool is_utc)
{
	int64_t		a_day = SECONDS_A_DAY * power_of_ten(digits);
	int64_t		days = value / a_day - (value % a_day < 0);
	int64_t		rest = value % a_day + (value % a_day < 0 ? a_day : 0);
	size_t		len = fs_avro_write_date(out, days);

	out[len++] = 'T';
	len += fs_avro_write_time(out + len, rest, digits);
	if (is_utc)
		out[len++] = 'Z';
	return len;
}

/* See avro_text.h. */
size_t
fs_avro_write_uuid(char *out, const char *bytes)
{
	static const char hex[] = "0123456789abcdef";
	char	   *p = out;

	for (int i = 0; i < 16; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = hex[(unsigned char) bytes[i] >> 4];
		*p++ = hex[bytes[i] & 15];
	}
	return (size_t) (p - out);
}
