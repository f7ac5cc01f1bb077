/*
 * parquet_encode.c
 *		Parquet's encodings of numbers; see parquet_encode.h.
 */
#include "core/parquet_encode.h"

#include <stdlib.h>

#define GROUP 8					/* numbers that are packed together */
#define BLOCK 128				/* of deltas */
#define MINI_BLOCKS 4			/* of a block */
#define MINI_BLOCK (BLOCK / MINI_BLOCKS)

/* Bits that are not written yet; least significant first. */
typedef struct Packer
{
	char	   *p;
	uint64_t	bits;
	int			nbits;			/* below 32 between calls */
} Packer;

/* Appends a number of at most 32 bits. */
static inline void
pack(Packer *packer, uint64_t value, int width)
{
	FS_ASSERT(width <= 32 && packer->nbits < 32);
	packer->bits |= value << packer->nbits;
	packer->nbits += width;
	if (packer->nbits >= 32)
	{
		fs_put_le32(packer->p, (uint32_t) packer->bits);
		packer->p += 4;
		packer->bits >>= 32;
		packer->nbits -= 32;
	}
}

/* Appends a number of up to 64 bits. */
static inline void
pack_wide(Packer *packer, uint64_t value, int width)
{
	if (width > 32)
	{
		pack(packer, value & UINT32_MAX, 32);
		value >>= 32;
		width -= 32;
	}
	pack(packer, value, width);
}

/* Writes what is left, which are whole bytes. */
static inline void
pack_rest(Packer *packer)
{
	FS_ASSERT(packer->nbits % 8 == 0);
	for (; packer->nbits > 0; packer->nbits -= 8)
	{
		*packer->p++ = (char) packer->bits;
		packer->bits >>= 8;
	}
}

/* A run of one number. */
static bool
put_run(FsBuffer *out, uint32_t value, size_t n, int width)
{
	char		bytes[4];

	fs_put_le32(bytes, value);
	return fs_buffer_append_varint(out, (uint64_t) n << 1) && fs_buffer_append(out, bytes, (width + 7) / 8);
}

/* Groups of packed numbers; the last one is filled up with zeros. */
static bool
put_groups(FsBuffer *out, const uint32_t *values, size_t n, int width)
{
	size_t		ngroups = (n + GROUP - 1) / GROUP;
	Packer		packer = {NULL, 0, 0};

	if (n == 0)
		return true;
	if (!fs_buffer_append_varint(out, (uint64_t) ngroups << 1 | 1) || !fs_buffer_reserve(out, ngroups * width))
		return false;
	packer.p = out->data + out->len;
	for (size_t i = 0; i < n; i++)
		pack(&packer, values[i], width);
	for (size_t i = n; i < ngroups * GROUP; i++)
		pack(&packer, 0, width);
	pack_rest(&packer);
	FS_ASSERT(packer.p == out->data + out->len + ngroups * width);
	out->len += ngroups * width;
	return true;
}

/* How many numbers at 'values' equal the first one. */
static size_t
run_length(const uint32_t *values, size_t n)
{
	size_t		length = 1;

	while (length < n && values[length] == values[0])
		length++;
	return length;
}

/* See parquet_encode.h. */
bool
fs_parquet_encode_runs(FsBuffer *out, const uint32_t *values, size_t n, int width)
{
	size_t		packed = 0;		/* from here on nothing is written */

	FS_ASSERT(width >= 1 && width <= 32);
	for (size_t i = 0; i < n;)
	{
		size_t		length = run_length(values + i, n - i);

		/* Only the last group may be filled up: the run gives what an open one lacks. */
		size_t		fill = (GROUP - (i - packed) % GROUP) % GROUP;

		if (length < fill + GROUP)
		{
			i += length;
			continue;
		}
		if (!put_groups(out, values + packed, i + fill - packed, width) ||
			!put_run(out, values[i], length - fill, width))
			return false;
		i += length;
		packed = i;
	}
	return put_groups(out, values + packed, n - packed, width);
}

/* Are all levels the same, as those of a column without NULLs are? */
static bool
is_one_level(const uint8_t *levels, size_t n)
{
	return memcmp(levels, levels + 1, n - 1) == 0;
}

