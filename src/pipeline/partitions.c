/*
 * partitions.c
 *		The partitions of a shard: where they stand, which one is next, how far
 *		event time has come.
 *
 * Partitions are read in step: the one furthest behind in event time first,
 * none more than max_drift ahead, by choosing which queue to read.  So catching
 * up makes neither late events nor a full memory.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "ground/clock.h"
#include "pipeline/shard.h"

FsPartition *
fs_partitions_find(FsShard *shard, int32 id)
{
	for (int i = 0; i < shard->npartitions; i++)
		if (shard->partitions[i].id == id)
			return &shard->partitions[i];
	return NULL;
}

/* Adds a partition without position; pointers to others become invalid. */
FsPartition *
fs_partitions_add(FsShard *shard, int32 id)
{
	FsPartition *partition;

	Assert(fs_partitions_find(shard, id) == NULL);
	if (shard->npartitions == FS_MAX_PARTITIONS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("stream %s has more than %d partitions", shard->def->name, FS_MAX_PARTITIONS)));
	if (shard->partitions == NULL)
		shard->partitions = MemoryContextAllocZero(shard->context,
												   sizeof(FsPartition) * FS_MAX_PARTITIONS);
	partition = &shard->partitions[shard->npartitions++];
	partition->id = id;
	partition->source_index = -1;
	partition->clock.watermark = FS_TIME_MIN;
	partition->clock.last_event_time = FS_TIME_MIN;
	partition->clock.last_arrival = FS_TIME_MIN;
	partition->at_end_since = FS_TIME_MIN;
	partition->covered_from = FS_TIME_MIN;
	return partition;
}

/* Takes over a start position that the source has resolved; it is committed before it is used. */
static void
take_start(FsShard *shard, FsPartition *partition, const FsSourcePartition *known)
{
	Assert(!partition->started && known->state == FS_PARTITION_RESOLVED);
	partition->started = true;
	partition->new_start = true;
	partition->start = known->start;
	partition->position = known->start;
	partition->covers_all = known->covers_all;

	/* What is not read has come by now, and is no further ahead than counts. */
	if (known->starts_live && !known->covers_all)
		partition->covered_from = fs_clock_now() + shard->def->max_future;
	shard->pending.dirty = true;
	shard->urgent = true;
}

/*
 * Follows what makes reading stop.  The first reason stays, across restarts,
 * until resume_stream().  That of a partition without position is not durable: its
 * start is looked for anew, by an option that may have been corrected.
 */
static void
follow_stop(FsShard *shard, FsPartition *partition, const FsSourcePartition *known)
{
	if (known->state != FS_PARTITION_STOPPED || partition->stopped[0] != '\0')
		return;
	strlcpy(partition->stopped, known->error, sizeof(partition->stopped));
	if (partition->started)
		shard->pending.dirty = shard->urgent = true;
}

/* Follows in which cluster the source has seen the topic first. */
static void
follow_cluster(FsShard *shard)
{
	if (strcmp(shard->cluster, shard->source->cluster) == 0)
		return;
	strlcpy(shard->cluster, shard->source->cluster, sizeof(shard->cluster));
	shard->pending.dirty = true;
}

/* Is it the option 'start' that says where the partition begins?  Those found later are read whole. */
static bool
begins_by_option(const FsShard *shard, const FsPartition *partition)
{
	return shard->start_partitions == 0 || partition->id < shard->start_partitions;
}

/* Are records of the partition in hand, which wait for memory? */
static bool
is_in_hand(const FsShard *shard, const FsPartition *partition)
{
	return shard->nevents > 0 && shard->batch_partition == partition;
}

/*
 * Follows what the source knows: new partitions get a start, resolved and
 * committed ones are assigned.
 */
void
fs_partitions_update(FsShard *shard)
{
	FsSource   *source = shard->source;

	follow_cluster(shard);
	for (int i = 0; i < source->npartitions; i++)
	{
		FsSourcePartition *known = &source->partitions[i];
		FsPartition *partition = fs_partitions_find(shard, known->id);

		if (partition == NULL)
			partition = fs_partitions_add(shard, known->id);
		partition->source_index = i;
		follow_stop(shard, partition, known);
		if (!partition->started)
		{
			if (known->state == FS_PARTITION_FOUND)
				source->ops->resolve_start(source, i, !begins_by_option(shard, partition));
			else if (known->state == FS_PARTITION_RESOLVED)
				take_start(shard, partition, known);
		}
		else if (known->read_to > partition->position.offset && !is_in_hand(shard, partition))
		{
			/* Behind the last record came transaction markers: never to be asked for again. */
			partition->position.offset = known->read_to;
			shard->pending.dirty = true;
		}
		else if (!partition->assigned && !partition->new_start && partition->stopped[0] == '\0' &&
				 (known->state == FS_PARTITION_FOUND || known->state == FS_PARTITION_RESOLVED))
		{
			source->ops->assign(source, i, partition->position);
			partition->assigned = true;
		}
	}
}

static const FsSourcePartition *
known_of(const FsShard *shard, const FsPartition *partition)
{
	Assert(partition->source_index < shard->source->npartitions);
	return partition->source_index < 0 ? NULL :
		&shard->source->partitions[partition->source_index];
}

