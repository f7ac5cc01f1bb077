/*
 * history_writer.c
 *		Rows into the history of a feature view; see history_writer.h.
 */
#include "postgres.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "catalog/view_columns.h"
#include "offline/table_writer.h"
#include "pipeline/history_writer.h"

struct FsHistoryWriter
{
	/* Info */
	const FsViewDef *view;
	const AttrNumber *attnums;	/* in the order of the definition */
	FsTableWriter *table;
	TupleDesc	desc;

	/* The row at hand, in the order of the table */
	Datum	   *values;
	bool	   *nulls;
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

/* See history_writer.h. */
FsHistoryWriter *
fs_history_writer_open(const FsViewDef *view, const AttrNumber *attnums)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	FsHistoryWriter *writer = palloc(sizeof(FsHistoryWriter));

	Assert(OidIsValid(view->history) && attnums != NULL);
	writer->view = view;
	writer->attnums = attnums;
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

/* See history_writer.h. */
void
fs_history_writer_put(FsHistoryWriter *writer, const FsHistoryRow *row)
{
	const FsViewDef *view = writer->view;
	const AttrNumber *attnum = writer->attnums;

	for (int i = 0; i < view->nentity; i++)
		set_column(writer, *attnum++, row->entity[i], false);
	for (int i = 0; i < view->nwindows * view->nfeatures; i++)
		set_column(writer, *attnum++, row->values[i], row->nulls[i]);
	set_column(writer, *attnum++, TimestampTzGetDatum(row->window_end), false);
	set_column(writer, *attnum++, TimestampTzGetDatum(row->computed_at), false);
	set_column(writer, *attnum++, TimestampTzGetDatum(row->available_at), false);
	set_column(writer, *attnum++, BoolGetDatum(row->complete), false);
	set_column(writer, *attnum++, BoolGetDatum(row->backfilled), false);
	Assert(attnum - writer->attnums == fs_view_natts(view) + 3);
	fs_table_writer_put(writer->table, writer->values, writer->nulls);
}

/* See history_writer.h. */
void
fs_history_writer_close(FsHistoryWriter *writer)
{
	fs_table_writer_close(writer->table);
	pfree(writer->values);
	pfree(writer->nulls);
	pfree(writer);
}
