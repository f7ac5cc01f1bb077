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

#include "core/avro_schema.h"

/* What a subject asks of a new schema; NONE asks nothing. */
typedef struct FsCompatibility
{
	const char *name;
	bool		backward;		/* it reads what older versions wrote */
	bool		forward;		/* older versions read what it writes */
	bool		transitive;		/* all of them, not only the newest */
} FsCompatibility;

/* One schema against one version, or against a stream. */
typedef struct FsSchemaProblem
{
	char	   *path;			/* in the reader's schema */
	const char *rule;
	int			reader_version; /* 0: the new schema */
	int			writer_version;
	char	   *sentence;
	Datum		features;		/* text[]: what it would break, as view.feature; 0: not about features */
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

/* The schema, malloc'd; throws when it is none.  'what' names it. */
extern FsAvroSchema *fs_schema_parse(const char *text, const char *what);

/*
 * List of FsSchemaProblem, palloc'd: which features could not be computed as they
 * are from records written with a new schema.  By the custom of naming subjects,
 * those are the records of the topic "<topic>-value"; 'newest' is the subject's
 * newest version, NULL when it has none.
 */
extern List *fs_schema_impact(const char *subject, const char *text, const char *newest);

/* The text of the subject's newest version, palloc'd; NULL when it has none. */
extern char *fs_schema_newest(const char *subject);

/*
 * List of FsSchemaProblem, palloc'd: what a new schema breaks of what the
 * subject's versions are owed; newest version first.  Throws when it is no
 * schema, or when a pair of schemas is too large to be judged.
 */
extern List *fs_schema_check(const char *subject, const char *text,
							 const FsCompatibility *compatibility);

#endif							/* FS_SQL_SCHEMAS_H */
