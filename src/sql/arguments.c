/*
 * arguments.c
 *		Arguments of our SQL functions that are not strict.
 */
#include "postgres.h"

#include "sql/arguments.h"

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
