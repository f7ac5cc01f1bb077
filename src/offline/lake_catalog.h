/*
 * lake_catalog.h
 *		Pointers of the Iceberg catalog: which metadata file is a table's.
 *
 * Iceberg's JDBC tables in this database, schema feature_stream_catalog; all
 * inside the caller's transaction, at READ COMMITTED: of two that swap from the
 * same location the second waits for the first, and is then told that it lost.
 */
#ifndef FS_OFFLINE_LAKE_CATALOG_H
#define FS_OFFLINE_LAKE_CATALOG_H

#include "postgres.h"

typedef struct FsLakeName
{
	const char *catalog;
	const char *namespace;
	const char *table;
} FsLakeName;

#define FS_LAKE_MAX_LOCATION 1000	/* characters */

/* Where the table's metadata is, palloc'd in the caller's context; NULL when there is no such table. */
extern char *fs_lake_catalog_find(const FsLakeName *name);

/* Enters a new table, and its namespace; false when it is there. */
extern bool fs_lake_catalog_create(const FsLakeName *name, const char *location);

/* Moves the pointer, if it still is where 'from' says. */
extern bool fs_lake_catalog_swap(const FsLakeName *name, const char *from, const char *to);

#endif							/* FS_OFFLINE_LAKE_CATALOG_H */
