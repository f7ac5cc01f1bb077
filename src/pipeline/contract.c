/*
 * contract.c
 *		From record to event by the stream's data contract.
 *
 * Three steps for a batch: bytes to values (core/decode.h); DEFAULT and NOT
 * NULL; then everything that needs PostgreSQL's functions: numeric and jsonb
 * input, CHECK constraints, and WHERE and expressions of the feature views.  The
 * last step runs as the owner of the stream (of the view for its own) in a
 * security-restricted context, and an error raised there belongs to one event:
 * the batch runs in one internal subtransaction, and only when an expression
 * raises is it rolled back and begun again behind the culprit.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "catalog/guard.h"
#include "catalog/payload.h"
#include "catalog/run_as.h"
#include "ground/deadline.h"
#include "pipeline/recover.h"
#include "pipeline/shard.h"
#include "pipeline/values.h"

/*
 * CHECK (column <> 'constant'), the most common one, without the executor:
 * compared as bytes, which is what text's <> does under a deterministic
 * collation.  A null passes, as in SQL.
 */
typedef struct SimpleCheck
{
	int			column;			/* -1: this check is not a simple one */
	const char *value;
	uint32		len;
} SimpleCheck;

typedef struct FsContract
{
	FsPayloadDecoder *decoder;
	FsValue    *values;			/* of the batch, used again */
	int			maxvalues;
	FsValue    *defaults;		/* per column; FS_ABSENT: none */
	bool	   *converts;		/* per column: goes through PostgreSQL's input function */
	bool	   *in_slot;		/* per column: read by some expression */
	bool		has_expressions;	/* anything at all for the guarded step */
	SimpleCheck *simple;		/* per check */
	ExprState **checks;			/* of those that are not simple */
	TupleTableSlot *slot;
	ExprContext *econtext;
	MemoryContext value_context;	/* of the values of expressions */

	/* Where the guarded step is, for its error handler */
	FsEvent    *event;
	int			column;			/* converting this one; -1 none */
	int			check;			/* evaluating this one; -1 none */
	int			view;			/* evaluating its expressions; -1 none */
	bool		only_views;		/* an event of the log: its values are final */
} FsContract;

StaticAssertDecl(FS_MAX_VIEWS <= 32, "a view is a bit of an event's where_mask");

/* Events that are being evaluated. */
typedef struct Evaluation
{
	FsShard    *shard;
	FsEvent    *events;
	int			n;
	int			next;			/* the first one still to do */
} Evaluation;

/* Marks the columns that an expression reads. */
static void
mark_columns(FsShard *shard, FsContract *contract, Node *expr)
{
	Bitmapset  *attnums = NULL;
	int			bit = -1;

	pull_varattnos(expr, 1, &attnums);
	while ((bit = bms_next_member(attnums, bit)) >= 0)
	{
		int			column = fs_stream_column_index(shard->def,
													bit + FirstLowInvalidHeapAttributeNumber);

		if (column >= 0)
			contract->in_slot[column] = true;
	}
	contract->has_expressions = true;
}

/* Recognises a simple check. */
static SimpleCheck
simplify_check(const FsStreamDef *def, Node *expr)
{
	SimpleCheck simple = {.column = -1};
	OpExpr	   *op = (OpExpr *) expr;
	Var		   *var;
	Const	   *constant;

	if (!IsA(expr, OpExpr) || op->opfuncid != F_TEXTNE || !IsA(linitial(op->args), Var) ||
		!IsA(lsecond(op->args), Const))
		return simple;
	var = linitial(op->args);
	constant = lsecond(op->args);
	if (constant->constisnull || !get_collation_isdeterministic(op->inputcollid))
		return simple;
	simple.column = fs_stream_column_index(def, var->varattno);
	simple.value = VARDATA_ANY(DatumGetPointer(constant->constvalue));
	simple.len = VARSIZE_ANY_EXHDR(DatumGetPointer(constant->constvalue));
	return simple;
}

/* A DEFAULT is immutable and reads no column, so it is one value for good. */
static FsValue
evaluate_default(FsContract *contract, const FsColumn *column)
{
	ExprState  *state = ExecInitExpr((Expr *) column->default_expr, NULL);
	bool		isnull;
	Datum		datum = ExecEvalExpr(state, contract->econtext, &isnull);
	FsValue		null = {.presence = FS_NULL};

	return isnull ? null : fs_datum_value(column, datum);
}

/*
 * Evaluates all DEFAULTs, as the stream's owner: most are constants by now, but
 * a cast to a domain still calls the functions of its constraints.
 */
static void
evaluate_defaults(FsContract *contract, const FsStreamDef *def)
{
	FsRunAs		scope;

	fs_run_as_begin(&scope, def->owner, NIL);
	for (int i = 0; i < def->ncolumns; i++)
		if (def->columns[i].default_expr != NULL)
			contract->defaults[i] = evaluate_default(contract, &def->columns[i]);
	fs_run_as_end(&scope);
}

