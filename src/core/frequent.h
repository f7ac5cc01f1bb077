/*
 * frequent.h
 *		How often each value came: of all values, or of the frequent ones.
 *
 * A table of counters in the order in which their values first came.  Without a
 * limit it is exact.  With a limit of m counters it is a Misra-Gries summary
 * (Misra and Gries 1982; the same thing as Space-Saving, Metwally et al. 2005,
 * as Agarwal et al., "Mergeable Summaries", PODS 2012, show, and mergeable):
 * there is room for 2 m counters, and when it is used up, the (m + 1)-th
 * greatest count is taken from all of them and those that are left with nothing
 * go (Anderson et al., "A High-Performance Algorithm for Identifying Frequent
 * Items in Data Streams", IMC 2017), which costs constant time a value.
 *
 * With N values added, in whatever order and by whatever merges: a value came
 * at least as often as its counter says and at most 'offset' times more, a value
 * without a counter at most 'offset' times, and offset <= N / (m + 1).  As long
 * as there are no more than 2 m different values the offset is 0.
 *
 * What a value is, the caller says: a word that stands for it, and operations.
 */
#ifndef FS_CORE_FREQUENT_H
#define FS_CORE_FREQUENT_H

#include "core/buffer.h"
#include "core/sketch.h"

#define FS_FREQUENT_MAX_COUNTERS (1u << 30)

/* Values, by the words that stand for them; 'context' is the table's. */
typedef struct FsFrequentOps
{
	/* Equal values have equal hashes. */
	uint32_t	(*hash) (void *context, uint64_t value);
	bool		(*equal) (void *context, uint64_t a, uint64_t b);

	/* A total order, to rank values that came equally often: <0, 0, >0. */
	int			(*compare) (void *context, uint64_t a, uint64_t b);

	/* A copy that lives as long as the table; false: memory is out. */
	bool		(*keep) (void *context, uint64_t value, uint64_t *kept);
	/* Frees such a copy. */
	void		(*drop) (void *context, uint64_t value);

	/* As bytes: how many, written at 'p' (their end is returned), read. */
	size_t		(*size) (void *context, uint64_t value);
	char	   *(*write) (void *context, uint64_t value, char *p);
	/* *kept is as if by keep(). */
	FsSketchStatus (*read) (void *context, FsCursor *cursor, uint64_t *kept);
} FsFrequentOps;

typedef struct FsFrequentCounter
{
	uint64_t	value;			/* kept */
	uint64_t	count;			/* at least 1 */
	uint32_t	hash;
} FsFrequentCounter;

typedef struct FsFrequent
{
	FsAllocator allocator;
	const FsFrequentOps *ops;
	void	   *context;
	uint32_t	limit;			/* m; 0: none */
	uint32_t	n;				/* counters in use */
	uint32_t	cap;			/* room for counters */
	uint32_t	nslots;			/* a power of two, at least 2 * cap; or 0 */
	uint64_t	offset;			/* how much a counter may be too small */
	FsFrequentCounter *counters;
	uint32_t   *slots;			/* by hash, linear probing: 1 + a counter's place, or 0 */
} FsFrequent;

/* 'limit' <= FS_FREQUENT_MAX_COUNTERS / 2. */
extern void fs_frequent_init(FsFrequent *table, const FsAllocator *allocator, const FsFrequentOps *ops,
							 void *context, uint32_t limit);

/* Drops the values too. */
extern void fs_frequent_free(FsFrequent *table);

/*
 * Adds a value that came 'count' > 0 times.  Of values that are equal the first
 * is kept.  False when memory is out, or with a counter too many.
 */
extern bool fs_frequent_add(FsFrequent *table, uint64_t value, uint64_t count);

/* Adds what 'from', another table with the same operations, counted. */
extern bool fs_frequent_merge(FsFrequent *into, const FsFrequent *from);

/*
 * Puts the places of the (at most) 'k' most frequent values into 'places', most
 * frequent first; of equally frequent ones the lesser comes first.  Returns how
 * many.
 */
extern uint32_t fs_frequent_top(const FsFrequent *table, uint32_t k, uint32_t *places);

/* Bytes of memory taken beside the struct and the values. */
extern size_t fs_frequent_memory(const FsFrequent *table);

/* Writes 'fs_frequent_serialized_size' bytes at 'p'; returns their end. */
extern size_t fs_frequent_serialized_size(const FsFrequent *table);
extern char *fs_frequent_serialize(const FsFrequent *table, char *p);

/*
 * Adds what bytes say to an empty table that has just been initialised.  After
 * a failure it may hold a part of it.
 */
extern FsSketchStatus fs_frequent_deserialize(FsFrequent *table, const char *bytes, size_t len);

#endif							/* FS_CORE_FREQUENT_H */
