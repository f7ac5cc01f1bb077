/*
 * fdw_validators.c
 *		Validators of the foreign-data wrappers.
 *
 * A validator sees the options of one object and nothing else: what is wrong
 * with a definition as a whole is found by the event trigger in
 * stream_events.c.
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "fmgr.h"

#include "catalog/options.h"

PG_FUNCTION_INFO_V1(fs_feature_stream_iceberg_validator);
PG_FUNCTION_INFO_V1(fs_feature_stream_kafka_validator);
PG_FUNCTION_INFO_V1(fs_feature_stream_redis_validator);
PG_FUNCTION_INFO_V1(fs_feature_stream_table_validator);
PG_FUNCTION_INFO_V1(fs_feature_stream_view_validator);

/* All validators get (options text[], catalog oid) and return nothing. */
static Datum
validate(FunctionCallInfo fcinfo, FsWrapper wrapper)
{
	fs_options_validate(wrapper, PG_GETARG_OID(1),
						untransformRelOptions(PG_GETARG_DATUM(0)));
	PG_RETURN_VOID();
}

Datum
fs_feature_stream_iceberg_validator(PG_FUNCTION_ARGS)
{
	return validate(fcinfo, FS_WRAPPER_LAKE);
}

Datum
fs_feature_stream_kafka_validator(PG_FUNCTION_ARGS)
{
	return validate(fcinfo, FS_WRAPPER_KAFKA);
}

Datum
fs_feature_stream_redis_validator(PG_FUNCTION_ARGS)
{
	return validate(fcinfo, FS_WRAPPER_REDIS);
}

Datum
fs_feature_stream_table_validator(PG_FUNCTION_ARGS)
{
	return validate(fcinfo, FS_WRAPPER_TABLE);
}

Datum
fs_feature_stream_view_validator(PG_FUNCTION_ARGS)
{
	return validate(fcinfo, FS_WRAPPER_VIEW);
}
