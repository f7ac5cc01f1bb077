/*
 * unscaled.h
 *		Decimals as Iceberg has them: their digits without the point, as bytes of a signed number.
 *
 * The bytes are two's complement, the most significant first; what is made here
 * has the fewest that there can be, one at least.  Where the point is (the scale)
 * is known otherwise.  Numbers of more than 16 bytes are of nobody.
 */
#ifndef FS_CORE_UNSCALED_H
#define FS_CORE_UNSCALED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FS_UNSCALED_PRECISION	38	/* digits at most */
#define FS_UNSCALED_SIZE		16	/* bytes at most */
#define FS_UNSCALED_TEXT		64	/* bytes that fs_unscaled_write() takes at most, the zero included */

/* Bytes that hold every number of so many digits. */
extern int	fs_unscaled_width(int precision);

/* The number of some bytes, at most 16; none are 0. */
extern __int128 fs_unscaled_get(const char *bytes, size_t len);

/* Writes a number's bytes, the fewest; how many. */
extern size_t fs_unscaled_put(__int128 value, char *out);

/* Passes over bytes that only repeat the sign: where the others begin. */
extern const char *fs_unscaled_shorten(const char *bytes, size_t *len);

/* How -1, 0 or 1: two numbers, both of the fewest bytes, or both of as many. */
extern int	fs_unscaled_compare(const char *a, size_t alen, const char *b, size_t blen);

/*
 * The bytes of a text like "-12.5" that has this scale and at most so many digits;
 * how many, 0 when it has not, or is none.
 */
extern size_t fs_unscaled_read(const char *text, int precision, int scale, char *out);

/* Such a text, with all digits of the scale; how many bytes, without the zero. */
extern size_t fs_unscaled_write(const char *bytes, size_t len, int scale, char *out);

#endif							/* FS_CORE_UNSCALED_H */
