/*
 * iceberg_cases.c
 *		Writes Iceberg tables below a directory, told from standard input, for iceberg_readers.py.
 *
 * A command is a line of JSON, the answer is one.  In values, numbers with a
 * fraction are their 64 bits as an integer, strings and bytes are hexadecimal,
 * lists are arrays.  Commands, by "do":
 *
 *	create		"location", "columns" [[name, type, required, is list, precision, scale]], "partitions"
 *				[as users write them], "sorts" [column], "properties" {}
 *	open		"metadata": goes on with a table that somebody wrote
 *	commit		"operation", "rows" [[values in the order of the schema]], "remove" [paths of
 *				data files], "merge" (all manifests into one), "split" (rows in a
 *				file at most), "summary" {}
 *	add			"columns": to the schema
 *	widen		"columns": decimals that get a greater precision
 *	drop		"column": from it
 *	expire		"keep_ms", "keep_count": and deletes what nothing leads to any more
 *
 * Each has "now".  The answer has the location of the metadata, the snapshot, and
 * what was deleted; or "error".
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/iceberg_manifest.h"
#include "core/iceberg_transform.h"
#include "core/json_tree.h"
#include "core/json_write.h"

#define MAX_FILES	4096

static FsIcebergMetadata *metadata;
static char *metadata_location;
static FsScratch memory;		/* of a command */
static char message[FS_ICEBERG_MESSAGE_SIZE];
static unsigned uuids;

/* Ends the command with an error when something was refused. */
#define TRY(done) do { if (!(done)) return false; } while (0)

static void
require(bool done, const char *what)
{
	if (done)
		return;
	fprintf(stderr, "%s failed: %s\n", what, message);
	exit(2);
}

static const char *
new_uuid(void)
{
	char	   *uuid = fs_scratch_take(&memory, 37);

	snprintf(uuid, 37, "%08x-0000-4000-8000-%012x", (unsigned) getpid(), ++uuids);
	return uuid;
}

/* A buffer's bytes as a string, in the command's memory. */
static const char *
take_text(FsBuffer *buffer)
{
	char	   *text = fs_scratch_take(&memory, buffer->len + 1);

	memcpy(text, buffer->data, buffer->len);
	text[buffer->len] = '\0';
	fs_buffer_free(buffer);
	return text;
}

/*
 * Files
 */

static const char *
local_path(const char *location)
{
	return strncmp(location, "file://", 7) == 0 ? location + 7 : location;
}

/* Makes all folders of a path. */
static void
make_folders(const char *path)
{
	char		part[4096];

	for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/'))
	{
		snprintf(part, sizeof(part), "%.*s", (int) (slash - path), path);
		mkdir(part, 0755);
	}
}

static FILE *
create_file(const char *location)
{
	FILE	   *file;

	make_folders(local_path(location));
	file = fopen(local_path(location), "wb");
	require(file != NULL, location);
	return file;
}

static void
write_file(const char *location, const FsBuffer *bytes)
{
	FILE	   *file = create_file(location);

	require(fwrite(bytes->data, 1, bytes->len, file) == bytes->len && fclose(file) == 0, location);
}

/* A file in memory of its exact size, that the caller frees. */
static char *
read_file(const char *location, size_t *len)
{
	FILE	   *file = fopen(local_path(location), "rb");
	char	   *bytes;

	require(file != NULL && fseek(file, 0, SEEK_END) == 0, location);
	*len = (size_t) ftell(file);
	rewind(file);
	bytes = malloc(*len > 0 ? *len : 1);
	require(fread(bytes, 1, *len, file) == *len && fclose(file) == 0, location);
	return bytes;
}

/*
 * Values
 */

/* The bytes of hexadecimal digits. */
static const char *
read_hex(const FsJsonNode *node, size_t *len)
{
	char	   *out = fs_scratch_take(&memory, node->len / 2 + 1);

	*len = node->len / 2;
	for (size_t i = 0; i < *len; i++)
	{
		unsigned	byte;

		require(sscanf(node->text + 2 * i, "%2x", &byte) == 1, "hex");
		out[i] = (char) byte;
	}
	return out;
}

/* A value of a column, or of a list's element. */
static FsIcebergValue
read_value(const FsJsonNode *node, FsParquetType type)
{
	FsIcebergValue value = {0};

	value.is_null = node->kind == FS_JSON_NODE_RAW && node->text[0] == 'n';
	if (value.is_null)
		return value;
	if (type >= FS_PARQUET_STRING)
		value.bytes = read_hex(node, &value.len);
	else
	{
		value.i = strtoll(node->text, NULL, 10);
		memcpy(&value.f, &value.i, sizeof(value.f));
	}
	return value;
}

