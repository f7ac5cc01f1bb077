/*
 * replay.c
 *		Aggregates computed by PostgreSQL's executor; see replay.h.
 *
 * A started plan (a session) lives until its transaction ends, in a memory
 * context and a resource owner of its own: callers run it inside
 * subtransactions that may be rolled back, and one that an error left in the
 * middle of a run is thrown away and started anew.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#include "catalog/ephemeral.h"
#include "pipeline/replay.h"
#include "pipeline/values.h"

#define EVENTS_NAME "feature_stream_events"
#define GUESSED_EVENTS 100		/* of a window, for the planner */

/* A plan at work. */
typedef struct Session
{
	dlist_node	node;			/* in 'sessions' */
	struct FsReplayPlan *plan;
	MemoryContext context;
	ResourceOwner owner;
	Tuplestorestate *events;
	QueryDesc  *query;
	bool		running;		/* an error left it in the middle of a run */
} Session;

typedef struct FsReplayPlan
{
	int			naggregates;
	int		   *aggregates;		/* column of the result -> aggregate of the view */
	PlannedStmt *statement;		/* NULL: not planned yet */
	Session    *session;		/* of the transaction at hand; NULL: not started */
} FsReplayPlan;

typedef struct FsReplay
{
	const FsViewDef *view;
	TupleDesc	desc;			/* of the events: the stream's columns by number */
	FsReplayPlan all;
	FsReplayPlan *single;		/* per aggregate of the view, for finding out which one raises */
	MemoryContext context;		/* of the replay */
	MemoryContext scratch;		/* values of one event */
	Datum	   *values;
	bool	   *nulls;
} FsReplay;

static dlist_head sessions = DLIST_STATIC_INIT(sessions);
static bool registered = false;

/* SELECT <aggregates of the plan> FROM <events>, planned. */
static PlannedStmt *
plan_query(const FsReplay *replay, const FsReplayPlan *plan)
{
	Query	   *query = makeNode(Query);
	RangeTblRef *from = makeNode(RangeTblRef);
	PlannedStmt *statement;

	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->hasAggs = true;
	query->rtable = list_make1(fs_ephemeral_range(EVENTS_NAME, replay->desc, GUESSED_EVENTS));
	from->rtindex = 1;
	query->jointree = makeFromExpr(list_make1(from), NULL);
	for (int i = 0; i < plan->naggregates; i++)
		query->targetList =
			lappend(query->targetList,
					makeTargetEntry(copyObject((Expr *) replay->view->aggregates[plan->aggregates[i]].aggref),
									i + 1, psprintf("aggregate_%d", i + 1), false));
	statement = pg_plan_query(query, "", 0, NULL);
	statement->jitFlags = 0;	/* compiled code would belong to a transaction */
	return statement;
}

/* Lets go of all that a session holds; without a word about leaks where an error made them. */
static void
end_session(Session *session, bool is_good)
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
			end_session(dlist_container(Session, node, iter.cur), true);
	else if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PARALLEL_ABORT)
		dlist_foreach_modify(iter, &sessions)
			end_session(dlist_container(Session, node, iter.cur), false);
}

/* Memory context callback: the replay goes, and its sessions with it. */
static void
end_replay_cb(void *arg)
{
	FsReplay   *replay = arg;

	if (replay->all.session != NULL)
		end_session(replay->all.session, false);
	for (int i = 0; i < replay->view->naggregates; i++)
		if (replay->single[i].session != NULL)
			end_session(replay->single[i].session, false);
}

/* See replay.h. */
struct FsReplay *
fs_replay_create(const FsViewDef *view, const FsStreamDef *stream)
{
	FsReplay   *replay = palloc0(sizeof(FsReplay));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	Assert(view->nreplayed > 0);
	replay->view = view;
	replay->context = CurrentMemoryContext;
	replay->desc = fs_ephemeral_desc(stream, NULL, 0);
	replay->values = palloc0(sizeof(Datum) * stream->natts);
	replay->nulls = palloc(sizeof(bool) * stream->natts);
	replay->scratch = AllocSetContextCreate(CurrentMemoryContext, "feature_stream replay event",
											ALLOCSET_SMALL_SIZES);
	replay->single = palloc0(sizeof(FsReplayPlan) * view->naggregates);
	replay->all.aggregates = palloc(sizeof(int) * view->nreplayed);
	for (int i = 0; i < view->naggregates; i++)
	{
		if (view->aggregates[i].kind != FS_AGG_REPLAY)
			continue;
		replay->all.aggregates[replay->all.naggregates++] = i;
		replay->single[i].aggregates = &replay->all.aggregates[replay->all.naggregates - 1];
		replay->single[i].naggregates = 1;
	}
	callback->func = end_replay_cb;
	callback->arg = replay;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return replay;
}

