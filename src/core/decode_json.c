/*
 * decode_json.c
 *		JSON records, straight from bytes to the declared columns.
 *
 * A record is read once, front to back, without a tree: each value becomes a
 * token, and the token of a declared field becomes its column's value at once.
 * Only a record that is wrong costs more than that.
 *
 * Producers write their records all alike, so the decoder remembers what stood
 * *between* the values of earlier records (the "gap": `{"user_id": ` and
 * `, "item_id": ` and so on) together with the field it announced.  A gap that
 * matches byte for byte replaces the search for commas, keys, colons and the
 * look-up of the name.  This is safe because a gap was read under the grammar
 * from one of two states (start of record, after a value) to one state (a value
 * comes next): the same bytes from the same state can only mean the same.  A
 * field that is left out now and then is met by trying the next gap, too.
 *
 * Two kinds of failure: the record is no JSON object (read functions return
 * NULL, FsReason malformed), or a value does not fit its column.  The latter is
 * noted and reading goes on: the rest may be malformed, and a later occurrence
 * of the same key replaces the value.
 *
 * A decoder is used by one thread at a time.  What a wrong record is told in
 * words is at the end of the file.
 */
#include "core/decode.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json_column.h"
#include "core/json_scan.h"
#include "core/scratch.h"
#include "core/utf8.h"

#define MAX_RECORD	((size_t) INT32_MAX)	/* lengths are 32 bits wide */
#define MAX_GAPS	64
#define MAX_GAP		112			/* bytes of a gap worth remembering */
#define NO_FIELD	(-1)
#define NO_MASK		UINT32_MAX
#define SHOWN_BYTES	60			/* of a name or value in a message */

/* What is tried first of all with a value, because it nearly always succeeds. */
typedef enum Guess
{
	GUESS_NOTHING,
	GUESS_TEXT,					/* a string without escapes, for a text column or none */
	GUESS_TIME					/* a number of the plainest form, for a time */
} Guess;

/* What stood before a value in an earlier record. */
typedef struct Gap
{
	int16_t		field;
	int16_t		len;			/* 0: nothing remembered */
	Guess		guess;			/* for the value */
	uint32_t	short_mask;		/* its bytes, a bit each; NO_MASK: none, or more than a load takes */
	char		bytes[MAX_GAP];
} Gap;

/* A declared field, and the next one that reads the same key. */
typedef struct Column
{
	FsField		field;			/* its name points into 'names' */
	int			same_key;		/* a greater index, or NO_FIELD */
	Guess		guess;			/* if it is alone with its key */
	int			time_digits;	/* of the unit's fraction of a second: 0, 3, 6 */
} Column;

/* A declared field whose last value did not fit; or FS_MISFIT_NONE. */
typedef struct Refusal
{
	FsMisfit	misfit;
	const char *start;			/* the value */
	const char *end;
} Refusal;

struct FsJsonDecoder
{
	/* Made once */
	int			ncolumns;
	Column	   *columns;
	Refusal    *refusals;		/* one per column */
	char	   *names;
	char	   *key;			/* room to unescape the longest key that can match */
	size_t		max_key;		/* its bytes as written */
	uint32_t	hash_mask;
	int16_t    *hash;			/* open addressing; NO_FIELD is free */

	/* Since the last reset */
	FsScratch	scratch;

	/* Learnt from earlier records */
	Gap			gaps[MAX_GAPS + 1];	/* the last one is never learnt */

	/* The record being read */
	FsJsonScan	scan;
	FsValue    *values;
	int			nrefusals;
	bool		no_memory;
};

/*
 * Field names
 */

/* FNV-1a; keys are short, and known ones rarely come here (see Gap). */
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

		if (*slot == NO_FIELD)
			return slot;
		field = &decoder->columns[*slot].field;
		if (field->name_len == len && memcmp(field->name, key, len) == 0)
			return slot;
	}
}

