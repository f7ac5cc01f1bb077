/*
 * avro_encode_value.c
 *		One column's value as an Avro type: the reverse of avro_value.c.
 *
 * Which types take which values is avro_fit.c's to say; here is whether the type
 * holds the value at hand.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/array_value.h"
#include "core/avro_encode_state.h"
#include "core/avro_text.h"
#include "core/json_column.h"
#include "core/number.h"
#include "core/time_text.h"
#include "core/utf8.h"

#define SHOWN_BYTES	60			/* of a value in a message */

/* See avro_encode_state.h. */
bool
fs_avro_encoder_misfit(FsAvroEncoder *encoder, FsAvroTrouble trouble, FsAvroRef writer, FsAvroRef reader)
{
	char		type[160];

	fs_avro_describe(type, sizeof(type), reader.schema == NULL ? writer : reader);
	return fs_avro_encoder_refuse(encoder, trouble, "is %.120s, which %s", type,
								  trouble == FS_AVRO_NOT_NULL ? "is never null" :
								  trouble == FS_AVRO_WRONG_TYPE ? "is not written from such a column" :
								  "does not hold the value");
}

/* Refuses a value that the type does not hold, and shows it where that is short. */
static bool
refuse_value(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, const FsAvroGiven *given)
{
	const FsValue *value = given->value;
	char		type[160];
	char		shown[SHOWN_BYTES + 4] = "the value";

	fs_avro_describe(type, sizeof(type), reader.schema == NULL ? writer : reader);
	switch (given->field->type)
	{
		case FS_TYPE_TEXT:
		case FS_TYPE_NUMERIC:
			fs_utf8_print(shown, SHOWN_BYTES, value->data, value->len);
			break;
		case FS_TYPE_INT2:
		case FS_TYPE_INT4:
		case FS_TYPE_INT8:
			snprintf(shown, sizeof(shown), "%" PRId64, value->i);
			break;
		case FS_TYPE_FLOAT4:
		case FS_TYPE_FLOAT8:
			snprintf(shown, sizeof(shown), "%.17g", value->f);
			break;
		default:
			break;
	}
	return fs_avro_encoder_refuse(encoder, FS_AVRO_WRONG_VALUE, "is %.120s, which does not hold %s", type, shown);
}

/* --- Null, and unions --- */

/* The number of the union's branch that is null, or -1. */
static int
null_branch(FsAvroRef writer)
{
	int			branch = 0;

	for (int i = fs_avro_node(writer)->first; i >= 0; i = writer.schema->members[i].next)
	{
		if (fs_avro_node(fs_avro_child(writer, i))->type == FS_AVRO_NULL)
			return branch;
		branch++;
	}
	return -1;
}

/* See avro_encode_state.h. */
bool
fs_avro_write_null(FsAvroEncoder *encoder, FsAvroRef writer)
{
	if (fs_avro_node(writer)->type == FS_AVRO_NULL)
		return true;
	if (fs_avro_is_union(writer) && null_branch(writer) >= 0)
		return fs_avro_appended(encoder, fs_buffer_append_zigzag(encoder->out, null_branch(writer)));
	return fs_avro_encoder_misfit(encoder, FS_AVRO_NOT_NULL, writer, fs_avro_none);
}

/* See avro_encode_state.h. */
bool
fs_avro_write_fill(FsAvroEncoder *encoder, FsAvroRef record, int member, const char *name)
{
	const FsAvroMember *field = &record.schema->members[member];
	char		shown[84];

	if (field->has_default)
		return fs_avro_appended(encoder, fs_buffer_append(encoder->out, field->default_bytes, field->default_len));
	if (fs_avro_write_null(encoder, fs_avro_child(record, member)))
		return true;
	fs_utf8_print(shown, sizeof(shown) - 4, name, strlen(name));
	encoder->column = -1;
	return fs_avro_encoder_refuse(encoder, FS_AVRO_UNFILLED,
								  "field \"%s\" has no value, no default, and is never null", shown);
}

/* See avro_encode_state.h. */
bool
fs_avro_write_union(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, FsAvroWriteBranch write,
					const void *what)
{
	bool		was_exact = encoder->exact;
	int			column = encoder->column;
	int			tried = 0;
	bool		written = false;
	bool		no_memory = false;

	for (int pass = was_exact ? 1 : 0; pass < 2 && !written && !no_memory; pass++)
	{
		int			branch = 0;

		tried = 0;
		encoder->exact = was_exact || pass == 0;
		for (int i = fs_avro_node(writer)->first; i >= 0 && !written && !no_memory; i = writer.schema->members[i].next)
		{
			FsAvroRef	type = fs_avro_child(writer, i);
			size_t		before = encoder->out->len;

			encoder->column = column;
			if (fs_avro_node(type)->type != FS_AVRO_NULL)
			{
				written = fs_avro_appended(encoder, fs_buffer_append_zigzag(encoder->out, branch)) &&
					write(encoder, type, reader, branch, what);
				no_memory = !written && encoder->error->trouble == FS_AVRO_NO_MEMORY;
				tried++;
			}
			if (!written)
				encoder->out->len = before;
			branch++;
		}
	}
	encoder->exact = was_exact;
	encoder->column = column;
	if (written || no_memory || tried == 1)
		return written;			/* what a single branch had against it says most */
	return fs_avro_encoder_misfit(encoder, FS_AVRO_WRONG_VALUE, writer, fs_avro_none);
}

