/*
 * avro_default.c
 *		Defaults of an Avro schema: from JSON to the Avro binary of their types.
 *
 * A default that was encoded was checked, and is decoded by the same program
 * that decodes records, so a default can be whatever a value can.  The default
 * of a union is one of its first branch, as version 1.11 of the specification
 * has it.  A record's default may leave out fields that have defaults of their
 * own, which can go on without end; so what is read and written is bounded.
 */
#include <string.h>

#include "core/avro_parse.h"

#define MAX_STEPS	1000000		/* values in all defaults */
#define MAX_DEPTH	64

static bool encode(FsAvroParser *parser, int index, const FsJsonToken *token, int depth);

/* Appends to the defaults; false when they are too many or memory is out. */
static bool
put_bytes(FsAvroParser *parser, const void *bytes, size_t len)
{
	if (parser->bytes.len + len > FS_AVRO_MAX_DEFAULTS)
		return fs_avro_fail(parser, "the defaults have more than %d bytes",
							FS_AVRO_MAX_DEFAULTS);
	return fs_buffer_append(&parser->bytes, bytes, len) || fs_avro_fail_memory(parser);
}

static bool
put_long(FsAvroParser *parser, int64_t value)
{
	char		bytes[FS_VARINT_MAX];

	return put_bytes(parser, bytes,
					 (size_t) (fs_put_varint(bytes, fs_zigzag(value)) - bytes));
}

/* The default of an int or long. */
static bool
encode_integer(FsAvroParser *parser, const FsJsonToken *token, int bits)
{
	int64_t		value;

	if (token->kind != FS_JSON_NUMBER || token->number.scale != 0 ||
		fs_number_to_int(&token->number, bits, &value) != FS_NUMBER_OK)
		return fs_avro_fail(parser, "the default must be a whole number of %d bits", bits);
	return put_long(parser, value);
}

/* The default of a float or double. */
static bool
encode_float(FsAvroParser *parser, const FsJsonToken *token, bool is_double)
{
	double		value;
	float		single;
	char		bytes[8];
	uint64_t	bits = 0;

	if (token->kind != FS_JSON_NUMBER ||
		(is_double ? fs_number_to_double(&token->number, &value) :
		 fs_number_to_float(&token->number, &value)) != FS_NUMBER_OK)
		return fs_avro_fail(parser, "the default must be a number within the range of %s",
							is_double ? "double" : "float");
	if (is_double)
	{
		memcpy(&bits, &value, 8);
		fs_put_le64(bytes, bits);
		return put_bytes(parser, bytes, 8);
	}
	single = (float) value;
	memcpy(&bits, &single, 4);
	fs_put_le32(bytes, (uint32_t) (fs_le64(bits)));
	return put_bytes(parser, bytes, 4);
}

/* A string's characters, with their length before them. */
static bool
encode_string(FsAvroParser *parser, const FsJsonToken *token)
{
	const char *text;

	if (token->kind != FS_JSON_STRING)
		return fs_avro_fail(parser, "the default must be a string");
	text = fs_avro_string(parser, token);
	return text != NULL && put_long(parser, (int64_t) strlen(text)) &&
		put_bytes(parser, text, strlen(text));
}

/*
 * Bytes are written as the characters U+0000 to U+00FF.  'size' bytes without a
 * length for a fixed; -1: with their length.
 */
