/*
 * table_writer.c
 *		Routed multi-inserts; see table_writer.h.
 *
 * Rows that follow each other mostly go to one partition (all rows of a firing
 * have one window end), so one buffer is enough: it is flushed when the
 * partition changes.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "executor/execPartition.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "offline/table_writer.h"

#define BUFFER_ROWS 100
#define BUFFER_BYTES (1024 * 1024)
#define MAX_ROW_BYTES (MaxAllocSize - 1024 * 1024)	/* of variable length; the rest of a row has what is left */

struct FsTableWriter
{
	/* Info */
	Relation	rel;
	Oid			run_as;
	EState	   *estate;
	ModifyTableState *mtstate;
	PartitionTupleRouting *routing; /* NULL: not partitioned */
	ResultRelInfo *root;
	TupleTableSlot *root_slot;

	/* Buffer */
	ResultRelInfo *target;		/* of the buffered rows */
	bool		may_overflow;	/* a row of the target's can be wider than a page */
	TupleTableSlot *slots[BUFFER_ROWS];
	int			nslots;
	Size		bytes;
	BulkInsertState bulk;
	MemoryContext context;		/* of the writer and its slots */
};

/* Throws for row triggers: we insert many rows at once and would not fire them. */
static void
refuse_triggers(Relation rel)
{
	if (rel->trigdesc != NULL &&
		(rel->trigdesc->trig_insert_before_row || rel->trigdesc->trig_insert_after_row ||
		 rel->trigdesc->trig_insert_instead_row))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("table \"%s\" must not have row triggers for INSERT", RelationGetRelationName(rel)),
				 errhint("Drop the trigger; read the table from a job of its own instead.")));
}

/* See table_writer.h. */
FsTableWriter *
fs_table_writer_open(Oid relid, Oid run_as)
{
	FsTableWriter *writer = palloc0(sizeof(FsTableWriter));
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	writer->context = CurrentMemoryContext;
	writer->run_as = run_as;
	writer->rel = table_open(relid, RowExclusiveLock);
	refuse_triggers(writer->rel);
	writer->estate = CreateExecutorState();
	rte->rtekind = RTE_RELATION;
	rte->relid = relid;
	rte->relkind = writer->rel->rd_rel->relkind;
	rte->rellockmode = RowExclusiveLock;
	ExecInitRangeTable(writer->estate, list_make1(rte));
	writer->root = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->root, writer->rel, 1, NULL, 0);
	writer->estate->es_output_cid = GetCurrentCommandId(true);
	writer->mtstate = makeNode(ModifyTableState);
	writer->mtstate->ps.plan = NULL;
	writer->mtstate->ps.state = writer->estate;
	writer->mtstate->operation = CMD_INSERT;
	writer->mtstate->mt_nrels = 1;
	writer->mtstate->resultRelInfo = writer->root;
	writer->mtstate->rootResultRelInfo = writer->root;
	if (writer->rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		writer->routing = ExecSetupPartitionTupleRouting(writer->estate, writer->rel);
	else
		ExecOpenIndices(writer->root, false);
	writer->root_slot = table_slot_create(writer->rel, NULL);
	return writer;
}

/* See table_writer.h. */
TupleDesc
fs_table_writer_desc(const FsTableWriter *writer)
{
	return RelationGetDescr(writer->rel);
}

/* Leaves the user's identity aside while their expressions run. */
static void
enter_user(FsTableWriter *writer, Oid *user, int *security)
{
	GetUserIdAndSecContext(user, security);
	if (OidIsValid(writer->run_as))
		SetUserIdAndSecContext(writer->run_as, *security | SECURITY_RESTRICTED_OPERATION);
}

/* Writes the buffered rows and their index entries. */
static void
flush_buffer(FsTableWriter *writer)
{
	ResultRelInfo *target = writer->target;
	EState	   *estate = writer->estate;
	MemoryContext old;

	if (writer->nslots == 0)
		return;
	estate->es_output_cid = GetCurrentCommandId(true);
	old = MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));
	table_multi_insert(target->ri_RelationDesc, writer->slots, writer->nslots,
					   estate->es_output_cid, 0, writer->bulk);
	MemoryContextSwitchTo(old);
	for (int i = 0; i < writer->nslots; i++)
	{
		if (target->ri_NumIndices > 0)
			list_free(ExecInsertIndexTuples(target, writer->slots[i], estate, false, false,
											NULL, NIL));
		ExecClearTuple(writer->slots[i]);
		ResetPerTupleExprContext(estate);
	}
	writer->nslots = 0;
	writer->bytes = 0;
}

/* See table_writer.h. */
void
fs_table_writer_flush(FsTableWriter *writer)
{
	Oid			user;
	int			security;

	enter_user(writer, &user, &security);
	flush_buffer(writer);
	SetUserIdAndSecContext(user, security);
}

