/*
 * dead_letter_replay.c
 *		Dead letters that come back; see dead_letter_replay.h.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "ground/clock.h"
#include "ground/settings.h"
#include "ground/transaction.h"
#include "pipeline/dead_letter_replay.h"
#include "state/query.h"

#define MAX_REPLAYS 1000		/* in one batch */
#define MAX_BYTES (16 * 1024 * 1024)	/* of what one batch copies, about */
#define FETCH_ROWS 50
#define PUT_OFF_USEC (10 * FS_USEC_PER_SEC)
#define LOOK_AGAIN_USEC 100000	/* corrections wait for a window end to be fired as a whole */

StaticAssertDecl(MAX_REPLAYS <= FS_POLL_BATCH_MAX, "shard->records holds a batch");

/* Columns of the query in open_cursor(). */
enum
{
	COL_PARTITION = 1, COL_OFFSET, COL_RECORDED_AT, COL_RECORD_TIME, COL_KEY, COL_PAYLOAD, COL_HEADERS,
	COL_IS_KEPT, COL_HAD_PAYLOAD, COL_CORRECTIONS
};

/* See dead_letter_replay.h. */
bool
fs_replay_is_due(FsShard *shard)
{
	uint64		requested = pg_atomic_read_u64(&shard->slot->replay_requested);

	if (requested != shard->replay_requested)
	{
		shard->replay_requested = requested;
		shard->replay_wanted = true;
	}
	return shard->replay_wanted && shard->replays == 0 &&
		fs_clock_monotonic() >= shard->replay_not_before;
}

/* Opens a cursor on the requests with or without corrections; SPI is connected. */
static Portal
open_cursor(const FsShard *shard, bool corrections)
{
	Oid			types[2] = {OIDOID, BOOLOID};
	Datum		values[2] = {ObjectIdGetDatum(shard->def->relid), BoolGetDatum(corrections)};

	return SPI_cursor_open_with_args(NULL,
									 "SELECT o.partition, o.\"offset\", o.recorded_at, d.record_time, d.key, d.payload, "
									 "d.headers::pg_catalog.text, d.stream IS NOT NULL, d.payload_size IS NOT NULL, o.corrections "
									 "FROM feature_stream.dead_letter_outcome o "
									 "LEFT JOIN feature_stream.dead_letter d "
									 "ON d.stream OPERATOR(pg_catalog.=) o.stream "
									 "AND d.partition OPERATOR(pg_catalog.=) o.partition "
									 "AND d.\"offset\" OPERATOR(pg_catalog.=) o.\"offset\" "
									 "AND d.recorded_at OPERATOR(pg_catalog.=) o.recorded_at "
									 "WHERE o.stream OPERATOR(pg_catalog.=) $1::pg_catalog.regclass "
									 "AND o.outcome OPERATOR(pg_catalog.=) 'requested' AND o.corrections OPERATOR(pg_catalog.=) $2 "
									 "ORDER BY o.partition, o.\"offset\" LIMIT " CppAsString2(MAX_REPLAYS),
									 2, types, values, NULL, true, 0);
}

/* A column of bytes, copied into the current memory context; NULL for a null. */
static const char *
copy_bytes(uint64 row, int column, size_t *len)
{
	bool		isnull;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);
	bytea	   *bytes;

	*len = 0;
	if (isnull)
		return NULL;
	bytes = DatumGetByteaPCopy(value);
	*len = VARSIZE(bytes) - VARHDRSZ;
	return VARDATA(bytes);
}

/* Makes a record of a row, in the current memory context. */
static void
read_request(FsShard *shard, uint64 row, FsRecord *record, FsReplay *replay)
{
	memset(record, 0, sizeof(FsRecord));
	record->partition = fs_query_int32(row, COL_PARTITION);
	record->offset = fs_query_int64(row, COL_OFFSET, 0);
	record->arrival = FS_TIME_MIN;
	record->record_time = fs_query_time(row, COL_RECORD_TIME);
	record->key = copy_bytes(row, COL_KEY, &record->key_len);
	record->value = copy_bytes(row, COL_PAYLOAD, &record->value_len);
	replay->recorded_at = fs_query_time(row, COL_RECORDED_AT);
	replay->headers = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, COL_HEADERS);
	replay->problem = NULL;
	replay->corrections = fs_query_bool(row, COL_CORRECTIONS);
	if (!fs_query_bool(row, COL_IS_KEPT))
		replay->problem = "the dead letter is not kept any more";
	else if (record->value == NULL && fs_query_bool(row, COL_HAD_PAYLOAD))
		replay->problem = "the payload was not kept";
	else if (fs_partitions_find(shard, record->partition) == NULL)
		replay->problem = "the stream has no such partition";
	if (replay->problem != NULL)
		record->value = NULL;	/* refused as a tombstone */
}

