/*
 * wire_header.c
 *		Which schema a record was written with: the header of schema registries.
 *
 * A record's header goes first, as the registries' own clients do it: its value
 * is then the datum, whatever its first byte is.
 */
#include "core/wire_header.h"

#include <string.h>

#define MAGIC_ID	0
#define MAGIC_GUID	1

/* Reads the form that 'bytes' begin with; its size, or 0 when it is none. */
static size_t
read_form(const char *bytes, size_t len, FsWireHeader *result)
{
	const unsigned char *b = (const unsigned char *) bytes;

	if (len >= FS_WIRE_ID_SIZE && b[0] == MAGIC_ID)
	{
		result->kind = FS_WIRE_ID;
		result->id = (uint32_t) b[1] << 24 | (uint32_t) b[2] << 16 |
			(uint32_t) b[3] << 8 | (uint32_t) b[4];
		return FS_WIRE_ID_SIZE;
	}
	if (len >= FS_WIRE_GUID_SIZE && b[0] == MAGIC_GUID)
	{
		result->kind = FS_WIRE_GUID;
		memcpy(result->guid, b + 1, sizeof(result->guid));
		return FS_WIRE_GUID_SIZE;
	}
	return 0;
}

/* See wire_header.h. */
bool
fs_wire_read(const char *value, size_t len, const char *header, size_t header_len,
			 FsWireHeader *result, const char **wrong)
{
	size_t		size;

	memset(result, 0, sizeof(*result));
	if (header != NULL)
	{
		size = read_form(header, header_len, result);
		if (size > 0 && size == header_len)
			return true;
		*wrong = "has a header \"" FS_WIRE_HEADER_NAME "\" that is no schema's number and no GUID";
		return false;
	}
	result->datum = read_form(value, len, result);
	if (result->datum > 0)
		return true;
	if (len == 0)
		*wrong = "is empty: it does not say which schema it was written with";
	else if ((unsigned char) value[0] > MAGIC_GUID)
		*wrong = "does not begin with the number of a schema (a byte 0 or 1 before it)";
	else
		*wrong = "ends within the number of its schema";
	return false;
}

/* See wire_header.h. */
void
fs_wire_write_id(char *out, uint32_t id)
{
	out[0] = MAGIC_ID;
	for (int i = 1; i < FS_WIRE_ID_SIZE; i++)
		out[i] = (char) (id >> (8 * (FS_WIRE_ID_SIZE - 1 - i)));
}
