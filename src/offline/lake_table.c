/*
 * lake_table.c
 *		An Iceberg table in a lake; see lake_table.h.
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "catalog/lake.h"
#include "core/value.h"
#include "ground/fault.h"
#include "ground/identity.h"
#include "offline/lake_rows.h"
#include "offline/lake_table.h"

#define KEEP_AGE_MS		(INT64CONST(5) * 24 * 60 * 60 * 1000)	/* of snapshots, where the table does not say */
#define KEEP_COUNT		10			/* likewise */
#define MAX_SNAPSHOTS	2000		/* whatever the table says */
#define WRITER			"feature_stream.writer"	/* property: which database it is */
#define MAX_WRITTEN		(FS_ICEBERG_MAX_METADATA / 2)	/* bytes of metadata */

/* Now, as metadata has it: milliseconds since 1970, of the real clock. */
static int64
now_ms(void)
{
	return (GetCurrentTimestamp() - FS_UNIX_EPOCH) / 1000;
}

static void
release_table(void *arg)
{
	fs_iceberg_metadata_free(((FsLakeTable *) arg)->metadata);
}

/* See lake_table.h. */
FsLakeTable *
fs_lake_table_load(FsObjectStore *store, const char *location)
{
	FsLakeTable *table = palloc0(sizeof(FsLakeTable));
	int64		len;
	char	   *text = fs_object_store_get(store, location, FS_ICEBERG_MAX_METADATA, &len);
	char		message[FS_ICEBERG_MESSAGE_SIZE];

	table->store = store;
	table->location = pstrdup(location);
	table->metadata = fs_iceberg_metadata_read(text, len, message);
	if (table->metadata == NULL)
		fs_lake_throw(psprintf("read table metadata \"%s\"", location), message);
	table->callback.func = release_table;
	table->callback.arg = table;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &table->callback);
	pfree(text);
	return table;
}

/* The content of a buffer, palloc'd with a zero behind it; the buffer is freed. */
static char *
take_text(FsBuffer *buffer)
{
	char	   *text = MemoryContextAllocHuge(CurrentMemoryContext, buffer->len + 1);

	memcpy(text, buffer->data, buffer->len);
	text[buffer->len] = '\0';
	fs_buffer_free(buffer);
	return text;
}

/* Makes the metadata of a new table; throws what is wrong with it. */
static FsIcebergMetadata *
make_metadata(const char *base, const FsLakeColumn *columns, int ncolumns, ArrayType *partition_by,
			  List *sort_by, const char *view, int level, const char *uuid)
{
	FsIcebergSort *sorts = palloc0(sizeof(FsIcebergSort) * (list_length(sort_by) + 1));
	ListCell   *lc;
	FsParquetColumn *fields = palloc(sizeof(FsParquetColumn) * Max(ncolumns, 1));
	const FsIcebergProperty properties[] = {
		{"feature_stream.view", view},
		{WRITER, fs_identity_writer()},
		{FS_LAKE_CODEC, "zstd"},
		{"commit.retry.num-retries", "20"},
		{FS_ICEBERG_KEEP_LOG, "20"},
		{FS_ICEBERG_DELETE_LOG, "true"},
		{FS_LAKE_LEVEL, psprintf("%d", level)}
	};
	FsIcebergTable table = {.location = base, .columns = fields, .ncolumns = ncolumns, .sorts = sorts,
	.properties = properties, .nproperties = lengthof(properties) - (level == 0)};
	FsScratch	memory = {0};
	FsIcebergMetadata *volatile metadata = NULL;
	char		message[FS_ICEBERG_MESSAGE_SIZE];

	for (int i = 0; i < ncolumns; i++)
		fields[i] = columns[i].column;
	foreach(lc, sort_by)
		sorts[table.nsorts++].column = lfirst(lc);
	PG_TRY();
	{
		table.partitions = fs_lake_read_partitions(partition_by, &memory, &table.npartitions);
		metadata = fs_iceberg_metadata_create(&table, uuid, now_ms(), message);
	}
	PG_FINALLY();
	{
		fs_scratch_free(&memory);
	}
	PG_END_TRY();
	if (metadata == NULL)
		fs_lake_throw("make the table in the lake", message);
	return metadata;
}

/* Writes metadata out, into palloc'd memory. */
static void
write_metadata(const FsIcebergMetadata *metadata, FsObjectBody *body)
{
	FsBuffer	out = {0};

	if (!fs_iceberg_metadata_write(metadata, &out))
	{
		fs_buffer_free(&out);
		fs_lake_throw("write table metadata", "");
	}
	memset(body, 0, sizeof(*body));
	body->len = out.len;
	body->bytes = take_text(&out);
}