/* Starts the executor on a plan, under the session's own resource owner. */
static void
start_executor(Session *session, const FsReplay *replay, PlannedStmt *statement)
{
	session->events = tuplestore_begin_heap(true, false, work_mem);
	session->query = CreateQueryDesc(statement, "feature_stream replay", GetActiveSnapshot(),
									 InvalidSnapshot, None_Receiver, NULL,
									 fs_ephemeral_environment(EVENTS_NAME, replay->desc, session->events),
									 0);
	standard_ExecutorStart(session->query, EXEC_FLAG_SKIP_TRIGGERS);
}

/*
 * Starts a plan for the transaction at hand.  It counts as running until the
 * executor has started: what an error leaves behind is thrown away by the next
 * one.
 */
static Session *
start_session(const FsReplay *replay, FsReplayPlan *plan)
{
	MemoryContext context = AllocSetContextCreate(TopTransactionContext, "feature_stream replay",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	ResourceOwner old_owner = CurrentResourceOwner;
	Session    *session = palloc0(sizeof(Session));

	if (!registered)
		RegisterXactCallback(end_transaction_cb, NULL);
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
		start_executor(session, replay, plan->statement);
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

/* The session of a plan, in working order. */
static Session *
get_session(FsReplay *replay, FsReplayPlan *plan)
{
	if (plan->statement == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(replay->context);

		plan->statement = plan_query(replay, plan);
		MemoryContextSwitchTo(old);
	}
	if (plan->session != NULL && plan->session->running)
		end_session(plan->session, false);
	return plan->session != NULL ? plan->session : start_session(replay, plan);
}

/* Puts the events into the session's ephemeral relation. */
static void
put_events(FsRow *row, Session *session, const FsRingEvent **events, int n)
{
	FsReplay   *replay = row->replay;
	const FsViewDef *view = replay->view;
	MemoryContext old = MemoryContextSwitchTo(replay->scratch);

	tuplestore_clear(session->events);
	memset(replay->nulls, true, sizeof(bool) * replay->desc->natts);
	for (int e = 0; e < n; e++)
	{
		for (int i = 0; i < view->nkept; i++)
		{
			AttrNumber	attnum = fs_view_kept(view, i)->attnum;

			if (attnum > 0)
				replay->values[attnum - 1] = fs_cell_datum(row, &row->columns[i], &events[e]->cells[i],
														   &replay->nulls[attnum - 1]);
		}
		tuplestore_putvalues(session->events, replay->desc, replay->values, replay->nulls);
		MemoryContextReset(replay->scratch);
	}
	MemoryContextSwitchTo(old);
}

/* Runs the session's query over its events: one row. */
static void
run_query(FsRow *row, Session *session)
{
	PlanState  *state = session->query->planstate;
	EState	   *estate = session->query->estate;
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	TupleTableSlot *slot;

	ExecReScan(state);
	slot = ExecProcNode(state);
	Assert(!TupIsNull(slot));
	slot_getallattrs(slot);
	MemoryContextSwitchTo(old);
	for (int i = 0; i < session->plan->naggregates; i++)
	{
		FsAggregateResult *result = &row->results[session->plan->aggregates[i]];
		Form_pg_attribute column = TupleDescAttr(slot->tts_tupleDescriptor, i);

		result->isnull = slot->tts_isnull[i];
		result->failed = false;
		result->value = result->isnull ? (Datum) 0 :
			datumCopy(slot->tts_values[i], column->attbyval, column->attlen);
	}
	ResetPerTupleExprContext(estate);
}

/* See replay.h. */
void
fs_replay_run(FsRow *row, const FsRingEvent **events, int n, int only)
{
	FsReplay   *replay = row->replay;
	Session    *session = get_session(replay, only < 0 ? &replay->all : &replay->single[only]);

	put_events(row, session, events, n);
	if (row->stale)
		return;
	session->running = true;
	run_query(row, session);
	session->running = false;
}
