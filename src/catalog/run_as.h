/*
 * run_as.h
 *		Running what a user defined, as that user and with pinned settings.
 *
 * Expressions of a feature view run as its owner, whoever caused them to run,
 * in a security-restricted operation and under the settings captured when the
 * view was created.
 */
#ifndef FS_CATALOG_RUN_AS_H
#define FS_CATALOG_RUN_AS_H

#include "postgres.h"

#include "nodes/pg_list.h"

typedef struct FsRunAs
{
	Oid			user;
	int			security;
	int			guc_level;
} FsRunAs;

/*
 * From here to fs_run_as_end the current user is 'role', the search_path is
 * empty and 'settings' (name, value, name, value ...; NIL: none) are in force.
 * On an error the (sub)transaction's abort restores everything; no PG_TRY is
 * needed.  May be nested.
 */
extern void fs_run_as_begin(FsRunAs *scope, Oid role, List *settings);
extern void fs_run_as_end(FsRunAs *scope);

/* The part about settings alone, for who has a GUC nesting level of his own. */
extern void fs_run_as_pin(List *settings);

#endif							/* FS_CATALOG_RUN_AS_H */
