/*
 * stream.h
 *		Streams, read from their foreign tables.
 */
#ifndef FS_CATALOG_STREAM_H
#define FS_CATALOG_STREAM_H

#include "catalog/stream_def.h"

/*
 * Reads and validates the definition of 'relid' into the current memory
 * context.  Throws, with SQLSTATE, detail and hint, whatever is wrong with the
 * whole definition (no event_time, slice not positive, mutable CHECK or
 * DEFAULT, unsupported column type, database not UTF-8 ...).  The caller is in
 * a transaction.
 */
extern FsStreamDef *fs_stream_load(Oid relid);

/* Is 'relid' a foreign table of one of the two stream wrappers? */
extern bool fs_is_stream(Oid relid);

/* Oids of all streams of the current database, in oid order. */
extern List *fs_stream_list(void);

#endif							/* FS_CATALOG_STREAM_H */
