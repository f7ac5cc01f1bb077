/*
 * definition_query.c
 *		Adding features to a feature view, and dropping them.
 *
 * The new query has the stream, the entity columns and the WHERE of the old
 * one, and each feature that keeps its name keeps its expression: rows that the
 * history has stay true.  Columns come and go in the view's relations, which
 * stay what they are for those who use them; only the definition view is made
 * anew, since PostgreSQL lets no view lose a column.  The relations change by
 * PostgreSQL's own functions and not by commands, whose event triggers would
 * see them half way.
 *
 * What the worker has to know, which features are new in which definition, is
 * a row of feature_stream.view_alteration (pipeline/alteration.c).
 *
 * All of it runs as the view's owner, whoever alters: what is made is theirs.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "commands/tablecmds.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/as_of.h"
#include "catalog/compile.h"
#include "catalog/cost.h"
#include "catalog/definition.h"
#include "catalog/definition_objects.h"
#include "catalog/extension.h"
#include "catalog/feature_view.h"
#include "catalog/lake.h"
#include "catalog/lineage.h"
#include "catalog/view_columns.h"

/* A definition, and the columns that follow from it. */
typedef struct Version
{
	FsViewDef  *view;
	Query	   *query;
	FsViewColumn *columns;
	int			ncolumns;
} Version;

typedef struct Alteration
{
	const FsStreamDef *stream;
	Version		old;
	Version		new;			/* the same as 'old' when the query stays */
	List	   *past;			/* names of the history's columns of dropped features, when all is done */
	bool		drop_history;
} Alteration;

/* Throws: the new query may not differ in this. */
static void
refuse(const FsViewDef *view, const char *what, const char *why, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot change %s of feature view %s", what, fs_relation_name(view->relid)),
			 errdetail("%s", why),
			 errhint("%s", hint)));
}

/* The columns of a query that are entity columns, or those that are not: TargetEntries in order. */
static List *
list_targets(const Query *query, bool entities)
{
	List	   *targets = NIL;
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!tle->resjunk && fs_lineage_is_grouping(query, tle) == entities)
			targets = lappend(targets, tle);
	}
	return targets;
}

/* The target of a name; NULL when there is none. */
static const TargetEntry *
find_target(const List *targets, const char *name)
{
	ListCell   *lc;

	foreach(lc, targets)
		if (strcmp(lfirst_node(TargetEntry, lc)->resname, name) == 0)
			return lfirst(lc);
	return NULL;
}

/* Throws unless the entity columns are the same. */
static void
check_entity(const Alteration *change)
{
	List	   *old = list_targets(change->old.query, true);
	List	   *new = list_targets(change->new.query, true);
	bool		same = list_length(old) == list_length(new) &&
		list_length(change->old.query->groupClause) == list_length(change->new.query->groupClause);
	ListCell   *a;
	ListCell   *b;

	forboth(a, old, b, new)
	{
		const TargetEntry *x = lfirst(a);
		const TargetEntry *y = lfirst(b);

		same = same && strcmp(x->resname, y->resname) == 0 && equal(x->expr, y->expr);
	}
	if (!same)
		refuse(change->old.view, "the entity columns", "Rows of the history are of other entities.",
			   "Select the same entity columns in the same order, or create another feature view.");
}

/* Throws unless features that keep their names keep their expressions. */
static void
check_features(const Alteration *change)
{
	List	   *old = list_targets(change->old.query, false);
	ListCell   *lc;

	foreach(lc, list_targets(change->new.query, false))
	{
		const TargetEntry *new = lfirst(lc);
		const TargetEntry *kept = find_target(old, new->resname);

		if (kept != NULL && !equal(kept->expr, new->expr))
			refuse(change->old.view, psprintf("feature \"%s\"", new->resname),
				   "Values of the old expression would stand beside values of the new one.",
				   "Give the changed feature another name.");
	}
}

