/*
 * extension.c
 *		The extension's own tables, reached on behalf of any user.
 *
 * Callers have checked the rights of the user before; nothing here does.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "catalog/extension.h"

/* See extension.h. */
void
fs_owner_begin(FsOwnerScope *scope)
{
	Assert(IsTransactionState());
	GetUserIdAndSecContext(&scope->user, &scope->security);
	scope->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   scope->security | SECURITY_LOCAL_USERID_CHANGE);
}

/* See extension.h. */
void
fs_owner_end(FsOwnerScope *scope)
{
	Assert(GetUserId() == BOOTSTRAP_SUPERUSERID);
	AtEOXact_GUC(false, scope->guc_level);
	SetUserIdAndSecContext(scope->user, scope->security);
}

/* Runs one command through SPI and checks its result code. */
static uint64
execute(const char *command, int expected, int nargs, Oid *types,
		Datum *values, const char *nulls)
{
	uint64		processed;
	int			result;

	SPI_connect();
	result = SPI_execute_with_args(command, nargs, types, values, nulls,
								   false, 0);
	if (result != expected)
		elog(ERROR, "command \"%s\" returned %s", command,
			 SPI_result_code_string(result));
	processed = SPI_processed;
	SPI_finish();
	return processed;
}

/* See extension.h. */
uint64
fs_owner_execute(const char *command, int expected, int nargs, Oid *types,
				 Datum *values, const char *nulls)
{
	FsOwnerScope scope;
	uint64		processed;

	fs_owner_begin(&scope);
	processed = execute(command, expected, nargs, types, values, nulls);
	fs_owner_end(&scope);
	return processed;
}

/* See extension.h. */
void
fs_user_execute(const char *command, int expected)
{
	(void) execute(command, expected, 0, NULL, NULL, NULL);
}

/* See extension.h. */
Oid
fs_extension_relation(const char *name)
{
	Oid			schema = get_namespace_oid(FS_SCHEMA, true);

	Assert(name != NULL);
	if (!OidIsValid(schema))
		return InvalidOid;
	return get_relname_relid(name, schema);
}

/* See extension.h. */
char *
fs_relation_name(Oid relid)
{
	char	   *name = get_rel_name(relid);
	char	   *schema;

	if (name == NULL)
		return psprintf("relation %u", relid);
	schema = get_namespace_name(get_rel_namespace(relid));
	return quote_qualified_identifier(schema, name);
}

/* See extension.h. */
void
fs_extension_add_member(Oid extension, Oid relid)
{
	ObjectAddress member;
	ObjectAddress owner;

	ObjectAddressSet(member, RelationRelationId, relid);
	ObjectAddressSet(owner, ExtensionRelationId, extension);
	recordDependencyOn(&member, &owner, DEPENDENCY_EXTENSION);
}
