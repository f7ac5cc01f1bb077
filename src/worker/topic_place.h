/*
 * topic_place.h
 *		How many topic readers there are at once.
 *
 * Anyone with SELECT on a stream can have one for each open scan, and each takes a
 * slot of max_worker_processes, which the cluster's other workers need, too.  So a
 * reader has one of feature_stream.max_topic_readers places.  Its backend takes the
 * place before it registers the worker, which gives it back when it ends, in
 * whatever way; the backend does that for a worker that never began.
 */
#ifndef FS_WORKER_TOPIC_PLACE_H
#define FS_WORKER_TOPIC_PLACE_H

#include "postgres.h"

/* In the backend: takes a place and gives its ticket, which is for the worker; 0: all are taken. */
extern uint64 fs_topic_place_take(void);

/* In the backend: the worker was not registered, or has been told to end. */
extern void fs_topic_place_leave(uint64 ticket);

/* In the worker, first of all: the place is its own until it ends.  Ends the process when its backend has gone. */
extern void fs_topic_place_enter(uint64 ticket);

#endif							/* FS_WORKER_TOPIC_PLACE_H */
