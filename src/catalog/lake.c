/*
 * lake.c
 *		Feature views that are exported to a lake: what DDL does about it; see lake.h.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "catalog/extension.h"
#include "catalog/lake.h"
#include "catalog/lake_columns.h"
#include "catalog/lake_options.h"
#include "catalog/options.h"
#include "catalog/window.h"

#define MAX_TABLE_NAME 255		/* of the catalog's tables */

/* Throws unless 'name' is "namespace.table", of plain characters. */
static void
check_table_name(const char *name)
{
	const char *dot = strrchr(name, '.');
	bool		is_good = fs_lake_name_is_plain(name) && dot != NULL && dot > name && dot[1] != '\0' &&
		name[0] != '.' && strstr(name, "..") == NULL && strlen(name) <= MAX_TABLE_NAME;

	if (!is_good)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for argument \"%s\": \"%s\"", "offline_table", name),
				 errdetail("It must be a namespace and a table with a dot between them, of letters, digits and the characters \"-_~\"."),
				 errhint("For example offline_table => 'features.sessions'.")));
}

/* Throws when the table is there already, or another feature view's. */
static void
check_table_is_free(const FsLakeConfig *config, const char *name)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2] = {CStringGetTextDatum(config->catalog_name), CStringGetTextDatum(name)};

	if (fs_owner_execute("SELECT FROM feature_stream_catalog.iceberg_tables"
						 " WHERE catalog_name = $1 AND table_namespace || '.' || table_name = $2"
						 " UNION ALL SELECT FROM feature_stream.lake_export"
						 " WHERE catalog_name = $1 AND table_namespace || '.' || table_name = $2",
						 SPI_OK_SELECT, 2, types, values, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("table \"%s\" is already there in catalog \"%s\"", name, config->catalog_name),
				 errhint("Choose another offline_table, or drop the table by a client of the catalog.")));
}

/* See lake.h. */
FsIcebergPartition *
fs_lake_read_partitions(ArrayType *texts, FsScratch *memory, int *n)
{
	Datum	   *elements;
	bool	   *nulls;
	FsIcebergPartition *partitions;
	char		message[FS_ICEBERG_MESSAGE_SIZE];

	deconstruct_array(texts, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, n);
	partitions = palloc0(sizeof(FsIcebergPartition) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		char	   *word = nulls[i] ? pstrdup("") : TextDatumGetCString(elements[i]);

		if (!fs_iceberg_partition_read(word, memory, &partitions[i], message))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid value for argument \"%s\": \"%s\"", "offline_partition_by", word),
					 errdetail_internal("%s.", message),
					 errhint("Write a column, or day(column), hour(column), month(column), year(column), bucket(16, column), truncate(8, column).")));
	}
	return partitions;
}

/* The column of this name, or NULL. */
static const FsParquetColumn *
find_column(const FsLakeColumn *columns, int ncolumns, const char *name)
{
	for (int i = 0; i < ncolumns; i++)
		if (strcmp(columns[i].column.name, name) == 0)
			return &columns[i].column;
	return NULL;
}

/* Throws unless the history can be partitioned like that. */
static void
check_partitions(const FsIcebergPartition *partitions, int n, const FsLakeColumn *columns, int ncolumns)
{
	for (int i = 0; i < n; i++)
	{
		const FsParquetColumn *column = find_column(columns, ncolumns, partitions[i].column);
		FsIcebergType source;

		if (column == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("the history has no column \"%s\"", partitions[i].column),
					 errhint("Partition by columns of the history, for example by day(window_end).")));
		source = fs_iceberg_type_of(column);
		if (column->is_list || !fs_iceberg_can_partition(&partitions[i].transform, &source))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("column \"%s\" cannot be partitioned like that", partitions[i].column),
					 errdetail("The transform does not take values of its type.")));
	}
}

/* Throws when a table is partitioned by a column that the history had, and has no more. */
static void
check_sources(const FsViewDef *view, const FsIcebergPartition *partitions, int n, const FsLakeColumn *columns,
			  int ncolumns)
{
	for (int i = 0; i < n; i++)
		if (find_column(columns, ncolumns, partitions[i].column) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("cannot drop column \"%s\" of the history of feature view %s",
							partitions[i].column, fs_relation_name(view->relid)),
					 errdetail("Its table in the lake is partitioned by that column."),
					 errhint("Drop the feature without drop_history, or end the export with reset => '{offline}' before.")));
}

