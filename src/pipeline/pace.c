/*
 * pace.c
 *		A checkpoint gives way to ingestion; see pace.h.
 *
 * A checkpoint may be much work, and one process does that and reads.  So the
 * work is done in small pieces, and ingestion has its turn whenever it has
 * waited for FS_STEP_USEC.  Nor does the process wait for the disk: the WAL
 * writer flushes what was written while we go on, and while little is left to
 * do before the commit, we ingest.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"

#include "ground/clock.h"
#include "pipeline/pace.h"

#define WAL_HAND_OVER (1024 * 1024)	/* bytes from which on the WAL writer is asked to flush */
#define WAL_AHEAD (4 * 1024 * 1024) /* how far we may get ahead of it */
#define WAL_COMMIT (64 * 1024)	/* what may be left for the commit to flush */
#define WAL_ASK_USEC 10000
#define WAL_WAIT_USEC 500000	/* how long the WAL writer may take */

/* WAL of this transaction that is not on disk yet. */
static int64
unflushed(void)
{
	XLogRecPtr	flushed = GetFlushRecPtr(NULL);

	return XactLastRecEnd > flushed ? (int64) (XactLastRecEnd - flushed) : 0;
}

/*
 * Has the WAL writer flush what was written, and ingests until at most 'most'
 * bytes are left.  It may write at first and flush only when asked again, which
 * costs a signal, so it is asked now and then.  With nothing to ingest nobody
 * waits: then it is done here.
 */
static void
await_wal(FsShard *shard, FsCheckpoint *checkpoint, int64 most)
{
	int64		begin = fs_clock_monotonic();
	int64		asked = begin - WAL_ASK_USEC;

	while (unflushed() > most)
	{
		int64		now = fs_clock_monotonic();

		if (now - asked >= WAL_ASK_USEC)
		{
			XLogSetAsyncXactLSN(XactLastRecEnd);
			asked = now;
		}
		if (!checkpoint->interleave(shard) || now - begin > WAL_WAIT_USEC)
			XLogFlush(XactLastRecEnd);
	}
}

/*
 * How long the checkpoint may go on without ingestion: longer where its windows
 * are far behind, so that reading does not run away from firing.
 */
static int64
allowance(const FsShard *shard)
{
	FsTime		lag = 4 * shard->max_slide;

	if (shard->fire.active && shard->watermark - shard->fire.boundary > lag)
		return FS_STEP_USEC * 4;
	return FS_STEP_USEC;
}

/* See pace.h. */
void
fs_pace(FsShard *shard, FsCheckpoint *checkpoint)
{
	int64		behind = unflushed();

	Assert(IsTransactionState());
	if (behind > WAL_HAND_OVER)
		XLogSetAsyncXactLSN(XactLastRecEnd);
	if (behind > Min(WAL_AHEAD, (int64) XLOGbuffers * XLOG_BLCKSZ / 2))
		await_wal(shard, checkpoint, WAL_HAND_OVER);
	if (fs_clock_monotonic() - checkpoint->ingested < allowance(shard))
		return;
	checkpoint->interleave(shard);
	checkpoint->ingested = fs_clock_monotonic();
}

void
fs_pace_commit(FsShard *shard, FsCheckpoint *checkpoint)
{
	await_wal(shard, checkpoint, WAL_COMMIT);
}
