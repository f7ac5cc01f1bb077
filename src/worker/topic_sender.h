/*
 * topic_sender.h
 *		Records of a transaction to a topic, by a worker that holds an idempotent
 *		producer until the broker has all of them.
 */
#ifndef FS_WORKER_TOPIC_SENDER_H
#define FS_WORKER_TOPIC_SENDER_H

#include "postgres.h"

#include "source/source.h"
#include "worker/topic_link.h"

/* Appends one record, of which key or value may be NULL. */
extern void fs_topic_sender_put(StringInfo records, const FsRecord *record);

/* Starts a worker for the topic of the stream, as fs_message_put_stream() has written it. */
extern FsTopicLink *fs_topic_sender_start(const char *name, const StringInfoData *stream);

/* Hands the worker records that were put one after the other; 'room' is used for the message. */
extern void fs_topic_sender_send(FsTopicLink *link, const char *records, Size len, StringInfo room);

/* Waits until the broker has all of them; throws when it does not take one, or does not answer. */
extern void fs_topic_sender_finish(FsTopicLink *link);

/* Main function of the worker. */
extern PGDLLEXPORT void fs_topic_sender_main(Datum main_arg);

#endif							/* FS_WORKER_TOPIC_SENDER_H */
