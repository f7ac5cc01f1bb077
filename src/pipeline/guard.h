/*
 * guard.h
 *		Running what may raise an error, as the owner of a feature view.
 */
#ifndef FS_PIPELINE_GUARD_H
#define FS_PIPELINE_GUARD_H

#include "pipeline/row_state.h"

/*
 * Calls work(row, arg) as the view's owner in a security-restricted context,
 * with the view's settings in force, inside a subtransaction.  False when it
 * raised: then row->error has the message and nothing it did to the database is
 * left.  Cancellation, shutdown and lack of resources are thrown on.  In a
 * parallel query, where there can be no subtransaction, every error is thrown.
 */
extern bool fs_guard(FsRow *row, void (*work) (FsRow *row, void *arg), void *arg);

#endif							/* FS_PIPELINE_GUARD_H */
