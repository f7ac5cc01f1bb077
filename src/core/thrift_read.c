/*
 * thrift_read.c
 *		Reader of Thrift's compact protocol; see thrift_read.h.
 */
#include "core/thrift_read.h"

/* Types that only occur where something is skipped. */
enum
{
	TYPE_BYTE = 3, TYPE_DOUBLE = 7, TYPE_SET = 10
};

static uint64_t
fail(FsThriftReader *reader)
{
	reader->failed = true;
	reader->in.p = reader->in.end;
	return 0;
}

/* See thrift_read.h. */
void
fs_thrift_enter(FsThriftReader *reader)
{
	if (reader->depth == FS_THRIFT_MAX_DEPTH)
		(void) fail(reader);
	else
		reader->last[++reader->depth] = 0;
}

static uint64_t
take_varint(FsThriftReader *reader)
{
	uint64_t	value;

	return fs_take_varint(&reader->in, &value) ? value : fail(reader);
}

/* See thrift_read.h. */
int
fs_thrift_next_field(FsThriftReader *reader, FsThriftType *type)
{
	uint8_t		head;
	int			field;

	if (reader->failed || reader->depth == 0)
		return 0;
	if (!fs_take_byte(&reader->in, &head))
	{
		(void) fail(reader);
		return 0;
	}
	if (head == 0)
	{
		reader->depth--;
		return 0;
	}
	*type = (FsThriftType) (head & 0x0f);
	field = head >> 4 != 0 ? reader->last[reader->depth] + (head >> 4) : (int) (int16_t) fs_unzigzag(take_varint(reader));
	if (reader->failed || field <= 0 || field > INT16_MAX)
	{
		(void) fail(reader);
		return 0;
	}
	reader->last[reader->depth] = field;
	return field;
}

/* See thrift_read.h. */
int64_t
fs_thrift_take_int(FsThriftReader *reader, FsThriftType type)
{
	if (type != FS_THRIFT_I16 && type != FS_THRIFT_I32 && type != FS_THRIFT_I64)
		return (int64_t) fail(reader);
	return fs_unzigzag(take_varint(reader));
}

/* See thrift_read.h. */
const char *
fs_thrift_take_bytes(FsThriftReader *reader, FsThriftType type, size_t *len)
{
	uint64_t	n = type == FS_THRIFT_BINARY ? take_varint(reader) : fail(reader);
	const char *bytes = "";

	if (!fs_take_bytes(&reader->in, n, &bytes))
		n = fail(reader);
	*len = n;
	return bytes;
}

/* See thrift_read.h.  An item takes a byte at least. */
size_t
fs_thrift_take_list(FsThriftReader *reader, FsThriftType type, FsThriftType *item)
{
	uint8_t		head;
	uint64_t	n;

	*item = FS_THRIFT_STRUCT;
	if (type != FS_THRIFT_LIST || !fs_take_byte(&reader->in, &head))
		return fail(reader);
	*item = (FsThriftType) (head & 0x0f);
	n = head >> 4 == 15 ? take_varint(reader) : (uint64_t) head >> 4;
	return n <= fs_cursor_left(&reader->in) ? n : fail(reader);
}

/* See thrift_read.h. */
bool
fs_thrift_take_struct(FsThriftReader *reader, FsThriftType type)
{
	if (type != FS_THRIFT_STRUCT)
		(void) fail(reader);
	else
		fs_thrift_enter(reader);
	return !reader->failed;
}

/* Skips all fields of a struct. */
static void
skip_struct(FsThriftReader *reader)
{
	FsThriftType type;

	fs_thrift_enter(reader);
	while (!reader->failed && fs_thrift_next_field(reader, &type) != 0)
		fs_thrift_skip(reader, type);
}

/* Skips all items of a list; those that are booleans take a byte there. */
static void
skip_list(FsThriftReader *reader)
{
	FsThriftType item;
	size_t		n = fs_thrift_take_list(reader, FS_THRIFT_LIST, &item);

	/* lists are within each other as deep as structs are */
	if (reader->depth == FS_THRIFT_MAX_DEPTH)
	{
		(void) fail(reader);
		return;
	}
	reader->depth++;
	for (size_t i = 0; i < n && !reader->failed; i++)
		fs_thrift_skip(reader, item == FS_THRIFT_TRUE || item == FS_THRIFT_FALSE ? (FsThriftType) TYPE_BYTE : item);
	reader->depth--;
}

/* See thrift_read.h. */
void
fs_thrift_skip(FsThriftReader *reader, FsThriftType type)
{
	const char *bytes;
	size_t		len;

	switch ((int) type)
	{
		case FS_THRIFT_TRUE:
		case FS_THRIFT_FALSE:
			break;
		case TYPE_BYTE:
		case TYPE_DOUBLE:
			if (!fs_take_bytes(&reader->in, (int) type == TYPE_BYTE ? 1 : 8, &bytes))
				(void) fail(reader);
			break;
		case FS_THRIFT_I16:
		case FS_THRIFT_I32:
		case FS_THRIFT_I64:
			(void) take_varint(reader);
			break;
		case FS_THRIFT_BINARY:
			(void) fs_thrift_take_bytes(reader, type, &len);
			break;
		case FS_THRIFT_LIST:
		case TYPE_SET:
			skip_list(reader);
			break;
		case FS_THRIFT_STRUCT:
			skip_struct(reader);
			break;
		default:
			(void) fail(reader);
	}
}
