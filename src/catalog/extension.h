/*
 * extension.h
 *		The extension's own tables, reached on behalf of any user.
 *
 * Nothing in schema feature_stream is writable by users: their commands change
 * it through functions that check rights first and then do the writing between
 * fs_owner_begin and fs_owner_end.
 */
#ifndef FS_CATALOG_EXTENSION_H
#define FS_CATALOG_EXTENSION_H

#include "postgres.h"

#define FS_SCHEMA "feature_stream"

typedef struct FsOwnerScope
{
	Oid			user;
	int			security;
	int			guc_level;
} FsOwnerScope;

/*
 * From here to fs_owner_end commands run as the bootstrap superuser, with an
 * empty search_path so that no user's operator or function can slip in.  On
 * an error the (sub)transaction's abort restores both; no PG_TRY is needed.
 */
extern void fs_owner_begin(FsOwnerScope *scope);
extern void fs_owner_end(FsOwnerScope *scope);

/*
 * Runs one command in that scope.  'expected' is the SPI result code it must
 * have.  Returns the number of rows processed.
 */
extern uint64 fs_owner_execute(const char *command, int expected, int nargs,
							   Oid *types, Datum *values, const char *nulls);

/* Runs one command as whoever is the current user. */
extern void fs_user_execute(const char *command, int expected);

/* Oid of a relation of schema feature_stream; InvalidOid when it is not there. */
extern Oid	fs_extension_relation(const char *name);

/* Makes a relation a member of an extension: pg_dump leaves it out, DROP EXTENSION takes it along. */
extern void fs_extension_add_member(Oid extension, Oid relid);

/* "schema.name", quoted as needed, palloc'd; "relation <oid>" when it is gone. */
extern char *fs_relation_name(Oid relid);

#endif							/* FS_CATALOG_EXTENSION_H */
