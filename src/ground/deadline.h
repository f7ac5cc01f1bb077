/*
 * deadline.h
 *		A bound on the time that users' code takes in a worker.
 *
 * A piece of work (the expressions of one event, a row of features) has
 * feature_stream.expression_timeout, and up to a quarter more.  Then it is
 * cancelled as a query would be: CHECK_FOR_INTERRUPTS() throws, and whoever
 * entered the bounded code learns from fs_deadline_leave() that it was for this.
 * Code may catch that, and go on.  It is cancelled again then, and when it has
 * caught too many of them the process is terminated, which nobody can catch.
 *
 * Nothing is bounded in a process that did not call fs_deadline_enable(): a
 * user's session has statement_timeout, and can be cancelled.
 */
#ifndef FS_GROUND_DEADLINE_H
#define FS_GROUND_DEADLINE_H

#include "postgres.h"

/* Bounds pieces in this process from now on; once, when it is connected.  Takes SIGINT over. */
extern void fs_deadline_enable(void);

extern bool fs_deadline_is_enabled(void);

/*
 * Around code that is made of pieces, within a transaction; left once, also on
 * an error.  Leaving says whether the last piece's time was over, unless somebody
 * really cancelled the process.  May be nested: the outermost counts.
 */
extern void fs_deadline_enter(void);
extern bool fs_deadline_leave(void);

/* A cancellation was thrown: was it somebody's, or for a piece that is not left yet? */
extern bool fs_deadline_was_cancelled(void);

/*
 * A piece begins, and with it its time; it ends with the next one, or by leaving.
 * A few stores in memory.  The code is that of a feature view, or (InvalidOid)
 * the stream's, unless it is said to be another one's in the middle of a piece.
 */
extern void fs_deadline_begin(Oid view);
extern void fs_deadline_blame(Oid view);

/* What to say of it. */
#define FS_DEADLINE_GAVE_UP "an expression took longer than feature_stream.expression_timeout, and did not let itself be cancelled"

/* Is the process terminated since code did not let itself be cancelled?  Whose that is goes to *view. */
extern bool fs_deadline_gave_up(Oid *view);

#endif							/* FS_GROUND_DEADLINE_H */
