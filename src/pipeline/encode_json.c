/*
 * encode_json.c
 *		From the columns of a stream to the JSON of a record; see encode_json.h.
 *
 * Columns with paths make a tree of objects.  An object none of whose fields is
 * there is left out.  Values are written as the decoder reads them, whatever the
 * session's settings are.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "catalog/stream_contract.h"
#include "pipeline/encode_json.h"
#include "pipeline/values.h"

/* A field, or an object that has some. */
typedef struct FieldNode
{
	char	   *key;			/* as JSON, with a colon */
	char	   *name;
	const FsColumn *column;		/* NULL: an object */
	List	   *children;		/* FieldNode * */
} FieldNode;

struct FsJsonEncoder
{
	FieldNode		root;
};

/* The child of that name, made when there is none; NULL when a field is in the way. */
static FieldNode *
enter(FieldNode *parent, char *name, const FsColumn *column)
{
	StringInfoData key;
	FieldNode	   *node;
	ListCell   *lc;

	foreach(lc, parent->children)
	{
		node = lfirst(lc);
		if (strcmp(node->name, name) == 0)
			return node->column == NULL && column == NULL ? node : NULL;
	}
	node = palloc0(sizeof(FieldNode));
	initStringInfo(&key);
	escape_json(&key, name);
	appendStringInfoChar(&key, ':');
	node->key = key.data;
	node->name = name;
	node->column = column;
	parent->children = lappend(parent->children, node);
	return node;
}

/* Enters a column by the path of its field. */
static void
enter_column(FsJsonEncoder *encoder, const FsStreamDef *stream, const FsColumn *column)
{
	FieldNode	   *node = &encoder->root;
	char	   *name = pstrdup(column->field);
	char	   *dot;

	while (node != NULL && (dot = strchr(name, '.')) != NULL)
	{
		*dot = '\0';
		node = enter(node, name, NULL);
		name = dot + 1;
	}
	if (node == NULL || enter(node, name, column) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot write to stream %s", stream->name),
				 errdetail("Field \"%s\" of column \"%s\" is part of another column's, or another column's part of it.",
						   column->field, column->name)));
}

/* See encode_json.h. */
FsJsonEncoder *
fs_json_encoder_create(const FsStreamDef *stream)
{
	FsJsonEncoder *encoder = palloc0(sizeof(FsJsonEncoder));

	for (int i = 0; i < stream->ncolumns; i++)
		enter_column(encoder, stream, &stream->columns[i]);
	return encoder;
}

/* Throws: the column has a value that no record can have. */
static void
throw_no_form(const FsColumn *column, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("column \"%s\" has a value that a record cannot have: %s", column->name, what)));
}

/* A number of seconds or milliseconds, with the rest as its fraction. */
static void
append_scaled(StringInfo out, int64 usec, int digits)
{
	int64		unit = digits == 6 ? USECS_PER_SEC : 1000;
	int64		rest = usec % unit;

	if (usec < 0)
		appendStringInfoChar(out, '-');
	appendStringInfo(out, INT64_FORMAT, usec < 0 ? -(usec / unit) : usec / unit);
	if (rest != 0)
		appendStringInfo(out, ".%0*d", digits, (int) (rest < 0 ? -rest : rest));
}

/* A time by the column's unit. */
static void
append_time(const FsColumn *column, TimestampTz time, StringInfo out)
{
	char		text[MAXDATELEN + 1];
	const int	utc = 0;
	int64		usec = time - FS_UNIX_EPOCH;

	if (TIMESTAMP_NOT_FINITE(time))
		throw_no_form(column, "infinity");
	switch (column->unit)
	{
		case FS_UNIT_S:
			append_scaled(out, usec, 6);
			break;
		case FS_UNIT_MS:
			append_scaled(out, usec, 3);
			break;
		case FS_UNIT_US:
			appendStringInfo(out, INT64_FORMAT, usec);
			break;
		default:
			escape_json(out, JsonEncodeDateTime(text, TimestampTzGetDatum(time), TIMESTAMPTZOID, &utc));
	}
}

/* A date as text. */
static void
append_date(const FsColumn *column, DateADT date, StringInfo out)
{
	char		text[MAXDATELEN + 1];

	if (DATE_NOT_FINITE(date))
		throw_no_form(column, "infinity");
	escape_json(out, JsonEncodeDateTime(text, DateADTGetDatum(date), DATEOID, NULL));
}

