/*
 * explain_feature.c
 *		explain_feature(): the events that make one number.
 *
 * They are read from the stream's event log.  Events of the window that are
 * not in the number are given as well, with the reason; and at last the dead
 * letters whose payload says that they are of the entity and the window.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "catalog/extension.h"
#include "catalog/stand_in.h"
#include "pipeline/row.h"
#include "sql/arguments.h"
#include "sql/batch_output.h"
#include "sql/refused_events.h"

PG_FUNCTION_INFO_V1(fs_explain_feature);

/* Events are judged so many at a time. */
#define JUDGE_EVENTS 500

typedef struct Explain
{
	ReturnSetInfo *result;
	const FsBatch *batch;
	FsBatchJudge *filter;		/* FILTER of the feature's aggregates */
	FsTime		window_end;
	int64		size;			/* of the feature's window */
	FsJsonRow	event;
	MemoryContext context;		/* of the events at hand */
} Explain;

/* Index of the feature among those of the view. */
static int
find_feature(const FsBatch *batch, const char *name)
{
	for (int i = 0; i < batch->nfeatures; i++)
		if (strcmp(batch->columns[batch->nentity + i].name, name) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("feature view %s has no feature \"%s\"", fs_relation_name(batch->view->relid), name),
			 errhint("Features are the columns that feature_stream.feature lists, such as \"%s\".",
					 batch->columns[batch->nentity].name)));
	return -1;					/* not reached */
}

/* Throws: the entity is not one of the view's, because of 'detail'. */
static void
throw_entity(const FsBatch *batch, const char *detail)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < batch->nentity; i++)
		appendStringInfo(&names, "%s\"%s\": ...", i > 0 ? ", " : "", batch->columns[i].name);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid entity"),
			 errdetail("%s", detail),
			 errhint("Give an object with the view's entity columns: {%s}.", names.data)));
}

/* The value of one entity column. */
static Datum
get_entity_value(const FsBatch *batch, Jsonb *entity, const FsViewColumn *column)
{
	JsonbValue	buffer;
	JsonbValue *value = getKeyJsonValueFromContainer(&entity->root, column->name,
													 strlen(column->name), &buffer);
	Oid			input;
	Oid			ioparam;
	char	   *text;

	if (value == NULL || value->type == jbvNull)
		throw_entity(batch, psprintf("It has no value for column \"%s\".", column->name));
	if (value->type == jbvString)
		text = pnstrdup(value->val.string.val, value->val.string.len);
	else if (value->type == jbvNumeric)
		text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	else if (value->type == jbvBool)
		text = value->val.boolean ? "true" : "false";
	else
		throw_entity(batch, psprintf("Column \"%s\" is not a single value.", column->name));
	getTypeInputInfo(column->typid, &input, &ioparam);
	return OidInputFunctionCall(input, text, ioparam, -1);
}

/* The key of an entity given as jsonb; returns its length. */
static int
make_key(const FsBatch *batch, Jsonb *entity, char *key)
{
	Datum	   *values = palloc(sizeof(Datum) * batch->nentity);
	int			len;

	if (!JB_ROOT_IS_OBJECT(entity))
		throw_entity(batch, "It is no object.");
	if (JB_ROOT_COUNT(entity) != batch->nentity)
		throw_entity(batch, psprintf("It has %d keys.", JB_ROOT_COUNT(entity)));
	for (int i = 0; i < batch->nentity; i++)
		values[i] = get_entity_value(batch, entity, &batch->columns[i]);
	len = fs_key_encode(batch->view, values, key);
	if (len < 0)
		throw_entity(batch, psprintf("Keys have at most %d bytes.", FS_ENTITY_MAX_KEY));
	return len;
}

/* Collects the FILTERs of a feature's aggregates. */
typedef struct FilterSearch
{
	List	   *filters;
	bool		unfiltered;		/* an aggregate has none: it takes every event */
} FilterSearch;

