/*
 * definition.c
 *		Creating and dropping the objects of a feature view.
 *
 * Order matters: the definition view comes first, because making it parses and
 * analyzes the query as the caller; the compiled query then says which columns
 * history and foreign table get.
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"

#include "catalog/as_of.h"
#include "catalog/compile.h"
#include "catalog/cost.h"
#include "catalog/definition.h"
#include "catalog/definition_objects.h"
#include "catalog/extension.h"
#include "catalog/feature_view.h"
#include "catalog/lake.h"
#include "catalog/pinned.h"
#include "catalog/window.h"
#include "ground/settings.h"

/* The shared statistics have room for this many views of a stream. */
#define MAX_VIEWS_PER_STREAM 32

/*
 * Resolves the name the user gave: sets view->schema and name.  The right to
 * create there is checked by the commands that create.
 */
static void
resolve_name(FsViewDef *view, const char *name)
{
	RangeVar   *range = makeRangeVarFromNameList(stringToQualifiedNameList(name));
	Oid			namespace = RangeVarGetCreationNamespace(range);
	const char *const suffixes[] = {"", FS_DEFINITION_SUFFIX, FS_HISTORY_SUFFIX, FS_LIVE_SUFFIX};

	if (isAnyTempNamespace(namespace))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a feature view cannot be temporary"),
				 errdetail("Workers cannot see temporary objects.")));
	view->schema = get_namespace_name(namespace);
	view->name = pstrdup(range->relname);
	if (strlen(view->name) + strlen(FS_DEFINITION_SUFFIX) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("feature view name \"%s\" is too long", view->name),
				 errdetail("It can have %d bytes, to leave room for \"%s\".",
						   (int) (NAMEDATALEN - 1 - strlen(FS_DEFINITION_SUFFIX)),
						   FS_DEFINITION_SUFFIX)));
	for (int i = 0; i < lengthof(suffixes); i++)
	{
		char	   *relname = psprintf("%s%s", view->name, suffixes[i]);

		if (OidIsValid(get_relname_relid(relname, namespace)))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_TABLE),
					 errmsg("relation \"%s\" already exists", relname),
					 i == 2 ?
					 errhint("The history of a dropped feature view is kept: drop the table or rename it.") :
					 errhint("Choose another name for the feature view.")));
	}
}

/* "schema.name<suffix>", quoted as needed. */
static char *
object_name(const FsViewDef *view, const char *suffix)
{
	return quote_qualified_identifier(view->schema,
									  psprintf("%s%s", view->name, suffix));
}

static Oid
object_oid(const FsViewDef *view, const char *suffix)
{
	return get_relname_relid(psprintf("%s%s", view->name, suffix),
							 get_namespace_oid(view->schema, false));
}

/* Makes the definition view and returns its analyzed query. */
static Query *
create_definition(FsViewDef *view, const char *query)
{
	fs_user_execute(psprintf("CREATE VIEW %s AS %s",
							 object_name(view, FS_DEFINITION_SUFFIX), query),
					SPI_OK_UTILITY);
	view->definition = object_oid(view, FS_DEFINITION_SUFFIX);
	return fs_view_query(view->definition);
}

/* See definition.h. */
void
fs_definition_check_right(const FsStreamDef *stream)
{
	if (pg_class_aclcheck(stream->relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_FOREIGN_TABLE,
					   get_rel_name(stream->relid));
}

/* Throws unless the stream has room for one more view. */
static void
check_room(const FsStreamDef *stream)
{
	if (list_length(fs_view_list(stream->relid)) >= MAX_VIEWS_PER_STREAM)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("stream %s cannot have more than %d feature views",
						stream->name, MAX_VIEWS_PER_STREAM)));
}

/* See definition.h. */
void
fs_definition_depend_on_server(const FsViewDef *view)
{
	ObjectAddress self;
	ObjectAddress server;

	if (!OidIsValid(view->online_server))
		return;
	ObjectAddressSet(self, RelationRelationId, view->relid);
	ObjectAddressSet(server, ForeignServerRelationId, view->online_server);
	recordDependencyOn(&self, &server, DEPENDENCY_NORMAL);
}

/*
 * Ties the foreign table to what it cannot be without, so that DROP ... CASCADE
 * of the stream or of the online server takes it along, and <view>_live to it.
 * The history stands alone: it survives.
 */
