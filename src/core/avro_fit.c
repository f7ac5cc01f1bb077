/*
 * avro_fit.c
 *		Which columns take which Avro types.
 *
 * As strict as JSON (json_column.h): a text is made of characters only, a number
 * of numbers only.  A logical type says more than its base: decimal is a
 * numeric, timestamp-* a timestamptz without any unit; but an integer column
 * takes any int or long as it stands.
 */
#include <stdio.h>
#include <string.h>

#include "core/avro_program.h"
#include "core/number.h"

static const char *const logical_names[] = {
	"", "decimal", "uuid", "date", "time-millis", "time-micros", "timestamp-millis",
	"timestamp-micros", "timestamp-nanos", "local-timestamp-millis",
	"local-timestamp-micros", "local-timestamp-nanos", "duration"
};

/* See avro_program.h. */
void
fs_avro_conv_init(FsAvroConv *conv, FsAvroRef writer, FsAvroRef reader)
{
	const FsAvroNode *w = fs_avro_node(writer);
	const FsAvroNode *r = reader.schema != NULL ? fs_avro_node(reader) : w;
	const FsAvroNode *meaning = w->logical != FS_AVRO_PLAIN ? w : r;

	memset(conv, 0, sizeof(*conv));
	conv->wire = w->type;
	conv->as = r->type;
	/* what the writer meant goes first; it is lost where the base type changes */
	if (conv->as != conv->wire && !(conv->wire == FS_AVRO_INT && conv->as == FS_AVRO_LONG))
		meaning = r;
	conv->logical = meaning->logical;
	conv->scale = meaning->scale;
	conv->size = w->size;
}

/* See avro_program.h. */
int
fs_avro_time_digits(const FsAvroConv *conv)
{
	switch (conv->logical)
	{
		case FS_AVRO_TIME_MILLIS:
		case FS_AVRO_TIMESTAMP_MILLIS:
		case FS_AVRO_LOCAL_MILLIS:
			return 3;
		case FS_AVRO_TIME_MICROS:
		case FS_AVRO_TIMESTAMP_MICROS:
		case FS_AVRO_LOCAL_MICROS:
			return 6;
		case FS_AVRO_TIMESTAMP_NANOS:
		case FS_AVRO_LOCAL_NANOS:
			return 9;
		default:
			return conv->field == NULL || conv->field->unit == FS_UNIT_S ? 0 :
				conv->field->unit == FS_UNIT_MS ? 3 : 6;
	}
}

/* Can an int or long be a time of the column? */
static bool
fits_time(FsAvroLogical logical, FsTimeUnit unit)
{
	bool		unsaid = unit == FS_UNIT_NONE || unit == FS_UNIT_ISO8601;

	switch (logical)
	{
		case FS_AVRO_PLAIN:
			return !unsaid;
		case FS_AVRO_TIMESTAMP_MILLIS:
		case FS_AVRO_LOCAL_MILLIS:
			return unsaid || unit == FS_UNIT_MS;
		case FS_AVRO_TIMESTAMP_MICROS:
		case FS_AVRO_LOCAL_MICROS:
			return unsaid || unit == FS_UNIT_US;
		case FS_AVRO_TIMESTAMP_NANOS:
		case FS_AVRO_LOCAL_NANOS:
			return unsaid;
		default:
			return false;
	}
}

/* Can an int or long, or what it stands for, be a value of the field? */
static bool
fits_integer(FsAvroLogical logical, const FsField *field)
{
	switch (field->type)
	{
		case FS_TYPE_INT2:
		case FS_TYPE_INT4:
		case FS_TYPE_INT8:
			return true;
		case FS_TYPE_FLOAT4:
		case FS_TYPE_FLOAT8:
		case FS_TYPE_NUMERIC:
			return logical == FS_AVRO_PLAIN;
		case FS_TYPE_DATE:
			return logical == FS_AVRO_DATE;
		case FS_TYPE_TIMESTAMPTZ:
			return fits_time(logical, field->unit);
		case FS_TYPE_TEXT:
			return logical == FS_AVRO_TIME_MILLIS || logical == FS_AVRO_TIME_MICROS;
		default:
			return false;
	}
}

static bool
fits_float(const FsField *field)
{
	return field->type == FS_TYPE_FLOAT4 || field->type == FS_TYPE_FLOAT8 ||
		field->type == FS_TYPE_NUMERIC ||
		(field->type == FS_TYPE_TIMESTAMPTZ && fits_time(FS_AVRO_PLAIN, field->unit));
}

