/*
 * parquet_encode.h
 *		Parquet's encodings of numbers: runs and packed bits, deltas, booleans.
 *
 * Each function appends to 'out' and returns false when memory is out, with
 * something half done behind what was there.
 *
 * Format: Encodings.md of Apache Parquet.
 */
#ifndef FS_CORE_PARQUET_ENCODE_H
#define FS_CORE_PARQUET_ENCODE_H

#include "core/buffer.h"

/* Bits that a number up to 'max' needs. */
static inline int
fs_parquet_bit_width(uint32_t max)
{
	return max == 0 ? 0 : 32 - __builtin_clz(max);
}

/* n numbers of 'width' bits (1 .. 32) as runs of equal ones and groups of packed ones (RLE). */
extern bool fs_parquet_encode_runs(FsBuffer *out, const uint32_t *values, size_t n, int width);

/* The same for levels: bytes, of which the bits at 'shift' count. */
extern bool fs_parquet_encode_levels(FsBuffer *out, const uint8_t *levels, size_t n, int shift, int width);

/* n little-endian integers of 4 or 8 bytes at 'values' as packed differences (DELTA_BINARY_PACKED). */
extern bool fs_parquet_encode_deltas(FsBuffer *out, const char *values, size_t n, int bytes);

/* n bytes, each 0 or 1, as bits. */
extern bool fs_parquet_encode_booleans(FsBuffer *out, const char *values, size_t n);

#endif							/* FS_CORE_PARQUET_ENCODE_H */
