/*
 * avro_walk.h
 *		Through an Avro record by its own schema, value by value.
 *
 * For files of Iceberg's, whose fields are told apart by ids; streams go through
 * a compiled program (decode_avro.c).  The bytes are not trusted: each function
 * returns false when the record is not what the schema says, with walk->wrong
 * set.
 */
#ifndef FS_CORE_AVRO_WALK_H
#define FS_CORE_AVRO_WALK_H

#include "core/avro_schema.h"
#include "core/buffer.h"

typedef struct FsAvroWalk
{
	const FsAvroSchema *schema;
	FsCursor	cursor;
	int64_t		steps;			/* values that may still be read: bounds what takes no bytes */
	const char *wrong;
} FsAvroWalk;

/* Begins with records of this schema's root. */
extern void fs_avro_walk_begin(FsAvroWalk *walk, const FsAvroSchema *schema, FsCursor records);

/* Notes what is wrong; always false. */
extern bool fs_avro_walk_fail(FsAvroWalk *walk, const char *wrong);

/* Where *node is a union, reads which branch follows, and makes it *node. */
extern bool fs_avro_walk_branch(FsAvroWalk *walk, int *node);

/* Reads past a value. */
extern bool fs_avro_walk_skip(FsAvroWalk *walk, int node);

/* An int, long or boolean; a float or double; a string, bytes or fixed (in the record).  No unions. */
extern bool fs_avro_walk_integer(FsAvroWalk *walk, int node, int64_t *value);
extern bool fs_avro_walk_float(FsAvroWalk *walk, int node, double *value);
extern bool fs_avro_walk_bytes(FsAvroWalk *walk, int node, const char **bytes, size_t *len);

/*
 * The same where a value may be NULL, and then stays as it is: an integer, one
 * of 32 bits, bytes, and a text, zero-terminated in 'memory' (false and nothing
 * wrong when that is out).
 */
extern bool fs_avro_walk_number(FsAvroWalk *walk, int node, int64_t *value);
extern bool fs_avro_walk_int(FsAvroWalk *walk, int node, int32_t *value);
extern bool fs_avro_walk_some(FsAvroWalk *walk, int node, const char **bytes, size_t *len);
extern bool fs_avro_walk_text(FsAvroWalk *walk, int node, FsScratch *memory, const char **text);

/*
 * An array that may be NULL (and then is not *there): 'element' is called at
 * each element, whose type is 'item', which it has to read; it returns false to
 * end with failure.  Elements without bytes are malformed: there could be very
 * many of them.
 */
typedef bool (*FsAvroElement) (void *arg, int item);
extern bool fs_avro_walk_array(FsAvroWalk *walk, int node, FsAvroElement element, void *arg, bool *there);

#endif							/* FS_CORE_AVRO_WALK_H */
