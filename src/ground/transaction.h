/*
 * transaction.h
 *		A worker's transaction of its own, with a snapshot to read and write by.
 */
#ifndef FS_GROUND_TRANSACTION_H
#define FS_GROUND_TRANSACTION_H

#include "postgres.h"

/* Begins; the caller is in none.  An error is cleaned up by whoever aborts the transaction. */
extern void fs_transaction_begin(void);

/* Commits, and makes 'context' the current one again; the transaction's own memory is gone then. */
extern void fs_transaction_end(MemoryContext context);

#endif							/* FS_GROUND_TRANSACTION_H */
