/*
 * parquet_values.c
 *		Values of a column and their bounds; see parquet_values.h.
 *
 * Orders are those of the format's TypeDefinedOrder: integers signed, bytes
 * unsigned from the first one on, decimals as the numbers that they are, NaN
 * nowhere.  Readers disagree about the order of uuids, so they have no bounds.
 */
#include "core/parquet_values.h"

#include <math.h>

#include "core/unscaled.h"
#include "core/utf8.h"

#define SHORT_LENGTH 64			/* characters or bytes of a bound */

void
fs_parquet_bounds_free(FsParquetBounds *bounds)
{
	fs_buffer_free(&bounds->least_bytes);
	fs_buffer_free(&bounds->greatest_bytes);
}

void
fs_parquet_bounds_reset(FsParquetBounds *bounds, const FsParquetColumn *column)
{
	bounds->column = column;
	bounds->any = false;
	bounds->nulls = 0;
	bounds->nans = 0;
}

static void
add_integer(FsParquetBounds *bounds, int64_t value)
{
	if (!bounds->any || value < bounds->least)
		bounds->least = value;
	if (!bounds->any || value > bounds->greatest)
		bounds->greatest = value;
	bounds->any = true;
}

/* Takes a number into account; NaN is in no order. */
static void
add_float(FsParquetBounds *bounds, double value)
{
	if (isnan(value))
	{
		bounds->nans++;
		return;
	}
	if (!bounds->any || value < bounds->least_float)
		bounds->least_float = value;
	if (!bounds->any || value > bounds->greatest_float)
		bounds->greatest_float = value;
	bounds->any = true;
}

static int
compare_bytes(const char *a, size_t alen, const char *b, size_t blen)
{
	size_t		common = alen < blen ? alen : blen;
	int			order = common == 0 ? 0 : memcmp(a, b, common);

	return order != 0 ? (order > 0) - (order < 0) : (alen > blen) - (alen < blen);
}

/* Two values of the column, which are bytes. */
static int
compare_values(const FsParquetColumn *column, const char *a, size_t alen, const char *b, size_t blen)
{
	return column->type == FS_PARQUET_DECIMAL ? fs_unscaled_compare(a, alen, b, blen) : compare_bytes(a, alen, b, blen);
}

/* Makes 'bytes' the buffer's content. */
static bool
set_bytes(FsBuffer *buffer, const char *bytes, size_t len)
{
	fs_buffer_reset(buffer);
	return fs_buffer_append(buffer, bytes, len);
}

/* Takes a span of byte strings into account: 'least' and 'greatest' among them. */
static bool
add_bytes(FsParquetBounds *bounds, const char *least, size_t least_len, const char *greatest, size_t greatest_len)
{
	const FsBuffer *low = &bounds->least_bytes;
	const FsBuffer *high = &bounds->greatest_bytes;
	bool		first = !bounds->any;

	bounds->any = true;
	if ((first || compare_values(bounds->column, least, least_len, low->data, low->len) < 0) &&
		!set_bytes(&bounds->least_bytes, least, least_len))
		return false;
	if ((first || compare_values(bounds->column, greatest, greatest_len, high->data, high->len) > 0) &&
		!set_bytes(&bounds->greatest_bytes, greatest, greatest_len))
		return false;
	return true;
}

/* fs_parquet_bounds_add for byte strings, and decimals that are bytes. */
static bool
add_strings(FsParquetBounds *bounds, const FsParquetValues *values, size_t first, size_t end)
{
	size_t		least_len;
	size_t		greatest_len;
	const char *least = fs_parquet_value(values, first, &least_len);
	const char *greatest = fs_parquet_value(values, first, &greatest_len);

	for (size_t i = first + 1; i < end; i++)
	{
		size_t		len;
		const char *value = fs_parquet_value(values, i, &len);

		if (compare_values(values->column, value, len, least, least_len) < 0)
		{
			least = value;
			least_len = len;
		}
		else if (compare_values(values->column, value, len, greatest, greatest_len) > 0)
		{
			greatest = value;
			greatest_len = len;
		}
	}
	return add_bytes(bounds, least, least_len, greatest, greatest_len);
}

/* fs_parquet_bounds_add for integers; there is one at least. */
static void
add_integers(FsParquetBounds *bounds, const FsParquetValues *values, size_t first, size_t end)
{
	int64_t		least = INT64_MAX;
	int64_t		greatest = INT64_MIN;

	for (size_t i = first; i < end; i++)
	{
		const char *p = values->data + i * (size_t) values->width;
		int64_t		value = values->width == 8 ? (int64_t) fs_get_le64(p) :
			values->width == 4 ? (int32_t) fs_get_le32(p) : *p;

		least = value < least ? value : least;
		greatest = value > greatest ? value : greatest;
	}
	add_integer(bounds, least);
	add_integer(bounds, greatest);
}

