/*
 * statistics.c
 *		What the workers publish about streams, as set-returning functions.
 *
 * Each function gives a row for what the slots of this database's streams hold;
 * the stat_* views join them with definitions and durable tables, so that a
 * stream without a worker is seen too.  Statistics are copied without making a
 * worker wait.  What a worker had in memory ends with it: such values are NULL
 * when there is no worker.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "ground/clock.h"
#include "source/source.h"
#include "state/shared.h"

PG_FUNCTION_INFO_V1(fs_stat_get_stream);
PG_FUNCTION_INFO_V1(fs_stat_get_partition);
PG_FUNCTION_INFO_V1(fs_stat_get_feature_view);
PG_FUNCTION_INFO_V1(fs_stat_get_online);
PG_FUNCTION_INFO_V1(fs_stat_get_progress_recovery);

#define MAX_STAT_COLUMNS 24

/* One stream's statistics, copied. */
typedef struct StreamStats
{
	Oid			relid;
	pid_t		pid;			/* 0: no worker */
	FsSharedStats *stats;
	FsStreamState state;
	char		last_error[FS_ERROR_SIZE];
	FsTime		last_error_time;
} StreamStats;

/* A row under construction, filled from left to right. */
typedef struct StatRow
{
	int			n;
	Datum		values[MAX_STAT_COLUMNS];
	bool		nulls[MAX_STAT_COLUMNS];
} StatRow;

typedef void (*EmitFunction) (ReturnSetInfo *result, const StreamStats *stream);

static void
put(StatRow *row, Datum value, bool isnull)
{
	Assert(row->n < MAX_STAT_COLUMNS);
	row->values[row->n] = value;
	row->nulls[row->n++] = isnull;
}

static void
put_count(StatRow *row, int64 count)
{
	put(row, Int64GetDatum(count), false);
}

/* A time of the event time line; FS_TIME_MIN is "none yet". */
static void
put_time(StatRow *row, FsTime time)
{
	put(row, Int64GetDatum(time), time == FS_TIME_MIN);
}

/* A time of the wall clock; also 0 is "never". */
static void
put_clock(StatRow *row, FsTime time)
{
	put(row, Int64GetDatum(time), time == FS_TIME_MIN || time == 0);
}

/* A message out of shared memory: cut at whole characters, NULL when empty. */
static void
put_message(StatRow *row, const char *message)
{
	int			len = strnlen(message, FS_ERROR_SIZE - 1);

	len = pg_mbcliplen(message, len, len);
	put(row, PointerGetDatum(cstring_to_text_with_len(message, len)), len == 0);
}

static void
emit_row(ReturnSetInfo *result, StatRow *row)
{
	Assert(row->n == result->setDesc->natts);
	tuplestore_putvalues(result->setResult, result->setDesc, row->values, row->nulls);
}

/* Oids of this database's streams that have a slot; palloc'd. */
static Oid *
list_slots(int *n)
{
	Oid		   *relids = palloc(sizeof(Oid) * fs_shared->max_streams);

	*n = 0;
	LWLockAcquire(fs_shared->lock, LW_SHARED);
	for (int i = 0; i < fs_shared->max_streams; i++)
		if (fs_shared->streams[i].database == MyDatabaseId)
			relids[(*n)++] = fs_shared->streams[i].relid;
	LWLockRelease(fs_shared->lock);
	return relids;
}

/* A stream without a worker is paused, failed, or just stopped. */
static FsStreamState
effective_state(const StreamStats *stream)
{
	FsStreamState state = stream->stats->state;

	if (stream->pid == 0 && state != FS_STREAM_PAUSED && state != FS_STREAM_FAILED)
		return FS_STREAM_STOPPED;
	return state;
}

/* The body of all functions here: 'emit' gives the rows of one stream. */
static Datum
emit_streams(FunctionCallInfo fcinfo, EmitFunction emit)
{
	Oid		   *relids;
	int			n;

	fs_require_preload();
	InitMaterializedSRF(fcinfo, 0);
	relids = list_slots(&n);
	for (int i = 0; i < n; i++)
	{
		StreamStats stream = {.relid = relids[i]};

		CHECK_FOR_INTERRUPTS();
		stream.stats = fs_stats_copy(MyDatabaseId, stream.relid, &stream.pid,
									 stream.last_error, &stream.last_error_time);
		if (stream.stats == NULL)
			continue;			/* dropped meanwhile */
		stream.state = effective_state(&stream);
		emit((ReturnSetInfo *) fcinfo->resultinfo, &stream);
		pfree(stream.stats);
	}
	return (Datum) 0;
}

