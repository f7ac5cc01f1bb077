/*
 * lake_commit.c
 *		Commits to a table in a lake; see lake_commit.h.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/builtins.h"

#include "ground/fault.h"
#include "ground/identity.h"
#include "ground/transaction.h"
#include "offline/lake_rewrite.h"
#include "pipeline/lake_commit.h"

#define MAX_ATTEMPTS	20		/* of a commit that somebody else is faster than */
#define MAX_WAIT_MS		1000	/* between two of them */

/*
 * Throws in a copy of the database that writes the table: each of the two would
 * delete files that only the other one knows to be needed.
 */
static void
check_writer(const FsLakeExport *export)
{
	if (export->writer != NULL && strcmp(export->writer, fs_identity_writer()) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("this database is a copy of the one that writes table \"%s.%s\": see take_over_lake()",
					export->name.namespace, export->name.table),
			 errdetail("The table is written by database \"%s\", and this one is \"%s\" (system identifier, OID, timeline).",
					   export->writer != NULL ? export->writer : "", fs_identity_writer()),
			 errhint("Once that one writes no more, call feature_stream.take_over_lake(%s).  While it does, end the export here with alter_feature_view(..., reset => '{offline}').",
					 quote_literal_cstr(export->view_name))));
}

/* See lake_commit.h. */
FsLakeTable *
fs_lake_open(FsLakeExport *export)
{
	FsLakeTable *table;

	if (export->location == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s.%s\" is no longer in catalog \"%s\"",
						export->name.namespace, export->name.table, export->name.catalog),
				 errhint("End the export with alter_feature_view(..., reset => '{offline}'), and begin it again.")));
	check_writer(export);
	table = fs_lake_table_load(export->store, export->location);
	if (export->uuid == NULL || strcmp(fs_iceberg_uuid(table->metadata), export->uuid) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("table \"%s.%s\" of catalog \"%s\" is another one than was exported to",
						export->name.namespace, export->name.table, export->name.catalog),
				 errhint("Export the feature view to another table.")));
	return table;
}

/* The names of a commit's data files, and of their manifest. */
static List *
list_files(const FsLakeCommit *commit)
{
	List	   *locations = commit->manifest != NULL ? list_make1(commit->manifest) : NIL;
	ListCell   *lc;

	foreach(lc, commit->files)
		locations = lappend(locations, ((FsLakeFile *) lfirst(lc))->location);
	return locations;
}

/* The names of list and metadata, and of manifests that are written anew. */
static List *
list_metadata(const FsLakeCommit *commit)
{
	List	   *locations = commit->rewrite != NULL ? fs_lake_rewrite_names(commit->rewrite) : NIL;

	if (commit->list != NULL)
		locations = lappend(locations, commit->list);
	return lappend(locations, commit->metadata);
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
		fs_lake_state_keep(list_concat(list_files(commit), list_metadata(commit)));
		fs_lake_state_drop(export, commit->dropped, commit->expired);
		if (commit->mark != NULL)
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
	if (commit->list != NULL)
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

/* Prepares a rewriting commit for a base; false when there is nothing to be done there. */
static bool
plan(FsLakeCommit *commit, FsLakeTable *base)
{
	return commit->rewrite == NULL || fs_lake_rewrite_plan(commit->rewrite, base);
}

/* Makes lists and metadata for a base, and the manifests that are written anew. */
static void
put_on(FsLakeExport *export, FsLakeCommit *commit, FsLakeTable *base)
{
	fs_lake_commit_name(commit, base);
	fs_lake_state_name(export, list_metadata(commit));
	if (commit->rewrite != NULL)
		fs_lake_rewrite_put(commit->rewrite, commit, base);
	fs_lake_commit_put_metadata(commit, base);
}

/* See lake_commit.h. */
bool
fs_lake_commit(FsLakeExport *export, FsLakeTable *base, FsLakeCommit *commit)
{
	if (!plan(commit, base))
		return false;
	fs_lake_state_name(export, list_files(commit));
	FS_FAULT("lake_named");
	fs_lake_commit_put_files(commit, base);
	for (int attempt = 1;; attempt++)
	{
		put_on(export, commit, base);
		if (swap_pointer(export, commit, base))
			break;
		if (attempt == MAX_ATTEMPTS)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("could not commit to table \"%s.%s\": others were faster %d times",
							export->name.namespace, export->name.table, MAX_ATTEMPTS)));
		step_back(export, commit);
		base = fs_lake_open(export);
		if (!plan(commit, base))
			return false;
	}
	export->location = commit->metadata;
	try_hint(export, commit->metadata);
	return true;
}
