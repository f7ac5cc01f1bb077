/*
 * lake_state.h
 *		What the tables of this database say of an export: for the files lake_*.c here alone.
 */
#ifndef FS_PIPELINE_LAKE_STATE_H
#define FS_PIPELINE_LAKE_STATE_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/array.h"

#include "catalog/lake_columns.h"
#include "core/value.h"
#include "offline/lake_catalog.h"
#include "offline/lake_rows.h"
#include "offline/object_store.h"

/* A chunk, or the part of it that is exported now. */
typedef struct FsLakeChunk
{
	int64		id;
	bool		is_existing;	/* of rows that were there when the export began */
	FsTime		computed_at;
	FsTime		first;			/* window ends */
	FsTime		last;
	bool		is_whole;		/* nothing is left of it afterwards */
} FsLakeChunk;

/* A column that the history had when the table in the lake followed it. */
typedef struct FsLakeKnown
{
	AttrNumber	number;
	char	   *name;
} FsLakeKnown;

/* An export at work; in 'context'. */
typedef struct FsLakeExport
{
	MemoryContext context;
	Oid			view;
	int64		id;				/* of lake_export: another one when the view's export ended and began again */
	char	   *view_name;
	Oid			history;
	Oid			server;
	Oid			owner;
	FsLakeConfig *config;
	FsObjectStore *store;
	FsLakeName	name;
	ArrayType  *partition_by;
	FsLakeColumn *columns;		/* of the history */
	int			ncolumns;
	int			window_end;		/* which of them that is */
	FsLakeKnown *known;			/* what the table follows */
	int			nknown;
	char	   *uuid;			/* of the table; NULL: it was not made yet */
	char	   *writer;			/* which database writes it (ground/identity.h), as this one is told; NULL likewise */
	char	   *location;		/* of its metadata; NULL: it is not in the catalog */

	/* What is exported */
	List	   *chunks;			/* FsLakeChunks */
	bool		has_more;		/* that were there */
	FsTime		newest;			/* window end of a row */
	int64		nans;			/* values that became NULL because decimals have no NaN */
} FsLakeExport;

/* SQL: is a view exported to one of these servers? */
#define FS_LAKE_IS_ON(servers, view) \
	"EXISTS (SELECT FROM feature_stream.feature_view v, pg_catalog.pg_foreign_server s" \
	" WHERE v.view = " view " AND s.srvname = v.offline AND s.oid = ANY (" servers "))"

/* Functions that have transactions of their own */

/* What is known of a view's export, in the current memory context; NULL when it is not exported. */
extern FsLakeExport *fs_lake_state_load(Oid view);

/* Looks for the pointer again. */
extern void fs_lake_state_refresh(FsLakeExport *export);

/* Chooses chunks, and makes files of their rows for the table; a List of FsLakeFile. */
extern List *fs_lake_state_read(FsLakeExport *export, FsIcebergMetadata *metadata);

/* Writes down names of files that are about to be made. */
extern void fs_lake_state_name(const FsLakeExport *export, List *locations);

/* The locations as a text[], palloc'd. */
extern Datum fs_lake_state_array(List *locations);

/* Functions inside the caller's transaction */

/* Has the export to itself until the transaction ends; false: it is not exported any more. */
extern bool fs_lake_state_lock(const FsLakeExport *export);

/* The table was made, by this database. */
extern void fs_lake_state_set_uuid(const FsLakeExport *export, const char *uuid);

/* The table in the lake follows the history's columns, as they were loaded. */
extern void fs_lake_state_set_columns(const FsLakeExport *export);

/*
 * Files that are part of a table now, and those that a table remembers no more:
 * readers may still.  Before 'lists' of manifests go, what only they lead to is
 * looked for (lake_upkeep.c).
 */
extern void fs_lake_state_keep(List *locations);
extern void fs_lake_state_drop(const FsLakeExport *export, List *locations, List *lists);

/* Those of the locations, as they are, that are not entered. */
extern List *fs_lake_state_unknown(List *locations);

/* The chunks are in the lake. */
extern void fs_lake_state_done(const FsLakeExport *export, int64 rows, int64 bytes, int files);

/* Says in a snapshot's summary which chunks it has, palloc'd. */
extern char *fs_lake_state_mark(const FsLakeExport *export);

#endif							/* FS_PIPELINE_LAKE_STATE_H */
