/*
 * event.h
 *		A record on its way through an ingest worker, and where it comes from.
 */
#ifndef FS_PIPELINE_EVENT_H
#define FS_PIPELINE_EVENT_H

#include "postgres.h"

#include "core/segment.h"
#include "core/watermark.h"
#include "core/wire_header.h"
#include "source/source.h"
#include "state/store.h"

struct FsReplay;				/* dead_letter_replay.h */

/* A partition of the shard. */
typedef struct FsPartition
{
	int			source_index;	/* in source->partitions */
	int32		id;
	bool		started;		/* has a position (durable or just resolved) */
	bool		new_start;		/* position resolved, not committed yet: not read before that */
	bool		assigned;
	char		stopped[FS_SOURCE_ERROR_SIZE];	/* why it is not to be read until resume_stream(); "": it is not stopped */
	bool		parked;			/* waits for the schema of the record at 'position'; see parking.c */
	FsWireHeader parked_for;
	FsPosition	position;		/* next to read */
	FsPosition	start;
	FsPartitionClock clock;
	FsTime		at_end_since;	/* FS_TIME_MIN: not at the end */
	FsTime		covered_from;	/* event time from which on nothing is missing; FS_TIME_MIN until known, which covers nothing */
	bool		covers_all;		/* reading began at the very first record */
	int64		durable_offset;
	int64		read_count;
	int64		accepted_count;
	int64		partially_late_count;
	int64		dead_letter_count;
} FsPartition;

/* One record on its way. */
typedef struct FsEvent
{
	FsEventMeta meta;
	const FsRecord *record;
	const struct FsReplay *replay;	/* a dead letter that comes back; NULL: the source's */
	FsValue    *values;			/* one per stream column, then those of the views' expressions */
	FsReason	reason;
	const char *message;		/* of the dead letter */
	bool		lacks_key;		/* for some view, as preparing found, or it may: admission looks */
	uint32		where_mask;		/* bit i: passed WHERE of view i */
	uint32		error_mask;		/* bit i: an expression of view i raised an error */
	char	   *error;			/* the latest one's message, in the batch's memory */
	bool		corrects;		/* windows that have fired count it, too: see correction.h */
} FsEvent;

/*
 * Event time from which on nothing is missing where 'event' is the first that
 * was read: what came before it is older than the watermark allows for.  The
 * event itself may be a straggler, so that holds from its record's time at the
 * earliest.
 */
static inline FsTime
fs_event_covered_from(const FsEvent *event, int64 watermark_delay)
{
	return Max(event->meta.event_time + watermark_delay, Min(event->record->record_time, event->meta.arrival));
}

/* What folding an event into a view looks up, and where. */
typedef struct FsFoldKey
{
	int			len;			/* of the key; -1: the event has none that fits, and is not for the view */
	int			nplaces;		/* 0 when there is no key */
	FsTablePlace places[1 + FS_MAX_KEPT];	/* the entity's, then each kept value's; bucket NULL: in no dictionary */
	char		bytes[FS_ENTITY_MAX_KEY];
} FsFoldKey;

#endif							/* FS_PIPELINE_EVENT_H */
