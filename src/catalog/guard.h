/*
 * guard.h
 *		Running a user's expressions so that what they raise is caught.
 */
#ifndef FS_CATALOG_GUARD_H
#define FS_CATALOG_GUARD_H

#include "postgres.h"

/*
 * Calls 'work' in an internal subtransaction, in the current memory context.
 * Returns NULL, or what it raised, if an expression may raise that, copied into
 * the current memory context; user and settings are as before then.  What no
 * expression is to blame for (cancelled, out of memory ...) is thrown on; so is
 * every error in a parallel query, where there can be no subtransaction.
 *
 * In a worker 'work' calls fs_deadline_begin() (ground/deadline.h) before each
 * piece that is to have a time of its own.  One that takes longer is an error of
 * the expression, with sqlerrcode ERRCODE_QUERY_CANCELED.
 */
extern ErrorData *fs_guard_catch(void (*work) (void *arg), void *arg);

/*
 * The same, for who wants the message at most: false when 'work' raised, and
 * 'message' (FS_ERROR_SIZE bytes, or NULL) is what it said.
 */
extern bool fs_guard_run(void (*work) (void *arg), void *arg, char *message);

#endif							/* FS_CATALOG_GUARD_H */
