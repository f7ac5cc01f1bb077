/*
 * database_worker.h
 *		What the workers that a database has one of have in common: their place in
 *		shared memory.
 *
 * A process has at most one such place, for its whole life.
 */
#ifndef FS_WORKER_DATABASE_WORKER_H
#define FS_WORKER_DATABASE_WORKER_H

#include "postgres.h"

#include "state/shared.h"

/* Takes the place and gives it back at exit; NULL when the database is blocked, or another has the place. */
extern FsSharedDatabase *fs_database_worker_attach(Oid database, FsDatabaseWorker kind);

/* This worker ends because nothing is left to do: that is no failure. */
extern void fs_database_worker_done(void);

#endif							/* FS_WORKER_DATABASE_WORKER_H */
