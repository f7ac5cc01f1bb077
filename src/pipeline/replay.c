/*
 * replay.c
 *		Aggregates computed by PostgreSQL's executor; see replay.h.
 */
#include "postgres.h"

#include "utils/datum.h"
#include "utils/memutils.h"

#include "catalog/ephemeral.h"
#include "pipeline/ephemeral_plan.h"
#include "pipeline/replay.h"
#include "pipeline/values.h"

typedef struct FsReplayPlan
{
	int			naggregates;
	int		   *aggregates;		/* column of the result -> aggregate of the view */
	FsEphemeralPlan plan;
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

/* Memory context callback: the replay goes, and its sessions with it. */
static void
end_replay_cb(void *arg)
{
	FsReplay   *replay = arg;

	fs_ephemeral_plan_end(&replay->all.plan);
	for (int i = 0; i < replay->view->naggregates; i++)
		fs_ephemeral_plan_end(&replay->single[i].plan);
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
	replay->all.plan.desc = replay->desc;
	replay->all.aggregates = palloc(sizeof(int) * view->nreplayed);
	for (int i = 0; i < view->naggregates; i++)
	{
		if (view->aggregates[i].kind != FS_AGG_REPLAY)
			continue;
		replay->all.aggregates[replay->all.naggregates++] = i;
		replay->single[i].aggregates = &replay->all.aggregates[replay->all.naggregates - 1];
		replay->single[i].naggregates = 1;
		replay->single[i].plan.desc = replay->desc;
	}
	callback->func = end_replay_cb;
	callback->arg = replay;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return replay;
}

/* SELECT <aggregates of the plan> FROM <events>, planned if it was not yet. */
static void
plan_query(const FsReplay *replay, FsReplayPlan *plan)
{
	MemoryContext old = MemoryContextSwitchTo(replay->context);
	List	   *exprs = NIL;

	for (int i = 0; plan->plan.statement == NULL && i < plan->naggregates; i++)
		exprs = lappend(exprs, copyObject(replay->view->aggregates[plan->aggregates[i]].aggref));
	if (plan->plan.statement == NULL)
		plan->plan.statement = fs_ephemeral_plan_query(replay->desc, exprs);
	MemoryContextSwitchTo(old);
}

/* Puts the events into the plan's relation. */
static void
put_events(FsRow *row, Tuplestorestate *relation, const FsRingEvent **events, int n)
{
	FsReplay   *replay = row->replay;
	const FsViewDef *view = replay->view;
	MemoryContext old = MemoryContextSwitchTo(replay->scratch);

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
		tuplestore_putvalues(relation, replay->desc, replay->values, replay->nulls);
		MemoryContextReset(replay->scratch);
	}
	MemoryContextSwitchTo(old);
}

/* See replay.h. */
void
fs_replay_set_results(FsRow *row, TupleTableSlot *slot, const int *aggregates, int n)
{
	for (int i = 0; i < n; i++)
	{
		FsAggregateResult *result = &row->results[aggregates[i]];
		Form_pg_attribute column = TupleDescAttr(slot->tts_tupleDescriptor, i);

		result->isnull = slot->tts_isnull[i];
		result->failed = false;
		result->value = result->isnull ? (Datum) 0 :
			datumCopy(slot->tts_values[i], column->attbyval, column->attlen);
	}
}

/* See replay.h. */
void
fs_replay_run(FsRow *row, const FsRingEvent **events, int n, int only)
{
	FsReplay   *replay = row->replay;
	FsReplayPlan *plan = only < 0 ? &replay->all : &replay->single[only];

	plan_query(replay, plan);
	put_events(row, fs_ephemeral_plan_begin(&plan->plan), events, n);
	if (!row->stale)
		fs_replay_set_results(row, fs_ephemeral_plan_run(&plan->plan), plan->aggregates, plan->naggregates);
}
