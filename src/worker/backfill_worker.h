/*
 * backfill_worker.h
 *		Process life of a database's backfill worker.
 */
#ifndef FS_WORKER_BACKFILL_WORKER_H
#define FS_WORKER_BACKFILL_WORKER_H

#include "postgres.h"

/* Main function; 'main_arg' is the database. */
extern PGDLLEXPORT void fs_backfill_worker_main(Datum main_arg);

#endif							/* FS_WORKER_BACKFILL_WORKER_H */
