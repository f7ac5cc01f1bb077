/*
 * table_writer.h
 *		Fast inserts into a table partitioned by range: as COPY does it.
 *
 * Rows are routed to their partition, gathered and handed to
 * table_multi_insert; indexes and constraints are served, triggers are not
 * supported (a table that has some is refused, nothing is skipped silently).
 * table_width.c tells rows that do not fit into a page.
 */
#ifndef FS_OFFLINE_TABLE_WRITER_H
#define FS_OFFLINE_TABLE_WRITER_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "executor/tuptable.h"
#include "utils/relcache.h"

typedef struct FsTableWriter FsTableWriter;

/*
 * Opens a table for writing inside the current transaction.  Expressions of
 * its indexes and constraints run as 'run_as' in a security-restricted context
 * (InvalidOid: as the current user).  Memory is the current context's.
 */
extern FsTableWriter *fs_table_writer_open(Oid relid, Oid run_as);

/* The table's columns, dropped ones included: what rows are made of. */
extern TupleDesc fs_table_writer_desc(const FsTableWriter *writer);

/* Adds one row; what 'values' point to is copied.  Throws when there is no partition for it, or it is no row. */
extern void fs_table_writer_put(FsTableWriter *writer, const Datum *values, const bool *nulls);

/*
 * The same; false, and it was not added, when it is longer than a row can be, or,
 * with hundreds of columns, wider than a page with all moved away that can be.
 */
extern bool fs_table_writer_try(FsTableWriter *writer, const Datum *values, const bool *nulls);

/* table_width.c: can a row of the table's be wider than a page?  And is this one, in a slot of the table's? */
extern bool fs_table_may_overflow(Relation rel);
extern bool fs_table_row_overflows(TupleTableSlot *slot);

/* Writes what is gathered. */
extern void fs_table_writer_flush(FsTableWriter *writer);

/* Flushes and closes. */
extern void fs_table_writer_close(FsTableWriter *writer);

#endif							/* FS_OFFLINE_TABLE_WRITER_H */
