/*
 * lake_spill.c
 *		Rows of a history that wait for their partition's turn; see lake_spill.h.
 *
 * Tuples of the partition's key, a number, and the row's columns: PostgreSQL's
 * tuplesort has them in order of the first two.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "utils/lsyscache.h"
#include "utils/tuplesort.h"

#include "offline/lake_spill.h"

#define NKEYS			2		/* columns before the row's */

struct FsLakeSpill
{
	Tuplesortstate *sort;
	TupleTableSlot *in;
	TupleTableSlot *out;
	int			ncolumns;
	int64		nrows;
};

/* What tuples consist of: only lengths and alignments of the types matter. */
static TupleDesc
make_desc(const FsLakeColumn *columns, int ncolumns)
{
	TupleDesc	desc = CreateTemplateTupleDesc(NKEYS + ncolumns);

	TupleDescInitEntry(desc, 1, "partition", BYTEAOID, -1, 0);
	TupleDescInitEntry(desc, 2, "number", INT8OID, -1, 0);
	for (int i = 0; i < ncolumns; i++)
	{
		Oid			typid = columns[i].column.is_list ? get_array_type(columns[i].typid) : columns[i].typid;

		TupleDescInitEntry(desc, NKEYS + i + 1, columns[i].column.name, typid, -1, 0);
	}
	return desc;
}

/* See lake_spill.h. */
FsLakeSpill *
fs_lake_spill_open(const FsLakeColumn *columns, int ncolumns)
{
	FsLakeSpill *spill = palloc0(sizeof(FsLakeSpill));
	TupleDesc	desc = make_desc(columns, ncolumns);
	AttrNumber	numbers[NKEYS] = {1, 2};
	Oid			operators[NKEYS] = {ByteaLessOperator, Int8LessOperator};
	Oid			collations[NKEYS] = {InvalidOid, InvalidOid};
	bool		nulls_first[NKEYS] = {false, false};

	Assert(IsTransactionState());
	spill->ncolumns = ncolumns;
	spill->in = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	spill->out = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	spill->sort = tuplesort_begin_heap(desc, NKEYS, numbers, operators, collations, nulls_first, FS_LAKE_SORT_KB, NULL,
									   TUPLESORT_NONE);
	return spill;
}

/* See lake_spill.h. */
void
fs_lake_spill_put(FsLakeSpill *spill, const FsBuffer *key, const Datum *values, const bool *nulls)
{
	TupleTableSlot *slot = spill->in;
	bytea	   *partition = palloc(VARHDRSZ + key->len);

	Assert(key->len > 0);
	SET_VARSIZE(partition, VARHDRSZ + key->len);
	memcpy(VARDATA(partition), key->data, key->len);
	ExecClearTuple(slot);
	slot->tts_values[0] = PointerGetDatum(partition);
	slot->tts_values[1] = Int64GetDatum(spill->nrows++);
	slot->tts_isnull[0] = slot->tts_isnull[1] = false;
	memcpy(&slot->tts_values[NKEYS], values, sizeof(Datum) * spill->ncolumns);
	memcpy(&slot->tts_isnull[NKEYS], nulls, sizeof(bool) * spill->ncolumns);
	ExecStoreVirtualTuple(slot);
	tuplesort_puttupleslot(spill->sort, slot);
	ExecClearTuple(slot);
	pfree(partition);
}

/* See lake_spill.h. */
void
fs_lake_spill_sort(FsLakeSpill *spill)
{
	Assert(spill->nrows > 0);
	tuplesort_performsort(spill->sort);
}

/* See lake_spill.h. */
bool
fs_lake_spill_next(FsLakeSpill *spill, const Datum **values, const bool **nulls)
{
	if (!tuplesort_gettupleslot(spill->sort, true, false, spill->out, NULL))
		return false;
	slot_getallattrs(spill->out);
	*values = &spill->out->tts_values[NKEYS];
	*nulls = &spill->out->tts_isnull[NKEYS];
	return true;
}

/* See lake_spill.h. */
void
fs_lake_spill_close(FsLakeSpill *spill)
{
	ExecDropSingleTupleTableSlot(spill->in);
	ExecDropSingleTupleTableSlot(spill->out);
	tuplesort_end(spill->sort);
	pfree(spill);
}
