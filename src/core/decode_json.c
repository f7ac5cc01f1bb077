/*
 * decode_json.c
 *		JSON records, straight from bytes to the declared columns.
 *
 * A record is read once, front to back, without a tree: each value becomes a
 * token, and the token of a declared field becomes its column's value at once (or that of
 * an array or object is looked into: json_nested.c).
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
 * A decoder is used by one thread at a time.  It is made, and what is wrong put
 * into words, in json_decoder.c.
 */
#include "core/decode.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/json_column.h"
#include "core/json_decoder.h"
#include "core/utf8.h"

#define MAX_RECORD	((size_t) INT32_MAX)	/* lengths are 32 bits wide */

/*
 * Values
 */

/*
 * Reads the value at 'p' into the columns that read it, 'index' being the first
 * of them or FS_JSON_NO_FIELD.  Returns the byte after it.
 */
static const char *
read_value(FsJsonDecoder *decoder, const char *p, int index)
{
	FsJsonToken token;

	p = fs_json_scan_value(&decoder->scan, p, &token);
	if (p == NULL)
		return NULL;
	for (; index != FS_JSON_NO_FIELD; index = decoder->columns[index].same_key)
	{
		if (decoder->columns[index].is_plain)
			fs_json_take_plain(decoder, &token, index);
		else
			fs_json_take_nested(decoder, &token, index);
	}
	return p;
}

/*
 * The same, first trying what is most common, without a token.  Once a value of
 * the record did not fit, each has to be told to fs_json_note_misfit().
 */
static inline const char *
read_common_value(FsJsonDecoder *decoder, const char *p, const char *end, FsValue *values,
				  int index, FsJsonGuess guess)
{
	const char *next;

	if (decoder->nrefusals > 0)
		return read_value(decoder, p, index);
	if (guess == FS_JSON_GUESS_TEXT && p < end && *p == '"')
	{
		next = fs_json_find_special(p + 1, end);
		if (next < end && *next == '"')
		{
			if (index != FS_JSON_NO_FIELD)
			{
				values[index].presence = FS_PRESENT;
				values[index].len = (uint32_t) (next - p - 1);
				values[index].data = p + 1;
			}
			return next + 1;
		}
	}
	else if (guess == FS_JSON_GUESS_TIME)
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
is_gap(const FsJsonGap *gap, const char *p, const char *end)
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
		if (gap->short_mask != FS_JSON_NO_MASK)
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
static inline FsJsonGuess
guess_of(const FsJsonDecoder *decoder, int field)
{
	return field == FS_JSON_NO_FIELD ? FS_JSON_GUESS_TEXT : decoder->columns[field].guess;
}

/* Remembers the gap from 'p' to 'end' as the one that stands at this place. */
static void
learn_gap(FsJsonDecoder *decoder, FsJsonGap *gap, const char *p, const char *end,
		  int field)
{
	size_t		len = (size_t) (end - p);

	if (gap == &decoder->gaps[FS_JSON_MAX_GAPS])
		return;
	if (len > FS_JSON_MAX_GAP)
		len = 0;
	memcpy(gap->bytes, p, len);
	gap->len = (int32_t) len;
	gap->short_mask = len > 0 && len <= 16 ? (UINT32_C(1) << len) - 1 : FS_JSON_NO_MASK;
	gap->field = field;
	gap->guess = guess_of(decoder, field);
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

	*field = FS_JSON_NO_FIELD;
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
		*field = fs_json_find_field(decoder, FS_JSON_ROOT, &key);
	return p;
}

/*
 * The gap that the record goes on with at 'p' by what earlier records had there:
 * at place 'gap' or, a field being left out, at the place after it.  NULL when
 * this record goes on differently.
 */
static inline FsJsonGap *
follow_gap(FsJsonDecoder *decoder, const char *p, const char *end, FsJsonGap *gap)
{
	if (is_gap(gap, p, end))
		return gap;
	/* the first gap begins a record, and no other does */
	if (gap == decoder->gaps || gap == &decoder->gaps[FS_JSON_MAX_GAPS] ||
		!is_gap(gap + 1, p, end))
		return NULL;
	return gap + 1;
}

/* Reads the whole record into values[]; false when it is malformed. */
static inline bool
read_record(FsJsonDecoder *decoder, const char *p, const char *end, FsValue *values)
{
	FsJsonGap  *place = decoder->gaps;	/* of the next gap */
	bool		is_closed = false;

	while (!is_closed)
	{
		FsJsonGap  *gap = follow_gap(decoder, p, end, place);
		int			field;
		FsJsonGuess guess;

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
		if (place < &decoder->gaps[FS_JSON_MAX_GAPS])
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

/* Makes the decoder ready for a record. */
static inline void
begin_record(FsJsonDecoder *decoder, const char *bytes, size_t len,
			 FsValue *values)
{
	decoder->scan.begin = bytes;
	decoder->scan.end = bytes + len;
	decoder->values = values;
	decoder->no_memory = false;
	decoder->nrecords++;
	for (FsValue *value = values; value < values + decoder->ncolumns; value++)
		value->presence = FS_ABSENT;
	if (decoder->nrefusals > 0)
	{
		memset(decoder->refusals, 0,
			   (size_t) decoder->ncolumns * sizeof(FsJsonRefusal));
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
		fs_json_refuse_record(error, bytes, bytes, end, "empty value");
		snprintf(error->message, sizeof(error->message), "empty value");
		return false;
	}
	if (len > MAX_RECORD)
		return fs_json_refuse_record(error, bytes, end, end, "record too long");
	valid = fs_utf8_valid_length(bytes, len);
	if (valid < len)
		return fs_json_refuse_record(error, bytes, bytes + valid, end,
							 "invalid UTF-8");
	begin_record(decoder, bytes, len, values);
	if (!read_record(decoder, bytes, end, values))
		return fs_json_refuse_record(error, bytes, decoder->scan.wrong_at, end,
							 decoder->scan.wrong);
	if (decoder->no_memory)
	{
		error->reason = FS_REASON_NONE;
		error->field = -1;
		error->position = 0;
		snprintf(error->message, sizeof(error->message), "out of memory");
		return false;
	}
	return decoder->nrefusals == 0 || fs_json_refuse_value(decoder, error);
}
