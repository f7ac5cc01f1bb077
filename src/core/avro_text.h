/*
 * avro_text.h
 *		Values of Avro's logical types, written as text, and read from it.
 *
 * Each function that writes writes to 'out', not NUL-terminated, and returns how
 * many bytes it wrote: 0 when the value cannot be written so.
 */
#ifndef FS_CORE_AVRO_TEXT_H
#define FS_CORE_AVRO_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FS_AVRO_DECIMAL_BYTES	416 /* of the longest number: some 1,000 digits */
#define FS_AVRO_DECIMAL_TEXT	2200	/* room for it, and as many zeros behind the point */
#define FS_AVRO_SHORT_TEXT		64	/* room for any other */

/* A two's complement big-endian number over 10^scale; 0 when it is too long. */
extern size_t fs_avro_write_decimal(char *out, const char *bytes, size_t len, int scale);

/* The fewest digits that read as the same double (or float); 0 when it is not finite. */
extern size_t fs_avro_write_double(char *out, double value, bool is_float);

/* Months, days and milliseconds, 12 bytes, as ISO 8601: P1M2DT3.004S. */
extern size_t fs_avro_write_duration(char *out, const char *bytes);

/* hh:mm:ss and as many digits as the unit has (3: ms, 6: us); 0 outside of a day. */
extern size_t fs_avro_write_time(char *out, int64_t value, int digits);

/* Days since 1970-01-01 as a date of the proleptic Gregorian calendar; the month and day count from 1. */
extern void fs_civil_date(int64_t days, int64_t *year, int *month, int *day);

/* Days since 1970-01-01 as YYYY-MM-DD. */
extern size_t fs_avro_write_date(char *out, int64_t days);

/* Units of 10^-digits seconds since 1970 as YYYY-MM-DDThh:mm:ss.fff, with a Z when 'is_utc'. */
extern size_t fs_avro_write_timestamp(char *out, int64_t value, int digits, bool is_utc);

/* 16 bytes as a uuid. */
extern size_t fs_avro_write_uuid(char *out, const char *bytes);

/*
 * Reading (avro_text_read.c).  A number (as in JSON) as the fewest bytes of a
 * two's complement big-endian number over 10^scale: how many, in 'out', which has room
 * for FS_AVRO_DECIMAL_BYTES; 0 when it is none, or not exactly so, or has more
 * digits than 'precision' (at most 1,000).
 */
extern size_t fs_avro_read_decimal(char *out, const char *text, size_t len, int precision, int scale);

/* What fs_avro_write_duration() writes; 12 bytes. */
extern bool fs_avro_read_duration(char *out, const char *text, size_t len);

#endif							/* FS_CORE_AVRO_TEXT_H */