/* See lake_table.h. */
void
fs_lake_table_create(FsLakeNewTable *table, const char *base, const FsLakeColumn *columns, int ncolumns,
					 ArrayType *partition_by, List *sort_by, const char *view, int level)
{
	FsIcebergMetadata *metadata;
	FsBuffer	path = {0};
	bool		ok;

	table->uuid = fs_lake_uuid();
	/* the name is some catalog's alone: others, of other databases too, can have the same in this warehouse */
	base = psprintf("%s-%.8s", base, table->uuid);
	metadata = make_metadata(base, columns, ncolumns, partition_by, sort_by, view, level, table->uuid);
	ok = fs_iceberg_metadata_path(metadata, 0, fs_lake_uuid(), &path);
	if (ok)
		write_metadata(metadata, &table->body);
	fs_iceberg_metadata_free(metadata);
	if (!ok)
		fs_lake_throw("name table metadata", "");
	table->location = take_text(&path);
}

static void
release_commit(void *arg)
{
	FsLakeCommit *commit = arg;

	fs_buffer_free(&commit->manifest_bytes);
	fs_scratch_free(&commit->memory);
}

/* Appends all files to the manifest and finishes it. */
static void
fill_manifest(FsLakeCommit *commit, FsIcebergManifestWriter *writer)
{
	char		message[FS_ICEBERG_MESSAGE_SIZE];
	ListCell   *lc;

	foreach(lc, commit->files)
	{
		const FsLakeFile *file = lfirst(lc);

		if (!fs_iceberg_manifest_add(writer, &file->entry, message))
			fs_lake_throw("write a manifest", message);
		commit->rows += file->entry.rows;
		commit->bytes += file->entry.size;
	}
	if (!fs_iceberg_manifest_finish(writer, commit->manifest, &commit->memory, &commit->manifest_bytes,
									&commit->entry, message))
		fs_lake_throw("write a manifest", message);
}

/* See lake_table.h. */
char *
fs_lake_table_name_manifest(const FsLakeTable *table)
{
	FsBuffer	path = {0};

	if (!fs_iceberg_manifest_path(table->metadata, fs_lake_uuid(), 0, &path))
		fs_lake_throw("name a manifest", "");
	return take_text(&path);
}

/* How many partitions the files are in, which are of this spec. */
static int
count_partitions(const FsLakeCommit *commit, const FsIcebergSpec *spec)
{
	FsIcebergPaths seen = {0};
	ListCell   *lc;
	int			n;

	Assert(commit->files != NIL);
	foreach(lc, commit->files)
	{
		FsBuffer	path = {0};
		const FsLakeFile *file = lfirst(lc);

		(void) (fs_iceberg_partition_path(spec, file->entry.partition, &path) &&
				fs_buffer_append_byte(&path, 0) && fs_iceberg_paths_add(&seen, path.data));
		fs_buffer_free(&path);
	}
	n = (int) seen.count;
	fs_iceberg_paths_free(&seen);
	return Max(n, 1);			/* without a field there is one partition */
}

/* Makes the manifest of a commit's files: of the spec that the table has now, whatever others make of that until the commit. */
static void
make_manifest(FsLakeCommit *commit, FsLakeTable *table)
{
	FsIcebergManifestWriter *writer;
	FsIcebergSpec spec;
	char		message[FS_ICEBERG_MESSAGE_SIZE];

	commit->manifest = fs_lake_table_name_manifest(table);
	if (!fs_iceberg_spec(table->metadata, &spec, message))
		fs_lake_throw("read the partitions of the table in the lake", message);
	commit->npartitions = count_partitions(commit, &spec);
	writer = fs_iceberg_manifest_create(table->metadata, spec.spec_id, false, commit->snapshot_id, message);
	if (writer == NULL)
		fs_lake_throw("begin a manifest", message);
	PG_TRY();
	{
		fill_manifest(commit, writer);
	}
	PG_FINALLY();
	{
		fs_iceberg_manifest_free(writer);
	}
	PG_END_TRY();
}

