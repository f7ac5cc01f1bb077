/*
 * json_scan.c
 *		The grammar of JSON (RFC 8259): values and keys, as tokens.
 *
 * Strings are searched sixteen bytes at a time (eight, without SSE2) for what
 * ends a run of plain characters; escapes are only checked here, and decoded
 * when somebody wants the characters.  Nested values are read by a loop that
 * keeps one bit a level.
 */
#include "core/json_scan.h"

#include <assert.h>
#include <string.h>

#include "core/decode.h"
#include "core/utf8.h"

/* See json_scan.h. */
const char *
fs_json_fail(FsJsonScan *scan, const char *at, const char *wrong)
{
	assert(at >= scan->begin && at <= scan->end);
	scan->wrong = wrong;
	scan->wrong_at = at;
	return NULL;
}

/* See json_scan.h. */
int
fs_json_read_hex4(const char *p, const char *end)
{
	int			value = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++)
	{
		char		c = p[i];

		if (c >= '0' && c <= '9')
			value = value * 16 + (c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			value = value * 16 + ((c | 0x20) - 'a' + 10);
		else
			return -1;
	}
	return value;
}

/* Code unit of the \uXXXX at 'p', or -1 when there is no such thing. */
static int
read_unit(const char *p, const char *end)
{
	if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	return fs_json_read_hex4(p + 2, end);
}

static inline bool
is_high_surrogate(int unit)
{
	return unit >= 0xD800 && unit <= 0xDBFF;
}

static inline bool
is_low_surrogate(int unit)
{
	return unit >= 0xDC00 && unit <= 0xDFFF;
}

/*
 * Reads the escape whose backslash is at 'p', both halves of a surrogate pair
 * at once, and notes in *seen what it holds.  Returns the byte after it.
 */
static const char *
scan_escape(FsJsonScan *scan, const char *p, unsigned *seen)
{
	const char *end = scan->end;
	int			unit;

	*seen |= FS_JSON_SEEN_ESCAPE;
	if (end - p < 2)
		return fs_json_fail(scan, end, "string is not closed");
	if (p[1] != 'u')
	{
		if (p[1] == '\0' || strchr("\"\\/bfnrt", p[1]) == NULL)
			return fs_json_fail(scan, p, "invalid escape in string");
		return p + 2;
	}
	unit = read_unit(p, end);
	if (unit < 0)
		return fs_json_fail(scan, p, "\\u needs four hexadecimal digits");
	if (unit == 0)
		*seen |= FS_JSON_SEEN_NUL;
	if (is_high_surrogate(unit) && is_low_surrogate(read_unit(p + 6, end)))
		return p + 12;
	if (is_high_surrogate(unit) || is_low_surrogate(unit))
		*seen |= FS_JSON_SEEN_SURROGATE;
	return p + 6;
}

/*
 * Finds the end of the string whose first byte after the quote is 'p', and
 * notes in *seen what it holds.  Returns its closing quote.
 */
static inline const char *
scan_string(FsJsonScan *scan, const char *p, unsigned *seen)
{
	for (;;)
	{
		p = fs_json_find_special(p, scan->end);
		if (p == scan->end)
			return fs_json_fail(scan, p, "string is not closed");
		if (*p == '"')
			return p;
		if (*p != '\\')
			return fs_json_fail(scan, p,
						"control character in string is not escaped");
		p = scan_escape(scan, p, seen);
		if (p == NULL)
			return NULL;
	}
}

/* The character that backslash and 'c' stand for. */
static char
simple_escape(char c)
{
	switch (c)
	{
		case 'b':
			return '\b';
		case 'f':
			return '\f';
		case 'n':
			return '\n';
		case 'r':
			return '\r';
		case 't':
			return '\t';
		default:
			return c;
	}
}

/* See json_scan.h. */
size_t
fs_json_unescape(char *out, const char *p, const char *end)
{
	char	   *start = out;

	while (p < end)
	{
		const char *slash = memchr(p, '\\', (size_t) (end - p));
		size_t		run = (size_t) ((slash != NULL ? slash : end) - p);
		uint32_t	code;

		memcpy(out, p, run);
		out += run;
		p += run;
		if (slash == NULL)
			break;
		if (p[1] != 'u')
		{
			*out++ = simple_escape(p[1]);
			p += 2;
			continue;
		}
		code = (uint32_t) read_unit(p, end);
		p += 6;
		if (is_high_surrogate((int) code))
		{
			code = 0x10000 + ((code - 0xD800) << 10) +
				(uint32_t) read_unit(p, end) - 0xDC00;
			p += 6;
		}
		out = fs_utf8_encode(out, code);
	}
	return (size_t) (out - start);
}

/*
 * Tokens
 */

/* Reads the word 'word' at 'p'. */
static const char *
scan_word(FsJsonScan *scan, const char *p, const char *word)
{
	size_t		len = strlen(word);

	if ((size_t) (scan->end - p) < len || memcmp(p, word, len) != 0)
		return fs_json_fail(scan, p, "expected a value");
	return p + len;
}

/* Reads the number at 'p'. */
static inline const char *
scan_number(FsJsonScan *scan, const char *p, FsNumber *number)
{
	const char *end = fs_number_scan(p, scan->end, number);

	if (end == NULL)
		return fs_json_fail(scan, p + number->len,
					number->len == 0 ? "expected a value" : "invalid number");
	return end;
}

/*
 * Reads one value that is neither array nor object into *token: its kind, its
 * end, its number; adds to token->seen.  Returns the byte after it.
 */