/* Throws where the new query differs in more than its features. */
static void
check_query(const Alteration *change)
{
	const FsViewDef *view = change->old.view;

	if (fs_compile_stream(change->new.query) != view->stream)
		refuse(view, "the stream", "Rows of the history are of other events.",
			   "Create another feature view.");
	fs_compile_check_clauses(change->new.query);
	check_entity(change);
	if (!equal(change->old.query->jointree->quals, change->new.query->jointree->quals))
		refuse(view, "WHERE", "Rows of the history would count other events than later ones.",
			   "Add the condition to new features with FILTER (WHERE ...), or create another feature view.");
	check_features(change);
}

/* Is this a column of a feature that 'other' has not? */
static bool
is_missing_in(const Version *other, const Version *version, const FsViewColumn *column)
{
	return column->feature >= 0 &&
		find_target(list_targets(other->query, false),
					version->view->features[column->feature].name) == NULL;
}

/* Fills in what follows from version->view. */
static void
complete_version(Version *version, const FsStreamDef *stream)
{
	version->query = fs_view_query(version->view->definition);
	version->columns = fs_view_columns(version->view, stream, &version->ncolumns);
}

/* A command for AlterTableInternal. */
static List *
add_command(List *commands, AlterTableType type, const char *column, Node *def)
{
	AlterTableCmd *command = makeNode(AlterTableCmd);

	command->subtype = type;
	command->name = def == NULL ? pstrdup(column) : NULL;
	command->def = def;
	command->behavior = DROP_RESTRICT;
	return lappend(commands, command);
}

/* Alters the columns of a relation and its partitions; throws what ALTER TABLE would. */
static void
alter_relation(Oid relid, List *commands)
{
	AlterTableStmt *stmt = makeNode(AlterTableStmt);
	Relation	rel;

	if (!OidIsValid(relid) || commands == NIL)
		return;
	rel = relation_open(relid, AccessExclusiveLock);
	CheckTableNotInUse(rel, "ALTER TABLE");
	relation_close(rel, NoLock);
	stmt->cmds = commands;
	stmt->objtype = OBJECT_TABLE;
	EventTriggerAlterTableStart((Node *) stmt);
	AlterTableInternal(relid, commands, true);
	EventTriggerAlterTableEnd();
	CommandCounterIncrement();
}

/* What drops the columns of dropped features from a foreign table. */
static List *
drop_columns(const Alteration *change)
{
	List	   *commands = NIL;

	for (int i = 0; i < change->old.ncolumns; i++)
		if (is_missing_in(&change->new, &change->old, &change->old.columns[i]))
			commands = add_command(commands, AT_DropColumn, change->old.columns[i].name, NULL);
	return commands;
}

/* What adds the columns of new features to a relation. */
static List *
add_columns(const Alteration *change)
{
	List	   *commands = NIL;

	for (int i = 0; i < change->new.ncolumns; i++)
	{
		const FsViewColumn *column = &change->new.columns[i];

		if (is_missing_in(&change->old, &change->new, column))
			commands = add_command(commands, AT_AddColumn, column->name,
								   (Node *) makeColumnDef(column->name, column->typid, column->typmod, column->collation));
	}
	return commands;
}

/* Throws when the history still has a column of the name of a new one. */
static void
check_past(const Alteration *change)
{
	for (int i = 0; i < change->new.ncolumns; i++)
	{
		const char *name = change->new.columns[i].name;

		if (is_missing_in(&change->old, &change->new, &change->new.columns[i]) &&
			get_attnum(change->old.view->history, name) != InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("the history of feature view %s has a column \"%s\" of a feature that was dropped",
							fs_relation_name(change->old.view->relid), name),
					 errhint("Give the feature another name, or drop the columns of dropped features with drop_history => true.")));
	}
}

/*
 * Changes the history's columns.  Those of dropped features stay, without NOT
 * NULL, or go, with those of features that were dropped earlier.
 */
