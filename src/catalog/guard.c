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

/* Did RAISE of PL/pgSQL make it, with whatever SQLSTATE it likes? */
static bool
is_raised(const ErrorData *error)
{
	return error->funcname != NULL && strcmp(error->funcname, "exec_stmt_raise") == 0;
}

/*
 * Has somebody really cancelled what raised this?  Any function can raise the
 * SQLSTATE.  A worker knows; in a session all is taken for a cancellation that
 * RAISE has not made, since other languages pass one on as an error of theirs.
 */
static bool
is_cancellation(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_QUERY_CANCELED &&
		(fs_deadline_is_enabled() ? fs_deadline_was_cancelled() : !is_raised(error));
}

/*
 * Has the machine failed, not the expression?  The same event may count in a
 * minute, when there is memory or room on the disk: it must not be left out for it.
 */
static bool
is_machine_fault(const ErrorData *error)
{
	return (error->sqlerrcode == ERRCODE_OUT_OF_MEMORY || error->sqlerrcode == ERRCODE_DISK_FULL) && !is_raised(error);
}

/*
 * Takes the error at hand into 'context' and ends the subtransaction that it
 * was raised in.  Throws on what is no expression's error; *is_late says whether
 * the time of what raised was over.
 */
static ErrorData *
take_error(MemoryContext context, bool *is_late)
{
	ErrorData  *error;

	*is_late = fs_deadline_leave();
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	if (*is_late && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		error->message = psprintf("expression takes longer than feature_stream.expression_timeout (%d ms)",
								  fs_expression_timeout);
	else if (is_cancellation(error) || is_machine_fault(error))
		ReThrowError(error);
	return error;
}

/* See guard.h. */
ErrorData *
fs_guard_catch(void (*work) (void *arg), void *arg, bool *is_late)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;
	volatile bool late = false;

	Assert(IsTransactionState());
	if (is_late != NULL)
		*is_late = false;
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
		bool		was_late;

		error = take_error(context, &was_late);
		late = was_late;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (is_late != NULL)
		*is_late = late;
	return error;
}

/* See guard.h. */
bool
fs_guard_run(void (*work) (void *arg), void *arg, char *message)
{
	ErrorData  *error = fs_guard_catch(work, arg, NULL);

	if (error == NULL)
		return true;
	if (message != NULL)
		strlcpy(message, error->message, FS_ERROR_SIZE);
	FreeErrorData(error);
	return false;
}
