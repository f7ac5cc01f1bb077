/*
 * test_segment_bytes.c
 *		Encoded bytes against a slow reference, so that a faster encoder stays the same one.
 *
 * The reference encodes number streams and blocks of text after the layout in
 * segment_format.h and the choices the encoder is known by, one value and one
 * bit at a time, and shares no code with it but the byte buffer.
 */
#include <stdlib.h>
#include <string.h>

#include "core/segment_format.h"
#include "draw.h"
#include "unit.h"

/*
 * Number streams
 */

static void
put_byte(FsBuffer *out, unsigned byte)
{
	if (!fs_buffer_append_byte(out, (uint8_t) byte))
		abort();
}

static void
put_number(FsBuffer *out, uint64_t v)
{
	for (; v >= 128; v /= 128)
		put_byte(out, (unsigned) (v % 128) + 128);
	put_byte(out, (unsigned) v);
}

static void
put_signed(FsBuffer *out, uint64_t v)
{
	put_number(out, v >> 63 ? ~v * 2 + 1 : v * 2);
}

static int
signed_size(uint64_t v)
{
	int			n = 1;

	for (v = v >> 63 ? ~v * 2 + 1 : v * 2; v >= 128; v /= 128)
		n++;
	return n;
}

static int
bits_of(uint64_t v)
{
	int			n = 1;

	while (v >>= 1)
		n++;
	return n;
}

/* The unit that all distances are multiples of: 10^6, 10^3, or the greatest power of two; its code goes to *step. */
static uint64_t
slow_unit(const int64_t *v, int n, int64_t least, int *step)
{
	bool		million = true;
	bool		thousand = true;
	uint64_t	any = 0;
	int			twos = 0;

	for (int i = 0; i < n; i++)
	{
		uint64_t	d = (uint64_t) v[i] - (uint64_t) least;

		any |= (uint64_t) v[i] ^ (uint64_t) v[0];
		million = million && d % 1000000 == 0;
		thousand = thousand && d % 1000 == 0;
	}
	while ((any >> twos & 1) == 0)
		twos++;
	*step = million && twos >= 6 && twos < 20 ? 65 : thousand && twos >= 3 && twos < 10 ? 64 : twos;
	return *step == 65 ? 1000000 : *step == 64 ? 1000 : UINT64_C(1) << twos;
}

static void
slow_packed(FsBuffer *out, const int64_t *v, int n, int64_t least, uint64_t unit, int width)
{
	unsigned	byte = 0;
	int			bit = 0;

	for (int i = 0; i < n; i++)
		for (int b = 0; b < width; b++)
		{
			byte |= (unsigned) (((uint64_t) v[i] - (uint64_t) least) / unit >> b & 1) << bit;
			if (++bit == 8)
			{
				put_byte(out, byte);
				byte = 0;
				bit = 0;
			}
		}
	if (bit > 0)
		put_byte(out, byte);
}

