/*
 * feature_views.c
 *		create_feature_view, alter_feature_view and drop_feature_view.
 *
 * Only the reading of arguments is here; catalog/definition.c does the work.
 * All run as the caller and in the caller's transaction; workers hear of it at
 * commit.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "catalog/definition.h"
#include "catalog/feature_view.h"
#include "sql/arguments.h"
#include "state/shared.h"
#include "worker/wakeup.h"

PG_FUNCTION_INFO_V1(fs_create_feature_view);
PG_FUNCTION_INFO_V1(fs_alter_feature_view);
PG_FUNCTION_INFO_V1(fs_drop_feature_view);

/* Arguments of create_feature_view, in order. */
enum
{
	ARG_NAME, ARG_QUERY, ARG_WINDOWS, ARG_SLIDE, ARG_ONLINE, ARG_ONLINE_KEY,
	ARG_ONLINE_TTL, ARG_ON_EMPTY, ARG_EMIT, ARG_HISTORY, ARG_HISTORY_INTERVAL,
	ARG_HISTORY_RETENTION, ARG_ONLINE_MODE, ARG_OFFLINE, ARG_BACKFILL, ARG_BACKFILL_FROM,
	ARG_OFFLINE_TABLE, ARG_OFFLINE_PARTITION_BY, ARG_OFFLINE_INTERVAL
};

/* Arguments of alter_feature_view, in order. */
enum
{
	ALTER_VIEW, ALTER_QUERY, ALTER_ONLINE, ALTER_ONLINE_KEY, ALTER_ONLINE_TTL,
	ALTER_ON_EMPTY, ALTER_HISTORY_RETENTION, ALTER_RESET, ALTER_DROP_HISTORY,
	ALTER_OFFLINE, ALTER_OFFLINE_TABLE, ALTER_OFFLINE_PARTITION_BY, ALTER_OFFLINE_INTERVAL
};

static char *
text_argument(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

static char *
name_argument(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : pstrdup(NameStr(*PG_GETARG_NAME(arg)));
}

static Interval *
interval_argument(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : PG_GETARG_INTERVAL_P(arg);
}

/* Reads what is said of a lake; the three arguments from 'table' on follow each other. */
static void
read_lake(FunctionCallInfo fcinfo, int offline, int table, FsViewRequest *request)
{
	request->offline = name_argument(fcinfo, offline);
	request->offline_table = text_argument(fcinfo, table);
	request->offline_partition_by = PG_ARGISNULL(table + 1) ? NULL : PG_GETARG_ARRAYTYPE_P(table + 1);
	request->offline_interval = interval_argument(fcinfo, table + 2);
}

/* Refuses what is in the interface, but not there yet. */
static void
refuse_unsupported(FunctionCallInfo fcinfo)
{
	char	   *mode = text_argument(fcinfo, ARG_ONLINE_MODE);

	if (mode != NULL && strcmp(mode, "live") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("online_mode \"live\" is not supported"),
				 errhint("Use online_mode => 'final' with a smaller slide.")));
	if (mode == NULL || strcmp(mode, "final") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 mode != NULL ?
				 errmsg("invalid value for argument \"%s\": \"%s\"",
						"online_mode", mode) :
				 errmsg("argument \"%s\" must not be null", "online_mode"),
				 errhint("Available values: \"final\".")));
}

