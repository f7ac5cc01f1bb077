/*
 * verify.c
 *		verify_feature_view(): is what was computed what the query says?
 *
 * The view's query is run again by PostgreSQL's executor over the events of the
 * log, and the rows it gives are held against those of the history, those in
 * force in shared memory, and those of the online store.  Both sides of the
 * first two comparisons come in the same order, so that neither has to be kept.
 *
 * Log, frontier and history are of one snapshot: a checkpoint commits them
 * together.  Memory and store have none and may be further on; what they say
 * about window ends behind the snapshot's frontier is left alone.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "catalog/extension.h"
#include "catalog/guard.h"
#include "core/slice.h"
#include "sql/arguments.h"
#include "sql/batch_output.h"
#include "sql/compare.h"
#include "sql/found_rows.h"
#include "sql/verify_online.h"
#include "sql/view_reader.h"
#include "state/shared.h"

PG_FUNCTION_INFO_V1(fs_verify_feature_view);

/* How long shared memory may be behind what is committed. */
#define MEMORY_WAIT 10000		/* ms */
#define MEMORY_POLL 10			/* ms */

typedef struct Verify
{
	ReturnSetInfo *result;
	const char *source;			/* that the rows found are of */
	FsBatch    *batch;
	FsBatchOutput output;
	FsCompare	compare;
	FsBatchRange range;			/* window ends verified */
	FsBatchCover cover;
	MemoryContext row_context;	/* of one comparison */

	/* The comparison at hand */
	bool		in_force;		/* one row an entity, of shared memory */
	FsTime		memory_frontier;	/* in_force: when the rows found were read */
	FsFoundRows *rows;
	const FsFoundRow *found;	/* next one not compared yet; NULL: no more */
	int64		count;			/* rows that should be there */
} Verify;

/* Reports a difference; texts may be NULL.  The first argument is the Verify. */
static void
report(void *arg, const Datum *entity, FsTime window_end, const char *feature,
	   const char *expected, const char *found, const char *problem)
{
	Verify	   *verify = arg;
	Datum		values[7];
	bool		nulls[7] = {false};

	values[0] = CStringGetTextDatum(verify->source);
	values[1] = fs_batch_output_entity(&verify->output, entity);
	values[2] = TimestampTzGetDatum(window_end);
	nulls[3] = feature == NULL;
	values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(feature);
	nulls[4] = expected == NULL;
	values[4] = nulls[4] ? (Datum) 0 : CStringGetTextDatum(expected);
	nulls[5] = found == NULL;
	values[5] = nulls[5] ? (Datum) 0 : CStringGetTextDatum(found);
	values[6] = CStringGetTextDatum(problem);
	tuplestore_putvalues(verify->result->setResult, verify->result->setDesc, values, nulls);
}

/* A time as text, palloc'd. */
static char *
time_text(FsTime t)
{
	return pstrdup(timestamptz_to_str(t));
}

/* All features of a row as text. */
static char *
features_text(Verify *verify, const Datum *values, const bool *nulls)
{
	return TextDatumGetCString(fs_batch_output_features(&verify->output, values, nulls));
}

static void
report_missing(Verify *verify, const FsBatchRow *row)
{
	report(verify, row->entity, row->window_end, NULL,
		   features_text(verify, row->values, row->nulls), NULL, "missing row");
}

/* Goes to the next row found that is of the sample. */
static void
advance(Verify *verify)
{
	do
		verify->found = fs_found_next(verify->rows);
	while (verify->found != NULL &&
		   !fs_batch_in_sample(verify->batch, verify->range.sample, verify->found->entity));
}

/*
 * A row that should not be there.  Of those in force, one of a window end that
 * was not verified proves nothing.
 */
static void
report_extra(Verify *verify)
{
	const FsFoundRow *found = verify->found;

	if (!verify->in_force ||
		(found->window_end >= verify->range.first && found->window_end <= verify->range.last))
		report(verify, found->entity, found->window_end, NULL, NULL,
			   features_text(verify, found->values, found->nulls), "extra row");
}

/* Compares the features of a row that was expected with the one found. */
static void
compare_features(Verify *verify, const FsBatchRow *row)
{
	const FsFoundRow *found = verify->found;

	for (int i = 0; i < verify->batch->nfeatures; i++)
	{
		if (fs_compare_feature(&verify->compare, i, row->values[i], row->nulls[i],
							   found->values[i], found->nulls[i]))
			continue;
		report(verify, row->entity, row->window_end, verify->batch->columns[verify->batch->nentity + i].name,
			   row->nulls[i] ? NULL : fs_compare_text(&verify->compare, i, row->values[i]),
			   found->nulls[i] ? NULL : fs_compare_text(&verify->compare, i, found->values[i]),
			   "value differs");
	}
}

