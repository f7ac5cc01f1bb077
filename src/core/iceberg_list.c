/*
 * iceberg_list.c
 *		Manifest lists, read and written; see iceberg_manifest.h.
 */
#include <inttypes.h>
#include <stdio.h>

#include "core/avro_file.h"
#include "core/avro_walk.h"
#include "core/iceberg_manifest.h"
#include "core/iceberg_metadata.h"

static const char list_schema[] =
"{\"type\":\"record\",\"name\":\"manifest_file\",\"fields\":["
"{\"name\":\"manifest_path\",\"type\":\"string\",\"field-id\":500},"
"{\"name\":\"manifest_length\",\"type\":\"long\",\"field-id\":501},"
"{\"name\":\"partition_spec_id\",\"type\":\"int\",\"field-id\":502},"
"{\"name\":\"content\",\"type\":\"int\",\"field-id\":517},"
"{\"name\":\"sequence_number\",\"type\":\"long\",\"field-id\":515},"
"{\"name\":\"min_sequence_number\",\"type\":\"long\",\"field-id\":516},"
"{\"name\":\"added_snapshot_id\",\"type\":\"long\",\"field-id\":503},"
"{\"name\":\"added_files_count\",\"type\":\"int\",\"field-id\":504},"
"{\"name\":\"existing_files_count\",\"type\":\"int\",\"field-id\":505},"
"{\"name\":\"deleted_files_count\",\"type\":\"int\",\"field-id\":506},"
"{\"name\":\"added_rows_count\",\"type\":\"long\",\"field-id\":512},"
"{\"name\":\"existing_rows_count\",\"type\":\"long\",\"field-id\":513},"
"{\"name\":\"deleted_rows_count\",\"type\":\"long\",\"field-id\":514},"
"{\"name\":\"partitions\",\"type\":[\"null\",{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"r508\",\"fields\":["
"{\"name\":\"contains_null\",\"type\":\"boolean\",\"field-id\":509},"
"{\"name\":\"contains_nan\",\"type\":[\"null\",\"boolean\"],\"default\":null,\"field-id\":518},"
"{\"name\":\"lower_bound\",\"type\":[\"null\",\"bytes\"],\"default\":null,\"field-id\":510},"
"{\"name\":\"upper_bound\",\"type\":[\"null\",\"bytes\"],\"default\":null,\"field-id\":511}"
"]},\"element-id\":508}],\"default\":null,\"field-id\":507},"
"{\"name\":\"key_metadata\",\"type\":[\"null\",\"bytes\"],\"default\":null,\"field-id\":519}]}";

/*
 * Writing
 */

/* What is known of a partition field. */
static bool
put_summary(FsBuffer *out, const FsIcebergSummary *summary)
{
	return fs_buffer_append_byte(out, summary->has_null) &&
		(summary->has_nan < 0 ? fs_buffer_append_byte(out, 0) :
		 fs_buffer_append_byte(out, 2) && fs_buffer_append_byte(out, (uint8_t) summary->has_nan)) &&
		fs_avro_put_optional_bytes(out, summary->lower, summary->lower_len) &&
		fs_avro_put_optional_bytes(out, summary->upper, summary->upper_len);
}

/* What is known of all partition fields. */
static bool
put_partitions(FsBuffer *out, const FsIcebergManifest *manifest)
{
	if (manifest->npartitions < 0)
		return fs_buffer_append_byte(out, 0);
	if (!fs_buffer_append_byte(out, 2) ||
		(manifest->npartitions > 0 && !fs_buffer_append_zigzag(out, manifest->npartitions)))
		return false;
	for (int i = 0; i < manifest->npartitions; i++)
		if (!put_summary(out, &manifest->partitions[i]))
			return false;
	return fs_buffer_append_byte(out, 0);
}

