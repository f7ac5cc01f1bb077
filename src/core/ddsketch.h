/*
 * ddsketch.h
 *		Percentiles of doubles, within 1 % of the value.
 *
 * DDSketch (Masson, Rim, Lee: "DDSketch: A Fast and Fully-Mergeable Quantile
 * Sketch with Relative-Error Guarantees", VLDB 2019).  Values fall into buckets
 * (e^(0.02 (i - 1)), e^(0.02 i)], those below zero into others by their
 * magnitude; only buckets that hold something are kept, as numbers and counts.
 * What is told of a bucket is within tanh(0.01) < 1 % of all values in it.
 *
 * Bounded: at most 2048 buckets of either sign.  When there are more, those
 * nearest to zero are counted in the nearest one that is kept.  So the error
 * holds for all values when their magnitudes lie within a factor of
 * e^(0.02 * 2048) = 6 * 10^17, and where they do not, for those that do,
 * counted from the greatest.
 *
 * Zero of both signs is a value of its own, as are the infinities and NaN, which
 * is the greatest value (as PostgreSQL sorts it).  Subnormal numbers (magnitudes
 * below 2.3 * 10^-308) are counted as zero.
 *
 * A sketch is a function of the multiset of its values: no order of adding and
 * merging makes a difference, not even to its bytes.
 */
#ifndef FS_CORE_DDSKETCH_H
#define FS_CORE_DDSKETCH_H

#include "core/sketch.h"

#define FS_DDSKETCH_MAX_BUCKETS 2048	/* of either sign */

typedef struct FsDdBucket
{
	uint64_t	count;
	int32_t		number;
} FsDdBucket;

/* The buckets of one sign, by ascending magnitude. */
typedef struct FsDdStore
{
	FsDdBucket *buckets;		/* NULL when empty */
	uint32_t	n;
	uint32_t	cap;
} FsDdStore;

typedef struct FsDdSketch
{
	FsAllocator allocator;
	uint64_t	count;			/* of all values; the sum of what follows */
	uint64_t	zeros;
	uint64_t	minus_infinities;
	uint64_t	plus_infinities;
	uint64_t	nans;
	FsDdStore	negative;
	FsDdStore	positive;
} FsDdSketch;

extern void fs_ddsketch_init(FsDdSketch *sketch, const FsAllocator *allocator);
extern void fs_ddsketch_free(FsDdSketch *sketch);

/* Adds a value.  False when memory is out. */
extern bool fs_ddsketch_add(FsDdSketch *sketch, double value);

/* Adds the values of 'from', another sketch.  False when memory is out. */
extern bool fs_ddsketch_merge(FsDdSketch *into, const FsDdSketch *from);

/*
 * About what percentile_disc(p) would give: the least value that a share 'p'
 * (0..1) of all values does not exceed.  The sketch holds at least one value.
 */
extern double fs_ddsketch_percentile(const FsDdSketch *sketch, double p);

/* Bytes of memory taken beside the struct. */
extern size_t fs_ddsketch_memory(const FsDdSketch *sketch);

/* Writes 'fs_ddsketch_serialized_size' bytes at 'p'; returns their end. */
extern size_t fs_ddsketch_serialized_size(const FsDdSketch *sketch);
extern char *fs_ddsketch_serialize(const FsDdSketch *sketch, char *p);

/* Makes a sketch of bytes; after a failure it is an empty one. */
extern FsSketchStatus fs_ddsketch_deserialize(FsDdSketch *sketch, const FsAllocator *allocator,
											  const char *bytes, size_t len);

#endif							/* FS_CORE_DDSKETCH_H */
