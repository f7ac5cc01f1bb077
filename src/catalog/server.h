/*
 * server.h
 *		Foreign servers of our wrappers.
 */
#ifndef FS_CATALOG_SERVER_H
#define FS_CATALOG_SERVER_H

#include "postgres.h"

typedef enum FsWrapper
{
	FS_WRAPPER_NONE = 0,		/* not one of ours */
	FS_WRAPPER_KAFKA,
	FS_WRAPPER_REDIS,
	FS_WRAPPER_TABLE,
	FS_WRAPPER_VIEW,
	FS_WRAPPER_LAKE
} FsWrapper;

/* Which of our wrappers a foreign server belongs to. */
extern FsWrapper fs_wrapper_of_server(Oid serverid);

/* The Kafka server, online store or lake of this name, which the role may use; throws when there is none. */
extern Oid	fs_server_find(const char *name, Oid role, FsWrapper wrapper);

#endif							/* FS_CATALOG_SERVER_H */
