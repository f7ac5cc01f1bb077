/*
 * lake_compact_plan.h
 *		Which small files of a table in a lake become one: for lake_compact.c alone.
 */
#ifndef FS_OFFLINE_LAKE_COMPACT_PLAN_H
#define FS_OFFLINE_LAKE_COMPACT_PLAN_H

#include "postgres.h"

#include "offline/lake_table.h"

/* A data file that is small. */
typedef struct FsLakeSmall
{
	char	   *path;
	int64		rows;
	int64		size;
	char	   *key;			/* of its partition */
	size_t		key_len;
	FsIcebergValue *partition;
	int			tier;			/* files of about a size are of one */
} FsLakeSmall;

/* The file cannot be read: it is left out from now on, as long as the process lives. */
extern void fs_lake_compact_leave(const char *path);

/* Bytes that files are to have. */
extern int64 fs_lake_compact_target(const FsLakeTable *table);

/* The files of a partition that are to become one, an array of *n, of *nsmall in all; NULL: there are not enough. */
extern FsLakeSmall *fs_lake_compact_choose(FsLakeTable *table, const FsIcebergSpec *spec, bool forced, int *n,
										   int *nsmall);

#endif							/* FS_OFFLINE_LAKE_COMPACT_PLAN_H */