/* create_feature_view(name, query, windows, slide, ...) returns regclass */
Datum
fs_create_feature_view(PG_FUNCTION_ARGS)
{
	FsViewRequest request = {0};
	FsViewDef  *view;

	fs_require_preload();
	fs_argument_require(fcinfo, ARG_NAME, "name");
	fs_argument_require(fcinfo, ARG_QUERY, "query");
	fs_argument_require(fcinfo, ARG_WINDOWS, "windows");
	fs_argument_require(fcinfo, ARG_SLIDE, "slide");
	fs_argument_require(fcinfo, ARG_BACKFILL, "backfill");
	refuse_unsupported(fcinfo);
	request.name = text_argument(fcinfo, ARG_NAME);
	request.query = text_argument(fcinfo, ARG_QUERY);
	request.windows = PG_GETARG_ARRAYTYPE_P(ARG_WINDOWS);
	request.slide = interval_argument(fcinfo, ARG_SLIDE);
	request.online = name_argument(fcinfo, ARG_ONLINE);
	request.online_key = text_argument(fcinfo, ARG_ONLINE_KEY);
	request.online_ttl = interval_argument(fcinfo, ARG_ONLINE_TTL);
	request.on_empty = text_argument(fcinfo, ARG_ON_EMPTY);
	request.emit = text_argument(fcinfo, ARG_EMIT);
	request.history = text_argument(fcinfo, ARG_HISTORY);
	request.history_interval = interval_argument(fcinfo, ARG_HISTORY_INTERVAL);
	request.history_retention = interval_argument(fcinfo, ARG_HISTORY_RETENTION);
	request.backfill = PG_GETARG_BOOL(ARG_BACKFILL);
	request.backfill_from = text_argument(fcinfo, ARG_BACKFILL_FROM);
	read_lake(fcinfo, ARG_OFFLINE, ARG_OFFLINE_TABLE, &request);
	view = fs_definition_create(&request);
	fs_ddl_touch_stream(view->stream);
	PG_RETURN_OID(view->relid);
}

/* Is an option given, or to be reset?  The call asks for options, too, when it asks for nothing. */
static bool
alters_options(FunctionCallInfo fcinfo)
{
	for (int arg = ALTER_ONLINE; arg <= ALTER_OFFLINE_INTERVAL; arg++)
		if (arg != ALTER_DROP_HISTORY && !PG_ARGISNULL(arg))
			return true;
	return PG_ARGISNULL(ALTER_QUERY) && !PG_GETARG_BOOL(ALTER_DROP_HISTORY);
}

/* alter_feature_view(view, query, online, ...) returns void */
Datum
fs_alter_feature_view(PG_FUNCTION_ARGS)
{
	FsViewRequest request = {0};
	ArrayType  *reset;
	Oid			stream;

	fs_require_preload();
	fs_argument_require(fcinfo, ALTER_VIEW, "view");
	fs_argument_require(fcinfo, ALTER_DROP_HISTORY, "drop_history");
	if (!PG_ARGISNULL(ALTER_QUERY) || PG_GETARG_BOOL(ALTER_DROP_HISTORY))
	{
		fs_definition_alter_query(PG_GETARG_OID(ALTER_VIEW), text_argument(fcinfo, ALTER_QUERY),
								  PG_GETARG_BOOL(ALTER_DROP_HISTORY), &stream);
		fs_ddl_touch_stream(stream);
	}
	if (!alters_options(fcinfo))
		PG_RETURN_VOID();
	request.online = name_argument(fcinfo, ALTER_ONLINE);
	request.online_key = text_argument(fcinfo, ALTER_ONLINE_KEY);
	request.online_ttl = interval_argument(fcinfo, ALTER_ONLINE_TTL);
	request.on_empty = text_argument(fcinfo, ALTER_ON_EMPTY);
	request.history_retention = interval_argument(fcinfo, ALTER_HISTORY_RETENTION);
	read_lake(fcinfo, ALTER_OFFLINE, ALTER_OFFLINE_TABLE, &request);
	reset = PG_ARGISNULL(ALTER_RESET) ? NULL : PG_GETARG_ARRAYTYPE_P(ALTER_RESET);
	if (fs_definition_alter(PG_GETARG_OID(ALTER_VIEW), &request, reset, &stream))
		fs_ddl_touch_stream(stream);
	PG_RETURN_VOID();
}

/* drop_feature_view(view, drop_history) returns void */
Datum
fs_drop_feature_view(PG_FUNCTION_ARGS)
{
	FsViewDef  *view;

	fs_require_preload();
	view = fs_view_load(PG_GETARG_OID(0));
	fs_definition_drop(view, PG_GETARG_BOOL(1));
	fs_ddl_touch_stream(view->stream);
	PG_RETURN_VOID();
}
