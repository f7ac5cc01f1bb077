/*
 * iceberg_partition.c
 *		Partitions as users write them, and as bytes and paths; see iceberg_transform.h.
 */
#include <stdio.h>

#include "core/avro_text.h"
#include "core/iceberg_transform.h"
#include "core/unscaled.h"
#include "core/utf8.h"

/*
 * What a user writes
 */

static const char *
skip_space(const char *p)
{
	while (*p == ' ' || *p == '\t' || *p == '\n')
		p++;
	return p;
}

/* Reads a column's name at 'p', in quotes or not, into memory; the byte after it, or NULL with *column NULL for memory. */
static const char *
read_column(const char *p, FsScratch *memory, const char **column)
{
	bool		quoted = *p == '"';
	char	   *out = fs_scratch_take(memory, strlen(p) + 1);
	char	   *start = out;

	*column = out;
	if (out == NULL)
		return NULL;
	for (p += quoted; *p != '\0'; p++)
	{
		if (quoted && *p == '"')
		{
			if (p[1] != '"')
				break;
			p++;
		}
		else if (!quoted && strchr("(), \t\n\"", *p) != NULL)
			break;
		*out++ = *p;
	}
	*out = '\0';
	if (out == start || (quoted && *p != '"'))
		return NULL;
	return p + quoted;
}

/* The transform of a word that is called, singular or plural; false when there is none. */
static bool
find_transform(const char *word, size_t len, FsIcebergTransformKind *kind)
{
	static const char *const names[] = {"identity", "bucket", "truncate", "year", "month", "day", "hour"};

	for (int i = FS_ICEBERG_IDENTITY; i <= FS_ICEBERG_HOUR; i++)
	{
		size_t		n = strlen(names[i]);
		bool		plural = i >= FS_ICEBERG_YEAR && len == n + 1 && word[n] == 's';

		if ((len == n || plural) && memcmp(word, names[i], n) == 0)
		{
			*kind = (FsIcebergTransformKind) i;
			return true;
		}
	}
	return false;
}

/* Reads what stands in parentheses behind a transform's name: the width, and the column.  NULL: it is malformed. */
static const char *
read_arguments(const char *p, FsScratch *memory, FsIcebergPartition *partition)
{
	const char *end;

	p = skip_space(p + 1);
	if (partition->transform.kind == FS_ICEBERG_BUCKET || partition->transform.kind == FS_ICEBERG_TRUNCATE)
	{
		end = p + strspn(p, "0123456789");
		partition->transform.width = fs_iceberg_read_width(p, end);
		p = skip_space(end);
		if (partition->transform.width == 0 || *p != ',')
			return NULL;
		p = skip_space(p + 1);
	}
	p = read_column(p, memory, &partition->column);
	if (p == NULL)
		return NULL;
	p = skip_space(p);
	return *p == ')' ? skip_space(p + 1) : NULL;
}

/* See iceberg_transform.h. */
bool
fs_iceberg_partition_read(const char *text, FsScratch *memory, FsIcebergPartition *partition, char *message)
{
	const char *start = skip_space(text);
	const char *p;
	const char *after;
	char		shown[FS_ICEBERG_MESSAGE_SIZE / 4];

	partition->transform.kind = FS_ICEBERG_IDENTITY;
	partition->transform.width = 0;
	partition->column = "";
	fs_utf8_print(shown, sizeof(shown) - 4, text, strlen(text));
	p = read_column(start, memory, &partition->column);
	if (partition->column == NULL)
		message[0] = '\0';
	else
		snprintf(message, FS_ICEBERG_MESSAGE_SIZE,
				 "\"%s\" is neither a column nor one of bucket(n, column), truncate(n, column), "
				 "year(column), month(column), day(column), hour(column)", shown);
	if (p == NULL)
		return false;
	after = skip_space(p);
	if (*after == '(' && *start != '"')
	{
		if (!find_transform(start, (size_t) (p - start), &partition->transform.kind))
			return false;
		after = read_arguments(after, memory, partition);
		if (partition->column == NULL)
			message[0] = '\0';
	}
	return after != NULL && *after == '\0';
}

