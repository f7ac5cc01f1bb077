/*
 * feature_view_def.h
 *		A feature view as a struct: one query, compiled into columns kept and aggregates.
 *
 * The definition is a real view (<name>_definition); its stored Query is read
 * and compiled each time a feature view is loaded, so nothing here outlives a
 * change of the catalogs.  For window end W and window size S the feature row
 * of an entity is the result of that query over the entity's accepted events
 * with W - S <= event time < W.
 */
#ifndef FS_CATALOG_FEATURE_VIEW_DEF_H
#define FS_CATALOG_FEATURE_VIEW_DEF_H

#include "catalog/stream_def.h"

/* Native aggregates.  Every other one is refused when the view is created. */
typedef enum FsAggKind
{
	FS_AGG_ARRAY_AGG,			/* array_agg(x) */
	FS_AGG_COUNT_STAR,			/* count(*) */
	FS_AGG_COUNT,				/* count(x) */
	FS_AGG_COUNT_DISTINCT,		/* count(DISTINCT x) */
	FS_AGG_MODE,				/* mode() WITHIN GROUP (ORDER BY x), ascending */
	FS_AGG_SUM,
	FS_AGG_AVG,
	FS_AGG_MIN,
	FS_AGG_MAX
} FsAggKind;

typedef struct FsAggregate
{
	FsAggKind	kind;
	char	   *name;			/* target list name, without window suffix */
	int			kept;			/* index into FsViewDef.kept of the argument; -1 for count(*) */
	Oid			aggfnoid;
	Oid			input_type;		/* of the argument; InvalidOid for count(*) */
	Oid			result_type;
	int32		result_typmod;
	Oid			collation;		/* input collation of the aggregate */
} FsAggregate;

/* One output column of the query, in target list order. */
typedef struct FsOutput
{
	bool		is_entity;
	int			index;			/* into entity[] or aggregates[] */
	char	   *name;
} FsOutput;

typedef enum FsHistoryMode
{
	FS_HISTORY_ALL,				/* each row fired */
	FS_HISTORY_THINNED,			/* rows whose window end is a multiple of history_interval */
	FS_HISTORY_NONE
} FsHistoryMode;

typedef enum FsOnEmpty
{
	FS_ON_EMPTY_DELETE,			/* the online key is deleted */
	FS_ON_EMPTY_SET				/* the online key gets the empty row */
} FsOnEmpty;

#define FS_MAX_WINDOWS 16
#define FS_MAX_KEPT_COLUMNS 64	/* distinct columns that aggregates read */

typedef struct FsViewDef
{
	/* Info */
	Oid			relid;			/* the foreign table users select from; the view's identity */
	Oid			stream;
	Oid			definition;		/* the view <name>_definition */
	Oid			history;		/* InvalidOid when history is 'none' or was dropped */
	Oid			owner;			/* of relid: expressions run as this role */
	char	   *schema;
	char	   *name;

	/* Query */
	int			nentity;
	int		   *entity;			/* indexes into the stream's columns; all NOT NULL, byte equality */
	int			nkept;
	int		   *kept;			/* indexes into the stream's columns that the aggregates read */
	int			naggregates;
	FsAggregate *aggregates;
	int			noutputs;
	FsOutput   *outputs;
	Node	   *where;			/* planned qual (implicit AND list made explicit), Vars of varno 1; NULL when there is none */

	/* Windows; microseconds */
	int			nwindows;
	int64	   *windows;		/* ascending */
	char	  **suffixes;		/* "30m": columns are <feature>_<suffix> */
	int64		slide;

	/* Emission */
	FsHistoryMode history_mode;
	int64		history_interval;
	int64		history_retention;	/* microseconds; 0: for ever */
	bool		emit_every_slide;

	/* Online */
	Oid			online_server;	/* InvalidOid: none */
	char	   *online_key;		/* template */
	int64		online_ttl;		/* microseconds; 0: only by newest event */
	FsOnEmpty	on_empty;

	/* Settings captured at creation and pinned in worker and readers: name, value, name, value ... */
	List	   *settings;
} FsViewDef;

/*
 * Columns of the view's foreign table, in order: the entity columns, then for
 * each window each aggregate (name_suffix), then window_end, computed_at.  The
 * history table has these and then available_at, complete, backfilled.
 */
static inline int
fs_view_natts(const FsViewDef *view)
{
	return view->nentity + view->nwindows * view->naggregates + 2;
}

/* Longest window of the view. */
static inline int64
fs_view_max_window(const FsViewDef *view)
{
	return view->windows[view->nwindows - 1];
}

#endif							/* FS_CATALOG_FEATURE_VIEW_DEF_H */
