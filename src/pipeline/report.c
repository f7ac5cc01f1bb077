/*
 * report.c
 *		What the shard knows, told to stat_* views through shared memory.
 *
 * Written by the ingest worker alone under the change counter; readers copy
 * and retry, so nobody ever waits for anybody.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "core/slice.h"
#include "ground/clock.h"
#include "pipeline/dead_letter_topic.h"
#include "pipeline/parking.h"
#include "pipeline/row_state.h"
#include "pipeline/shard.h"

#define REPORT_INTERVAL 200		/* ms */

void
fs_shard_set_error(FsShard *shard, const char *message)
{
	strlcpy(shard->error, message, sizeof(shard->error));
	shard->error_time = fs_clock_now();
}

void
fs_shard_set_state(FsShard *shard, FsStreamState state)
{
	if (shard->state == state && shard->state_since != 0)
		return;
	shard->state = state;
	shard->state_since = fs_clock_now();
	fs_report(shard);
}

/*
 * A partition as stat_partition shows it: our own position, and what the source
 * knows of it, which may be nothing yet.
 */
static void
report_partition(const FsShard *shard, const FsPartition *p, FsSharedPartition *out)
{
	const FsSourcePartition *known = p->source_index < 0 || shard->source == NULL ? NULL :
		&shard->source->partitions[p->source_index];

	out->partition = p->id;
	out->idle = p->clock.idle;
	out->at_end = known != NULL && known->at_end;
	out->state = known == NULL ? FS_PARTITION_FOUND : known->state;
	out->pending_offset = p->started ? p->position.offset : -1;
	out->durable_offset = p->started ? p->durable_offset : -1;
	out->begin_offset = known == NULL ? -1 : known->begin_offset;
	out->end_offset = known == NULL ? -1 : known->end_offset;
	out->watermark = p->clock.watermark;
	out->last_event_time = p->clock.last_event_time;
	out->last_arrival = p->clock.last_arrival;
	out->read_count = p->read_count;
	out->accepted_count = p->accepted_count;
	out->partially_late_count = p->partially_late_count;
	out->dead_letter_count = p->dead_letter_count;
	strlcpy(out->error, p->stopped[0] != '\0' || known == NULL ? p->stopped : known->error, sizeof(out->error));
	if (p->stopped[0] != '\0')
		out->state = FS_PARTITION_STOPPED;
	if (p->parked && out->state == FS_PARTITION_READING)
	{
		out->state = FS_PARTITION_PARKED;
		fs_parking_explain(shard, p, out->error);
	}
}

/* Seconds of event time between two samples of a rate, and for which it is smoothed. */
#define RATE_SAMPLE 10
#define RATE_MEMORY 300

/*
 * Takes a sample, unless the last one is too near.  Event time is that of the
 * watermark: a stream that catches up has the rate it had then.
 */
static void
sample_rate(FsRate *rate, FsTime time, int64 count, int64 slide)
{
	double		span = rate->started ? (double) (time - rate->time) / USECS_PER_SEC : 0;
	double		weight;

	if (time != FS_TIME_MIN && rate->started && span >= Max(RATE_SAMPLE, (double) slide / USECS_PER_SEC))
	{
		weight = rate->known ? Min(span / RATE_MEMORY, 1) : 1;
		rate->per_second += weight * ((count - rate->count) / span - rate->per_second);
		rate->known = true;
	}
	else if (time == FS_TIME_MIN || rate->started)
		return;
	rate->started = true;
	rate->time = time;
	rate->count = count;
}

static double
rate_of(const FsRate *rate)
{
	return rate->known ? rate->per_second : -1;
}

/* Events accepted from all partitions. */
static int64
count_accepted(const FsShard *shard)
{
	int64		count = 0;

	for (int i = 0; i < shard->npartitions; i++)
		count += shard->partitions[i].accepted_count;
	return count;
}

/* Samples all rates. */
static void
sample_rates(FsShard *shard)
{
	sample_rate(&shard->event_rate, shard->watermark, count_accepted(shard), 0);
	for (int v = 0; v < shard->nviews; v++)
	{
		FsView	   *view = &shard->views[v];

		sample_rate(&view->event_rate, shard->watermark, view->counts.counted, 0);
		sample_rate(&view->row_rate, shard->watermark, view->counts.rows, view->def->slide);
	}
}

