/*
 * lake_compact_plan.c
 *		Which small files of a table in a lake become one; see lake_compact_plan.h.
 *
 * Files of a partition are taken together when many are of about a size: each row
 * is written again a few times while its file grows, not at each upkeep.
 */
#include "postgres.h"

#include <ctype.h>

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#include "core/iceberg_transform.h"
#include "offline/lake_compact_plan.h"
#include "offline/lake_rewrite.h"
#include "offline/lake_rows.h"

#define KEY_TARGET		"write.target-file-size-bytes"
#define TARGET_BYTES	(128 * 1024 * 1024)	/* where the table does not say */
#define MAX_TARGET		(512 * 1024 * 1024)
#define MAX_SMALL		(32 * 1024 * 1024)	/* larger files are never small */
#define MIN_FILES		16		/* of about a size */
#define MAX_FILES		1000	/* in one go */
#define TIER_BITS		3		/* sizes of a tier are within a factor of 8 */
#define UUID_CHARS		36

/* What was found so far. */
typedef struct Search
{
	MemoryContext context;		/* of what is found */
	const FsIcebergSpec *spec;
	int64		limit;			/* smaller files are small */
	bool		forced;
	FsLakeSmall *files;
	int			n;
	int			room;
} Search;

/* Files that could not be read: fetching them again and again would hold up the others. */
static FsIcebergPaths left_out;

/* See lake_compact_plan.h. */
void
fs_lake_compact_leave(const char *path)
{
	if (!fs_iceberg_paths_add(&left_out, path))
		fs_lake_throw("choose files", "");
}

/* See lake_compact_plan.h. */
int64
fs_lake_compact_target(const FsLakeTable *table)
{
	int64		target = fs_iceberg_property_number(table->metadata, KEY_TARGET, TARGET_BYTES);

	return Min(Max(target, 1024), MAX_TARGET);
}

/* Has a file the name that we give ours?  Others need not be fetched. */
static bool
is_ours(const char *path)
{
	const char *name = strrchr(path, '/');

	if (name == NULL || strlen(name + 1) != UUID_CHARS + strlen(".parquet") || strcmp(name + 1 + UUID_CHARS, ".parquet") != 0)
		return false;
	for (int i = 1; i <= UUID_CHARS; i++)
		if (!isxdigit((unsigned char) name[i]) && name[i] != '-')
			return false;
	return true;
}

/* Copies a partition, whose bytes are the reader's. */
static FsIcebergValue *
copy_partition(const FsIcebergSpec *spec, const FsIcebergValue *values)
{
	FsIcebergValue *copy = palloc(sizeof(FsIcebergValue) * Max(spec->nfields, 1));

	for (int i = 0; i < spec->nfields; i++)
	{
		copy[i] = values[i];
		if (!values[i].is_null && values[i].bytes != NULL)
		{
			char	   *bytes = palloc(values[i].len + 1);

			memcpy(bytes, values[i].bytes, values[i].len);
			copy[i].bytes = bytes;
		}
	}
	return copy;
}

/* Remembers a file. */
static void
add_file(Search *search, const FsIcebergDataFile *file)
{
	MemoryContext old = MemoryContextSwitchTo(search->context);
	FsLakeSmall *small;
	FsBuffer	key = {0};

	if (search->n == search->room)
	{
		search->room = Max(2 * search->room, 64);
		search->files = search->files == NULL ? palloc(sizeof(FsLakeSmall) * search->room) :
			repalloc_huge(search->files, sizeof(FsLakeSmall) * search->room);
	}
	small = &search->files[search->n++];
	if (!fs_iceberg_partition_key(search->spec, file->partition, &key))
		fs_lake_throw("find a file's partition", "");
	small->key = palloc(key.len + 1);
	if (key.len > 0)
		memcpy(small->key, key.data, key.len);
	small->key_len = key.len;
	fs_buffer_free(&key);
	small->path = pstrdup(file->path);
	small->rows = file->rows;
	small->size = file->size;
	small->partition = copy_partition(search->spec, file->partition);
	small->tier = search->forced ? 0 : pg_leftmost_one_pos64(Max(file->size, 65536)) / TIER_BITS;
	MemoryContextSwitchTo(old);
}

