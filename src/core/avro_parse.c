/*
 * avro_parse.c
 *		An Avro schema (specification 1.11), read from its JSON.
 *
 * The JSON is scanned whole first (its grammar, and at most 64 levels), then
 * read by recursive descent: one object at a time, its known attributes picked
 * into a table, the others passed over.  A name must be defined before it is
 * referred to, in depth-first order, as the specification has it.  Defaults are
 * read last, when all types are known (avro_default.c).
 */
#include "core/avro_schema.h"

#include <stdlib.h>
#include <string.h>

#include "core/avro_parse.h"

static int	read_type(FsAvroParser *parser, const FsJsonToken *token,
					  const char *space);

/* Enters a key or (key NULL) an index into the path; false when it is too long. */
static bool
push_step(FsAvroParser *parser, const char *key, int index)
{
	if (parser->depth == FS_AVRO_MAX_PATH)
		return fs_avro_fail(parser, "nested too deep");
	parser->path[parser->depth].key = key;
	parser->path[parser->depth++].index = index;
	return true;
}

static void
pop_step(FsAvroParser *parser)
{
	if (!parser->failed)
		parser->depth--;
}

/*
 * Complex types
 */

/* A new named type with its name and aliases, entered; *space becomes its namespace. */
static int
add_named(FsAvroParser *parser, const FsAvroObject *object, FsAvroType type,
		  const char **space)
{
	const char *name = fs_avro_need_string(parser, object, FS_AVRO_A_NAME);
	int			index;
	FsAvroNames aliases;

	if (name == NULL)
		return -1;
	if (object->token[FS_AVRO_A_NAMESPACE].start != NULL &&
		object->token[FS_AVRO_A_NAMESPACE].kind != FS_JSON_NULL)
		*space = fs_avro_need_string(parser, object, FS_AVRO_A_NAMESPACE);
	if (*space != NULL)
		name = fs_avro_full_name(parser, name, *space);
	if (*space == NULL || name == NULL)
		return -1;
	*space = fs_avro_namespace(parser, name);
	index = fs_avro_add_node(parser, type);
	if (*space == NULL || index < 0 ||
		!fs_avro_read_aliases(parser, object, *space, &aliases))
		return -1;
	parser->schema->nodes[index].name = name;
	parser->schema->nodes[index].aliases = aliases;
	return fs_avro_enter(parser, index) ? index : -1;
}

/* Reads one field of a record behind member 'last'; its member, or -1. */
static int
read_field(FsAvroParser *parser, const FsJsonToken *token, int record, int last,
		   const char *space)
{
	FsAvroSchema *schema = parser->schema;
	FsAvroObject		object;
	const char *name;
	FsAvroNames aliases;
	int			member;
	int			node;

	if (!fs_avro_is_object(token))
	{
		fs_avro_fail(parser, "a field must be an object");
		return -1;
	}
	if (!fs_avro_read_object(parser, token, &object))
		return -1;
	name = fs_avro_need_string(parser, &object, FS_AVRO_A_NAME);
	if (name == NULL || !fs_avro_read_aliases(parser, &object, "", &aliases))
		return -1;
	if (!fs_avro_is_name(name, strlen(name)))
	{
		fs_avro_fail(parser, "\"%.100s\" is not a name", name);
		return -1;
	}
	for (int i = schema->nodes[record].first; i >= 0; i = schema->members[i].next)
		if (strcmp(schema->members[i].name, name) == 0)
		{
			fs_avro_fail(parser, "the record has two fields \"%.100s\"", name);
			return -1;
		}
	member = fs_avro_add_member(parser, record, last);
	if (member < 0)
		return -1;
	schema->members[member].name = name;
	schema->members[member].aliases = aliases;
	schema->members[member].has_default = object.token[FS_AVRO_A_DEFAULT].start != NULL;
	if (!fs_avro_read_whole(&object.token[FS_AVRO_A_FIELD_ID], 0, INT32_MAX, &schema->members[member].field_id))
		schema->members[member].field_id = -1;
	parser->pending[member].start = object.token[FS_AVRO_A_DEFAULT].start;
	parser->pending[member].end = object.token[FS_AVRO_A_DEFAULT].end;
	if (!push_step(parser, "type", 0))
		return -1;
	node = read_type(parser, &object.token[FS_AVRO_A_TYPE], space);
	pop_step(parser);
	schema->members[member].node = node;
	return node < 0 ? -1 : member;
}

