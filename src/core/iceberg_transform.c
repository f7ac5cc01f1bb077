/*
 * iceberg_transform.c
 *		Partition transforms; see iceberg_transform.h.
 *
 * Format: Iceberg's specification, "Partition Transforms" and appendix B.
 */
#include "core/iceberg_transform.h"

#include <stdio.h>

#include "core/avro_text.h"
#include "core/unscaled.h"

#define USEC_PER_HOUR	INT64_C(3600000000)
#define USEC_PER_DAY	(24 * USEC_PER_HOUR)

static const char *const names[] = {"identity", "bucket", "truncate", "year", "month", "day", "hour", "void"};

/* See iceberg_transform.h. */
int32_t
fs_iceberg_read_width(const char *p, const char *end)
{
	int64_t		width = 0;

	for (; p < end; p++)
	{
		if (*p < '0' || *p > '9')
			return 0;
		width = width * 10 + (*p - '0');
		if (width > INT32_MAX)
			return 0;
	}
	return (int32_t) width;
}

static bool
has_width(FsIcebergTransformKind kind)
{
	return kind == FS_ICEBERG_BUCKET || kind == FS_ICEBERG_TRUNCATE;
}

/* See iceberg_transform.h. */
FsIcebergTransform
fs_iceberg_transform_read(const char *text, size_t len)
{
	FsIcebergTransform transform = {FS_ICEBERG_UNKNOWN, 0};

	for (int kind = FS_ICEBERG_IDENTITY; kind <= FS_ICEBERG_VOID; kind++)
	{
		size_t		n = strlen(names[kind]);
		int32_t		width = 0;

		if (len < n || memcmp(text, names[kind], n) != 0)
			continue;
		if (has_width((FsIcebergTransformKind) kind))
		{
			if (len < n + 3 || text[n] != '[' || text[len - 1] != ']')
				continue;
			width = fs_iceberg_read_width(text + n + 1, text + len - 1);
			if (width == 0)
				continue;
		}
		else if (len != n)
			continue;
		transform.kind = (FsIcebergTransformKind) kind;
		transform.width = width;
	}
	return transform;
}

/* See iceberg_transform.h. */
void
fs_iceberg_transform_write(const FsIcebergTransform *transform, char *out)
{
	FS_ASSERT(transform->kind < FS_ICEBERG_UNKNOWN);
	if (has_width(transform->kind))
		snprintf(out, FS_ICEBERG_TRANSFORM_SIZE, "%s[%d]", names[transform->kind], (int) transform->width);
	else
		snprintf(out, FS_ICEBERG_TRANSFORM_SIZE, "%s", names[transform->kind]);
}

/*
 * Types
 */

static bool
is_timestamp(FsIcebergKind kind)
{
	return kind == FS_ICEBERG_TIMESTAMP || kind == FS_ICEBERG_TIMESTAMPTZ;
}

/* Does the transform take values of this kind? */
static bool
takes(FsIcebergTransformKind transform, FsIcebergKind kind)
{
	if (kind == FS_ICEBERG_OTHER)
		return transform == FS_ICEBERG_VOID;
	switch (transform)
	{
		case FS_ICEBERG_BUCKET:
			return kind != FS_ICEBERG_BOOLEAN && kind != FS_ICEBERG_FLOAT && kind != FS_ICEBERG_DOUBLE;
		case FS_ICEBERG_TRUNCATE:
			return kind == FS_ICEBERG_INT || kind == FS_ICEBERG_LONG || kind == FS_ICEBERG_DECIMAL ||
				kind == FS_ICEBERG_STRING || kind == FS_ICEBERG_BINARY;
		case FS_ICEBERG_YEAR:
		case FS_ICEBERG_MONTH:
		case FS_ICEBERG_DAY:
			return kind == FS_ICEBERG_DATE || is_timestamp(kind);
		case FS_ICEBERG_HOUR:
			return is_timestamp(kind);
		default:
			return transform != FS_ICEBERG_UNKNOWN;
	}
}

/* See iceberg_transform.h. */
bool
fs_iceberg_transform_type(const FsIcebergTransform *transform, const FsIcebergType *source, FsIcebergType *result)
{
	if (!takes(transform->kind, source->kind))
		return false;
	*result = *source;
	switch (transform->kind)
	{
		case FS_ICEBERG_BUCKET:
		case FS_ICEBERG_YEAR:
		case FS_ICEBERG_MONTH:
		case FS_ICEBERG_HOUR:
			result->kind = FS_ICEBERG_INT;
			break;
		case FS_ICEBERG_DAY:
			result->kind = FS_ICEBERG_DATE;
			break;
		default:
			break;
	}
	return true;
}

/*
 * Values
 */

static uint32_t
rotate(uint32_t x, int bits)
{
	return x << bits | x >> (32 - bits);
}

static uint32_t
mix_word(uint32_t k)
{
	return rotate(k * UINT32_C(0xcc9e2d51), 15) * UINT32_C(0x1b873593);
}

/* See iceberg_transform.h.  MurmurHash3_x86_32 (Austin Appleby, public domain). */
uint32_t
fs_murmur3(const void *bytes, size_t len)
{
	const char *p = bytes;
	uint32_t	h = 0;
	uint32_t	tail = 0;

	for (size_t n = len / 4; n > 0; n--, p += 4)
		h = rotate(h ^ mix_word(fs_get_le32(p)), 13) * 5 + UINT32_C(0xe6546b64);
	for (size_t i = len % 4; i > 0; i--)
		tail = tail << 8 | (uint8_t) p[i - 1];
	h ^= mix_word(tail);
	h ^= (uint32_t) len;
	h = (h ^ h >> 16) * UINT32_C(0x85ebca6b);
	h = (h ^ h >> 13) * UINT32_C(0xc2b2ae35);
	return h ^ h >> 16;
}

