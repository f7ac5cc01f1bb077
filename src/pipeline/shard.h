/*
 * shard.h
 *		All that one ingest worker knows: a shard of a stream at work.
 *
 * Files of pipeline/ in reading order:
 *
 *	shard.c			making a shard: definitions, arena, empty state
 *	pipeline.c		the loop: service, ingest, fire, checkpoint, publish
 *	ingest.c		a turn of ingestion: poll, decode, admit, fold
 *	partitions.c	which partition to read next; idleness; the shard's watermark
 *	parking.c		partitions that wait for a schema
 *	wanted.c		asking the registry
 *	contract.c		bytes -> event, by the stream's data contract
 *	contract_expressions.c	what it leaves to PostgreSQL's functions
 *	inputs.c		what views evaluate of each event
 *	admit.c			event time, lateness, dead letters
 *	dead_letter_replay.c	those that come back
 *	correction.c	those that windows count which have fired
 *	dead_letter_limit.c	when they are too many
 *	dead_letter_topic.c	those that are sent to a topic, too
 *	fold.c			event -> log and rings
 *	fire.c			window ends that are due; rows
 *	collect.c		which entities a window end is due for
 *	prune.c			what no window needs any more
 *	row.c			feature row of one entity at one window end
 *	features.c		its aggregates and expressions
 *	aggregate.c		one native aggregate over the events of a window
 *	partial.c		the same over records of slides
 *	partial_log.c	storing those that do not change any more, for recovery
 *	replay.c		aggregates computed by PostgreSQL's executor
 *	states.c		their states over parts of a window, made and combined
 *	condense.c		such states in the place of events
 *	checkpoint.c	one transaction: log, positions, rows, dead letters, cursor
 *	checkpoint_state.c	its small rows
 *	pace.c			how it gives way to ingestion
 *	recover*.c		from the tables back to memory: positions, log, rows in force
 *	corrected.c		what corrections say to that
 *	gap.c			window ends that a view does not fire itself
 *	stuck.c			views that are set aside, since their expressions do not end
 *	backread.c		older events for one view, from the source (in the same)
 *	backread*.c		older events for one view, from the source (in a worker of its own)
 *	backfill.c		their rows, by batch*.c (in a worker of its own)
 *	correction_plan.c, correction_rows.c	rows that are corrected (in the same)
 *	publish.c		rows in force -> online store
 *	left.c			empty rows that it missed
 *	report.c		statistics -> shared memory
 *
 * The worker is single-threaded, so nothing here needs a lock.  Memory has
 * three lifetimes: 'context' (the worker), 'cycle' (one turn of the loop),
 * 'batch' (the records between two releases).
 */
#ifndef FS_PIPELINE_SHARD_H
#define FS_PIPELINE_SHARD_H

#include "postgres.h"

#include "catalog/feature_view.h"
#include "catalog/online_key.h"
#include "catalog/stream.h"
#include "core/segment.h"
#include "core/slice.h"
#include "ground/clock.h"
#include "pipeline/event.h"
#include "pipeline/view.h"
#include "source/source.h"
#include "state/store.h"

/* How many events ahead folding gets its memory; fs_fold_prepare() is called from -FS_FOLD_AHEAD on. */
#define FS_FOLD_AHEAD 24
#define FS_FOLD_RING 32			/* a power of two greater than that */

/* Rows one checkpoint writes at most, about. */
#define FS_CHECKPOINT_ROWS 50000

/*
 * How long one step of anything may keep ingestion waiting, about: long work
 * looks at the clock and is taken up again later.
 */
#define FS_STEP_USEC 2000

/* FsReasons are less. */
#define FS_REASONS 16

/* Pending log that makes a checkpoint due before its time. */
#define FS_PENDING_BYTES (64 * 1024 * 1024)

struct FsCheckpoint;			/* pace.h */
struct FsDeadOverflow;			/* dead_letters.h */

