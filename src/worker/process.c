/*
 * process.c
 *		Signals, connection, settings and error capture of every worker.
 *
 * SIGTERM: the default handler of background workers throws inside the signal
 * handler, which with librdkafka's threads around can run on a foreign stack.
 * die() only sets flags and the latch; CHECK_FOR_INTERRUPTS then ends the
 * process with status 1, also out of a wait for a lock or in the middle of a
 * query.  Nothing more is needed for a clean end, since every state a worker
 * has can be lost at any moment.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/lwlock.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "ground/deadline.h"
#include "ground/settings.h"
#include "state/shared.h"
#include "worker/process.h"

#define MAX_BACKOFF (300 * FS_USEC_PER_SEC)

static char failure[FS_ERROR_SIZE] = "";
static volatile sig_atomic_t was_terminated = false;

/* die(), remembered for fs_process_failure(): its own flag is gone by then. */
static void
handle_sigterm(SIGNAL_ARGS)
{
	was_terminated = true;
	die(postgres_signal_arg);
}

void
fs_process_prepare(void)
{
	pqsignal(SIGTERM, handle_sigterm);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
}

/*
 * Fixes what a user's ALTER ROLE, ALTER DATABASE or postgresql.conf could set
 * to the worker's harm; the empty search_path so that nobody can redirect
 * operators and functions.  Of a deadlock with a user's command the worker is to
 * be the victim, since it tries again: it looks for one sooner.
 * synchronous_commit is on at least: else a sink could show what a crash takes
 * back.
 */
static void
pin_settings(void)
{
	static const char *const pins[][2] = {
		{"search_path", ""},
		{"statement_timeout", "0"},
		{"lock_timeout", "0"},
		{"deadlock_timeout", "100ms"},
		{"idle_in_transaction_session_timeout", "0"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
		{"session_replication_role", "origin"},
		{"zero_damaged_pages", "off"},
		{"jit", "off"},
	};

	for (int i = 0; i < lengthof(pins); i++)
		SetConfigOption(pins[i][0], pins[i][1], PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("synchronous_commit",
					synchronous_commit == SYNCHRONOUS_COMMIT_REMOTE_APPLY ? "remote_apply" : "on",
					PGC_SUSET, PGC_S_OVERRIDE);
}

/* See process.h. */
void
fs_process_connect(Oid database)
{
	if (OidIsValid(database))
		BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	else
		BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	pin_settings();
	fs_deadline_enable();
}

/*
 * Keeps the message of the error that is being handled.  Must be called in a
 * PG_CATCH block; locks held are given up, since the exit callbacks need them.
 */
static void
keep_failure(void)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	ErrorData  *edata = CopyErrorData();

	strlcpy(failure, edata->message ? edata->message : "missing error text", sizeof(failure));
	FreeErrorData(edata);
	MemoryContextSwitchTo(old);
	LWLockReleaseAll();
}

/* See process.h. */
void
fs_process_run(void (*loop) (void))
{
	PG_TRY();
	{
		loop();
	}
	PG_CATCH();
	{
		keep_failure();
		PG_RE_THROW();			/* the caller of the main function reports it and exits with 1 */
	}
	PG_END_TRY();
}

/* See process.h. */
const char *
fs_process_failure(void)
{
	Oid			view;

	if (fs_deadline_gave_up(&view))
		return FS_DEADLINE_GAVE_UP;
	if (failure[0] != '\0')
		return failure;
	if (was_terminated)
		return "terminated by administrator command";
	return "ended unexpectedly; see the server log";
}

void
fs_process_reload(void)
{
	if (!ConfigReloadPending)
		return;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
}

/* Puts the process in order after an error that it survives, as autovacuum does. */
static void
recover_from_error(void)
{
	HOLD_INTERRUPTS();
	if (geterrcode() == ERRCODE_LOCK_NOT_AVAILABLE)
		elog(DEBUG1, "a lock was not to be had in time");
	else
		EmitErrorReport();
	AbortOutOfAnyTransaction();
	FlushErrorState();
	pgstat_report_activity(STATE_IDLE, NULL);
	RESUME_INTERRUPTS();
}

/* Copies the message of the error at hand; memory is the current context's. */
static void
keep_message(char *message)
{
	ErrorData  *error = CopyErrorData();

	strlcpy(message, error->message != NULL ? error->message : "missing error text", FS_ERROR_SIZE);
	FreeErrorData(error);
}

/* See process.h. */
bool
fs_process_try_keep(void (*duty) (void *arg), void *arg, char *message)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool succeeded = true;

	PG_TRY();
	{
		duty(arg);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		if (message != NULL)
			keep_message(message);
		recover_from_error();
		succeeded = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	return succeeded;
}

/* See process.h. */
bool
fs_process_try(void (*duty) (void *arg), void *arg)
{
	return fs_process_try_keep(duty, arg, NULL);
}

int64
fs_process_backoff(int failures)
{
	int64		delay = (int64) fs_worker_restart_delay * 1000;

	Assert(failures > 0);
	return Min(delay << Min(failures - 1, 20), MAX_BACKOFF);
}
