/*
 * batch_where.c
 *		What the query's WHERE says about events of the log.
 *
 * An event whose WHERE raises an error does not count in the view, so each is
 * judged by itself; the query that runs over the rest has its WHERE as well,
 * which then raises no more.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "optimizer/optimizer.h"
#include "utils/memutils.h"

#include "catalog/guard.h"
#include "catalog/run_as.h"
#include "catalog/stand_in.h"
#include "pipeline/batch_state.h"

struct FsBatchWhere
{
	const FsBatch *batch;
	ExprState  *state;			/* NULL: always true */
	EState	   *estate;
	ExprContext *econtext;
	TupleTableSlot *slot;

	/* The call at hand */
	const FsBatchEvent *events;
	FsBatchVerdict *verdicts;
	int			n;
	int			next;			/* first event not judged yet */
};

/* See batch_state.h. */
FsBatchWhere *
fs_batch_where_create(const FsBatch *batch, Node *expr)
{
	FsBatchWhere *where = palloc0(sizeof(FsBatchWhere));
	FsRunAs		scope;

	where->batch = batch;
	if (expr == NULL)
		return where;
	where->estate = CreateExecutorState();
	where->econtext = CreateExprContext(where->estate);
	where->slot = MakeSingleTupleTableSlot(fs_stand_in_desc(batch->stream), &TTSOpsVirtual);
	where->econtext->ecxt_scantuple = where->slot;
	fs_run_as_begin(&scope, batch->run_as, batch->view->settings);
	where->state = ExecInitExpr(expression_planner(copyObject((Expr *) expr)), NULL);
	fs_run_as_end(&scope);
	return where;
}

static FsBatchVerdict
judge_event(FsBatchWhere *where, const FsBatchEvent *event)
{
	int			natts = where->batch->stream->natts;
	TupleTableSlot *slot = where->slot;
	Datum		result;
	bool		isnull;

	ExecClearTuple(slot);
	memcpy(slot->tts_values, event->values, sizeof(Datum) * natts);
	memcpy(slot->tts_isnull, event->nulls, sizeof(bool) * natts);
	memset(slot->tts_isnull + natts, true, sizeof(bool) * FS_STAND_IN_EXTRA);
	ExecStoreVirtualTuple(slot);
	ResetExprContext(where->econtext);
	result = ExecEvalExprSwitchContext(where->state, where->econtext, &isnull);
	return !isnull && DatumGetBool(result) ? FS_BATCH_COUNTS : FS_BATCH_FILTERED;
}

/* Judges events from where->next on, as the view's owner; the argument is the FsBatchWhere. */
static void
judge_rest(void *arg)
{
	FsBatchWhere *where = arg;
	FsRunAs		scope;

	fs_run_as_begin(&scope, where->batch->run_as, where->batch->view->settings);
	for (; where->next < where->n; where->next++)
		where->verdicts[where->next] = judge_event(where, &where->events[where->next]);
	fs_run_as_end(&scope);
}

/* See batch_state.h. */
void
fs_batch_where_judge(FsBatchWhere *where, const FsBatchEvent *events, int n,
					 FsBatchVerdict *verdicts)
{
	if (where->state == NULL)
	{
		for (int i = 0; i < n; i++)
			verdicts[i] = FS_BATCH_COUNTS;
		return;
	}
	where->events = events;
	where->verdicts = verdicts;
	where->n = n;
	where->next = 0;
	while (where->next < n)
		if (!fs_guard_run(judge_rest, where, NULL))
			verdicts[where->next++] = FS_BATCH_ERROR;
}
