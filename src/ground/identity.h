/*
 * identity.h
 *		Which database this is: what tells it from a copy of it.
 *
 * A database that was made from a template has another OID, a new cluster (a
 * restored dump, pg_upgrade) another system identifier, and a promoted standby or
 * a restored backup another timeline.  A data directory that was copied and
 * started as it is has all of them: nothing here tells it from the original.
 */
#ifndef FS_GROUND_IDENTITY_H
#define FS_GROUND_IDENTITY_H

#include "postgres.h"

/* "<system identifier>:<database OID>", palloc'd: the same before and after a failover. */
extern char *fs_identity_database(void);

/* "<system identifier>:<database OID>:<timeline>", palloc'd: another one after it.  Not in recovery. */
extern char *fs_identity_writer(void);

#endif							/* FS_GROUND_IDENTITY_H */
