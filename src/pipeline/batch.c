/*
 * batch.c
 *		From the log's events to the rows of a feature view.
 *
 * Entity by entity: its events in order, the window ends at which one of them
 * entered or left a window, and for each of those and each window a group of
 * events.  Groups of many rows are computed at one go.
 *
 * An event at t counts in the windows of size S that end at W with
 * t < W <= t + S and, when its late bound is b, b < W.  W is a multiple of the
 * slide.
 */
#include "postgres.h"

#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "catalog/stand_in.h"
#include "core/hash.h"
#include "core/slice.h"
#include "pipeline/batch.h"
#include "pipeline/row.h"

/* Groups are computed when they hold so many events, or rows. */
#define FLUSH_EVENTS 50000
#define FLUSH_ROWS 1000

/* A range is done in parts of twice the longest window, but of so many slides at least. */
#define PART_SLIDES 100

/* A row whose groups are in the tuplestore. */
typedef struct PendingRow
{
	Datum	   *entity;
	FsTime		window_end;
	bool		is_empty;
	FsTime		empties_at;
} PendingRow;

typedef struct BatchRun
{
	FsBatch    *batch;
	const FsBatchRange *range;
	FsBatchVisitor visit;
	void	   *arg;
	bool		done;			/* the visitor has had enough */

	/* The entity at hand; all in entity_context */
	MemoryContext entity_context;
	const Datum *entity;		/* the log's */
	FsBatchEvent *events;		/* those that count */
	int			nevents;
	int			maxevents;
	FsTime	   *ends;			/* window ends that want a row, ascending */
	int			nends;
	int			maxends;

	/* What is to be computed; all in flush_context */
	MemoryContext flush_context;
	TupleDesc	desc;
	Tuplestorestate *groups;
	int64		ntuples;
	PendingRow	rows[FLUSH_ROWS];
	int			nrows;
} BatchRun;

/* Throws unless the view's feature columns are the query's targets, window by window. */
static void
check_features(const FsBatch *batch)
{
	int			n = fs_batch_features_count(batch->features);

	if (batch->nfeatures != n * batch->view->nwindows)
		elog(ERROR, "feature view has %d features, its query %d", batch->nfeatures, n);
	for (int i = 0; i < batch->nfeatures; i++)
	{
		const FsViewColumn *column = &batch->columns[batch->nentity + i];
		TargetEntry *target = fs_batch_features_target(batch->features, i % n);

		if (column->window != i / n ||
			strncmp(column->name, target->resname, strlen(target->resname)) != 0)
			elog(ERROR, "column \"%s\" is not feature \"%s\" of window %d", column->name,
				 target->resname, i / n);
	}
}

/* See batch.h. */
FsBatch *
fs_batch_create(const FsViewDef *view, const FsStreamDef *stream, Query *query, Oid run_as)
{
	FsBatch    *batch = palloc0(sizeof(FsBatch));

	batch->view = view;
	batch->stream = stream;
	batch->run_as = run_as;
	batch->context = CurrentMemoryContext;
	batch->columns = fs_view_columns(view, stream, &batch->ncolumns);
	for (int i = 0; i < batch->ncolumns; i++)
	{
		if (batch->columns[i].entity >= 0)
			batch->nentity++;
		else if (batch->columns[i].window >= 0)
			batch->nfeatures++;
	}
	Assert(batch->nentity == view->nentity);
	batch->features = fs_batch_features_create(batch, query);
	batch->judge = fs_batch_judge_create(batch, query->jointree->quals, true);
	check_features(batch);
	return batch;
}

/* See batch.h. */
bool
fs_batch_in_sample(const FsBatch *batch, double sample, const Datum *entity)
{
	char		key[FS_ENTITY_MAX_KEY];
	int			len;

	if (sample >= 1)
		return true;
	len = fs_key_encode(batch->view, entity, key);
	return len >= 0 &&
		(double) fs_hash_bytes(key, len) < sample * ((double) PG_UINT32_MAX + 1);
}

/* See batch.h. */
FsTime
fs_batch_part(const FsBatch *batch, FsTime first, FsTime last)
{
	int64		span = Max(2 * fs_view_max_window(batch->view), PART_SLIDES * batch->view->slide);

	Assert(first <= last);
	return last - first > span ? first + span : last;
}

/* Adds a window end that wants a row, if it is one of the range. */
static void
add_end(BatchRun *run, FsTime end)
{
	const FsBatchRange *range = run->range;

	if (end < range->first || end > range->last ||
		(range->grid > 0 && fs_time_floor(end, range->grid) != end))
		return;
	if (run->nends == run->maxends)
	{
		run->maxends = Max(64, run->maxends * 2);
		run->ends = run->ends == NULL ?
			MemoryContextAllocHuge(run->entity_context, sizeof(FsTime) * run->maxends) :
			repalloc_huge(run->ends, sizeof(FsTime) * run->maxends);
	}
	run->ends[run->nends++] = end;
}

