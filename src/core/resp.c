/*
 * resp.c
 *		Redis commands in RESP2.
 *
 * hiredis could format them too, but only into memory of its own, one
 * allocation a command; rows are rendered once, straight into what is sent.
 */
#include "core/resp.h"

#define DIGITS_MAX 20			/* of a 64-bit number, with its sign */

/*
 * Writes 'v' in decimal so that it ends before 'end'; returns where it begins.
 */
static char *
put_digits(char *end, uint64_t v)
{
	do
	{
		*--end = (char) ('0' + v % 10);
		v /= 10;
	} while (v != 0);
	return end;
}

/* Appends a type byte, a count and the line end, as in "*3" or "$5". */
static bool
append_prefix(FsBuffer *buf, char type, size_t n)
{
	char		line[DIGITS_MAX + 3];
	char	   *end = line + sizeof(line) - 2;
	char	   *begin = put_digits(end, n);

	*--begin = type;
	end[0] = '\r';
	end[1] = '\n';
	return fs_buffer_append(buf, begin, (size_t) (end + 2 - begin));
}

bool
fs_resp_array(FsBuffer *buf, int n)
{
	FS_ASSERT(n > 0);
	return append_prefix(buf, '*', (size_t) n);
}

/* Appends one bulk string; on failure part of it may be in the buffer. */
bool
fs_resp_bulk(FsBuffer *buf, const char *data, size_t len)
{
	return append_prefix(buf, '$', len) &&
		fs_buffer_append(buf, data, len) &&
		fs_buffer_append(buf, "\r\n", 2);
}

/* See resp.h. */
bool
fs_resp_bulk_int(FsBuffer *buf, int64_t value)
{
	char		text[DIGITS_MAX];
	char	   *end = text + sizeof(text);
	char	   *begin;

	begin = put_digits(end, value < 0 ? 0 - (uint64_t) value : (uint64_t) value);
	if (value < 0)
		*--begin = '-';
	return fs_resp_bulk(buf, begin, (size_t) (end - begin));
}
