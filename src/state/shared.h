/*
 * shared.h
 *		What the processes tell each other in the main shared memory segment.
 *
 * One FsShared for the cluster: the launcher's table of databases, the table
 * of streams (one shard each so far) with their published statistics, and the
 * arena.  Everything here is a cache or a mailbox: the truth is in tables, and
 * a crash restart wipes it.
 *
 * Who may write what:
 *	- 'lock' protects the tables of databases and streams: which slots are used,
 *	  by whom, and the launcher's back-off fields; the places of topic readers;
 *	  and peers that are away.  Held for microseconds.
 *	- FsSharedStream.stats is written by the stream's ingest worker alone, under
 *	  its change counter (odd while changing); readers copy and retry.  A reader
 *	  never makes the worker wait.
 *	- 'generation' counters are atomics anyone may bump.
 */
#ifndef FS_STATE_SHARED_H
#define FS_STATE_SHARED_H

#include "postgres.h"

#include "port/atomics.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

#include "core/value.h"
#include "ground/settings.h"

#define FS_MAX_DATABASES 64
#define FS_MAX_PARTITIONS 1024		/* of one stream */
#define FS_MAX_VIEWS 32				/* of one stream */
#define FS_ERROR_SIZE 256
#define FS_MAX_AWAY 32				/* peers that are away at a time */

/*
 * State of a stream, as stat_stream shows it.  Any state can follow any other;
 * only the ingest worker moves it while it lives, only the launcher else.
 */
typedef enum FsStreamState
{
	FS_STREAM_STOPPED = 0,		/* no worker runs (not started yet, or between restarts: see last_error) */
	FS_STREAM_PAUSED,			/* by pause_stream */
	FS_STREAM_NO_VIEWS,			/* waits for its first feature view */
	FS_STREAM_STARTING,
	FS_STREAM_RECOVERING,		/* rebuilds the arena from the event log */
	FS_STREAM_RUNNING,
	FS_STREAM_DISCONNECTED,		/* the peer does not answer; the worker retries */
	FS_STREAM_MEMORY_EXHAUSTED, /* feature_stream.memory is too small; see memory_needed */
	FS_STREAM_FAILED			/* a broken definition: stopped until it changes */
} FsStreamState;

extern const char *fs_stream_state_name(FsStreamState state);

typedef struct FsSharedPartition
{
	int32		partition;
	bool		idle;
	bool		at_end;
	int32		state;			/* FsPartitionState */
	int64		pending_offset; /* next offset, in memory */
	int64		durable_offset; /* next offset, committed */
	int64		begin_offset;
	int64		end_offset;		/* the broker's; -1 not known */
	FsTime		watermark;
	FsTime		last_event_time;
	FsTime		last_arrival;
	int64		read_count;
	int64		accepted_count;
	int64		partially_late_count;
	int64		dead_letter_count;
	char		error[FS_ERROR_SIZE];
} FsSharedPartition;

typedef struct FsSharedView
{
	Oid			relid;
	FsTime		complete_from;
	FsTime		frontier;		/* last window end fired and durable */
	int64		entities;
	int64		memory_bytes;
	int64		counted_count;	/* events that passed WHERE and were counted */
	int64		filtered_count;
	int64		late_count;		/* accepted by the stream, but too late for this view */
	int64		expression_error_count;	/* events for which an expression raised an error */
	int64		feature_error_count;	/* features of rows that are NULL because computing them raised one */
	char		feature_error[FS_ERROR_SIZE];	/* the latest of these */
	int64		row_count;		/* rows fired */
	double		events_per_second;	/* counted, of event time, of late; below 0: not known yet */
	double		rows_per_second;	/* the same */
	/* online */
	int64		online_queued;	/* keys waiting to be written */
	int64		online_written_count;
	int64		online_deleted_count;
	int64		online_error_count;
	bool		online_connected;
	FsTime		online_time;	/* last acknowledged write */
	char		online_error[FS_ERROR_SIZE];
} FsSharedView;

typedef struct FsSharedStats
{
	FsStreamState state;
	FsTime		state_since;
	FsTime		watermark;		/* FS_TIME_MIN: none yet */
	int32		held_back_by;	/* partition that holds the watermark; -1 none */
	FsTime		frontier;		/* pending */
	FsTime		durable_frontier;
	int64		memory_used;
	int64		memory_needed;	/* MEMORY_EXHAUSTED: size of feature_stream.memory that would do, bytes */
	int64		pending_events;
	double		events_per_second;	/* accepted, of event time, of late; below 0: not known yet */
	FsTime		checkpoint_time;
	int64		checkpoint_duration;	/* microseconds */
	int64		checkpoint_bytes;
	int64		checkpoint_pause;	/* longest time without ingestion in the last one; microseconds */
	int64		longest_pause;	/* the same, in the worker's life */
	int64		checkpoint_count;
	FsTime		error_time;
	char		error[FS_ERROR_SIZE];	/* last trouble with the peer or a partition */
	char		alert[FS_ERROR_SIZE];	/* dead letters are beyond their limit; "" none */
	/* recovery progress */
	int64		recovery_bytes_done;
	int64		recovery_bytes_total;
	int64		recovery_events;
	int			npartitions;
	int			nviews;
	FsSharedView views[FS_MAX_VIEWS];
	FsSharedPartition partitions[FS_MAX_PARTITIONS];
} FsSharedStats;

