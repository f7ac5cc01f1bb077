/*
 * iceberg_manifest_write.c
 *		Writes a manifest; see iceberg_manifest.h.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/avro_file.h"
#include "core/iceberg_entry.h"
#include "core/iceberg_metadata.h"
#include "core/iceberg_value.h"

/* What is known of the values of a partition field. */
typedef struct FieldBounds
{
	bool		has_null;
	bool		has_nan;
	bool		any;			/* there are bounds */
	FsIcebergValue lower;
	FsIcebergValue upper;
	FsBuffer	lower_bytes;	/* that it points to */
	FsBuffer	upper_bytes;
} FieldBounds;

struct FsIcebergManifestWriter
{
	FsIcebergSpec spec;
	bool		is_deletes;
	int64_t		snapshot_id;
	FsAvroFileWriter file;
	FieldBounds *bounds;		/* of each field */
	FsIcebergManifest counts;
	bool		finished;
};

/*
 * Beginning
 */

/* Writes the header; false with the message. */
static bool
begin_file(FsIcebergManifestWriter *writer, FsIcebergMetadata *metadata, char *message)
{
	FsJsonNode *schema = fs_iceberg_schema_node(metadata, message);
	FsJsonNode *fields = fs_iceberg_spec_node(metadata, writer->spec.spec_id, message);
	FsBuffer	avro = {0};
	FsBuffer	schema_json = {0};
	FsBuffer	spec_json = {0};
	char		schema_id[16];
	char		spec_id[16];
	bool		done;

	if (schema == NULL || fields == NULL)
		return false;
	snprintf(schema_id, sizeof(schema_id), "%d", (int) fs_iceberg_schema_id(metadata));
	snprintf(spec_id, sizeof(spec_id), "%d", (int) writer->spec.spec_id);
	done = fs_iceberg_entry_schema(&metadata->memory, &writer->spec, writer->is_deletes, &avro) &&
		fs_json_tree_write(schema, &schema_json) && fs_json_tree_write(fields, &spec_json);
	if (done)
	{
		FsAvroFileKey keys[] = {
			{"schema", schema_json.data, schema_json.len},
			{"schema-id", schema_id, strlen(schema_id)},
			{"partition-spec", spec_json.data, spec_json.len},
			{"partition-spec-id", spec_id, strlen(spec_id)},
			{"format-version", "2", 1},
			{"content", writer->is_deletes ? "deletes" : "data", writer->is_deletes ? 7 : 4}
		};

		done = fs_avro_file_begin(&writer->file, avro.data, keys, sizeof(keys) / sizeof(keys[0]),
								  (uint64_t) writer->snapshot_id);
	}
	fs_buffer_free(&avro);
	fs_buffer_free(&schema_json);
	fs_buffer_free(&spec_json);
	return fs_iceberg_done(done, message);
}

/* See iceberg_manifest.h. */
FsIcebergManifestWriter *
fs_iceberg_manifest_create(FsIcebergMetadata *metadata, int32_t spec_id, bool is_deletes, int64_t snapshot_id,
						   char *message)
{
	FsIcebergManifestWriter *writer = calloc(1, sizeof(FsIcebergManifestWriter));

	message[0] = '\0';
	if (writer == NULL)
		return NULL;
	writer->is_deletes = is_deletes;
	writer->snapshot_id = snapshot_id;
	writer->counts.min_sequence_number = FS_ICEBERG_INHERITED;
	if (fs_iceberg_spec_of(metadata, spec_id, &writer->spec, message))
	{
		writer->bounds = calloc((size_t) writer->spec.nfields + 1, sizeof(FieldBounds));
		if (writer->bounds != NULL && begin_file(writer, metadata, message))
			return writer;
	}
	fs_iceberg_manifest_free(writer);
	return NULL;
}

/* NULL is nothing to free. */
void
fs_iceberg_manifest_free(FsIcebergManifestWriter *writer)
{
	if (writer == NULL)
		return;
	for (int i = 0; i < writer->spec.nfields && writer->bounds != NULL; i++)
	{
		fs_buffer_free(&writer->bounds[i].lower_bytes);
		fs_buffer_free(&writer->bounds[i].upper_bytes);
	}
	free(writer->bounds);
	fs_avro_file_writer_free(&writer->file);
	free(writer);
}