/* Checks columns and partitions of the history, for a new table or one that is there. */
static void
check_columns(const FsViewDef *view, ArrayType *partition_by, bool is_new)
{
	FsScratch	memory = {0};
	int			ncolumns;
	int			n;
	FsLakeColumn *columns = fs_lake_columns(view->history, &ncolumns);

	PG_TRY();
	{
		FsIcebergPartition *partitions = fs_lake_read_partitions(partition_by, &memory, &n);

		if (!is_new)
			check_sources(view, partitions, n, columns, ncolumns);
		check_partitions(partitions, n, columns, ncolumns);
	}
	PG_FINALLY();
	{
		fs_scratch_free(&memory);
	}
	PG_END_TRY();
}

/* Sets what the user left open. */
static void
set_defaults(const FsViewDef *view, FsViewRequest *request)
{
	if (request->offline_table == NULL)
		request->offline_table = psprintf("%s.%s", view->schema, view->name);
	if (request->offline_partition_by == NULL)
	{
		Datum		day = CStringGetTextDatum("day(window_end)");

		request->offline_partition_by = construct_array(&day, 1, TEXTOID, -1, false, TYPALIGN_INT);
	}
	if (request->offline_interval == NULL)
	{
		request->offline_interval = palloc0(sizeof(Interval));
		request->offline_interval->time = FS_LAKE_DEFAULT_INTERVAL * USECS_PER_SEC;
	}
}

/* See lake.h. */
void
fs_lake_check(FsViewDef *view, FsViewRequest *request)
{
	FsLakeConfig *config;

	if (request->offline == NULL)
	{
		if (request->offline_table != NULL || request->offline_partition_by != NULL || request->offline_interval != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"offline_table\", \"offline_partition_by\" and \"offline_interval\" need the argument \"offline\""),
					 errhint("Name a server of wrapper feature_stream_iceberg.")));
		return;
	}
	if (!OidIsValid(view->history))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"offline\" needs a history"),
				 errhint("Leave out history => 'none'; history_retention bounds what it keeps.")));
	if (GetDatabaseEncoding() != PG_UTF8)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a database of encoding %s cannot be exported to a lake", GetDatabaseEncodingName()),
				 errdetail("Texts in a lake are UTF-8.")));
	view->offline_server = fs_server_find(request->offline, view->owner, FS_WRAPPER_LAKE);
	config = fs_lake_config_load(view->offline_server, view->owner);
	set_defaults(view, request);
	(void) fs_interval_to_usec(request->offline_interval, "offline_interval", USECS_PER_SEC);
	check_table_name(request->offline_table);
	check_table_is_free(config, request->offline_table);
	check_columns(view, request->offline_partition_by, true);
}

/* See lake.h. */
void
fs_lake_check_change(const FsViewDef *view)
{
	if (OidIsValid(view->offline_server))
		check_columns(view, view->offline_partition_by, false);
}

/* See lake.h. */
void
fs_lake_check_history(Oid history)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(history, NoLock, NULL))
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_FOREIGN_TABLE)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("history %s has a foreign table for a partition", fs_relation_name(history)),
					 errhint("Detach %s first.", fs_relation_name(lfirst_oid(lc)))));
}

/* A bound of one column and time: a time, or the function throws. */
static TimestampTz
read_bound(const FsViewDef *view, const PartitionBoundInfo bounds, int i)
{
	TimestampTz time = 0;
	bool		is_time = i >= 0 && bounds->kind[i][0] == PARTITION_RANGE_DATUM_VALUE;

	if (is_time)
		time = DatumGetTimestampTz(bounds->datums[i][0]);
	if (!is_time || TIMESTAMP_NOT_FINITE(time))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("history %s has a partition without bounds", fs_relation_name(view->history)),
				 errhint("Detach it first.")));
	return time;
}

/*
 * Enters what a partition has, from a time to before another.  How many rows it
 * has is told by the pages that it and its partitions have now, and by how many
 * rows of them were on a page when they were analyzed, else by what its columns
 * take at least: rather too many, which makes commits smaller.
 */
static void
enter_partition(const FsViewDef *view, Oid partition, TimestampTz from, TimestampTz to)
{
	Oid			types[4] = {OIDOID, OIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[4] = {ObjectIdGetDatum(view->relid), ObjectIdGetDatum(partition), TimestampTzGetDatum(from),
	TimestampTzGetDatum(to - 1)};

	fs_owner_execute("INSERT INTO feature_stream.lake_chunk (view, first_window_end, last_window_end, row_count)"
					 " SELECT $1, $3, $4, coalesce(sum(s.bytes * CASE WHEN c.reltuples > 0 AND c.relpages > 0"
					 " THEN c.reltuples / c.relpages / pg_catalog.current_setting('block_size')::float8 ELSE 1.0 / w.bytes END), 0)::int8"
					 " FROM pg_catalog.pg_partition_tree($2) p JOIN pg_catalog.pg_class c ON c.oid = p.relid,"
					 " LATERAL (SELECT pg_catalog.pg_relation_size(p.relid) AS bytes) s,"
					 " LATERAL (SELECT 28 + sum(CASE WHEN a.attlen > 0 THEN a.attlen ELSE 16 END) AS bytes FROM pg_catalog.pg_attribute a"
					 " WHERE a.attrelid = p.relid AND a.attnum > 0 AND NOT a.attisdropped) w WHERE p.isleaf",
					 SPI_OK_INSERT, 4, types, values, NULL);
}

/* A snapshot from before the lock does not see what writers wrote until they let go of theirs. */
static void
refuse_old_snapshot(void)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("the export of a history cannot begin in a transaction of isolation level %s",
						XactIsoLevel == XACT_SERIALIZABLE ? "SERIALIZABLE" : "REPEATABLE READ"),
				 errhint("Use READ COMMITTED.")));
}

