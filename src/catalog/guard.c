/*
 * guard.c
 *		Running a user's expressions so that what they raise is caught.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "catalog/guard.h"
#include "state/shared.h"

/*
 * Takes the error at hand into 'context' and ends the subtransaction that it
 * was raised in.  Throws it on unless it is one of an expression's.
 */
static ErrorData *
take_error(MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION ||
		ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INSUFFICIENT_RESOURCES)
		ReThrowError(error);
	return error;
}

/* See guard.h. */
ErrorData *
fs_guard_catch(void (*work) (void *arg), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	Assert(IsTransactionState());
	if (IsInParallelMode())
	{
		work(arg);
		return NULL;
	}
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		error = take_error(context);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

/* See guard.h. */
bool
fs_guard_run(void (*work) (void *arg), void *arg, char *message)
{
	ErrorData  *error = fs_guard_catch(work, arg);

	if (error == NULL)
		return true;
	if (message != NULL)
		strlcpy(message, error->message, FS_ERROR_SIZE);
	FreeErrorData(error);
	return false;
}
