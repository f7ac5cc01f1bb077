/*
 * json_tree.c
 *		A JSON text as a tree; see json_tree.h.
 */
#include "core/json_tree.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/decode.h"
#include "core/json_scan.h"
#include "core/json_write.h"

/* A text that is being read. */
typedef struct TreeReader
{
	FsScratch  *memory;
	FsJsonScan	scan;			/* nothing wrong in it: memory is out */
} TreeReader;

static const char *read_node(TreeReader *reader, const char *p, int depth, FsJsonNode *node);

/* A copy with a zero behind it; NULL when memory is out. */
static const char *
copy_text(FsScratch *memory, const char *text, size_t len)
{
	char	   *copy = fs_scratch_take(memory, len + 1);

	if (copy == NULL)
		return NULL;
	memcpy(copy, text, len);
	copy[len] = '\0';
	return copy;
}

/* The characters of a string that is a text, with a zero behind them; NULL when memory is out. */
static const char *
take_characters(TreeReader *reader, const FsJsonToken *token, size_t *len)
{
	char	   *out = fs_scratch_take(reader->memory, (size_t) (token->end - token->start));

	if (out == NULL)
		return NULL;
	*len = fs_json_unescape(out, token->start + 1, token->end - 1);
	out[*len] = '\0';
	return out;
}

static bool
is_text(const FsJsonToken *token)
{
	return token->kind == FS_JSON_STRING && (token->seen & (FS_JSON_SEEN_NUL | FS_JSON_SEEN_SURROGATE)) == 0;
}

/* Adds a part, which nothing else holds. */
static void
link_part(FsJsonNode *parent, FsJsonNode *node)
{
	FS_ASSERT(parent->kind <= FS_JSON_NODE_ARRAY);
	node->next = NULL;
	if (parent->last == NULL)
		parent->first = node;
	else
		parent->last->next = node;
	parent->last = node;
	parent->count++;
}

/* Reads a member or element at 'p' and what follows it: the next one's place, or that of the end; NULL on failure. */
static const char *
read_part(TreeReader *reader, const char *p, int depth, FsJsonNode *parent)
{
	FsJsonScan *scan = &reader->scan;
	bool		is_object = parent->kind == FS_JSON_NODE_OBJECT;
	FsJsonNode *node = fs_json_new(reader->memory, FS_JSON_NODE_RAW);
	FsJsonToken key;
	size_t		len;

	if (node == NULL)
		return NULL;
	if (is_object)
	{
		p = fs_json_scan_key(scan, p, &key);
		if (p == NULL)
			return NULL;
		if (!is_text(&key))
			return fs_json_fail(scan, key.start, "key is no text");
		node->key = take_characters(reader, &key, &len);
		if (node->key == NULL)
			return NULL;
	}
	p = read_node(reader, p, depth, node);
	if (p == NULL)
		return NULL;
	link_part(parent, node);
	p = fs_json_skip_space(p, scan->end);
	if (p < scan->end && *p == ',')
	{
		p = fs_json_skip_space(p + 1, scan->end);
		/* a comma with nothing behind it must not pass for the end */
		if (p < scan->end && (*p == '}' || *p == ']'))
			return fs_json_fail(scan, p, is_object ? "expected a key" : "expected a value");
		return p;
	}
	if (p == scan->end || *p != (is_object ? '}' : ']'))
		return fs_json_fail(scan, p, is_object ? "expected \",\" or \"}\"" : "expected \",\" or \"]\"");
	return p;
}

/* Reads an object or array at 'p'; the byte after it, or NULL. */
static const char *
read_parts(TreeReader *reader, const char *p, int depth, FsJsonNode *node)
{
	char		close = *p == '{' ? '}' : ']';

	if (depth == FS_DECODE_MAX_DEPTH)
		return fs_json_fail(&reader->scan, p, "nested deeper than 64 levels");
	node->kind = *p == '{' ? FS_JSON_NODE_OBJECT : FS_JSON_NODE_ARRAY;
	p = fs_json_skip_space(p + 1, reader->scan.end);
	while (p != NULL && !(p < reader->scan.end && *p == close))
		p = read_part(reader, p, depth + 1, node);
	return p == NULL ? NULL : p + 1;
}