/* Collects the FILTERs of aggregates; the argument is the FilterSearch. */
static bool
find_filters_walker(Node *node, void *arg)
{
	FilterSearch *search = arg;

	if (node == NULL)
		return false;
	if (IsA(node, Aggref))
	{
		if (((Aggref *) node)->aggfilter == NULL)
			search->unfiltered = true;
		else
			search->filters = lappend(search->filters, ((Aggref *) node)->aggfilter);
		return false;
	}
	return expression_tree_walker(node, find_filters_walker, arg);
}

/* What an event must be for any of the feature's aggregates to take it; NULL: anything. */
static Node *
make_filter(const FsBatch *batch, int feature)
{
	int			n = fs_batch_features_count(batch->features);
	FilterSearch search = {NIL, false};

	find_filters_walker((Node *) fs_batch_features_target(batch->features, feature % n)->expr, &search);
	if (search.unfiltered || search.filters == NIL)
		return NULL;
	return (Node *) (list_length(search.filters) == 1 ? linitial(search.filters) :
					 (void *) makeBoolExpr(OR_EXPR, search.filters, -1));
}

/* The window end asked about: the last one at or before 'at' that was fired. */
static FsTime
find_window_end(const FsBatch *batch, int64 size, bool at_null, TimestampTz at)
{
	const FsViewDef *view = batch->view;
	FsBatchCover cover;
	FsTime		end;

	fs_batch_cover(view->stream, view->relid, &cover);
	end = cover.frontier;
	if (end != FS_TIME_MIN && !at_null)
		end = Min(end, fs_batch_time(at));
	if (end != FS_TIME_MIN)
		end = fs_time_floor(end, view->slide);
	if (end == FS_TIME_MIN || (!cover.log_complete && end - size < cover.log_from))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the event log does not cover the window asked for"),
				 end == FS_TIME_MIN ? errdetail("No window has been fired by then.") :
				 errdetail("The window begins at %s, the log is whole from %s on.",
						   pstrdup(timestamptz_to_str(end - size)),
						   pstrdup(timestamptz_to_str(cover.log_from))),
				 errhint("The stream's option log_retention says how long events are kept.")));
	return end;
}

/* Why the event is not in the number, or "counted". */
static const char *
judge(const Explain *explain, const FsBatchEvent *event, FsBatchVerdict verdict)
{
	if (verdict == FS_BATCH_ERROR)
		return "error";
	if (fs_batch_counts_from(event, explain->batch->view->slide) > explain->window_end)
		return "late";
	return verdict == FS_BATCH_FILTERED || event->verdict != FS_BATCH_COUNTS ? "filtered" : "counted";
}

/* The declared columns of an event as jsonb. */
static Datum
event_jsonb(Explain *explain, const FsBatchEvent *event)
{
	const FsStreamDef *stream = explain->batch->stream;
	Datum	   *values = palloc(sizeof(Datum) * stream->ncolumns);
	bool	   *nulls = palloc(sizeof(bool) * stream->ncolumns);

	for (int i = 0; i < stream->ncolumns; i++)
	{
		values[i] = event->values[stream->columns[i].attnum - 1];
		nulls[i] = event->nulls[stream->columns[i].attnum - 1];
	}
	return fs_json_row_make(&explain->event, values, nulls);
}

/* Gives one event as a row; 'reason' is why it was refused, or NULL. */
static void
put_event(Explain *explain, const FsBatchEvent *event, const char *status, const char *reason)
{
	const FsViewDef *view = explain->batch->view;
	FsTime		enter = fs_batch_counts_from(event, view->slide);
	Interval	late = {0};
	Datum		values[10];
	bool		nulls[10] = {false};

	values[0] = TimestampTzGetDatum(explain->window_end);
	values[1] = CStringGetTextDatum(status);
	values[2] = TimestampTzGetDatum(event->time);
	values[3] = Int32GetDatum(event->partition);
	values[4] = Int64GetDatum(event->offset);
	values[5] = TimestampTzGetDatum(event->arrival);
	nulls[6] = event->late_bound == FS_TIME_MIN;
	late.time = nulls[6] ? 0 : event->late_bound - event->time;
	values[6] = IntervalPGetDatum(&late);
	nulls[7] = reason != NULL || enter >= fs_batch_leaves_at(event, explain->size, view->slide);
	values[7] = TimestampTzGetDatum(enter);
	values[8] = event_jsonb(explain, event);
	nulls[9] = reason == NULL;
	values[9] = nulls[9] ? (Datum) 0 : CStringGetTextDatum(reason);
	tuplestore_putvalues(explain->result->setResult, explain->result->setDesc, values, nulls);
}

