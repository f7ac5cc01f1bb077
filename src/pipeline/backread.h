/*
 * backread.h
 *		Events older than a stream's log, read from its source for one feature view.
 *
 * create_feature_view(backfill_from => ...) enters a row into
 * feature_stream.backread.  Its life:
 *
 *	pending		nothing of the stream's log is dropped any more.  Upkeep, which alone
 *				drops, fixes where the reading is to join it: a position for each
 *				partition, and the cut, where the log begins
 *	reading		the backfill worker reads up to there, with a connection of its own,
 *				and writes segments and offsets in steps, each one transaction
 *	read		waits for the stream to have fired a window end
 *	done		the stream's worker takes the view up, and its history is backfilled
 *
 * Until then the view does not fire, as if it were paused (gap.c).  What was read
 * counts in this view alone, so that no other one changes.
 *
 * Before its end vector the reading has every record below the stream's own
 * start, and of those above it the ones before the cut: behind that the log has
 * all that the stream accepted.  So each event is in one of the two, once.
 * Lateness is not judged: all that meets the contract counts in all its windows.
 */
#ifndef FS_PIPELINE_BACKREAD_H
#define FS_PIPELINE_BACKREAD_H

#include "postgres.h"

#include "core/value.h"

/*
 * Is there anything to be read?  *fresh: and was not tried in vain yet.
 * *waits_for_upkeep: fs_backread_plan() has something to do.  SPI connected.
 */
extern bool fs_backread_is_wanted(bool *fresh, bool *waits_for_upkeep);

/* The view that is to be read for next; InvalidOid: none.  In a transaction of its own. */
extern Oid	fs_backread_next(void);

/*
 * Reads on for a few seconds; true when all is read, or the view is gone.  The
 * connection is kept for the next turn.  Throws what comes in the way; then
 * fs_backread_close(), and the next turn begins at the last step.  A peer that
 * does not answer, the stream's schema registry included, is no error: that is
 * noted, and it is waited for.
 */
extern bool fs_backread_turn(Oid view);

/* Closes the connection, if there is one.  Throws nothing; also for an exit callback. */
extern void fs_backread_close(void);

/* Notes why reading does not go on, for users.  In a transaction of its own. */
extern void fs_backread_note_error(Oid view, const char *message);

/*
 * Upkeep's part for the views of a stream, before it drops what of the log is
 * before 'log_before' (FS_TIME_MIN: nothing): fixes what is pending, drops what
 * nobody needs any more.  True when a view is done with: its stream's worker is
 * to load it.  In the caller's transaction.
 */
extern bool fs_backread_plan(Oid stream, FsTime log_before);

/*
 * Event time from which on nothing is missing from what a view's events were
 * taken from; FS_TIME_MIN: nothing ever was.  In the caller's transaction.
 */
extern FsTime fs_backread_covered_from(Oid view, Oid stream);

#endif							/* FS_PIPELINE_BACKREAD_H */
