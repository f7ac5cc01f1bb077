/*
 * backread_write.c
 *		A reading's durable part: loading it, and writing a step; see backread.h.
 *
 * A step's segments and offsets are one transaction, so that a crash neither
 * loses nor doubles an event.  It begins with the row of the view, as
 * drop_feature_view does with these tables, and counts steps: of two workers one
 * would find that it is not the next one.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "catalog/start.h"
#include "core/slice.h"
#include "ground/fault.h"
#include "ground/transaction.h"
#include "pipeline/backread_state.h"
#include "state/event_log.h"
#include "state/query.h"
#include "state/shared.h"

/* A position in columns from 'column' on: offset, xid (0 in topics). */
static FsPosition
position_of(uint64 row, int column)
{
	FsPosition	position = {.offset = fs_query_int64(row, column, -1),
	.xid = (uint64) fs_query_int64(row, column + 1, 0)};

	return position;
}

/* Sets a partition from a row of load_partitions(). */
static void
set_partition(FsBackreadPartition *partition, uint64 row)
{
	partition->id = fs_query_int32(row, 1);
	partition->covers_known = !fs_query_is_null(row, 2);
	partition->covers_all = fs_query_bool(row, 2);
	partition->covered_from = fs_query_time(row, 3);
	partition->total_count = fs_query_int64(row, 4, 0);
	partition->done_count = fs_query_int64(row, 5, 0);
	partition->begun = partition->durable = !fs_query_is_null(row, 6);
	partition->start = position_of(row, 6);
	partition->next = partition->durable_next = position_of(row, 8);
	partition->stream_start = position_of(row, 10);
	partition->end = position_of(row, 12);
	partition->seen = FS_TIME_MIN;
	partition->index = -1;
}

/* Loads the partitions, which upkeep has entered. */
static void
load_partitions(FsBackread *backread)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(backread->view)};

	fs_query_run("SELECT partition, covers_all, covered_from, total_count, done_count,"
				 " start_offset, start_xid::text::int8, next_offset, next_xid::text::int8,"
				 " stream_start, stream_start_xid::text::int8, end_offset, end_xid::text::int8"
				 " FROM feature_stream.backread_position WHERE view = $1 ORDER BY partition",
				 SPI_OK_SELECT, 1, types, values, NULL);
	backread->npartitions = (int) SPI_processed;
	backread->partitions = MemoryContextAllocZero(backread->context,
												  sizeof(FsBackreadPartition) * Max(backread->npartitions, 1));
	for (int i = 0; i < backread->npartitions; i++)
		set_partition(&backread->partitions[i], i);
}

/* Which definition of the stream is the newest one. */
static uint64
read_generation(Oid stream)
{
	FsSharedStream *slot;
	uint64		generation;

	LWLockAcquire(fs_shared->lock, LW_SHARED);
	slot = fs_shared_stream(MyDatabaseId, stream, false);
	generation = slot == NULL ? 0 : pg_atomic_read_u64(&slot->generation);
	LWLockRelease(fs_shared->lock);
	return generation;
}

/* Makes the shard that decodes: the stream's contract, and of its views the one. */
static void
load_shard(FsBackread *backread, const char *start)
{
	MemoryContext old = MemoryContextSwitchTo(backread->context);
	Oid			stream = fs_view_load(backread->view)->stream;
	FsShard    *shard;

	backread->generation = read_generation(stream);
	shard = fs_shard_create_stateless(stream);
	while (shard->nviews > 1 && shard->views->def->relid != backread->view)
	{
		shard->views++;
		shard->nviews--;
	}
	Assert(shard->views->def->relid == backread->view);
	shard->nviews = 1;
	fs_start_parse_argument(shard->def, "backfill_from", start);
	fs_pending_init(shard, &shard->pending);
	backread->shard = shard;
	MemoryContextSwitchTo(old);
}

/* See backread_state.h. */
FsBackread *
fs_backread_load(Oid view)
{
	FsBackread *backread = palloc0(sizeof(FsBackread));
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(view)};
	char	   *start;

	backread->context = CurrentMemoryContext;
	backread->view = view;
	SPI_connect();
	fs_query_read("SELECT step, cut, start FROM feature_stream.backread WHERE view = $1 AND state = 'reading'",
				  1, types, values);
	if (SPI_processed == 0)
	{
		SPI_finish();
		return NULL;
	}
	backread->step = fs_query_int64(0, 1, -1);
	backread->cut = fs_query_time(0, 2);
	start = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3);
	load_shard(backread, start);
	load_partitions(backread);
	SPI_finish();
	return backread;
}

/* Moves the view's row on by one step, and locks it; false when it is gone, or somebody else's. */
static bool
write_progress(FsBackread *backread, bool all)
{
	Oid			types[7] = {OIDOID, INT8OID, INT8OID, INT8OID, INT8OID, TEXTOID, BOOLOID};
	Datum		values[7];
	char		nulls[7];

	memset(nulls, ' ', sizeof(nulls));
	values[0] = ObjectIdGetDatum(backread->view);
	values[1] = Int64GetDatum(backread->step);
	values[2] = Int64GetDatum(backread->read_count);
	values[3] = Int64GetDatum(backread->refused_count);
	values[4] = Int64GetDatum(backread->lost_count);
	nulls[5] = backread->example == NULL ? 'n' : ' ';
	values[5] = backread->example == NULL ? (Datum) 0 : CStringGetTextDatum(backread->example);
	values[6] = BoolGetDatum(all);
	fs_query_run("UPDATE feature_stream.backread SET step = step + 1, read_count = read_count + $3,"
				 " refused_count = refused_count + $4, lost_count = lost_count + $5,"
				 " refused_example = COALESCE(refused_example, $6), error = NULL,"
				 " state = CASE WHEN $7 THEN 'read' ELSE state END"
				 " WHERE view = $1 AND state = 'reading' AND step = $2",
				 SPI_OK_UPDATE, 7, types, values, nulls);
	return SPI_processed == 1;
}