/* The newer of the two: what troubles the worker, or why the last one ended. */
static void
put_last_error(StatRow *row, const StreamStats *stream)
{
	bool		worker_ended = stream->last_error[0] != '\0' &&
	(stream->stats->error[0] == '\0' || stream->last_error_time > stream->stats->error_time);
	const char *message = worker_ended ? stream->last_error : stream->stats->error;

	put_message(row, message);
	put_clock(row, message[0] == '\0' ? 0 :
			  worker_ended ? stream->last_error_time : stream->stats->error_time);
}

/*
 * A row of stat_stream.  What only a worker knows is NULL without one; counts
 * of checkpoints stay.
 */
static void
emit_stream(ReturnSetInfo *result, const StreamStats *stream)
{
	const FsSharedStats *stats = stream->stats;
	bool		no_worker = stream->pid == 0;
	StatRow		row = {0};
	double		lag = stats->watermark == FS_TIME_MIN ? 0 :
	(double) (fs_clock_now() - stats->watermark) / FS_USEC_PER_SEC;

	put(&row, ObjectIdGetDatum(stream->relid), false);
	put(&row, CStringGetTextDatum(fs_stream_state_name(stream->state)), false);
	put(&row, Int32GetDatum(stream->pid), no_worker);
	put(&row, Int64GetDatum(stats->watermark), no_worker || stats->watermark == FS_TIME_MIN);
	put(&row, Int32GetDatum(stats->held_back_by), no_worker || stats->held_back_by < 0);
	put(&row, Int64GetDatum(stats->frontier), no_worker || stats->frontier == FS_TIME_MIN);
	put(&row, Int64GetDatum(stats->durable_frontier),
		no_worker || stats->durable_frontier == FS_TIME_MIN);
	put(&row, Float8GetDatum(lag), no_worker || stats->watermark == FS_TIME_MIN);
	put(&row, Int64GetDatum(stats->pending_events), no_worker);
	put(&row, Int64GetDatum(stats->memory_used), no_worker);
	put(&row, Int64GetDatum(stats->memory_needed), no_worker || stats->memory_needed == 0);
	put_count(&row, stats->checkpoint_count);
	put_clock(&row, stats->checkpoint_time);
	put(&row, Float8GetDatum(stats->checkpoint_duration / 1000.0), stats->checkpoint_count == 0);
	put(&row, Int64GetDatum(stats->checkpoint_bytes), stats->checkpoint_count == 0);
	put(&row, Float8GetDatum(stats->checkpoint_pause / 1000.0), stats->checkpoint_count == 0);
	put(&row, Float8GetDatum(stats->longest_pause / 1000.0), no_worker);
	put_last_error(&row, stream);
	put_message(&row, stats->alert);
	emit_row(result, &row);
}

Datum
fs_stat_get_stream(PG_FUNCTION_ARGS)
{
	return emit_streams(fcinfo, emit_stream);
}

/* The state as stat_partition shows it. */
static const char *
partition_state_name(FsPartitionState state)
{
	switch (state)
	{
		case FS_PARTITION_FOUND:
			return "found";
		case FS_PARTITION_RESOLVING:
			return "resolving";
		case FS_PARTITION_RESOLVED:
			return "resolved";
		case FS_PARTITION_READING:
			return "reading";
		case FS_PARTITION_STOPPED:
			return "stopped";
		case FS_PARTITION_PARKED:
			return "parked";
	}
	elog(ERROR, "unexpected partition state %d", (int) state);
}

/*
 * Events between what was read and the peer's end.  Offsets can have gaps that
 * hold no events, so a partition read to the end has none.
 */
static void
put_lag(StatRow *row, const FsSharedPartition *partition)
{
	int64		lag = Max(partition->end_offset - partition->pending_offset, 0);

	put(row, Int64GetDatum(partition->at_end ? 0 : lag),
		!partition->at_end && (partition->end_offset < 0 || partition->pending_offset < 0));
}

