/*
 * correction_plan.c
 *		Which corrections a step does, and of which window ends; see correction_rows.h.
 *
 * A step does all that is pending of each of its entities, so that no two
 * transactions write rows of one time (history_writer.h).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "core/slice.h"
#include "offline/partition.h"
#include "pipeline/correction_state.h"
#include "state/query.h"

#define MAX_ENTITIES "1000"		/* of a step */
#define MAX_ROWS 50000			/* of a step, unless one entity alone has more */
#define HOLD (7 * FS_USEC_PER_DAY)	/* how long upkeep keeps the log for corrections: see hold_log() there */

/* Are other rows of the view's history still to be filled in?  They come first. */
static bool
has_gap(Oid view)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(view)};
	bool		found;

	SPI_connect();
	fs_query_read("SELECT FROM feature_stream.backfill WHERE view = $1 AND state = 'pending' UNION ALL"
				  " SELECT FROM feature_stream.view_alteration WHERE view = $1 AND state = 'pending'", 1, types, values);
	found = SPI_processed > 0;
	SPI_finish();
	return found;
}

/* Reads one letter, into the current memory context. */
static void
read_letter(FsCorrectionLetter *letter, uint64 row)
{
	bool		isnull;
	bytea	   *key = DatumGetByteaPCopy(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 1, &isnull));

	letter->entity.bytes = VARDATA(key);
	letter->entity.len = VARSIZE(key) - VARHDRSZ;
	letter->partition = fs_query_int32(row, 2);
	letter->offset = fs_query_int64(row, 3, 0);
	letter->recorded_at = fs_query_time(row, 4);
	letter->event_time = fs_query_time(row, 5);
	letter->last = fs_query_time(row, 6);
	letter->known_at = fs_query_time(row, 7);
	letter->complete_from = fs_query_time(row, 8);
	letter->lost_upto = FS_TIME_MIN;
}

/* Sets which window ends a letter's event counts in. */
static void
set_ends(const FsViewDef *view, FsCorrectionLetter *letter)
{
	letter->first = fs_time_next(letter->event_time, view->slide);
	letter->leave = fs_time_next(letter->event_time + fs_view_max_window(view), view->slide);
	letter->last = Min(fs_time_floor(letter->last, view->slide), letter->leave);
	Assert(letter->first <= letter->last);
}

/* Reads what is pending of some entities, those that wait longest first. */
static void
read_letters(FsCorrectionStep *step)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext old;
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(step->view->relid)};
	int64		nrows = 0;

	SPI_connect();
	fs_query_read("SELECT c.entity, c.partition, c.\"offset\", c.recorded_at, c.event_time, c.upto, c.known_at, c.complete_from"
				  " FROM feature_stream.correction c JOIN (SELECT entity, min(known_at) AS since"
				  " FROM feature_stream.correction WHERE view = $1 AND state = 'pending'"
				  " GROUP BY entity ORDER BY 2 LIMIT " MAX_ENTITIES ") e ON e.entity = c.entity"
				  " WHERE c.view = $1 AND c.state = 'pending' ORDER BY e.since, c.entity, c.known_at",
				  1, types, values);
	old = MemoryContextSwitchTo(context);
	step->letters = palloc0(sizeof(FsCorrectionLetter) * Max(SPI_processed, 1));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		FsCorrectionLetter *letter = &step->letters[step->nletters];

		read_letter(letter, i);
		set_ends(step->view, letter);
		if (nrows > MAX_ROWS && fs_batch_key_compare(&letter[-1].entity, &letter->entity) != 0)
			break;
		nrows += (letter->last - letter->first) / step->view->slide + 1;
		step->nletters++;
	}
	MemoryContextSwitchTo(old);
	SPI_finish();
}

/* For set_keys(): an entity and its first letter. */
typedef struct KeyedLetter
{
	FsBatchKey	key;			/* first: compared as one */
	int			letter;
} KeyedLetter;

/* Sets the entities of the step. */
static void
set_keys(FsCorrectionStep *step)
{
	KeyedLetter *keyed = palloc(sizeof(KeyedLetter) * Max(step->nletters, 1));

	for (int i = 0; i < step->nletters; i++)
	{
		if (i > 0 && fs_batch_key_compare(&step->letters[i - 1].entity, &step->letters[i].entity) == 0)
			continue;
		keyed[step->nkeys].key = step->letters[i].entity;
		keyed[step->nkeys++].letter = i;
	}
	qsort(keyed, step->nkeys, sizeof(KeyedLetter), fs_batch_key_compare);
	Assert(step->nkeys <= step->nletters);
	step->keys = palloc(sizeof(FsBatchKey) * Max(step->nkeys, 1));
	step->first_letter = palloc(sizeof(int) * Max(step->nkeys, 1));
	for (int i = 0; i < step->nkeys; i++)
	{
		step->keys[i] = keyed[i].key;
		step->first_letter[i] = keyed[i].letter;
	}
}

