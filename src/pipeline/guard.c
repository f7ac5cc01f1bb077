/*
 * guard.c
 *		Running what may raise an error; see guard.h.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "catalog/pinned.h"
#include "pipeline/guard.h"

/* The work itself, as the owner. */
static void
run_as_owner(FsRow *row, void (*work) (FsRow *row, void *arg), void *arg)
{
	const FsViewDef *view = row->view;
	int			guc_level = NewGUCNestLevel();
	Oid			user;
	int			security;

	GetUserIdAndSecContext(&user, &security);
	PushActiveSnapshot(ActiveSnapshotSet() ? GetActiveSnapshot() : GetTransactionSnapshot());
	if (view->uses_settings)
		fs_settings_pin(view);
	SetUserIdAndSecContext(view->owner, security | SECURITY_RESTRICTED_OPERATION);
	work(row, arg);
	SetUserIdAndSecContext(user, security);
	PopActiveSnapshot();
	AtEOXact_GUC(false, guc_level);
}

/* Is this an error that belongs to the expressions, not to the process? */
static bool
is_expressions_own(const ErrorData *error)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return category != ERRCODE_OPERATOR_INTERVENTION && category != ERRCODE_INSUFFICIENT_RESOURCES;
}

bool
fs_guard(FsRow *row, void (*work) (FsRow *row, void *arg), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool good = true;

	if (IsInParallelMode())
	{
		run_as_owner(row, work, arg);
		return true;
	}
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		run_as_owner(row, work, arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		if (!is_expressions_own(error))
			ReThrowError(error);
		strlcpy(row->error, error->message, sizeof(row->error));
		FreeErrorData(error);
		good = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return good;
}
