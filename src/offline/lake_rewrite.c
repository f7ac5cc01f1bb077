/*
 * lake_rewrite.c
 *		Manifests of a table in a lake that a commit writes anew; see lake_rewrite.h.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "ground/fault.h"
#include "offline/lake_rewrite.h"
#include "offline/lake_rows.h"

#define MERGE_COUNT		100				/* where the table does not say, as in Iceberg's library */
#define TARGET_BYTES	(8 * 1024 * 1024)	/* likewise */
#define STAYS			(-1)

/* Properties of the table */
#define KEY_MERGE_COUNT	"commit.manifest.min-count-to-merge"
#define KEY_TARGET		"commit.manifest.target-size-bytes"
#define KEY_MERGES		"commit.manifest-merge.enabled"

struct FsLakeRewrite
{
	/* Info */
	const FsIcebergPaths *removed;
	bool		forced;
	FsScratch	memory;
	MemoryContextCallback callback;

	/* The plan for a base */
	FsIcebergManifest *manifests;	/* the base's */
	int			nmanifests;
	int		   *groups;			/* by manifest: which of the new ones it becomes part of, or STAYS */
	int			ngroups;
	char	  **names;			/* by group; NULL: it had nothing to be put into it */
	List	   *replaced;		/* names of manifests */
	FsIcebergRemoved count;		/* of what is taken out */
};

static void
release(void *arg)
{
	fs_scratch_free(&((FsLakeRewrite *) arg)->memory);
}

/* See lake_rewrite.h. */
FsLakeRewrite *
fs_lake_rewrite_begin(const FsIcebergPaths *removed, bool forced)
{
	FsLakeRewrite *rewrite = palloc0(sizeof(FsLakeRewrite));

	rewrite->removed = removed;
	rewrite->forced = forced;
	rewrite->callback.func = release;
	rewrite->callback.arg = rewrite;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &rewrite->callback);
	return rewrite;
}

/* See lake_rewrite.h.  The reader points into bytes of the current memory context. */
FsIcebergManifestReader *
fs_lake_manifest_open(FsLakeTable *table, const FsIcebergManifest *manifest)
{
	int64		len;
	char	   *bytes = fs_object_store_get(table->store, manifest->path, FS_ICEBERG_MAX_BLOCK, &len);
	char		message[FS_ICEBERG_MESSAGE_SIZE];
	FsIcebergManifestReader *reader = fs_iceberg_manifest_open(table->metadata, manifest, bytes, len, message);

	if (reader == NULL)
		fs_lake_throw(psprintf("read manifest \"%s\"", manifest->path), message);
	return reader;
}

/*
 * Planning
 */

/* A manifest becomes part of a group. */
static void
choose(FsLakeRewrite *rewrite, int i, int group)
{
	Assert(rewrite->groups[i] == STAYS && group < rewrite->ngroups);
	rewrite->groups[i] = group;
	rewrite->replaced = lappend(rewrite->replaced, pstrdup(rewrite->manifests[i].path));
}

/* Is it one that merging is about? */
static bool
is_small(const FsIcebergManifest *manifest, int32 spec_id, int64 target)
{
	return !manifest->is_deletes && manifest->spec_id == spec_id && manifest->key_metadata == NULL &&
		manifest->length < target / 4 * 3;
}

/* Puts the small manifests of a spec together, one behind the other up to the target; a single one stays. */
static void
pack_spec(FsLakeRewrite *rewrite, int32 spec_id, int64 target)
{
	int			first = -1;		/* of the group that is being filled */
	int64		bytes = 0;
	bool		is_open = false;

	for (int i = 0; i < rewrite->nmanifests; i++)
	{
		const FsIcebergManifest *manifest = &rewrite->manifests[i];

		if (!is_small(manifest, spec_id, target))
			continue;
		if (first < 0 || bytes + manifest->length > target)
		{
			first = i;
			bytes = manifest->length;
			is_open = false;
			continue;
		}
		if (!is_open)
			choose(rewrite, first, ++rewrite->ngroups - 1);
		is_open = true;
		choose(rewrite, i, rewrite->ngroups - 1);
		bytes += manifest->length;
	}
}

