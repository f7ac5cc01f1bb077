/*
 * stream_scan.h
 *		The executor's side of SELECT on a stream.
 */
#ifndef FS_SQL_STREAM_SCAN_H
#define FS_SQL_STREAM_SCAN_H

#include "postgres.h"

#include "commands/explain.h"
#include "nodes/execnodes.h"

/* Routines of the wrapper; see foreign/fdwapi.h.  fdw_exprs are the bounds, of stream_bounds.h. */
extern void fs_stream_scan_begin(ForeignScanState *node, int eflags);
extern TupleTableSlot *fs_stream_scan_next(ForeignScanState *node);
extern void fs_stream_scan_restart(ForeignScanState *node);
extern void fs_stream_scan_end(ForeignScanState *node);
extern void fs_stream_scan_explain(ForeignScanState *node, ExplainState *es);

#endif							/* FS_SQL_STREAM_SCAN_H */
