/*
 * avro_value.c
 *		One scalar of an Avro record: into a column's value, or onto JSON text.
 *
 * The way of everything but the most common types, which decode_avro.c reads
 * itself.  A scalar is read as it was written, promoted as the reader wants it,
 * then put where it goes; a value that does not fit is noted and reading goes
 * on, since the rest may be malformed.
 *
 * In JSON text decimals are numbers, dates and times ISO 8601, and bytes a
 * string of the characters U+0000 to U+00FF, as in Avro's own JSON.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/avro_program.h"
#include "core/avro_text.h"
#include "core/json_column.h"
#include "core/json_write.h"
#include "core/number.h"
#include "core/utf8.h"

/* PostgreSQL's dates, as days since 1970-01-01: MIN <= d < END. */
#define DATE_MIN	(INT64_C(-2451545) + FS_UNIX_EPOCH_DAYS)
#define DATE_END	(INT64_C(2145031949) + FS_UNIX_EPOCH_DAYS)

#define SHOWN_BYTES	60			/* of a value in a message */

/* A scalar that was read: which of the three the type says. */
typedef struct Scalar
{
	const char *at;				/* in the record */
	int64_t		i;				/* boolean, int, long; ordinal of an enum */
	double		f;				/* float, double */
	const char *bytes;			/* string, bytes, fixed; symbol of an enum (NULL: none) */
	size_t		len;
} Scalar;

/* Which column the conversion is for. */
static int
column_of(const FsAvroDecoder *decoder, const FsAvroConv *conv)
{
	int			nfields = decoder->program->nfields;
	int			field;

	if (conv->field == NULL)
		return decoder->json_column;
	field = (int) (conv->field - decoder->program->fields);
	return field < nfields ? field : field - nfields;	/* of an element */
}

/*
 * Reading
 */

static const char *
read_fixed(FsAvroDecoder *decoder, const char *p, size_t len, const char **bytes)
{
	if (len > (size_t) (decoder->end - p))
		return fs_avro_malformed(decoder, p, "value runs beyond the end");
	*bytes = p;
	return p + len;
}

/* An int or long, also as the float or double that it is promoted to; the byte after it, or NULL. */
static const char *
read_integer(FsAvroDecoder *decoder, const char *p, const FsAvroConv *conv, Scalar *scalar)
{
	uint64_t	value;
	const char *next = fs_avro_varint(decoder, p, &value);

	if (next == NULL)
		return NULL;
	scalar->i = fs_unzigzag(value);
	if (conv->wire == FS_AVRO_INT && scalar->i != (int32_t) scalar->i)
		return fs_avro_malformed(decoder, p, "int has more than 32 bits");
	if (conv->as == FS_AVRO_FLOAT)
		scalar->f = (double) (float) scalar->i;
	else if (conv->as == FS_AVRO_DOUBLE)
		scalar->f = (double) scalar->i;
	return next;
}

/* A float or double; the byte after it, or NULL. */
static const char *
read_float(FsAvroDecoder *decoder, const char *p, const FsAvroConv *conv, Scalar *scalar)
{
	const char *bytes;
	uint64_t	wide;
	uint32_t	narrow;
	float		single;

	p = read_fixed(decoder, p, conv->wire == FS_AVRO_FLOAT ? 4 : 8, &bytes);
	if (p == NULL)
		return NULL;
	if (conv->wire == FS_AVRO_DOUBLE)
	{
		wide = fs_get_le64(bytes);
		memcpy(&scalar->f, &wide, 8);
		return p;
	}
	narrow = fs_get_le32(bytes);
	memcpy(&single, &narrow, 4);
	scalar->f = (double) single;
	return p;
}

