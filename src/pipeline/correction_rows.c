/*
 * correction_rows.c
 *		History rows that are corrected, step by step; see correction_rows.h.
 *
 * What a step does was planned by correction_plan.c.
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
#include "ground/fault.h"
#include "ground/transaction.h"
#include "offline/partition.h"
#include "pipeline/correction_rows.h"
#include "pipeline/correction_state.h"
#include "pipeline/dead_letter_replay.h"
#include "pipeline/row.h"
#include "state/query.h"

/* The newest revision that the history has of a row. */
typedef struct Found
{
	bool		exists;
	int32		revision;
	bool		complete;
} Found;

/* SELECT revision, complete FROM history WHERE entity and window end ORDER BY revision DESC LIMIT 1 */
static void
make_lookup(FsCorrectionStep *step, const FsBatch *batch)
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
	step->lookup_settings = list_make2("row_security", "off");
}

/* What the history has of a row, read as the view's owner.  Policies would hide rows: that is an error. */
static Found
look_up(const FsCorrectionStep *step, const FsBatchRow *row)
{
	int			nentity = step->view->nentity;
	Datum	   *values = palloc(sizeof(Datum) * (nentity + 1));
	Found		found = {false};
	FsRunAs		scope;

	memcpy(values, row->entity, sizeof(Datum) * nentity);
	values[nentity] = TimestampTzGetDatum(row->window_end);
	fs_run_as_begin(&scope, step->view->owner, step->lookup_settings);
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
find_known_at(const FsCorrectionStep *step, const FsCorrectionLetter *letters, int n, FsTime window_end, bool exists)
{
	FsTime		counted = FS_TIME_MIN;
	FsTime		left = FS_TIME_MAX;

	for (int i = 0; i < n; i++)
	{
		const FsCorrectionLetter *letter = &letters[i];

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
count_row(FsCorrectionLetter *letters, int n, FsTime window_end)
{
	for (int i = 0; i < n; i++)
		if (window_end >= letters[i].first && window_end <= letters[i].last)
			letters[i].nrows++;
}

/* Writes one row; the letters are its entity's. */
static void
write_row(FsCorrectionStep *step, const FsBatchRow *row, FsCorrectionLetter *letters, int n)
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

	Assert(n > 0 && found.revision >= 0);
	if (known_at == FS_TIME_MIN)
		return;
	if (step->writer == NULL)
		step->writer = fs_history_writer_open(step->view, step->stream, step->attnums, FS_TIME_MIN);
	fs_history_writer_put(step->writer, &out);
	count_row(letters, n, row->window_end);
}

/* Looks at one computed row; the argument is the FsCorrectionStep. */
static bool
receive_row(void *arg, const FsBatchRow *row)
{
	FsCorrectionStep *step = arg;
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
		const FsCorrectionLetter *letter = &step->letters[first + n++];

		is_meant |= row->window_end >= letter->first && row->window_end <= letter->last;
	}
	if (is_meant)
		write_row(step, row, &step->letters[first], n);
	return true;
}

/* Computes and writes the rows of the step. */
static void
write_rows(FsCorrectionStep *step)
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
mark_letter(const FsCorrectionStep *step, const FsCorrectionLetter *letter)
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
mark_letters(const FsCorrectionStep *step)
{
	SPI_connect();
	for (int i = 0; i < step->nletters; i++)
	{
		CHECK_FOR_INTERRUPTS();
		mark_letter(step, &step->letters[i]);
	}
	SPI_finish();
}

/* Makes the partitions that the next step needs; false when there is none. */
static bool
prepare_step(const FsBackfill *backfill)
{
	MemoryContext context = CurrentMemoryContext;
	FsCorrectionStep *step;
	FsTime	   *days;
	int			n;

	fs_transaction_begin();
	step = fs_correction_begin(backfill);
	if (step != NULL)
	{
		n = fs_correction_days(step, &days);
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
	FsCorrectionStep *step;
	FsTime	   *days;
	int			n;

	Assert(backfill->corrections);
	backfill->done = !prepare_step(backfill);
	if (backfill->done)
		return;
	fs_transaction_begin();
	step = fs_correction_begin(backfill);
	if (step != NULL)
	{
		n = fs_correction_days(step, &days);
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
	Datum		values[2] = {ObjectIdGetDatum(backfill->view)};

	Assert(backfill->corrections);
	fs_transaction_begin();
	values[1] = CStringGetTextDatum(message);
	SPI_connect();
	fs_query_run("UPDATE feature_stream.correction SET error = $2 WHERE view = $1 AND state = 'pending'",
				 SPI_OK_UPDATE, 2, types, values, NULL);
	SPI_finish();
	fs_transaction_end(context);
}
