/*
 * dead_letter_replay.c
 *		Dead letters that come back; see dead_letter_replay.h.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/wire_header.h"
#include "ground/clock.h"
#include "ground/settings.h"
#include "ground/transaction.h"
#include "pipeline/dead_letter_replay.h"
#include "pipeline/parking.h"
#include "source/kafka_header.h"
#include "state/query.h"

#define MAX_REPLAYS 1000		/* in one batch */
#define MAX_BYTES (16 * 1024 * 1024)	/* of what is read for one batch, but for its last; also of a key, or of headers */
#define FETCH_ROWS 50
#define PUT_OFF_USEC (10 * FS_USEC_PER_SEC)
#define LOOK_AGAIN_USEC 100000	/* corrections wait for a window end to be fired as a whole, others for schemas */

StaticAssertDecl(MAX_REPLAYS <= FS_POLL_BATCH_MAX, "shard->records holds a batch");

/* Columns of the query in open_cursor(). */
enum
{
	COL_PARTITION = 1, COL_OFFSET, COL_RECORDED_AT, COL_RECORD_TIME, COL_KEY, COL_PAYLOAD, COL_HEADERS,
	COL_IS_KEPT, COL_HAD_PAYLOAD, COL_CORRECTIONS
};

/* All requests are to be looked at, from the first on. */
static void
look_through(FsShard *shard)
{
	const FsReplayKey first = {.partition = -1, .recorded_at = FS_TIME_MIN};

	shard->replay_behind[false] = shard->replay_behind[true] = first;
	shard->replay_parked = false;
	shard->replay_answers = fs_parking_answers(shard);
	shard->replay_wanted = true;
}

/* See dead_letter_replay.h. */
bool
fs_replay_is_due(FsShard *shard)
{
	uint64		requested = pg_atomic_read_u64(&shard->slot->replay_requested);

	if (requested != shard->replay_requested || shard->replay_since == 0)
	{
		shard->replay_requested = requested;
		shard->replay_since = fs_clock_monotonic();
		look_through(shard);
	}
	else if (!shard->replay_wanted && shard->replay_parked && shard->replay_answers != fs_parking_answers(shard))
		look_through(shard);
	return shard->replay_wanted && shard->replays == 0 &&
		fs_clock_monotonic() >= shard->replay_not_before;
}

/* Opens a cursor on the requests with or without corrections that are still to be looked at; SPI is connected. */
static Portal
open_cursor(const FsShard *shard, bool corrections)
{
	const FsReplayKey *behind = &shard->replay_behind[corrections];
	Oid			types[5] = {OIDOID, BOOLOID, INT4OID, INT8OID, TIMESTAMPTZOID};
	Datum		values[5] = {ObjectIdGetDatum(shard->def->relid), BoolGetDatum(corrections),
		Int32GetDatum(behind->partition), Int64GetDatum(behind->offset), TimestampTzGetDatum(behind->recorded_at)};

	return SPI_cursor_open_with_args(NULL,
									 "SELECT o.partition, o.\"offset\", o.recorded_at, d.record_time, d.key, d.payload, "
									 "d.headers, d.stream IS NOT NULL, d.payload_size IS NOT NULL, o.corrections "
									 "FROM feature_stream.dead_letter_outcome o "
									 "LEFT JOIN feature_stream.dead_letter d "
									 "ON d.stream OPERATOR(pg_catalog.=) o.stream "
									 "AND d.partition OPERATOR(pg_catalog.=) o.partition "
									 "AND d.\"offset\" OPERATOR(pg_catalog.=) o.\"offset\" "
									 "AND d.recorded_at OPERATOR(pg_catalog.=) o.recorded_at "
									 "WHERE o.stream OPERATOR(pg_catalog.=) $1::pg_catalog.regclass "
									 "AND o.outcome OPERATOR(pg_catalog.=) 'requested' AND o.corrections OPERATOR(pg_catalog.=) $2 "
									 "AND ROW(o.partition, o.\"offset\", o.recorded_at) OPERATOR(pg_catalog.>) ROW($3, $4, $5) "
									 "ORDER BY o.partition, o.\"offset\", o.recorded_at LIMIT " CppAsString2(MAX_REPLAYS),
									 5, types, values, NULL, true, 0);
}

/*
 * A column with bytes, as it is stored; false for a null.  Users may make them as
 * large as they like: *len tells before any is read.
 */
static bool
find_bytes(uint64 row, int column, Datum *value, size_t *len)
{
	bool		isnull;

	*value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &isnull);
	*len = isnull ? 0 : toast_raw_datum_size(*value) - VARHDRSZ;
	return !isnull;
}

