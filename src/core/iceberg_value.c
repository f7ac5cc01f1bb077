/*
 * iceberg_value.c
 *		Values as Iceberg's files hold them; see iceberg_value.h.
 */
#include "core/iceberg_value.h"

#include <math.h>
#include <stdio.h>

#include "core/unscaled.h"

/* Bytes of the number that a type of a fixed width takes in a bound. */
static int
number_width(FsIcebergKind kind)
{
	switch (kind)
	{
		case FS_ICEBERG_BOOLEAN:
			return 1;
		case FS_ICEBERG_INT:
		case FS_ICEBERG_DATE:
		case FS_ICEBERG_FLOAT:
			return 4;
		default:
			return 8;
	}
}

/* The bits of a float or double. */
static uint64_t
float_bits(FsIcebergKind kind, double value)
{
	float		single = (float) value;
	uint32_t	narrow;
	uint64_t	wide;

	memcpy(&narrow, &single, sizeof(narrow));
	memcpy(&wide, &value, sizeof(wide));
	return kind == FS_ICEBERG_FLOAT ? narrow : wide;
}

/* See iceberg_value.h. */
bool
fs_iceberg_value_encode(const FsIcebergType *type, const FsIcebergValue *value, FsBuffer *out)
{
	char		bytes[8];

	if (fs_iceberg_is_bytes(type->kind))
		return fs_buffer_append(out, value->bytes, value->len);
	fs_put_le64(bytes, fs_iceberg_is_float(type->kind) ? float_bits(type->kind, value->f) : (uint64_t) value->i);
	return fs_buffer_append(out, bytes, (size_t) number_width(type->kind));
}

/* See iceberg_value.h. */
int
fs_iceberg_value_compare(const FsIcebergType *type, const FsIcebergValue *a, const FsIcebergValue *b)
{
	size_t		shorter = a->len < b->len ? a->len : b->len;
	int			order;

	if (type->kind == FS_ICEBERG_DECIMAL)
		return fs_unscaled_compare(a->bytes, a->len, b->bytes, b->len);
	if (fs_iceberg_is_float(type->kind))
		return a->f < b->f ? -1 : a->f > b->f;
	if (!fs_iceberg_is_bytes(type->kind))
		return a->i < b->i ? -1 : a->i > b->i;
	order = shorter == 0 ? 0 : memcmp(a->bytes, b->bytes, shorter);
	if (order == 0)
		return a->len < b->len ? -1 : a->len > b->len;
	return order < 0 ? -1 : 1;
}

bool
fs_iceberg_value_is_nan(const FsIcebergType *type, const FsIcebergValue *value)
{
	return fs_iceberg_is_float(type->kind) && isnan(value->f);
}

/*
 * Avro
 */

/* See iceberg_value.h. */
bool
fs_iceberg_avro_type(const FsIcebergType *type, int32_t id, FsBuffer *out)
{
	char		text[160];

	switch (type->kind)
	{
		case FS_ICEBERG_BOOLEAN:
		case FS_ICEBERG_INT:
		case FS_ICEBERG_LONG:
		case FS_ICEBERG_FLOAT:
		case FS_ICEBERG_DOUBLE:
			snprintf(text, sizeof(text), "\"%s\"", type->kind == FS_ICEBERG_BOOLEAN ? "boolean" :
					 type->kind == FS_ICEBERG_INT ? "int" : type->kind == FS_ICEBERG_LONG ? "long" :
					 type->kind == FS_ICEBERG_FLOAT ? "float" : "double");
			break;
		case FS_ICEBERG_DATE:
			snprintf(text, sizeof(text), "{\"type\":\"int\",\"logicalType\":\"date\"}");
			break;
		case FS_ICEBERG_TIME:
			snprintf(text, sizeof(text), "{\"type\":\"long\",\"logicalType\":\"time-micros\"}");
			break;
		case FS_ICEBERG_TIMESTAMP:
		case FS_ICEBERG_TIMESTAMPTZ:
			snprintf(text, sizeof(text), "{\"type\":\"long\",\"logicalType\":\"timestamp-micros\",\"adjust-to-utc\":%s}",
					 type->kind == FS_ICEBERG_TIMESTAMPTZ ? "true" : "false");
			break;
		case FS_ICEBERG_BINARY:
			snprintf(text, sizeof(text), "\"bytes\"");
			break;
		case FS_ICEBERG_UUID:
			snprintf(text, sizeof(text), "{\"type\":\"fixed\",\"name\":\"uuid_%d\",\"size\":16,\"logicalType\":\"uuid\"}",
					 (int) id);
			break;
		case FS_ICEBERG_DECIMAL:
			snprintf(text, sizeof(text), "{\"type\":\"fixed\",\"name\":\"decimal_%d\",\"size\":%d,"
					 "\"logicalType\":\"decimal\",\"precision\":%d,\"scale\":%d}", (int) id,
					 fs_unscaled_width(type->precision), type->precision, type->scale);
			break;
		case FS_ICEBERG_FIXED:
			snprintf(text, sizeof(text), "{\"type\":\"fixed\",\"name\":\"fixed_%d\",\"size\":%d}", (int) id, type->length);
			break;
		default:
			snprintf(text, sizeof(text), "\"string\"");
			break;
	}
	return fs_buffer_append(out, text, strlen(text));
}