/*
 * Partitions as bytes
 */

/* See iceberg_transform.h. */
bool
fs_iceberg_partition_key(const FsIcebergSpec *spec, const FsIcebergValue *values, FsBuffer *out)
{
	for (int i = 0; i < spec->nfields; i++)
	{
		FsIcebergKind kind = spec->fields[i].result.kind;
		uint64_t	bits = (uint64_t) values[i].i;

		if (!fs_buffer_append_byte(out, !values[i].is_null))
			return false;
		if (values[i].is_null)
			continue;
		if (fs_iceberg_is_bytes(kind))
		{
			if (!fs_buffer_append_varint(out, values[i].len) || !fs_buffer_append(out, values[i].bytes, values[i].len))
				return false;
			continue;
		}
		if (fs_iceberg_is_float(kind))
			memcpy(&bits, &values[i].f, sizeof(bits));
		if (!fs_buffer_append_varint(out, bits))
			return false;
	}
	return true;
}

#define MAX_SEGMENT	64			/* bytes of a part of a path */

/* Writes a partition's value for people; returns how many bytes, at most MAX_SEGMENT. */
static size_t
write_value(const FsIcebergField *field, const FsIcebergValue *value, char *out)
{
	int64_t		number = value->i;
	size_t		len;

	if (value->is_null)
		return (size_t) snprintf(out, MAX_SEGMENT, "null");
	if (field->result.kind == FS_ICEBERG_DECIMAL)
		return fs_unscaled_write(value->bytes, value->len, field->result.scale, out);
	if (fs_iceberg_is_bytes(field->result.kind))
	{
		len = value->len < MAX_SEGMENT ? value->len : MAX_SEGMENT;
		if (len > 0)
			memcpy(out, value->bytes, len);
		return len;
	}
	if (fs_iceberg_is_float(field->result.kind))
		return (size_t) snprintf(out, MAX_SEGMENT, "%.9g", value->f);
	switch (field->transform.kind)
	{
		case FS_ICEBERG_YEAR:
			return (size_t) snprintf(out, MAX_SEGMENT, "%d", (int) (1970 + number));
		case FS_ICEBERG_MONTH:
			return (size_t) snprintf(out, MAX_SEGMENT, "%d-%02d", (int) (1970 + fs_iceberg_floor(number, 12)),
									 (int) (number - fs_iceberg_floor(number, 12) * 12 + 1));
		case FS_ICEBERG_HOUR:
			len = fs_avro_write_date(out, fs_iceberg_floor(number, 24));
			return len + (size_t) snprintf(out + len, MAX_SEGMENT - len, "-%02d",
										   (int) (number - fs_iceberg_floor(number, 24) * 24));
		default:
			if (field->result.kind == FS_ICEBERG_DATE)
				return fs_avro_write_date(out, number);
			return (size_t) snprintf(out, MAX_SEGMENT, "%lld", (long long) number);
	}
}

/* See iceberg_transform.h. */
bool
fs_iceberg_partition_path(const FsIcebergSpec *spec, const FsIcebergValue *values, FsBuffer *out)
{
	static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
	char		segment[2 * MAX_SEGMENT];

	for (int i = 0; i < spec->nfields; i++)
	{
		size_t		len = write_value(&spec->fields[i], &values[i], segment);

		for (size_t j = 0; j < len; j++)
			if (segment[j] == '\0' || strchr(unreserved, segment[j]) == NULL || (segment[j] == '.' && j == 0))
				segment[j] = '_';
		if (len == 0)
			segment[len++] = '_';
		if ((i > 0 && !fs_buffer_append_byte(out, '/')) || !fs_buffer_append(out, segment, len))
			return false;
	}
	return true;
}
