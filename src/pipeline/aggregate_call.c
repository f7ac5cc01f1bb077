/*
 * aggregate_call.c
 *		Native aggregates by calling their own functions; see aggregate.h.
 *
 * What nodeAgg.c does with one aggregate of one group, without the executor
 * around it: no tuples, no plan, no scan.  The functions find an AggState as
 * their context, as far as AggCheckCallContext(), AggGetAggref() and
 * AggRegisterCallback() look at it.  Used for functions of PostgreSQL and of
 * this extension alone (compile_native.c), which are known to look no further.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_aggregate.h"
#include "executor/execExpr.h"
#include "executor/executor.h"
#include "executor/nodeAgg.h"
#include "parser/parse_agg.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/expandeddatum.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "pipeline/aggregate.h"
#include "pipeline/values.h"

typedef struct FsAggregateCall
{
	AggState   *state;
	AggStatePerTransData trans;
	AggStatePerAggData agg;
	FunctionCallInfo final;		/* NULL: the state is the result */
	FmgrInfo	deserial_function;
	FunctionCallInfo deserial;	/* NULL: the aggregate has none */
	FmgrInfo	combine_function;
	FunctionCallInfo combine;	/* NULL: as long as deserial is */
} FsAggregateCall;

/* The state that a group begins with. */
static void
load_initial_value(AggStatePerTrans trans, HeapTuple tuple)
{
	Datum		initial = SysCacheGetAttr(AGGFNOID, tuple, Anum_pg_aggregate_agginitval,
									   &trans->initValueIsNull);
	Oid			input;
	Oid			param;

	if (trans->initValueIsNull)
		return;
	getTypeInputInfo(trans->aggtranstype, &input, &param);
	trans->initValue = OidInputFunctionCall(input, TextDatumGetCString(initial), param, -1);
}

/* A call of a function of the aggregate with room for 'nargs' arguments. */
static FunctionCallInfo
make_call(FsAggregateCall *call, FmgrInfo *function, int nargs)
{
	FunctionCallInfo info = palloc0(SizeForFunctionCallInfo(nargs));

	InitFunctionCallInfoData(*info, function, nargs, call->agg.aggref->inputcollid, (Node *) call->state, NULL);
	return info;
}

/* Looks up the transition function. */
static void
prepare_transition(FsAggregateCall *call, HeapTuple tuple, Oid *types, int ntypes)
{
	AggStatePerTrans trans = &call->trans;
	Form_pg_aggregate form = (Form_pg_aggregate) GETSTRUCT(tuple);
	Aggref	   *aggref = call->agg.aggref;
	Expr	   *expr;

	trans->aggref = aggref;
	trans->numTransInputs = ntypes;
	trans->aggCollation = aggref->inputcollid;
	trans->transfn_oid = form->aggtransfn;
	trans->aggtranstype = resolve_aggregate_transtype(aggref->aggfnoid, form->aggtranstype, types, ntypes);
	get_typlenbyval(trans->aggtranstype, &trans->transtypeLen, &trans->transtypeByVal);
	build_aggregate_transfn_expr(types, ntypes, 0, aggref->aggvariadic, trans->aggtranstype,
								 aggref->inputcollid, form->aggtransfn, InvalidOid, &expr, NULL);
	fmgr_info(form->aggtransfn, &trans->transfn);
	fmgr_info_set_expr((Node *) expr, &trans->transfn);
	trans->transfn_fcinfo = make_call(call, &trans->transfn, ntypes + 1);
	load_initial_value(trans, tuple);
}

/* Looks up the final function, where there is one. */
static void
prepare_final(FsAggregateCall *call, HeapTuple tuple, Oid *types, int ntypes)
{
	Form_pg_aggregate form = (Form_pg_aggregate) GETSTRUCT(tuple);
	AggStatePerAgg agg = &call->agg;
	Expr	   *expr;

	get_typlenbyval(agg->aggref->aggtype, &agg->resulttypeLen, &agg->resulttypeByVal);
	agg->finalfn_oid = form->aggfinalfn;
	if (!OidIsValid(form->aggfinalfn))
		return;
	agg->numFinalArgs = form->aggfinalextra ? ntypes + 1 : 1;
	build_aggregate_finalfn_expr(types, agg->numFinalArgs, call->trans.aggtranstype, agg->aggref->aggtype,
								 agg->aggref->inputcollid, form->aggfinalfn, &expr);
	fmgr_info(form->aggfinalfn, &agg->finalfn);
	fmgr_info_set_expr((Node *) expr, &agg->finalfn);
	call->final = make_call(call, &agg->finalfn, agg->numFinalArgs);
}

