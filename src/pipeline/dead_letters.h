/*
 * dead_letters.h
 *		Events that were not counted, on their way to feature_stream.dead_letter.
 */
#ifndef FS_PIPELINE_DEAD_LETTERS_H
#define FS_PIPELINE_DEAD_LETTERS_H

#include "pipeline/pace.h"

typedef struct FsDeadLetter
{
	int32		partition;
	int64		offset;
	FsTime		received_at;	/* arrival clock */
	FsTime		recorded_at;	/* the clock when it was refused: the table is partitioned by it */
	FsReason	reason;
	char	   *message;
	FsTime		event_time;		/* FS_TIME_MIN: not known */
	FsTime		record_time;
	FsTime		watermark;
	bytea	   *key;
	bytea	   *payload;
	int64		payload_size;	/* -1: tombstone */
	char	   *headers;		/* JSON, or NULL */
} FsDeadLetter;

/* A dead letter as it came back; in shard->batch, as all that it points to. */
typedef struct FsReplay
{
	FsTime		recorded_at;	/* with partition and offset: its row */
	char	   *headers;		/* JSON, or NULL */
	const char *problem;		/* why there is nothing to decode; NULL: there is */
	bool		corrections;	/* asked for: see correction.h */
} FsReplay;

/* Those of one partition and reason, since the last checkpoint, that were beyond the budget: a row of dead_letter_overflow. */
typedef struct FsDeadOverflow
{
	int64		count;
	int64		first_offset;
	int64		last_offset;
	FsTime		first_arrival;
	FsTime		last_arrival;
	char	   *message;		/* of the first */
} FsDeadOverflow;

/*
 * Copies what is to be kept of a refused event of 'partition' into
 * shard->pending; where the budget of this minute is used up, counts it there.
 */
extern void fs_dead_letter_add(FsShard *shard, const FsPartition *partition, const FsEvent *event);

/* The same for an accepted event that some views cannot count: event->error. */
extern void fs_dead_letter_add_error(FsShard *shard, const FsPartition *partition, const FsEvent *event);

/* What the pending set has counted for a partition of the shard, by its index; NULL: nothing. */
extern const FsDeadOverflow *fs_dead_letter_overflow(const FsPending *pending, int partition, FsReason reason);

/* Writes them, inside the checkpoint's transaction. */
extern void fs_dead_letters_write(FsShard *shard, FsCheckpoint *checkpoint);

#endif							/* FS_PIPELINE_DEAD_LETTERS_H */