/* An enum's symbol, of which there are no bytes when the reader has none for it; the byte after its number, or NULL. */
static const char *
read_enum(FsAvroDecoder *decoder, const char *p, const FsAvroConv *conv, Scalar *scalar)
{
	const FsAvroSymbol *symbol;
	uint64_t	value;
	const char *next = fs_avro_varint(decoder, p, &value);

	if (next == NULL)
		return NULL;
	scalar->i = fs_unzigzag(value);
	if (scalar->i < 0 || scalar->i >= conv->nsymbols)
		return fs_avro_malformed(decoder, p, "enum has no symbol of this number");
	symbol = &decoder->program->symbols[conv->first_symbol + scalar->i];
	scalar->bytes = symbol->offset < 0 ? NULL : decoder->program->text.data + symbol->offset;
	scalar->len = (size_t) symbol->len;
	return next;
}

/* Reads a scalar as it was written; the byte after it, or NULL. */
static const char *
read_scalar(FsAvroDecoder *decoder, const char *p, const FsAvroConv *conv, Scalar *scalar)
{
	const char *bytes;

	scalar->at = p;
	switch (conv->wire)
	{
		case FS_AVRO_BOOLEAN:
			p = read_fixed(decoder, p, 1, &bytes);
			if (p != NULL && (unsigned char) *bytes > 1)
				return fs_avro_malformed(decoder, bytes, "boolean is neither 0 nor 1");
			scalar->i = p != NULL ? *bytes : 0;
			return p;
		case FS_AVRO_INT:
		case FS_AVRO_LONG:
			return read_integer(decoder, p, conv, scalar);
		case FS_AVRO_FLOAT:
		case FS_AVRO_DOUBLE:
			return read_float(decoder, p, conv, scalar);
		case FS_AVRO_ENUM:
			return read_enum(decoder, p, conv, scalar);
		case FS_AVRO_FIXED:
			scalar->len = (size_t) conv->size;
			return read_fixed(decoder, p, scalar->len, &scalar->bytes);
		default:
			p = fs_avro_length(decoder, p, &scalar->len);
			scalar->bytes = p;
			return p == NULL ? NULL : p + scalar->len;
	}
}

/*
 * Into a column
 */

/* Refuses a value that is shown as 'shown', with the words that JSON has for the misfit. */
static void
refuse_misfit(FsAvroDecoder *decoder, const FsAvroConv *conv, const char *at,
			  FsMisfit misfit, const char *shown)
{
	char		why[80];

	fs_json_write_misfit(why, sizeof(why), misfit, conv->field);
	fs_avro_refuse(decoder, column_of(decoder, conv), at, "has value %s%s", shown, why);
}

static void
refuse_integer(FsAvroDecoder *decoder, const FsAvroConv *conv, const Scalar *scalar)
{
	char		shown[24];

	snprintf(shown, sizeof(shown), "%" PRId64, scalar->i);
	refuse_misfit(decoder, conv, scalar->at, FS_MISFIT_RANGE, shown);
}

/* Text that was made here, kept until the next reset; false when memory is out. */
static bool
keep_text(FsAvroDecoder *decoder, const char *text, size_t len, FsValue *value)
{
	char	   *copy = fs_scratch_take(&decoder->scratch, len);

	if (copy == NULL)
		return fs_avro_no_memory(decoder);
	memcpy(copy, text, len);
	value->data = copy;
	value->len = (uint32_t) len;
	return true;
}

/* A number's text, as JSON would have it, as a time of the column's unit. */
static bool
time_of_text(const char *text, size_t len, int digits, FsTime *result)
{
	FsNumber	number;

	return len > 0 && fs_number_scan(text, text + len, &number) == text + len &&
		fs_number_to_time(&number, digits, result) == FS_NUMBER_OK;
}

/* An int or long as a time; false when it is out of range. */
static bool
time_of_integer(int64_t value, int digits, FsTime *result)
{
	static const int64_t factors[] = {1000000, 1000, 1};

	if (digits == 9)
		value = value / 1000 - (value % 1000 < 0);	/* cut toward the past */
	else if (__builtin_mul_overflow(value, factors[digits / 3], &value))
		return false;
	if (__builtin_add_overflow(value, FS_UNIX_EPOCH, &value))
		return false;
	*result = value;
	return value >= FS_TIMESTAMP_MIN && value < FS_TIMESTAMP_END;
}

