/*
 * user_mapping.h
 *		What a user mapping says, of whoever has one.
 */
#ifndef FS_CATALOG_USER_MAPPING_H
#define FS_CATALOG_USER_MAPPING_H

#include "postgres.h"

#include "nodes/pg_list.h"

/*
 * The options (DefElems) of the mapping of 'user' for a server, else of that of
 * PUBLIC, else none: unlike GetUserMapping() it does not mind if there is none.
 */
extern List *fs_user_mapping_options(Oid serverid, Oid user);

#endif							/* FS_CATALOG_USER_MAPPING_H */