/* A string, bytes or fixed. */
static bool
fits_bytes(const FsAvroConv *conv, const FsField *field)
{
	bool		is_string = conv->as == FS_AVRO_STRING;

	if (conv->logical == FS_AVRO_DECIMAL)
		return field->type == FS_TYPE_NUMERIC;
	switch (field->type)
	{
		case FS_TYPE_TEXT:
			return is_string || conv->logical != FS_AVRO_UUID;
		case FS_TYPE_UUID:
			return is_string || (conv->as == FS_AVRO_FIXED && conv->size == 16);
		case FS_TYPE_DATE:
			return is_string && conv->logical == FS_AVRO_PLAIN;
		case FS_TYPE_TIMESTAMPTZ:
			return is_string && conv->logical == FS_AVRO_PLAIN &&
				(field->unit == FS_UNIT_NONE || field->unit == FS_UNIT_ISO8601);
		default:
			return false;
	}
}

/* See avro_program.h. */
bool
fs_avro_fits(const FsAvroConv *conv, const FsField *field)
{
	switch (conv->as)
	{
		case FS_AVRO_BOOLEAN:
			return field->type == FS_TYPE_BOOL;
		case FS_AVRO_INT:
		case FS_AVRO_LONG:
			return fits_integer(conv->logical, field);
		case FS_AVRO_FLOAT:
		case FS_AVRO_DOUBLE:
			return fits_float(field);
		case FS_AVRO_BYTES:
		case FS_AVRO_STRING:
		case FS_AVRO_FIXED:
			return fits_bytes(conv, field);
		case FS_AVRO_ENUM:
			return field->type == FS_TYPE_TEXT;
		default:
			return false;
	}
}

/* See avro_program.h. */
void
fs_avro_describe(char *out, size_t size, FsAvroRef ref)
{
	const FsAvroNode *node = fs_avro_node(ref);

	if (node->name != NULL)
		snprintf(out, size, "%s \"%.100s\"%s%s%s", fs_avro_type_name(node->type), node->name,
				 node->logical != FS_AVRO_PLAIN ? " (" : "", logical_names[node->logical],
				 node->logical != FS_AVRO_PLAIN ? ")" : "");
	else if (node->logical != FS_AVRO_PLAIN)
		snprintf(out, size, "%s (%s)", fs_avro_type_name(node->type), logical_names[node->logical]);
	else
		snprintf(out, size, "%s", fs_avro_type_name(node->type));
}

/* Columns that take a scalar, jsonb apart. */
static const char *
columns_for(const FsAvroConv *conv)
{
	switch (conv->logical)
	{
		case FS_AVRO_PLAIN:
			break;
		case FS_AVRO_DECIMAL:
			return "numeric";
		case FS_AVRO_UUID:
			return conv->as == FS_AVRO_STRING ? "uuid, text" : "uuid";
		case FS_AVRO_DATE:
			return "date, integer";
		case FS_AVRO_TIME_MILLIS:
			return "text, integer";
		case FS_AVRO_TIME_MICROS:
			return "text, bigint";
		case FS_AVRO_DURATION:
			return "text";
		default:
			return "timestamptz, bigint";
	}
	switch (conv->as)
	{
		case FS_AVRO_BOOLEAN:
			return "boolean";
		case FS_AVRO_INT:
			return "integer, bigint, numeric, double precision, timestamptz with a unit";
		case FS_AVRO_LONG:
			return "bigint, numeric, double precision, timestamptz with a unit";
		case FS_AVRO_FLOAT:
		case FS_AVRO_DOUBLE:
			return "double precision, real, numeric, timestamptz with a unit";
		case FS_AVRO_STRING:
			return "text, uuid, date, timestamptz without a unit";
		case FS_AVRO_ENUM:
		case FS_AVRO_BYTES:
		case FS_AVRO_FIXED:
		case FS_AVRO_ARRAY:
		case FS_AVRO_MAP:
		case FS_AVRO_RECORD:
			return "text";
		default:
			return "any type";
	}
}

/* See avro_program.h. */
void
fs_avro_write_hint(char *out, size_t size, const FsAvroConv *conv, const FsField *field)
{
	if (field->type == FS_TYPE_TIMESTAMPTZ && (conv->as == FS_AVRO_INT || conv->as == FS_AVRO_LONG) &&
		conv->logical == FS_AVRO_PLAIN)
		snprintf(out, size, "Say what it counts: OPTIONS (unit 's'), 'ms' or 'us'.");
	else if (conv->as == FS_AVRO_ARRAY)
		snprintf(out, size, "A column that takes it is one of: an array of what its items are, text, jsonb.");
	else if (fs_type_is_array(field->type))
		snprintf(out, size, "It is no array. A column that takes it is one of: %s, jsonb.", columns_for(conv));
	else
		snprintf(out, size, "A column that takes it is one of: %s, jsonb.", columns_for(conv));
}
