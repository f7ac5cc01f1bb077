/*
 * lake_orphans.h
 *		Files in a lake that nobody's metadata leads to, found by looking what is there: for lake_upkeep.c alone.
 *
 * What a crash leaves behind is known by name (lake_file); this finds what is not:
 * a database that was restored from a backup has forgotten names, and other
 * writers die, too.  Files that are found are entered into lake_file, to be
 * deleted a day later like those of snapshots that went.
 */
#ifndef FS_PIPELINE_LAKE_ORPHANS_H
#define FS_PIPELINE_LAKE_ORPHANS_H

#include "postgres.h"

#include "pipeline/lake_request.h"
#include "pipeline/lake_state.h"

/* remove_orphan_files(): all that are older than it says, or what they would be.  Throws where the table forbids it. */
extern void fs_lake_orphans_find(FsLakeExport *export, const FsLakeRequest *request);

/*
 * A good part of what is older than some days, once a day: true when there is
 * more to be looked at soon.  Where it throws it is put off for an hour.
 */
extern bool fs_lake_orphans_keep_up(FsLakeExport *export);

#endif							/* FS_PIPELINE_LAKE_ORPHANS_H */
