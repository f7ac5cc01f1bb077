/*
 * avro_walk.c
 *		Through an Avro record by its own schema; see avro_walk.h.
 *
 * Records without bytes (of nulls, of records of nulls) could be very many: each
 * value that is read costs a step, of which there are as many as bytes, some
 * times over.
 */
#include "core/avro_walk.h"

#include "core/utf8.h"

#define MAX_DEPTH	64			/* of values in values */
#define STEPS_PER_BYTE	64

/* See avro_walk.h. */
void
fs_avro_walk_begin(FsAvroWalk *walk, const FsAvroSchema *schema, FsCursor records)
{
	FS_ASSERT(records.p <= records.end && schema->root >= 0 && schema->root < schema->nnodes);
	walk->schema = schema;
	walk->cursor = records;
	walk->steps = ((int64_t) fs_cursor_left(&records) + STEPS_PER_BYTE) * STEPS_PER_BYTE;
	walk->wrong = NULL;
}

bool
fs_avro_walk_fail(FsAvroWalk *walk, const char *wrong)
{
	walk->wrong = wrong;
	return false;
}

/* See avro_walk.h. */
bool
fs_avro_walk_branch(FsAvroWalk *walk, int *node)
{
	const FsAvroSchema *schema = walk->schema;
	int64_t		index;
	int			member;

	FS_ASSERT(*node >= 0 && *node < schema->nnodes);
	if (schema->nodes[*node].type != FS_AVRO_UNION)
		return true;
	if (!fs_take_zigzag(&walk->cursor, &index))
		return fs_avro_walk_fail(walk, "a record ends early");
	if (index < 0 || index >= schema->nodes[*node].count)
		return fs_avro_walk_fail(walk, "a union has no such branch");
	member = schema->nodes[*node].first;
	while (index-- > 0)
		member = schema->members[member].next;
	*node = schema->members[member].node;
	return true;
}

/* See avro_walk.h. */
bool
fs_avro_walk_integer(FsAvroWalk *walk, int node, int64_t *value)
{
	FsAvroType	type = walk->schema->nodes[node].type;
	uint8_t		byte;

	if (type == FS_AVRO_BOOLEAN)
	{
		if (!fs_take_byte(&walk->cursor, &byte) || byte > 1)
			return fs_avro_walk_fail(walk, "a boolean is malformed");
		*value = byte;
		return true;
	}
	if (type != FS_AVRO_INT && type != FS_AVRO_LONG)
		return fs_avro_walk_fail(walk, "a field is no integer");
	if (!fs_take_zigzag(&walk->cursor, value))
		return fs_avro_walk_fail(walk, "a record ends early");
	if (type == FS_AVRO_INT && *value != (int32_t) *value)
		return fs_avro_walk_fail(walk, "an int has more than 32 bits");
	return true;
}

/* See avro_walk.h. */
bool
fs_avro_walk_float(FsAvroWalk *walk, int node, double *value)
{
	FsAvroType	type = walk->schema->nodes[node].type;
	const char *bytes;
	uint64_t	wide;
	uint32_t	narrow;
	float		single;

	if (type != FS_AVRO_FLOAT && type != FS_AVRO_DOUBLE)
		return fs_avro_walk_fail(walk, "a field is no floating-point number");
	if (!fs_take_bytes(&walk->cursor, type == FS_AVRO_FLOAT ? 4 : 8, &bytes))
		return fs_avro_walk_fail(walk, "a record ends early");
	if (type == FS_AVRO_DOUBLE)
	{
		wide = fs_get_le64(bytes);
		memcpy(value, &wide, 8);
		return true;
	}
	narrow = fs_get_le32(bytes);
	memcpy(&single, &narrow, 4);
	*value = (double) single;
	return true;
}

/* See avro_walk.h. */
bool
fs_avro_walk_bytes(FsAvroWalk *walk, int node, const char **bytes, size_t *len)
{
	const FsAvroNode *type = &walk->schema->nodes[node];
	int64_t		n = type->size;

	if (type->type != FS_AVRO_STRING && type->type != FS_AVRO_BYTES && type->type != FS_AVRO_FIXED)
		return fs_avro_walk_fail(walk, "a field is no string, bytes or fixed");
	if (type->type != FS_AVRO_FIXED && !fs_take_zigzag(&walk->cursor, &n))
		return fs_avro_walk_fail(walk, "a record ends early");
	if (n < 0 || !fs_take_bytes(&walk->cursor, (size_t) n, bytes))
		return fs_avro_walk_fail(walk, "a value runs beyond the end");
	*len = (size_t) n;
	return true;
}

/* Where the value is NULL, *is_null; false: malformed. */
static bool
read_presence(FsAvroWalk *walk, int *node, bool *is_null)
{
	*is_null = fs_avro_walk_branch(walk, node) && walk->schema->nodes[*node].type == FS_AVRO_NULL;
	return walk->wrong == NULL;
}

bool
fs_avro_walk_number(FsAvroWalk *walk, int node, int64_t *value)
{
	bool		is_null;

	return read_presence(walk, &node, &is_null) && (is_null || fs_avro_walk_integer(walk, node, value));
}

/* See avro_walk.h. */
bool
fs_avro_walk_int(FsAvroWalk *walk, int node, int32_t *value)
{
	int64_t		wide = *value;

	if (!fs_avro_walk_number(walk, node, &wide))
		return false;
	if (wide != (int32_t) wide)
		return fs_avro_walk_fail(walk, "an int has more than 32 bits");
	*value = (int32_t) wide;
	return true;
}

