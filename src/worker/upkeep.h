/*
 * upkeep.h
 *		Partitions of one database: made ahead, dropped after retention.
 */
#ifndef FS_WORKER_UPKEEP_H
#define FS_WORKER_UPKEEP_H

#include "postgres.h"

/*
 * Looks after all partitioned tables of the current database once.  Runs
 * outside a transaction and makes its own; does not throw for what is wrong
 * with one table, but reports it and goes on with the next.  False when
 * anything was left for the next time.
 */
extern bool fs_upkeep_run(void);

#endif							/* FS_WORKER_UPKEEP_H */
