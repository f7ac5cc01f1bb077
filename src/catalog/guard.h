/*
 * guard.h
 *		Running a user's expressions so that what they raise is caught.
 */
#ifndef FS_CATALOG_GUARD_H
#define FS_CATALOG_GUARD_H

/*
 * Calls 'work' in an internal subtransaction, in the current memory context.
 * False when it raised what an expression may raise; user and settings are as
 * before then, and 'message' (FS_ERROR_SIZE bytes, or NULL) is what it said.
 * What no expression is to blame for (cancelled, out of memory ...) is thrown on;
 * so is every error in a parallel query, where there can be no subtransaction.
 */
extern bool fs_guard_run(void (*work) (void *arg), void *arg, char *message);

#endif							/* FS_CATALOG_GUARD_H */
