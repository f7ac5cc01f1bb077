/*
 * lake_worker.h
 *		Process life of a database's lake worker.
 */
#ifndef FS_WORKER_LAKE_WORKER_H
#define FS_WORKER_LAKE_WORKER_H

#include "postgres.h"

/* Main function; 'main_arg' is the database. */
extern PGDLLEXPORT void fs_lake_worker_main(Datum main_arg);

#endif							/* FS_WORKER_LAKE_WORKER_H */
