/*
 * pending.c
 *		What the next checkpoint will write: the log of the events folded since
 *		the last one, by slice, and dead letters.
 *
 * The ingest worker's own memory.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "core/slice.h"
#include "pipeline/shard.h"

/* Writing a segment keeps ingestion waiting: from these many bytes on the slice gets another. */
#define SEGMENT_BYTES (512 * 1024)

/* The pending segment of a slice that takes events, made when there is none. */
static FsPendingSlice *
pending_segment(FsShard *shard, int64 slice)
{
	FsPending  *pending = &shard->pending;
	FsSegmentColumn *columns;
	int			at = pending->nslices;

	/* Mostly it is that of the event before: if it has room, and is its slice's last. */
	if (pending->last < at && pending->slices[pending->last].slice == slice &&
		(pending->last + 1 == at || pending->slices[pending->last + 1].slice != slice) &&
		fs_segment_size(pending->slices[pending->last].writer) < SEGMENT_BYTES)
		return &pending->slices[pending->last];
	while (at > 0 && pending->slices[at - 1].slice > slice)
		at--;
	if (at > 0 && pending->slices[at - 1].slice == slice &&
		fs_segment_size(pending->slices[at - 1].writer) < SEGMENT_BYTES)
	{
		pending->last = at - 1;
		return &pending->slices[at - 1];
	}
	if (pending->nslices == pending->maxslices)
	{
		pending->maxslices *= 2;
		pending->slices = repalloc(pending->slices, sizeof(FsPendingSlice) * pending->maxslices);
	}
	memmove(&pending->slices[at + 1], &pending->slices[at],
			sizeof(FsPendingSlice) * (pending->nslices - at));
	pending->nslices++;
	columns = palloc(sizeof(FsSegmentColumn) * shard->def->ncolumns);
	for (int i = 0; i < shard->def->ncolumns; i++)
	{
		columns[i].number = shard->def->columns[i].attnum;
		columns[i].type = shard->def->columns[i].type;
	}
	pending->last = at;
	pending->slices[at].slice = slice;
	pending->slices[at].late_bound = FS_TIME_MIN;
	pending->slices[at].writer = fs_segment_writer_create(fs_slice_start(slice, shard->def->slice),
														  columns, shard->def->ncolumns);
	pfree(columns);
	if (pending->slices[at].writer == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Could not make a segment of the event log.")));
	return &pending->slices[at];
}

/* Adds an event to the log that the next checkpoint writes. */
void
fs_pending_add(FsShard *shard, const FsEvent *event, int64 slice)
{
	FsPendingSlice *segment = pending_segment(shard, slice);

	segment->late_bound = Max(segment->late_bound, event->meta.late_bound);
	if (fs_segment_append(segment->writer, &event->meta, event->values) != FS_SEGMENT_OK)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"),
				 errdetail("Could not add an event to a segment of the event log.")));
	shard->pending.events++;
}

/* Begins a pending set. */
void
fs_pending_init(FsShard *shard, FsPending *pending)
{
	MemoryContext old = MemoryContextSwitchTo(shard->context);

	memset(pending, 0, sizeof(FsPending));
	pending->context = AllocSetContextCreate(shard->context, "feature_stream pending",
											 ALLOCSET_DEFAULT_SIZES);
	pending->maxslices = 64;
	pending->slices = palloc(sizeof(FsPendingSlice) * pending->maxslices);
	MemoryContextSwitchTo(old);
}

/* Frees a pending set, written or given up. */
void
fs_pending_clear(FsPending *pending)
{
	for (int i = 0; i < pending->nslices; i++)
		fs_segment_writer_free(pending->slices[i].writer);
	pfree(pending->slices);
	MemoryContextDelete(pending->context);
	memset(pending, 0, sizeof(FsPending));
}

/* Bytes of memory that the pending set holds, about. */
int64
fs_pending_bytes(const FsPending *pending)
{
	int64		bytes = pending->dead_bytes;

	for (int i = 0; i < pending->nslices; i++)
		bytes += fs_segment_memory(pending->slices[i].writer);
	return bytes;
}
