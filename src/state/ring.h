/*
 * ring.h
 *		The recent events of one entity, encoded small, in a chain of chunks.
 *
 * Events stand in order of arrival, which within a partition is the order of
 * offsets (but for dead letters that came back); sorting them stably by (event time, partition) gives the order of a
 * window.  Encoding of one event:
 *
 *		varint	time: difference to the event before (to the start of the
 *				chunk's base slice for the first), zigzag; the lowest bit says
 *				whether it is in microseconds (1) or milliseconds (0)
 *		varint	partition << 1 | late
 *		varint	(late only) slices from the event's own to the one that begins
 *				at the first window end the event may count in
 *		bytes	null bitmap, when the layout has nullable columns outside
 *				dictionaries
 *		cells	dictionary code (0 null), zigzag varint, or 4 or 8 raw bytes (4 of a handle)
 */
#ifndef FS_STATE_RING_H
#define FS_STATE_RING_H

#include "core/value.h"
#include "state/arena.h"

#define FS_RING_MAX_CELLS 64
#define FS_RING_MIN_EVENT 2		/* bytes: a time and a partition */
#define FS_RING_MAX_EVENT (16 + 10 + 10 + FS_RING_MAX_CELLS / 8 + 10 * FS_RING_MAX_CELLS)

/* How one kept column is stored. */
typedef enum FsCellKind
{
	FS_CELL_CODE,				/* dictionary code */
	FS_CELL_INT,				/* zigzag varint */
	FS_CELL_FLOAT4,
	FS_CELL_FLOAT8,
	FS_CELL_SET					/* handle of a set of values (value_set.h), which is the record's own; never null */
} FsCellKind;

typedef struct FsRingLayout
{
	int64		slice;			/* microseconds */
	int			ncells;
	FsCellKind	kinds[FS_RING_MAX_CELLS];
	bool		has_nulls;		/* a null bitmap is stored */
	bool		has_sets;
	bool		has_blobs;		/* the last cell, a code, is the handle of a blob (blob.h) that is the event's own */
} FsRingLayout;

/* One kept value. */
typedef struct FsCell
{
	bool		isnull;
	union
	{
		uint32		code;
		FsHandle	set;
		int64		i;
		double		f;
	};
} FsCell;

/* One event, decoded. */
typedef struct FsRingEvent
{
	FsTime		time;
	FsTime		counts_from;	/* first window end it may count in; FS_TIME_MIN when on time */
	int32		partition;
	int32		arrival;		/* rank of arrival among the events of the entity */
	FsCell	   *cells;
} FsRingEvent;

/* A chunk; in the arena. */
typedef struct FsChunk
{
	FsHandle	next;
	uint32		base_slice;		/* index of the slice the first event's time counts from */
	uint32		max_slice;		/* newest slice in here: the chunk dies with it */
	uint16		used;			/* bytes of data in use */
	uint16		size;			/* bytes of the whole chunk */
	uint8		data[FLEXIBLE_ARRAY_MEMBER];
} FsChunk;

#define FS_CHUNK_FIRST 48		/* bytes of an entity's first chunk */
#define FS_CHUNK_MAX 256

/* What became of adding something to a record. */
typedef enum FsMergeResult
{
	FS_MERGE_DONE,
	FS_MERGE_REFUSED,			/* it does not go together with what is there; never of a new record */
	FS_MERGE_NO_MEMORY
} FsMergeResult;

/* Encodes one event after one at 'previous'; returns the bytes written to 'out' (FS_RING_MAX_EVENT). */
extern int	fs_ring_encode(const FsRingLayout *layout, FsTime previous, FsTime time, int32 partition,
						   FsTime counts_from, const FsCell *cells, uint8 *out);

/*
 * Decodes the events of a chunk (the arena's or a copy).  Events are put into
 * events[] from *n on, up to 'max'; cells into cells[] (max * ncells).  False
 * when the bytes make no sense, as a reader may meet.
 */
extern bool fs_ring_decode(const FsRingLayout *layout, const FsChunk *chunk,
						   FsRingEvent *events, FsCell *cells, int *n, int max);

/* Number of events in a chunk of the arena. */
extern int	fs_ring_count(const FsRingLayout *layout, const FsChunk *chunk);

#endif							/* FS_STATE_RING_H */
