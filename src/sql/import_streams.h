/*
 * import_streams.h
 *		IMPORT FOREIGN SCHEMA: streams from registered subjects.
 */
#ifndef FS_SQL_IMPORT_STREAMS_H
#define FS_SQL_IMPORT_STREAMS_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/* ImportForeignSchema of the wrapper feature_stream_kafka: the commands that make the streams. */
extern List *fs_import_streams(ImportForeignSchemaStmt *statement, Oid serverid);

#endif							/* FS_SQL_IMPORT_STREAMS_H */