/* --- Numbers --- */

/* A time as units of 10^-digits seconds since 1970, cut toward the past; false when there is no such number. */
static bool
count_time(const FsAvroEncoder *encoder, FsTime time, int digits, int64_t *units)
{
	static const int64_t divisors[] = {FS_USEC_PER_SEC, 1000, 1};
	int64_t		usec;

	if (time < FS_TIMESTAMP_MIN || time >= FS_TIMESTAMP_END || __builtin_sub_overflow(time, FS_UNIX_EPOCH, &usec))
		return false;
	if (digits == 9)
		return !__builtin_mul_overflow(usec, 1000, units);
	*units = usec / divisors[digits / 3] - (usec % divisors[digits / 3] < 0);
	return !encoder->exact || *units * divisors[digits / 3] == usec;
}

/* A time of day as text. */
static bool
count_time_of_day(const FsAvroEncoder *encoder, const FsValue *value, int digits, int64_t *units)
{
	char		text[FS_AVRO_SHORT_TEXT];
	int64_t		usec;

	if (!fs_time_text_read_time_of_day(value->data, value->len, &usec))
		return false;
	*units = digits == 3 ? usec / 1000 : usec;
	return !encoder->exact ||
		(fs_avro_write_time(text, *units, digits) == value->len && memcmp(text, value->data, value->len) == 0);
}

/* The number that an int or long is to be; false when there is none. */
static bool
take_integer(const FsAvroEncoder *encoder, const FsAvroConv *conv, const FsValue *value, int64_t *result)
{
	FsNumber	number;

	*result = value->i;
	switch (conv->field->type)
	{
		case FS_TYPE_FLOAT4:
		case FS_TYPE_FLOAT8:
			if (!(fabs(value->f) < 9223372036854775808.0) || value->f != trunc(value->f))
				return false;
			*result = (int64_t) value->f;
			return true;
		case FS_TYPE_NUMERIC:
			return value->len > 0 && fs_number_scan(value->data, value->data + value->len, &number) == value->data + value->len &&
				fs_number_to_int(&number, 64, result) == FS_NUMBER_OK;
		case FS_TYPE_DATE:
			*result = value->i + FS_UNIX_EPOCH_DAYS;
			return true;
		case FS_TYPE_TIMESTAMPTZ:
			return count_time(encoder, value->i, fs_avro_time_digits(conv), result);
		case FS_TYPE_TEXT:
			return count_time_of_day(encoder, value, fs_avro_time_digits(conv), result);
		default:
			return true;
	}
}

/* Is the number the same when it is read from so many digits and written again?  Sure of 15 of a double, 6 of a float. */
static bool
is_short(FsNumber number, uint64_t bound)
{
	while (number.mantissa >= bound && number.mantissa % 10 == 0)
		number.mantissa /= 10;
	return !number.is_cut && number.mantissa < bound;
}

/* The number that a float or double is to be; false when there is none. */
static bool
take_float(const FsAvroEncoder *encoder, const FsAvroConv *conv, const FsValue *value, double *result)
{
	bool		is_float = conv->wire == FS_AVRO_FLOAT;
	FsNumber	number;
	int64_t		units;

	*result = value->f;
	if (conv->field->type == FS_TYPE_NUMERIC)
		return value->len > 0 && fs_number_scan(value->data, value->data + value->len, &number) == value->data + value->len &&
			(is_float ? fs_number_to_float(&number, result) : fs_number_to_double(&number, result)) == FS_NUMBER_OK &&
			(!encoder->exact || is_short(number, is_float ? UINT64_C(1000000) : UINT64_C(1000000000000000)));
	if (conv->field->type == FS_TYPE_TIMESTAMPTZ)
	{
		if (!count_time(encoder, value->i, 6, &units))
			return false;
		*result = (double) units / pow(10, 6 - fs_avro_time_digits(conv));
	}
	if (!is_float)
		return isfinite(*result);
	if (isinf((float) *result) || ((float) *result == 0 && *result != 0) || (encoder->exact && (float) *result != *result))
		return false;
	*result = (float) *result;
	return isfinite(*result);
}

