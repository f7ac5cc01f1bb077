/*
 * parking.h
 *		Partitions that wait for the schema of their next record.
 */
#ifndef FS_PIPELINE_PARKING_H
#define FS_PIPELINE_PARKING_H

#include "ground/http.h"
#include "pipeline/shard.h"

/* Gets ready to ask the stream's registry; does nothing for a stream without one.  Throws for want of resources. */
extern void fs_parking_open(FsShard *shard);
extern void fs_parking_close(FsShard *shard);

/*
 * How many of the polled records can be decoded: all, or those before the first
 * whose schema is not known.  The partition is parked at that one, to which the
 * source goes back.  Stays out of the way of transactions: may be called in one.
 */
extern int	fs_parking_screen(FsShard *shard, FsPartition *partition, const FsRecord *records, int n);

/*
 * The same for dead letters that come back, the records and what belongs to them: puts
 * those that can be decoded, or are refused anyway, to the front, and returns their
 * number.  The others' schemas are asked for; when fs_parking_answers() has moved it is
 * time to look again.  That there is no such schema is believed if it was heard since
 * 'since' (fs_clock_monotonic()).  Not in a transaction, and without a batch in hand.
 */
extern int	fs_parking_screen_replays(FsShard *shard, FsRecord *records, struct FsReplay *replays, int n, int64 since);

/* How often asking for a schema has come to an end, in the process's life. */
extern uint64 fs_parking_answers(const FsShard *shard);

/* Asks the registry, and lets go on who has what it waited for.  Not in a transaction; never waits. */
extern void fs_parking_step(FsShard *shard);

/* As fs_http_wait(). */
extern int	fs_parking_wait(FsShard *shard, FsHttpSocket *sockets, long *timeout);

/* Why a parked partition waits, as a sentence (FS_SOURCE_ERROR_SIZE bytes). */
extern void fs_parking_explain(const FsShard *shard, const FsPartition *partition, char *out);

/* What is the matter with the registry; empty: nothing. */
extern const char *fs_parking_trouble(const FsShard *shard);

#endif							/* FS_PIPELINE_PARKING_H */
