/*
 * iceberg_entry_write.c
 *		Entries of a manifest, and the schema they have; see iceberg_entry.h.
 *
 * Names and ids are the specification's: PyIceberg, DuckDB and Java go by ids,
 * ClickHouse by names.
 */
#include <stdio.h>

#include "core/avro_file.h"
#include "core/iceberg_entry.h"
#include "core/iceberg_metadata.h"
#include "core/iceberg_value.h"

/* A field that can be NULL, of some type. */
#define OPTIONAL(name, type, id) \
	"{\"name\":\"" name "\",\"type\":[\"null\"," type "],\"default\":null,\"field-id\":" #id "}"

/* A field that has a value. */
#define REQUIRED(name, type, id) "{\"name\":\"" name "\",\"type\":" type ",\"field-id\":" #id "}"

/* A map from ids of columns to something. */
#define MAP(name, value, id, key_id, value_id) \
	OPTIONAL(name, "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"k" #key_id "_v" #value_id "\",\"fields\":[" \
			 REQUIRED("key", "\"int\"", key_id) "," REQUIRED("value", value, value_id) "]},\"logicalType\":\"map\"}", id)

/* The schema up to the fields of the partition, behind them, and its end. */
static const char schema_begin[] =
"{\"type\":\"record\",\"name\":\"manifest_entry\",\"fields\":["
REQUIRED("status", "\"int\"", 0) ","
OPTIONAL("snapshot_id", "\"long\"", 1) ","
OPTIONAL("sequence_number", "\"long\"", 3) ","
OPTIONAL("file_sequence_number", "\"long\"", 4) ","
"{\"name\":\"data_file\",\"type\":{\"type\":\"record\",\"name\":\"r2\",\"fields\":["
REQUIRED("content", "\"int\"", 134) ","
REQUIRED("file_path", "\"string\"", 100) ","
REQUIRED("file_format", "\"string\"", 101) ","
"{\"name\":\"partition\",\"type\":{\"type\":\"record\",\"name\":\"r102\",\"fields\":[";

static const char schema_middle[] =
"]},\"field-id\":102},"
REQUIRED("record_count", "\"long\"", 103) ","
REQUIRED("file_size_in_bytes", "\"long\"", 104) ","
MAP("column_sizes", "\"long\"", 108, 117, 118) ","
MAP("value_counts", "\"long\"", 109, 119, 120) ","
MAP("null_value_counts", "\"long\"", 110, 121, 122) ","
MAP("nan_value_counts", "\"long\"", 137, 138, 139) ","
MAP("lower_bounds", "\"bytes\"", 125, 126, 127) ","
MAP("upper_bounds", "\"bytes\"", 128, 129, 130) ","
OPTIONAL("key_metadata", "\"bytes\"", 131) ","
OPTIONAL("split_offsets", "{\"type\":\"array\",\"items\":\"long\",\"element-id\":133}", 132) ","
OPTIONAL("equality_ids", "{\"type\":\"array\",\"items\":\"int\",\"element-id\":136}", 135) ","
OPTIONAL("sort_order_id", "\"int\"", 140);

static const char schema_deletes[] = "," OPTIONAL("referenced_data_file", "\"string\"", 143);
static const char schema_end[] = "]},\"field-id\":2}]}";

/* Appends a field of the partition record; false when memory is out. */
static bool
append_field(FsScratch *memory, const FsIcebergField *field, FsBuffer *out)
{
	const char *name = fs_iceberg_avro_name(memory, field->name);
	char		end[64];

	snprintf(end, sizeof(end), "],\"default\":null,\"field-id\":%d}", (int) field->field_id);
	return name != NULL && fs_buffer_append(out, "{\"name\":\"", 9) && fs_buffer_append(out, name, strlen(name)) &&
		fs_buffer_append(out, "\",\"type\":[\"null\",", 17) &&
		fs_iceberg_avro_type(&field->result, field->field_id, out) && fs_buffer_append(out, end, strlen(end));
}

/* See iceberg_entry.h. */
bool
fs_iceberg_entry_schema(FsScratch *memory, const FsIcebergSpec *spec, bool is_deletes, FsBuffer *out)
{
	if (!fs_buffer_append(out, schema_begin, strlen(schema_begin)))
		return false;
	for (int i = 0; i < spec->nfields; i++)
		if ((i > 0 && !fs_buffer_append_byte(out, ',')) || !append_field(memory, &spec->fields[i], out))
			return false;
	return fs_buffer_append(out, schema_middle, strlen(schema_middle)) &&
		(!is_deletes || fs_buffer_append(out, schema_deletes, strlen(schema_deletes))) &&
		fs_buffer_append(out, schema_end, sizeof(schema_end));
}

/* A number that can be NULL. */
static bool
put_optional(FsBuffer *out, bool there, int64_t value)
{
	if (!there)
		return fs_buffer_append_byte(out, 0);
	return fs_buffer_append_byte(out, 2) && fs_buffer_append_zigzag(out, value);
}

