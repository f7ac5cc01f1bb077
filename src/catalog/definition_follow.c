/*
 * definition_follow.c
 *		A feature view's other objects follow its foreign table: name, schema, owner.
 *
 * Users rename <name>, move it or give it to someone else by ALTER FOREIGN
 * TABLE; without its definition, history, <name>_live and <name>_as_of the new
 * owner could not write the history.  What was before is seen from the
 * definition view, which nobody uses by its name and which follows last: an
 * object follows in what it had in common with it, so that a history that was
 * given a name or a place of its own keeps them.
 *
 * All of it are ordinary commands of the current user, who could do the same to
 * the foreign table.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog/as_of.h"
#include "catalog/definition.h"
#include "catalog/definition_objects.h"
#include "catalog/extension.h"

/* What an object is called, where it is, and whose. */
typedef struct Place
{
	const char *schema;
	const char *name;
	Oid			owner;
} Place;

/* An object that follows. */
typedef struct Follower
{
	const char *kind;			/* as in ALTER */
	const char *suffix;			/* behind the view's name */
	const char *arguments;		/* of a function, in parentheses; else empty */
	Place		place;
} Follower;

/* The place of a relation that is there. */
static Place
relation_place(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;
	Place		place;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", relid);
	form = (Form_pg_class) GETSTRUCT(tuple);
	place.schema = get_namespace_name(form->relnamespace);
	place.name = pstrdup(NameStr(form->relname));
	place.owner = form->relowner;
	ReleaseSysCache(tuple);
	return place;
}

/* Runs ALTER on the object as it is called now. */
static void
alter(const Follower *follower, const char *what)
{
	fs_user_execute(psprintf("ALTER %s %s%s %s", follower->kind,
							 quote_qualified_identifier(follower->place.schema, follower->place.name),
							 follower->arguments, what),
					SPI_OK_UTILITY);
}

/* Does the object follow to a new name?  Not unless it was called after the view. */
static bool
is_named_after(const Follower *follower, const char *view)
{
	return view != NULL && strcmp(follower->place.name, psprintf("%s%s", view, follower->suffix)) == 0;
}

/* Moves the object to where the view is, from where 'before' was. */
static void
follow(Follower *follower, const Place *before, const Place *view)
{
	Assert(before->schema != NULL && view->schema != NULL);
	if (strcmp(follower->place.schema, before->schema) == 0 && strcmp(before->schema, view->schema) != 0)
	{
		alter(follower, psprintf("SET SCHEMA %s", quote_identifier(view->schema)));
		follower->place.schema = view->schema;
	}
	if (is_named_after(follower, before->name) && strcmp(before->name, view->name) != 0)
	{
		char	   *name = psprintf("%s%s", view->name, follower->suffix);

		alter(follower, psprintf("RENAME TO %s", quote_identifier(name)));
		follower->place.name = name;
	}
	if (follower->place.owner == before->owner && before->owner != view->owner)
		alter(follower, psprintf("OWNER TO %s", quote_identifier(GetUserNameFromId(view->owner, false))));
}

/* follow() for a relation, unless it is gone. */
static void
follow_relation(const char *kind, const char *suffix, Oid relid, const Place *before, const Place *view)
{
	Follower	follower = {.kind = kind, .suffix = suffix, .arguments = ""};

	if (!OidIsValid(relid))
		return;
	follower.place = relation_place(relid);
	follow(&follower, before, view);
}

/* The history, with its partitions, which keep their names. */
static void
follow_history(Oid history, const Place *before, const Place *view)
{
	ListCell   *lc;

	if (!OidIsValid(history))
		return;
	follow_relation("TABLE", FS_HISTORY_SUFFIX, history, before, view);
	foreach(lc, find_inheritance_children_extended(history, false, AccessExclusiveLock, NULL, NULL))
	{
		Place		named = *before;

		named.name = NULL;
		follow_relation("TABLE", "", lfirst_oid(lc), &named, view);
	}
}

/* The as-of function; the registry knows it by its name. */
static void
follow_as_of(Oid relid, const Place *before, const Place *view)
{
	Follower	follower = {.kind = "FUNCTION", .suffix = FS_AS_OF_SUFFIX};
	Oid			function = fs_as_of_find(relid);
	HeapTuple	tuple;
	Form_pg_proc form;

	if (!OidIsValid(function))
		return;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	form = (Form_pg_proc) GETSTRUCT(tuple);
	follower.place.schema = get_namespace_name(form->pronamespace);
	follower.place.name = pstrdup(NameStr(form->proname));
	follower.place.owner = form->proowner;
	follower.arguments = psprintf("(%s)", TextDatumGetCString(DirectFunctionCall1(pg_get_function_identity_arguments,
																			  ObjectIdGetDatum(function))));
	ReleaseSysCache(tuple);
	follow(&follower, before, view);
	fs_as_of_record_name(relid, follower.place.name);
}

/* The view's name that the definition's speaks of; NULL when it has one of its own. */
static const char *
name_before(const char *definition)
{
	int			length = strlen(definition) - strlen(FS_DEFINITION_SUFFIX);

	if (length <= 0 || strcmp(definition + length, FS_DEFINITION_SUFFIX) != 0)
		return NULL;
	return pnstrdup(definition, length);
}

/* See definition.h. */
void
fs_definition_follow(const FsViewDef *view)
{
	Place		now = relation_place(view->relid);
	Place		before = relation_place(view->definition);

	before.name = name_before(before.name);
	if (strcmp(before.schema, now.schema) == 0 && before.owner == now.owner &&
		(before.name == NULL || strcmp(before.name, now.name) == 0))
		return;
	follow_as_of(view->relid, &before, &now);
	follow_history(view->history, &before, &now);
	follow_relation("FOREIGN TABLE", FS_LIVE_SUFFIX, view->live, &before, &now);
	follow_relation("VIEW", FS_DEFINITION_SUFFIX, view->definition, &before, &now);
}
