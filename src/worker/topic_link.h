/*
 * topic_link.h
 *		A worker that speaks to Kafka for one backend, and the way between the two.
 *
 * No backend holds a handle of librdkafka: its threads and its waits belong to a
 * process that may be ended at any moment.  The backend starts such a worker with
 * a request, in a segment of dynamic shared memory that also has a queue each way.
 * The worker is connected to no database and has no rights; all that it knows is
 * in the request.  When the backend lets go of the segment, in whatever way, the
 * worker ends.
 */
#ifndef FS_WORKER_TOPIC_LINK_H
#define FS_WORKER_TOPIC_LINK_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "core/buffer.h"

/* Kinds of messages that all workers send; their own kinds are letters, too. */
#define FS_TOPIC_ERROR	'E'

typedef struct FsTopicLink FsTopicLink;

/* --- The backend's end --- */

/*
 * Starts a worker: 'kind' names it and its main function, fs_topic_<kind>_main;
 * 'stream' is for its title and for messages.  A "reader" needs a place, too
 * (topic_place.h).  The link is palloc'd, and closed with the current resource owner
 * at the latest.
 */
extern FsTopicLink *fs_topic_link_open(const char *kind, const char *stream, const StringInfoData *request);

/* Tells the worker to end and lets go of it; does not wait. */
extern void fs_topic_link_close(FsTopicLink *link);

/*
 * The next message: its kind, and in *rest what follows, valid until the next
 * call.  Waits, and is interrupted as a backend is.  Throws what the worker
 * reports, and when there is no worker any more.
 */
extern char fs_topic_link_receive(FsTopicLink *link, FsCursor *rest);

/* Sends the worker a message; waits and throws likewise. */
extern void fs_topic_link_send(FsTopicLink *link, const StringInfoData *message);

/* --- The worker's end --- */

/*
 * The worker's life: attaches to the segment that its argument names, and runs
 * 'serve' with the request.  What it throws goes to the backend.  'close', an exit
 * callback, must end what foreign libraries have.
 */
extern void fs_topic_link_serve(Datum main_arg, void (*serve) (FsCursor *request), void (*close) (void)) pg_attribute_noreturn();

/* Begins a message of that kind in 'message', which is emptied. */
extern void fs_topic_link_begin(StringInfo message, char kind);

/* Sends the backend a message; ends the process when nobody listens any more. */
extern void fs_topic_link_answer(const StringInfoData *message);

/* The next message of the backend, palloc'd, if one is there; false else.  Ends the process when there will be none. */
extern bool fs_topic_link_poll(StringInfo message);

/* What CHECK_FOR_INTERRUPTS does, and an end without noise when the backend has gone. */
extern void fs_topic_link_check(void);

#endif							/* FS_WORKER_TOPIC_LINK_H */
