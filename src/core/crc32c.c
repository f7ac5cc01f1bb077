/*
 * crc32c.c
 *		CRC-32C (Castagnoli).
 *
 * With SSE 4.2 eight bytes cost about three cycles; the choice is made at run
 * time by what the processor says, so that one binary serves all.  Elsewhere
 * two table look-ups a byte of nibbles: slow, 128 bytes of constants, and
 * nothing to initialize, so nothing to share between threads.
 */
#include "core/crc32c.h"

#include "core/buffer.h"

/* CRC of each nibble, reflected polynomial 0x82f63b78. */
static const uint32_t nibble_crc[16] = {
	0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
	0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
	0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
	0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75
};

/* See crc32c.h. */
uint32_t
fs_crc32c_software(uint32_t crc, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	size_t		i;

	crc = ~crc;
	for (i = 0; i < n; i++)
	{
		crc ^= p[i];
		crc = (crc >> 4) ^ nibble_crc[crc & 15];
		crc = (crc >> 4) ^ nibble_crc[crc & 15];
	}
	return ~crc;
}

#if defined(__x86_64__) && defined(__GNUC__)

/* Caller has made sure that the processor has SSE 4.2. */
__attribute__((target("sse4.2")))
static uint32_t
crc32c_sse42(uint32_t crc, const void *bytes, size_t n)
{
	const char *p = bytes;
	uint64_t	c = (uint32_t) ~crc;

	while (n >= 8)
	{
		uint64_t	word;

		memcpy(&word, p, 8);
		c = __builtin_ia32_crc32di(c, word);
		p += 8;
		n -= 8;
	}
	while (n-- > 0)
		c = __builtin_ia32_crc32qi((uint32_t) c, (uint8_t) *p++);
	return ~(uint32_t) c;
}

uint32_t
fs_crc32c(uint32_t crc, const void *bytes, size_t n)
{
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c_sse42(crc, bytes, n);
	return fs_crc32c_software(crc, bytes, n);
}

#else

uint32_t
fs_crc32c(uint32_t crc, const void *bytes, size_t n)
{
	return fs_crc32c_software(crc, bytes, n);
}

#endif
