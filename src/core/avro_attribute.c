/*
 * avro_attribute.c
 *		The attributes of a type in an Avro schema, and the nodes made of them.
 *
 * An object is read once: the attributes that mean something to us are picked
 * into a table, all others passed over.
 */
#include "core/avro_parse.h"

#include <stdlib.h>
#include <string.h>

const char *const fs_avro_attribute_names[FS_AVRO_ATTRIBUTES] = {
	"type", "name", "namespace", "aliases", "fields", "symbols", "items",
	"values", "size", "default", "logicalType", "precision", "scale", "field-id"
};

/* See avro_parse.h. */
int
fs_avro_add_node(FsAvroParser *parser, FsAvroType type)
{
	FsAvroSchema *schema = parser->schema;

	if (schema->nnodes == FS_AVRO_MAX_NODES)
	{
		fs_avro_fail(parser, "there are more than %d types", FS_AVRO_MAX_NODES);
		return -1;
	}
	if (!fs_avro_reserve(parser, (void **) &schema->nodes, &parser->max_nodes,
						 schema->nnodes, sizeof(FsAvroNode)))
		return -1;
	memset(&schema->nodes[schema->nnodes], 0, sizeof(FsAvroNode));
	schema->nodes[schema->nnodes].type = type;
	schema->nodes[schema->nnodes].first = -1;
	schema->nodes[schema->nnodes].default_symbol = -1;
	return schema->nnodes++;
}

/* See avro_parse.h. */
int
fs_avro_add_member(FsAvroParser *parser, int node, int last)
{
	FsAvroSchema *schema = parser->schema;
	int			before = parser->max_members;
	int			i = schema->nmembers;

	if (schema->nodes[node].count == FS_AVRO_MAX_MEMBERS)
	{
		fs_avro_fail(parser, "a type has more than %d parts", FS_AVRO_MAX_MEMBERS);
		return -1;
	}
	if (!fs_avro_reserve(parser, (void **) &schema->members,
						 &parser->max_members, i, sizeof(FsAvroMember)))
		return -1;
	/* 'pending' has as many elements as 'members' has room for */
	if (parser->max_members != before)
	{
		FsAvroPending *grown = realloc(parser->pending, sizeof(FsAvroPending) *
									   (size_t) parser->max_members);

		if (grown == NULL)
		{
			fs_avro_fail_memory(parser);
			return -1;
		}
		parser->pending = grown;
	}
	memset(&schema->members[i], 0, sizeof(FsAvroMember));
	memset(&parser->pending[i], 0, sizeof(FsAvroPending));
	schema->members[i].node = schema->members[i].next = schema->members[i].field_id = -1;
	schema->nmembers++;
	if (last < 0)
		schema->nodes[node].first = i;
	else
		schema->members[last].next = i;
	schema->nodes[node].count++;
	return i;
}

/* See avro_parse.h. */
bool
fs_avro_read_object(FsAvroParser *parser, const FsJsonToken *token, FsAvroObject *object)
{
	const char *p = NULL;
	FsJsonToken key;
	FsJsonToken value;

	for (int i = 0; i < FS_AVRO_ATTRIBUTES; i++)
		object->token[i].start = NULL;
	while (fs_avro_next_entry(token, &p, &key, &value))
		for (int i = 0; i < FS_AVRO_ATTRIBUTES; i++)
			if (fs_avro_key_is(&key, fs_avro_attribute_names[i]))
			{
				if (object->token[i].start != NULL)
					return fs_avro_fail(parser, "attribute \"%s\" stands there twice",
										fs_avro_attribute_names[i]);
				object->token[i] = value;
				break;
			}
	return true;
}

bool
fs_avro_is_array(const FsJsonToken *token)
{
	return token->start != NULL && token->kind == FS_JSON_NESTED && *token->start == '[';
}

bool
fs_avro_is_object(const FsJsonToken *token)
{
	return token->start != NULL && token->kind == FS_JSON_NESTED && *token->start == '{';
}

bool
fs_avro_is_string(const FsJsonToken *token)
{
	return token->start != NULL && token->kind == FS_JSON_STRING;
}

/* See avro_parse.h. */
bool
fs_avro_read_whole(const FsJsonToken *token, int64_t min, int64_t max, int *result)
{
	int64_t		value;

	if (token->start == NULL || token->kind != FS_JSON_NUMBER ||
		fs_number_to_int(&token->number, 64, &value) != FS_NUMBER_OK ||
		value < min || value > max)
		return false;
	*result = (int) value;
	return true;
}

/* See avro_parse.h. */
const char *
fs_avro_need_string(FsAvroParser *parser, const FsAvroObject *object, FsAvroAttribute attribute)
{
	if (!fs_avro_is_string(&object->token[attribute]))
	{
		fs_avro_fail(parser, "attribute \"%s\" must be a string",
					 fs_avro_attribute_names[attribute]);
		return NULL;
	}
	return fs_avro_string(parser, &object->token[attribute]);
}

