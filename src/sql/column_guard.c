/*
 * column_guard.c
 *		Refuses changes of stream columns that features depend on, by the features' names.
 *
 * PostgreSQL would refuse them itself, since the definition views depend on the
 * columns; but it would name these views and not what is built on them.  So an
 * event trigger looks before.  What it lets pass PostgreSQL still judges:
 * DROP COLUMN ... CASCADE takes the feature views along.
 */
#include "postgres.h"

#include "access/attnum.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/extension.h"
#include "catalog/stream.h"

PG_FUNCTION_INFO_V1(fs_on_ddl_command_start);

/* "view (feature, feature), view (feature)": what depends on column $2 of stream $1. */
#define LIST_DEPENDENTS \
	"SELECT pg_catalog.string_agg(pg_catalog.format('%s (%s)', d.view, d.features), ', '" \
	"         ORDER BY d.view::pg_catalog.text)" \
	"  FROM (SELECT l.view, pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(l.feature), ', ') AS features" \
	"          FROM feature_stream.feature_lineage l" \
	"         WHERE l.stream = $1 AND l.stream_column = $2 GROUP BY l.view) d"

/* What LIST_DEPENDENTS gives, in the current memory context; NULL when nothing depends on the column. */
static char *
list_dependents(Oid stream, const char *column)
{
	MemoryContext caller = CurrentMemoryContext;
	FsOwnerScope scope;
	Oid			types[2] = {OIDOID, NAMEOID};
	Datum		values[2];
	char	   *list;

	values[0] = ObjectIdGetDatum(stream);
	values[1] = DirectFunctionCall1(namein, CStringGetDatum(column));
	fs_owner_begin(&scope);
	SPI_connect();
	if (SPI_execute_with_args(LIST_DEPENDENTS, 2, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read feature_stream.feature_lineage");
	list = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (list != NULL)
		list = MemoryContextStrdup(caller, list);
	SPI_finish();
	fs_owner_end(&scope);
	return list;
}

/* Throws when features depend on the column that a subcommand would drop or change. */
static void
check_command(Oid stream, const AlterTableCmd *command)
{
	bool		is_drop = command->subtype == AT_DropColumn;
	char	   *dependents;

	if (!(is_drop && command->behavior != DROP_CASCADE) &&
		command->subtype != AT_AlterColumnType)
		return;
	if (get_attnum(stream, command->name) <= InvalidAttrNumber)
		return;
	dependents = list_dependents(stream, command->name);
	if (dependents == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 is_drop ?
			 errmsg("cannot drop column \"%s\" of stream %s because features depend on it",
					command->name, fs_relation_name(stream)) :
			 errmsg("cannot change the type of column \"%s\" of stream %s because features depend on it",
					command->name, fs_relation_name(stream)),
			 errdetail("Feature views and their features: %s.", dependents),
			 errhint("Drop the feature views with feature_stream.drop_feature_view() first; see feature_stream.feature_lineage.")));
}

/* Event trigger on ddl_command_start, for ALTER TABLE and ALTER FOREIGN TABLE. */
Datum
fs_on_ddl_command_start(PG_FUNCTION_ARGS)
{
	AlterTableStmt *stmt;
	ListCell   *lc;
	Oid			relid;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function was not called by an event trigger")));
	stmt = (AlterTableStmt *) ((EventTriggerData *) fcinfo->context)->parsetree;
	if (!IsA(stmt, AlterTableStmt) ||
		!OidIsValid(fs_extension_relation("feature_lineage")))
		PG_RETURN_NULL();
	relid = RangeVarGetRelid(stmt->relation, NoLock, true);
	if (!OidIsValid(relid) || !fs_is_stream(relid) ||
		!pg_class_ownercheck(relid, GetUserId()))
		PG_RETURN_NULL();		/* PostgreSQL says what is wrong, if anything */
	foreach(lc, stmt->cmds)
		check_command(relid, lfirst_node(AlterTableCmd, lc));
	PG_RETURN_NULL();
}
