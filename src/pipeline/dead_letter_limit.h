/*
 * dead_letter_limit.h
 *		An alert when too many of a stream's records are dead letters, by its
 *		options "dead_letter_limit" and "on_limit".
 */
#ifndef FS_PIPELINE_DEAD_LETTER_LIMIT_H
#define FS_PIPELINE_DEAD_LETTER_LIMIT_H

#include "pipeline/shard.h"

/*
 * To be called every turn, outside of a transaction: looks whether the limit is
 * exceeded, raises the alert (shard->limit.alert) or ends it, and pauses the
 * stream if it is to be paused.
 */
extern void fs_dead_letter_limit_check(FsShard *shard);

#endif							/* FS_PIPELINE_DEAD_LETTER_LIMIT_H */