/* Chooses small manifests, where there are as many as the table wants there to be. */
static void
plan_merge(FsLakeRewrite *rewrite, FsLakeTable *base)
{
	int64		target = fs_iceberg_property_number(base->metadata, KEY_TARGET, TARGET_BYTES);
	int64		least = rewrite->forced ? 2 : fs_iceberg_property_number(base->metadata, KEY_MERGE_COUNT, MERGE_COUNT);
	const char *merges = fs_iceberg_property(base->metadata, KEY_MERGES);
	FsIcebergSpec spec;
	int64		nsmall = 0;
	char		message[FS_ICEBERG_MESSAGE_SIZE];

	if (merges != NULL && strcmp(merges, "false") == 0 && !rewrite->forced)
		return;
	if (!fs_iceberg_spec(base->metadata, &spec, message))
		fs_lake_throw("read the partitions of the table in the lake", message);
	for (int i = 0; i < rewrite->nmanifests; i++)
		nsmall += is_small(&rewrite->manifests[i], spec.spec_id, target);
	if (nsmall >= Max(least, 2))
		pack_spec(rewrite, spec.spec_id, target);
}

/* How many of a manifest's files are to be taken out.  Its bytes are given back at once: there can be many manifests. */
static int64
count_removed(FsLakeRewrite *rewrite, FsLakeTable *base, const FsIcebergManifest *manifest)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream manifest", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	FsIcebergManifestReader *reader = fs_lake_manifest_open(base, manifest);
	FsIcebergEntry entry;
	char		message[FS_ICEBERG_MESSAGE_SIZE];
	volatile int64 n = 0;
	int			found;

	Assert(rewrite->removed != NULL);
	PG_TRY();
	{
		while ((found = fs_iceberg_manifest_next(reader, &entry, message)) > 0)
			n += entry.status != FS_ICEBERG_DELETED && fs_iceberg_paths_has(rewrite->removed, entry.file.path);
		if (found < 0)
			fs_lake_throw(psprintf("read manifest \"%s\"", manifest->path), message);
	}
	PG_FINALLY();
	{
		fs_iceberg_reader_free(reader);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return n;
}

/* Chooses the manifests of files that are to be taken out; false where the base does not have them all, or has deletes. */
static bool
plan_removal(FsLakeRewrite *rewrite, FsLakeTable *base)
{
	int64		n = 0;

	for (int i = 0; i < rewrite->nmanifests; i++)
	{
		int64		here;

		CHECK_FOR_INTERRUPTS();
		if (rewrite->manifests[i].is_deletes)
			return false;
		here = count_removed(rewrite, base, &rewrite->manifests[i]);
		if (here > 0)
			choose(rewrite, i, ++rewrite->ngroups - 1);
		n += here;
	}
	return n == rewrite->removed->count;
}

/* See lake_rewrite.h. */
bool
fs_lake_rewrite_plan(FsLakeRewrite *rewrite, FsLakeTable *base)
{
	bool		is_possible = true;

	Assert(rewrite->removed == NULL || rewrite->removed->count > 0);
	fs_scratch_free(&rewrite->memory);
	rewrite->manifests = fs_lake_table_manifests(base, &rewrite->memory, &rewrite->nmanifests);
	rewrite->groups = palloc(sizeof(int) * (rewrite->nmanifests + 1));
	rewrite->ngroups = 0;
	rewrite->replaced = NIL;
	memset(&rewrite->count, 0, sizeof(rewrite->count));
	for (int i = 0; i < rewrite->nmanifests; i++)
		rewrite->groups[i] = STAYS;
	if (rewrite->removed == NULL)
		plan_merge(rewrite, base);
	else
		is_possible = plan_removal(rewrite, base);
	rewrite->names = palloc(sizeof(char *) * (rewrite->ngroups + 1));
	for (int i = 0; i < rewrite->ngroups; i++)
		rewrite->names[i] = fs_lake_table_name_manifest(base);
	return is_possible && rewrite->ngroups > 0;
}

/* See lake_rewrite.h. */
List *
fs_lake_rewrite_names(const FsLakeRewrite *rewrite)
{
	List	   *names = NIL;

	for (int i = 0; i < rewrite->ngroups; i++)
		if (rewrite->names[i] != NULL)
			names = lappend(names, rewrite->names[i]);
	return names;
}

/* See lake_rewrite.h. */
List *
fs_lake_rewrite_replaced(const FsLakeRewrite *rewrite)
{
	return rewrite->replaced;
}

/*
 * Writing
 */

/* Is the file to be taken out? */
static bool
is_removed(void *arg, const FsIcebergEntry *entry)
{
	const FsLakeRewrite *rewrite = arg;

	return rewrite->removed != NULL && fs_iceberg_paths_has(rewrite->removed, entry->file.path);
}

