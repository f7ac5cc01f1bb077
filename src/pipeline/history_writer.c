/*
 * history_writer.c
 *		Rows into the history of a feature view; see history_writer.h.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "catalog/run_as.h"
#include "catalog/view_columns.h"
#include "offline/table_writer.h"
#include "pipeline/history_writer.h"
#include "state/query.h"

/* Rows that were computed at the same time, as the lake is told of them. */
typedef struct Chunk
{
	FsTime		computed_at;
	FsTime		first;			/* window ends */
	FsTime		last;
	int64		rows;
} Chunk;

struct FsHistoryWriter
{
	/* Info */
	const FsViewDef *view;
	const AttrNumber *attnums;	/* in the order of the definition */
	const FsStreamDef *stream;
	FsTableWriter *table;
	TupleDesc	desc;
	FsTime		until;			/* rows to here were there before */
	SPIPlanPtr	probe;			/* for those at that window end; NULL: not needed so far */

	/* The row at hand, in the order of the table */
	Datum	   *values;
	bool	   *nulls;

	/* What was written */
	Chunk	   *chunks;
	int			nchunks;
	int			room;
	int64		nbare;			/* rows without their features */
};

/* See history_writer.h. */
AttrNumber *
fs_history_attnums(const FsViewDef *view, const FsStreamDef *stream)
{
	int			ncolumns;
	FsViewColumn *columns;
	AttrNumber *attnums;

	if (!OidIsValid(view->history))
		return NULL;
	columns = fs_view_columns(view, stream, &ncolumns);
	attnums = fs_view_attnums(columns, ncolumns, view->history);
	pfree(columns);
	return attnums;
}

/* Begins to read the view's history as its owner, whose it is.  Policies would hide rows: that is an error. */
static void
begin_reading(FsRunAs *scope, const FsViewDef *view)
{
	fs_run_as_begin(scope, view->owner, list_make2("row_security", "off"));
}

/* The history's name, qualified; the caller has it open. */
static char *
history_name(const FsViewDef *view)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(view->history)),
									  get_rel_name(view->history));
}

/* See history_writer.h. */
FsTime
fs_history_newest(const FsViewDef *view, const FsStreamDef *stream)
{
	Relation	history = OidIsValid(view->history) ? try_relation_open(view->history, AccessShareLock) : NULL;
	FsRunAs		scope;
	FsTime		newest;

	if (history == NULL)
		return FS_TIME_MIN;		/* it is dropped just now */
	begin_reading(&scope, view);
	fs_query_read(psprintf("SELECT pg_catalog.max(window_end) FROM %s", history_name(view)), 0, NULL, NULL);
	newest = fs_query_time(0, 1);
	fs_run_as_end(&scope);
	relation_close(history, NoLock);
	return newest;
}

/* The query for a row by its key: entity columns, and the window end behind them. */
static SPIPlanPtr
prepare_probe(const FsHistoryWriter *writer)
{
	const FsViewDef *view = writer->view;
	Oid		   *types = palloc(sizeof(Oid) * (view->nentity + 1));
	int			ncolumns;
	FsViewColumn *columns = fs_view_columns(view, writer->stream, &ncolumns);
	StringInfoData query;
	SPIPlanPtr	plan;

	initStringInfo(&query);
	appendStringInfo(&query, "SELECT FROM %s WHERE window_end OPERATOR(pg_catalog.=) $%d",
					 history_name(view), view->nentity + 1);
	for (int i = 0; i < view->nentity; i++)
	{
		appendStringInfo(&query, " AND %s OPERATOR(pg_catalog.=) $%d", quote_identifier(columns[i].name), i + 1);
		types[i] = columns[i].typid;
	}
	types[view->nentity] = TIMESTAMPTZOID;
	plan = SPI_prepare(query.data, view->nentity + 1, types);
	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare \"%s\"", query.data);
	return plan;
}