int64_t
fs_iceberg_manifest_snapshot(const FsIcebergManifestWriter *writer)
{
	return writer->snapshot_id;
}

size_t
fs_iceberg_manifest_size(const FsIcebergManifestWriter *writer)
{
	return writer->file.out.len + writer->file.block.len / 2;
}

/*
 * Entries
 */

/* Takes over a bound, and the bytes that it points to. */
static bool
keep_bound(FsIcebergValue *bound, FsBuffer *bytes, const FsIcebergValue *value)
{
	*bound = *value;
	fs_buffer_reset(bytes);
	if (value->bytes == NULL)
		return true;
	if (!fs_buffer_reserve(bytes, value->len + 1) || !fs_buffer_append(bytes, value->bytes, value->len))
		return false;
	bound->bytes = bytes->data;
	return true;
}

/* Takes the partition into account, for the manifest list. */
static bool
note_partition(FsIcebergManifestWriter *writer, const FsIcebergValue *values)
{
	for (int i = 0; i < writer->spec.nfields; i++)
	{
		const FsIcebergType *type = &writer->spec.fields[i].result;
		FieldBounds *bounds = &writer->bounds[i];

		if (values[i].is_null)
			bounds->has_null = true;
		else if (fs_iceberg_value_is_nan(type, &values[i]))
			bounds->has_nan = true;
		else
		{
			if ((!bounds->any || fs_iceberg_value_compare(type, &values[i], &bounds->lower) < 0) &&
				!keep_bound(&bounds->lower, &bounds->lower_bytes, &values[i]))
				return false;
			if ((!bounds->any || fs_iceberg_value_compare(type, &values[i], &bounds->upper) > 0) &&
				!keep_bound(&bounds->upper, &bounds->upper_bytes, &values[i]))
				return false;
			bounds->any = true;
		}
	}
	return true;
}

/* Takes the entry into account, for the manifest list. */
static void
count_entry(FsIcebergManifest *counts, const FsIcebergEntry *entry)
{
	int64_t		sequence = entry->sequence_number;

	if (entry->status == FS_ICEBERG_ADDED)
	{
		counts->added_files++;
		counts->added_rows += entry->file.rows;
	}
	else if (entry->status == FS_ICEBERG_EXISTING)
	{
		counts->existing_files++;
		counts->existing_rows += entry->file.rows;
	}
	else
	{
		counts->deleted_files++;
		counts->deleted_rows += entry->file.rows;
		return;
	}
	if (sequence != FS_ICEBERG_INHERITED &&
		(counts->min_sequence_number == FS_ICEBERG_INHERITED || sequence < counts->min_sequence_number))
		counts->min_sequence_number = sequence;
}

/* Is it an entry that may stand in this manifest?  False with the message. */
static bool
check_entry(const FsIcebergManifestWriter *writer, const FsIcebergEntry *entry, char *message)
{
	bool		added = entry->status == FS_ICEBERG_ADDED;

	if ((entry->file.content != FS_ICEBERG_DATA) != writer->is_deletes)
		return fs_iceberg_fail(message, "data and delete files cannot be in one manifest");
	if (!added && (entry->sequence_number < 0 || entry->file_sequence_number < 0))
		return fs_iceberg_fail(message, "file \"%.300s\" has no sequence number", entry->file.path);
	if (entry->file.rows < 0 || entry->file.size < 0)
		return fs_iceberg_fail(message, "file \"%.300s\" has less than no rows or bytes", entry->file.path);
	for (int i = 0; i < writer->spec.nfields; i++)
		if (!fs_iceberg_avro_fits(&writer->spec.fields[i].result, &entry->file.partition[i]))
			return fs_iceberg_fail(message, "the partition of file \"%.300s\" is not of its type", entry->file.path);
	return true;
}

/* See iceberg_manifest.h. */
bool
fs_iceberg_manifest_put(FsIcebergManifestWriter *writer, const FsIcebergEntry *entry, char *message)
{
	FS_ASSERT(!writer->finished);
	if (!check_entry(writer, entry, message))
		return false;
	count_entry(&writer->counts, entry);
	return fs_iceberg_done(note_partition(writer, entry->file.partition) &&
						   fs_iceberg_entry_put(&writer->spec, writer->is_deletes, entry, &writer->file.block) &&
						   fs_avro_file_end_record(&writer->file), message);
}

