/*
 * lake_read.c
 *		Chooses chunks of a history and makes files of their rows; see lake_state.h.
 *
 * What is chosen, and what the rows are told from, is read as the worker; the
 * history itself is its owner's, and is read as that.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "catalog/extension.h"
#include "catalog/lake.h"
#include "catalog/run_as.h"
#include "ground/transaction.h"
#include "pipeline/lake_state.h"
#include "state/query.h"

#define EXPORT_ROWS		1000000	/* in one commit, about */
#define MAX_CHUNKS		10000	/* likewise */
#define FETCH_ROWS		1000

/* Remembers a chunk, in the export's context. */
static FsLakeChunk *
add_chunk(FsLakeExport *export, uint64 row)
{
	MemoryContext old = MemoryContextSwitchTo(export->context);
	FsLakeChunk *chunk = palloc0(sizeof(FsLakeChunk));

	chunk->id = fs_query_int64(row, 1, 0);
	chunk->computed_at = fs_query_time(row, 2);
	chunk->is_existing = fs_query_is_null(row, 2);
	chunk->first = fs_query_time(row, 3);
	chunk->last = fs_query_time(row, 4);
	chunk->is_whole = true;
	export->chunks = lappend(export->chunks, chunk);
	MemoryContextSwitchTo(old);
	return chunk;
}

/*
 * Rows that were there when the export began come first: those that came since
 * are told from them by their chunks, which must be there as long.  One chunk
 * at a time, or a part that has about as many rows as a commit is to have.
 */
static bool
choose_existing(FsLakeExport *export)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(export->view)};
	FsLakeChunk *chunk;
	double		share;

	fs_query_read("SELECT id, NULL::timestamptz, first_window_end, last_window_end, row_count"
				  " FROM feature_stream.lake_chunk WHERE view = $1 AND computed_at IS NULL ORDER BY id LIMIT 2",
				  1, types, values);
	if (SPI_processed == 0)
		return false;
	export->has_more = true;
	chunk = add_chunk(export, 0);
	share = (double) EXPORT_ROWS / Max(fs_query_int64(0, 5, 0), 1);
	if (share < 1)
	{
		int64		span = Max((int64) ((chunk->last - chunk->first) * share), USECS_PER_MINUTE);

		chunk->is_whole = chunk->last - chunk->first <= span;
		chunk->last = Min(chunk->last, chunk->first + span);
	}
	return true;
}

/* Do rows lack columns that alter_feature_view() added?  Exported without them, they would stay so. */
static bool
is_being_filled(const FsLakeExport *export)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(export->view)};

	fs_query_read("SELECT FROM feature_stream.view_alteration WHERE view = $1 AND state = 'pending'", 1, types, values);
	return SPI_processed > 0;
}

/* Chooses what is exported now: the oldest, up to a number of rows. */
static void
choose_chunks(FsLakeExport *export)
{
	Oid			types[2] = {OIDOID, INT8OID};
	Datum		values[2] = {ObjectIdGetDatum(export->view), Int64GetDatum(MAX_CHUNKS + 1)};
	int64		nrows = 0;

	if (is_being_filled(export) || choose_existing(export))
		return;
	fs_query_read("SELECT id, computed_at, first_window_end, last_window_end, row_count"
				  " FROM feature_stream.lake_chunk WHERE view = $1 ORDER BY id LIMIT $2", 2, types, values);
	for (uint64 i = 0; i < SPI_processed && !export->has_more; i++)
	{
		export->has_more = i == MAX_CHUNKS || (i > 0 && nrows + fs_query_int64(i, 5, 0) > EXPORT_ROWS);
		nrows += fs_query_int64(i, 5, 0);
		if (!export->has_more)
			(void) add_chunk(export, i);
	}
}

/*
 * The query for the rows of a chunk, as the view's owner runs it.  Rows that came
 * since the export began are told from those before by the arrays $4 to $6.
 */
static char *
chunk_query(const FsLakeExport *export, const FsLakeChunk *chunk)
{
	StringInfoData sql;

	initStringInfo(&sql);
	for (int i = 0; i < export->ncolumns; i++)
		appendStringInfo(&sql, "%s h.%s", i == 0 ? "SELECT" : ",", quote_identifier(export->columns[i].column.name));
	appendStringInfo(&sql, " FROM %s h WHERE h.window_end OPERATOR(pg_catalog.>=) $1"
					 " AND h.window_end OPERATOR(pg_catalog.<=) $2", fs_relation_name(export->history));
	if (chunk->is_existing)
		appendStringInfoString(&sql, " AND NOT EXISTS (SELECT FROM ROWS FROM (pg_catalog.unnest($4), pg_catalog.unnest($5),"
							   " pg_catalog.unnest($6)) AS c (computed_at, first, last)"
							   " WHERE c.computed_at OPERATOR(pg_catalog.=) h.computed_at"
							   " AND h.window_end OPERATOR(pg_catalog.>=) c.first"
							   " AND h.window_end OPERATOR(pg_catalog.<=) c.last)");
	else
		appendStringInfoString(&sql, " AND h.computed_at OPERATOR(pg_catalog.=) $3");
	return sql.data;
}

