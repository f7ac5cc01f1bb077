/*
 * thrift.c
 *		Writer of Thrift's compact protocol; see thrift.h.
 */
#include "core/thrift.h"

#define LONG_LIST 15			/* items from which on a list's length stands behind its type */

static void
put_byte(FsThrift *thrift, uint8_t byte)
{
	thrift->failed |= !fs_buffer_append_byte(thrift->out, byte);
}

/* Type and number of a field, the short way where the number is near the last one. */
static void
put_field(FsThrift *thrift, int field, FsThriftType type)
{
	int			delta = field - thrift->last[thrift->depth];

	FS_ASSERT(thrift->depth > 0 && delta > 0);
	thrift->last[thrift->depth] = field;
	if (delta <= 15)
		put_byte(thrift, (uint8_t) (delta << 4 | type));
	else
	{
		put_byte(thrift, (uint8_t) type);
		fs_thrift_int_item(thrift, field);
	}
}

void
fs_thrift_begin(FsThrift *thrift)
{
	FS_ASSERT(thrift->depth < FS_THRIFT_MAX_DEPTH);
	thrift->last[++thrift->depth] = 0;
}

void
fs_thrift_end(FsThrift *thrift)
{
	FS_ASSERT(thrift->depth > 0);
	thrift->depth--;
	put_byte(thrift, 0);
}

void
fs_thrift_begin_field(FsThrift *thrift, int field)
{
	put_field(thrift, field, FS_THRIFT_STRUCT);
	fs_thrift_begin(thrift);
}

void
fs_thrift_empty_field(FsThrift *thrift, int field)
{
	fs_thrift_begin_field(thrift, field);
	fs_thrift_end(thrift);
}

void
fs_thrift_bool_field(FsThrift *thrift, int field, bool value)
{
	put_field(thrift, field, value ? FS_THRIFT_TRUE : FS_THRIFT_FALSE);
}

void
fs_thrift_int_field(FsThrift *thrift, int field, FsThriftType type, int64_t value)
{
	FS_ASSERT(type >= FS_THRIFT_I16 && type <= FS_THRIFT_I64);
	put_field(thrift, field, type);
	fs_thrift_int_item(thrift, value);
}

void
fs_thrift_bytes_field(FsThrift *thrift, int field, const void *bytes, size_t len)
{
	put_field(thrift, field, FS_THRIFT_BINARY);
	fs_thrift_bytes_item(thrift, bytes, len);
}

/* See thrift.h. */
void
fs_thrift_list_field(FsThrift *thrift, int field, FsThriftType type, size_t n)
{
	put_field(thrift, field, FS_THRIFT_LIST);
	if (n < LONG_LIST)
		put_byte(thrift, (uint8_t) (n << 4 | type));
	else
	{
		put_byte(thrift, (uint8_t) (0xf0 | type));
		thrift->failed |= !fs_buffer_append_varint(thrift->out, n);
	}
}

void
fs_thrift_bool_item(FsThrift *thrift, bool value)
{
	put_byte(thrift, value ? FS_THRIFT_TRUE : FS_THRIFT_FALSE);
}

void
fs_thrift_int_item(FsThrift *thrift, int64_t value)
{
	thrift->failed |= !fs_buffer_append_zigzag(thrift->out, value);
}

void
fs_thrift_bytes_item(FsThrift *thrift, const void *bytes, size_t len)
{
	thrift->failed |= !fs_buffer_append_varint(thrift->out, len) || !fs_buffer_append(thrift->out, bytes, len);
}
