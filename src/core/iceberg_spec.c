/*
 * iceberg_spec.c
 *		Partition specs and sort orders of a table; see iceberg.h.
 */
#include "core/iceberg_metadata.h"

#include <stdio.h>

#include "core/iceberg_transform.h"

#define FIRST_FIELD_ID	1000	/* of a partition field */
#define MAX_NESTING		64

static const char *const suffixes[] = {"", "_bucket", "_trunc", "_year", "_month", "_day", "_hour", "_void"};

/* Does the character need no replacement in an Avro name? */
static bool
is_plain(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
}

/* See iceberg_metadata.h. */
const char *
fs_iceberg_avro_name(FsScratch *memory, const char *name)
{
	char	   *out = fs_scratch_take(memory, 4 * strlen(name) + 2);
	char	   *p = out;

	if (out == NULL)
		return NULL;
	for (const char *c = name; *c != '\0'; c++)
	{
		if (is_plain(*c, c == name))
			*p++ = *c;
		else if (*c >= '0' && *c <= '9')
		{
			*p++ = '_';
			*p++ = *c;
		}
		else
			p += sprintf(p, "_x%02X", (unsigned char) *c);
	}
	if (p == out)
		*p++ = '_';
	*p = '\0';
	return out;
}

/*
 * Making
 */

/* The column of this name; -1 with the message. */
static int
find_column(const FsIcebergTable *table, const char *name, char *message)
{
	for (int i = 0; i < table->ncolumns; i++)
		if (strcmp(table->columns[i].name, name) == 0)
			return i;
	fs_iceberg_fail(message, "there is no column \"%.100s\"", name);
	return -1;
}

/* Is the name that of another column than 'own', or of a field that is there? */
static bool
is_taken(const FsIcebergTable *table, int own, const FsJsonNode *fields, const char *name)
{
	for (int i = 0; i < table->ncolumns; i++)
		if (i != own && strcmp(table->columns[i].name, name) == 0)
			return true;
	for (const FsJsonNode *field = fields->first; field != NULL; field = field->next)
		if (strcmp(fs_json_get_text(field, "name"), name) == 0)
			return true;
	return false;
}

/* A free name for a partition field, that of its column and what is done with it; NULL when memory is out. */
static const char *
make_name(FsIcebergMetadata *metadata, const FsIcebergTable *table, int column, const FsIcebergTransform *transform,
		  const FsJsonNode *fields)
{
	const char *base = fs_iceberg_avro_name(&metadata->memory, table->columns[column].name);
	size_t		size = base == NULL ? 0 : strlen(base) + 32;
	char	   *name = base == NULL ? NULL : fs_scratch_take(&metadata->memory, size);
	int			own = transform->kind == FS_ICEBERG_IDENTITY ? column : -1;

	if (name == NULL)
		return NULL;
	snprintf(name, size, "%s%s", base, suffixes[transform->kind]);
	for (int i = 2; is_taken(table, own, fields, name); i++)
		snprintf(name, size, "%s%s_%d", base, suffixes[transform->kind], i);
	return name;
}

/* Appends a field to the spec; false with the message. */
static bool
append_field(FsIcebergMetadata *metadata, const FsIcebergTable *table, const FsIcebergPartition *partition,
			 FsJsonNode *fields, char *message)
{
	FsJsonNode *field = fs_json_new(&metadata->memory, FS_JSON_NODE_OBJECT);
	int			column = find_column(table, partition->column, message);
	FsIcebergType type;
	char		text[FS_ICEBERG_TRANSFORM_SIZE];
	const char *name;

	if (column < 0)
		return false;
	type = fs_iceberg_type_of(&table->columns[column]);
	if (table->columns[column].is_list || partition->transform.kind >= FS_ICEBERG_VOID ||
		!fs_iceberg_can_partition(&partition->transform, &type))
		return fs_iceberg_fail(message, "a table cannot be partitioned so by column \"%.100s\", because of its type",
							   partition->column);
	fs_iceberg_transform_write(&partition->transform, text);
	name = make_name(metadata, table, column, &partition->transform, fields);
	return fs_iceberg_done(field != NULL && name != NULL && fs_iceberg_set_text(metadata, field, "name", name) &&
						   fs_iceberg_set_text(metadata, field, "transform", text) &&
						   fs_iceberg_set_number(metadata, field, "source-id", column + 1) &&
						   fs_iceberg_set_number(metadata, field, "field-id", FIRST_FIELD_ID + fields->count) &&
						   fs_json_append(fields, field), message);
}

