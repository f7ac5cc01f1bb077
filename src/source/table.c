/*
 * table.c
 *		A stream that reads an ordinary append-only table.
 *
 * The table stands in for a topic of one partition: the same pipeline without
 * Kafka, for tests, backfill and outbox tables.  Rows are read in order of
 * (xid, order_by), and only those of transactions older than the oldest one
 * still running: a row of a slow committer can then not appear behind the
 * position that was read already.  The table is read as the stream's owner.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "ground/settings.h"
#include "source/source.h"
#include "source/table_rows.h"

/* An idle table is looked at this often. */
#define LOOK_INTERVAL (100 * INT64CONST(1000))

typedef struct FsTableSource
{
	FsSource	source;
	FsSourcePartition partition;
	FsPosition	position;		/* last row handed out */
	MemoryContext context;		/* the source */
	MemoryContext rows;			/* rows handed out */
	char	   *table_name;		/* qualified; looked up once, in open()'s transaction */
	char	   *poll_sql;
	SPIPlanPtr	poll_plan;
	TimestampTz next_look;		/* not before this, when the last look found nothing */
} FsTableSource;

/* Runs as the stream's owner, security-restricted, until leave_owner(). */
static void
enter_owner(const FsStreamDef *def, Oid *user, int *security)
{
	GetUserIdAndSecContext(user, security);
	SetUserIdAndSecContext(def->owner, *security | SECURITY_RESTRICTED_OPERATION);
}

/*
 * A column's payload, as bytes: those of bytea, text and json as they are stored
 * (databases are in UTF8), so that their length is known before they are read.
 */
static const char *
bytes_expression(Oid table, const char *column)
{
	Oid			type = get_atttype(table, get_attnum(table, column));

	if (type == BYTEAOID || type == TEXTOID || type == JSONOID)
		return quote_identifier(column);
	return psprintf("%s::pg_catalog.text", quote_identifier(column));
}

/*
 * The query: the first $3 rows behind ($1 xid, $2 order_by), oldest
 * transactions first, none that could still be overtaken.
 */
static char *
make_poll_sql(const FsStreamDef *def, const char *table_name)
{
	StringInfoData sql;
	const char *order_by = quote_identifier(def->order_by);
	const char *xid = quote_identifier(def->xid);

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s, %s::pg_catalog.text::pg_catalog.int8, %s, %s, %s FROM %s ",
					 order_by, xid, bytes_expression(def->table, def->value),
					 def->key == NULL ? "NULL::pg_catalog.bytea" : bytes_expression(def->table, def->key),
					 def->arrival == NULL ? "NULL::pg_catalog.timestamptz" : quote_identifier(def->arrival),
					 table_name);
	appendStringInfo(&sql, "WHERE (%s, %s) OPERATOR(pg_catalog.>) ($1::pg_catalog.text::pg_catalog.xid8, $2) "
					 "AND %s OPERATOR(pg_catalog.<) pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot()) "
					 "ORDER BY %s, %s LIMIT $3",
					 xid, order_by, xid, xid, order_by);
	return sql.data;
}

/*
 * See source.h: looks up nothing but the table's name; the worker is in a
 * transaction here and may be in none later.
 */
static FsSource *
table_open_source(const FsStreamDef *stream)
{
	FsTableSource *source = palloc0(sizeof(FsTableSource));

	source->source.ops = &fs_source_table_ops;
	source->source.stream = stream;
	source->source.npartitions = 1;
	source->source.partitions = &source->partition;
	source->source.connected = true;
	source->source.error_time = FS_TIME_MIN;
	source->partition.id = 0;
	source->partition.state = FS_PARTITION_FOUND;
	source->partition.begin_offset = source->partition.end_offset = -1;
	source->partition.read_to = PG_INT64_MIN;	/* order_by may be negative: the position moves by rows alone */
	source->context = CurrentMemoryContext;
	source->rows = AllocSetContextCreate(CurrentMemoryContext, "feature_stream table rows",
										 ALLOCSET_DEFAULT_SIZES);
	source->table_name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(stream->table)),
													get_rel_name(stream->table));
	source->poll_sql = make_poll_sql(stream, source->table_name);
	return &source->source;
}

/* Nothing to look after: the table is right here. */
static void
table_service(FsSource *base)
{
}

/* What a look at the table changes, until end_look(). */
typedef struct Look
{
	MemoryContext caller;
	bool		own;			/* the transaction is */
	Oid			user;
	int			security;
} Look;

