/*
 * serial_plan.h
 *		Plans that are to run without parallel workers.
 */
#ifndef FS_SQL_SERIAL_PLAN_H
#define FS_SQL_SERIAL_PLAN_H

#include "postgres.h"

#include "nodes/execnodes.h"

/*
 * What an expression raises over one record, or in one row, is caught by a
 * subtransaction, and none can begin in parallel mode, which is all or nothing.
 * So a plan with a scan that may have to is run without workers, which are of no
 * use to the scan.  Called when the scan begins.
 */
static inline void
fs_plan_keep_serial(EState *estate)
{
	estate->es_plannedstmt->parallelModeNeeded = false;
}

#endif							/* FS_SQL_SERIAL_PLAN_H */