/* Makes 'target' the partition of the rows that come. */
static void
change_target(FsTableWriter *writer, ResultRelInfo *target)
{
	flush_buffer(writer);
	for (int i = 0; i < BUFFER_ROWS && writer->slots[i] != NULL; i++)
	{
		ExecDropSingleTupleTableSlot(writer->slots[i]);
		writer->slots[i] = NULL;
	}
	if (writer->bulk != NULL)
		FreeBulkInsertState(writer->bulk);
	writer->bulk = GetBulkInsertState();
	refuse_triggers(target->ri_RelationDesc);
	writer->target = target;
	writer->may_overflow = fs_table_may_overflow(target->ri_RelationDesc);
}

/* The next free slot of the buffer, of the target's row type. */
static TupleTableSlot *
next_slot(FsTableWriter *writer)
{
	if (writer->nslots == BUFFER_ROWS || writer->bytes > BUFFER_BYTES)
		flush_buffer(writer);
	if (writer->slots[writer->nslots] == NULL)
		writer->slots[writer->nslots] = table_slot_create(writer->target->ri_RelationDesc, NULL);
	return writer->slots[writer->nslots];
}

/* Buffers the row in root_slot for 'target', in its row type; false when it does not fit into a page. */
static bool
buffer_row(FsTableWriter *writer, ResultRelInfo *target)
{
	TupleConversionMap *map = NULL;
	TupleTableSlot *slot;

	if (target != writer->target)
		change_target(writer, target);
	slot = next_slot(writer);
	if (writer->routing != NULL)
		map = target->ri_RootToPartitionMap;
	if (map != NULL)
	{
		slot = execute_attr_map_slot(map->attrMap, writer->root_slot, slot);
		ExecMaterializeSlot(slot);
	}
	else
		ExecCopySlot(slot, writer->root_slot);
	slot->tts_tableOid = RelationGetRelid(target->ri_RelationDesc);
	if (writer->may_overflow && fs_table_row_overflows(slot))
	{
		ExecClearTuple(slot);
		return false;
	}
	if (target->ri_RelationDesc->rd_att->constr)
		ExecConstraints(target, slot, writer->estate);
	writer->nslots++;
	return true;
}

/* Bytes of a row's values of variable length. */
static Size
count_bytes(TupleDesc desc, const Datum *values, const bool *nulls)
{
	Size		bytes = 0;

	for (int i = 0; i < desc->natts; i++)
		if (!nulls[i] && TupleDescAttr(desc, i)->attlen == -1)
			bytes += VARSIZE_ANY(DatumGetPointer(values[i]));
	return bytes;
}

/* See table_writer.h. */
bool
fs_table_writer_try(FsTableWriter *writer, const Datum *values, const bool *nulls)
{
	TupleTableSlot *slot = writer->root_slot;
	int			natts = slot->tts_tupleDescriptor->natts;
	Size		bytes = count_bytes(slot->tts_tupleDescriptor, values, nulls);
	ResultRelInfo *target = writer->root;
	MemoryContext old;
	Oid			user;
	int			security;
	bool		fits;

	if (bytes > MAX_ROW_BYTES)
		return false;
	old = MemoryContextSwitchTo(writer->context);
	ExecClearTuple(slot);
	memcpy(slot->tts_values, values, sizeof(Datum) * natts);
	memcpy(slot->tts_isnull, nulls, sizeof(bool) * natts);
	ExecStoreVirtualTuple(slot);
	enter_user(writer, &user, &security);
	if (writer->routing != NULL)
		target = ExecFindPartition(writer->mtstate, writer->root, writer->routing, slot,
								   writer->estate);
	fits = buffer_row(writer, target);
	if (fits)
		writer->bytes += bytes;
	SetUserIdAndSecContext(user, security);
	MemoryContextSwitchTo(old);
	return fits;
}

/* See table_writer.h. */
void
fs_table_writer_put(FsTableWriter *writer, const Datum *values, const bool *nulls)
{
	if (!fs_table_writer_try(writer, values, nulls))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("row for table \"%s\" is too big", RelationGetRelationName(writer->rel))));
}

/* See table_writer.h. */
void
fs_table_writer_close(FsTableWriter *writer)
{
	fs_table_writer_flush(writer);
	for (int i = 0; i < BUFFER_ROWS && writer->slots[i] != NULL; i++)
		ExecDropSingleTupleTableSlot(writer->slots[i]);
	if (writer->bulk != NULL)
	{
		FreeBulkInsertState(writer->bulk);
		table_finish_bulk_insert(writer->target->ri_RelationDesc, 0);
	}
	ExecDropSingleTupleTableSlot(writer->root_slot);
	if (writer->routing != NULL)
		ExecCleanupTupleRouting(writer->mtstate, writer->routing);
	else
		ExecCloseIndices(writer->root);
	table_close(writer->rel, NoLock);
	FreeExecutorState(writer->estate);
	pfree(writer);
}