/* Puts what stays of a manifest, and what goes now, into the new one. */
static void
rewrite_manifest(FsLakeRewrite *rewrite, FsLakeTable *base, const FsIcebergManifest *manifest,
				 FsIcebergManifestWriter *writer)
{
	FsIcebergManifestReader *reader = fs_lake_manifest_open(base, manifest);
	FsIcebergRemoved count;
	char		message[FS_ICEBERG_MESSAGE_SIZE];

	PG_TRY();
	{
		if (!fs_iceberg_manifest_rewrite(reader, writer, is_removed, rewrite, &count, message))
			fs_lake_throw(psprintf("write manifest \"%s\" again", manifest->path), message);
	}
	PG_FINALLY();
	{
		fs_iceberg_reader_free(reader);
	}
	PG_END_TRY();
	rewrite->count.files += count.files;
	rewrite->count.rows += count.rows;
	rewrite->count.bytes += count.bytes;
}

/* Writes all manifests of a group into one. */
static void
fill_group(FsLakeRewrite *rewrite, FsLakeTable *base, int group, FsIcebergManifestWriter *writer,
		   FsIcebergManifest *manifest, FsBuffer *out)
{
	char		message[FS_ICEBERG_MESSAGE_SIZE];

	for (int i = 0; i < rewrite->nmanifests; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (rewrite->groups[i] == group)
			rewrite_manifest(rewrite, base, &rewrite->manifests[i], writer);
	}
	if (!fs_iceberg_manifest_finish(writer, rewrite->names[group], &rewrite->memory, out, manifest, message))
		fs_lake_throw("write a manifest", message);
}

/* Makes a group's manifest, and puts it if anything is in it. */
static void
put_group(FsLakeRewrite *rewrite, const FsLakeCommit *commit, FsLakeTable *base, int group, FsIcebergManifest *manifest)
{
	FsIcebergManifestWriter *writer;
	FsBuffer	out = {0};
	int			spec_id = 0;
	char		message[FS_ICEBERG_MESSAGE_SIZE];

	for (int i = 0; i < rewrite->nmanifests; i++)
		if (rewrite->groups[i] == group)
			spec_id = rewrite->manifests[i].spec_id;
	writer = fs_iceberg_manifest_create(base->metadata, spec_id, false, commit->snapshot_id, message);
	if (writer == NULL)
		fs_lake_throw("begin a manifest", message);
	PG_TRY();
	{
		fill_group(rewrite, base, group, writer, manifest, &out);
		if (manifest->added_files + manifest->existing_files + manifest->deleted_files > 0)
		{
			FsObjectBody body = {.bytes = out.data, .len = out.len};

			fs_object_store_put(base->store, manifest->path, &body);
		}
		else
			rewrite->names[group] = NULL;
	}
	PG_FINALLY();
	{
		fs_iceberg_manifest_free(writer);
		fs_buffer_free(&out);
	}
	PG_END_TRY();
}

/* Of an older snapshot, and nothing but files that are gone: no list needs it any more. */
static bool
is_spent(const FsIcebergManifest *manifest)
{
	return manifest->added_files == 0 && manifest->existing_files == 0;
}

/* See lake_rewrite.h. */
void
fs_lake_rewrite_put(FsLakeRewrite *rewrite, FsLakeCommit *commit, FsLakeTable *base)
{
	FsIcebergManifest *made = palloc(sizeof(FsIcebergManifest) * (rewrite->nmanifests + rewrite->ngroups + 1));
	int			nmade = 0;

	Assert(commit->rewrite == rewrite && commit->operation != NULL);
	for (int group = 0; group < rewrite->ngroups; group++)
	{
		MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream manifests",
													  ALLOCSET_DEFAULT_SIZES);
		MemoryContext old = MemoryContextSwitchTo(context);

		put_group(rewrite, commit, base, group, &made[nmade]);
		nmade += rewrite->names[group] != NULL;
		MemoryContextSwitchTo(old);
		MemoryContextDelete(context);
		FS_FAULT("lake_rewrite");
	}
	for (int i = 0; i < rewrite->nmanifests; i++)
		if (rewrite->groups[i] == STAYS && !is_spent(&rewrite->manifests[i]))
			made[nmade++] = rewrite->manifests[i];
	commit->kept = made;
	commit->nkept = nmade;
	commit->removed = rewrite->count;
}
