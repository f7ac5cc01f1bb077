/*
 * time_text.h
 *		Times and dates written as text: ISO 8601 as RFC 3339 narrows it.
 *
 * Accepted as a time: YYYY-MM-DD, then optionally 'T' (or 't', or a space) and
 * hh:mm, optionally :ss, optionally a fraction after '.' or ','; then
 * optionally a zone: Z, +hh, +hhmm or +hh:mm.  Years are 0001 to 9999.  A date
 * alone is its midnight, no zone is UTC.  Digits finer than a microsecond are
 * cut (toward the past, as with numbers).  Second 60 is second 0 of the next
 * minute; 24:00:00 is midnight of the next day.
 */
#ifndef FS_CORE_TIME_TEXT_H
#define FS_CORE_TIME_TEXT_H

#include "core/value.h"

/* Reads a time; false, and *result untouched, when the text is not one. */
extern bool fs_time_text_read(const char *text, size_t len, FsTime *result);

/* Reads a date, YYYY-MM-DD exactly, as days since 2000-01-01; false when not. */
extern bool fs_time_text_read_date(const char *text, size_t len,
								   int64_t *days);

/* Reads a time of day without a zone, as microseconds since midnight; false when it is none, or not before the next. */
extern bool fs_time_text_read_time_of_day(const char *text, size_t len, int64_t *microseconds);

#endif							/* FS_CORE_TIME_TEXT_H */
