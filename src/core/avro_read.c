/*
 * avro_read.c
 *		Numbers and text of Avro records, and what is said of those that are wrong.
 */
#include "core/avro_read.h"

#include <stdarg.h>
#include <stdio.h>

#include "core/utf8.h"

#define SHOWN_BYTES	60			/* of a name in a message */

/* See avro_program.h. */
void
fs_avro_refuse(FsAvroDecoder *decoder, int column, const char *at, const char *format,...)
{
	FsDecodeError *error = decoder->error;
	const FsField *field = &decoder->program->fields[column];
	char		name[SHOWN_BYTES + 4];
	char		item[16] = "";
	char		what[FS_DECODE_MESSAGE_SIZE];
	va_list		args;
	size_t		len;

	if (decoder->refused)
		return;
	decoder->refused = true;
	error->reason = FS_REASON_BAD_VALUE;
	error->field = column;
	error->position = fs_avro_position(decoder, at);
	fs_utf8_print(name, SHOWN_BYTES, field->name, field->name_len);
	if (decoder->item >= 0)
		snprintf(item, sizeof(item), "[%d]", decoder->item);
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	len = (size_t) snprintf(error->message, sizeof(error->message), "field \"%s%s\" %s", name, item, what);
	if (len >= sizeof(error->message))
		len = sizeof(error->message) - 1;
	error->message[fs_utf8_valid_length(error->message, len)] = '\0';
}

/* Eight groups of seven bits, each in a byte whose highest bit is 0, as one number. */
static inline uint64_t
join_groups(uint64_t x)
{
	x = (x & UINT64_C(0x007F007F007F007F)) | ((x & UINT64_C(0x7F007F007F007F00)) >> 1);
	x = (x & UINT64_C(0x00003FFF00003FFF)) | ((x & UINT64_C(0x3FFF00003FFF0000)) >> 2);
	return (x & UINT64_C(0x000000000FFFFFFF)) | ((x & UINT64_C(0x0FFFFFFF00000000)) >> 4);
}

/*
 * The next eight bytes, as many of them as there are; the others are zero.
 * False when that cannot be said without reading beyond the bytes.
 */
static inline bool
peek(const FsAvroDecoder *decoder, const char *p, uint64_t *word)
{
	ptrdiff_t	left = decoder->end - p;

	if (left >= 8)
		*word = fs_utf8_load(p);
	else if (decoder->end - decoder->low >= 8 && left > 0)
		*word = fs_utf8_load(decoder->end - 8) >> (8 * (8 - left));
	else
		return false;
	return true;
}

/* See avro_program.h.  Up to eight bytes at once, where they can be looked at. */
const char *
fs_avro_long_varint(FsAvroDecoder *decoder, const char *p, uint64_t *value)
{
	const char *start = p;
	uint64_t	result = 0;
	uint64_t	word;

	if (peek(decoder, p, &word))
	{
		const uint64_t tops = UINT64_C(0x8080808080808080);
		uint64_t	last = ~word & tops;

		if (last != 0)
		{
			int			bits = __builtin_ctzll(last) + 1;	/* of the bytes of the number */

			if (bits / 8 > decoder->end - p)
				return fs_avro_malformed(decoder, start, "value runs beyond the end");
			*value = join_groups(word & ~tops & (UINT64_MAX >> (64 - bits)));
			return p + bits / 8;
		}
	}
	for (int shift = 0; shift < 64; shift += 7)
	{
		uint64_t	byte;

		if (p == decoder->end)
			return fs_avro_malformed(decoder, start, "value runs beyond the end");
		byte = (unsigned char) *p++;
		if (shift == 63 && byte > 1)
			break;
		result |= (byte & 0x7F) << shift;
		if (byte < 0x80)
		{
			*value = result;
			return p;
		}
	}
	return fs_avro_malformed(decoder, start, "number has more than 64 bits");
}

/* See avro_read.h. */
bool
fs_avro_is_plain(const char *p, size_t len, const char *end)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t	hit = 0;

	while (len >= 8)
	{
		uint64_t	word = fs_utf8_load(p);

		hit |= ((word - ones) & ~word) | word;
		p += 8;
		len -= 8;
	}
	if (len > 0 && end - p >= 8)
	{
		uint64_t	kept = (UINT64_C(1) << (8 * len)) - 1;
		uint64_t	word = (fs_utf8_load(p) & kept) | (ones & ~kept);

		hit |= ((word - ones) & ~word) | word;
	}
	else
		for (size_t i = 0; i < len; i++)
			hit |= (signed char) p[i] <= 0 ? ones * 0x80 : 0;
	return (hit & (ones * 0x80)) == 0;
}

/* See avro_read.h. */
bool
fs_avro_check_text(FsAvroDecoder *decoder, const char *p, size_t len, int column, bool is_string)
{
	size_t		valid = fs_utf8_valid_length(p, len);

	if (valid < len && is_string)
		return fs_avro_malformed(decoder, p + valid, "invalid UTF-8") != NULL;
	if (valid < len)
		fs_avro_refuse(decoder, column, p + valid, "has bytes that are not UTF-8");
	else if (memchr(p, 0, len) != NULL)
		fs_avro_refuse(decoder, column, p, "has a character U+0000, which text cannot hold");
	return true;
}

/* See avro_program.h. */
bool
fs_avro_put_text(FsAvroDecoder *decoder, const char *p, size_t len, int column, bool is_string)
{
	return fs_avro_put_text_inline(decoder, p, len, column, is_string);
}
