/*
 * feature_view_def.h
 *		A feature view as a struct: one query, compiled into inputs, aggregates and features.
 *
 * The definition is a real view (<name>_definition); its stored Query is read
 * and compiled each time a feature view is loaded, so nothing here outlives a
 * change of the catalogs.  For window end W and window size S the feature row
 * of an entity is the result of that query over the entity's accepted events
 * with W - S <= event time < W.
 */
#ifndef FS_CATALOG_FEATURE_VIEW_DEF_H
#define FS_CATALOG_FEATURE_VIEW_DEF_H

#include "nodes/primnodes.h"
#include "utils/array.h"

#include "catalog/stream_def.h"
#include "core/slice.h"

/*
 * A value that a view takes from each event: a column of the stream, or an
 * expression over its columns, evaluated once when the event is folded.
 */
typedef struct FsInput
{
	FsColumn	column;			/* type and the like; of an expression attnum is 0 and name its text */
	int			stream_column;	/* index into the stream's columns; -1: an expression */
	Node	   *expr;			/* planned, Vars of varno 1 with the stream's attnums; NULL for a column */
} FsInput;

/* How an aggregate is computed: natively, over the values kept in rings, or by PostgreSQL's executor. */
typedef enum FsAggKind
{
	FS_AGG_REPLAY,				/* any aggregate at all: the executor over the events of the window */
	FS_AGG_ARRAY_AGG,			/* array_agg(x) */
	FS_AGG_COUNT_STAR,			/* count(*) */
	FS_AGG_COUNT,				/* count(x) */
	FS_AGG_COUNT_DISTINCT,		/* count(DISTINCT x) */
	FS_AGG_MODE,				/* mode() WITHIN GROUP (ORDER BY x), ascending */
	FS_AGG_SUM,
	FS_AGG_AVG,
	FS_AGG_MIN,
	FS_AGG_MAX,
	FS_AGG_BOOL_AND,			/* every(), too */
	FS_AGG_BOOL_OR,
	FS_AGG_BIT_AND,
	FS_AGG_BIT_OR,
	FS_AGG_BIT_XOR,
	FS_AGG_VAR_SAMP,			/* of floats, like the next three; of other numbers they are called */
	FS_AGG_VAR_POP,
	FS_AGG_STDDEV_SAMP,
	FS_AGG_STDDEV_POP,
	FS_AGG_PERCENTILE_CONT,		/* percentile_cont(constant) WITHIN GROUP (ORDER BY float8), ordered */
	FS_AGG_PERCENTILE_DISC,
	FS_AGG_CALL,				/* the aggregate's own functions, called for each event */
	FS_AGG_ORDERED				/* another kind, over the events sorted or without duplicates */
} FsAggKind;

/*
 * What a sliced view keeps of an aggregate for one slide, as cells in this
 * order.  All of them are exact, and the same in whatever order events come.
 * Those over the same values share one state (count, sum, avg and stddev of x).
 */
typedef enum FsPartialKind
{
	FS_PARTIAL_NONE,			/* there is none: the aggregate needs the events */
	FS_PARTIAL_COUNT,			/* count */
	FS_PARTIAL_SUM,				/* count, sum; of integers */
	FS_PARTIAL_BITS,			/* the value; null: none */
	FS_PARTIAL_EXTREME,			/* the value, or its code; null: none */
	FS_PARTIAL_PLACED,			/* the same where equal values differ: value; time and partition of its event */
	FS_PARTIAL_DECIMAL,			/* count, sum, scale, code of a value that does not fit these */
	FS_PARTIAL_MOMENTS,			/* the same, then the sum of squares: low and high half */
	FS_PARTIAL_DISTINCT,		/* the set of values */
	FS_PARTIAL_COUNTED			/* the same, with how often each came */
} FsPartialKind;

/* An argument of a native aggregate. */
typedef struct FsAggArgument
{
	int			kept;			/* index into FsViewDef.kept; -1: a constant */
	Const	   *constant;
	Oid			type;
} FsAggArgument;

/* What a native aggregate sorts the events by. */
typedef struct FsAggKey
{
	int			kept;
	Oid			type;
	Oid			sort_operator;
	Oid			equal_operator;
	Oid			collation;
	bool		nulls_first;
} FsAggKey;

/* An aggregate of the query; equal ones are computed once. */
typedef struct FsAggregate
{
	FsAggKind	kind;
	Aggref	   *aggref;			/* planned, Vars of varno 1 with the stream's attnums */
	const char *reason;			/* why it is replayed; NULL when it is native */
	int			kept;			/* index into FsViewDef.kept of the argument; -1 none, or replayed */
	int			filter;			/* index into FsViewDef.kept of FILTER's truth; -1 none, or replayed */
	FsPartialKind partial_kind;
	const char *events_reason;	/* why there is none; NULL when there is one, or it is replayed */
	int			state_of;		/* in a sliced view: index of the aggregate whose state holds this one's, mostly itself */
	int			partial;		/* in a sliced view: first cell of its partial state */
	Oid			input_type;		/* of a native one's argument; InvalidOid for count(*) */
	Oid			result_type;
	Oid			collation;		/* input collation of the aggregate */

	/* Native ones */
	FsAggKind	ordered;		/* of kind FS_AGG_ORDERED: what is computed over the events in their order */
	bool		may_raise;		/* computing it can raise an error */
	bool		is_strict;		/* events with a null argument do not count */
	bool		is_distinct;	/* one event counts of those whose keys are equal */
	int			nargs;
	FsAggArgument *args;		/* without the arguments of percentiles that are constants */
	int			nkeys;
	FsAggKey   *keys;			/* constants are none: they order nothing */
	Const	   *fraction;		/* of percentiles: float8 or float8[], all between 0 and 1 */
} FsAggregate;

