/*
 * found_rows.h
 *		Rows of a view's history or foreign table, in the order of a batch's.
 */
#ifndef FS_SQL_FOUND_ROWS_H
#define FS_SQL_FOUND_ROWS_H

#include "pipeline/batch.h"

typedef struct FsFoundRows FsFoundRows;

/* A row; it lives until the next one is asked for. */
typedef struct FsFoundRow
{
	Datum	   *entity;			/* nentity values */
	Datum	   *values;			/* nfeatures values */
	bool	   *nulls;
	FsTime		window_end;
} FsFoundRow;

/*
 * Opens a cursor on 'relid', which has the view's columns, for window ends from
 * 'first' to 'last' (FS_TIME_MIN, FS_TIME_MAX: unbounded), as the current user.
 * SPI is connected.
 */
extern FsFoundRows *fs_found_open(const FsBatch *batch, Oid relid, FsTime first, FsTime last);

/* The next row, in order of entity and window end; NULL at the end. */
extern const FsFoundRow *fs_found_next(FsFoundRows *found);

extern void fs_found_close(FsFoundRows *found);

#endif							/* FS_SQL_FOUND_ROWS_H */
