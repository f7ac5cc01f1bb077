/*
 * guard.c
 *		Running a user's expressions so that what they raise is caught.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "catalog/guard.h"
#include "ground/deadline.h"
#include "ground/settings.h"
#include "state/shared.h"

/*
 * Takes the error at hand into 'context' and ends the subtransaction that it
 * was raised in.  Throws it on unless it is one of an expression's, which it is
 * when the expression's time was over.
 */
static ErrorData *
take_error(MemoryContext context)
{
	bool		is_late = fs_deadline_leave();
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	if (is_late && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		error->message = psprintf("expression takes longer than feature_stream.expression_timeout (%d ms)",
								  fs_expression_timeout);
	else if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION ||
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
	fs_deadline_enter();
	PG_TRY();
	{
		work(arg);
		(void) fs_deadline_leave();
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
