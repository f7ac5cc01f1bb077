/*
 * stream_events.c
 *		Event triggers: what follows from DDL on streams and feature views.
 *
 * A validator sees no columns, and PostgreSQL knows nothing of our rows, so two
 * event triggers look at every definition as a whole and clean up after every
 * drop, whatever command it came from.  Errors here refuse the command.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_type.h"
#include "catalog/pg_user_mapping.h"
#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "postmaster/bgworker.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "catalog/definition.h"
#include "catalog/extension.h"
#include "catalog/feature_view.h"
#include "catalog/stream_state.h"
#include "catalog/view_columns.h"
#include "sql/access.h"
#include "state/shared.h"
#include "worker/wakeup.h"

PG_FUNCTION_INFO_V1(fs_on_ddl_command_end);
PG_FUNCTION_INFO_V1(fs_on_sql_drop);

/* An object a command was about. */
typedef struct EventObject
{
	Oid			class;
	Oid			object;
	char	   *command;		/* command tag, or kind of a dropped object */
} EventObject;

/* A row of feature_stream.feature_view that a relation is part of. */
typedef struct ViewParts
{
	Oid			view;
	Oid			stream;
	Oid			definition;
	Oid			history;
	Oid			live;
} ViewParts;

static Oid
get_oid_column(SPITupleTable *table, uint64 row, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(table->vals[row], table->tupdesc, column,
									  &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(value);
}

/*
 * Runs a query, whose $1 is 'parameter', as the owner; 'read' copies each row
 * into the caller's memory context.
 */
static List *
read_list(const char *query, Oid parameter, void *(*read) (SPITupleTable *, uint64))
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[1] = {OIDOID};
	Datum		values[1];
	FsOwnerScope scope;
	List	   *list = NIL;
	bool		pushed = !ActiveSnapshotSet();

	/* A worker's DETACH PARTITION CONCURRENTLY has ended the transaction it began in. */
	if (pushed)
		PushActiveSnapshot(GetTransactionSnapshot());
	values[0] = ObjectIdGetDatum(parameter);
	fs_owner_begin(&scope);
	SPI_connect();
	if (SPI_execute_with_args(query, 1, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not execute \"%s\"", query);
	for (uint64 i = 0; i < SPI_tuptable->numvals; i++)
	{
		MemoryContext spi = MemoryContextSwitchTo(caller);

		list = lappend(list, read(SPI_tuptable, i));
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	fs_owner_end(&scope);
	if (pushed)
		PopActiveSnapshot();
	return list;
}

/* Reads an EventObject from a row; see read_list(). */
static void *
read_event_object(SPITupleTable *table, uint64 row)
{
	EventObject *object = palloc(sizeof(EventObject));

	object->class = get_oid_column(table, row, 1);
	object->object = get_oid_column(table, row, 2);
	object->command = SPI_getvalue(table->vals[row], table->tupdesc, 3);
	return object;
}

/* Reads ViewParts from a row; see read_list(). */
static void *
read_view_parts(SPITupleTable *table, uint64 row)
{
	ViewParts  *parts = palloc(sizeof(ViewParts));

	parts->view = get_oid_column(table, row, 1);
	parts->stream = get_oid_column(table, row, 2);
	parts->definition = get_oid_column(table, row, 3);
	parts->history = get_oid_column(table, row, 4);
	parts->live = get_oid_column(table, row, 5);
	return parts;
}

/* The feature view that a relation belongs to as view, definition, history or live table; NULL when none. */
static ViewParts *
find_view_parts(Oid relid)
{
	List	   *list = read_list("SELECT view::pg_catalog.oid, stream::pg_catalog.oid,"
								 " definition::pg_catalog.oid, history::pg_catalog.oid,"
								 " live::pg_catalog.oid"
								 " FROM feature_stream.feature_view"
								 " WHERE $1 IN (view, definition, history, live)",
								 relid, read_view_parts);

	return list == NIL ? NULL : linitial(list);
}

/* Is the extension there, with its tables?  Not while it is created or dropped. */
static bool
is_installed(void)
{
	return OidIsValid(fs_extension_relation("feature_view")) &&
		OidIsValid(fs_extension_relation("stream_state"));
}

static void
require_event_trigger(FunctionCallInfo fcinfo)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function was not called by an event trigger")));
}

/* A stream was created or altered: checks it and its views, and prepares its state. */
static void
define_stream(Oid relid)
{
	FsStreamDef *stream = fs_stream_load(relid);

	(void) fs_view_list(relid); /* throws when the change breaks one */
	fs_stream_state_ensure(stream);
	fs_access_grant_reading(stream->owner);
	fs_ddl_touch_stream(relid);
}

/* Something that belongs to a feature view was altered. */
static void
alter_view(const ViewParts *parts, const EventObject *object)
{
	FsViewDef  *view;

	Assert(OidIsValid(parts->view));
	if (object->object == parts->definition &&
		strcmp(object->command, "CREATE VIEW") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot replace the query of feature view %s",
						fs_relation_name(parts->view)),
				 errhint("Add and drop features with feature_stream.alter_feature_view().")));
	view = fs_view_load(parts->view);
	if (object->object == parts->view)
		fs_definition_follow(view);
	fs_view_check_relations(view, fs_stream_load(view->stream));
	fs_ddl_touch_stream(parts->stream);
}