/* A record; its node, or -1 with the message set.  Its name is known before its fields are read: they may refer to it. */
static int
read_record(FsAvroParser *parser, const FsAvroObject *object, const char *space)
{
	int			record = add_named(parser, object, FS_AVRO_RECORD, &space);
	const char *p = NULL;
	int			last = -1;
	FsJsonToken value;

	if (record < 0)
		return -1;
	if (!fs_avro_is_array(&object->token[FS_AVRO_A_FIELDS]))
	{
		fs_avro_fail(parser, "a record needs the attribute \"fields\", an array");
		return -1;
	}
	if (!push_step(parser, "fields", 0))
		return -1;
	for (int i = 0; fs_avro_next_element(&object->token[FS_AVRO_A_FIELDS], &p, &value); i++)
	{
		if (!push_step(parser, NULL, i))
			return -1;
		last = read_field(parser, &value, record, last, space);
		if (last < 0)
			return -1;
		pop_step(parser);
	}
	pop_step(parser);
	return record;
}

/* Reads the symbols of an enum. */
static bool
read_symbols(FsAvroParser *parser, const FsJsonToken *token, int index)
{
	FsAvroSchema *schema = parser->schema;
	const char *p = NULL;
	int			last = -1;
	FsJsonToken value;

	while (fs_avro_next_element(token, &p, &value))
	{
		const char *symbol = value.kind == FS_JSON_STRING ?
			fs_avro_string(parser, &value) : NULL;

		if (symbol == NULL || !fs_avro_is_name(symbol, strlen(symbol)))
			return fs_avro_fail(parser, "a symbol of an enum must be a name");
		for (int i = schema->nodes[index].first; i >= 0; i = schema->members[i].next)
			if (strcmp(schema->members[i].name, symbol) == 0)
				return fs_avro_fail(parser, "the enum has two symbols \"%.100s\"", symbol);
		last = fs_avro_add_member(parser, index, last);
		if (last < 0)
			return false;
		schema->members[last].name = symbol;
	}
	return true;
}

/* An enum; its node, or -1 with the message set. */
static int
read_enum(FsAvroParser *parser, const FsAvroObject *object, const char *space)
{
	FsAvroSchema *schema = parser->schema;
	int			index = add_named(parser, object, FS_AVRO_ENUM, &space);
	const char *symbol;
	int			ordinal = 0;

	if (index < 0)
		return -1;
	if (!fs_avro_is_array(&object->token[FS_AVRO_A_SYMBOLS]))
	{
		fs_avro_fail(parser, "an enum needs the attribute \"symbols\", an array");
		return -1;
	}
	if (!read_symbols(parser, &object->token[FS_AVRO_A_SYMBOLS], index))
		return -1;
	if (object->token[FS_AVRO_A_DEFAULT].start == NULL)
		return index;
	symbol = fs_avro_need_string(parser, object, FS_AVRO_A_DEFAULT);
	if (symbol == NULL)
		return -1;
	for (int i = schema->nodes[index].first; i >= 0; i = schema->members[i].next)
	{
		if (strcmp(schema->members[i].name, symbol) == 0)
			schema->nodes[index].default_symbol = ordinal;
		ordinal++;
	}
	if (schema->nodes[index].default_symbol < 0)
	{
		fs_avro_fail(parser, "the default \"%.100s\" is no symbol of the enum", symbol);
		return -1;
	}
	return index;
}

/* A fixed; its node, or -1 with the message set. */
static int
read_fixed(FsAvroParser *parser, const FsAvroObject *object, const char *space)
{
	int			index = add_named(parser, object, FS_AVRO_FIXED, &space);

	if (index < 0)
		return -1;
	if (!fs_avro_read_whole(&object->token[FS_AVRO_A_SIZE], 0, INT32_MAX,
					&parser->schema->nodes[index].size))
	{
		fs_avro_fail(parser, "a fixed needs the attribute \"size\", a number of bytes");
		return -1;
	}
	return fs_avro_read_logical(parser, object, index) ? index : -1;
}