/* Bytes of a type that is a fixed in Avro; 0 for another. */
static size_t
fixed_size(const FsIcebergType *type)
{
	switch (type->kind)
	{
		case FS_ICEBERG_UUID:
			return 16;
		case FS_ICEBERG_DECIMAL:
			return (size_t) fs_unscaled_width(type->precision);
		case FS_ICEBERG_FIXED:
			return (size_t) type->length;
		default:
			return 0;
	}
}

/* See iceberg_value.h. */
bool
fs_iceberg_avro_fits(const FsIcebergType *type, const FsIcebergValue *value)
{
	if (value->is_null)
		return true;
	if (type->kind == FS_ICEBERG_DECIMAL)
		return value->len <= fixed_size(type);
	if (type->kind == FS_ICEBERG_UUID || type->kind == FS_ICEBERG_FIXED)
		return value->len == fixed_size(type);
	return number_width(type->kind) != 4 || fs_iceberg_is_float(type->kind) || value->i == (int32_t) value->i;
}

/* See iceberg_value.h.  A decimal is filled up with its sign. */
bool
fs_iceberg_avro_put(const FsIcebergType *type, const FsIcebergValue *value, FsBuffer *out)
{
	size_t		size = fixed_size(type);
	uint8_t		sign;

	FS_ASSERT(fs_iceberg_avro_fits(type, value));
	if (value->is_null)
		return fs_buffer_append_byte(out, 0);
	if (!fs_buffer_append_byte(out, 2))
		return false;
	if (type->kind == FS_ICEBERG_BOOLEAN || fs_iceberg_is_float(type->kind))
		return fs_iceberg_value_encode(type, value, out);
	if (!fs_iceberg_is_bytes(type->kind))
		return fs_buffer_append_zigzag(out, value->i);
	if (type->kind == FS_ICEBERG_STRING || type->kind == FS_ICEBERG_BINARY)
		return fs_buffer_append_zigzag(out, (int64_t) value->len) && fs_buffer_append(out, value->bytes, value->len);
	sign = value->len > 0 && (value->bytes[0] & 0x80) != 0 ? 0xff : 0;
	for (size_t i = value->len; i < size; i++)
		if (!fs_buffer_append_byte(out, sign))
			return false;
	return fs_buffer_append(out, value->bytes, value->len);
}

/* See iceberg_value.h. */
bool
fs_iceberg_avro_get(FsAvroWalk *walk, int node, const FsIcebergType *type, FsIcebergValue *value)
{
	memset(value, 0, sizeof(*value));
	if (!fs_avro_walk_branch(walk, &node))
		return false;
	value->is_null = walk->schema->nodes[node].type == FS_AVRO_NULL;
	if (value->is_null)
		return true;
	if (fs_iceberg_is_float(type->kind))
		return fs_avro_walk_float(walk, node, &value->f);
	if (!fs_iceberg_is_bytes(type->kind))
		return fs_avro_walk_integer(walk, node, &value->i);
	if (!fs_avro_walk_bytes(walk, node, &value->bytes, &value->len))
		return false;
	if (type->kind == FS_ICEBERG_DECIMAL)
		value->bytes = fs_unscaled_shorten(value->bytes, &value->len);
	return type->kind != FS_ICEBERG_DECIMAL || value->len <= FS_UNSCALED_SIZE;
}
