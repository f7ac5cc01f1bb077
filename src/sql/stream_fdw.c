/*
 * stream_fdw.c
 *		Streams as foreign tables: defined, but neither read nor written by SQL.
 *
 * A stream's records reach PostgreSQL through its worker alone.  A foreign table
 * has to have a handler to say so clearly; every way in throws with a hint.
 */
#include "postgres.h"

#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "nodes/pathnodes.h"
#include "parser/parsetree.h"
#include "utils/rel.h"

#include "catalog/extension.h"
#include "sql/import_streams.h"

PG_FUNCTION_INFO_V1(fs_stream_fdw_handler);

/* Says that a stream cannot be read. */
static void
throw_not_readable(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot read stream %s", fs_relation_name(relid)),
			 errdetail("Its records are consumed by a background worker."),
			 errhint("Select from a feature view over the stream, or from feature_stream.dead_letter for what was not counted.")));
}

/* Says that a stream cannot be written. */
static void
throw_not_writable(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot write to stream %s", fs_relation_name(relid)),
			 errhint("Produce to its topic, or insert into the table it reads.")));
}

static void
get_foreign_rel_size(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	throw_not_readable(relid);
}

static void
get_foreign_paths(PlannerInfo *root, RelOptInfo *rel, Oid relid)
{
	throw_not_readable(relid);
}

static ForeignScan *
get_foreign_plan(PlannerInfo *root, RelOptInfo *rel, Oid relid, ForeignPath *path,
				 List *tlist, List *clauses, Plan *outer)
{
	throw_not_readable(relid);
	return NULL;				/* not reached */
}

static void
begin_foreign_scan(ForeignScanState *node, int flags)
{
	throw_not_readable(RelationGetRelid(node->ss.ss_currentRelation));
}

static TupleTableSlot *
iterate_foreign_scan(ForeignScanState *node)
{
	throw_not_readable(RelationGetRelid(node->ss.ss_currentRelation));
	return NULL;				/* not reached */
}

static void
rescan_foreign_scan(ForeignScanState *node)
{
}

static void
end_foreign_scan(ForeignScanState *node)
{
}

/* UPDATE and DELETE come here before the scan is planned. */
static void
add_foreign_update_targets(PlannerInfo *root, Index index, RangeTblEntry *entry,
						   Relation rel)
{
	throw_not_writable(RelationGetRelid(rel));
}

/* INSERT comes here. */
static List *
plan_foreign_modify(PlannerInfo *root, ModifyTable *plan, Index index, int subplan)
{
	RangeTblEntry *entry = planner_rt_fetch(index, root);

	throw_not_writable(entry->relid);
	return NIL;					/* not reached */
}

/* COPY comes here. */
static void
begin_foreign_insert(ModifyTableState *state, ResultRelInfo *result)
{
	throw_not_writable(RelationGetRelid(result->ri_RelationDesc));
}

static TupleTableSlot *
exec_foreign_insert(EState *estate, ResultRelInfo *result, TupleTableSlot *slot,
					TupleTableSlot *plan_slot)
{
	throw_not_writable(RelationGetRelid(result->ri_RelationDesc));
	return NULL;				/* not reached */
}

static void
exec_foreign_truncate(List *rels, DropBehavior behavior, bool restart)
{
	throw_not_writable(RelationGetRelid((Relation) linitial(rels)));
}

/* The handler of the wrappers feature_stream_kafka and feature_stream_table. */
Datum
fs_stream_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = get_foreign_rel_size;
	routine->GetForeignPaths = get_foreign_paths;
	routine->GetForeignPlan = get_foreign_plan;
	routine->BeginForeignScan = begin_foreign_scan;
	routine->IterateForeignScan = iterate_foreign_scan;
	routine->ReScanForeignScan = rescan_foreign_scan;
	routine->EndForeignScan = end_foreign_scan;
	routine->AddForeignUpdateTargets = add_foreign_update_targets;
	routine->PlanForeignModify = plan_foreign_modify;
	routine->BeginForeignInsert = begin_foreign_insert;
	routine->ExecForeignInsert = exec_foreign_insert;
	routine->ExecForeignTruncate = exec_foreign_truncate;
	routine->ImportForeignSchema = fs_import_streams;
	PG_RETURN_POINTER(routine);
}