static bool
put_value(FsParquetWriter *writer, int column, FsParquetType type, const FsIcebergValue *value)
{
	if (value->is_null)
		return fs_parquet_put_null(writer, column);
	if (type == FS_PARQUET_DECIMAL)
		return fs_parquet_put_decimal(writer, column, value->bytes, value->len);
	if (type >= FS_PARQUET_STRING)
		return fs_parquet_put_bytes(writer, column, value->bytes, value->len);
	if (type == FS_PARQUET_FLOAT || type == FS_PARQUET_DOUBLE)
		return fs_parquet_put_float(writer, column, value->f);
	return fs_parquet_put_int(writer, column, value->i);
}

/* A cell: a value, or a list of them. */
static void
put_cell(FsParquetWriter *writer, int column, const FsParquetColumn *type, const FsJsonNode *node)
{
	FsIcebergValue value;

	if (node->kind != FS_JSON_NODE_ARRAY)
	{
		value = read_value(node, type->type);
		require(put_value(writer, column, type->type, &value), "putting a value");
		return;
	}
	require(fs_parquet_put_list(writer, column, (uint32_t) node->count), "fs_parquet_put_list");
	for (const FsJsonNode *element = node->first; element != NULL; element = element->next)
	{
		value = read_value(element, type->type);
		require(put_value(writer, column, type->type, &value), "putting an element");
	}
}

/*
 * Data files
 */

/* A data file that is being written. */
typedef struct OpenFile
{
	FsBuffer	key;			/* of its partition */
	FsIcebergValue *partition;
	FsParquetWriter *writer;
	FILE	   *file;
	const char *location;
	int			nrows;
} OpenFile;

static OpenFile files[MAX_FILES];
static int	nfiles;

static bool
sink(void *arg, const void *bytes, size_t n)
{
	return fwrite(bytes, 1, n, arg) == n;
}

/* The cell of a column in a row. */
static const FsJsonNode *
cell_of(const FsJsonNode *row, int column)
{
	const FsJsonNode *node = row->first;

	while (node != NULL && column-- > 0)
		node = node->next;
	require(node != NULL, "a row has too few values");
	return node;
}

/* The partition of a row, in the command's memory. */
static FsIcebergValue *
partition_of(const FsIcebergSpec *spec, const FsParquetColumn *columns, int ncolumns, const FsJsonNode *row)
{
	FsIcebergValue *values = fs_scratch_take_aligned(&memory, sizeof(FsIcebergValue) * (size_t) (spec->nfields + 1));

	for (int i = 0; i < spec->nfields; i++)
	{
		const FsIcebergField *field = &spec->fields[i];
		FsIcebergValue source = {.is_null = true};

		for (int c = 0; c < ncolumns; c++)
			if (columns[c].field_id == field->source_id)
				source = read_value(cell_of(row, c), columns[c].type);
		fs_iceberg_transform(&field->transform, &field->source, &source, &values[i], fs_scratch_take(&memory, 16));
	}
	return values;
}

/* The file for rows of a partition, not full yet; made when there is none. */
static OpenFile *
find_file(const FsIcebergSpec *spec, FsIcebergValue *partition, const FsParquetColumn *columns, int ncolumns, int split)
{
	FsParquetOptions options = fs_parquet_defaults;
	FsBuffer	key = {0};
	FsBuffer	path = {0};
	OpenFile   *open;

	require(fs_iceberg_partition_key(spec, partition, &key), "fs_iceberg_partition_key");
	for (int i = 0; i < nfiles; i++)
		if (files[i].nrows < split && files[i].key.len == key.len &&
			(key.len == 0 || memcmp(files[i].key.data, key.data, key.len) == 0))
		{
			fs_buffer_free(&key);
			return &files[i];
		}
	require(nfiles < MAX_FILES, "too many files");
	open = &files[nfiles++];
	memset(open, 0, sizeof(*open));
	open->key = key;
	open->partition = partition;
	require(fs_iceberg_data_path(metadata, spec, partition, new_uuid(), &path), "fs_iceberg_data_path");
	open->location = take_text(&path);
	open->file = create_file(open->location);
	options.group_rows = 50;
	options.page_rows = 20;
	open->writer = fs_parquet_create(columns, ncolumns, &options, sink, open->file);
	require(open->writer != NULL, "fs_parquet_create");
	return open;
}