static Guess
guess_value(const FsField *field)
{
	if (field->type == FS_TYPE_TEXT)
		return GUESS_TEXT;
	if (field->type == FS_TYPE_TIMESTAMPTZ &&
		field->unit != FS_UNIT_NONE && field->unit != FS_UNIT_ISO8601)
		return GUESS_TIME;
	return GUESS_NOTHING;
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
		Column	   *column = &decoder->columns[i];
		int16_t    *slot;

		column->field = fields[i];
		column->field.name = names;
		if (fields[i].name_len > 0)
			memcpy(names, fields[i].name, fields[i].name_len);
		names += fields[i].name_len;
		slot = find_slot(decoder, column->field.name, column->field.name_len);
		column->same_key = *slot;
		column->guess = *slot == NO_FIELD ? guess_value(&fields[i]) : GUESS_NOTHING;
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
	decoder->columns = calloc((size_t) nfields + 1, sizeof(Column));
	decoder->refusals = calloc((size_t) nfields + 1, sizeof(Refusal));
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
	for (int i = 0; i <= MAX_GAPS; i++)
		decoder->gaps[i].short_mask = NO_MASK;
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
 * Values
 */

/* Notes what became of a field's value; a later one makes up for a misfit. */
static void
note_misfit(FsJsonDecoder *decoder, int index, const FsJsonToken *token,
			FsMisfit misfit)
{
	Refusal    *refusal = &decoder->refusals[index];

	if (misfit == FS_MISFIT_NO_MEMORY)
	{
		decoder->no_memory = true;
		return;
	}
	decoder->nrefusals += (misfit != FS_MISFIT_NONE) -
		(refusal->misfit != FS_MISFIT_NONE);
	assert(decoder->nrefusals >= 0);
	refusal->misfit = misfit;
	refusal->start = token->start;
	refusal->end = token->end;
}

/*
 * Reads the value at 'p' into the columns that read it, 'index' being the first
 * of them or NO_FIELD.  Returns the byte after it.
 */
static const char *
read_value(FsJsonDecoder *decoder, const char *p, int index)
{
	FsJsonToken token;

	p = fs_json_scan_value(&decoder->scan, p, &token);
	if (p == NULL)
		return NULL;
	for (; index != NO_FIELD; index = decoder->columns[index].same_key)
	{
		FsValue    *value = &decoder->values[index];
		FsMisfit	misfit = FS_MISFIT_NONE;

		value->presence = FS_NULL;
		if (token.kind != FS_JSON_NULL)
		{
			misfit = fs_json_take_value(&decoder->scratch,
										&decoder->columns[index].field,
										&token, value);
			value->presence = FS_PRESENT;
		}
		if (misfit != FS_MISFIT_NONE || decoder->nrefusals > 0)
			note_misfit(decoder, index, &token, misfit);
	}
	return p;
}

/*
 * The same, first trying what is most common, without a token.  Once a value of
 * the record did not fit, each has to be told to note_misfit().
 */
static inline const char *
read_common_value(FsJsonDecoder *decoder, const char *p, const char *end, FsValue *values,
				  int index, Guess guess)
{
	const char *next;

	if (decoder->nrefusals > 0)
		return read_value(decoder, p, index);
	if (guess == GUESS_TEXT && p < end && *p == '"')
	{
		next = fs_json_find_special(p + 1, end);
		if (next < end && *next == '"')
		{
			if (index != NO_FIELD)
			{
				values[index].presence = FS_PRESENT;
				values[index].len = (uint32_t) (next - p - 1);
				values[index].data = p + 1;
			}
			return next + 1;
		}
	}
	else if (guess == GUESS_TIME)
	{
		next = fs_number_scan_time(p, end, decoder->columns[index].time_digits, &values[index].i);
		if (next != NULL)
		{
			values[index].presence = FS_PRESENT;
			return next;
		}
	}
	return read_value(decoder, p, index);
}

/*
 * The record's object
 */

/* Does the record go on at 'p' with the bytes of the gap? */
static inline bool
is_gap(const Gap *gap, const char *p, const char *end)
{
	size_t		len = (size_t) gap->len;
	const char *bytes = gap->bytes;

#ifdef __SSE2__
	/* mostly one comparison tells */
	if (end - p >= 16)
	{
		__m128i		here = _mm_loadu_si128((const __m128i *) (const void *) p);
		__m128i		there = _mm_loadu_si128((const __m128i *) (const void *) bytes);
		unsigned	same = (unsigned) _mm_movemask_epi8(_mm_cmpeq_epi8(here, there));

		if ((~same & gap->short_mask) == 0)
			return true;
		if (gap->short_mask != NO_MASK)
			return false;
	}
#endif
	if ((size_t) (end - p) < len)
		return false;
	if (len < 8)
		return len > 0 && memcmp(p, bytes, len) == 0;
	/* words from the front, and a last one that ends with the gap */
	for (size_t at = 0; at + 8 < len; at += 8)
	{
		if (fs_utf8_load(p + at) != fs_utf8_load(bytes + at))
			return false;
	}
	return fs_utf8_load(p + len - 8) == fs_utf8_load(bytes + len - 8);
}

/* What to try first with a value of the field, or of none. */
static inline Guess
guess_of(const FsJsonDecoder *decoder, int field)
{
	return field == NO_FIELD ? GUESS_TEXT : decoder->columns[field].guess;
}

/* Remembers the gap from 'p' to 'end' as the one that stands at this place. */
static void
learn_gap(FsJsonDecoder *decoder, Gap *gap, const char *p, const char *end,
		  int field)
{
	size_t		len = (size_t) (end - p);

	if (gap == &decoder->gaps[MAX_GAPS])
		return;
	if (len > MAX_GAP)
		len = 0;
	memcpy(gap->bytes, p, len);
	gap->len = (int16_t) len;
	gap->short_mask = len > 0 && len <= 16 ? (UINT32_C(1) << len) - 1 : NO_MASK;
	gap->field = (int16_t) field;
	gap->guess = guess_of(decoder, field);
}

/* The first column that reads the key, or NO_FIELD. */
static int
find_field(FsJsonDecoder *decoder, const FsJsonToken *key)
{
	const char *name = key->start + 1;
	size_t		len = (size_t) (key->end - key->start) - 2;

	if (len > decoder->max_key ||
		(key->seen & (FS_JSON_SEEN_NUL | FS_JSON_SEEN_SURROGATE)))
		return NO_FIELD;
	if (key->seen & FS_JSON_SEEN_ESCAPE)
	{
		len = fs_json_unescape(decoder->key, name, key->end - 1);
		name = decoder->key;
	}
	return *find_slot(decoder, name, len);
}

/*
 * Reads from the start of the record, or from the end of a value, to the next
 * value, whose field it finds.  At the end of the object instead: *is_closed,
 * and the byte after it.
 */
static const char *
read_gap(FsJsonDecoder *decoder, const char *p, int *field, bool *is_closed)
{
	FsJsonScan *scan = &decoder->scan;
	const char *end = scan->end;
	bool		is_first = p == scan->begin;
	FsJsonToken key;

	*field = NO_FIELD;
	p = fs_json_skip_space(p, end);
	if (is_first)
	{
		if (p == end || *p != '{')
			return fs_json_fail(scan, p, "expected an object");
		p = fs_json_skip_space(p + 1, end);
	}
	if (p < end && *p == '}')
	{
		*is_closed = true;
		return p + 1;
	}
	if (!is_first)
	{
		if (p == end || *p != ',')
			return fs_json_fail(scan, p, "expected \",\" or \"}\"");
		p = fs_json_skip_space(p + 1, end);
	}
	p = fs_json_scan_key(scan, p, &key);
	if (p != NULL)
		*field = find_field(decoder, &key);
	return p;
}

/*
 * The gap that the record goes on with at 'p' by what earlier records had there:
 * at place 'gap' or, a field being left out, at the place after it.  NULL when
 * this record goes on differently.
 */
static inline Gap *
follow_gap(FsJsonDecoder *decoder, const char *p, const char *end, Gap *gap)
{
	if (is_gap(gap, p, end))
		return gap;
	/* the first gap begins a record, and no other does */
	if (gap == decoder->gaps || gap == &decoder->gaps[MAX_GAPS] ||
		!is_gap(gap + 1, p, end))
		return NULL;
	return gap + 1;
}

/* Reads the whole record into values[]; false when it is malformed. */
static inline bool
read_record(FsJsonDecoder *decoder, const char *p, const char *end, FsValue *values)
{
	Gap		   *place = decoder->gaps;	/* of the next gap */
	bool		is_closed = false;

	while (!is_closed)
	{
		Gap		   *gap = follow_gap(decoder, p, end, place);
		int			field;
		Guess		guess;

		if (gap != NULL)
		{
			place = gap;
			p += gap->len;
			field = gap->field;
			guess = gap->guess;
		}
		else
		{
			const char *next = read_gap(decoder, p, &field, &is_closed);

			if (next == NULL)
				return false;
			guess = guess_of(decoder, field);
			if (!is_closed)
				learn_gap(decoder, place, p, next, field);
			p = next;
			if (is_closed)
				break;
		}
		p = read_common_value(decoder, p, end, values, field, guess);
		if (p == NULL)
			return false;
		if (place < &decoder->gaps[MAX_GAPS])
			place++;
		if (p < end && *p == '}')
		{
			is_closed = true;
			p++;
		}
	}
	p = fs_json_skip_space(p, end);
	if (p < end)
		fs_json_fail(&decoder->scan, p, "expected nothing after the object");
	return p == end;
}

/*
 * What is wrong, in words
 */

/* Fills *error for a record that is malformed at 'at'; always false. */
static bool
refuse_record(FsDecodeError *error, const char *begin, const char *at,
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

/* Fills *error for the first misfit of the record; always false. */
static bool
refuse_value(const FsJsonDecoder *decoder, FsDecodeError *error)
{
	char		name[SHOWN_BYTES + 4];
	char		value[SHOWN_BYTES + 4];
	char		why[80];
	const Refusal *first = NULL;
	const FsField *field;

	for (int i = 0; i < decoder->ncolumns; i++)
	{
		const Refusal *refusal = &decoder->refusals[i];

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

/* Makes the decoder ready for a record. */
static inline void
begin_record(FsJsonDecoder *decoder, const char *bytes, size_t len,
			 FsValue *values)
{
	decoder->scan.begin = bytes;
	decoder->scan.end = bytes + len;
	decoder->values = values;
	decoder->no_memory = false;
	for (FsValue *value = values; value < values + decoder->ncolumns; value++)
		value->presence = FS_ABSENT;
	if (decoder->nrefusals > 0)
	{
		memset(decoder->refusals, 0,
			   (size_t) decoder->ncolumns * sizeof(Refusal));
		decoder->nrefusals = 0;
	}
}

/* See decode.h. */
bool
fs_json_decode(FsJsonDecoder *decoder, const char *bytes, size_t len,
			   FsValue *values, FsDecodeError *error)
{
	const char *end = bytes + len;
	size_t		valid;

	assert(bytes != NULL);
	if (len == 0)
	{
		refuse_record(error, bytes, bytes, end, "empty value");
		snprintf(error->message, sizeof(error->message), "empty value");
		return false;
	}
	if (len > MAX_RECORD)
		return refuse_record(error, bytes, end, end, "record too long");
	valid = fs_utf8_valid_length(bytes, len);
	if (valid < len)
		return refuse_record(error, bytes, bytes + valid, end,
							 "invalid UTF-8");
	begin_record(decoder, bytes, len, values);
	if (!read_record(decoder, bytes, end, values))
		return refuse_record(error, bytes, decoder->scan.wrong_at, end,
							 decoder->scan.wrong);
	if (decoder->no_memory)
	{
		error->reason = FS_REASON_NONE;
		error->field = -1;
		error->position = 0;
		snprintf(error->message, sizeof(error->message), "out of memory");
		return false;
	}
	return decoder->nrefusals == 0 || refuse_value(decoder, error);
}
