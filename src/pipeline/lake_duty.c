/*
 * lake_duty.c
 *		Which exports are due, what became of them, and files that nobody needs;
 *		see lake_export.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "ground/fault.h"
#include "ground/identity.h"
#include "ground/transaction.h"
#include "offline/lake_silence.h"
#include "offline/object_store.h"
#include "pipeline/lake_export.h"
#include "pipeline/lake_state.h"
#include "state/query.h"

#define SWEEP_FILES		100		/* at once */
#define UNREAD_LIFE		"7 days"	/* of manifest lists that cannot be read, beyond that of others */

/* A file that is to be deleted. */
typedef struct Orphan
{
	char	   *location;
	Oid			server;
	Oid			user;
	bool		is_named;		/* it may not even have been made */
	FsObjectStore *store;		/* NULL: its server is gone */
} Orphan;

/* See lake_export.h. */
bool
fs_lake_export_is_wanted(void)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(fs_identity_writer())};

	fs_query_read("SELECT EXISTS (SELECT FROM feature_stream.lake_export)"
				  " OR EXISTS (SELECT FROM feature_stream.lake_file WHERE writer = $1)", 1, types, values);
	return fs_query_bool(0, 1);
}

/* See lake_export.h. */
bool
fs_lake_export_has_work(void)
{
	MemoryContext context = CurrentMemoryContext;
	bool		wanted;

	fs_transaction_begin();
	SPI_connect();
	wanted = fs_lake_export_is_wanted();
	SPI_finish();
	fs_transaction_end(context);
	return wanted;
}

/* See lake_export.h. */
Oid
fs_lake_export_next(void)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[2] = {TEXTOID, OIDARRAYOID};
	Datum		values[2];
	Oid			view;

	fs_transaction_begin();
	values[0] = CStringGetTextDatum(fs_identity_writer());
	values[1] = fs_lake_silent_servers();
	SPI_connect();
	fs_query_read("SELECT view FROM feature_stream.lake_export e WHERE next_export_time <= pg_catalog.now()"
				  " AND (table_uuid IS NULL OR failure_count > 0 OR writer <> $1"
				  " OR EXISTS (SELECT FROM feature_stream.lake_chunk c WHERE c.view = e.view))"
				  " AND NOT " FS_LAKE_IS_ON("$2", "e.view")
				  " ORDER BY next_export_time, view LIMIT 1", 2, types, values);
	view = SPI_processed > 0 ? fs_query_oid(0, 1) : InvalidOid;
	SPI_finish();
	fs_transaction_end(context);
	return view;
}

/* See lake_export.h. */
void
fs_lake_export_note_error(Oid view, const char *message)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[2] = {OIDOID, TEXTOID};
	Datum		values[2];

	fs_transaction_begin();
	values[0] = ObjectIdGetDatum(view);
	values[1] = CStringGetTextDatum(message);
	SPI_connect();
	fs_query_run("UPDATE feature_stream.lake_export SET last_error = $2, last_error_time = pg_catalog.clock_timestamp(),"
				 " failure_count = failure_count + 1, next_export_time = pg_catalog.clock_timestamp()"
				 " + LEAST(pg_catalog.power(2, LEAST(failure_count, 10)), 300) * (0.5 + pg_catalog.random())"
				 " * '1 second'::interval WHERE view = $1",
				 SPI_OK_UPDATE, 2, types, values, NULL);
	SPI_finish();
	fs_transaction_end(context);
}

/*
 * Lists files that are to be deleted now, those that are due for longest first, in
 * 'context'.  None of a database that this one is a copy of: what was no table's
 * when the copy was made can be one's by now.
 */
static List *
list_orphans(MemoryContext context)
{
	Oid			types[3] = {INT8OID, TEXTOID, OIDARRAYOID};
	Datum		values[3] = {Int64GetDatum(SWEEP_FILES)};
	List	   *orphans = NIL;

	fs_transaction_begin();
	values[1] = CStringGetTextDatum(fs_identity_writer());
	values[2] = fs_lake_silent_servers();
	SPI_connect();
	fs_query_read("SELECT f.location, f.server, f.\"user\", f.is_named FROM feature_stream.lake_file f"
				  " WHERE f.delete_after <= pg_catalog.now() AND f.writer = $2 AND f.server <> ALL ($3) AND (NOT f.is_unread"
				  " OR f.delete_after <= pg_catalog.now() - '" UNREAD_LIFE "'::interval"
				  " OR NOT EXISTS (SELECT FROM feature_stream.lake_export e WHERE e.view = f.view))"
				  " ORDER BY f.delete_after, f.location LIMIT $1", 3, types, values);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(context);
		Orphan	   *orphan = palloc(sizeof(Orphan));

		orphan->location = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		orphan->server = fs_query_oid(i, 2);
		orphan->user = fs_query_oid(i, 3);
		orphan->is_named = fs_query_bool(i, 4);
		orphan->store = NULL;
		orphans = lappend(orphans, orphan);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	fs_transaction_end(context);
	return orphans;
}

/* Where a file is, which may be where the one before is; NULL when nobody knows how to get there any more. */
static FsObjectStore *
open_store(const Orphan *orphan, const Orphan *previous)
{
	MemoryContext context = CurrentMemoryContext;
	FsObjectStore *store = NULL;

	if (previous != NULL && previous->server == orphan->server && previous->user == orphan->user)
		return previous->store;
	fs_transaction_begin();
	MemoryContextSwitchTo(context);
	if (GetForeignServerExtended(orphan->server, FSV_MISSING_OK) != NULL)
		store = fs_object_store_open(fs_lake_config_load(orphan->server, orphan->user));
	fs_transaction_end(context);
	return store;
}

/* Changes what is known of a file. */
static void
change_file(const char *location, const char *sql, int expected)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[1] = {TEXTOID};
	Datum		values[1];

	fs_transaction_begin();
	values[0] = CStringGetTextDatum(location);
	SPI_connect();
	fs_query_run(sql, expected, 1, types, values, NULL);
	SPI_finish();
	fs_transaction_end(context);
}

/* See lake_export.h. */
void
fs_lake_export_put_off(const char *location)
{
	change_file(location, "UPDATE feature_stream.lake_file SET failure_count = failure_count + 1,"
				" delete_after = pg_catalog.clock_timestamp() + LEAST(pg_catalog.power(2, LEAST(failure_count, 10)), 60)"
				" * '1 minute'::interval WHERE location = $1", SPI_OK_UPDATE);
}

/* Deletes a file, and what was uploaded of it. */
static void
delete_orphan(const Orphan *orphan)
{
	if (orphan->is_named)
		fs_object_store_abandon(orphan->store, orphan->location);
	fs_object_store_delete(orphan->store, orphan->location);
}

/* See lake_export.h. */
void
fs_lake_export_sweep(const char **at)
{
	List	   *orphans = list_orphans(CurrentMemoryContext);
	const Orphan *previous = NULL;
	ListCell   *lc;

	foreach(lc, orphans)
	{
		Orphan	   *orphan = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		*at = orphan->location;
		orphan->store = open_store(orphan, previous);
		if (orphan->store != NULL)
			delete_orphan(orphan);
		else
			ereport(LOG,
					(errmsg("file \"%s\" stays in the lake: its server was dropped", orphan->location)));
		FS_FAULT("lake_swept");
		change_file(orphan->location, "DELETE FROM feature_stream.lake_file WHERE location = $1", SPI_OK_DELETE);
		previous = orphan;
	}
}
