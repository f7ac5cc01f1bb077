/*
 * registry.c
 *		What views feature and feature_lineage are made of, and set_feature_tags.
 *
 * The registry is views over the catalogs: only what has no place there, the
 * tags, is a table.  The functions below say no more than the definition views,
 * which everybody can read in the catalogs.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "catalog/extension.h"
#include "catalog/lineage.h"
#include "catalog/window.h"
#include "sql/arguments.h"

PG_FUNCTION_INFO_V1(fs_get_feature);
PG_FUNCTION_INFO_V1(fs_get_feature_lineage);
PG_FUNCTION_INFO_V1(fs_set_feature_tags);

#define FEATURE_COLUMNS 4
#define LINEAGE_COLUMNS 3

static Datum
name_datum(const char *name)
{
	return DirectFunctionCall1(namein, CStringGetDatum(name));
}

/* Gives the rows of one window: one a feature. */
static void
put_features(ReturnSetInfo *result, const FsLineage *lineage, Interval *window)
{
	char	   *suffix = fs_window_suffix(fs_interval_to_usec(window, "window", 1));
	ListCell   *lc;

	foreach(lc, lineage->features)
	{
		FsLineageFeature  *feature = lfirst(lc);
		Datum		values[FEATURE_COLUMNS];
		bool		nulls[FEATURE_COLUMNS] = {false};

		values[0] = name_datum(feature->name);
		values[1] = name_datum(psprintf("%s_%s", feature->name, suffix));
		values[2] = IntervalPGetDatum(window);
		values[3] = CStringGetTextDatum(feature->expression);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/* get_feature(definition, windows) returns setof (name, column_name, window, expression) */
Datum
fs_get_feature(PG_FUNCTION_ARGS)
{
	FsLineage  *lineage = fs_lineage_load(PG_GETARG_OID(0));
	Datum	   *windows;
	bool	   *nulls;
	int			nwindows;

	InitMaterializedSRF(fcinfo, 0);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), INTERVALOID, sizeof(Interval),
					  false, TYPALIGN_DOUBLE, &windows, &nulls, &nwindows);
	for (int i = 0; lineage != NULL && i < nwindows; i++)
		if (!nulls[i])
			put_features((ReturnSetInfo *) fcinfo->resultinfo, lineage,
						 DatumGetIntervalP(windows[i]));
	return (Datum) 0;
}

/* Gives a row for each of the columns that a feature depends on in one way. */
static void
put_lineage(ReturnSetInfo *result, const FsLineageFeature *feature,
			const Bitmapset *columns, const char *usage)
{
	int			attnum = -1;

	while ((attnum = bms_next_member(columns, attnum)) >= 0)
	{
		Datum		values[LINEAGE_COLUMNS];
		bool		nulls[LINEAGE_COLUMNS] = {false};

		values[0] = name_datum(feature->name);
		values[1] = Int16GetDatum(attnum);
		values[2] = CStringGetTextDatum(usage);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/* get_feature_lineage(definition) returns setof (feature, attnum, usage) */
Datum
fs_get_feature_lineage(PG_FUNCTION_ARGS)
{
	FsLineage  *lineage = fs_lineage_load(PG_GETARG_OID(0));
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Bitmapset  *event_time = NULL;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	if (lineage == NULL)
		return (Datum) 0;
	if (lineage->event_time != InvalidAttrNumber)
		event_time = bms_make_singleton(lineage->event_time);
	foreach(lc, lineage->features)
	{
		put_lineage(result, lfirst(lc), ((FsLineageFeature *) lfirst(lc))->columns, "feature");
		put_lineage(result, lfirst(lc), lineage->entity, "entity");
		put_lineage(result, lfirst(lc), lineage->filter, "filter");
		put_lineage(result, lfirst(lc), event_time, "event_time");
	}
	return (Datum) 0;
}

/* Throws unless the view is the current user's and has the feature: $1 and $2 of 'values'. */
static void
check_feature(Oid view, const char *feature, Oid *types, Datum *values)
{
	if (fs_owner_execute("SELECT FROM feature_stream.feature_view WHERE view = $1",
						 SPI_OK_SELECT, 1, types, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("%s is not a feature view", fs_relation_name(view)),
				 errhint("Feature views are made by feature_stream.create_feature_view().")));
	if (!pg_class_ownercheck(view, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_FOREIGN_TABLE, get_rel_name(view));
	if (fs_owner_execute("SELECT FROM feature_stream.feature WHERE view = $1 AND name = $2",
						 SPI_OK_SELECT, 2, types, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("feature view %s has no feature \"%s\"",
						fs_relation_name(view), feature),
				 errhint("Features are named as in the query, without the suffix of a window.")));
}

/* set_feature_tags(view, feature, tags) returns void; no tags remove what was set. */
Datum
fs_set_feature_tags(PG_FUNCTION_ARGS)
{
	Oid			types[3] = {OIDOID, NAMEOID, JSONBOID};
	Datum		values[3];
	Jsonb	   *tags;

	fs_argument_require(fcinfo, 0, "view");
	fs_argument_require(fcinfo, 1, "feature");
	for (int i = 0; i < 3; i++)
		values[i] = PG_GETARG_DATUM(i);
	check_feature(PG_GETARG_OID(0), NameStr(*PG_GETARG_NAME(1)), types, values);
	tags = PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2);
	if (tags != NULL && !JB_ROOT_IS_OBJECT(tags))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("tags must be a JSON object"),
				 errhint("For example '{\"team\": \"search\", \"pii\": false}'.")));
	if (tags == NULL || JB_ROOT_COUNT(tags) == 0)
		fs_owner_execute("DELETE FROM feature_stream.feature_tag WHERE view = $1 AND name = $2",
						 SPI_OK_DELETE, 2, types, values, NULL);
	else
		fs_owner_execute("INSERT INTO feature_stream.feature_tag (view, name, tags)"
						 " VALUES ($1, $2, $3) ON CONFLICT (view, name)"
						 " DO UPDATE SET tags = EXCLUDED.tags",
						 SPI_OK_INSERT, 3, types, values, NULL);
	PG_RETURN_VOID();
}
