/*
 * stream_table.h
 *		Streams that read an ordinary table.
 */
#ifndef FS_CATALOG_STREAM_TABLE_H
#define FS_CATALOG_STREAM_TABLE_H

#include "catalog/stream_def.h"

/*
 * Looks up the table of a stream and checks the columns named in def->order_by,
 * xid, value, key and arrival.  'name' is the option's value: a name without
 * schema is looked up in the stream's own.  Throws for whatever does not fit.
 */
extern void fs_stream_table_load(FsStreamDef *def, const char *name);

/*
 * Locks the table of a stream, if there is one, before the stream is: DROP
 * TABLE locks them in that order, and the other one would deadlock with it.
 */
extern void fs_stream_table_lock(Oid relid);

#endif							/* FS_CATALOG_STREAM_TABLE_H */
