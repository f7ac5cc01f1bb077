/*
 * lake_reach.h
 *		Which files of a table in a lake only snapshots need that are gone, or nobody.
 */
#ifndef FS_OFFLINE_LAKE_REACH_H
#define FS_OFFLINE_LAKE_REACH_H

#include "postgres.h"

#include "offline/lake_table.h"

/*
 * Looks for the manifests of these manifest lists, of snapshots that the table
 * has no more, and for the data files of those, that no snapshot of the table
 * leads to: a List of locations, none but those below the table's own, or where
 * its properties say that files are to be.  *read are the lists that could be
 * read.  Throws when the table's own cannot be.  Nothing is found, and all are
 * read, in a table whose property gc.enabled is false.
 *
 * The table is as it was after the snapshots went.  Nothing that is found can be
 * needed by a snapshot to come, which is made of what those before it have.
 */
extern List *fs_lake_unreachable(FsLakeTable *table, List *lists, List **read);

/*
 * Which of these locations nothing in the table leads to: no snapshot, nor its
 * metadata.  Files are told apart by their names without directories, which are
 * fresh uuids of whoever made them, since other writers spell the way there
 * otherwise ("s3a:").  Throws when anything of the table cannot be read.
 */
extern List *fs_lake_unreferenced(FsLakeTable *table, List *locations);

#endif							/* FS_OFFLINE_LAKE_REACH_H */
