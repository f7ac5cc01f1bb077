/*
 * view_request.h
 *		What create_feature_view was asked for.
 */
#ifndef FS_CATALOG_VIEW_REQUEST_H
#define FS_CATALOG_VIEW_REQUEST_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "utils/array.h"

/* The arguments of create_feature_view; NULL where the user gave none. */
typedef struct FsViewRequest
{
	char	   *name;			/* may be qualified */
	char	   *query;
	ArrayType  *windows;
	Interval   *slide;
	char	   *online;
	char	   *online_key;
	Interval   *online_ttl;
	char	   *on_empty;
	char	   *emit;
	char	   *history;
	Interval   *history_interval;
	Interval   *history_retention;
	bool		backfill;
	char	   *offline;
	char	   *offline_table;	/* namespace.table */
	ArrayType  *offline_partition_by;
	Interval   *offline_interval;
	char	   *backfill_from;	/* where in the topic or table it begins; NULL: with the event log */
} FsViewRequest;

#endif							/* FS_CATALOG_VIEW_REQUEST_H */