/* Begins to look at the table: in a transaction of its own unless the caller has one, as the owner, with SPI. */
static void
begin_look(const FsStreamDef *def, Look *look)
{
	look->caller = CurrentMemoryContext;
	look->own = !IsTransactionState();
	if (look->own)
		StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	enter_owner(def, &look->user, &look->security);
	SPI_connect();
}

/* Ends it, and makes the caller's memory context the current one again. */
static void
end_look(const Look *look)
{
	SPI_finish();
	SetUserIdAndSecContext(look->user, look->security);
	PopActiveSnapshot();
	if (look->own)
		CommitTransactionCommand();
	MemoryContextSwitchTo(look->caller);
}

/* The row that a query gives as (offset, xid), zeros where it gives none. */
static FsPosition
query_position(FsTableSource *source, const char *sql, int nargs, Oid *types, Datum *values)
{
	FsPosition	position = {0};
	Look		look;
	bool		isnull;

	begin_look(source->source.stream, &look);
	if (SPI_execute_with_args(sql, nargs, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the table of stream %s", source->source.stream->name);
	if (SPI_processed == 1)
	{
		position.offset = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		position.xid = (uint64) DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	}
	end_look(&look);
	return position;
}

/*
 * 'latest' begins behind the last row of the transactions that are over;
 * 'earliest' before the first row; an offset behind the row with that
 * order_by; a time is refused when the stream is defined unless there is an
 * arrival column.
 */
static void
table_resolve_start(FsSource *base, int index, bool from_beginning)
{
	FsTableSource *source = (FsTableSource *) base;
	const FsStreamDef *def = base->stream;
	const char *table = source->table_name;
	const char *columns = psprintf("%s, %s::pg_catalog.text::pg_catalog.int8",
								   quote_identifier(def->order_by), quote_identifier(def->xid));
	const char *settled = psprintf("%s OPERATOR(pg_catalog.<) pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())",
								   quote_identifier(def->xid));
	const char *last = psprintf("ORDER BY %s DESC, %s DESC LIMIT 1",
								quote_identifier(def->xid), quote_identifier(def->order_by));
	Oid			types[1] = {INT8OID};
	Datum		values[1];
	FsPosition	before_all = {.offset = PG_INT64_MIN, .xid = 0};
	FsPosition	end;

	Assert(index == 0);
	source->partition.start = before_all;
	source->partition.covers_all = from_beginning || def->start_kind == FS_START_EARLIEST;
	source->partition.starts_live = false;
	source->partition.state = FS_PARTITION_RESOLVED;
	if (source->partition.covers_all)
		return;
	end = query_position(source, psprintf("SELECT %s FROM %s WHERE %s %s", columns, table, settled, last), 0, NULL, NULL);
	if (def->start_kind == FS_START_LATEST)
		source->partition.start = end;
	else if (def->start_kind == FS_START_OFFSETS)
	{
		values[0] = Int64GetDatum(def->nstart_offsets > 0 ? def->start_offsets[0].offset : 0);
		source->partition.start = query_position(source,
												 psprintf("SELECT %s FROM %s WHERE %s AND %s OPERATOR(pg_catalog.<) $1 %s",
														  columns, table, settled,
														  quote_identifier(def->order_by), last), 1, types, values);
	}
	else if (def->arrival != NULL)
	{
		types[0] = TIMESTAMPTZOID;
		values[0] = TimestampTzGetDatum(def->start_time);
		source->partition.start = query_position(source,
												 psprintf("SELECT %s FROM %s WHERE %s AND %s OPERATOR(pg_catalog.<) $1 %s",
														  columns, table, settled,
														  quote_identifier(def->arrival), last), 1, types, values);
	}
	source->partition.starts_live = fs_position_compare(source->partition.start, end) >= 0;
}

static void
table_assign(FsSource *base, int index, FsPosition position)
{
	FsTableSource *source = (FsTableSource *) base;

	source->position = position;
	source->partition.state = FS_PARTITION_READING;
	source->partition.at_end = false;
}

/*
 * A poll goes on where the last one ended, by an index.  A plan that was made
 * when the table was small, or not analyzed, would sort all that is left of it
 * each time, which the few rows that are asked for do not make up for.
 */
static const char *const poll_settings[] = {"enable_seqscan", "enable_bitmapscan", "enable_sort"};

static int
begin_poll_settings(void)
{
	int			level = NewGUCNestLevel();

	fs_settings_turn_off(poll_settings, lengthof(poll_settings));
	return level;
}

/* The poll query, prepared once. */
static SPIPlanPtr
get_poll_plan(FsTableSource *source)
{
	Oid			types[3] = {TEXTOID, INT8OID, INT8OID};

	if (source->poll_plan == NULL)
	{
		source->poll_plan = SPI_prepare(source->poll_sql, 3, types);
		if (source->poll_plan == NULL)
			elog(ERROR, "could not prepare the query of stream %s", source->source.stream->name);
		SPI_keepplan(source->poll_plan);
	}
	return source->poll_plan;
}

/* The values of its parameters. */
static ParamListInfo
make_poll_parameters(const FsTableSource *source, int max)
{
	ParamListInfo params = makeParamList(3);
	Datum		values[3] = {CStringGetTextDatum(psprintf(UINT64_FORMAT, source->position.xid)),
		Int64GetDatum(source->position.offset), Int64GetDatum(max)};

	for (int i = 0; i < 3; i++)
	{
		params->params[i].value = values[i];
		params->params[i].isnull = false;
		params->params[i].pflags = PARAM_FLAG_CONST;
		params->params[i].ptype = i == 0 ? TEXTOID : INT8OID;
	}
	return params;
}

/* Executes the poll query; returns how many rows were taken as records. */
static int
execute_poll(FsTableSource *source, FsRecord *records, int max)
{
	int			level = begin_poll_settings();
	int			n = fs_table_rows_take(get_poll_plan(source), make_poll_parameters(source, max),
									   source->source.stream, source->rows, records);

	AtEOXact_GUC(false, level);
	Assert(n <= max);
	return n;
}

/* See source.h.  An empty look is not repeated at once: there is nothing that would wake us. */
static int
table_poll(FsSource *base, int index, FsRecord *records, int max)
{
	FsTableSource *source = (FsTableSource *) base;
	Look		look;
	int			n;

	if (source->partition.state != FS_PARTITION_READING || GetCurrentTimestamp() < source->next_look)
		return 0;
	begin_look(base->stream, &look);
	n = execute_poll(source, records, max);
	end_look(&look);
	source->partition.at_end = n == 0;
	source->next_look = n == 0 ? GetCurrentTimestamp() + LOOK_INTERVAL : 0;
	if (n > 0)
	{
		source->position.offset = records[n - 1].offset;
		source->position.xid = records[n - 1].xid;
		source->partition.end_offset = Max(source->partition.end_offset, source->position.offset);
	}
	return n;
}

/*
 * See source.h: counts rows by the index.  A row that is not older than every
 * running transaction is not between positions that were reached.
 */
static int64
table_distance(FsSource *base, int index, FsPosition from, FsPosition to)
{
	FsTableSource *source = (FsTableSource *) base;
	const char *row = psprintf("(%s, %s)", quote_identifier(base->stream->xid), quote_identifier(base->stream->order_by));
	Oid			types[4] = {TEXTOID, INT8OID, TEXTOID, INT8OID};
	Datum		values[4] = {CStringGetTextDatum(psprintf(UINT64_FORMAT, from.xid)), Int64GetDatum(from.offset),
		CStringGetTextDatum(psprintf(UINT64_FORMAT, to.xid)), Int64GetDatum(to.offset)};

	Assert(index == 0);
	return query_position(source,
						  psprintf("SELECT pg_catalog.count(*), 0::pg_catalog.int8 FROM %s "
								   "WHERE %s OPERATOR(pg_catalog.>) ($1::pg_catalog.text::pg_catalog.xid8, $2) "
								   "AND %s OPERATOR(pg_catalog.<=) ($3::pg_catalog.text::pg_catalog.xid8, $4)",
								   source->table_name, row, row), 4, types, values).offset;
}

static void
table_release(FsSource *base)
{
	MemoryContextReset(((FsTableSource *) base)->rows);
}

static char *
table_headers(FsSource *base, const FsRecord *record, size_t max)
{
	return NULL;
}

static int
table_wait_fd(FsSource *base)
{
	return -1;
}

/* Nothing outside PostgreSQL is held. */
static void
table_close_source(FsSource *base)
{
	FsTableSource *source = (FsTableSource *) base;

	if (source->poll_plan != NULL)
		SPI_freeplan(source->poll_plan);
	source->poll_plan = NULL;
}

const FsSourceOps fs_source_table_ops = {
	.name = "table",
	.open = table_open_source,
	.service = table_service,
	.resolve_start = table_resolve_start,
	.distance = table_distance,
	.assign = table_assign,
	.poll = table_poll,
	.release = table_release,
	.headers = table_headers,
	.wait_fd = table_wait_fd,
	.close = table_close_source,
};
