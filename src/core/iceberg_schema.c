/*
 * iceberg_schema.c
 *		Schemas of a table: columns and their ids; see iceberg.h.
 *
 * A column keeps its id for ever, and no other gets it: names may change, files
 * are read by ids.
 */
#include "core/iceberg_metadata.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/unscaled.h"

/* Names of types that say all of it. */
static const char *const type_names[] = {
	"boolean", "int", "long", "float", "double", "date", "timestamp", "timestamptz", "string", "binary", "uuid",
	[FS_ICEBERG_TIME] = "time"
};

/* See iceberg_metadata.h. */
FsIcebergType
fs_iceberg_type_read(const char *text)
{
	FsIcebergType type = {.kind = FS_ICEBERG_OTHER};
	int			end = 0;

	for (int i = FS_ICEBERG_BOOLEAN; i <= FS_ICEBERG_TIME; i++)
		if (type_names[i] != NULL && strcmp(text, type_names[i]) == 0)
			type.kind = (FsIcebergKind) i;
	if (sscanf(text, "decimal( %2d , %2d )%n", &type.precision, &type.scale, &end) == 2 && end > 0 &&
		text[end] == '\0' && type.precision > 0 && type.precision <= FS_UNSCALED_PRECISION && type.scale >= 0 &&
		type.scale <= type.precision)
		type.kind = FS_ICEBERG_DECIMAL;
	end = 0;
	if (sscanf(text, "fixed[ %9d ]%n", &type.length, &end) == 1 && end > 0 && text[end] == '\0' && type.length >= 0)
		type.kind = FS_ICEBERG_FIXED;
	return type;
}

/* See iceberg_metadata.h. */
FsJsonNode *
fs_iceberg_schema_node(const FsIcebergMetadata *metadata, char *message)
{
	int32_t		id = fs_iceberg_schema_id(metadata);
	FsJsonNode *schema = fs_iceberg_by_id(fs_json_get_array(metadata->root, "schemas"), "schema-id", id);

	if (schema == NULL || fs_json_get_array(schema, "fields") == NULL)
	{
		fs_iceberg_fail(message, "the metadata has no schema of id %d", (int) id);
		return NULL;
	}
	return schema;
}

/*
 * Making schemas
 */

/* The column of this name among the first n; -1: there is none. */
static int
find_column(const FsParquetColumn *columns, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(columns[i].name, name) == 0)
			return i;
	return -1;
}

#define DECIMAL_SIZE 32			/* bytes of a decimal's name */

/* The name of a decimal, in 'out'. */
static const char *
write_decimal(int precision, int scale, char *out)
{
	snprintf(out, DECIMAL_SIZE, "decimal(%d, %d)", precision, scale);
	return out;
}

/* The type of a column, as JSON; NULL when memory is out. */
static FsJsonNode *
make_type(FsIcebergMetadata *metadata, const FsParquetColumn *column, int32_t element_id)
{
	FsScratch  *memory = &metadata->memory;
	const char *name = type_names[column->type];
	char		decimal[DECIMAL_SIZE];
	FsJsonNode *list;

	if (column->type == FS_PARQUET_DECIMAL)
		name = write_decimal(column->precision, column->scale, decimal);

	if (!column->is_list)
		return fs_json_new_text(memory, name);
	list = fs_json_new(memory, FS_JSON_NODE_OBJECT);
	return list != NULL && fs_iceberg_set_text(metadata, list, "type", "list") &&
		fs_iceberg_set_number(metadata, list, "element-id", element_id) &&
		fs_iceberg_set_text(metadata, list, "element", name) &&
		fs_json_set(memory, list, "element-required", fs_json_new_boolean(memory, false)) ? list : NULL;
}

/* Appends a column to the fields of a schema; false when memory is out. */
static bool
append_column(FsIcebergMetadata *metadata, FsJsonNode *fields, const FsParquetColumn *column, int32_t id,
			  int32_t element_id)
{
	FsScratch  *memory = &metadata->memory;
	FsJsonNode *field = fs_json_new(memory, FS_JSON_NODE_OBJECT);

	FS_ASSERT(column->type <= FS_PARQUET_DECIMAL && id > 0);
	return field != NULL && fs_iceberg_set_number(metadata, field, "id", id) &&
		fs_iceberg_set_text(metadata, field, "name", column->name) &&
		fs_json_set(memory, field, "required", fs_json_new_boolean(memory, column->required)) &&
		fs_json_set(memory, field, "type", make_type(metadata, column, element_id)) && fs_json_append(fields, field);
}

