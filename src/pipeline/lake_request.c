/*
 * lake_request.c
 *		Requests for upkeep of a table in a lake; see lake_request.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "ground/transaction.h"
#include "pipeline/lake_request.h"
#include "pipeline/lake_state.h"
#include "state/query.h"

/* See lake_request.h. */
FsLakeRequest *
fs_lake_request_load(int64 id)
{
	MemoryContext context = CurrentMemoryContext;
	FsLakeRequest *request = palloc0(sizeof(FsLakeRequest));
	Oid			types[1] = {INT8OID};
	Datum		values[1] = {Int64GetDatum(id)};

	fs_transaction_begin();
	SPI_connect();
	fs_query_read("SELECT action, dry_run, (EXTRACT(epoch FROM older_than) * 1000)::int8, keep"
				  " FROM feature_stream.lake_upkeep WHERE id = $1 AND state = 'waiting'", 1, types, values);
	if (SPI_processed == 1)
	{
		request->id = id;
		request->action = MemoryContextStrdup(context, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
		request->is_dry = fs_query_bool(0, 2);
		request->older_than = fs_query_int64(0, 3, -1);
		request->keep = fs_query_is_null(0, 4) ? -1 : fs_query_int32(0, 4);
	}
	SPI_finish();
	fs_transaction_end(context);
	return request->id != 0 ? request : NULL;
}

/* See lake_request.h. */
void
fs_lake_request_add(const FsLakeRequest *request, const char *what, List *locations)
{
	Oid			types[3] = {INT8OID, TEXTOID, TEXTARRAYOID};
	Datum		values[3] = {Int64GetDatum(request->id), CStringGetTextDatum(what), fs_lake_state_array(locations)};

	SPI_connect();
	fs_query_run("INSERT INTO feature_stream.lake_upkeep_file (request, what, location)"
				 " SELECT $1, $2, l FROM pg_catalog.unnest($3) l",
				 SPI_OK_INSERT, 3, types, values, NULL);
	SPI_finish();
}

/* Ends a request. */
static void
finish(int64 id, const char *error)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[2] = {INT8OID, TEXTOID};
	Datum		values[2] = {Int64GetDatum(id)};
	char		nulls[2] = {' ', error == NULL ? 'n' : ' '};

	fs_transaction_begin();
	if (error != NULL)
		values[1] = CStringGetTextDatum(error);
	SPI_connect();
	fs_query_run("UPDATE feature_stream.lake_upkeep SET state = CASE WHEN $2 IS NULL THEN 'done' ELSE 'failed' END,"
				 " error = $2, finished_at = pg_catalog.clock_timestamp() WHERE id = $1",
				 SPI_OK_UPDATE, 2, types, values, nulls);
	SPI_finish();
	fs_transaction_end(context);
}

/* See lake_request.h. */
void
fs_lake_request_done(const FsLakeRequest *request)
{
	finish(request->id, NULL);
}

/* See lake_request.h. */
void
fs_lake_request_failed(int64 id, const char *message)
{
	finish(id, message);
}
