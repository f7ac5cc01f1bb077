/*
 * compress.c
 *		Compression and checksum of files that others read; see compress.h.
 *
 * The one file that sees libzstd and zlib.
 */
#include "core/compress.h"

#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

struct FsCompressor
{
	ZSTD_CCtx  *context;
	int			level;
};

FsCompressor *
fs_compressor_create(int level)
{
	FsCompressor *compressor = malloc(sizeof(FsCompressor));

	if (compressor == NULL)
		return NULL;
	compressor->level = level;
	compressor->context = ZSTD_createCCtx();
	if (compressor->context == NULL)
	{
		free(compressor);
		return NULL;
	}
	return compressor;
}

void
fs_compressor_free(FsCompressor *compressor)
{
	if (compressor == NULL)
		return;
	ZSTD_freeCCtx(compressor->context);
	free(compressor);
}

bool
fs_compress(FsCompressor *compressor, FsBuffer *out, const void *bytes, size_t n)
{
	size_t		bound = ZSTD_compressBound(n);
	size_t		size;

	if (!fs_buffer_reserve(out, bound))
		return false;
	size = ZSTD_compressCCtx(compressor->context, out->data + out->len, bound, bytes, n, compressor->level);
	if (ZSTD_isError(size))
		return false;
	out->len += size;
	return true;
}

uint32_t
fs_crc32(uint32_t crc, const void *bytes, size_t n)
{
	FS_ASSERT(n <= UINT32_MAX);
	return (uint32_t) crc32(crc, bytes, (uInt) n);
}
