/*
 * lake_upkeep.h
 *		Upkeep of tables in a lake, for the process that exports to them.
 *
 * Old snapshots go with any commit (offline/lake_table.h).  What comes by and by, a
 * budget at a time and between exports:
 *
 *	- manifest lists of snapshots that went are read: manifests and data files that
 *	  nothing else leads to are entered into lake_file, to be deleted a day later
 *	- small files become a larger one (offline/lake_compact.h)
 *	- small manifests are merged
 *	- once a day it is looked for files that nobody needs (lake_orphans.h)
 *
 * Each is a commit like others (lake_commit.h), or a transaction of its own, and
 * what is lost in a crash is done again.  Users ask for the same by SQL
 * functions, whose requests are rows of lake_upkeep.
 */
#ifndef FS_PIPELINE_LAKE_UPKEEP_H
#define FS_PIPELINE_LAKE_UPKEEP_H

#include "postgres.h"

/* What is to be done: for a view as it is due, or a request. */
typedef struct FsLakeDuty
{
	Oid			view;
	int64		request;		/* 0: none */
} FsLakeDuty;

/* Finds what is due for longest, requests first; false when nothing is.  In a transaction of its own. */
extern bool fs_lake_upkeep_next(FsLakeDuty *duty);

/* Does it, in transactions of its own and with the current context's memory; throws what comes in the way. */
extern void fs_lake_upkeep_run(const FsLakeDuty *duty);

/* Notes why that failed: upkeep is put off, a request is over.  In a transaction of its own. */
extern void fs_lake_upkeep_note_error(const FsLakeDuty *duty, const char *message);

#endif							/* FS_PIPELINE_LAKE_UPKEEP_H */
