/*
 * access.h
 *		Who may see and use what the extension has.
 */
#ifndef FS_SQL_ACCESS_H
#define FS_SQL_ACCESS_H

#include "postgres.h"

/*
 * Lets a role look at the statistics and at the dead letters of its own
 * streams: USAGE on schema feature_stream, SELECT on dead_letter and the stat_
 * views, EXECUTE on the functions below these.  Grants only what is lacking.
 */
extern void fs_access_grant_reading(Oid role);

#endif							/* FS_SQL_ACCESS_H */
