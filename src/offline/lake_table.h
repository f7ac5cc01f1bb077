/*
 * lake_table.h
 *		An Iceberg table in a lake: its metadata, and the files of a commit.
 *
 * Order of calls in a commit, all outside of transactions: load, name the files
 * (which the caller writes down before the first of them is made), put, and then
 * the caller moves the catalog's pointer.  When somebody was faster: load again,
 * rebase, put again; data files and the manifest stay.
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

/* A new table at 'base', a location, with a part of its own behind it: location and bytes of its first metadata are for the caller to put. */
typedef struct FsLakeNewTable
{
	char	   *uuid;
	char	   *location;
	FsObjectBody body;
} FsLakeNewTable;

extern void fs_lake_table_create(FsLakeNewTable *table, const char *base, const FsLakeColumn *columns, int ncolumns,
								 ArrayType *partition_by, const char *view);

/* What is added to a table, and the files that say so. */
typedef struct FsLakeCommit
{
	int64		snapshot_id;
	List	   *files;			/* FsLakeFiles */
	int64		rows;
	int64		bytes;
	const char *mark;			/* of the snapshot's summary, under feature_stream.export */

	char	   *manifest;		/* locations */
	char	   *list;
	char	   *metadata;
	List	   *dropped;		/* locations of files that the table leads to no more */

	/* Private */
	FsBuffer	manifest_bytes;
	FsIcebergManifest entry;	/* of the manifest, in lists */
	FsScratch	memory;
	MemoryContextCallback callback;
	int			attempt;
} FsLakeCommit;

/* Makes the manifest of the files and names it, in the current memory context. */
extern FsLakeCommit *fs_lake_commit_begin(FsLakeTable *table, List *files, const char *mark);

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
