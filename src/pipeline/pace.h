/*
 * pace.h
 *		A checkpoint at work, and how it gives way to ingestion.
 */
#ifndef FS_PIPELINE_PACE_H
#define FS_PIPELINE_PACE_H

#include "pipeline/shard.h"

/* What a checkpoint writes, set aside when it begins. */
typedef struct FsCheckpoint
{
	FsPending	pending;
	FsPartition *partitions;
	int			npartitions;
	int			start_partitions;	/* shard's, from the commit on */
	FsViewCounts *counts;		/* by view */
	FsTime		watermark;
	FsTime		upto;			/* fire windows up to here */
	int64		bytes;
	int64		number;
	bool		(*interleave) (FsShard *shard);
	int64		ingested;		/* monotonic clock: when ingestion had its last turn */
} FsCheckpoint;

/*
 * To be called after each small piece of work inside the transaction: lets
 * ingestion in when it has waited long enough, and hands WAL to the WAL writer.
 * No SPI connection may be open.
 */
extern void fs_pace(FsShard *shard, FsCheckpoint *checkpoint);

/* Ingests until little WAL is left for the commit to flush. */
extern void fs_pace_commit(FsShard *shard, FsCheckpoint *checkpoint);

#endif							/* FS_PIPELINE_PACE_H */