static void
alter_history(Alteration *change)
{
	Oid			history = change->old.view->history;
	List	   *dropped = drop_columns(change);
	List	   *commands = NIL;
	ListCell   *lc;

	change->past = change->old.view->past_columns;
	if (!OidIsValid(history))
		return;
	foreach(lc, dropped)
		change->past = list_append_unique(list_copy(change->past),
										  makeString(lfirst_node(AlterTableCmd, lc)->name));
	if (change->drop_history)
		fs_as_of_suspend(change->old.view, change->stream);
	foreach(lc, change->past)
		if (get_attnum(history, strVal(lfirst(lc))) != InvalidAttrNumber)
			commands = add_command(commands, change->drop_history ? AT_DropColumn : AT_DropNotNull,
								   strVal(lfirst(lc)), NULL);
	alter_relation(history, commands);
	if (change->drop_history)
		change->past = NIL;
	check_past(change);
	foreach(lc, add_columns(change))
		change->past = list_delete(change->past, makeString(((ColumnDef *) lfirst_node(AlterTableCmd, lc)->def)->colname));
	alter_relation(history, add_columns(change));
	fs_as_of_resume(change->new.view, change->stream);
}

/* A name[] of strings. */
static Datum
names_datum(List *names)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(list_length(names), 1));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, names)
		elements[n++] = DirectFunctionCall1(namein, CStringGetDatum(strVal(lfirst(lc))));
	return PointerGetDatum(construct_array(elements, n, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR));
}

/* Enters what the view now is into its row. */
static void
update_row(const Version *version, List *past)
{
	Oid			types[3] = {OIDOID, OIDOID, NAMEARRAYOID};
	Datum		values[3];

	values[0] = ObjectIdGetDatum(version->view->relid);
	values[1] = ObjectIdGetDatum(version->view->definition);
	values[2] = names_datum(past);
	fs_owner_execute("UPDATE feature_stream.feature_view SET definition = $2, past_columns = $3 WHERE view = $1",
					 SPI_OK_UPDATE, lengthof(types), types, values, NULL);
}

/* Tells the stream's worker which features are new, and forgets the tags of those that went. */
static void
record_change(const Alteration *change)
{
	Oid			types[3] = {OIDOID, OIDOID, NAMEARRAYOID};
	Datum		values[3];
	List	   *added = NIL;
	List	   *names = NIL;
	List	   *old = list_targets(change->old.query, false);
	ListCell   *lc;

	foreach(lc, list_targets(change->new.query, false))
	{
		const char *name = lfirst_node(TargetEntry, lc)->resname;

		names = lappend(names, makeString(pstrdup(name)));
		if (find_target(old, name) == NULL && OidIsValid(change->old.view->history))
			added = lappend(added, makeString(pstrdup(name)));
	}
	values[0] = ObjectIdGetDatum(change->new.view->relid);
	values[1] = ObjectIdGetDatum(change->new.view->definition);
	values[2] = names_datum(added);
	fs_owner_execute("INSERT INTO feature_stream.view_alteration (view, definition, features) VALUES ($1, $2, $3)",
					 SPI_OK_INSERT, lengthof(types), types, values, NULL);
	values[1] = names_datum(names);
	types[1] = NAMEARRAYOID;
	fs_owner_execute("DELETE FROM feature_stream.feature_tag WHERE view = $1 AND name <> ALL ($2)",
					 SPI_OK_DELETE, 2, types, values, NULL);
}

