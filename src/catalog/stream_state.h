/*
 * stream_state.h
 *		The rows and the partition of the event log that every stream has.
 */
#ifndef FS_CATALOG_STREAM_STATE_H
#define FS_CATALOG_STREAM_STATE_H

#include "catalog/stream_def.h"

/*
 * Makes what a new stream needs: its rows in stream_definition and stream_state
 * and its partition of event_log.  For a stream that has been read from already, throws when the
 * definition changed in a way its state cannot follow.
 */
extern void fs_stream_state_ensure(const FsStreamDef *stream);

/* Removes all of it after a drop.  False when there was nothing: it was no stream. */
extern bool fs_stream_state_remove(Oid relid);

/* Sets stream_definition.paused, and reads it.  No checkpoint waits for the caller's transaction. */
extern void fs_stream_state_pause(Oid relid, bool paused);
extern bool fs_stream_state_is_paused(Oid relid);

/* The same, not paused; and has the next worker try again what had stopped for good. */
extern void fs_stream_state_resume(Oid relid);

#endif							/* FS_CATALOG_STREAM_STATE_H */
