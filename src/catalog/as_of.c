/*
 * as_of.c
 *		The function <view>_as_of of a feature view: the row that was in force at a time.
 *
 * It is one SELECT over the history that the planner can inline, so that each
 * row of a join costs one descent of an index: hence a body that is parsed
 * already (BEGIN ATOMIC), STABLE, not STRICT, and no SET clause, any of which
 * would leave a function call in the plan.  With the entity given, the primary
 * key (entity, window_end, revision) has the order that ORDER BY asks for, and
 * partitions are read from the newest that can hold the row until one does.  Of
 * a row that was corrected it is the newest revision that was known by then.
 *
 * It depends on the history, as its body says, and is dropped with the view.
 * A dump does not keep that last dependency, so the name is in the registry,
 * too; whoever renames the function keeps it when the view goes.
 */
#include "postgres.h"

#include "access/relation.h"
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
#include "utils/rel.h"

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
					 " ORDER BY h.window_end DESC, h.revision DESC LIMIT 1", n + 1, n + 2, n + 1);
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

/* A body without any row, of the history's row type, that depends on no column. */
static void
append_empty_body(StringInfo sql, Oid history)
{
	Relation	rel = relation_open(history, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);
	const char *separator = "SELECT ";

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(desc, i);

		if (column->attisdropped)
			continue;
		appendStringInfo(sql, "%sCAST(NULL AS %s)", separator,
						 format_type_extended(column->atttypid, column->atttypmod,
											  FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
		separator = ", ";
	}
	appendStringInfoString(sql, " LIMIT 0");
	relation_close(rel, NoLock);
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

/* Makes the function of the given (quoted) name, or makes it again. */
static void
make_function(const FsViewDef *view, const FsStreamDef *stream, const char *command, const char *name,
			  bool is_empty)
{
	int			ncolumns;
	FsViewColumn *columns = fs_view_columns(view, stream, &ncolumns);
	StringInfoData sql;

	Assert(OidIsValid(view->history));
	initStringInfo(&sql);
	appendStringInfo(&sql, "%s %s(", command, name);
	append_parameters(&sql, columns, ncolumns);
	appendStringInfo(&sql, ") RETURNS SETOF %s LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 BEGIN ATOMIC ",
					 fs_relation_name(view->history));
	if (is_empty)
		append_empty_body(&sql, view->history);
	else
		append_body(&sql, columns, ncolumns, view->history);
	appendStringInfoString(&sql, "; END");
	fs_user_execute(sql.data, SPI_OK_UTILITY);
	pfree(sql.data);
}

/* Lets the function go with the view. */
static void
tie_to_view(Oid function, Oid view)
{
	ObjectAddress self;
	ObjectAddress table;

	ObjectAddressSet(self, ProcedureRelationId, function);
	ObjectAddressSet(table, RelationRelationId, view);
	recordDependencyOn(&self, &table, DEPENDENCY_AUTO);
}

/* Makes the function again, if it is there; CREATE OR REPLACE has forgotten its dependencies. */
static void
replace_function(const FsViewDef *view, const FsStreamDef *stream, bool is_empty)
{
	char	   *signature;
	Oid			function;

	if (!OidIsValid(view->history))
		return;
	function = find_function(view->relid, &signature);
	if (!OidIsValid(function))
		return;
	make_function(view, stream, "CREATE OR REPLACE FUNCTION",
				  quote_qualified_identifier(get_namespace_name(get_func_namespace(function)),
											 get_func_name(function)), is_empty);
	tie_to_view(function, view->relid);
}

/* See as_of.h. */
void
fs_as_of_suspend(const FsViewDef *view, const FsStreamDef *stream)
{
	replace_function(view, stream, true);
}

/* See as_of.h. */
void
fs_as_of_resume(const FsViewDef *view, const FsStreamDef *stream)
{
	replace_function(view, stream, false);
}

/* See as_of.h. */
void
fs_as_of_create(const FsViewDef *view, const FsStreamDef *stream)
{
	char	   *name = psprintf("%s%s", view->name, FS_AS_OF_SUFFIX);
	char	   *signature;
	Oid			function;

	Assert(strlen(name) < NAMEDATALEN); /* the definition's suffix is longer */
	make_function(view, stream, "CREATE FUNCTION", quote_qualified_identifier(view->schema, name), false);
	fs_as_of_record_name(view->relid, name);
	function = find_function(view->relid, &signature);
	if (!OidIsValid(function))
		elog(ERROR, "could not find function %s", name);
	tie_to_view(function, view->relid);
	CreateComments(function, ProcedureRelationId, 0,
				   psprintf("row of feature view %s that was in force at a time",
							fs_relation_name(view->relid)));
	fs_owner_execute(psprintf("REVOKE ALL ON FUNCTION %s FROM PUBLIC", signature),
					 SPI_OK_UTILITY, 0, NULL, NULL, NULL);
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
