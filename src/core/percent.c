/*
 * percent.c
 *		Values inside online keys, percent-escaped.
 */
#include "core/percent.h"

/* May this byte stand for itself?  Not isalnum(): that asks the locale. */
static inline bool
is_unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') ||
		c == '-' || c == '.' || c == '_' || c == '~';
}

/* Room for the worst case is made at once: keys are short. */
bool
fs_percent_escape(FsBuffer *buf, const char *text, size_t len)
{
	static const char hex[] = "0123456789ABCDEF";
	char	   *p;
	size_t		i;

	if (len > FS_BUFFER_MAX / 3 || !fs_buffer_reserve(buf, len * 3 + 1))
		return false;
	p = buf->data + buf->len;
	for (i = 0; i < len; i++)
	{
		uint8_t		c = (uint8_t) text[i];

		if (is_unreserved(c))
			*p++ = (char) c;
		else
		{
			*p++ = '%';
			*p++ = hex[c >> 4];
			*p++ = hex[c & 15];
		}
	}
	buf->len = (size_t) (p - buf->data);
	FS_ASSERT(buf->len <= buf->cap);
	return true;
}
