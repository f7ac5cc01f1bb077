/*
 * utf8.h
 *		UTF-8: is it valid, and how to show a piece of it in a message.
 */
#ifndef FS_CORE_UTF8_H
#define FS_CORE_UTF8_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Eight bytes of text as a number: the first byte is the lowest. */
static inline uint64_t
fs_utf8_load(const char *bytes)
{
	uint64_t	word;

	memcpy(&word, bytes, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	word = __builtin_bswap64(word);
#endif
	return word;
}

/*
 * How many bytes at the start of 'bytes' are whole, valid characters (RFC
 * 3629: no overlong forms, no surrogates, nothing above U+10FFFF).  'len' when
 * all are; else the offset of the first byte of what is not a character.
 */
extern size_t fs_utf8_valid_length(const char *bytes, size_t len);

/*
 * Appends the code point to 'out' (up to 4 bytes) and returns the new end.
 * 'code' is no surrogate and at most U+10FFFF.
 */
extern char *fs_utf8_encode(char *out, uint32_t code);

/*
 * Writes a short, printable form of 'bytes' to 'out' as a C string: at most
 * 'max' bytes and then "..." when something was left out, cut between
 * characters; control characters and invalid bytes become \xNN.  The result is
 * valid UTF-8.  'out' has room for max + 4 bytes.  Returns the length.
 */
extern size_t fs_utf8_print(char *out, size_t max, const char *bytes,
							size_t len);

#endif							/* FS_CORE_UTF8_H */