/* The count of a column that the map of this number holds; -1: it holds none. */
static int64_t
count_of(const FsIcebergMetrics *metrics, int which)
{
	switch (which)
	{
		case 0:
			return metrics->bytes;
		case 1:
			return metrics->value_count;
		case 2:
			return metrics->null_count;
		default:
			return metrics->nan_count;
	}
}

/* One of the four maps of counts; NULL when there is nothing in it. */
static bool
put_counts(FsBuffer *out, const FsIcebergDataFile *file, int which)
{
	int			n = 0;

	for (int i = 0; i < file->nmetrics; i++)
		n += count_of(&file->metrics[i], which) >= 0;
	if (n == 0)
		return fs_buffer_append_byte(out, 0);
	if (!fs_buffer_append_byte(out, 2) || !fs_buffer_append_zigzag(out, n))
		return false;
	for (int i = 0; i < file->nmetrics; i++)
	{
		int64_t		count = count_of(&file->metrics[i], which);

		if (count >= 0 && (!fs_buffer_append_zigzag(out, file->metrics[i].field_id) ||
						   !fs_buffer_append_zigzag(out, count)))
			return false;
	}
	return fs_buffer_append_byte(out, 0);
}

/* The map of lower or upper bounds; NULL when there are none. */
static bool
put_bounds(FsBuffer *out, const FsIcebergDataFile *file, bool upper)
{
	int			n = 0;

	for (int i = 0; i < file->nmetrics; i++)
		n += (upper ? file->metrics[i].upper : file->metrics[i].lower) != NULL;
	if (n == 0)
		return fs_buffer_append_byte(out, 0);
	if (!fs_buffer_append_byte(out, 2) || !fs_buffer_append_zigzag(out, n))
		return false;
	for (int i = 0; i < file->nmetrics; i++)
	{
		const FsIcebergMetrics *metrics = &file->metrics[i];
		const char *bound = upper ? metrics->upper : metrics->lower;

		if (bound != NULL && (!fs_buffer_append_zigzag(out, metrics->field_id) ||
							  !fs_avro_put_bytes(out, bound, upper ? metrics->upper_len : metrics->lower_len)))
			return false;
	}
	return fs_buffer_append_byte(out, 0);
}

/* Where row groups begin; NULL when it is not known. */
static bool
put_offsets(FsBuffer *out, const FsIcebergDataFile *file)
{
	if (file->noffsets <= 0)
		return fs_buffer_append_byte(out, 0);
	if (!fs_buffer_append_byte(out, 2) || !fs_buffer_append_zigzag(out, file->noffsets))
		return false;
	for (int i = 0; i < file->noffsets; i++)
		if (!fs_buffer_append_zigzag(out, file->offsets[i]))
			return false;
	return fs_buffer_append_byte(out, 0);
}

/* The columns of equality deletes; NULL for other files. */
static bool
put_equality_ids(FsBuffer *out, const FsIcebergDataFile *file)
{
	if (file->nequality_ids <= 0)
		return fs_buffer_append_byte(out, 0);
	if (!fs_buffer_append_byte(out, 2) || !fs_buffer_append_zigzag(out, file->nequality_ids))
		return false;
	for (int i = 0; i < file->nequality_ids; i++)
		if (!fs_buffer_append_zigzag(out, file->equality_ids[i]))
			return false;
	return fs_buffer_append_byte(out, 0);
}

/* The data file, in the order of the schema. */
static bool
put_file(const FsIcebergSpec *spec, bool is_deletes, const FsIcebergDataFile *file, FsBuffer *out)
{
	FS_ASSERT(file->path != NULL && file->format != NULL && (spec->nfields == 0 || file->partition != NULL));
	if (!fs_buffer_append_zigzag(out, file->content) || !fs_avro_put_bytes(out, file->path, strlen(file->path)) ||
		!fs_avro_put_bytes(out, file->format, strlen(file->format)))
		return false;
	for (int i = 0; i < spec->nfields; i++)
		if (!fs_iceberg_avro_put(&spec->fields[i].result, &file->partition[i], out))
			return false;
	if (!fs_buffer_append_zigzag(out, file->rows) || !fs_buffer_append_zigzag(out, file->size))
		return false;
	for (int which = 0; which < 4; which++)
		if (!put_counts(out, file, which))
			return false;
	return put_bounds(out, file, false) && put_bounds(out, file, true) &&
		fs_avro_put_optional_bytes(out, file->key_metadata, file->key_metadata_len) && put_offsets(out, file) &&
		put_equality_ids(out, file) && put_optional(out, file->sort_id >= 0, file->sort_id) &&
		(!is_deletes ||
		 fs_avro_put_optional_bytes(out, file->referenced, file->referenced == NULL ? 0 : strlen(file->referenced)));
}

/* See iceberg_entry.h. */
bool
fs_iceberg_entry_put(const FsIcebergSpec *spec, bool is_deletes, const FsIcebergEntry *entry, FsBuffer *out)
{
	return fs_buffer_append_zigzag(out, entry->status) && put_optional(out, true, entry->snapshot_id) &&
		put_optional(out, entry->sequence_number >= 0, entry->sequence_number) &&
		put_optional(out, entry->file_sequence_number >= 0, entry->file_sequence_number) &&
		put_file(spec, is_deletes, &entry->file, out);
}