/* Pending segments of the log: the last one of a slice takes events, those before it are full. */
typedef struct FsPendingSlice
{
	int64		slice;
	FsSegmentWriter *writer;
	FsTime		late_bound;		/* the latest of its events; FS_TIME_MIN: none was late */
} FsPendingSlice;

typedef struct FsWakeup
{
	int32		partition;
	int64		offset;
	FsTime		watermark;
} FsWakeup;

typedef struct FsPending
{
	MemoryContext context;		/* dead letters live here */
	FsPendingSlice *slices;		/* ascending */
	int			nslices;
	int			maxslices;
	int			last;			/* index of the slice used last */
	int64		events;
	int64		dead_bytes;		/* memory of the dead letters, about */
	List	   *dead_letters;	/* FsDeadLetter * */
	struct FsDeadOverflow **overflow;	/* [partition's index][FS_REASONS], where there is any; NULL: none */
	int64		ndead;
	List	   *outcomes;		/* FsReplayOutcome * */
	List	   *corrections;	/* FsCorrection * */
	List	   *wakeups;		/* FsWakeup * */
	bool		dirty;			/* positions moved */
} FsPending;

/* Rows of one window end that became known together. */
typedef struct FsFiring
{
	int			view;			/* index */
	FsTime		window_end;
	int64		upto_hash;
	FsTime		computed_at;
	int64		rows;
} FsFiring;

/* What is being done with (boundary, view). */
typedef enum FsFirePhase
{
	FS_FIRE_BEGIN,
	FS_FIRE_COLLECT,			/* due[] is being gathered and sorted */
	FS_FIRE_ROWS				/* due[] is complete */
} FsFirePhase;

/* Where firing stands: window ends before 'boundary' are done. */
typedef struct FsFireCursor
{
	bool		active;			/* a boundary is being fired */
	FsTime		boundary;
	int			view;			/* index of the view being fired */
	int64		hash;			/* hashes up to this are done in that view; -1 none */
	FsFirePhase phase;
	struct FsCollector *collector;
	uint64	   *due;			/* hash << 32 | item, sorted */
	uint32		ndue;
	uint32		next;
	uint32		maxdue;
	FsTime		computed_at;
	int64		rows;			/* of this firing so far */
} FsFireCursor;

/* The committed cursor: like FsFireCursor, without the work in hand. */
typedef struct FsDurableCursor
{
	bool		active;
	FsTime		boundary;
	uint32		view;
	int64		hash;
} FsDurableCursor;

/* A request for a dead letter to come back, in the order in which they are taken. */
typedef struct FsReplayKey
{
	int32		partition;
	int64		offset;
	FsTime		recorded_at;
} FsReplayKey;

/* Dead letters among the records of late; see dead_letter_limit.c. */
#define FS_LIMIT_STEPS 12

typedef struct FsDeadLetterLimit
{
	int64		refused;		/* in the worker's life */
	int64		steps;			/* ended */
	int64		began;			/* monotonic clock: the step at hand; 0: none yet */
	int64		read_before;	/* until then */
	int64		refused_before;
	int64		step_read[FS_LIMIT_STEPS];	/* by number modulo FS_LIMIT_STEPS */
	int64		step_refused[FS_LIMIT_STEPS];
	int64		exceeded_at;	/* number of the step that exceeded it last */
	char		alert[FS_ERROR_SIZE];	/* "": none */
} FsDeadLetterLimit;

