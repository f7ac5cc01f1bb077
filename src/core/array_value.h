/*
 * array_value.h
 *		The bytes of an array's value: its elements, one after the other.
 *
 * Per element a byte 0 for null; else, for types whose values are bytes, a
 * varint of their number plus 1 and the bytes; for floats a byte 1 and their 8
 * IEEE bytes; for all others a byte 1 and a zigzag varint.  An array has one
 * dimension.  Arrays of the same elements have the same bytes.  They are stored in event log
 * segments: never change them.
 */
#ifndef FS_CORE_ARRAY_VALUE_H
#define FS_CORE_ARRAY_VALUE_H

#include "core/buffer.h"
#include "core/value.h"

#define FS_ARRAY_MAX_ITEMS	1000000

/* Appends an element, whose presence says whether it is null; false when memory is out. */
extern bool fs_array_append(FsBuffer *array, FsType element, const FsValue *value);

/* Takes the next element; false at the end, or where the bytes are none of an array's. */
extern bool fs_array_next(FsCursor *array, FsType element, FsValue *value);

#endif							/* FS_CORE_ARRAY_VALUE_H */
