/*
 * stuck.h
 *		Feature views that are set aside, since an expression of theirs does not end.
 */
#ifndef FS_PIPELINE_STUCK_H
#define FS_PIPELINE_STUCK_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "state/shared.h"

/* Pauses the view that the last worker of the stream was ended for, if any.  Outside of a transaction. */
extern void fs_stuck_settle(FsSharedStream *slot);

/* Is the view set aside?  In a transaction. */
extern bool fs_stuck_is_set_aside(Oid view);

/* Takes the FsViewDefs that are set aside off a list; they go to *set_aside, unless that is NULL.  In a transaction. */
extern List *fs_stuck_leave_out(List *views, List **set_aside);

/*
 * Exit callback's of a process that is no ingest worker: if it ends for a view's
 * code, notes that in the slot of the view's stream, whose worker then starts over.
 */
extern void fs_stuck_report(void);

#endif							/* FS_PIPELINE_STUCK_H */
