/*
 * values.c
 *		FsValue, FsCell <-> Datum; see values.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "catalog/stream_contract.h"
#include "core/array_value.h"
#include "pipeline/values.h"

/* Calls an input function on bytes that have no terminator. */
static Datum
input_bytes(PGFunction input, const char *data, uint32 len, int32 typmod)
{
	char	   *text = pnstrdup(data, len);
	Datum		result;

	result = DirectFunctionCall3(input, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid),
								 Int32GetDatum(typmod));
	pfree(text);
	return result;
}

/* See values.h. */
bool
fs_decimal_read(const char *data, uint32 len, int64 *digits, int *scale)
{
	bool		negative = len > 0 && data[0] == '-';
	bool		has_point = false;
	int			count = 0;

	*digits = 0;
	*scale = 0;
	for (uint32 i = negative; i < len; i++)
	{
		if (data[i] == '.' && !has_point)
		{
			has_point = true;
			continue;
		}
		if (data[i] < '0' || data[i] > '9' || ++count > 18)
			return false;
		*digits = *digits * 10 + (data[i] - '0');
		*scale += has_point;
	}
	*digits = negative ? -*digits : *digits;
	return count > 0;
}

/* numeric_in(), which is slow, for what is not an ordinary number alone. */
static Datum
numeric_datum(const char *data, uint32 len, int32 typmod)
{
	int64		digits;
	int			scale;

	if (typmod == -1 && fs_decimal_read(data, len, &digits, &scale))
		return NumericGetDatum(int64_div_fast_to_numeric(digits, scale));
	return input_bytes(numeric_in, data, len, typmod);
}

/* One element of a column of an array type, as a column of its own. */
static FsColumn
element_column(const FsColumn *column)
{
	FsColumn	element = *column;

	element.type = fs_type_element(column->type);
	element.typid = fs_contract_element(column->type);
	return element;
}

/* How many elements an array's bytes have. */
static int
count_elements(FsType type, const char *data, uint32 len)
{
	FsCursor	cursor = {data, data + len};
	FsValue		value;
	int			n = 0;

	while (fs_array_next(&cursor, type, &value))
		n++;
	if (fs_cursor_left(&cursor) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("an array of the event log is corrupted")));
	return n;
}

/* The bytes of an array as PostgreSQL has it. */
static Datum
array_datum(const FsColumn *column, const char *data, uint32 len)
{
	FsColumn	element = element_column(column);
	FsCursor	cursor = {data, data + len};
	int			n = count_elements(element.type, data, len);
	int			lower = 1;
	Datum	   *datums = palloc(sizeof(Datum) * Max(n, 1));
	bool	   *nulls = palloc(sizeof(bool) * Max(n, 1));
	int16		typlen;
	bool		typbyval;
	char		typalign;
	FsValue		value;

	get_typlenbyvalalign(element.typid, &typlen, &typbyval, &typalign);
	if (n == 0)
		return PointerGetDatum(construct_empty_array(element.typid));
	for (int i = 0; i < n && fs_array_next(&cursor, element.type, &value); i++)
	{
		nulls[i] = value.presence == FS_NULL;
		datums[i] = nulls[i] ? (Datum) 0 : fs_value_datum(&element, &value);
	}
	return PointerGetDatum(construct_md_array(datums, nulls, 1, &n, &lower, element.typid,
											  typlen, typbyval, typalign));
}

/* See values.h. */
void
fs_column_check_array(const FsColumn *column, ArrayType *array)
{
	if (ARR_NDIM(array) > 1 || (ARR_NDIM(array) == 1 && ARR_LBOUND(array)[0] != 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column \"%s\" has a value that a record cannot have: %s", column->name,
						"an array of several dimensions, or one that does not begin at 1")));
}