/* Appends a float or double. */
static bool
append_float(FsAvroEncoder *encoder, double value, bool is_float)
{
	char		bytes[8];
	uint64_t	wide;
	uint32_t	narrow;
	float		single = (float) value;

	memcpy(&wide, &value, 8);
	memcpy(&narrow, &single, 4);
	if (is_float)
		fs_put_le32(bytes, narrow);
	else
		fs_put_le64(bytes, wide);
	return fs_avro_appended(encoder, fs_buffer_append(encoder->out, bytes, is_float ? 4 : 8));
}

/* --- Characters and bytes --- */

/* The bytes that a string, bytes or fixed is to be; 'room' is for those that are made here.  False when there are none. */
static bool
take_bytes(const FsAvroConv *conv, int precision, const FsValue *value, char *room, const char **bytes, size_t *len)
{
	int64_t		read;

	*bytes = room;
	if (conv->logical == FS_AVRO_DECIMAL)
	{
		*len = fs_avro_read_decimal(room, value->data, value->len, precision, conv->scale);
		return *len > 0 && conv->wire != FS_AVRO_STRING;
	}
	if (conv->logical == FS_AVRO_DURATION)
	{
		*len = 12;
		return fs_avro_read_duration(room, value->data, value->len);
	}
	switch (conv->field->type)
	{
		case FS_TYPE_DATE:
			*len = fs_avro_write_date(room, value->i + FS_UNIX_EPOCH_DAYS);
			return fs_time_text_read_date(room, *len, &read);	/* years beyond 9999 have no form */
		case FS_TYPE_TIMESTAMPTZ:
			if (__builtin_sub_overflow(value->i, FS_UNIX_EPOCH, &read))
				return false;
			*len = fs_avro_write_timestamp(room, read, 6, true);
			return fs_time_text_read(room, *len, &read);
		case FS_TYPE_UUID:
			if (conv->as != FS_AVRO_FIXED)
			{
				*len = fs_avro_write_uuid(room, value->data);
				return true;
			}
			/* FALLTHROUGH */
		default:
			*bytes = value->data;
			*len = value->len;
			return conv->wire != FS_AVRO_STRING || conv->as == FS_AVRO_STRING ||
				fs_utf8_valid_length(value->data, value->len) == value->len;
	}
}

/* Does a text that stands for a uuid have its form?  Other text has any. */
static bool
is_uuid_text(FsAvroEncoder *encoder, const FsAvroConv *conv, const FsValue *value)
{
	FsValue		uuid;

	return conv->logical != FS_AVRO_UUID || conv->field->type != FS_TYPE_TEXT ||
		(value->len == 36 &&
		 fs_json_take_text(&encoder->scratch, FS_TYPE_UUID, value->data, value->len, &uuid) == FS_MISFIT_NONE);
}

/* Appends what a string, bytes or fixed is; *fits: whether the type holds it. */
static bool
write_bytes(FsAvroEncoder *encoder, const FsAvroConv *conv, int precision, const FsValue *value, bool *fits)
{
	char		room[FS_AVRO_DECIMAL_BYTES];
	const char *bytes = NULL;
	size_t		len = 0;
	bool		ok = true;

	*fits = is_uuid_text(encoder, conv, value) && take_bytes(conv, precision, value, room, &bytes, &len);
	if (conv->wire != FS_AVRO_FIXED)
		return *fits && fs_avro_appended(encoder, fs_buffer_append_zigzag(encoder->out, (int64_t) len) &&
										 fs_buffer_append(encoder->out, bytes, len));
	/* a decimal is filled up with its sign; everything else has its size */
	*fits &= conv->logical == FS_AVRO_DECIMAL ? len <= (size_t) conv->size : len == (size_t) conv->size;
	for (size_t i = len; i < (size_t) conv->size && *fits && ok; i++)
		ok = fs_buffer_append_byte(encoder->out, (bytes[0] & 0x80) != 0 ? 0xFF : 0);
	return *fits && fs_avro_appended(encoder, ok && fs_buffer_append(encoder->out, bytes, len));
}

/* The number of the enum's symbol, or -1; one that the reader's enum does not have is none. */
static int
find_symbol(FsAvroRef type, const FsValue *value)
{
	int			ordinal = 0;

	for (int i = fs_avro_node(type)->first; i >= 0; i = type.schema->members[i].next)
	{
		const char *name = type.schema->members[i].name;

		if (strlen(name) == value->len && memcmp(name, value->data, value->len) == 0)
			return ordinal;
		ordinal++;
	}
	return -1;
}