static bool
encode_bytes(FsAvroParser *parser, const FsJsonToken *token, int size)
{
	FsBuffer   *out = &parser->bytes;
	FsJsonToken copy = *token;
	const char *end = token->end - 1;
	char		piece[12];
	size_t		len = 0;
	size_t		at;

	if (token->kind != FS_JSON_STRING || (token->seen & FS_JSON_SEEN_SURROGATE))
		return fs_avro_fail(parser, "the default must be a string of characters up to \\u00ff");
	/* twice: how many there are, then what they are */
	for (int pass = 0; pass < 2; pass++)
	{
		if (pass == 1)
		{
			if (size >= 0 && len != (size_t) size)
				return fs_avro_fail(parser, "the default must have %d bytes, not %zu", size, len);
			if (size < 0 && !put_long(parser, (int64_t) len))
				return false;
		}
		for (const char *p = copy.start + 1; p < end; p += at)
		{
			size_t		n;

			/* one character at a time: an escape, or one of UTF-8 */
			at = *p != '\\' ? 1 : p[1] == 'u' ? 6 : 2;
			while (*p != '\\' && p + at < end && ((unsigned char) p[at] & 0xC0) == 0x80)
				at++;
			if (at == 6 && *p == '\\' && fs_json_read_hex4(p + 2, end) > 0xFF)
				return fs_avro_fail(parser, "the default must be a string of characters up to \\u00ff");
			n = fs_json_unescape(piece, p, p + at);
			if (n > 2 || (n == 2 && (unsigned char) piece[0] > 0xC3))
				return fs_avro_fail(parser, "the default must be a string of characters up to \\u00ff");
			if (n == 2)
				piece[0] = (char) (((unsigned char) piece[0] & 3) << 6 |
								   ((unsigned char) piece[1] & 0x3F));
			if (pass == 0)
				len++;
			else if (!put_bytes(parser, piece, 1))
				return false;
		}
	}
	return out->len <= FS_AVRO_MAX_DEFAULTS;
}

/* The default of a field that is an enum: one of its symbols. */
static bool
encode_enum(FsAvroParser *parser, const FsAvroNode *node, const FsJsonToken *token)
{
	const FsAvroSchema *schema = parser->schema;
	int64_t		ordinal = 0;

	for (int i = node->first; i >= 0 && token->kind == FS_JSON_STRING;
		 i = schema->members[i].next)
	{
		if (fs_avro_key_is(token, schema->members[i].name))
			return put_long(parser, ordinal);
		ordinal++;
	}
	return fs_avro_fail(parser, "the default must be a symbol of enum \"%.100s\"", node->name);
}

/* An array or object as one block of items; nothing for none. */
static bool
encode_collection(FsAvroParser *parser, const FsAvroNode *node,
				  const FsJsonToken *token, int depth)
{
	bool		is_map = node->type == FS_AVRO_MAP;
	int			item = fs_avro_item(parser->schema, node);
	const char *p = NULL;
	int64_t		count = 0;
	FsJsonToken key;
	FsJsonToken value;

	if (!(is_map ? fs_avro_is_object(token) : fs_avro_is_array(token)))
		return fs_avro_fail(parser, "the default must be an %s", is_map ? "object" : "array");
	while (is_map ? fs_avro_next_entry(token, &p, &key, &value) :
		   fs_avro_next_element(token, &p, &value))
		count++;
	if (count > 0 && !put_long(parser, count))
		return false;
	p = NULL;
	while (is_map ? fs_avro_next_entry(token, &p, &key, &value) :
		   fs_avro_next_element(token, &p, &value))
		if ((is_map && !encode_string(parser, &key)) ||
			!encode(parser, item, &value, depth))
			return false;
	return put_long(parser, 0);
}

/* Reads the JSON that was noted for a member. */
static void
read_pending(const FsAvroPending *pending, FsJsonToken *token)
{
	FsJsonScan	scan = {.begin = pending->start, .end = pending->end};
	const char *end = fs_json_scan_value(&scan, pending->start, token);

	FS_ASSERT(end == pending->end);
	(void) end;
}