/* Puts the rows of the last fetch. */
static void
put_rows(FsLakeExport *export, FsLakeRows *rows, Datum *values, bool *nulls)
{
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		CHECK_FOR_INTERRUPTS();
		heap_deform_tuple(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, values, nulls);
		fs_lake_rows_put(rows, values, nulls);
		export->newest = Max(export->newest, DatumGetTimestampTz(values[export->window_end]));
	}
}

/* Sets the arrays of chunk_query, of what came since the export began; SPI's until it is finished. */
static void
set_newer(const FsLakeExport *export, const FsLakeChunk *chunk, Datum *values, char *nulls)
{
	Oid			types[3] = {OIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		parameters[3] = {ObjectIdGetDatum(export->view), TimestampTzGetDatum(chunk->first),
	TimestampTzGetDatum(chunk->last)};

	fs_query_read("SELECT pg_catalog.array_agg(computed_at), pg_catalog.array_agg(first_window_end),"
				  " pg_catalog.array_agg(last_window_end) FROM feature_stream.lake_chunk WHERE view = $1"
				  " AND computed_at IS NOT NULL AND first_window_end <= $3 AND last_window_end >= $2",
				  3, types, parameters);
	for (int i = 0; i < 3; i++)
	{
		bool		isnull;

		values[i] = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &isnull);
		nulls[i] = isnull ? 'n' : ' ';
	}
}

/*
 * Puts the rows of a chunk.  They are read as the view's owner, whose the history
 * is: planning alone runs functions of its indexes.  Policies would hide rows:
 * that is an error.
 */
static void
read_chunk(FsLakeExport *export, const FsLakeChunk *chunk, FsLakeRows *rows)
{
	Oid			types[6] = {TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZARRAYOID, TIMESTAMPTZARRAYOID,
	TIMESTAMPTZARRAYOID};
	Datum		parameters[6] = {TimestampTzGetDatum(chunk->first), TimestampTzGetDatum(chunk->last),
	TimestampTzGetDatum(chunk->computed_at)};
	char		parameter_nulls[6] = {' ', ' ', chunk->is_existing ? 'n' : ' ', 'n', 'n', 'n'};
	Datum	   *values = palloc(sizeof(Datum) * export->ncolumns);
	bool	   *nulls = palloc(sizeof(bool) * export->ncolumns);
	Portal		portal;
	FsRunAs		scope;

	if (chunk->is_existing)
		set_newer(export, chunk, &parameters[3], &parameter_nulls[3]);
	fs_run_as_begin(&scope, export->owner, list_make2("row_security", "off"));
	portal = SPI_cursor_open_with_args(NULL, chunk_query(export, chunk), 6, types, parameters, parameter_nulls,
									   true, 0);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		put_rows(export, rows, values, nulls);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_freetuptable(SPI_tuptable);
	SPI_cursor_close(portal);
	fs_run_as_end(&scope);
	pfree(values);
	pfree(nulls);
}

/*
 * Throws when the history's columns are no longer those that were loaded: then
 * the table in the lake is to follow first.  They stay until the transaction ends.
 */
static void
check_columns(const FsLakeExport *export)
{
	int			n;
	const FsLakeColumn *columns = fs_lake_columns(export->history, &n);
	bool		same = n == export->ncolumns;

	for (int i = 0; i < n && same; i++)
		same = columns[i].number == export->columns[i].number &&
			columns[i].column.required == export->columns[i].column.required &&
			columns[i].column.type == export->columns[i].column.type &&
			columns[i].column.precision == export->columns[i].column.precision &&
			columns[i].column.scale == export->columns[i].column.scale;
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("columns of the history of feature view %s have changed meanwhile", export->view_name)));
}

/* See lake_state.h. */
List *
fs_lake_state_read(FsLakeExport *export, FsIcebergMetadata *metadata)
{
	FsLakeRows *rows;
	List	   *files;
	ListCell   *lc;

	fs_transaction_begin();
	MemoryContextSwitchTo(export->context);
	check_columns(export);
	fs_lake_check_history(export->history);
	rows = fs_lake_rows_open(metadata, export->columns, export->ncolumns);
	SPI_connect();
	choose_chunks(export);
	foreach(lc, export->chunks)
		read_chunk(export, lfirst(lc), rows);
	SPI_finish();
	files = fs_lake_rows_finish(rows);
	fs_transaction_end(export->context);
	export->nans = fs_lake_rows_nans(rows);
	return files;
}
