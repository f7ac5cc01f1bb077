/*
 * avro_resolve.h
 *		From Avro schemas and declared columns to a program that decodes records.
 *
 * The program is made once for a pair of schemas: the writer's, by which the
 * bytes read, and the reader's, if there is one, to which they are resolved as
 * the specification has it (names and aliases, promotions, defaults, unions).
 * A column reads the field at its path ('a.b.c') of the reader's schema, or of
 * the writer's where there is no other; what no column reads is skipped.
 *
 * What cannot be resolved fails when a record gets there, not before: a branch
 * of a union may never be written.  What cannot be a column's value at all is
 * told as a problem of the column, for whoever defines streams.
 */
#ifndef FS_CORE_AVRO_RESOLVE_H
#define FS_CORE_AVRO_RESOLVE_H

#include "core/avro_schema.h"
#include "core/decode.h"

#define FS_AVRO_PROBLEM_SIZE	256

typedef enum FsAvroProblemKind
{
	FS_AVRO_NO_PROBLEM = 0,
	FS_AVRO_UNKNOWN_FIELD,		/* the schema has nothing at the path */
	FS_AVRO_MISFIT				/* what it has cannot be a value of the column */
} FsAvroProblemKind;

typedef struct FsAvroProblem
{
	FsAvroProblemKind kind;
	char		detail[FS_AVRO_PROBLEM_SIZE];	/* a sentence: what the schema has there */
	char		hint[FS_AVRO_PROBLEM_SIZE]; /* a sentence, or empty */
} FsAvroProblem;

/*
 * Makes the program; 'reader' may be NULL.  Nothing of the arguments is kept.
 * problems[0 .. nfields - 1] is filled in; a column with a problem is absent
 * (unknown field) or refused (misfit) in every record.  NULL when memory is
 * out, or when the program would be too long: *too_long tells which.  The
 * caller frees the result with fs_avro_program_free (core/decode.h).
 */
extern FsAvroProgram *fs_avro_program_create(const FsAvroSchema *writer,
											 const FsAvroSchema *reader,
											 const FsField *fields, int nfields,
											 FsAvroProblem *problems,
											 bool *too_long);

#endif							/* FS_CORE_AVRO_RESOLVE_H */
