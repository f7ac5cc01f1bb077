/*
 * writer_schemas.h
 *		The schemas that the records of a stream name, each with its program.
 *
 * A schema is known to the database by its row in feature_stream.registry_schema,
 * and to a process once it has been compiled for the stream's columns.  Looking
 * one up takes a few nanoseconds.  Whoever asks the registry (pipeline/wanted.c)
 * stores what it learned here.
 */
#ifndef FS_CATALOG_WRITER_SCHEMAS_H
#define FS_CATALOG_WRITER_SCHEMAS_H

#include "catalog/stream_def.h"
#include "core/avro_resolve.h"
#include "core/wire_header.h"

#define FS_SCHEMA_NAME_SIZE 48	/* of "schema 4294967295" or "schema <GUID>" */

typedef struct FsWriterSchemas FsWriterSchemas;

/* Does a schema serve a column, whatever it has against it?  One with a DEFAULT may wait for its field. */
static inline bool
fs_column_is_served(const FsColumn *column, const FsAvroProblem *problem)
{
	return problem->kind == FS_AVRO_NO_PROBLEM ||
		(problem->kind == FS_AVRO_UNKNOWN_FIELD && column->default_expr != NULL);
}

/* One schema, as this process knows it. */
typedef struct FsWriterSchema
{
	FsWireHeader id;
	FsAvroProgram *program;		/* NULL: its records are refused */
	const char *refusal;		/* a sentence, when there is no program */
	int64		retry_at;		/* the registry said that it has none: to be asked again from then on (fs_clock_monotonic()); 0: final */
} FsWriterSchema;

/*
 * Makes an empty set, for the stream's columns as 'fields', which live as long as
 * the current memory context, as does the set.  Throws for a reader's schema that
 * is none or does not go with the columns.
 */
extern FsWriterSchemas *fs_writer_schemas_create(const FsStreamDef *def, const FsField *fields);

/* The reader's schema of the stream, malloc'd, NULL: it has none; throws likewise. */
extern FsAvroSchema *fs_writer_schemas_reader(const FsStreamDef *def, const FsField *fields);

/* The texts of a text[], palloc'd, for fs_avro_schema_parse(). */
extern FsAvroSource *fs_writer_schemas_sources(Datum schemas, int *n);

/* Throws as that does, and makes nothing. */
extern void fs_writer_schemas_check(const FsStreamDef *def, const FsField *fields);

/* The schema, if this process knows it; NULL else.  Valid until the next fs_writer_schemas_trim(). */
extern const FsWriterSchema *fs_writer_schemas_find(FsWriterSchemas *schemas, const FsWireHeader *id);

/*
 * Reads a schema's row and compiles it, in the caller's transaction or one of its
 * own.  NULL: there is no row.  Throws only for want of memory and the like: a
 * schema that is no good is known as one whose records are refused.
 */
extern const FsWriterSchema *fs_writer_schemas_load(FsWriterSchemas *schemas, const FsWireHeader *id);

/*
 * Stores what the registry has for the number: the schema is the last of 'texts',
 * those before it are what it and they refer to.  Likewise.
 */
extern void fs_writer_schemas_store(FsWriterSchemas *schemas, const FsWireHeader *id,
									const char *type, const char **texts, int ntexts);

/* Writes the row of a schema, whose key is 'id', unless it is there; within the caller's transaction. */
extern void fs_writer_schemas_insert(const char *registry, const char *id, const char *type, const char **texts, int ntexts);

/* Notes that the registry has none, for now: records are refused until 'retry_at', and longer if nobody asks. */
extern void fs_writer_schemas_note_unknown(FsWriterSchemas *schemas, const FsWireHeader *id,
										   const char *refusal, int64 retry_at);

/* Forgets all, or those that the registry has none for, when there are too many.  No value decoded by them may be in use. */
extern void fs_writer_schemas_trim(FsWriterSchemas *schemas);

/* Writes "schema 17" or "schema <GUID>" to 'name' (FS_SCHEMA_NAME_SIZE bytes); what follows "schema " is its key. */
extern const char *fs_writer_schema_name(char *name, const FsWireHeader *id);

#endif							/* FS_CATALOG_WRITER_SCHEMAS_H */