/*
 * A server was altered: feature views, which name their stores in 'column',
 * follow a new name of one of this wrapper.  They depend on the server; those of a restored dump do not, but the
 * name that no server has any more is the one that this server had.
 */
static void
follow_server(Oid server, const char *column, const char *wrapper)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1];

	values[0] = ObjectIdGetDatum(server);
	fs_owner_execute(psprintf("UPDATE feature_stream.feature_view v SET %1$s = s.srvname"
					 " FROM pg_catalog.pg_foreign_server s"
					 " JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw"
					 " WHERE s.oid = $1 AND w.fdwname = '%2$s' AND v.%1$s <> s.srvname"
					 " AND (NOT EXISTS (SELECT FROM pg_catalog.pg_foreign_server o WHERE o.srvname = v.%1$s)"
					 " OR EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = v.view AND d.refobjid = s.oid"
					 " AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
					 " AND d.refclassid = 'pg_catalog.pg_foreign_server'::pg_catalog.regclass))", column, wrapper),
					 SPI_OK_UPDATE, 1, types, values, NULL);
}

/*
 * Is this one of the extension's own workers?  Their upkeep attaches and
 * detaches partitions, which changes no definition.
 */
static bool
is_own_worker(void)
{
	return MyBgworkerEntry != NULL &&
		strcmp(MyBgworkerEntry->bgw_library_name, "feature_stream") == 0;
}

/* Event trigger on ddl_command_end. */
Datum
fs_on_ddl_command_end(PG_FUNCTION_ARGS)
{
	List	   *objects;
	ListCell   *lc;

	require_event_trigger(fcinfo);
	if (!is_installed() || is_own_worker())
		PG_RETURN_NULL();
	objects = read_list("SELECT DISTINCT classid, objid, command_tag"
						" FROM pg_catalog.pg_event_trigger_ddl_commands()"
						" WHERE objid <> 0",
						InvalidOid, read_event_object);
	foreach(lc, objects)
	{
		EventObject *object = lfirst(lc);
		ViewParts  *parts;

		if (object->class == RelationRelationId && fs_is_stream(object->object))
			define_stream(object->object);
		else if (object->class == RelationRelationId)
		{
			parts = find_view_parts(object->object);
			if (parts != NULL)
				alter_view(parts, object);
		}
		else if (object->class == ForeignServerRelationId ||
				 object->class == UserMappingRelationId)
		{
			if (object->class == ForeignServerRelationId)
			{
				follow_server(object->object, "online", "feature_stream_redis");
				follow_server(object->object, "offline", "feature_stream_iceberg");
			}
			if (fs_shared != NULL)
				fs_ddl_touch_database();
		}
	}
	PG_RETURN_NULL();
}

/* Wakes workers where there can be any; dropping works without them too. */
static void
touch_stream(Oid relid)
{
	if (fs_shared != NULL)
		fs_ddl_touch_stream(relid);
}

/* A relation that is part of a feature view was dropped. */
static void
drop_view_part(const ViewParts *parts, Oid dropped)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1];

	values[0] = ObjectIdGetDatum(dropped);
	if (dropped == parts->history)
		fs_owner_execute("UPDATE feature_stream.feature_view SET history = NULL, as_of = NULL"
						 " WHERE history = $1",
						 SPI_OK_UPDATE, 1, types, values, NULL);
	else if (dropped == parts->live)
		fs_owner_execute("UPDATE feature_stream.feature_view SET live = NULL WHERE live = $1",
						 SPI_OK_UPDATE, 1, types, values, NULL);
	else
	{
		/* A restored dump has no dependency of the view on its definition. */
		if (get_rel_relkind(parts->view) == RELKIND_FOREIGN_TABLE)
			fs_owner_execute(psprintf("DROP FOREIGN TABLE %s",
									  fs_relation_name(parts->view)),
							 SPI_OK_UTILITY, 0, NULL, NULL, NULL);
		fs_definition_forget(parts->view, parts->definition);
	}
	touch_stream(parts->stream);
}

/* Event trigger on sql_drop. */
Datum
fs_on_sql_drop(PG_FUNCTION_ARGS)
{
	List	   *objects;
	ListCell   *lc;

	require_event_trigger(fcinfo);
	if (!is_installed())
		PG_RETURN_NULL();
	objects = read_list("SELECT classid, objid, object_type"
						" FROM pg_catalog.pg_event_trigger_dropped_objects()"
						" WHERE objsubid = 0 AND object_type IN"
						" ('foreign table', 'table', 'view', 'server', 'user mapping')",
						InvalidOid, read_event_object);
	foreach(lc, objects)
	{
		EventObject *object = lfirst(lc);
		ViewParts  *parts;

		if (object->class != RelationRelationId)
		{
			if (fs_shared != NULL)
				fs_ddl_touch_database();
			continue;
		}
		parts = find_view_parts(object->object);
		if (parts != NULL)
			drop_view_part(parts, object->object);
		else if (strcmp(object->command, "foreign table") == 0 &&
				 fs_stream_state_remove(object->object))
			touch_stream(object->object);
	}
	PG_RETURN_NULL();
}