/* Reads requests until it is a batch; returns their number.  SPI is connected. */
static int
read_requests(FsShard *shard, FsReplay *replays, bool corrections)
{
	Portal		portal = open_cursor(shard, corrections);
	size_t		bytes = 0;
	int			n = 0;

	while (bytes < MAX_BYTES)
	{
		MemoryContext old;

		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		old = MemoryContextSwitchTo(shard->batch);
		for (uint64 i = 0; i < SPI_processed; i++, n++)
		{
			read_request(shard, i, &shard->records[n], &replays[n]);
			bytes += shard->records[n].value_len + shard->records[n].key_len +
				(replays[n].headers == NULL ? 0 : strlen(replays[n].headers));
		}
		MemoryContextSwitchTo(old);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	return n;
}

/* See dead_letter_replay.h. */
int
fs_replay_take(FsShard *shard, FsReplay **replays)
{
	MemoryContext context = CurrentMemoryContext;
	bool		is_firing = shard->fire.active || shard->closing != shard->frontier;
	int			n;

	Assert(!IsTransactionState() && shard->nevents == 0 && shard->replays == 0);
	*replays = MemoryContextAlloc(shard->batch, sizeof(FsReplay) * MAX_REPLAYS);
	fs_transaction_begin();
	SPI_connect();
	n = read_requests(shard, *replays, false);
	if (n == 0 && !is_firing)
		n = read_requests(shard, *replays, true);
	SPI_finish();
	fs_transaction_end(context);
	shard->replay_wanted = n > 0 || is_firing;
	if (n == 0 && is_firing)
		shard->replay_not_before = fs_clock_monotonic() + LOOK_AGAIN_USEC;
	shard->replays = n;
	return n;
}

/* Notes what became of one, for the next checkpoint to write. */
static void
note_outcome(FsShard *shard, const FsEvent *event)
{
	FsPending  *pending = &shard->pending;
	MemoryContext old = MemoryContextSwitchTo(pending->context);
	FsReplayOutcome *outcome = palloc0(sizeof(FsReplayOutcome));
	const char *problem = event->replay->problem;

	Assert(problem == NULL || event->reason != FS_REASON_NONE);
	outcome->partition = event->meta.partition;
	outcome->offset = event->meta.offset;
	outcome->recorded_at = event->replay->recorded_at;
	outcome->outcome = event->reason == FS_REASON_NONE ? "replayed" :
		event->reason == FS_REASON_LATE ? "too_late" : "still_bad";
	if (event->reason != FS_REASON_NONE)
	{
		outcome->reason = problem == NULL ? fs_reason_name(event->reason) : NULL;
		outcome->message = pstrdup(problem == NULL ? event->message : problem);
	}
	else
		outcome->corrected = event->replay->corrections && !event->corrects;
	pending->outcomes = lappend(pending->outcomes, outcome);
	pending->dirty = true;
	MemoryContextSwitchTo(old);
}

/* See dead_letter_replay.h. */
void
fs_replay_book(FsShard *shard, const FsEvent *event)
{
	FsPartition *partition = fs_partitions_find(shard, event->meta.partition);

	if (event->reason == FS_REASON_NONE)
	{
		Assert(partition != NULL && partition->dead_letter_count > 0);
		partition->dead_letter_count--;
		partition->accepted_count++;
		if (event->meta.late_bound != FS_TIME_MIN)
			partition->partially_late_count++;
		if (event->error_mask != 0)
			fs_dead_letter_add_error(shard, partition, event);
	}
	note_outcome(shard, event);
}

/* See dead_letter_replay.h. */
void
fs_replay_put_off(FsShard *shard)
{
	Assert(shard->folded == 0 && shard->next_event < shard->nevents);
	Assert(shard->events[shard->next_event].replay != NULL);
	shard->replays -= shard->nevents - shard->next_event;
	shard->replay_not_before = fs_clock_monotonic() + PUT_OFF_USEC;
	shard->next_event = shard->nevents;
	shard->admitted = false;
}

/* See dead_letter_replay.h. */
void
fs_replay_done(FsShard *shard, const FsPending *pending)
{
	Assert(list_length(pending->outcomes) <= shard->replays);
	shard->replays -= list_length(pending->outcomes);
}

/* See dead_letter_replay.h. */
void
fs_replay_corrected(Oid stream, int32 partition, int64 offset, FsTime recorded_at, int64 rows, const char *message)
{
	Oid			types[7] = {OIDOID, INT4OID, INT8OID, TIMESTAMPTZOID, INT8OID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[7] = {ObjectIdGetDatum(stream), Int32GetDatum(partition), Int64GetDatum(offset),
		TimestampTzGetDatum(recorded_at), Int64GetDatum(rows),
		message == NULL ? (Datum) 0 : CStringGetTextDatum(message), TimestampTzGetDatum(fs_clock_now())};
	char		nulls[7] = {' ', ' ', ' ', ' ', ' ', message == NULL ? 'n' : ' ', ' '};

	fs_query_run("UPDATE feature_stream.dead_letter_outcome o SET corrected_rows = COALESCE(corrected_rows, 0) + $5,"
				 " message = COALESCE(message OPERATOR(pg_catalog.||) '; ' OPERATOR(pg_catalog.||) $6, $6, message),"
				 " corrected_at = CASE WHEN NOT EXISTS (SELECT FROM feature_stream.correction c"
				 " WHERE c.stream OPERATOR(pg_catalog.=) $1 AND c.partition OPERATOR(pg_catalog.=) $2"
				 " AND c.\"offset\" OPERATOR(pg_catalog.=) $3 AND c.recorded_at OPERATOR(pg_catalog.=) $4"
				 " AND c.state OPERATOR(pg_catalog.=) 'pending') THEN $7 END"
				 " WHERE o.stream OPERATOR(pg_catalog.=) $1::pg_catalog.regclass AND o.partition OPERATOR(pg_catalog.=) $2"
				 " AND o.\"offset\" OPERATOR(pg_catalog.=) $3 AND o.recorded_at OPERATOR(pg_catalog.=) $4",
				 SPI_OK_UPDATE, 7, types, values, nulls);
}