typedef struct FsShard
{
	/* Info */
	FsSharedStream *slot;
	int			slot_index;
	FsStreamDef *def;
	int			nviews;
	FsView	   *views;
	List	   *set_aside;		/* FsViewDefs of those that are not loaded, which are to judge what is late; see stuck.c */
	int			nvalues;		/* of an event: stream columns, and expressions of all views */
	int64		max_window;		/* of all views */
	int64		max_slide;
	uint64		generation;		/* of the slot, before the definitions were loaded */
	int64		epoch;
	int			contract_version;	/* of the stream, as it was loaded */

	/* Parts */
	FsSource   *source;
	FsArena		arena;
	FsSharedRoot *root;
	FsHandle	root_handle;
	uint32		sweep_cursor[FS_MAX_KEPT];
	uint32		sweep_left[FS_MAX_KEPT];	/* codes still to be looked at */
	int64		swept_slice;	/* values last used before it are freed */
	struct FsContract *contract;
	struct FsWanted *wanted;	/* schemas, by a worker; NULL: the stream has no registry */
	struct FsDeadLetterTopic *dead_letter_topic;	/* NULL: the stream has none */

	/* Event time */
	int			npartitions;
	FsPartition *partitions;
	int			start_partitions;	/* of so many the option 'start' says where they begin; 0: of all, nothing was ever committed */
	char		cluster[FS_SOURCE_CLUSTER_SIZE];	/* source->cluster, as the next checkpoint writes it */
	FsTime		watermark;		/* shard's; FS_TIME_MIN none yet */
	FsTime		live_end;		/* as readers see it: see FsSharedRoot */
	int			held_back_by;	/* partition id; -1 none */
	FsTime		frontier;		/* last boundary fired; FS_TIME_MIN: none yet */
	FsTime		closing;		/* windows up to here are fired, or being fired by the open checkpoint: nothing more counts in them */
	FsTime		durable_frontier;
	FsFireCursor fire;
	FsDurableCursor durable_fire;
	List	   *firings;		/* FsFiring *, of the open checkpoint; in checkpoint_context */

	/* Log */
	FsPending	pending;
	int64		checkpoint;		/* number of the last committed one */
	TimestampTz checkpoint_due; /* real clock */
	uint64		checkpoint_requested;
	bool		urgent;			/* start positions, or that a partition has stopped, wait to be committed */

	/* Batch in hand: records polled but not all folded (memory was out) */
	FsRecord   *records;
	FsEvent    *events;
	FsTime		slice_start;	/* of the slice that an event was last in; FS_TIME_MIN none */
	int64		slice_index;
	FsFoldKey  *ahead;			/* ring: FS_FOLD_RING events, each with a key for every view; see fs_fold_key() */
	int			maxevents;
	int			nevents;
	int			next_event;
	uint32		folded;			/* views that have had events[next_event] */
	bool		admitted;		/* events[next_event] was admitted */
	FsPartition *batch_partition;	/* NULL: they are dead letters that come back */

	/* Dead letters: limit and budget */
	FsDeadLetterLimit limit;
	int64		dead_letters_since; /* monotonic clock: the minute's beginning */
	int64		dead_letters_stored;	/* since then */
	int64		dead_letters_bytes;

	/* Dead letters that come back */
	uint64		replay_requested;	/* the slot's counter, as last looked at */
	bool		replay_wanted;	/* there may be requests */
	int			replays;		/* taken, and their outcome is not committed yet */
	int64		replay_not_before;	/* monotonic clock: memory was out */
	int64		replay_since;	/* monotonic clock: when there was news of requests */
	FsReplayKey replay_behind[2];	/* without and with corrections: requests up to here were taken, or wait for a schema */
	bool		replay_parked;	/* some do */
	uint64		replay_answers; /* fs_parking_answers() before these were looked at */

	/* Trouble */
	bool		exhausted;
	bool		start_over;		/* memory lacks what the log has, or is of older definitions: recover it */
	int64		memory_needed;
	char		error[FS_ERROR_SIZE];
	FsTime		error_time;

	/* Statistics */
	FsRate		event_rate;
	FsTime		checkpoint_time;
	int64		checkpoint_duration;
	int64		checkpoint_bytes;
	int64		checkpoint_count;
	int64		checkpoint_pause;	/* microseconds; see FsSharedStats */
	int64		longest_pause;
	TimestampTz last_ingest;	/* end of the last turn that had work; 0 none */
	FsStreamState state;
	FsTime		state_since;

	/* Memory */
	MemoryContext context;
	MemoryContext cycle;
	MemoryContext batch;
} FsShard;

/*
 * The key of events[index] for a view, from fs_fold_prepare() until the event is
 * folded; those of an event for all views follow one another.
 */