/* Each field from the object, or from the field's own default. */
static bool
encode_record(FsAvroParser *parser, const FsAvroNode *node,
			  const FsJsonToken *token, int depth)
{
	const FsAvroSchema *schema = parser->schema;

	if (!fs_avro_is_object(token))
		return fs_avro_fail(parser, "the default must be an object");
	for (int i = node->first; i >= 0; i = schema->members[i].next)
	{
		const FsAvroMember *member = &schema->members[i];
		const char *p = NULL;
		bool		found = false;
		FsJsonToken key;
		FsJsonToken value;
		FsJsonToken field;

		while (fs_avro_next_entry(token, &p, &key, &value))
		{
			if (++parser->steps > MAX_STEPS)
				return fs_avro_fail(parser, "the defaults have more than %d values", MAX_STEPS);
			if (!fs_avro_key_is(&key, member->name))
				continue;
			field = value;
			found = true;
		}
		if (!found && !member->has_default)
			return fs_avro_fail(parser, "the default lacks field \"%.100s\", which has no default",
								member->name);
		if (!found)
			read_pending(&parser->pending[i], &field);
		if (!encode(parser, member->node, &field, depth))
			return false;
	}
	return true;
}

/* Appends the value of the token as type 'index'. */
static bool
encode(FsAvroParser *parser, int index, const FsJsonToken *token, int depth)
{
	const FsAvroNode *node = &parser->schema->nodes[index];

	if (++parser->steps > MAX_STEPS || depth == MAX_DEPTH)
		return fs_avro_fail(parser, "the defaults go on without end");
	switch (node->type)
	{
		case FS_AVRO_NULL:
			return token->kind == FS_JSON_NULL ||
				fs_avro_fail(parser, "the default must be null");
		case FS_AVRO_BOOLEAN:
			if (token->kind != FS_JSON_TRUE && token->kind != FS_JSON_FALSE)
				return fs_avro_fail(parser, "the default must be true or false");
			return put_bytes(parser, token->kind == FS_JSON_TRUE ? "\1" : "\0", 1);
		case FS_AVRO_INT:
			return encode_integer(parser, token, 32);
		case FS_AVRO_LONG:
			return encode_integer(parser, token, 64);
		case FS_AVRO_FLOAT:
		case FS_AVRO_DOUBLE:
			return encode_float(parser, token, node->type == FS_AVRO_DOUBLE);
		case FS_AVRO_BYTES:
			return encode_bytes(parser, token, -1);
		case FS_AVRO_FIXED:
			return encode_bytes(parser, token, node->size);
		case FS_AVRO_STRING:
			return encode_string(parser, token);
		case FS_AVRO_ENUM:
			return encode_enum(parser, node, token);
		case FS_AVRO_RECORD:
			return encode_record(parser, node, token, depth + 1);
		case FS_AVRO_ARRAY:
		case FS_AVRO_MAP:
			return encode_collection(parser, node, token, depth + 1);
		case FS_AVRO_UNION:
			return put_long(parser, 0) &&
				encode(parser, parser->schema->members[node->first].node, token, depth + 1);
	}
	return false;
}

/* See avro_parse.h. */
bool
fs_avro_read_defaults(FsAvroParser *parser)
{
	FsAvroSchema *schema = parser->schema;

	for (int n = 0; n < schema->nnodes; n++)
	{
		if (schema->nodes[n].type != FS_AVRO_RECORD)
			continue;
		for (int i = schema->nodes[n].first; i >= 0; i = schema->members[i].next)
		{
			FsAvroMember *member = &schema->members[i];
			size_t		start = parser->bytes.len;
			FsJsonToken token;
			char	   *copy;

			if (!member->has_default)
				continue;
			parser->path[0].key = schema->nodes[n].name;
			parser->path[1].key = member->name;
			parser->path[2].key = "default";
			parser->depth = 3;
			read_pending(&parser->pending[i], &token);
			if (!encode(parser, member->node, &token, 0))
				return false;
			member->default_len = parser->bytes.len - start;
			copy = fs_scratch_take(&schema->memory, member->default_len + 1);
			if (copy == NULL)
				return fs_avro_fail_memory(parser);
			if (member->default_len > 0)
				memcpy(copy, parser->bytes.data + start, member->default_len);
			member->default_bytes = copy;
		}
	}
	return true;
}
