/*
 * view.h
 *		One feature view at work in an ingest worker.
 *
 * Part of shard.h, whose memory contexts it lives in.  Who of the files of
 * pipeline/ changes what: "Info" is made by shard.c and inputs.c, "State" belongs
 * to fold.c, prune.c, gap.c and the readers of older events, "Row computation" to
 * row.c and fire.c, "Online" to publish.c, "Statistics" to whoever counts.
 */
#ifndef FS_PIPELINE_VIEW_H
#define FS_PIPELINE_VIEW_H

#include "postgres.h"

#include "executor/executor.h"

#include "catalog/feature_view.h"
#include "online/online.h"
#include "pipeline/event.h"
#include "state/store.h"
#include "state/touch.h"

/* How a kept value gets from the event into a cell. */
typedef struct FsKept
{
	int			value;			/* index into FsEvent.values */
	bool		is_float;
	FsDictionary *dictionary;	/* of a byte type; NULL: the value itself is stored */
	FsDictionary *partial;		/* the same in a sliced view, which looks up few values: not ahead */
} FsKept;

/* What became of the events that the stream accepted, and rows fired. */
typedef struct FsViewCounts
{
	int64		counted;
	int64		filtered;
	int64		late;			/* too late for this view */
	int64		expression_errors;
	int64		rows;
} FsViewCounts;

/*
 * A row of feature_stream.backfill: window ends after 'after' (FS_TIME_MIN:
 * all) up to 'until' are not fired, but their rows known since 'computed_at'.
 */
typedef struct FsGap
{
	FsTime		after;
	FsTime		until;
	FsTime		computed_at;
	bool		by_pause;
	bool		pending;		/* its rows are not all in the history yet */
} FsGap;

/* Where expiry stands in a touch list; see prune.c. */
typedef enum FsPrunePhase
{
	FS_PRUNE_NONE,
	FS_PRUNE_TRIM,
	FS_PRUNE_REMOVE
} FsPrunePhase;

typedef struct FsPruneCursor
{
	FsPrunePhase phase;
	FsTouchList list;			/* taken out of the view's directory */
	FsHandle	block;			/* next to be trimmed */
} FsPruneCursor;

/* How fast a counter grows, a second of event time; smoothed.  For report.c. */
typedef struct FsRate
{
	bool		started;
	bool		known;
	FsTime		time;			/* of the last sample */
	int64		count;			/* then */
	double		per_second;
} FsRate;

typedef struct FsView
{
	/* Info */
	FsViewDef  *def;
	FsSharedViewState *shared;
	FsRingLayout layout;
	FsKept	   *kept;			/* def->nkept */
	ExprState  *where;
	int		   *value_of;		/* per input: index into FsEvent.values */
	int			text_key;		/* the one entity column, of a byte type: likewise; -1: not so */
	ExprState **inputs;			/* per input; NULL for a column of the stream */
	bool		has_expressions;	/* any of these, or WHERE */
	bool		has_key_expressions;
	ExprState **guards;			/* evaluated for what they may raise; see FsViewDef.guards */

	/* State */
	FsTouchLists touches;		/* by slice of the event, or of its record */
	FsTouchLists late;			/* by window end (slice index) at which late events enter */
	FsPruneCursor prune;
	struct FsPartialLog *partial_log;	/* partial_log.h; NULL: the view is not sliced */
	FsTime		history_until;	/* its history had rows to here when it was first loaded; FS_TIME_MIN: none */
	FsTime		log_from;		/* the log began here when the view was first loaded; FS_TIME_MIN: whole */
	bool		has_backread;	/* older events were read for it: backread.h */
	FsTime		covered_from;	/* and then nothing is missing from this event time on */
	FsTime		complete_from;	/* window ends from here on are fully covered, as the checkpoint at work knows */
	int			ngaps;
	FsGap	   *gaps;			/* ascending */
	bool		paused;
	FsTime		paused_after;	/* fires up to here; FS_TIME_MIN: not at all */

	/* Row computation */
	struct FsRow *row;
	FsEventSet	set;
	AttrNumber *history_attnums;	/* where its columns are; NULL: none */
	struct FsHistoryWriter *history;	/* open during a checkpoint that wrote rows */

	/* Online */
	struct FsKeyPart *key_parts;
	int			nkey_parts;
	char	  **field_names;	/* of nwindows * naggregates fields */
	FsOnline   *online;
	uint64		incarnation;	/* of the store that 'queue' speaks to */
	bool		resync;			/* all rows in force are to be put again */
	uint32		resync_bucket;
	FsHandle   *queue;			/* ring buffer of dirty entities */
	uint32		queue_head;
	uint32		queue_count;
	uint32		queue_max;
	int64		unanswered;		/* rows put, of this connection */
	bool		left_wanted;	/* left.c is to look for empty rows that the store lacks ... */
	FsTime		left_from;		/* ... and goes over these event times, from the end; equal: it is done */
	FsTime		left_until;
	int64		left_span;		/* the longest stretch to be read at once */
	FsTime		settled;		/* the store has had all rows up to this window end; FS_TIME_MIN: nobody knows */

	/* Statistics */
	FsViewCounts counts;		/* durable with the checkpoint */
	FsRate		event_rate;
	FsRate		row_rate;
	int64		feature_errors;	/* features that are NULL because they raised, of rows written to history or, without one, store */
	int64		online_written;
	int64		online_deleted;
	int64		online_errors;
	FsTime		online_time;
} FsView;

/* The value of a view's input among an event's values. */
static inline const FsValue *
fs_input_value(const FsView *view, const FsValue *values, int input)
{
	return &values[view->value_of[input]];
}

/* Does the view fire at this boundary, when its slide says so?  Not in its gaps, nor when it is paused. */
static inline bool
fs_view_fires(const FsView *view, FsTime boundary)
{
	if (view->paused && boundary > view->paused_after)
		return false;
	return view->ngaps == 0 || boundary > view->gaps[view->ngaps - 1].until;
}

/* entity_key.c: the key of an event goes to key[FS_ENTITY_MAX_KEY]; -1 when it has none that fits. */
extern int	fs_key_of_values(const FsView *view, const FsValue *values, char *key);

#endif							/* FS_PIPELINE_VIEW_H */
