/*
 * stream_insert.h
 *		INSERT into a stream and COPY FROM.
 */
#ifndef FS_SQL_STREAM_INSERT_H
#define FS_SQL_STREAM_INSERT_H

#include "postgres.h"

#include "nodes/execnodes.h"

/* Routines of the wrapper; see foreign/fdwapi.h. */
extern void fs_stream_insert_begin_modify(ModifyTableState *state, ResultRelInfo *result, List *private,
										  int subplan, int eflags);
extern void fs_stream_insert_begin(ModifyTableState *state, ResultRelInfo *result);
extern TupleTableSlot *fs_stream_insert_row(EState *estate, ResultRelInfo *result, TupleTableSlot *slot,
											TupleTableSlot *plan_slot);

#endif							/* FS_SQL_STREAM_INSERT_H */