/* The reverse, for a DEFAULT: throws for an array that no record could have. */
static void
set_array_value(const FsColumn *column, ArrayType *array, FsValue *value)
{
	FsColumn	element = element_column(column);
	FsBuffer	buffer = {0};
	int16		typlen;
	bool		typbyval;
	char		typalign;
	Datum	   *datums;
	bool	   *nulls;
	int			n;
	FsValue    *values;
	bool		kept = true;

	get_typlenbyvalalign(element.typid, &typlen, &typbyval, &typalign);
	deconstruct_array(array, element.typid, typlen, typbyval, typalign, &datums, &nulls, &n);
	if (ARR_NDIM(array) > 1 || (n > 0 && ARR_LBOUND(array)[0] != 1))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("DEFAULT of column \"%s\" must be an array of one dimension that begins at 1",
						column->name)));
	values = palloc0(sizeof(FsValue) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		values[i].presence = FS_NULL;
		if (!nulls[i])
			values[i] = fs_datum_value(&element, datums[i]);
	}
	/* nothing throws while malloc'd memory has no owner */
	for (int i = 0; i < n && kept; i++)
		kept = fs_array_append(&buffer, element.type, &values[i]);
	value->len = buffer.len;
	value->data = kept ? MemoryContextAllocExtended(CurrentMemoryContext, Max(buffer.len, 1),
													MCXT_ALLOC_NO_OOM | MCXT_ALLOC_HUGE) : NULL;
	if (value->data != NULL)
		memcpy(unconstify(char *, value->data), buffer.data, buffer.len);
	fs_buffer_free(&buffer);
	if (value->data == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
}

/*
 * Bytes of a column as its type, palloc'd.  Throws what the input functions of
 * numeric and jsonb throw.
 */
static Datum
bytes_datum(const FsColumn *column, const char *data, uint32 len)
{
	pg_uuid_t  *uuid;

	if (fs_type_is_array(column->type))
		return array_datum(column, data, len);
	switch (column->type)
	{
		case FS_TYPE_TEXT:
			return PointerGetDatum(cstring_to_text_with_len(data, len));
		case FS_TYPE_NUMERIC:
			return numeric_datum(data, len, column->typmod);
		case FS_TYPE_JSONB:
			return input_bytes(jsonb_in, data, len, -1);
		case FS_TYPE_UUID:
			Assert(len == UUID_LEN);
			uuid = palloc(sizeof(pg_uuid_t));
			memcpy(uuid->data, data, UUID_LEN);
			return UUIDPGetDatum(uuid);
		default:
			elog(ERROR, "unexpected byte type %d", column->type);
	}
}

/* A kept integer as its type; it has come from a value of that type. */
static Datum
integer_datum(FsType type, int64 i)
{
	switch (type)
	{
		case FS_TYPE_INT2:
			return Int16GetDatum((int16) i);
		case FS_TYPE_INT4:
			return Int32GetDatum((int32) i);
		case FS_TYPE_BOOL:
			return BoolGetDatum(i != 0);
		case FS_TYPE_DATE:
			return DateADTGetDatum((DateADT) i);
		case FS_TYPE_INT8:
		case FS_TYPE_TIMESTAMPTZ:
			return Int64GetDatum(i);
		default:
			elog(ERROR, "unexpected integer type %d", type);
	}
}

/* See values.h. */
Datum
fs_value_datum(const FsColumn *column, const FsValue *value)
{
	Assert(value->presence == FS_PRESENT);
	if (fs_type_is_bytes(column->type))
		return bytes_datum(column, value->data, value->len);
	if (column->type == FS_TYPE_FLOAT4)
		return Float4GetDatum((float4) value->f);
	if (column->type == FS_TYPE_FLOAT8)
		return Float8GetDatum(value->f);
	return integer_datum(column->type, value->i);
}

/* The reverse of integer_datum(). */
static int64
datum_integer(FsType type, Datum datum)
{
	switch (type)
	{
		case FS_TYPE_INT2:
			return DatumGetInt16(datum);
		case FS_TYPE_INT4:
			return DatumGetInt32(datum);
		case FS_TYPE_BOOL:
			return DatumGetBool(datum);
		case FS_TYPE_DATE:
			return DatumGetDateADT(datum);
		case FS_TYPE_INT8:
		case FS_TYPE_TIMESTAMPTZ:
			return DatumGetInt64(datum);
		default:
			elog(ERROR, "unexpected integer type %d", type);
	}
}

