/*
 * backfill.c
 *		History rows of gaps, step by step; see backfill.h.
 *
 * A step reads the log from one window before its first window end on.  So its
 * span is the longest window at least, which reads every event twice at most,
 * and grows while steps are quick.  Rows come entity by entity; each day of
 * the history, which is a partition, has a writer of its own.
 *
 * Locks are taken in the order in which drop_feature_view takes them (foreign
 * table, cursor, history), so the two do not deadlock.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/slice.h"
#include "ground/clock.h"
#include "ground/fault.h"
#include "ground/transaction.h"
#include "offline/partition.h"
#include "pipeline/backfill.h"
#include "pipeline/backread.h"
#include "pipeline/batch.h"
#include "pipeline/history_writer.h"
#include "state/query.h"

/* A step is to take so long, about, unless the longest window alone takes longer. */
#define QUICK_USEC (1 * FS_USEC_PER_SEC)
#define SLOW_USEC (5 * FS_USEC_PER_SEC)

#define MIN_SLIDES 10			/* of a step */
#define MAX_DAYS 31				/* of a step: partitions of the history */

/* One step at work; in its transaction's memory. */
typedef struct Step
{
	/* The gap */
	FsTime		after;
	FsTime		until;
	FsTime		done_upto;
	FsTime		computed_at;

	/* What is to be done: window ends first .. last; none when first > last */
	FsViewDef  *view;
	FsStreamDef *stream;
	FsTime		first;
	FsTime		last;
	FsTime		end;			/* the last one of the gap */
	FsTime		complete_from;
	FsTime		history_until;	/* see history_writer.h */
	FsTime		lost_upto;		/* FS_TIME_MIN: nothing was lost */

	/* Output */
	AttrNumber *attnums;
	FsHistoryWriter *writers[MAX_DAYS + 1]; /* by day, from that of 'first' on */
	int64		nrows;
} Step;

/* Views c that have corrections to be written; those wait for what is to be filled in. */
#define CORRECTED_VIEWS \
	"feature_stream.correction c WHERE c.state = 'pending'" \
	" AND NOT EXISTS (SELECT FROM feature_stream.backfill b WHERE b.view = c.view AND b.state = 'pending')" \
	" AND NOT EXISTS (SELECT FROM feature_stream.view_alteration a WHERE a.view = c.view AND a.state = 'pending')"

/* Of pieces of work w: a view that is set aside has its turn when it is resumed. */
#define IS_SET_ASIDE "EXISTS (SELECT FROM feature_stream.view_pause p WHERE p.view = w.view AND p.reason IS NOT NULL)"

/* The parameters that name the gap. */
static Oid	key_types[2] = {OIDOID, TIMESTAMPTZOID};

static void
set_key(const FsBackfill *backfill, Datum *values)
{
	values[0] = ObjectIdGetDatum(backfill->view);
	values[1] = TimestampTzGetDatum(backfill->until);
}

/* See backfill.h. */
bool
fs_backfill_is_wanted(bool *fresh)
{
	fs_query_read("SELECT bool_or(w.error IS NULL) FROM"
				  " (SELECT view, error FROM feature_stream.backfill WHERE state = 'pending' UNION ALL"
				  " SELECT view, error FROM feature_stream.view_alteration WHERE state = 'pending' AND until IS NOT NULL UNION ALL"
				  " SELECT c.view, c.error FROM " CORRECTED_VIEWS ") w WHERE NOT " IS_SET_ASIDE,
				  0, NULL, NULL);
	*fresh = fs_query_bool(0, 1);
	return !fs_query_is_null(0, 1);
}

/*
 * A view that is dropped while its worker loads it for the first time leaves a
 * gap behind, which the drop could not see.
 */
static void
forget_dropped(void)
{
	fs_query_run("DELETE FROM feature_stream.backfill b WHERE state = 'pending'"
				 " AND NOT EXISTS (SELECT FROM feature_stream.feature_view v WHERE v.view = b.view)",
				 SPI_OK_DELETE, 0, NULL, NULL, NULL);
}

