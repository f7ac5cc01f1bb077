/*
 * ephemeral_plan.h
 *		A planned query over given events, run again and again.
 *
 * The query selects aggregates, without grouping, from a relation that its user
 * fills: it is planned once, started once a transaction, and rescanned for each
 * run.  Used by replay.c and states.c.
 */
#ifndef FS_PIPELINE_EPHEMERAL_PLAN_H
#define FS_PIPELINE_EPHEMERAL_PLAN_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "nodes/plannodes.h"
#include "utils/tuplestore.h"

/* Memory and all that is in it are the user's, and outlive the plan's sessions. */
typedef struct FsEphemeralPlan
{
	TupleDesc	desc;			/* of the relation */
	PlannedStmt *statement;		/* NULL: not planned yet */
	struct FsEphemeralSession *session; /* of the transaction at hand; NULL: not started */
} FsEphemeralPlan;

/* SELECT <exprs>, which have aggregates and Vars of varno 1, FROM <a relation of 'desc'>; planned, as the current user. */
extern PlannedStmt *fs_ephemeral_plan_query(TupleDesc desc, const List *exprs);

/* The plan in working order, and its relation without events. */
extern Tuplestorestate *fs_ephemeral_plan_begin(FsEphemeralPlan *plan);

/* Runs the query over what the relation holds: the one row, until the next run.  Whatever it raises is thrown. */
extern TupleTableSlot *fs_ephemeral_plan_run(FsEphemeralPlan *plan);

/* The plan goes, and its session with it. */
extern void fs_ephemeral_plan_end(FsEphemeralPlan *plan);

#endif							/* FS_PIPELINE_EPHEMERAL_PLAN_H */
