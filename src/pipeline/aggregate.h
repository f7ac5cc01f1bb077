/*
 * aggregate.h
 *		What the native aggregates share; their callers want row.h alone.
 *
 * The events come in window order (event time, partition, offset) and the
 * result is, bit by bit, what PostgreSQL's executor gives for the same
 * aggregate over the same rows in that order.  Windows of millions of events take
 * long, so loops that do more than add look at interrupts.
 *
 * Files: aggregate.c the way to all of them, and those of a single pass;
 * aggregate_sum.c arithmetic; aggregate_set.c counting of different values;
 * aggregate_order.c sorting and what is taken from a sorted list;
 * aggregate_call.c calls of an aggregate's own functions.
 */
#ifndef FS_PIPELINE_AGGREGATE_H
#define FS_PIPELINE_AGGREGATE_H

#include "postgres.h"

#include "miscadmin.h"
#include "utils/sortsupport.h"

#include "pipeline/row.h"

/* What computing one aggregate takes besides the events; made once. */
typedef struct FsAggregateWork
{
	SortSupportData *keys;		/* per sort key */
	FmgrInfo   *equals;			/* per sort key of DISTINCT, and of mode() */
	struct FsAggregateCall *call;	/* of what calls its own functions */
} FsAggregateWork;

/*
 * Now and then in a loop over events that does more than add, where i is the
 * number of the turn.  Nothing is half done in shared memory, or locked, while
 * rows are computed, so an interrupt may throw.
 */
static inline void
fs_aggregate_serve_interrupts(int i)
{
	if (unlikely((i & 0xFFF) == 0xFFF))
		CHECK_FOR_INTERRUPTS();
}

/* The argument's cell of one event. */
static inline const FsCell *
fs_aggregate_cell(const FsRingEvent *event, const FsAggregate *aggregate)
{
	Assert(aggregate->kept >= 0);
	return &event->cells[aggregate->kept];
}

static inline FsAggregateWork *
fs_aggregate_work(const FsRow *row, const FsAggregate *aggregate)
{
	Assert(aggregate - row->view->aggregates < row->view->naggregates);
	return &row->work[aggregate - row->view->aggregates];
}

static inline FsRowColumn *
fs_aggregate_column(const FsRow *row, const FsAggregate *aggregate)
{
	Assert(aggregate->kept >= 0 && aggregate->kept < row->view->nkept);
	return &row->columns[aggregate->kept];
}

/* One more value for an aggregate of bits or truths. */
static inline int64
fs_aggregate_add_bits(FsAggKind kind, int64 sum, int64 value)
{
	switch (kind)
	{
		case FS_AGG_BOOL_AND:
		case FS_AGG_BIT_AND:
			return sum & value;
		case FS_AGG_BOOL_OR:
		case FS_AGG_BIT_OR:
			return sum | value;
		case FS_AGG_BIT_XOR:
			return sum ^ value;
		default:
			pg_unreachable();
	}
}

/* The aggregate cannot be computed; returns its NULL. */
extern Datum fs_aggregate_fail(FsRow *row, bool *isnull, const char *message);

/* An array that is being made.  PostgreSQL's own check of its size throws, where nobody catches it. */
typedef struct FsArrayShape
{
	int			ndims;
	int		   *dims;
	int		   *lower;
	Size		bytes;			/* of its elements so far */
} FsArrayShape;

/* Adds an element's bytes; false when no array takes as many, and there is no need for more. */
extern bool fs_aggregate_add_item(const FsRowColumn *column, Datum value, FsArrayShape *shape);

/* The array of the column's values, or what fs_aggregate_fail() gives where it is too long. */
extern Datum fs_aggregate_make_array(FsRow *row, const FsRowColumn *column, Datum *values, bool *nulls,
									 const FsArrayShape *shape, bool *isnull);

/* How many arguments are not null. */
extern int64 fs_aggregate_count(const FsAggregate *aggregate, const FsRingEvent **events, int n);

/* aggregate_sum.c: NULL over no values. */
extern Datum fs_aggregate_sum(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n,
							  bool *isnull);
extern Datum fs_aggregate_variance(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events,
								   int n, bool *isnull);

/*
 * aggregate.c: bool_and, bit_or and the like over the cells with index 'cell',
 * which are values of the aggregate's type; NULL over no values.
 */
extern Datum fs_aggregate_bits(const FsAggregate *aggregate, const FsRingEvent **events, int n, int cell, bool *isnull);

/* aggregate_set.c */
/* Bits that are equal exactly when the values are, for columns with byte_equality (of numeric: for equal codes). */
extern uint64 fs_aggregate_equality_bits(const FsRowColumn *column, const FsCell *cell);
/* Empties the row's scratch set, which takes n members then; its size. */
extern uint32 fs_aggregate_set_begin(FsRow *row, int n);
/* The slot of a member; a new one's count in row->set_count is 0, and to be set before the next search. */
static inline uint32
fs_aggregate_set_find(FsRow *row, uint32 size, uint64 bits)
{
	uint32		at = (uint32) ((bits * UINT64_C(0x9E3779B97F4A7C15)) >> 32) & (size - 1);

	while (row->set_count[at] != 0 && row->set[at] != bits)
		at = (at + 1) & (size - 1);
	row->set[at] = bits;
	return at;
}

/*
 * A member in its slot, with a cell of its value.  Where its count is 'most', and
 * it was not looked at before, *best becomes the first of the two in the sort
 * order; *isnull: there is no *best yet.  May set row->stale.
 */
extern void fs_aggregate_choose_most(FsRow *row, const FsAggregate *aggregate, uint32 slot, uint64 most,
									 const FsCell *cell, Datum *best, bool *isnull);
extern int64 fs_aggregate_count_distinct(FsRow *row, const FsAggregate *aggregate,
										 const FsRingEvent **events, int n);
extern Datum fs_aggregate_mode(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n,
							   bool *isnull);

/* aggregate_order.c */
extern void fs_aggregate_prepare_order(FsRow *row, const FsAggregate *aggregate);
/*
 * The events as the aggregate orders them, in row->ordered: without those that
 * it leaves out for a null argument and, with DISTINCT, without duplicates.
 * Returns their number; may set row->stale.
 */
extern int	fs_aggregate_order(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n);
/* Of ordered events. */
extern Datum fs_aggregate_percentile(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events,
									 int n, bool *isnull);

/* aggregate_call.c */
extern void fs_aggregate_prepare_call(FsRow *row, const FsAggregate *aggregate);
extern Datum fs_aggregate_call(FsRow *row, const FsAggregate *aggregate, const FsRingEvent **events, int n,
							   bool *isnull);
/*
 * The same over values of its one argument that went into a state, as its
 * serialisation function writes it (NULL: there are none), and over 'n' more.
 */
extern Datum fs_aggregate_call_state(FsRow *row, const FsAggregate *aggregate, bytea *state, const Datum *values,
									 int n, bool *isnull);

#endif							/* FS_PIPELINE_AGGREGATE_H */
