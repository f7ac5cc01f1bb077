/*
 * partial.h
 *		Partial aggregates: what rings of a sliced view keep of one entity and slide.
 *
 * A record is an event to everybody else: its time is the beginning of the
 * last slice of the slide, its cells are the states of the view's aggregates in turn.  Records of
 * the same slide may be several; they add up.
 */
#ifndef FS_PIPELINE_PARTIAL_H
#define FS_PIPELINE_PARTIAL_H

#include "pipeline/row_state.h"
#include "pipeline/shard.h"
#include "state/value_set.h"

/* A set of the record, and the value that enters it when all else is done. */
typedef struct FsPartialSet
{
	FsHandle	handle;
	uint64		bits;
	bool		counts;			/* else there is no value */
} FsPartialSet;

/* An event on its way into a record. */
typedef struct FsPartialEvent
{
	FsShard    *shard;
	const FsView *view;
	FsEntity   *entity;
	const FsValue *values;
	int64		since;			/* its time, from the record's (never behind the slide's end) */
	int32		partition;
	uint32		slice;			/* of the record */
	int			nsets;
	bool		owns_sets;		/* they are no record's yet */
	FsPartialSet sets[FS_RING_MAX_CELLS];
} FsPartialEvent;

/* How the records of a sliced view are stored. */
extern void fs_partial_layout(FsRingLayout *layout, const FsViewDef *view);

/* Adds an event, which is set up to 'slice', to the entity's record of that slice; false when memory is out. */
extern bool fs_partial_keep(FsPartialEvent *event, FsTime record, FsTime counts_from);

/* Does the event count for the aggregate?  *value is then its argument; NULL: it has none. */
extern bool fs_partial_counts(const FsPartialEvent *event, const FsAggregate *aggregate, const FsValue **value);

/* The code of a value in the aggregate's dictionary; 0 when memory is out. */
extern uint32 fs_partial_code(const FsPartialEvent *event, const FsAggregate *aggregate, const FsValue *value);

/* Prepares what computing takes; in the current context, which is the row's. */
extern void fs_partial_prepare(FsRow *row);

/* The aggregate over the records of a window. */
extern Datum fs_partial_compute(FsRow *row, const FsAggregate *aggregate,
								const FsRingEvent **records, int n, bool *isnull);

/*
 * partial_numeric.c: exact sums of numbers, in cells named by FS_PARTIAL_DECIMAL
 * and FS_PARTIAL_MOMENTS.  Adding is refused when the sums would not fit.
 */
typedef enum FsDecimalCell
{
	FS_DECIMAL_COUNT,
	FS_DECIMAL_SUM,				/* in units of the last digit */
	FS_DECIMAL_SCALE,			/* digits behind the point: the most that a value had */
	FS_DECIMAL_CODE,			/* not null: of the one value that is counted, which does not fit the others */
	FS_DECIMAL_SQUARES_LOW,		/* of moments: the sum of squares, in units of the last digit's square */
	FS_DECIMAL_SQUARES_HIGH
} FsDecimalCell;

extern bool fs_partial_add_decimal(FsCell *cells, bool has_squares, int64 digits, int scale);
extern Datum fs_partial_compute_decimal(FsRow *row, const FsAggregate *aggregate,
										const FsRingEvent **records, int n, bool *isnull);

/*
 * partial_set.c: sets of values.  Makes room for the event in the sets of a
 * record, new sets for a new one; then either has it counted there or gives new
 * ones back.
 */
extern FsMergeResult fs_partial_reserve_sets(FsPartialEvent *event, FsCell *cells, bool is_new);
extern void fs_partial_finish_sets(FsPartialEvent *event, bool done);
extern Datum fs_partial_compute_set(FsRow *row, const FsAggregate *aggregate,
									const FsRingEvent **records, int n, bool *isnull);

#endif							/* FS_PIPELINE_PARTIAL_H */
