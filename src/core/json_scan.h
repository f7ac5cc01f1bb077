/*
 * json_scan.h
 *		The grammar of JSON (RFC 8259): values and keys, as tokens.
 *
 * For the JSON decoder only.  A scan reads one record front to back; every
 * function takes the place to read at and returns the place after, or NULL when
 * the record is malformed there, with 'wrong' and 'wrong_at' set.  The bytes
 * must be valid UTF-8, which nothing here checks again.
 */
#ifndef FS_CORE_JSON_SCAN_H
#define FS_CORE_JSON_SCAN_H

#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "core/number.h"
#include "core/utf8.h"

/* What was seen inside a token: all legal JSON, but not all columns take it. */
#define FS_JSON_SEEN_ESCAPE		0x01
#define FS_JSON_SEEN_NUL		0x02	/* \u0000 */
#define FS_JSON_SEEN_SURROGATE	0x04	/* half of a surrogate pair alone */
#define FS_JSON_SEEN_HUGE		0x08	/* a number beyond numeric's range */

typedef enum FsJsonKind
{
	FS_JSON_STRING,
	FS_JSON_NUMBER,
	FS_JSON_TRUE,
	FS_JSON_FALSE,
	FS_JSON_NULL,
	FS_JSON_NESTED				/* array or object, with all that is in it */
} FsJsonKind;

/* One value of the record, from 'start' to 'end', quotes included. */
typedef struct FsJsonToken
{
	FsJsonKind	kind;
	unsigned	seen;
	const char *start;
	const char *end;
	FsNumber	number;			/* of FS_JSON_NUMBER */
} FsJsonToken;

/* The record being read. */
typedef struct FsJsonScan
{
	const char *begin;
	const char *end;
	const char *wrong;			/* what is malformed, in words */
	const char *wrong_at;
} FsJsonScan;

static inline const char *
fs_json_skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
		p++;
	return p;
}

/*
 * The first byte at or after 'p' that ends or interrupts a run of plain
 * characters of a string: quote, backslash or control character.  'end' when
 * there is none.
 */
static inline const char *
fs_json_find_special(const char *p, const char *end)
{
#ifdef __SSE2__
	while (end - p >= 16)
	{
		__m128i		s = _mm_loadu_si128((const __m128i *) (const void *) p);
		__m128i		hit = _mm_cmpeq_epi8(s, _mm_set1_epi8('"'));
		unsigned	mask;

		hit = _mm_or_si128(hit, _mm_cmpeq_epi8(s, _mm_set1_epi8('\\')));
		hit = _mm_or_si128(hit, _mm_cmpeq_epi8(s, _mm_min_epu8(s, _mm_set1_epi8(0x1F))));
		mask = (unsigned) _mm_movemask_epi8(hit);
		if (mask != 0)
			return p + __builtin_ctz(mask);
		p += 16;
	}
#endif
	while (end - p >= 8)
	{
		const uint64_t ones = UINT64_C(0x0101010101010101);
		uint64_t	s = fs_utf8_load(p);
		uint64_t	quote = s ^ (ones * '"');
		uint64_t	slash = s ^ (ones * '\\');
		uint64_t	hit;

		/* a borrow can only disturb bytes after the first hit */
		hit = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) |
			((s - ones * 0x20) & ~s);
		hit &= ones * 0x80;
		if (hit != 0)
			return p + __builtin_ctzll(hit) / 8;
		p += 8;
	}
	while (p < end && *p != '"' && *p != '\\' && (unsigned char) *p >= 0x20)
		p++;
	return p;
}

/* Notes that the record is malformed at 'at'; always NULL. */
extern const char *fs_json_fail(FsJsonScan *scan, const char *at,
								const char *wrong);

/*
 * Reads one value, after any space.  An array or object is read whole, as long
 * as it is not nested deeper than FS_DECODE_MAX_DEPTH (the record's own object
 * being the first level), without recursion.
 */
extern const char *fs_json_scan_value(FsJsonScan *scan, const char *p,
									  FsJsonToken *token);

/*
 * Reads a key at 'p', which becomes *key, its colon and any space: to where a
 * value must begin.
 */
extern const char *fs_json_scan_key(FsJsonScan *scan, const char *p,
									FsJsonToken *key);

/*
 * Writes the characters of a string, of which 'p' to 'end' is what stands
 * between the quotes, to 'out', which has room for as many bytes; returns how
 * many there are.  The string was scanned, and neither FS_JSON_SEEN_NUL nor
 * FS_JSON_SEEN_SURROGATE was noted.
 */
extern size_t fs_json_unescape(char *out, const char *p, const char *end);

/* The value of four hexadecimal digits at 'p', or -1. */
extern int	fs_json_read_hex4(const char *p, const char *end);

#endif							/* FS_CORE_JSON_SCAN_H */
