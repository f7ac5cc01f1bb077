/*
 * corrected.c
 *		Corrections that recovery meets in the log; see corrected.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "pipeline/corrected.h"
#include "state/query.h"

/* A row of feature_stream.correction, found by what comes first. */
typedef struct CorrectedEvent
{
	int64		offset;
	int32		partition;
	int32		view;			/* index */
	FsCorrected corrected;
	FsHandle	entity;			/* 0: not met */
} CorrectedEvent;

struct FsCorrectedEvents
{
	HTAB	   *table;			/* of CorrectedEvents */
};

StaticAssertDecl(offsetof(CorrectedEvent, corrected) == sizeof(int64) + 2 * sizeof(int32), "a key has no holes");

/* Notes one row of the query in fs_corrected_load(). */
static void
note_row(const FsShard *shard, FsCorrectedEvents *events, uint64 row)
{
	CorrectedEvent key = {.offset = fs_query_int64(row, 3, 0), .partition = fs_query_int32(row, 2)};
	CorrectedEvent *event;

	while (key.view < shard->nviews && shard->views[key.view].def->relid != fs_query_oid(row, 1))
		key.view++;
	if (key.view == shard->nviews)
		return;					/* it was dropped meanwhile */
	event = hash_search(events->table, &key, HASH_ENTER, NULL);
	event->corrected.event_time = fs_query_time(row, 4);
	event->corrected.upto = fs_query_time(row, 5);
	event->corrected.known_at = fs_query_time(row, 6);
	event->entity = 0;
}

/* See corrected.h. */
FsCorrectedEvents *
fs_corrected_load(FsShard *shard)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(shard->def->relid)};
	HASHCTL		info = {.keysize = offsetof(CorrectedEvent, corrected), .entrysize = sizeof(CorrectedEvent),
	.hcxt = shard->batch};
	FsCorrectedEvents *events = NULL;

	SPI_connect();
	fs_query_read("SELECT view, partition, \"offset\", event_time, upto, known_at FROM feature_stream.correction "
				  "WHERE stream OPERATOR(pg_catalog.=) $1", 1, types, values);
	if (SPI_processed > 0)
	{
		events = MemoryContextAlloc(shard->batch, sizeof(FsCorrectedEvents));
		events->table = hash_create("feature_stream corrected events", (long) SPI_processed, &info,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	for (uint64 i = 0; i < SPI_processed; i++)
		note_row(shard, events, i);
	SPI_finish();
	return events;
}

/* See corrected.h. */
const FsCorrected *
fs_corrected_meet(FsCorrectedEvents *events, int v, const FsEventMeta *meta, FsHandle entity)
{
	CorrectedEvent key = {.offset = meta->offset, .partition = meta->partition, .view = v};
	CorrectedEvent *event;

	Assert(entity != 0);
	event = events == NULL ? NULL : hash_search(events->table, &key, HASH_FIND, NULL);
	if (event == NULL || event->corrected.event_time != meta->event_time)
		return NULL;			/* not of a topic of that name that was there before */
	event->entity = entity;
	return &event->corrected;
}

/* In order of known_at. */
static int
compare_events(const void *a, const void *b)
{
	FsTime		x = (*(CorrectedEvent *const *) a)->corrected.known_at;
	FsTime		y = (*(CorrectedEvent *const *) b)->corrected.known_at;

	return (x > y) - (x < y);
}

/* See corrected.h. */
void
fs_corrected_stamp(FsShard *shard, FsCorrectedEvents *events)
{
	CorrectedEvent **met;
	HASH_SEQ_STATUS scan;
	CorrectedEvent *event;
	int			n = 0;

	if (events == NULL)
		return;
	met = MemoryContextAllocHuge(shard->batch, sizeof(CorrectedEvent *) * hash_get_num_entries(events->table));
	hash_seq_init(&scan, events->table);
	while ((event = hash_seq_search(&scan)) != NULL)
		if (event->entity != 0)
			met[n++] = event;
	qsort(met, n, sizeof(CorrectedEvent *), compare_events);
	for (int i = 0; i < n; i++)
		fs_correction_stamp(shard, met[i]->view, fs_arena_ptr(met[i]->entity), &met[i]->corrected);
}