/* See backfill.h. */
List *
fs_backfill_list(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *list = NIL;

	fs_transaction_begin();
	SPI_connect();
	forget_dropped();
	fs_query_run("SELECT w.view, w.until, w.id, w.corrections FROM"
				 " (SELECT view, until, 0::int8 AS id, false AS corrections, computed_at"
				 " FROM feature_stream.backfill WHERE state = 'pending' UNION ALL"
				 " SELECT view, until, id, false, 'infinity' FROM feature_stream.view_alteration"
				 " WHERE state = 'pending' AND until IS NOT NULL UNION ALL"
				 " SELECT DISTINCT c.view, NULL::timestamptz, 0::int8, true, 'infinity'::timestamptz"
				 " FROM " CORRECTED_VIEWS ") w WHERE NOT " IS_SET_ASIDE
				 " ORDER BY w.corrections, w.computed_at, w.id, w.view",
				 SPI_OK_SELECT, 0, NULL, NULL, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		FsBackfill *backfill = palloc0(sizeof(FsBackfill));

		backfill->view = fs_query_oid(i, 1);
		backfill->until = fs_query_time(i, 2);
		backfill->alteration = fs_query_int64(i, 3, 0);
		backfill->corrections = fs_query_bool(i, 4);
		list = lappend(list, backfill);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	fs_transaction_end(context);
	return list;
}

/* See backfill.h. */
void
fs_backfill_note_error(const FsBackfill *backfill, const char *message)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[3] = {OIDOID, TIMESTAMPTZOID, TEXTOID};
	Datum		values[3];

	fs_transaction_begin();
	set_key(backfill, values);
	values[2] = CStringGetTextDatum(message);
	SPI_connect();
	fs_query_run("UPDATE feature_stream.backfill SET error = $3 "
				 "WHERE view = $1 AND until = $2 AND state = 'pending'",
				 SPI_OK_UPDATE, 3, types, values, NULL);
	SPI_finish();
	fs_transaction_end(context);
}

/* Reads the gap and its cursor, and locks it if asked; false when it is filled, or gone. */
static bool
read_gap(const FsBackfill *backfill, Step *step, bool lock)
{
	Datum		values[2];
	bool		found;

	set_key(backfill, values);
	SPI_connect();
	fs_query_run(psprintf("SELECT after, until, done_upto, computed_at FROM feature_stream.backfill "
						  "WHERE view = $1 AND until = $2 AND state = 'pending'%s",
						  lock ? " FOR UPDATE" : ""),
				 SPI_OK_SELECT, 2, key_types, values, NULL);
	found = SPI_processed == 1;
	if (found)
	{
		step->after = fs_query_time(0, 1);
		step->until = fs_query_time(0, 2);
		step->done_upto = fs_query_time(0, 3);
		step->computed_at = fs_query_time(0, 4);
	}
	SPI_finish();
	return found;
}

/*
 * Event time from which on nothing is missing from what the view was made of;
 * FS_TIME_MIN: nothing ever was.  Also sets to where the history had rows before.
 */
static FsTime
read_covered_from(Step *step)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(step->view->relid)};
	FsTime		log_from;

	SPI_connect();
	fs_query_read("SELECT max(log_from), max(history_until) FROM feature_stream.view_state WHERE view = $1", 1, types, values);
	log_from = fs_query_time(0, 1);
	step->history_until = fs_query_time(0, 2);
	SPI_finish();
	return Max(log_from, fs_backread_covered_from(step->view->relid, step->stream->relid));
}

/* Sets from which window end on rows are complete. */
static void
set_complete_from(Step *step, const FsBatchCover *cover)
{
	FsTime		covered = read_covered_from(step);

	if (!cover->log_complete)
		covered = Max(covered, cover->log_from);
	step->complete_from = fs_view_complete_from(step->view, covered);
}

/*
 * Sets the first window end to be done: behind the cursor, and as far back as
 * the log and the history reach.  Without a beginning the gap begins there;
 * else what lies before is lost.
 */
