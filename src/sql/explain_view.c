/*
 * explain_view.c
 *		explain_feature_view(), estimate_feature_view(): how a feature view is computed, and what that costs.
 *
 * For a feature view, or for a query that is to become one.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/timestamp.h"

#include "catalog/cost.h"
#include "sql/arguments.h"
#include "sql/batch_output.h"
#include "sql/candidate.h"

PG_FUNCTION_INFO_V1(fs_explain_feature_view);
PG_FUNCTION_INFO_V1(fs_explain_candidate);
PG_FUNCTION_INFO_V1(fs_estimate_feature_view);
PG_FUNCTION_INFO_V1(fs_estimate_candidate);

#define EXPLAIN_COLUMNS 8
#define ESTIMATE_COLUMNS 8

typedef struct Explain
{
	ReturnSetInfo *result;
	const FsViewDef *view;
	const FsStreamDef *stream;
	FsCostLoad	load;
	double		events;			/* in the longest window of a row */
	bool	   *kept;			/* kept values that are paid for */
	bool	   *given;			/* aggregates that are paid for */
	List	   *context;		/* for deparsing */
} Explain;

/* A number with so many digits behind the point. */
static Datum
round_datum(double value, int digits)
{
	double		scale = pow(10, digits);

	return Float8GetDatum(rint(value * scale) / scale);
}

/* Gives a row; texts may be NULL. */
static void
put_row(Explain *explain, const char *feature, const char *aggregate, const char *strategy,
		const char *keeps, const char *reason, const FsCost *cost)
{
	const char *texts[] = {feature, aggregate, strategy, keeps, reason};
	Datum		values[EXPLAIN_COLUMNS];
	bool		nulls[EXPLAIN_COLUMNS] = {false};

	for (int i = 0; i < lengthof(texts); i++)
	{
		nulls[i] = texts[i] == NULL;
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(texts[i]);
	}
	values[5] = round_datum(cost->bytes_per_key, 0);
	values[6] = round_datum(cost->bytes_per_event, 1);
	values[7] = round_datum(cost->row_us, 2);
	tuplestore_putvalues(explain->result->setResult, explain->result->setDesc, values, nulls);
}

/* Why the view keeps events for an aggregate, or a state of each slide. */
static const char *
reason_of(const FsViewDef *view, const FsAggregate *aggregate)
{
	if (aggregate->kind == FS_AGG_REPLAY)
		return aggregate->reason;
	if (view->is_condensed)
		return "states are kept of slides that are over, where they take less room than the events";
	if (view->is_sliced)
		return "a state of each slide is kept, not events";
	return aggregate->events_reason != NULL ? aggregate->events_reason :
		"events are there, for other aggregates of the view";
}

/* Gives one aggregate of a feature; one that was given before costs nothing more. */
static void
put_aggregate(Explain *explain, const FsFeature *feature, int index)
{
	const FsViewDef *view = explain->view;
	const FsAggregate *aggregate = &view->aggregates[index];
	const char *reason = reason_of(view, aggregate);
	FsCost		cost = {0};

	if (!explain->given[index])
		cost = fs_cost_aggregate(view, explain->stream, index, explain->events, explain->kept);
	else
		reason = "computed once, see above";
	explain->given[index] = true;
	put_row(explain, feature->name,
			deparse_expression((Node *) aggregate->aggref, explain->context, false, false),
			aggregate->kind == FS_AGG_REPLAY ? "replay" : "native", fs_view_has_whole_slides(view) ? "partials" : "events", reason,
			&cost);
}

typedef struct AggregateSearch
{
	Explain    *explain;
	const FsFeature *feature;
	Bitmapset  *seen;
} AggregateSearch;

/* Gives the aggregates that an expression reads, in its order. */
static bool
put_aggregates_walker(Node *node, void *arg)
{
	AggregateSearch *search = arg;
	int			index;

	if (node == NULL)
		return false;
	if (!IsA(node, Var) || ((Var *) node)->varno != INNER_VAR)
		return expression_tree_walker(node, put_aggregates_walker, arg);
	index = ((Var *) node)->varattno - 1;
	if (!bms_is_member(index, search->seen))
		put_aggregate(search->explain, search->feature, index);
	search->seen = bms_add_member(search->seen, index);
	return false;
}

