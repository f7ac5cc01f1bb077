/*
 * arguments.c
 *		Arguments of our SQL functions.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "catalog/extension.h"
#include "catalog/stream.h"
#include "sql/arguments.h"
#include "state/shared.h"

/* See arguments.h. */
void
fs_argument_require(FunctionCallInfo fcinfo, int arg, const char *name)
{
	Assert(arg < PG_NARGS());
	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
}

/* See arguments.h. */
void
fs_argument_own_stream(Oid relid)
{
	fs_require_preload();
	if (!fs_is_stream(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a stream", fs_relation_name(relid))));
	if (!pg_class_ownercheck(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_FOREIGN_TABLE, get_rel_name(relid));
}
