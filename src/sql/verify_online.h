/*
 * verify_online.h
 *		What the online store has, held against what a batch computes.
 */
#ifndef FS_SQL_VERIFY_ONLINE_H
#define FS_SQL_VERIFY_ONLINE_H

#include "pipeline/batch.h"

/* Takes a difference; texts may be NULL and live during the call. */
typedef void (*FsDifferenceReceiver) (void *arg, const Datum *entity, FsTime window_end,
									  const char *feature, const char *expected,
									  const char *found, const char *problem);

/*
 * Compares the newest row of each entity of the range with the key that the
 * view's online store has for it.  The store comes later than the tables, so a
 * difference counts when it stays.  Returns the number of keys compared, or -1
 * when the store could not be reached; 'message' (FS_ERROR_SIZE bytes) says why.  Throws when the
 * connection breaks later.
 */
extern int64 fs_verify_online(FsBatch *batch, const FsBatchRange *range,
							  FsDifferenceReceiver receive, void *arg, char *message);

#endif							/* FS_SQL_VERIFY_ONLINE_H */
