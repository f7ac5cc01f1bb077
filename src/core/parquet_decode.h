/*
 * parquet_decode.h
 *		What parquet_encode.h writes, read again.
 *
 * The bytes are not trusted.  False: they are malformed, or memory is out, which
 * only functions with a buffer can say (*no_memory).
 */
#ifndef FS_CORE_PARQUET_DECODE_H
#define FS_CORE_PARQUET_DECODE_H

#include "core/buffer.h"

/* Takes n numbers of 'width' bits (1 .. 32) out of runs and packed groups. */
extern bool fs_parquet_decode_runs(FsCursor *in, uint32_t *values, size_t n, int width);

/* Takes n integers out of packed differences, and appends them little-endian, of 4 or 8 bytes. */
extern bool fs_parquet_decode_deltas(FsCursor *in, size_t n, int bytes, FsBuffer *out, bool *no_memory);

#endif							/* FS_CORE_PARQUET_DECODE_H */
