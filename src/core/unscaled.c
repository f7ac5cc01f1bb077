/*
 * unscaled.c
 *		Decimals as Iceberg has them; see unscaled.h.
 */
#include "core/unscaled.h"

#include <string.h>

#include "core/buffer.h"

/* See unscaled.h. */
int
fs_unscaled_width(int precision)
{
	unsigned __int128 greatest = 1;
	int			width = 1;

	FS_ASSERT(precision >= 1 && precision <= FS_UNSCALED_PRECISION);
	while (precision-- > 0)
		greatest *= 10;
	while (width < FS_UNSCALED_SIZE && (greatest - 1) >> (8 * width - 1) != 0)
		width++;
	return width;
}

static bool
is_negative(const char *bytes, size_t len)
{
	return len > 0 && (bytes[0] & 0x80) != 0;
}

/* See unscaled.h. */
__int128
fs_unscaled_get(const char *bytes, size_t len)
{
	unsigned __int128 bits = is_negative(bytes, len) ? ~(unsigned __int128) 0 : 0;

	FS_ASSERT(len <= FS_UNSCALED_SIZE);
	for (size_t i = 0; i < len; i++)
		bits = bits << 8 | (uint8_t) bytes[i];
	return (__int128) bits;
}

/* See unscaled.h. */
size_t
fs_unscaled_put(__int128 value, char *out)
{
	unsigned __int128 bits = (unsigned __int128) value;
	char		all[FS_UNSCALED_SIZE];
	size_t		len = sizeof(all);
	const char *first;

	for (int i = FS_UNSCALED_SIZE - 1; i >= 0; i--, bits >>= 8)
		all[i] = (char) (bits & 0xff);
	first = fs_unscaled_shorten(all, &len);
	memcpy(out, first, len);
	return len;
}

/* See unscaled.h. */
const char *
fs_unscaled_shorten(const char *bytes, size_t *len)
{
	while (*len > 1 && (((uint8_t) bytes[0] == 0x00 && (bytes[1] & 0x80) == 0) ||
						((uint8_t) bytes[0] == 0xff && (bytes[1] & 0x80) != 0)))
	{
		bytes++;
		--*len;
	}
	return bytes;
}

/* See unscaled.h.  Of numbers of one sign and length, bytes are in their order. */
int
fs_unscaled_compare(const char *a, size_t alen, const char *b, size_t blen)
{
	bool		negative = is_negative(a, alen);
	int			order;

	if (negative != is_negative(b, blen))
		return negative ? -1 : 1;
	if (alen != blen)
		return (alen < blen) != negative ? -1 : 1;
	order = alen == 0 ? 0 : memcmp(a, b, alen);
	return (order > 0) - (order < 0);
}

/* See unscaled.h. */
size_t
fs_unscaled_read(const char *text, int precision, int scale, char *out)
{
	static const char digits[] = "0123456789";
	const char *whole = text + (*text == '-');
	size_t		nwhole = strspn(whole, digits);
	const char *fraction = whole + nwhole + (whole[nwhole] == '.');
	size_t		nfraction = strspn(fraction, digits);
	__int128	value = 0;

	FS_ASSERT(precision <= FS_UNSCALED_PRECISION && scale >= 0 && scale <= precision);
	if (nwhole + nfraction == 0 || fraction[nfraction] != '\0')
		return 0;
	for (; nfraction > (size_t) scale; nfraction--)
		if (fraction[nfraction - 1] != '0')
			return 0;
	for (; nwhole > 0 && *whole == '0'; nwhole--)
		whole++;
	if (nwhole > (size_t) (precision - scale))
		return 0;
	for (size_t i = 0; i < nwhole; i++)
		value = value * 10 + (whole[i] - '0');
	for (size_t i = 0; i < (size_t) scale; i++)
		value = value * 10 + (i < nfraction ? fraction[i] - '0' : 0);
	return fs_unscaled_put(*text == '-' ? -value : value, out);
}

/* See unscaled.h. */
size_t
fs_unscaled_write(const char *bytes, size_t len, int scale, char *out)
{
	__int128	value = fs_unscaled_get(bytes, len);
	unsigned __int128 rest = value < 0 ? -(unsigned __int128) value : (unsigned __int128) value;
	char		text[FS_UNSCALED_TEXT];
	char	   *p = text + sizeof(text);

	FS_ASSERT(scale >= 0 && scale <= FS_UNSCALED_PRECISION);
	*--p = '\0';
	for (int i = 0; rest != 0 || i <= scale; i++, rest /= 10)
	{
		if (i == scale && scale > 0)
			*--p = '.';
		*--p = (char) ('0' + (int) (rest % 10));
	}
	if (value < 0)
		*--p = '-';
	len = (size_t) (text + sizeof(text) - 1 - p);
	memcpy(out, p, len + 1);
	return len;
}
