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

#define EXPAND_PIECE	((size_t) 16 * 1024)	/* at least so much room is made at once */
#define ZSTD_MAX_WINDOW	27			/* log2 of bytes: what the library allows by itself */

struct FsCompressor
{
	ZSTD_CCtx  *context;
	int			level;
};

/* See compress.h. */
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

/* See compress.h. */
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

/* See compress.h. */
bool
fs_deflate(FsBuffer *out, const void *bytes, size_t n)
{
	z_stream	stream = {0};
	size_t		bound;
	int			status;

	FS_ASSERT(n <= FS_BUFFER_MAX);
	if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	bound = deflateBound(&stream, (uLong) n);
	status = Z_MEM_ERROR;
	if (fs_buffer_reserve(out, bound))
	{
		stream.next_in = (Bytef *) (uintptr_t) bytes;
		stream.avail_in = (uInt) n;
		stream.next_out = (Bytef *) out->data + out->len;
		stream.avail_out = (uInt) bound;
		status = deflate(&stream, Z_FINISH);
		if (status == Z_STREAM_END)
			out->len += stream.total_out;
	}
	deflateEnd(&stream);
	return status == Z_STREAM_END;
}

/* Makes room for the next piece of what is expanded, of which there are 'before' bytes less in 'out'. */
static FsExpandStatus
make_room(FsBuffer *out, size_t before, size_t limit, size_t *room)
{
	size_t		have = out->len - before;

	*room = have < EXPAND_PIECE ? EXPAND_PIECE : have;
	if (*room > limit - have)
		*room = limit - have;
	if (*room == 0)
		return FS_EXPAND_TOO_LONG;
	return fs_buffer_reserve(out, *room) ? FS_EXPAND_OK : FS_EXPAND_NO_MEMORY;
}

/*
 * See compress.h.  One byte more than the limit is asked for, to see whether
 * there is more.  Bytes behind the end of the stream are let be: PyIceberg
 * leaves three of zlib's checksum there.
 */
FsExpandStatus
fs_inflate(FsBuffer *out, const void *bytes, size_t n, size_t limit)
{
	z_stream	stream = {0};
	size_t		before = out->len;
	size_t		room;
	FsExpandStatus result;
	int			status = Z_OK;

	FS_ASSERT(n <= UINT32_MAX && limit < FS_BUFFER_MAX);
	if (inflateInit2(&stream, -MAX_WBITS) != Z_OK)
		return FS_EXPAND_NO_MEMORY;
	stream.next_in = (Bytef *) (uintptr_t) bytes;
	stream.avail_in = (uInt) n;
	for (;;)
	{
		result = make_room(out, before, limit + 1, &room);
		if (result != FS_EXPAND_OK)
			break;
		stream.next_out = (Bytef *) out->data + out->len;
		stream.avail_out = (uInt) room;
		status = inflate(&stream, Z_NO_FLUSH);
		out->len += room - stream.avail_out;
		if (status != Z_OK)
			break;
	}
	inflateEnd(&stream);
	if (result != FS_EXPAND_OK)
		return result;
	if (status == Z_MEM_ERROR)
		return FS_EXPAND_NO_MEMORY;
	if (status != Z_STREAM_END)
		return FS_EXPAND_MALFORMED;
	return out->len - before > limit ? FS_EXPAND_TOO_LONG : FS_EXPAND_OK;
}

/* See compress.h. */
FsExpandStatus
fs_expand_zstd(FsBuffer *out, const void *bytes, size_t n, size_t limit)
{
	ZSTD_DCtx  *context = ZSTD_createDCtx();
	ZSTD_inBuffer input = {.src = bytes, .size = n};
	size_t		before = out->len;
	size_t		left = 1;
	size_t		room;
	FsExpandStatus result = FS_EXPAND_OK;

	if (context == NULL || ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, ZSTD_MAX_WINDOW)))
		result = FS_EXPAND_NO_MEMORY;
	while (result == FS_EXPAND_OK && (input.pos < n || left > 0))
	{
		ZSTD_outBuffer output = {0};
		size_t		eaten = input.pos;

		result = make_room(out, before, limit + 1, &room);
		if (result != FS_EXPAND_OK)
			break;
		output.dst = out->data + out->len;
		output.size = room;
		left = ZSTD_decompressStream(context, &output, &input);
		out->len += output.pos;
		if (ZSTD_isError(left) || (output.pos == 0 && input.pos == eaten && left > 0))
			result = FS_EXPAND_MALFORMED;
	}
	ZSTD_freeDCtx(context);
	return result == FS_EXPAND_OK && out->len - before > limit ? FS_EXPAND_TOO_LONG : result;
}

uint32_t
fs_crc32(uint32_t crc, const void *bytes, size_t n)
{
	FS_ASSERT(n <= UINT32_MAX);
	return (uint32_t) crc32(crc, bytes, (uInt) n);
}