/* Such a column, copied into the current memory context; NULL for a null, 'instead' for more than 'most' bytes. */
static const char *
copy_bytes(uint64 row, int column, size_t *len, int64 most, const char *instead)
{
	Datum		value;

	if (!find_bytes(row, column, &value, len))
		return NULL;
	return (int64) *len > most ? instead : VARDATA(DatumGetByteaPCopy(value));
}

/*
 * The headers of a row, in the current memory context: as they are kept, and the one
 * that names the payload's schema.  Returns their length; of too many none are read.
 */
static size_t
read_headers(const FsShard *shard, uint64 row, FsRecord *record, FsReplay *replay)
{
	Datum		value;
	size_t		len;
	Jsonb	   *headers;

	if (!find_bytes(row, COL_HEADERS, &value, &len) || len > MAX_BYTES)
		return len;
	headers = DatumGetJsonbPCopy(value);
	replay->headers = JsonbToCString(NULL, &headers->root, VARSIZE(headers));
	if (shard->def->registry != NULL)
		record->header = fs_kafka_header_find(headers, FS_WIRE_HEADER_NAME, &record->header_len);
	return len;
}

/*
 * Makes a record of a row, in the current memory context; returns how many bytes were
 * read for it.  A payload that is too long to be decoded is not: its length is enough.
 */
static size_t
read_request(FsShard *shard, uint64 row, FsRecord *record, FsReplay *replay)
{
	int64		most = shard->def->max_record_bytes;
	size_t		headers_len;

	memset(record, 0, sizeof(FsRecord));
	memset(replay, 0, sizeof(FsReplay));
	record->partition = fs_query_int32(row, COL_PARTITION);
	record->offset = fs_query_int64(row, COL_OFFSET, 0);
	record->arrival = FS_TIME_MIN;
	record->record_time = fs_query_time(row, COL_RECORD_TIME);
	record->key = copy_bytes(row, COL_KEY, &record->key_len, MAX_BYTES, NULL);
	record->value = copy_bytes(row, COL_PAYLOAD, &record->value_len, most, "");
	headers_len = read_headers(shard, row, record, replay);
	replay->recorded_at = fs_query_time(row, COL_RECORDED_AT);
	replay->corrections = fs_query_bool(row, COL_CORRECTIONS);
	if (!fs_query_bool(row, COL_IS_KEPT))
		replay->problem = "the dead letter is not kept any more";
	else if (record->value == NULL && fs_query_bool(row, COL_HAD_PAYLOAD))
		replay->problem = "the payload was not kept";
	else if (fs_partitions_find(shard, record->partition) == NULL)
		replay->problem = "the stream has no such partition";
	else if (record->key_len > MAX_BYTES || headers_len > MAX_BYTES)
		replay->problem = "its key or its headers are too long";
	if (replay->problem != NULL)
		record->value = NULL;	/* refused as a tombstone */
	return (record->key == NULL ? 0 : record->key_len) + (replay->headers == NULL ? 0 : headers_len) +
		(record->value == NULL || (int64) record->value_len > most ? 0 : record->value_len);
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
		for (uint64 i = 0; i < SPI_processed && bytes < MAX_BYTES; i++, n++)
			bytes += read_request(shard, i, &shard->records[n], &replays[n]);
		MemoryContextSwitchTo(old);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_cursor_close(portal);
	return n;
}

/*
 * Leaves out, of requests of one kind, those that wait for a schema; returns how
 * many are left.  What comes behind them is looked at next.
 */
static int
leave_out_parked(FsShard *shard, FsReplay *replays, int n)
{
	FsReplayKey last;
	bool		corrections;
	int			taken;

	if (n == 0)
		return 0;
	last.partition = shard->records[n - 1].partition;
	last.offset = shard->records[n - 1].offset;
	last.recorded_at = replays[n - 1].recorded_at;
	corrections = replays[n - 1].corrections;
	taken = fs_parking_screen_replays(shard, shard->records, replays, n, shard->replay_since);
	Assert(taken <= n);
	if (taken < n)
	{
		shard->replay_behind[corrections] = last;
		shard->replay_parked = true;
	}
	return taken;
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
	if (n == 0 && (is_firing || shard->replay_parked))
		shard->replay_not_before = fs_clock_monotonic() + LOOK_AGAIN_USEC;
	shard->replays = leave_out_parked(shard, *replays, n);
	return shard->replays;
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
	look_through(shard);
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
