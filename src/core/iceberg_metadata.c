/*
 * iceberg_metadata.c
 *		A table's metadata as a whole: made, read, written, and its properties; see iceberg.h.
 *
 * Metadata is kept as the tree of its JSON (json_tree.h) and changed there, so
 * that nothing of it is lost that other writers put into it.
 */
#include "core/iceberg_metadata.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/utf8.h"

#define FORMAT_VERSION	2
#define LOG_LENGTH		100		/* of metadata files, where no property says */

/* See iceberg_metadata.h. */
bool
fs_iceberg_fail(char *message, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	vsnprintf(message, FS_ICEBERG_MESSAGE_SIZE, format, args);
	va_end(args);
	/* no character may be cut in the middle */
	message[fs_utf8_valid_length(message, strlen(message))] = '\0';
	return false;
}

bool
fs_iceberg_no_memory(char *message)
{
	message[0] = '\0';
	return false;
}

bool
fs_iceberg_set_number(FsIcebergMetadata *metadata, FsJsonNode *object, const char *key, int64_t value)
{
	return fs_json_set(&metadata->memory, object, key, fs_json_new_number(&metadata->memory, value));
}

bool
fs_iceberg_set_text(FsIcebergMetadata *metadata, FsJsonNode *object, const char *key, const char *value)
{
	return fs_json_set(&metadata->memory, object, key, fs_json_new_text(&metadata->memory, value));
}

/* See iceberg_metadata.h. */
FsJsonNode *
fs_iceberg_need(FsIcebergMetadata *metadata, FsJsonNode *object, const char *key, FsJsonNodeKind kind)
{
	FsJsonNode *node = fs_json_get(object, key);

	if (node != NULL && node->kind == kind)
		return node;
	if (!fs_json_set(&metadata->memory, object, key, fs_json_new(&metadata->memory, kind)))
		return NULL;
	return fs_json_get(object, key);
}

/* See iceberg_metadata.h. */
FsJsonNode *
fs_iceberg_by_id(const FsJsonNode *array, const char *id_key, int64_t id)
{
	int64_t		value;

	for (FsJsonNode *node = array == NULL ? NULL : array->first; node != NULL; node = node->next)
		if (fs_json_get_number(node, id_key, &value) && value == id)
			return node;
	return NULL;
}

bool
fs_iceberg_texts_make(FsIcebergMetadata *metadata, FsIcebergTexts *texts, int n)
{
	texts->n = 0;
	texts->texts = fs_scratch_take_aligned(&metadata->memory, sizeof(char *) * (size_t) (n > 0 ? n : 1));
	return texts->texts != NULL;
}

/*
 * Making, reading, writing
 */

void
fs_iceberg_metadata_free(FsIcebergMetadata *metadata)
{
	if (metadata == NULL)
		return;
	fs_scratch_free(&metadata->memory);
	free(metadata);
}

/* Puts what is the same for all new tables, and properties; false with the message. */
static bool
make_root(FsIcebergMetadata *metadata, const FsIcebergTable *table, const char *uuid, int64_t now_ms, char *message)
{
	FsJsonNode *root = metadata->root;
	FsJsonNode *properties;
	bool		done;

	done = fs_iceberg_set_number(metadata, root, "format-version", FORMAT_VERSION) &&
		fs_iceberg_set_text(metadata, root, "table-uuid", uuid) &&
		fs_iceberg_set_text(metadata, root, "location", table->location) &&
		fs_iceberg_set_number(metadata, root, "last-sequence-number", 0) &&
		fs_iceberg_set_number(metadata, root, "last-updated-ms", now_ms);
	if (!fs_iceberg_done(done, message) || !fs_iceberg_make_schema(metadata, table, message) ||
		!fs_iceberg_make_spec(metadata, table, message))
		return false;
	properties = fs_iceberg_need(metadata, root, "properties", FS_JSON_NODE_OBJECT);
	for (int i = 0; i < table->nproperties && properties != NULL; i++)
		if (!fs_iceberg_set_text(metadata, properties, table->properties[i].key, table->properties[i].value))
			return fs_iceberg_no_memory(message);
	done = properties != NULL && fs_iceberg_need(metadata, root, "refs", FS_JSON_NODE_OBJECT) != NULL &&
		fs_iceberg_need(metadata, root, "snapshots", FS_JSON_NODE_ARRAY) != NULL &&
		fs_iceberg_need(metadata, root, "snapshot-log", FS_JSON_NODE_ARRAY) != NULL &&
		fs_iceberg_need(metadata, root, "metadata-log", FS_JSON_NODE_ARRAY) != NULL;
	return fs_iceberg_done(done, message);
}

/* Memory for metadata, without a tree; NULL with the message. */
static FsIcebergMetadata *
make_metadata(char *message)
{
	FsIcebergMetadata *metadata = calloc(1, sizeof(FsIcebergMetadata));

	message[0] = '\0';
	return metadata;
}

