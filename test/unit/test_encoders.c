/*
 * test_encoders.c
 *		Unit tests of the small encoders: buffer, varint, CRC, RESP, JSON, percent.
 */
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "core/crc32c.h"
#include "core/json_write.h"
#include "core/percent.h"
#include "core/resp.h"
#include "unit.h"

/* Is this what the buffer holds?  Empties it. */
static bool
holds(FsBuffer *buf, const char *expected, size_t len)
{
	bool		same = buf->len == len && memcmp(buf->data, expected, len) == 0;

	if (!same)
		printf("# got %zu bytes: %.*s\n", buf->len, (int) buf->len, buf->data);
	fs_buffer_reset(buf);
	return same;
}

#define HOLDS(buf, literal) holds((buf), (literal), sizeof(literal) - 1)

static void
test_buffer(void)
{
	FsBuffer	buf = {0};
	bool		grown = true;
	int			i;

	for (i = 0; i < 100000; i++)
		grown = grown && fs_buffer_append_byte(&buf, (uint8_t) i);
	CHECK(grown);
	CHECK(buf.len == 100000 && (uint8_t) buf.data[99999] == (uint8_t) 99999);
	CHECK(fs_buffer_append(&buf, NULL, 0));
	CHECK(!fs_buffer_reserve(&buf, FS_BUFFER_MAX));
	CHECK(!fs_buffer_reserve(&buf, SIZE_MAX));
	CHECK(buf.len == 100000);
	fs_buffer_free(&buf);
	CHECK(buf.data == NULL && buf.cap == 0);
	CHECK(fs_buffer_append(&buf, "x", 1));
	fs_buffer_free(&buf);
}

/* Every number of few bits, and a bit more or less: written, sized and taken back. */
static void
test_varint(void)
{
	bool		same = true;
	bool		sized = true;
	int			bit;
	int			d;

	for (bit = 0; bit < 64; bit++)
	{
		for (d = -1; d <= 1; d++)
		{
			uint64_t	v = (UINT64_C(1) << bit) + (uint64_t) d;
			FsBuffer	buf = {0};
			FsCursor	cursor;
			uint64_t	u;
			int64_t		z;

			if (!fs_buffer_append_varint(&buf, v))
				abort();
			sized &= (int) buf.len == fs_varint_size(v);
			if (!fs_buffer_append_zigzag(&buf, (int64_t) v))
				abort();
			cursor = (FsCursor) {buf.data, buf.data + buf.len};
			same &= fs_take_varint(&cursor, &u) && u == v;
			same &= fs_take_zigzag(&cursor, &z) && z == (int64_t) v;
			same &= fs_cursor_left(&cursor) == 0;
			fs_buffer_free(&buf);
		}
	}
	CHECK_NAMED(same, "varints and zigzags round trip");
	CHECK_NAMED(sized, "fs_varint_size");
	CHECK(fs_zigzag(0) == 0 && fs_zigzag(-1) == 1 && fs_zigzag(1) == 2);
	CHECK(fs_zigzag(INT64_MIN) == UINT64_MAX && fs_unzigzag(UINT64_MAX) == INT64_MIN);
}

static bool
takes(const char *bytes, size_t len)
{
	FsCursor	cursor = {bytes, bytes + len};
	uint64_t	v;

	return fs_take_varint(&cursor, &v);
}