/* What a native aggregate computes, whatever the order of events. */
static inline FsAggKind
fs_aggregate_what(const FsAggregate *aggregate)
{
	return aggregate->kind == FS_AGG_ORDERED ? aggregate->ordered : aggregate->kind;
}

/* A feature: one column of the query that is no entity column. */
typedef struct FsFeature
{
	char	   *name;			/* target list name, without window suffix */
	int			aggregate;		/* the aggregate that it is, when it is nothing else; -1 */
	Node	   *expr;			/* planned, over aggregates (INNER_VAR, index + 1) and entity columns (OUTER_VAR,
								 * index + 1); NULL when it is an aggregate */
	Oid			type;
	int32		typmod;			/* -1: none, as of what is an aggregate */
	Oid			collation;		/* of its values */
} FsFeature;

/* One output column of the query, in target list order. */
typedef struct FsOutput
{
	bool		is_entity;
	int			index;			/* into entity[] or features[] */
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
	Oid			live;			/* the foreign table <name>_live; InvalidOid when it was dropped */
	List	   *past_columns;	/* Strings: the history's columns of features that were dropped */
	Oid			owner;			/* of relid: expressions run as this role */
	char	   *schema;
	char	   *name;

	/* Query */
	int			ninputs;
	FsInput    *inputs;
	int			nentity;
	int		   *entity;			/* indexes into inputs; of types with byte equality */
	int			nkept;
	int		   *kept;			/* indexes into inputs: what rings keep of an event */
	int			naggregates;
	FsAggregate *aggregates;
	int			nreplayed;		/* aggregates of kind FS_AGG_REPLAY */
	bool		is_sliced;		/* rings keep partial aggregates of slides, not events */
	int			npartial;		/* cells of these */
	bool		is_condensed;	/* rings keep events, and states of slides in the place of many */
	int			nfeatures;
	FsFeature  *features;
	int			noutputs;
	FsOutput   *outputs;
	Node	   *where;			/* planned qual (implicit AND list made explicit), Vars of varno 1; NULL when there is none */
	List	   *guards;			/* expressions that replayed aggregates evaluate: an event for which one raises is not counted */
	bool		may_raise;		/* computing a row can raise an error */
	bool		force_replay;	/* no aggregate is native: made while feature_stream.force_replay was on */

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

	/* Offline */
	Oid			offline_server; /* of the lake; InvalidOid: none */
	ArrayType  *offline_partition_by;	/* as the user wrote it; NULL without a lake */
	int64		offline_interval;	/* microseconds between two exports */

	/* Settings captured at creation and pinned in worker and readers: name, value, name, value ... */
	List	   *settings;
} FsViewDef;

/*
 * Columns of the view's foreign table: the entity columns, then for each window
 * each feature (name_suffix), then window_end, computed_at.  The history table
 * has these and available_at, complete, backfilled, revision.  This is the order in which
 * rows are computed; in a view that was altered the tables may have another one.
 */
static inline int
fs_view_natts(const FsViewDef *view)
{
	return view->nentity + view->nwindows * view->nfeatures + 2;
}

/* The column, or what stands for one, of an entity column or of a kept value. */
static inline const FsColumn *
fs_view_entity(const FsViewDef *view, int i)
{
	return &view->inputs[view->entity[i]].column;
}

static inline const FsColumn *
fs_view_kept(const FsViewDef *view, int i)
{
	return &view->inputs[view->kept[i]].column;
}

/* Do rings hold values of this kept column as codes of a dictionary? */
extern bool fs_view_keeps_codes(const FsViewDef *view, int kept);

/* Cells that an aggregate's partial state takes in a sliced view; none where it is in another one's. */
extern int	fs_view_state_cells(const FsViewDef *view, int aggregate);

/* Does the view count slides as a whole? */
static inline bool
fs_view_has_whole_slides(const FsViewDef *view)
{
	return view->is_sliced || view->is_condensed;
}

/* Longest window of the view. */
static inline int64
fs_view_max_window(const FsViewDef *view)
{
	return view->windows[view->nwindows - 1];
}

/*
 * The first window end whose windows all begin where nothing is missing any
 * more: 'covered', which is FS_TIME_MIN when nothing ever was, and FS_TIME_MAX
 * while nobody knows; so is the result.
 */
static inline FsTime
fs_view_complete_from(const FsViewDef *view, FsTime covered)
{
	if (covered == FS_TIME_MIN || covered == FS_TIME_MAX)
		return covered;
	return fs_time_ceil(covered, view->slide) + fs_view_max_window(view);
}

#endif							/* FS_CATALOG_FEATURE_VIEW_DEF_H */
