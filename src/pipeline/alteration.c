/*
 * alteration.c
 *		Features that are added to a feature view: their columns of rows that the history has; see alteration.h.
 *
 * A step computes the rows of its window ends as backfill.c does, and one UPDATE
 * joins them to the history by key and window end.  Rows that the history has
 * not stay away: other gaps may be filled at the same time, and write whole rows.
 * Of a row that was corrected it is the newest revision that gets the columns.
 *
 * A definition that was loaded is known by its view's Oid.  One that is older
 * than an alteration says nothing about it: a worker that loaded its views just
 * before goes on without the new features, and leaves the row to the next one.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/queryenvironment.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "catalog/extension.h"
#include "catalog/run_as.h"
#include "core/slice.h"
#include "ground/clock.h"
#include "ground/fault.h"
#include "ground/transaction.h"
#include "pipeline/alteration.h"
#include "pipeline/batch.h"
#include "pipeline/shard.h"
#include "state/query.h"

/* Name of the relation of computed rows. */
#define ROWS "feature_stream_rows"

/* One step at work; in its transaction's memory. */
typedef struct Step
{
	/* The alteration */
	FsTime		until;
	FsTime		done_upto;
	List	   *features;		/* Strings */

	/* What is to be done: window ends first .. last; none when first > last */
	FsViewDef  *view;
	FsStreamDef *stream;
	FsTime		first;
	FsTime		last;
	FsTime		end;			/* the last one of the alteration */
	FsTime		lost_upto;		/* FS_TIME_MIN: nothing was lost */

	/* Computed rows: entity columns, window_end, the columns to be set */
	FsBatch    *batch;
	int			nset;
	int		   *set;			/* indexes into the batch's features */
	TupleDesc	desc;
	Tuplestorestate *rows;
	int64		nupdated;
} Step;

/* See alteration.h. */
void
fs_alterations_meet(const FsShard *shard, const FsView *view)
{
	Oid			types[3] = {OIDOID, OIDOID, TIMESTAMPTZOID};
	Datum		values[3] = {ObjectIdGetDatum(view->def->relid), ObjectIdGetDatum(view->def->definition)};
	char		nulls[3] = {' ', ' ', ' '};

	fs_query_set_time(values, nulls, 2, shard->closing);
	fs_query_run("UPDATE feature_stream.view_alteration a SET until = COALESCE($3, '-infinity'),"
				 " features = CASE WHEN $3 IS NULL THEN '{}' ELSE a.features END,"
				 " state = CASE WHEN a.features = '{}' OR $3 IS NULL THEN 'done'"
				 " WHEN v.backfill THEN 'pending' ELSE 'declined' END"
				 " FROM feature_stream.feature_view v WHERE v.view = $1 AND a.view = $1 AND a.until IS NULL"
				 " AND a.id <= (SELECT max(m.id) FROM feature_stream.view_alteration m"
				 " WHERE m.view = $1 AND m.definition = $2)",
				 SPI_OK_UPDATE, 3, types, values, nulls);
}