static void
slow_ints(FsBuffer *out, const int64_t *v, int n, int64_t origin, bool may_run)
{
	int64_t		least = v[0];
	int64_t		greatest = v[0];
	int64_t		values[FS_SEGMENT_BLOCK];
	int64_t		lengths[FS_SEGMENT_BLOCK];
	int			runs = 0;
	int			stride = n >= 256 ? 8 : 1;
	int			step;
	int			width;
	uint64_t	unit;
	size_t		packed;
	size_t		varint = 0;

	for (int i = 0; i < n; i++)
	{
		least = v[i] < least ? v[i] : least;
		greatest = v[i] > greatest ? v[i] : greatest;
		if (i == 0 || v[i] != v[i - 1])
		{
			values[runs] = v[i];
			lengths[runs++] = 0;
		}
		lengths[runs - 1]++;
		if (i % stride == 0)
			varint += (size_t) signed_size((uint64_t) v[i] - (uint64_t) origin) * (size_t) stride;
	}
	if (runs == 1)
	{
		put_byte(out, 0);
		put_signed(out, (uint64_t) v[0] - (uint64_t) origin);
		return;
	}
	unit = slow_unit(v, n, least, &step);
	width = bits_of(((uint64_t) greatest - (uint64_t) least) / unit);
	if (width > 56)
	{
		step = 0;
		unit = 1;
		width = 64;
	}
	packed = ((size_t) n * (size_t) width + 7) / 8 + 6;
	if (width <= 8 || varint > packed)
		varint = packed;
	if (may_run && (size_t) runs * ((size_t) width + 8) / 8 + 14 < varint)
	{
		put_byte(out, 3);
		put_number(out, (uint64_t) runs);
		slow_ints(out, values, runs, origin, false);
		slow_ints(out, lengths, runs, 0, false);
	}
	else if (varint < packed)
	{
		put_byte(out, 2);
		for (int i = 0; i < n; i++)
			put_signed(out, (uint64_t) v[i] - (uint64_t) origin);
	}
	else
	{
		put_byte(out, 1);
		put_signed(out, (uint64_t) least - (uint64_t) origin);
		put_byte(out, (unsigned) step);
		put_byte(out, (unsigned) width);
		slow_packed(out, v, n, least, unit, width);
	}
}

/* n numbers of a shape: steps, widths, runs, signs and edges. */
static void
draw_ints(int64_t *v, int n)
{
	static const uint64_t units[] = {1, 2, 8, 64, 1000, 8000, 1000000, 64000000, UINT64_C(1) << 20, UINT64_C(1) << 40};
	uint64_t	unit = units[draw_below(10)];
	uint64_t	base = draw() >> draw_below(64);
	uint64_t	mask = UINT64_MAX >> draw_below(64);
	int			stay = draw_below(3) == 0 ? draw_below(100) : 0;

	for (int i = 0; i < n; i++)
		v[i] = i > 0 && draw_below(100) < stay ? v[i - 1] : (int64_t) (base + (draw() & mask) * unit);
	if (draw_below(4) == 0)
		v[draw_below(n)] = draw_below(2) ? INT64_MIN : INT64_MAX;
}

