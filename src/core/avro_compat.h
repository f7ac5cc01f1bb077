/*
 * avro_compat.h
 *		Can one Avro schema read what was written with another?
 *
 * The verdict is that of Apache Avro's SchemaCompatibility for Java (1.12),
 * which schema registries ask: so two named types match when they have one
 * name without its namespace, or the reader's aliases have the writer's full
 * name; a reader's enum with a default takes any symbol; every branch of a
 * writer's union must be taken by the reader, whether it is ever written or
 * not.  Pairs of types are judged once, in Java's order, because a pair that
 * is met again while it is judged counts as compatible.
 */
#ifndef FS_CORE_AVRO_COMPAT_H
#define FS_CORE_AVRO_COMPAT_H

#include "core/avro_schema.h"

/* What is wrong; the names are those of Avro's SchemaIncompatibilityType. */
typedef enum FsAvroRule
{
	FS_AVRO_NAME_MISMATCH,
	FS_AVRO_FIXED_SIZE_MISMATCH,
	FS_AVRO_MISSING_ENUM_SYMBOLS,
	FS_AVRO_MISSING_DEFAULT,	/* READER_FIELD_MISSING_DEFAULT_VALUE */
	FS_AVRO_TYPE_MISMATCH,
	FS_AVRO_MISSING_BRANCH		/* MISSING_UNION_BRANCH */
} FsAvroRule;

typedef struct FsAvroConflict
{
	FsAvroRule	rule;
	bool		is_cause;		/* why the branch that would be it is not: Avro does not tell */
	const char *path;			/* where in the reader's schema: $.fields[2].type */
	const char *sentence;		/* ASCII */
} FsAvroConflict;

typedef struct FsAvroConflicts
{
	int			count;			/* at most FS_AVRO_MAX_CONFLICTS: others are not told */
	int			max;			/* allocated */
	FsAvroConflict *items;
	FsScratch	memory;
} FsAvroConflicts;

#define FS_AVRO_MAX_CONFLICTS	1000

typedef enum FsAvroVerdict
{
	FS_AVRO_COMPATIBLE,
	FS_AVRO_INCOMPATIBLE,
	FS_AVRO_TOO_LARGE,			/* not judged: it would take too long, or too deep a stack */
	FS_AVRO_NO_MEMORY
} FsAvroVerdict;

/*
 * Judges, and fills in *conflicts, which was all zero: each problem once, at the
 * first place where it is met; at least one when the verdict is incompatible.
 * 'reader_name' and 'writer_name' stand for the schemas in the sentences
 * ("reader v2").  The caller frees *conflicts, whatever the verdict.
 */
extern FsAvroVerdict fs_avro_compat_check(const FsAvroSchema *reader,
										  const FsAvroSchema *writer,
										  const char *reader_name,
										  const char *writer_name,
										  FsAvroConflicts *conflicts);
extern void fs_avro_conflicts_free(FsAvroConflicts *conflicts);

/* "TYPE_MISMATCH" and so on. */
extern const char *fs_avro_rule_name(FsAvroRule rule);

#endif							/* FS_CORE_AVRO_COMPAT_H */
