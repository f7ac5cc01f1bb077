/*
 * history_writer.h
 *		Rows into the history of a feature view.
 *
 * Rows are computed in the order of the definition (catalog/view_columns.h);
 * here they get that of the table.  One that was altered since the definition
 * was loaded is written, too: columns that came get NULL, and those that went
 * are left out.
 *
 * What was written is noted for the lake's worker where the view is exported
 * (feature_stream.lake_chunk), in the same transaction: rows and note become
 * visible together.  Whether it is exported is asked while the history is locked
 * for writing, which the export's beginning waits for: so each row is there when
 * the export begins, or is noted, and never both.  Rows of a view and a window
 * end that two transactions write must not be computed at the same time.
 */
#ifndef FS_PIPELINE_HISTORY_WRITER_H
#define FS_PIPELINE_HISTORY_WRITER_H

#include "postgres.h"

#include "access/attnum.h"

#include "catalog/feature_view_def.h"
#include "core/value.h"

typedef struct FsHistoryWriter FsHistoryWriter;

/* A row; 'values' and 'nulls' are of the features, window by window. */
typedef struct FsHistoryRow
{
	const Datum *entity;
	const Datum *values;
	const bool *nulls;
	FsTime		window_end;
	FsTime		computed_at;
	FsTime		available_at;
	bool		complete;
	bool		backfilled;
	int32		revision;		/* above 0: a correction */
} FsHistoryRow;

/*
 * Where the history's columns are, palloc'd; NULL without a history.  In a
 * transaction.
 */
extern AttrNumber *fs_history_attnums(const FsViewDef *view, const FsStreamDef *stream);

/*
 * The newest window end of the view's history, read as its owner: what a restored
 * dump has brought along, when the view is loaded for the first time.
 * FS_TIME_MIN: there is nothing.  In a transaction; the caller is connected to SPI.
 */
extern FsTime fs_history_newest(const FsViewDef *view, const FsStreamDef *stream);

/*
 * Opens the view's history for writing inside the current transaction, as the
 * view's owner, in TopTransactionContext.  'attnums' must outlive it.  The history
 * had rows until 'until' before the view was here: those stay, none are added to
 * older window ends, and at that one those that are missing.
 */
extern FsHistoryWriter *fs_history_writer_open(const FsViewDef *view, const FsStreamDef *stream,
											   const AttrNumber *attnums, FsTime until);

/*
 * Adds one row; what it points to is copied.  Throws when there is no partition for
 * it.  False when its features are too much for a row of a table: they are null then.
 */
extern bool fs_history_writer_put(FsHistoryWriter *writer, const FsHistoryRow *row);

/* Writes what is gathered, notes it for the lake, and closes; warns of rows without their features. */
extern void fs_history_writer_close(FsHistoryWriter *writer);

#endif							/* FS_PIPELINE_HISTORY_WRITER_H */