/* Looks up the functions that read states, where there are any. */
static void
prepare_deserial(FsAggregateCall *call, HeapTuple tuple)
{
	Form_pg_aggregate form = (Form_pg_aggregate) GETSTRUCT(tuple);

	if (!OidIsValid(form->aggdeserialfn))
		return;
	fmgr_info(form->aggdeserialfn, &call->deserial_function);
	call->deserial = make_call(call, &call->deserial_function, 2);
	fmgr_info(form->aggcombinefn, &call->combine_function);
	call->combine = make_call(call, &call->combine_function, 2);
}

/* See aggregate.h. */
void
fs_aggregate_prepare_call(FsRow *row, const FsAggregate *aggregate)
{
	FsAggregateCall *call = palloc0(sizeof(FsAggregateCall));
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate->aggref->aggfnoid));
	Oid			types[FUNC_MAX_ARGS];
	int			ntypes = get_aggregate_argtypes(aggregate->aggref, types);

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggregate->aggref->aggfnoid);
	Assert(ntypes == aggregate->nargs);
	call->state = makeNode(AggState);
	call->state->curaggcontext = CreateStandaloneExprContext();
	call->state->tmpcontext = CreateStandaloneExprContext();
	call->state->pertrans = call->state->curpertrans = &call->trans;
	call->state->numtrans = 1;
	call->agg.aggref = aggregate->aggref;
	prepare_transition(call, tuple, types, ntypes);
	prepare_final(call, tuple, types, ntypes);
	prepare_deserial(call, tuple);
	ReleaseSysCache(tuple);
	fs_aggregate_work(row, aggregate)->call = call;
}

/* A group without rows. */
static void
begin_group(FsAggregateCall *call, AggStatePerGroupData *group)
{
	AggStatePerTrans trans = &call->trans;

	/* Here, not only at the end of a group: an error may have left one open. */
	ReScanExprContext(call->state->curaggcontext);
	ResetExprContext(call->state->tmpcontext);
	call->state->curperagg = NULL;
	group->transValueIsNull = group->noTransValue = trans->initValueIsNull;
	group->transValue = trans->initValue;
	if (!trans->initValueIsNull && !trans->transtypeByVal)
	{
		MemoryContext old = MemoryContextSwitchTo(call->state->curaggcontext->ecxt_per_tuple_memory);

		group->transValue = datumCopy(trans->initValue, false, trans->transtypeLen);
		MemoryContextSwitchTo(old);
	}
}

/* Puts an event's arguments into the call; true when one of them is null. */
static bool
load_arguments(FsRow *row, const FsAggregate *aggregate, const FsRingEvent *event, FunctionCallInfo info)
{
	bool		has_null = false;

	for (int i = 0; i < aggregate->nargs; i++)
	{
		const FsAggArgument *argument = &aggregate->args[i];
		NullableDatum *to = &info->args[i + 1];

		if (argument->kept >= 0)
			to->value = fs_cell_datum(row, &row->columns[argument->kept], &event->cells[argument->kept],
									  &to->isnull);
		else
		{
			to->value = argument->constant->constvalue;
			to->isnull = argument->constant->constisnull;
		}
		has_null |= to->isnull;
	}
	return has_null;
}

/* The new state after one call; runs in the short-lived context. */
static void
call_transition(FsAggregateCall *call, AggStatePerGroupData *group)
{
	AggStatePerTrans trans = &call->trans;
	FunctionCallInfo info = trans->transfn_fcinfo;
	Datum		value;

	Assert(CurrentMemoryContext == call->state->tmpcontext->ecxt_per_tuple_memory);
	info->args[0].value = group->transValue;
	info->args[0].isnull = group->transValueIsNull;
	info->isnull = false;
	value = FunctionCallInvoke(info);
	if (!trans->transtypeByVal && DatumGetPointer(value) != DatumGetPointer(group->transValue))
		value = ExecAggTransReparent(call->state, trans, value, info->isnull,
									 group->transValue, group->transValueIsNull);
	group->transValue = value;
	group->transValueIsNull = info->isnull;
}

/* Adds one event; what the arguments and the function leave behind goes with it. */
static void
advance(FsRow *row, const FsAggregate *aggregate, FsAggregateCall *call, AggStatePerGroupData *group,
		const FsRingEvent *event)
{
	AggStatePerTrans trans = &call->trans;
	MemoryContext old = MemoryContextSwitchTo(call->state->tmpcontext->ecxt_per_tuple_memory);
	bool		has_null = load_arguments(row, aggregate, event, trans->transfn_fcinfo);

	if (row->stale || (trans->transfn.fn_strict && has_null))
		;						/* nothing happens */
	else if (trans->transfn.fn_strict && group->noTransValue)
		ExecAggInitGroup(call->state, trans, group, call->state->curaggcontext);
	else if (!trans->transfn.fn_strict || !group->transValueIsNull)
		call_transition(call, group);
	MemoryContextSwitchTo(old);
	ResetExprContext(call->state->tmpcontext);
}

