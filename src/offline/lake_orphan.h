/*
 * lake_orphan.h
 *		Files of a table in a lake that may be nobody's, found by looking what is there.
 */
#ifndef FS_OFFLINE_LAKE_ORPHAN_H
#define FS_OFFLINE_LAKE_ORPHAN_H

#include "postgres.h"

#include "offline/lake_table.h"

/*
 * Lists files below the table's own location that have names like those that we
 * give and are older than that: a List of locations.  About so many files are
 * looked at, from *position (NULL: the first) on; *position then is where to go
 * on, palloc'd, or NULL at the end.
 *
 * Whether the table needs them has to be asked of the table as it is afterwards
 * (lake_reach.h): what it comes to need later is younger.  No file is listed in
 * a table whose property gc.enabled is false, and no metadata file where those
 * are to stay (write.metadata.delete-after-commit.enabled is not true).
 */
extern List *fs_lake_orphan_list(FsLakeTable *table, FsTime before, int64 most, char **position);

/* Likewise uploads of such files that nobody has completed: a List of FsObjectEntry. */
extern List *fs_lake_orphan_uploads(FsLakeTable *table, FsTime before);

#endif							/* FS_OFFLINE_LAKE_ORPHAN_H */
