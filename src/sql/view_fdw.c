/*
 * view_fdw.c
 *		SELECT on a feature view: the foreign data wrapper feature_stream_view.
 *
 * A feature view's rows in force live in shared memory, hashed by the entity's
 * key.  Conditions that give a value for every entity column (constants,
 * parameters, arrays, columns of other relations in a join) become look-ups of
 * such keys; everything else is a scan over all entities.  Conditions are kept
 * as quals of the scan in any case.
 *
 * The table <view>_live is read in the same way; its rows are those of windows
 * that end at the newest event.
 *
 * view_keys.c recognises keys, view_scan.c is what the executor calls,
 * view_reader.c reads shared memory; here is what the planner calls.  There are
 * no routines for writing or sampling: PostgreSQL refuses INSERT, UPDATE, DELETE
 * and TRUNCATE by itself, and ANALYZE skips the table.  Planning and EXPLAIN
 * need no worker.
 */
#include "postgres.h"

#include "commands/explain.h"
#include "fmgr.h"
#include "foreign/fdwapi.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/restrictinfo.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "sql/view_keys.h"
#include "sql/view_reader.h"
#include "sql/view_scan.h"

PG_FUNCTION_INFO_V1(fs_view_fdw_handler);

/* Entities to plan for when there are fewer, or it is not known how many. */
#define MIN_PLAN_ENTITIES 1000.0

/* Finding an entity; computing one feature of one window: about what a few dozen operators cost. */
#define FIND_COST (4 * cpu_operator_cost)
#define FEATURE_COST (40 * cpu_operator_cost)

/* The planner's notes on a feature view; in baserel->fdw_private. */
typedef struct ViewPlan
{
	int			nentity;
	Cost		row_cost;		/* of computing one row */
	List	   *keys;			/* conditions that need no other relation; NIL when they do not make a key */
} ViewPlan;

/* Estimates the size of a feature view: one row a key when the query gives keys. */
static void
get_rel_size(PlannerInfo *root, RelOptInfo *baserel, Oid foreigntableid)
{
	const FsViewEntry *entry = fs_view_cache_get(foreigntableid);
	ViewPlan   *plan = palloc0(sizeof(ViewPlan));
	Oid			stream = entry->view->stream;

	plan->nentity = entry->view->nentity;
	plan->row_cost = cpu_tuple_cost +
		FEATURE_COST * entry->view->nwindows * entry->view->nfeatures;
	plan->keys = fs_view_keys_choose(root, baserel, plan->nentity, baserel->baserestrictinfo);
	baserel->fdw_private = plan;
	baserel->tuples = Max(fs_view_entities(stream, entry->relid), MIN_PLAN_ENTITIES);
	set_baserel_size_estimates(root, baserel);
	if (plan->keys != NIL)
		baserel->rows = clamp_row_est(Min(fs_view_keys_estimate(plan->keys), baserel->tuples));
}

/* Adds a path that looks up the keys given by 'keys', or scans all when that is NIL. */
static void
add_view_path(PlannerInfo *root, RelOptInfo *baserel, Relids outer, double rows, List *keys)
{
	ViewPlan   *plan = baserel->fdw_private;
	double		reads = keys != NIL ? fs_view_keys_estimate(keys) : baserel->tuples;
	Cost		startup = baserel->baserestrictcost.startup;
	Cost		read_cost = FIND_COST + plan->row_cost + baserel->baserestrictcost.per_tuple;

	add_path(baserel, (Path *)
			 create_foreignscan_path(root, baserel, NULL, rows, startup,
									 startup + reads * read_cost, NIL, outer, NULL, keys));
}

/*
 * A key in the query's own conditions is never beaten.  Without one there are
 * the full scan and, for each set of other relations that can give keys, a
 * parameterized look-up.
 */
static void
get_paths(PlannerInfo *root, RelOptInfo *baserel, Oid foreigntableid)
{
	ViewPlan   *plan = baserel->fdw_private;
	List	   *sets;
	ListCell   *lc;

	add_view_path(root, baserel, baserel->lateral_relids, baserel->rows, plan->keys);
	if (plan->keys != NIL)
		return;
	sets = fs_view_keys_outer_relids(root, baserel, plan->nentity);
	foreach(lc, sets)
	{
		ParamPathInfo *info = get_baserel_parampathinfo(root, baserel, lfirst(lc));
		List	   *keys = fs_view_keys_choose(root, baserel, plan->nentity,
											   list_concat_copy(baserel->baserestrictinfo,
																info->ppi_clauses));

		if (keys == NIL)
			continue;
		info->ppi_rows = clamp_row_est(Min(fs_view_keys_estimate(keys), baserel->tuples));
		add_view_path(root, baserel, info->ppi_req_outer, info->ppi_rows, keys);
	}
}

/* The conditions that make the key go into fdw_exprs, where the planner looks after their parameters. */
static ForeignScan *
get_plan(PlannerInfo *root, RelOptInfo *baserel, Oid foreigntableid, ForeignPath *best_path,
		 List *tlist, List *scan_clauses, Plan *outer_plan)
{
	return make_foreignscan(tlist, extract_actual_clauses(scan_clauses, false), baserel->relid,
							best_path->fdw_private, NIL, NIL, NIL, outer_plan);
}

/* EXPLAIN: how the rows are found. */
static void
explain_scan(ForeignScanState *node, ExplainState *es)
{
	ForeignScan *plan = castNode(ForeignScan, node->ss.ps.plan);
	const FsViewEntry *entry;
	int64		entities;

	if (plan->fdw_exprs != NIL)
	{
		List	   *context = set_deparse_context_plan(es->deparse_cxt, &plan->scan.plan, NIL);

		ExplainPropertyText("Key Lookup",
							deparse_expression((Node *) make_ands_explicit(plan->fdw_exprs),
											   context, es->verbose, false), es);
		return;
	}
	entry = fs_view_cache_get(RelationGetRelid(node->ss.ss_currentRelation));
	entities = fs_view_entities(entry->view->stream, entry->relid);
	ExplainPropertyText("Full Scan",
						entities < 0 ? "entities not known" : psprintf("entities " INT64_FORMAT, entities),
						es);
}

/* The wrapper of feature views' foreign tables: reading only. */
Datum
fs_view_fdw_handler(PG_FUNCTION_ARGS)
{
	FdwRoutine *routine = makeNode(FdwRoutine);

	routine->GetForeignRelSize = get_rel_size;
	routine->GetForeignPaths = get_paths;
	routine->GetForeignPlan = get_plan;
	routine->BeginForeignScan = fs_view_scan_begin;
	routine->IterateForeignScan = fs_view_scan_next;
	routine->ReScanForeignScan = fs_view_scan_restart;
	routine->EndForeignScan = fs_view_scan_end;
	routine->ExplainForeignScan = explain_scan;
	PG_RETURN_POINTER(routine);
}
