/*
 * partial_log.h
 *		Stored partial aggregates: records of sliced views in feature_stream.partial_log.
 *
 * A record counts first at one window end, its *entry*: the end of its slide, or
 * counts_from when its events were late.  Behind the frontier it does not change
 * any more, since what comes for that slide then is late, and counts from a
 * later window end on.  So the checkpoint that moves the frontier over an entry
 * writes its records, once.  Recovery puts them into rings in the place of their
 * events: all whose entry is behind 'from' and not behind 'upto'.
 *
 * Which records are stored is durable with the checkpoint (view_state).  The log
 * stays the source: whenever there is a doubt, storing ends, and recovery folds
 * the events.
 */
#ifndef FS_PIPELINE_PARTIAL_LOG_H
#define FS_PIPELINE_PARTIAL_LOG_H

#include "core/segment.h"
#include "pipeline/pace.h"
#include "pipeline/shard.h"

/* Of a sliced view. */
typedef struct FsPartialLog
{
	/* Info */
	int64		layout;			/* records of another one are of no use */
	FsDictionary *dictionaries[FS_RING_MAX_CELLS];	/* by cell: of its codes; NULL: it has none */

	/* State */
	bool		stored;
	bool		spoilt;			/* an event came to a record that is closed: what is stored is of no use */
	FsTime		from;
	FsTime		upto;			/* the frontier's window end of the view */
	FsTime		last;			/* the last entry with records; 'from' when there is none */

	/* What decides */
	int64		events;			/* that went into records */
	int64		records;		/* which they began */
} FsPartialLog;

/* A record as it is stored. */
typedef struct FsPartialRecord
{
	const char *key;
	int			key_len;
	FsTime		time;
	FsTime		counts_from;	/* FS_TIME_MIN: on time */
	const FsValue *cells;		/* values in the place of codes, bytes in the place of sets */
} FsPartialRecord;

/* The window end at which an event counts first. */
static inline FsTime
fs_partial_log_entry(const FsView *view, const FsEventMeta *meta)
{
	return fs_time_next(Max(meta->event_time, meta->late_bound), view->def->slide);
}

/* Is the event in a record that is stored? */
static inline bool
fs_partial_log_has(const FsView *view, const FsEventMeta *meta)
{
	const FsPartialLog *log = view->partial_log;
	FsTime		entry;

	if (log == NULL || !log->stored)
		return false;
	entry = fs_partial_log_entry(view, meta);
	return entry > log->from && entry <= log->upto;
}

/* An event of the source is folded: nothing that is closed, or being closed by the open checkpoint, may change. */
static inline void
fs_partial_log_watch(const FsShard *shard, const FsView *view, const FsEventMeta *meta)
{
	FsPartialLog *log = view->partial_log;

	if (log != NULL && log->stored && Max(meta->event_time, meta->late_bound) < shard->closing &&
		fs_partial_log_entry(view, meta) <= shard->closing)
		log->spoilt = true;
}

/*
 * The checkpoint's part: makes the partitions that it may need, in a transaction
 * of its own; and when all is fired, inside the checkpoint's, writes the records
 * whose entries the frontier has passed.
 */
extern void fs_partial_log_ensure(const FsShard *shard, FsTime upto);
extern void fs_partial_log_write(FsShard *shard, FsCheckpoint *checkpoint);

/*
 * Recovery's part, inside its transaction.  fs_partial_log_load() finds out
 * which views have records that are whole and of their definition; pauses and
 * gaps are known by then.  fs_partial_log_restore() calls 'visit' for the
 * records with from <= time < until; returns false when that did.
 */
typedef bool (*FsPartialVisitor) (void *arg, const FsPartialRecord *record);
extern void fs_partial_log_load(FsShard *shard);
extern bool fs_partial_log_restore(const FsShard *shard, const FsView *view, FsTime from, FsTime until,
								   FsPartialVisitor visit, void *arg);
extern int64 fs_partial_log_bytes(const FsShard *shard, const FsView *view, FsTime from, FsTime until);

/* Puts a record into its entity's ring; returns the entity, 0 when memory is out. */
extern FsHandle fs_partial_log_put(FsShard *shard, FsView *view, const FsPartialRecord *record);

/* partial_record.c: the columns of segments of records, and one of a ring as a record; in the current context */
extern FsSegmentWriter *fs_partial_record_writer(const FsView *view, FsTime window_end);
extern void fs_partial_record_append(const FsView *view, FsSegmentWriter *writer, const FsEntity *entity,
									 const FsRingEvent *event);

/* The columns of such a segment: the key, then the cells. */
extern int	fs_partial_record_columns(const FsView *view, FsSegmentColumn *columns);

/* The cells of a record; false when memory is out. */
extern bool fs_partial_record_cells(FsShard *shard, const FsView *view, const FsPartialRecord *record, uint32 slice,
									FsCell *cells);

#endif							/* FS_PIPELINE_PARTIAL_LOG_H */
