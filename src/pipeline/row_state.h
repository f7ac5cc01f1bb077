/*
 * row_state.h
 *		What computing the rows of a feature view takes.
 */
#ifndef FS_PIPELINE_ROW_STATE_H
#define FS_PIPELINE_ROW_STATE_H

#include "postgres.h"

#include "fmgr.h"

#include "catalog/feature_view.h"
#include "state/store.h"

/* What computing with one kept column takes. */
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

/* Everything that computing rows of a view takes; lives as long as its context. */
typedef struct FsRow
{
	const FsViewDef *view;
	const FsStreamDef *stream;
	FsRowColumn *columns;		/* per kept column */
	MemoryContext context;		/* of the FsRow */
	const FsRingEvent **order;	/* scratch: events of the longest window in order */
	int			max_order;
	uint64	   *set;			/* scratch for distinct and mode: open addressing */
	uint32	   *set_count;
	uint32		set_size;
	bool		stale;			/* a reader met a code that has no value: its copy was stale */
	int64		errors;			/* features set to NULL because computing them failed */
} FsRow;

#endif							/* FS_PIPELINE_ROW_STATE_H */