static bool
is_stopped(const FsShard *shard, const FsPartition *partition)
{
	const FsSourcePartition *known = known_of(shard, partition);

	return partition->stopped[0] != '\0' ||
		(known != NULL && known->state == FS_PARTITION_STOPPED);
}

/* The least watermark that the others must not run away from; FS_TIME_MAX when there is none. */
static FsTime
slowest_watermark(const FsShard *shard)
{
	FsTime		slowest = FS_TIME_MAX;

	for (int i = 0; i < shard->npartitions; i++)
	{
		const FsPartition *p = &shard->partitions[i];

		/* An empty partition, or one that cannot be read now, is nobody's measure. */
		if (p->clock.idle || p->parked || is_stopped(shard, p) ||
			(p->clock.watermark == FS_TIME_MIN && p->at_end_since != FS_TIME_MIN))
			continue;
		slowest = Min(slowest, p->clock.watermark);
	}
	return slowest;
}

/*
 * Puts the indexes of the partitions that may be read now into order[], the
 * furthest behind first; returns their number.
 */
int
fs_partitions_choose(FsShard *shard, int *order)
{
	FsTime		slowest = slowest_watermark(shard);
	int			n = 0;

	for (int i = 0; i < shard->npartitions; i++)
	{
		const FsPartition *p = &shard->partitions[i];
		const FsSourcePartition *known = known_of(shard, p);
		int			at = n;

		if (known == NULL || known->state != FS_PARTITION_READING || p->parked)
			continue;
		if (p->clock.watermark != FS_TIME_MIN && slowest != FS_TIME_MAX &&
			(slowest == FS_TIME_MIN || p->clock.watermark - shard->def->max_drift > slowest))
			continue;
		while (at > 0 && shard->partitions[order[at - 1]].clock.watermark > p->clock.watermark)
		{
			order[at] = order[at - 1];
			at--;
		}
		order[at] = i;
		n++;
	}
	return n;
}

/* Follows whether a partition is at its end, and idle. */
static void
update_idleness(FsShard *shard, FsPartition *partition, FsTime now)
{
	const FsSourcePartition *known = known_of(shard, partition);
	bool		at_end = known != NULL && known->state == FS_PARTITION_READING &&
		known->at_end && shard->source->connected && !is_in_hand(shard, partition);
	FsTime		since;

	/* A clock that was set back begins anew, else nothing were idle until it is there again. */
	if (!at_end)
		partition->at_end_since = FS_TIME_MIN;
	else if (partition->at_end_since == FS_TIME_MIN || partition->at_end_since > now)
		partition->at_end_since = now;
	since = partition->at_end_since;
	if (since != FS_TIME_MIN && partition->clock.last_arrival > since)
		since = partition->clock.last_arrival;
	partition->clock.idle = fs_watermark_is_idle(&partition->clock, at_end, since, now,
												 shard->def->idle_after);
}

/*
 * Is the partition left out of the shard's watermark?  Never while records of its
 * are in hand: the first of them was judged by the partition's own watermark.
 */
static bool
is_left_out(const FsShard *shard, const FsPartition *partition)
{
	return !is_in_hand(shard, partition) &&
		(partition->clock.idle || (shard->def->exclude_stopped && is_stopped(shard, partition)));
}

/* Any event ever?  Dead letters that came back have not moved a watermark. */
static bool
has_seen_events(const FsShard *shard)
{
	for (int i = 0; i < shard->npartitions; i++)
		if (shard->partitions[i].clock.watermark != FS_TIME_MIN || shard->partitions[i].accepted_count > 0)
			return true;
	return false;
}

/* See shard.h. */
FsTime
fs_partitions_complete_from(const FsShard *shard, const FsView *view)
{
	FsTime		covered = view->log_from;

	if (view->has_backread)
		covered = Max(covered, view->covered_from);
	for (int i = 0; i < shard->npartitions && !view->has_backread; i++)
	{
		const FsPartition *p = &shard->partitions[i];

		if (p->started && !p->covers_all)
			covered = Max(covered, p->covered_from == FS_TIME_MIN ? FS_TIME_MAX : p->covered_from);
	}
	return fs_view_complete_from(view->def, covered);
}

/*
 * Moves the shard's watermark as far as its partitions allow; it never falls.
 * Not while dead letters that come back are in hand: they are late by what is closed.
 */
void
fs_partitions_advance(FsShard *shard, FsTime now)
{
	FsTime		least = FS_TIME_MAX;
	int			holder = -1;

	if (shard->npartitions == 0 || fs_shard_is_replaying(shard))
		return;
	for (int i = 0; i < shard->npartitions; i++)
	{
		FsPartition *partition = &shard->partitions[i];

		update_idleness(shard, partition, now);
		if (!is_left_out(shard, partition) && partition->clock.watermark < least)
		{
			least = partition->clock.watermark;
			holder = partition->id;
		}
	}
	shard->held_back_by = holder;
	if (least == FS_TIME_MAX)
	{
		/* All are idle: time goes on by the clock, so that windows empty. */
		if (!has_seen_events(shard))
			return;
		least = now - shard->def->watermark_delay - shard->def->idle_after;
	}
	if (least > shard->watermark)
		shard->watermark = least;
	fs_shard_move_live_end(shard, shard->watermark);
	Assert(shard->live_end >= shard->watermark);
}
