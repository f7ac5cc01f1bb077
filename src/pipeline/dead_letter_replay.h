/*
 * dead_letter_replay.h
 *		Dead letters that come back: replay_dead_letters()'s requests, at work.
 *
 * A request is a row of feature_stream.dead_letter_outcome.  The worker takes
 * some, outside of any transaction, as a batch of its own between those of the
 * source.  They are decoded, judged and folded like any other event, and go
 * into the pending log.  The checkpoint that writes that log marks the requests,
 * in the same transaction: so whatever is killed, each counts once.  The next
 * ones are taken when these are committed.
 *
 * Those whose schema is not known wait for it (parking.h), as requests: the others
 * behind them go on.
 *
 * They count in the windows that have not fired, whatever the watermark of their
 * partition, and in those that have where corrections were asked for
 * (correction.h): a batch has the one or the other kind.  A partition's position and its watermark do not move: event time goes on by
 * what the source hands out alone.
 */
#ifndef FS_PIPELINE_DEAD_LETTER_REPLAY_H
#define FS_PIPELINE_DEAD_LETTER_REPLAY_H

#include "pipeline/dead_letters.h"

/* What became of it; in pending->context. */
typedef struct FsReplayOutcome
{
	int32		partition;
	int64		offset;
	FsTime		recorded_at;
	const char *outcome;		/* as in dead_letter_outcome.outcome */
	const char *reason;			/* still bad: a word; NULL: none */
	char	   *message;		/* NULL: replayed */
	bool		corrected;		/* replayed with corrections, of which there are none */
} FsReplayOutcome;

/* Are there requests to be taken now?  Not while those taken last wait for their checkpoint. */
extern bool fs_replay_is_due(FsShard *shard);

/*
 * Takes requests into shard->records, and *replays.  Returns their number; 0: there
 * is none, or those that were looked at wait for a schema.  To be called outside of a
 * transaction and without a batch in hand.
 */
extern int	fs_replay_take(FsShard *shard, FsReplay **replays);

/* Books one, folded or refused: counters of its partition, and its outcome. */
extern void fs_replay_book(FsShard *shard, const FsEvent *event);

/* Memory is out: the rest of the batch, from events[next_event] on, stays requested, and is tried again later. */
extern void fs_replay_put_off(FsShard *shard);

/* A checkpoint has committed these outcomes. */
extern void fs_replay_done(FsShard *shard, const FsPending *pending);

/*
 * Adds rows that were written to a history to one's outcome; when none of its
 * corrections are pending any more it is corrected.  A message is added unless
 * NULL.  SPI is connected.
 */
extern void fs_replay_corrected(Oid stream, int32 partition, int64 offset, FsTime recorded_at,
								int64 rows, const char *message);

#endif							/* FS_PIPELINE_DEAD_LETTER_REPLAY_H */