bool
fs_avro_walk_some(FsAvroWalk *walk, int node, const char **bytes, size_t *len)
{
	bool		is_null;

	return read_presence(walk, &node, &is_null) && (is_null || fs_avro_walk_bytes(walk, node, bytes, len));
}

/* See avro_walk.h. */
bool
fs_avro_walk_text(FsAvroWalk *walk, int node, FsScratch *memory, const char **text)
{
	const char *bytes = NULL;
	size_t		len;
	char	   *copy;

	if (!fs_avro_walk_some(walk, node, &bytes, &len))
		return false;
	if (bytes == NULL)
		return true;
	if (memchr(bytes, 0, len) != NULL || fs_utf8_valid_length(bytes, len) < len)
		return fs_avro_walk_fail(walk, "a string is no text");
	copy = fs_scratch_take(memory, len + 1);
	if (copy == NULL)
		return false;
	memcpy(copy, bytes, len);
	copy[len] = '\0';
	*text = copy;
	return true;
}

/* How many elements of an array come next, 0 at its end. */
static bool
read_count(FsAvroWalk *walk, int64_t *count)
{
	int64_t		size;

	if (!fs_take_zigzag(&walk->cursor, count) || *count == INT64_MIN)
		return fs_avro_walk_fail(walk, "a record ends early");
	if (*count < 0)
	{
		*count = -*count;
		if (!fs_take_zigzag(&walk->cursor, &size))
			return fs_avro_walk_fail(walk, "a record ends early");
	}
	if ((uint64_t) *count > fs_cursor_left(&walk->cursor))
		return fs_avro_walk_fail(walk, "an array has more elements than bytes");
	return true;
}

/* See avro_walk.h. */
bool
fs_avro_walk_array(FsAvroWalk *walk, int node, FsAvroElement element, void *arg, bool *there)
{
	const FsAvroNode *type;
	int64_t		count;

	*there = false;
	if (!fs_avro_walk_branch(walk, &node))
		return false;
	type = &walk->schema->nodes[node];
	if (type->type == FS_AVRO_NULL)
		return true;
	if (type->type != FS_AVRO_ARRAY)
		return fs_avro_walk_fail(walk, "a field is no array");
	*there = true;
	do
	{
		if (!read_count(walk, &count))
			return false;
		for (int64_t i = 0; i < count; i++)
		{
			const char *before = walk->cursor.p;

			if (!element(arg, fs_avro_item(walk->schema, type)))
				return false;
			if (walk->cursor.p == before)
				return fs_avro_walk_fail(walk, "an array has more elements than bytes");
		}
	} while (count > 0);
	return true;
}

static bool skip_value(FsAvroWalk *walk, int node, int depth);

/* Reads past the blocks of an array or map. */
static bool
skip_blocks(FsAvroWalk *walk, const FsAvroNode *type, int depth)
{
	int			item = fs_avro_item(walk->schema, type);
	int64_t		count;
	int64_t		len;
	const char *bytes;

	for (;;)
	{
		if (!read_count(walk, &count))
			return false;
		if (count == 0)
			return true;
		for (; count > 0; count--)
		{
			if (type->type == FS_AVRO_MAP &&
				(!fs_take_zigzag(&walk->cursor, &len) || len < 0 || !fs_take_bytes(&walk->cursor, (size_t) len, &bytes)))
				return fs_avro_walk_fail(walk, "a value runs beyond the end");
			if (!skip_value(walk, item, depth))
				return false;
		}
	}
}

/* Reads past a value that lies 'depth' deep. */
static bool
skip_value(FsAvroWalk *walk, int node, int depth)
{
	const FsAvroNode *type = &walk->schema->nodes[node];
	int64_t		integer;
	double		number;
	const char *bytes;
	size_t		len;

	if (walk->steps-- <= 0 || depth == MAX_DEPTH)
		return fs_avro_walk_fail(walk, "values are nested too deep");
	switch (type->type)
	{
		case FS_AVRO_NULL:
			return true;
		case FS_AVRO_BOOLEAN:
		case FS_AVRO_INT:
		case FS_AVRO_LONG:
			return fs_avro_walk_integer(walk, node, &integer);
		case FS_AVRO_ENUM:
			return fs_take_zigzag(&walk->cursor, &integer) || fs_avro_walk_fail(walk, "a record ends early");
		case FS_AVRO_FLOAT:
		case FS_AVRO_DOUBLE:
			return fs_avro_walk_float(walk, node, &number);
		case FS_AVRO_UNION:
			return fs_avro_walk_branch(walk, &node) && skip_value(walk, node, depth + 1);
		case FS_AVRO_ARRAY:
		case FS_AVRO_MAP:
			return skip_blocks(walk, type, depth + 1);
		case FS_AVRO_RECORD:
			for (int i = type->first; i >= 0; i = walk->schema->members[i].next)
				if (!skip_value(walk, walk->schema->members[i].node, depth + 1))
					return false;
			return true;
		default:
			return fs_avro_walk_bytes(walk, node, &bytes, &len);
	}
}

bool
fs_avro_walk_skip(FsAvroWalk *walk, int node)
{
	return skip_value(walk, node, 0);
}
