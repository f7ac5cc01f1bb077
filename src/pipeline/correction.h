/*
 * correction.h
 *		Dead letters that come back with corrections: windows that have fired count them, too.
 *
 * Such an event is in the log as if it had come in time.  It is taken while no
 * window end is half fired, and the checkpoint that makes it durable fires none
 * and lets nothing else in: so the window ends fired without it are those from
 * its own on up to the frontier of that moment.  That checkpoint enters a row of
 * feature_stream.correction for each feature view that counts it.  When it is
 * committed the event goes into the rings, and the rows in force are told.  The
 * history's rows are computed from the log by the backfill worker
 * (correction_rows.c), with the time that the checkpoint has given them.
 *
 * Which row that time is of follows from the corrections alone, so that memory,
 * recovery and histories agree: see fs_correction_stamp().
 */
#ifndef FS_PIPELINE_CORRECTION_H
#define FS_PIPELINE_CORRECTION_H

#include "pipeline/pace.h"

/* An event of the pending set; it lives there, with its values. */
typedef struct FsCorrection
{
	FsEventMeta meta;
	FsValue    *values;
	uint32		views;			/* bit i: view i counts it */
	FsTime		recorded_at;	/* of the dead letter */
	FsTime		known_at;		/* set when it is written */
} FsCorrection;

/* What a row of feature_stream.correction says to memory. */
typedef struct FsCorrected
{
	FsTime		event_time;
	FsTime		upto;			/* the last window end that was fired without the event */
	FsTime		known_at;
} FsCorrected;

/*
 * Judges one whose payload is good.  Sets event->corrects when windows that have
 * fired are to count it.  False, with reason and message: the log may not hold
 * what their rows are computed from.  Nothing may be half fired.
 */
extern bool fs_correction_judge(const FsShard *shard, FsEvent *event);

/* Puts one that corrects into the pending set, beside the log. */
extern void fs_correction_note(FsShard *shard, const FsEvent *event);

/* Writes the rows of feature_stream.correction, inside the checkpoint's transaction and after its outcomes. */
extern void fs_corrections_write(FsShard *shard, const FsCheckpoint *checkpoint);

/*
 * The checkpoint is committed: the events go into the rings.  Entities that come
 * into memory with them may have had events that have left it, which the log is
 * asked for.  Where memory is out the shard starts over, out of the log.
 */
extern void fs_corrections_apply(FsShard *shard, const FsCheckpoint *checkpoint);

/*
 * Tells an entity's row in force of a correction.  The newest window end at which
 * the event enters or leaves is the row in force from now on if there was none as
 * new; else the row in force is as new as the correction, if it counts the event.
 * Corrections of an entity are to come in the order of known_at.
 */
extern void fs_correction_stamp(FsShard *shard, int v, FsEntity *entity, const FsCorrected *corrected);

#endif							/* FS_PIPELINE_CORRECTION_H */