/* Writes the rows into files of their partitions. */
static void
write_rows(const FsIcebergSpec *spec, const FsParquetColumn *columns, int ncolumns, const FsJsonNode *rows, int split)
{
	nfiles = 0;
	for (const FsJsonNode *row = rows == NULL ? NULL : rows->first; row != NULL; row = row->next)
	{
		OpenFile   *open = find_file(spec, partition_of(spec, columns, ncolumns, row), columns, ncolumns, split);

		for (int c = 0; c < ncolumns; c++)
			put_cell(open->writer, c, &columns[c], cell_of(row, c));
		require(fs_parquet_end_row(open->writer), "fs_parquet_end_row");
		open->nrows++;
	}
	for (int i = 0; i < nfiles; i++)
		require(fs_parquet_finish(files[i].writer) && fclose(files[i].file) == 0, "fs_parquet_finish");
}

/* Puts the files into the manifest and counts them. */
static bool
add_files(FsIcebergManifestWriter *writer, const FsParquetColumn *columns, int ncolumns, FsIcebergCommit *commit)
{
	for (int i = 0; i < nfiles; i++)
	{
		FsIcebergDataFile file;

		require(fs_iceberg_data_file(&file, &memory, files[i].writer, columns, ncolumns, files[i].location,
									 files[i].partition, fs_iceberg_sort_id(metadata)), "fs_iceberg_data_file");
		TRY(fs_iceberg_manifest_add(writer, &file, message));
		commit->added_files++;
		commit->added_rows += file.rows;
		commit->added_bytes += file.size;
		fs_parquet_free(files[i].writer);
		fs_buffer_free(&files[i].key);
	}
	commit->changed_partitions = nfiles;
	return true;
}

/*
 * Commands
 */

static int64_t
number_of(const FsJsonNode *command, const char *key, int64_t otherwise)
{
	int64_t		value = otherwise;

	fs_json_get_number(command, key, &value);
	return value;
}

/* Reads columns; their number. */
static int
read_columns(const FsJsonNode *array, FsParquetColumn **columns)
{
	int			n = 0;

	*columns = fs_scratch_take_aligned(&memory, sizeof(FsParquetColumn) * (size_t) (array->count + 1));
	for (const FsJsonNode *node = array->first; node != NULL; node = node->next, n++)
	{
		FsParquetColumn *column = &(*columns)[n];

		memset(column, 0, sizeof(*column));
		column->name = cell_of(node, 0)->text;
		column->type = (FsParquetType) strtol(cell_of(node, 1)->text, NULL, 10);
		column->required = fs_json_is_true(cell_of(node, 2));
		column->is_list = fs_json_is_true(cell_of(node, 3));
		column->precision = (int) strtol(cell_of(node, 4)->text, NULL, 10);
		column->scale = (int) strtol(cell_of(node, 5)->text, NULL, 10);
	}
	return n;
}

/* Members of an object as properties; their number. */
static int
read_properties(const FsJsonNode *object, const FsIcebergProperty **properties)
{
	int			n = 0;
	FsIcebergProperty *out;

	if (object == NULL)
		return 0;
	out = fs_scratch_take_aligned(&memory, sizeof(FsIcebergProperty) * (size_t) (object->count + 1));
	for (const FsJsonNode *node = object->first; node != NULL; node = node->next, n++)
		out[n] = (FsIcebergProperty) {node->key, node->text};
	*properties = out;
	return n;
}

/* Writes the metadata as its next version, which becomes the table's, and reads it again, as the next commit would. */
static bool
publish(int64_t now)
{
	FsBuffer	path = {0};
	FsBuffer	json = {0};
	FsIcebergTexts dropped;
	int			version = 0;
	const char *location;

	if (metadata_location != NULL)
	{
		version = fs_iceberg_metadata_version(metadata_location) + 1;
		TRY(fs_iceberg_supersede(metadata, metadata_location, now, &dropped, message));
		for (int i = 0; i < dropped.n; i++)
			unlink(local_path(dropped.texts[i]));
	}
	require(fs_iceberg_metadata_path(metadata, version, new_uuid(), &path), "fs_iceberg_metadata_path");
	require(fs_iceberg_metadata_write(metadata, &json), "fs_iceberg_metadata_write");
	location = take_text(&path);
	write_file(location, &json);
	free(metadata_location);
	metadata_location = strdup(location);
	fs_iceberg_metadata_free(metadata);
	metadata = fs_iceberg_metadata_read(json.data, json.len, message);
	fs_buffer_free(&json);
	return metadata != NULL;
}

