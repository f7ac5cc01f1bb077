/*
 * wakeup.h
 *		Tells the workers at commit what a transaction changed.
 */
#ifndef FS_WORKER_WAKEUP_H
#define FS_WORKER_WAKEUP_H

#include "postgres.h"

/* Registers the transaction callback; once, from _PG_init. */
extern void fs_wakeup_init(void);

/*
 * The definition of a stream, one of its views, or its paused state changes in
 * this transaction.  At commit its generation moves, its back-off ends, and
 * its worker, the export worker and the launcher wake up; at abort nothing
 * happens.  May be called any number of times.  Such a transaction cannot be
 * prepared.
 */
extern void fs_ddl_touch_stream(Oid relid);

/* Dead letters of a stream were asked back: at commit its worker wakes up and takes them.  Likewise. */
extern void fs_wakeup_replay(Oid relid);

/* The same as the first for all streams of the current database, and for whether it has the extension. */
extern void fs_ddl_touch_database(void);

#endif							/* FS_WORKER_WAKEUP_H */