/* Reads the alteration with its cursor, and locks it; false when it is done with, or gone. */
static bool
read_alteration(const FsBackfill *backfill, Step *step)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(backfill->alteration)};
	MemoryContext old;
	bool		found;
	bool		isnull;

	SPI_connect();
	fs_query_run("SELECT until, done_upto, features FROM feature_stream.view_alteration"
				 " WHERE id = $1 AND state = 'pending' AND until IS NOT NULL FOR UPDATE",
				 SPI_OK_SELECT, 1, types, values, NULL);
	found = SPI_processed == 1;
	if (found)
	{
		step->until = fs_query_time(0, 1);
		step->done_upto = fs_query_time(0, 2);
		old = MemoryContextSwitchTo(context);
		step->features = fs_query_names(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return found;
}

/*
 * Chooses the columns to be set: those of the added features, as far as the view
 * still has them.
 */
static void
choose_columns(Step *step)
{
	const FsBatch *batch = step->batch;

	step->set = palloc(sizeof(int) * Max(batch->nfeatures, 1));
	for (int i = 0; i < batch->nfeatures; i++)
	{
		const FsViewColumn *column = &batch->columns[batch->nentity + i];

		if (list_member(step->features, makeString(step->view->features[column->feature].name)))
			step->set[step->nset++] = i;
	}
}

/* Decides which window ends the step does; its alteration has been read. */
static void
plan_step(FsBackfill *backfill, Step *step)
{
	FsBatchCover cover;
	int64		slide = step->view->slide;
	FsTime		reach;

	fs_batch_cover(step->stream->relid, step->view->relid, &cover);
	step->lost_upto = FS_TIME_MIN;
	step->end = fs_time_floor(step->until, slide);
	step->first = step->end + slide;
	step->last = step->end;
	if (step->nset == 0 || !OidIsValid(step->view->history) || cover.log_from == FS_TIME_MIN)
		return;
	reach = fs_batch_reach(step->view, &cover);
	step->first = step->done_upto == FS_TIME_MIN ? reach : Max(reach, step->done_upto + slide);
	if (!cover.log_complete && step->done_upto == FS_TIME_MIN)
		step->lost_upto = Min(reach - slide, step->end);
	if (step->view->history_retention > 0 && cover.frontier != FS_TIME_MIN)
		step->first = Max(step->first, fs_time_ceil(cover.frontier - step->view->history_retention, slide));
	step->last = fs_backfill_last(backfill, step->view, step->first, step->end);
}

/* Describes the relation of computed rows; its columns are e1 .., w, f1 ... */
static void
make_desc(Step *step)
{
	const FsBatch *batch = step->batch;
	int			n = batch->nentity + 1 + step->nset;
	int			attno = 0;

	step->desc = CreateTemplateTupleDesc(n);
	for (int i = 0; i < batch->nentity; i++)
	{
		TupleDescInitEntry(step->desc, ++attno, psprintf("e%d", i + 1), batch->columns[i].typid, -1, 0);
		TupleDescInitEntryCollation(step->desc, attno, batch->columns[i].collation);
	}
	TupleDescInitEntry(step->desc, ++attno, "w", TIMESTAMPTZOID, -1, 0);
	for (int i = 0; i < step->nset; i++)
	{
		const FsViewColumn *column = &batch->columns[batch->nentity + step->set[i]];

		TupleDescInitEntry(step->desc, ++attno, psprintf("f%d", i + 1), column->typid, -1, 0);
		TupleDescInitEntryCollation(step->desc, attno, column->collation);
	}
	Assert(attno == n);
}

/* Keeps one computed row; the argument is the Step. */
static bool
keep_row(void *arg, const FsBatchRow *row)
{
	Step	   *step = arg;
	int			n = step->batch->nentity;
	Datum	   *values = palloc(sizeof(Datum) * step->desc->natts);
	bool	   *nulls = palloc0(sizeof(bool) * step->desc->natts);

	memcpy(values, row->entity, sizeof(Datum) * n);
	values[n++] = TimestampTzGetDatum(row->window_end);
	for (int i = 0; i < step->nset; i++, n++)
	{
		values[n] = row->values[step->set[i]];
		nulls[n] = row->nulls[step->set[i]];
	}
	tuplestore_putvalues(step->rows, step->desc, values, nulls);
	pfree(values);
	pfree(nulls);
	return true;
}

/* UPDATE history SET new columns FROM the computed rows; $1 and $2 are the first and last window end. */
static char *
make_update(const Step *step)
{
	const FsBatch *batch = step->batch;
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "UPDATE %s AS h SET ", fs_relation_name(step->view->history));
	for (int i = 0; i < step->nset; i++)
		appendStringInfo(&sql, "%s%s = n.f%d", i > 0 ? ", " : "",
						 quote_identifier(batch->columns[batch->nentity + step->set[i]].name), i + 1);
	appendStringInfoString(&sql, " FROM " ROWS " AS n WHERE");
	for (int i = 0; i < batch->nentity; i++)
		appendStringInfo(&sql, " h.%s OPERATOR(pg_catalog.=) n.e%d AND",
						 quote_identifier(batch->columns[i].name), i + 1);
	appendStringInfo(&sql, " h.window_end OPERATOR(pg_catalog.=) n.w"
					 " AND h.window_end OPERATOR(pg_catalog.>=) $1 AND h.window_end OPERATOR(pg_catalog.<=) $2"
					 " AND NOT EXISTS (SELECT FROM %s AS r WHERE r.window_end OPERATOR(pg_catalog.=) h.window_end"
					 " AND r.revision OPERATOR(pg_catalog.>) h.revision", fs_relation_name(step->view->history));
	for (int i = 0; i < batch->nentity; i++)
		appendStringInfo(&sql, " AND r.%1$s OPERATOR(pg_catalog.=) h.%1$s",
						 quote_identifier(batch->columns[i].name));
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

/* Updates the history with the computed rows, as the view's owner.  Policies would hide rows: that is an error. */
static void
update_history(Step *step)
{
	EphemeralNamedRelation relation = palloc0(sizeof(EphemeralNamedRelationData));
	Oid			types[2] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[2] = {TimestampTzGetDatum(step->first), TimestampTzGetDatum(step->last)};
	FsRunAs		scope;

	relation->md.name = ROWS;
	relation->md.reliddesc = InvalidOid;
	relation->md.tupdesc = step->desc;
	relation->md.enrtype = ENR_NAMED_TUPLESTORE;
	relation->md.enrtuples = tuplestore_tuple_count(step->rows);
	relation->reldata = step->rows;
	fs_run_as_begin(&scope, step->view->owner,
					list_concat_copy(step->view->settings, list_make2("row_security", "off")));
	SPI_connect();
	if (SPI_register_relation(relation) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register " ROWS);
	fs_query_run(make_update(step), SPI_OK_UPDATE, 2, types, values, NULL);
	step->nupdated = SPI_processed;
	SPI_finish();
	fs_run_as_end(&scope);
}

/* Computes the rows of the step and sets their columns. */
static void
fill_columns(Step *step)
{
	FsBatchRange range = {.first = step->first, .last = step->last, .sample = 1, .choice = FS_BATCH_EMITTED};

	if (step->view->history_mode == FS_HISTORY_THINNED)
		range.grid = step->view->history_interval;
	make_desc(step);
	step->rows = tuplestore_begin_heap(false, false, work_mem);
	fs_batch_rows(step->batch, &range, keep_row, step);
	update_history(step);
	tuplestore_end(step->rows);
}

/* Moves the cursor behind the step. */
static void
move_cursor(FsBackfill *backfill, const Step *step)
{
	Oid			types[6] = {INT8OID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID};
	Datum		values[6] = {Int64GetDatum(backfill->alteration)};
	char		nulls[6] = {' ', ' ', ' ', ' ', ' ', ' '};

	backfill->done = step->last >= step->end;
	fs_query_set_time(values, nulls, 1, step->last);
	values[2] = Int64GetDatum(step->nupdated);
	fs_query_set_time(values, nulls, 3, step->first > step->last ? FS_TIME_MIN : step->first);
	fs_query_set_time(values, nulls, 4, step->lost_upto);
	values[5] = BoolGetDatum(backfill->done);
	SPI_connect();
	fs_query_run("UPDATE feature_stream.view_alteration SET done_upto = $2, row_count = row_count + $3,"
				 " first_window_end = COALESCE(first_window_end, $4), lost_upto = COALESCE(lost_upto, $5),"
				 " started_at = COALESCE(started_at, pg_catalog.now()), error = NULL,"
				 " state = CASE WHEN $6 THEN 'done' ELSE state END,"
				 " finished_at = CASE WHEN $6 THEN pg_catalog.clock_timestamp() END WHERE id = $1",
				 SPI_OK_UPDATE, 6, types, values, nulls);
	if (SPI_processed != 1)
		elog(ERROR, "could not write feature_stream.view_alteration");
	SPI_finish();
}

/* See alteration.h. */
void
fs_alteration_step(FsBackfill *backfill)
{
	MemoryContext context = CurrentMemoryContext;
	int64		begin = fs_clock_monotonic();
	Step	   *step;

	fs_transaction_begin();
	step = palloc0(sizeof(Step));
	step->view = fs_view_load(backfill->view);	/* locks it before its row, as a command would */
	backfill->done = !read_alteration(backfill, step);
	if (!backfill->done)
	{
		step->stream = fs_stream_load(step->view->stream);
		step->batch = fs_batch_create(step->view, step->stream, fs_view_query(step->view->definition),
									  step->view->owner);
		choose_columns(step);
		plan_step(backfill, step);
		if (step->first <= step->last)
			fill_columns(step);
		move_cursor(backfill, step);
		fs_backfill_adapt(backfill, step->view, fs_clock_monotonic() - begin);
		FS_FAULT("backfill-before-commit");
	}
	fs_transaction_end(context);
	FS_FAULT("backfill-after-commit");
}

/* See alteration.h. */
void
fs_alteration_note_error(const FsBackfill *backfill, const char *message)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[2] = {INT8OID, TEXTOID};
	Datum		values[2] = {Int64GetDatum(backfill->alteration)};

	fs_transaction_begin();
	values[1] = CStringGetTextDatum(message);
	SPI_connect();
	fs_query_run("UPDATE feature_stream.view_alteration SET error = $2 WHERE id = $1 AND state = 'pending'",
				 SPI_OK_UPDATE, 2, types, values, NULL);
	SPI_finish();
	fs_transaction_end(context);
}
