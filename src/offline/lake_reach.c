/*
 * lake_reach.c
 *		Which files of a table in a lake only snapshots need that are gone; see lake_reach.h.
 *
 * Sets of paths: what the lists lead to goes in, what the table's snapshots lead
 * to comes out, the current one's first.  As a rule nothing is left after that,
 * and nothing more is read: appends take over all manifests there are, and merged
 * manifests have all the files.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "offline/lake_reach.h"
#include "offline/lake_rewrite.h"
#include "offline/lake_rows.h"

/* A manifest of a snapshot that is gone. */
typedef struct Gone
{
	const FsIcebergManifest *manifest;
	const char *list;			/* that led to it first; the caller's */
} Gone;

/* What was found so far. */
typedef struct Reach
{
	FsLakeTable *table;
	FsIcebergPaths manifests;	/* of lists of snapshots that are gone */
	FsIcebergPaths files;		/* of manifests that no snapshot has */
	FsIcebergPaths seen;		/* manifests whose files are needed */
	List	   *gone;			/* Gones of these lists */
	bool		by_name;		/* 'files' has names without directories */
	FsScratch	memory;			/* of these */
	MemoryContextCallback callback;
} Reach;

/* Does something with a manifest; false: it is all done. */
typedef bool (*ManifestVisitor) (Reach *reach, const FsIcebergManifest *manifest);

/* Frees all that core has made; a callback of the memory context. */
static void
release(void *arg)
{
	Reach	   *reach = arg;

	fs_iceberg_paths_free(&reach->manifests);
	fs_iceberg_paths_free(&reach->files);
	fs_iceberg_paths_free(&reach->seen);
	fs_scratch_free(&reach->memory);
}

static void
add_path(FsIcebergPaths *paths, const char *path)
{
	if (!fs_iceberg_paths_add(paths, path))
		fs_lake_throw("look for files that are not needed", "");
}

/* What is behind the last slash. */
static const char *
name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

/* A file is needed. */
static void
keep_file(Reach *reach, const char *path)
{
	fs_iceberg_paths_remove(&reach->files, reach->by_name ? name_of(path) : path);
}

/* Reads a list, whose manifests are in 'memory'. */
static FsIcebergManifest *
read_list(Reach *reach, const char *location, FsScratch *memory, int *n)
{
	FsIcebergManifest *manifests;
	int64		len;
	char	   *bytes = fs_object_store_get(reach->table->store, location, FS_ICEBERG_MAX_LIST, &len);
	char		message[FS_ICEBERG_MESSAGE_SIZE];

	if (!fs_iceberg_list_read(bytes, len, memory, &manifests, n, message))
		fs_lake_throw(psprintf("read manifest list \"%s\"", location), message);
	pfree(bytes);
	return manifests;
}

/* Puts in what a list of a snapshot that is gone leads to; the argument is its location. */
static void
add_list(Reach *reach, const void *what)
{
	const char *location = what;
	int			n;
	FsIcebergManifest *manifests = read_list(reach, location, &reach->memory, &n);

	for (int i = 0; i < n; i++)
	{
		Gone	   *gone;

		if (fs_iceberg_paths_has(&reach->manifests, manifests[i].path))
			continue;
		add_path(&reach->manifests, manifests[i].path);
		gone = palloc(sizeof(Gone));
		gone->manifest = &manifests[i];
		gone->list = location;
		reach->gone = lappend(reach->gone, gone);
	}
}

/*
 * Does something of that kind; false, with a line in the server's log, where a
 * file cannot be read.  Throws when no other could be, either: it is cancelled, or
 * the store does not answer.
 */
static bool
attempt(Reach *reach, void (*read) (Reach *reach, const void *what), const void *what)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool done = false;

	PG_TRY();
	{
		read(reach, what);
		done = true;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		if (geterrcode() == ERRCODE_QUERY_CANCELED || reach->table->store->silence != NULL)
			PG_RE_THROW();
		EmitErrorReport();
		FlushErrorState();
	}
	PG_END_TRY();
	return done;
}

/* Goes through the manifests of one of the table's lists; false when the visitor has had enough. */
static bool
visit_list(Reach *reach, const char *location, ManifestVisitor visit)
{
	FsScratch	memory = {0};
	volatile bool goes_on = true;
	int			n;

	CHECK_FOR_INTERRUPTS();
	PG_TRY();
	{
		FsIcebergManifest *manifests = read_list(reach, location, &memory, &n);

		for (int i = 0; i < n && goes_on; i++)
			goes_on = visit(reach, &manifests[i]);
	}
	PG_FINALLY();
	{
		fs_scratch_free(&memory);
	}
	PG_END_TRY();
	return goes_on;
}

/* Goes through the manifests of all snapshots, the current one's first, until the visitor has had enough. */
static void
visit_snapshots(Reach *reach, ManifestVisitor visit)
{
	const FsIcebergMetadata *metadata = reach->table->metadata;
	int			n = fs_iceberg_snapshot_count(metadata);
	FsIcebergSnapshot snapshot;

	if (fs_iceberg_current_snapshot(metadata, &snapshot) && !visit_list(reach, snapshot.manifest_list, visit))
		return;
	for (int i = 0; i < n; i++)
	{
		if (!fs_iceberg_snapshot(metadata, i, &snapshot))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("snapshots of table \"%s\" have no manifest lists", fs_iceberg_location(metadata))));
		if (!visit_list(reach, snapshot.manifest_list, visit))
			return;
	}
}

/* A manifest that a snapshot has is needed. */
static bool
keep_manifest(Reach *reach, const FsIcebergManifest *manifest)
{
	fs_iceberg_paths_remove(&reach->manifests, manifest->path);
	return reach->manifests.count > 0;
}