/*
 * The last window end whose rows are not this view's: it was made without
 * backfill, or its history was there before it (history_writer.h).
 */
static FsTime
read_foreign(Oid view)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(view)};
	FsTime		foreign;

	SPI_connect();
	fs_query_read("SELECT GREATEST((SELECT max(until) FROM feature_stream.backfill WHERE view = $1 AND state = 'declined'),"
				  " (SELECT history_until FROM feature_stream.view_state WHERE view = $1))", 1, types, values);
	foreign = fs_query_time(0, 1);
	SPI_finish();
	return foreign;
}

/*
 * The first window end whose rows can be computed: upkeep, which keeps the log
 * for corrections, has given up what lies before.
 */
static FsTime
log_reach(const FsCorrectionStep *step, FsTime frontier)
{
	const FsViewDef *view = step->view;
	int64		needed = 0;
	ListCell   *cell;

	foreach(cell, fs_view_list(step->stream->relid))
	{
		const FsViewDef *other = lfirst(cell);

		needed = Max(needed, 2 * fs_view_max_window(other) + other->slide);
	}
	return fs_time_ceil(frontier - needed - step->stream->log_retention - HOLD + fs_view_max_window(view) + view->slide,
						view->slide);
}

/* Decides which window ends of each letter are to be written, and which of all are to be looked at. */
static void
plan_step(FsCorrectionStep *step)
{
	const FsViewDef *view = step->view;
	FsTime		foreign = read_foreign(view->relid);
	FsTime		reach;
	FsBatchCover cover;

	Assert(step->nletters > 0);
	fs_batch_cover(step->stream->relid, view->relid, &cover);
	reach = log_reach(step, cover.frontier);
	step->first = FS_TIME_MAX;
	step->last = FS_TIME_MIN;
	if (!OidIsValid(view->history) || view->history_mode == FS_HISTORY_NONE)
		return;					/* not any more */
	for (int i = 0; i < step->nletters; i++)
	{
		FsCorrectionLetter *letter = &step->letters[i];

		if (foreign != FS_TIME_MIN)
			letter->first = Max(letter->first, fs_time_next(foreign, view->slide));
		if (view->history_retention > 0)
			letter->first = Max(letter->first, fs_time_ceil(cover.frontier - view->history_retention, view->slide));
		if (letter->first < reach && letter->first <= letter->last)
		{
			letter->lost_upto = Min(reach - view->slide, letter->last);
			letter->first = reach;
		}
		if (letter->first > letter->last)
			continue;
		step->first = Min(step->first, letter->first);
		step->last = Max(step->last, letter->last);
	}
}

/* See correction_state.h. */
int
fs_correction_days(const FsCorrectionStep *step, FsTime **days)
{
	int			n = 0;

	*days = palloc(sizeof(FsTime) * (step->first > step->last ? 1 :
									 (step->last - step->first) / FS_HISTORY_PARTITION_SPAN + 2));
	if (step->first > step->last)
		return 0;
	for (FsTime day = fs_time_floor(step->first, FS_HISTORY_PARTITION_SPAN); day <= step->last;
		 day += FS_HISTORY_PARTITION_SPAN)
		for (int i = 0; i < step->nletters; i++)
		{
			const FsCorrectionLetter *letter = &step->letters[i];

			if (letter->first > letter->last || letter->last < day || letter->first >= day + FS_HISTORY_PARTITION_SPAN)
				continue;
			(*days)[n++] = day;
			break;
		}
	return n;
}

/* See correction_state.h. */
FsCorrectionStep *
fs_correction_begin(const FsBackfill *backfill)
{
	FsCorrectionStep *step = palloc0(sizeof(FsCorrectionStep));

	step->view = fs_view_load(backfill->view);	/* locks it before its rows, as a command would */
	step->stream = fs_stream_load(step->view->stream);
	if (has_gap(backfill->view))
		return NULL;
	read_letters(step);
	if (step->nletters == 0)
		return NULL;
	set_keys(step);
	plan_step(step);
	return step;
}
