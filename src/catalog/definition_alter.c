/*
 * definition_alter.c
 *		Changing the options of a feature view.
 *
 * Only those can change that say what becomes of rows, not what is in them:
 * where they go online, to which lake, and how long the history keeps them.  They are columns
 * of the registry's row; workers load it anew.
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "catalog/definition.h"
#include "catalog/extension.h"
#include "catalog/feature_view.h"
#include "catalog/lake.h"
#include "catalog/window.h"

/* What can change, and what can be reset to its default. */
enum
{
	ONLINE, ONLINE_KEY, ONLINE_TTL, ON_EMPTY, HISTORY_RETENTION, OFFLINE, NOPTIONS
};

static const char *const option_names[NOPTIONS] = {
	"online", "online_key", "online_ttl", "on_empty", "history_retention", "offline"
};

typedef struct Alteration
{
	FsViewDef  *view;
	const FsViewRequest *request;
	bool		given[NOPTIONS];
	bool		reset[NOPTIONS];
} Alteration;

/* Number of an option; throws when it is none. */
static int
find_option(const char *name)
{
	for (int i = 0; i < NOPTIONS; i++)
		if (strcmp(option_names[i], name) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("option \"%s\" of a feature view cannot be reset", name),
			 errhint("Available options: online, online_key, online_ttl, on_empty, history_retention, offline.")));
	return 0;					/* not reached */
}

/* Reads the array 'reset', which may be NULL. */
static void
read_reset(Alteration *change, ArrayType *reset)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	if (reset == NULL)
		return;
	deconstruct_array(reset, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("an option to be reset must not be null")));
		change->reset[find_option(TextDatumGetCString(elements[i]))] = true;
	}
}

static bool
concerns(const Alteration *change, int option)
{
	return change->given[option] || change->reset[option];
}

/* Throws unless something is to change, and nothing in two ways. */
static void
check_options(const Alteration *change)
{
	bool		any = false;

	for (int i = 0; i < NOPTIONS; i++)
	{
		any |= concerns(change, i);
		if (change->given[i] && change->reset[i])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"%s\" is both given and reset", option_names[i])));
	}
	if (!any)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("nothing to alter"),
				 errhint("Give options their new values, or name them in the argument \"reset\".")));
}

/* Throws when retention makes no sense or is no span. */
static void
check_retention(const Alteration *change)
{
	if (!concerns(change, HISTORY_RETENTION))
		return;
	if (change->view->history_mode == FS_HISTORY_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"history_retention\" needs a history"),
				 errdetail("Feature view %s was created with history => 'none'.",
						   fs_relation_name(change->view->relid))));
	if (change->given[HISTORY_RETENTION])
		(void) fs_interval_to_usec(change->request->history_retention,
								   "history_retention", 1);
}

/* Sets the view's server and key to what they will be. */
static void
change_online(Alteration *change)
{
	FsViewDef  *view = change->view;
	FsViewRequest target = {0};

	if (change->given[ONLINE])
		target.online = change->request->online;
	else if (OidIsValid(view->online_server) && !change->reset[ONLINE])
		target.online = GetForeignServer(view->online_server)->servername;
	if (target.online == NULL &&
		(change->given[ONLINE_KEY] || change->given[ONLINE_TTL]))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"online_key\" and \"online_ttl\" need the argument \"online\""),
				 errhint("Name a server of wrapper feature_stream_redis.")));
	if (change->given[ONLINE_TTL])
		(void) fs_interval_to_usec(change->request->online_ttl, "online_ttl", 1);
	if (!concerns(change, ONLINE) && !concerns(change, ONLINE_KEY))
		return;
	if (change->given[ONLINE_KEY])
		target.online_key = change->request->online_key;
	else if (!change->reset[ONLINE_KEY])
		target.online_key = view->online_key;
	view->online_key = NULL;
	fs_definition_check_online(view, &target);
}

/* A parameter of the command below; NULL for no value. */
static void
set_parameter(Datum *values, char *nulls, int i, bool is_set, Datum value)
{
	values[i] = is_set ? value : (Datum) 0;
	nulls[i] = is_set ? ' ' : 'n';
}

/* Writes the registry's row; what is neither given nor reset stays. */
static void
update_row(const Alteration *change)
{
	const FsViewDef *view = change->view;
	const FsViewRequest *request = change->request;
	Oid			types[8] = {OIDOID, NAMEOID, TEXTOID, INTERVALOID, TEXTOID, INTERVALOID, BOOLOID, BOOLOID};
	Datum		values[8];
	char		nulls[8];
	bool		has_server = OidIsValid(view->online_server);

	set_parameter(values, nulls, 0, true, ObjectIdGetDatum(view->relid));
	set_parameter(values, nulls, 1, has_server, has_server ?
				  DirectFunctionCall1(namein, CStringGetDatum(GetForeignServer(view->online_server)->servername)) : (Datum) 0);
	set_parameter(values, nulls, 2, has_server && view->online_key != NULL,
				  view->online_key != NULL ? CStringGetTextDatum(view->online_key) : (Datum) 0);
	set_parameter(values, nulls, 3, change->given[ONLINE_TTL], IntervalPGetDatum(request->online_ttl));
	set_parameter(values, nulls, 4, true,
				  CStringGetTextDatum(view->on_empty == FS_ON_EMPTY_SET ? "set" : "delete"));
	set_parameter(values, nulls, 5, change->given[HISTORY_RETENTION],
				  IntervalPGetDatum(request->history_retention));
	set_parameter(values, nulls, 6, true,
				  BoolGetDatum(change->reset[ONLINE_TTL] || change->reset[ONLINE]));
	set_parameter(values, nulls, 7, true, BoolGetDatum(change->reset[HISTORY_RETENTION]));
	fs_owner_execute("UPDATE feature_stream.feature_view SET online = $2, online_key = $3,"
					 " online_ttl = CASE WHEN NOT $7 THEN COALESCE($4, online_ttl) END,"
					 " on_empty = $5,"
					 " history_retention = CASE WHEN NOT $8 THEN COALESCE($6, history_retention) END"
					 " WHERE view = $1",
					 SPI_OK_UPDATE, lengthof(types), types, values, nulls);
}