/* fs_parquet_bounds_add for floating-point numbers. */
static void
add_floats(FsParquetBounds *bounds, const FsParquetValues *values, size_t first, size_t end)
{
	for (size_t i = first; i < end; i++)
	{
		const char *p = values->data + i * (size_t) values->width;
		uint32_t	bits = fs_get_le32(p);
		uint64_t	wide;
		float		single;
		double		number;

		if (values->width == 4)
		{
			memcpy(&single, &bits, sizeof(single));
			number = single;
		}
		else
		{
			wide = fs_get_le64(p);
			memcpy(&number, &wide, sizeof(number));
		}
		add_float(bounds, number);
	}
}

/* See parquet_values.h. */
bool
fs_parquet_bounds_add(FsParquetBounds *bounds, const FsParquetValues *values, size_t first, size_t end)
{
	FS_ASSERT(first <= end && end <= values->n && bounds->column == values->column);
	if (first == end)
		return true;
	if (values->column->type == FS_PARQUET_UUID)
		return true;
	switch (fs_parquet_physical(values->column))
	{
		case FS_PHYSICAL_BYTES:
		case FS_PHYSICAL_FIXED:
			return add_strings(bounds, values, first, end);
		case FS_PHYSICAL_FLOAT:
		case FS_PHYSICAL_DOUBLE:
			add_floats(bounds, values, first, end);
			return true;
		default:
			add_integers(bounds, values, first, end);
			return true;
	}
}

/* See parquet_values.h. */
bool
fs_parquet_bounds_merge(FsParquetBounds *bounds, const FsParquetBounds *other)
{
	FsParquetPhysical physical = fs_parquet_physical(bounds->column);

	FS_ASSERT(bounds->column == other->column);
	bounds->nulls += other->nulls;
	bounds->nans += other->nans;
	if (!other->any)
		return true;
	if (physical == FS_PHYSICAL_BYTES || physical == FS_PHYSICAL_FIXED)
		return add_bytes(bounds, other->least_bytes.data, other->least_bytes.len,
						 other->greatest_bytes.data, other->greatest_bytes.len);
	if (physical == FS_PHYSICAL_FLOAT || physical == FS_PHYSICAL_DOUBLE)
	{
		add_float(bounds, other->least_float);
		add_float(bounds, other->greatest_float);
	}
	else
	{
		add_integer(bounds, other->least);
		add_integer(bounds, other->greatest);
	}
	return true;
}

/* See parquet_values.h. */
int
fs_parquet_bounds_compare(const FsParquetBounds *a, const FsParquetBounds *b, bool upper)
{
	FsParquetPhysical physical = fs_parquet_physical(a->column);
	double		x = upper ? a->greatest_float : a->least_float;
	double		y = upper ? b->greatest_float : b->least_float;
	int64_t		i = upper ? a->greatest : a->least;
	int64_t		k = upper ? b->greatest : b->least;
	const FsBuffer *s = upper ? &a->greatest_bytes : &a->least_bytes;
	const FsBuffer *t = upper ? &b->greatest_bytes : &b->least_bytes;

	FS_ASSERT(a->any && b->any && a->column == b->column);
	if (physical == FS_PHYSICAL_BYTES || physical == FS_PHYSICAL_FIXED)
		return compare_values(a->column, s->data, s->len, t->data, t->len);
	if (physical == FS_PHYSICAL_FLOAT || physical == FS_PHYSICAL_DOUBLE)
		return (x > y) - (x < y);
	return (i > k) - (i < k);
}

/* Appends a floating-point bound; a zero so that it bounds both zeros. */
static bool
encode_float(FsBuffer *out, double value, bool upper, bool is_single)
{
	char		bytes[8];
	float		single;
	uint32_t	bits;
	uint64_t	wide;

	if (value == 0)
		value = upper ? 0.0 : -0.0;
	single = (float) value;
	memcpy(&bits, &single, sizeof(bits));
	memcpy(&wide, &value, sizeof(wide));
	if (is_single)
		fs_put_le32(bytes, bits);
	else
		fs_put_le64(bytes, wide);
	return fs_buffer_append(out, bytes, is_single ? 4 : 8);
}

/* Appends an integral bound in the width of its type. */
static bool
encode_integer(FsBuffer *out, int64_t value, int width)
{
	char		bytes[8];

	fs_put_le64(bytes, (uint64_t) value);	/* little-endian: the low bytes come first */
	return fs_buffer_append(out, bytes, (size_t) width);
}

