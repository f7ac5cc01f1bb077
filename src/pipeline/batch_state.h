/*
 * batch_state.h
 *		What the files batch*.c share.
 */
#ifndef FS_PIPELINE_BATCH_STATE_H
#define FS_PIPELINE_BATCH_STATE_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "utils/tuplestore.h"

#include "catalog/feature_view.h"
#include "catalog/view_columns.h"
#include "core/slice.h"

/* What computing the rows of one view takes. */
typedef struct FsBatch
{
	/* Info */
	const FsViewDef *view;
	const FsStreamDef *stream;
	Oid			run_as;
	FsViewColumn *columns;		/* all: entity columns first, then the features, then others */
	int			ncolumns;
	int			nentity;
	int			nfeatures;		/* of all windows */

	/* Memory and plans, of batch*.c alone */
	MemoryContext context;
	struct FsBatchFeatures *features;
	struct FsBatchJudge *judge;
	int64		error_count;	/* features that became NULL because computing them failed */
} FsBatch;

/* What is said of an event. */
typedef enum FsBatchVerdict
{
	FS_BATCH_COUNTS,
	FS_BATCH_FILTERED,			/* WHERE is not true */
	FS_BATCH_ERROR				/* an expression raised an error, or the entity is no key: it does not count */
} FsBatchVerdict;

/* An event of the log, with values by attribute number - 1. */
typedef struct FsBatchEvent
{
	FsTime		time;
	FsTime		arrival;
	FsTime		late_bound;		/* FS_TIME_MIN: on time */
	int32		partition;
	int64		offset;
	Datum	   *values;
	bool	   *nulls;
	FsBatchVerdict verdict;
	Datum	   *entity;			/* values of the entity columns; NULL: not known */
} FsBatchEvent;

/* First window end that counts the event, if it has not left by then. */
static inline FsTime
fs_batch_counts_from(const FsBatchEvent *event, int64 slide)
{
	FsTime		enter = fs_time_next(event->time, slide);

	return event->late_bound == FS_TIME_MIN ? enter :
		Max(enter, fs_time_next(event->late_bound, slide));
}

/* First window end at which a window of 'size' does not hold the event any more. */
static inline FsTime
fs_batch_leaves_at(const FsBatchEvent *event, int64 size, int64 slide)
{
	return fs_time_next(event->time + size, slide);
}

/* An entity's key, of fs_key_encode(). */
typedef struct FsBatchKey
{
	const char *bytes;
	int			len;
} FsBatchKey;

/* Index of a key among n sorted ones; -1: it is not there.  fs_batch_key_compare() is their order, for qsort(). */
extern int	fs_batch_key_find(const FsBatchKey *keys, int n, const char *bytes, int len);
extern int	fs_batch_key_compare(const void *a, const void *b);

/* batch_log.c: the log's events of a time range, sorted by entity, event time, partition, offset. */
typedef struct FsBatchLog FsBatchLog;

/*
 * Reads the log.  'keys', which are sorted and live as long, restrict it to
 * their entities; NULL: those of the sample.  Events whose entity is not known
 * are left out.
 */
extern FsBatchLog *fs_batch_log_read(const FsBatch *batch, FsTime from, FsTime until,
									 double sample, const FsBatchKey *keys, int nkeys);

/*
 * Goes to the next entity and returns its values, which live until the next
 * one; NULL at the end.  All events of the one before have been read.
 */
extern const Datum *fs_batch_log_next_entity(FsBatchLog *log);

/* The next event of the entity, copied into the current memory context without its entity; false when there is none. */
extern bool fs_batch_log_next(FsBatchLog *log, FsBatchEvent *event);

extern void fs_batch_log_end(FsBatchLog *log);

/* batch_judge.c: which events count, and for which entity. */
typedef struct FsBatchJudge FsBatchJudge;

/*
 * 'where' is a boolean expression over the stream's columns, NULL: always true.
 * is_whole: also everything else that the view evaluates of an event, and its
 * entity.
 */
extern FsBatchJudge *fs_batch_judge_create(const FsBatch *batch, const Node *where, bool is_whole);

/* Sets the verdict of n events and, if whole, their entity; in the current memory context. */
extern void fs_batch_judge(FsBatchJudge *judge, FsBatchEvent *events, int n);

/* batch_features.c: the query over groups of events. */
typedef struct FsBatchFeatures FsBatchFeatures;

extern FsBatchFeatures *fs_batch_features_create(FsBatch *batch, Query *query);

/* Number of targets of the query that are features. */
extern int	fs_batch_features_count(const FsBatchFeatures *features);

/* Name in the query of a feature, and its expression. */
extern TargetEntry *fs_batch_features_target(const FsBatchFeatures *features, int feature);

/*
 * Computes the features of groups 0 .. ngroups - 1, whose events are in
 * 'events' in order of their groups, into values[] and nulls[] (a row of
 * features for each group), in the current memory context.  Groups without
 * events get what the query gives over no rows, for the entity entities[group].
 * A feature that cannot be computed is NULL.
 */
extern void fs_batch_features_run(FsBatchFeatures *features, Tuplestorestate *events,
								  int ngroups, const Datum *const *entities,
								  Datum *values, bool *nulls);

#endif							/* FS_PIPELINE_BATCH_STATE_H */
