/*
 * server.c
 *		Foreign servers of our wrappers; see server.h.
 */
#include "postgres.h"

#include "foreign/foreign.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "catalog/server.h"

/* A wrapper, and how it is spoken of to who names a wrong server. */
typedef struct Wrapper
{
	const char *name;
	const char *kind;			/* of its servers; NULL: none is asked for by name */
	const char *option;			/* that each of them needs */
} Wrapper;

static const Wrapper wrappers[] = {
	[FS_WRAPPER_KAFKA] = {"feature_stream_kafka", "a Kafka server", "brokers"},
	[FS_WRAPPER_REDIS] = {"feature_stream_redis", "an online store", "host"},
	[FS_WRAPPER_TABLE] = {"feature_stream_table"},
	[FS_WRAPPER_VIEW] = {"feature_stream_view"},
	[FS_WRAPPER_LAKE] = {"feature_stream_iceberg", "a lake", "warehouse"}
};

/* See server.h. */
FsWrapper
fs_wrapper_of_server(Oid serverid)
{
	ForeignServer *server = GetForeignServerExtended(serverid, FSV_MISSING_OK);
	ForeignDataWrapper *wrapper;

	if (server == NULL)
		return FS_WRAPPER_NONE;
	wrapper = GetForeignDataWrapperExtended(server->fdwid, FDW_MISSING_OK);
	for (int i = FS_WRAPPER_KAFKA; i < lengthof(wrappers) && wrapper != NULL; i++)
		if (strcmp(wrapper->fdwname, wrappers[i].name) == 0)
			return (FsWrapper) i;
	return FS_WRAPPER_NONE;
}

/* See server.h. */
Oid
fs_server_find(const char *name, Oid role, FsWrapper wrapper)
{
	const Wrapper *wanted = &wrappers[wrapper];
	Oid			server = get_foreign_server_oid(name, true);
	AclResult	acl;

	Assert(wanted->kind != NULL);
	if (!OidIsValid(server))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("server \"%s\" does not exist", name),
				 errhint("CREATE SERVER %s FOREIGN DATA WRAPPER %s OPTIONS (%s ...).",
						 quote_identifier(name), wanted->name, wanted->option)));
	if (fs_wrapper_of_server(server) != wrapper)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("server \"%s\" is not %s", name, wanted->kind),
				 errhint("Name a server of wrapper %s.", wanted->name)));
	acl = pg_foreign_server_aclcheck(server, role, ACL_USAGE);
	if (acl != ACLCHECK_OK)
		aclcheck_error(acl, OBJECT_FOREIGN_SERVER, name);
	return server;
}
