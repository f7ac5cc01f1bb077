/*
 * backfill_worker.c
 *		Process life of the worker that computes history rows after the fact.
 *
 * The launcher starts one in a database whose export worker says that there are
 * gaps to be filled (pipeline/backfill.h).  It fills them one after the other
 * and ends.  A gap that cannot be filled does not hold up the others: the reason
 * is noted, and the worker is started again after a back-off.
 *
 * It is a process of its own since a step can take long, and runs users'
 * expressions: neither ingestion nor the upkeep of partitions waits for it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "catalog/extension.h"
#include "pipeline/backfill.h"
#include "state/shared.h"
#include "worker/backfill_worker.h"
#include "worker/database_worker.h"
#include "worker/process.h"

/* A gap, and why its last step failed. */
typedef struct Duty
{
	FsBackfill *backfill;
	char		error[FS_ERROR_SIZE];
} Duty;

/* Is the extension still here? */
static bool
has_extension(void)
{
	bool		found;

	StartTransactionCommand();
	found = OidIsValid(fs_extension_relation("backfill"));
	CommitTransactionCommand();
	return found;
}

/* One step; the argument is the Duty, which keeps the message of an error that is thrown. */
static void
do_step(void *arg)
{
	Duty	   *duty = arg;
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		fs_backfill_step(duty->backfill);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		strlcpy(duty->error, error->message ? error->message : "missing error text", FS_ERROR_SIZE);
		PG_RE_THROW();
	}
	PG_END_TRY();
}

/* Writes down why; the argument is the Duty. */
static void
note_error(void *arg)
{
	Duty	   *duty = arg;

	fs_backfill_note_error(duty->backfill, duty->error);
}

/* Fills one gap; false when that failed. */
static bool
fill_gap(FsBackfill *backfill)
{
	Duty		duty = {.backfill = backfill};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream backfill",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	pgstat_report_activity(STATE_RUNNING, psprintf("backfilling feature view %u", backfill->view));
	while (!backfill->done)
	{
		CHECK_FOR_INTERRUPTS();
		fs_process_reload();
		if (!fs_process_try(do_step, &duty))
		{
			(void) fs_process_try(note_error, &duty);
			break;
		}
		pgstat_report_stat(true);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return backfill->done;
}

/* The worker's life: until no gap is left, or none but those that failed. */
static void
fill_gaps(void)
{
	bool		failed = false;

	while (!failed && has_extension())
	{
		List	   *gaps = fs_backfill_list();
		ListCell   *lc;

		if (gaps == NIL)
			break;
		foreach(lc, gaps)
			failed |= !fill_gap(lfirst(lc));
		list_free_deep(gaps);
	}
	if (!failed)
		fs_database_worker_done();
}

void
fs_backfill_worker_main(Datum main_arg)
{
	Oid			database = DatumGetObjectId(main_arg);

	fs_process_prepare();
	if (fs_database_worker_attach(database, FS_BACKFILL_WORKER) == NULL)
		proc_exit(0);
	fs_process_connect(database);
	MemoryContextSwitchTo(TopMemoryContext);
	fs_process_run(fill_gaps);
	proc_exit(0);
}