/* See iceberg_metadata.h. */
bool
fs_iceberg_make_schema(FsIcebergMetadata *metadata, const FsIcebergTable *table, char *message)
{
	FsScratch  *memory = &metadata->memory;
	FsJsonNode *schemas = fs_json_new(memory, FS_JSON_NODE_ARRAY);
	FsJsonNode *schema = fs_json_new(memory, FS_JSON_NODE_OBJECT);
	FsJsonNode *fields = fs_json_new(memory, FS_JSON_NODE_ARRAY);
	int32_t		last = table->ncolumns;
	bool		done = schemas != NULL && schema != NULL && fields != NULL;

	for (int i = 0; i < table->ncolumns && done; i++)
	{
		const FsParquetColumn *column = &table->columns[i];

		if (find_column(table->columns, i, column->name) >= 0)
			return fs_iceberg_fail(message, "column \"%.100s\" is there twice", column->name);
		done = append_column(metadata, fields, column, i + 1, column->is_list ? ++last : 0);
	}
	done = done && fs_iceberg_set_number(metadata, metadata->root, "last-column-id", last) &&
		fs_iceberg_set_number(metadata, metadata->root, "current-schema-id", 0) &&
		fs_iceberg_set_text(metadata, schema, "type", "struct") &&
		fs_iceberg_set_number(metadata, schema, "schema-id", 0) && fs_json_set(memory, schema, "fields", fields) &&
		fs_json_append(schemas, schema) && fs_json_set(memory, metadata->root, "schemas", schemas);
	return fs_iceberg_done(done, message);
}

/*
 * Reading
 */

/* Reads a field that is a column of ours; false for one that is none. */
static bool
read_column(const FsJsonNode *field, FsParquetColumn *column)
{
	const FsJsonNode *type = fs_json_get(field, "type");
	FsIcebergType kind = {.kind = FS_ICEBERG_OTHER};

	if (type != NULL && type->kind == FS_JSON_NODE_TEXT)
		kind = fs_iceberg_type_read(type->text);
	else if (fs_json_get_text(type, "type") != NULL && strcmp(fs_json_get_text(type, "type"), "list") == 0 &&
			 fs_json_get_text(type, "element") != NULL && !fs_json_is_true(fs_json_get(type, "element-required")) &&
			 fs_json_get_int(type, "element-id", &column->element_id))
	{
		kind = fs_iceberg_type_read(fs_json_get_text(type, "element"));
		column->is_list = true;
	}
	if (kind.kind > FS_ICEBERG_DECIMAL)
		return false;
	column->type = (FsParquetType) kind.kind;
	column->precision = kind.precision;
	column->scale = kind.scale;
	return true;
}

/* See iceberg.h. */
bool
fs_iceberg_columns(FsIcebergMetadata *metadata, FsParquetColumn **columns, int *n, char *message)
{
	FsJsonNode *schema = fs_iceberg_schema_node(metadata, message);
	const FsJsonNode *fields = fs_json_get_array(schema, "fields");

	*n = 0;
	if (schema == NULL)
		return false;
	*columns = fs_scratch_take_aligned(&metadata->memory, sizeof(FsParquetColumn) * (size_t) (fields->count + 1));
	if (*columns == NULL)
		return fs_iceberg_no_memory(message);
	for (const FsJsonNode *field = fields->first; field != NULL; field = field->next)
	{
		FsParquetColumn *column = &(*columns)[*n];

		memset(column, 0, sizeof(*column));
		column->name = fs_json_get_text(field, "name");
		column->required = fs_json_is_true(fs_json_get(field, "required"));
		if (column->name == NULL || !fs_json_get_int(field, "id", &column->field_id))
			return fs_iceberg_fail(message, "a column of the current schema has no name or no id");
		if (find_column(*columns, *n, column->name) >= 0)
			return fs_iceberg_fail(message, "column \"%.100s\" is there twice", column->name);
		if (read_column(field, column))
			++*n;
		else if (column->required)
			return fs_iceberg_fail(message, "column \"%.100s\" must not be NULL and has a type that is not supported",
								   column->name);
	}
	return true;
}

