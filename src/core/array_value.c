/*
 * array_value.c
 *		The bytes of an array's value; see array_value.h.
 */
#include "core/array_value.h"

#include <string.h>

/* See array_value.h. */
bool
fs_array_append(FsBuffer *array, FsType element, const FsValue *value)
{
	char		bits[8];

	FS_ASSERT(!fs_type_is_array(element) && value->presence != FS_ABSENT);
	if (value->presence == FS_NULL)
		return fs_buffer_append_byte(array, 0);
	if (fs_type_is_bytes(element))
		return fs_buffer_append_varint(array, (uint64_t) value->len + 1) &&
			(value->len == 0 || fs_buffer_append(array, value->data, value->len));
	if (!fs_buffer_append_byte(array, 1))
		return false;
	if (!fs_type_is_float(element))
		return fs_buffer_append_zigzag(array, value->i);
	fs_put_le64(bits, (uint64_t) value->i); /* a union with the double */
	return fs_buffer_append(array, bits, sizeof(bits));
}

/* See array_value.h. */
bool
fs_array_next(FsCursor *array, FsType element, FsValue *value)
{
	const char *bytes;
	uint64_t	head;

	if (!fs_take_varint(array, &head))
		return false;
	value->presence = head == 0 ? FS_NULL : FS_PRESENT;
	value->len = 0;
	if (head == 0)
		return true;
	if (fs_type_is_bytes(element))
	{
		if (head > UINT32_MAX || !fs_take_bytes(array, (size_t) head - 1, &value->data))
			return false;
		value->len = (uint32_t) head - 1;
		return true;
	}
	if (head != 1)
		return false;
	if (!fs_type_is_float(element))
		return fs_take_zigzag(array, &value->i);
	if (!fs_take_bytes(array, 8, &bytes))
		return false;
	value->i = (int64_t) fs_get_le64(bytes);
	return true;
}