/* See iceberg.h. */
FsIcebergMetadata *
fs_iceberg_metadata_create(const FsIcebergTable *table, const char *uuid, int64_t now_ms, char *message)
{
	FsIcebergMetadata *metadata = make_metadata(message);
	size_t		len = strlen(table->location);

	if (metadata == NULL)
		return NULL;
	metadata->read_updated_ms = now_ms;
	metadata->root = fs_json_new(&metadata->memory, FS_JSON_NODE_OBJECT);
	if (len == 0 || table->location[len - 1] == '/')
		fs_iceberg_fail(message, "the location \"%.300s\" is empty or ends in a slash", table->location);
	else if (metadata->root != NULL && make_root(metadata, table, uuid, now_ms, message))
		return metadata;
	fs_iceberg_metadata_free(metadata);
	return NULL;
}

/*
 * Can the current snapshot be read?  What cannot must not be taken for a table
 * without one: the next commit would replace its content.  There is none where
 * it is not said, or null or -1 is.  False with the message.
 */
static bool
check_current(const FsIcebergMetadata *metadata, char *message)
{
	const FsJsonNode *current = fs_json_get(metadata->root, "current-snapshot-id");
	FsIcebergSnapshot snapshot;
	int64_t		id;

	if (current == NULL || (current->kind == FS_JSON_NODE_RAW && current->len == 4 && memcmp(current->text, "null", 4) == 0))
		return true;
	if (!fs_json_get_number(metadata->root, "current-snapshot-id", &id))
		return fs_iceberg_fail(message, "the metadata has no valid \"%s\"", "current-snapshot-id");
	if (id == FS_ICEBERG_NO_SNAPSHOT || fs_iceberg_find_snapshot(metadata, id, &snapshot))
		return true;
	return fs_iceberg_fail(message, "the current snapshot %lld cannot be read", (long long) id);
}

/* Is there all that version 2 requires and we rely on?  False with the message. */
static bool
check_root(FsIcebergMetadata *metadata, char *message)
{
	static const char *const numbers[] = {
		"last-sequence-number", "last-updated-ms", "last-column-id", "current-schema-id", "default-spec-id",
		"last-partition-id", "default-sort-order-id"
	};
	static const char *const texts[] = {"table-uuid", "location"};
	static const char *const arrays[] = {"schemas", "partition-specs", "sort-orders"};
	const FsJsonNode *root = metadata->root;
	int64_t		value;

	if (root->kind != FS_JSON_NODE_OBJECT)
		return fs_iceberg_fail(message, "the metadata is no JSON object");
	if (!fs_json_get_number(root, "format-version", &value))
		return fs_iceberg_fail(message, "the metadata has no \"format-version\"");
	if (value != FORMAT_VERSION)
		return fs_iceberg_fail(message, "the table has format version %lld, only version 2 is supported",
							   (long long) value);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (!fs_json_get_number(root, numbers[i], &value) || value < 0 || value == INT64_MAX)
			return fs_iceberg_fail(message, "the metadata has no valid \"%s\"", numbers[i]);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (fs_json_get_text(root, texts[i]) == NULL)
			return fs_iceberg_fail(message, "the metadata has no valid \"%s\"", texts[i]);
	for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++)
		if (fs_json_get_array(root, arrays[i]) == NULL)
			return fs_iceberg_fail(message, "the metadata has no valid \"%s\"", arrays[i]);
	return check_current(metadata, message);
}

/* See iceberg.h. */
FsIcebergMetadata *
fs_iceberg_metadata_read(const char *text, size_t len, char *message)
{
	FsIcebergMetadata *metadata = make_metadata(message);
	const char *wrong;
	size_t		at;

	if (metadata == NULL)
		return NULL;
	if (len > FS_ICEBERG_MAX_METADATA)
		fs_iceberg_fail(message, "the metadata has %zu bytes, at most %d are read", len, FS_ICEBERG_MAX_METADATA);
	else
	{
		metadata->root = fs_json_tree_read(&metadata->memory, text, len, &wrong, &at);
		if (metadata->root == NULL && wrong != NULL)
			fs_iceberg_fail(message, "the metadata is not JSON: %s at byte %zu", wrong, at);
		if (metadata->root != NULL && check_root(metadata, message))
		{
			metadata->read_updated_ms = fs_iceberg_last_updated(metadata);
			return metadata;
		}
	}
	fs_iceberg_metadata_free(metadata);
	return NULL;
}

bool
fs_iceberg_metadata_write(const FsIcebergMetadata *metadata, FsBuffer *out)
{
	return fs_json_tree_write(metadata->root, out);
}

/* How many files the log may have. */
static int
log_length(const FsIcebergMetadata *metadata)
{
	int64_t		most = fs_iceberg_property_number(metadata, FS_ICEBERG_KEEP_LOG, LOG_LENGTH);

	return most < 1 ? 1 : most > INT32_MAX / 2 ? INT32_MAX / 2 : (int) most;
}

