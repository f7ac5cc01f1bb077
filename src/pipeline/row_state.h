/*
 * row_state.h
 *		What computing the rows of a feature view takes.
 */
#ifndef FS_PIPELINE_ROW_STATE_H
#define FS_PIPELINE_ROW_STATE_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "fmgr.h"
#include "nodes/execnodes.h"

#include "catalog/feature_view.h"
#include "state/shared.h"
#include "state/store.h"

/* What computing with one kept value takes. */
typedef struct FsRowColumn
{
	const FsColumn *column;
	const FsDictionary *dictionary; /* NULL when values are in the cells */
	FmgrInfo	compare;		/* btree comparison; fn_oid InvalidOid when the type has none */
	Oid			collation;
	bool		byte_equality;	/* equal values have equal codes or bits */
	int16		typlen;
	bool		typbyval;
	char		typalign;
} FsRowColumn;

/* The aggregates of one window. */
typedef struct FsAggregateResult
{
	Datum		value;
	bool		isnull;
	bool		failed;			/* computing it raised an error; it is null then */
} FsAggregateResult;

/* Everything that computing rows of a view takes; lives as long as its context. */
typedef struct FsRow
{
	/* Info */
	const FsViewDef *view;
	const FsStreamDef *stream;
	FsRowColumn *columns;		/* per kept value */
	MemoryContext context;		/* of the FsRow */

	/* Work, used again for each row */
	const FsRingEvent **order;	/* events of the longest window in order */
	int			max_order;
	const FsRingEvent **filtered;	/* those that pass a FILTER */
	int			max_filtered;
	uint64	   *set;			/* for distinct and mode: open addressing */
	uint64	   *set_count;
	uint32		set_size;
	FsAggregateResult *results; /* per aggregate, of the window at hand */
	struct FsAggregateWork *work;	/* per aggregate, of aggregate.h */
	const FsRingEvent **ordered;	/* those of an ordered aggregate, in its order */
	int			max_ordered;

	/* Features that are expressions; NULL where the view has none */
	ExprState **exprs;			/* per feature */
	ExprContext *econtext;
	TupleTableSlot *aggregate_slot;
	TupleTableSlot *entity_slot;

	/* Aggregates that the executor computes; NULL where the view has none */
	struct FsReplay *replay;

	/* States in the place of events; NULL where the view is not condensed */
	struct FsStates *states;

	/* Parts that ran out of time; see slow.c */
	uint64		number;			/* of the row at hand */
	struct FsSlowPart *slow;	/* per aggregate, then per feature; NULL: none ever did */

	/* What went wrong */
	bool		native_failed;	/* a native aggregate of the window at hand failed, with the message in 'error' */
	bool		stale;			/* a reader met a code that has no value: its copy was stale */
	int64		errors;			/* features set to NULL because computing them failed */
	char		error[FS_ERROR_SIZE];	/* the latest one's message */
} FsRow;

#endif							/* FS_PIPELINE_ROW_STATE_H */