/* A record, in the order of the schema. */
static bool
put_manifest(FsBuffer *out, const FsIcebergManifest *manifest, int64_t sequence)
{
	int64_t		own = manifest->sequence_number < 0 ? sequence : manifest->sequence_number;
	int64_t		least = manifest->min_sequence_number < 0 ? own : manifest->min_sequence_number;

	FS_ASSERT(manifest->path != NULL && sequence > 0);
	return fs_avro_put_bytes(out, manifest->path, strlen(manifest->path)) && fs_buffer_append_zigzag(out, manifest->length) &&
		fs_buffer_append_zigzag(out, manifest->spec_id) && fs_buffer_append_zigzag(out, manifest->is_deletes) &&
		fs_buffer_append_zigzag(out, own) && fs_buffer_append_zigzag(out, least) &&
		fs_buffer_append_zigzag(out, manifest->snapshot_id) &&
		fs_buffer_append_zigzag(out, manifest->added_files) &&
		fs_buffer_append_zigzag(out, manifest->existing_files) &&
		fs_buffer_append_zigzag(out, manifest->deleted_files) &&
		fs_buffer_append_zigzag(out, manifest->added_rows) &&
		fs_buffer_append_zigzag(out, manifest->existing_rows) &&
		fs_buffer_append_zigzag(out, manifest->deleted_rows) && put_partitions(out, manifest) &&
		fs_avro_put_optional_bytes(out, manifest->key_metadata, manifest->key_metadata_len);
}

/* Has it the counts that version 2 requires? */
static bool
is_counted(const FsIcebergManifest *manifest)
{
	return manifest->added_files >= 0 && manifest->existing_files >= 0 && manifest->deleted_files >= 0 &&
		manifest->added_rows >= 0 && manifest->existing_rows >= 0 && manifest->deleted_rows >= 0;
}

/* See iceberg_manifest.h. */
bool
fs_iceberg_list_write(const FsIcebergManifest *manifests, int n, int64_t snapshot_id, int64_t parent_id,
					  int64_t sequence_number, FsBuffer *out, char *message)
{
	FsAvroFileWriter file;
	char		id[24];
	char		parent[24] = "null";
	char		sequence[24];
	bool		done;

	snprintf(id, sizeof(id), "%" PRId64, snapshot_id);
	snprintf(sequence, sizeof(sequence), "%" PRId64, sequence_number);
	if (parent_id != FS_ICEBERG_NO_SNAPSHOT)
		snprintf(parent, sizeof(parent), "%" PRId64, parent_id);
	for (int i = 0; i < n; i++)
		if (!is_counted(&manifests[i]))
			return fs_iceberg_fail(message, "nothing says how many files manifest \"%.300s\" has", manifests[i].path);
	{
		FsAvroFileKey keys[] = {
			{"snapshot-id", id, strlen(id)}, {"parent-snapshot-id", parent, strlen(parent)},
			{"sequence-number", sequence, strlen(sequence)}, {"format-version", "2", 1}
		};

		done = fs_avro_file_begin(&file, list_schema, keys, 4, (uint64_t) snapshot_id);
	}
	for (int i = 0; i < n && done; i++)
		done = put_manifest(&file.block, &manifests[i], sequence_number) && fs_avro_file_end_record(&file);
	done = done && fs_avro_file_finish(&file) && fs_buffer_append(out, file.out.data, file.out.len);
	fs_avro_file_writer_free(&file);
	return fs_iceberg_done(done, message);
}

/*
 * Reading
 */

/* A list that is being read. */
typedef struct ListReader
{
	FsAvroFileReader file;
	FsAvroSchema *schema;
	FsAvroWalk	walk;
	FsScratch  *memory;
	FsBuffer	manifests;
	FsBuffer	summaries;		/* of the manifest at hand */
} ListReader;

/* Notes that memory is out: no words; always false. */
static bool
no_memory(ListReader *reader)
{
	reader->walk.wrong = NULL;
	return false;
}

/* Bytes that may be NULL, copied to memory. */
static bool
read_bytes(ListReader *reader, int node, const char **bytes, size_t *len)
{
	const char *found = NULL;
	char	   *copy;

	if (!fs_avro_walk_some(&reader->walk, node, &found, len))
		return false;
	if (found == NULL)
		return true;
	copy = fs_scratch_take(reader->memory, *len + 1);
	if (copy == NULL)
		return no_memory(reader);
	memcpy(copy, found, *len);
	*bytes = copy;
	return true;
}

