/*
 * test_unscaled.c
 *		Decimals as bytes: read, written, compared, and as files have them.
 */
#include <string.h>

#include "core/parquet_values.h"
#include "core/unscaled.h"
#include "draw.h"
#include "unit.h"

#define GREATEST "99999999999999999999999999999999999999"	/* of 38 digits */

/* Do these bytes come of the text, and is it written again as 'again'? */
static void
reads(const char *text, int precision, int scale, const char *bytes, size_t len, const char *again)
{
	char		out[FS_UNSCALED_SIZE];
	char		written[FS_UNSCALED_TEXT];
	size_t		n = fs_unscaled_read(text, precision, scale, out);

	CHECK_NAMED(n == len && memcmp(out, bytes, len) == 0, text);
	CHECK_NAMED(fs_unscaled_write(out, n, scale, written) == strlen(again) && strcmp(written, again) == 0, again);
}

static void
refuses(const char *text, int precision, int scale)
{
	char		out[FS_UNSCALED_SIZE];

	CHECK_NAMED(fs_unscaled_read(text, precision, scale, out) == 0, text);
}

static void
check_texts(void)
{
	char		out[FS_UNSCALED_SIZE];

	reads("0", 1, 0, "\0", 1, "0");
	reads("-0.00", 9, 2, "\0", 1, "0.00");
	reads("14.20", 9, 2, "\x05\x8c", 2, "14.20");
	reads("-14.2", 9, 2, "\xfa\x74", 2, "-14.20");
	reads(".5", 2, 2, "\x32", 1, "0.50");
	reads("-0.01", 2, 2, "\xff", 1, "-0.01");
	reads("1.", 3, 2, "\x64", 1, "1.00");
	reads("000127", 3, 0, "\x7f", 1, "127");
	reads("128.000", 3, 0, "\0\x80", 2, "128");
	reads("-128", 3, 0, "\x80", 1, "-128");
	reads("-129", 3, 0, "\xff\x7f", 2, "-129");
	reads(GREATEST, 38, 0, "\x4b\x3b\x4c\xa8\x5a\x86\xc4\x7a\x09\x8a\x22\x3f\xff\xff\xff\xff", 16, GREATEST);
	reads("-" GREATEST, 38, 0, "\xb4\xc4\xb3\x57\xa5\x79\x3b\x85\xf6\x75\xdd\xc0\x00\x00\x00\x01", 16, "-" GREATEST);
	CHECK(fs_unscaled_read("0." GREATEST, 38, 38, out) == 16);
	refuses("", 9, 2);
	refuses("-", 9, 2);
	refuses(".", 9, 2);
	refuses("NaN", 9, 2);
	refuses("1e2", 9, 2);
	refuses("1.2.3", 9, 2);
	refuses("--1", 9, 2);
	refuses("1.234", 9, 2);
	refuses("100", 4, 2);
	refuses("1", 2, 2);
	refuses(GREATEST "0", 38, 0);
}

/* As many bytes as the specification's table has. */
static void
check_widths(void)
{
	static const int widths[FS_UNSCALED_PRECISION] = {1, 1, 2, 2, 3, 3, 4, 4, 4, 5, 5, 6, 6, 6, 7, 7, 8, 8, 9, 9, 9, 10, 10, 11, 11, 11,
	12, 12, 13, 13, 13, 14, 14, 15, 15, 16, 16, 16};
	bool		same = true;

	for (int i = 0; i < FS_UNSCALED_PRECISION; i++)
		same = same && fs_unscaled_width(i + 1) == widths[i];
	CHECK(same);
}

/* A random number of up to 38 digits. */
static __int128
draw_number(int precision)
{
	__int128	value = 0;

	for (int i = draw_below(precision + 1); i > 0; i--)
		value = value * 10 + draw_below(10);
	return draw_below(2) ? value : -value;
}

/* Bytes compare as numbers do, whether they are the fewest or of one width; files give back what they were given. */
static void
check_random(void)
{
	bool		same = true;
	bool		ordered = true;
	bool		kept = true;

	for (int i = 0; i < 100000; i++)
	{
		FsParquetColumn column = {.type = FS_PARQUET_DECIMAL, .precision = 1 + draw_below(FS_UNSCALED_PRECISION)};
		__int128	a = draw_number(column.precision);
		__int128	b = draw_below(3) == 0 ? a + draw_below(3) - 1 : draw_number(column.precision);
		int			order = (a > b) - (a < b);
		char		x[FS_UNSCALED_SIZE];
		char		y[FS_UNSCALED_SIZE];
		char		wide[2][FS_UNSCALED_SIZE];
		size_t		xlen = fs_unscaled_put(a, x);
		size_t		ylen = fs_unscaled_put(b, y);

		same = same && fs_unscaled_get(x, xlen) == a && fs_unscaled_get(y, ylen) == b;
		ordered = ordered && fs_unscaled_compare(x, xlen, y, ylen) == order;
		if (xlen > (size_t) fs_parquet_width(&column) || ylen > (size_t) fs_parquet_width(&column))
			continue;
		fs_parquet_decimal_put(&column, x, xlen, wide[0]);
		fs_parquet_decimal_put(&column, y, ylen, wide[1]);
		if (fs_parquet_physical(&column) == FS_PHYSICAL_FIXED)
			ordered = ordered && fs_unscaled_compare(wide[0], (size_t) fs_parquet_width(&column), wide[1],
													 (size_t) fs_parquet_width(&column)) == order;
		kept = kept && fs_parquet_decimal_get(&column, wide[0], y) == xlen && memcmp(x, y, xlen) == 0;
	}
	CHECK(same);
	CHECK(ordered);
	CHECK(kept);
}

int
main(void)
{
	check_texts();
	check_widths();
	check_random();
	return unit_finish();
}
