/*
 * sha256.h
 *		SHA-256 (FIPS 180-4) and HMAC with it (RFC 2104).
 */
#ifndef FS_CORE_SHA256_H
#define FS_CORE_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define FS_SHA256_SIZE	32
#define FS_SHA256_HEX	65		/* with the zero */

/* An incremental hash: begin, add any number of times, finish. */
typedef struct FsSha256
{
	uint32_t	state[8];
	uint64_t	len;
	uint8_t		block[64];
} FsSha256;

extern void fs_sha256_begin(FsSha256 *hash);
extern void fs_sha256_add(FsSha256 *hash, const void *bytes, size_t len);
extern void fs_sha256_finish(FsSha256 *hash, uint8_t *digest);

extern void fs_hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len, uint8_t *digest);

/* In lower-case digits, with a zero behind them: FS_SHA256_HEX bytes. */
extern void fs_sha256_hex(const uint8_t *digest, char *text);

#endif							/* FS_CORE_SHA256_H */
