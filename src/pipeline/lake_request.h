/*
 * lake_request.h
 *		Requests for upkeep of a table in a lake: for lake_upkeep.c alone.
 *
 * Rows of feature_stream.lake_upkeep, made by SQL functions (sql/lake_upkeep.c);
 * what was done, or would be, are rows of lake_upkeep_file.
 */
#ifndef FS_PIPELINE_LAKE_REQUEST_H
#define FS_PIPELINE_LAKE_REQUEST_H

#include "postgres.h"

#include "nodes/pg_list.h"

typedef struct FsLakeRequest
{
	int64		id;
	char	   *action;			/* the name of the SQL function */
	bool		is_dry;			/* only what would be done is to be told */
	int64		older_than;		/* ms; -1: what the table says */
	int			keep;			/* -1: likewise */
} FsLakeRequest;

/* In the current memory context; NULL when it is no longer waiting.  In a transaction of its own. */
extern FsLakeRequest *fs_lake_request_load(int64 id);

/* Writes down that files are, or would be, treated so; in the caller's transaction. */
extern void fs_lake_request_add(const FsLakeRequest *request, const char *what, List *locations);

/* It is done; in a transaction of its own, like the other end. */
extern void fs_lake_request_done(const FsLakeRequest *request);
extern void fs_lake_request_failed(int64 id, const char *message);

#endif							/* FS_PIPELINE_LAKE_REQUEST_H */
