/*
 * contract_expressions.c
 *		What a data contract leaves to PostgreSQL's functions.
 *
 * The third step from record to event: numeric and jsonb input, CHECK
 * constraints, and WHERE and expressions of the feature views.  It runs as the
 * owner of the stream (of the view for its own) in a security-restricted context,
 * and an error raised there belongs to one event: the batch runs in one internal
 * subtransaction, and only when an expression raises is it rolled back and begun
 * again behind the culprit.
 */
#include "postgres.h"

#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "utils/memutils.h"

#include "catalog/guard.h"
#include "catalog/run_as.h"
#include "ground/deadline.h"
#include "pipeline/contract.h"
#include "pipeline/recover.h"
#include "pipeline/values.h"

StaticAssertDecl(FS_MAX_VIEWS <= 32, "a view is a bit of an event's where_mask");

/* Events that are being evaluated. */
typedef struct Evaluation
{
	FsShard    *shard;
	FsEvent    *events;
	int			n;
	int			next;			/* the first one still to do */
} Evaluation;

/* Puts what expressions read into the slot. */
static void
fill_slot(FsShard *shard, FsContract *contract, FsEvent *event)
{
	TupleTableSlot *slot = contract->slot;

	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, sizeof(bool) * slot->tts_tupleDescriptor->natts);
	for (int i = 0; i < shard->def->ncolumns; i++)
	{
		const FsColumn *column = &shard->def->columns[i];

		if (!contract->in_slot[i] || event->values[i].presence != FS_PRESENT)
			continue;
		slot->tts_values[column->attnum - 1] = fs_value_datum(column, &event->values[i]);
		slot->tts_isnull[column->attnum - 1] = false;
	}
	ExecStoreVirtualTuple(slot);
}

/* Runs numeric and jsonb values through their types; numeric takes on its column's scale. */
static void
convert_values(FsShard *shard, FsContract *contract, FsEvent *event)
{
	for (int i = 0; i < shard->def->ncolumns; i++)
	{
		const FsColumn *column = &shard->def->columns[i];
		Datum		datum;

		if (!contract->converts[i] || event->values[i].presence != FS_PRESENT)
			continue;
		contract->column = i;
		datum = fs_value_datum(column, &event->values[i]);
		if (column->type == FS_TYPE_NUMERIC)
		{
			MemoryContext old = MemoryContextSwitchTo(shard->batch);

			event->values[i] = fs_datum_value(column, datum);
			MemoryContextSwitchTo(old);
		}
	}
	contract->column = -1;
}

/* The values that a violated constraint saw: (user_id = '', amount = 12). */
static char *
describe_values(FsShard *shard, FsContract *contract, Node *expr)
{
	StringInfoData text;
	Bitmapset  *attnums = NULL;
	int			bit = -1;

	initStringInfo(&text);
	pull_varattnos(expr, 1, &attnums);
	while ((bit = bms_next_member(attnums, bit)) >= 0)
	{
		int			at = fs_stream_column_index(shard->def, bit + FirstLowInvalidHeapAttributeNumber);
		const FsColumn *column;
		char	   *value;
		uint32		len;

		if (at < 0)
			continue;
		column = &shard->def->columns[at];
		appendStringInfo(&text, "%s%s = ", text.len > 0 ? ", " : "", column->field);
		if (contract->slot->tts_isnull[column->attnum - 1])
		{
			appendStringInfoString(&text, "null");
			continue;
		}
		value = fs_datum_online_text(column->typid, contract->slot->tts_values[column->attnum - 1], &len);
		appendStringInfo(&text, "\"%.*s\"", pg_mbcliplen(value, len, 80), value);
	}
	return text.data;
}

/*
 * Refuses the event for the first CHECK that is false (NULL passes, as in SQL);
 * throws what they throw.
 */
static void
evaluate_checks(FsShard *shard, FsContract *contract, FsEvent *event)
{
	for (int i = 0; i < shard->def->nchecks; i++)
	{
		bool		isnull;
		Datum		result;

		if (contract->simple[i].column >= 0)
			continue;
		contract->check = i;
		result = ExecEvalExprSwitchContext(contract->checks[i], contract->econtext, &isnull);
		if (!isnull && !DatumGetBool(result))
		{
			fs_contract_refuse(shard, event, FS_REASON_CHECK_VIOLATION,
							   psprintf("check constraint \"%s\" is violated (%s)", shard->def->checks[i].name,
										describe_values(shard, contract, shard->def->checks[i].expr)));
			break;
		}
	}
	contract->check = -1;
}

/* The expressions of each view, as its owner and with its settings. */
static void
evaluate_views(FsShard *shard, FsContract *contract, FsEvent *event)
{
	for (int v = 0; v < shard->nviews; v++)
	{
		FsView	   *view = &shard->views[v];
		uint32		bit = (uint32) 1 << v;

		if (!view->has_expressions || (event->error_mask & bit) != 0)
			continue;
		contract->view = v;
		fs_deadline_blame(view->def->relid);
		SetUserIdAndSecContext(view->def->owner, SECURITY_RESTRICTED_OPERATION);
		fs_run_as_pin(view->def->settings);
		fs_inputs_evaluate(view, event, bit, contract->econtext, contract->value_context);
	}
	contract->view = -1;
}