/* Reads what is known of a partition field. */
static bool
read_summary(void *arg, int item)
{
	ListReader *reader = arg;
	const FsAvroNode *record = &reader->schema->nodes[item];
	FsIcebergSummary summary = {.has_null = true, .has_nan = -1};
	int64_t		flag;
	bool		done = true;

	if (record->type != FS_AVRO_RECORD || record->count == 0)
		return fs_avro_walk_fail(&reader->walk, "a partition is no record");
	for (int i = record->first; i >= 0 && done; i = reader->schema->members[i].next)
	{
		const FsAvroMember *member = &reader->schema->members[i];

		flag = -1;
		switch (member->field_id)
		{
			case 509:
				done = fs_avro_walk_number(&reader->walk, member->node, &flag);
				summary.has_null = flag != 0;
				break;
			case 518:
				done = fs_avro_walk_number(&reader->walk, member->node, &flag);
				summary.has_nan = flag < 0 ? -1 : flag > 0;
				break;
			case 510:
				done = read_bytes(reader, member->node, &summary.lower, &summary.lower_len);
				break;
			case 511:
				done = read_bytes(reader, member->node, &summary.upper, &summary.upper_len);
				break;
			default:
				done = fs_avro_walk_skip(&reader->walk, member->node);
				break;
		}
	}
	return done && (fs_buffer_append(&reader->summaries, &summary, sizeof(summary)) || no_memory(reader));
}

/* Reads what is known of all partition fields. */
static bool
read_partitions(ListReader *reader, int node, FsIcebergManifest *manifest)
{
	FsIcebergSummary *copy;
	bool		there;

	fs_buffer_reset(&reader->summaries);
	if (!fs_avro_walk_array(&reader->walk, node, read_summary, reader, &there))
		return false;
	if (!there)
		return true;
	copy = fs_scratch_take_aligned(reader->memory, reader->summaries.len + 1);
	if (copy == NULL)
		return no_memory(reader);
	if (reader->summaries.len > 0)
		memcpy(copy, reader->summaries.data, reader->summaries.len);
	manifest->partitions = copy;
	manifest->npartitions = (int) (reader->summaries.len / sizeof(FsIcebergSummary));
	return true;
}

/* Reads a field of a record. */
static bool
read_field(ListReader *reader, const FsAvroMember *member, FsIcebergManifest *manifest)
{
	FsAvroWalk *walk = &reader->walk;
	int64_t		content = 0;

	switch (member->field_id)
	{
		case 500:
			return fs_avro_walk_text(walk, member->node, reader->memory, &manifest->path);
		case 501:
			return fs_avro_walk_number(walk, member->node, &manifest->length);
		case 502:
			return fs_avro_walk_int(walk, member->node, &manifest->spec_id);
		case 517:
			if (!fs_avro_walk_number(walk, member->node, &content))
				return false;
			manifest->is_deletes = content == 1;
			return content == 0 || content == 1 || fs_avro_walk_fail(walk, "a manifest has content of an unknown kind");
		case 515:
			return fs_avro_walk_number(walk, member->node, &manifest->sequence_number);
		case 516:
			return fs_avro_walk_number(walk, member->node, &manifest->min_sequence_number);
		case 503:
			return fs_avro_walk_number(walk, member->node, &manifest->snapshot_id);
		case 504:
			return fs_avro_walk_int(walk, member->node, &manifest->added_files);
		case 505:
			return fs_avro_walk_int(walk, member->node, &manifest->existing_files);
		case 506:
			return fs_avro_walk_int(walk, member->node, &manifest->deleted_files);
		case 512:
			return fs_avro_walk_number(walk, member->node, &manifest->added_rows);
		case 513:
			return fs_avro_walk_number(walk, member->node, &manifest->existing_rows);
		case 514:
			return fs_avro_walk_number(walk, member->node, &manifest->deleted_rows);
		case 507:
			return read_partitions(reader, member->node, manifest);
		case 519:
			return read_bytes(reader, member->node, &manifest->key_metadata, &manifest->key_metadata_len);
		default:
			return fs_avro_walk_skip(walk, member->node);
	}
}