static void
set_first(Step *step, const FsBatchCover *cover)
{
	const FsViewDef *view = step->view;
	FsTime		begin = Max(step->after, step->done_upto);
	FsTime		reach = fs_time_next(cover->log_from, view->slide);

	step->first = begin == FS_TIME_MIN ? reach : Max(reach, fs_time_next(begin, view->slide));
	if (!cover->log_complete && begin != FS_TIME_MIN && fs_time_next(begin, view->slide) < reach)
		step->lost_upto = Min(reach - view->slide, step->end);
	if (view->history_retention > 0 && cover->frontier != FS_TIME_MIN)
		step->first = Max(step->first, fs_time_ceil(cover->frontier - view->history_retention, view->slide));
}

/* See backfill.h. */
FsTime
fs_backfill_last(FsBackfill *backfill, const FsViewDef *view, FsTime first, FsTime end)
{
	int64		most = fs_time_floor(Max(MAX_DAYS * FS_HISTORY_PARTITION_SPAN - view->slide, 0), view->slide);

	if (backfill->span == 0)
		backfill->span = Max(fs_view_max_window(view), MIN_SLIDES * view->slide);
	backfill->span = Min(fs_time_floor(backfill->span, view->slide), most);
	return end - first > backfill->span ? first + backfill->span : end;
}

/* Loads the definitions and decides what the step does; its gap has been read. */
static void
plan_step(FsBackfill *backfill, Step *step)
{
	FsBatchCover cover;
	int64		slide;

	step->view = fs_view_load(backfill->view);
	step->stream = fs_stream_load(step->view->stream);
	slide = step->view->slide;
	fs_batch_cover(step->stream->relid, step->view->relid, &cover);
	step->lost_upto = FS_TIME_MIN;
	step->end = fs_time_floor(step->until, slide);
	step->first = step->end + slide;
	step->last = step->end;
	if (!OidIsValid(step->view->history) || step->view->history_mode == FS_HISTORY_NONE ||
		cover.log_from == FS_TIME_MIN)
		return;
	set_first(step, &cover);
	set_complete_from(step, &cover);
	step->last = fs_backfill_last(backfill, step->view, step->first, step->end);
}

/* Makes the history's partitions of the step, in the caller's transaction. */
static void
ensure_partitions(const Step *step)
{
	FsTime		days[MAX_DAYS + 1];
	int			n = 0;

	if (step->first > step->last)
		return;
	for (FsTime day = fs_time_floor(step->first, FS_HISTORY_PARTITION_SPAN); day <= step->last;
		 day += FS_HISTORY_PARTITION_SPAN)
	{
		Assert(n <= MAX_DAYS);
		days[n++] = day;
	}
	if (!fs_partition_exists_for(step->view->history, days, n))
		(void) fs_partition_ensure(step->view->history, FS_HISTORY_PARTITION_SPAN, days, n);
}

/* The writer for a window end's partition. */
static FsHistoryWriter *
get_writer(Step *step, FsTime window_end)
{
	int			day = (int) ((window_end - fs_time_floor(step->first, FS_HISTORY_PARTITION_SPAN)) /
							 FS_HISTORY_PARTITION_SPAN);

	Assert(day >= 0 && day <= MAX_DAYS);
	if (step->writers[day] == NULL)
		step->writers[day] = fs_history_writer_open(step->view, step->stream, step->attnums,
													   step->history_until);
	return step->writers[day];
}

/* Writes one row; the argument is the Step. */
static bool
write_row(void *arg, const FsBatchRow *row)
{
	Step	   *step = arg;
	FsHistoryRow out = {
		.entity = row->entity,
		.values = row->values,
		.nulls = row->nulls,
		.window_end = row->window_end,
		.computed_at = step->computed_at,
		.available_at = row->window_end + step->stream->watermark_delay,
		.complete = row->window_end >= step->complete_from,
		.backfilled = true
	};

	fs_history_writer_put(get_writer(step, row->window_end), &out);
	step->nrows++;
	return true;
}

