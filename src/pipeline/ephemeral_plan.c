/*
 * ephemeral_plan.c
 *		A planned query over given events, run again and again; see ephemeral_plan.h.
 *
 * A started plan (a session) lives until its transaction ends, in a memory
 * context and a resource owner of its own: callers run it inside
 * subtransactions that may be rolled back, and one that an error left in the
 * middle of a run, or of the filling of its relation, is thrown away and started
 * anew.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "catalog/ephemeral.h"
#include "pipeline/ephemeral_plan.h"

#define EVENTS_NAME "feature_stream_events"
#define GUESSED_EVENTS 100		/* of a window, for the planner */

/* A plan at work. */
typedef struct FsEphemeralSession
{
	dlist_node	node;			/* in 'sessions' */
	FsEphemeralPlan *plan;
	MemoryContext context;
	ResourceOwner owner;
	Tuplestorestate *events;
	QueryDesc  *query;
	SubTransactionId filling;	/* in which its relation gets events, up to the end of a run; InvalidSubTransactionId: none */
	bool		running;		/* an error left it in the middle of a run */
} FsEphemeralSession;

static dlist_head sessions = DLIST_STATIC_INIT(sessions);
static bool registered = false;

/* See ephemeral_plan.h. */
PlannedStmt *
fs_ephemeral_plan_query(TupleDesc desc, const List *exprs)
{
	Query	   *query = makeNode(Query);
	RangeTblRef *from = makeNode(RangeTblRef);
	PlannedStmt *statement;
	ListCell   *lc;

	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->hasAggs = true;
	query->rtable = list_make1(fs_ephemeral_range(EVENTS_NAME, desc, GUESSED_EVENTS));
	from->rtindex = 1;
	query->jointree = makeFromExpr(list_make1(from), NULL);
	foreach(lc, exprs)
	{
		int			number = foreach_current_index(lc) + 1;

		query->targetList = lappend(query->targetList,
									makeTargetEntry(lfirst(lc), number, psprintf("aggregate_%d", number), false));
	}
	statement = pg_plan_query(query, "", 0, NULL);
	statement->jitFlags = 0;	/* compiled code would belong to a transaction */
	return statement;
}

/* Lets go of all that a session holds; without a word about leaks where an error made them. */
static void
end_session(FsEphemeralSession *session, bool is_good)
{
	ResourceOwner old = CurrentResourceOwner;

	dlist_delete(&session->node);
	session->plan->session = NULL;
	CurrentResourceOwner = session->owner;
	if (is_good)
	{
		standard_ExecutorFinish(session->query);
		standard_ExecutorEnd(session->query);
		FreeQueryDesc(session->query);
		tuplestore_end(session->events);
	}
	CurrentResourceOwner = old;
	ResourceOwnerRelease(session->owner, RESOURCE_RELEASE_BEFORE_LOCKS, is_good, false);
	ResourceOwnerRelease(session->owner, RESOURCE_RELEASE_LOCKS, is_good, false);
	ResourceOwnerRelease(session->owner, RESOURCE_RELEASE_AFTER_LOCKS, is_good, false);
	ResourceOwnerDelete(session->owner);
	MemoryContextDelete(session->context);
}

/* Ends of transactions end sessions. */
static void
end_transaction_cb(XactEvent event, void *arg)
{
	dlist_mutable_iter iter;

	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE ||
		event == XACT_EVENT_PARALLEL_PRE_COMMIT)
		dlist_foreach_modify(iter, &sessions)
		{
			FsEphemeralSession *session = dlist_container(FsEphemeralSession, node, iter.cur);

			end_session(session, !session->running);
		}
	else if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PARALLEL_ABORT)
		dlist_foreach_modify(iter, &sessions)
			end_session(dlist_container(FsEphemeralSession, node, iter.cur), false);
}

/*
 * A subtransaction is rolled back: relations that were being filled in it may be
 * half written, which they cannot be emptied of.  (What began within it has a
 * greater id.)
 */
static void
abort_subtransaction_cb(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	dlist_iter	iter;

	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	dlist_foreach(iter, &sessions)
	{
		FsEphemeralSession *session = dlist_container(FsEphemeralSession, node, iter.cur);

		if (session->filling != InvalidSubTransactionId && session->filling >= id)
			session->running = true;
	}
}

/* See ephemeral_plan.h. */
void
fs_ephemeral_plan_end(FsEphemeralPlan *plan)
{
	if (plan->session != NULL)
		end_session(plan->session, false);
}

/* Starts the executor on a plan, under the session's own resource owner. */
static void
start_executor(FsEphemeralSession *session, const FsEphemeralPlan *plan)
{
	session->events = tuplestore_begin_heap(true, false, work_mem);
	session->query = CreateQueryDesc(plan->statement, "feature_stream replay", GetActiveSnapshot(),
									 InvalidSnapshot, None_Receiver, NULL,
									 fs_ephemeral_environment(EVENTS_NAME, plan->desc, session->events), 0);
	standard_ExecutorStart(session->query, EXEC_FLAG_SKIP_TRIGGERS);
}

/*
 * Starts a plan for the transaction at hand.  It counts as running until the
 * executor has started: what an error leaves behind is thrown away by the next
 * one.
 */
static FsEphemeralSession *
start_session(FsEphemeralPlan *plan)
{
	MemoryContext context = AllocSetContextCreate(TopTransactionContext, "feature_stream replay",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	ResourceOwner old_owner = CurrentResourceOwner;
	FsEphemeralSession *session = palloc0(sizeof(FsEphemeralSession));

	if (!registered)
	{
		RegisterXactCallback(end_transaction_cb, NULL);
		RegisterSubXactCallback(abort_subtransaction_cb, NULL);
	}
	registered = true;
	session->context = context;
	session->plan = plan;
	session->running = true;
	session->owner = ResourceOwnerCreate(TopTransactionResourceOwner, "feature_stream replay");
	dlist_push_tail(&sessions, &session->node);
	plan->session = session;
	CurrentResourceOwner = session->owner;
	PG_TRY();
	{
		start_executor(session, plan);
	}
	PG_FINALLY();
	{
		CurrentResourceOwner = old_owner;
	}
	PG_END_TRY();
	session->running = false;
	MemoryContextSwitchTo(old);
	return session;
}

/* See ephemeral_plan.h. */
Tuplestorestate *
fs_ephemeral_plan_begin(FsEphemeralPlan *plan)
{
	Assert(plan->statement != NULL);
	if (plan->session != NULL && plan->session->running)
		end_session(plan->session, false);
	if (plan->session == NULL)
		(void) start_session(plan);
	plan->session->filling = GetCurrentSubTransactionId();
	tuplestore_clear(plan->session->events);
	return plan->session->events;
}

/* See ephemeral_plan.h. */
TupleTableSlot *
fs_ephemeral_plan_run(FsEphemeralPlan *plan)
{
	FsEphemeralSession *session = plan->session;
	PlanState  *state = session->query->planstate;
	MemoryContext old = MemoryContextSwitchTo(session->query->estate->es_query_cxt);
	TupleTableSlot *slot;

	Assert(session != NULL && !session->running);
	session->running = true;
	ResetPerTupleExprContext(session->query->estate);
	ExecReScan(state);
	slot = ExecProcNode(state);
	Assert(!TupIsNull(slot));
	slot_getallattrs(slot);
	session->running = false;
	session->filling = InvalidSubTransactionId;
	MemoryContextSwitchTo(old);
	return slot;
}
