/*
 * avro_names.c
 *		Names and JSON pieces, for those who read an Avro schema.
 */
#include "core/avro_parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const type_names[] = {
	"null", "boolean", "int", "long", "float", "double", "bytes", "string",
	"record", "enum", "fixed", "array", "map", "union"
};

/* See avro_schema.h. */
const char *
fs_avro_type_name(FsAvroType type)
{
	return type_names[type];
}

/* See avro_schema.h. */
const char *
fs_avro_short_name(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot == NULL ? name : dot + 1;
}

/* See avro_parse.h. */
bool
fs_avro_primitive(const char *name, FsAvroType *type)
{
	for (int i = 0; i <= FS_AVRO_STRING; i++)
		if (strcmp(type_names[i], name) == 0)
		{
			*type = (FsAvroType) i;
			return true;
		}
	return false;
}

/* Writes the path as $.fields[2].type, cut where it does not fit; names in it can be longer than all of it. */
static size_t
write_path(const FsAvroParser *parser, char *out, size_t size)
{
	size_t		len = (size_t) snprintf(out, size, "$");

	for (int i = 0; i < parser->depth && len < size - 1; i++)
	{
		const FsAvroStep *step = &parser->path[i];
		int			n = step->key == NULL ?
			snprintf(out + len, size - len, "[%d]", step->index) :
			snprintf(out + len, size - len, ".%s", step->key);

		len = n < 0 || (size_t) n >= size - len ? size - 1 : len + (size_t) n;
	}
	/* no character may be cut in the middle */
	return fs_utf8_valid_length(out, len);
}

/* See avro_parse.h. */
bool
fs_avro_fail(FsAvroParser *parser, const char *format,...)
{
	char		text[FS_AVRO_MESSAGE_SIZE];
	size_t		len;
	va_list		args;

	if (parser->failed)
		return false;
	parser->failed = true;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	len = write_path(parser, parser->message, FS_AVRO_MESSAGE_SIZE / 2);
	len += (size_t) snprintf(parser->message + len, FS_AVRO_MESSAGE_SIZE - len,
							 ": %s", text);
	if (len >= FS_AVRO_MESSAGE_SIZE)
		len = FS_AVRO_MESSAGE_SIZE - 1;
	parser->message[fs_utf8_valid_length(parser->message, len)] = '\0';
	return false;
}

/* See avro_parse.h. */
bool
fs_avro_fail_memory(FsAvroParser *parser)
{
	parser->failed = true;
	parser->message[0] = '\0';
	return false;
}

/* See avro_parse.h. */
bool
fs_avro_reserve(FsAvroParser *parser, void **array, int *max, int n, size_t size)
{
	int			more = *max == 0 ? 16 : *max * 2;
	void	   *grown;

	if (n < *max)
		return true;
	grown = realloc(*array, (size_t) more * size);
	if (grown == NULL)
		return fs_avro_fail_memory(parser);
	*array = grown;
	*max = more;
	return true;
}

/* See avro_parse.h. */
const char *
fs_avro_string(FsAvroParser *parser, const FsJsonToken *token)
{
	size_t		len = (size_t) (token->end - token->start) - 2;
	char	   *out;

	if (token->seen & (FS_JSON_SEEN_NUL | FS_JSON_SEEN_SURROGATE))
	{
		fs_avro_fail(parser, "the string has \\u0000 or half of a surrogate pair");
		return NULL;
	}
	out = fs_scratch_take(&parser->schema->memory, len + 1);
	if (out == NULL)
	{
		fs_avro_fail_memory(parser);
		return NULL;
	}
	len = fs_json_unescape(out, token->start + 1, token->end - 1);
	out[len] = '\0';
	return out;
}

/* See avro_parse.h. */
bool
fs_avro_is_name(const char *name, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		char		c = name[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
			  (i > 0 && c >= '0' && c <= '9')))
			return false;
	}
	return len > 0;
}

/* Are these names with dots between them? */
static bool
is_dotted_name(const char *name)
{
	for (;;)
	{
		size_t		len = strcspn(name, ".");

		if (!fs_avro_is_name(name, len))
			return false;
		if (name[len] == '\0')
			return true;
		name += len + 1;
	}
}

/* A copy of 'len' bytes as a string. */
static char *
copy_string(FsAvroParser *parser, const char *text, size_t len)
{
	char	   *out = fs_scratch_take(&parser->schema->memory, len + 1);

	if (out == NULL)
	{
		fs_avro_fail_memory(parser);
		return NULL;
	}
	memcpy(out, text, len);
	out[len] = '\0';
	return out;
}

