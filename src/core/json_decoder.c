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

/* FNV-1a; keys are short, and known ones rarely come here (see FsJsonGap). */
static uint32_t
hash_key(const char *key, size_t len)
{
	uint32_t	hash = 2166136261u;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char) key[i]) * 16777619u;
	return hash;
}

/* The hash slot of a key: the one that holds it, or the free one it would get. */
static int16_t *
find_slot(const FsJsonDecoder *decoder, const char *key, size_t len)
{
	uint32_t	at = hash_key(key, len);

	for (;; at++)
	{
		int16_t    *slot = &decoder->hash[at & decoder->hash_mask];
		const FsField *field;

		if (*slot == FS_JSON_NO_FIELD)
			return slot;
		field = &decoder->columns[*slot].field;
		if (field->name_len == len && memcmp(field->name, key, len) == 0)
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
fs_json_find_field(FsJsonDecoder *decoder, const FsJsonToken *key)
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
	return *find_slot(decoder, name, len);
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
		int16_t    *slot;

		column->field = fields[i];
		column->field.name = names;
		if (fields[i].name_len > 0)
			memcpy(names, fields[i].name, fields[i].name_len);
		names += fields[i].name_len;
		slot = find_slot(decoder, column->field.name, column->field.name_len);
		column->same_key = *slot;
		column->guess = *slot == FS_JSON_NO_FIELD ? guess_value(&fields[i]) : FS_JSON_GUESS_NOTHING;
		column->time_digits = fields[i].unit == FS_UNIT_S ? 0 :
			fields[i].unit == FS_UNIT_MS ? 3 : 6;
		*slot = (int16_t) i;
	}
}

/* See decode.h. */
FsJsonDecoder *
fs_json_decoder_create(const FsField *fields, int nfields)
{
	FsJsonDecoder *decoder;
	size_t		names = 0;
	size_t		longest = 0;
	uint32_t	slots = 8;

	if (nfields < 0 || nfields > INT16_MAX)
		return NULL;
	for (int i = 0; i < nfields; i++)
	{
		names += fields[i].name_len;
		if (fields[i].name_len > longest)
			longest = fields[i].name_len;
	}
	while (slots < (uint32_t) nfields * 2 + 1)
		slots *= 2;
	decoder = calloc(1, sizeof(FsJsonDecoder));
	if (decoder == NULL)
		return NULL;
	decoder->ncolumns = nfields;
	decoder->hash_mask = slots - 1;
	decoder->max_key = longest * 6; /* every byte as \u00NN */
	decoder->columns = calloc((size_t) nfields + 1, sizeof(FsJsonColumn));
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
	const FsJsonRefusal *first = NULL;
	const FsField *field;

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
	field = &decoder->columns[error->field].field;
	fs_utf8_print(name, SHOWN_BYTES, field->name, field->name_len);
	fs_utf8_print(value, SHOWN_BYTES, first->start,
				  (size_t) (first->end - first->start));
	fs_json_write_misfit(why, sizeof(why), first->misfit, field);
	snprintf(error->message, sizeof(error->message),
			 "field \"%s\" has value %s%s", name, value, why);
	return false;
}
