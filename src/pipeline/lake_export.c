/*
 * lake_export.c
 *		From histories to the lake, exactly once; see lake_export.h.
 */
#include "postgres.h"

#include "catalog/feature_view.h"
#include "ground/fault.h"
#include "ground/identity.h"
#include "ground/transaction.h"
#include "offline/lake_table.h"
#include "pipeline/lake_commit.h"
#include "pipeline/lake_evolve.h"
#include "pipeline/lake_export.h"
#include "pipeline/lake_state.h"

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

/* In which order files are to be, once they are written anew: by entity, whose columns come first, then by window end. */
static List *
sort_order(FsLakeExport *export)
{
	List	   *names = NIL;
	int			nentity;

	fs_transaction_begin();
	MemoryContextSwitchTo(export->context);
	nentity = fs_view_load(export->view)->nentity;
	fs_transaction_end(export->context);
	for (int i = 0; i < Min(nentity, export->ncolumns); i++)
		if (!export->columns[i].column.is_list)
			names = lappend(names, unconstify(char *, export->columns[i].column.name));
	return lappend(names, "window_end");
}

/* Makes the table in the lake, empty, and enters it into the catalog. */
static void
create_table(FsLakeExport *export)
{
	FsLakeNewTable table;
	bool		is_made;

	fs_lake_table_create(&table, table_base(export), export->columns, export->ncolumns,
						 export->partition_by, sort_order(export), export->view_name, export->config->compression_level);
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
	export->writer = fs_identity_writer();
	export->location = table.location;
}

/* Reads the table, which is made when there was none. */
static FsLakeTable *
open_table(FsLakeExport *export)
{
	if (export->location == NULL && export->uuid == NULL)
		create_table(export);
	return fs_lake_open(export);
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
	table = fs_lake_evolve(export, open_table(export));
	files = fs_lake_state_read(export, table->metadata);
	FS_FAULT("lake_spooled");
	if (files == NIL)
		commit_nothing(export);
	else
		(void) fs_lake_commit(export, table, fs_lake_commit_begin(table, "append", files, fs_lake_state_mark(export)));
}
