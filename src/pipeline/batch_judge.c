/*
 * batch_judge.c
 *		Whether an event counts in a view, and for which entity.
 *
 * An event for which the query's WHERE, or anything else that the view
 * evaluates of an event, raises an error does not count in it.  So each is
 * judged by itself, before the query runs over those that count.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "optimizer/optimizer.h"
#include "utils/memutils.h"

#include "catalog/guard.h"
#include "catalog/run_as.h"
#include "catalog/stand_in.h"
#include "ground/deadline.h"
#include "pipeline/batch_state.h"
#include "pipeline/row.h"
#include "pipeline/values.h"

struct FsBatchJudge
{
	const FsBatch *batch;
	ExprState  *where;			/* NULL: always true */
	ExprState **inputs;			/* per input of the view; NULL: a column of the stream, or not wanted */
	List	   *others;			/* ExprStates that must not raise */
	ExprState **entity;			/* per entity column; NULL: a column of the stream, or not wanted */
	bool		is_whole;		/* see fs_batch_judge_create */
	ExprContext *econtext;
	TupleTableSlot *slot;

	/* The call at hand */
	FsBatchEvent *events;
	int			n;
	int			next;			/* first event not judged yet */
};

/* An expression over the stream's columns. */
static ExprState *
prepare(const Node *expr)
{
	return ExecInitExpr(expression_planner((Expr *) copyObject(unconstify(Node *, expr))), NULL);
}

/* Prepares what a view evaluates of an event besides WHERE. */
static void
prepare_whole(FsBatchJudge *judge)
{
	const FsViewDef *view = judge->batch->view;
	ListCell   *lc;

	for (int i = 0; i < view->ninputs; i++)
		if (view->inputs[i].expr != NULL)
			judge->inputs[i] = prepare(view->inputs[i].expr);
	foreach(lc, view->guards)
		judge->others = lappend(judge->others, prepare(lfirst(lc)));
	for (int i = 0; i < view->nentity; i++)
	{
		const FsInput *input = &view->inputs[view->entity[i]];

		if (input->expr == NULL)
			continue;
		judge->entity[i] = prepare(input->expr);
	}
}

/* See batch_state.h. */
FsBatchJudge *
fs_batch_judge_create(const FsBatch *batch, const Node *where, bool is_whole)
{
	FsBatchJudge *judge = palloc0(sizeof(FsBatchJudge));
	EState	   *estate = CreateExecutorState();
	FsRunAs		scope;

	judge->batch = batch;
	judge->is_whole = is_whole;
	judge->inputs = palloc0(sizeof(ExprState *) * Max(batch->view->ninputs, 1));
	judge->entity = palloc0(sizeof(ExprState *) * batch->view->nentity);
	judge->econtext = CreateExprContext(estate);
	judge->slot = MakeSingleTupleTableSlot(fs_stand_in_desc(batch->stream), &TTSOpsVirtual);
	judge->econtext->ecxt_scantuple = judge->slot;
	fs_run_as_begin(&scope, batch->run_as, batch->view->settings);
	if (where != NULL)
		judge->where = prepare(where);
	if (is_whole)
		prepare_whole(judge);
	fs_run_as_end(&scope);
	return judge;
}

/* Makes the event what expressions see. */
static void
fill_slot(FsBatchJudge *judge, const FsBatchEvent *event)
{
	int			natts = judge->batch->stream->natts;
	TupleTableSlot *slot = judge->slot;

	ExecClearTuple(slot);
	memcpy(slot->tts_values, event->values, sizeof(Datum) * natts);
	memcpy(slot->tts_isnull, event->nulls, sizeof(bool) * natts);
	memset(slot->tts_isnull + natts, true, sizeof(bool) * FS_STAND_IN_EXTRA);
	ExecStoreVirtualTuple(slot);
	ResetExprContext(judge->econtext);
}

