/*
 * lake_evolve.c
 *		A table in the lake follows the columns of its history; see lake_evolve.h.
 *
 * A column is known by its number in the history, which no other one gets: where
 * a feature was dropped and another one has its name, the old column goes and a
 * new one comes, under an id of its own, so that no reader takes old values for
 * new ones.  The numbers that the table follows are in lake_export; they change
 * in the transaction that moves the pointer.
 */
#include "postgres.h"

#include "core/iceberg.h"
#include "ground/fault.h"
#include "ground/transaction.h"
#include "offline/lake_rows.h"
#include "pipeline/lake_evolve.h"

/* What is to be changed; names are the export's. */
typedef struct Evolution
{
	FsIcebergSchemaChange change;
	const char **dropped;
	const char **relaxed;
	FsParquetColumn *widened;
	FsParquetColumn *added;
	bool		is_known;		/* the history has the columns that the table followed */
} Evolution;

/* The column of the table that has this name, or NULL. */
static const FsParquetColumn *
find_column(const FsParquetColumn *columns, int ncolumns, const char *name)
{
	for (int i = 0; i < ncolumns; i++)
		if (strcmp(columns[i].name, name) == 0)
			return &columns[i];
	return NULL;
}

/* Has the history a column of this number? */
static bool
has_number(const FsLakeExport *export, AttrNumber number)
{
	for (int i = 0; i < export->ncolumns; i++)
		if (export->columns[i].number == number)
			return true;
	return false;
}

/* Did the table follow a column of this number? */
static bool
is_known(const FsLakeExport *export, AttrNumber number)
{
	for (int i = 0; i < export->nknown; i++)
		if (export->known[i].number == number)
			return true;
	return false;
}

/* Chooses the columns that go: those whose numbers the history has no more. */
static void
choose_dropped(Evolution *evolution, const FsLakeExport *export, const FsParquetColumn *columns, int ncolumns)
{
	for (int i = 0; i < export->nknown; i++)
	{
		if (has_number(export, export->known[i].number))
			continue;
		evolution->is_known = false;
		if (find_column(columns, ncolumns, export->known[i].name) != NULL)
			evolution->dropped[evolution->change.ndropped++] = export->known[i].name;
	}
}

/* Is the column among those that go? */
static bool
is_dropped(const Evolution *evolution, const char *name)
{
	for (int i = 0; i < evolution->change.ndropped; i++)
		if (strcmp(evolution->dropped[i], name) == 0)
			return true;
	return false;
}

/* Has the history a decimal of a greater precision than the table?  Of another scale it cannot become. */
static bool
is_wider(const FsParquetColumn *ours, const FsParquetColumn *theirs)
{
	return ours->type == FS_PARQUET_DECIMAL && theirs->type == FS_PARQUET_DECIMAL && ours->is_list == theirs->is_list &&
		ours->scale == theirs->scale && ours->precision > theirs->precision;
}

/*
 * Chooses the columns that come, those that can be NULL from now on, and decimals
 * that get more digits.  One that the table has already, by a client of the
 * catalog, is taken as it is.
 */
static void
choose_added(Evolution *evolution, const FsLakeExport *export, const FsParquetColumn *columns, int ncolumns)
{
	FsIcebergSchemaChange *change = &evolution->change;

	for (int i = 0; i < export->ncolumns; i++)
	{
		const FsParquetColumn *ours = &export->columns[i].column;
		const FsParquetColumn *theirs = is_dropped(evolution, ours->name) ? NULL :
			find_column(columns, ncolumns, ours->name);

		if (theirs != NULL && theirs->required && !ours->required)
			evolution->relaxed[change->nrelaxed++] = ours->name;
		if (theirs != NULL && is_wider(ours, theirs))
			evolution->widened[change->nwidened++] = *ours;
		if (is_known(export, export->columns[i].number))
			continue;
		evolution->is_known = false;
		if (theirs != NULL)
			continue;
		evolution->added[change->nadded] = *ours;
		evolution->added[change->nadded++].required = false;
	}
}

/* Changes the metadata to what the history is; false when nothing was to be changed, in it or in what is known. */
static bool
change_schema(const FsLakeExport *export, FsIcebergMetadata *metadata, bool *is_changed)
{
	Evolution	evolution = {.is_known = true};
	FsParquetColumn *columns;
	int			ncolumns;
	char		message[FS_ICEBERG_MESSAGE_SIZE];

	evolution.change.dropped = evolution.dropped = palloc(sizeof(char *) * Max(export->nknown, 1));
	evolution.change.relaxed = evolution.relaxed = palloc(sizeof(char *) * export->ncolumns);
	evolution.change.widened = evolution.widened = palloc(sizeof(FsParquetColumn) * export->ncolumns);
	evolution.change.added = evolution.added = palloc0(sizeof(FsParquetColumn) * export->ncolumns);
	if (!fs_iceberg_columns(metadata, &columns, &ncolumns, message))
		fs_lake_throw("read the columns of the table in the lake", message);
	choose_dropped(&evolution, export, columns, ncolumns);
	choose_added(&evolution, export, columns, ncolumns);
	if (!fs_iceberg_change_schema(metadata, &evolution.change, message))
		fs_lake_throw("change the columns of the table in the lake", message);
	*is_changed = evolution.change.ndropped + evolution.change.nrelaxed + evolution.change.nwidened +
		evolution.change.nadded > 0;
	return *is_changed || !evolution.is_known;
}

/* Moves the pointer, where there is new metadata, and notes what the table follows; false when somebody was faster. */
static bool
commit_schema(FsLakeExport *export, const FsLakeTable *base, const FsLakeCommit *commit)
{
	bool		is_moved = fs_lake_state_lock(export);

	if (!is_moved)
		return false;
	if (commit != NULL)
	{
		is_moved = fs_lake_catalog_swap(&export->name, base->location, commit->metadata);
		if (is_moved)
		{
			fs_lake_state_keep(list_make1(commit->metadata));
			fs_lake_state_drop(export, commit->dropped, NIL);
		}
	}
	if (is_moved)
		fs_lake_state_set_columns(export);
	return is_moved;
}

/* See lake_evolve.h. */
FsLakeTable *
fs_lake_evolve(FsLakeExport *export, FsLakeTable *table)
{
	FsLakeCommit *commit = NULL;
	bool		is_changed;
	bool		is_moved;

	if (!change_schema(export, table->metadata, &is_changed))
		return table;
	if (is_changed)
	{
		commit = fs_lake_commit_begin_change(table);
		fs_lake_state_name(export, list_make1(commit->metadata));
		fs_lake_commit_put_change(commit, table);
	}
	fs_transaction_begin();
	is_moved = commit_schema(export, table, commit);
	FS_FAULT("lake_evolved");
	fs_transaction_end(export->context);
	if (!is_moved)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not change the columns of table \"%s.%s\": it has changed meanwhile",
						export->name.namespace, export->name.table)));
	if (!is_changed)
		return table;
	export->location = commit->metadata;
	return fs_lake_table_load(export->store, export->location);
}
