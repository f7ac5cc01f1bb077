/*
 * admit.c
 *		Which events count, judged by the data alone.
 *
 * An event counts in every window that ends after the watermark its own
 * partition had reached just before it, or after the last window end that is
 * closed where an idle partition woke up behind it (then the partition's
 * watermark is raised to that, and the checkpoint records that it was).
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "core/slice.h"
#include "pipeline/correction.h"
#include "pipeline/dead_letters.h"
#include "pipeline/shard.h"

static const char *
time_text(FsTime t)
{
	return timestamptz_to_str(t);
}

/*
 * An idle partition that wakes up behind the windows that are closed (or being
 * closed: rows at work must not change) goes on from there; written down for
 * good.
 */
static void
wake_up(FsShard *shard, FsPartition *partition, const FsEvent *event)
{
	MemoryContext old = MemoryContextSwitchTo(shard->pending.context);
	FsWakeup   *wakeup = palloc(sizeof(FsWakeup));

	Assert(shard->closing > partition->clock.watermark);	/* it never falls */
	wakeup->partition = partition->id;
	wakeup->offset = event->meta.offset;
	wakeup->watermark = shard->closing;
	shard->pending.wakeups = lappend(shard->pending.wakeups, wakeup);
	partition->clock.watermark = shard->closing;
	MemoryContextSwitchTo(old);
}

/* Has a view fired windows with event time 't' (then *missed), and others not (*counts), when 'bound' is what was reached? */
static void
judge_view(const FsViewDef *view, FsTime t, FsTime bound, bool *missed, bool *counts)
{
	if (fs_time_next(t, view->slide) <= bound)
		*missed = true;
	if (fs_time_next(bound, view->slide) <= t + fs_view_max_window(view))
		*counts = true;
}

/*
 * Sets meta.late_bound.  Returns false when no window of any view counts the
 * event (or, with late_events 'strict', when any was missed).
 */
static bool
judge_lateness(const FsShard *shard, FsEvent *event, FsTime bound)
{
	FsTime		t = event->meta.event_time;
	bool		missed = false;
	bool		counts = false;
	ListCell   *lc;

	event->meta.late_bound = FS_TIME_MIN;
	if (bound == FS_TIME_MIN || t >= bound)
		return true;
	for (int v = 0; v < shard->nviews; v++)
		judge_view(shard->views[v].def, t, bound, &missed, &counts);
	foreach(lc, shard->set_aside)
		judge_view(lfirst(lc), t, bound, &missed, &counts);
	if (missed)
		event->meta.late_bound = bound;
	return !missed || (counts && !shard->def->late_strict);
}

/* The name of event time in the payload. */
static const char *
event_time_field(const FsShard *shard)
{
	return shard->def->columns[shard->def->event_time].field;
}

/* Event time's own limits: true when it may be counted at all. */
static bool
check_event_time(FsShard *shard, FsEvent *event)
{
	FsTime		t = event->meta.event_time;

	if (t < FS_UNIX_EPOCH)
	{
		event->reason = FS_REASON_BAD_VALUE;
		event->message = psprintf("field \"%s\" has event time %s, before 1970",
								  event_time_field(shard), time_text(t));
		return false;
	}
	if (t - shard->def->max_future > event->meta.arrival)
	{
		event->reason = FS_REASON_FUTURE;
		event->message = psprintf("field \"%s\" has event time %s, more than max_future after its arrival",
								  event_time_field(shard), time_text(t));
		return false;
	}
	return true;
}

/*
 * A key longer than an entity may have; true when all are fine.  One with an
 * expression in it is contract.c's matter, for that view alone.
 */
static bool
check_keys(FsShard *shard, FsEvent *event)
{
	for (int v = 0; v < shard->nviews; v++)
	{
		const FsView *view = &shard->views[v];
		char		key[FS_ENTITY_MAX_KEY];

		if (view->has_key_expressions || fs_key_of_values(view, event->values, key) >= 0)
			continue;
		event->reason = FS_REASON_BAD_VALUE;
		event->message = psprintf("field \"%s\" makes the key of feature view \"%s\" longer than %d bytes",
								  fs_view_entity(view->def, 0)->field, view->def->name, FS_ENTITY_MAX_KEY);
		return false;
	}
	return true;
}

/* 'format' takes the event's time and the bound that it missed. */
static void pg_attribute_printf(2, 0)
refuse_late(FsEvent *event, const char *format, FsTime bound)
{
	char	   *t = pstrdup(time_text(event->meta.event_time));

	event->reason = FS_REASON_LATE;
	event->message = psprintf(format, t, time_text(bound));
}