/* Is the row's key in the history? */
static bool
is_there(FsHistoryWriter *writer, const FsHistoryRow *row)
{
	int			n = writer->view->nentity;
	Datum	   *values = palloc(sizeof(Datum) * (n + 1));
	FsRunAs		scope;
	bool		found;

	memcpy(values, row->entity, sizeof(Datum) * n);
	values[n] = TimestampTzGetDatum(row->window_end);
	SPI_connect();
	begin_reading(&scope, writer->view);
	if (writer->probe == NULL)
		writer->probe = prepare_probe(writer);
	if (SPI_execute_plan(writer->probe, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for a row of the history");
	found = SPI_processed > 0;
	fs_run_as_end(&scope);
	SPI_finish();
	pfree(values);
	return found;
}

/* See history_writer.h. */
FsHistoryWriter *
fs_history_writer_open(const FsViewDef *view, const FsStreamDef *stream, const AttrNumber *attnums, FsTime until)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	FsHistoryWriter *writer = palloc0(sizeof(FsHistoryWriter));

	Assert(OidIsValid(view->history) && attnums != NULL);
	writer->view = view;
	writer->stream = stream;
	writer->attnums = attnums;
	writer->until = until;
	writer->table = fs_table_writer_open(view->history, view->owner);
	writer->desc = fs_table_writer_desc(writer->table);
	writer->values = palloc(sizeof(Datum) * writer->desc->natts);
	writer->nulls = palloc(sizeof(bool) * writer->desc->natts);
	memset(writer->nulls, true, sizeof(bool) * writer->desc->natts);
	MemoryContextSwitchTo(old);
	return writer;
}

/* Sets a column of the row at hand, unless the table has it no more. */
static inline void
set_column(FsHistoryWriter *writer, AttrNumber attnum, Datum value, bool isnull)
{
	Assert(attnum <= writer->desc->natts);
	if (attnum <= InvalidAttrNumber || TupleDescAttr(writer->desc, attnum - 1)->attisdropped)
		return;
	writer->values[attnum - 1] = value;
	writer->nulls[attnum - 1] = isnull;
}

/* Counts a row with those that were computed at its time; they come one after the other. */
static void
count_row(FsHistoryWriter *writer, const FsHistoryRow *row)
{
	Chunk	   *chunk = writer->nchunks > 0 ? &writer->chunks[writer->nchunks - 1] : NULL;

	if (chunk == NULL || chunk->computed_at != row->computed_at)
	{
		if (writer->nchunks == writer->room)
		{
			writer->room = Max(8, 2 * writer->room);
			writer->chunks = writer->chunks == NULL ?
				MemoryContextAlloc(TopTransactionContext, sizeof(Chunk) * writer->room) :
				repalloc(writer->chunks, sizeof(Chunk) * writer->room);
		}
		chunk = &writer->chunks[writer->nchunks++];
		chunk->computed_at = row->computed_at;
		chunk->first = chunk->last = row->window_end;
		chunk->rows = 0;
	}
	chunk->first = Min(chunk->first, row->window_end);
	chunk->last = Max(chunk->last, row->window_end);
	chunk->rows++;
}

/* Writes the row at hand without its features. */
static void
put_bare(FsHistoryWriter *writer)
{
	const FsViewDef *view = writer->view;

	for (int i = 0; i < view->nwindows * view->nfeatures; i++)
		set_column(writer, writer->attnums[view->nentity + i], (Datum) 0, true);
	fs_table_writer_put(writer->table, writer->values, writer->nulls);
	writer->nbare++;
}

/* See history_writer.h. */
bool
fs_history_writer_put(FsHistoryWriter *writer, const FsHistoryRow *row)
{
	const FsViewDef *view = writer->view;
	const AttrNumber *attnum = writer->attnums;
	bool		fits;

	if (row->window_end <= writer->until && (row->window_end < writer->until || is_there(writer, row)))
		return true;
	for (int i = 0; i < view->nentity; i++)
		set_column(writer, *attnum++, row->entity[i], false);
	for (int i = 0; i < view->nwindows * view->nfeatures; i++)
		set_column(writer, *attnum++, row->values[i], row->nulls[i]);
	set_column(writer, *attnum++, TimestampTzGetDatum(row->window_end), false);
	set_column(writer, *attnum++, TimestampTzGetDatum(row->computed_at), false);
	set_column(writer, *attnum++, TimestampTzGetDatum(row->available_at), false);
	set_column(writer, *attnum++, BoolGetDatum(row->complete), false);
	set_column(writer, *attnum++, BoolGetDatum(row->backfilled), false);
	set_column(writer, *attnum++, Int32GetDatum(row->revision), false);
	Assert(attnum - writer->attnums == fs_view_natts(view) + 4);
	fits = fs_table_writer_try(writer->table, writer->values, writer->nulls);
	if (!fits)
		put_bare(writer);
	count_row(writer, row);
	return fits;
}

/* Notes what was written for the lake, if the view is exported: the command sees that by a snapshot of its own. */
static void
note_chunks(FsHistoryWriter *writer)
{
	Oid			types[5] = {OIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID};

	SPI_connect();
	for (int i = 0; i < writer->nchunks; i++)
	{
		const Chunk *chunk = &writer->chunks[i];
		Datum		values[5] = {ObjectIdGetDatum(writer->view->relid), TimestampTzGetDatum(chunk->computed_at),
			TimestampTzGetDatum(chunk->first), TimestampTzGetDatum(chunk->last), Int64GetDatum(chunk->rows)};

		fs_query_run("INSERT INTO feature_stream.lake_chunk"
					 " (view, computed_at, first_window_end, last_window_end, row_count)"
					 " SELECT view, $2, $3, $4, $5 FROM feature_stream.lake_export"
					 " WHERE view OPERATOR(pg_catalog.=) $1",
					 SPI_OK_INSERT, 5, types, values, NULL);
		if (SPI_processed == 0)
			break;				/* it is not exported */
	}
	SPI_finish();
}

/* See history_writer.h. */
void
fs_history_writer_close(FsHistoryWriter *writer)
{
	fs_table_writer_close(writer->table);
	if (writer->nbare > 0)
		ereport(WARNING,
				(errmsg("features of %lld rows of feature view \"%s\" are null in its history",
						(long long) writer->nbare, writer->view->name),
				 errdetail("They are too much for a row of a table."),
				 errhint("Drop features, or distribute them over several feature views.")));
	if (writer->probe != NULL)
		SPI_freeplan(writer->probe);
	if (writer->nchunks > 0)
	{
		note_chunks(writer);
		pfree(writer->chunks);
	}
	pfree(writer->values);
	pfree(writer->nulls);
	pfree(writer);
}