/* Puts in, or takes out, the files that a manifest has. */
static void
visit_files(Reach *reach, const FsIcebergManifest *manifest, bool is_needed)
{
	FsIcebergManifestReader *reader = fs_lake_manifest_open(reach->table, manifest);
	FsIcebergEntry entry;
	char		message[FS_ICEBERG_MESSAGE_SIZE];
	int			found;

	PG_TRY();
	{
		while ((found = fs_iceberg_manifest_next(reader, &entry, message)) > 0)
		{
			if (entry.status == FS_ICEBERG_DELETED)
				continue;
			if (is_needed)
				keep_file(reach, entry.file.path);
			else
				add_path(&reach->files, entry.file.path);
		}
		if (found < 0)
			fs_lake_throw(psprintf("read manifest \"%s\"", manifest->path), message);
	}
	PG_FINALLY();
	{
		fs_iceberg_reader_free(reader);
	}
	PG_END_TRY();
}

/* The same in memory of its own. */
static void
visit_manifest(Reach *reach, const FsIcebergManifest *manifest, bool is_needed)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream manifest", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	CHECK_FOR_INTERRUPTS();
	visit_files(reach, manifest, is_needed);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* Puts in the files of a manifest that no snapshot has; the argument is the manifest. */
static void
add_files(Reach *reach, const void *what)
{
	visit_manifest(reach, what, false);
}

/* The files of a manifest that a snapshot has are needed. */
static bool
keep_files(Reach *reach, const FsIcebergManifest *manifest)
{
	if (fs_iceberg_paths_has(&reach->seen, manifest->path))
		return true;
	add_path(&reach->seen, manifest->path);
	visit_manifest(reach, manifest, true);
	return reach->files.count > 0;
}

/* The same, and of the manifest itself. */
static bool
keep_all(Reach *reach, const FsIcebergManifest *manifest)
{
	keep_file(reach, manifest->path);
	return keep_files(reach, manifest);
}

/* Is the path below a directory (NULL: there is none)? */
static bool
is_below(const char *path, const char *directory)
{
	size_t		len = directory == NULL ? 0 : strlen(directory);

	while (len > 0 && directory[len - 1] == '/')
		len--;
	return len > 0 && strncmp(path, directory, len) == 0 && path[len] == '/';
}

/* Is the file where the table's own are?  Tables can have files of others, too. */
static bool
is_own(const FsLakeTable *table, const char *path)
{
	return fs_lake_table_holds(table, path) &&
		(is_below(path, fs_iceberg_location(table->metadata)) ||
		 is_below(path, fs_iceberg_property(table->metadata, FS_ICEBERG_DATA_PATH)) ||
		 is_below(path, fs_iceberg_property(table->metadata, FS_ICEBERG_METADATA_PATH)));
}

/* Adds the paths of a set that are the table's own. */
static List *
list_paths(const Reach *reach, const FsIcebergPaths *paths, List *list)
{
	const char *path;
	size_t		i = 0;

	while ((path = fs_iceberg_paths_next(paths, &i)) != NULL)
		if (is_own(reach->table, path))
			list = lappend(list, pstrdup(path));
	return list;
}

/* Begins to look at a table, in the current memory context. */
static Reach *
begin_reach(FsLakeTable *table)
{
	Reach	   *reach = palloc0(sizeof(Reach));

	Assert(!IsTransactionState());
	reach->table = table;
	reach->callback.func = release;
	reach->callback.arg = reach;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &reach->callback);
	return reach;
}

/* See lake_reach.h. */
List *
fs_lake_unreachable(FsLakeTable *table, List *lists, List **read)
{
	Reach	   *reach = begin_reach(table);
	const char *collects = fs_iceberg_property(table->metadata, FS_ICEBERG_COLLECT);
	ListCell   *lc;

	*read = lists;
	if (collects != NULL && strcmp(collects, "false") == 0)
		return NIL;
	*read = NIL;
	foreach(lc, lists)
		if (attempt(reach, add_list, lfirst(lc)))
			*read = lappend(*read, lfirst(lc));
	if (reach->manifests.count > 0)
		visit_snapshots(reach, keep_manifest);
	foreach(lc, reach->gone)
	{
		const Gone *gone = lfirst(lc);

		if (fs_iceberg_paths_has(&reach->manifests, gone->manifest->path) && !attempt(reach, add_files, gone->manifest))
		{
			/* it stays, and its list is one that was not read: both are tried again */
			fs_iceberg_paths_remove(&reach->manifests, gone->manifest->path);
			*read = list_delete_ptr(*read, unconstify(char *, gone->list));
		}
	}
	if (reach->files.count > 0)
		visit_snapshots(reach, keep_files);
	return list_paths(reach, &reach->files, list_paths(reach, &reach->manifests, NIL));
}

/* See lake_reach.h. */
List *
fs_lake_unreferenced(FsLakeTable *table, List *locations)
{
	Reach	   *reach = begin_reach(table);
	FsIcebergTexts named;
	List	   *left = NIL;
	ListCell   *lc;

	reach->by_name = true;
	foreach(lc, locations)
		add_path(&reach->files, name_of(lfirst(lc)));
	keep_file(reach, table->location);
	if (!fs_iceberg_named_files(table->metadata, &named))
		fs_lake_throw("look for files that are not needed", "");
	for (int i = 0; i < named.n; i++)
		keep_file(reach, named.texts[i]);
	if (reach->files.count > 0)
		visit_snapshots(reach, keep_all);
	foreach(lc, locations)
		if (fs_iceberg_paths_has(&reach->files, name_of(lfirst(lc))))
			left = lappend(left, lfirst(lc));
	return left;
}