static bool
create_table(const FsJsonNode *command)
{
	FsIcebergTable table = {.location = fs_json_get_text(command, "location")};
	const FsJsonNode *partitions = fs_json_get_array(command, "partitions");
	const FsJsonNode *sorts = fs_json_get_array(command, "sorts");
	FsParquetColumn *columns;
	FsIcebergPartition *out;
	FsIcebergSort *orders;

	table.ncolumns = read_columns(fs_json_get_array(command, "columns"), &columns);
	table.columns = columns;
	table.nproperties = read_properties(fs_json_get_object(command, "properties"), &table.properties);
	out = fs_scratch_take_aligned(&memory, sizeof(*out) * (size_t) (partitions->count + 1));
	orders = fs_scratch_take_aligned(&memory, sizeof(*orders) * (size_t) (sorts->count + 1));
	memset(orders, 0, sizeof(*orders) * (size_t) (sorts->count + 1));
	for (const FsJsonNode *node = partitions->first; node != NULL; node = node->next)
		TRY(fs_iceberg_partition_read(node->text, &memory, &out[table.npartitions++], message));
	for (const FsJsonNode *node = sorts->first; node != NULL; node = node->next)
		orders[table.nsorts++].column = node->text;
	table.partitions = out;
	table.sorts = orders;
	fs_iceberg_metadata_free(metadata);
	free(metadata_location);
	metadata_location = NULL;
	metadata = fs_iceberg_metadata_create(&table, new_uuid(), number_of(command, "now", 0), message);
	return metadata != NULL && publish(0);
}

static bool
open_table(const FsJsonNode *command)
{
	size_t		len;
	char	   *json = read_file(fs_json_get_text(command, "metadata"), &len);

	fs_iceberg_metadata_free(metadata);
	free(metadata_location);
	metadata_location = strdup(fs_json_get_text(command, "metadata"));
	metadata = fs_iceberg_metadata_read(json, len, message);
	free(json);
	return metadata != NULL;
}

/* Is the file one of those to be removed? */
static bool
is_chosen(void *arg, const FsIcebergEntry *entry)
{
	const FsJsonNode *paths = arg;

	for (const FsJsonNode *node = paths == NULL ? NULL : paths->first; node != NULL; node = node->next)
		if (strcmp(node->text, entry->file.path) == 0)
			return true;
	return false;
}

/* Writes a finished manifest; what a list says of it. */
static bool
finish_manifest(FsIcebergManifestWriter *writer, const char *uuid, int number, FsIcebergManifest *manifest)
{
	FsBuffer	path = {0};
	FsBuffer	bytes = {0};
	const char *location;

	require(fs_iceberg_manifest_path(metadata, uuid, number, &path), "fs_iceberg_manifest_path");
	location = take_text(&path);
	TRY(fs_iceberg_manifest_finish(writer, location, &memory, &bytes, manifest, message));
	write_file(location, &bytes);
	fs_buffer_free(&bytes);
	fs_iceberg_manifest_free(writer);
	return true;
}

/* Reads a manifest again into the writer, without what is to be removed. */
static bool
rewrite(const FsIcebergManifest *manifest, FsIcebergManifestWriter *writer, const FsJsonNode *remove,
		FsIcebergCommit *commit)
{
	FsIcebergRemoved removed;
	size_t		len;
	char	   *bytes = read_file(manifest->path, &len);
	FsIcebergManifestReader *reader = fs_iceberg_manifest_open(metadata, manifest, bytes, len, message);
	bool		done = reader != NULL &&
		fs_iceberg_manifest_rewrite(reader, writer, is_chosen, (void *) (uintptr_t) remove, &removed, message);

	if (done)
	{
		commit->removed_files += removed.files;
		commit->removed_rows += removed.rows;
		commit->removed_bytes += removed.bytes;
	}
	fs_iceberg_reader_free(reader);
	free(bytes);
	return done;
}

/* Reads the manifests of the current snapshot. */
static bool
read_list(FsIcebergManifest **manifests, int *n, int64_t *parent_id)
{
	FsIcebergSnapshot snapshot;
	size_t		len;
	char	   *bytes;
	bool		done;

	*n = 0;
	*parent_id = FS_ICEBERG_NO_SNAPSHOT;
	if (!fs_iceberg_current_snapshot(metadata, &snapshot))
		return true;
	*parent_id = snapshot.snapshot_id;
	bytes = read_file(snapshot.manifest_list, &len);
	done = fs_iceberg_list_read(bytes, len, &memory, manifests, n, message);
	free(bytes);
	return done;
}

