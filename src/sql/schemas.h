/*
 * schemas.h
 *		Subjects, their versions, and what a new schema has against them.
 *
 * For schemas.c, schema_check.c and schema_impact.c.
 */
#ifndef FS_SQL_SCHEMAS_H
#define FS_SQL_SCHEMAS_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "core/avro_compat.h"
#include "core/avro_schema.h"
#include "core/buffer.h"

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

/* A schema that is looked at, and what core makes meanwhile; its memory context owns all of it. */
typedef struct FsSchemaWork
{
	FsAvroSchema *given;
	FsAvroSchema *other;		/* that it is compared with, for a while */
	FsAvroConflicts conflicts;
	FsBuffer	form;
} FsSchemaWork;

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
 * Parses argument "schema" (throws when it is none): NUL-free text in the
 * server's encoding.  Closing it early gives memory back before the current
 * memory context does.
 */
extern FsSchemaWork *fs_schema_open(const char *text);
extern void fs_schema_close(FsSchemaWork *work);

/* Its forms, palloc'd. */
extern void fs_schema_forms(FsSchemaWork *work, FsSchemaForms *forms);

/* Parses another schema into work->other, in place of the one before; throws when it is none.  'what' names it. */
extern void fs_schema_parse_other(FsSchemaWork *work, const char *text, const char *what);

/* Holds one of the two against the other as its reader; what is wrong goes to work->conflicts.  Throws for want of memory. */
extern FsAvroVerdict fs_schema_compare(FsSchemaWork *work, bool is_reader, const char *reader_name, const char *writer_name);

/*
 * List of FsSchemaProblem, palloc'd: which features could not be computed as they
 * are from records written with a new schema.  By the custom of naming subjects,
 * those are the records of the topic "<topic>-value"; 'newest' is the subject's
 * newest version, NULL when it has none.
 */
extern List *fs_schema_impact(const char *subject, FsSchemaWork *work, const char *newest);

/* The text of the subject's newest version, palloc'd; NULL when it has none. */
extern char *fs_schema_newest(const char *subject);

/*
 * List of FsSchemaProblem, palloc'd: what a new schema breaks of what the
 * subject's versions are owed; newest version first.  Throws when a pair of
 * schemas is too large to be judged.
 */
extern List *fs_schema_check(const char *subject, FsSchemaWork *work,
							 const FsCompatibility *compatibility);

#endif							/* FS_SQL_SCHEMAS_H */
