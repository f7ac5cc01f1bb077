/*
 * json_decoder.c
 *		The JSON decoder but for the reading: its fields by name, its making, and
 *		what is told of a wrong record.
 */
#include "core/json_decoder.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"

#define SHOWN_BYTES	60			/* of a name or value in a message */

/*
 * Field names
 */

/* Like FNV-1a, four bytes at a time; keys are short, and known ones rarely come here (see FsJsonGap). */
static uint32_t
hash_key(int parent, const char *key, size_t len)
{
	uint32_t	hash = 2166136261u ^ (uint32_t) parent;
	uint32_t	word;

	for (; len >= 4; len -= 4, key += 4)
	{
		memcpy(&word, key, 4);
		hash = (hash ^ word) * 16777619u;
		hash ^= hash >> 15;
	}
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char) key[i]) * 16777619u;
	return hash ^ hash >> 15;
}

/* The hash slot of a key in an object: the one that holds it, or the free one it would get. */
static int32_t *
find_slot(const FsJsonDecoder *decoder, int parent, const char *key, size_t len)
{
	uint32_t	at = hash_key(parent, key, len);

	for (;; at++)
	{
		int32_t    *slot = &decoder->hash[at & decoder->hash_mask];
		const FsJsonColumn *entry;

		if (*slot == FS_JSON_NO_FIELD)
			return slot;
		entry = &decoder->columns[*slot];
		if (entry->parent == parent && entry->key_len == len && memcmp(entry->key, key, len) == 0)
			return slot;
	}
}

/* What to try first with values of a field. */
static FsJsonGuess
guess_value(const FsField *field)
{
	if (field->type == FS_TYPE_TEXT)
		return FS_JSON_GUESS_TEXT;
	if (field->type == FS_TYPE_TIMESTAMPTZ &&
		field->unit != FS_UNIT_NONE && field->unit != FS_UNIT_ISO8601)
		return FS_JSON_GUESS_TIME;
	return FS_JSON_GUESS_NOTHING;
}

/* See json_decoder.h. */
int
fs_json_find_field(FsJsonDecoder *decoder, int parent, const FsJsonToken *key)
{
	const char *name = key->start + 1;
	size_t		len = (size_t) (key->end - key->start) - 2;

	if (len > decoder->max_key ||
		(key->seen & (FS_JSON_SEEN_NUL | FS_JSON_SEEN_SURROGATE)))
		return FS_JSON_NO_FIELD;
	if (key->seen & FS_JSON_SEEN_ESCAPE)
	{
		len = fs_json_unescape(decoder->key, name, key->end - 1);
		name = decoder->key;
	}
	return *find_slot(decoder, parent, name, len);
}

/* Enters a key in an object, as the head of those that read it; its entry's index is given. */
static void
enter_key(FsJsonDecoder *decoder, int index, int parent, const char *key, size_t len, int column)
{
	FsJsonColumn *entry = &decoder->columns[index];
	int32_t    *slot = find_slot(decoder, parent, key, len);

	entry->parent = parent;
	entry->key = key;
	entry->key_len = len;
	entry->column = column;
	entry->same_key = *slot;
	*slot = index;
}

/* The entry of an object that paths lead into, which is made when it is not there. */
static int
enter_node(FsJsonDecoder *decoder, int parent, const char *key, size_t len)
{
	int			index = *find_slot(decoder, parent, key, len);

	while (index != FS_JSON_NO_FIELD && decoder->columns[index].column >= 0)
		index = decoder->columns[index].same_key;
	if (index != FS_JSON_NO_FIELD)
		return index;
	index = decoder->nentries++;
	enter_key(decoder, index, parent, key, len, -1);
	decoder->columns[index].guess = FS_JSON_GUESS_NOTHING;
	return index;
}

/* Enters the path of a declared field whose name has dots. */
static void
enter_path(FsJsonDecoder *decoder, int column)
{
	const char *key = decoder->columns[column].field.name;
	const char *end = key + decoder->columns[column].field.name_len;
	const char *dot = memchr(key, '.', (size_t) (end - key));
	int			parent = FS_JSON_ROOT;

	if (dot == NULL)
		return;
	for (; dot != NULL; dot = memchr(key, '.', (size_t) (end - key)))
	{
		parent = enter_node(decoder, parent, key, (size_t) (dot - key));
		key = dot + 1;
	}
	enter_key(decoder, decoder->nentries++, parent, key, (size_t) (end - key), column);
}

/* How many entries the fields need at most: one each, and one for each part of a path. */
static size_t
count_entries(const FsField *fields, int nfields)
{
	size_t		count = 0;

	for (int i = 0; i < nfields; i++)
	{
		int			dots = 0;

		for (size_t at = 0; at < fields[i].name_len; at++)
			dots += fields[i].name[at] == '.';
		count += dots == 0 ? 1 : (size_t) dots + 2;
	}
	return count;
}

