/*
 * as_of.c
 *		The function <view>_as_of of a feature view: the row that was in force at a time.
 *
 * It is one SELECT over the history that the planner can inline, so that each
 * row of a join costs one descent of an index: hence a body that is parsed
 * already (BEGIN ATOMIC), STABLE, not STRICT, and no SET clause, any of which
 * would leave a function call in the plan.  With the entity given, the primary
 * key (entity, window_end) has the order that ORDER BY asks for, and partitions
 * are read from the newest that can hold the row until one does.
 *
 * It depends on the history, as its body says, and is dropped with the view.
 * A dump does not keep that last dependency, so the name is in the registry,
 * too; whoever renames the function keeps it when the view goes.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/as_of.h"
#include "catalog/extension.h"
#include "catalog/view_columns.h"

/* The function of view $1, if it still has the name and the result it was made with. */
#define FIND_FUNCTION \
	"SELECT p.oid, p.oid::pg_catalog.regprocedure::pg_catalog.text" \
	"  FROM feature_stream.feature_view v" \
	"  JOIN pg_catalog.pg_class h ON h.oid = v.history" \
	"  JOIN pg_catalog.pg_proc p ON p.proname = v.as_of AND p.prorettype = h.reltype" \
	" WHERE v.view = $1"

static bool
is_entity(const FsViewColumn *column)
{
	return column->entity >= 0;
}

/* 'name', with underscores behind it until no entity column has it. */
static const char *
choose_parameter(const FsViewColumn *columns, int ncolumns, const char *name)
{
	for (int i = 0; i < ncolumns; i++)
		if (is_entity(&columns[i]) && strcmp(columns[i].name, name) == 0)
			return choose_parameter(columns, ncolumns, psprintf("%s_", name));
	return name;
}

/* Appends the parameters: the entity columns, then the two times. */
static void
append_parameters(StringInfo sql, const FsViewColumn *columns, int ncolumns)
{
	for (int i = 0; i < ncolumns; i++)
		if (is_entity(&columns[i]))
			appendStringInfo(sql, "%s %s, ", quote_identifier(columns[i].name),
							 format_type_extended(columns[i].typid, -1,
												  FORMAT_TYPE_FORCE_QUALIFY));
	appendStringInfo(sql, "%s pg_catalog.timestamptz, %s pg_catalog.timestamptz DEFAULT NULL",
					 quote_identifier(choose_parameter(columns, ncolumns, "at")),
					 quote_identifier(choose_parameter(columns, ncolumns, "known_by")));
}

/*
 * Appends the query.  Parameters go by number: by name a column of the history
 * would come first.
 */
static void
append_body(StringInfo sql, const FsViewColumn *columns, int ncolumns, Oid history)
{
	int			n = 0;

	appendStringInfo(sql, "SELECT h.* FROM %s AS h WHERE ", fs_relation_name(history));
	for (int i = 0; i < ncolumns; i++)
		if (is_entity(&columns[i]))
			appendStringInfo(sql, "h.%s OPERATOR(pg_catalog.=) $%d AND ",
							 quote_identifier(columns[i].name), ++n);
	Assert(n > 0);
	appendStringInfo(sql, "h.window_end OPERATOR(pg_catalog.<=) $%d"
					 " AND h.available_at OPERATOR(pg_catalog.<=) COALESCE($%d, $%d)"
					 " ORDER BY h.window_end DESC LIMIT 1", n + 1, n + 2, n + 1);
}

/*
 * The one Oid of FIND_FUNCTION, InvalidOid when there is none; '*signature' is
 * set to what DROP FUNCTION takes, under the search_path of an owner scope.
 */
static Oid
find_function(Oid view, char **signature)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[1] = {OIDOID};
	Datum		values[1];
	FsOwnerScope scope;
	Oid			function = InvalidOid;
	bool		isnull;

	values[0] = ObjectIdGetDatum(view);
	fs_owner_begin(&scope);
	SPI_connect();
	if (SPI_execute_with_args(FIND_FUNCTION, 1, types, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not look for the as-of function");
	if (SPI_processed > 0)
	{
		HeapTuple	tuple = SPI_tuptable->vals[0];

		function = DatumGetObjectId(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull));
		*signature = MemoryContextStrdup(caller, SPI_getvalue(tuple, SPI_tuptable->tupdesc, 2));
	}
	SPI_finish();
	fs_owner_end(&scope);
	return function;
}

/* See as_of.h. */
Oid
fs_as_of_find(Oid view)
{
	char	   *signature;

	return find_function(view, &signature);
}

/* See as_of.h. */
void
fs_as_of_record_name(Oid view, const char *name)
{
	Oid			types[2] = {OIDOID, NAMEOID};
	Datum		values[2];

	values[0] = ObjectIdGetDatum(view);
	values[1] = DirectFunctionCall1(namein, CStringGetDatum(name));
	fs_owner_execute("UPDATE feature_stream.feature_view SET as_of = $2 WHERE view = $1",
					 SPI_OK_UPDATE, 2, types, values, NULL);
}

/* See as_of.h. */
void
fs_as_of_create(const FsViewDef *view, const FsStreamDef *stream)
{
	char	   *name = psprintf("%s%s", view->name, FS_AS_OF_SUFFIX);
	char	   *signature;
	int			ncolumns;
	FsViewColumn *columns = fs_view_columns(view, stream, &ncolumns);
	StringInfoData sql;
	ObjectAddress function;
	ObjectAddress table;

	Assert(OidIsValid(view->history));
	Assert(strlen(name) < NAMEDATALEN); /* the definition's suffix is longer */
	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE FUNCTION %s(", quote_qualified_identifier(view->schema, name));
	append_parameters(&sql, columns, ncolumns);
	appendStringInfo(&sql, ") RETURNS SETOF %s LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 BEGIN ATOMIC ",
					 fs_relation_name(view->history));
	append_body(&sql, columns, ncolumns, view->history);
	appendStringInfoString(&sql, "; END");
	fs_user_execute(sql.data, SPI_OK_UTILITY);
	fs_as_of_record_name(view->relid, name);

	ObjectAddressSet(function, ProcedureRelationId, find_function(view->relid, &signature));
	ObjectAddressSet(table, RelationRelationId, view->relid);
	if (!OidIsValid(function.objectId))
		elog(ERROR, "could not find function %s", name);
	recordDependencyOn(&function, &table, DEPENDENCY_AUTO);
	CreateComments(function.objectId, ProcedureRelationId, 0,
				   psprintf("row of feature view %s that was in force at a time",
							fs_relation_name(view->relid)));
	fs_owner_execute(psprintf("REVOKE ALL ON FUNCTION %s FROM PUBLIC", signature),
					 SPI_OK_UTILITY, 0, NULL, NULL, NULL);
	pfree(sql.data);
}

/* See as_of.h. */
void
fs_as_of_drop(Oid view)
{
	char	   *signature;

	if (OidIsValid(find_function(view, &signature)))
		fs_owner_execute(psprintf("DROP FUNCTION %s", signature),
						 SPI_OK_UTILITY, 0, NULL, NULL, NULL);
}