static inline FsFoldKey *
fs_fold_key(const FsShard *shard, int index, int view)
{
	return &shard->ahead[((unsigned) index % FS_FOLD_RING) * (unsigned) shard->nviews + (unsigned) view];
}

/* Index of the slice that holds 'time': mostly that of the time before, and then no division. */
static inline int64
fs_shard_slice(FsShard *shard, FsTime time)
{
	if ((uint64) time - (uint64) shard->slice_start >= (uint64) shard->def->slice)
	{
		shard->slice_index = fs_slice_index(time, shard->def->slice);
		shard->slice_start = fs_slice_start(shard->slice_index, shard->def->slice);
	}
	return shard->slice_index;
}

/* Event time has come as far as 'time': tells readers. */
static inline void
fs_shard_move_live_end(FsShard *shard, FsTime time)
{
	if (time <= shard->live_end)
		return;
	shard->live_end = time;
	pg_atomic_write_u64(&shard->root->live_end, (uint64) time);
}

/* Has the step that began at 'begin' (fs_clock_monotonic()) taken its time? */
static inline bool
fs_step_is_over(int64 begin)
{
	return fs_clock_monotonic() - begin >= FS_STEP_USEC;
}

/* Has one that comes back got into some views only, for want of memory?  Then no window may be closed. */
static inline bool
fs_shard_is_replaying(const FsShard *shard)
{
	return shard->nevents > 0 && shard->batch_partition == NULL;
}

/*
 * shard.c; a stateless shard is definitions and contract alone, for who judges
 * single events: it decodes and admits, nothing else.  It is made in a child of
 * the current memory context, in the caller's transaction and with the rights
 * of a worker (catalog/extension.h).  Throws when a definition is broken.
 */
extern FsShard *fs_shard_create(FsSharedStream *slot);
extern FsShard *fs_shard_create_stateless(Oid stream);

/* The same without feature views, which needs no rights. */
extern FsShard *fs_shard_create_contract(Oid stream);

/* partitions.c */
extern void fs_partitions_update(FsShard *shard);
extern int	fs_partitions_choose(FsShard *shard, int *order);
extern void fs_partitions_advance(FsShard *shard, FsTime now);
/* Window ends of the view from here on are fully covered by what was read; FS_TIME_MIN: all are, FS_TIME_MAX: none yet. */
extern FsTime fs_partitions_complete_from(const FsShard *shard, const FsView *view);
extern FsPartition *fs_partitions_find(FsShard *shard, int32 id);
extern FsPartition *fs_partitions_add(FsShard *shard, int32 id);

/* contract.c */
extern struct FsContract *fs_contract_create(FsShard *shard);
extern void fs_contract_decode(FsShard *shard, FsEvent *events, int n);
extern bool fs_contract_can_raise(const FsShard *shard);	/* decoding evaluates expressions */
extern struct FsWriterSchemas *fs_contract_schemas(FsShard *shard);	/* NULL: the stream has no registry */

/* inputs.c */
extern List *fs_inputs_prepare(FsView *view);
extern void fs_inputs_evaluate(FsView *view, FsEvent *event, uint32 bit, ExprContext *econtext,
							   MemoryContext context);

/* admit.c */
extern void fs_admit(FsShard *shard, FsPartition *partition, FsEvent *event);
extern void fs_admit_book(FsShard *shard, FsPartition *partition, FsEvent *event);
extern void fs_admit_replayed(FsShard *shard, FsEvent *event);

/* fold.c */
extern void fs_layout_build(FsRingLayout *layout, const FsViewDef *view, const FsStreamDef *stream);
extern uint32 fs_layout_signature(const FsViewDef *view, const FsStreamDef *stream);
extern bool fs_fold_view(FsShard *shard, FsView *view, const FsEventMeta *meta, int64 slice,
						 const FsValue *values, const FsFoldKey *key);
extern bool fs_fold(FsShard *shard, int index, uint32 *folded);
extern FsHandle fs_fold_record(FsShard *shard, FsView *view, const char *key, int key_len, FsTime record,
							   FsTime counts_from, const FsCell *cells);

