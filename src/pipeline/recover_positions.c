/*
 * recover_positions.c
 *		Where a shard goes on: its epoch, frontier, cursor and positions.
 *
 * The first step of recovery, with a transaction of its own: it raises the
 * epoch, which fences off any worker of the stream that is still alive.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/snapmgr.h"

#include "pipeline/shard.h"
#include "state/query.h"

/* Sets the fire cursor from the state row's columns. */
static void
set_cursor(FsShard *shard)
{
	Oid			relid = fs_query_oid(0, 6);

	shard->fire.boundary = fs_query_time(0, 5);
	shard->fire.active = shard->fire.boundary != FS_TIME_MIN;
	shard->fire.hash = fs_query_int64(0, 7, -1);
	shard->fire.view = shard->nviews;
	for (int v = 0; v < shard->nviews && OidIsValid(relid); v++)
	{
		/* views are in order of relid: the first not below goes on (the named one may be gone) */
		if (shard->views[v].def->relid >= relid)
		{
			if (shard->views[v].def->relid != relid)
				shard->fire.hash = -1;
			shard->fire.view = v;
			break;
		}
	}
	Assert(shard->fire.view <= shard->nviews);
	shard->durable_fire.active = shard->fire.active;
	shard->durable_fire.boundary = shard->fire.boundary;
	shard->durable_fire.view = shard->fire.view;
	shard->durable_fire.hash = shard->fire.hash;
}

/* A column of a row of the last query into a buffer; NULL is "". */
static void
load_text(uint64 row, int column, char *text, size_t size)
{
	strlcpy(text, fs_query_is_null(row, column) ? "" :
			SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column), size);
}

/*
 * resume_stream() was called since a worker last looked: partitions that had
 * stopped are to be tried again, whatever cluster it is now.  The call itself only
 * counts, or checkpoints had to wait for its transaction.
 */
static void
take_resumption(FsShard *shard)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(shard->def->relid)};

	fs_query_run("UPDATE feature_stream.stream_state s SET resumed_count = d.resumed_count, cluster = NULL "
				 "FROM feature_stream.stream_definition d WHERE d.stream OPERATOR(pg_catalog.=) s.stream "
				 "AND s.stream OPERATOR(pg_catalog.=) $1 AND s.shard OPERATOR(pg_catalog.=) 0 "
				 "AND s.resumed_count OPERATOR(pg_catalog.<>) d.resumed_count",
				 SPI_OK_UPDATE, 1, types, values, NULL);
	if (SPI_processed == 0)
		return;
	fs_query_run("UPDATE feature_stream.partition_position SET stopped = NULL "
				 "WHERE stream OPERATOR(pg_catalog.=) $1 AND stopped IS NOT NULL",
				 SPI_OK_UPDATE, 1, types, values, NULL);
}

/*
 * Raises the epoch, which fences off every older worker of the stream, and
 * reads frontier and cursor.
 */
static void
load_state_row(FsShard *shard)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(shard->def->relid)};

	fs_query_run("UPDATE feature_stream.stream_state SET epoch = epoch OPERATOR(pg_catalog.+) 1 "
				 "WHERE stream OPERATOR(pg_catalog.=) $1 AND shard OPERATOR(pg_catalog.=) 0 "
				 "RETURNING epoch, checkpoint, frontier, watermark, fire_window_end, fire_view, fire_hash, "
				 "start_partitions, cluster",
				 SPI_OK_UPDATE_RETURNING, 1, types, values, NULL);
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("state of stream %s is missing", shard->def->name),
				 errhint("Drop and create the stream again; where it begins is then up to its option \"start\".")));
	shard->epoch = fs_query_int64(0, 1, 0);
	shard->checkpoint = fs_query_int64(0, 2, 0);
	shard->frontier = shard->durable_frontier = fs_query_time(0, 3);
	shard->watermark = fs_query_time(0, 4);
	shard->start_partitions = fs_query_int32(0, 8);
	load_text(0, 9, shard->cluster, sizeof(shard->cluster));
	set_cursor(shard);
	Assert(shard->epoch > 0 && (!shard->fire.active || shard->fire.boundary > shard->frontier));
	shard->closing = shard->fire.active ? shard->fire.boundary : shard->frontier;
}

/* One row of partition_position: the partition goes on there. */
static void
load_position(FsShard *shard, uint64 row)
{
	FsPartition *p = fs_partitions_add(shard, fs_query_int32(row, 1));

	p->started = true;
	p->position.offset = p->durable_offset = fs_query_int64(row, 2, 0);
	p->position.xid = (uint64) fs_query_int64(row, 3, 0);
	p->clock.watermark = fs_query_time(row, 4);
	p->clock.last_event_time = fs_query_time(row, 5);
	p->clock.last_arrival = fs_query_time(row, 6);
	p->covered_from = fs_query_time(row, 7);
	p->covers_all = fs_query_bool(row, 8);
	p->start.offset = fs_query_int64(row, 9, 0);
	p->read_count = fs_query_int64(row, 10, 0);
	p->accepted_count = fs_query_int64(row, 11, 0);
	p->partially_late_count = fs_query_int64(row, 12, 0);
	p->dead_letter_count = fs_query_int64(row, 13, 0);
	p->start.xid = (uint64) fs_query_int64(row, 14, 0);
	load_text(row, 15, p->stopped, sizeof(p->stopped));
	Assert(p->read_count == p->accepted_count + p->dead_letter_count);
}

/* All partitions that a checkpoint ever wrote. */
static void
load_positions(FsShard *shard)
{
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(shard->def->relid)};

	fs_query_run("SELECT partition, next_offset, next_xid::pg_catalog.text::pg_catalog.int8, watermark, "
				 "last_event_time, last_arrival, covered_from, covers_all, start_offset, read_count, "
				 "accepted_count, partially_late_count, dead_letter_count, start_xid::pg_catalog.text::pg_catalog.int8, "
				 "stopped FROM feature_stream.partition_position WHERE stream OPERATOR(pg_catalog.=) $1 "
				 "AND shard OPERATOR(pg_catalog.=) 0 ORDER BY partition",
				 SPI_OK_SELECT, 1, types, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
		load_position(shard, i);
}

/*
 * The contract that was loaded is in force from these positions on; so are those
 * that it has replaced before any was.
 */
static void
note_contract(const FsShard *shard)
{
	Oid			types[2] = {OIDOID, INT4OID};
	Datum		values[2] = {ObjectIdGetDatum(shard->def->relid), Int32GetDatum(shard->contract_version)};

	fs_query_run("UPDATE feature_stream.stream_contract c SET effective_at = pg_catalog.clock_timestamp(),"
				 " offsets = COALESCE((SELECT pg_catalog.jsonb_object_agg(p.partition, p.next_offset)"
				 " FROM feature_stream.partition_position p WHERE p.stream OPERATOR(pg_catalog.=) c.stream"
				 " AND p.shard OPERATOR(pg_catalog.=) 0), '{}')"
				 " WHERE c.stream OPERATOR(pg_catalog.=) $1 AND c.version OPERATOR(pg_catalog.<=) $2"
				 " AND c.offsets IS NULL",
				 SPI_OK_UPDATE, 2, types, values, NULL);
}

/*
 * Loads epoch, frontier, cursor and positions, and commits the new epoch.  The
 * shard's views are known already.
 */
void
fs_recover_state(FsShard *shard)
{
	Assert(!IsTransactionState());
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	take_resumption(shard);
	load_state_row(shard);
	load_positions(shard);
	note_contract(shard);
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
}
