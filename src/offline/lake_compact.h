/*
 * lake_compact.h
 *		Small files of a table in a lake become larger ones, of the same rows, sorted
 *		as the table wants.
 *
 * Only files that we wrote are read; those of others stay as they are.  Order of
 * calls: plan and fetch, outside of transactions; make, in one; then the caller
 * commits the files with a rewrite that takes the old ones out.  Memory: the
 * largest small file, its row group, one that is written, and 64 MB for sorting;
 * the rest is in temporary files.
 */
#ifndef FS_OFFLINE_LAKE_COMPACT_H
#define FS_OFFLINE_LAKE_COMPACT_H

#include "postgres.h"

#include "offline/lake_table.h"

typedef struct FsLakeCompaction FsLakeCompaction;

/*
 * Chooses files of one partition, as many as make one of the target's size; NULL
 * when there are not enough of about a size.  'forced': two small ones are
 * enough.  *nsmall: how many of ours the table has.  Memory and files are the
 * current context's.
 */
extern FsLakeCompaction *fs_lake_compact_plan(FsLakeTable *table, bool forced, int *nsmall);

/* The files that were chosen: locations, a new List. */
extern List *fs_lake_compact_paths(const FsLakeCompaction *compaction);

/* Fetches them; what cannot be read is left out, also of plans to come.  False: less than two are left. */
extern bool fs_lake_compact_fetch(FsLakeCompaction *compaction);

/*
 * Makes the files that are to take their place: a List of FsLakeFile.  NIL: the
 * pages of one cannot be read, which is left out of plans to come.  In the
 * caller's transaction.
 */
extern List *fs_lake_compact_make(FsLakeCompaction *compaction);

/* The set of the files whose rows these are. */
extern const FsIcebergPaths *fs_lake_compact_replaced(const FsLakeCompaction *compaction);

#endif							/* FS_OFFLINE_LAKE_COMPACT_H */