/* Computes and writes the rows of the step. */
static void
write_rows(Step *step)
{
	const FsViewDef *view = step->view;
	FsBatchRange range = {.first = step->first, .last = step->last, .sample = 1, .choice = FS_BATCH_EMITTED};
	FsBatch    *batch = fs_batch_create(view, step->stream, fs_view_query(view->definition), view->owner);

	if (view->history_mode == FS_HISTORY_THINNED)
		range.grid = view->history_interval;
	step->attnums = fs_history_attnums(view, step->stream);
	fs_batch_rows(batch, &range, write_row, step);
	for (int i = 0; i <= MAX_DAYS; i++)
		if (step->writers[i] != NULL)
			fs_history_writer_close(step->writers[i]);
}

/* Moves the cursor behind the step. */
static void
move_cursor(FsBackfill *backfill, const Step *step)
{
	Oid			types[6] = {OIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[6];
	char		nulls[6];

	memset(nulls, ' ', sizeof(nulls));
	set_key(backfill, values);
	values[2] = TimestampTzGetDatum(step->last);
	values[3] = Int64GetDatum(step->nrows);
	fs_query_set_time(values, nulls, 4, step->first > step->last ? FS_TIME_MIN : step->first);
	fs_query_set_time(values, nulls, 5, step->lost_upto);
	backfill->done = step->last >= step->end;
	SPI_connect();
	fs_query_run(psprintf("UPDATE feature_stream.backfill SET done_upto = $3, row_count = row_count + $4,"
						  " first_window_end = COALESCE(first_window_end, $5),"
						  " lost_upto = COALESCE($6, lost_upto), error = NULL%s"
						  " WHERE view = $1 AND until = $2",
						  backfill->done ? ", state = 'done', finished_at = pg_catalog.clock_timestamp()" : ""),
				 SPI_OK_UPDATE, 6, types, values, nulls);
	if (SPI_processed != 1)
		elog(ERROR, "could not write feature_stream.backfill");
	SPI_finish();
}

/* See backfill.h. */
void
fs_backfill_adapt(FsBackfill *backfill, const FsViewDef *view, int64 took)
{
	int64		least = Max(fs_view_max_window(view), MIN_SLIDES * view->slide);

	if (took < QUICK_USEC)
		backfill->span *= 2;
	else if (took > SLOW_USEC)
		backfill->span = Max(backfill->span / 2, least);
}

/* Notes when the filling of a gap began. */
static void
note_start(const FsBackfill *backfill)
{
	Datum		values[2];

	set_key(backfill, values);
	SPI_connect();
	fs_query_run("UPDATE feature_stream.backfill SET started_at = pg_catalog.now()"
				 " WHERE view = $1 AND until = $2 AND started_at IS NULL",
				 SPI_OK_UPDATE, 2, key_types, values, NULL);
	SPI_finish();
}

/* Plans the step and makes the partitions that it needs; false when there is no gap. */
static bool
prepare_step(FsBackfill *backfill, FsTime *last)
{
	MemoryContext context = CurrentMemoryContext;
	Step	   *step;
	bool		found;

	fs_transaction_begin();
	step = palloc0(sizeof(Step));
	found = read_gap(backfill, step, false);
	if (found)
	{
		plan_step(backfill, step);
		ensure_partitions(step);
		note_start(backfill);
		*last = step->last;
	}
	fs_transaction_end(context);
	return found;
}

/* See backfill.h. */
void
fs_backfill_step(FsBackfill *backfill)
{
	MemoryContext context = CurrentMemoryContext;
	int64		begin = fs_clock_monotonic();
	FsTime		last;
	Step	   *step;

	backfill->done = !prepare_step(backfill, &last);
	if (backfill->done)
		return;
	fs_transaction_begin();
	step = palloc0(sizeof(Step));
	(void) fs_view_load(backfill->view);	/* locks it before its row: see header comment */
	if (read_gap(backfill, step, true))
	{
		plan_step(backfill, step);
		step->last = Min(step->last, last); /* partitions are there up to it */
		if (step->first <= step->last)
			write_rows(step);
		move_cursor(backfill, step);
		fs_backfill_adapt(backfill, step->view, fs_clock_monotonic() - begin);
		FS_FAULT("backfill-before-commit");
	}
	else
		backfill->done = true;
	fs_transaction_end(context);
	FS_FAULT("backfill-after-commit");
}
