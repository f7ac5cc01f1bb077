/*
 * lake_export.h
 *		From histories to the lake, exactly once.
 *
 * What is to be exported are the chunks of feature_stream.lake_chunk, which came
 * to be in the transactions that wrote their rows: so a chunk is seen exactly
 * when its rows are, and no horizon or order of numbers is needed.  It goes in
 * the transaction that moves the catalog's pointer to metadata with its rows.
 * Whatever happens in between, both have happened or neither.
 *
 * An export is a series of transactions; none is open while a store is spoken to:
 *
 *	1. what is to be exported, and where; the table's metadata is read
 *	2. rows become temporary files
 *	3. the names of the files to be are written down (lake_file); files are made
 *	4. pointer, chunks, names and statistics: all at once
 *
 * Files that a crash leaves behind are in lake_file, and are deleted by the next
 * sweep.  A pointer that somebody else moved meanwhile means that lists and
 * metadata are made again on top of theirs.
 */
#ifndef FS_PIPELINE_LAKE_EXPORT_H
#define FS_PIPELINE_LAKE_EXPORT_H

#include "postgres.h"

/* Is a view exported, or is a file to be deleted?  In the caller's transaction, SPI connected. */
extern bool fs_lake_export_is_wanted(void);

/* The same, in a transaction of its own, for whoever has none. */
extern bool fs_lake_export_has_work(void);

/* The view whose export is due for longest, InvalidOid when none is.  In a transaction of its own. */
extern Oid	fs_lake_export_next(void);

/*
 * Exports what the view's history has, or a good part of it, in transactions of
 * its own and with the current context's memory.  Throws what comes in the way;
 * it can be tried again.
 */
extern void fs_lake_export_run(Oid view);

/* Notes why that failed, and puts it off.  In a transaction of its own. */
extern void fs_lake_export_note_error(Oid view, const char *message);

/*
 * Deletes files that no table needs; for nobody but the process that exports,
 * between exports.  Throws where one cannot be deleted: *at says which, to be put
 * off (in a transaction of its own), so that the next sweep begins with others.
 */
extern void fs_lake_export_sweep(const char **at);
extern void fs_lake_export_put_off(const char *location);

#endif							/* FS_PIPELINE_LAKE_EXPORT_H */