/* See values.h. */
FsValue
fs_datum_value(const FsColumn *column, Datum datum)
{
	FsValue		value = {.presence = FS_PRESENT};

	if (fs_type_is_array(column->type))
	{
		set_array_value(column, DatumGetArrayTypeP(datum), &value);
		return value;
	}
	switch (column->type)
	{
		case FS_TYPE_TEXT:
			{
				text	   *t = DatumGetTextPCopy(datum);

				value.data = VARDATA_ANY(t);
				value.len = VARSIZE_ANY_EXHDR(t);
				break;
			}
		case FS_TYPE_NUMERIC:
			value.data = DatumGetCString(DirectFunctionCall1(numeric_out, datum));
			value.len = strlen(value.data);
			break;
		case FS_TYPE_JSONB:
			value.data = DatumGetCString(DirectFunctionCall1(jsonb_out, datum));
			value.len = strlen(value.data);
			break;
		case FS_TYPE_UUID:
			value.data = memcpy(palloc(UUID_LEN), DatumGetUUIDP(datum)->data, UUID_LEN);
			value.len = UUID_LEN;
			break;
		case FS_TYPE_FLOAT4:
			value.f = DatumGetFloat4(datum);
			break;
		case FS_TYPE_FLOAT8:
			value.f = DatumGetFloat8(datum);
			break;
		default:
			value.i = datum_integer(column->type, datum);
	}
	return value;
}

/* See values.h. */
Datum
fs_cell_datum(FsRow *row, const FsRowColumn *column, const FsCell *cell, bool *isnull)
{
	const char *data;
	uint32		len;

	*isnull = cell->isnull;
	if (cell->isnull)
		return (Datum) 0;
	if (column->dictionary == NULL)
	{
		if (column->column->type == FS_TYPE_FLOAT4)
			return Float4GetDatum((float4) cell->f);
		if (column->column->type == FS_TYPE_FLOAT8)
			return Float8GetDatum(cell->f);
		return integer_datum(column->column->type, cell->i);
	}
	data = fs_dictionary_value(column->dictionary, cell->code, &len);
	if (data == NULL)
	{
		row->stale = true;
		*isnull = true;
		return (Datum) 0;
	}
	return bytes_datum(column->column, data, len);
}

/* Is the text form of this type a JSON number or boolean already? */
static bool
is_json_scalar(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID || type == FLOAT4OID ||
		type == FLOAT8OID || type == NUMERICOID;
}

/* An element as JSON has it; what JSON has no form for is a string. */
static void
append_json_value(StringInfo out, Oid type, FmgrInfo *output, Datum value, bool isnull)
{
	char	   *text;

	if (isnull)
	{
		appendStringInfoString(out, "null");
		return;
	}
	if (type == BOOLOID)
	{
		appendStringInfoString(out, DatumGetBool(value) ? "true" : "false");
		return;
	}
	text = OutputFunctionCall(output, value);
	if (is_json_scalar(type) || type == JSONBOID)
		appendStringInfoString(out, text);
	else
		escape_json(out, text);
}

/*
 * An array as JSON for the online store, palloc'd: one list of its elements,
 * whatever its dimensions.
 */
static char *
array_json(Oid element, Datum array, uint32 *len)
{
	StringInfoData out;
	FmgrInfo	output;
	Oid			output_function;
	bool		is_varlena;
	int16		typlen;
	bool		typbyval;
	char		typalign;
	Datum	   *values;
	bool	   *nulls;
	int			n;

	getTypeOutputInfo(element, &output_function, &is_varlena);
	fmgr_info(output_function, &output);
	get_typlenbyvalalign(element, &typlen, &typbyval, &typalign);
	deconstruct_array(DatumGetArrayTypeP(array), element, typlen, typbyval, typalign,
					  &values, &nulls, &n);
	initStringInfo(&out);
	appendStringInfoChar(&out, '[');
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoString(&out, ", ");
		append_json_value(&out, element, &output, values[i], nulls[i]);
	}
	appendStringInfoChar(&out, ']');
	*len = out.len;
	return out.data;
}

/* See values.h. */
char *
fs_datum_online_text(Oid type, Datum value, uint32 *len)
{
	Oid			element = get_element_type(type);
	Oid			output_function;
	bool		is_varlena;
	char	   *out;

	if (type == INT8OID)
	{
		out = palloc(MAXINT8LEN + 1);
		*len = pg_lltoa(DatumGetInt64(value), out);
		return out;
	}
	if (type == TEXTOID)
	{
		out = TextDatumGetCString(value);
		*len = strlen(out);
		return out;
	}
	if (OidIsValid(element))
		return array_json(element, value, len);
	getTypeOutputInfo(type, &output_function, &is_varlena);
	out = OidOutputFunctionCall(output_function, value);
	*len = strlen(out);
	return out;
}