/* The new list's manifests: ours first, then the old ones, merged into ours or with what is removed taken out. */
static bool
make_manifests(const FsJsonNode *command, FsIcebergCommit *commit, const FsIcebergManifest *old, int nold,
			   FsIcebergManifest *manifests, int *n)
{
	const FsJsonNode *remove = fs_json_get_array(command, "remove");
	bool		merge = fs_json_is_true(fs_json_get(command, "merge"));
	const char *uuid = new_uuid();
	FsIcebergSpec spec;
	FsParquetColumn *columns;
	int			ncolumns;
	FsIcebergManifestWriter *writer;

	*n = 1;
	TRY(fs_iceberg_spec(metadata, &spec, message) && fs_iceberg_columns(metadata, &columns, &ncolumns, message));
	write_rows(&spec, columns, ncolumns, fs_json_get_array(command, "rows"), (int) number_of(command, "split", 1000000));
	writer = fs_iceberg_manifest_create(metadata, spec.spec_id, false, commit->snapshot_id, message);
	TRY(writer != NULL && add_files(writer, columns, ncolumns, commit));
	for (int i = 0; i < nold; i++)
	{
		FsIcebergManifestWriter *other;

		if (merge && !old[i].is_deletes && old[i].spec_id == spec.spec_id)
			TRY(rewrite(&old[i], writer, remove, commit));
		else if (remove != NULL && !old[i].is_deletes)
		{
			other = fs_iceberg_manifest_create(metadata, old[i].spec_id, false, commit->snapshot_id, message);
			TRY(other != NULL && rewrite(&old[i], other, remove, commit) &&
				finish_manifest(other, uuid, *n, &manifests[*n]));
			++*n;
		}
		else
			manifests[(*n)++] = old[i];
	}
	return finish_manifest(writer, uuid, 0, &manifests[0]);
}

static bool
commit_rows(const FsJsonNode *command)
{
	FsIcebergCommit commit = {.operation = fs_json_get_text(command, "operation"), .now_ms = number_of(command, "now", 0)};
	uint8_t		random[16] = {0};
	FsIcebergManifest *old = NULL;
	FsIcebergManifest *manifests;
	FsBuffer	path = {0};
	FsBuffer	list = {0};
	int			nold;
	int			n;
	int64_t		parent_id;

	fs_put_le64((char *) random, UINT64_C(0x9e3779b97f4a7c15) * (++uuids + (unsigned) getpid()));
	commit.snapshot_id = fs_iceberg_new_snapshot_id(metadata, random);
	commit.nsummary = read_properties(fs_json_get_object(command, "summary"), &commit.summary);
	TRY(read_list(&old, &nold, &parent_id));
	manifests = fs_scratch_take_aligned(&memory, sizeof(*manifests) * (size_t) (nold + 1));
	TRY(make_manifests(command, &commit, old, nold, manifests, &n));
	TRY(fs_iceberg_list_write(manifests, n, commit.snapshot_id, parent_id, fs_iceberg_last_sequence(metadata) + 1, &list,
							  message));
	require(fs_iceberg_list_path(metadata, commit.snapshot_id, 1, new_uuid(), &path), "fs_iceberg_list_path");
	commit.manifest_list = take_text(&path);
	write_file(commit.manifest_list, &list);
	fs_buffer_free(&list);
	return fs_iceberg_add_snapshot(metadata, &commit, message) && publish(commit.now_ms);
}

/*
 * Expiry
 */

/* All that one list leads to: put into the sets, or taken out of them. */
static bool
follow_list(const char *location, FsIcebergPaths *paths, bool add)
{
	FsIcebergManifest *manifests;
	FsIcebergEntry entry;
	size_t		len;
	int			n;
	char	   *bytes = read_file(location, &len);
	int			found = 0;

	TRY(fs_iceberg_list_read(bytes, len, &memory, &manifests, &n, message));
	free(bytes);
	for (int i = 0; i < n; i++)
	{
		FsIcebergManifestReader *reader;

		bytes = read_file(manifests[i].path, &len);
		reader = fs_iceberg_manifest_open(metadata, &manifests[i], bytes, len, message);
		TRY(reader != NULL);
		if (add)
			require(fs_iceberg_paths_add(paths, manifests[i].path), "fs_iceberg_paths_add");
		else
			fs_iceberg_paths_remove(paths, manifests[i].path);
		while ((found = fs_iceberg_manifest_next(reader, &entry, message)) > 0)
		{
			if (add)
				require(fs_iceberg_paths_add(paths, entry.file.path), "fs_iceberg_paths_add");
			else if (entry.status != FS_ICEBERG_DELETED)
				fs_iceberg_paths_remove(paths, entry.file.path);
		}
		fs_iceberg_reader_free(reader);
		free(bytes);
		TRY(found == 0);
	}
	return true;
}

