/*
 * avro_encode_json.c
 *		JSON as an Avro type: the reverse of what jsonb columns are given.
 *
 * Numbers are numbers and decimals; dates, times, uuids and durations strings of
 * their form; bytes strings of the characters U+0000 to U+00FF.  Branches of unions
 * are not named.  What the schema has no place for is refused, never left out.
 */
#include <string.h>

#include "core/avro_encode_state.h"
#include "core/avro_text.h"
#include "core/json_column.h"
#include "core/utf8.h"

static bool
is_word(const FsJsonNode *json, const char *word)
{
	return json->kind == FS_JSON_NODE_RAW && json->len == strlen(word) && memcmp(json->text, word, json->len) == 0;
}

static bool
is_number(const FsJsonNode *json)
{
	return json->kind == FS_JSON_NODE_RAW && json->len > 0 &&
		(json->text[0] == '-' || (json->text[0] >= '0' && json->text[0] <= '9'));
}

/* Refuses JSON that the type does not hold. */
static bool
refuse_json(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, const FsJsonNode *json)
{
	static const char *const kinds[] = {"this object", "this array", "this string", "the value"};
	char		type[160];
	char		shown[64];

	fs_avro_describe(type, sizeof(type), reader.schema == NULL ? writer : reader);
	fs_utf8_print(shown, sizeof(shown) - 4, json->text, json->kind >= FS_JSON_NODE_TEXT ? json->len : 0);
	return fs_avro_encoder_refuse(encoder, FS_AVRO_WRONG_VALUE, "has %.100s, which does not hold %s %s", type,
								  kinds[json->kind], shown);
}

/* Text of characters up to U+00FF as the bytes that they stand for; false when there are others. */
static bool
take_latin(FsAvroEncoder *encoder, const FsJsonNode *json, FsValue *value, bool *no_memory)
{
	char	   *bytes = fs_scratch_take(&encoder->scratch, json->len + 1);
	size_t		n = 0;

	*no_memory = bytes == NULL;
	for (size_t i = 0; i < json->len && bytes != NULL; i++)
	{
		unsigned char c = (unsigned char) json->text[i];

		if (c > 0xC3 || (c >= 0x80 && i + 1 == json->len))
			return false;
		bytes[n++] = (char) (c < 0x80 ? c : (c & 3) << 6 | ((unsigned char) json->text[++i] & 0x3F));
	}
	value->data = bytes;
	value->len = (uint32_t) n;
	return bytes != NULL;
}

/* The type of column that is given such strings. */
static FsType
type_of_text(const FsAvroConv *conv)
{
	switch (conv->logical)
	{
		case FS_AVRO_DATE:
			return FS_TYPE_DATE;
		case FS_AVRO_TIMESTAMP_MILLIS:
		case FS_AVRO_TIMESTAMP_MICROS:
		case FS_AVRO_TIMESTAMP_NANOS:
		case FS_AVRO_LOCAL_MILLIS:
		case FS_AVRO_LOCAL_MICROS:
		case FS_AVRO_LOCAL_NANOS:
			return FS_TYPE_TIMESTAMPTZ;
		case FS_AVRO_UUID:
			return conv->as == FS_AVRO_FIXED ? FS_TYPE_UUID : FS_TYPE_TEXT;
		default:
			return FS_TYPE_TEXT;
	}
}

/* Is the string what would be read again? */
static bool
is_spelled_so(const FsAvroConv *conv, const FsJsonNode *json, const FsValue *value)
{
	char		text[FS_AVRO_SHORT_TEXT];
	size_t		len = json->len;
	int			digits = fs_avro_time_digits(conv);
	int64_t		units;

	switch (conv->field->type)
	{
		case FS_TYPE_TIMESTAMPTZ:
			if (__builtin_sub_overflow(value->i, FS_UNIX_EPOCH, &units) ||
				(digits == 9 && __builtin_mul_overflow(units, 1000, &units)) || (digits == 3 && units % 1000 != 0))
				return false;
			len = fs_avro_write_timestamp(text, digits == 3 ? units / 1000 : units, digits,
										  conv->logical <= FS_AVRO_TIMESTAMP_NANOS);
			break;
		case FS_TYPE_UUID:
			len = fs_avro_write_uuid(text, value->data);
			break;
		default:
			return true;
	}
	return len == json->len && memcmp(text, json->text, len) == 0;
}

/* A string, number or boolean as the value of a column that is given such. */
static bool
write_scalar(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, const FsJsonNode *json)
{
	FsField		field = {"", 0, FS_TYPE_TEXT, FS_UNIT_NONE};
	FsValue		value = {.presence = FS_PRESENT, .len = (uint32_t) json->len, .data = json->text};
	FsAvroGiven given = {&field, &value};
	FsAvroConv	conv;
	bool		fits = true;
	bool		no_memory = false;

	fs_avro_conv_init(&conv, writer, reader);
	if (json->kind == FS_JSON_NODE_TEXT)
	{
		field.type = type_of_text(&conv);
		if ((conv.as == FS_AVRO_BYTES || conv.as == FS_AVRO_FIXED) && conv.logical == FS_AVRO_PLAIN)
			fits = take_latin(encoder, json, &value, &no_memory);
		else
			fits = fs_json_take_text(&encoder->scratch, field.type, json->text, json->len, &value) == FS_MISFIT_NONE;
	}
	else if (is_number(json))
		field.type = FS_TYPE_NUMERIC;
	else
	{
		field.type = FS_TYPE_BOOL;
		value.i = is_word(json, "true");
		fits = value.i != 0 || is_word(json, "false");
	}
	if (no_memory)
		return fs_avro_appended(encoder, false);
	conv.field = &field;
	if (!fits || !fs_avro_fits(&conv, &field) || (encoder->exact && !is_spelled_so(&conv, json, &value)))
		return refuse_json(encoder, writer, reader, json);
	return fs_avro_write_scalar(encoder, writer, reader, &given);
}