/* See lake_table.h. */
FsLakeCommit *
fs_lake_commit_begin(FsLakeTable *table, const char *operation, List *files, const char *mark)
{
	FsLakeCommit *commit = palloc0(sizeof(FsLakeCommit));
	uint8		random[16];

	Assert(operation != NULL || files == NIL);
	commit->operation = operation;
	commit->files = files;
	commit->keep_age = commit->keep_count = -1;
	commit->mark = mark;
	commit->callback.func = release_commit;
	commit->callback.arg = commit;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &commit->callback);
	if (!pg_strong_random(random, sizeof(random)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	commit->snapshot_id = fs_iceberg_new_snapshot_id(table->metadata, random);
	if (files != NIL)
		make_manifest(commit, table);
	return commit;
}

/* See lake_table.h. */
void
fs_lake_commit_name(FsLakeCommit *commit, FsLakeTable *base)
{
	FsBuffer	list = {0};
	FsBuffer	metadata = {0};
	int			version = fs_iceberg_metadata_version(base->location) + 1;

	if (!fs_iceberg_list_path(base->metadata, commit->snapshot_id, ++commit->attempt, fs_lake_uuid(), &list) ||
		!fs_iceberg_metadata_path(base->metadata, version, fs_lake_uuid(), &metadata))
		fs_lake_throw("name table metadata", "");
	commit->metadata = take_text(&metadata);
	commit->list = take_text(&list);
	if (commit->operation == NULL)
		commit->list = NULL;
}

/* See lake_table.h. */
void
fs_lake_commit_put_files(FsLakeCommit *commit, FsLakeTable *base)
{
	FsObjectBody manifest = {.bytes = commit->manifest_bytes.data, .len = commit->manifest_bytes.len};
	ListCell   *lc;

	foreach(lc, commit->files)
	{
		const FsLakeFile *file = lfirst(lc);
		FsObjectBody body = {.file = file->file, .len = file->entry.size};

		fs_object_store_put(base->store, file->location, &body);
		FS_FAULT("lake_data");
	}
	if (commit->manifest != NULL)
		fs_object_store_put(base->store, commit->manifest, &manifest);
	FS_FAULT("lake_manifest");
}

/* See lake_table.h. */
FsIcebergManifest *
fs_lake_table_manifests(FsLakeTable *base, FsScratch *memory, int *n)
{
	FsIcebergSnapshot snapshot;
	FsIcebergManifest *theirs = NULL;
	FsIcebergManifest *manifests;
	char		message[FS_ICEBERG_MESSAGE_SIZE];

	*n = 0;
	if (fs_iceberg_current_snapshot(base->metadata, &snapshot))
	{
		int64		len;
		char	   *bytes = fs_object_store_get(base->store, snapshot.manifest_list, FS_ICEBERG_MAX_LIST, &len);

		if (!fs_iceberg_list_read(bytes, len, memory, &theirs, n, message))
			fs_lake_throw(psprintf("read manifest list \"%s\"", snapshot.manifest_list), message);
	}
	manifests = palloc(sizeof(FsIcebergManifest) * (*n + 1));
	if (*n > 0)
		memcpy(manifests, theirs, sizeof(FsIcebergManifest) * *n);
	return manifests;
}

/* Puts the manifest list: the base's, or what became of them, and ours. */
static void
put_list(FsLakeCommit *commit, FsLakeTable *base)
{
	int			n = commit->nkept;
	FsIcebergManifest *manifests = commit->kept != NULL ? commit->kept :
		fs_lake_table_manifests(base, &commit->memory, &n);
	FsIcebergSnapshot snapshot = {.snapshot_id = FS_ICEBERG_NO_SNAPSHOT};
	FsBuffer	out = {0};
	FsObjectBody body = {0};
	char		message[FS_ICEBERG_MESSAGE_SIZE];

	(void) fs_iceberg_current_snapshot(base->metadata, &snapshot);
	if (commit->manifest != NULL)
		manifests[n++] = commit->entry;
	if (!fs_iceberg_list_write(manifests, n, commit->snapshot_id, snapshot.snapshot_id,
							   fs_iceberg_last_sequence(base->metadata) + 1, &out, message))
		fs_lake_throw("write a manifest list", message);
	body.len = out.len;
	body.bytes = take_text(&out);
	fs_object_store_put(base->store, commit->list, &body);
}

/* See lake_table.h. */
bool
fs_lake_table_holds(const FsLakeTable *table, const char *location)
{
	const char *warehouse = table->store->config->warehouse;
	size_t		len = strlen(warehouse);

	return strncmp(location, warehouse, len) == 0 && location[len] == '/';
}

/* Adds files that the table leads to no more to a list of them. */
static List *
drop_files(List *list, const FsLakeTable *base, const FsIcebergTexts *files)
{
	for (int i = 0; i < files->n; i++)
		if (fs_lake_table_holds(base, files->texts[i]))
			list = lappend(list, pstrdup(files->texts[i]));
	return list;
}

/* Puts the base's metadata into the log, and drops what leaves that when the table says so. */
static void
supersede(FsLakeCommit *commit, FsLakeTable *base, int64 now)
{
	const char *deletes = fs_iceberg_property(base->metadata, FS_ICEBERG_DELETE_LOG);
	FsIcebergTexts dropped = {0};
	char		message[FS_ICEBERG_MESSAGE_SIZE];

	if (!fs_iceberg_supersede(base->metadata, base->location, now, &dropped, message))
		fs_lake_throw("change table metadata", message);
	if (deletes != NULL && strcmp(deletes, "true") == 0)
		commit->dropped = drop_files(commit->dropped, base, &dropped);
}

/* Lets old snapshots go.  What only their manifest lists lead to is looked for later (offline/lake_reach.h). */
static void
expire_snapshots(FsLakeCommit *commit, FsLakeTable *base, int64 now)
{
	int64		age = commit->keep_age >= 0 ? commit->keep_age :
		fs_iceberg_property_number(base->metadata, FS_ICEBERG_KEEP_AGE, KEEP_AGE_MS);
	int64		count = commit->keep_count >= 0 ? commit->keep_count :
		fs_iceberg_property_number(base->metadata, FS_ICEBERG_KEEP_COUNT, KEEP_COUNT);
	FsIcebergExpired expired;
	char		message[FS_ICEBERG_MESSAGE_SIZE];

	for (int pass = 0; pass < 2; pass++)
	{
		if (!fs_iceberg_expire(base->metadata, now, age, (int) Min(Max(count, 1), MAX_SNAPSHOTS), &expired, message))
			fs_lake_throw("expire snapshots", message);
		commit->expired = drop_files(commit->expired, base, &expired.lists);
		commit->dropped = drop_files(commit->dropped, base, &expired.statistics);
		if (fs_iceberg_snapshot_count(base->metadata) <= MAX_SNAPSHOTS)
			break;
		age = 0;
		count = MAX_SNAPSHOTS;
	}
}

/* See lake_table.h. */
List *
fs_lake_table_expire(FsLakeTable *table, int64 keep_age, int keep_count)
{
	FsLakeCommit commit = {.keep_age = keep_age, .keep_count = keep_count};

	expire_snapshots(&commit, table, Max(now_ms(), fs_iceberg_last_updated(table->metadata)));
	return commit.expired;
}

/* Throws where metadata is so long that before long nobody could read it. */
static void
check_length(const FsLakeTable *base, int64 len)
{
	if (len > MAX_WRITTEN)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("metadata of table \"%s\" is too long", fs_iceberg_location(base->metadata)),
				 errdetail("It would have %lld bytes, of %d at most.", (long long) len, MAX_WRITTEN),
				 errhint("Take away tags, branches, snapshots or properties by a client of the catalog.")));
}