/* Appends a column to the sort order; false with the message. */
static bool
append_sort(FsIcebergMetadata *metadata, const FsIcebergTable *table, const FsIcebergSort *sort, FsJsonNode *fields,
			char *message)
{
	FsJsonNode *field = fs_json_new(&metadata->memory, FS_JSON_NODE_OBJECT);
	int			column = find_column(table, sort->column, message);

	if (column < 0)
		return false;
	if (table->columns[column].is_list)
		return fs_iceberg_fail(message, "a table cannot be sorted by column \"%.100s\", a list", sort->column);
	return fs_iceberg_done(field != NULL && fs_iceberg_set_text(metadata, field, "transform", "identity") &&
						   fs_iceberg_set_number(metadata, field, "source-id", column + 1) &&
						   fs_iceberg_set_text(metadata, field, "direction", sort->descending ? "desc" : "asc") &&
						   fs_iceberg_set_text(metadata, field, "null-order",
											   sort->nulls_last ? "nulls-last" : "nulls-first") &&
						   fs_json_append(fields, field), message);
}

/* An object with an id and fields, appended to the array of this key; its fields, or NULL when memory is out. */
static FsJsonNode *
make_fields(FsIcebergMetadata *metadata, const char *key, const char *id_key, int32_t id)
{
	FsJsonNode *array = fs_iceberg_need(metadata, metadata->root, key, FS_JSON_NODE_ARRAY);
	FsJsonNode *object = fs_json_new(&metadata->memory, FS_JSON_NODE_OBJECT);

	if (array == NULL || object == NULL || !fs_iceberg_set_number(metadata, object, id_key, id) ||
		!fs_json_append(array, object))
		return NULL;
	return fs_iceberg_need(metadata, object, "fields", FS_JSON_NODE_ARRAY);
}

/* See iceberg_metadata.h.  Order 0 is the one of no order, and always there. */
bool
fs_iceberg_make_spec(FsIcebergMetadata *metadata, const FsIcebergTable *table, char *message)
{
	FsJsonNode *fields = make_fields(metadata, "partition-specs", "spec-id", 0);
	FsJsonNode *none = make_fields(metadata, "sort-orders", "order-id", 0);
	FsJsonNode *order = table->nsorts == 0 ? none : make_fields(metadata, "sort-orders", "order-id", 1);

	if (fields == NULL || none == NULL || order == NULL)
		return fs_iceberg_no_memory(message);
	for (int i = 0; i < table->npartitions; i++)
		if (!append_field(metadata, table, &table->partitions[i], fields, message))
			return false;
	for (int i = 0; i < table->nsorts; i++)
		if (!append_sort(metadata, table, &table->sorts[i], order, message))
			return false;
	return fs_iceberg_done(fs_iceberg_set_number(metadata, metadata->root, "default-spec-id", 0) &&
						   fs_iceberg_set_number(metadata, metadata->root, "last-partition-id",
												 FIRST_FIELD_ID - 1 + table->npartitions) &&
						   fs_iceberg_set_number(metadata, metadata->root, "default-sort-order-id", table->nsorts > 0),
						   message);
}

/*
 * Reading
 */

/* The type of the field of an id among these, or in structs among them; NULL: it is not there. */
static const FsJsonNode *
find_type(const FsJsonNode *fields, int32_t id, int depth)
{
	for (const FsJsonNode *field = fields == NULL || depth == MAX_NESTING ? NULL : fields->first; field != NULL;
		 field = field->next)
	{
		const FsJsonNode *type = fs_json_get(field, "type");
		int32_t		other;

		if (fs_json_get_int(field, "id", &other) && other == id)
			return type;
		type = find_type(fs_json_get_array(type, "fields"), id, depth + 1);
		if (type != NULL)
			return type;
	}
	return NULL;
}

/* The type of a column of the current schema, or of the newest that has it. */
static FsIcebergType
find_source(const FsIcebergMetadata *metadata, int32_t id)
{
	FsIcebergType type = {.kind = FS_ICEBERG_OTHER};
	const FsJsonNode *schemas = fs_json_get_array(metadata->root, "schemas");
	const FsJsonNode *current = fs_iceberg_by_id(schemas, "schema-id", fs_iceberg_schema_id(metadata));
	const FsJsonNode *found = find_type(fs_json_get_array(current, "fields"), id, 0);
	bool		is_current = found != NULL;

	for (const FsJsonNode *schema = schemas->first; schema != NULL && !is_current; schema = schema->next)
	{
		const FsJsonNode *here = find_type(fs_json_get_array(schema, "fields"), id, 0);

		if (here != NULL)
			found = here;
	}
	return found != NULL && found->kind == FS_JSON_NODE_TEXT ? fs_iceberg_type_read(found->text) : type;
}