static bool
expire(const FsJsonNode *command, int *deleted)
{
	FsIcebergExpired expired;
	FsIcebergSnapshot snapshot;
	FsIcebergPaths paths = {0};
	const char *path;
	size_t		i = 0;

	TRY(fs_iceberg_expire(metadata, number_of(command, "now", 0), number_of(command, "keep_ms", 0),
						  (int) number_of(command, "keep_count", 1), &expired, message));
	for (int s = 0; s < expired.lists.n; s++)
		TRY(follow_list(expired.lists.texts[s], &paths, true));
	for (int s = 0; s < expired.lists.n; s++)
		require(fs_iceberg_paths_add(&paths, expired.lists.texts[s]), "fs_iceberg_paths_add");
	for (int s = 0; fs_iceberg_snapshot(metadata, s, &snapshot); s++)
		TRY(follow_list(snapshot.manifest_list, &paths, false));
	TRY(publish(number_of(command, "now", 0)));
	for (*deleted = 0; (path = fs_iceberg_paths_next(&paths, &i)) != NULL; ++*deleted)
		require(unlink(local_path(path)) == 0, path);
	fs_iceberg_paths_free(&paths);
	return true;
}

/* Does what a command says; false with the message. */
static bool
obey(const FsJsonNode *command, int *deleted)
{
	const char *what = fs_json_get_text(command, "do");
	FsParquetColumn *columns;
	int			n;

	if (strcmp(what, "create") == 0)
		return create_table(command);
	if (strcmp(what, "open") == 0)
		return open_table(command);
	if (strcmp(what, "commit") == 0)
		return commit_rows(command);
	if (strcmp(what, "expire") == 0)
		return expire(command, deleted);
	if (strcmp(what, "add") == 0)
	{
		n = read_columns(fs_json_get_array(command, "columns"), &columns);
		return fs_iceberg_add_columns(metadata, columns, n, message) && publish(number_of(command, "now", 0));
	}
	if (strcmp(what, "widen") == 0)
	{
		FsIcebergSchemaChange change = {.nwidened = read_columns(fs_json_get_array(command, "columns"), &columns)};

		change.widened = columns;
		return fs_iceberg_change_schema(metadata, &change, message) && publish(number_of(command, "now", 0));
	}
	require(strcmp(what, "drop") == 0, what);
	return fs_iceberg_drop_column(metadata, fs_json_get_text(command, "column"), message) &&
		publish(number_of(command, "now", 0));
}

int
main(void)
{
	char	   *line = NULL;
	size_t		room = 0;
	ssize_t		len;

	while ((len = getline(&line, &room, stdin)) > 0)
	{
		FsJsonNode *command;
		FsIcebergSnapshot snapshot = {.snapshot_id = FS_ICEBERG_NO_SNAPSHOT};
		const char *wrong;
		size_t		at;
		int			deleted = 0;

		command = fs_json_tree_read(&memory, line, (size_t) len, &wrong, &at);
		require(command != NULL, "reading a command");
		if (!obey(command, &deleted))
		{
			FsBuffer	out = {0};

			require(fs_json_write_string(&out, message, strlen(message)), "fs_json_write_string");
			printf("{\"error\": %.*s}\n", (int) out.len, out.data);
			fs_buffer_free(&out);
			fflush(stdout);
			break;
		}
		fs_iceberg_current_snapshot(metadata, &snapshot);
		printf("{\"metadata\": \"%s\", \"snapshot\": %" PRId64 ", \"deleted\": %d}\n", metadata_location,
			   snapshot.snapshot_id, deleted);
		fflush(stdout);
		fs_scratch_reset(&memory);
	}
	fs_scratch_free(&memory);
	fs_iceberg_metadata_free(metadata);
	free(metadata_location);
	free(line);
	return 0;
}
