/*
 * schemas.h
 *		Subjects, their versions, and what a new schema has against them.
 *
 * For schemas.c, schema_store.c, schema_check.c, schema_impact.c, schema_transfer.c
 * and import_streams.c.
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

/* A subject's row. */
typedef struct FsSubject
{
	Oid			owner;
	const FsCompatibility *compatibility;
} FsSubject;

/* A schema as it is kept. */
typedef struct FsSchemaVersion
{
	int			number;			/* 0: it is no version yet */
	const char *text;
	int			nreferenced;	/* schemas that it refers to, each before those that refer to it */
	const char **referenced;
	const char *refers_to;		/* the same as a registry has it: JSON; NULL: nothing */
} FsSchemaVersion;

/* One schema against one version, or against a stream. */
typedef struct FsSchemaProblem
{
	char	   *path;			/* in the reader's schema */
	const char *rule;
	int			reader_version; /* 0: the new schema */
	int			writer_version;
	char	   *sentence;
	const char *field;			/* of records, that the path leads to or into; NULL: all of a record.  Only against a version */
	Datum		features;		/* text[]: what it would break, as view.feature; 0: not about features */
	bool		breaks;			/* only against a stream: records could not be read, or features would lose what they are made of */
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

/* --- What is stored (schema_store.c), as the extension's owner --- */

/* Throws for a subject that is empty or too long. */
extern void fs_subject_check_name(const char *subject);

/* Reads the subject's row, and locks it when asked to; false when there is none. */
extern bool fs_subject_load(const char *name, bool lock, FsSubject *subject);

/* Throws unless the current user has the rights of the subject's owner. */
extern void fs_subject_check_owner(const char *name, const FsSubject *subject);

/* Makes the subject, if it is new, the current user's; locks its row and reads it.  Throws unless it is his. */
extern void fs_subject_enter(const char *name, FsSubject *subject);

/* Sets the compatibility of a subject that is there. */
extern void fs_subject_set_compatibility(const char *name, const FsCompatibility *compatibility);

/* The newest version that is the same schema; 0 when there is none. */
extern int	fs_schema_find(const char *subject, const FsSchemaForms *forms);

/* Is the version the same schema?  *is_there: there is one of this number. */
extern bool fs_schema_is_same(const char *subject, int version, const FsSchemaForms *forms, bool *is_there);

/* Adds a version and gives its number, the next one where it has none. */
extern int	fs_schema_add(const char *subject, const FsSchemaVersion *version, const FsSchemaForms *forms);

/* List of FsSchemaVersion, newest first, palloc'd: all of the subject's, or only the newest. */
extern List *fs_schema_versions(const char *subject, bool all);

/* --- What core says of schemas (schema_check.c) --- */

/*
 * Parses a schema (throws when it is none, 'what' names it): NUL-free text in the
 * server's encoding.  Closing it early gives memory back before the current
 * memory context does.
 */
extern FsSchemaWork *fs_schema_open(const FsSchemaVersion *version, const char *what);
extern void fs_schema_close(FsSchemaWork *work);

/* Its forms, palloc'd. */
extern void fs_schema_forms(FsSchemaWork *work, FsSchemaForms *forms);

/* Parses another schema into work->other, in place of the one before; throws when it is none.  'what' names it. */
extern void fs_schema_parse_other(FsSchemaWork *work, const FsSchemaVersion *version, const char *what);

/* Holds one of the two against the other as its reader; what is wrong goes to work->conflicts.  Throws for want of memory. */
extern FsAvroVerdict fs_schema_compare(FsSchemaWork *work, bool is_reader, const char *reader_name, const char *writer_name);

/*
 * List of FsSchemaProblem, palloc'd: what a new schema breaks of what the
 * subject's versions are owed; newest version first.  Throws when a pair of
 * schemas is too large to be judged.
 */
extern List *fs_schema_check(const char *subject, FsSchemaWork *work,
							 const FsCompatibility *compatibility);

/* --- What streams and features say of them (schema_impact.c) --- */

/*
 * List of FsSchemaProblem, palloc'd: which features could not be computed as they
 * are from records written with a new schema.  By the custom of naming subjects,
 * those are the records of the topic "<topic>-value", so far written with its
 * newest version.
 */
extern List *fs_schema_impact(const char *subject, FsSchemaWork *work);

/* Enters which features depend on the fields that problems with versions are about. */
extern void fs_schema_name_features(const char *subject, List *problems);

/* The name of the field of a record that a path is about, such as $.fields[2].type; NULL: it is about none.  Of the schema. */
extern const char *fs_schema_field_of_path(const FsAvroSchema *schema, const char *path);

#endif							/* FS_SQL_SCHEMAS_H */
