/*
 * access.c
 *		Who may see and use what the extension has.
 *
 * Nothing is granted to PUBLIC.  Owners of streams get the rights to read about
 * them when they define one (stream_events.c); who is to define streams and
 * feature views gets those from a superuser by grant_access().
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/extension.h"
#include "sql/access.h"
#include "state/shared.h"

PG_FUNCTION_INFO_V1(fs_grant_access);
PG_FUNCTION_INFO_V1(fs_iceberg_metadata_location);

/* GRANT commands for what a reader needs and role $1 does not have yet. */
#define READING_COMMANDS \
	"SELECT pg_catalog.format('GRANT USAGE ON SCHEMA feature_stream TO %I', r.rolname)" \
	"  FROM pg_catalog.pg_roles r" \
	" WHERE r.oid = $1 AND NOT pg_catalog.has_schema_privilege($1, 'feature_stream', 'USAGE')" \
	" UNION ALL " \
	"SELECT pg_catalog.format('GRANT SELECT ON feature_stream.%I TO %I', c.relname, r.rolname)" \
	"  FROM pg_catalog.pg_class c, pg_catalog.pg_roles r" \
	" WHERE r.oid = $1 AND c.relnamespace = 'feature_stream'::pg_catalog.regnamespace" \
	"   AND (c.relname IN ('dead_letter', 'dead_letter_outcome', 'dead_letter_overflow', 'dead_letter_unsent', 'dead_letter_summary', 'correction') OR (c.relkind = 'v' AND c.relname LIKE 'stat\\_%'))" \
	"   AND NOT pg_catalog.has_table_privilege($1, c.oid, 'SELECT')" \
	" UNION ALL " \
	"SELECT pg_catalog.format('GRANT UPDATE (payload, key, headers) ON feature_stream.dead_letter TO %I', r.rolname)" \
	"  FROM pg_catalog.pg_roles r" \
	" WHERE r.oid = $1 AND NOT pg_catalog.has_column_privilege($1, 'feature_stream.dead_letter', 'payload', 'UPDATE')" \
	" UNION ALL " \
	"SELECT pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO %I', p.oid::pg_catalog.regprocedure, r.rolname)" \
	"  FROM pg_catalog.pg_proc p, pg_catalog.pg_roles r" \
	" WHERE r.oid = $1 AND p.pronamespace = 'feature_stream'::pg_catalog.regnamespace" \
	"   AND (p.proname LIKE 'stat\\_get\\_%' OR p.proname = 'iceberg_metadata_location')" \
	"   AND NOT pg_catalog.has_function_privilege($1, p.oid, 'EXECUTE')"

/* The same for who defines: named by their verbs, so that nothing else slips in. */
#define DEFINING_COMMANDS \
	"SELECT pg_catalog.format('GRANT SELECT ON feature_stream.%I TO %I', c.relname, r.rolname)" \
	"  FROM pg_catalog.pg_class c, pg_catalog.pg_roles r" \
	" WHERE r.oid = $1 AND c.relnamespace = 'feature_stream'::pg_catalog.regnamespace" \
	"   AND c.relname IN ('feature_view', 'feature', 'feature_lineage'," \
	"       'schema_subject', 'schema_version', 'schema_registration', 'stream_contract')" \
	"   AND NOT pg_catalog.has_table_privilege($1, c.oid, 'SELECT')" \
	" UNION ALL " \
	"SELECT pg_catalog.format('GRANT EXECUTE ON ROUTINE %s TO %I', p.oid::pg_catalog.regprocedure, r.rolname)" \
	"  FROM pg_catalog.pg_proc p, pg_catalog.pg_roles r" \
	" WHERE r.oid = $1 AND p.pronamespace = 'feature_stream'::pg_catalog.regnamespace" \
	"   AND p.proname IN ('create_feature_view', 'alter_feature_view', 'drop_feature_view', 'set_feature_tags'," \
	"       'pause_feature_view', 'resume_feature_view', 'pause_stream', 'resume_stream', 'checkpoint_stream'," \
	"       'replay_dead_letters', 'discard_dead_letters', 'read_event_log', 'register_schema', 'check_schema', 'set_compatibility'," \
	"       'import_schemas', 'publish_schema', 'compact_lake', 'expire_snapshots', 'merge_manifests', 'remove_orphan_files'," \
	"       'take_over_lake')" \
	"   AND NOT pg_catalog.has_function_privilege($1, p.oid, 'EXECUTE')"