/*
 * Changing
 */

/* A copy of the current schema with fields of its own, which becomes the current one; NULL with the message. */
static FsJsonNode *
renew_schema(FsIcebergMetadata *metadata, char *message)
{
	FsScratch  *memory = &metadata->memory;
	FsJsonNode *schemas = fs_json_get_array(metadata->root, "schemas");
	FsJsonNode *current = fs_iceberg_schema_node(metadata, message);
	FsJsonNode *schema;
	int32_t		greatest = 0;
	int32_t		id;

	if (current == NULL)
		return NULL;
	for (const FsJsonNode *other = schemas->first; other != NULL; other = other->next)
		if (fs_json_get_int(other, "schema-id", &id) && id > greatest)
			greatest = id;
	if (greatest == INT32_MAX)
	{
		fs_iceberg_fail(message, "the table has used up its ids of schemas");
		return NULL;
	}
	schema = fs_json_copy(memory, current);
	if (schema == NULL || !fs_iceberg_set_number(metadata, schema, "schema-id", greatest + 1) ||
		!fs_json_set(memory, schema, "fields", fs_json_copy(memory, fs_json_get_array(current, "fields"))) ||
		!fs_json_append(schemas, schema) ||
		!fs_iceberg_set_number(metadata, metadata->root, "current-schema-id", greatest + 1))
	{
		fs_iceberg_no_memory(message);
		return NULL;
	}
	return schema;
}

/* The field of this name, or NULL. */
static FsJsonNode *
find_field(const FsJsonNode *fields, const char *name)
{
	for (FsJsonNode *field = fields->first; field != NULL; field = field->next)
	{
		const char *other = fs_json_get_text(field, "name");

		if (other != NULL && strcmp(other, name) == 0)
			return field;
	}
	return NULL;
}

/* Appends columns to a schema. */
static bool
add_fields(FsIcebergMetadata *metadata, const FsJsonNode *schema, const FsParquetColumn *columns, int n, char *message)
{
	FsJsonNode *fields = fs_json_get_array(schema, "fields");
	int64_t		last = 0;

	fs_json_get_number(metadata->root, "last-column-id", &last);
	if (last > INT32_MAX - 2 * (int64_t) n)
		return fs_iceberg_fail(message, "the table has used up its ids of columns");
	for (int i = 0; i < n; i++)
	{
		int32_t		id = (int32_t) ++last;

		if (columns[i].required)
			return fs_iceberg_fail(message, "column \"%.100s\" is added to a table and must not be NULL", columns[i].name);
		if (find_field(fields, columns[i].name) != NULL)
			return fs_iceberg_fail(message, "column \"%.100s\" is there already", columns[i].name);
		last += columns[i].is_list;
		if (!append_column(metadata, fields, &columns[i], id, (int32_t) last))
			return fs_iceberg_no_memory(message);
	}
	return fs_iceberg_done(fs_iceberg_set_number(metadata, metadata->root, "last-column-id", last), message);
}

/* Has one of these fields the column as its source? */
static bool
is_source(const FsJsonNode *fields, int32_t id)
{
	return fs_iceberg_by_id(fields, "source-id", id) != NULL;
}

/* Is it one of the columns that tell rows apart? */
static bool
is_identifier(const FsJsonNode *schema, int32_t id)
{
	const FsJsonNode *ids = fs_json_get_array(schema, "identifier-field-ids");

	for (const FsJsonNode *node = ids == NULL ? NULL : ids->first; node != NULL; node = node->next)
		if (node->kind == FS_JSON_NODE_RAW && atoll(node->text) == id)
			return true;
	return false;
}