/* Third step for one event; whatever raises is told apart by contract->column, check, view. */
static void
evaluate_event(FsShard *shard, FsContract *contract, FsEvent *event)
{
	MemoryContext old;

	ResetExprContext(contract->econtext);
	old = MemoryContextSwitchTo(contract->econtext->ecxt_per_tuple_memory);
	contract->event = event;
	fs_deadline_begin(InvalidOid);
	SetUserIdAndSecContext(shard->def->owner, SECURITY_RESTRICTED_OPERATION);
	if (!contract->only_views)
		convert_values(shard, contract, event);
	fill_slot(shard, contract, event);
	contract->econtext->ecxt_scantuple = contract->slot;
	if (!contract->only_views)
		evaluate_checks(shard, contract, event);
	if (event->reason == FS_REASON_NONE)
		evaluate_views(shard, contract, event);
	MemoryContextSwitchTo(old);
}

/* See contract.h. */
char *
fs_contract_message(MemoryContext context, const char *message)
{
	size_t		len = strlen(message);
	int			kept;
	char	   *copy;

	if (len <= FS_MESSAGE_BYTES)
		return MemoryContextStrdup(context, message);
	kept = pg_mbcliplen(message, (int) len, FS_MESSAGE_BYTES);
	copy = MemoryContextAlloc(context, kept + sizeof("..."));
	memcpy(copy, message, kept);
	memcpy(copy + kept, "...", sizeof("..."));
	return copy;
}

/*
 * Is there nothing to evaluate behind the view that raised?  The views before it
 * have their values: they are in memory that outlives the error.
 */
static bool
is_last_view(const FsShard *shard, int view)
{
	for (int v = view + 1; v < shard->nviews; v++)
	{
		if (shard->views[v].has_expressions)
			return false;
	}
	return true;
}

/*
 * Books an error raised by an event's expressions.  Returns true when the
 * event is done with, false when it is to be evaluated again (without the view
 * that raised).
 */
static bool
book_error(FsShard *shard, FsContract *contract, const ErrorData *error)
{
	FsEvent    *event = contract->event;
	char	   *message;

	Assert(event->reason == FS_REASON_NONE);
	if (contract->view >= 0)
	{
		event->error_mask |= (uint32) 1 << contract->view;
		if (contract->only_views)
			return is_last_view(shard, contract->view);	/* nobody asks why, and there may be millions */
	}
	message = fs_contract_message(CurrentMemoryContext, error->message);
	if (contract->view >= 0)
	{
		event->error = psprintf("feature view \"%s\": %s", shard->views[contract->view].def->name, message);
		return is_last_view(shard, contract->view);
	}
	if (contract->check >= 0)
		fs_contract_refuse(shard, event, FS_REASON_CHECK_VIOLATION,
						   psprintf("check constraint \"%s\" raised an error: %s",
									shard->def->checks[contract->check].name, message));
	else
		fs_contract_refuse(shard, event, FS_REASON_BAD_VALUE,
						   psprintf("field \"%s\" cannot be a value of its type: %s",
									contract->column >= 0 ? shard->def->columns[contract->column].field : "?", message));
	return true;
}

/* Evaluates events up to the first that raises; the argument is the Evaluation. */
static void
evaluate_rest(void *arg)
{
	Evaluation *evaluation = arg;
	FsRunAs		scope;

	fs_run_as_begin(&scope, evaluation->shard->def->owner, NIL);
	for (; evaluation->next < evaluation->n; evaluation->next++)
	{
		FsEvent    *event = &evaluation->events[evaluation->next];

		if (event->reason == FS_REASON_NONE)
			evaluate_event(evaluation->shard, evaluation->shard->contract, event);
	}
	fs_run_as_end(&scope);
}

/*
 * Evaluates events[0 .. n - 1], in one subtransaction for as long as none
 * raises.  Messages are in the current memory context.
 */
void
fs_contract_evaluate(FsShard *shard, FsEvent *events, int n)
{
	FsContract *contract = shard->contract;
	Evaluation	evaluation = {.shard = shard, .events = events, .n = n};

	while (evaluation.next < n)
	{
		ErrorData  *error;

		contract->column = contract->check = contract->view = -1;
		error = fs_guard_catch(evaluate_rest, &evaluation, NULL);
		if (error == NULL)
			break;
		Assert(contract->event == &events[evaluation.next]);
		if (book_error(shard, contract, error))
			evaluation.next++;
		FreeErrorData(error);
	}
}

/*
 * Expressions of the views over an event from the log.  The log holds only what
 * was accepted, so CHECKs and conversions are done with.  Returns which views
 * the event counts in.
 */
uint32
fs_contract_views(FsShard *shard, FsEvent *event)
{
	FsContract *contract = shard->contract;
	bool		any = false;

	event->reason = FS_REASON_NONE;
	event->where_mask = PG_UINT32_MAX;
	event->error_mask = 0;
	for (int v = 0; v < shard->nviews; v++)
		any |= shard->views[v].has_expressions;
	if (!any)
		return event->where_mask;
	contract->only_views = true;
	contract->value_context = contract->econtext->ecxt_per_tuple_memory;
	fs_contract_evaluate(shard, event, 1);
	contract->only_views = false;
	return event->where_mask & ~event->error_mask;
}