/* An int or long; false when memory is out. */
static bool
put_integer(FsAvroDecoder *decoder, const FsAvroConv *conv, const Scalar *scalar, FsValue *value)
{
	char		text[FS_AVRO_SHORT_TEXT];
	size_t		len;
	bool		fits = true;

	value->i = scalar->i;
	switch (conv->field->type)
	{
		case FS_TYPE_INT2:
			fits = scalar->i == (int16_t) scalar->i;
			break;
		case FS_TYPE_INT4:
			fits = scalar->i == (int32_t) scalar->i;
			break;
		case FS_TYPE_FLOAT4:
			value->f = (double) (float) scalar->i;
			break;
		case FS_TYPE_FLOAT8:
			value->f = (double) scalar->i;
			break;
		case FS_TYPE_NUMERIC:
			len = (size_t) snprintf(text, sizeof(text), "%" PRId64, scalar->i);
			return keep_text(decoder, text, len, value);
		case FS_TYPE_DATE:
			value->i = scalar->i - FS_UNIX_EPOCH_DAYS;
			fits = scalar->i >= DATE_MIN && scalar->i < DATE_END;
			break;
		case FS_TYPE_TIMESTAMPTZ:
			fits = time_of_integer(scalar->i, fs_avro_time_digits(conv), &value->i);
			break;
		case FS_TYPE_TEXT:
			len = fs_avro_write_time(text, scalar->i, fs_avro_time_digits(conv));
			if (len > 0)
				return keep_text(decoder, text, len, value);
			fits = false;
			break;
		default:
			break;
	}
	if (!fits)
		refuse_integer(decoder, conv, scalar);
	return true;
}

/* A float or double; false when memory is out. */
static bool
put_float(FsAvroDecoder *decoder, const FsAvroConv *conv, const Scalar *scalar, FsValue *value)
{
	char		text[FS_AVRO_SHORT_TEXT];
	bool		is_float = conv->as == FS_AVRO_FLOAT;
	size_t		len = fs_avro_write_double(text, scalar->f, is_float);

	text[len] = '\0';
	value->f = scalar->f;
	if (len == 0)
		fs_avro_refuse(decoder, column_of(decoder, conv), scalar->at,
					   "has value %s, which is no number", isnan(scalar->f) ? "NaN" :
					   scalar->f < 0 ? "-Infinity" : "Infinity");
	else if (conv->field->type == FS_TYPE_NUMERIC)
		return keep_text(decoder, text, len, value);
	else if (conv->field->type == FS_TYPE_TIMESTAMPTZ)
	{
		if (!time_of_text(text, len, fs_avro_time_digits(conv), &value->i))
			refuse_misfit(decoder, conv, scalar->at, FS_MISFIT_RANGE, text);
	}
	else if (conv->field->type == FS_TYPE_FLOAT4 && !is_float)
	{
		value->f = (double) (float) scalar->f;
		if (isinf(value->f) || (value->f == 0 && scalar->f != 0))
			refuse_misfit(decoder, conv, scalar->at, FS_MISFIT_RANGE, text);
	}
	return true;
}

/* Bytes as a column's value by their logical type; false when memory is out or the record malformed. */
static bool
put_bytes(FsAvroDecoder *decoder, const FsAvroConv *conv, const Scalar *scalar, FsValue *value)
{
	char		text[FS_AVRO_DECIMAL_TEXT];
	char		shown[SHOWN_BYTES + 4];
	size_t		len;
	FsMisfit	misfit;

	if (conv->logical == FS_AVRO_DECIMAL)
	{
		len = fs_avro_write_decimal(text, scalar->bytes, scalar->len, conv->scale);
		if (len > 0)
			return keep_text(decoder, text, len, value);
		snprintf(shown, sizeof(shown), "of %zu bytes", scalar->len);
		refuse_misfit(decoder, conv, scalar->at, FS_MISFIT_RANGE, shown);
		return true;
	}
	if (conv->logical == FS_AVRO_DURATION && conv->field->type == FS_TYPE_TEXT)
		return keep_text(decoder, text, fs_avro_write_duration(text, scalar->bytes), value);
	if (conv->as == FS_AVRO_FIXED && conv->field->type == FS_TYPE_UUID)
	{
		value->data = scalar->bytes;
		value->len = 16;
		return true;
	}
	if (!fs_avro_put_text(decoder, scalar->bytes, scalar->len, column_of(decoder, conv),
						  conv->wire == FS_AVRO_STRING))
		return false;
	if (conv->field->type == FS_TYPE_TEXT)
		return true;
	misfit = fs_json_take_text(&decoder->scratch, conv->field->type, scalar->bytes, scalar->len, value);
	if (misfit == FS_MISFIT_NO_MEMORY)
		return fs_avro_no_memory(decoder);
	fs_utf8_print(shown, SHOWN_BYTES, scalar->bytes, scalar->len);
	if (misfit != FS_MISFIT_NONE)
		refuse_misfit(decoder, conv, scalar->at, misfit, shown);
	return true;
}

