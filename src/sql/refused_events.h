/*
 * refused_events.h
 *		Dead letters of one entity.
 */
#ifndef FS_SQL_REFUSED_EVENTS_H
#define FS_SQL_REFUSED_EVENTS_H

#include "pipeline/batch_state.h"

/* Takes a dead letter; all of it lives during the call. */
typedef void (*FsRefusedReceiver) (void *arg, const FsBatchEvent *event, const char *reason);

/*
 * Calls 'receive' for each dead letter of an event not accepted with from <= event time < until whose
 * payload can be read and has the entity's key (of fs_key_encode), in order of
 * event time, partition and offset.  A payload that was not kept, or has a value
 * that fits no column, says nothing about its entity.  SPI is not connected.
 */
extern void fs_refused_events(const FsBatch *batch, FsTime from, FsTime until,
							  const char *key, int key_len,
							  FsRefusedReceiver receive, void *arg);

#endif							/* FS_SQL_REFUSED_EVENTS_H */