/* Gives n events, which were judged by WHERE; FILTER comes on top. */
static void
put_events(Explain *explain, FsBatchEvent *events, int n)
{
	FsBatchVerdict verdicts[JUDGE_EVENTS];

	for (int i = 0; i < n; i++)
		verdicts[i] = events[i].verdict;
	fs_batch_judge(explain->filter, events, n);
	for (int i = 0; i < n; i++)
		put_event(explain, &events[i], judge(explain, &events[i], verdicts[i]), NULL);
}

/* Gives the events of the window that are of the entity. */
static void
explain_window(Explain *explain, const char *key, int key_len)
{
	FsBatchEvent events[JUDGE_EVENTS];
	FsBatchKey	only = {key, key_len};
	FsBatchLog *log = fs_batch_log_read(explain->batch, explain->window_end - explain->size,
										explain->window_end, 1, &only, 1);
	MemoryContext old = MemoryContextSwitchTo(explain->context);
	int			n;

	if (fs_batch_log_next_entity(log))
	{
		do
		{
			CHECK_FOR_INTERRUPTS();
			for (n = 0; n < JUDGE_EVENTS && fs_batch_log_next(log, &events[n]); n++)
				;
			put_events(explain, events, n);
			MemoryContextReset(explain->context);
		} while (n == JUDGE_EVENTS);
	}
	MemoryContextSwitchTo(old);
	fs_batch_log_end(log);
}

/* Gives a dead letter; the first argument is the Explain. */
static void
put_refused(void *arg, const FsBatchEvent *event, const char *reason)
{
	put_event(arg, event, "refused", reason);
}

/* The stream's columns, without dropped ones. */
static TupleDesc
event_desc(const FsStreamDef *stream)
{
	TupleDesc	desc = CreateTemplateTupleDesc(stream->ncolumns);

	for (int i = 0; i < stream->ncolumns; i++)
		TupleDescInitEntry(desc, i + 1, stream->columns[i].name, stream->columns[i].typid, -1, 0);
	return desc;
}

/* explain_feature(view, feature, entity, at) */
Datum
fs_explain_feature(PG_FUNCTION_ARGS)
{
	Explain		explain = {0};
	FsViewDef  *view;
	FsStreamDef *stream;
	FsBatch    *batch;
	int			feature;
	char		key[FS_ENTITY_MAX_KEY];
	int			key_len;

	fs_argument_require(fcinfo, 0, "view");
	fs_argument_require(fcinfo, 1, "feature");
	fs_argument_require(fcinfo, 2, "entity");
	view = fs_view_load(PG_GETARG_OID(0));
	stream = fs_stream_load(view->stream);
	fs_batch_check_right(view->relid);
	fs_batch_check_right(stream->relid);
	InitMaterializedSRF(fcinfo, 0);
	explain.result = (ReturnSetInfo *) fcinfo->resultinfo;
	explain.batch = batch = fs_batch_create(view, stream, fs_view_query(view->definition), view->owner);
	feature = find_feature(batch, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	key_len = make_key(batch, PG_GETARG_JSONB_P(2), key);
	explain.filter = fs_batch_judge_create(batch, make_filter(batch, feature), false);
	explain.size = view->windows[batch->columns[batch->nentity + feature].window];
	explain.window_end = find_window_end(batch, explain.size, PG_ARGISNULL(3),
										 PG_ARGISNULL(3) ? 0 : PG_GETARG_TIMESTAMPTZ(3));
	fs_json_row_init(&explain.event, event_desc(stream), true);
	explain.context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream events",
											ALLOCSET_DEFAULT_SIZES);
	explain_window(&explain, key, key_len);
	fs_refused_events(batch, explain.window_end - explain.size, explain.window_end, key, key_len,
					  put_refused, &explain);
	return (Datum) 0;
}