/* Makes the new query's view, under a name of its own, and compiles it. */
static void
create_definition(Alteration *change, const char *query)
{
	const FsViewDef *old = change->old.view;
	char	   *schema = get_namespace_name(get_rel_namespace(old->definition));
	char	   *name = psprintf("feature_stream_%u", old->definition);
	FsViewDef  *view = palloc(sizeof(FsViewDef));

	fs_definition_check_query(query);
	fs_user_execute(psprintf("CREATE VIEW %s AS %s", quote_qualified_identifier(schema, name), query),
					SPI_OK_UTILITY);
	*view = *old;
	view->definition = get_relname_relid(name, get_namespace_oid(schema, false));
	change->new.view = view;
	change->new.query = fs_view_query(view->definition);
	check_query(change);
	update_row(&change->new, old->past_columns);
	CommandCounterIncrement();
	change->new.view = fs_view_load(old->relid);
	complete_version(&change->new, change->stream);
	if (drop_columns(change) == NIL && add_columns(change) == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("nothing to alter"),
				 errdetail("The query has the features that feature view %s has.",
						   fs_relation_name(old->relid))));
	if (add_columns(change) == NIL)
		return;
	fs_view_check_width(change->new.view, change->new.columns, change->new.ncolumns, OidIsValid(old->history));
	fs_cost_check(change->new.view, old, change->stream);
}

/* Puts the new definition view in the place of the old one. */
static void
replace_definition(const Alteration *change)
{
	Oid			old = change->old.view->definition;
	Oid			new = change->new.view->definition;
	char	   *name = get_rel_name(old);
	ObjectAddress self;
	ObjectAddress other;

	ObjectAddressSet(self, RelationRelationId, change->new.view->relid);
	ObjectAddressSet(other, RelationRelationId, new);
	(void) deleteDependencyRecordsForSpecific(RelationRelationId, change->new.view->relid, DEPENDENCY_NORMAL,
											  RelationRelationId, old);
	recordDependencyOn(&self, &other, DEPENDENCY_NORMAL);
	CommandCounterIncrement();
	fs_user_execute(psprintf("DROP VIEW %s", fs_relation_name(old)), SPI_OK_UTILITY);
	fs_user_execute(psprintf("ALTER VIEW %s RENAME TO %s", fs_relation_name(new), quote_identifier(name)),
					SPI_OK_UTILITY);
	fs_user_execute(psprintf("REVOKE ALL ON %s FROM PUBLIC", fs_relation_name(new)), SPI_OK_UTILITY);
	fs_objects_comment_definition(change->new.view);
}

/* Comments on the columns of new features. */
static void
comment_features(const Alteration *change)
{
	for (int i = 0; i < change->new.ncolumns; i++)
		if (is_missing_in(&change->old, &change->new, &change->new.columns[i]))
			fs_objects_comment_feature(change->new.view, &change->new.columns[i], change->new.query);
}

/* Alters the view as its owner, who is the current user. */
static void
alter_view(Alteration *change, const char *query)
{
	const FsViewDef *view = change->old.view;

	fs_definition_check_right(change->stream);
	change->new = change->old;
	if (query != NULL)
		create_definition(change, query);
	alter_relation(view->relid, list_concat(drop_columns(change), add_columns(change)));
	alter_relation(view->live, list_concat(drop_columns(change), add_columns(change)));
	alter_history(change);
	fs_lake_check_change(change->new.view);
	update_row(&change->new, change->past);
	if (query == NULL)
		return;
	CommandCounterIncrement();
	replace_definition(change);
	comment_features(change);
	record_change(change);
}

/* See definition.h. */
void
fs_definition_alter_query(Oid relid, const char *query, bool drop_history, Oid *stream)
{
	Alteration	change = {.drop_history = drop_history};
	Oid			user;
	int			security;

	fs_definition_lock();
	change.old.view = fs_view_load(relid);
	if (!pg_class_ownercheck(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_FOREIGN_TABLE, get_rel_name(relid));
	change.stream = fs_stream_load(change.old.view->stream);
	complete_version(&change.old, change.stream);
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(change.old.view->owner, security | SECURITY_LOCAL_USERID_CHANGE);
	alter_view(&change, query);
	SetUserIdAndSecContext(user, security);
	*stream = change.old.view->stream;
}