/* Bytes of the first 'length' characters of valid UTF-8. */
static size_t
text_prefix(const FsBuffer *text, size_t length)
{
	size_t		at = 0;

	for (size_t n = 0; at < text->len; n++)
	{
		if (n == length)
			return at;
		for (at++; at < text->len && ((uint8_t) text->data[at] & 0xc0) == 0x80;)
			at++;
	}
	return text->len;
}

/* The character of valid UTF-8 that begins at 'p'. */
static uint32_t
get_character(const uint8_t *p)
{
	if (p[0] < 0x80)
		return p[0];
	if (p[0] < 0xe0)
		return (uint32_t) (p[0] & 0x1f) << 6 | (p[1] & 0x3f);
	if (p[0] < 0xf0)
		return (uint32_t) (p[0] & 0x0f) << 12 | (uint32_t) (p[1] & 0x3f) << 6 | (p[2] & 0x3f);
	return (uint32_t) (p[0] & 0x07) << 18 | (uint32_t) (p[1] & 0x3f) << 12 |
		(uint32_t) (p[2] & 0x3f) << 6 | (p[3] & 0x3f);
}

/* Appends a character as UTF-8. */
static bool
put_character(FsBuffer *out, uint32_t c)
{
	char		bytes[4];

	return fs_buffer_append(out, bytes, (size_t) (fs_utf8_encode(bytes, c) - bytes));
}

/* Appends the least text that is greater than all that begin with these bytes; *found: is there one? */
static bool
put_next_text(FsBuffer *out, const char *bytes, size_t len, bool *found)
{
	for (size_t end = len; end > 0;)
	{
		size_t		at = end - 1;
		uint32_t	c;

		while (at > 0 && ((uint8_t) bytes[at] & 0xc0) == 0x80)
			at--;
		c = get_character((const uint8_t *) bytes + at) + 1;
		if (c == 0xd800)
			c = 0xe000;			/* surrogates are no characters */
		if (c <= 0x10ffff)
			return fs_buffer_append(out, bytes, at) && put_character(out, c);
		end = at;
	}
	*found = false;
	return true;
}

/* The same for bytes. */
static bool
put_next_bytes(FsBuffer *out, const char *bytes, size_t len, bool *found)
{
	while (len > 0 && (uint8_t) bytes[len - 1] == 0xff)
		len--;
	if (len == 0)
	{
		*found = false;
		return true;
	}
	return fs_buffer_append(out, bytes, len - 1) &&
		fs_buffer_append_byte(out, (uint8_t) ((uint8_t) bytes[len - 1] + 1));
}

/* Appends a bound of text or bytes; see fs_parquet_bounds_encode. */
static bool
encode_bytes(const FsParquetBounds *bounds, bool upper, size_t length, FsBuffer *out, bool *exact, bool *found)
{
	const FsBuffer *bytes = upper ? &bounds->greatest_bytes : &bounds->least_bytes;
	bool		is_text = bounds->column->type == FS_PARQUET_STRING;
	size_t		len = is_text ? text_prefix(bytes, length) : bytes->len < length ? bytes->len : length;

	*exact = len == bytes->len;
	if (*exact || !upper)
		return fs_buffer_append(out, bytes->data, len);
	return is_text ? put_next_text(out, bytes->data, len, found) : put_next_bytes(out, bytes->data, len, found);
}

/* See parquet_values.h. */
bool
fs_parquet_bounds_encode(const FsParquetBounds *bounds, bool upper, size_t length,
						 FsBuffer *out, bool *exact, bool *found)
{
	FsParquetPhysical physical = fs_parquet_physical(bounds->column);

	FS_ASSERT(bounds->any && length > 0);
	*exact = *found = true;
	if (physical == FS_PHYSICAL_BYTES)
		return encode_bytes(bounds, upper, length, out, exact, found);
	if (physical == FS_PHYSICAL_FIXED)
		return encode_bytes(bounds, upper, SIZE_MAX, out, exact, found);
	if (physical == FS_PHYSICAL_FLOAT || physical == FS_PHYSICAL_DOUBLE)
		return encode_float(out, upper ? bounds->greatest_float : bounds->least_float, upper,
							physical == FS_PHYSICAL_FLOAT);
	return encode_integer(out, upper ? bounds->greatest : bounds->least, fs_parquet_width(bounds->column));
}

/* See parquet_values.h. */
bool
fs_parquet_bounds_encode_short(const FsParquetBounds *bounds, bool upper, FsBuffer *out, bool *exact)
{
	bool		found;

	return fs_parquet_bounds_encode(bounds, upper, SHORT_LENGTH, out, exact, &found) &&
		(found || fs_parquet_bounds_encode(bounds, upper, SIZE_MAX, out, exact, &found));
}
