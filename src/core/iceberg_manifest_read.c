/*
 * iceberg_manifest_read.c
 *		Reads a manifest, and writes it again; see iceberg_manifest.h.
 */
#include <stdlib.h>

#include "core/avro_file.h"
#include "core/iceberg_entry.h"
#include "core/iceberg_metadata.h"

struct FsIcebergManifestReader
{
	FsIcebergManifest manifest;
	FsAvroFileReader file;
	FsAvroSchema *schema;
	int64_t		left;			/* records of the block at hand */
	FsIcebergEntryReader entry;
};

/* Gives the entry what it inherits from the manifest, as far as it may. */
static bool
inherit(FsIcebergManifestReader *reader, FsIcebergEntry *entry)
{
	const FsIcebergManifest *manifest = &reader->manifest;
	bool		may = entry->status == FS_ICEBERG_ADDED || manifest->sequence_number == 0;

	if (entry->snapshot_id < 0)
		entry->snapshot_id = manifest->snapshot_id;
	if (entry->sequence_number < 0 && may)
		entry->sequence_number = manifest->sequence_number;
	if (entry->file_sequence_number < 0 && may)
		entry->file_sequence_number = manifest->sequence_number;
	if (entry->status != FS_ICEBERG_ADDED && (entry->sequence_number < 0 || entry->file_sequence_number < 0))
		return fs_avro_walk_fail(&reader->entry.walk, "an entry has no sequence number");
	return true;
}

/* See iceberg_manifest.h. */
int
fs_iceberg_manifest_next(FsIcebergManifestReader *reader, FsIcebergEntry *entry, char *message)
{
	FsCursor	records;
	const char *wrong = NULL;
	int			found;

	FS_ASSERT(reader->left >= 0);
	if (reader->left == 0)
	{
		found = fs_avro_file_next(&reader->file, FS_ICEBERG_MAX_BLOCK, &records, &reader->left);
		if (found == 0)
			return 0;
		if (found < 0)
		{
			reader->left = 0;
			wrong = reader->file.wrong;
		}
		else
			fs_avro_walk_begin(&reader->entry.walk, reader->schema, records);
	}
	if (reader->left > 0)
	{
		if (fs_cursor_left(&reader->entry.walk.cursor) == 0)
			fs_avro_walk_fail(&reader->entry.walk, "a block ends early");
		else if (fs_iceberg_entry_get(&reader->entry, entry) && inherit(reader, entry))
		{
			reader->left--;
			return 1;
		}
		wrong = reader->entry.walk.wrong;
	}
	if (wrong == NULL)
		fs_iceberg_no_memory(message);
	else
		fs_iceberg_fail(message, "manifest \"%.300s\" is malformed: %s", reader->manifest.path, wrong);
	return -1;
}

/*
 * Beginning and end
 */

/* Reads the header, and the schema in it; false with the message. */
static bool
open_file(FsIcebergManifestReader *reader, const char *bytes, size_t len, char *message)
{
	FsAvroSource source;

	if (!fs_avro_file_open(&reader->file, bytes, len))
		return reader->file.wrong == NULL ? fs_iceberg_no_memory(message) :
			fs_iceberg_fail(message, "manifest \"%.300s\" is malformed: %s", reader->manifest.path, reader->file.wrong);
	source.text = fs_avro_file_value(&reader->file, "avro.schema", &source.len);
	if (source.text == NULL)
		return fs_iceberg_fail(message, "manifest \"%.300s\" is malformed: it has no schema", reader->manifest.path);
	reader->schema = fs_avro_schema_parse(&source, 1, message);
	if (reader->schema == NULL)
		return false;
	if (reader->schema->nodes[reader->schema->root].type != FS_AVRO_RECORD)
		return fs_iceberg_fail(message, "manifest \"%.300s\" is malformed: it has no records", reader->manifest.path);
	return true;
}

/* See iceberg_manifest.h. */
FsIcebergManifestReader *
fs_iceberg_manifest_open(FsIcebergMetadata *metadata, const FsIcebergManifest *manifest, const char *bytes, size_t len,
						 char *message)
{
	FsIcebergManifestReader *reader = calloc(1, sizeof(FsIcebergManifestReader));

	message[0] = '\0';
	if (reader == NULL)
		return NULL;
	reader->manifest = *manifest;
	if (fs_iceberg_spec_of(metadata, manifest->spec_id, &reader->entry.spec, message))
	{
		reader->entry.partition = calloc((size_t) reader->entry.spec.nfields + 1, sizeof(FsIcebergValue));
		if (reader->entry.partition != NULL && open_file(reader, bytes, len, message))
			return reader;
	}
	fs_iceberg_reader_free(reader);
	return NULL;
}

/* NULL is nothing to free. */
void
fs_iceberg_reader_free(FsIcebergManifestReader *reader)
{
	if (reader == NULL)
		return;
	fs_avro_file_reader_free(&reader->file);
	fs_avro_schema_free(reader->schema);
	fs_scratch_free(&reader->entry.memory);
	fs_buffer_free(&reader->entry.facts);
	fs_buffer_free(&reader->entry.numbers);
	free(reader->entry.partition);
	free(reader);
}

/* See iceberg_manifest.h. */
bool
fs_iceberg_manifest_rewrite(FsIcebergManifestReader *reader, FsIcebergManifestWriter *writer, FsIcebergChosen removed,
							void *arg, FsIcebergRemoved *count, char *message)
{
	int64_t		snapshot_id = fs_iceberg_manifest_snapshot(writer);
	FsIcebergEntry entry;
	int			found;

	memset(count, 0, sizeof(*count));
	while ((found = fs_iceberg_manifest_next(reader, &entry, message)) > 0)
	{
		bool		ours = entry.snapshot_id == snapshot_id;
		bool		chosen;

		if (entry.status == FS_ICEBERG_DELETED && !ours)
			continue;
		chosen = entry.status != FS_ICEBERG_DELETED && removed != NULL && removed(arg, &entry);
		if (chosen)
		{
			count->files++;
			count->rows += entry.file.rows;
			count->bytes += entry.file.size;
			if (ours)
				continue;
			entry.status = FS_ICEBERG_DELETED;
			entry.snapshot_id = snapshot_id;
		}
		else if (entry.status == FS_ICEBERG_ADDED && !ours)
			entry.status = FS_ICEBERG_EXISTING;
		if (!fs_iceberg_manifest_put(writer, &entry, message))
			return false;
	}
	return found == 0;
}
