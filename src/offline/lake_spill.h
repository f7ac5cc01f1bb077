/*
 * lake_spill.h
 *		Rows of a history that wait for their partition's turn to be written.
 *
 * Order of calls: open, put, sort, next until there is none, close; all in one
 * transaction and under its snapshot, since long values stay where the history
 * has them.  Rows come back partition by partition, those of one in the order in
 * which they were put.  Memory: FS_LAKE_SORT_KB; beyond that rows are in temporary
 * files of the server.
 */
#ifndef FS_OFFLINE_LAKE_SPILL_H
#define FS_OFFLINE_LAKE_SPILL_H

#include "postgres.h"

#include "catalog/lake_columns.h"
#include "core/buffer.h"

#define FS_LAKE_SORT_KB	(64 * 1024)	/* memory of a sort of rows for the lake */

typedef struct FsLakeSpill FsLakeSpill;

/* Begins; memory is the current context's.  'columns' are those of the rows. */
extern FsLakeSpill *fs_lake_spill_open(const FsLakeColumn *columns, int ncolumns);

/* Adds a row of a partition, known by its key; what it points to is copied. */
extern void fs_lake_spill_put(FsLakeSpill *spill, const FsBuffer *key, const Datum *values, const bool *nulls);

/* Nothing is put after it. */
extern void fs_lake_spill_sort(FsLakeSpill *spill);

/* The next row, which is there until the next call; false when there is none. */
extern bool fs_lake_spill_next(FsLakeSpill *spill, const Datum **values, const bool **nulls);

/* Gives memory and files back. */
extern void fs_lake_spill_close(FsLakeSpill *spill);

#endif							/* FS_OFFLINE_LAKE_SPILL_H */
