/*
 * lake_upkeep.c
 *		compact_lake, expire_snapshots, merge_manifests, remove_orphan_files: upkeep of tables in a lake, asked for by their owners;
 *		take_over_lake: whose tables they are.
 *
 * No backend speaks to a store: each but the last makes a row of
 * feature_stream.lake_upkeep, which the lake worker sees at commit
 * (pipeline/lake_upkeep.h).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "catalog/extension.h"
#include "catalog/feature_view.h"
#include "catalog/window.h"
#include "ground/identity.h"
#include "state/shared.h"

PG_FUNCTION_INFO_V1(fs_compact_lake);
PG_FUNCTION_INFO_V1(fs_expire_snapshots);
PG_FUNCTION_INFO_V1(fs_merge_manifests);
PG_FUNCTION_INFO_V1(fs_remove_orphan_files);
PG_FUNCTION_INFO_V1(fs_take_over_lake);

#define LEAST_AGE	FS_USEC_PER_DAY	/* of files that may be removed: others may take so long to make them part of the table */

/* A request to be; times and numbers that are NULL are the table's. */
typedef struct Request
{
	Oid			view;
	const char *action;
	bool		is_dry;
	Interval   *older_than;
	int			keep;			/* 0: NULL */
} Request;

/* Throws unless the view is one of the current user's and exported. */
static void
check_view(Oid relid)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(relid)};

	fs_require_preload();
	(void) fs_view_load(relid);
	if (!pg_class_ownercheck(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_FOREIGN_TABLE, get_rel_name(relid));
	if (fs_owner_execute("SELECT FROM feature_stream.lake_export WHERE view = $1", SPI_OK_SELECT, 1, types, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("feature view %s is not exported to a lake", fs_relation_name(relid)),
				 errhint("Export it with alter_feature_view(..., offline => ...).")));
}

/* Writes the request down; its number. */
static Datum
enter(const Request *request)
{
	Oid			types[5] = {OIDOID, TEXTOID, BOOLOID, INTERVALOID, INT4OID};
	Datum		values[5] = {ObjectIdGetDatum(request->view), CStringGetTextDatum(request->action),
	BoolGetDatum(request->is_dry), IntervalPGetDatum(request->older_than), Int32GetDatum(request->keep)};
	char		nulls[5] = {' ', ' ', ' ', request->older_than == NULL ? 'n' : ' ', request->keep == 0 ? 'n' : ' '};
	FsOwnerScope scope;
	int64		id;

	check_view(request->view);
	if (request->older_than != NULL)
		(void) fs_interval_to_usec(request->older_than, "older_than", 0);
	fs_owner_begin(&scope);
	SPI_connect();
	if (SPI_execute_with_args("INSERT INTO feature_stream.lake_upkeep (view, action, dry_run, older_than, keep)"
							  " VALUES ($1, $2, $3, $4, $5) RETURNING id", 5, types, values, nulls, false, 0) != SPI_OK_INSERT_RETURNING)
		elog(ERROR, "could not enter a request");
	{
		bool		isnull;

		id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	}
	SPI_finish();
	fs_owner_end(&scope);
	return Int64GetDatum(id);
}

/* expire_snapshots(view regclass, older_than interval, keep int, dry_run boolean) returns bigint */
Datum
fs_expire_snapshots(PG_FUNCTION_ARGS)
{
	Request		request = {.view = PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0), .action = "expire_snapshots",
		.is_dry = PG_ARGISNULL(3) || PG_GETARG_BOOL(3), .older_than = PG_ARGISNULL(1) ? NULL : PG_GETARG_INTERVAL_P(1)};

	if (!OidIsValid(request.view))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"view\" must not be null")));
	if (!PG_ARGISNULL(2))
	{
		request.keep = PG_GETARG_INT32(2);
		if (request.keep < 1)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"keep\" must be at least 1")));
	}
	PG_RETURN_DATUM(enter(&request));
}

/* compact_lake(view regclass, dry_run boolean) returns bigint */
Datum
fs_compact_lake(PG_FUNCTION_ARGS)
{
	Request		request = {.view = PG_GETARG_OID(0), .action = "compact_lake", .is_dry = PG_GETARG_BOOL(1)};

	PG_RETURN_DATUM(enter(&request));
}

/* merge_manifests(view regclass, dry_run boolean) returns bigint */
Datum
fs_merge_manifests(PG_FUNCTION_ARGS)
{
	Request		request = {.view = PG_GETARG_OID(0), .action = "merge_manifests", .is_dry = PG_GETARG_BOOL(1)};

	PG_RETURN_DATUM(enter(&request));
}

/* remove_orphan_files(view regclass, older_than interval, dry_run boolean) returns bigint */
Datum
fs_remove_orphan_files(PG_FUNCTION_ARGS)
{
	Request		request = {.view = PG_GETARG_OID(0), .action = "remove_orphan_files", .is_dry = PG_GETARG_BOOL(2),
	.older_than = PG_GETARG_INTERVAL_P(1)};

	if (fs_interval_to_usec(request.older_than, "older_than", 0) < LEAST_AGE && !request.is_dry)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"older_than\" must be at least one day"),
				 errdetail("Younger files may be about to become part of the table."),
				 errhint("With dry_run => true any age is possible.")));
	PG_RETURN_DATUM(enter(&request));
}

/*
 * take_over_lake(view regclass) returns void
 *
 * From now on the table is this database's, with the files that are to be deleted:
 * also those of the owner's views that are exported no more, which nobody else
 * could ask for.
 */
Datum
fs_take_over_lake(PG_FUNCTION_ARGS)
{
	Oid			types[2] = {OIDOID, TEXTOID};
	Datum		values[2] = {PG_GETARG_DATUM(0)};

	PreventCommandDuringRecovery("take_over_lake()");
	check_view(PG_GETARG_OID(0));
	values[1] = CStringGetTextDatum(fs_identity_writer());
	fs_owner_execute("UPDATE feature_stream.lake_export SET writer = $2, next_export_time = '-infinity',"
					 " next_upkeep_time = '-infinity' WHERE view = $1 AND writer <> $2",
					 SPI_OK_UPDATE, 2, types, values, NULL);
	fs_owner_execute("UPDATE feature_stream.lake_file f SET writer = $2 WHERE f.writer <> $2 AND (f.view = $1"
					 " OR (f.\"user\" = (SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.oid = $1)"
					 " AND NOT EXISTS (SELECT FROM feature_stream.lake_export e WHERE e.view = f.view)))",
					 SPI_OK_UPDATE, 2, types, values, NULL);
	PG_RETURN_VOID();
}