static inline const char *
scan_scalar(FsJsonScan *scan, const char *p, FsJsonToken *token)
{
	switch (*p)
	{
		case '"':
			token->kind = FS_JSON_STRING;
			p = scan_string(scan, p + 1, &token->seen);
			return p == NULL ? NULL : p + 1;
		case 't':
			token->kind = FS_JSON_TRUE;
			return scan_word(scan, p, "true");
		case 'f':
			token->kind = FS_JSON_FALSE;
			return scan_word(scan, p, "false");
		case 'n':
			token->kind = FS_JSON_NULL;
			return scan_word(scan, p, "null");
		default:
			token->kind = FS_JSON_NUMBER;
			return scan_number(scan, p, &token->number);
	}
}

/* See json_scan.h. */
const char *
fs_json_scan_key(FsJsonScan *scan, const char *p, FsJsonToken *key)
{
	key->kind = FS_JSON_STRING;
	key->seen = 0;
	key->start = p;
	if (p == scan->end || *p != '"')
		return fs_json_fail(scan, p, "expected a key");
	p = scan_string(scan, p + 1, &key->seen);
	if (p == NULL)
		return NULL;
	key->end = p + 1;
	p = fs_json_skip_space(p + 1, scan->end);
	if (p == scan->end || *p != ':')
		return fs_json_fail(scan, p, "expected \":\"");
	return fs_json_skip_space(p + 1, scan->end);
}

/*
 * Reads what follows a value inside 'depth' open containers (bit d - 1 of
 * 'objects': container d is an object): the ends of containers, then a comma,
 * and in an object the next key.  Returns the first byte of the next value, or
 * the byte after the outermost container with *depth 0.
 */
static const char *
scan_after_value(FsJsonScan *scan, const char *p, uint64_t objects,
				 int *depth, unsigned *seen)
{
	FsJsonToken key;
	const char *end = scan->end;

	for (;;)
	{
		bool		in_object = (objects >> (*depth - 1)) & 1;

		p = fs_json_skip_space(p, end);
		if (p == end)
			return fs_json_fail(scan, p, "array or object is not closed");
		if (*p == ',')
		{
			p = fs_json_skip_space(p + 1, end);
			if (in_object)
			{
				p = fs_json_scan_key(scan, p, &key);
				*seen |= key.seen;
			}
			return p;
		}
		if (*p != (in_object ? '}' : ']'))
			return fs_json_fail(scan, p, in_object ?
						"expected \",\" or \"}\"" : "expected \",\" or \"]\"");
		p++;
		if (--*depth == 0)
			return p;
	}
}

/*
 * Reads '{' or '[' at 'p' inside 'depth' open containers, and in an object the
 * first key; the container becomes number depth + 1 unless it is empty.
 * Returns the first byte of its first value, or the byte after the container.
 */
static const char *
scan_open(FsJsonScan *scan, const char *p, uint64_t *objects, int *depth,
		  unsigned *seen)
{
	bool		is_object = *p == '{';
	FsJsonToken key;

	_Static_assert(FS_DECODE_MAX_DEPTH == 64, "one bit a level");
	if (*depth + 1 >= FS_DECODE_MAX_DEPTH)
		return fs_json_fail(scan, p, "nested deeper than 64 levels");
	p = fs_json_skip_space(p + 1, scan->end);
	if (p < scan->end && *p == (is_object ? '}' : ']'))
		return p + 1;
	*objects &= ~(UINT64_C(1) << *depth);
	*objects |= (uint64_t) is_object << *depth;
	++*depth;
	if (is_object)
	{
		p = fs_json_scan_key(scan, p, &key);
		*seen |= key.seen;
	}
	return p;
}

/*
 * Reads an array or object with all that is in it, by a loop and one bit a
 * level.  The record's own object is the first of FS_DECODE_MAX_DEPTH levels.
 */
static const char *
scan_nested(FsJsonScan *scan, const char *p, FsJsonToken *token)
{
	FsJsonToken inner;
	uint64_t	objects = 0;
	int			depth = 0;

	inner.seen = 0;
	do
	{
		p = fs_json_skip_space(p, scan->end);
		if (p == scan->end)
			return fs_json_fail(scan, p, "expected a value");
		if (*p == '{' || *p == '[')
		{
			int			outer = depth;

			p = scan_open(scan, p, &objects, &depth, &inner.seen);
			if (p == NULL)
				return NULL;
			if (depth > outer)
				continue;
		}
		else
		{
			p = scan_scalar(scan, p, &inner);
			if (p == NULL)
				return NULL;
			if (inner.kind == FS_JSON_NUMBER &&
				!fs_number_fits_numeric(&inner.number))
				inner.seen |= FS_JSON_SEEN_HUGE;
		}
		if (depth > 0)
			p = scan_after_value(scan, p, objects, &depth, &inner.seen);
		if (p == NULL)
			return NULL;
	} while (depth > 0);
	token->kind = FS_JSON_NESTED;
	token->seen = inner.seen;
	return p;
}

/* See json_scan.h. */
const char *
fs_json_scan_value(FsJsonScan *scan, const char *p, FsJsonToken *token)
{
	p = fs_json_skip_space(p, scan->end);
	if (p == scan->end)
		return fs_json_fail(scan, p, "expected a value");
	token->seen = 0;
	token->start = p;
	if (*p == '{' || *p == '[')
		p = scan_nested(scan, p, token);
	else
		p = scan_scalar(scan, p, token);
	token->end = p;
	return p;
}