/* Is it one that can be taken together with others? */
static bool
is_small(const Search *search, FsLakeTable *table, const FsIcebergDataFile *file)
{
	return file->size < search->limit && file->rows > 0 && pg_strcasecmp(file->format, "PARQUET") == 0 &&
		file->key_metadata == NULL && is_ours(file->path) && fs_lake_table_holds(table, file->path) &&
		!fs_iceberg_paths_has(&left_out, file->path);
}

/* Looks at the files of a manifest, whose bytes are given back at once: there can be many manifests. */
static void
search_manifest(Search *search, FsLakeTable *table, const FsIcebergManifest *manifest)
{
	MemoryContext context = AllocSetContextCreate(search->context, "feature_stream manifest", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	FsIcebergManifestReader *reader = fs_lake_manifest_open(table, manifest);
	FsIcebergEntry entry;
	char		message[FS_ICEBERG_MESSAGE_SIZE];
	int			found;

	PG_TRY();
	{
		while ((found = fs_iceberg_manifest_next(reader, &entry, message)) > 0)
			if (entry.status != FS_ICEBERG_DELETED && is_small(search, table, &entry.file))
				add_file(search, &entry.file);
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
}

/* Are two files of one partition and about a size?  Else, which goes first. */
static int
compare_groups(const FsLakeSmall *a, const FsLakeSmall *b)
{
	int			result = memcmp(a->key, b->key, Min(a->key_len, b->key_len));

	if (result == 0)
		result = (a->key_len > b->key_len) - (a->key_len < b->key_len);
	return result != 0 ? result : a->tier - b->tier;
}

static int
compare_files(const void *a, const void *b)
{
	int			result = compare_groups(a, b);

	return result != 0 ? result : strcmp(((const FsLakeSmall *) a)->path, ((const FsLakeSmall *) b)->path);
}

/* How many of the files from the first on become one. */
static int
count_together(const FsLakeSmall *files, int n, int64 target)
{
	int64		size = 0;
	int			count = 0;

	Assert(n > 0);
	while (count < Min(n, MAX_FILES) && compare_groups(&files[0], &files[count]) == 0 &&
		   (size + files[count].size <= target || count < 2))
		size += files[count++].size;
	return count;
}

/* The group of which most files become one. */
static FsLakeSmall *
choose_most(const Search *search, int64 target, int *n)
{
	FsLakeSmall *best = NULL;

	*n = 0;
	qsort(search->files, search->n, sizeof(FsLakeSmall), compare_files);
	for (int i = 0; i < search->n;)
	{
		int			count = count_together(&search->files[i], search->n - i, target);

		Assert(count > 0 && i + count <= search->n);
		if (count > *n)
		{
			*n = count;
			best = &search->files[i];
		}
		i += count;
	}
	return *n >= (search->forced ? 2 : MIN_FILES) ? best : NULL;
}

/* See lake_compact_plan.h.  Rows that delete files are about have to stay where they are. */
FsLakeSmall *
fs_lake_compact_choose(FsLakeTable *table, const FsIcebergSpec *spec, bool forced, int *n, int *nsmall)
{
	int64		target = fs_lake_compact_target(table);
	Search		search = {.context = CurrentMemoryContext, .spec = spec, .forced = forced, .limit = Min(target / 4, MAX_SMALL)};
	FsScratch	memory = {0};
	int			nmanifests;

	PG_TRY();
	{
		FsIcebergManifest *manifests = fs_lake_table_manifests(table, &memory, &nmanifests);

		for (int i = 0; i < nmanifests; i++)
			if (manifests[i].is_deletes)
				search.limit = 0;
		for (int i = 0; i < nmanifests && search.limit > 0; i++)
		{
			CHECK_FOR_INTERRUPTS();
			if (manifests[i].spec_id == spec->spec_id)
				search_manifest(&search, table, &manifests[i]);
		}
	}
	PG_FINALLY();
	{
		fs_scratch_free(&memory);
	}
	PG_END_TRY();
	*nsmall = search.n;
	return choose_most(&search, target, n);
}
