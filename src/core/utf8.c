/*
 * utf8.c
 *		UTF-8: is it valid, and how to show a piece of it in a message.
 *
 * Records are ASCII nearly always, so that case is taken sixteen bytes at a
 * time; other characters are told one by one, after the table of well-formed
 * byte sequences in the Unicode standard (3.9, table 3-7).
 */
#include "core/utf8.h"

#include <assert.h>
#include <stdbool.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Is 'byte' the second or a later one of a character? */
static inline bool
is_continuation(unsigned char byte)
{
	return (byte & 0xC0) == 0x80;
}

/*
 * Bytes of the character at 's', of which 'left' > 0 bytes exist; 0 when they
 * are not a character.
 */
static int
char_length(const unsigned char *s, size_t left)
{
	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xC2)
		return 0;				/* a continuation, or overlong */
	if (left < 2 || !is_continuation(s[1]))
		return 0;
	if (s[0] < 0xE0)
		return 2;
	if (left < 3 || !is_continuation(s[2]))
		return 0;
	if (s[0] < 0xF0)
	{
		if (s[0] == 0xE0 && s[1] < 0xA0)
			return 0;			/* overlong */
		if (s[0] == 0xED && s[1] > 0x9F)
			return 0;			/* surrogate */
		return 3;
	}
	if (s[0] > 0xF4 || left < 4 || !is_continuation(s[3]))
		return 0;
	if (s[0] == 0xF0 && s[1] < 0x90)
		return 0;				/* overlong */
	if (s[0] == 0xF4 && s[1] > 0x8F)
		return 0;				/* above U+10FFFF */
	return 4;
}

#ifdef __SSE2__
/* Which of sixteen bytes are not ASCII, a bit each. */
static inline unsigned
find_high(const char *p)
{
	return (unsigned) _mm_movemask_epi8(_mm_loadu_si128((const __m128i *) (const void *) p));
}
#endif

/*
 * The first non-ASCII byte at or after 'p', or 'end'.  The bytes from 'floor' on
 * may be read, too: the last sixteen are looked at as a whole.
 */
static inline const char *
skip_ascii(const char *floor, const char *p, const char *end)
{
#ifdef __SSE2__
	while (end - p >= 32)
	{
		if (find_high(p) | find_high(p + 16))
			break;
		p += 32;
	}
	while (end - p >= 16)
	{
		unsigned	high = find_high(p);

		if (high != 0)
			return p + __builtin_ctz(high);
		p += 16;
	}
	if (p < end && end - floor >= 16)
	{
		unsigned	high = find_high(end - 16) >> (16 - (end - p));

		return high != 0 ? p + __builtin_ctz(high) : end;
	}
#else
	while (end - p >= 16)
	{
		if ((fs_utf8_load(p) | fs_utf8_load(p + 8)) & HIGH_BITS)
			break;
		p += 16;
	}
#endif
	if (end - p >= 8 && (fs_utf8_load(p) & HIGH_BITS) == 0)
		p += 8;
	while (p < end && (unsigned char) *p < 0x80)
		p++;
	return p;
}

/* See utf8.h. */
size_t
fs_utf8_valid_length(const char *bytes, size_t len)
{
	const char *end = bytes + len;
	const char *p = skip_ascii(bytes, bytes, end);

	while (p < end)
	{
		int			n = char_length((const unsigned char *) p,
									(size_t) (end - p));

		if (n == 0)
			break;
		p += n;
		/* text in other scripts has few ASCII runs worth a call */
		if (p < end && (unsigned char) *p < 0x80)
			p = skip_ascii(bytes, p, end);
	}
	return (size_t) (p - bytes);
}

/* See utf8.h. */
char *
fs_utf8_encode(char *out, uint32_t code)
{
	assert(code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF));

	if (code < 0x80)
		*out++ = (char) code;
	else if (code < 0x800)
	{
		*out++ = (char) (0xC0 | (code >> 6));
		*out++ = (char) (0x80 | (code & 0x3F));
	}
	else if (code < 0x10000)
	{
		*out++ = (char) (0xE0 | (code >> 12));
		*out++ = (char) (0x80 | ((code >> 6) & 0x3F));
		*out++ = (char) (0x80 | (code & 0x3F));
	}
	else
	{
		*out++ = (char) (0xF0 | (code >> 18));
		*out++ = (char) (0x80 | ((code >> 12) & 0x3F));
		*out++ = (char) (0x80 | ((code >> 6) & 0x3F));
		*out++ = (char) (0x80 | (code & 0x3F));
	}
	return out;
}

/* Writes \xNN for each of 'n' bytes; returns the new end. */
static char *
escape_bytes(char *out, const unsigned char *s, int n)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < n; i++)
	{
		*out++ = '\\';
		*out++ = 'x';
		*out++ = digits[s[i] >> 4];
		*out++ = digits[s[i] & 0x0F];
	}
	return out;
}

/*
 * Is the valid character of 'n' bytes at 's' one to show as it is?  Not the
 * control characters of ASCII and of Latin-1 (U+0080 to U+009F).
 */
static bool
is_printable(const unsigned char *s, int n)
{
	if (n == 1)
		return s[0] >= 0x20 && s[0] != 0x7F;
	return !(s[0] == 0xC2 && s[1] < 0xA0);
}

/* See utf8.h. */
size_t
fs_utf8_print(char *out, size_t max, const char *bytes, size_t len)
{
	const unsigned char *s = (const unsigned char *) bytes;
	char	   *start = out;
	size_t		at = 0;

	while (at < len)
	{
		int			n = char_length(s + at, len - at);
		bool		plain = n > 0 && is_printable(s + at, n);
		size_t		width;

		if (n == 0)
			n = 1;				/* one broken byte at a time */
		width = (size_t) (plain ? n : 4 * n);
		if ((size_t) (out - start) + width > max)
			break;
		if (plain)
		{
			memcpy(out, s + at, (size_t) n);
			out += n;
		}
		else
			out = escape_bytes(out, s + at, n);
		at += (size_t) n;
	}
	if (at < len)
	{
		memcpy(out, "...", 3);
		out += 3;
	}
	*out = '\0';
	return (size_t) (out - start);
}
