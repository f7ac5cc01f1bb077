/*
 * correction_rows.c
 *		History rows that are corrected, step by step; see correction_rows.h.
 *
 * A step does all that is pending of each of its entities, so that no two
 * transactions write rows of one time (history_writer.h).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "catalog/extension.h"
#include "catalog/run_as.h"
#include "core/slice.h"
#include "ground/fault.h"
#include "ground/transaction.h"
#include "offline/partition.h"
#include "pipeline/batch.h"
#include "pipeline/correction_rows.h"
#include "pipeline/dead_letter_replay.h"
#include "pipeline/history_writer.h"
#include "pipeline/row.h"
#include "state/query.h"

#define MAX_ENTITIES "1000"		/* of a step */
#define MAX_ROWS 50000			/* of a step, unless one entity alone has more */
#define HOLD (7 * FS_USEC_PER_DAY)	/* how long upkeep keeps the log for corrections: see hold_log() there */

/* One correction of the step. */
typedef struct Letter
{
	/* Info */
	FsBatchKey	entity;
	int32		partition;
	int64		offset;
	FsTime		recorded_at;
	FsTime		event_time;
	FsTime		known_at;
	FsTime		complete_from;	/* FS_TIME_MIN: all rows are complete */

	/* Window ends that count the event, as far as they are to be written: first .. last */
	FsTime		first;
	FsTime		last;			/* fired without it */
	FsTime		leave;			/* the event is in no window any more */
	FsTime		lost_upto;		/* the log does not reach back to these; FS_TIME_MIN: it does */
	int64		nrows;			/* written */
} Letter;

/* One step at work; in its transaction's memory. */
typedef struct Step
{
	FsViewDef  *view;
	FsStreamDef *stream;
	Letter	   *letters;		/* entity by entity, each one's in the order of known_at */
	int			nletters;
	FsBatchKey *keys;			/* of the entities, sorted */
	int		   *first_letter;	/* of each of these */
	int			nkeys;
	FsTime		first;			/* window ends to be looked at; none when first > last */
	FsTime		last;
	AttrNumber *attnums;
	FsHistoryWriter *writer;
	char	   *lookup;			/* query: what the history has of (entity, window end) */
	Oid		   *lookup_types;
} Step;

/* The newest revision that the history has of a row. */
typedef struct Found
{
	bool		exists;
	int32		revision;
	bool		complete;
} Found;

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
read_letter(Letter *letter, uint64 row)
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
set_ends(const FsViewDef *view, Letter *letter)
{
	letter->first = fs_time_next(letter->event_time, view->slide);
	letter->leave = fs_time_next(letter->event_time + fs_view_max_window(view), view->slide);
	letter->last = Min(fs_time_floor(letter->last, view->slide), letter->leave);
	Assert(letter->first <= letter->last);
}

/* Reads what is pending of some entities, those that wait longest first. */
static void
read_letters(Step *step)
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
	step->letters = palloc0(sizeof(Letter) * Max(SPI_processed, 1));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Letter	   *letter = &step->letters[step->nletters];

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
set_keys(Step *step)
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
	step->keys = palloc(sizeof(FsBatchKey) * Max(step->nkeys, 1));
	step->first_letter = palloc(sizeof(int) * Max(step->nkeys, 1));
	for (int i = 0; i < step->nkeys; i++)
	{
		step->keys[i] = keyed[i].key;
		step->first_letter[i] = keyed[i].letter;
	}
}

/* The last window end of which the history never was to have rows: the view was made without backfill. */
static FsTime
read_declined(Oid view)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(view)};
	FsTime		declined;

	SPI_connect();
	fs_query_read("SELECT max(until) FROM feature_stream.backfill WHERE view = $1 AND state = 'declined'", 1, types, values);
	declined = fs_query_time(0, 1);
	SPI_finish();
	return declined;
}

/*
 * The first window end whose rows can be computed: upkeep, which keeps the log
 * for corrections, has given up what lies before.
 */
static FsTime
log_reach(const Step *step, FsTime frontier)
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
plan_step(Step *step)
{
	const FsViewDef *view = step->view;
	FsTime		declined = read_declined(view->relid);
	FsTime		reach;
	FsBatchCover cover;

	fs_batch_cover(step->stream->relid, view->relid, &cover);
	reach = log_reach(step, cover.frontier);
	step->first = FS_TIME_MAX;
	step->last = FS_TIME_MIN;
	for (int i = 0; i < step->nletters; i++)
	{
		Letter	   *letter = &step->letters[i];

		if (declined != FS_TIME_MIN)
			letter->first = Max(letter->first, fs_time_next(declined, view->slide));
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

/* The days that the letters' window ends are of; returns their number. */
static int
list_days(const Step *step, FsTime **days)
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
			const Letter *letter = &step->letters[i];

			if (letter->first > letter->last || letter->last < day || letter->first >= day + FS_HISTORY_PARTITION_SPAN)
				continue;
			(*days)[n++] = day;
			break;
		}
	return n;
}