/* The items of an array or map: one block. */
static bool
write_items(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, const FsJsonNode *json)
{
	FsAvroRef	item = fs_avro_child(writer, fs_avro_node(writer)->first);
	FsAvroRef	read = reader.schema == NULL ? reader : fs_avro_child(reader, fs_avro_node(reader)->first);

	if (json->count > 0 && !fs_avro_appended(encoder, fs_buffer_append_zigzag(encoder->out, json->count)))
		return false;
	for (const FsJsonNode *part = json->first; part != NULL; part = part->next)
	{
		size_t		len = part->key == NULL ? 0 : strlen(part->key);

		if (part->key != NULL && !fs_avro_appended(encoder, fs_buffer_append_zigzag(encoder->out, (int64_t) len) &&
												   fs_buffer_append(encoder->out, part->key, len)))
			return false;
		if (!fs_avro_write_json(encoder, item, read, part))
			return false;
	}
	return fs_avro_appended(encoder, fs_buffer_append_byte(encoder->out, 0));
}

/* A field of a record; *given counts those that the object has. */
static bool
write_field(FsAvroEncoder *encoder, FsAvroRef record, FsAvroRef reader, int member, const char *name,
			const FsJsonNode *json, int *given)
{
	const FsJsonNode *value = name == NULL ? NULL : fs_json_get(json, name);

	*given += value != NULL;
	if (value == NULL && encoder->exact)
		return fs_avro_encoder_refuse(encoder, FS_AVRO_WRONG_VALUE, "lacks a field of record \"%.100s\"",
									  fs_avro_node(record)->name);
	return value == NULL ?
		fs_avro_write_fill(encoder, record, member, record.schema->members[member].name) :
		fs_avro_write_json(encoder, fs_avro_child(record, member), reader, value);
}

/* A record of an object, whose members have the names that the reader has, if there is one. */
static bool
write_record(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, const FsJsonNode *json)
{
	FsAvroFieldMap map = {NULL, NULL};
	bool		is_mapped = reader.schema != NULL;
	int			ordinal = 0;
	int			given = 0;
	int			column = encoder->column;
	bool		ok = !is_mapped || fs_avro_appended(encoder, fs_avro_map_fields(&map, writer, reader));

	for (int i = fs_avro_node(writer)->first; i >= 0 && ok; i = writer.schema->members[i].next)
	{
		int			read = is_mapped ? map.reader[ordinal++] : i;

		ok = write_field(encoder, writer, !is_mapped || read < 0 ? fs_avro_none : fs_avro_child(reader, read), i,
						 read < 0 ? NULL : (is_mapped ? reader : writer).schema->members[read].name, json, &given);
	}
	fs_avro_free_map(&map);
	if (ok && given < json->count)
	{
		encoder->column = column;
		return fs_avro_encoder_refuse(encoder, FS_AVRO_WRONG_VALUE,
									  "has an object with a member that record \"%.100s\" does not have, or that is there twice",
									  fs_avro_node(writer)->name);
	}
	return ok;
}

/* A branch of a union. */
static bool
write_json_branch(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, int branch, const void *what)
{
	return fs_avro_write_json(encoder, writer, reader, what);
}

/* See avro_encode_state.h. */
bool
fs_avro_write_json(FsAvroEncoder *encoder, FsAvroRef writer, FsAvroRef reader, const FsJsonNode *json)
{
	bool		is_object = json->kind == FS_JSON_NODE_OBJECT;

	if (!fs_avro_encoder_step(encoder))
		return false;
	if (is_word(json, "null"))
		return fs_avro_write_null(encoder, writer);
	if (fs_avro_is_union(writer))
		return fs_avro_write_union(encoder, writer, reader, write_json_branch, json);
	if (!fs_avro_encoder_meet(encoder, writer, &reader))
		return false;
	switch (fs_avro_node(writer)->type)
	{
		case FS_AVRO_RECORD:
			return is_object ? write_record(encoder, writer, reader, json) : refuse_json(encoder, writer, reader, json);
		case FS_AVRO_MAP:
			return is_object ? write_items(encoder, writer, reader, json) : refuse_json(encoder, writer, reader, json);
		case FS_AVRO_ARRAY:
			return json->kind == FS_JSON_NODE_ARRAY ? write_items(encoder, writer, reader, json) :
				refuse_json(encoder, writer, reader, json);
		default:
			return json->kind == FS_JSON_NODE_ARRAY || is_object ? refuse_json(encoder, writer, reader, json) :
				write_scalar(encoder, writer, reader, json);
	}
}