/* Writes one segment: part 'part' of its slice in this step. */
static void
write_segment(const FsBackread *backread, const FsPendingSlice *slice, int part)
{
	Oid			types[6] = {OIDOID, TIMESTAMPTZOID, INT8OID, INT4OID, INT4OID, BYTEAOID};
	Datum		values[6];
	FsTime		start = fs_slice_start(slice->slice, backread->shard->def->slice);
	const char *bytes;
	size_t		len;
	bytea	   *segment;

	CHECK_FOR_INTERRUPTS();
	fs_segment_check(fs_segment_finish(slice->writer, &bytes, &len), start);
	segment = palloc(VARHDRSZ + len);
	SET_VARSIZE(segment, VARHDRSZ + len);
	memcpy(VARDATA(segment), bytes, len);
	values[0] = ObjectIdGetDatum(backread->view);
	values[1] = TimestampTzGetDatum(start);
	values[2] = Int64GetDatum(backread->step);
	values[3] = Int32GetDatum(part);
	values[4] = Int32GetDatum((int32) fs_segment_count(slice->writer));
	values[5] = PointerGetDatum(segment);
	fs_query_run("INSERT INTO feature_stream.backread_log (view, slice, step, part, event_count, segment)"
				 " VALUES ($1, $2, $3, $4, $5, $6)",
				 SPI_OK_INSERT, 6, types, values, NULL);
	pfree(segment);
}

/* Writes the segments of each touched slice. */
static void
write_segments(const FsBackread *backread)
{
	const FsPending *pending = &backread->shard->pending;
	int			part = 0;

	for (int i = 0; i < pending->nslices; i++)
	{
		part = i > 0 && pending->slices[i].slice == pending->slices[i - 1].slice ? part + 1 : 0;
		write_segment(backread, &pending->slices[i], part);
	}
}

/* Has a partition to be written? */
static bool
is_moved(const FsBackreadPartition *partition)
{
	return partition->begun &&
		(!partition->durable || fs_position_compare(partition->next, partition->durable_next) != 0);
}

/* An xid as a parameter. */
static Datum
xid_datum(uint64 xid)
{
	return CStringGetTextDatum(psprintf(UINT64_FORMAT, xid));
}

/* Writes how far a partition is read. */
static void
write_partition(const FsBackread *backread, const FsBackreadPartition *partition)
{
	Oid			types[10] = {OIDOID, INT4OID, INT8OID, TEXTOID, INT8OID, TEXTOID, INT8OID, INT8OID, BOOLOID, TIMESTAMPTZOID};
	Datum		values[10] = {ObjectIdGetDatum(backread->view), Int32GetDatum(partition->id),
		Int64GetDatum(partition->start.offset), xid_datum(partition->start.xid),
		Int64GetDatum(partition->next.offset), xid_datum(partition->next.xid),
		Int64GetDatum(partition->total_count), Int64GetDatum(partition->done_count),
	BoolGetDatum(partition->covers_all), TimestampTzGetDatum(partition->covered_from)};
	char		nulls[10];

	Assert(partition->begun && fs_position_compare(partition->start, partition->next) <= 0 &&
		   fs_position_compare(partition->next, partition->end) <= 0);
	memset(nulls, ' ', sizeof(nulls));
	nulls[8] = partition->covers_known ? ' ' : 'n';
	nulls[9] = partition->covered_from == FS_TIME_MIN ? 'n' : ' ';
	fs_query_run("UPDATE feature_stream.backread_position SET start_offset = $3, start_xid = $4::xid8,"
				 " next_offset = $5, next_xid = $6::xid8, total_count = $7, done_count = $8,"
				 " covers_all = $9, covered_from = $10 WHERE view = $1 AND partition = $2",
				 SPI_OK_UPDATE, 10, types, values, nulls);
	if (SPI_processed != 1)
		elog(ERROR, "could not write feature_stream.backread_position");
}

/* Begins the next step. */
static void
begin_step(FsBackread *backread)
{
	fs_pending_clear(&backread->shard->pending);
	fs_pending_init(backread->shard, &backread->shard->pending);
	for (int i = 0; i < backread->npartitions; i++)
	{
		backread->partitions[i].durable = backread->partitions[i].begun;
		backread->partitions[i].durable_next = backread->partitions[i].next;
	}
	if (backread->example != NULL)
		pfree(backread->example);
	backread->example = NULL;
	backread->read_count = backread->refused_count = backread->lost_count = 0;
	backread->dirty = false;
	backread->step++;
}

/* See backread_state.h. */
bool
fs_backread_write(FsBackread *backread, bool all)
{
	MemoryContext context = CurrentMemoryContext;
	bool		found;

	fs_transaction_begin();
	SPI_connect();
	found = write_progress(backread, all);
	if (found)
	{
		write_segments(backread);
		for (int i = 0; i < backread->npartitions; i++)
			if (is_moved(&backread->partitions[i]))
				write_partition(backread, &backread->partitions[i]);
		FS_FAULT("backread-before-commit");
	}
	SPI_finish();
	fs_transaction_end(context);
	FS_FAULT("backread-after-commit");
	if (found)
		begin_step(backread);
	return found;
}
