/*
 * value.h
 *		One decoded value of an event, in plain C.
 *
 * An event is an array of FsValue, one per declared column of its stream, in
 * column order.  Values never own memory: 'data' points into the record that
 * was decoded, or into the scratch memory of whoever made the value, and lives
 * as long as that does.
 *
 * Nothing in core/ calls PostgreSQL, so that it can be fuzzed and simulated on
 * its own; times are int64 microseconds since 2000-01-01 00:00:00 UTC, which
 * is PostgreSQL's TimestampTz.
 */
#ifndef FS_CORE_VALUE_H
#define FS_CORE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Microseconds since 2000-01-01 UTC; the same bits as a TimestampTz. */
typedef int64_t FsTime;

#define FS_TIME_MIN			INT64_MIN	/* "before everything": no watermark yet */
#define FS_TIME_MAX			INT64_MAX
#define FS_USEC_PER_SEC		INT64_C(1000000)
#define FS_USEC_PER_DAY		(INT64_C(86400) * FS_USEC_PER_SEC)
#define FS_UNIX_EPOCH_DAYS	10957		/* days from 1970-01-01 to 2000-01-01 */
#define FS_UNIX_EPOCH		(-FS_UNIX_EPOCH_DAYS * FS_USEC_PER_DAY)	/* 1970-01-01 as an FsTime */

/*
 * Types a stream column can have.  The numbers are stored in event log
 * segments: never renumber.
 */
typedef enum FsType
{
	FS_TYPE_TEXT = 1,			/* data/len: valid UTF-8 without NUL */
	FS_TYPE_INT2 = 2,			/* i */
	FS_TYPE_INT4 = 3,			/* i */
	FS_TYPE_INT8 = 4,			/* i */
	FS_TYPE_FLOAT4 = 5,			/* f, rounded to float; never NaN or infinite */
	FS_TYPE_FLOAT8 = 6,			/* f; never NaN or infinite */
	FS_TYPE_NUMERIC = 7,		/* data/len: decimal text that numeric_in takes */
	FS_TYPE_BOOL = 8,			/* i: 0 or 1 */
	FS_TYPE_TIMESTAMPTZ = 9,	/* i: an FsTime within PostgreSQL's range */
	FS_TYPE_DATE = 10,			/* i: days since 2000-01-01 */
	FS_TYPE_UUID = 11,			/* data: 16 bytes, len 16 */
	FS_TYPE_JSONB = 12			/* data/len: the JSON text */
} FsType;

/* Added to the type of the elements: an array; data/len: see core/array_value.h. */
#define FS_TYPE_ARRAY		32

static inline bool
fs_type_is_array(FsType type)
{
	return (type & FS_TYPE_ARRAY) != 0;
}

/* The type of an array's elements; any other type itself. */
static inline FsType
fs_type_element(FsType type)
{
	return (FsType) (type & ~FS_TYPE_ARRAY);
}

/* Is a value of this type held in data/len (else in i or f)? */
static inline bool
fs_type_is_bytes(FsType type)
{
	return type == FS_TYPE_TEXT || type == FS_TYPE_NUMERIC ||
		type == FS_TYPE_UUID || type == FS_TYPE_JSONB || fs_type_is_array(type);
}

static inline bool
fs_type_is_float(FsType type)
{
	return type == FS_TYPE_FLOAT4 || type == FS_TYPE_FLOAT8;
}

typedef enum FsPresence
{
	FS_ABSENT = 0,				/* the field was not in the payload */
	FS_NULL,					/* explicitly null */
	FS_PRESENT
} FsPresence;

typedef struct FsValue
{
	FsPresence	presence;
	uint32_t	len;			/* bytes at 'data', for byte types */
	union
	{
		int64_t		i;
		double		f;
		const char *data;
	};
} FsValue;

#endif							/* FS_CORE_VALUE_H */
