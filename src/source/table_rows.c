/*
 * table_rows.c
 *		The rows of a table stream, from PostgreSQL's executor; see table_rows.h.
 *
 * Rows are as long as users make them, so they are taken one by one while the
 * query runs, and it ends when there are BATCH_BYTES of them.  Of a value that is
 * too long to be decoded no more is read than its dead letter keeps.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "executor/tuptable.h"
#include "tcop/dest.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "source/table_rows.h"

/* Of keys and values in one batch, but for its last row. */
#define BATCH_BYTES (16 * 1024 * 1024)

/* Columns of the query. */
enum
{
	COL_OFFSET = 1, COL_XID, COL_VALUE, COL_KEY, COL_ARRIVAL
};

/* A destination that makes records of rows. */
typedef struct RowDest
{
	DestReceiver pub;
	MemoryContext context;		/* of what they point to */
	size_t		most;			/* bytes of a value */
	FsRecord   *records;
	int			n;				/* made so far */
	size_t		bytes;			/* of these */
} RowDest;

/*
 * A copy of a column's bytes, the first ones only where it has more than 'most';
 * NULL for a null.  *len is how many it has.
 */
static const char *
copy_bytes(RowDest *dest, TupleTableSlot *slot, int column, size_t most, size_t *len)
{
	MemoryContext old;
	bool		isnull;
	Datum		datum = slot_getattr(slot, column, &isnull);
	struct varlena *bytes;
	size_t		size;

	*len = 0;
	if (isnull)
		return NULL;
	*len = toast_raw_datum_size(datum) - VARHDRSZ;
	size = Min(*len, most);
	dest->bytes += size;
	old = MemoryContextSwitchTo(dest->context);
	bytes = *len > most ? PG_DETOAST_DATUM_SLICE(datum, 0, (int32) most) : PG_DETOAST_DATUM_PACKED(datum);
	Assert(VARSIZE_ANY_EXHDR(bytes) == size);
	if (bytes == (struct varlena *) DatumGetPointer(datum))
	{
		bytes = palloc(VARHDRSZ + size);	/* it was the row's own */
		SET_VARSIZE(bytes, VARHDRSZ + size);
		memcpy(VARDATA(bytes), VARDATA_ANY(DatumGetPointer(datum)), size);
	}
	MemoryContextSwitchTo(old);
	return VARDATA_ANY(bytes);
}

/* Makes a record of a row. */
static void
fill_record(RowDest *dest, TupleTableSlot *slot, FsRecord *record)
{
	bool		isnull;
	Datum		datum;

	memset(record, 0, sizeof(FsRecord));
	record->offset = DatumGetInt64(slot_getattr(slot, COL_OFFSET, &isnull));
	record->xid = (uint64) DatumGetInt64(slot_getattr(slot, COL_XID, &isnull));
	record->value = copy_bytes(dest, slot, COL_VALUE, dest->most, &record->value_len);
	record->key = copy_bytes(dest, slot, COL_KEY, MaxAllocSize, &record->key_len);
	datum = slot_getattr(slot, COL_ARRIVAL, &isnull);
	record->arrival = isnull ? FS_TIME_MIN : DatumGetTimestampTz(datum);
	record->record_time = record->arrival;
}

static void
start_rows(DestReceiver *self, int operation, TupleDesc typeinfo)
{
	Assert(typeinfo->natts == COL_ARRIVAL);
}

/* Takes one row; false, which ends the query, when the batch is long enough. */
static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	RowDest    *dest = (RowDest *) self;

	fill_record(dest, slot, &dest->records[dest->n]);
	dest->n++;
	return dest->bytes < BATCH_BYTES;
}

static void
end_rows(DestReceiver *self)
{
}

/* See table_rows.h. */
int
fs_table_rows_take(SPIPlanPtr plan, ParamListInfo params, const FsStreamDef *stream,
				   MemoryContext context, FsRecord *records)
{
	RowDest		dest = {
		.pub = {.receiveSlot = receive_row, .rStartup = start_rows, .rShutdown = end_rows,
		.rDestroy = end_rows, .mydest = DestTuplestore},	/* with DestNone SPI took them for discarded */
		.context = context,
		.most = (size_t) stream->max_record_bytes,
		.records = records
	};
	SPIExecuteOptions options = {.params = params, .read_only = true, .dest = &dest.pub};

	if (SPI_execute_plan_extended(plan, &options) != SPI_OK_SELECT)
		elog(ERROR, "could not read the table of stream %s", stream->name);
	return dest.n;
}