/* See parquet_encode.h. */
bool
fs_parquet_encode_levels(FsBuffer *out, const uint8_t *levels, size_t n, int shift, int width)
{
	uint32_t   *values;
	bool		done;

	if (n == 0)
		return true;
	if (n < UINT32_MAX && is_one_level(levels, n))
		return put_run(out, (uint32_t) (levels[0] >> shift) & ((1u << width) - 1), n, width);
	values = malloc(n * sizeof(uint32_t));
	if (values == NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		values[i] = (uint32_t) (levels[i] >> shift) & ((1u << width) - 1);
	done = fs_parquet_encode_runs(out, values, n, width);
	free(values);
	return done;
}

/* An integer of the column, sign-extended. */
static inline int64_t
get_integer(const char *values, size_t i, int bytes)
{
	return bytes == 4 ? (int32_t) fs_get_le32(values + i * 4) : (int64_t) fs_get_le64(values + i * 8);
}

/* b - a, which wraps around within the column's width as the specification wants. */
static inline int64_t
subtract(int64_t b, int64_t a, int bytes)
{
	uint64_t	difference = (uint64_t) b - (uint64_t) a;

	return bytes == 4 ? (int32_t) (uint32_t) difference : (int64_t) difference;
}

/* One mini-block of differences above 'least'; the last one is filled up. */
static bool
put_mini_block(FsBuffer *out, const uint64_t *above, size_t n, int width)
{
	Packer		packer = {NULL, 0, 0};

	if (n == 0 || width == 0)
		return true;
	if (!fs_buffer_reserve(out, (size_t) width * MINI_BLOCK / 8))
		return false;
	packer.p = out->data + out->len;
	for (size_t i = 0; i < MINI_BLOCK; i++)
		pack_wide(&packer, i < n ? above[i] : 0, width);
	pack_rest(&packer);
	FS_ASSERT(packer.p == out->data + out->len + width * MINI_BLOCK / 8);
	out->len += (size_t) width * MINI_BLOCK / 8;
	return true;
}

/* One block of up to 128 differences. */
static bool
put_block(FsBuffer *out, const int64_t *deltas, size_t n, int bytes)
{
	uint64_t	above[BLOCK];
	uint8_t		widths[MINI_BLOCKS] = {0};
	int64_t		least = deltas[0];

	for (size_t i = 1; i < n; i++)
		least = deltas[i] < least ? deltas[i] : least;
	for (size_t i = 0; i < n; i++)
	{
		uint64_t	bits;
		int			width;

		above[i] = (uint64_t) subtract(deltas[i], least, bytes);
		bits = bytes == 4 ? (uint32_t) above[i] : above[i];
		above[i] = bits;
		width = bits == 0 ? 0 : 64 - __builtin_clzll(bits);
		if (width > widths[i / MINI_BLOCK])
			widths[i / MINI_BLOCK] = (uint8_t) width;
	}
	if (!fs_buffer_append_zigzag(out, least) || !fs_buffer_append(out, widths, MINI_BLOCKS))
		return false;
	for (size_t i = 0; i < n; i += MINI_BLOCK)
		if (!put_mini_block(out, above + i, n - i < MINI_BLOCK ? n - i : MINI_BLOCK, widths[i / MINI_BLOCK]))
			return false;
	return true;
}

/* See parquet_encode.h. */
bool
fs_parquet_encode_deltas(FsBuffer *out, const char *values, size_t n, int bytes)
{
	int64_t		deltas[BLOCK];
	int64_t		last = n > 0 ? get_integer(values, 0, bytes) : 0;

	FS_ASSERT(bytes == 4 || bytes == 8);
	if (!fs_buffer_append_varint(out, BLOCK) || !fs_buffer_append_varint(out, MINI_BLOCKS) ||
		!fs_buffer_append_varint(out, n) || !fs_buffer_append_zigzag(out, last))
		return false;
	for (size_t i = 1; i < n;)
	{
		size_t		count = n - i < BLOCK ? n - i : BLOCK;

		for (size_t k = 0; k < count; k++, i++)
		{
			int64_t		value = get_integer(values, i, bytes);

			deltas[k] = subtract(value, last, bytes);
			last = value;
		}
		if (!put_block(out, deltas, count, bytes))
			return false;
	}
	return true;
}

/* See parquet_encode.h. */
bool
fs_parquet_encode_booleans(FsBuffer *out, const char *values, size_t n)
{
	size_t		bytes = (n + 7) / 8;

	if (!fs_buffer_reserve(out, bytes))
		return false;
	memset(out->data + out->len, 0, bytes);
	for (size_t i = 0; i < n; i++)
		out->data[out->len + i / 8] |= (char) ((values[i] & 1) << (i % 8));
	out->len += bytes;
	return true;
}