static void
test_bad_varint(void)
{
	FsCursor	cursor = {"ab", NULL};
	const char *p;

	CHECK(!takes("", 0));
	CHECK(!takes("\x80", 1));
	CHECK(!takes("\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9));
	CHECK(takes("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10));
	CHECK(!takes("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10));
	CHECK(!takes("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11));
	CHECK(!takes("\x80\x00", 2));
	cursor.end = cursor.p + 2;
	CHECK(!fs_take_bytes(&cursor, 3, &p) && !fs_take_bytes(&cursor, SIZE_MAX, &p));
	CHECK(fs_take_bytes(&cursor, 2, &p) && memcmp(p, "ab", 2) == 0);
}

static void
test_fixed(void)
{
	char		bytes[8];

	fs_put_le64(bytes, UINT64_C(0x0102030405060708));
	CHECK(memcmp(bytes, "\x08\x07\x06\x05\x04\x03\x02\x01", 8) == 0);
	CHECK(fs_get_le64(bytes) == UINT64_C(0x0102030405060708));
	CHECK(fs_get_le32(bytes) == 0x05060708 && fs_get_le16(bytes) == 0x0708);
	fs_put_le32(bytes, 0xfffefdfc);
	fs_put_le16(bytes + 4, 0xfbfa);
	CHECK(memcmp(bytes, "\xfc\xfd\xfe\xff\xfa\xfb", 6) == 0);
}

/* RFC 3720, appendix B.4; and both implementations at every alignment and length. */
static void
test_crc32c(void)
{
	char		bytes[300];
	bool		same = true;
	bool		split = true;
	size_t		i;

	memset(bytes, 0, 32);
	CHECK(fs_crc32c(0, bytes, 32) == 0x8a9136aa);
	memset(bytes, 0xff, 32);
	CHECK(fs_crc32c(0, bytes, 32) == 0x62a8ab43);
	CHECK(fs_crc32c(0, "123456789", 9) == 0xe3069283);
	CHECK(fs_crc32c_software(0, "123456789", 9) == 0xe3069283);
	CHECK(fs_crc32c(0, "", 0) == 0);
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char) (i * 31 + 7);
	for (i = 0; i < 250; i++)
	{
		same &= fs_crc32c(7, bytes + i % 9, i) == fs_crc32c_software(7, bytes + i % 9, i);
		split &= fs_crc32c(fs_crc32c(0, bytes, i), bytes + i, 300 - i) == fs_crc32c(0, bytes, 300);
	}
	CHECK_NAMED(same, "hardware and software CRC agree");
	CHECK_NAMED(split, "a CRC can be computed in parts");
}

static void
test_resp(void)
{
	FsBuffer	buf = {0};

	CHECK(fs_resp_array(&buf, 3) && fs_resp_bulk_cstring(&buf, "SET") &&
		  fs_resp_bulk(&buf, "k\r\n\0", 4) && fs_resp_bulk_int(&buf, -42));
	CHECK(HOLDS(&buf, "*3\r\n$3\r\nSET\r\n$4\r\nk\r\n\0\r\n$3\r\n-42\r\n"));
	CHECK(fs_resp_bulk(&buf, NULL, 0) && HOLDS(&buf, "$0\r\n\r\n"));
	CHECK(fs_resp_bulk_int(&buf, 0) && HOLDS(&buf, "$1\r\n0\r\n"));
	CHECK(fs_resp_bulk_int(&buf, INT64_MIN) && HOLDS(&buf, "$20\r\n-9223372036854775808\r\n"));
	CHECK(fs_resp_bulk_int(&buf, INT64_MAX) && HOLDS(&buf, "$19\r\n9223372036854775807\r\n"));
	CHECK(fs_resp_array(&buf, 1234567890) && HOLDS(&buf, "*1234567890\r\n"));
	fs_buffer_free(&buf);
}

static void
test_json(void)
{
	FsBuffer	buf = {0};
	char		all[256];
	bool		grown = true;
	int			i;

	CHECK(fs_json_write_string(&buf, NULL, 0) && HOLDS(&buf, "\"\""));
	CHECK(fs_json_write_string(&buf, "shoes", 5) && HOLDS(&buf, "\"shoes\""));
	CHECK(fs_json_write_string(&buf, "a\"b\\c/", 6) && HOLDS(&buf, "\"a\\\"b\\\\c/\""));
	CHECK(fs_json_write_string(&buf, "\b\f\n\r\t", 5) && HOLDS(&buf, "\"\\b\\f\\n\\r\\t\""));
	CHECK(fs_json_write_string(&buf, "\x00\x01\x1f\x7f", 4) &&
		  HOLDS(&buf, "\"\\u0000\\u0001\\u001f\x7f\""));
	CHECK(fs_json_write_string(&buf, "\xc3\xa9\xf0\x9f\x91\x9f", 6) &&
		  HOLDS(&buf, "\"\xc3\xa9\xf0\x9f\x91\x9f\""));
	fs_buffer_free(&buf);

	/* worst cases, from nothing, at every length */
	memset(all, 1, sizeof(all));
	for (i = 0; i < 256; i++)
	{
		grown = grown && fs_json_write_string(&buf, all, (size_t) i) && buf.len == (size_t) i * 6 + 2;
		fs_buffer_free(&buf);
	}
	CHECK_NAMED(grown, "all characters escaped");
}

static void
test_percent(void)
{
	FsBuffer	buf = {0};

	CHECK(fs_percent_escape(&buf, NULL, 0) && buf.len == 0);
	CHECK(fs_percent_escape(&buf, "AZaz09-._~", 10) && HOLDS(&buf, "AZaz09-._~"));
	CHECK(fs_percent_escape(&buf, "a:b{c}%/ ", 9) && HOLDS(&buf, "a%3Ab%7Bc%7D%25%2F%20"));
	CHECK(fs_percent_escape(&buf, "\xc3\xa9\xff\0", 4) && HOLDS(&buf, "%C3%A9%FF%00"));
	CHECK(fs_percent_escape(&buf, "@[`{/:", 6) && HOLDS(&buf, "%40%5B%60%7B%2F%3A"));
	fs_buffer_free(&buf);
}

int
main(void)
{
	test_buffer();
	test_varint();
	test_bad_varint();
	test_fixed();
	test_crc32c();
	test_resp();
	test_json();
	test_percent();
	return unit_finish();
}