/* Gives all rows; the last one is what no feature alone causes. */
static void
explain_view(FunctionCallInfo fcinfo, const FsViewDef *view, const FsStreamDef *stream)
{
	Explain		explain = {.view = view, .stream = stream};
	FsCost		base;

	InitMaterializedSRF(fcinfo, 0);
	explain.result = (ReturnSetInfo *) fcinfo->resultinfo;
	fs_cost_load(view, &explain.load);
	explain.events = fs_cost_events(view, &explain.load);
	explain.kept = palloc0(sizeof(bool) * Max(view->nkept, 1));
	explain.given = palloc0(sizeof(bool) * Max(view->naggregates, 1));
	explain.context = deparse_context_for(get_rel_name(stream->relid), stream->relid);
	for (int i = 0; i < view->nfeatures; i++)
	{
		AggregateSearch search = {&explain, &view->features[i], NULL};

		if (view->features[i].expr != NULL)
			put_aggregates_walker(view->features[i].expr, &search);
		else
			put_aggregate(&explain, &view->features[i], view->features[i].aggregate);
	}
	base = fs_cost_base(view, stream, explain.events);
	put_row(&explain, NULL, NULL, NULL, NULL,
			psprintf("keys, order of events, and rows; for %.0f events in the longest window%s", explain.events,
					 explain.load.known ? "" : " (assumed: no live rate yet)"), &base);
}

/* Gives the one row of an estimate. */
static Datum
estimate_view(FunctionCallInfo fcinfo, const FsViewDef *view, const FsStreamDef *stream)
{
	FsCostEstimate estimate;
	FsCostLoad	load;
	TupleDesc	desc;
	Datum		values[ESTIMATE_COLUMNS] = {0};
	bool		nulls[ESTIMATE_COLUMNS];

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	fs_cost_load(view, &load);
	memset(nulls, !load.known, sizeof(nulls));
	if (load.known)
	{
		fs_cost_estimate(view, stream, &load, &estimate);
		values[0] = round_datum(load.events_per_second, 1);
		values[1] = Int64GetDatum((int64) load.entities);
		values[2] = round_datum(estimate.events_per_row, 1);
		values[3] = round_datum(load.rows_per_second, 1);
		values[4] = round_datum(estimate.unit.event_us, 2);
		values[5] = round_datum(estimate.unit.row_us, 2);
		values[6] = Int64GetDatum((int64) estimate.memory_bytes);
		values[7] = round_datum(estimate.cpu_share, 4);
	}
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/* The feature view that the first argument names, which the current user may read. */
static FsViewDef *
get_view(FunctionCallInfo fcinfo, FsStreamDef **stream)
{
	FsViewDef  *view = fs_view_load(PG_GETARG_OID(0));

	fs_batch_check_right(view->relid);
	*stream = fs_stream_load(view->stream);
	return view;
}

/* The candidate that the arguments query, windows and slide give. */
static FsViewDef *
get_candidate(FunctionCallInfo fcinfo, FsStreamDef **stream)
{
	Query	   *query;

	fs_argument_require(fcinfo, 0, "query");
	fs_argument_require(fcinfo, 1, "windows");
	return fs_candidate_compile(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_ARRAYTYPE_P(1),
								PG_ARGISNULL(2) ? NULL : PG_GETARG_INTERVAL_P(2), stream, &query);
}

/* explain_feature_view(view) */
Datum
fs_explain_feature_view(PG_FUNCTION_ARGS)
{
	FsStreamDef *stream;
	FsViewDef  *view = get_view(fcinfo, &stream);

	explain_view(fcinfo, view, stream);
	return (Datum) 0;
}

/* explain_feature_view(query, windows, slide) */
Datum
fs_explain_candidate(PG_FUNCTION_ARGS)
{
	FsStreamDef *stream;
	FsViewDef  *view = get_candidate(fcinfo, &stream);

	explain_view(fcinfo, view, stream);
	return (Datum) 0;
}

/* estimate_feature_view(view) */
Datum
fs_estimate_feature_view(PG_FUNCTION_ARGS)
{
	FsStreamDef *stream;
	FsViewDef  *view = get_view(fcinfo, &stream);

	return estimate_view(fcinfo, view, stream);
}

/* estimate_feature_view(query, windows, slide) */
Datum
fs_estimate_candidate(PG_FUNCTION_ARGS)
{
	FsStreamDef *stream;
	FsViewDef  *view = get_candidate(fcinfo, &stream);

	return estimate_view(fcinfo, view, stream);
}
