/*
 * contract.c
 *		From record to event by the stream's data contract.
 *
 * Three steps for a batch: bytes to values (core/decode.h); DEFAULT and NOT
 * NULL; then everything that needs PostgreSQL's functions, which is
 * contract_expressions.c.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "catalog/run_as.h"
#include "pipeline/contract.h"
#include "pipeline/values.h"

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
	contract->bytes = palloc(sizeof(int) * def->ncolumns);
	contract->converts = palloc0(sizeof(bool) * def->ncolumns);
	contract->in_slot = palloc0(sizeof(bool) * def->ncolumns);
	contract->checks = palloc0(sizeof(ExprState *) * Max(def->nchecks, 1));
	evaluate_defaults(contract, def);
	for (int i = 0; i < def->ncolumns; i++)
	{
		FsType		type = def->columns[i].type;

		contract->converts[i] = type == FS_TYPE_NUMERIC || type == FS_TYPE_JSONB;
		contract->has_expressions |= contract->converts[i];
		if (fs_type_is_bytes(type))
			contract->bytes[contract->nbytes++] = i;
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
			fs_contract_refuse(shard, event, FS_REASON_MISSING_FIELD,
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

/* Refuses what is too long for shared memory, where a feature view may keep it now or later. */
static inline void
check_lengths(FsShard *shard, FsContract *contract, FsEvent *event)
{
	for (int i = 0; i < contract->nbytes && event->reason == FS_REASON_NONE; i++)
	{
		const FsValue *value = &event->values[contract->bytes[i]];

		if (value->presence == FS_PRESENT && value->len > FS_DICTIONARY_MAX_VALUE)
			fs_contract_refuse(shard, event, FS_REASON_BAD_VALUE,
							   psprintf("field \"%s\" has %u bytes, more than can be kept (%d)",
										shard->def->columns[contract->bytes[i]].field, value->len,
										FS_DICTIONARY_MAX_VALUE));
	}
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
			fs_contract_refuse(shard, event, FS_REASON_CHECK_VIOLATION,
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
		fs_contract_refuse(shard, event, FS_REASON_TOMBSTONE, "the record has no value");
	else if ((int64) record->value_len > shard->def->max_record_bytes)
		fs_contract_refuse(shard, event, FS_REASON_MALFORMED,
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
		fs_contract_refuse(shard, event, error.reason, error.message);
	}
	else
	{
		if (!are_all_present(event->values, shard->def->ncolumns))
			apply_nullness(shard, contract, event);
		check_lengths(shard, contract, event);
		apply_simple_checks(shard, contract, event);
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
		fs_contract_evaluate(shard, events, n);
		PopActiveSnapshot();
		if (own_transaction)
			CommitTransactionCommand();
	}
	MemoryContextSwitchTo(old);
}
