/*
 * lake_commit.h
 *		Commits to a table in a lake, of rows that are exported and of its upkeep.
 *
 * The names of files are written down before they are made, in a transaction of
 * their own; the catalog's pointer is moved in one with all that goes with it
 * (lake_export.h).  Whoever else moves it meanwhile stays in the table: all that
 * depends on what it was is made again.
 */
#ifndef FS_PIPELINE_LAKE_COMMIT_H
#define FS_PIPELINE_LAKE_COMMIT_H

#include "postgres.h"

#include "offline/lake_table.h"
#include "pipeline/lake_state.h"

/* Reads the table as the pointer has it; throws when it is not there, another one than was exported to, or another database's. */
extern FsLakeTable *fs_lake_open(FsLakeExport *export);

/*
 * Makes the commit part of the table, on top of whatever it has by then.  With a
 * mark the export's chunks are done in the same transaction.  False: there was
 * nothing to be rewritten (lake_rewrite.h), and nothing was done; files that were
 * made are deleted by the next sweep.
 */
extern bool fs_lake_commit(FsLakeExport *export, FsLakeTable *base, FsLakeCommit *commit);

#endif							/* FS_PIPELINE_LAKE_COMMIT_H */
