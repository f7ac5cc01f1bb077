/*
 * guard.h
 *		Running a user's expressions so that what they raise is caught.
 */
#ifndef FS_CATALOG_GUARD_H
#define FS_CATALOG_GUARD_H

#include "postgres.h"

/*
 * Calls 'work' in an internal subtransaction, in the current memory context.
 * Returns NULL, or what it raised, copied into the current memory context; user
 * and settings are as before then.  That somebody cancels the process is no
 * expression's error, nor that the machine has no memory or no room on its disk
 * left, unless RAISE says so: these are thrown on.  Whatever else is raised is,
 * whatever its SQLSTATE: the expression of one event never stops a stream.  In a
 * parallel query, where there can be no subtransaction, every error is thrown on.
 *
 * In a worker 'work' calls fs_deadline_begin() (ground/deadline.h) before each
 * piece that is to have a time of its own.  *is_late, unless that is NULL, says
 * whether what raised had taken longer.
 */
extern ErrorData *fs_guard_catch(void (*work) (void *arg), void *arg, bool *is_late);

/*
 * The same, for who wants the message at most: false when 'work' raised, and
 * 'message' (FS_ERROR_SIZE bytes, or NULL) is what it said.
 */
extern bool fs_guard_run(void (*work) (void *arg), void *arg, char *message);

#endif							/* FS_CATALOG_GUARD_H */
