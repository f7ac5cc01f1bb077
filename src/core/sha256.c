/*
 * sha256.c
 *		SHA-256 and HMAC with it; see sha256.h.
 */
#include <string.h>

#include "core/buffer.h"
#include "core/sha256.h"

static const uint32_t rounds[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

static inline uint32_t
rotate(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

/* Takes in the block. */
static void
transform(FsSha256 *hash)
{
	uint32_t	w[64];
	uint32_t	s[8];

	for (int i = 0; i < 16; i++)
		w[i] = (uint32_t) hash->block[4 * i] << 24 | (uint32_t) hash->block[4 * i + 1] << 16 |
			(uint32_t) hash->block[4 * i + 2] << 8 | hash->block[4 * i + 3];
	for (int i = 16; i < 64; i++)
		w[i] = w[i - 16] + w[i - 7] +
			(rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) +
			(rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
	memcpy(s, hash->state, sizeof(s));
	for (int i = 0; i < 64; i++)
	{
		uint32_t	t1 = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) +
			((s[4] & s[5]) ^ (~s[4] & s[6])) + rounds[i] + w[i];
		uint32_t	t2 = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) +
			((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));

		memmove(s + 1, s, 7 * sizeof(uint32_t));
		s[4] += t1;
		s[0] = t1 + t2;
	}
	for (int i = 0; i < 8; i++)
		hash->state[i] += s[i];
}

/* See sha256.h. */
void
fs_sha256_begin(FsSha256 *hash)
{
	static const uint32_t initial[8] = {
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
	};

	memcpy(hash->state, initial, sizeof(initial));
	hash->len = 0;
}

/* See sha256.h. */
void
fs_sha256_add(FsSha256 *hash, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	while (len > 0)
	{
		size_t		at = hash->len % 64;
		size_t		n = len < 64 - at ? len : 64 - at;

		memcpy(hash->block + at, p, n);
		hash->len += n;
		p += n;
		len -= n;
		if (at + n == 64)
			transform(hash);
	}
}

/* See sha256.h. */
void
fs_sha256_finish(FsSha256 *hash, uint8_t *digest)
{
	uint64_t	bits = hash->len * 8;
	uint8_t		length[8];

	fs_sha256_add(hash, "\x80", 1);
	while (hash->len % 64 != 56)
		fs_sha256_add(hash, "", 1);
	for (int i = 0; i < 8; i++)
		length[i] = (uint8_t) (bits >> (56 - 8 * i));
	fs_sha256_add(hash, length, 8);
	FS_ASSERT(hash->len % 64 == 0);
	for (int i = 0; i < FS_SHA256_SIZE; i++)
		digest[i] = (uint8_t) (hash->state[i / 4] >> (24 - 8 * (i % 4)));
}

/* See sha256.h. */
void
fs_hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len, uint8_t *digest)
{
	FsSha256	hash;
	uint8_t		padded[64] = {0};
	uint8_t		pad[64];

	if (key_len > sizeof(padded))
	{
		fs_sha256_begin(&hash);
		fs_sha256_add(&hash, key, key_len);
		fs_sha256_finish(&hash, padded);
	}
	else if (key_len > 0)
		memcpy(padded, key, key_len);
	for (int i = 0; i < 64; i++)
		pad[i] = padded[i] ^ 0x36;
	fs_sha256_begin(&hash);
	fs_sha256_add(&hash, pad, 64);
	fs_sha256_add(&hash, bytes, len);
	fs_sha256_finish(&hash, digest);
	for (int i = 0; i < 64; i++)
		pad[i] = padded[i] ^ 0x5c;
	fs_sha256_begin(&hash);
	fs_sha256_add(&hash, pad, 64);
	fs_sha256_add(&hash, digest, FS_SHA256_SIZE);
	fs_sha256_finish(&hash, digest);
}

/* See sha256.h. */
void
fs_sha256_hex(const uint8_t *digest, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < FS_SHA256_SIZE; i++)
	{
		text[2 * i] = digits[digest[i] >> 4];
		text[2 * i + 1] = digits[digest[i] & 15];
	}
	text[2 * FS_SHA256_SIZE] = '\0';
}