/* Compares the row found with the expected one of the same entity, both in force. */
static void
compare_in_force(Verify *verify, const FsBatchRow *row)
{
	const FsFoundRow *found = verify->found;

	if (found->window_end > verify->range.last)
		return;					/* shared memory is further on */
	if (row->is_empty)
		report_extra(verify);
	else if (found->window_end != row->window_end)
		report(verify, row->entity, row->window_end, "window_end",
			   time_text(row->window_end), time_text(found->window_end),
			   "value differs");
	else
		compare_features(verify, row);
}

/* Is a row in force missing that was expected?  An entity without events has none. */
static bool
is_missing(const Verify *verify, const FsBatchRow *row)
{
	return !verify->in_force || (!row->is_empty && row->empties_at > verify->memory_frontier);
}

/* Order of a row found and an expected one. */
static int
compare_keys(Verify *verify, const FsFoundRow *found, const FsBatchRow *row)
{
	int			order = fs_compare_entities(&verify->compare, found->entity, row->entity);

	if (order != 0 || verify->in_force)
		return order;
	return (found->window_end > row->window_end) - (found->window_end < row->window_end);
}

/* Compares one expected row with what was found; the argument is the Verify. */
static bool
compare_row(void *arg, const FsBatchRow *row)
{
	Verify	   *verify = arg;
	MemoryContext old = MemoryContextSwitchTo(verify->row_context);
	int			order = 1;

	verify->count++;
	while (verify->found != NULL && (order = compare_keys(verify, verify->found, row)) < 0)
	{
		report_extra(verify);
		advance(verify);
		MemoryContextReset(verify->row_context);
	}
	if (verify->found == NULL || order > 0)
	{
		if (is_missing(verify, row))
			report_missing(verify, row);
	}
	else
	{
		if (verify->in_force)
			compare_in_force(verify, row);
		else
			compare_features(verify, row);
		advance(verify);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(verify->row_context);
	return true;
}

/*
 * Compares the rows of a range with those found, whose cursor is open and has
 * given its first row.
 */
static void
compare_range(Verify *verify, const FsBatchRange *range)
{
	MemoryContext old;

	fs_batch_rows(verify->batch, range, compare_row, verify);
	old = MemoryContextSwitchTo(verify->row_context);
	for (; verify->found != NULL; advance(verify))
	{
		CHECK_FOR_INTERRUPTS();
		report_extra(verify);
		MemoryContextReset(verify->row_context);
	}
	MemoryContextSwitchTo(old);
	fs_found_close(verify->rows);
}

/* The first window end whose history is sure to be kept. */
static FsTime
history_first(const Verify *verify)
{
	const FsViewDef *view = verify->batch->view;

	if (view->history_retention == 0)
		return verify->range.first;
	return Max(verify->range.first,
			   fs_time_ceil(verify->cover.frontier - view->history_retention, view->slide));
}

/* Verifies the history, part by part. */
static void
verify_history(Verify *verify, bool from_beginning)
{
	const FsViewDef *view = verify->batch->view;
	FsBatchRange part = verify->range;

	verify->source = "history";
	verify->in_force = false;
	verify->count = 0;
	part.choice = FS_BATCH_EMITTED;
	part.grid = view->history_mode == FS_HISTORY_THINNED ? view->history_interval : 0;
	part.first = history_first(verify);
	from_beginning &= view->history_retention == 0;
	for (; part.first <= verify->range.last; part.first = part.last + view->slide)
	{
		part.last = fs_batch_part(verify->batch, part.first, verify->range.last);
		verify->rows = fs_found_open(verify->batch, view->history,
									 from_beginning ? FS_TIME_MIN : part.first,
									 part.last == verify->range.last ? part.last :
									 part.last + view->slide - 1);
		from_beginning = false;
		advance(verify);
		compare_range(verify, &part);
	}
	ereport(NOTICE,
			(errmsg("%lld rows of history compared", (long long) verify->count)));
}

/*
 * Sets memory_frontier, when shared memory shows all that the snapshot has, or
 * does not come to do so.  Throws when it cannot be read.  The argument is the
 * Verify.
 */
static void
read_memory_frontier(void *arg)
{
	Verify	   *verify = arg;
	FsViewReader *reader = fs_view_reader_open(verify->batch->view->relid);

	verify->memory_frontier = fs_view_reader_frontier(reader);
	for (int waited = 0; verify->memory_frontier < verify->cover.frontier && waited < MEMORY_WAIT;
		 waited += MEMORY_POLL)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, MEMORY_POLL,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		verify->memory_frontier = fs_view_reader_frontier(reader);
	}
}

/* Verifies the rows in force in shared memory. */
static void
verify_memory(Verify *verify, const FsBatchRange *range)
{
	char		message[FS_ERROR_SIZE] = "shared memory is behind";

	verify->source = "memory";
	verify->in_force = true;
	verify->count = 0;
	if (!fs_guard_run(read_memory_frontier, verify, message) ||
		verify->memory_frontier < verify->cover.frontier)
	{
		ereport(NOTICE,
				(errmsg("rows in force were not compared: %s", message),
				 errhint("feature_stream.stat_stream shows the state of the stream.")));
		return;
	}
	verify->range.first = range->first;
	verify->rows = fs_found_open(verify->batch, verify->batch->view->relid, FS_TIME_MIN, FS_TIME_MAX);
	advance(verify);			/* with it all of them have been read, to be sorted */
	read_memory_frontier(verify);
	compare_range(verify, range);
	ereport(NOTICE,
			(errmsg("%lld rows in force compared", (long long) verify->count)));
}