/* A row of stat_partition. */
static void
emit_partition(ReturnSetInfo *result, Oid stream, const FsSharedPartition *partition)
{
	StatRow		row = {0};

	put(&row, ObjectIdGetDatum(stream), false);
	put(&row, Int32GetDatum(partition->partition), false);
	put(&row, CStringGetTextDatum(partition_state_name(partition->state)), false);
	put(&row, BoolGetDatum(partition->idle), false);
	put(&row, Int64GetDatum(partition->pending_offset), partition->pending_offset < 0);
	put(&row, Int64GetDatum(partition->begin_offset), partition->begin_offset < 0);
	put(&row, Int64GetDatum(partition->end_offset), partition->end_offset < 0);
	put_lag(&row, partition);
	put_time(&row, partition->watermark);
	put_time(&row, partition->last_event_time);
	put_clock(&row, partition->last_arrival);
	put_count(&row, partition->read_count);
	put_count(&row, partition->accepted_count);
	put_count(&row, partition->partially_late_count);
	put_count(&row, partition->dead_letter_count);
	put_message(&row, partition->error);
	emit_row(result, &row);
}

static void
emit_partitions(ReturnSetInfo *result, const StreamStats *stream)
{
	for (int i = 0; stream->pid != 0 && i < stream->stats->npartitions; i++)
		emit_partition(result, stream->relid, &stream->stats->partitions[i]);
}

Datum
fs_stat_get_partition(PG_FUNCTION_ARGS)
{
	return emit_streams(fcinfo, emit_partitions);
}

/* Rows of stat_feature_view, of a stream's views. */
static void
emit_feature_views(ReturnSetInfo *result, const StreamStats *stream)
{
	for (int i = 0; stream->pid != 0 && i < stream->stats->nviews; i++)
	{
		const FsSharedView *view = &stream->stats->views[i];
		StatRow		row = {0};

		put(&row, ObjectIdGetDatum(view->relid), false);
		put_count(&row, view->entities);
		put_count(&row, view->memory_bytes);
		put_time(&row, view->frontier);
		put_time(&row, view->complete_from);
		put_count(&row, view->counted_count);
		put_count(&row, view->filtered_count);
		put_count(&row, view->late_count);
		put_count(&row, view->expression_error_count);
		put_count(&row, view->feature_error_count);
		put_message(&row, view->feature_error);
		put_count(&row, view->row_count);
		emit_row(result, &row);
	}
}

Datum
fs_stat_get_feature_view(PG_FUNCTION_ARGS)
{
	return emit_streams(fcinfo, emit_feature_views);
}

/* Rows of stat_online, of a stream's views. */
static void
emit_online(ReturnSetInfo *result, const StreamStats *stream)
{
	for (int i = 0; stream->pid != 0 && i < stream->stats->nviews; i++)
	{
		const FsSharedView *view = &stream->stats->views[i];
		StatRow		row = {0};

		put(&row, ObjectIdGetDatum(view->relid), false);
		put(&row, BoolGetDatum(view->online_connected), false);
		put_count(&row, view->online_queued);
		put_count(&row, view->online_written_count);
		put_count(&row, view->online_deleted_count);
		put_count(&row, view->online_error_count);
		put_clock(&row, view->online_time);
		put_message(&row, view->online_error);
		emit_row(result, &row);
	}
}

Datum
fs_stat_get_online(PG_FUNCTION_ARGS)
{
	return emit_streams(fcinfo, emit_online);
}

/* What a recovering worker is doing. */
static const char *
recovery_phase(const FsSharedStats *stats)
{
	if (stats->recovery_bytes_total == 0)
		return "initializing";
	return stats->recovery_bytes_done < stats->recovery_bytes_total ?
		"reading event log" : "finishing";
}

/* A row of stat_progress_recovery, while there is a recovery. */
static void
emit_recovery(ReturnSetInfo *result, const StreamStats *stream)
{
	StatRow		row = {0};

	if (stream->pid == 0 || stream->state != FS_STREAM_RECOVERING)
		return;
	put(&row, ObjectIdGetDatum(stream->relid), false);
	put(&row, CStringGetTextDatum(recovery_phase(stream->stats)), false);
	put_count(&row, stream->stats->recovery_bytes_done);
	put_count(&row, stream->stats->recovery_bytes_total);
	put_count(&row, stream->stats->recovery_events);
	emit_row(result, &row);
}

Datum
fs_stat_get_progress_recovery(PG_FUNCTION_ARGS)
{
	return emit_streams(fcinfo, emit_recovery);
}
