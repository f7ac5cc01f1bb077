/*
 * view_scan.h
 *		The executor's side of SELECT on a feature view.
 *
 * Callbacks of the foreign data wrapper; fdw_exprs of the plan are the
 * conditions that make a key, in the order of the entity columns, or NIL for a
 * scan of all entities.
 */
#ifndef FS_SQL_VIEW_SCAN_H
#define FS_SQL_VIEW_SCAN_H

#include "postgres.h"

#include "nodes/execnodes.h"

extern void fs_view_scan_begin(ForeignScanState *node, int eflags);
extern TupleTableSlot *fs_view_scan_next(ForeignScanState *node);
extern void fs_view_scan_restart(ForeignScanState *node);
extern void fs_view_scan_end(ForeignScanState *node);

#endif							/* FS_SQL_VIEW_SCAN_H */
