/*
 * definition_check.c
 *		The checks of create_feature_view's arguments.
 *
 * Whatever is wrong is said in the user's own session, before anything starts.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "foreign/foreign.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "catalog/definition.h"
#include "catalog/extension.h"
#include "catalog/online_key.h"
#include "catalog/options.h"
#include "catalog/start.h"
#include "catalog/window.h"

static void
throw_not_select(const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the query of a feature view must be exactly one SELECT"),
			 errdetail("%s", detail),
			 errhint("Write SELECT entity columns, aggregates FROM stream GROUP BY entity columns.")));
}

/* See definition.h. */
void
fs_definition_check_query(const char *query)
{
	List	   *statements = raw_parser(query, RAW_PARSE_DEFAULT);
	SelectStmt *select;

	if (list_length(statements) != 1)
		throw_not_select(psprintf("The text has %d statements.",
								  list_length(statements)));
	select = (SelectStmt *) linitial_node(RawStmt, statements)->stmt;
	if (!IsA(select, SelectStmt))
		throw_not_select("The statement is of another kind.");
	if (select->intoClause != NULL)
		throw_not_select("SELECT INTO creates a table.");
	if (select->valuesLists != NIL)
		throw_not_select("VALUES reads no stream.");
}

/* Throws for a word that is none of the two or three known; returns its number. */
static int
check_word(const char *argument, const char *value, const char *const *words,
		   int nwords)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < nwords; i++)
	{
		if (value != NULL && strcmp(value, words[i]) == 0)
			return i;
		appendStringInfo(&list, "%s\"%s\"", i > 0 ? ", " : "", words[i]);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 value != NULL ?
			 errmsg("invalid value for argument \"%s\": \"%s\"", argument, value) :
			 errmsg("argument \"%s\" must not be null", argument),
			 errhint("Available values: %s.", list.data)));
	return 0;					/* not reached */
}

/* Reads the windows into view->windows; their relation to slide and slice is checked later. */
static void
check_windows(FsViewDef *view, const FsViewRequest *request)
{
	Datum	   *elements;
	bool	   *nulls;

	if (ARR_NDIM(request->windows) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"windows\" must be a one-dimensional array")));
	deconstruct_array(request->windows, INTERVALOID, sizeof(Interval), false,
					  TYPALIGN_DOUBLE, &elements, &nulls, &view->nwindows);
	view->windows = palloc(Max(view->nwindows, 1) * sizeof(int64));
	for (int i = 0; i < view->nwindows; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("a window must not be null")));
		view->windows[i] = fs_interval_to_usec(DatumGetIntervalP(elements[i]),
											   "window", 1);
	}
}

/* A span that may be left out: 0 then. */
static int64
check_span(const Interval *interval, const char *argument)
{
	return interval == NULL ? 0 : fs_interval_to_usec(interval, argument, 1);
}

/* Reads what becomes of rows in the history; an interval alone thins it. */
static void
check_history(FsViewDef *view, const FsViewRequest *request)
{
	static const char *const words[] = {"all", "thinned", "none"};

	view->history_mode = check_word("history", request->history, words,
									lengthof(words));
	view->history_interval = check_span(request->history_interval,
										"history_interval");
	view->history_retention = check_span(request->history_retention,
										 "history_retention");
	if (view->history_mode == FS_HISTORY_ALL && view->history_interval > 0)
		view->history_mode = FS_HISTORY_THINNED;
	if (view->history_mode == FS_HISTORY_THINNED && view->history_interval == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a thinned history needs the argument \"history_interval\""),
				 errhint("For example history_interval => '1 hour' keeps the rows of full hours.")));
	if (view->history_mode == FS_HISTORY_NONE &&
		(view->history_interval > 0 || view->history_retention > 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"history_interval\" and \"history_retention\" need a history"),
				 errhint("Leave them out, or leave out history => 'none'.")));
	if (view->history_interval % view->slide != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("history_interval must be a multiple of the slide"),
				 errdetail("The history_interval is %s, the slide is %s.",
						   fs_window_suffix(view->history_interval),
						   fs_window_suffix(view->slide)),
				 errhint("Choose another history_interval, or a smaller slide.")));
}