/* Window ends at which an event entered or left a window. */
static void
add_changes(BatchRun *run)
{
	const FsViewDef *view = run->batch->view;

	for (int i = 0; i < run->nevents; i++)
	{
		FsTime		enter = fs_batch_counts_from(&run->events[i], view->slide);

		for (int w = 0; w < view->nwindows; w++)
		{
			FsTime		leave = fs_batch_leaves_at(&run->events[i], view->windows[w], view->slide);

			if (enter >= leave)
				continue;
			add_end(run, enter);
			add_end(run, leave);
		}
	}
}

/* Window ends whose longest window has an event; 'next' lets each be added about once. */
static void
add_standing(BatchRun *run)
{
	const FsViewDef *view = run->batch->view;
	FsTime		next = run->range->first;

	for (int i = 0; i < run->nevents; i++)
	{
		FsTime		enter = fs_batch_counts_from(&run->events[i], view->slide);
		FsTime		leave = fs_batch_leaves_at(&run->events[i], fs_view_max_window(view), view->slide);

		/* A late event may begin before what was added, and an earlier one after: add all of it. */
		if (run->events[i].late_bound == FS_TIME_MIN)
			enter = Max(enter, next);
		enter = Max(enter, run->range->first);
		for (FsTime end = enter; end < leave && end <= run->range->last; end += view->slide)
			add_end(run, end);
		if (run->events[i].late_bound == FS_TIME_MIN)
			next = Max(next, leave);
	}
}

static int
compare_ends(const void *a, const void *b)
{
	FsTime		x = *(const FsTime *) a;
	FsTime		y = *(const FsTime *) b;

	return (x > y) - (x < y);
}

/* Sets the window ends of the entity that want a row. */
static void
find_ends(BatchRun *run)
{
	int			n = 0;

	run->nends = 0;
	if (run->range->choice != FS_BATCH_STANDING)
		add_changes(run);
	if (run->range->choice == FS_BATCH_STANDING || run->batch->view->emit_every_slide)
		add_standing(run);
	if (run->nends == 0)
		return;
	qsort(run->ends, run->nends, sizeof(FsTime), compare_ends);
	for (int i = 0; i < run->nends; i++)
		if (i == 0 || run->ends[i] != run->ends[n - 1])
			run->ends[n++] = run->ends[i];
	if (run->range->choice == FS_BATCH_NEWEST)
	{
		run->ends[0] = run->ends[n - 1];
		n = 1;
	}
	run->nends = n;
}

/* Makes room for the next groups. */
static void
begin_groups(BatchRun *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->flush_context);

	run->groups = tuplestore_begin_heap(false, false, work_mem);
	run->ntuples = 0;
	run->nrows = 0;
	MemoryContextSwitchTo(old);
}

/* Computes the pending rows and hands them to the visitor. */
static void
flush(BatchRun *run)
{
	FsBatch    *batch = run->batch;
	MemoryContext old = MemoryContextSwitchTo(run->flush_context);
	int64		n = (int64) run->nrows * batch->nfeatures;
	Datum	   *values = MemoryContextAllocHuge(run->flush_context, sizeof(Datum) * Max(n, 1));
	bool	   *nulls = MemoryContextAllocHuge(run->flush_context, sizeof(bool) * Max(n, 1));
	const Datum **entities = palloc(sizeof(Datum *) * run->nrows * batch->view->nwindows);

	for (int i = 0; i < run->nrows * batch->view->nwindows; i++)
		entities[i] = run->rows[i / batch->view->nwindows].entity;
	fs_batch_features_run(batch->features, run->groups, run->nrows * batch->view->nwindows,
						  entities, values, nulls);
	tuplestore_end(run->groups);
	MemoryContextSwitchTo(old);
	for (int i = 0; i < run->nrows && !run->done; i++)
	{
		const PendingRow *pending = &run->rows[i];
		FsBatchRow	row = {
			pending->entity, pending->window_end, pending->is_empty, pending->empties_at,
			values + (int64) i * batch->nfeatures, nulls + (int64) i * batch->nfeatures
		};

		CHECK_FOR_INTERRUPTS();
		run->done = !run->visit(run->arg, &row);
	}
	MemoryContextReset(run->flush_context);
	begin_groups(run);
}

/* Puts an event into a group. */
static void
put_tuple(BatchRun *run, const FsBatchEvent *event, int64 group, int64 rank,
		  Datum *values, bool *nulls)
{
	int			natts = run->batch->stream->natts;

	memcpy(values, event->values, sizeof(Datum) * natts);
	memcpy(nulls, event->nulls, sizeof(bool) * natts);
	values[natts] = Int64GetDatum(group);
	values[natts + 1] = Int64GetDatum(rank);
	nulls[natts] = nulls[natts + 1] = false;
	tuplestore_putvalues(run->groups, run->desc, values, nulls);
	run->ntuples++;
}

