/*
 * json_write.c
 *		Text as a JSON string.
 *
 * Only what RFC 8259 demands is escaped (quote, backslash, U+0000 to U+001F),
 * in PostgreSQL's spelling, so that an array in Redis reads like to_json() of
 * the same array in SQL.  Other UTF-8 passes as it is.
 */
#include "core/json_write.h"

/* For each byte: 0 = as it is, 'u' = \u00XX, else the letter after '\'. */
static const char escapes[256] = {
	'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'b', 't', 'n', 'u', 'f', 'r', 'u', 'u',
	'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u', 'u',
	['"'] = '"',
	['\\'] = '\\',
};

/* Writes the escape of 'byte' at 'p', up to 6 bytes; returns the byte after it. */
static char *
put_escape(char *p, uint8_t byte)
{
	static const char hex[] = "0123456789abcdef";

	*p++ = '\\';
	*p++ = escapes[byte];
	if (escapes[byte] != 'u')
		return p;
	*p++ = '0';
	*p++ = '0';
	*p++ = hex[byte >> 4];
	*p++ = hex[byte & 15];
	return p;
}

/*
 * Runs without escapes are copied whole; room is made for the worst case of
 * each run only, since nearly all text has none.
 */
bool
fs_json_write_string(FsBuffer *buf, const char *text, size_t len)
{
	size_t		before = buf->len;
	size_t		done = 0;
	size_t		i;

	if (!fs_buffer_reserve(buf, len + 2))
		return false;
	buf->data[buf->len++] = '"';
	for (i = 0; i < len; i++)
	{
		char	   *end;

		if (escapes[(uint8_t) text[i]] == 0)
			continue;
		/* the run, this escape, and what is left with its quote */
		if (!fs_buffer_reserve(buf, len - done + 6 + 1))
		{
			buf->len = before;
			return false;
		}
		memcpy(buf->data + buf->len, text + done, i - done);
		buf->len += i - done;
		end = put_escape(buf->data + buf->len, (uint8_t) text[i]);
		buf->len = (size_t) (end - buf->data);
		done = i + 1;
	}
	FS_ASSERT(buf->cap - buf->len >= len - done + 1);
	if (len > done)
		memcpy(buf->data + buf->len, text + done, len - done);
	buf->len += len - done;
	buf->data[buf->len++] = '"';
	return true;
}
