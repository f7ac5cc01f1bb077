/*
 * avro_canonical.c
 *		An Avro schema as text that says nothing but what it is.
 *
 * Names are ASCII, so nothing is escaped.  Types nest no deeper than the JSON
 * they were read from, since a named type is written once.
 */
#include "core/avro_canonical.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct Writer
{
	const FsAvroSchema *schema;
	FsBuffer   *out;
	bool		whole;
	bool	   *written;		/* per node: a named type is written by its name from then on */
	bool		failed;			/* memory was out */
} Writer;

static void
put(Writer *writer, const char *text)
{
	if (!fs_buffer_append(writer->out, text, strlen(text)))
		writer->failed = true;
}

/* Puts "before", the text, "after". */
static void
put_around(Writer *writer, const char *before, const char *text, const char *after)
{
	put(writer, before);
	put(writer, text);
	put(writer, after);
}

static void
put_number(Writer *writer, const char *before, int number)
{
	char		text[16];

	snprintf(text, sizeof(text), "%d", number);
	put_around(writer, before, text, "");
}

/* In the whole form: the aliases, if there are any. */
static void
put_aliases(Writer *writer, FsAvroNames aliases)
{
	if (!writer->whole || aliases.count == 0)
		return;
	put(writer, ",\"aliases\":[");
	for (int i = 0; i < aliases.count; i++)
		put_around(writer, i > 0 ? ",\"" : "\"", writer->schema->strings[aliases.first + i], "\"");
	put(writer, "]");
}

/* In the whole form: what the values of a type mean. */
static void
put_logical(Writer *writer, const FsAvroNode *node)
{
	if (!writer->whole || node->logical == FS_AVRO_PLAIN)
		return;
	put_number(writer, ",\"logicalType\":", (int) node->logical);
	if (node->logical == FS_AVRO_DECIMAL)
	{
		put_number(writer, ",\"precision\":", node->precision);
		put_number(writer, ",\"scale\":", node->scale);
	}
}

/* In the whole form: a field's default, its bytes in hexadecimal. */
static void
put_default(Writer *writer, const FsAvroMember *field)
{
	static const char hex[] = "0123456789abcdef";

	if (!writer->whole || !field->has_default)
		return;
	put(writer, ",\"default\":\"");
	for (size_t i = 0; i < field->default_len; i++)
	{
		unsigned char byte = (unsigned char) field->default_bytes[i];
		char		digits[3] = {hex[byte >> 4], hex[byte & 15], '\0'};

		put(writer, digits);
	}
	put(writer, "\"");
}

static void put_type(Writer *writer, int index);

/* The fields of a record; in the whole form with their aliases and defaults. */
static void
put_fields(Writer *writer, const FsAvroNode *node)
{
	const FsAvroMember *members = writer->schema->members;

	put(writer, ",\"fields\":[");
	for (int i = node->first; i >= 0; i = members[i].next)
	{
		put_around(writer, i == node->first ? "{\"name\":\"" : ",{\"name\":\"", members[i].name,
				   "\",\"type\":");
		put_type(writer, members[i].node);
		put_aliases(writer, members[i].aliases);
		put_default(writer, &members[i]);
		put(writer, "}");
	}
	put(writer, "]");
}

/* The symbols of an enum, and in the whole form which one is its default. */
static void
put_symbols(Writer *writer, const FsAvroNode *node)
{
	const FsAvroMember *members = writer->schema->members;

	put(writer, ",\"symbols\":[");
	for (int i = node->first; i >= 0; i = members[i].next)
		put_around(writer, i == node->first ? "\"" : ",\"", members[i].name, "\"");
	put(writer, "]");
	if (writer->whole && node->default_symbol >= 0)
		put_number(writer, ",\"default\":", node->default_symbol);
}

/* A record, enum or fixed: in full where it is met first. */
static void
put_named(Writer *writer, int index)
{
	const FsAvroNode *node = &writer->schema->nodes[index];

	if (writer->written[index])
	{
		put_around(writer, "\"", node->name, "\"");
		return;
	}
	writer->written[index] = true;
	put_around(writer, "{\"name\":\"", node->name, "\"");
	put_around(writer, ",\"type\":\"", fs_avro_type_name(node->type), "\"");
	if (node->type == FS_AVRO_RECORD)
		put_fields(writer, node);
	else if (node->type == FS_AVRO_ENUM)
		put_symbols(writer, node);
	else
		put_number(writer, ",\"size\":", node->size);
	put_aliases(writer, node->aliases);
	put_logical(writer, node);
	put(writer, "}");
}

/* A type: a named one in full the first time, and by its name from then on. */
static void
put_type(Writer *writer, int index)
{
	const FsAvroNode *node = &writer->schema->nodes[index];
	const FsAvroMember *members = writer->schema->members;

	FS_ASSERT(index >= 0 && index < writer->schema->nnodes);
	if (fs_avro_is_named(node->type))
		put_named(writer, index);
	else if (node->type == FS_AVRO_UNION)
	{
		put(writer, "[");
		for (int i = node->first; i >= 0; i = members[i].next)
		{
			put(writer, i == node->first ? "" : ",");
			put_type(writer, members[i].node);
		}
		put(writer, "]");
	}
	else if (node->type == FS_AVRO_ARRAY || node->type == FS_AVRO_MAP)
	{
		put(writer, node->type == FS_AVRO_ARRAY ? "{\"type\":\"array\",\"items\":" :
			"{\"type\":\"map\",\"values\":");
		put_type(writer, fs_avro_item(writer->schema, node));
		put(writer, "}");
	}
	else if (writer->whole && node->logical != FS_AVRO_PLAIN)
	{
		put_around(writer, "{\"type\":\"", fs_avro_type_name(node->type), "\"");
		put_logical(writer, node);
		put(writer, "}");
	}
	else
		put_around(writer, "\"", fs_avro_type_name(node->type), "\"");
}

/* See avro_canonical.h. */
bool
fs_avro_canonical_write(FsBuffer *out, const FsAvroSchema *schema, bool whole)
{
	Writer		writer = {.schema = schema, .out = out, .whole = whole};

	writer.written = calloc((size_t) schema->nnodes, sizeof(bool));
	if (writer.written == NULL)
		return false;
	put_type(&writer, schema->root);
	free(writer.written);
	return !writer.failed;
}