/* Sets the entity's values, in the caller's memory; false when one is null. */
static bool
set_entity(FsBatchJudge *judge, FsBatchEvent *event)
{
	const FsViewDef *view = judge->batch->view;
	Datum	   *entity = palloc(sizeof(Datum) * view->nentity);

	for (int i = 0; i < view->nentity; i++)
	{
		bool		isnull;

		if (judge->entity[i] != NULL)
			entity[i] = ExecEvalExpr(judge->entity[i], judge->econtext, &isnull);
		else
		{
			int			at = fs_view_entity(view, i)->attnum - 1;

			entity[i] = event->values[at];
			isnull = event->nulls[at];
		}
		if (isnull)
			return false;
	}
	event->entity = entity;
	return true;
}

/* Evaluates what the view takes from the event; throws as well where a value is too long to be kept. */
static void
evaluate_inputs(FsBatchJudge *judge)
{
	const FsViewDef *view = judge->batch->view;
	MemoryContext old = MemoryContextSwitchTo(judge->econtext->ecxt_per_tuple_memory);

	for (int i = 0; i < view->ninputs; i++)
	{
		bool		isnull;
		Datum		value;

		if (judge->inputs[i] == NULL)
			continue;
		value = ExecEvalExpr(judge->inputs[i], judge->econtext, &isnull);
		if (!isnull)
			fs_datum_check_kept(&view->inputs[i].column, value);
	}
	MemoryContextSwitchTo(old);
}

/* One event's verdict, and its entity, as the view's owner; throws what the expressions throw. */
static void
judge_event(FsBatchJudge *judge, FsBatchEvent *event)
{
	char		key[FS_ENTITY_MAX_KEY];
	bool		isnull = false;
	ListCell   *lc;

	fs_deadline_begin(judge->batch->view->relid);
	fill_slot(judge, event);
	event->verdict = judge->where == NULL ||
		(DatumGetBool(ExecEvalExprSwitchContext(judge->where, judge->econtext, &isnull)) && !isnull) ?
		FS_BATCH_COUNTS : FS_BATCH_FILTERED;
	if (!judge->is_whole)
		return;
	if (event->verdict == FS_BATCH_COUNTS)
		evaluate_inputs(judge);
	foreach(lc, judge->others)
		if (event->verdict == FS_BATCH_COUNTS)
			(void) ExecEvalExprSwitchContext(lfirst(lc), judge->econtext, &isnull);
	if (!set_entity(judge, event) ||
		fs_key_encode(judge->batch->view, event->entity, key) < 0)
	{
		event->verdict = FS_BATCH_ERROR;
		event->entity = NULL;
	}
}

/* Judges events from judge->next on, as the view's owner; the argument is the FsBatchJudge. */
static void
judge_rest(void *arg)
{
	FsBatchJudge *judge = arg;
	FsRunAs		scope;

	fs_run_as_begin(&scope, judge->batch->run_as, judge->batch->view->settings);
	for (; judge->next < judge->n; judge->next++)
		judge_event(judge, &judge->events[judge->next]);
	fs_run_as_end(&scope);
}

/* The entity of the event before judge->next, for which another expression raised; the argument is the FsBatchJudge. */
static void
find_entity(void *arg)
{
	FsBatchJudge *judge = arg;
	FsRunAs		scope;

	fs_run_as_begin(&scope, judge->batch->run_as, judge->batch->view->settings);
	fs_deadline_begin(judge->batch->view->relid);
	fill_slot(judge, &judge->events[judge->next - 1]);
	(void) set_entity(judge, &judge->events[judge->next - 1]);
	fs_run_as_end(&scope);
}

/* See batch_state.h. */
void
fs_batch_judge(FsBatchJudge *judge, FsBatchEvent *events, int n)
{
	judge->events = events;
	judge->n = n;
	judge->next = 0;
	while (judge->next < n)
	{
		FsBatchEvent *event;

		if (fs_guard_run(judge_rest, judge, NULL))
			break;
		Assert(judge->next < n);
		event = &events[judge->next++];
		event->verdict = FS_BATCH_ERROR;
		event->entity = NULL;
		if (judge->is_whole)
			(void) fs_guard_run(find_entity, judge, NULL);
	}
}
