/*
 * lake_evolve.h
 *		Columns that come and go in a history come and go in its table in the lake:
 *		for lake_export.c alone.
 *
 * The table's schema follows before rows of other columns are exported, in a
 * commit of its own.  Files that are there stay as they are: their rows have no
 * value in columns that came later.
 */
#ifndef FS_PIPELINE_LAKE_EVOLVE_H
#define FS_PIPELINE_LAKE_EVOLVE_H

#include "postgres.h"

#include "offline/lake_table.h"
#include "pipeline/lake_state.h"

/*
 * The table, with the columns that the history had when the export was loaded;
 * it is loaded anew when that took a commit.  Outside of transactions.  Throws
 * when somebody else changed the table meanwhile: then nothing has happened.
 */
extern FsLakeTable *fs_lake_evolve(FsLakeExport *export, FsLakeTable *table);

#endif							/* FS_PIPELINE_LAKE_EVOLVE_H */