/* Copies the names of the fields and enters them into the hash table. */
static void
enter_fields(FsJsonDecoder *decoder, const FsField *fields)
{
	char	   *names = decoder->names;

	memset(decoder->hash, 0xFF,
		   (decoder->hash_mask + 1) * sizeof(*decoder->hash));
	/* backwards, so that the first of several with one key is its head */
	for (int i = decoder->ncolumns - 1; i >= 0; i--)
	{
		FsJsonColumn *column = &decoder->columns[i];

		column->field = fields[i];
		column->field.name = names;
		if (fields[i].name_len > 0)
			memcpy(names, fields[i].name, fields[i].name_len);
		names += fields[i].name_len;
		enter_key(decoder, i, FS_JSON_ROOT, column->field.name, column->field.name_len, i);
		column->is_plain = !fs_type_is_array(fields[i].type);
		column->guess = column->same_key == FS_JSON_NO_FIELD ? guess_value(&fields[i]) : FS_JSON_GUESS_NOTHING;
		column->time_digits = fields[i].unit == FS_UNIT_S ? 0 :
			fields[i].unit == FS_UNIT_MS ? 3 : 6;
	}
	for (int i = decoder->ncolumns - 1; i >= 0; i--)
		enter_path(decoder, i);
}

/* See decode.h. */
FsJsonDecoder *
fs_json_decoder_create(const FsField *fields, int nfields)
{
	FsJsonDecoder *decoder;
	size_t		names = 0;
	size_t		longest = 0;
	uint32_t	slots = 8;
	size_t		entries = count_entries(fields, nfields);

	if (nfields < 0 || nfields > INT16_MAX || entries > INT32_MAX / 4)
		return NULL;
	for (int i = 0; i < nfields; i++)
	{
		names += fields[i].name_len;
		if (fields[i].name_len > longest)
			longest = fields[i].name_len;
	}
	while (slots < (uint32_t) entries * 2 + 1)
		slots *= 2;
	decoder = calloc(1, sizeof(FsJsonDecoder));
	if (decoder == NULL)
		return NULL;
	decoder->ncolumns = decoder->nentries = nfields;
	decoder->hash_mask = slots - 1;
	decoder->max_key = longest * 6; /* every byte as \u00NN */
	decoder->columns = calloc(entries + 1, sizeof(FsJsonColumn));
	decoder->refusals = calloc((size_t) nfields + 1, sizeof(FsJsonRefusal));
	decoder->hash = calloc(slots, sizeof(*decoder->hash));
	decoder->names = malloc(names + 1);
	decoder->key = malloc(decoder->max_key + 1);
	if (decoder->columns == NULL || decoder->refusals == NULL ||
		decoder->hash == NULL || decoder->names == NULL ||
		decoder->key == NULL)
	{
		fs_json_decoder_free(decoder);
		return NULL;
	}
	enter_fields(decoder, fields);
	for (int i = 0; i <= FS_JSON_MAX_GAPS; i++)
		decoder->gaps[i].short_mask = FS_JSON_NO_MASK;
	return decoder;
}

/* See decode.h; NULL is nothing to free. */
void
fs_json_decoder_free(FsJsonDecoder *decoder)
{
	if (decoder == NULL)
		return;
	fs_scratch_free(&decoder->scratch);
	fs_buffer_free(&decoder->items);
	free(decoder->columns);
	free(decoder->refusals);
	free(decoder->hash);
	free(decoder->names);
	free(decoder->key);
	free(decoder);
}

/* See decode.h. */
void
fs_json_decoder_reset(FsJsonDecoder *decoder)
{
	fs_scratch_reset(&decoder->scratch);
	if (decoder->items.cap > 1024 * 1024)
		fs_buffer_free(&decoder->items);
}

/*
 * What is wrong, in words
 */

/* See json_decoder.h. */
bool
fs_json_refuse_record(FsDecodeError *error, const char *begin, const char *at,
					  const char *end, const char *wrong)
{
	char		found[SHOWN_BYTES + 4];

	error->reason = FS_REASON_MALFORMED;
	error->field = -1;
	error->position = (size_t) (at - begin);
	fs_utf8_print(found, 20, at, (size_t) (end - at));
	if (at == end)
		snprintf(error->message, sizeof(error->message),
				 "%s at byte %zu, where the record ends", wrong,
				 error->position);
	else
		snprintf(error->message, sizeof(error->message),
				 "%s at byte %zu, found: %s", wrong, error->position, found);
	return false;
}

/* See json_decoder.h. */
bool
fs_json_refuse_value(const FsJsonDecoder *decoder, FsDecodeError *error)
{
	char		name[SHOWN_BYTES + 4];
	char		value[SHOWN_BYTES + 4];
	char		why[80];
	char		item[16] = "";
	const FsJsonRefusal *first = NULL;
	FsField		field;

	for (int i = 0; i < decoder->ncolumns; i++)
	{
		const FsJsonRefusal *refusal = &decoder->refusals[i];

		if (refusal->misfit != FS_MISFIT_NONE &&
			(first == NULL || refusal->start < first->start))
			first = refusal;
	}
	assert(first != NULL);
	error->reason = FS_REASON_BAD_VALUE;
	error->field = (int) (first - decoder->refusals);
	error->position = (size_t) (first->start - decoder->scan.begin);
	field = decoder->columns[error->field].field;
	if (first->item != FS_JSON_NO_ITEM)
	{
		snprintf(item, sizeof(item), "[%d]", first->item);
		field.type = fs_type_element(field.type);
	}
	fs_utf8_print(name, SHOWN_BYTES, field.name, field.name_len);
	fs_utf8_print(value, SHOWN_BYTES, first->start,
				  (size_t) (first->end - first->start));
	fs_json_write_misfit(why, sizeof(why), first->misfit, &field);
	snprintf(error->message, sizeof(error->message),
			 "field \"%s%s\" has value %s%s", name, item, value, why);
	return false;
}