static bool
same_bytes(const FsBuffer *a, const FsBuffer *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

static bool
check_ints(void)
{
	static const int counts[] = {1, 2, 3, 7, 63, 64, 65, 255, 256, 1023, 1024};
	int64_t		v[FS_SEGMENT_BLOCK];
	FsBuffer	fast = {0};
	FsBuffer	slow = {0};
	bool		same = true;

	for (int i = 0; i < 20000 && same; i++)
	{
		int			n = counts[draw_below(i % 10 == 0 ? 11 : 7)];
		int64_t		origin = draw_below(2) ? 0 : (int64_t) draw();

		draw_ints(v, n);
		fs_buffer_reset(&fast);
		fs_buffer_reset(&slow);
		same = fs_ints_encode(&fast, v, n, origin);
		slow_ints(&slow, v, n, origin, true);
		same = same && same_bytes(&fast, &slow);
	}
	fs_buffer_free(&fast);
	fs_buffer_free(&slow);
	return same;
}

/*
 * Blocks of text
 */

#define ENTRIES 2048
#define LONGEST 40

/* A column as it would be kept without any thought of speed. */
typedef struct SlowColumn
{
	int			kind;
	int			tries;
	bool		has_prefix;
	char		prefix[FS_PREFIX_MAX + 1];
	int			prefix_len;
	char		entries[ENTRIES][LONGEST + 1];
	int			nentries;
	int			coded;

	/* the block */
	int			n;
	int			ncodes;
	int			nraw;
	int			next;
	int			digits;
	bool		other_digits;
	bool		leading_zeros;
	int64_t		codes[FS_SEGMENT_BLOCK];
	int64_t		gaps[FS_SEGMENT_BLOCK];
	int64_t		lengths[FS_SEGMENT_BLOCK];
	FsBuffer	raw;
} SlowColumn;

static int
count_last_digits(const char *value)
{
	int			n = (int) strlen(value);
	int			digits = 0;

	while (digits < n && digits < FS_NUMBER_DIGITS && value[n - 1 - digits] >= '0' && value[n - 1 - digits] <= '9')
		digits++;
	return digits;
}

/* The number of a NUMBER block that the value is; -1 when it is an exception. */
static int64_t
slow_number(SlowColumn *column, const char *value)
{
	int			len = (int) strlen(value);
	int			digits = count_last_digits(value);
	int64_t		number = 0;
	bool		zero;
	bool		other;

	if (!column->has_prefix && digits > 0 && len - digits <= FS_PREFIX_MAX)
	{
		column->has_prefix = true;
		column->prefix_len = len - digits;
		memcpy(column->prefix, value, (size_t) (len - digits));
	}
	digits = len - column->prefix_len;
	if (!column->has_prefix || digits < 1 || digits > FS_NUMBER_DIGITS || count_last_digits(value) < digits ||
		memcmp(value, column->prefix, (size_t) column->prefix_len) != 0)
		return -1;
	zero = digits > 1 && value[column->prefix_len] == '0';
	other = column->digits != 0 && column->digits != digits;
	if ((zero || column->leading_zeros) && (other || column->other_digits))
		return -1;
	column->leading_zeros |= zero;
	column->other_digits |= other;
	if (column->digits == 0)
		column->digits = digits;
	for (int i = column->prefix_len; i < len; i++)
		number = number * 10 + (value[i] - '0');
	return number;
}

static int64_t
slow_code(SlowColumn *column, const char *value)
{
	int			code = 0;

	while (code < column->nentries && strcmp(column->entries[code], value) != 0)
		code++;
	if (code == column->nentries)
		strcpy(column->entries[column->nentries++], value);
	return code;
}

static void
slow_append(SlowColumn *column, const char *value)
{
	int			digits = count_last_digits(value);
	int64_t		code = -1;

	if (column->kind == FS_COLUMN_ALL_NULL)
		column->kind = column->tries > 0 && digits > 0 && (int) strlen(value) - digits <= FS_PREFIX_MAX ?
			FS_COLUMN_NUMBER : FS_COLUMN_DICTIONARY;
	if (column->kind == FS_COLUMN_NUMBER)
		code = slow_number(column, value);
	else if (column->kind == FS_COLUMN_DICTIONARY)
		code = slow_code(column, value);
	if (code >= 0)
		column->codes[column->ncodes++] = code;
	else
	{
		column->gaps[column->nraw] = column->n - column->next;
		column->lengths[column->nraw++] = (int64_t) strlen(value);
		if (!fs_buffer_append(&column->raw, value, strlen(value)))
			abort();
		column->next = column->n + 1;
	}
	column->n++;
}

static int
slow_next_kind(SlowColumn *column)
{
	bool		unfit = column->nraw > column->n / 2;

	if (column->kind == FS_COLUMN_NUMBER && column->nraw > column->n / 4)
	{
		column->tries--;
		column->has_prefix = false;
		return FS_COLUMN_DICTIONARY;
	}
	unfit |= column->coded >= 4096 && column->nentries > column->coded / 4 * 3;
	if (column->kind == FS_COLUMN_DICTIONARY && unfit)
		return column->tries > 0 ? FS_COLUMN_NUMBER : FS_COLUMN_PLAIN;
	return column->kind;
}

static void
slow_block(SlowColumn *column, FsBuffer *out)
{
	if (column->kind == FS_COLUMN_NUMBER)
	{
		put_byte(out, (unsigned) column->prefix_len);
		for (int i = 0; i < column->prefix_len; i++)
			put_byte(out, (unsigned char) column->prefix[i]);
		put_byte(out, column->leading_zeros ? (unsigned) column->digits : 0);
	}
	if (column->kind != FS_COLUMN_PLAIN)
	{
		put_number(out, (uint64_t) column->nraw);
		if (column->nraw > 0)
			slow_ints(out, column->gaps, column->nraw, 0, true);
	}
	if (column->nraw > 0)
		slow_ints(out, column->lengths, column->nraw, 0, true);
	for (size_t i = 0; i < column->raw.len; i++)
		put_byte(out, (unsigned char) column->raw.data[i]);
	if (column->ncodes > 0)
		slow_ints(out, column->codes, column->ncodes, 0, true);
	if (column->kind == FS_COLUMN_DICTIONARY)
		column->coded += column->ncodes;
	column->kind = slow_next_kind(column);
	column->n = column->ncodes = column->nraw = column->next = column->digits = 0;
	column->other_digits = column->leading_zeros = false;
	fs_buffer_reset(&column->raw);
}

/* A value of a shape: identifiers of all widths, with zeros, words, and what only looks like either. */
static void
draw_text(char *out, int shape)
{
	static const char *const prefixes[] = {"", "u", "it", "user-12-", "item000x", "a long prefix-"};
	static const char *const words[] = {"", "x", "shoes", "hats!", "outerwear", "Schuhe \xc3\xbc", "category-of-many-letters"};
	const char *prefix = prefixes[shape % 6];
	int			digits = 1 + shape / 6 % 18;
	int64_t		power = 1;

	for (int i = 0; i < digits; i++)
		power *= 10;
	switch (draw_below(30) == 0 ? draw_below(4) : shape / 108)
	{
		case 0:
			snprintf(out, LONGEST, "%s%lld", prefix, (long long) (draw() % (uint64_t) power));
			break;
		case 1:
			snprintf(out, LONGEST, "%s%0*lld", prefix, digits, (long long) (draw() % (uint64_t) power));
			break;
		case 2:
			snprintf(out, LONGEST, "%s%d", words[draw_below(7)], draw_below(20));
			if (draw_below(3) > 0)
				out[strlen(out) - 1] = '\0';
			break;
		default:
			snprintf(out, LONGEST, "%s%lld", prefix, (long long) (draw() % (uint64_t) power));
			out[draw_below((int) strlen(out))] ^= (char) (1 << draw_below(7));
			if (strchr(out, '\0') == out)
				strcpy(out, "/:");
			break;
	}
}

static bool
check_text(void)
{
	SlowColumn *slow = malloc(sizeof(SlowColumn));
	bool		same = true;

	for (int i = 0; i < 1500 && same; i++)
	{
		FsTextColumn column;
		FsBuffer	fast_bytes = {0};
		FsBuffer	slow_bytes = {0};
		int			shape = draw_below(432);

		fs_text_init(&column, FS_TYPE_TEXT);
		if (!fs_text_resize(&column, FS_SEGMENT_BLOCK))
			abort();
		memset(slow, 0, sizeof(*slow));
		slow->tries = 2;
		for (int block = 0; block < 4 && same; block++)
		{
			int			n = 1 + draw_below(draw_below(8) == 0 ? 400 : 40);

			for (int k = 0; k < n && same; k++)
			{
				char		value[LONGEST + 1];

				draw_text(value, shape);
				same = fs_text_append(&column, value, strlen(value));
				slow_append(slow, value);
			}
			same = same && column.kind == slow->kind && fs_text_encode_block(&column, &fast_bytes);
			slow_block(slow, &slow_bytes);
			same = same && same_bytes(&fast_bytes, &slow_bytes);
			if (draw_below(3) == 0)
				shape = draw_below(432);
		}
		fs_text_free(&column);
		fs_buffer_free(&slow->raw);
		fs_buffer_free(&fast_bytes);
		fs_buffer_free(&slow_bytes);
	}
	free(slow);
	return same;
}

int
main(void)
{
	draw_seed = 1;
	CHECK_NAMED(check_ints(), "number streams have the bytes of a slow encoder");
	CHECK_NAMED(check_text(), "blocks of text have the bytes of a slow encoder");
	return unit_finish();
}