/* SELECT revision, complete FROM history WHERE entity and window end ORDER BY revision DESC LIMIT 1 */
static void
make_lookup(Step *step, const FsBatch *batch)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT h.revision, h.complete FROM %s AS h WHERE", fs_relation_name(step->view->history));
	step->lookup_types = palloc(sizeof(Oid) * (batch->nentity + 1));
	for (int i = 0; i < batch->nentity; i++)
	{
		appendStringInfo(&sql, " h.%s OPERATOR(pg_catalog.=) $%d AND", quote_identifier(batch->columns[i].name), i + 1);
		step->lookup_types[i] = batch->columns[i].typid;
	}
	step->lookup_types[batch->nentity] = TIMESTAMPTZOID;
	appendStringInfo(&sql, " h.window_end OPERATOR(pg_catalog.=) $%d ORDER BY h.revision DESC LIMIT 1", batch->nentity + 1);
	step->lookup = sql.data;
}

/* What the history has of a row, read as the view's owner. */
static Found
look_up(const Step *step, const FsBatchRow *row)
{
	int			nentity = step->view->nentity;
	Datum	   *values = palloc(sizeof(Datum) * (nentity + 1));
	Found		found = {false};
	FsRunAs		scope;

	memcpy(values, row->entity, sizeof(Datum) * nentity);
	values[nentity] = TimestampTzGetDatum(row->window_end);
	fs_run_as_begin(&scope, step->view->owner, step->view->settings);
	SPI_connect();
	fs_query_read(step->lookup, nentity + 1, step->lookup_types, values);
	found.exists = SPI_processed > 0;
	if (found.exists)
	{
		found.revision = fs_query_int32(0, 1);
		found.complete = fs_query_bool(0, 2);
	}
	SPI_finish();
	fs_run_as_end(&scope);
	pfree(values);
	return found;
}

/*
 * When a row that the history has, or has not, became known: with the last event
 * that it counts, and where it is new with the first one that made it.
 * FS_TIME_MIN: it is not to be written.
 */
static FsTime
find_known_at(const Step *step, const Letter *letters, int n, FsTime window_end, bool exists)
{
	FsTime		counted = FS_TIME_MIN;
	FsTime		left = FS_TIME_MAX;

	for (int i = 0; i < n; i++)
	{
		const Letter *letter = &letters[i];

		if (window_end < letter->first || window_end > letter->last)
			continue;
		if (window_end < letter->leave)
			counted = Max(counted, letter->known_at);
		else
			left = Min(left, letter->known_at);
	}
	if (exists || left == FS_TIME_MAX)
		return counted;
	return Max(counted, left);
}

/* Counts a row that was written with the letters that it was written for. */
static void
count_row(Letter *letters, int n, FsTime window_end)
{
	for (int i = 0; i < n; i++)
		if (window_end >= letters[i].first && window_end <= letters[i].last)
			letters[i].nrows++;
}

/* Writes one row; the letters are its entity's. */
static void
write_row(Step *step, const FsBatchRow *row, Letter *letters, int n)
{
	Found		found = look_up(step, row);
	FsTime		known_at = find_known_at(step, letters, n, row->window_end, found.exists);
	FsHistoryRow out = {
		.entity = row->entity,
		.values = row->values,
		.nulls = row->nulls,
		.window_end = row->window_end,
		.computed_at = known_at,
		.available_at = known_at,
		.complete = found.exists ? found.complete : row->window_end >= letters[0].complete_from,
		.revision = found.revision + 1
	};

	if (known_at == FS_TIME_MIN)
		return;
	if (step->writer == NULL)
		step->writer = fs_history_writer_open(step->view, step->stream, step->attnums, FS_TIME_MIN);
	fs_history_writer_put(step->writer, &out);
	count_row(letters, n, row->window_end);
}

/* Looks at one computed row; the argument is the Step. */
static bool
receive_row(void *arg, const FsBatchRow *row)
{
	Step	   *step = arg;
	char		key[FS_ENTITY_MAX_KEY];
	int			len = fs_key_encode(step->view, row->entity, key);
	int			at = len < 0 ? -1 : fs_batch_key_find(step->keys, step->nkeys, key, len);
	int			first;
	int			n = 0;
	bool		is_meant = false;

	Assert(at >= 0);			/* others are not computed */
	first = step->first_letter[at];
	while (first + n < step->nletters &&
		   fs_batch_key_compare(&step->letters[first].entity, &step->letters[first + n].entity) == 0)
	{
		const Letter *letter = &step->letters[first + n++];

		is_meant |= row->window_end >= letter->first && row->window_end <= letter->last;
	}
	if (is_meant)
		write_row(step, row, &step->letters[first], n);
	return true;
}