static void
record_dependencies(const FsViewDef *view)
{
	ObjectAddress self;
	ObjectAddress other;

	Assert(OidIsValid(view->relid) && OidIsValid(view->definition));
	ObjectAddressSet(self, RelationRelationId, view->relid);
	ObjectAddressSet(other, RelationRelationId, view->definition);
	recordDependencyOn(&self, &other, DEPENDENCY_NORMAL);
	ObjectAddressSet(other, RelationRelationId, view->live);
	recordDependencyOn(&other, &self, DEPENDENCY_AUTO);
	fs_definition_depend_on_server(view);
}

/* Default privileges may give new tables to PUBLIC; features are given on purpose only. */
static void
revoke_from_public(Oid relid)
{
	fs_user_execute(psprintf("REVOKE ALL ON %s FROM PUBLIC",
							 fs_relation_name(relid)), SPI_OK_UTILITY);
}

/* See definition.h. */
void
fs_definition_lock(void)
{
	fs_owner_execute("LOCK TABLE feature_stream.feature_view IN SHARE ROW EXCLUSIVE MODE",
					 SPI_OK_UTILITY, 0, NULL, NULL, NULL);
}

/* See definition.h. */
FsViewDef *
fs_definition_create(FsViewRequest *request)
{
	FsViewDef  *view = palloc0(sizeof(FsViewDef));
	FsStreamDef *stream;
	Query	   *query;

	fs_definition_lock();
	view->owner = GetUserId();
	resolve_name(view, request->name);
	fs_definition_check_query(request->query);
	fs_definition_check_arguments(view, request);
	query = create_definition(view, request->query);
	view->stream = fs_compile_stream(query);
	stream = fs_stream_load(view->stream);
	fs_definition_check_right(stream);
	check_room(stream);
	fs_definition_check_backfill(request, stream);
	view->force_replay = fs_force_replay;
	fs_view_compile(view, query, stream);
	fs_window_finish(view, stream);
	fs_definition_check_online(view, request);
	fs_cost_check(view, NULL, stream);
	fs_settings_capture(view);
	fs_objects_create(view, stream, object_name(view, FS_HISTORY_SUFFIX));
	if (view->history_mode != FS_HISTORY_NONE)
		view->history = object_oid(view, FS_HISTORY_SUFFIX);
	fs_lake_check(view, request);
	fs_objects_register(view, stream, query, request);
	record_dependencies(view);
	if (OidIsValid(view->offline_server))
		fs_lake_attach(view, request, true);
	revoke_from_public(view->definition);
	revoke_from_public(view->relid);
	revoke_from_public(view->live);
	if (OidIsValid(view->history))
	{
		revoke_from_public(view->history);
		fs_as_of_create(view, stream);
	}
	return view;
}

/* See definition.h. */
void
fs_definition_forget(Oid view, Oid definition)
{
	static const char *const tables[] = {"feature_view", "firing", "view_state", "view_pause", "view_alteration", "backfill", "correction",
	"backread", "backread_position", "backread_log", "lake_chunk", "lake_export"};
	Oid			types[1] = {OIDOID};
	Datum		values[1];
	Oid			live = fs_view_live(view);

	values[0] = ObjectIdGetDatum(view);
	fs_as_of_drop(view);

	/* A restored dump has no dependency of it on the view. */
	if (OidIsValid(live))
		fs_owner_execute(psprintf("DROP FOREIGN TABLE %s", fs_relation_name(live)),
						 SPI_OK_UTILITY, 0, NULL, NULL, NULL);
	for (int i = 0; i < lengthof(tables); i++)
		fs_owner_execute(psprintf("DELETE FROM feature_stream.%s WHERE view = $1",
								  tables[i]),
						 SPI_OK_DELETE, 1, types, values, NULL);
	if (get_rel_relkind(definition) == RELKIND_VIEW)
		fs_owner_execute(psprintf("DROP VIEW %s", fs_relation_name(definition)),
						 SPI_OK_UTILITY, 0, NULL, NULL, NULL);
}

/* See definition.h. */
void
fs_definition_drop(const FsViewDef *view, bool drop_history)
{
	if (!pg_class_ownercheck(view->relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_FOREIGN_TABLE, view->name);
	fs_user_execute(psprintf("DROP FOREIGN TABLE %s", object_name(view, "")),
					SPI_OK_UTILITY);
	fs_definition_forget(view->relid, view->definition);
	if (drop_history && OidIsValid(view->history))
		fs_user_execute(psprintf("DROP TABLE %s",
								 fs_relation_name(view->history)),
						SPI_OK_UTILITY);
}