/* An array or a map: one type of items under 'attribute'. */
static int
read_collection(FsAvroParser *parser, const FsAvroObject *object, FsAvroType type,
				FsAvroAttribute attribute, const char *space)
{
	int			index = fs_avro_add_node(parser, type);
	int			member = index < 0 ? -1 : fs_avro_add_member(parser, index, -1);
	int			item;

	if (member < 0)
		return -1;
	if (object->token[attribute].start == NULL)
	{
		fs_avro_fail(parser, "%s needs the attribute \"%s\"",
					 type == FS_AVRO_ARRAY ? "an array" : "a map",
					 fs_avro_attribute_names[attribute]);
		return -1;
	}
	if (!push_step(parser, fs_avro_attribute_names[attribute], 0))
		return -1;
	item = read_type(parser, &object->token[attribute], space);
	pop_step(parser);
	parser->schema->members[member].node = item;
	return item < 0 ? -1 : index;
}

/* Throws out unions in unions, and two branches that cannot be told apart. */
static bool
check_branch(FsAvroParser *parser, int index, int branch)
{
	const FsAvroSchema *schema = parser->schema;
	const FsAvroNode *node = &schema->nodes[branch];

	if (node->type == FS_AVRO_UNION)
		return fs_avro_fail(parser, "a union must not hold a union");
	for (int i = schema->nodes[index].first; i >= 0; i = schema->members[i].next)
	{
		int			other = schema->members[i].node;

		if (other == branch && fs_avro_is_named(node->type))
			return fs_avro_fail(parser, "the union has type \"%.100s\" twice", node->name);
		if (other >= 0 && schema->nodes[other].type == node->type &&
			!fs_avro_is_named(node->type))
			return fs_avro_fail(parser, "the union has two branches of type %s",
								fs_avro_type_name(node->type));
	}
	return true;
}

/* A union; its node, or -1 with the message set. */
static int
read_union(FsAvroParser *parser, const FsJsonToken *token, const char *space)
{
	int			index = fs_avro_add_node(parser, FS_AVRO_UNION);
	const char *p = NULL;
	int			last = -1;
	FsJsonToken value;

	if (index < 0)
		return -1;
	for (int i = 0; fs_avro_next_element(token, &p, &value); i++)
	{
		int			branch;

		if (!push_step(parser, NULL, i))
			return -1;
		branch = read_type(parser, &value, space);
		if (branch < 0 || !check_branch(parser, index, branch))
			return -1;
		last = fs_avro_add_member(parser, index, last);
		if (last < 0)
			return -1;
		parser->schema->members[last].node = branch;
		pop_step(parser);
	}
	if (last < 0)
	{
		fs_avro_fail(parser, "a union needs at least one branch");
		return -1;
	}
	return index;
}

/* A type by its name: a primitive one, or one defined before. */
static int
read_name(FsAvroParser *parser, const FsJsonToken *token, const char *space)
{
	const char *name = fs_avro_string(parser, token);
	const char *full;
	FsAvroType	type;
	int			index;

	if (name == NULL)
		return -1;
	if (fs_avro_primitive(name, &type))
		return fs_avro_add_node(parser, type);
	full = fs_avro_full_name(parser, name, space);
	if (full == NULL)
		return -1;
	index = fs_avro_find(parser, full);
	if (index < 0)
		index = fs_avro_find(parser, name);
	if (index < 0)
		fs_avro_fail(parser, "type \"%.100s\" is not known here", name);
	return index;
}

/* A type written as an object. */
static int
read_object_type(FsAvroParser *parser, const FsJsonToken *token, const char *space)
{
	FsAvroObject		object;
	const FsJsonToken *type = &object.token[FS_AVRO_A_TYPE];
	FsAvroType	primitive;
	int			index;

	if (!fs_avro_read_object(parser, token, &object))
		return -1;
	if (fs_avro_is_string(type))
	{
		if (fs_avro_key_is(type, "record") || fs_avro_key_is(type, "error"))
			return read_record(parser, &object, space);
		if (fs_avro_key_is(type, "enum"))
			return read_enum(parser, &object, space);
		if (fs_avro_key_is(type, "fixed"))
			return read_fixed(parser, &object, space);
		if (fs_avro_key_is(type, "array"))
			return read_collection(parser, &object, FS_AVRO_ARRAY, FS_AVRO_A_ITEMS, space);
		if (fs_avro_key_is(type, "map"))
			return read_collection(parser, &object, FS_AVRO_MAP, FS_AVRO_A_VALUES, space);
	}
	if (!push_step(parser, "type", 0))
		return -1;
	index = read_type(parser, type, space);
	pop_step(parser);
	/* a type of its own: a named one that is referred to stays as it is */
	if (index >= 0 && fs_avro_is_string(type) && parser->schema->nodes[index].name == NULL &&
		fs_avro_primitive(fs_avro_type_name(parser->schema->nodes[index].type), &primitive) &&
		!fs_avro_read_logical(parser, &object, index))
		return -1;
	return index;
}

