/*
 * deadline.c
 *		A bound on the time that users' code takes in a worker; see deadline.h.
 *
 * Pieces are short and many, so none of them sets a timer or reads a clock.  A
 * timer ticks for as long as a transaction lasts that has pieces, a few times in
 * the time that a piece has, and looks whether it is still the one of the tick
 * before.  The variables are written by the process and by its own signal
 * handlers.
 */
#include "postgres.h"

#include "access/xact.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "ground/deadline.h"
#include "ground/settings.h"

#define TICKS 4					/* in the time of a piece */
#define MAX_CANCELS 20			/* that a piece may catch */

static bool is_enabled = false;
static TimeoutId ticker;
static bool is_ticking = false; /* or is not to, until the transaction ends */
static int	depth = 0;			/* how often entered */

static volatile uint32 piece = 0;	/* goes up when one begins */
static volatile sig_atomic_t is_inside = false; /* one is at work */
static volatile sig_atomic_t is_over = false;	/* its time is over */
static volatile sig_atomic_t was_cancelled = false; /* somebody cancelled the process */
static volatile sig_atomic_t gave_up = false;	/* the process is being terminated */
static volatile Oid blamed = InvalidOid;	/* whose code the piece is */

/*
 * Signal handler: a tick.  A piece that goes on after it was cancelled has caught
 * that, and is cancelled again, a number of times; one that has not looked at
 * its interrupts meanwhile has caught nothing.
 */
static void
tick(void)
{
	static uint32 seen = 0;
	static int	ticks = 0;
	static int	cancels = 0;

	if (!is_inside || seen != piece)
	{
		seen = piece;
		ticks = cancels = 0;
		return;
	}
	if (++ticks < TICKS || QueryCancelPending)
		return;
	is_over = true;
	InterruptPending = true;
	QueryCancelPending = true;
	if (++cancels <= MAX_CANCELS)
		return;
	gave_up = true;
	ProcDiePending = true;
}

/* Signal handler: pg_cancel_backend(), which is to mean what it always does. */
static void
handle_sigint(SIGNAL_ARGS)
{
	was_cancelled = true;
	StatementCancelHandler(postgres_signal_arg);
}

/* The transaction ends; the timer is started again by the first piece of the next one. */
static void
stop_ticking_cb(XactEvent event, void *arg)
{
	if (!is_ticking || (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT))
		return;
	disable_timeout(ticker, false);
	is_ticking = false;
}

/* See deadline.h. */
void
fs_deadline_enable(void)
{
	Assert(!is_enabled);
	ticker = RegisterTimeout(USER_TIMEOUT, tick);
	RegisterXactCallback(stop_ticking_cb, NULL);
	pqsignal(SIGINT, handle_sigint);
	is_enabled = true;
}

/* See deadline.h. */
bool
fs_deadline_is_enabled(void)
{
	return is_enabled;
}

/* Has the timer tick, unless the setting says that nothing is bounded. */
static void
start_ticking(void)
{
	int			interval = Max(fs_expression_timeout / TICKS, 1);

	Assert(IsTransactionState());
	is_ticking = true;
	if (fs_expression_timeout > 0)
		enable_timeout_every(ticker, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), interval), interval);
}

/* See deadline.h. */
void
fs_deadline_enter(void)
{
	depth++;
}

/*
 * Ends the piece; was its time over?  Our cancellation is taken back, if it has
 * not been thrown, but never somebody else's.
 */
static bool
end_piece(void)
{
	is_inside = false;
	if (!is_over)
		return false;
	is_over = false;
	QueryCancelPending = false;
	if (!was_cancelled)
		return true;
	InterruptPending = true;
	QueryCancelPending = true;
	return false;
}

/* See deadline.h. */
void
fs_deadline_blame(Oid view)
{
	blamed = view;
}

/* See deadline.h. */
bool
fs_deadline_gave_up(Oid *view)
{
	*view = blamed;
	return gave_up;
}

/* See deadline.h. */
void
fs_deadline_begin(Oid view)
{
	if (!is_enabled || depth != 1)
		return;
	(void) end_piece();
	blamed = view;
	if (!is_ticking)
		start_ticking();
	was_cancelled = false;
	if (QueryCancelPending)
		was_cancelled = true;
	piece++;
	is_inside = true;
}

/* See deadline.h. */
bool
fs_deadline_leave(void)
{
	Assert(depth > 0);
	return --depth == 0 && end_piece();
}

/* See deadline.h. */
bool
fs_deadline_was_cancelled(void)
{
	return was_cancelled || (depth > 0 && is_over);
}
