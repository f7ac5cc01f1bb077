/*
 * lake_worker.c
 *		Process life of the worker that exports histories to lakes.
 *
 * The launcher starts one in a database whose export worker says that a feature
 * view is exported (pipeline/lake_export.h); it ends when none is any more and
 * its files are cleaned up.  One export after the other, those that are due for
 * longest first; one that fails is put off and does not hold up the others.  A
 * store that does not answer holds them up by one request's time-out, and is then
 * left alone for at least as long (offline/lake_silence.h).  Between them tables
 * are kept up (pipeline/lake_upkeep.h).
 *
 * It is a process of its own, since stores can be slow: neither ingestion nor
 * the upkeep of partitions waits for it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "catalog/extension.h"
#include "pipeline/lake_export.h"
#include "pipeline/lake_upkeep.h"
#include "state/shared.h"
#include "worker/database_worker.h"
#include "worker/lake_worker.h"
#include "worker/process.h"

#define NAP_MS 500L
#define SWEEP_RETRY (5 * FS_USEC_PER_SEC)	/* after one has failed */

/* An export, and why it failed. */
typedef struct Duty
{
	Oid			view;
	char		error[FS_ERROR_SIZE];
} Duty;

/* The same of upkeep. */
typedef struct UpkeepDuty
{
	FsLakeDuty	duty;
	char		error[FS_ERROR_SIZE];
} UpkeepDuty;

static FsTime sweep_at = 0;

/* Is the extension still here?  No argument but where to say so. */
static void
look_for_work(void *arg)
{
	bool	   *found = arg;
	MemoryContext context = CurrentMemoryContext;

	StartTransactionCommand();
	*found = OidIsValid(fs_extension_relation("lake_export"));
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	if (*found)
		*found = fs_lake_export_has_work();
}

/* One export; the argument is the Duty. */
static void
do_export(void *arg)
{
	fs_lake_export_run(((Duty *) arg)->view);
}

/* Writes down why; the argument is the Duty. */
static void
note_error(void *arg)
{
	Duty	   *duty = arg;

	fs_lake_export_note_error(duty->view, duty->error);
}

/* The argument is where to say which file it is at. */
static void
do_sweep(void *arg)
{
	fs_lake_export_sweep(arg);
}

/* The argument is the file. */
static void
put_off(void *arg)
{
	fs_lake_export_put_off(arg);
}

/* Deletes files, up to the first that cannot be: that one is put off, exports go on, and then the others. */
static void
sweep(void)
{
	char	   *at = NULL;

	if (GetCurrentTimestamp() < sweep_at || fs_process_try(do_sweep, &at))
		return;
	if (at != NULL)
		(void) fs_process_try(put_off, at);
	sweep_at = GetCurrentTimestamp() + SWEEP_RETRY;
}

/* An export that is due; false when none is. */
static bool
export_next(void)
{
	Duty		duty = {0};

	duty.view = fs_lake_export_next();
	if (!OidIsValid(duty.view))
		return false;
	pgstat_report_activity(STATE_RUNNING, psprintf("exporting feature view %u", duty.view));
	if (!fs_process_try_keep(do_export, &duty, duty.error))
		(void) fs_process_try(note_error, &duty);
	return true;
}

/* Upkeep; the argument is the UpkeepDuty. */
static void
do_upkeep(void *arg)
{
	fs_lake_upkeep_run(&((UpkeepDuty *) arg)->duty);
}

/* Writes down why that failed; the argument is the UpkeepDuty. */
static void
note_upkeep_error(void *arg)
{
	UpkeepDuty *duty = arg;

	fs_lake_upkeep_note_error(&duty->duty, duty->error);
}

/* A table's upkeep that is due; false when none is. */
static bool
keep_up_next(void)
{
	UpkeepDuty	duty = {0};

	if (!fs_lake_upkeep_next(&duty.duty))
		return false;
	pgstat_report_activity(STATE_RUNNING, psprintf("upkeep of the table in the lake of feature view %u", duty.duty.view));
	if (!fs_process_try_keep(do_upkeep, &duty, duty.error))
		(void) fs_process_try(note_upkeep_error, &duty);
	return true;
}

/* What is due now, an export and upkeep in turns; false when nothing is. */
static bool
do_turn(void)
{
	bool		exported;

	sweep();
	exported = export_next();
	return keep_up_next() || exported;
}

/* Sleeps for a moment. */
static void
take_nap(void)
{
	pgstat_report_activity(STATE_IDLE, NULL);
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, NAP_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

/* The worker's life: as long as something is exported. */
static void
do_duties(void)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "feature_stream lake", ALLOCSET_DEFAULT_SIZES);

	MemoryContextSwitchTo(context);
	for (;;)
	{
		bool		has_work = false;

		CHECK_FOR_INTERRUPTS();
		fs_process_reload();
		look_for_work(&has_work);
		if (!has_work)
			break;
		if (!do_turn())
			take_nap();
		pgstat_report_stat(true);
		MemoryContextSwitchTo(context);
		MemoryContextReset(context);
	}
	fs_database_worker_done();
}

/* See lake_worker.h. */
void
fs_lake_worker_main(Datum main_arg)
{
	Oid			database = DatumGetObjectId(main_arg);

	fs_process_prepare();
	if (fs_database_worker_attach(database, FS_LAKE_WORKER) == NULL)
		proc_exit(0);
	fs_process_connect(database);
	fs_process_run(do_duties);
	proc_exit(0);
}
