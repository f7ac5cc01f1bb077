/*
 * definition_objects.c
 *		The relations, comments and registry row of a new feature view.
 *
 * The history is made by an ordinary command as the caller.  The foreign tables
 * are on the extension's own server, for which callers have no USAGE: they are
 * made by PostgreSQL's own functions with the caller as their owner, whose right
 * to create in the schema has been checked when the definition view was made.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/timestamp.h"

#include "catalog/definition_objects.h"
#include "catalog/extension.h"
#include "catalog/lineage.h"
#include "catalog/view_columns.h"

/* The server of wrapper feature_stream_view that the install script makes. */
#define VIEW_SERVER "feature_stream"

/* Features can be NULL; what identifies and dates a row cannot. */
static bool
is_never_null(const FsViewColumn *column)
{
	return column->feature < 0;
}

/* Appends "name type [COLLATE c] [NOT NULL], ". */
static void
append_column(StringInfo sql, const FsViewColumn *column)
{
	appendStringInfo(sql, "%s %s", quote_identifier(column->name),
					 format_type_extended(column->typid, column->typmod,
										  FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
	if (OidIsValid(column->collation) &&
		column->collation != DEFAULT_COLLATION_OID)
		appendStringInfo(sql, " COLLATE %s",
						 generate_collation_name(column->collation));
	if (is_never_null(column))
		appendStringInfoString(sql, " NOT NULL");
	if (strcmp(column->name, "backfilled") == 0)
		appendStringInfoString(sql, " DEFAULT false");
	if (strcmp(column->name, "revision") == 0)
		appendStringInfoString(sql, " DEFAULT 0");
	appendStringInfoString(sql, ", ");
}

/* Creates the history, as the current user. */
static void
create_history(const FsViewColumn *columns, int ncolumns, const char *name)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE TABLE %s (", name);
	for (int i = 0; i < ncolumns; i++)
		append_column(&sql, &columns[i]);
	appendStringInfoString(&sql, "PRIMARY KEY (");
	for (int i = 0; i < ncolumns; i++)
		if (columns[i].entity >= 0)
			appendStringInfo(&sql, "%s, ", quote_identifier(columns[i].name));
	appendStringInfoString(&sql, "window_end, revision)) PARTITION BY RANGE (window_end)");
	fs_user_execute(sql.data, SPI_OK_UTILITY);
	pfree(sql.data);
}

/*
 * Creates a foreign table, owned by the view's owner.  The switch of the user
 * is for CreateForeignTable's check of USAGE on the server alone; no code of
 * the user's runs meanwhile.
 */
static Oid
create_foreign_table(const FsViewDef *view, char *name, const FsViewColumn *columns, int ncolumns)
{
	CreateForeignTableStmt *stmt = makeNode(CreateForeignTableStmt);
	FsOwnerScope scope;
	Oid			relid;

	stmt->base.relation = makeRangeVar(view->schema, name, -1);
	for (int i = 0; i < ncolumns; i++)
	{
		ColumnDef  *column;

		if (columns[i].history_only)
			continue;
		column = makeColumnDef(columns[i].name, columns[i].typid, columns[i].typmod,
							   columns[i].collation);
		column->is_not_null = is_never_null(&columns[i]);
		stmt->base.tableElts = lappend(stmt->base.tableElts, column);
	}
	stmt->base.oncommit = ONCOMMIT_NOOP;
	stmt->servername = VIEW_SERVER;
	fs_owner_begin(&scope);
	relid = DefineRelation(&stmt->base, RELKIND_FOREIGN_TABLE, view->owner, NULL, NULL).objectId;
	CommandCounterIncrement();
	CreateForeignTable(stmt, relid);
	CommandCounterIncrement();
	fs_owner_end(&scope);
	return relid;
}

/* See definition_objects.h. */
void
fs_objects_create(FsViewDef *view, const FsStreamDef *stream, const char *history_name)
{
	int			ncolumns;
	FsViewColumn *columns = fs_view_columns(view, stream, &ncolumns);

	fs_view_check_width(view, columns, ncolumns, view->history_mode != FS_HISTORY_NONE);
	if (view->history_mode != FS_HISTORY_NONE)
		create_history(columns, ncolumns, history_name);
	view->relid = create_foreign_table(view, view->name, columns, ncolumns);
	view->live = create_foreign_table(view, psprintf("%s" FS_LIVE_SUFFIX, view->name), columns, ncolumns);
	Assert(OidIsValid(view->relid) && OidIsValid(view->live));
}

/* A text array of the captured settings. */
static Datum
settings_datum(const FsViewDef *view)
{
	Datum	   *elements = palloc(list_length(view->settings) * sizeof(Datum));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, view->settings)
		elements[n++] = CStringGetTextDatum(lfirst(lc));
	return PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

/* Sets one parameter of a command; a NULL pointer is SQL NULL. */
static void
set_value(Datum *values, char *nulls, int i, bool isnull, Datum value)
{
	nulls[i] = isnull ? 'n' : ' ';
	values[i] = isnull ? (Datum) 0 : value;
}

/* Sets the four parameters of a lake; all are NULL without one. */
static void
set_lake(Datum *values, char *nulls, const FsViewRequest *request)
{
	bool		none = request->offline == NULL;

	set_value(values, nulls, 0, none, none ? (Datum) 0 :
			  DirectFunctionCall1(namein, CStringGetDatum(request->offline)));
	set_value(values, nulls, 1, none, none ? (Datum) 0 : CStringGetTextDatum(request->offline_table));
	set_value(values, nulls, 2, none, PointerGetDatum(request->offline_partition_by));
	set_value(values, nulls, 3, none, IntervalPGetDatum(request->offline_interval));
}

/* Enters the row of feature_stream.feature_view. */
static void
insert_view(const FsViewDef *view, const FsViewRequest *request)
{
	static const char *const modes[] = {"all", "thinned", "none"};
	Oid			types[21] = {OIDOID, OIDOID, OIDOID, OIDOID,
		INTERVALARRAYOID, INTERVALOID, NAMEOID, TEXTOID, INTERVALOID, TEXTOID,
	TEXTOID, TEXTOID, INTERVALOID, INTERVALOID, TEXTARRAYOID, OIDOID, BOOLOID,
	NAMEOID, TEXTOID, TEXTARRAYOID, INTERVALOID};
	Datum		values[21];
	char		nulls[21];

	set_value(values, nulls, 0, false, ObjectIdGetDatum(view->relid));
	set_value(values, nulls, 1, false, ObjectIdGetDatum(view->stream));
	set_value(values, nulls, 2, false, ObjectIdGetDatum(view->definition));
	set_value(values, nulls, 3, !OidIsValid(view->history),
			  ObjectIdGetDatum(view->history));
	set_value(values, nulls, 4, false, PointerGetDatum(request->windows));
	set_value(values, nulls, 5, false, IntervalPGetDatum(request->slide));
	set_value(values, nulls, 6, request->online == NULL,
			  request->online == NULL ? (Datum) 0 :
			  DirectFunctionCall1(namein, CStringGetDatum(request->online)));
	set_value(values, nulls, 7, view->online_key == NULL,
			  view->online_key == NULL ? (Datum) 0 :
			  CStringGetTextDatum(view->online_key));
	set_value(values, nulls, 8, request->online_ttl == NULL,
			  IntervalPGetDatum(request->online_ttl));
	set_value(values, nulls, 9, false, CStringGetTextDatum(request->on_empty));
	set_value(values, nulls, 10, false, CStringGetTextDatum(request->emit));
	set_value(values, nulls, 11, false,
			  CStringGetTextDatum(modes[view->history_mode]));
	set_value(values, nulls, 12, request->history_interval == NULL,
			  IntervalPGetDatum(request->history_interval));
	set_value(values, nulls, 13, request->history_retention == NULL,
			  IntervalPGetDatum(request->history_retention));
	set_value(values, nulls, 14, false, settings_datum(view));
	set_value(values, nulls, 15, false, ObjectIdGetDatum(view->live));
	set_value(values, nulls, 16, false, BoolGetDatum(request->backfill));
	set_lake(values + 17, nulls + 17, request);
	fs_owner_execute("INSERT INTO feature_stream.feature_view"
					 " (view, stream, definition, history, windows, slide, online,"
					 " online_key, online_ttl, on_empty, emit, history_mode,"
					 " history_interval, history_retention, settings, live, backfill,"
					 " offline, offline_table, offline_partition_by, offline_interval) VALUES"
					 " ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,"
					 " $18, $19, $20, $21)",
					 SPI_OK_INSERT, lengthof(types), types, values, nulls);
}

/* Asks for older events to be read for the view; the backfill worker does (pipeline/backread.h). */
static void
insert_backread(const FsViewDef *view, const FsViewRequest *request)
{
	Oid			types[2] = {OIDOID, TEXTOID};
	Datum		values[2];

	if (request->backfill_from == NULL)
		return;
	values[0] = ObjectIdGetDatum(view->relid);
	values[1] = CStringGetTextDatum(request->backfill_from);
	fs_owner_execute("INSERT INTO feature_stream.backread (view, start) VALUES ($1, $2)",
					 SPI_OK_INSERT, 2, types, values, NULL);
}

/* What is different in <view>_live; NULL when nothing is. */
static const char *
live_comment(const char *name)
{
	if (strcmp(name, "window_end") == 0)
		return "time of the newest event seen: events up to it, and it included";
	if (strcmp(name, "computed_at") == 0)
		return "when the row was read";
	return NULL;
}

/* Comments on a column of one relation, if that is there. */
static void
comment_on(Oid relid, const char *column, const char *comment)
{
	if (OidIsValid(relid))
		CreateComments(relid, RelationRelationId, get_attnum(relid, column), comment);
}

/* Comments on the column of the foreign tables and, when there is one, of the history. */
static void
comment_column(const FsViewDef *view, const FsViewColumn *column, const char *comment)
{
	const char *live = live_comment(column->name);

	if (!column->history_only)
	{
		comment_on(view->relid, column->name, comment);
		comment_on(view->live, column->name, live != NULL ? live : comment);
	}
	comment_on(view->history, column->name, comment);
}

/* What the columns that every view has are. */
static const char *
fixed_comment(const char *name)
{
	if (strcmp(name, "window_end") == 0)
		return "the instant the row speaks for: events before it, not at it";
	if (strcmp(name, "computed_at") == 0)
		return "when the row became known";
	if (strcmp(name, "available_at") == 0)
		return "when serving could have known the row";
	if (strcmp(name, "complete") == 0)
		return "the windows were fully covered by events read";
	if (strcmp(name, "backfilled") == 0)
		return "the row was computed from the log after the fact";
	return "0: as it was fired or backfilled; each correction of the row has the next number";
}

/* Comments on the relations themselves. */
static void
comment_relations(const FsViewDef *view, const FsStreamDef *stream)
{
	char	   *name = fs_relation_name(view->relid);

	CreateComments(view->relid, RelationRelationId, 0,
				   psprintf("feature view over stream %s: the row in force of each entity",
							stream->name));
	CreateComments(view->live, RelationRelationId, 0,
				   psprintf("feature view %s at the newest event seen: provisional, computed when it is read",
							name));
	fs_objects_comment_definition(view);
	if (OidIsValid(view->history))
		CreateComments(view->history, RelationRelationId, 0,
					   psprintf("history of feature view %s: every row emitted, and its corrections",
								name));
}

/* The comment of an entity column is that of the stream's column; NULL when there is none. */
static const char *
entity_comment(const FsViewDef *view, const FsStreamDef *stream, int entity)
{
	AttrNumber	attnum = fs_view_entity(view, entity)->attnum;

	return attnum == 0 ? NULL : GetComment(stream->relid, RelationRelationId, attnum);
}

/* See definition_objects.h. */
void
fs_objects_comment_feature(const FsViewDef *view, const FsViewColumn *column, Query *query)
{
	const FsLineageFeature *feature = list_nth(fs_lineage_read(query)->features, column->feature);

	comment_column(view, column,
				   psprintf("%s over %s", feature->expression, view->suffixes[column->window]));
}

/* See definition_objects.h. */
void
fs_objects_comment_definition(const FsViewDef *view)
{
	CreateComments(view->definition, RelationRelationId, 0,
				   psprintf("query of feature view %s", fs_relation_name(view->relid)));
}

/* See definition_objects.h. */
void
fs_objects_register(const FsViewDef *view, const FsStreamDef *stream,
					Query *query, const FsViewRequest *request)
{
	int			ncolumns;
	FsViewColumn *columns = fs_view_columns(view, stream, &ncolumns);

	insert_view(view, request);
	insert_backread(view, request);
	for (int i = 0; i < ncolumns; i++)
	{
		const FsViewColumn *column = &columns[i];
		const char *comment;

		if (column->feature >= 0)
		{
			fs_objects_comment_feature(view, column, query);
			continue;
		}
		comment = column->entity >= 0 ? entity_comment(view, stream, column->entity) :
			fixed_comment(column->name);
		if (comment != NULL)
			comment_column(view, column, comment);
	}
	comment_relations(view, stream);
}