/* See iceberg_transform.h.  Integers and times are hashed as longs. */
int32_t
fs_iceberg_hash(const FsIcebergType *type, const FsIcebergValue *value)
{
	char		bytes[8];

	FS_ASSERT(!value->is_null);
	if (fs_iceberg_is_bytes(type->kind))
		return (int32_t) fs_murmur3(value->bytes, value->len);
	fs_put_le64(bytes, (uint64_t) value->i);
	return (int32_t) fs_murmur3(bytes, sizeof(bytes));
}

/* The largest multiple of 'width' that is not above; of the least numbers, which have none, what wraps around. */
static int64_t
truncate_integer(int64_t value, int32_t width)
{
	int64_t		rest = value % width;

	if (rest < 0)
		rest += width;
	return (int64_t) ((uint64_t) value - (uint64_t) rest);
}

/* The same of a decimal's digits, without its point; written to 'room'. */
static void
truncate_decimal(int32_t width, FsIcebergValue *result, char *room)
{
	__int128	value = fs_unscaled_get(result->bytes, result->len);
	__int128	rest = value % width;

	if (rest < 0)
		rest += width;
	value = (__int128) ((unsigned __int128) value - (unsigned __int128) rest);
	result->len = fs_unscaled_put(value, room);
	result->bytes = room;
}

/* The first 'width' characters. */
static void
truncate_string(int32_t width, FsIcebergValue *result)
{
	size_t		i = 0;

	while (i < result->len)
	{
		bool		begins = ((uint8_t) result->bytes[i] & 0xC0) != 0x80;

		if (begins && width-- == 0)
			break;
		i++;
	}
	result->len = i;
}

/* Truncates a value of a type that can be. */
static void
truncate_value(int32_t width, const FsIcebergType *type, FsIcebergValue *result, char *room)
{
	switch (type->kind)
	{
		case FS_ICEBERG_INT:
			result->i = (int32_t) truncate_integer(result->i, width);
			break;
		case FS_ICEBERG_LONG:
			result->i = truncate_integer(result->i, width);
			break;
		case FS_ICEBERG_STRING:
			truncate_string(width, result);
			break;
		case FS_ICEBERG_DECIMAL:
			truncate_decimal(width, result, room);
			break;
		default:
			if (result->len > (size_t) width)
				result->len = (size_t) width;
			break;
	}
}

/* Years, months, days or hours since 1970, as far as an int goes. */
static int64_t
time_part(FsIcebergTransformKind transform, const FsIcebergType *type, int64_t value)
{
	int64_t		days = type->kind == FS_ICEBERG_DATE ? value : fs_iceberg_floor(value, USEC_PER_DAY);
	int64_t		year;
	int			month;
	int			day;

	if (transform == FS_ICEBERG_HOUR)
	{
		value = fs_iceberg_floor(value, USEC_PER_HOUR);
		return value < INT32_MIN ? INT32_MIN : value > INT32_MAX ? INT32_MAX : value;
	}
	if (transform == FS_ICEBERG_DAY)
		return days;
	fs_civil_date(days, &year, &month, &day);
	return transform == FS_ICEBERG_YEAR ? year - 1970 : (year - 1970) * 12 + month - 1;
}

/* See iceberg_transform.h. */
void
fs_iceberg_transform(const FsIcebergTransform *transform, const FsIcebergType *type, const FsIcebergValue *value,
					 FsIcebergValue *result, char *room)
{
	FsIcebergValue out = *value;

	FS_ASSERT(takes(transform->kind, type->kind));
	if (transform->kind == FS_ICEBERG_VOID)
		out.is_null = true;
	else if (!out.is_null)
		switch (transform->kind)
		{
			case FS_ICEBERG_BUCKET:
				out.i = (fs_iceberg_hash(type, value) & INT32_MAX) % transform->width;
				out.bytes = NULL;
				out.len = 0;
				break;
			case FS_ICEBERG_TRUNCATE:
				truncate_value(transform->width, type, &out, room);
				break;
			case FS_ICEBERG_IDENTITY:
				break;
			default:
				out.i = time_part(transform->kind, type, value->i);
				break;
		}
	*result = out;
}

/* See iceberg_transform.h.  The least decimal is the one that becomes longest. */
bool
fs_iceberg_can_partition(const FsIcebergTransform *transform, const FsIcebergType *source)
{
	__int128	least = -1;
	char		bytes[FS_UNSCALED_SIZE];
	FsIcebergValue value = {.bytes = bytes};
	FsIcebergType result;

	if (!fs_iceberg_transform_type(transform, source, &result))
		return false;
	if (source->kind != FS_ICEBERG_DECIMAL || transform->kind != FS_ICEBERG_TRUNCATE)
		return true;
	for (int i = 0; i < source->precision; i++)
		least *= 10;
	value.len = fs_unscaled_put(least + 1, bytes);
	truncate_decimal(transform->width, &value, bytes);
	return value.len <= (size_t) fs_unscaled_width(source->precision);
}