/* Puts the events of one window into a group; returns their number. */
static int
put_group(BatchRun *run, FsTime end, int window, int *first)
{
	const FsViewDef *view = run->batch->view;
	int			natts = run->batch->stream->natts + FS_STAND_IN_EXTRA;
	Datum	   *values = palloc(sizeof(Datum) * natts);
	bool	   *nulls = palloc(sizeof(bool) * natts);
	int64		group = (int64) run->nrows * view->nwindows + window;
	int			n = 0;

	while (*first < run->nevents && run->events[*first].time < end - view->windows[window])
		++*first;
	for (int i = *first; i < run->nevents && run->events[i].time < end; i++)
	{
		if (fs_batch_counts_from(&run->events[i], view->slide) > end)
			continue;
		put_tuple(run, &run->events[i], group, n++, values, nulls);
	}
	pfree(values);
	pfree(nulls);
	return n;
}

/* The entity at hand, copied to where pending rows are. */
static Datum *
copy_entity(BatchRun *run)
{
	const FsBatch *batch = run->batch;
	MemoryContext old = MemoryContextSwitchTo(run->flush_context);
	Datum	   *entity = palloc(sizeof(Datum) * batch->nentity);

	for (int i = 0; i < batch->nentity; i++)
	{
		int16		typlen;
		bool		typbyval;

		get_typlenbyval(batch->columns[i].typid, &typlen, &typbyval);
		entity[i] = datumCopy(run->entity[i], typbyval, typlen);
	}
	MemoryContextSwitchTo(old);
	return entity;
}

/* Window end at which the last of the entity's events leaves the longest window. */
static FsTime
find_empties_at(const BatchRun *run)
{
	const FsViewDef *view = run->batch->view;
	FsTime		last = FS_TIME_MIN;

	for (int i = 0; i < run->nevents; i++)
	{
		FsTime		leave = fs_batch_leaves_at(&run->events[i], fs_view_max_window(view), view->slide);

		if (fs_batch_counts_from(&run->events[i], view->slide) < leave)
			last = Max(last, leave);
	}
	return last;
}

/* Adds the rows of the entity at hand. */
static void
add_rows(BatchRun *run)
{
	const FsViewDef *view = run->batch->view;
	int			first[FS_MAX_WINDOWS] = {0};
	FsTime		empties_at = find_empties_at(run);
	Datum	   *entity = NULL;

	for (int i = 0; i < run->nends && !run->done; i++)
	{
		PendingRow *row = &run->rows[run->nrows];

		if (entity == NULL)
			entity = copy_entity(run);
		row->entity = entity;
		row->window_end = run->ends[i];
		row->empties_at = empties_at;
		for (int w = 0; w < view->nwindows; w++)
			row->is_empty = put_group(run, run->ends[i], w, &first[w]) == 0;
		if (++run->nrows == FLUSH_ROWS || run->ntuples >= FLUSH_EVENTS)
		{
			flush(run);
			entity = NULL;
		}
	}
}

/* Reads the events of the log's entity that count. */
static void
read_events(BatchRun *run, FsBatchLog *log)
{
	bool		more;

	run->events = NULL;
	run->ends = NULL;
	run->nevents = run->maxevents = run->nends = run->maxends = 0;
	do
	{
		CHECK_FOR_INTERRUPTS();
		if (run->nevents == run->maxevents)
		{
			run->maxevents = Max(64, run->maxevents * 2);
			run->events = run->events == NULL ?
				MemoryContextAllocHuge(run->entity_context, sizeof(FsBatchEvent) * run->maxevents) :
				repalloc_huge(run->events, sizeof(FsBatchEvent) * run->maxevents);
		}
		more = fs_batch_log_next(log, &run->events[run->nevents]);
		if (more && run->events[run->nevents].verdict == FS_BATCH_COUNTS)
			run->nevents++;
	} while (more);
}

/* Goes through the log, entity by entity. */
static void
run_log(BatchRun *run, FsBatchLog *log)
{
	MemoryContext old = MemoryContextSwitchTo(run->entity_context);

	while (!run->done && (run->entity = fs_batch_log_next_entity(log)) != NULL)
	{
		read_events(run, log);
		find_ends(run);
		add_rows(run);
		MemoryContextReset(run->entity_context);
	}
	MemoryContextSwitchTo(old);
	if (!run->done && run->nrows > 0)
		flush(run);
}

/* See batch.h. */
void
fs_batch_rows(FsBatch *batch, const FsBatchRange *range, FsBatchVisitor visit, void *arg)
{
	BatchRun   *run = palloc0(sizeof(BatchRun));
	int64		reach = fs_view_max_window(batch->view) + batch->view->slide;
	FsBatchLog *log;

	Assert(range->first <= range->last);
	run->batch = batch;
	run->range = range;
	run->visit = visit;
	run->arg = arg;
	run->desc = fs_stand_in_desc(batch->stream);
	run->entity_context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream entity",
												ALLOCSET_DEFAULT_SIZES);
	run->flush_context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream rows",
											   ALLOCSET_DEFAULT_SIZES);
	begin_groups(run);
	log = fs_batch_log_read(batch, range->first - reach, range->last, range->sample, range->keys,
							range->nkeys);
	run_log(run, log);
	fs_batch_log_end(log);
	tuplestore_end(run->groups);
	MemoryContextDelete(run->entity_context);
	MemoryContextDelete(run->flush_context);
	pfree(run);
}
