/*
 * schemas.h
 *		Subjects, their versions, and what a new schema has against them.
 *
 * For schemas.c and schema_check.c.
 */
#ifndef FS_SQL_SCHEMAS_H
#define FS_SQL_SCHEMAS_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* What a subject asks of a new schema; NONE asks nothing. */
typedef struct FsCompatibility
{
	const char *name;
	bool		backward;		/* it reads what older versions wrote */
	bool		forward;		/* older versions read what it writes */
	bool		transitive;		/* all of them, not only the newest */
} FsCompatibility;

/* One schema against one version. */
typedef struct FsSchemaProblem
{
	char	   *path;			/* in the reader's schema */
	const char *rule;
	int			reader_version; /* 0: the new schema */
	int			writer_version;
	char	   *sentence;
} FsSchemaProblem;

/* The canonical forms of a schema (core/avro_canonical.h), as bytea. */
typedef struct FsSchemaForms
{
	Datum		parsing;
	Datum		whole;
} FsSchemaForms;

/* The mode of this name, in any case of letters; throws when there is none. */
extern const FsCompatibility *fs_schema_compatibility(const char *name);

/* The subject's version that is the same schema; 0 when there is none.  As the extension's owner. */
extern int	fs_schema_find(const char *subject, const FsSchemaForms *forms);

/*
 * Parses a schema (throws when it is none) into its forms, palloc'd.  NUL-free
 * text in the server's encoding.
 */
extern void fs_schema_read(const char *text, FsSchemaForms *forms);

/*
 * List of FsSchemaProblem, palloc'd: what a new schema breaks of what the
 * subject's versions are owed; newest version first.  Throws when it is no
 * schema, or when a pair of schemas is too large to be judged.
 */
extern List *fs_schema_check(const char *subject, const char *text,
							 const FsCompatibility *compatibility);

#endif							/* FS_SQL_SCHEMAS_H */
