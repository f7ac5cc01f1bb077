/*
 * lake_value.c
 *		Values of a history, as tables in a lake have them; see lake_value.h.
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "core/value.h"
#include "offline/lake_value.h"

/* See lake_value.h. */
void
fs_lake_value_prepare(FsLakeValueMaker *maker, const FsLakeColumn *column)
{
	Oid			function;
	bool		is_varlena;

	maker->column = *column;
	if (column->form == FS_LAKE_PRINTED)
	{
		getTypeOutputInfo(column->typid, &function, &is_varlena);
		fmgr_info(function, &maker->output);
	}
	get_typlenbyvalalign(column->typid, &maker->typlen, &maker->typbyval, &maker->typalign);
}

/* Days since 1970 */
static int64
unix_days(DateADT date)
{
	if (DATE_IS_NOBEGIN(date))
		return PG_INT32_MIN;
	if (DATE_IS_NOEND(date))
		return PG_INT32_MAX;
	return (int64) date + FS_UNIX_EPOCH_DAYS;
}

/* Microseconds since 1970 */
static int64
unix_time(Timestamp time)
{
	int64		result;

	if (TIMESTAMP_IS_NOBEGIN(time))
		return PG_INT64_MIN;
	if (TIMESTAMP_IS_NOEND(time) || pg_sub_s64_overflow(time, FS_UNIX_EPOCH, &result))
		return PG_INT64_MAX;
	return result;
}

/* See lake_value.h. */
void
fs_lake_value_make(FsLakeValueMaker *maker, Datum datum, bool isnull, FsIcebergValue *value)
{
	struct varlena *varlena;

	memset(value, 0, sizeof(FsIcebergValue));
	value->is_null = isnull;
	if (isnull)
		return;
	switch (maker->column.form)
	{
		case FS_LAKE_BOOL:
			value->i = DatumGetBool(datum);
			break;
		case FS_LAKE_INT2:
			value->i = DatumGetInt16(datum);
			break;
		case FS_LAKE_INT4:
			value->i = DatumGetInt32(datum);
			break;
		case FS_LAKE_INT8:
			value->i = DatumGetInt64(datum);
			break;
		case FS_LAKE_FLOAT4:
			value->f = DatumGetFloat4(datum);
			break;
		case FS_LAKE_FLOAT8:
			value->f = DatumGetFloat8(datum);
			break;
		case FS_LAKE_DATE:
			value->i = unix_days(DatumGetDateADT(datum));
			break;
		case FS_LAKE_TIME_POINT:
			value->i = unix_time(DatumGetTimestamp(datum));
			break;
		case FS_LAKE_VARLENA:
			varlena = PG_DETOAST_DATUM_PACKED(datum);
			value->bytes = VARDATA_ANY(varlena);
			value->len = VARSIZE_ANY_EXHDR(varlena);
			break;
		case FS_LAKE_UUID:
			value->bytes = (const char *) DatumGetUUIDP(datum)->data;
			value->len = UUID_LEN;
			break;
		case FS_LAKE_PRINTED:
			value->bytes = OutputFunctionCall(&maker->output, datum);
			value->len = strlen(value->bytes);
			break;
	}
}

/* See lake_value.h. */
bool
fs_lake_value_put(const FsLakeValueMaker *maker, FsParquetWriter *writer, int column, const FsIcebergValue *value)
{
	if (value->is_null)
		return fs_parquet_put_null(writer, column);
	switch (maker->column.form)
	{
		case FS_LAKE_FLOAT4:
		case FS_LAKE_FLOAT8:
			return fs_parquet_put_float(writer, column, value->f);
		case FS_LAKE_VARLENA:
		case FS_LAKE_UUID:
		case FS_LAKE_PRINTED:
			return fs_parquet_put_bytes(writer, column, value->bytes, value->len);
		default:
			return fs_parquet_put_int(writer, column, value->i);
	}
}

/* See lake_value.h. */
bool
fs_lake_value_put_list(FsLakeValueMaker *maker, FsParquetWriter *writer, int column, Datum array, bool isnull)
{
	ArrayType  *elements;
	Datum	   *datums;
	bool	   *nulls;
	int			n;
	bool		ok;

	if (isnull)
		return fs_parquet_put_null(writer, column);
	elements = DatumGetArrayTypeP(array);
	if (ARR_NDIM(elements) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" has an array of several dimensions, which cannot be exported to a lake",
						maker->column.column.name)));
	deconstruct_array(elements, maker->column.typid, maker->typlen, maker->typbyval, maker->typalign,
					  &datums, &nulls, &n);
	ok = fs_parquet_put_list(writer, column, n);
	for (int i = 0; i < n && ok; i++)
	{
		FsIcebergValue value;

		fs_lake_value_make(maker, datums[i], nulls[i], &value);
		ok = fs_lake_value_put(maker, writer, column, &value);
	}
	return ok;
}