/* Puts the manifest list of a new snapshot, and adds that to the metadata. */
static void
add_snapshot(FsLakeCommit *commit, FsLakeTable *base, int64 now)
{
	const FsIcebergProperty mark = {"feature_stream.export", commit->mark};
	FsIcebergCommit change = {.snapshot_id = commit->snapshot_id, .now_ms = now,
		.operation = commit->operation, .manifest_list = commit->list, .changed_partitions = commit->npartitions,
		.added_files = list_length(commit->files),
		.added_rows = commit->rows, .added_bytes = commit->bytes, .summary = &mark, .nsummary = commit->mark != NULL};
	char		message[FS_ICEBERG_MESSAGE_SIZE];

	change.removed_files = commit->removed.files;
	change.removed_rows = commit->removed.rows;
	change.removed_bytes = commit->removed.bytes;
	put_list(commit, base);
	FS_FAULT("lake_list");
	if (!fs_iceberg_add_snapshot(base->metadata, &change, message))
		fs_lake_throw("change table metadata", message);
}

/* Puts the base's metadata, as it was changed, under the commit's name for it. */
static void
put_changed(FsLakeCommit *commit, FsLakeTable *base, int64 now)
{
	FsObjectBody body = {0};
	char		message[FS_ICEBERG_MESSAGE_SIZE];

	if (!fs_iceberg_set_property(base->metadata, WRITER, fs_identity_writer(), message))
		fs_lake_throw("change table metadata", message);
	supersede(commit, base, now);
	write_metadata(base->metadata, &body);
	check_length(base, body.len);
	fs_object_store_put(base->store, commit->metadata, &body);
	FS_FAULT("lake_metadata");
}

/* See lake_table.h. */
void
fs_lake_commit_put_metadata(FsLakeCommit *commit, FsLakeTable *base)
{
	int64		now = Max(now_ms(), fs_iceberg_last_updated(base->metadata));

	commit->dropped = commit->expired = NIL;
	if (commit->operation != NULL)
		add_snapshot(commit, base, now);
	expire_snapshots(commit, base, now);
	put_changed(commit, base, now);
}

/* See lake_table.h. */
FsLakeCommit *
fs_lake_commit_begin_change(FsLakeTable *base)
{
	FsLakeCommit *commit = palloc0(sizeof(FsLakeCommit));
	FsBuffer	metadata = {0};

	if (!fs_iceberg_metadata_path(base->metadata, fs_iceberg_metadata_version(base->location) + 1, fs_lake_uuid(),
								  &metadata))
		fs_lake_throw("name table metadata", "");
	commit->metadata = take_text(&metadata);
	return commit;
}

/* See lake_table.h. */
void
fs_lake_commit_put_change(FsLakeCommit *commit, FsLakeTable *base)
{
	put_changed(commit, base, now_ms());
}
