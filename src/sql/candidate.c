/*
 * candidate.c
 *		A feature view that does not exist: a query with windows, checked and compiled.
 *
 * For functions that say what a view would be.  Nothing is created.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "parser/analyze.h"
#include "parser/parser.h"

#include "catalog/compile.h"
#include "catalog/definition.h"
#include "catalog/window.h"
#include "ground/settings.h"
#include "sql/batch_output.h"
#include "sql/candidate.h"

/* The slide when none was given: the stream's slice. */
static Interval *
slice_interval(const FsStreamDef *stream)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->day = stream->slice / USECS_PER_DAY;
	interval->time = stream->slice % USECS_PER_DAY;
	return interval;
}

/* See candidate.h. */
FsViewDef *
fs_candidate_compile(char *text, ArrayType *windows, Interval *slide, FsStreamDef **stream, Query **query)
{
	FsViewRequest request = {0};
	FsViewDef  *view = palloc0(sizeof(FsViewDef));
	List	   *parsed;

	request.query = text;
	request.windows = windows;
	request.on_empty = "delete";
	request.emit = "on_change";
	request.history = "all";
	fs_definition_check_query(request.query);
	parsed = raw_parser(request.query, RAW_PARSE_DEFAULT);
	*query = parse_analyze_fixedparams(linitial_node(RawStmt, parsed), request.query, NULL, 0, NULL);
	*stream = fs_stream_load(fs_compile_stream(*query));
	fs_batch_check_right((*stream)->relid);
	request.slide = slide == NULL ? slice_interval(*stream) : slide;
	fs_definition_check_arguments(view, &request);
	view->owner = GetUserId();
	view->stream = (*stream)->relid;
	view->schema = view->name = "preview";
	view->force_replay = fs_force_replay;
	fs_view_compile(view, *query, *stream);
	fs_window_finish(view, *stream);
	return view;
}
