/*
 * stand_in.h
 *		The query of a feature view over given events, in PostgreSQL's own executor.
 *
 * What stands in for the stream is an ephemeral relation (ephemeral.h) with two
 * more columns, fs_group and fs_rank.  The query then groups by fs_group alone,
 * so that one execution computes the rows of many groups: of window ends,
 * windows, entities, whatever the caller numbers.
 */
#ifndef FS_CATALOG_STAND_IN_H
#define FS_CATALOG_STAND_IN_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "nodes/parsenodes.h"
#include "utils/tuplestore.h"

#include "catalog/stream_def.h"

/* The extra columns, after those of the stream: both bigint. */
#define FS_STAND_IN_EXTRA 2

/* Index of fs_group, and behind it fs_rank, among the values of a tuple. */
static inline int
fs_stand_in_group(const FsStreamDef *stream)
{
	return stream->natts;
}

/*
 * Tuples of the stand-in: as fs_ephemeral_desc() says, then fs_group and
 * fs_rank, the event's place in the order of its group.  Made in the current
 * memory context.
 */
extern TupleDesc fs_stand_in_desc(const FsStreamDef *stream);

/*
 * A copy of 'query', made from one that was analyzed and accepted by
 * fs_view_compile, that reads the relation 'name' instead of the stream.  Its
 * target list has fs_group (bigint) as a new first column.  'query' comes
 * without its GROUP BY: the events of a group are all of one entity, and its
 * columns outside aggregates are those of any of them.
 *
 * grouped: it groups by fs_group; a group without events (that pass WHERE) has
 * no row.  Otherwise it gives exactly one row, over all events or none; fs_group
 * is 0.
 *
 * Aggregates meet the events of a group in order of fs_rank.
 */
extern Query *fs_stand_in_query(const Query *query, const FsStreamDef *stream,
								const char *name, bool grouped);

typedef struct FsStandInPlan FsStandInPlan;

/* One row: its group, and the columns of the query, that live during the call. */
typedef void (*FsStandInReceiver) (void *arg, int64 group, const Datum *values, const bool *nulls);

/*
 * Plans the query over a stand-in, once; the plan lives in the current memory
 * context.  It is planned and run as 'owner' in a security-restricted operation
 * under 'settings' (name, value ...), with the owner's rights on functions;
 * reading events needs none.  An active snapshot is needed, no SPI.
 */
extern FsStandInPlan *fs_stand_in_plan(const Query *query, const FsStreamDef *stream,
									   bool grouped, Oid owner, List *settings);

/*
 * Runs the plan over the tuples (fs_stand_in_desc) of a tuplestore and hands
 * each row to 'receive', in order of fs_group.  Throws what the user's
 * expressions throw.  'receive' runs as the owner.  A tuplestore is for one run;
 * the caller ends it.
 */
extern void fs_stand_in_run(FsStandInPlan *plan, Tuplestorestate *events,
							FsStandInReceiver receive, void *arg);

/* The result's columns: fs_group and those of the query. */
extern TupleDesc fs_stand_in_result(const FsStandInPlan *plan);

#endif							/* FS_CATALOG_STAND_IN_H */
