/*
 * process.h
 *		What the life of every background worker of feature_stream has in common.
 *
 * Call order in a worker's main function: prepare, (attach to its slot),
 * connect, run.  A worker that fails throws; it never retries by itself: only
 * the launcher starts workers again, after a back-off.
 */
#ifndef FS_WORKER_PROCESS_H
#define FS_WORKER_PROCESS_H

#include "postgres.h"

#include "core/value.h"

/* Version of the SQL objects this library works with. */
#define FS_EXTENSION_VERSION "1.0"

/* Identifies an ingest worker's stream in bgw_extra; bgw_main_arg is its slot. */
typedef struct FsIngestArgs
{
	Oid			database;
	Oid			relid;
} FsIngestArgs;

/* Installs the signal handlers and unblocks signals.  SIGTERM ends the process at its next CHECK_FOR_INTERRUPTS. */
extern void fs_process_prepare(void);

/* Connects as the bootstrap superuser (InvalidOid: shared catalogs only) and pins the settings a worker relies on. */
extern void fs_process_connect(Oid database);

/*
 * Runs the worker's loop.  An error is kept for fs_process_failure() and
 * thrown on, so that the process reports it and exits with status 1.
 */
extern void fs_process_run(void (*loop) (void));

/* Why this process ends, for its exit callback; palloc-free, never NULL. */
extern const char *fs_process_failure(void);

/* Reads the configuration files again when SIGHUP asked for it. */
extern void fs_process_reload(void);

/*
 * Does what 'duty' does and goes on when it fails: the error is reported (a
 * lock that was not to be had in time at DEBUG1 only), the transaction is
 * aborted and false returned.
 */
extern bool fs_process_try(void (*duty) (void *arg), void *arg);

/* The same, and keeps the error's message, in FS_ERROR_SIZE bytes. */
extern bool fs_process_try_keep(void (*duty) (void *arg), void *arg, char *message);

/* Time to wait after so many consecutive failures, in microseconds. */
extern int64 fs_process_backoff(int failures);

#endif							/* FS_WORKER_PROCESS_H */