/* See iceberg.h. */
bool
fs_iceberg_supersede(FsIcebergMetadata *metadata, const char *location, int64_t now_ms, FsIcebergTexts *dropped,
					 char *message)
{
	FsScratch  *memory = &metadata->memory;
	FsJsonNode *log = fs_iceberg_need(metadata, metadata->root, "metadata-log", FS_JSON_NODE_ARRAY);
	FsJsonNode *entry = fs_json_new(memory, FS_JSON_NODE_OBJECT);
	int			most = log_length(metadata);

	if (log == NULL || entry == NULL ||
		!fs_iceberg_set_number(metadata, entry, "timestamp-ms", metadata->read_updated_ms) ||
		!fs_iceberg_set_text(metadata, entry, "metadata-file", location) || !fs_json_append(log, entry) ||
		(dropped != NULL && !fs_iceberg_texts_make(metadata, dropped, log->count)))
		return fs_iceberg_no_memory(message);
	while (log->count > most)
	{
		const char *file = fs_json_get_text(log->first, "metadata-file");

		if (dropped != NULL && file != NULL)
			dropped->texts[dropped->n++] = file;
		fs_json_remove(log, log->first);
	}
	if (now_ms <= fs_iceberg_last_updated(metadata))
		return true;
	return fs_iceberg_done(fs_iceberg_set_number(metadata, metadata->root, "last-updated-ms", now_ms), message);
}

/* Adds the texts that the parts of an array have under a key. */
static void
add_texts(const FsIcebergMetadata *metadata, const char *array_key, const char *key, FsIcebergTexts *texts)
{
	const FsJsonNode *array = fs_json_get_array(metadata->root, array_key);

	for (const FsJsonNode *node = array == NULL ? NULL : array->first; node != NULL; node = node->next)
	{
		const char *text = fs_json_get_text(node, key);

		if (text != NULL)
			texts->texts[texts->n++] = text;
	}
}

/* See iceberg.h. */
bool
fs_iceberg_named_files(FsIcebergMetadata *metadata, FsIcebergTexts *files)
{
	static const struct
	{
		const char *array;
		const char *key;
	}			places[] = {{"snapshots", "manifest-list"}, {"metadata-log", "metadata-file"},
	{"statistics", "statistics-path"}, {"partition-statistics", "statistics-path"}};
	const int	nplaces = sizeof(places) / sizeof(places[0]);
	int			n = 0;

	for (int i = 0; i < nplaces; i++)
	{
		const FsJsonNode *array = fs_json_get_array(metadata->root, places[i].array);

		n += array == NULL ? 0 : array->count;
	}
	if (!fs_iceberg_texts_make(metadata, files, n))
		return false;
	for (int i = 0; i < nplaces; i++)
		add_texts(metadata, places[i].array, places[i].key, files);
	FS_ASSERT(files->n <= n);
	return true;
}

/*
 * What it says
 */

/* A number that check_root() has seen. */
static int64_t
root_number(const FsIcebergMetadata *metadata, const char *key)
{
	int64_t		value = 0;
	bool		found = fs_json_get_number(metadata->root, key, &value);

	FS_ASSERT(found);
	(void) found;
	return value;
}

const char *
fs_iceberg_uuid(const FsIcebergMetadata *metadata)
{
	return fs_json_get_text(metadata->root, "table-uuid");
}

const char *
fs_iceberg_location(const FsIcebergMetadata *metadata)
{
	return fs_json_get_text(metadata->root, "location");
}

int64_t
fs_iceberg_last_sequence(const FsIcebergMetadata *metadata)
{
	return root_number(metadata, "last-sequence-number");
}

int64_t
fs_iceberg_last_updated(const FsIcebergMetadata *metadata)
{
	return root_number(metadata, "last-updated-ms");
}

int32_t
fs_iceberg_schema_id(const FsIcebergMetadata *metadata)
{
	return (int32_t) root_number(metadata, "current-schema-id");
}

int32_t
fs_iceberg_sort_id(const FsIcebergMetadata *metadata)
{
	return (int32_t) root_number(metadata, "default-sort-order-id");
}

const char *
fs_iceberg_property(const FsIcebergMetadata *metadata, const char *key)
{
	return fs_json_get_text(fs_json_get_object(metadata->root, "properties"), key);
}

/* See iceberg.h. */
int64_t
fs_iceberg_property_number(const FsIcebergMetadata *metadata, const char *key, int64_t otherwise)
{
	const char *text = fs_iceberg_property(metadata, key);
	bool		negative = text != NULL && text[0] == '-';
	int64_t		value = 0;

	if (text == NULL || text[negative] == '\0')
		return otherwise;
	for (const char *p = text + negative; *p != '\0'; p++)
		if (*p < '0' || *p > '9' || __builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, *p - '0', &value))
			return otherwise;
	return negative ? -value : value;
}

/* See iceberg.h. */
bool
fs_iceberg_set_property(FsIcebergMetadata *metadata, const char *key, const char *value, char *message)
{
	FsJsonNode *properties = fs_iceberg_need(metadata, metadata->root, "properties", FS_JSON_NODE_OBJECT);
	FsJsonNode *old = fs_json_get(properties, key);

	if (properties == NULL)
		return fs_iceberg_no_memory(message);
	if (value != NULL)
		return fs_iceberg_done(fs_iceberg_set_text(metadata, properties, key, value), message);
	if (old != NULL)
		fs_json_remove(properties, old);
	return true;
}