/* partial_record.c: the stored partial aggregates of a sliced view, in the current context */
extern struct FsPartialLog *fs_partial_log_create(const FsView *view);

/* fold_ahead.c; fs_fold_key_make() fills *key from an event's values */
extern void fs_fold_ahead_init(FsShard *shard);
extern void fs_fold_key_make(const FsView *view, const FsValue *values, FsFoldKey *key);
extern void fs_fold_prepare(FsShard *shard, int next);

/* ingest.c: see there; true when anything was done */
extern bool fs_ingest(FsShard *shard);
extern bool fs_ingest_replayed(FsShard *shard);
extern void fs_ingest_announce_exhaustion(FsShard *shard);

/* pending.c */
extern void fs_pending_add(FsShard *shard, const FsEvent *event, int64 slice);
extern void fs_pending_init(FsShard *shard, FsPending *pending);
extern void fs_pending_clear(FsPending *pending);
extern int64 fs_pending_bytes(const FsPending *pending);

/* fire.c */
extern bool fs_fire_is_due(const FsShard *shard);
extern FsTime fs_fire_next(const FsShard *shard);
extern void fs_fire_restamp(FsShard *shard);
extern bool fs_fire_step(FsShard *shard, FsTime upto, int64 *rows_left);
extern bool fs_fire_keeps_history(const FsView *view, FsTime window_end);	/* firing writes a history row of it */
extern bool fs_row_stamp_durable(const FsShard *shard, const FsView *view, uint32 row, uint32 hash);

/* collect.c: finds fire.due[] of fire's (boundary, view); a step is true when that is complete */
extern void fs_collect_begin(FsShard *shard);
extern bool fs_collect_step(FsShard *shard);

/* prune.c */
extern void fs_prune_step(FsShard *shard);

/* checkpoint.c */
extern bool fs_checkpoint_is_due(FsShard *shard);
extern void fs_checkpoint(FsShard *shard, bool (*interleave) (FsShard *shard));

/* checkpoint_state.c: positions, counters, cursor; the epoch fences off any other worker */
extern void fs_checkpoint_write_state(FsShard *shard, struct FsCheckpoint *checkpoint);

/* recover.c */
extern void fs_recover_state(FsShard *shard);
extern bool fs_recover_log(FsShard *shard);
/*
 * Entities have come into memory whose last window ends are those of events that
 * are not: stamps them, outside of a transaction and while nothing is half fired.
 */
extern void fs_recover_stamps(FsShard *shard);

/* gap.c */
extern void fs_gaps_load(FsShard *shard);
extern FsTime fs_gap_computed_at(const FsView *view, FsTime window_end);

/* Goes over the log of such event times, within a transaction, for entities of a view that have left: fs_left_make().  False: memory is out. */
extern bool fs_recover_left(FsShard *shard, FsView *view, FsTime from, FsTime until);

/*
 * left.c: a connection has begun; when nothing is queued, one step of looking for
 * empty rows that the store may lack, outside of a transaction, true when it has done anything.
 */
extern void fs_left_connected(FsView *view);
extern bool fs_left_step(FsShard *shard, FsView *view);
extern FsHandle fs_left_make(FsShard *shard, FsView *view, const FsFoldKey *key);	/* the entity, queued; 0: memory is out */
extern int64 fs_left_row_life(const FsViewDef *def);	/* how long an empty row is to live in the online store */

/* publish.c */
extern void fs_publish_open(FsShard *shard);
extern void fs_publish_enqueue(FsView *view, FsHandle handle);
extern bool fs_publish_step(FsShard *shard);
extern void fs_publish_close(FsShard *shard);

/* report.c */
extern void fs_report(FsShard *shard);
extern void fs_report_turn(FsShard *shard);
extern void fs_shard_set_state(FsShard *shard, FsStreamState state);
extern void fs_shard_set_error(FsShard *shard, const char *message);

#endif							/* FS_PIPELINE_SHARD_H */
