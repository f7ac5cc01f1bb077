/*
 * time_text.c
 *		Times and dates written as text: ISO 8601 as RFC 3339 narrows it.
 *
 * All years that can be written lie within PostgreSQL's range with any zone, so
 * that a text is a time or is not; there is no "out of range" here.
 */
#include "core/time_text.h"

#include <assert.h>

#define MAX_ZONE_HOURS	23		/* RFC 3339's bound */

/* Text being read; each take_ function moves 'p' on when it succeeds. */
typedef struct Cursor
{
	const char *p;
	const char *end;
} Cursor;

/* Takes exactly 'count' digits. */
static bool
take_number(Cursor *cursor, int count, int *result)
{
	int			value = 0;

	if (cursor->end - cursor->p < count)
		return false;
	for (int i = 0; i < count; i++)
	{
		unsigned char digit = (unsigned char) (cursor->p[i] - '0');

		if (digit > 9)
			return false;
		value = value * 10 + digit;
	}
	cursor->p += count;
	*result = value;
	return true;
}

/* Takes one character if it is 'c'. */
static bool
take_char(Cursor *cursor, char c)
{
	if (cursor->p == cursor->end || *cursor->p != c)
		return false;
	cursor->p++;
	return true;
}

static bool
is_leap_year(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/*
 * Days from 2000-01-01 to a date of the proleptic Gregorian calendar: years
 * begin in March here, so that the leap day is a year's last.
 */
static int64_t
days_of_date(int year, int month, int day)
{
	int			y = month <= 2 ? year - 1 : year;
	int			m = month <= 2 ? month + 9 : month - 3;
	int64_t		days;

	assert(year >= 1 && year <= 9999);
	days = INT64_C(365) * y + y / 4 - y / 100 + y / 400;
	days += (153 * m + 2) / 5 + day - 1;
	return days - 730425;		/* 2000-01-01, counted so from 0000-03-01 */
}

/* Takes YYYY-MM-DD. */
static bool
take_date(Cursor *cursor, int64_t *days)
{
	static const int month_days[] = {
		31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31
	};
	int			year;
	int			month;
	int			day;
	int			last;

	if (!take_number(cursor, 4, &year) || !take_char(cursor, '-') ||
		!take_number(cursor, 2, &month) || !take_char(cursor, '-') ||
		!take_number(cursor, 2, &day))
		return false;
	if (year < 1 || month < 1 || month > 12)
		return false;
	last = month_days[month - 1];
	if (month == 2 && is_leap_year(year))
		last++;
	if (day < 1 || day > last)
		return false;
	*days = days_of_date(year, month, day);
	return true;
}

/* Takes a fraction's digits, at least one, and keeps microseconds. */
static bool
take_fraction(Cursor *cursor, int64_t *microseconds)
{
	const char *start = cursor->p;
	int64_t		unit = FS_USEC_PER_SEC / 10;
	int			digit;

	*microseconds = 0;
	while (take_number(cursor, 1, &digit))
	{
		*microseconds += digit * unit;
		unit /= 10;
	}
	return cursor->p > start;
}

/* Takes hh:mm[:ss[.fraction]] as microseconds of the day. */
static bool
take_time_of_day(Cursor *cursor, int64_t *microseconds)
{
	int64_t		fraction = 0;
	int			hour;
	int			minute;
	int			second = 0;

	if (!take_number(cursor, 2, &hour) || !take_char(cursor, ':') ||
		!take_number(cursor, 2, &minute))
		return false;
	if (take_char(cursor, ':'))
	{
		if (!take_number(cursor, 2, &second))
			return false;
		if ((take_char(cursor, '.') || take_char(cursor, ',')) &&
			!take_fraction(cursor, &fraction))
			return false;
	}
	if (hour > 24 || minute > 59 || second > 60)
		return false;
	*microseconds = (INT64_C(3600) * hour + 60 * minute + second) *
		FS_USEC_PER_SEC + fraction;
	return hour < 24 || *microseconds == FS_USEC_PER_DAY;
}

/* Takes Z, +hh, +hhmm or +hh:mm as microseconds east of UTC; none is UTC. */
static bool
take_zone(Cursor *cursor, int64_t *microseconds)
{
	bool		is_west = false;
	int			hours;
	int			minutes = 0;

	*microseconds = 0;
	if (cursor->p == cursor->end ||
		take_char(cursor, 'Z') || take_char(cursor, 'z'))
		return true;
	if (take_char(cursor, '-'))
		is_west = true;
	else if (!take_char(cursor, '+'))
		return false;
	if (!take_number(cursor, 2, &hours))
		return false;
	if (take_char(cursor, ':') || cursor->p < cursor->end)
	{
		if (!take_number(cursor, 2, &minutes))
			return false;
	}
	if (hours > MAX_ZONE_HOURS || minutes > 59)
		return false;
	*microseconds = (INT64_C(60) * hours + minutes) * 60 * FS_USEC_PER_SEC;
	if (is_west)
		*microseconds = -*microseconds;
	return true;
}

/* See time_text.h. */
bool
fs_time_text_read(const char *text, size_t len, FsTime *result)
{
	Cursor		cursor = {text, text + len};
	int64_t		days;
	int64_t		time_of_day = 0;
	int64_t		zone = 0;

	if (!take_date(&cursor, &days))
		return false;
	if (cursor.p < cursor.end)
	{
		if (!take_char(&cursor, 'T') && !take_char(&cursor, 't') &&
			!take_char(&cursor, ' '))
			return false;
		if (!take_time_of_day(&cursor, &time_of_day) ||
			!take_zone(&cursor, &zone) || cursor.p != cursor.end)
			return false;
	}
	*result = days * FS_USEC_PER_DAY + time_of_day - zone;
	return true;
}

/* See time_text.h. */
bool
fs_time_text_read_date(const char *text, size_t len, int64_t *days)
{
	Cursor		cursor = {text, text + len};
	int64_t		result;

	if (!take_date(&cursor, &result) || cursor.p != cursor.end)
		return false;
	*days = result;
	return true;
}

/* See time_text.h. */
bool
fs_time_text_read_time_of_day(const char *text, size_t len, int64_t *microseconds)
{
	Cursor		cursor = {text, text + len};
	int64_t		result;

	if (!take_time_of_day(&cursor, &result) || cursor.p != cursor.end || result >= FS_USEC_PER_DAY)
		return false;
	*microseconds = result;
	return true;
}
