/*
 * stream_fdw.c
 *		Streams as foreign tables: what the planner calls, and what is refused.
 *
 * SELECT reads the topic (stream_scan.c), by a worker and not by the stream's own,
 * which it never disturbs; INSERT and COPY append to it (stream_insert.c).  A stream over a table is refused both, since the
 * table can be used itself.  Planning asks no peer.
 */
#include "postgres.h"

#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "nodes/pathnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "utils/rel.h"

#include "catalog/extension.h"
#include "catalog/stream.h"
#include "sql/import_streams.h"
#include "sql/stream_bounds.h"
#include "sql/stream_insert.h"
#include "sql/stream_scan.h"

PG_FUNCTION_INFO_V1(fs_stream_fdw_handler);

/* Records to plan for: how many there are the broker alone knows. */
#define GUESSED_RECORDS 100000.0

/* Starting a worker and a connection; decoding a record. */
#define START_COST 1000.0
#define RECORD_COST (20 * cpu_operator_cost)

/* Throws for a stream that cannot be read. */
static void
check_readable(const FsStreamDef *stream)
{
	if (stream->kind == FS_SOURCE_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot read stream %s", stream->name),
				 errdetail("Its records are the rows of a table."),
				 errhint("Select from %s, or from a feature view over the stream.", fs_relation_name(stream->table))));
}

/* Estimates the size, and chooses the conditions that narrow the reading: baserel->fdw_private. */
static void
get_foreign_rel_size(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	const FsStreamDef *stream = fs_stream_load(relid);

	check_readable(stream);
	baserel->fdw_private = fs_stream_bounds_choose(stream, baserel);
	baserel->tuples = GUESSED_RECORDS;
	set_baserel_size_estimates(root, baserel);
}

/* There is one way: reading. */
static void
get_foreign_paths(PlannerInfo *root, RelOptInfo *baserel, Oid relid)
{
	Cost		startup = START_COST + baserel->baserestrictcost.startup;
	Cost		record = RECORD_COST + cpu_tuple_cost + baserel->baserestrictcost.per_tuple;

	add_path(baserel, (Path *)
			 create_foreignscan_path(root, baserel, NULL, baserel->rows, startup,
									 startup + baserel->tuples * record, NIL,
									 baserel->lateral_relids, NULL, NIL));
}

/* The conditions go into fdw_exprs, where the planner looks after their parameters. */
static ForeignScan *
get_foreign_plan(PlannerInfo *root, RelOptInfo *baserel, Oid relid, ForeignPath *path,
				 List *tlist, List *clauses, Plan *outer)
{
	return make_foreignscan(tlist, extract_actual_clauses(clauses, false), baserel->relid,
							baserel->fdw_private, NIL, NIL, NIL, outer);
}

/* Throws: records of a stream stay what they are. */
static void
throw_not_changeable(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot change records of stream %s", fs_relation_name(relid)),
			 errhint("A topic is only appended to, by INSERT and COPY.")));
}

/* UPDATE and DELETE come here before the scan is planned. */
static void
add_foreign_update_targets(PlannerInfo *root, Index index, RangeTblEntry *entry,
						   Relation rel)
{
	throw_not_changeable(RelationGetRelid(rel));
}

static void
exec_foreign_truncate(List *rels, DropBehavior behavior, bool restart)
{
	throw_not_changeable(RelationGetRelid((Relation) linitial(rels)));
}

/* INSERT comes here; whether the stream can be written is seen when it begins. */
static List *
plan_foreign_modify(PlannerInfo *root, ModifyTable *plan, Index index, int subplan)
{
	RangeTblEntry *entry = planner_rt_fetch(index, root);

	if (plan->operation != CMD_INSERT)
		throw_not_changeable(entry->relid);
	if (plan->onConflictAction != ONCONFLICT_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("INSERT with ON CONFLICT is not supported for stream %s", fs_relation_name(entry->relid)),
				 errhint("A topic has no keys that are unique.")));
	return NIL;
}

/* The handler of the wrappers feature_stream_kafka and feature_stream_table. */
Datum
fs_stream_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = get_foreign_rel_size;
	routine->GetForeignPaths = get_foreign_paths;
	routine->GetForeignPlan = get_foreign_plan;
	routine->BeginForeignScan = fs_stream_scan_begin;
	routine->IterateForeignScan = fs_stream_scan_next;
	routine->ReScanForeignScan = fs_stream_scan_restart;
	routine->EndForeignScan = fs_stream_scan_end;
	routine->ExplainForeignScan = fs_stream_scan_explain;
	routine->AddForeignUpdateTargets = add_foreign_update_targets;
	routine->PlanForeignModify = plan_foreign_modify;
	routine->BeginForeignModify = fs_stream_insert_begin_modify;
	routine->BeginForeignInsert = fs_stream_insert_begin;
	routine->ExecForeignInsert = fs_stream_insert_row;
	routine->ExecForeignTruncate = exec_foreign_truncate;
	routine->ImportForeignSchema = fs_import_streams;
	PG_RETURN_POINTER(routine);
}
