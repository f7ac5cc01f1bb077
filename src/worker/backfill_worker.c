/*
 * backfill_worker.c
 *		Process life of the worker that computes history rows after the fact.
 *
 * The launcher starts one in a database whose export worker says that there are
 * gaps to be filled (pipeline/backfill.h), or older events to be read before that
 * (pipeline/backread.h).  It does the one and the other by turns, and ends.  A gap that cannot be filled does not hold up the others: the reason
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
#include "pipeline/alteration.h"
#include "pipeline/backfill.h"
#include "pipeline/backread.h"
#include "pipeline/correction_rows.h"
#include "pipeline/stuck.h"
#include "state/shared.h"
#include "worker/backfill_worker.h"
#include "worker/database_worker.h"
#include "worker/process.h"

/* A gap, or a view to be read for, and why its last step failed. */
typedef struct Duty
{
	FsBackfill *backfill;
	Oid			view;			/* to be read for */
	char		error[FS_ERROR_SIZE];
} Duty;

/* Exit callback: no handle of a foreign library survives, however the worker ends. */
static void
close_connection(int code, Datum arg)
{
	fs_backread_close();
}

/* Exit callback: the ingest worker is to know whose code this one is ended for. */
static void
report_stuck(int code, Datum arg)
{
	fs_stuck_report();
}

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

/* One step of a gap, of an alteration or of corrections, or a while of reading; the argument is the Duty. */
static void
do_step(void *arg)
{
	Duty	   *duty = arg;

	if (duty->backfill == NULL)
		(void) fs_backread_turn(duty->view);
	else if (duty->backfill->corrections)
		fs_correction_step(duty->backfill);
	else if (duty->backfill->alteration != 0)
		fs_alteration_step(duty->backfill);
	else
		fs_backfill_step(duty->backfill);
}

/* Writes down why; the argument is the Duty. */
static void
note_error(void *arg)
{
	Duty	   *duty = arg;

	if (duty->backfill == NULL)
		fs_backread_note_error(duty->view, duty->error);
	else if (duty->backfill->corrections)
		fs_correction_note_error(duty->backfill, duty->error);
	else if (duty->backfill->alteration != 0)
		fs_alteration_note_error(duty->backfill, duty->error);
	else
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
		if (!fs_process_try_keep(do_step, &duty, duty.error))
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

/* Reads for a while for the next view that wants it, if any; false when that failed. */
static bool
read_back(Oid view)
{
	Duty		duty = {.view = view};

	if (!OidIsValid(view))
	{
		fs_backread_close();
		return true;
	}
	pgstat_report_activity(STATE_RUNNING, psprintf("reading older events for feature view %u", view));
	fs_process_reload();
	if (fs_process_try_keep(do_step, &duty, duty.error))
		return true;
	fs_backread_close();
	(void) fs_process_try(note_error, &duty);
	return false;
}

/* The worker's life: until nothing is left to do, or nothing but what failed. */
static void
do_duties(void)
{
	bool		failed = false;

	while (!failed && has_extension())
	{
		Oid			view = fs_backread_next();
		List	   *gaps = fs_backfill_list();
		ListCell   *lc;

		failed |= !read_back(view);
		if (gaps == NIL && !OidIsValid(view))
			break;
		foreach(lc, gaps)
			failed |= !fill_gap(lfirst(lc));
		list_free_deep(gaps);
	}
	if (!failed)
		fs_database_worker_done();
}

/* See backfill_worker.h. */
void
fs_backfill_worker_main(Datum main_arg)
{
	Oid			database = DatumGetObjectId(main_arg);

	fs_process_prepare();
	if (fs_database_worker_attach(database, FS_BACKFILL_WORKER) == NULL)
		proc_exit(0);
	before_shmem_exit(close_connection, (Datum) 0);
	before_shmem_exit(report_stuck, (Datum) 0);
	fs_process_connect(database);
	MemoryContextSwitchTo(TopMemoryContext);
	fs_process_run(do_duties);
	proc_exit(0);
}
