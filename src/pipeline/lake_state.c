/*
 * lake_state.c
 *		What the tables of this database say of an export; see lake_state.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "ground/identity.h"
#include "ground/transaction.h"
#include "pipeline/lake_state.h"
#include "state/query.h"

#define DROPPED_LIFE	"24 hours"	/* of files that the table leads to no more: readers, or a backup, may still */

/* Copies a column of the last query's first row; NULL for NULL. */
static char *
copy_text(int column, MemoryContext context)
{
	char	   *text = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);

	return text == NULL ? NULL : MemoryContextStrdup(context, text);
}

/* Reads which columns the table in the lake follows, in the current memory context. */
static void
read_known(FsLakeExport *export)
{
	bool		isnull;
	Datum		array = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 11, &isnull);
	Datum	   *numbers;
	ListCell   *lc;

	if (isnull)
		return;
	deconstruct_array(DatumGetArrayTypePCopy(array), INT2OID, sizeof(int16), true, TYPALIGN_SHORT, &numbers, NULL,
					  &export->nknown);
	export->known = palloc0(sizeof(FsLakeKnown) * Max(export->nknown, 1));
	foreach(lc, fs_query_names(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 12, &isnull)))
	{
		FsLakeKnown *known = &export->known[foreach_current_index(lc)];

		Assert(foreach_current_index(lc) < export->nknown);
		known->number = DatumGetInt16(numbers[foreach_current_index(lc)]);
		known->name = strVal(lfirst(lc));
	}
}

/* Reads what the registry says; false when the view is not exported. */
static bool
read_export(FsLakeExport *export)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(export->view)};
	char	   *server;
	bool		isnull;
	Datum		partition_by;
	MemoryContext old;

	fs_query_read("SELECT e.catalog_name, e.table_namespace, e.table_name, e.table_uuid, v.offline,"
				  " v.history::oid, c.relowner, v.offline_partition_by, v.view::text, e.id, e.column_numbers, e.column_names,"
				  " e.writer"
				  " FROM feature_stream.lake_export e JOIN feature_stream.feature_view v ON v.view = e.view"
				  " JOIN pg_catalog.pg_class c ON c.oid = v.view WHERE e.view = $1 AND v.offline IS NOT NULL",
				  1, types, values);
	if (SPI_processed == 0)
		return false;
	export->name.catalog = copy_text(1, export->context);
	export->name.namespace = copy_text(2, export->context);
	export->name.table = copy_text(3, export->context);
	export->uuid = copy_text(4, export->context);
	export->writer = copy_text(13, export->context);
	server = copy_text(5, export->context);
	export->server = get_foreign_server_oid(server, false);
	export->history = fs_query_oid(0, 6);
	export->owner = fs_query_oid(0, 7);
	export->view_name = copy_text(9, export->context);
	export->id = fs_query_int64(0, 10, 0);
	partition_by = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 8, &isnull);
	old = MemoryContextSwitchTo(export->context);
	export->partition_by = DatumGetArrayTypePCopy(partition_by);
	read_known(export);
	MemoryContextSwitchTo(old);
	return true;
}

/* Reads server and history. */
static void
read_definitions(FsLakeExport *export)
{
	if (!OidIsValid(export->history) || get_rel_name(export->history) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the history of feature view %s was dropped", export->view_name),
				 errhint("End its export with alter_feature_view(..., reset => '{offline}').")));
	export->config = fs_lake_config_load(export->server, export->owner);
	export->store = fs_object_store_open(export->config);
	export->columns = fs_lake_columns(export->history, &export->ncolumns);
	export->window_end = -1;
	for (int i = 0; i < export->ncolumns; i++)
		if (strcmp(export->columns[i].column.name, "window_end") == 0)
			export->window_end = i;
	if (export->window_end < 0 || export->columns[export->window_end].typid != TIMESTAMPTZOID)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("the history of feature view %s has no column \"window_end\"", export->view_name)));
}

/* See lake_state.h. */
FsLakeExport *
fs_lake_state_load(Oid view)
{
	FsLakeExport *export = palloc0(sizeof(FsLakeExport));
	bool		found;

	export->context = CurrentMemoryContext;
	export->view = view;
	export->newest = FS_TIME_MIN;
	fs_transaction_begin();
	SPI_connect();
	found = read_export(export);
	SPI_finish();
	if (found)
	{
		MemoryContextSwitchTo(export->context);
		read_definitions(export);
		export->location = fs_lake_catalog_find(&export->name);
	}
	fs_transaction_end(export->context);
	return found ? export : NULL;
}

/* See lake_state.h. */
void
fs_lake_state_refresh(FsLakeExport *export)
{
	fs_transaction_begin();
	MemoryContextSwitchTo(export->context);
	export->location = fs_lake_catalog_find(&export->name);
	fs_transaction_end(export->context);
}

