/*
 * arguments.h
 *		Arguments of our SQL functions.
 */
#ifndef FS_SQL_ARGUMENTS_H
#define FS_SQL_ARGUMENTS_H

#include "postgres.h"

#include "fmgr.h"

/* Throws 22004 for a NULL where something must be said; 'name' is the argument's in SQL. */
extern void fs_argument_require(FunctionCallInfo fcinfo, int arg, const char *name);

/* Throws unless the relation is a stream of the current user's, and the library was preloaded. */
extern void fs_argument_own_stream(Oid relid);

#endif							/* FS_SQL_ARGUMENTS_H */