/* See avro_parse.h. */
const char *
fs_avro_full_name(FsAvroParser *parser, const char *name, const char *space)
{
	size_t		len = strlen(name);
	char	   *out;

	if (!is_dotted_name(name))
	{
		fs_avro_fail(parser, "\"%.100s\" is not a name", name);
		return NULL;
	}
	if (strchr(name, '.') != NULL || space[0] == '\0')
		return name;
	if (!is_dotted_name(space))
	{
		fs_avro_fail(parser, "\"%.100s\" is not a namespace", space);
		return NULL;
	}
	out = fs_scratch_take(&parser->schema->memory, strlen(space) + len + 2);
	if (out == NULL)
		fs_avro_fail_memory(parser);
	else
		sprintf(out, "%s.%s", space, name);
	return out;
}

/* See avro_parse.h. */
const char *
fs_avro_namespace(FsAvroParser *parser, const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot == NULL ? "" : copy_string(parser, name, (size_t) (dot - name));
}

/* The slot of a name: the one that holds it, or the free one it would get. */
static int
find_slot(const FsAvroParser *parser, const char *name)
{
	uint32_t	hash = 2166136261u;

	for (const char *c = name; *c != '\0'; c++)
		hash = (hash ^ (unsigned char) *c) * 16777619u;
	for (;; hash++)
	{
		int			slot = (int) (hash % FS_AVRO_NAME_SLOTS);
		int			node = parser->names[slot];

		if (node < 0 || strcmp(parser->schema->nodes[node].name, name) == 0)
			return slot;
	}
}

/* See avro_parse.h. */
int
fs_avro_find(const FsAvroParser *parser, const char *name)
{
	return parser->names[find_slot(parser, name)];
}

/* See avro_parse.h. */
bool
fs_avro_enter(FsAvroParser *parser, int node)
{
	const char *name = parser->schema->nodes[node].name;
	FsAvroType	type;
	int			slot = find_slot(parser, name);

	if (fs_avro_primitive(fs_avro_short_name(name), &type))
		return fs_avro_fail(parser, "\"%.100s\" is the name of a primitive type", name);
	if (parser->names[slot] >= 0)
		return fs_avro_fail(parser, "type \"%.100s\" is defined twice", name);
	if (parser->nnames == FS_AVRO_MAX_NAMES)
		return fs_avro_fail(parser, "there are more than %d named types", FS_AVRO_MAX_NAMES);
	parser->names[slot] = node;
	parser->nnames++;
	return true;
}

/*
 * Pieces of JSON that was scanned once: it reads well.
 */

/* See avro_parse.h. */
bool
fs_avro_next_element(const FsJsonToken *array, const char **p, FsJsonToken *value)
{
	FsJsonScan	scan = {.begin = array->start, .end = array->end};

	if (*p == NULL)
		*p = fs_json_skip_space(array->start + 1, scan.end);
	if (**p == ']')
		return false;
	if (**p == ',')
		++*p;
	*p = fs_json_scan_value(&scan, *p, value);
	FS_ASSERT(*p != NULL);
	if (*p == NULL)
		return false;
	*p = fs_json_skip_space(*p, scan.end);
	return true;
}

/* See avro_parse.h. */
bool
fs_avro_next_entry(const FsJsonToken *object, const char **p, FsJsonToken *key,
				   FsJsonToken *value)
{
	FsJsonScan	scan = {.begin = object->start, .end = object->end};

	if (*p == NULL)
		*p = fs_json_skip_space(object->start + 1, scan.end);
	if (**p == '}')
		return false;
	if (**p == ',')
		*p = fs_json_skip_space(*p + 1, scan.end);
	*p = fs_json_scan_key(&scan, *p, key);
	if (*p != NULL)
		*p = fs_json_scan_value(&scan, *p, value);
	FS_ASSERT(*p != NULL);
	if (*p == NULL)
		return false;
	*p = fs_json_skip_space(*p, scan.end);
	return true;
}

/* See avro_parse.h. */
bool
fs_avro_key_is(const FsJsonToken *key, const char *word)
{
	char		plain[256];
	size_t		len = (size_t) (key->end - key->start) - 2;
	const char *name = key->start + 1;

	if (key->seen & (FS_JSON_SEEN_NUL | FS_JSON_SEEN_SURROGATE))
		return false;
	if (key->seen & FS_JSON_SEEN_ESCAPE)
	{
		if (len > sizeof(plain))
			return false;
		len = fs_json_unescape(plain, name, key->end - 1);
		name = plain;
	}
	return len == strlen(word) && memcmp(name, word, len) == 0;
}