/* Reads any value at 'p' into the node; the byte after it, or NULL. */
static const char *
read_node(TreeReader *reader, const char *p, int depth, FsJsonNode *node)
{
	FsJsonToken token;

	p = fs_json_skip_space(p, reader->scan.end);
	if (p < reader->scan.end && (*p == '{' || *p == '['))
		return read_parts(reader, p, depth, node);
	p = fs_json_scan_value(&reader->scan, p, &token);
	if (p == NULL)
		return NULL;
	if (is_text(&token))
	{
		node->kind = FS_JSON_NODE_TEXT;
		node->text = take_characters(reader, &token, &node->len);
	}
	else
	{
		node->len = (size_t) (token.end - token.start);
		node->text = copy_text(reader->memory, token.start, node->len);
	}
	return node->text == NULL ? NULL : p;
}

/* See json_tree.h. */
FsJsonNode *
fs_json_tree_read(FsScratch *memory, const char *text, size_t len, const char **wrong, size_t *at)
{
	TreeReader	reader = {.memory = memory, .scan = {.begin = text, .end = text + len}};
	FsJsonNode *node = fs_json_new(memory, FS_JSON_NODE_RAW);
	const char *end;

	*wrong = NULL;
	*at = fs_utf8_valid_length(text, len);
	if (*at < len)
		*wrong = "not UTF-8";
	if (node == NULL || *wrong != NULL)
		return NULL;
	end = read_node(&reader, text, 0, node);
	if (end != NULL)
	{
		end = fs_json_skip_space(end, reader.scan.end);
		if (end < reader.scan.end)
			end = fs_json_fail(&reader.scan, end, "expected nothing more");
	}
	*wrong = reader.scan.wrong;
	if (*wrong != NULL)
		*at = (size_t) (reader.scan.wrong_at - text);
	return end == NULL ? NULL : node;
}

/* See json_tree.h. */
bool
fs_json_tree_write(const FsJsonNode *node, FsBuffer *out)
{
	bool		is_object = node->kind == FS_JSON_NODE_OBJECT;

	if (node->kind == FS_JSON_NODE_TEXT)
		return fs_json_write_string(out, node->text, node->len);
	if (node->kind == FS_JSON_NODE_RAW)
		return fs_buffer_append(out, node->text, node->len);
	if (!fs_buffer_append_byte(out, is_object ? '{' : '['))
		return false;
	for (const FsJsonNode *part = node->first; part != NULL; part = part->next)
	{
		if (part != node->first && !fs_buffer_append_byte(out, ','))
			return false;
		if (is_object && !(fs_json_write_string(out, part->key, strlen(part->key)) && fs_buffer_append_byte(out, ':')))
			return false;
		if (!fs_json_tree_write(part, out))
			return false;
	}
	return fs_buffer_append_byte(out, is_object ? '}' : ']');
}

/*
 * Reading
 */
FsJsonNode *
fs_json_get(const FsJsonNode *object, const char *key)
{
	FsJsonNode *found = NULL;

	if (object == NULL || object->kind != FS_JSON_NODE_OBJECT)
		return NULL;
	for (FsJsonNode *part = object->first; part != NULL; part = part->next)
		if (strcmp(part->key, key) == 0)
			found = part;
	return found;
}

/* The member of a kind, or NULL. */
static FsJsonNode *
get_kind(const FsJsonNode *object, const char *key, FsJsonNodeKind kind)
{
	FsJsonNode *node = fs_json_get(object, key);

	return node != NULL && node->kind == kind ? node : NULL;
}

FsJsonNode *
fs_json_get_array(const FsJsonNode *object, const char *key)
{
	return get_kind(object, key, FS_JSON_NODE_ARRAY);
}

FsJsonNode *
fs_json_get_object(const FsJsonNode *object, const char *key)
{
	return get_kind(object, key, FS_JSON_NODE_OBJECT);
}

const char *
fs_json_get_text(const FsJsonNode *object, const char *key)
{
	FsJsonNode *node = get_kind(object, key, FS_JSON_NODE_TEXT);

	return node == NULL ? NULL : node->text;
}