/* Verifies the rows of the online store. */
static void
verify_online(Verify *verify, const FsBatchRange *range)
{
	char		message[FS_ERROR_SIZE];
	int64		count;

	verify->source = "online";
	count = fs_verify_online(verify->batch, range, report, verify, message);
	if (count < 0)
		ereport(NOTICE,
				(errmsg("rows of the online store were not compared: %s", message)));
	else
		ereport(NOTICE,
				(errmsg("%lld keys of the online store compared", (long long) count)));
}

/*
 * Verifies what serves the newest rows.  The newest event of an entity that has
 * any is less than the longest window old, and with it the newest row.
 */
static void
verify_newest(Verify *verify)
{
	const FsViewDef *view = verify->batch->view;
	FsBatchRange range = verify->range;

	range.choice = FS_BATCH_NEWEST;
	range.first = Max(range.first, range.last - fs_view_max_window(view) - view->slide);
	verify_memory(verify, &range);
	if (OidIsValid(view->online_server))
		verify_online(verify, &range);
}

/* Reads the arguments "from", "to" and sample; false when no window end is left. */
static bool
set_range(FunctionCallInfo fcinfo, Verify *verify, bool *from_beginning, bool *to_end)
{
	const FsViewDef *view = verify->batch->view;
	FsBatchRange *range = &verify->range;
	FsTime		from = PG_ARGISNULL(1) ? FS_TIME_MIN : fs_batch_time(PG_GETARG_TIMESTAMPTZ(1));
	FsTime		to = PG_ARGISNULL(2) ? FS_TIME_MAX : fs_batch_time(PG_GETARG_TIMESTAMPTZ(2));

	range->sample = PG_ARGISNULL(3) ? 1 : PG_GETARG_FLOAT8(3);
	if (!(range->sample > 0 && range->sample <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must be above 0 and at most 1", "sample"),
				 errdetail("It is the share of the entities that are verified.")));
	fs_batch_cover(view->stream, view->relid, &verify->cover);
	if (!fs_batch_covered(view, &verify->cover, &range->first, &range->last))
		return false;
	*from_beginning = from == FS_TIME_MIN && verify->cover.log_complete &&
		verify->cover.fired_after == FS_TIME_MIN;
	*to_end = to >= range->last;
	if (from == FS_TIME_MAX || to == FS_TIME_MIN)
		return false;
	if (from > range->first)
		range->first = fs_time_ceil(from, view->slide);
	if (to < range->last)
		range->last = fs_time_floor(to, view->slide);
	return range->first <= range->last;
}

/* Verifies what there is; SPI is connected. */
static void
verify_all(FunctionCallInfo fcinfo, Verify *verify)
{
	const FsViewDef *view = verify->batch->view;
	bool		from_beginning;
	bool		to_end;

	if (!set_range(fcinfo, verify, &from_beginning, &to_end))
	{
		ereport(NOTICE,
				(errmsg("no window end of feature view %s can be verified", fs_relation_name(view->relid)),
				 errdetail("Window ends can be verified that were fired, and whose windows the event log covers.")));
		return;
	}
	ereport(NOTICE,
			(errmsg("verifying window ends from %s to %s of feature view %s",
					time_text(verify->range.first), time_text(verify->range.last),
					fs_relation_name(view->relid))));
	if (OidIsValid(view->history) && view->history_mode != FS_HISTORY_NONE)
		verify_history(verify, from_beginning);
	if (to_end && verify->cover.is_paused)
		ereport(NOTICE,
				(errmsg("rows in force were not compared: the feature view is paused")));
	else if (to_end)
		verify_newest(verify);
}

/* verify_feature_view(view, from, to, sample) */
Datum
fs_verify_feature_view(PG_FUNCTION_ARGS)
{
	Verify	   *verify = palloc0(sizeof(Verify));
	FsViewDef  *view;

	fs_argument_require(fcinfo, 0, "view");
	view = fs_view_load(PG_GETARG_OID(0));
	fs_batch_check_right(view->relid);
	InitMaterializedSRF(fcinfo, 0);
	verify->result = (ReturnSetInfo *) fcinfo->resultinfo;
	SPI_connect();
	verify->batch = fs_batch_create(view, fs_stream_load(view->stream), fs_view_query(view->definition),
									view->owner);
	fs_batch_output_init(&verify->output, verify->batch);
	fs_compare_init(&verify->compare, verify->batch);
	verify->row_context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream row",
												ALLOCSET_SMALL_SIZES);
	verify_all(fcinfo, verify);
	SPI_finish();
	return (Datum) 0;
}
