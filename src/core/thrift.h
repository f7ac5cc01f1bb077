/*
 * thrift.h
 *		Writer of Thrift's compact protocol, as far as Parquet's metadata needs it.
 *
 * Field numbers are written as differences from the last field of the same
 * struct, so fields go in ascending order.  Nothing here fails: when memory is
 * out 'failed' is set, and what was written is of no use.
 *
 * Format: thrift-compact-protocol.md of Apache Thrift.
 */
#ifndef FS_CORE_THRIFT_H
#define FS_CORE_THRIFT_H

#include "core/buffer.h"

#define FS_THRIFT_MAX_DEPTH 8	/* structs within each other */

typedef enum FsThriftType
{
	FS_THRIFT_TRUE = 1,			/* of fields, and of lists of booleans */
	FS_THRIFT_FALSE = 2,
	FS_THRIFT_I16 = 4,
	FS_THRIFT_I32 = 5,
	FS_THRIFT_I64 = 6,
	FS_THRIFT_BINARY = 8,
	FS_THRIFT_LIST = 9,
	FS_THRIFT_STRUCT = 12
} FsThriftType;

typedef struct FsThrift
{
	FsBuffer   *out;
	int			depth;			/* of the struct being written; 0: none */
	int			last[FS_THRIFT_MAX_DEPTH + 1];	/* its last field, by depth */
	bool		failed;
} FsThrift;

/* A struct that is no field: the outermost one, or an item of a list; and the end of any struct. */
extern void fs_thrift_begin(FsThrift *thrift);
extern void fs_thrift_end(FsThrift *thrift);

/* Fields of the struct being written. */
extern void fs_thrift_begin_field(FsThrift *thrift, int field);
extern void fs_thrift_empty_field(FsThrift *thrift, int field); /* a struct without fields */
extern void fs_thrift_bool_field(FsThrift *thrift, int field, bool value);
extern void fs_thrift_int_field(FsThrift *thrift, int field, FsThriftType type, int64_t value);
extern void fs_thrift_bytes_field(FsThrift *thrift, int field, const void *bytes, size_t len);

/* A list of n items, which follow by the functions below, or by fs_thrift_begin and _end. */
extern void fs_thrift_list_field(FsThrift *thrift, int field, FsThriftType type, size_t n);
extern void fs_thrift_bool_item(FsThrift *thrift, bool value);
extern void fs_thrift_int_item(FsThrift *thrift, int64_t value);
extern void fs_thrift_bytes_item(FsThrift *thrift, const void *bytes, size_t len);

#endif							/* FS_CORE_THRIFT_H */
