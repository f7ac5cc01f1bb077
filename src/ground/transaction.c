/*
 * transaction.c
 *		A worker's transaction of its own, with a snapshot to read and write by.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "ground/transaction.h"

/* See transaction.h. */
void
fs_transaction_begin(void)
{
	Assert(!IsTransactionState());
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
}

/* See transaction.h. */
void
fs_transaction_end(MemoryContext context)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}
