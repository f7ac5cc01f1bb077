/*
 * utility_hook.h
 *		Keeps workers out of the way of commands on whole databases.
 */
#ifndef FS_WORKER_UTILITY_HOOK_H
#define FS_WORKER_UTILITY_HOOK_H

#include "postgres.h"

/* Installs the ProcessUtility hook; once, from _PG_init. */
extern void fs_utility_hook_install(void);

#endif							/* FS_WORKER_UTILITY_HOOK_H */