/*
 * Prepares the contract of the shard's stream and the expressions of its views, in
 * shard->context.  The caller is in a transaction.
 */
FsContract *
fs_contract_create(FsShard *shard)
{
	const FsStreamDef *def = shard->def;
	MemoryContext old = MemoryContextSwitchTo(shard->context);
	FsContract *contract = palloc0(sizeof(FsContract));
	Relation	rel = table_open(def->relid, AccessShareLock);

	contract->econtext = CreateStandaloneExprContext();
	contract->slot = MakeSingleTupleTableSlot(CreateTupleDescCopy(RelationGetDescr(rel)),
											  &TTSOpsVirtual);
	table_close(rel, AccessShareLock);
	contract->defaults = palloc0(sizeof(FsValue) * def->ncolumns);
	contract->converts = palloc0(sizeof(bool) * def->ncolumns);
	contract->in_slot = palloc0(sizeof(bool) * def->ncolumns);
	contract->checks = palloc0(sizeof(ExprState *) * Max(def->nchecks, 1));
	evaluate_defaults(contract, def);
	for (int i = 0; i < def->ncolumns; i++)
	{
		FsType		type = def->columns[i].type;

		contract->converts[i] = type == FS_TYPE_NUMERIC || type == FS_TYPE_JSONB;
		contract->has_expressions |= contract->converts[i];
	}
	contract->simple = palloc0(sizeof(SimpleCheck) * Max(def->nchecks, 1));
	for (int i = 0; i < def->nchecks; i++)
	{
		contract->simple[i] = simplify_check(def, def->checks[i].expr);
		if (contract->simple[i].column >= 0)
			continue;
		mark_columns(shard, contract, def->checks[i].expr);
		contract->checks[i] = ExecInitExpr((Expr *) def->checks[i].expr, NULL);
	}
	for (int v = 0; v < shard->nviews; v++)
	{
		ListCell   *lc;

		foreach(lc, fs_inputs_prepare(&shard->views[v]))
			mark_columns(shard, contract, lfirst(lc));
	}
	contract->decoder = fs_payload_create(def);
	MemoryContextSwitchTo(old);
	return contract;
}

/* See shard.h. */
bool
fs_contract_can_raise(const FsShard *shard)
{
	return shard->contract->has_expressions;
}

/* See shard.h. */
FsWriterSchemas *
fs_contract_schemas(FsShard *shard)
{
	return shard->contract->decoder->schemas;
}

/* Refuses an event; the message is copied into the batch's memory. */
static void
refuse(FsShard *shard, FsEvent *event, FsReason reason, const char *message)
{
	Assert(event->reason == FS_REASON_NONE && reason != FS_REASON_NONE);
	event->reason = reason;
	event->message = MemoryContextStrdup(shard->batch, message);
}

/* DEFAULT for absent fields, then NOT NULL. */
static pg_noinline void
apply_nullness(FsShard *shard, FsContract *contract, FsEvent *event)
{
	for (int i = 0; i < shard->def->ncolumns; i++)
	{
		FsValue    *value = &event->values[i];
		bool		absent = value->presence == FS_ABSENT;

		if (value->presence == FS_PRESENT)
			continue;
		if (absent && contract->defaults[i].presence != FS_ABSENT)
			*value = contract->defaults[i];
		else
			value->presence = FS_NULL;
		if (value->presence == FS_NULL && shard->def->columns[i].not_null)
		{
			refuse(shard, event, FS_REASON_MISSING_FIELD,
				   psprintf("field \"%s\" is %s", shard->def->columns[i].field,
							absent ? "missing" : "null"));
			return;
		}
	}
}

/* Are all fields there, and none null?  Mostly so, and told without a branch for each. */
static inline bool
are_all_present(const FsValue *values, int n)
{
	unsigned	seen = FS_PRESENT;

	StaticAssertStmt((FS_PRESENT & (FS_ABSENT | FS_NULL)) == 0, "presence has a bit of its own");
	for (const FsValue *value = values; value < values + n; value++)
		seen &= value->presence;
	return seen != 0;
}

/* The checks that need no expression. */
static void
apply_simple_checks(FsShard *shard, FsContract *contract, FsEvent *event)
{
	for (int i = 0; i < shard->def->nchecks && event->reason == FS_REASON_NONE; i++)
	{
		const SimpleCheck *simple = &contract->simple[i];
		const FsValue *value;

		if (simple->column < 0)
			continue;
		value = &event->values[simple->column];
		if (value->presence == FS_PRESENT && value->len == simple->len &&
			memcmp(value->data, simple->value, simple->len) == 0)
			refuse(shard, event, FS_REASON_CHECK_VIOLATION,
				   psprintf("check constraint \"%s\" is violated (%s = \"%.*s\")", shard->def->checks[i].name,
							shard->def->columns[simple->column].field,
							pg_mbcliplen(simple->value, simple->len, 80), simple->value));
	}
}

