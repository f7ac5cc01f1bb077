/*
 * avro_read.h
 *		Text of Avro records: the short way.
 *
 * For decode_avro.c, in which it is inlined; what is long or not so plain goes
 * on in avro_read.c.
 */
#ifndef FS_CORE_AVRO_READ_H
#define FS_CORE_AVRO_READ_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "core/avro_program.h"

/* Are these characters ASCII, and none NUL?  'end' bounds what may be looked at. */
extern bool fs_avro_is_plain(const char *p, size_t len, const char *end);

/*
 * What is wrong with text that is not so plain, if anything, for a column.  A
 * string that is not UTF-8 makes the record malformed: false.
 */
extern bool fs_avro_check_text(FsAvroDecoder *decoder, const char *p, size_t len,
							   int column, bool is_string);

/* The place of a byte in the record; 0 for one of a default. */
static inline size_t
fs_avro_position(const FsAvroDecoder *decoder, const char *at)
{
	if (at == NULL || (uintptr_t) at < (uintptr_t) decoder->begin ||
		(uintptr_t) at > (uintptr_t) decoder->end)
		return 0;
	return (size_t) (at - decoder->begin);
}

/*
 * Are these characters ASCII, and none NUL?  What lies between 'low' and 'end'
 * may be looked at, so that a short text is one load, from its first byte or up
 * to its last.
 */
static inline bool
fs_avro_is_plain_short(const char *p, size_t len, const char *low, const char *end)
{
#ifdef __SSE2__
	if (len <= 16 && (end - p >= 16 || p + len - low >= 16))
	{
		bool		ahead = end - p >= 16;
		const char *from = ahead ? p : p + len - 16;
		__m128i		bytes = _mm_loadu_si128((const __m128i *) (const void *) from);
		unsigned	hits = (unsigned) _mm_movemask_epi8(_mm_cmplt_epi8(bytes, _mm_set1_epi8(1)));

		return (ahead ? hits & ((1u << len) - 1) : hits >> (16 - len)) == 0;
	}
#endif
	return fs_avro_is_plain(p, len, end);
}

/* As fs_avro_put_text. */
static inline __attribute__((always_inline)) bool
fs_avro_put_text_inline(FsAvroDecoder *decoder, const char *p, size_t len, int column, bool is_string)
{
	FsValue    *value = &decoder->values[column];

	if (!fs_avro_is_plain_short(p, len, decoder->low, decoder->end) &&
		!fs_avro_check_text(decoder, p, len, column, is_string))
		return false;
	value->presence = FS_PRESENT;
	value->len = (uint32_t) len;
	value->data = p;
	return true;
}

#endif							/* FS_CORE_AVRO_READ_H */
