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
 */
extern ErrorData *fs_guard_catch(void (*work) (void *arg), void *arg);

/*
 * The same, for who wants the message at most: false when 'work' raised, and
 * 'message' (FS_ERROR_SIZE bytes, or NULL) is what it said.
 */
extern bool fs_guard_run(void (*work) (void *arg), void *arg, char *message);

#endif							/* FS_CATALOG_GUARD_H */