/* First step and second step for one record. */
static void
decode_record(FsShard *shard, FsContract *contract, FsEvent *event)
{
	const FsRecord *record = event->record;
	FsDecodeError error;

	if (record->value == NULL)
		refuse(shard, event, FS_REASON_TOMBSTONE, "the record has no value");
	else if ((int64) record->value_len > shard->def->max_record_bytes)
		refuse(shard, event, FS_REASON_MALFORMED,
			   psprintf("value has %zu bytes, more than max_record_bytes (" INT64_FORMAT ")",
						record->value_len, shard->def->max_record_bytes));
	else if (!fs_payload_decode(contract->decoder, record->value, record->value_len,
								record->header, record->header_len, event->values, &error))
	{
		if (error.reason == FS_REASON_NONE)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory"),
					 errdetail("Could not decode a record.")));
		refuse(shard, event, error.reason, error.message);
	}
	else
	{
		if (!are_all_present(event->values, shard->def->ncolumns))
			apply_nullness(shard, contract, event);
		apply_simple_checks(shard, contract, event);
	}
}

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
			refuse(shard, event, FS_REASON_CHECK_VIOLATION,
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
	fs_deadline_begin();
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

/*
 * Books an error raised by an event's expressions.  Returns true when the
 * event is done with, false when it is to be evaluated again (without the view
 * that raised).
 */
static bool
book_error(FsShard *shard, FsContract *contract, const ErrorData *error)
{
	FsEvent    *event = contract->event;

	Assert(event->reason == FS_REASON_NONE);
	if (contract->view >= 0)
	{
		event->error_mask |= (uint32) 1 << contract->view;
		event->error = psprintf("feature view \"%s\": %s", shard->views[contract->view].def->name,
								error->message);
		return false;
	}
	if (contract->check >= 0)
		refuse(shard, event, FS_REASON_CHECK_VIOLATION,
			   psprintf("check constraint \"%s\" raised an error: %s",
						shard->def->checks[contract->check].name, error->message));
	else
		refuse(shard, event, FS_REASON_BAD_VALUE,
			   psprintf("field \"%s\" cannot be a value of its type: %s",
						contract->column >= 0 ? shard->def->columns[contract->column].field : "?",
						error->message));
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
static void
evaluate_guarded(FsShard *shard, FsEvent *events, int n)
{
	FsContract *contract = shard->contract;
	Evaluation	evaluation = {.shard = shard, .events = events, .n = n};

	while (evaluation.next < n)
	{
		ErrorData  *error;

		contract->column = contract->check = contract->view = -1;
		error = fs_guard_catch(evaluate_rest, &evaluation);
		if (error == NULL)
			break;
		Assert(contract->event == &events[evaluation.next]);
		if (book_error(shard, contract, error))
			evaluation.next++;
		FreeErrorData(error);
	}
}

/* Room for 'n' values of a batch; that of the batch before is used again. */
static FsValue *
reserve_values(FsShard *shard, int n)
{
	FsContract *contract = shard->contract;

	if (n > contract->maxvalues)
	{
		if (contract->values != NULL)
			pfree(contract->values);
		contract->values = MemoryContextAllocHuge(shard->context, sizeof(FsValue) * n);
		contract->maxvalues = n;
	}
	return contract->values;
}

/*
 * Decodes events[0..n-1], whose 'record' is set: values, reason and message,
 * where_mask.  Runs in the caller's transaction, or in one of its own when
 * there is none and expressions want one.
 */
void
fs_contract_decode(FsShard *shard, FsEvent *events, int n)
{
	FsContract *contract = shard->contract;
	MemoryContext old = MemoryContextSwitchTo(shard->batch);
	FsValue    *values = reserve_values(shard, n * shard->nvalues);
	Size		expressions = sizeof(FsValue) * (shard->nvalues - shard->def->ncolumns);
	bool		own_transaction = !IsTransactionState();

	fs_payload_reset(contract->decoder);
	for (int i = 0; i < n; i++)
	{
		events[i].values = values + (Size) i * shard->nvalues;
		if (expressions > 0)
			memset(events[i].values + shard->def->ncolumns, 0, expressions);
		events[i].reason = FS_REASON_NONE;
		events[i].message = NULL;
		events[i].where_mask = PG_UINT32_MAX;
		events[i].error_mask = 0;
		events[i].error = NULL;
		decode_record(shard, contract, &events[i]);
	}
	contract->value_context = shard->batch;
	if (contract->has_expressions)
	{
		if (own_transaction)
			StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		MemoryContextSwitchTo(shard->batch);
		evaluate_guarded(shard, events, n);
		PopActiveSnapshot();
		if (own_transaction)
			CommitTransactionCommand();
	}
	MemoryContextSwitchTo(old);
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
	evaluate_guarded(shard, event, 1);
	contract->only_views = false;
	return event->where_mask & ~event->error_mask;
}