/* Reads a record.  What version 1 does not have is 0. */
static bool
read_manifest(ListReader *reader)
{
	const FsAvroNode *record = &reader->schema->nodes[reader->schema->root];
	FsIcebergManifest manifest = {
		.snapshot_id = -1, .length = -1, .added_files = -1, .existing_files = -1, .deleted_files = -1,
		.added_rows = -1, .existing_rows = -1, .deleted_rows = -1, .npartitions = -1
	};

	if (fs_cursor_left(&reader->walk.cursor) == 0)
		return fs_avro_walk_fail(&reader->walk, "a block ends early");
	for (int i = record->first; i >= 0; i = reader->schema->members[i].next)
		if (!read_field(reader, &reader->schema->members[i], &manifest))
			return false;
	if (manifest.path == NULL || manifest.length < 0 || manifest.snapshot_id < 0 || manifest.sequence_number < 0 ||
		manifest.min_sequence_number < 0)
		return fs_avro_walk_fail(&reader->walk, "a manifest has no path, length, snapshot or sequence number");
	return fs_buffer_append(&reader->manifests, &manifest, sizeof(manifest)) || no_memory(reader);
}

/* Reads all blocks; false when the file is malformed (either's wrong) or memory is out. */
static bool
read_blocks(ListReader *reader)
{
	FsCursor	records;
	int64_t		n;
	int			found;

	while ((found = fs_avro_file_next(&reader->file, FS_ICEBERG_MAX_LIST, &records, &n)) > 0)
	{
		fs_avro_walk_begin(&reader->walk, reader->schema, records);
		while (n-- > 0)
			if (!read_manifest(reader))
				return false;
	}
	return found == 0;
}

/* Reads header, schema and all blocks; false with the message. */
static bool
read_list(ListReader *reader, const char *bytes, size_t len, char *message)
{
	FsAvroSource source;
	const char *wrong;

	if (fs_avro_file_open(&reader->file, bytes, len))
	{
		source.text = fs_avro_file_value(&reader->file, "avro.schema", &source.len);
		if (source.text == NULL)
			return fs_iceberg_fail(message, "the manifest list is malformed: it has no schema");
		reader->schema = fs_avro_schema_parse(&source, 1, message);
		if (reader->schema == NULL)
			return false;
		if (reader->schema->nodes[reader->schema->root].type != FS_AVRO_RECORD)
			return fs_iceberg_fail(message, "the manifest list is malformed: it has no records");
		if (read_blocks(reader))
			return true;
	}
	wrong = reader->file.wrong != NULL ? reader->file.wrong : reader->walk.wrong;
	return wrong == NULL ? fs_iceberg_no_memory(message) :
		fs_iceberg_fail(message, "the manifest list is malformed: %s", wrong);
}

/* See iceberg_manifest.h. */
bool
fs_iceberg_list_read(const char *bytes, size_t len, FsScratch *memory, FsIcebergManifest **manifests, int *n,
					 char *message)
{
	ListReader	reader = {.memory = memory};
	bool		done = read_list(&reader, bytes, len, message);

	*n = 0;
	*manifests = NULL;
	if (done)
	{
		*manifests = fs_scratch_take_aligned(memory, reader.manifests.len + 1);
		if (*manifests == NULL)
			done = fs_iceberg_no_memory(message);
		else if (reader.manifests.len > 0)
			memcpy(*manifests, reader.manifests.data, reader.manifests.len);
		*n = done ? (int) (reader.manifests.len / sizeof(FsIcebergManifest)) : 0;
	}
	fs_avro_file_reader_free(&reader.file);
	fs_avro_schema_free(reader.schema);
	fs_buffer_free(&reader.manifests);
	fs_buffer_free(&reader.summaries);
	return done;
}
