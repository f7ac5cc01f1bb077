/*
 * test_wire_header.c
 *		Which schema a record says it was written with.
 */
#include <stdlib.h>
#include <string.h>

#include "core/wire_header.h"
#include "unit.h"

static FsWireHeader wire;
static const char *wrong;

/* Reads copies of the exact size; a header of length -1 is none. */
static bool
read_copy(const char *value, size_t len, const char *header, int header_len)
{
	char	   *v = malloc(len > 0 ? len : 1);
	char	   *h = malloc(header_len > 0 ? (size_t) header_len : 1);
	bool		ok;

	memcpy(v, value, len);
	if (header_len > 0)
		memcpy(h, header, (size_t) header_len);
	wrong = NULL;
	ok = fs_wire_read(v, len, header_len < 0 ? NULL : h, header_len < 0 ? 0 : (size_t) header_len, &wire, &wrong);
	free(v);
	free(h);
	return ok;
}

int
main(void)
{
	static const char guid[] = "\1ABCDEFGHIJKLMNOP";

	CHECK(read_copy("\0\1\2\3\4x", 6, NULL, -1) && wire.kind == FS_WIRE_ID && wire.id == 0x01020304 && wire.datum == 5);
	CHECK(read_copy("\0\xff\xff\xff\xff", 5, NULL, -1) && wire.id == 0xffffffff && wire.datum == 5);
	CHECK(!fs_wire_may_exist(&wire));
	CHECK(read_copy("\0\x80\0\0\0", 5, NULL, -1) && !fs_wire_may_exist(&wire));
	CHECK(read_copy("\0\x7f\xff\xff\xff", 5, NULL, -1) && fs_wire_may_exist(&wire));
	CHECK(read_copy(guid, 17, NULL, -1) && wire.kind == FS_WIRE_GUID && wire.datum == 17 && memcmp(wire.guid, guid + 1, 16) == 0);
	CHECK(fs_wire_may_exist(&wire));
	/* the record's header goes first, and the value is the datum */
	CHECK(read_copy("\0\1\2\3\4x", 6, "\0\0\0\0\7", 5) && wire.id == 7 && wire.datum == 0);
	CHECK(read_copy("x", 1, guid, 17) && wire.kind == FS_WIRE_GUID && wire.datum == 0);
	CHECK(read_copy("", 0, guid, 17) && wire.datum == 0);
	CHECK(!read_copy("\0\1\2\3\4x", 6, "\0\0\0\7", 4) && strstr(wrong, "has a header") != NULL);
	CHECK(!read_copy("\0\1\2\3\4x", 6, "\0\0\0\0\7x", 6) && strstr(wrong, "has a header") != NULL);
	CHECK(!read_copy("\0\1\2\3\4x", 6, "", 0) && strstr(wrong, "has a header") != NULL);
	CHECK(!read_copy("\0\1\2\3", 4, NULL, -1) && strcmp(wrong, "ends within the number of its schema") == 0);
	CHECK(!read_copy(guid, 16, NULL, -1) && strcmp(wrong, "ends within the number of its schema") == 0);
	CHECK(!read_copy("\2\1\2\3\4x", 6, NULL, -1) && strstr(wrong, "does not begin") != NULL);
	CHECK(!read_copy("{}", 2, NULL, -1) && strstr(wrong, "does not begin") != NULL);
	CHECK(!read_copy("", 0, NULL, -1) && strstr(wrong, "is empty") != NULL);
	return unit_finish();
}
