/*
 * dead_letter_topic.h
 *		Dead letters are also sent to the topic that the stream names for them.
 */
#ifndef FS_PIPELINE_DEAD_LETTER_TOPIC_H
#define FS_PIPELINE_DEAD_LETTER_TOPIC_H

#include "pipeline/pace.h"

/*
 * Connects to the topic, in the caller's transaction; for a stream that names
 * none, forgets what was still to be sent.  Throws for a value that cannot be.
 */
extern void fs_dead_letter_topic_open(FsShard *shard);
extern void fs_dead_letter_topic_close(FsShard *shard);

/* Notes the checkpoint's dead letters as to be sent, inside its transaction. */
extern void fs_dead_letter_topic_note(FsShard *shard, const FsCheckpoint *checkpoint);

/* Sends, and takes note of what has arrived.  Not in a transaction; never waits for the broker.  True when it did anything. */
extern bool fs_dead_letter_topic_step(FsShard *shard);

/* A descriptor to wait for; -1: none.  *timeout, in ms, is only ever lowered. */
extern int	fs_dead_letter_topic_wait(FsShard *shard, long *timeout);

/* What is the matter with the topic or its broker; empty: nothing. */
extern const char *fs_dead_letter_topic_trouble(const FsShard *shard);

#endif							/* FS_PIPELINE_DEAD_LETTER_TOPIC_H */