bool
fs_json_get_number(const FsJsonNode *object, const char *key, int64_t *value)
{
	FsJsonNode *node = get_kind(object, key, FS_JSON_NODE_RAW);
	FsNumber	number;

	return node != NULL && fs_number_scan(node->text, node->text + node->len, &number) == node->text + node->len &&
		fs_number_to_int(&number, 64, value) == FS_NUMBER_OK;
}

/* See json_tree.h. */
bool
fs_json_get_int(const FsJsonNode *object, const char *key, int32_t *value)
{
	int64_t		wide;

	if (!fs_json_get_number(object, key, &wide) || wide != (int32_t) wide)
		return false;
	*value = (int32_t) wide;
	return true;
}

bool
fs_json_is_true(const FsJsonNode *node)
{
	return node != NULL && node->kind == FS_JSON_NODE_RAW && node->len == 4 && memcmp(node->text, "true", 4) == 0;
}

/*
 * Making
 */
FsJsonNode *
fs_json_new(FsScratch *memory, FsJsonNodeKind kind)
{
	FsJsonNode *node = fs_scratch_take_aligned(memory, sizeof(FsJsonNode));

	if (node == NULL)
		return NULL;
	memset(node, 0, sizeof(*node));
	node->kind = kind;
	return node;
}

/* A node with a copy of the characters. */
static FsJsonNode *
new_leaf(FsScratch *memory, FsJsonNodeKind kind, const char *text)
{
	FsJsonNode *node = fs_json_new(memory, kind);

	if (node == NULL)
		return NULL;
	node->len = strlen(text);
	node->text = copy_text(memory, text, node->len);
	return node->text == NULL ? NULL : node;
}

FsJsonNode *
fs_json_new_text(FsScratch *memory, const char *text)
{
	return new_leaf(memory, FS_JSON_NODE_TEXT, text);
}

FsJsonNode *
fs_json_new_number(FsScratch *memory, int64_t value)
{
	char		text[24];

	snprintf(text, sizeof(text), "%" PRId64, value);
	return new_leaf(memory, FS_JSON_NODE_RAW, text);
}

FsJsonNode *
fs_json_new_boolean(FsScratch *memory, bool value)
{
	return new_leaf(memory, FS_JSON_NODE_RAW, value ? "true" : "false");
}

/* See json_tree.h. */
FsJsonNode *
fs_json_copy(FsScratch *memory, const FsJsonNode *node)
{
	FsJsonNode *copy = fs_json_new(memory, node->kind);

	for (const FsJsonNode *part = node->first; copy != NULL && part != NULL; part = part->next)
	{
		FsJsonNode *twin = fs_json_new(memory, part->kind);

		if (twin == NULL)
			return NULL;
		*twin = *part;
		link_part(copy, twin);
	}
	return copy;
}

bool
fs_json_append(FsJsonNode *array, FsJsonNode *node)
{
	if (array == NULL || node == NULL)
		return false;
	link_part(array, node);
	return true;
}

/* See json_tree.h. */
bool
fs_json_set(FsScratch *memory, FsJsonNode *object, const char *key, FsJsonNode *node)
{
	FsJsonNode *old = fs_json_get(object, key);

	if (object == NULL || node == NULL)
		return false;
	FS_ASSERT(object->kind == FS_JSON_NODE_OBJECT && node->next == NULL);
	if (old != NULL)
	{
		FsJsonNode *next = old->next;

		node->key = old->key;
		*old = *node;
		old->next = next;
		return true;
	}
	node->key = copy_text(memory, key, strlen(key));
	if (node->key == NULL)
		return false;
	link_part(object, node);
	return true;
}

/* See json_tree.h. */
void
fs_json_remove(FsJsonNode *from, const FsJsonNode *node)
{
	FsJsonNode *before = NULL;

	for (FsJsonNode *part = from->first; part != NULL; before = part, part = part->next)
	{
		if (part != node)
			continue;
		if (before == NULL)
			from->first = part->next;
		else
			before->next = part->next;
		if (from->last == part)
			from->last = before;
		from->count--;
		return;
	}
}
