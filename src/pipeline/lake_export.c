/*
 * lake_export.c
 *		From histories to the lake, exactly once; see lake_export.h.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "catalog/extension.h"
#include "catalog/lake.h"
#include "ground/fault.h"
#include "ground/transaction.h"
#include "offline/lake_rows.h"
#include "offline/lake_table.h"
#include "pipeline/lake_evolve.h"
#include "pipeline/lake_export.h"
#include "pipeline/lake_state.h"
#include "state/query.h"

#define MAX_ATTEMPTS	20		/* of a commit that somebody else is faster than */
#define MAX_WAIT_MS		1000	/* between two of them */

/* The table's directory in the warehouse: namespaces are directories, too. */
static char *
table_base(const FsLakeExport *export)
{
	char	   *namespace = pstrdup(export->name.namespace);

	for (char *p = namespace; *p != '\0'; p++)
		if (*p == '.')
			*p = '/';
	return psprintf("%s/%s/%s", export->config->warehouse, namespace, export->name.table);
}

/* Makes the table in the lake, empty, and enters it into the catalog. */
static void
create_table(FsLakeExport *export)
{
	FsLakeNewTable table;
	bool		is_made;

	fs_lake_table_create(&table, table_base(export), export->columns, export->ncolumns,
						 export->partition_by, export->view_name);
	fs_lake_state_name(export, list_make1(table.location));
	FS_FAULT("lake_named");
	fs_object_store_put(export->store, table.location, &table.body);
	fs_transaction_begin();
	is_made = fs_lake_state_lock(export) && fs_lake_catalog_create(&export->name, table.location);
	if (is_made)
	{
		fs_lake_state_keep(list_make1(table.location));
		fs_lake_state_set_uuid(export, table.uuid);
		fs_lake_state_set_columns(export);
	}
	fs_transaction_end(export->context);
	if (!is_made)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("table \"%s.%s\" is already there in catalog \"%s\"",
						export->name.namespace, export->name.table, export->name.catalog),
				 errhint("Export the feature view to another table.")));
	export->uuid = table.uuid;
	export->location = table.location;
}

/* Reads the table as the pointer has it; throws when it is another one than ours. */
static FsLakeTable *
load_table(FsLakeExport *export)
{
	FsLakeTable *table;

	if (export->location == NULL && export->uuid == NULL)
		create_table(export);
	if (export->location == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s.%s\" is no longer in catalog \"%s\"",
						export->name.namespace, export->name.table, export->name.catalog),
				 errhint("End the export with alter_feature_view(..., reset => '{offline}'), and begin it again.")));
	table = fs_lake_table_load(export->store, export->location);
	if (export->uuid == NULL || strcmp(fs_iceberg_uuid(table->metadata), export->uuid) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("table \"%s.%s\" of catalog \"%s\" is another one than was exported to",
						export->name.namespace, export->name.table, export->name.catalog),
				 errhint("Export the feature view to another table.")));
	return table;
}

/* The names of all files of a commit but its list and metadata. */
static List *
list_files(const FsLakeCommit *commit)
{
	List	   *locations = list_make1(commit->manifest);
	ListCell   *lc;

	foreach(lc, commit->files)
		locations = lappend(locations, ((FsLakeFile *) lfirst(lc))->location);
	return locations;
}

/* Moves the pointer and all that goes with it; false when it was moved by somebody else. */
static bool
swap_pointer(FsLakeExport *export, const FsLakeCommit *commit, const FsLakeTable *base)
{
	bool		is_moved;

	fs_transaction_begin();
	if (!fs_lake_state_lock(export))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("feature view %s is not exported any more", export->view_name)));
	is_moved = fs_lake_catalog_swap(&export->name, base->location, commit->metadata);
	if (is_moved)
	{
		fs_lake_state_keep(lappend(lappend(list_files(commit), commit->list), commit->metadata));
		fs_lake_state_drop(export, commit->dropped);
		fs_lake_state_done(export, commit->rows, commit->bytes, list_length(commit->files));
	}
	FS_FAULT("lake_swapped");
	fs_transaction_end(export->context);
	if (is_moved)
		FS_FAULT("lake_committed");
	return is_moved;
}

/* Somebody else moved the pointer: our metadata must not be taken for the table's newest.  Waits a moment. */
static void
step_back(FsLakeExport *export, const FsLakeCommit *commit)
{
	fs_object_store_delete(export->store, commit->metadata);
	fs_object_store_delete(export->store, commit->list);
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 1 + random() % MAX_WAIT_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	fs_lake_state_refresh(export);
}

/* The name of a metadata file, as readers without a catalog are told it: without directory and ending. */
static void
put_hint(FsLakeExport *export, const char *metadata)
{
	const char *slash = strrchr(metadata, '/');
	const char *end = strstr(slash, ".metadata.json");

	Assert(slash != NULL && end != NULL);
	fs_object_store_replace(export->store, psprintf("%s/version-hint.text", pnstrdup(metadata, slash - metadata)),
							pnstrdup(slash + 1, end - slash - 1));
	FS_FAULT("lake_hint");
}

/*
 * The same where it is not needed: the pointer has moved, so the export has not
 * failed.  An error is reported, and the next commit puts a hint again.
 */
static void
try_hint(FsLakeExport *export, const char *metadata)
{
	MemoryContext caller = CurrentMemoryContext;

	Assert(!IsTransactionState());
	PG_TRY();
	{
		put_hint(export, metadata);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		EmitErrorReport();
		FlushErrorState();
	}
	PG_END_TRY();
}

/* Makes the files part of the table, on top of whatever it has by then. */
static void
commit_files(FsLakeExport *export, FsLakeTable *base, List *files)
{
	FsLakeCommit *commit = fs_lake_commit_begin(base, files, fs_lake_state_mark(export));

	fs_lake_state_name(export, list_files(commit));
	FS_FAULT("lake_named");
	fs_lake_commit_put_files(commit, base);
	for (int attempt = 1;; attempt++)
	{
		fs_lake_commit_name(commit, base);
		fs_lake_state_name(export, list_make2(commit->list, commit->metadata));
		fs_lake_commit_put_metadata(commit, base);
		if (swap_pointer(export, commit, base))
			break;
		if (attempt == MAX_ATTEMPTS)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not commit to table \"%s.%s\": others were faster %d times",
							export->name.namespace, export->name.table, MAX_ATTEMPTS)));
		step_back(export, commit);
		base = load_table(export);
	}
	try_hint(export, commit->metadata);
}

/* What is to be exported turned out to have no rows, or there is nothing: only that is to be remembered. */
static void
commit_nothing(FsLakeExport *export)
{
	fs_transaction_begin();
	if (fs_lake_state_lock(export))
		fs_lake_state_done(export, 0, 0, 0);
	fs_transaction_end(export->context);
}

/* See lake_export.h. */
void
fs_lake_export_run(Oid view)
{
	FsLakeExport *export = fs_lake_state_load(view);
	FsLakeTable *table;
	List	   *files;

	if (export == NULL)
		return;
	table = fs_lake_evolve(export, load_table(export));
	files = fs_lake_state_read(export, table->metadata);
	FS_FAULT("lake_spooled");
	if (files == NIL)
		commit_nothing(export);
	else
		commit_files(export, table, files);
}
