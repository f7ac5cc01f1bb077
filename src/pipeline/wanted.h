/*
 * wanted.h
 *		Schemas that records name and nobody here knows: who asks for them.
 *
 * For whoever reads the records of a stream with a registry: the ingest worker
 * (parking.c), and the backfill worker where it reads a topic back
 * (backread_step.c).
 */
#ifndef FS_PIPELINE_WANTED_H
#define FS_PIPELINE_WANTED_H

#include "catalog/writer_schemas.h"
#include "ground/http.h"
#include "source/source.h"

typedef struct FsWanted FsWanted;

/*
 * Gets ready to ask the registry of 'def', in the current memory context, with
 * which it goes; both arguments must outlive it.  Throws for want of resources.
 */
extern FsWanted *fs_wanted_open(const FsStreamDef *def, FsWriterSchemas *schemas);

/* Lets go of the connection.  Throws nothing. */
extern void fs_wanted_close(FsWanted *wanted);

/*
 * How many of the records can be decoded: all, or those before the first whose
 * schema is not known, which goes to *id.  It is wanted from then on, and so are
 * some of those behind it.  No value decoded before may be in use.  Stays out of
 * the way of transactions: may be called in one.
 */
extern int	fs_wanted_screen(FsWanted *wanted, const FsRecord *records, int n, FsWireHeader *id);

/*
 * Has a record to wait that was refused before, and is looked at again?  Its schema
 * is wanted then.  That there is none is believed if it was heard since 'since'
 * (fs_clock_monotonic()).  fs_wanted_trim() goes before such a look.
 */
extern bool fs_wanted_holds(FsWanted *wanted, const FsRecord *record, int64 since);

/* Forgets schemas when there are too many.  No value decoded before may be in use. */
extern void fs_wanted_trim(FsWanted *wanted);

/* How often asking for a schema has come to an end. */
extern uint64 fs_wanted_answers(const FsWanted *wanted);

/* Carries on asking.  Not in a transaction; never waits. */
extern void fs_wanted_step(FsWanted *wanted);

/* Has the schema to be waited for still?  Then it stays wanted. */
extern bool fs_wanted_is_missing(FsWanted *wanted, const FsWireHeader *id);

/* As fs_http_wait(). */
extern int	fs_wanted_wait(FsWanted *wanted, FsHttpSocket *sockets, long *timeout);

/* What is the matter with the registry; empty: nothing. */
extern const char *fs_wanted_trouble(const FsWanted *wanted);

/* Why records of the schema wait, as the end of a sentence (FS_SOURCE_ERROR_SIZE bytes). */
extern void fs_wanted_explain(const FsWanted *wanted, const FsWireHeader *id, char *out);

#endif							/* FS_PIPELINE_WANTED_H */