/* The shortest number that reads as the same one. */
static void
append_float(const FsColumn *column, FsType type, Datum datum, StringInfo out)
{
	double		value = type == FS_TYPE_FLOAT4 ? DatumGetFloat4(datum) : DatumGetFloat8(datum);
	char		text[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (isnan(value) || isinf(value))
		throw_no_form(column, isnan(value) ? "NaN" : "infinity");
	if (type == FS_TYPE_FLOAT4)
		float_to_shortest_decimal_buf(DatumGetFloat4(datum), text);
	else
		double_to_shortest_decimal_buf(value, text);
	appendStringInfoString(out, text);
}

/* A value that is no array, of the column's type or its elements'. */
static void
append_scalar(const FsColumn *column, FsType type, Datum datum, StringInfo out)
{
	uint32		len;

	switch (type)
	{
		case FS_TYPE_TIMESTAMPTZ:
			append_time(column, DatumGetTimestampTz(datum), out);
			break;
		case FS_TYPE_DATE:
			append_date(column, DatumGetDateADT(datum), out);
			break;
		case FS_TYPE_FLOAT4:
		case FS_TYPE_FLOAT8:
			append_float(column, type, datum, out);
			break;
		case FS_TYPE_BOOL:
			appendStringInfoString(out, DatumGetBool(datum) ? "true" : "false");
			break;
		case FS_TYPE_NUMERIC:
			if (numeric_is_nan(DatumGetNumeric(datum)) || numeric_is_inf(DatumGetNumeric(datum)))
				throw_no_form(column, "NaN or infinity");
			appendStringInfoString(out, fs_datum_online_text(NUMERICOID, datum, &len));
			break;
		case FS_TYPE_TEXT:
		case FS_TYPE_UUID:
			escape_json(out, fs_datum_online_text(fs_contract_element(type), datum, &len));
			break;
		default:				/* integers; jsonb is JSON */
			appendStringInfoString(out, fs_datum_online_text(fs_contract_element(type), datum, &len));
	}
}

/* An array of one dimension. */
static void
append_array(const FsColumn *column, Datum datum, StringInfo out)
{
	FsType		type = fs_type_element(column->type);
	ArrayType  *array = DatumGetArrayTypeP(datum);
	int16		typlen;
	bool		typbyval;
	char		typalign;
	Datum	   *values;
	bool	   *nulls;
	int			n;

	fs_column_check_array(column, array);
	get_typlenbyvalalign(ARR_ELEMTYPE(array), &typlen, &typbyval, &typalign);
	deconstruct_array(array, ARR_ELEMTYPE(array), typlen, typbyval, typalign, &values, &nulls, &n);
	appendStringInfoChar(out, '[');
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		if (nulls[i])
			appendStringInfoString(out, "null");
		else
			append_scalar(column, type, values[i], out);
	}
	appendStringInfoChar(out, ']');
}

static bool append_object(const FieldNode *object, const Datum *values, const bool *nulls, StringInfo out);

/* What is behind the key; false: nothing is, and the field is to be left out. */
static bool
append_field(const FieldNode *node, const Datum *values, const bool *nulls, StringInfo out)
{
	const FsColumn *column = node->column;
	int			at;

	if (column == NULL)
		return append_object(node, values, nulls, out);
	at = column->attnum - 1;
	if (nulls[at] && column->default_expr == NULL)
		return false;
	if (nulls[at])
		appendStringInfoString(out, "null");
	else if (fs_type_is_array(column->type))
		append_array(column, values[at], out);
	else
		append_scalar(column, column->type, values[at], out);
	return true;
}

/* Appends an object; false when it has no fields. */
static bool
append_object(const FieldNode *object, const Datum *values, const bool *nulls, StringInfo out)
{
	bool		any = false;
	ListCell   *lc;

	appendStringInfoChar(out, '{');
	foreach(lc, object->children)
	{
		const FieldNode *node = lfirst(lc);
		int			before = out->len;

		if (any)
			appendStringInfoChar(out, ',');
		appendStringInfoString(out, node->key);
		if (append_field(node, values, nulls, out))
			any = true;
		else
		{
			out->len = before;
			out->data[before] = '\0';
		}
	}
	appendStringInfoChar(out, '}');
	return any;
}

/* See encode_json.h. */
void
fs_json_encode(const FsJsonEncoder *encoder, const Datum *values, const bool *nulls, StringInfo out)
{
	(void) append_object(&encoder->root, values, nulls, out);
}
