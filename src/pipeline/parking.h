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

/* Asks the registry, and lets go on who has what it waited for.  Not in a transaction; never waits. */
extern void fs_parking_step(FsShard *shard);

/* As fs_http_wait(). */
extern int	fs_parking_wait(FsShard *shard, FsHttpSocket *sockets, long *timeout);

/* Why a parked partition waits, as a sentence (FS_SOURCE_ERROR_SIZE bytes). */
extern void fs_parking_explain(const FsShard *shard, const FsPartition *partition, char *out);

/* What is the matter with the registry; empty: nothing. */
extern const char *fs_parking_trouble(const FsShard *shard);

#endif							/* FS_PIPELINE_PARKING_H */