typedef struct FsSharedStream
{
	/* protected by FsShared.lock */
	Oid			database;		/* InvalidOid: slot is free */
	Oid			relid;
	pid_t		pid;			/* of the ingest worker; 0 none */
	Latch	   *latch;			/* of the ingest worker */
	bool		wanted;			/* the database's export worker says it should run */
	bool		stop;			/* the worker is to finish now (set by DROP DATABASE and the like) */
	bool		starting;		/* registered, not yet attached */
	FsTime		last_start;
	int			failures;		/* consecutive */
	FsTime		not_before;		/* back-off */
	char		last_error[FS_ERROR_SIZE];	/* why the last worker ended */
	FsTime		last_error_time;
	Oid			stuck_view;		/* the next worker is to set it aside: pipeline/stuck.c; InvalidOid: none */

	/* arena handle of the FsSharedRoot (state/store.h); 0: no state to read now */
	pg_atomic_uint32 root;

	/* bumped by DDL at commit; the worker reloads definitions when it moves */
	pg_atomic_uint64 generation;

	/* counters for feature_stream.checkpoint_stream() */
	pg_atomic_uint64 checkpoint_requested;
	pg_atomic_uint64 checkpoint_done;

	/* bumped at the commit of a replay_dead_letters() */
	pg_atomic_uint64 replay_requested;

	/* statistics; see header comment */
	pg_atomic_uint32 stats_changecount;
	FsSharedStats stats;
} FsSharedStream;

/* The workers that a database has one of. */
typedef enum FsDatabaseWorker
{
	FS_EXPORT_WORKER,
	FS_BACKFILL_WORKER,
	FS_LAKE_WORKER,
	FS_DATABASE_WORKERS			/* how many there are */
} FsDatabaseWorker;

/* The place of such a worker. */
typedef struct FsSharedWorker
{
	pid_t		pid;			/* 0 none */
	Latch	   *latch;
	bool		starting;		/* registered; until it ends, or says that others may start */
	FsTime		last_start;
	int			failures;		/* consecutive */
	FsTime		not_before;		/* back-off */
	bool		wanted;			/* there is something to do; of an export worker always */
} FsSharedWorker;

typedef struct FsSharedDatabase
{
	Oid			database;		/* InvalidOid: free */
	bool		no_extension;	/* looked, not there; cleared by a poke */
	int			blockers;		/* backends that run DROP DATABASE or the like; no worker starts meanwhile */
	FsSharedWorker workers[FS_DATABASE_WORKERS];
} FsSharedDatabase;

/* The place of a topic reader; see worker/topic_place.h. */
typedef struct FsSharedPlace
{
	uint64		ticket;			/* 0: free */
	bool		has_begun;		/* its worker gives it back */
} FsSharedPlace;

/* A peer that is away; see state/away.h. */
typedef struct FsSharedAway
{
	uint64		peer;			/* hash of its name; 0: free */
	int64		next_at;		/* fs_clock_monotonic(), when one process may try it again */
} FsSharedAway;

typedef struct FsShared
{
	LWLock	   *lock;
	pid_t		launcher_pid;
	Latch	   *launcher_latch;
	pg_atomic_uint64 test_clock;	/* FsTime to use as now, 0: the real clock; test only */
	int			max_streams;	/* feature_stream.max_workers */
	uint64		topic_tickets;	/* given to topic readers so far */
	FsSharedPlace topic_readers[FS_MAX_TOPIC_READERS];
	FsSharedAway away[FS_MAX_AWAY];
	FsSharedDatabase databases[FS_MAX_DATABASES];
	FsSharedStream streams[FLEXIBLE_ARRAY_MEMBER];
} FsShared;

/* NULL unless the library was preloaded. */
extern FsShared *fs_shared;

/* Throws 55000 with a hint unless the library was preloaded. */
extern void fs_require_preload(void);

extern Size fs_shared_size(void);
extern void fs_shared_init(void);	/* shmem_startup_hook's work */

/* Finds or, when 'create', makes the slot of a stream.  NULL when there is none free.  Caller must hold 'lock'. */
extern FsSharedStream *fs_shared_stream(Oid database, Oid relid, bool create);
extern FsSharedDatabase *fs_shared_database(Oid database, bool create);

/* Does a worker of the database itself run, or is one to start?  Caller must hold 'lock'. */
extern bool fs_shared_has_worker(const FsSharedDatabase *database);

/* Give back a slot that has no worker, and what the arena holds for it.  Caller must hold 'lock' exclusively. */
extern void fs_shared_free_stream(FsSharedStream *stream);
extern void fs_shared_free_database(FsSharedDatabase *database);

/* Index of a stream's slot; it owns the arena's blocks under this number. */
extern int	fs_shared_slot(const FsSharedStream *stream);

/* Brackets around changes of stream->stats by its worker. */
extern void fs_stats_begin_change(FsSharedStream *stream);
extern void fs_stats_end_change(FsSharedStream *stream);

/*
 * Copies the statistics of a stream into palloc'd memory; NULL when the stream
 * has no slot.  Never blocks the worker; takes 'lock' shared for a moment.
 */
extern FsSharedStats *fs_stats_copy(Oid database, Oid relid, pid_t *pid, char *last_error, FsTime *last_error_time);

#endif							/* FS_STATE_SHARED_H */
