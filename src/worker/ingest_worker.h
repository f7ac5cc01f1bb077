/*
 * ingest_worker.h
 *		Process life of the worker that owns a stream's shard.
 */
#ifndef FS_WORKER_INGEST_WORKER_H
#define FS_WORKER_INGEST_WORKER_H

#include "postgres.h"

/* Main function; 'main_arg' is the slot, bgw_extra an FsIngestArgs. */
extern PGDLLEXPORT void fs_ingest_worker_main(Datum main_arg);

#endif							/* FS_WORKER_INGEST_WORKER_H */