/* Watermark, idleness and coverage after an accepted event. */
static void
note_accepted(FsShard *shard, FsPartition *partition, const FsEvent *event)
{
	Assert(event->meta.late_bound == FS_TIME_MIN || event->meta.late_bound > event->meta.event_time);
	if (partition->covered_from == FS_TIME_MIN && !partition->covers_all)
		partition->covered_from = fs_event_covered_from(event, shard->def->watermark_delay);
	fs_watermark_observe(&partition->clock, event->meta.event_time, event->meta.arrival,
						 shard->def->watermark_delay);
	fs_shard_move_live_end(shard, event->meta.event_time);
	partition->accepted_count++;
	if (event->meta.late_bound != FS_TIME_MIN)
		partition->partially_late_count++;
}

/* Is nothing to be said about the event: in time, with a key in each view, and its partition awake? */
static inline bool
is_plain(const FsShard *shard, const FsPartition *partition, const FsEvent *event)
{
	FsTime		t = event->meta.event_time;
	FsTime		watermark = partition->clock.watermark;

	return t >= FS_UNIX_EPOCH && t - shard->def->max_future <= event->meta.arrival &&
		!event->lacks_key && shard->closing <= watermark && t >= watermark;
}

/* fs_admit for all but plain events. */
static pg_noinline void
judge(FsShard *shard, FsPartition *partition, FsEvent *event)
{
	MemoryContext old = MemoryContextSwitchTo(shard->batch);

	if (check_event_time(shard, event) && (!event->lacks_key || check_keys(shard, event)))
	{
		if (shard->closing > partition->clock.watermark)
			wake_up(shard, partition, event);
		if (!judge_lateness(shard, event, partition->clock.watermark))
			refuse_late(event, "event time %s is too far behind the watermark %s of its partition",
						partition->clock.watermark);
	}
	MemoryContextSwitchTo(old);
}

/*
 * Decides on one decoded and prepared event of 'partition', whose meta.arrival, offset and
 * xid are set.  On return event->reason says whether it is accepted, and with
 * which late_bound.  Nothing is counted yet: folding an accepted event may have
 * to wait for memory, and a checkpoint may come in between.
 */
void
fs_admit(FsShard *shard, FsPartition *partition, FsEvent *event)
{
	const FsValue *value = &event->values[shard->def->event_time];

	if (event->reason != FS_REASON_NONE)
		return;
	Assert(event->meta.partition == partition->id);
	Assert(value->presence == FS_PRESENT);
	event->meta.event_time = value->i;
	event->meta.late_bound = FS_TIME_MIN;
	if (!is_plain(shard, partition, event))
		judge(shard, partition, event);
}

/*
 * The same for a dead letter that comes back.  It counts in every window that is
 * not closed yet, or with corrections in every one; neither its partition's
 * watermark nor its idleness has a say.
 */
void
fs_admit_replayed(FsShard *shard, FsEvent *event)
{
	MemoryContext old;

	if (event->reason != FS_REASON_NONE)
		return;
	event->meta.event_time = event->values[shard->def->event_time].i;
	event->meta.late_bound = FS_TIME_MIN;
	old = MemoryContextSwitchTo(shard->batch);
	if (check_event_time(shard, event) && (!event->lacks_key || check_keys(shard, event)))
	{
		if (event->replay->corrections)
			(void) fs_correction_judge(shard, event);
		else if (!judge_lateness(shard, event, shard->closing))
			refuse_late(event, "event time %s is too late: windows that end up to %s have fired", shard->closing);
	}
	MemoryContextSwitchTo(old);
}

/* The dead letter of a refused event, or of an expression's error. */
static pg_noinline void
book_trouble(FsShard *shard, FsPartition *partition, FsEvent *event)
{
	if (event->reason == FS_REASON_NONE)
		fs_dead_letter_add_error(shard, partition, event);
	else
	{
		partition->dead_letter_count++;
		shard->limit.refused++;
		fs_dead_letter_add(shard, partition, event);
	}
}

/*
 * Books the event that was judged last, once it is folded or refused: counters,
 * the partition's watermark, and the dead letter of a refused one.
 */
void
fs_admit_book(FsShard *shard, FsPartition *partition, FsEvent *event)
{
	partition->read_count++;
	if (event->reason != FS_REASON_NONE || event->error_mask != 0)
		book_trouble(shard, partition, event);
	if (event->reason == FS_REASON_NONE)
		note_accepted(shard, partition, event);
	Assert(partition->read_count == partition->accepted_count + partition->dead_letter_count);
}