/*
 * Enters what the history has: a chunk for each partition, in their order.
 * Writers of the history wait.  Throws for partitions without bounds.
 */
static void
enter_existing(const FsViewDef *view)
{
	Relation	rel;
	PartitionDesc desc;

	refuse_old_snapshot();
	fs_user_execute(psprintf("LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE", fs_relation_name(view->history)),
					SPI_OK_UTILITY);
	fs_lake_check_history(view->history);
	rel = table_open(view->history, NoLock);
	desc = RelationGetPartitionDesc(rel, false);
	if (desc->nparts > 0 && partition_bound_has_default(desc->boundinfo))
		(void) read_bound(view, desc->boundinfo, -1);
	for (int i = 0; desc->nparts > 0 && i < desc->boundinfo->ndatums; i++)
	{
		int			partition = desc->boundinfo->indexes[i];

		/* datums[i] is the upper bound of partition indexes[i] */
		if (partition >= 0)
			enter_partition(view, desc->oids[partition], read_bound(view, desc->boundinfo, i - 1),
							read_bound(view, desc->boundinfo, i));
	}
	table_close(rel, NoLock);
}

/* So that the rows of a chunk are found: the history has no other index by window end, and grows by it. */
static void
create_index(const FsViewDef *view)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(view->history)};

	if (fs_owner_execute("SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
						 " JOIN pg_catalog.pg_am a ON a.oid = c.relam JOIN pg_catalog.pg_attribute t"
						 " ON t.attrelid = i.indrelid AND t.attnum = i.indkey[0]"
						 " WHERE i.indrelid = $1 AND a.amname = 'brin' AND t.attname = 'window_end'",
						 SPI_OK_SELECT, 1, types, values, NULL) == 0)
		fs_user_execute(psprintf("CREATE INDEX ON %s USING brin (window_end) WITH (pages_per_range = 32, autosummarize = on)",
								 fs_relation_name(view->history)),
						SPI_OK_UTILITY);
}

/* See lake.h. */
void
fs_lake_attach(const FsViewDef *view, const FsViewRequest *request, bool is_new)
{
	FsLakeConfig *config = fs_lake_config_load(view->offline_server, view->owner);
	char	   *namespace = pstrdup(request->offline_table);
	char	   *dot = strrchr(namespace, '.');
	Oid			types[4] = {OIDOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[4];
	ObjectAddress self;
	ObjectAddress server;

	Assert(dot != NULL && OidIsValid(view->offline_server));
	*dot = '\0';
	values[0] = ObjectIdGetDatum(view->relid);
	values[1] = CStringGetTextDatum(config->catalog_name);
	values[2] = CStringGetTextDatum(namespace);
	values[3] = CStringGetTextDatum(dot + 1);
	if (!is_new)
		enter_existing(view);
	fs_owner_execute("INSERT INTO feature_stream.lake_export (view, catalog_name, table_namespace, table_name)"
					 " VALUES ($1, $2, $3, $4)",
					 SPI_OK_INSERT, 4, types, values, NULL);
	create_index(view);
	ObjectAddressSet(self, RelationRelationId, view->relid);
	ObjectAddressSet(server, ForeignServerRelationId, view->offline_server);
	recordDependencyOn(&self, &server, DEPENDENCY_NORMAL);
}

/* See lake.h. */
void
fs_lake_detach(const FsViewDef *view)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(view->relid)};

	fs_owner_execute("DELETE FROM feature_stream.lake_chunk WHERE view = $1", SPI_OK_DELETE, 1, types, values, NULL);
	fs_owner_execute("DELETE FROM feature_stream.lake_upkeep WHERE view = $1", SPI_OK_DELETE, 1, types, values, NULL);
	fs_owner_execute("DELETE FROM feature_stream.lake_export WHERE view = $1", SPI_OK_DELETE, 1, types, values, NULL);
	(void) deleteDependencyRecordsForSpecific(RelationRelationId, view->relid, DEPENDENCY_NORMAL,
											  ForeignServerRelationId, view->offline_server);
}
