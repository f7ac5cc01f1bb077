/*
 * lake_rewrite.h
 *		Manifests of a table in a lake that a commit writes anew: to merge small
 *		ones, or to take data files out.
 *
 * For each base that a commit is tried on: plan, write down the names
 * (fs_lake_rewrite_names), put, and then fs_lake_commit_put_metadata().  Entries
 * that stay keep the snapshot and the sequence numbers they had.
 *
 * All outside of transactions.  Memory is the context's in which it began.
 */
#ifndef FS_OFFLINE_LAKE_REWRITE_H
#define FS_OFFLINE_LAKE_REWRITE_H

#include "postgres.h"

#include "offline/lake_table.h"

typedef struct FsLakeRewrite FsLakeRewrite;

/*
 * What is to be done with the manifests of the table.  'removed' are data files
 * to be taken out (NULL: none, small manifests are merged); it must outlive the
 * rewrite.  'forced': two small manifests are enough, whatever the table says.
 */
extern FsLakeRewrite *fs_lake_rewrite_begin(const FsIcebergPaths *removed, bool forced);

/*
 * Looks at a base.  False when there is nothing to be merged, or the base does
 * not have each of the files that are to be taken out, once, as all there is to
 * their rows: then nothing may be committed.
 */
extern bool fs_lake_rewrite_plan(FsLakeRewrite *rewrite, FsLakeTable *base);

/* The names of the manifests to be: a new List. */
extern List *fs_lake_rewrite_names(const FsLakeRewrite *rewrite);

/* Puts them, of the commit's snapshot; fs_lake_rewrite_names are afterwards those that were made. */
extern void fs_lake_rewrite_put(FsLakeRewrite *rewrite, const FsLakeCommit *commit, FsLakeTable *base);

/* The manifests of the new list, with room for one more; what the summary says of them and of what was taken out. */
extern FsIcebergManifest *fs_lake_rewrite_manifests(const FsLakeRewrite *rewrite, int *n);
extern void fs_lake_rewrite_count(const FsLakeRewrite *rewrite, FsIcebergCommit *change);

/* What a plan is about, for whoever only wants to know: the manifests that it would replace. */
extern List *fs_lake_rewrite_replaced(const FsLakeRewrite *rewrite);

/* Opens a manifest of the table; throws what is wrong with it.  Whoever opens it frees the reader. */
extern FsIcebergManifestReader *fs_lake_manifest_open(FsLakeTable *table, const FsIcebergManifest *manifest);

#endif							/* FS_OFFLINE_LAKE_REWRITE_H */
