/*
 * lake_orphans.c
 *		Files in a lake that nobody's metadata leads to; see lake_orphans.h.
 *
 * First it is listed what is there, then the table is read: so whatever was
 * listed and is needed is found to be.  Only a writer that took longer than the
 * files are old, from making one to committing it, could lose it; and none is
 * deleted before another day has gone by.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "ground/fault.h"
#include "ground/transaction.h"
#include "offline/lake_orphan.h"
#include "offline/lake_reach.h"
#include "pipeline/lake_commit.h"
#include "pipeline/lake_orphans.h"
#include "state/query.h"

#define MAX_FILES	INT64CONST(20000)	/* that are looked at in one go */
#define MIN_AGE		(3 * FS_USEC_PER_DAY)	/* of what upkeep takes for nobody's */

/* Enters files, or tells which; those that have been entered go as they are to. */
static void
enter(FsLakeExport *export, const FsLakeRequest *request, List *locations)
{
	List	   *unknown;

	fs_transaction_begin();
	if (fs_lake_state_lock(export))
	{
		unknown = fs_lake_state_unknown(locations);
		if (request == NULL || !request->is_dry)
			fs_lake_state_drop(export, unknown, NIL);
		if (request != NULL)
			fs_lake_request_add(request, "orphan", unknown);
	}
	fs_transaction_end(export->context);
}

/* Looks at some files, from *position on; in the current memory context, which may then be reset but for *position. */
static void
find_some(FsLakeExport *export, const FsLakeRequest *request, FsTime before, char **position)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *found = fs_lake_orphan_list(fs_lake_open(export), before, MAX_FILES, position);

	if (found == NIL)
		return;
	FS_FAULT("lake_listed");
	fs_lake_state_refresh(export);
	MemoryContextSwitchTo(context);
	found = fs_lake_unreferenced(fs_lake_open(export), found);
	if (found != NIL)
		enter(export, request, found);
	MemoryContextSwitchTo(context);
}

/* The same in memory of its own, but for *position, which is in the caller's context. */
static void
find_in(FsLakeExport *export, const FsLakeRequest *request, FsTime before, char **position)
{
	MemoryContext context = AllocSetContextCreate(export->context, "feature_stream orphans", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	find_some(export, request, before, position);
	MemoryContextSwitchTo(old);
	if (*position != NULL)
		*position = pstrdup(*position);
	MemoryContextDelete(context);
}

/* Aborts uploads that nobody completes any more, or tells of what. */
static void
end_uploads(FsLakeExport *export, const FsLakeRequest *request, FsTime before)
{
	List	   *locations = NIL;
	ListCell   *lc;

	foreach(lc, fs_lake_orphan_uploads(fs_lake_open(export), before))
	{
		const FsObjectEntry *upload = lfirst(lc);

		if (request == NULL || !request->is_dry)
			fs_object_store_abort(export->store, upload);
		locations = lappend(locations, upload->location);
	}
	if (request == NULL || locations == NIL)
		return;
	fs_transaction_begin();
	fs_lake_request_add(request, "upload", locations);
	fs_transaction_end(export->context);
}

/* See lake_orphans.h. */
void
fs_lake_orphans_find(FsLakeExport *export, const FsLakeRequest *request)
{
	FsTime		before = GetCurrentTimestamp() - request->older_than * 1000;
	const char *collects = fs_iceberg_property(fs_lake_open(export)->metadata, FS_ICEBERG_COLLECT);
	char	   *position = NULL;

	Assert(request->older_than >= 0);
	if (collects != NULL && strcmp(collects, "false") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("files of table \"%s.%s\" must not be deleted", export->name.namespace, export->name.table),
				 errdetail("The table's property gc.enabled is false.")));
	do
		find_in(export, request, before, &position);
	while (position != NULL);
	end_uploads(export, request, before);
}

/* Where to go on, when it is due; it is put off in case this fails. */
static bool
is_due(FsLakeExport *export, char **position)
{
	Oid			types[2] = {OIDOID, INT8OID};
	Datum		values[2] = {ObjectIdGetDatum(export->view), Int64GetDatum(export->id)};
	bool		due;

	fs_transaction_begin();
	SPI_connect();
	fs_query_run("UPDATE feature_stream.lake_export SET next_orphan_time = pg_catalog.clock_timestamp() + '1 hour'::interval"
				 " WHERE view = $1 AND id = $2 AND next_orphan_time <= pg_catalog.clock_timestamp() RETURNING orphan_position",
				 SPI_OK_UPDATE_RETURNING, 2, types, values, NULL);
	due = SPI_processed == 1;
	*position = due ? SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1) : NULL;
	if (*position != NULL)
		*position = MemoryContextStrdup(export->context, *position);
	SPI_finish();
	fs_transaction_end(export->context);
	return due;
}

/* Notes where to go on, or that all was looked at. */
static void
note_position(FsLakeExport *export, const char *position)
{
	Oid			types[3] = {OIDOID, INT8OID, TEXTOID};
	Datum		values[3] = {ObjectIdGetDatum(export->view), Int64GetDatum(export->id)};
	char		nulls[3] = {' ', ' ', position == NULL ? 'n' : ' '};

	fs_transaction_begin();
	if (position != NULL)
		values[2] = CStringGetTextDatum(position);
	SPI_connect();
	fs_query_run("UPDATE feature_stream.lake_export SET orphan_position = $3, next_orphan_time = pg_catalog.clock_timestamp()"
				 " + CASE WHEN $3 IS NULL THEN '1 day' ELSE '0' END::interval WHERE view = $1 AND id = $2",
				 SPI_OK_UPDATE, 3, types, values, nulls);
	SPI_finish();
	fs_transaction_end(export->context);
}

/* See lake_orphans.h. */
bool
fs_lake_orphans_keep_up(FsLakeExport *export)
{
	FsTime		before = GetCurrentTimestamp() - MIN_AGE;
	char	   *position;

	if (!is_due(export, &position))
		return false;
	find_in(export, NULL, before, &position);
	if (position == NULL)
		end_uploads(export, NULL, before);
	note_position(export, position);
	return position != NULL;
}
