/*
 * table_rows.h
 *		The rows of a table stream, from PostgreSQL's executor.
 */
#ifndef FS_SOURCE_TABLE_ROWS_H
#define FS_SOURCE_TABLE_ROWS_H

#include "executor/spi.h"
#include "nodes/params.h"

#include "source/source.h"

/*
 * Executes a query for rows of a stream's table, and returns how many it took as
 * records, for which there must be room.  Its columns are those of an FsRecord:
 * offset, xid as bigint, value and key as varlenas that are bytes, arrival.
 *
 * It stops when that is enough for a batch.  What records point to is in 'context';
 * of a value that is longer than max_record_bytes, only that many bytes are.  SPI
 * is connected.
 */
extern int	fs_table_rows_take(SPIPlanPtr plan, ParamListInfo params, const FsStreamDef *stream,
							   MemoryContext context, FsRecord *records);

#endif							/* FS_SOURCE_TABLE_ROWS_H */
