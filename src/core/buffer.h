/*
 * buffer.h
 *		A growable byte buffer, and the little-endian numbers put into it.
 *
 * Plain C on malloc: an append returns false when memory is out (or the buffer
 * would pass FS_BUFFER_MAX), and then the buffer is as it was.  The fast path,
 * room enough, is inline.  Everything multi-byte is little-endian whatever the
 * host is, so that what one machine writes another can read.
 *
 * A zeroed FsBuffer is an empty one.  The owner frees it with fs_buffer_free.
 */
#ifndef FS_CORE_BUFFER_H
#define FS_CORE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* core/ has no PostgreSQL Assert: tests compile with -DFS_ENABLE_ASSERTS. */
#ifdef FS_ENABLE_ASSERTS
#include <assert.h>
#define FS_ASSERT(condition) assert(condition)
#else
#define FS_ASSERT(condition) ((void) 0)
#endif

#define FS_BUFFER_MAX		((size_t) 0x3fffffff)	/* 1 GB - 1: no datum is larger */
#define FS_VARINT_MAX		10	/* bytes of the longest varint */

typedef struct FsBuffer
{
	char	   *data;			/* NULL until the first append */
	size_t		len;			/* bytes in use */
	size_t		cap;			/* bytes allocated */
} FsBuffer;

extern bool fs_buffer_grow(FsBuffer *buffer, size_t more);
extern void fs_buffer_free(FsBuffer *buffer);

/* Forgets the content, keeps the memory. */
static inline void
fs_buffer_reset(FsBuffer *buffer)
{
	buffer->len = 0;
}

/* Makes room for 'more' bytes after the content; false when memory is out. */
static inline bool
fs_buffer_reserve(FsBuffer *buffer, size_t more)
{
	FS_ASSERT(buffer->len <= buffer->cap);
	if (__builtin_expect(more <= buffer->cap - buffer->len, 1))
		return true;
	return fs_buffer_grow(buffer, more);
}

/*
 * Appends n bytes; false, and the buffer as before, when memory is out. 'bytes'
 * may be NULL when there are none.
 */
static inline bool
fs_buffer_append(FsBuffer *buffer, const void *bytes, size_t n)
{
	if (!fs_buffer_reserve(buffer, n))
		return false;
	if (n > 0)
		memcpy(buffer->data + buffer->len, bytes, n);
	buffer->len += n;
	return true;
}

static inline bool
fs_buffer_append_byte(FsBuffer *buffer, uint8_t byte)
{
	if (!fs_buffer_reserve(buffer, 1))
		return false;
	buffer->data[buffer->len++] = (char) byte;
	return true;
}

/*
 * Fixed-width little-endian numbers in raw memory.  Compilers make one move of
 * each on little-endian hosts.
 */
static inline uint64_t
fs_le64(uint64_t v)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return __builtin_bswap64(v);
#else
	return v;
#endif
}

static inline uint32_t
fs_le32(uint32_t v)
{
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	return __builtin_bswap32(v);
#else
	return v;
#endif
}

static inline void
fs_put_le64(char *p, uint64_t v)
{
	v = fs_le64(v);
	memcpy(p, &v, 8);
}

static inline void
fs_put_le32(char *p, uint32_t v)
{
	v = fs_le32(v);
	memcpy(p, &v, 4);
}

static inline void
fs_put_le16(char *p, uint16_t v)
{
	p[0] = (char) (v & 0xff);
	p[1] = (char) (v >> 8);
}

static inline uint64_t
fs_get_le64(const char *p)
{
	uint64_t	v;

	memcpy(&v, p, 8);
	return fs_le64(v);
}

static inline uint32_t
fs_get_le32(const char *p)
{
	uint32_t	v;

	memcpy(&v, p, 4);
	return fs_le32(v);
}

static inline uint16_t
fs_get_le16(const char *p)
{
	return (uint16_t) ((uint8_t) p[0] | (uint8_t) p[1] << 8);
}

/* Signed numbers near zero become small unsigned ones, and back. */
static inline uint64_t
fs_zigzag(int64_t v)
{
	return ((uint64_t) v << 1) ^ (v < 0 ? UINT64_MAX : 0);
}

static inline int64_t
fs_unzigzag(uint64_t v)
{
	return (int64_t) ((v >> 1) ^ (0 - (v & 1)));
}

/* Bytes a varint takes: 1..10. */
static inline int
fs_varint_size(uint64_t v)
{
	int			bits = 64 - __builtin_clzll(v | 1);

	return (bits * 37 + 219) >> 8;	/* (bits + 6) / 7 without the division */
}

/*
 * Writes a varint (7 bits a byte, least significant first) at 'p', which has
 * room for FS_VARINT_MAX bytes; returns the byte after it.
 */
static inline char *
fs_put_varint(char *p, uint64_t v)
{
	while (v >= 0x80)
	{
		*p++ = (char) (v | 0x80);
		v >>= 7;
	}
	*p++ = (char) v;
	return p;
}

/* Appends a varint; false, and the buffer as before, when memory is out. */
static inline bool
fs_buffer_append_varint(FsBuffer *buffer, uint64_t v)
{
	char	   *end;

	if (!fs_buffer_reserve(buffer, FS_VARINT_MAX))
		return false;
	end = fs_put_varint(buffer->data + buffer->len, v);
	buffer->len = (size_t) (end - buffer->data);
	return true;
}

static inline bool
fs_buffer_append_zigzag(FsBuffer *buffer, int64_t v)
{
	return fs_buffer_append_varint(buffer, fs_zigzag(v));
}

/* What is left to read of somebody's bytes; every take checks the end. */
typedef struct FsCursor
{
	const char *p;
	const char *end;
} FsCursor;

static inline size_t
fs_cursor_left(const FsCursor *cursor)
{
	FS_ASSERT(cursor->p <= cursor->end);
	return (size_t) (cursor->end - cursor->p);
}

/* Takes 'n' bytes: *bytes points at them.  False when there are fewer. */
static inline bool
fs_take_bytes(FsCursor *cursor, size_t n, const char **bytes)
{
	if (n > fs_cursor_left(cursor))
		return false;
	*bytes = cursor->p;
	cursor->p += n;
	return true;
}

static inline bool
fs_take_byte(FsCursor *cursor, uint8_t *byte)
{
	if (cursor->p >= cursor->end)
		return false;
	*byte = (uint8_t) *cursor->p++;
	return true;
}

extern bool fs_take_long_varint(FsCursor *cursor, uint64_t *value);

/*
 * Takes a varint.  False when the bytes end inside it or it does not fit 64
 * bits; *cursor is then undefined.
 */
static inline bool
fs_take_varint(FsCursor *cursor, uint64_t *value)
{
	if (cursor->p < cursor->end && (uint8_t) *cursor->p < 0x80)
	{
		*value = (uint8_t) *cursor->p++;
		return true;
	}
	return fs_take_long_varint(cursor, value);
}

/* Takes a signed varint; false when the bytes end before it does. */
static inline bool
fs_take_zigzag(FsCursor *cursor, int64_t *value)
{
	uint64_t	u;

	if (!fs_take_varint(cursor, &u))
		return false;
	*value = fs_unzigzag(u);
	return true;
}

#endif							/* FS_CORE_BUFFER_H */
