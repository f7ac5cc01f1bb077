/*
 * ephemeral.h
 *		Given events as a relation: what a query reads in the place of a stream.
 *
 * A stream cannot be selected from.  In PostgreSQL's own executor its events are
 * an ephemeral named relation: a tuplestore, known by its name to the query's
 * environment, with the stream's columns under their own attribute numbers, so
 * that a Var of the stream is a Var of the relation.  Who makes the query and
 * who runs it agree on the name.
 */
#ifndef FS_CATALOG_EPHEMERAL_H
#define FS_CATALOG_EPHEMERAL_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "nodes/parsenodes.h"
#include "utils/queryenvironment.h"
#include "utils/tuplestore.h"

#include "catalog/stream_def.h"

/*
 * Tuples of the relation: value i is the stream's attribute i + 1 (integer, and
 * NULL in every event, when that was dropped); behind them 'nextra' columns of
 * type bigint.  Made in the current memory context.
 */
extern TupleDesc fs_ephemeral_desc(const FsStreamDef *stream, const char *const *extra, int nextra);

/* Range table entry of the relation; 'guess' is how many events the planner is to expect. */
extern RangeTblEntry *fs_ephemeral_range(const char *name, TupleDesc desc, double guess);

/*
 * An environment in which the relation is 'events', in the current memory
 * context.  Name, desc and events stay the caller's and must outlive it.
 */
extern QueryEnvironment *fs_ephemeral_environment(const char *name, TupleDesc desc,
												  Tuplestorestate *events);

#endif							/* FS_CATALOG_EPHEMERAL_H */