/* See avro_parse.h. */
bool
fs_avro_read_aliases(FsAvroParser *parser, const FsAvroObject *object, const char *space,
			 FsAvroNames *names)
{
	FsAvroSchema *schema = parser->schema;
	const FsJsonToken *token = &object->token[FS_AVRO_A_ALIASES];
	const char *p = NULL;
	FsJsonToken value;

	names->first = schema->nstrings;
	names->count = 0;
	if (token->start == NULL)
		return true;
	if (!fs_avro_is_array(token))
		return fs_avro_fail(parser, "attribute \"aliases\" must be an array of names");
	while (fs_avro_next_element(token, &p, &value))
	{
		const char *alias;

		if (value.kind != FS_JSON_STRING)
			return fs_avro_fail(parser, "attribute \"aliases\" must be an array of names");
		alias = fs_avro_string(parser, &value);
		if (alias != NULL)
			alias = fs_avro_full_name(parser, alias, space);
		if (alias == NULL ||
			!fs_avro_reserve(parser, (void **) &schema->strings, &parser->max_strings,
							 schema->nstrings, sizeof(char *)))
			return false;
		schema->strings[schema->nstrings++] = alias;
		names->count++;
	}
	return true;
}

/*
 * Logical types.  What is unknown or does not fit its type is left out.
 */

static const struct
{
	const char *name;
	FsAvroType	type;
	FsAvroLogical logical;
}			logical_types[] =
{
	{"date", FS_AVRO_INT, FS_AVRO_DATE},
	{"time-millis", FS_AVRO_INT, FS_AVRO_TIME_MILLIS},
	{"time-micros", FS_AVRO_LONG, FS_AVRO_TIME_MICROS},
	{"timestamp-millis", FS_AVRO_LONG, FS_AVRO_TIMESTAMP_MILLIS},
	{"timestamp-micros", FS_AVRO_LONG, FS_AVRO_TIMESTAMP_MICROS},
	{"timestamp-nanos", FS_AVRO_LONG, FS_AVRO_TIMESTAMP_NANOS},
	{"local-timestamp-millis", FS_AVRO_LONG, FS_AVRO_LOCAL_MILLIS},
	{"local-timestamp-micros", FS_AVRO_LONG, FS_AVRO_LOCAL_MICROS},
	{"local-timestamp-nanos", FS_AVRO_LONG, FS_AVRO_LOCAL_NANOS},
	{"uuid", FS_AVRO_STRING, FS_AVRO_UUID},
	{"uuid", FS_AVRO_FIXED, FS_AVRO_UUID},
	{"duration", FS_AVRO_FIXED, FS_AVRO_DURATION},
	{"decimal", FS_AVRO_BYTES, FS_AVRO_DECIMAL},
	{"decimal", FS_AVRO_FIXED, FS_AVRO_DECIMAL},
};

/* Digits that a two's complement number of 'size' bytes has room for. */
static int
fixed_digits(int size)
{
	return size > 10000 ? INT32_MAX : (int) ((8.0 * size - 1) * 0.30102999566398119521);
}

/* Reads precision and scale; *is_valid false when they contradict the type. */
static bool
read_decimal(FsAvroParser *parser, const FsAvroObject *object, FsAvroNode *node,
			 bool *is_valid)
{
	node->scale = 0;
	*is_valid = fs_avro_read_whole(&object->token[FS_AVRO_A_PRECISION], 1, INT32_MAX, &node->precision) &&
		(object->token[FS_AVRO_A_SCALE].start == NULL ||
		 fs_avro_read_whole(&object->token[FS_AVRO_A_SCALE], 0, node->precision, &node->scale)) &&
		(node->type != FS_AVRO_FIXED || node->precision <= fixed_digits(node->size));
	if (*is_valid && node->precision > FS_AVRO_MAX_PRECISION)
		return fs_avro_fail(parser, "a decimal has more than %d digits",
							FS_AVRO_MAX_PRECISION);
	return true;
}

/* See avro_parse.h. */
bool
fs_avro_read_logical(FsAvroParser *parser, const FsAvroObject *object, int index)
{
	FsAvroNode *node = &parser->schema->nodes[index];
	const FsJsonToken *token = &object->token[FS_AVRO_A_LOGICAL];
	bool		is_valid = true;

	if (!fs_avro_is_string(token))
		return true;
	for (size_t i = 0; i < sizeof(logical_types) / sizeof(logical_types[0]); i++)
	{
		if (node->type != logical_types[i].type ||
			!fs_avro_key_is(token, logical_types[i].name))
			continue;
		node->logical = logical_types[i].logical;
		if (node->logical == FS_AVRO_DECIMAL &&
			!read_decimal(parser, object, node, &is_valid))
			return false;
		if (node->type == FS_AVRO_FIXED &&
			((node->logical == FS_AVRO_UUID && node->size != 16) ||
			 (node->logical == FS_AVRO_DURATION && node->size != 12)))
			is_valid = false;
		if (!is_valid)
			node->logical = FS_AVRO_PLAIN;
	}
	return true;
}