/* See lake_state.h. */
Datum
fs_lake_state_array(List *locations)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(list_length(locations), 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, locations)
		elements[n++] = CStringGetTextDatum(lfirst(lc));
	return PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Enters files that are to go after a while (NULL: unless they are kept); 'unread': lists of manifests that are to be looked at before. */
static void
enter_files(const FsLakeExport *export, List *locations, const char *life, bool unread)
{
	Oid			types[8] = {TEXTARRAYOID, OIDOID, OIDOID, OIDOID, TEXTOID, BOOLOID, BOOLOID, TEXTOID};
	Datum		values[8] = {fs_lake_state_array(locations), ObjectIdGetDatum(export->view), ObjectIdGetDatum(export->server),
		ObjectIdGetDatum(export->owner), CStringGetTextDatum(life != NULL ? life : "0"), BoolGetDatum(unread), BoolGetDatum(life == NULL),
	CStringGetTextDatum(fs_identity_writer())};

	if (locations == NIL)
		return;
	SPI_connect();
	fs_query_run("INSERT INTO feature_stream.lake_file (location, view, server, \"user\", delete_after, is_unread, is_named, writer)"
				 " SELECT l, $2, $3, $4, pg_catalog.now() + $5::interval, $6, $7, $8 FROM pg_catalog.unnest($1) l"
				 " ON CONFLICT (location) DO NOTHING",
				 SPI_OK_INSERT, 8, types, values, NULL);
	SPI_finish();
}

/* See lake_state.h. */
void
fs_lake_state_name(const FsLakeExport *export, List *locations)
{
	fs_transaction_begin();
	enter_files(export, locations, NULL, false);
	fs_transaction_end(export->context);
}

/* See lake_state.h. */
bool
fs_lake_state_lock(const FsLakeExport *export)
{
	Oid			types[2] = {OIDOID, INT8OID};
	Datum		values[2] = {ObjectIdGetDatum(export->view), Int64GetDatum(export->id)};
	bool		found;

	SPI_connect();
	fs_query_run("SELECT FROM feature_stream.lake_export WHERE view = $1 AND id = $2 FOR UPDATE",
				 SPI_OK_SELECT, 2, types, values, NULL);
	found = SPI_processed == 1;
	SPI_finish();
	return found;
}

/* See lake_state.h. */
void
fs_lake_state_set_uuid(const FsLakeExport *export, const char *uuid)
{
	Oid			types[4] = {OIDOID, TEXTOID, INT8OID, TEXTOID};
	Datum		values[4] = {ObjectIdGetDatum(export->view), CStringGetTextDatum(uuid), Int64GetDatum(export->id),
	CStringGetTextDatum(fs_identity_writer())};

	SPI_connect();
	fs_query_run("UPDATE feature_stream.lake_export SET table_uuid = $2, writer = $4 WHERE view = $1 AND id = $3",
				 SPI_OK_UPDATE, 4, types, values, NULL);
	SPI_finish();
}

/* See lake_state.h. */
void
fs_lake_state_set_columns(const FsLakeExport *export)
{
	Oid			types[4] = {OIDOID, INT8OID, INT2ARRAYOID, NAMEARRAYOID};
	Datum		values[4] = {ObjectIdGetDatum(export->view), Int64GetDatum(export->id)};
	Datum	   *numbers = palloc(sizeof(Datum) * export->ncolumns);
	Datum	   *names = palloc(sizeof(Datum) * export->ncolumns);

	for (int i = 0; i < export->ncolumns; i++)
	{
		numbers[i] = Int16GetDatum(export->columns[i].number);
		names[i] = DirectFunctionCall1(namein, CStringGetDatum(export->columns[i].column.name));
	}
	values[2] = PointerGetDatum(construct_array(numbers, export->ncolumns, INT2OID, sizeof(int16), true, TYPALIGN_SHORT));
	values[3] = PointerGetDatum(construct_array(names, export->ncolumns, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR));
	SPI_connect();
	fs_query_run("UPDATE feature_stream.lake_export SET column_numbers = $3, column_names = $4 WHERE view = $1 AND id = $2",
				 SPI_OK_UPDATE, 4, types, values, NULL);
	SPI_finish();
}

/* See lake_state.h. */
void
fs_lake_state_keep(List *locations)
{
	Oid			types[1] = {TEXTARRAYOID};
	Datum		values[1] = {fs_lake_state_array(locations)};

	SPI_connect();
	fs_query_run("DELETE FROM feature_stream.lake_file WHERE location = ANY ($1)",
				 SPI_OK_DELETE, 1, types, values, NULL);
	if (SPI_processed != list_length(locations))
		elog(ERROR, "names of files for the lake were lost");
	SPI_finish();
}

