/*
 * parquet_decode.c
 *		Parquet's encodings of numbers, read; see parquet_decode.h.
 */
#include "core/parquet_decode.h"

#define GROUP 8					/* numbers that are packed together */
#define BLOCK 128				/* of differences; others are not read */
#define MINI_BLOCKS 4
#define MINI_BLOCK (BLOCK / MINI_BLOCKS)

/* The i-th of the numbers that are packed, least significant bits first. */
static uint64_t
unpack(const char *bytes, size_t i, int width)
{
	size_t		bit = i * (size_t) width;
	uint64_t	value = 0;

	for (int got = 0; got < width;)
	{
		int			shift = (int) ((bit + (size_t) got) % 8);
		int			take = 8 - shift < width - got ? 8 - shift : width - got;
		uint64_t	piece = (uint8_t) bytes[(bit + (size_t) got) / 8] >> shift;

		value |= (piece & ((UINT64_C(1) << take) - 1)) << got;
		got += take;
	}
	return value;
}

/* Takes a run of one number; false when it is longer than n. */
static bool
take_run(FsCursor *in, uint64_t length, uint32_t *values, size_t n, int width)
{
	char		bytes[4] = {0};
	const char *given;
	uint32_t	value;

	if (length == 0 || length > n || !fs_take_bytes(in, (size_t) (width + 7) / 8, &given))
		return false;
	memcpy(bytes, given, (size_t) (width + 7) / 8);
	value = fs_get_le32(bytes);
	if (width < 32 && value >> width != 0)
		return false;
	for (size_t i = 0; i < length; i++)
		values[i] = value;
	return true;
}

/* Takes groups of packed numbers, up to n; the last group may be filled up.  How many; 0: malformed. */
static size_t
take_groups(FsCursor *in, uint64_t ngroups, uint32_t *values, size_t n, int width)
{
	const char *bytes;
	size_t		count;

	if (ngroups == 0 || ngroups > (n + GROUP - 1) / GROUP || !fs_take_bytes(in, ngroups * (size_t) width, &bytes))
		return 0;
	count = ngroups * GROUP < n ? ngroups * GROUP : n;
	for (size_t i = 0; i < count; i++)
		values[i] = (uint32_t) unpack(bytes, i, width);
	return count;
}

/* See parquet_decode.h. */
bool
fs_parquet_decode_runs(FsCursor *in, uint32_t *values, size_t n, int width)
{
	FS_ASSERT(width >= 1 && width <= 32);
	for (size_t done = 0; done < n;)
	{
		uint64_t	head;
		size_t		count;

		if (!fs_take_varint(in, &head))
			return false;
		if (head & 1)
			count = take_groups(in, head >> 1, values + done, n - done, width);
		else
			count = take_run(in, head >> 1, values + done, n - done, width) ? (size_t) (head >> 1) : 0;
		if (count == 0)
			return false;
		done += count;
	}
	return true;
}

/* Appends an integer, of which the first bytes count. */
static bool
put_integer(FsBuffer *out, uint64_t value, int bytes, bool *no_memory)
{
	if (!fs_buffer_reserve(out, 8))
	{
		*no_memory = true;
		return false;
	}
	fs_put_le64(out->data + out->len, value);
	out->len += (size_t) bytes;
	return true;
}

/* Takes a block of up to 128 differences. */
static bool
take_block(FsCursor *in, size_t n, int bytes, uint64_t *last, FsBuffer *out, bool *no_memory)
{
	int64_t		least;
	const char *widths;

	if (!fs_take_zigzag(in, &least) || !fs_take_bytes(in, MINI_BLOCKS, &widths))
		return false;
	for (size_t i = 0; i < n; i += MINI_BLOCK)
	{
		int			width = (uint8_t) widths[i / MINI_BLOCK];
		const char *packed;

		if (width > 8 * bytes || !fs_take_bytes(in, (size_t) width * MINI_BLOCK / 8, &packed))
			return false;
		for (size_t k = 0; k < MINI_BLOCK && i + k < n; k++)
		{
			*last += (uint64_t) least + unpack(packed, k, width);
			if (!put_integer(out, *last, bytes, no_memory))
				return false;
		}
	}
	return true;
}

/* See parquet_decode.h. */
bool
fs_parquet_decode_deltas(FsCursor *in, size_t n, int bytes, FsBuffer *out, bool *no_memory)
{
	uint64_t	block;
	uint64_t	mini_blocks;
	uint64_t	count;
	int64_t		first;
	uint64_t	last;

	FS_ASSERT(bytes == 4 || bytes == 8);
	if (!fs_take_varint(in, &block) || !fs_take_varint(in, &mini_blocks) || !fs_take_varint(in, &count) ||
		!fs_take_zigzag(in, &first) || block != BLOCK || mini_blocks != MINI_BLOCKS || count != n)
		return false;
	last = (uint64_t) first;
	if (n == 0)
		return true;
	if (!put_integer(out, last, bytes, no_memory))
		return false;
	for (size_t left = n - 1; left > 0;)
	{
		size_t		here = left < BLOCK ? left : BLOCK;

		if (!take_block(in, here, bytes, &last, out, no_memory))
			return false;
		left -= here;
	}
	return true;
}
