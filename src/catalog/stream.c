/*
 * stream.c
 *		The definition of a stream, read from its foreign table.
 *
 * Called in users' sessions when a stream is created or altered, so that wrong
 * definitions are refused at once, and in workers whenever definitions change.
 * Only the system catalogs are read; no peer is asked.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_type.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "catalog/extension.h"
#include "catalog/options.h"
#include "catalog/payload.h"
#include "catalog/stream.h"
#include "catalog/stream_contract.h"
#include "catalog/stream_table.h"
#include "catalog/user_mapping.h"

/* Shortest slice: each one is a partition's worth of bookkeeping. */
#define MIN_SLICE USECS_PER_SEC

static bool
is_stream_wrapper(FsWrapper wrapper)
{
	return wrapper == FS_WRAPPER_KAFKA || wrapper == FS_WRAPPER_TABLE;
}

/* See stream.h. */
bool
fs_is_stream(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(FOREIGNTABLEREL,
										ObjectIdGetDatum(relid));
	Oid			serverid;

	if (!HeapTupleIsValid(tuple))
		return false;
	serverid = ((Form_pg_foreign_table) GETSTRUCT(tuple))->ftserver;
	ReleaseSysCache(tuple);
	return is_stream_wrapper(fs_wrapper_of_server(serverid));
}

/* See stream.h. */
List *
fs_stream_list(void)
{
	Relation	rel = table_open(ForeignTableRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	List	   *streams = NIL;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_foreign_table form = (Form_pg_foreign_table) GETSTRUCT(tuple);

		if (is_stream_wrapper(fs_wrapper_of_server(form->ftserver)))
			streams = lappend_oid(streams, form->ftrelid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	list_sort(streams, list_oid_cmp);
	return streams;
}

/* Databases in another encoding would need every text converted: refused. */
static void
check_encoding(void)
{
	if (GetDatabaseEncoding() == PG_UTF8)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("streams need a database with encoding UTF8"),
			 errdetail("The encoding of this database is %s.",
					   GetDatabaseEncodingName()),
			 errhint("Create a database with ENCODING 'UTF8'.")));
}

/* Finds the event time column and checks that it can be one. */
static void
load_event_time(FsStreamDef *def, const char *name)
{
	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("stream %s has no event time", def->name),
				 errhint("Name a column of type timestamptz in the option event_time.")));
	for (int i = 0; i < def->ncolumns; i++)
	{
		const FsColumn *column = &def->columns[i];

		if (strcmp(column->name, name) != 0)
			continue;
		if (column->type != FS_TYPE_TIMESTAMPTZ || !column->not_null)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("event time column \"%s\" of stream %s must be timestamptz NOT NULL",
							name, def->name),
					 errdetail("It is %s%s.", format_type_be(column->typid),
							   column->not_null ? " NOT NULL" : ""),
					 errhint("Every event needs a time: declare the column as timestamptz NOT NULL.")));
		def->event_time = i;
		return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("event time column \"%s\" of stream %s does not exist",
					name, def->name),
			 errhint("The option event_time takes the SQL name of a column, not the field in the payload.")));
}

/* Checks what the options say together. */
static void
check_spans(const FsStreamDef *def)
{
	Assert(def->watermark_delay >= 0 && def->max_future >= 0);
	if (def->slice < MIN_SLICE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("slice of stream %s must be at least 1 second",
						def->name),
				 errhint("The slice is the unit of window lengths and slides; the default is 1 minute.")));
	if (def->kind == FS_SOURCE_TABLE && def->arrival == NULL &&
		def->start_kind == FS_START_TIMESTAMP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("stream %s needs the option \"arrival\" to start at a timestamp",
						def->name),
				 errhint("Name a timestamptz column of the table, or use start 'earliest'.")));
	if (def->kind == FS_SOURCE_TABLE && def->start_kind == FS_START_OFFSETS &&
		(def->nstart_offsets != 1 || def->start_offsets[0].partition != 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("stream %s reads a table, which has partition 0 alone",
						def->name),
				 errhint("Write start 'offsets 0:<value of the order_by column>'.")));
}

