/*
 * hyperloglog.h
 *		How many different values there were, in 2.7 kB.
 *
 * HyperLogLog (Flajolet et al. 2007) of 4096 registers of 5 bits, twelve a word:
 * 2736 bytes, standard error 1.04 / sqrt(4096) = 1.63 %.  The estimate is
 * Ertl's improved raw estimator ("New cardinality estimation algorithms for
 * HyperLogLog sketches", 2017): no bias tables, and one formula from nothing to
 * some 10^12 values, where registers of 5 bits end.
 *
 * As in HLL++ (Heule et al. 2013) a small set is kept sparse: a sorted list of
 * up to 512 codes of 32 bits, each of which holds what a register would, and 15
 * more digits of the hash.  Up to 512 different values are thus counted one by
 * one (any two of them are taken for one with probability 2.5 * 10^-9).
 *
 * A sketch is a function of the set of its hashes: no order of adding and
 * merging makes a difference, not even to its bytes.
 */
#ifndef FS_CORE_HYPERLOGLOG_H
#define FS_CORE_HYPERLOGLOG_H

#include "core/sketch.h"

#define FS_HYPERLOGLOG_REGISTERS	4096
#define FS_HYPERLOGLOG_MAX_CODES	512

typedef struct FsHyperLogLog
{
	FsAllocator allocator;
	uint64_t   *words;			/* registers; NULL while sparse */
	uint32_t   *codes;			/* while sparse: ascending; NULL when empty */
	uint32_t	ncodes;
	uint32_t	cap;			/* room for codes */
} FsHyperLogLog;

extern void fs_hyperloglog_init(FsHyperLogLog *sketch, const FsAllocator *allocator);
extern void fs_hyperloglog_free(FsHyperLogLog *sketch);

/*
 * Adds a value by its hash: 64 bits, each as good as any other.  Equal values
 * must have equal hashes.  False when memory is out.
 */
extern bool fs_hyperloglog_add(FsHyperLogLog *sketch, uint64_t hash);

/* Adds the values of 'from', another sketch.  False when memory is out. */
extern bool fs_hyperloglog_merge(FsHyperLogLog *into, const FsHyperLogLog *from);

/* About how many different values were added; at most INT64_MAX. */
extern int64_t fs_hyperloglog_estimate(const FsHyperLogLog *sketch);

/* Bytes of memory taken beside the struct. */
extern size_t fs_hyperloglog_memory(const FsHyperLogLog *sketch);

/* Writes 'fs_hyperloglog_serialized_size' bytes at 'p'; returns their end. */
extern size_t fs_hyperloglog_serialized_size(const FsHyperLogLog *sketch);
extern char *fs_hyperloglog_serialize(const FsHyperLogLog *sketch, char *p);

/* Makes a sketch of bytes; after a failure it is an empty one. */
extern FsSketchStatus fs_hyperloglog_deserialize(FsHyperLogLog *sketch, const FsAllocator *allocator,
												 const char *bytes, size_t len);

#endif							/* FS_CORE_HYPERLOGLOG_H */