/* The result of a group, in memory that the next one frees. */
static Datum
finish_group(FsAggregateCall *call, AggStatePerGroupData *group, bool *isnull)
{
	MemoryContext old;
	Datum		state = MakeExpandedObjectReadOnly(group->transValue, group->transValueIsNull,
												   call->trans.transtypeLen);
	Datum		result = (Datum) 0;

	*isnull = group->transValueIsNull;
	if (call->final == NULL)
		return state;
	call->final->args[0].value = state;
	call->final->args[0].isnull = group->transValueIsNull;
	for (int i = 1; i < call->agg.numFinalArgs; i++)
		call->final->args[i] = (NullableDatum) {(Datum) 0, true};
	*isnull = true;
	if (call->agg.finalfn.fn_strict && (group->transValueIsNull || call->agg.numFinalArgs > 1))
		return result;
	old = MemoryContextSwitchTo(call->state->tmpcontext->ecxt_per_tuple_memory);
	call->state->curperagg = &call->agg;
	call->final->isnull = false;
	result = FunctionCallInvoke(call->final);
	*isnull = call->final->isnull;
	call->state->curperagg = NULL;
	MemoryContextSwitchTo(old);
	return result;
}

/* The result of a group in the current context; the group's memory is free then. */
static Datum
end_group(FsAggregateCall *call, AggStatePerGroupData *group, bool *isnull)
{
	Datum		result = finish_group(call, group, isnull);

	if (!*isnull)
		result = datumCopy(result, call->agg.resulttypeByVal, call->agg.resulttypeLen);
	ReScanExprContext(call->state->curaggcontext);
	ResetExprContext(call->state->tmpcontext);
	return *isnull ? (Datum) 0 : result;
}

/* See aggregate.h. */
Datum
fs_aggregate_call(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n, bool *isnull)
{
	FsAggregateCall *call = fs_aggregate_work(row, aggregate)->call;
	AggStatePerGroupData group;

	Assert(call != NULL);		/* fs_aggregate_prepare_call() made it */
	begin_group(call, &group);
	for (int i = 0; i < n && !row->stale; i++)
	{
		fs_aggregate_serve_interrupts(i);
		advance(row, aggregate, call, &group, events[i]);
	}
	*isnull = true;
	return row->stale ? (Datum) 0 : end_group(call, &group, isnull);
}

/*
 * Begins a group with a state.  What is read is combined with nothing, as the
 * executor does: a state as it was read may not take values (numeric_deserialize()
 * makes one without squares in some minor releases).
 */
static void
load_state(FsAggregateCall *call, AggStatePerGroupData *group, bytea *state)
{
	MemoryContext old = MemoryContextSwitchTo(call->state->curaggcontext->ecxt_per_tuple_memory);

	Assert(call->deserial != NULL && !call->combine_function.fn_strict);
	call->deserial->args[0] = (NullableDatum) {PointerGetDatum(state), false};
	call->deserial->args[1] = (NullableDatum) {(Datum) 0, false};
	call->deserial->isnull = false;
	call->combine->args[1] = (NullableDatum) {FunctionCallInvoke(call->deserial), false};
	call->combine->args[0] = (NullableDatum) {(Datum) 0, true};
	call->combine->isnull = false;
	group->transValue = FunctionCallInvoke(call->combine);
	group->transValueIsNull = call->combine->isnull;
	group->noTransValue = false;
	MemoryContextSwitchTo(old);
}

/* See aggregate.h. */
Datum
fs_aggregate_call_state(FsRow *row, const FsAggregate *aggregate, bytea *state, const Datum *values, int n,
						bool *isnull)
{
	FsAggregateCall *call = fs_aggregate_work(row, aggregate)->call;
	AggStatePerGroupData group;

	Assert(call != NULL && aggregate->nargs == 1 && !call->trans.transfn.fn_strict);
	begin_group(call, &group);
	if (state != NULL)
		load_state(call, &group, state);
	for (int i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(call->state->tmpcontext->ecxt_per_tuple_memory);

		fs_aggregate_serve_interrupts(i);
		call->trans.transfn_fcinfo->args[1] = (NullableDatum) {values[i], false};
		call_transition(call, &group);
		MemoryContextSwitchTo(old);
		ResetExprContext(call->state->tmpcontext);
	}
	return end_group(call, &group, isnull);
}
