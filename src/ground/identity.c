/*
 * identity.c
 *		Which database this is; see identity.h.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"

#include "ground/identity.h"

/* See identity.h. */
char *
fs_identity_database(void)
{
	Assert(OidIsValid(MyDatabaseId));
	return psprintf(UINT64_FORMAT ":%u", GetSystemIdentifier(), MyDatabaseId);
}

/* See identity.h. */
char *
fs_identity_writer(void)
{
	Assert(!RecoveryInProgress());
	return psprintf("%s:%u", fs_identity_database(), GetWALInsertionTimeLine());
}
