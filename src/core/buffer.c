/*
 * buffer.c
 *		A growable byte buffer: the slow paths.
 */
#include "core/buffer.h"

#include <stdlib.h>

#define SMALLEST_BUFFER 64

/*
 * Makes room for 'more' bytes, at least doubling so that appends cost amortized
 * constant time.  False, with the buffer untouched, when memory is out or the
 * content would pass FS_BUFFER_MAX.
 */
bool
fs_buffer_grow(FsBuffer *buffer, size_t more)
{
	size_t		cap;
	char	   *data;

	FS_ASSERT(buffer->len <= FS_BUFFER_MAX);
	if (more > FS_BUFFER_MAX - buffer->len)
		return false;
	cap = buffer->cap * 2;
	if (cap < SMALLEST_BUFFER)
		cap = SMALLEST_BUFFER;
	if (cap < buffer->len + more)
		cap = buffer->len + more;
	if (cap > FS_BUFFER_MAX)
		cap = FS_BUFFER_MAX;
	data = realloc(buffer->data, cap);
	if (data == NULL)
		return false;
	buffer->data = data;
	buffer->cap = cap;
	return true;
}

/* Gives the memory back; the buffer is empty and may be used again. */
void
fs_buffer_free(FsBuffer *buffer)
{
	free(buffer->data);
	buffer->data = NULL;
	buffer->len = 0;
	buffer->cap = 0;
}

/*
 * The varints of two bytes and more.  A tenth byte may hold only the top bit of
 * 64, and a last byte of zero is refused: every number has one spelling.
 */
bool
fs_take_long_varint(FsCursor *cursor, uint64_t *value)
{
	uint64_t	v = 0;
	int			shift;

	for (shift = 0; shift < 70; shift += 7)
	{
		uint8_t		byte;

		if (!fs_take_byte(cursor, &byte))
			return false;
		if (shift == 63 && byte > 1)
			return false;
		v |= (uint64_t) (byte & 0x7f) << shift;
		if (byte < 0x80)
		{
			*value = v;
			return byte != 0 || shift == 0;
		}
	}
	return false;
}
