/*
 * wire_header.h
 *		Which schema a record was written with: the header of schema registries.
 *
 * Before the datum stands a zero byte and the schema's number (4 bytes,
 * big-endian), or a one and the schema's GUID (16 bytes); or the same stands in
 * the record's header FS_WIRE_HEADER_NAME, and the value is the datum alone.
 */
#ifndef FS_CORE_WIRE_HEADER_H
#define FS_CORE_WIRE_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FS_WIRE_HEADER_NAME	"__value_schema_id"
#define FS_WIRE_ID_SIZE		5	/* bytes before the datum */
#define FS_WIRE_GUID_SIZE	17

typedef enum FsWireKind
{
	FS_WIRE_ID,					/* 'id' says which schema */
	FS_WIRE_GUID				/* 'guid' does */
} FsWireKind;

typedef struct FsWireHeader
{
	FsWireKind	kind;
	uint32_t	id;
	unsigned char guid[16];
	size_t		datum;			/* where the datum begins in the value */
} FsWireHeader;

/*
 * Reads which schema a value was written with: from the record's header
 * ('header', NULL when it has none of the name), else from the value's first
 * bytes.  False: there is nothing of the kind, and *wrong says so in words that
 * follow "the record" in a sentence.
 */
extern bool fs_wire_read(const char *value, size_t len, const char *header,
						 size_t header_len, FsWireHeader *result,
						 const char **wrong);

/* May any registry have such a schema?  Their numbers are ints of Java's. */
static inline bool
fs_wire_may_exist(const FsWireHeader *header)
{
	return header->kind != FS_WIRE_ID || header->id <= INT32_MAX;
}

/* Writes what stands before a datum of the schema: FS_WIRE_ID_SIZE bytes. */
extern void fs_wire_write_id(char *out, uint32_t id);

#endif							/* FS_CORE_WIRE_HEADER_H */
