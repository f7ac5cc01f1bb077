/*
 * preview.c
 *		preview_feature_view(): rows of a feature view that does not exist.
 *
 * The candidate goes through the checks that create_feature_view makes, and is
 * then computed by PostgreSQL's executor over the events that the stream's log
 * still has.  Nothing is created; the query runs as the caller.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "core/slice.h"
#include "sql/arguments.h"
#include "sql/batch_output.h"
#include "sql/candidate.h"

PG_FUNCTION_INFO_V1(fs_preview_feature_view);

enum
{
	ARG_QUERY, ARG_WINDOWS, ARG_SLIDE, ARG_SINCE, ARG_UNTIL, ARG_LIMIT
};

typedef struct Preview
{
	ReturnSetInfo *result;
	FsBatchOutput output;
	int64		limit;			/* rows still to give; -1: all */
	MemoryContext row_context;
} Preview;

/* Gives one row; the argument is the Preview. */
static bool
put_row(void *arg, const FsBatchRow *row)
{
	Preview    *preview = arg;
	MemoryContext old = MemoryContextSwitchTo(preview->row_context);
	Datum		values[3];
	bool		nulls[3] = {false};

	values[0] = fs_batch_output_entity(&preview->output, row->entity);
	values[1] = TimestampTzGetDatum(row->window_end);
	values[2] = fs_batch_output_features(&preview->output, row->values, row->nulls);
	tuplestore_putvalues(preview->result->setResult, preview->result->setDesc, values, nulls);
	MemoryContextSwitchTo(old);
	MemoryContextReset(preview->row_context);
	return preview->limit < 0 || --preview->limit > 0;
}

/*
 * Sets the window ends to be computed from the arguments and what the log
 * covers; false when there are none.  Says what was asked for and is not there.
 */
static bool
set_range(FunctionCallInfo fcinfo, const FsBatch *batch, FsBatchRange *range)
{
	FsTime		since = PG_ARGISNULL(ARG_SINCE) ? FS_TIME_MIN : fs_batch_time(PG_GETARG_TIMESTAMPTZ(ARG_SINCE));
	FsTime		until = PG_ARGISNULL(ARG_UNTIL) ? FS_TIME_MAX : fs_batch_time(PG_GETARG_TIMESTAMPTZ(ARG_UNTIL));
	FsBatchCover cover;
	FsTime		first;

	fs_batch_cover(batch->stream->relid, InvalidOid, &cover);
	if (!fs_batch_covered(batch->view, &cover, &first, &range->last))
	{
		ereport(NOTICE,
				(errmsg("the event log of stream %s covers no window yet", batch->stream->name),
				 errdetail("Events are logged while the stream has a feature view; a window can be computed when the watermark has passed its end.")));
		return false;
	}
	if (until < range->last)
		range->last = until == FS_TIME_MIN ? until : fs_time_floor(until, batch->view->slide);
	range->first = range->last;
	if (!PG_ARGISNULL(ARG_SINCE))
	{
		range->choice = FS_BATCH_EMITTED;
		range->first = since == FS_TIME_MIN ? first :
			since == FS_TIME_MAX ? since : fs_time_ceil(since, batch->view->slide);
		if (range->first < first && !cover.log_complete)
			ereport(NOTICE,
					(errmsg("rows begin at window end %s, from which on the event log covers whole windows",
							timestamptz_to_str(first))));
	}
	range->first = Max(range->first, first);
	return range->first <= range->last;
}

/* preview_feature_view(query, windows, slide, since, until, limit) */
Datum
fs_preview_feature_view(PG_FUNCTION_ARGS)
{
	Preview		preview = {.limit = -1};
	FsBatchRange range = {.sample = 1, .choice = FS_BATCH_STANDING};
	FsBatchRange part;
	FsViewDef  *view;
	FsStreamDef *stream;
	FsBatch    *batch;
	Query	   *query;

	fs_argument_require(fcinfo, ARG_QUERY, "query");
	fs_argument_require(fcinfo, ARG_WINDOWS, "windows");
	if (!PG_ARGISNULL(ARG_LIMIT))
		preview.limit = PG_GETARG_INT64(ARG_LIMIT);
	if (!PG_ARGISNULL(ARG_LIMIT) && preview.limit < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_ROW_COUNT_IN_LIMIT_CLAUSE),
				 errmsg("argument \"%s\" must not be negative", "limit")));
	InitMaterializedSRF(fcinfo, 0);
	preview.result = (ReturnSetInfo *) fcinfo->resultinfo;
	view = fs_candidate_compile(text_to_cstring(PG_GETARG_TEXT_PP(ARG_QUERY)), PG_GETARG_ARRAYTYPE_P(ARG_WINDOWS),
								PG_ARGISNULL(ARG_SLIDE) ? NULL : PG_GETARG_INTERVAL_P(ARG_SLIDE), &stream, &query);
	batch = fs_batch_create(view, stream, query, GetUserId());
	fs_batch_output_init(&preview.output, batch);
	preview.row_context = AllocSetContextCreate(CurrentMemoryContext, "feature_stream row",
												ALLOCSET_SMALL_SIZES);
	if (preview.limit == 0 || !set_range(fcinfo, batch, &range))
		return (Datum) 0;
	part = range;
	for (; part.first <= range.last && preview.limit != 0; part.first = part.last + view->slide)
	{
		part.last = fs_batch_part(batch, part.first, range.last);
		fs_batch_rows(batch, &part, put_row, &preview);
	}
	return (Datum) 0;
}