/* Writes what the registry's row says of the lake; NULLs for none. */
static void
update_lake(Oid view, const FsViewRequest *request)
{
	Oid			types[5] = {OIDOID, NAMEOID, TEXTOID, TEXTARRAYOID, INTERVALOID};
	Datum		values[5];
	char		nulls[5];
	bool		is_set = request != NULL;

	set_parameter(values, nulls, 0, true, ObjectIdGetDatum(view));
	set_parameter(values, nulls, 1, is_set, is_set ?
				  DirectFunctionCall1(namein, CStringGetDatum(request->offline)) : (Datum) 0);
	set_parameter(values, nulls, 2, is_set, is_set ? CStringGetTextDatum(request->offline_table) : (Datum) 0);
	set_parameter(values, nulls, 3, is_set, is_set ? PointerGetDatum(request->offline_partition_by) : (Datum) 0);
	set_parameter(values, nulls, 4, is_set, is_set ? IntervalPGetDatum(request->offline_interval) : (Datum) 0);
	fs_owner_execute("UPDATE feature_stream.feature_view SET offline = $2, offline_table = $3,"
					 " offline_partition_by = $4, offline_interval = $5 WHERE view = $1",
					 SPI_OK_UPDATE, 5, types, values, nulls);
}

/* Changes how often the view is exported. */
static void
change_lake_interval(const Alteration *change)
{
	Oid			types[2] = {OIDOID, INTERVALOID};
	Datum		values[2] = {ObjectIdGetDatum(change->view->relid), IntervalPGetDatum(change->request->offline_interval)};

	(void) fs_interval_to_usec(change->request->offline_interval, "offline_interval", USECS_PER_SEC);
	fs_owner_execute("UPDATE feature_stream.feature_view SET offline_interval = $2 WHERE view = $1",
					 SPI_OK_UPDATE, 2, types, values, NULL);
}

/* Begins the export to a lake, ends it, or changes how often it is. */
static void
change_lake(Alteration *change)
{
	FsViewDef  *view = change->view;
	FsViewRequest target = *change->request;

	if (change->reset[OFFLINE])
	{
		fs_lake_detach(view);
		update_lake(view->relid, NULL);
	}
	if (!change->given[OFFLINE])
		return;
	if (OidIsValid(view->offline_server) && target.offline == NULL && target.offline_table == NULL &&
		target.offline_partition_by == NULL)
	{
		change_lake_interval(change);
		return;
	}
	if (OidIsValid(view->offline_server))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("feature view %s is exported to a lake already", fs_relation_name(view->relid)),
				 errhint("End that first, with reset => '{offline}'.")));
	fs_lake_check(view, &target);
	update_lake(view->relid, &target);
	fs_lake_attach(view, &target, false);
}

/* See definition.h. */
bool
fs_definition_alter(Oid relid, const FsViewRequest *request, ArrayType *reset,
					Oid *stream)
{
	Alteration	change = {0};
	Oid			old_server;

	fs_definition_lock();
	change.view = fs_view_load(relid);
	change.request = request;
	if (!pg_class_ownercheck(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_FOREIGN_TABLE, get_rel_name(relid));
	change.given[ONLINE] = request->online != NULL;
	change.given[ONLINE_KEY] = request->online_key != NULL;
	change.given[ONLINE_TTL] = request->online_ttl != NULL;
	change.given[ON_EMPTY] = request->on_empty != NULL;
	change.given[HISTORY_RETENTION] = request->history_retention != NULL;
	change.given[OFFLINE] = request->offline != NULL || request->offline_table != NULL ||
		request->offline_partition_by != NULL || request->offline_interval != NULL;
	read_reset(&change, reset);
	check_options(&change);
	check_retention(&change);
	if (concerns(&change, ON_EMPTY))
		change.view->on_empty = fs_definition_check_on_empty(change.given[ON_EMPTY] ?
															 request->on_empty : "delete");
	old_server = change.view->online_server;
	change_online(&change);
	update_row(&change);
	change_lake(&change);
	if (change.view->online_server != old_server)
	{
		if (OidIsValid(old_server))
			(void) deleteDependencyRecordsForSpecific(RelationRelationId, relid, DEPENDENCY_NORMAL,
													  ForeignServerRelationId, old_server);
		fs_definition_depend_on_server(change.view);
	}
	*stream = change.view->stream;
	return concerns(&change, ONLINE) || concerns(&change, ONLINE_KEY) ||
		concerns(&change, ONLINE_TTL) || concerns(&change, ON_EMPTY) ||
		concerns(&change, OFFLINE);
}