/* Takes a column out of a schema. */
static bool
drop_field(FsIcebergMetadata *metadata, const FsJsonNode *schema, const char *name, char *message)
{
	const FsJsonNode *orders = fs_json_get_array(metadata->root, "sort-orders");
	const FsJsonNode *order;
	FsJsonNode *spec;
	FsJsonNode *field;
	int64_t		spec_id = 0;
	int32_t		id;

	fs_json_get_number(metadata->root, "default-spec-id", &spec_id);
	spec = fs_iceberg_spec_node(metadata, (int32_t) spec_id, message);
	if (spec == NULL)
		return false;
	field = find_field(fs_json_get_array(schema, "fields"), name);
	if (field == NULL || !fs_json_get_int(field, "id", &id))
		return fs_iceberg_fail(message, "there is no column \"%.100s\"", name);
	order = fs_iceberg_by_id(orders, "order-id", fs_iceberg_sort_id(metadata));
	if (is_source(spec, id) || is_source(fs_json_get_array(order, "fields"), id) || is_identifier(schema, id))
		return fs_iceberg_fail(message, "column \"%.100s\" partitions, sorts or identifies the table's rows", name);
	fs_json_remove(fs_json_get_array(schema, "fields"), field);
	return true;
}

/*
 * Sets a member of a field of a new schema, to a node that may be NULL for memory.
 * The field is that schema's own, but shares its parts with older ones.
 */
static bool
change_field(FsIcebergMetadata *metadata, FsJsonNode *field, const char *key, FsJsonNode *node, char *message)
{
	FsScratch  *memory = &metadata->memory;
	FsJsonNode *copy = fs_json_copy(memory, field);

	if (copy == NULL || node == NULL || !fs_json_set(memory, copy, key, node))
		return fs_iceberg_no_memory(message);
	field->first = copy->first;
	field->last = copy->last;
	field->count = copy->count;
	return true;
}

/* Lets a column of a new schema be NULL. */
static bool
relax_field(FsIcebergMetadata *metadata, const FsJsonNode *schema, const char *name, char *message)
{
	FsJsonNode *field = find_field(fs_json_get_array(schema, "fields"), name);

	if (field == NULL)
		return fs_iceberg_fail(message, "there is no column \"%.100s\"", name);
	return change_field(metadata, field, "required", fs_json_new_boolean(&metadata->memory, false), message);
}

/* Gives a decimal of a new schema more digits before its point. */
static bool
widen_field(FsIcebergMetadata *metadata, const FsJsonNode *schema, const FsParquetColumn *column, char *message)
{
	FsJsonNode *field = find_field(fs_json_get_array(schema, "fields"), column->name);
	FsParquetColumn now = {.type = FS_PARQUET_STRING};
	char		decimal[DECIMAL_SIZE];

	if (field == NULL)
		return fs_iceberg_fail(message, "there is no column \"%.100s\"", column->name);
	if (!read_column(field, &now) || now.type != FS_PARQUET_DECIMAL || now.is_list != column->is_list ||
		now.scale != column->scale || now.precision > column->precision)
		return fs_iceberg_fail(message, "column \"%.100s\" cannot become %s", column->name,
							   write_decimal(column->precision, column->scale, decimal));
	return change_field(metadata, field, "type", make_type(metadata, column, now.element_id), message);
}

/* See iceberg.h. */
bool
fs_iceberg_change_schema(FsIcebergMetadata *metadata, const FsIcebergSchemaChange *change, char *message)
{
	FsJsonNode *schema;
	bool		done;

	if (change->ndropped + change->nrelaxed + change->nwidened + change->nadded == 0)
		return true;
	schema = renew_schema(metadata, message);
	done = schema != NULL;
	for (int i = 0; i < change->ndropped && done; i++)
		done = drop_field(metadata, schema, change->dropped[i], message);
	for (int i = 0; i < change->nrelaxed && done; i++)
		done = relax_field(metadata, schema, change->relaxed[i], message);
	for (int i = 0; i < change->nwidened && done; i++)
		done = widen_field(metadata, schema, &change->widened[i], message);
	return done && add_fields(metadata, schema, change->added, change->nadded, message);
}

/* See iceberg.h. */
bool
fs_iceberg_add_columns(FsIcebergMetadata *metadata, const FsParquetColumn *columns, int n, char *message)
{
	const FsIcebergSchemaChange change = {.added = columns, .nadded = n};

	return fs_iceberg_change_schema(metadata, &change, message);
}

/* See iceberg.h. */
bool
fs_iceberg_drop_column(FsIcebergMetadata *metadata, const char *name, char *message)
{
	const FsIcebergSchemaChange change = {.dropped = &name, .ndropped = 1};

	return fs_iceberg_change_schema(metadata, &change, message);
}
