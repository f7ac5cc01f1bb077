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

/* An event on its way into a record. */
typedef struct FsPartialEvent
{
	FsShard    *shard;
	const FsView *view;
	const FsValue *values;
	int64		since;			/* its time, from the record's (never behind the slide's end) */
	int32		partition;
	uint32		slice;			/* of the record */
} FsPartialEvent;

/* How the records of a sliced view are stored. */
extern void fs_partial_layout(FsRingLayout *layout, const FsViewDef *view);

/* Adds an event to the cells of a record; an FsMergeFunction, whose 'arg' is the FsPartialEvent. */
extern FsMergeResult fs_partial_add(void *arg, FsCell *cells, bool is_new);

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

#endif							/* FS_PIPELINE_PARTIAL_H */