/* See iceberg_manifest.h. */
bool
fs_iceberg_manifest_add(FsIcebergManifestWriter *writer, const FsIcebergDataFile *file, char *message)
{
	FsIcebergEntry entry = {
		.status = FS_ICEBERG_ADDED, .snapshot_id = writer->snapshot_id,
		.sequence_number = FS_ICEBERG_INHERITED, .file_sequence_number = FS_ICEBERG_INHERITED, .file = *file
	};

	return fs_iceberg_manifest_put(writer, &entry, message);
}

/*
 * The end
 */

/* Appends a bound and copies it to memory; NULL when memory is out. */
static const char *
copy_bound(FsScratch *memory, const FsIcebergType *type, const FsIcebergValue *value, size_t *len)
{
	FsBuffer	bytes = {0};
	char	   *copy = NULL;

	if (fs_iceberg_value_encode(type, value, &bytes))
		copy = fs_scratch_take(memory, bytes.len + 1);
	if (copy != NULL && bytes.len > 0)
		memcpy(copy, bytes.data, bytes.len);
	*len = bytes.len;
	fs_buffer_free(&bytes);
	return copy;
}

/* What a list says of the field's values; readers take a missing bound for "all are NULL".  False: memory is out. */
static bool
summarize(FsScratch *memory, const FsIcebergType *type, const FieldBounds *bounds, FsIcebergSummary *summary)
{
	FsIcebergValue lower = bounds->lower;
	FsIcebergValue upper = bounds->upper;

	memset(summary, 0, sizeof(*summary));
	summary->has_null = bounds->has_null;
	summary->has_nan = fs_iceberg_is_float(type->kind) ? bounds->has_nan : -1;
	if (!bounds->any)
		return true;
	/* readers tell the zeros apart, in either order */
	if (lower.f == 0)
		lower.f = -0.0;
	if (upper.f == 0)
		upper.f = 0.0;
	summary->lower = copy_bound(memory, type, &lower, &summary->lower_len);
	summary->upper = copy_bound(memory, type, &upper, &summary->upper_len);
	return summary->lower != NULL && summary->upper != NULL;
}

/* Says what the values of all fields are; nothing where there is one on whose order readers differ.  False: memory is out. */
static bool
summarize_all(const FsIcebergManifestWriter *writer, FsScratch *memory, FsIcebergManifest *manifest)
{
	const FsIcebergSpec *spec = &writer->spec;
	FsIcebergSummary *summaries = fs_scratch_take_aligned(memory, sizeof(FsIcebergSummary) * (size_t) (spec->nfields + 1));

	if (summaries == NULL)
		return false;
	manifest->npartitions = -1;
	for (int i = 0; i < spec->nfields; i++)
		if (spec->fields[i].result.kind == FS_ICEBERG_UUID)
			return true;
	for (int i = 0; i < spec->nfields; i++)
		if (!summarize(memory, &spec->fields[i].result, &writer->bounds[i], &summaries[i]))
			return false;
	manifest->partitions = summaries;
	manifest->npartitions = spec->nfields;
	return true;
}

/* See iceberg_manifest.h. */
bool
fs_iceberg_manifest_finish(FsIcebergManifestWriter *writer, const char *path, FsScratch *memory, FsBuffer *out,
						   FsIcebergManifest *manifest, char *message)
{
	size_t		len = strlen(path);
	char	   *copy = fs_scratch_take(memory, len + 1);

	FS_ASSERT(!writer->finished);
	writer->finished = true;
	*manifest = writer->counts;
	if (copy == NULL || !fs_avro_file_finish(&writer->file) ||
		!fs_buffer_append(out, writer->file.out.data, writer->file.out.len) || !summarize_all(writer, memory, manifest))
		return fs_iceberg_no_memory(message);
	memcpy(copy, path, len + 1);
	manifest->path = copy;
	manifest->length = (int64_t) writer->file.out.len;
	manifest->spec_id = writer->spec.spec_id;
	manifest->is_deletes = writer->is_deletes;
	manifest->sequence_number = FS_ICEBERG_INHERITED;
	manifest->snapshot_id = writer->snapshot_id;
	return true;
}