/* Throws for a topic of dead letters that would be read again, or that would get none of their bytes. */
static void
check_dead_letter_topic(const FsStreamDef *def)
{
	if (def->dead_letter_topic == NULL)
		return;
	if (strcmp(def->dead_letter_topic, def->topic) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("stream %s cannot send its dead letters to the topic that it reads", def->name),
				 errhint("Name another topic in the option \"dead_letter_topic\".")));
	if (!def->dead_letter_payload)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("stream %s does not keep the bytes that its \"dead_letter_topic\" is to get", def->name),
				 errhint("Drop the option \"dead_letter_payload\", or \"dead_letter_topic\".")));
}

/* Throws when the option "key" names no column of the payload. */
static void
check_key(const FsStreamDef *def)
{
	for (int i = 0; i < def->ncolumns; i++)
		if (def->key == NULL || strcmp(def->columns[i].name, def->key) == 0)
			return;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("key column \"%s\" of stream %s does not exist", def->key, def->name),
			 errhint("The option key takes the SQL name of a column that is a field of the payload.")));
}

/* Reads brokers, librdkafka properties and the registry: server, table, user mapping. */
static void
load_kafka(FsStreamDef *def, List *table_options)
{
	ForeignServer *server = GetForeignServer(def->serverid);
	List	   *mapping = fs_user_mapping_options(def->serverid, def->owner);

	if (def->topic == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("stream %s has no topic", def->name),
				 errhint("Name the topic in the option topic.")));
	check_dead_letter_topic(def);
	check_key(def);
	fs_options_settings(def, ForeignServerRelationId, server->options);
	fs_options_settings(def, ForeignTableRelationId, table_options);
	fs_options_settings(def, UserMappingRelationId, mapping);
	if (def->format == FS_FORMAT_AVRO && def->schema == NULL)
		def->registry = fs_registry_config(server->options, mapping);
	for (int i = 0; i < def->nsettings; i++)
		if (strcmp(def->settings[i].name, "bootstrap.servers") == 0)
			def->brokers = def->settings[i].value;
	if (def->brokers == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
				 errmsg("server \"%s\" has no brokers", server->servername),
				 errhint("ALTER SERVER ... OPTIONS (ADD brokers 'host:port').")));
}

/* Throws unless the open relation is a plain stream. */
static void
check_relation(Relation rel)
{
	char	   *name = fs_relation_name(RelationGetRelid(rel));

	if (!fs_is_stream(RelationGetRelid(rel)))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a stream", name),
				 errhint("A stream is a foreign table of a server of wrapper feature_stream_kafka or feature_stream_table.")));
	if (rel->rd_rel->relispartition || rel->rd_rel->relhassubclass)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("stream %s must not be a partition or be inherited from",
						name),
				 errhint("Create it as a foreign table of its own.")));
}

/* See stream.h. */
FsStreamDef *
fs_stream_load(Oid relid)
{
	FsStreamDef *def = palloc0(sizeof(FsStreamDef));
	Relation	rel;
	ForeignTable *table;

	fs_stream_table_lock(relid);
	rel = try_relation_open(relid, AccessShareLock);
	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("stream with OID %u does not exist", relid)));
	check_encoding();
	check_relation(rel);
	table = GetForeignTable(relid);
	def->relid = relid;
	def->owner = rel->rd_rel->relowner;
	def->serverid = table->serverid;
	def->name = fs_relation_name(relid);
	def->kind = fs_wrapper_of_server(table->serverid) == FS_WRAPPER_KAFKA ?
		FS_SOURCE_KAFKA : FS_SOURCE_TABLE;
	fs_options_default(def);
	fs_options_read(def, table->options);
	fs_contract_load(def, rel);
	load_event_time(def, fs_option_value(table->options, "event_time"));
	check_spans(def);
	if (def->kind == FS_SOURCE_KAFKA)
		load_kafka(def, table->options);
	else
		fs_stream_table_load(def, fs_option_value(table->options, "table"));
	fs_payload_check(def);
	Assert(def->event_time >= 0 && def->event_time < def->ncolumns);
	Assert(def->slice > 0 && def->idle_after > 0 && def->max_drift > 0);
	relation_close(rel, NoLock);	/* the definition stays as it is until the caller's commit */
	return def;
}
