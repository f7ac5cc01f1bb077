/*
 * lake_table.h
 *		An Iceberg table in a lake: its metadata, and the files of a commit.
 *
 * Order of calls in a commit, all outside of transactions: load, name the files
 * (which the caller writes down before the first of them is made), put, and then
 * the caller moves the catalog's pointer.  When somebody was faster: load again,
 * rebase, put again; data files and the manifest stay.  A commit that also writes
 * manifests of the base anew (offline/lake_rewrite.h) does that for each base.
 */
#ifndef FS_OFFLINE_LAKE_TABLE_H
#define FS_OFFLINE_LAKE_TABLE_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/array.h"

#include "catalog/lake_columns.h"
#include "core/iceberg.h"
#include "core/iceberg_manifest.h"
#include "offline/object_store.h"

/* A table as it was when it was read; memory is the context's in which that was. */
typedef struct FsLakeTable
{
	FsObjectStore *store;
	char	   *location;		/* of its metadata file */
	FsIcebergMetadata *metadata;
	MemoryContextCallback callback;
} FsLakeTable;

/* Reads the table whose metadata is there. */
extern FsLakeTable *fs_lake_table_load(FsObjectStore *store, const char *location);

/*
 * A new table at 'base', a location, with a part of its own behind it: location and bytes of its first metadata are for
 * the caller to put.  'level': how its files are compressed, 0 when it is not to say so.
 */
typedef struct FsLakeNewTable
{
	char	   *uuid;
	char	   *location;
	FsObjectBody body;
} FsLakeNewTable;

extern void fs_lake_table_create(FsLakeNewTable *table, const char *base, const FsLakeColumn *columns, int ncolumns,
								 ArrayType *partition_by, List *sort_by, const char *view, int level);	/* 'sort_by': names of columns */

/* What is added to a table, and the files that say so. */
typedef struct FsLakeCommit
{
	int64		snapshot_id;
	const char *operation;		/* "append"; "replace": the table has the same rows afterwards; NULL: no snapshot is made */
	List	   *files;			/* FsLakeFiles; a replacing commit may have none */
	int64		rows;
	int64		bytes;
	int			npartitions;	/* that the files are in */
	const char *mark;			/* of the snapshot's summary, under feature_stream.export; NULL: none */
	int64		keep_age;		/* of snapshots, in ms; -1: as the table says */
	int			keep_count;		/* likewise */
	struct FsLakeRewrite *rewrite;	/* what becomes of the base's manifests; NULL: they stay */
	FsIcebergManifest *kept;	/* those of the base, or what became of them, with room for one more; NULL: to be read */
	int			nkept;
	FsIcebergRemoved removed;	/* files that were taken out of them */

	char	   *manifest;		/* locations; NULL: there are no files */
	char	   *list;			/* NULL: no snapshot is made */
	char	   *metadata;
	List	   *dropped;		/* locations of files that the table leads to no more ... */
	List	   *expired;		/* ... and of manifest lists, whose files are to be looked for */

	/* Private */
	FsBuffer	manifest_bytes;
	FsIcebergManifest entry;	/* of the manifest, in lists */
	FsScratch	memory;
	MemoryContextCallback callback;
	int			attempt;
} FsLakeCommit;

/* The manifests of the table's current snapshot, with room for one more; what they point to is in 'memory'. */
extern FsIcebergManifest *fs_lake_table_manifests(FsLakeTable *table, FsScratch *memory, int *n);

/* The name of a new manifest of the table, palloc'd. */
extern char *fs_lake_table_name_manifest(const FsLakeTable *table);

/* Does the table's warehouse hold that file?  If not, it is none of ours. */
extern bool fs_lake_table_holds(const FsLakeTable *table, const char *location);

/*
 * Lets old snapshots of the table go, in memory: the locations of their manifest
 * lists, a new List.  Numbers as in FsLakeCommit.
 */
extern List *fs_lake_table_expire(FsLakeTable *table, int64 keep_age, int keep_count);

/* Begins a commit in the current memory context: makes the manifest of the files, if there are any, and names it. */
extern FsLakeCommit *fs_lake_commit_begin(FsLakeTable *table, const char *operation, List *files, const char *mark);

/* Names list and metadata for this base. */
extern void fs_lake_commit_name(FsLakeCommit *commit, FsLakeTable *base);

/* Puts data files and the manifest ... */
extern void fs_lake_commit_put_files(FsLakeCommit *commit, FsLakeTable *base);

/* ... and list and metadata, as the base has them and with the commit. */
extern void fs_lake_commit_put_metadata(FsLakeCommit *commit, FsLakeTable *base);

/*
 * A commit without rows, of what was changed in the base's metadata: names the
 * new metadata, and puts it.  Where somebody was faster, the base is of no use.
 */
extern FsLakeCommit *fs_lake_commit_begin_change(FsLakeTable *base);
extern void fs_lake_commit_put_change(FsLakeCommit *commit, FsLakeTable *base);

#endif							/* FS_OFFLINE_LAKE_TABLE_H */