/* See avro_encode_state.h. */
bool
fs_avro_write_scalar(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, const FsAvroGiven *given)
{
	FsAvroRef	decimal = fs_avro_node(writer)->logical == FS_AVRO_DECIMAL || reader.schema == NULL ? writer : reader;
	const FsValue *value = given->value;
	FsAvroConv	conv;
	int64_t		integer;
	double		number;
	bool		fits;

	fs_avro_conv_init(&conv, writer, reader);
	conv.field = given->field;
	if (!fs_avro_fits(&conv, given->field))
		return fs_avro_encoder_misfit(encoder, FS_AVRO_WRONG_TYPE, writer, reader);
	switch (conv.wire)
	{
		case FS_AVRO_BOOLEAN:
			return fs_avro_appended(encoder, fs_buffer_append_byte(encoder->out, value->i != 0));
		case FS_AVRO_INT:
		case FS_AVRO_LONG:
			if (!take_integer(encoder, &conv, value, &integer) || (conv.wire == FS_AVRO_INT && integer != (int32_t) integer))
				return refuse_value(encoder, writer, reader, given);
			return fs_avro_appended(encoder, fs_buffer_append_zigzag(encoder->out, integer));
		case FS_AVRO_FLOAT:
		case FS_AVRO_DOUBLE:
			if (!take_float(encoder, &conv, value, &number))
				return refuse_value(encoder, writer, reader, given);
			return append_float(encoder, number, conv.wire == FS_AVRO_FLOAT);
		case FS_AVRO_ENUM:
			if (find_symbol(writer, value) < 0 || (reader.schema != NULL && find_symbol(reader, value) < 0))
				return refuse_value(encoder, writer, reader, given);
			return fs_avro_appended(encoder, fs_buffer_append_zigzag(encoder->out, find_symbol(writer, value)));
		default:
			if (write_bytes(encoder, &conv, fs_avro_node(decimal)->precision, value, &fits))
				return true;
			return fits ? false : refuse_value(encoder, writer, reader, given);
	}
}

/* --- Any value --- */

/* A branch of a union. */
static bool
write_given_branch(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, int branch, const void *what)
{
	return fs_avro_write_given(encoder, writer, reader, what);
}

/* An array: one block of its elements. */
static bool
write_array(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, const FsAvroGiven *given)
{
	FsAvroRef	item = fs_avro_child(writer, fs_avro_node(writer)->first);
	FsAvroRef	read = reader.schema == NULL ? reader : fs_avro_child(reader, fs_avro_node(reader)->first);
	FsField		field = *given->field;
	FsCursor	cursor = {given->value->data, given->value->data + given->value->len};
	FsValue		value;
	FsAvroGiven element = {&field, &value};
	int64_t		count = 0;

	field.type = fs_type_element(field.type);
	for (FsCursor all = cursor; fs_array_next(&all, field.type, &value);)
		count++;
	if (count > 0 && !fs_avro_appended(encoder, fs_buffer_append_zigzag(encoder->out, count)))
		return false;
	while (fs_array_next(&cursor, field.type, &value))
		if (!fs_avro_write_given(encoder, item, read, &element))
			return false;
	return fs_avro_appended(encoder, fs_buffer_append_byte(encoder->out, 0));
}

/* The value as JSON. */
static bool
write_json_text(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, const FsAvroGiven *given)
{
	const char *wrong;
	size_t		at;
	FsJsonNode *json = fs_json_tree_read(&encoder->scratch, given->value->data, given->value->len, &wrong, &at);

	if (json == NULL && wrong == NULL)
		return fs_avro_appended(encoder, false);
	if (json == NULL)
		return fs_avro_encoder_refuse(encoder, FS_AVRO_WRONG_VALUE, "is not JSON: %s", wrong);
	return fs_avro_write_json(encoder, writer, reader, json);
}

/* See avro_encode_state.h. */
bool
fs_avro_write_given(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, const FsAvroGiven *given)
{
	FsAvroType	type = fs_avro_node(writer)->type;
	FsType		column = given->field->type;

	if (!fs_avro_encoder_step(encoder))
		return false;
	if (given->value->presence != FS_PRESENT)
		return fs_avro_write_null(encoder, writer);
	if (column == FS_TYPE_JSONB)
		return write_json_text(encoder, writer, reader, given);
	if (type == FS_AVRO_UNION)
		return fs_avro_write_union(encoder, writer, reader, write_given_branch, given);
	if (column == FS_TYPE_TEXT && (type == FS_AVRO_RECORD || type == FS_AVRO_ARRAY || type == FS_AVRO_MAP))
		return write_json_text(encoder, writer, reader, given);
	if (!fs_avro_encoder_meet(encoder, writer, &reader))
		return false;
	if (fs_type_is_array(column) && type == FS_AVRO_ARRAY)
		return write_array(encoder, writer, reader, given);
	return fs_avro_write_scalar(encoder, writer, reader, given);
}
