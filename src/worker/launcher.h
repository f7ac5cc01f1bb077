/*
 * launcher.h
 *		The only starter of workers.
 */
#ifndef FS_WORKER_LAUNCHER_H
#define FS_WORKER_LAUNCHER_H

#include "postgres.h"

/* Registers the launcher with the postmaster; only while shared_preload_libraries is processed. */
extern void fs_launcher_register(void);

/* Wakes the launcher, if there is one.  Caller must hold FsShared.lock. */
extern void fs_launcher_poke(void);

extern PGDLLEXPORT void fs_launcher_main(Datum main_arg);

#endif							/* FS_WORKER_LAUNCHER_H */
