/*
 * compress.h
 *		Compression and checksum of files that others read: zstd, deflate, and the CRC-32 of gzip.
 */
#ifndef FS_CORE_COMPRESS_H
#define FS_CORE_COMPRESS_H

#include "core/buffer.h"

typedef struct FsCompressor FsCompressor;

/* Makes a compressor of a zstd level; NULL when memory is out. */
extern FsCompressor *fs_compressor_create(int level);
extern void fs_compressor_free(FsCompressor *compressor);

/* Appends n bytes, compressed as a frame of its own; false when memory is out. */
extern bool fs_compress(FsCompressor *compressor, FsBuffer *out, const void *bytes, size_t n);

/* Appends n bytes as a raw stream of deflate (RFC 1951); false when memory is out. */
extern bool fs_deflate(FsBuffer *out, const void *bytes, size_t n);

typedef enum FsExpandStatus
{
	FS_EXPAND_OK,
	FS_EXPAND_NO_MEMORY,
	FS_EXPAND_MALFORMED,
	FS_EXPAND_TOO_LONG			/* more than 'limit' bytes */
} FsExpandStatus;

/* Appends what a raw stream of deflate, or frames of zstd, stands for.  The bytes are not trusted. */
extern FsExpandStatus fs_inflate(FsBuffer *out, const void *bytes, size_t n, size_t limit);
extern FsExpandStatus fs_expand_zstd(FsBuffer *out, const void *bytes, size_t n, size_t limit);

/* CRC-32 (ISO 3309, as in gzip) of n bytes, that goes on from 'crc', 0 at first. */
extern uint32_t fs_crc32(uint32_t crc, const void *bytes, size_t n);

#endif							/* FS_CORE_COMPRESS_H */