/* Puts the scalar into its column; false when memory is out or the record malformed. */
static bool
put_column(FsAvroDecoder *decoder, const FsAvroConv *conv, const Scalar *scalar)
{
	FsValue    *value = &decoder->values[column_of(decoder, conv)];

	value->presence = FS_PRESENT;
	switch (conv->as)
	{
		case FS_AVRO_BOOLEAN:
			value->i = scalar->i;
			return true;
		case FS_AVRO_INT:
		case FS_AVRO_LONG:
			return put_integer(decoder, conv, scalar, value);
		case FS_AVRO_FLOAT:
		case FS_AVRO_DOUBLE:
			return put_float(decoder, conv, scalar, value);
		case FS_AVRO_ENUM:
			value->data = scalar->bytes;
			value->len = (uint32_t) scalar->len;
			return true;
		default:
			return put_bytes(decoder, conv, scalar, value);
	}
}

/*
 * Onto JSON text
 */

/* See avro_program.h. */
bool
fs_avro_append_json(FsAvroDecoder *decoder, const char *text, size_t len)
{
	if (decoder->json.len + len > FS_AVRO_MAX_JSON)
	{
		fs_avro_refuse(decoder, decoder->json_column, NULL, "is too long as JSON");
		return true;
	}
	return fs_buffer_append(&decoder->json, text, len) || fs_avro_no_memory(decoder);
}

/* The same for characters, which become a string. */
static bool
append_string(FsAvroDecoder *decoder, const char *text, size_t len)
{
	if (decoder->json.len + len > FS_AVRO_MAX_JSON)
		return fs_avro_append_json(decoder, text, len);
	return fs_json_write_string(&decoder->json, text, len) || fs_avro_no_memory(decoder);
}

/* An int or long, as the number, date or time that it stands for; false when memory is out. */
static bool
json_integer(FsAvroDecoder *decoder, const FsAvroConv *conv, const Scalar *scalar)
{
	char		text[FS_AVRO_SHORT_TEXT];
	size_t		len;

	switch (conv->logical)
	{
		case FS_AVRO_DATE:
			len = fs_avro_write_date(text, scalar->i);
			break;
		case FS_AVRO_TIME_MILLIS:
		case FS_AVRO_TIME_MICROS:
			len = fs_avro_write_time(text, scalar->i, fs_avro_time_digits(conv));
			if (len == 0)
				fs_avro_refuse(decoder, decoder->json_column, scalar->at,
							   "has value %" PRId64 ", which is no time of day", scalar->i);
			break;
		case FS_AVRO_PLAIN:
			len = (size_t) snprintf(text, sizeof(text), "%" PRId64, scalar->i);
			return fs_avro_append_json(decoder, text, len);
		default:
			len = fs_avro_write_timestamp(text, scalar->i, fs_avro_time_digits(conv),
										  conv->logical <= FS_AVRO_TIMESTAMP_NANOS);
			break;
	}
	return append_string(decoder, text, len);
}

