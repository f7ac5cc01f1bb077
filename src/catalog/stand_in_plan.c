/*
 * stand_in_plan.c
 *		Planning a feature view's query over a stand-in once, and running it often.
 *
 * Outside SPI: a run costs the executor's start and end and nothing else.  All
 * of it happens as the view's owner under the view's settings.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "catalog/ephemeral.h"
#include "catalog/run_as.h"
#include "catalog/stand_in.h"
#include "ground/settings.h"

#define RELATION_NAME "fs_events"

/* A destination that hands rows to a receiver. */
typedef struct RowDest
{
	DestReceiver pub;
	FsStandInReceiver receive;
	void	   *arg;
} RowDest;

struct FsStandInPlan
{
	Oid			owner;
	List	   *settings;		/* the caller's */
	PlannedStmt *stmt;
	TupleDesc	events;			/* of the tuplestore */
	TupleDesc	result;
};

/* Order inside a group must survive planning: see stand_in.c. */
static const char *const planner_settings[] = {
	"enable_hashagg", "enable_incremental_sort", "jit"
};

/* Throws if anything but the subquery's own sort comes between events and aggregates. */
static void
check_plan(const Plan *plan)
{
	int			nsorts = 0;

	for (; plan != NULL;
		 plan = IsA(plan, SubqueryScan) ? ((SubqueryScan *) plan)->subplan : plan->lefttree)
	{
		if (IsA(plan, Sort))
			nsorts++;
		if (nsorts > 1 || IsA(plan, IncrementalSort) ||
			(IsA(plan, Agg) && ((Agg *) plan)->aggstrategy == AGG_HASHED))
			elog(ERROR, "plan of a feature view's query does not keep the order of events");
	}
}

/* See stand_in.h. */
FsStandInPlan *
fs_stand_in_plan(const Query *query, const FsStreamDef *stream, bool grouped,
				 Oid owner, List *settings)
{
	FsStandInPlan *plan = palloc0(sizeof(FsStandInPlan));
	Query	   *over = fs_stand_in_query(query, stream, RELATION_NAME, grouped);
	FsRunAs		scope;

	Assert(ActiveSnapshotSet());
	plan->owner = owner;
	plan->settings = settings;
	plan->events = fs_stand_in_desc(stream);
	plan->result = ExecCleanTypeFromTL(over->targetList);
	fs_run_as_begin(&scope, owner, settings);
	fs_settings_turn_off(planner_settings, lengthof(planner_settings));	/* until the scope ends */
	plan->stmt = pg_plan_query(over, "feature view", 0, NULL);
	fs_run_as_end(&scope);
	check_plan(plan->stmt->planTree);
	return plan;
}

/* See stand_in.h. */
TupleDesc
fs_stand_in_result(const FsStandInPlan *plan)
{
	return plan->result;
}

static void
start_rows(DestReceiver *self, int operation, TupleDesc typeinfo)
{
}

/* Hands one row on. */
static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	RowDest    *dest = (RowDest *) self;

	slot_getallattrs(slot);
	Assert(!slot->tts_isnull[0]);
	dest->receive(dest->arg, DatumGetInt64(slot->tts_values[0]),
				  slot->tts_values + 1, slot->tts_isnull + 1);
	return true;
}

static void
end_rows(DestReceiver *self)
{
}

/* Runs the plan, in the current context and as the current user. */
static void
execute(const FsStandInPlan *plan, Tuplestorestate *events, DestReceiver *dest)
{
	QueryDesc  *query = CreateQueryDesc(plan->stmt, "feature view", GetActiveSnapshot(),
										InvalidSnapshot, dest, NULL,
										fs_ephemeral_environment(RELATION_NAME, plan->events, events),
										0);

	ExecutorStart(query, 0);
	ExecutorRun(query, ForwardScanDirection, 0, true);
	ExecutorFinish(query);
	ExecutorEnd(query);
	FreeQueryDesc(query);
}

/* See stand_in.h. */
void
fs_stand_in_run(FsStandInPlan *plan, Tuplestorestate *events, FsStandInReceiver receive,
				void *arg)
{
	RowDest		dest = {
		{receive_row, start_rows, end_rows, end_rows, DestNone}, receive, arg
	};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream run",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	FsRunAs		scope;

	Assert(ActiveSnapshotSet());
	fs_run_as_begin(&scope, plan->owner, plan->settings);
	execute(plan, events, &dest.pub);
	fs_run_as_end(&scope);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