/* See lake_state.h. */
void
fs_lake_state_drop(const FsLakeExport *export, List *locations, List *lists)
{
	enter_files(export, locations, DROPPED_LIFE, false);
	enter_files(export, lists, DROPPED_LIFE, true);
}

/* See lake_state.h. */
List *
fs_lake_state_unknown(List *locations)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[1] = {TEXTARRAYOID};
	Datum		values[1] = {fs_lake_state_array(locations)};
	List	   *unknown = NIL;

	SPI_connect();
	fs_query_run("SELECT u.n FROM pg_catalog.unnest($1) WITH ORDINALITY u (l, n)"
				 " WHERE NOT EXISTS (SELECT FROM feature_stream.lake_file f WHERE f.location = u.l) ORDER BY u.n",
				 SPI_OK_SELECT, 1, types, values, NULL);
	MemoryContextSwitchTo(context);
	for (uint64 i = 0; i < SPI_processed; i++)
		unknown = lappend(unknown, list_nth(locations, (int) fs_query_int64(i, 1, 0) - 1));
	SPI_finish();
	return unknown;
}

/* Takes chunks out; each must still be there, or its rows would be exported twice. */
static void
take_chunk(const FsLakeChunk *chunk)
{
	Oid			types[2] = {INT8OID, TIMESTAMPTZOID};
	Datum		values[2] = {Int64GetDatum(chunk->id), TimestampTzGetDatum(chunk->last + 1)};

	if (chunk->is_whole)
		fs_query_run("DELETE FROM feature_stream.lake_chunk WHERE id = $1", SPI_OK_DELETE, 1, types, values, NULL);
	else
		fs_query_run("UPDATE feature_stream.lake_chunk SET first_window_end = $2,"
					 " row_count = (row_count * (EXTRACT(epoch FROM last_window_end - $2)"
					 " / EXTRACT(epoch FROM last_window_end - first_window_end)))::int8 WHERE id = $1",
					 SPI_OK_UPDATE, 2, types, values, NULL);
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("what was to be exported has changed meanwhile")));
}

/* See lake_state.h. */
void
fs_lake_state_done(const FsLakeExport *export, int64 rows, int64 bytes, int files)
{
	const FsLakeChunk *chunk = export->chunks == NIL ? NULL : linitial(export->chunks);
	bool		is_existing = chunk != NULL && chunk->is_existing;
	Oid			types[10] = {OIDOID, INT8OID, INT8OID, INT8OID, TIMESTAMPTZOID, BOOLOID, INT8OID, BOOLOID, BOOLOID, INT8OID};
	Datum		values[10] = {ObjectIdGetDatum(export->view), Int64GetDatum(rows), Int64GetDatum(bytes),
		Int64GetDatum(files), 0, BoolGetDatum(export->has_more), Int64GetDatum(export->id),
	BoolGetDatum(is_existing), BoolGetDatum(is_existing && chunk->is_whole), Int64GetDatum(export->nans)};
	char		nulls[10] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' '};
	ListCell   *lc;

	fs_query_set_time(values, nulls, 4, export->newest);
	SPI_connect();
	foreach(lc, export->chunks)
		take_chunk(lfirst(lc));
	fs_query_run("UPDATE feature_stream.lake_export e SET row_count = e.row_count + $2, byte_count = byte_count + $3,"
				 " file_count = file_count + $4, commit_count = commit_count + CASE WHEN $4 > 0 THEN 1 ELSE 0 END,"
				 " window_end = GREATEST(window_end, $5),"
				 " last_commit_time = CASE WHEN $4 > 0 THEN pg_catalog.clock_timestamp() ELSE last_commit_time END,"
				 " next_export_time = pg_catalog.clock_timestamp() + CASE WHEN $6 THEN '0' ELSE v.offline_interval END,"
				 " existing_rows_done = existing_rows_done + CASE WHEN $8 THEN $2 ELSE 0 END,"
				 " existing_chunks_done = existing_chunks_done + $9::int, nan_count = nan_count + $10,"
				 " failure_count = 0, last_error = NULL, last_error_time = NULL"
				 " FROM feature_stream.feature_view v WHERE e.view = $1 AND e.id = $7 AND v.view = e.view",
				 SPI_OK_UPDATE, 10, types, values, nulls);
	if (SPI_processed != 1)
		elog(ERROR, "the state of the export of %s was lost", export->view_name);
	SPI_finish();
}

/* See lake_state.h. */
char *
fs_lake_state_mark(const FsLakeExport *export)
{
	const FsLakeChunk *first = linitial(export->chunks);
	const FsLakeChunk *last = llast(export->chunks);

	return psprintf("%lld-%lld", (long long) first->id, (long long) last->id);
}