/* See definition.h. */
FsOnEmpty
fs_definition_check_on_empty(const char *word)
{
	static const char *const words[] = {"delete", "set"};

	return check_word("on_empty", word, words, lengthof(words)) == 1 ?
		FS_ON_EMPTY_SET : FS_ON_EMPTY_DELETE;
}

/* See definition.h. */
void
fs_definition_check_arguments(FsViewDef *view, FsViewRequest *request)
{
	static const char *const emit_words[] = {"on_change", "every_slide"};

	view->slide = fs_interval_to_usec(request->slide, "slide", 1);
	check_windows(view, request);
	check_history(view, request);
	view->on_empty = fs_definition_check_on_empty(request->on_empty);
	view->emit_every_slide = check_word("emit", request->emit, emit_words,
										lengthof(emit_words)) == 1;
	view->online_ttl = check_span(request->online_ttl, "online_ttl");
	if (request->online == NULL &&
		(request->online_key != NULL || request->online_ttl != NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"online_key\" and \"online_ttl\" need the argument \"online\""),
				 errhint("Name a server of wrapper feature_stream_redis.")));
}

/* Throws when another feature view writes the same keys of the same server. */
static void
check_key_is_free(const FsViewDef *view, const FsViewRequest *request)
{
	FsOwnerScope scope;
	Oid			types[2] = {NAMEOID, OIDOID};
	Datum		values[2];
	char	   *holder = NULL;

	values[0] = DirectFunctionCall1(namein, CStringGetDatum(request->online));
	values[1] = ObjectIdGetDatum(view->relid);	/* not one yet: InvalidOid */
	fs_owner_begin(&scope);
	SPI_connect();
	if (SPI_execute_with_args("SELECT view::pg_catalog.text, online_key"
							  " FROM feature_stream.feature_view"
							  " WHERE online = $1 AND view <> $2",
							  2, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read feature_stream.feature_view");
	for (uint64 i = 0; i < SPI_processed && holder == NULL; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		char	   *key = SPI_getvalue(tuple, SPI_tuptable->tupdesc, 2);

		if (key != NULL && fs_online_key_same(key, request->online_key))
			holder = SPI_getvalue(tuple, SPI_tuptable->tupdesc, 1);
	}
	if (holder != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("online_key \"%s\" is that of another feature view",
						request->online_key),
				 errdetail("Feature view %s writes the same keys of server \"%s\".",
						   holder, request->online),
				 errhint("Choose another online_key.")));
	SPI_finish();
	fs_owner_end(&scope);
}

/* See definition.h. */
void
fs_definition_check_backfill(const FsViewRequest *request, const FsStreamDef *stream)
{
	FsStreamDef start = {0};

	if (request->backfill_from == NULL)
		return;
	fs_start_parse_argument(&start, "backfill_from", request->backfill_from);
	if (stream->kind == FS_SOURCE_TABLE && stream->arrival == NULL && start.start_kind == FS_START_TIMESTAMP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"backfill_from\" cannot be a timestamp for stream %s, whose option \"arrival\" is not set",
						stream->name),
				 errhint("Write 'earliest', or name a timestamptz column of the table in that option.")));
}

/* See definition.h. */
void
fs_definition_check_online(FsViewDef *view, FsViewRequest *request)
{
	int			nparts;

	view->online_server = InvalidOid;
	if (request->online == NULL)
		return;
	view->online_server = fs_server_find(request->online, view->owner, FS_WRAPPER_REDIS);
	if (request->online_key == NULL)
		request->online_key = fs_online_key_default(view);
	(void) fs_online_key_parse(view, request->online_key, &nparts);
	view->online_key = request->online_key;
	check_key_is_free(view, request);
}