/* The commands that 'select' makes for the role; in the context of SPI. */
static SPITupleTable *
list_commands(const char *select, Oid role)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1];

	values[0] = ObjectIdGetDatum(role);
	if (SPI_execute_with_args(select, 1, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not list privileges");
	return SPI_tuptable;
}

static void
run_command(const char *command)
{
	if (SPI_execute(command, false, 0) != SPI_OK_UTILITY)
		elog(ERROR, "could not execute \"%s\"", command);
}

/*
 * Grants what 'select' finds lacking.  GRANT locks nothing, and fails when the
 * same catalog row is changed meanwhile: by another grant, or by the worker
 * that attaches partitions to dead_letter.  The lock keeps both out.  The
 * caller has begun an owner scope.
 */
static void
grant_lacking(const char *select, Oid role)
{
	SPI_connect();
	if (list_commands(select, role)->numvals > 0)
	{
		SPITupleTable *commands;

		run_command("LOCK TABLE ONLY feature_stream.dead_letter IN SHARE UPDATE EXCLUSIVE MODE");
		commands = list_commands(select, role);
		for (uint64 i = 0; i < commands->numvals; i++)
			run_command(SPI_getvalue(commands->vals[i], commands->tupdesc, 1));
	}
	SPI_finish();
}

/* See access.h. */
void
fs_access_grant_reading(Oid role)
{
	FsOwnerScope scope;

	fs_owner_begin(&scope);
	grant_lacking(READING_COMMANDS, role);
	fs_owner_end(&scope);
}

/* grant_access(role regrole) returns void */
Datum
fs_grant_access(PG_FUNCTION_ARGS)
{
	Oid			role = PG_GETARG_OID(0);
	FsOwnerScope scope;

	fs_require_preload();
	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to grant access to feature_stream"),
				 errhint("Only superusers can.")));
	(void) GetUserNameFromId(role, false);	/* throws unless it exists */
	fs_owner_begin(&scope);
	grant_lacking(READING_COMMANDS, role);
	grant_lacking(DEFINING_COMMANDS, role);
	fs_owner_end(&scope);
	PG_RETURN_VOID();
}

/*
 * iceberg_metadata_location(view regclass) returns text
 *
 * For whoever may read the view: neither the catalog nor the state of exports is
 * theirs to read.
 */
Datum
fs_iceberg_metadata_location(PG_FUNCTION_ARGS)
{
	Oid			view = PG_GETARG_OID(0);
	MemoryContext caller = CurrentMemoryContext;
	AclResult	right = pg_class_aclcheck(view, GetUserId(), ACL_SELECT);
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(view)};
	char	   *location = NULL;
	FsOwnerScope scope;

	if (right != ACLCHECK_OK)
		aclcheck_error(right, get_relkind_objtype(get_rel_relkind(view)), get_rel_name(view));
	fs_owner_begin(&scope);
	SPI_connect();
	if (SPI_execute_with_args("SELECT t.metadata_location FROM feature_stream.lake_export e"
							  " JOIN feature_stream_catalog.iceberg_tables t USING (catalog_name, table_namespace, table_name)"
							  " WHERE e.view = $1", 1, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the catalog of lakes");
	if (SPI_processed > 0)
		location = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (location != NULL)
		location = MemoryContextStrdup(caller, location);
	SPI_finish();
	fs_owner_end(&scope);
	if (location == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(location));
}