/* Computes and writes the rows of the step. */
static void
write_rows(Step *step)
{
	const FsViewDef *view = step->view;
	FsBatchRange range = {.first = step->first, .last = step->last, .sample = 1, .choice = FS_BATCH_EMITTED,
	.keys = step->keys, .nkeys = step->nkeys};
	FsBatch    *batch = fs_batch_create(view, step->stream, fs_view_query(view->definition), view->owner);

	if (view->history_mode == FS_HISTORY_THINNED)
		range.grid = view->history_interval;
	step->attnums = fs_history_attnums(view, step->stream);
	make_lookup(step, batch);
	fs_batch_rows(batch, &range, receive_row, step);
	if (step->writer != NULL)
		fs_history_writer_close(step->writer);
}

/* Marks one letter, and says so in its outcome. */
static void
mark_letter(const Step *step, const Letter *letter)
{
	bool		is_lost = letter->lost_upto != FS_TIME_MIN;
	char	   *message = !is_lost ? NULL :
		psprintf("rows of feature view \"%s\" of window ends up to %s are not corrected: the event log does not reach back to them any more",
				 step->view->name, timestamptz_to_str(letter->lost_upto));
	Oid			types[7] = {OIDOID, INT4OID, INT8OID, TIMESTAMPTZOID, INT8OID, TEXTOID, BOOLOID};
	Datum		values[7] = {ObjectIdGetDatum(step->view->relid), Int32GetDatum(letter->partition),
		Int64GetDatum(letter->offset), TimestampTzGetDatum(letter->recorded_at), Int64GetDatum(letter->nrows),
		is_lost ? CStringGetTextDatum(message) : (Datum) 0, BoolGetDatum(is_lost)};
	char		nulls[7] = {' ', ' ', ' ', ' ', ' ', is_lost ? ' ' : 'n', ' '};

	fs_query_run("UPDATE feature_stream.correction SET state = CASE WHEN $7 THEN 'lost' ELSE 'done' END, row_count = $5,"
				 " error = $6, finished_at = pg_catalog.clock_timestamp()"
				 " WHERE view = $1 AND partition = $2 AND \"offset\" = $3 AND recorded_at = $4 AND state = 'pending'",
				 SPI_OK_UPDATE, 7, types, values, nulls);
	if (SPI_processed != 1)
		elog(ERROR, "could not write feature_stream.correction");
	fs_replay_corrected(step->stream->relid, letter->partition, letter->offset, letter->recorded_at,
						letter->nrows, message);
}

/* Marks the letters of the step. */
static void
mark_letters(const Step *step)
{
	SPI_connect();
	for (int i = 0; i < step->nletters; i++)
	{
		CHECK_FOR_INTERRUPTS();
		mark_letter(step, &step->letters[i]);
	}
	SPI_finish();
}

/* Reads and plans a step; NULL when there is nothing to do now.  In a transaction. */
static Step *
begin_step(const FsBackfill *backfill)
{
	Step	   *step = palloc0(sizeof(Step));

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

/* Makes the partitions that the next step needs; false when there is none. */
static bool
prepare_step(const FsBackfill *backfill)
{
	MemoryContext context = CurrentMemoryContext;
	Step	   *step;
	FsTime	   *days;
	int			n;

	fs_transaction_begin();
	step = begin_step(backfill);
	if (step != NULL)
	{
		n = list_days(step, &days);
		if (n > 0 && !fs_partition_exists_for(step->view->history, days, n))
			(void) fs_partition_ensure(step->view->history, FS_HISTORY_PARTITION_SPAN, days, n);
	}
	fs_transaction_end(context);
	return step != NULL;
}

/* See correction_rows.h. */
void
fs_correction_step(FsBackfill *backfill)
{
	MemoryContext context = CurrentMemoryContext;
	Step	   *step;
	FsTime	   *days;
	int			n;

	Assert(backfill->corrections);
	backfill->done = !prepare_step(backfill);
	if (backfill->done)
		return;
	fs_transaction_begin();
	step = begin_step(backfill);
	if (step != NULL)
	{
		n = list_days(step, &days);
		if (n == 0 || fs_partition_exists_for(step->view->history, days, n))	/* else others have come in: again */
		{
			if (n > 0)
				write_rows(step);
			mark_letters(step);
		}
		FS_FAULT("correction-before-commit");
	}
	fs_transaction_end(context);
	FS_FAULT("correction-after-commit");
}

/* See correction_rows.h. */
void
fs_correction_note_error(const FsBackfill *backfill, const char *message)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[2] = {OIDOID, TEXTOID};
	Datum		values[2] = {ObjectIdGetDatum(backfill->view), CStringGetTextDatum(message)};

	fs_transaction_begin();
	values[1] = CStringGetTextDatum(message);
	SPI_connect();
	fs_query_run("UPDATE feature_stream.correction SET error = $2 WHERE view = $1 AND state = 'pending'",
				 SPI_OK_UPDATE, 2, types, values, NULL);
	SPI_finish();
	fs_transaction_end(context);
}
