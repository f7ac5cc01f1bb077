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
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "core/unscaled.h"
#include "core/value.h"
#include "offline/lake_value.h"

/* See lake_value.h. */
bool
fs_lake_value_fits(const FsParquetColumn *table, const FsLakeColumn *column)
{
	const FsParquetColumn *ours = &column->column;

	if (table->is_list != ours->is_list || (table->required && !ours->required))
		return false;
	if (ours->type != FS_PARQUET_DECIMAL)
		return table->type == ours->type;
	return table->type == FS_PARQUET_STRING ||
		(table->type == FS_PARQUET_DECIMAL && table->scale == ours->scale && table->precision >= ours->precision);
}

/* See lake_value.h. */
void
fs_lake_value_prepare(FsLakeValueMaker *maker, const FsLakeColumn *column, const FsParquetColumn *table)
{
	Oid			function;
	bool		is_varlena;

	Assert(fs_lake_value_fits(table, column));
	memset(maker, 0, sizeof(FsLakeValueMaker));
	maker->column = *column;
	maker->column.column = *table;
	if (column->form == FS_LAKE_DECIMAL && table->type == FS_PARQUET_STRING)
		maker->column.form = FS_LAKE_PRINTED;
	if (maker->column.form == FS_LAKE_PRINTED)
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

/* A numeric's digits; NULL when it is NaN. */
static void
make_decimal(FsLakeValueMaker *maker, Datum datum, FsIcebergValue *value)
{
	const FsParquetColumn *column = &maker->column.column;
	char	   *bytes;

	if (numeric_is_nan(DatumGetNumeric(datum)))
	{
		if (column->required)
			ereport(ERROR,
					(errcode(ERRCODE_NOT_NULL_VIOLATION),
					 errmsg("column \"%s\" has NaN, which decimals in a lake have not, and must not be null there", column->name),
					 errhint("Drop NOT NULL from the history's column.")));
		value->is_null = true;
		maker->nans++;
		return;
	}
	bytes = palloc(FS_UNSCALED_SIZE);
	value->bytes = bytes;
	value->len = fs_unscaled_read(DatumGetCString(DirectFunctionCall1(numeric_out, datum)), column->precision, column->scale,
								  bytes);
	if (value->len == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("column \"%s\" has a value that is no decimal of precision %d and scale %d",
						column->name, column->precision, column->scale)));
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
		case FS_LAKE_DECIMAL:
			make_decimal(maker, datum, value);
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
		case FS_LAKE_DECIMAL:
			return fs_parquet_put_decimal(writer, column, value->bytes, value->len);
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
