/*
 * found_rows.c
 *		Rows of a view's history or foreign table, in the order of a batch's.
 *
 * Of a row of the history that was corrected it is the newest revision.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "catalog/extension.h"
#include "sql/found_rows.h"

#define FETCH_ROWS 500

struct FsFoundRows
{
	const FsBatch *batch;
	Portal		portal;
	SPITupleTable *table;		/* of the last fetch; NULL: none */
	uint64		n;				/* its rows */
	uint64		next;
	FsFoundRow	row;
};

/* Appends the entity columns, each with a comma behind it. */
static void
append_entity(StringInfo sql, const FsBatch *batch)
{
	for (int i = 0; i < batch->nentity; i++)
		appendStringInfo(sql, "%s, ", quote_identifier(batch->columns[i].name));
}

/* SELECT entity, features, window_end ... ORDER BY entity, window_end; of the history the newest revisions. */
static char *
make_query(const FsBatch *batch, Oid relid)
{
	bool		is_history = relid == batch->view->history;
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	if (is_history)
	{
		appendStringInfoString(&sql, "DISTINCT ON (");
		append_entity(&sql, batch);
		appendStringInfoString(&sql, "window_end) ");
	}
	for (int i = 0; i < batch->nentity + batch->nfeatures; i++)
		appendStringInfo(&sql, "%s, ", quote_identifier(batch->columns[i].name));
	appendStringInfo(&sql, "window_end FROM %s WHERE window_end OPERATOR(pg_catalog.>=) $1"
					 " AND window_end OPERATOR(pg_catalog.<=) $2 ORDER BY ",
					 fs_relation_name(relid));
	append_entity(&sql, batch);
	appendStringInfoString(&sql, is_history ? "window_end, revision DESC" : "window_end");
	return sql.data;
}

/* See found_rows.h. */
FsFoundRows *
fs_found_open(const FsBatch *batch, Oid relid, FsTime first, FsTime last)
{
	FsFoundRows *found = palloc0(sizeof(FsFoundRows));
	Oid			types[2] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[2];

	values[0] = TimestampTzGetDatum(first == FS_TIME_MIN ? DT_NOBEGIN : first);
	values[1] = TimestampTzGetDatum(last == FS_TIME_MAX ? DT_NOEND : last);
	found->batch = batch;
	found->row.entity = palloc(sizeof(Datum) * batch->nentity);
	found->row.values = palloc(sizeof(Datum) * Max(batch->nfeatures, 1));
	found->row.nulls = palloc(sizeof(bool) * Max(batch->nfeatures, 1));
	found->portal = SPI_cursor_open_with_args(NULL, make_query(batch, relid), 2, types, values,
											  NULL, true, 0);
	return found;
}

/* Takes the next rows of the cursor; false when there are none. */
static bool
fetch(FsFoundRows *found)
{
	if (found->table != NULL)
		SPI_freetuptable(found->table);
	SPI_cursor_fetch(found->portal, true, FETCH_ROWS);
	found->table = SPI_tuptable;
	found->n = SPI_processed;
	found->next = 0;
	return found->n > 0;
}

/* See found_rows.h. */
const FsFoundRow *
fs_found_next(FsFoundRows *found)
{
	const FsBatch *batch = found->batch;
	HeapTuple	tuple;
	TupleDesc	desc;
	bool		isnull;

	if (found->next == found->n && !fetch(found))
		return NULL;
	tuple = found->table->vals[found->next++];
	desc = found->table->tupdesc;
	for (int i = 0; i < batch->nentity; i++)
	{
		found->row.entity[i] = SPI_getbinval(tuple, desc, i + 1, &isnull);
		Assert(!isnull);
	}
	for (int i = 0; i < batch->nfeatures; i++)
		found->row.values[i] = SPI_getbinval(tuple, desc, batch->nentity + i + 1,
											 &found->row.nulls[i]);
	found->row.window_end =
		DatumGetTimestampTz(SPI_getbinval(tuple, desc, batch->nentity + batch->nfeatures + 1, &isnull));
	return &found->row;
}

/* See found_rows.h. */
void
fs_found_close(FsFoundRows *found)
{
	if (found->table != NULL)
		SPI_freetuptable(found->table);
	SPI_cursor_close(found->portal);
	pfree(found);
}