/* Reads any type within namespace 'space'; its node, or -1. */
static int
read_type(FsAvroParser *parser, const FsJsonToken *token, const char *space)
{
	if (fs_avro_is_string(token))
		return read_name(parser, token, space);
	if (fs_avro_is_array(token))
		return read_union(parser, token, space);
	if (fs_avro_is_object(token))
		return read_object_type(parser, token, space);
	fs_avro_fail(parser, token->start == NULL ? "there is no type" :
				 "a type must be a name, an object or an array");
	return -1;
}

/*
 * The whole
 */

/* Reads one source; its node, or -1. */
static int
read_source(FsAvroParser *parser, const FsAvroSource *source)
{
	FsJsonScan	scan = {.begin = source->text, .end = source->text + source->len};
	size_t		valid = fs_utf8_valid_length(source->text, source->len);
	FsJsonToken token;
	const char *end;

	parser->depth = 0;
	if (valid < source->len)
	{
		fs_avro_fail(parser, "invalid UTF-8 at byte %zu", valid);
		return -1;
	}
	end = fs_json_scan_value(&scan, scan.begin, &token);
	if (end != NULL)
	{
		end = fs_json_skip_space(end, scan.end);
		if (end < scan.end)
			end = fs_json_fail(&scan, end, "expected nothing after the schema");
	}
	if (end == NULL)
	{
		fs_avro_fail(parser, "not JSON: %s at byte %zu", scan.wrong,
					 (size_t) (scan.wrong_at - scan.begin));
		return -1;
	}
	return read_type(parser, &token, "");
}

/* Reads all sources, the last being the schema; false on failure. */
static bool
read_sources(FsAvroParser *parser, const FsAvroSource *sources, int nsources)
{
	size_t		total = 0;

	for (int i = 0; i < nsources; i++)
	{
		total += sources[i].len;
		if (sources[i].len > FS_AVRO_MAX_TEXT || total > FS_AVRO_MAX_TEXT)
			return fs_avro_fail(parser, "the schema has more than %d bytes",
								FS_AVRO_MAX_TEXT);
	}
	for (int i = 0; i < nsources; i++)
	{
		parser->schema->root = read_source(parser, &sources[i]);
		if (parser->schema->root < 0)
			return false;
	}
	return fs_avro_read_defaults(parser);
}

/* See avro_schema.h. */
FsAvroSchema *
fs_avro_schema_parse(const FsAvroSource *sources, int nsources, char *message)
{
	FsAvroParser *parser = calloc(1, sizeof(FsAvroParser));
	FsAvroSchema *schema = calloc(1, sizeof(FsAvroSchema));

	message[0] = '\0';
	if (parser != NULL && schema != NULL)
	{
		parser->schema = schema;
		parser->message = message;
		memset(parser->names, 0xFF, sizeof(parser->names));
		if (nsources < 1 || nsources > FS_AVRO_MAX_SOURCES)
			fs_avro_fail(parser, "a schema has from 1 to %d sources", FS_AVRO_MAX_SOURCES);
		else
			read_sources(parser, sources, nsources);
	}
	if (parser == NULL || schema == NULL || parser->failed)
	{
		fs_avro_schema_free(schema);
		schema = NULL;
	}
	if (parser != NULL)
	{
		fs_buffer_free(&parser->bytes);
		free(parser->pending);
	}
	free(parser);
	return schema;
}

/* NULL is nothing to free. */
void
fs_avro_schema_free(FsAvroSchema *schema)
{
	if (schema == NULL)
		return;
	fs_scratch_free(&schema->memory);
	free(schema->nodes);
	free(schema->members);
	free(schema->strings);
	free(schema);
}
