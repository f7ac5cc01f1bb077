/*
 * thrift_read.h
 *		Reader of Thrift's compact protocol, as far as Parquet's metadata needs it.
 *
 * The bytes are not trusted: whatever is wrong sets 'failed', numbers are then 0,
 * lists empty and structs at their end, so that loops come to an end.
 *
 * Format: thrift-compact-protocol.md of Apache Thrift.
 */
#ifndef FS_CORE_THRIFT_READ_H
#define FS_CORE_THRIFT_READ_H

#include "core/thrift.h"

typedef struct FsThriftReader
{
	FsCursor	in;
	int			depth;			/* of the struct being read; 0: none */
	int			last[FS_THRIFT_MAX_DEPTH + 1];	/* its last field, by depth */
	bool		failed;
} FsThriftReader;

/* A struct begins: the outermost one, an item of a list, or the value of a field. */
extern void fs_thrift_enter(FsThriftReader *reader);

/* The next field of the struct, whose value is to be taken or skipped; 0: the struct ends. */
extern int	fs_thrift_next_field(FsThriftReader *reader, FsThriftType *type);

/* Values of fields and items of lists.  A field that is not of the type wanted is a failure. */
extern int64_t fs_thrift_take_int(FsThriftReader *reader, FsThriftType type);
extern const char *fs_thrift_take_bytes(FsThriftReader *reader, FsThriftType type, size_t *len);
extern size_t fs_thrift_take_list(FsThriftReader *reader, FsThriftType type, FsThriftType *item);
extern bool fs_thrift_take_struct(FsThriftReader *reader, FsThriftType type);	/* and enters it; false: it failed */
extern void fs_thrift_skip(FsThriftReader *reader, FsThriftType type);

#endif							/* FS_CORE_THRIFT_READ_H */
