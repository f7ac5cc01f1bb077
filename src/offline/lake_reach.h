/*
 * lake_reach.h
 *		Which files of a table in a lake only snapshots need that are gone.
 */
#ifndef FS_OFFLINE_LAKE_REACH_H
#define FS_OFFLINE_LAKE_REACH_H

#include "postgres.h"

#include "offline/lake_table.h"

/*
 * Looks for the manifests of these manifest lists, of snapshots that the table
 * has no more, and for the data files of those, that no snapshot of the table
 * leads to: a List of locations, none but those below the warehouse.  *read are
 * the lists that could be read.  Throws when the table's own cannot be.
 *
 * The table is as it was after the snapshots went.  Nothing that is found can be
 * needed by a snapshot to come, which is made of what those before it have.
 */
extern List *fs_lake_unreachable(FsLakeTable *table, List *lists, List **read);

#endif							/* FS_OFFLINE_LAKE_REACH_H */
