/*
 * hash.h
 *		A fast, stable hash of short byte strings.
 *
 * Multiply-and-fold of 8-byte words, after wyhash (Wang Yi, public domain).
 * The value of an entity's key is part of the fire cursor in the checkpoint,
 * so the function must never change.
 */
#ifndef FS_CORE_HASH_H
#define FS_CORE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t
fs_hash_fold(uint64_t a, uint64_t b)
{
	__uint128_t p = (__uint128_t) a * b;

	return (uint64_t) p ^ (uint64_t) (p >> 64);
}

static inline uint64_t
fs_hash_word(const char *p)
{
	uint64_t	w;

	memcpy(&w, p, 8);
	return w;
}

/* Up to 8 bytes as a little-endian number, without a call of memcpy(). */
static inline uint64_t
fs_hash_tail(const char *p, size_t len)
{
	const uint8_t *bytes = (const uint8_t *) p;
	uint32_t	low;
	uint32_t	high;

	if (len >= 4)
	{
		memcpy(&low, p, 4);
		memcpy(&high, p + len - 4, 4);
		return low | (uint64_t) high << (8 * (len - 4));
	}
	if (len == 0)
		return 0;
	return bytes[0] | (uint64_t) bytes[len / 2] << (8 * (len / 2)) |
		(uint64_t) bytes[len - 1] << (8 * (len - 1));
}

/* Are two short byte strings of one length equal? */
static inline int
fs_bytes_equal(const char *a, const char *b, size_t len)
{
	while (len > 8)
	{
		if (fs_hash_word(a) != fs_hash_word(b))
			return 0;
		a += 8;
		b += 8;
		len -= 8;
	}
	return fs_hash_tail(a, len) == fs_hash_tail(b, len);
}

/*
 * 32 good bits of any bytes, the same in every process and version: firings are
 * durable by entities' hashes.
 */
static inline uint32_t
fs_hash_bytes(const char *p, size_t len)
{
	uint64_t	seed = UINT64_C(0xa0761d6478bd642f) ^ len;

	while (len > 8)
	{
		seed = fs_hash_fold(fs_hash_word(p) ^ UINT64_C(0xe7037ed1a0b428db), seed);
		p += 8;
		len -= 8;
	}
	seed = fs_hash_fold(fs_hash_tail(p, len) ^ UINT64_C(0x8ebc6af09c88c6e3), seed ^ UINT64_C(0x589965cc75374cc3));
	return (uint32_t) (seed ^ (seed >> 32));
}

#endif							/* FS_CORE_HASH_H */