/* Bytes as characters U+0000 to U+00FF, the first of which no text holds. */
static bool
json_bytes(FsAvroDecoder *decoder, const Scalar *scalar)
{
	char	   *wide;
	char	   *p;

	if (scalar->len > 0 && memchr(scalar->bytes, 0, scalar->len) != NULL)
	{
		fs_avro_refuse(decoder, decoder->json_column, scalar->at, "has a zero byte, which JSON text cannot hold");
		return true;
	}
	wide = fs_scratch_take(&decoder->scratch, 2 * scalar->len);
	if (wide == NULL)
		return fs_avro_no_memory(decoder);
	p = wide;
	for (size_t i = 0; i < scalar->len; i++)
		p = fs_utf8_encode(p, (unsigned char) scalar->bytes[i]);
	return append_string(decoder, wide, (size_t) (p - wide));
}

/* A string, bytes or fixed. */
static bool
json_characters(FsAvroDecoder *decoder, const FsAvroConv *conv, const Scalar *scalar)
{
	char		text[FS_AVRO_DECIMAL_TEXT];
	size_t		len;

	switch (conv->logical)
	{
		case FS_AVRO_DECIMAL:
			len = fs_avro_write_decimal(text, scalar->bytes, scalar->len, conv->scale);
			if (len == 0)
				fs_avro_refuse(decoder, decoder->json_column, scalar->at,
							   "has a decimal of %zu bytes, out of range", scalar->len);
			return fs_avro_append_json(decoder, text, len);
		case FS_AVRO_DURATION:
			return append_string(decoder, text, fs_avro_write_duration(text, scalar->bytes));
		case FS_AVRO_UUID:
			if (conv->as == FS_AVRO_FIXED)
				return append_string(decoder, text, fs_avro_write_uuid(text, scalar->bytes));
			break;
		default:
			break;
	}
	if (conv->as != FS_AVRO_STRING)
		return json_bytes(decoder, scalar);
	if (!fs_avro_put_text(decoder, scalar->bytes, scalar->len, decoder->json_column,
						  conv->wire == FS_AVRO_STRING))
		return false;
	return append_string(decoder, scalar->bytes, scalar->len);
}

/* Any scalar onto the JSON text; false when the record is malformed or memory is out. */
static bool
put_json(FsAvroDecoder *decoder, const FsAvroConv *conv, const Scalar *scalar)
{
	char		text[FS_AVRO_SHORT_TEXT];
	size_t		len;

	switch (conv->as)
	{
		case FS_AVRO_BOOLEAN:
			return fs_avro_append_json(decoder, scalar->i != 0 ? "true" : "false", scalar->i != 0 ? 4 : 5);
		case FS_AVRO_INT:
		case FS_AVRO_LONG:
			return json_integer(decoder, conv, scalar);
		case FS_AVRO_FLOAT:
		case FS_AVRO_DOUBLE:
			len = fs_avro_write_double(text, scalar->f, conv->as == FS_AVRO_FLOAT);
			if (len == 0)
				fs_avro_refuse(decoder, decoder->json_column, scalar->at,
							   "has value %s, which JSON cannot hold", isnan(scalar->f) ? "NaN" :
							   scalar->f < 0 ? "-Infinity" : "Infinity");
			return fs_avro_append_json(decoder, text, len);
		case FS_AVRO_ENUM:
			return append_string(decoder, scalar->bytes, scalar->len);
		default:
			return json_characters(decoder, conv, scalar);
	}
}

/* See avro_program.h. */
const char *
fs_avro_take_value(FsAvroDecoder *decoder, const char *p, const FsAvroConv *conv)
{
	Scalar		scalar;

	p = read_scalar(decoder, p, conv, &scalar);
	if (p == NULL)
		return NULL;
	if (conv->wire == FS_AVRO_ENUM && scalar.bytes == NULL)
		fs_avro_refuse(decoder, column_of(decoder, conv), scalar.at,
					   "has symbol number %" PRId64 ", which the reader's enum does not have and has no default for",
					   scalar.i);
	else if (!(conv->field == NULL ? put_json(decoder, conv, &scalar) :
			   put_column(decoder, conv, &scalar)))
		return NULL;
	return p;
}