/* A view as stat_feature_view and stat_online show it. */
static void
report_view(FsShard *shard, FsView *view, FsSharedView *out)
{
	out->relid = view->def->relid;
	out->complete_from = fs_partitions_complete_from(shard, view);
	out->frontier = shard->durable_frontier == FS_TIME_MIN ? FS_TIME_MIN :
		fs_time_floor(shard->durable_frontier, view->def->slide);
	if (view->paused)
		out->frontier = Min(out->frontier, view->paused_after);
	out->entities = view->shared == NULL ? 0 : view->shared->entities.count;
	out->memory_bytes = shard->arena.used;
	out->counted_count = view->counts.counted;
	out->filtered_count = view->counts.filtered;
	out->late_count = view->counts.late;
	out->expression_error_count = view->counts.expression_errors;
	out->feature_error_count = view->feature_errors;
	strlcpy(out->feature_error, view->row == NULL ? "" : view->row->error, sizeof(out->feature_error));
	out->row_count = view->counts.rows;
	out->events_per_second = rate_of(&view->event_rate);
	out->rows_per_second = rate_of(&view->row_rate);
	out->online_queued = view->queue_count;
	out->online_written_count = view->online_written;
	out->online_deleted_count = view->online_deleted;
	out->online_error_count = view->online_errors;
	out->online_time = view->online_time;
	out->online_connected = view->online != NULL && view->online->connected;
	strlcpy(out->online_error, view->online == NULL ? "" : view->online->error, sizeof(out->online_error));
}

/* Publishes everything; cheap enough for a few times a second. */
void
fs_report(FsShard *shard)
{
	FsSharedStats *stats = &shard->slot->stats;

	Assert(shard->npartitions <= FS_MAX_PARTITIONS && shard->nviews <= FS_MAX_VIEWS);
	fs_stats_begin_change(shard->slot);
	stats->state = shard->state;
	stats->state_since = shard->state_since;
	stats->watermark = shard->watermark;
	stats->held_back_by = shard->held_back_by;
	stats->frontier = shard->frontier;
	stats->durable_frontier = shard->durable_frontier;
	stats->memory_used = shard->arena.used;
	stats->memory_needed = shard->memory_needed;
	stats->pending_events = shard->pending.events;
	stats->events_per_second = rate_of(&shard->event_rate);
	stats->checkpoint_time = shard->checkpoint_time;
	stats->checkpoint_duration = shard->checkpoint_duration;
	stats->checkpoint_bytes = shard->checkpoint_bytes;
	stats->checkpoint_pause = shard->checkpoint_pause;
	stats->longest_pause = shard->longest_pause;
	stats->checkpoint_count = shard->checkpoint_count;
	stats->error_time = shard->error_time;
	strlcpy(stats->error, shard->error, sizeof(stats->error));
	strlcpy(stats->alert, shard->limit.alert, sizeof(stats->alert));
	stats->npartitions = shard->npartitions;
	stats->nviews = shard->nviews;
	for (int i = 0; i < shard->npartitions; i++)
		report_partition(shard, &shard->partitions[i], &stats->partitions[i]);
	for (int v = 0; v < shard->nviews; v++)
		report_view(shard, &shard->views[v], &stats->views[v]);
	fs_stats_end_change(shard->slot);
}

/* Makes a peer's or a part's trouble the stream's last error, unless it is that already; "" is none. */
static void
note_trouble(FsShard *shard, const char *trouble)
{
	if (trouble[0] != '\0' && strcmp(shard->error, trouble) != 0)
		fs_shard_set_error(shard, trouble);
}

/* State, trouble and statistics, a few times a second. */
void
fs_report_turn(FsShard *shard)
{
	static TimestampTz next = 0;
	TimestampTz now = GetCurrentTimestamp();
	const FsSource *source = shard->source;
	FsStreamState state = FS_STREAM_RUNNING;

	if (now < next)
		return;
	next = TimestampTzPlusMilliseconds(now, REPORT_INTERVAL);
	sample_rates(shard);
	if (shard->exhausted)
		state = FS_STREAM_MEMORY_EXHAUSTED;
	else if (!source->connected)
		state = FS_STREAM_DISCONNECTED;
	note_trouble(shard, source->error);
	note_trouble(shard, fs_parking_trouble(shard));
	note_trouble(shard, fs_dead_letter_topic_trouble(shard));
	for (int i = 0; i < shard->npartitions && !shard->exhausted; i++)
		note_trouble(shard, shard->partitions[i].stopped);	/* or it hid why memory is full, and what to do */
	if (shard->state != state)
		fs_shard_set_state(shard, state);
	else
		fs_report(shard);
}