/* Reads a field of a spec; false when it is malformed. */
static bool
read_field(const FsIcebergMetadata *metadata, const FsJsonNode *node, FsIcebergField *field)
{
	const char *transform = fs_json_get_text(node, "transform");

	field->name = fs_json_get_text(node, "name");
	if (transform == NULL || field->name == NULL || !fs_json_get_int(node, "source-id", &field->source_id) ||
		!fs_json_get_int(node, "field-id", &field->field_id))
		return false;
	field->transform = fs_iceberg_transform_read(transform, strlen(transform));
	field->source = find_source(metadata, field->source_id);
	memset(&field->result, 0, sizeof(field->result));
	if (field->transform.kind == FS_ICEBERG_UNKNOWN ||
		!fs_iceberg_transform_type(&field->transform, &field->source, &field->result))
	{
		field->transform.kind = FS_ICEBERG_UNKNOWN;
		field->result.kind = FS_ICEBERG_STRING; /* as the Java library has it */
	}
	else if (field->result.kind == FS_ICEBERG_OTHER)
		field->result.kind = FS_ICEBERG_INT;	/* of NULLs */
	return true;
}

/* See iceberg_metadata.h. */
FsJsonNode *
fs_iceberg_spec_node(const FsIcebergMetadata *metadata, int32_t spec_id, char *message)
{
	const FsJsonNode *specs = fs_json_get_array(metadata->root, "partition-specs");
	FsJsonNode *fields = fs_json_get_array(fs_iceberg_by_id(specs, "spec-id", spec_id), "fields");

	if (fields == NULL)
		fs_iceberg_fail(message, "the metadata has no partition spec of id %d", (int) spec_id);
	return fields;
}

/* See iceberg.h. */
bool
fs_iceberg_spec_of(FsIcebergMetadata *metadata, int32_t spec_id, FsIcebergSpec *spec, char *message)
{
	FsJsonNode *fields = fs_iceberg_spec_node(metadata, spec_id, message);

	if (fields == NULL)
		return false;
	spec->spec_id = spec_id;
	spec->nfields = 0;
	spec->fields = fs_scratch_take_aligned(&metadata->memory, sizeof(FsIcebergField) * (size_t) (fields->count + 1));
	if (spec->fields == NULL)
		return fs_iceberg_no_memory(message);
	for (const FsJsonNode *field = fields->first; field != NULL; field = field->next)
		if (!read_field(metadata, field, &spec->fields[spec->nfields++]))
			return fs_iceberg_fail(message, "a field of partition spec %d is malformed", (int) spec_id);
	return true;
}

bool
fs_iceberg_spec(FsIcebergMetadata *metadata, FsIcebergSpec *spec, char *message)
{
	int64_t		spec_id = 0;

	fs_json_get_number(metadata->root, "default-spec-id", &spec_id);
	return fs_iceberg_spec_of(metadata, (int32_t) spec_id, spec, message);
}

/* Reads a field of an order; false when it is none by a column as it is. */
static bool
read_sort_field(const FsJsonNode *node, FsIcebergSortField *field)
{
	const char *transform = fs_json_get_text(node, "transform");
	const char *direction = fs_json_get_text(node, "direction");
	const char *nulls = fs_json_get_text(node, "null-order");

	if (transform == NULL || direction == NULL || nulls == NULL || strcmp(transform, "identity") != 0 ||
		!fs_json_get_int(node, "source-id", &field->source_id))
		return false;
	field->descending = strcmp(direction, "desc") == 0;
	field->nulls_last = strcmp(nulls, "nulls-last") == 0;
	return true;
}

/* See iceberg.h. */
bool
fs_iceberg_sort_fields(FsIcebergMetadata *metadata, FsIcebergSortField **fields, int *n)
{
	const FsJsonNode *orders = fs_json_get_array(metadata->root, "sort-orders");
	const FsJsonNode *order = fs_iceberg_by_id(orders, "order-id", fs_iceberg_sort_id(metadata));
	const FsJsonNode *array = fs_json_get_array(order, "fields");
	int			count = array == NULL ? 0 : array->count;

	*n = 0;
	*fields = fs_scratch_take_aligned(&metadata->memory, sizeof(FsIcebergSortField) * (size_t) (count + 1));
	if (*fields == NULL)
		return false;
	for (const FsJsonNode *node = array == NULL ? NULL : array->first; node != NULL; node = node->next)
		if (!read_sort_field(node, &(*fields)[(*n)++]))
		{
			*n = 0;
			break;
		}
	return true;
}
